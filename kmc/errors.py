"""Exceptions with the cause, its origin and advice."""

from collections.abc import Iterator
from contextlib import contextmanager


def printable(text: str) -> str:
    """The text with unprintable characters replaced, except line ends."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\u00a0" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


class KmcError(Exception):
    """Base of all errors that kmc raises.

    - `message`: the value, its origin and what is wrong with it.
    - `advice`: what is allowed, or what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, advice: str | None = None):
        # Texts from files may hold control sequences of terminals.
        self.message = printable(message)
        self.advice = None if advice is None else printable(advice)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message if self.advice is None else f"{self.message}\n{self.advice}"


class KmcWarning(UserWarning):
    """Something the user should know; the work continues."""


class InputError(KmcError):
    """A run file, parameter file, argument or data file that cannot be used as given."""

    exit_code = 2


class OutputError(InputError):
    """An output that cannot be written: a full disk, or another process writes it."""


class FileFormatError(InputError):
    """Not a kmc trajectory, a damaged one, or one of a newer schema."""


@contextmanager
def optional_library(name: str, extra: str) -> Iterator[None]:
    """Imports of what only an extra of the package installs; `InputError` where it is missing."""
    try:
        yield
    except ImportError:
        advice = f'Install it with: pip install ".[{extra}]" in a clone of kmc'
        raise InputError(f"{name} is not installed", advice=advice) from None
