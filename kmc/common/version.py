"""The version of kmc, stated here and in pyproject.toml; a test holds them equal."""

__version__ = "0.3.0"
