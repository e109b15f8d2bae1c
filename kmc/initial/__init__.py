"""The state a run starts from: composition, flaws and the map of interface chemistries. Imports
`common` and `model`."""
