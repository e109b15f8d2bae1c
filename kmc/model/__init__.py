"""The physics: parameter sets, lattices, the lattice-gas Hamiltonian and its calibration, rates,
electrochemistry, creep, and the look-up tables of the kernels. Imports `common` and
`kernels`."""
