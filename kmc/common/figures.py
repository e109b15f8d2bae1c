"""What draws a result: handed in by `kmc`, as results lie below `kmc.plotting`, which imports them.

matplotlib, which takes a second to load, is loaded with the first picture.
"""

from collections.abc import Callable
from typing import Any

Find = Callable[[str], Callable[..., Any]]
_HANDED_IN: list[Find] = []


def draw_by(find: Find) -> None:
    """Take in what gives the function that draws a picture of this name."""
    _HANDED_IN[:] = [find]


def drawn(picture: str, *results: Any, **options: Any) -> Any:
    """A matplotlib figure of results, by the function of `kmc.plotting` of that name."""
    return _HANDED_IN[0](picture)(*results, **options)
