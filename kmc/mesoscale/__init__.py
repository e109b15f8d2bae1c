"""From atoms to micrometres: nucleation at the true rates, and the population of voids."""
