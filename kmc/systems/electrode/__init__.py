"""Running: the engine around the kernels, the phases of a run, its stops, and how it is resumed.
Imports `common`, `kernels`, `model`, `initial`, `runfile` and `trajectory`."""
