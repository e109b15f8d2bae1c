"""Keys of a run file as names of axes and as labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_UNITS = {
    "mAh_cm2": "mAh/cm²",
    "mA_cm2": "mA/cm²",
    "J_m2": "J/m²",
    "cm2_s": "cm²/s",
    "monolayers": "monolayers",
    "MPa": "MPa",
    "deg": "°",
    "um": "µm",
    "nm": "nm",
    "eV": "eV",
    "Hz": "Hz",
    "K": "K",
    "V": "V",
    "A": "Å",
    "s": "s",
}


def short_names(keys: Sequence[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """``conditions.temperature_K`` → ``temperature_K``, with its section where that is taken."""
    last = [key.rpartition(".")[2] for key in keys]
    reserved = set(taken)
    return {
        key: key.replace(".", "_") if last.count(name) > 1 or name in reserved else name
        for key, name in zip(keys, last, strict=True)
    }


def quantity(name: str) -> tuple[str, str]:
    """Words and unit of a key or column: ``temperature_K`` → ``("temperature", "K")``."""
    bare = name.rpartition(".")[2]
    for ending, unit in _UNITS.items():
        stem = bare.removesuffix(f"_{ending}")
        if stem and stem != bare:
            return _words(stem), unit
    return _words(bare), ""


def label(name: str) -> str:
    """Of an axis: ``current density (mA/cm²)``."""
    words, unit = quantity(name)
    return f"{words} ({unit})" if unit else words


def _words(text: str) -> str:
    words = text.replace("_", " ")
    return f"M{words[1:]}" if words.startswith("mg ") else words
