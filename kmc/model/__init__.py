"""The physics: parameter sets, lattices, the lattice-gas Hamiltonian and its calibration, rates,
electrochemistry, creep, and the tables that the kernels look them up in. Imports `common` and
`kernels`."""
