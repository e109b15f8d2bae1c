"""Many runs from one file: what to run, where it stands, running it, and its results."""
