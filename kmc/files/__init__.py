"""Files of runs (HDF5): writer, reader, checkpoints. `integrity` handles damaged and hostile files,
`earlier` those of kmc 0.1 and 0.2. Imports `common`, `model` and what is below."""
