"""Checks by independent means: trajectories recomputed from their frames, and parameter sets
against the DFT configurations behind them. Imports `common`, `model` and `trajectory`; never the
kernels."""
