"""The event loop and what it calls, compiled by numba: tables, rates, selection, events, creep.
Works on bare numbers and arrays; free of files, units and classes. Imports numpy, numba and
itself."""
