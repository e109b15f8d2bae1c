"""Beyond the box: free energies of clusters, nucleation at true rates, and populations of voids.

Everything here follows from the model's energies and barriers by statistical mechanics and
continuum transport; there is no event loop. It may import `common`, `kernels` and `model`; only
`conditions` also reads run files.
"""
