"""Post-analysis of trajectories; never of running simulations."""
