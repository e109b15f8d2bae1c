"""Analysis of trajectories after a run: voids and their history, cross-sections, profiles,
transport, ripening, export. Imports `common`, `model` and `trajectory`; pictures only inside
`plot()`."""
