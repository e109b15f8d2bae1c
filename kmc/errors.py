"""Exceptions that say what was wrong, where it came from and what to do."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with every character that no screen shows replaced; line ends stay."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\u00a0" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


class KmcError(Exception):
    """Anything kmc reports to its user in one clear message.

    Parameters
    ----------
    message : str
        The value, where it came from and what is wrong with it.
    advice : str, optional
        What is allowed, or what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, advice: str | None = None):
        # Names and texts from files may hold what moves the cursor of a terminal, or worse.
        self.message = printable(message)
        self.advice = None if advice is None else printable(advice)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message if self.advice is None else f"{self.message}\n{self.advice}"


class KmcWarning(UserWarning):
    """What a user should know although the work goes on."""


class InputError(KmcError):
    """A run file, parameter file, argument or data file that cannot be used as given."""

    exit_code = 2


class FileFormatError(InputError):
    """Not a kmc trajectory, a damaged one, or one of a newer schema."""
