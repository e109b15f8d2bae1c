"""Numbers as people read them, for summaries and representations."""

from __future__ import annotations

import math
from collections.abc import Mapping

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
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(number)}{_SPACE}{noun}"


def figure(number: float, unit: str = "", digits: int = 3) -> str:
    """A number of some significant digits with its unit; powers of ten as people write them."""
    if math.isnan(number):
        return "unknown"
    if math.isinf(number):
        return "unlimited" if number > 0 else "−unlimited"
    text = f"{number:.{digits}g}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return f"{text}{_SPACE}{unit}" if unit else text


_SCALES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def scaled(number: float, unit: str, digits: int = 3) -> str:
    """A number with the prefix that suits it: 0.0123 V becomes 12.3 mV."""
    if not math.isfinite(number) or number == 0:
        return figure(number, unit, digits)
    scale, prefix = next((s for s in _SCALES if abs(number) >= s[0]), _SCALES[-1])
    return figure(number / scale, prefix + unit, digits)


def duration(seconds: float, digits: int = 3) -> str:
    """A span of time: 12.3 ms, 4.56 s, 12 min, 3.4 h, 5.6 d."""
    if not math.isfinite(seconds) or seconds < 120:
        return scaled(seconds, "s", digits)
    spans = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))
    size, unit = next(span for span in spans if seconds >= 2 * span[0])
    return figure(seconds / size, unit, digits)


def driven_by(conditions: Mapping) -> str:
    """What drives a run: "0.5 mA/cm²", "20 mV held" or "no current", and the pressure if any."""
    words = []
    if conditions.get("overpotential_V"):
        words.append(f"{figure(1e3 * conditions['overpotential_V'], 'mV')} held")
    elif conditions.get("current_density_mA_cm2"):
        words.append(figure(conditions["current_density_mA_cm2"], "mA/cm²"))
    else:
        words.append("no current")
    if conditions.get("stack_pressure_MPa"):
        words.append(figure(conditions["stack_pressure_MPa"], "MPa"))
    return ", ".join(words)
