"""Convergence studies: a run repeated at several ratios of hops to strips, and which of its numbers
have stopped changing. Imports `kmc.campaign` and what that imports."""
