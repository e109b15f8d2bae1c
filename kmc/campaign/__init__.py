"""Many runs from one file: plan, folder, execution on local processes or a cluster, results. The
packages `convergence` and `critical` build on it. Imports every package but `plotting` and
`cli`."""
