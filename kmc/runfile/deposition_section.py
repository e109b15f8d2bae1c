"""Section [deposition]: lithium is plated on a substrate, and stripped again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from kmc.common.validation import Number, number_of, refuse
from kmc.runfile.sections import SystemSection, _key


def _range(value: Any) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise refuse("must be a list of two numbers, smallest and largest")
    numbers = []
    for item in value:
        number, problem = number_of(item)
        if problem:
            raise refuse(problem)
        numbers.append(number)
    low, high = numbers
    if not 0 < low <= high:
        raise refuse("must be above 0, the smallest first")
    return low, high


class Deposition(SystemSection):
    """Lithium is plated on a substrate, and stripped again; params of [system] is the substrate."""

    uses: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "system": ("params", "size"),
        "conditions": ("temperature_K", "current_density_mA_cm2", "strip_weight_lambda"),
        "acceleration": ("max_hops_per_strip_per_site", "saddle_floor_eV"),
        "stop": ("capacity_monolayers", "capacity_mAh_cm2", "wall_time_s"),
        "protocol": ("blocks",),
        "output": ("sample_every_monolayers", "frame_every_monolayers"),
        "random": ("seed",),
    }

    hops: bool = _key(
        True,
        "whether atoms hop; without, they stay where they are plated (random deposition)",
    )
    strip_cutoff_V: Number = _key(
        1.0,
        "atoms that the substrate holds by more than this against lithium metal are not stripped",
        ge=0,
        le=10,
    )
    island_params: str | None = _key(
        None,
        "parameter set of islands on the substrate: a shipped name or a path",
        example="li_zno_002",
    )
    island_fraction: Number = _key(
        0.3, "share of the substrate that the islands cover, met to the site", ge=0, le=1
    )
    island_diameter_nm: Annotated[tuple[float, float], BeforeValidator(_range)] = _key(
        (5.0, 10.0),
        "smallest and largest diameter of the islands, which are discs at random places",
        allowed="two numbers above 0, the smallest first",
    )
