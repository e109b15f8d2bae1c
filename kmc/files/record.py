"""Layout of JSON that a file holds, as far as its readers rely on it."""

from __future__ import annotations

from typing import Any

TEXT = (str,)


def check_layout(value: Any, layout: Any, place: str = "record") -> None:
    """Check that JSON has a layout: tables, lists of one, types, or words to choose from.

    Raises `ValueError`: it has not; the message names the place.
    """
    if isinstance(layout, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is not a table")
        # Keys that the layout does not name are allowed: a later version may write more.
        some = {key: inner for key, inner in layout.items() if key != "*"}
        some |= dict.fromkeys(value if "*" in layout else (), layout.get("*"))
        for key, inner in some.items():
            name = key.rstrip("?")
            if name in value:
                check_layout(value[name], inner, f"{place}.{name}")
            elif name == key:
                raise ValueError(f"{place} lacks {name!r}")
    elif isinstance(layout, list):
        if not isinstance(value, list):
            raise ValueError(f"{place} is not a list")
        for item in value:
            check_layout(item, layout[0], place)
    elif isinstance(layout[0], str):
        if value not in layout:
            raise ValueError(f"{place} is none of {', '.join(layout)}")
    # A bool is an int to Python, and no number of a record.
    elif not isinstance(value, layout) or (isinstance(value, bool) and bool not in layout):
        raise ValueError(f"{place} is not {'text' if layout == TEXT else 'a number'}")
    # Beyond 64 bits numpy would fail later, where no file is named any more.
    elif isinstance(value, int) and value.bit_length() > 63:
        raise ValueError(f"{place} is an enormous integer")
