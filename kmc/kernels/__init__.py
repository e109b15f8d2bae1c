"""Compiled kernels: numpy, numba and each other only."""
