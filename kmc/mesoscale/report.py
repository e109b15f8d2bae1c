"""The results of `kmc nucleation` as JSON and as an xarray dataset."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kmc.mesoscale.clusters import as_json
from kmc.mesoscale.nucleation import ACTIVITIES

if TYPE_CHECKING:
    import xarray

    from kmc.mesoscale.study import Nucleation


def _number(value: float) -> float | None:
    """A float as JSON has it: None where it is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None


def _numbers(values) -> list[float | None]:
    return [_number(value) for value in values]


def burst_json(burst) -> dict[str, Any]:
    """One burst as plain data."""
    keys = (
        "current_mA_cm2",
        "thickness_um",
        "density_per_um2",
        "S",
        "time_s",
        "critical_size",
        "end_s",
        "S_steady",
    )
    return {key: _number(getattr(burst, key)) for key in keys}


def nucleation_json(found: Nucleation) -> dict[str, Any]:
    """Everything as plain data; the keys are those of docs/nucleation.md."""
    model, cap, transport = found.model, found.model.cap, found.model.transport
    out = as_json(found.free)
    out |= {
        "ln_Z_sampled": _numbers(found.free.sampled_ln_Z),
        "ln_Z_sampled_error": _numbers(found.free.sampled_error),
        "footprint": _numbers(found.free.footprint),
        "S_eq": _numbers(model.S_eq(found.free.n)),
        "barrier_kT": {f"{S:g}": _number(model.barrier_kT(S)) for S in ACTIVITIES},
        "critical_size": {f"{S:g}": _number(model.critical_size(S)) for S in ACTIVITIES},
        "rate_per_um2_s": {f"{S:g}": 1e-8 * model.rate_per_cm2_s(S) for S in ACTIVITIES},
        "time_lag_s": {f"{S:g}": _number(model.time_lag_s(S)) for S in ACTIVITIES},
        "law": {
            "surface": model.law.surface,
            "line": model.law.line,
            "gamma_J_m2": cap.gamma_J_m2,
            "gamma_F_J_m2": cap.gamma_F_J_m2,
            "aspect": cap.aspect,
            "angle_deg": cap.angle_deg,
        },
        "transport": {
            "D_v_cm2_s": transport.diffusivity_cm2_s,
            "c_eq": transport.bulk_vacancies,
            "D_i_cm2_s": transport.interface_diffusivity_cm2_s,
            "c_i": transport.L1_vacancies,
            "sheet_length_nm": transport.sheet_length_cm * 1e7,
            "capture": transport.capture,
        },
        "burst": burst_json(found.burst),
        "burst_by_current": [burst_json(burst) for burst in found.scan.bursts],
        "band": {
            "current_mA_cm2": _numbers(found.scan.current_mA_cm2),
            "density_low_per_um2": _numbers(found.scan.density_low),
            "density_high_per_um2": _numbers(found.scan.density_high),
            "by_variation": {k: _numbers(v) for k, v in found.scan.by_variation.items()},
        },
        "threshold_current_mA_cm2": _number(found.threshold_mA_cm2),
        "threshold_S": _number(found.threshold_S),
        "statements": found.statements(),
    }
    if found.quenched is not None:
        maps = found.quenched
        out["quenched_maps"] = {
            "maps": len(maps.ln_Z),
            "L1_sites": maps.sites,
            "area_um2": maps.area_um2,
            "ln_Z_mean": _numbers(maps.mean),
            "ln_Z_typical": _numbers(maps.typical),
            "ln_Z_spread": _numbers(maps.spread),
            "start_difference": _numbers(maps.start_difference),
        }
    for key in ("by_coverage", "by_temperature"):
        if getattr(found, key):
            out[key] = [nucleation_json(other) for other in getattr(found, key)]
    return out


def nucleation_dataset(found: Nucleation) -> xarray.Dataset:
    """ln Z_n, S_eq, W(S, n), barrier, rate and the scan of currents."""

    model, free = found.model, found.free
    S = np.array(ACTIVITIES, dtype=float)
    columns = {
        "S_eq": ("n", model.S_eq(free.n), "1", "activity in equilibrium with n vacancies"),
        "work_kT": (("S", "n"), [model.work_kT(s, free.n) for s in S], "kT", "W(S, n)"),
        "barrier_kT": ("S", [model.barrier_kT(s) for s in S], "kT", "W(S, n*)"),
        "critical_size": ("S", [model.critical_size(s) for s in S], "1", "n*"),
        "rate_per_um2_s": (
            "S",
            [1e-8 * model.rate_per_cm2_s(s) for s in S],
            "1/(µm2 s)",
            "nucleation rate",
        ),
        "density_per_um2": ("current", found.scan.density_per_um2, "1/µm2", "voids of the burst"),
        "density_low_per_um2": (
            "current",
            found.scan.density_low,
            "1/µm2",
            "lower end of the band",
        ),
        "density_high_per_um2": ("current", found.scan.density_high, "1/µm2", "upper end"),
        "S_burst": ("current", [b.S for b in found.scan.bursts], "1", "largest activity"),
        "time_s": ("current", [b.time_s for b in found.scan.bursts], "s", "time of the largest S"),
    }
    ds = free.to_xarray().assign_coords(
        S=("S", S, {"long_name": "activity of vacancies"}),
        current=("current", found.scan.current_mA_cm2, {"units": "mA/cm2"}),
    )
    for name, (dims, values, unit, text) in columns.items():
        ds[name] = (dims, np.asarray(values), {"units": unit, "long_name": text})
    ds.attrs |= {
        "thickness_um": found.conditions.thickness_um,
        "threshold_current_mA_cm2": found.threshold_mA_cm2,
    }
    return ds
