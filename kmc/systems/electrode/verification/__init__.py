"""Independent checks: trajectories recomputed from their frames, and parameter sets compared with
their DFT configurations. Imports `common`, `model` and `trajectory`; never the
kernels."""
