"""The command `kmc`, built with click: thin, one module for each group of commands. Imports any
other package, and only inside the command that needs it, so that `kmc --help` is fast."""

from kmc.cli.app import main

__all__ = ["main"]
