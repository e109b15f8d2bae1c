"""Used by every other package: units, number formatting, progress, output files, the catalogue of
shipped TOML files, checks of user input. Imports nothing of kmc but `kmc.errors`."""
