"""Trajectory files (HDF5): schema, writer, reader, checkpoints. `integrity` and `repair` handle
damaged and hostile files. Imports `common` and `model`."""
