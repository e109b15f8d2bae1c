"""Running: the engine around the kernels, the phases of a run, when it stops, how it is resumed.
Imports `common`, `kernels`, `model`, `initial`, `runfile` and `trajectory`."""
