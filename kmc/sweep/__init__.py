"""Many runs from one file: plan, folder, execution on local processes or a cluster, results. The
packages `convergence` and `critical` stand on it. Imports everything below the command line except
`plotting`."""
