"""Section [cathode]: active material in a porous frame swells, creeps and shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kmc.common.validation import Count, Integer, Number
from kmc.runfile.sections import SystemSection, _key


class Cathode(SystemSection):
    """A composite cathode is cycled; params of [system] is its active material, delithiated."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": ("params",),
        "stop": ("wall_time_s",),
        "random": ("seed",),
    }

    lithiated_params: str | None = _key(
        None,
        "parameter set of the lithiated active material; that of [system] without",
        example="li2se",
    )
    frame_params: str = _key("mo6se8", "parameter set of the frame")
    edge_sites: Integer = _key(
        48, "sites along an edge of the representative volume", ge=16, le=256
    )
    grain_sites: Number = _key(
        10.0, "mean distance between the middles of neighbouring grains, in sites", ge=5, le=40
    )
    refinement: Count = _key(
        1,
        "each of these sites is cut into refinement × refinement, so that the geometry stays and "
        "necks between grains are so many sites wide",
        ge=1,
        le=8,
    )
    active_fraction: Number = _key(0.356, "volume fraction of the active material", ge=0.05, le=0.9)
    frame_fraction: Number = _key(0.397, "volume fraction of the frame", ge=0.05, le=0.9)
    cycles: Count = _key(20, "lithiations, each followed by a delithiation", ge=1, le=1000)
    c_rate_per_h: Number = _key(
        0.1, "C-rate: full lithiation takes 1/c_rate_per_h hours", gt=0, le=100
    )
    residual_lithiation: Number = _key(
        0.22,
        "lithiation at the end of a delithiation; 0.22 is that of the first charge of the paper's "
        "cell, and assumed for every cycle and material",
        ge=0,
        le=0.95,
    )
    wall_pressure_MPa: Number | None = _key(
        None,
        "pressure on one wall, which gives way; without, all walls are fixed as in the paper's "
        "simulation (its cells are pressed with 10 to 100 MPa)",
        ge=0,
        le=1000,
        example=100.0,
    )
    plane_share: Number = _key(
        2 / 3,
        "share of the free swelling in the plane: its area grows to (1 + ΔV)^plane_share; 2/3 is "
        "isotropic swelling whose part out of the plane finds room there",
        ge=0,
        le=1,
    )
    creep_stress_factor: Number = _key(
        1.0,
        "factor on the reference stress of creep, of the active material in both states",
        gt=0,
        le=1000,
    )
    steps: Count = _key(
        20,
        "steps of a lithiation, each with the creep of its time (backward Euler); a delithiation "
        "has steps of the same length",
        ge=4,
        le=1000,
    )
