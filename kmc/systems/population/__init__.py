"""The field of gaps between metal and electrolyte: a population of voids on micrometres."""
