"""Trajectory files (HDF5): schema, writer, reader, checkpoints. `integrity` and `repair` hold all
that defends against damaged and hostile files. Imports `common` and `model`."""
