"""Calibration: the inputs that a measurement leaves possible, and what to measure next."""
