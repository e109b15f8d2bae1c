"""What nucleation is asked for: the conditions of a run, or of a parameter set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from kmc.common import catalogue
from kmc.errors import InputError
from kmc.mesoscale.surface import Surface
from kmc.model.hamiltonian import LI, MG
from kmc.model.parameters import ParameterSet, load_parameters


@dataclass(frozen=True)
class Conditions:
    """What nucleation is asked for, taken from a run or a parameter set.

    Attributes
    ----------
    name : str
    parameters : ParameterSet
    lattice : str
    temperature_K, mg_coverage, mg_fraction : float
    current_mA_cm2, thickness_um : float
    """

    name: str
    parameters: ParameterSet
    lattice: str = "bcc_100"
    temperature_K: float = 298.15
    mg_coverage: float = 0.0
    mg_fraction: float = 0.0
    current_mA_cm2: float = 0.5
    thickness_um: float = 100.0


def conditions_of(source: str | Path) -> Conditions:
    """Conditions of a run, or of a parameter set at 25 °C, 0.5 mA/cm² and 100 µm.

    Parameters
    ----------
    source : str or Path
        A shipped run or parameter set, or the path of a run or parameter file.

    Raises
    ------
    InputError
        No such run or set, or a run without an interface or with a closed reservoir.
    """
    text = str(source)
    if text in catalogue.names("params"):
        return Conditions(name=text, parameters=load_parameters(text))
    if text in catalogue.names("runs"):
        return _run_conditions(source)
    if text.endswith(".toml") or "/" in text:
        path = catalogue.locate("runs", source)
        if "quantities" in catalogue.read_toml(path):
            return Conditions(name=path.stem, parameters=load_parameters(path))
        return _run_conditions(source)
    known = [*catalogue.names("params"), *catalogue.names("runs")]
    raise InputError(
        f"{catalogue.shown(text)!r} is neither a shipped parameter set nor a shipped run",
        advice=f"{catalogue.nearest(text, known)}Sets: {', '.join(catalogue.names('params'))}. "
        "Runs: see `kmc runs list`. Or give the path of a TOML file.",
    )


def _run_conditions(source) -> Conditions:
    from kmc.runfile.load import load_run

    run = load_run(source)
    system, conditions = run.system, run.conditions
    if run.is_system:
        raise InputError(
            f"{run.name} is a run with [{run.kind}], which has no voids of vacancies in a metal",
            advice="Give a run such as strip_li, or a parameter set such as li_li2s.",
        )
    if system.boundary != "interface":
        raise InputError(
            f"{run.name} has no interface: system.boundary = {system.boundary!r}",
            advice="Nucleation is asked for at an interface.",
        )
    parameters = run.parameter_set()
    coverage = system.mg_coverage_L1
    if coverage is None:
        coverage = system.mg_fraction
    elif coverage == "equilibrium":
        plain = Surface(parameters, system.lattice, conditions.temperature_K)
        coverage = equilibrium_coverage(plain, system.mg_fraction)
    current, thickness = conditions.current_density_mA_cm2, conditions.electrode_thickness_um
    return Conditions(
        name=run.name,
        parameters=parameters,
        lattice=system.lattice,
        temperature_K=conditions.temperature_K,
        mg_coverage=float(coverage),
        mg_fraction=system.mg_fraction,
        current_mA_cm2=current if current > 0 else 0.5,
        thickness_um=thickness if math.isfinite(thickness) else 100.0,
    )


def equilibrium_coverage(surface: Surface, mg_fraction: float) -> float:
    """Share of Mg in L1 in equilibrium with the bulk (Langmuir and McLean)."""
    h = surface.hamiltonian
    gain_ueV = (h.binding_ueV(MG, 1) - h.binding_ueV(LI, 1)) - (
        h.bulk_binding_ueV(MG) - h.bulk_binding_ueV(LI)
    )
    odds = mg_fraction / (1 - mg_fraction) * math.exp(gain_ueV / surface.kT_ueV)
    return min(odds / (1 + odds), 1 - 1e-9)
