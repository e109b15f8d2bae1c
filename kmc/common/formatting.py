"""Numbers, quantities and lists as text, for summaries, messages and labels."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from kmc.common.units import DIMENSIONLESS, split_unit

_SPACE = "\u00a0"  # digits of one number, and a number and its unit, stay on one line


def count(number: float) -> str:
    """A whole number, digits in groups of three as in 24 576; a large one as in 12.3 million."""
    if abs(number) >= 1e9:
        return f"{number / 1e9:.3g}{_SPACE}billion"
    if abs(number) >= 1e7:
        return f"{number / 1e6:.3g}{_SPACE}million"
    return f"{int(number):,}".replace(",", _SPACE)


def plural(number: int, noun: str) -> str:
    """``1 void``, ``2 voids``, ``1 vacancy``, ``2 vacancies``."""
    if number != 1:
        # Nouns of this package are regular.
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(number)}{_SPACE}{noun}"


def monolayers(number: float) -> str:
    """A capacity: ``1 monolayer``, ``0.5 monolayers``."""
    text = figure(number)
    return f"{text} monolayer{'' if text == '1' else 's'}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def figure(number: float, unit: str = "", digits: int = 3) -> str:
    """A number of some significant digits with its unit; powers of ten as in 2.5e6.

    >>> figure(0.0012345, "mV"), figure(2.5e6, digits=2)
    ('0.00123\xa0mV', '2.5e6')
    """
    if math.isnan(number):
        return "unknown"
    if math.isinf(number):
        return "unlimited" if number > 0 else "−unlimited"
    if unit == "%" and abs(number) < 1e-9:  # a share below rounding is none
        number = 0.0
    text = f"{number + 0.0:.{digits}g}"  # minus zero is zero
    if "e" in text and 1 <= abs(number) < 1e3:  # of two digits: 120, and not 1.2e2
        text = f"{float(text):.0f}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return f"{text}{_SPACE}{unit}" if unit else text


def percent(share: float, digits: int = 3) -> str:
    """A share in percent: ``46 %``."""
    return figure(100 * share, "%", digits).replace(_SPACE, " ")


_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def prefix_for(number: float) -> tuple[float, str]:
    """Divisor and SI prefix that suit a number: 1e-3 and ``m`` for 0.0123."""
    # The largest prefix that is not above the number, so that one to three digits stand before the
    # point.
    fitting = (pair for pair in _SCALES if abs(number) >= pair[0] or not number)
    return next(fitting, _SCALES[-1])


def scaled(number: float, unit: str, digits: int = 3) -> str:
    """A number with the SI prefix that suits it: 0.0123 V becomes 12.3 mV."""
    if not math.isfinite(number):
        return figure(number, unit, digits)
    scale, prefix = prefix_for(number)
    return figure(number / scale, prefix + unit, digits)


def duration(seconds: float, digits: int = 3) -> str:
    """A span of time: 12.3 ms, 4.56 s, 12 min, 3.4 h, 5.6 d."""
    # Up to two minutes in seconds: 90 s is read faster than 1.5 min.
    if not math.isfinite(seconds) or seconds < 120:
        return scaled(seconds, "s", digits)
    spans = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
    size, unit = next(span for span in spans if seconds >= 2 * span[0])
    return figure(seconds / size, unit, digits)


_SUPERSCRIPTS = str.maketrans("23", "²³")


def quantity(key: str) -> tuple[str, str]:
    """Name and unit of a key or column: ``temperature_K`` → ``("temperature", "K")``."""
    bare = key.rpartition(".")[2]
    if bare.endswith("_monolayers"):
        stem, unit = bare.removesuffix("_monolayers"), "monolayers"
    else:
        stem, unit = split_unit(bare)
        unit = "" if unit == DIMENSIONLESS else unit.replace("deg", "°").translate(_SUPERSCRIPTS)
    name = stem.replace("_", " ")
    # Magnesium, not the milligram.
    return (f"M{name[1:]}" if name.startswith("mg ") else name), unit


def label(key: str) -> str:
    """Label of an axis: ``current density (mA/cm²)``."""
    name, unit = quantity(key)
    return f"{name} ({unit})" if unit else name


def html_table(
    rows: Iterable[Sequence[object]], header: Sequence[str] = (), caption: str = ""
) -> str:
    """A table for a notebook; every text is escaped, the first cell of a row is its head."""
    style = "style='text-align:left'"
    head = "".join(f"<th {style}>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + f"<th {style}>{escape(str(first))}</th>"
        + "".join(f"<td {style}>{escape(str(cell))}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}{f'<tr>{head}</tr>' if head else ''}{body}</table>"
