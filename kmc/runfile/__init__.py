"""Run files: sections and keys, reading, checking, and the commented template of `kmc init`.
Imports `common`, `model` and `initial`."""
