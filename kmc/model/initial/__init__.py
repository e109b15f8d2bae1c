"""Initial state of a run: composition, flaws and the map of interface chemistries. Imports `common`
and `model`."""
