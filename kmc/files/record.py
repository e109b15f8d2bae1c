"""Layout of the JSON in `/record`, as far as the readers rely on it."""

from __future__ import annotations

from typing import Any

TEXT, _NUMBER, _NUMBER_OR_NONE = (str,), (int, float), (int, float, type(None))
# Required layout of the JSON of /record. Keys that may be absent end in "?"; "*" is any.
_CHARGE_TRANSFER = {
    "exchange_current_density_mA_cm2": _NUMBER,
    "alpha": _NUMBER,
    "lattice_parameter_A": _NUMBER,
    "strip_weight_lambda": _NUMBER,
    "kink_binding_eV": _NUMBER,
    "flat_binding_eV": _NUMBER,
    "conductivity_mS_cm": _NUMBER_OR_NONE,
    "wagner_length_um": _NUMBER_OR_NONE,
    "pattern_um": _NUMBER_OR_NONE,
    "pattern_scale": _NUMBER,
    "rim_exchange_weight": _NUMBER_OR_NONE,
    "series_resistance_ohm_cm2": _NUMBER,
}
_RECORD = {
    "kmc_version": TEXT,
    "run_file": TEXT,
    "provenance?": {"created?": TEXT},
    "seed": (int,),
    "lattice": {
        "name": TEXT,
        "boundary": ("interface", "periodic"),
        "cells": [(int,)],
        "layers": (int,),
        "lattice_parameter_A": _NUMBER,
        "box_A": [_NUMBER],
    },
    "resolved": {
        "run?": {
            "system?": {"params?": TEXT},
            "conditions?": {
                "temperature_K?": _NUMBER,
                "current_density_mA_cm2?": _NUMBER,
                "overpotential_V?": _NUMBER_OR_NONE,
                "exchange?": (bool,),
                "stack_pressure_MPa?": _NUMBER,
            },
            "interface?": {
                "patch_density_per_um2?": _NUMBER_OR_NONE,
                "void_density_per_um2?": _NUMBER_OR_NONE,
            },
            "rest?": {"time_s?": _NUMBER_OR_NONE, "events?": _NUMBER_OR_NONE},
        },
        "charge_transfer?": _CHARGE_TRANSFER,
        "interface?": {
            "patches?": [[_NUMBER]],
            "voids?": [[_NUMBER]],
            "vacant_sites?": (int,),
            "chemistry?": [
                {
                    "params": TEXT,
                    "sites?": (int,),
                    "fraction": _NUMBER,
                    "phi_L1?": [(int,)],
                    "phi_L2?": [(int,)],
                }
            ],
        },
        "species?": [TEXT],
        "parameters?": {"*": {"value": _NUMBER, "unit?": TEXT, "note?": TEXT, "assumed?": (bool,)}},
        "temperatures?": [
            {
                "temperature_K": _NUMBER,
                "saddle_floor_eV": _NUMBER,
                "charge_transfer": _CHARGE_TRANSFER,
            }
        ],
        "acceleration?": {
            "max_hops_per_strip_per_site?": _NUMBER_OR_NONE,
            "saddle_floor_eV?": _NUMBER,
            "slow_down_by?": _NUMBER_OR_NONE,
            "superbasins?": (bool,),
            "strip_rate_per_site_Hz?": _NUMBER_OR_NONE,
            "fastest_hop_Hz?": _NUMBER,
            "lone_floor_eV?": _NUMBER,
            "lone_slowed_by?": _NUMBER,
            "box_resistance_share?": _NUMBER,
            "interface_floor_eV?": _NUMBER,
            "supersaturation?": _NUMBER,
            "supersaturation_L1?": _NUMBER,
            "supersaturation_L3?": _NUMBER,
            "classes?": [{"name": TEXT, "barrier_eV": _NUMBER, "slowed_by?": _NUMBER}],
        },
    },
}
_LENGTHS = {"cells": 2, "box_A": 3}


def check_record(record: Any, columns: tuple[str, ...]) -> None:
    """Check that the JSON of `/record` has the layout that the readers rely on.

    Raises `ValueError`: it has not, or its list of sample columns lacks one of `columns`; the
    message names the place.
    """
    check_layout(record, _RECORD)
    listed = record.get("columns")
    check_layout(listed, [[TEXT]], "record.columns")
    if any(len(pair) != 2 for pair in listed):
        raise ValueError("record.columns holds more than names and units")
    names = [name for name, _ in listed]
    if missing := [name for name in columns if name not in names]:
        raise ValueError(f"record.columns lacks {missing[0]!r}")
    if len(set(names)) < len(names):
        raise ValueError("record.columns names a column twice")


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
        if len(value) != _LENGTHS.get(place.rpartition(".")[2], len(value)):
            raise ValueError(f"{place} has {len(value)} entries")
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
