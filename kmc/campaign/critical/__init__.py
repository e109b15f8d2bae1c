"""Critical values: the current, pressure or temperature at which half of the runs meet a criterion,
with a confidence interval. Imports `kmc.campaign` and what that imports."""
