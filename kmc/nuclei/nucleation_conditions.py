"""What nucleation is asked for: the conditions of a run, or of a parameter set."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kmc.common import catalogue
from kmc.errors import InputError
from kmc.model.hamiltonian import LI, MG
from kmc.model.parameters import ParameterSet, load_parameters
from kmc.model.sinks import sink_distance
from kmc.nuclei.surface import Surface
from kmc.runfile.run_file import RunFile


@dataclass(frozen=True)
class NucleationConditions:
    """What nucleation is asked for, taken from a run or a parameter set."""

    name: str
    parameters: ParameterSet
    lattice: str = "bcc_100"
    temperature_K: float = 298.15
    mg_coverage: float = 0.0
    mg_fraction: float = 0.0
    current_mA_cm2: float = 0.5
    thickness_um: float = 100.0
    sink_length_um: float = math.inf
    sink_depth_um: float = math.inf

    @property
    def surface(self) -> Surface:
        """Sites and energies; refuses a temperature or a share of Mg out of range."""
        given = (self.parameters, self.lattice, self.temperature_K)
        return Surface(*given, self.mg_coverage, self.mg_fraction)

    @property
    def sinks_um(self) -> dict[str, float]:
        """Thickness and sinks, as `nucleation_burst` takes them."""
        return {
            key: getattr(self, key) for key in ("thickness_um", "sink_length_um", "sink_depth_um")
        }

    @property
    def sink_distance_um(self) -> float:
        """Λ: distance of the perfect sink that takes up as much as all (`sink_distance`)."""
        return sink_distance(*self.sinks_um.values())


def conditions_of(source: str | Path, **given: Any) -> NucleationConditions:
    """Conditions of a run, or of a parameter set at 25 °C, 0.5 mA/cm² and 100 µm.

    - `source`: a shipped run or parameter set, or the path of a run or parameter file.
    - `**given`: attributes of `NucleationConditions` to use instead; None leaves one as it is.

    Raises `InputError`: no such run or set, a run without an interface, or one that strips at no
    current, or whose vacancies have no sink, and nothing is given instead.
    """
    text = str(source)
    if text in catalogue.names("params"):
        case = NucleationConditions(name=text, parameters=load_parameters(text))
    elif text in catalogue.names("runs"):
        case = _run_conditions(source)
    elif text.endswith(".toml") or "/" in text:
        path = catalogue.locate("runs", source)
        if "quantities" in catalogue.read_toml(path):
            case = NucleationConditions(name=path.stem, parameters=load_parameters(path))
        else:
            case = _run_conditions(source)
    else:
        names = [*catalogue.names("params"), *catalogue.names("runs")]
        raise InputError(
            f"{catalogue.shown(text)!r} is neither a shipped parameter set nor a shipped run",
            advice=f"{catalogue.nearest(text, names)}Sets: "
            f"{', '.join(catalogue.names('params'))}. Runs: see `kmc runs list`. Or give the path "
            "of a TOML file.",
        )
    case = replace(case, **{key: value for key, value in given.items() if value is not None})
    if case.parameters.has("pair_bond_eV"):
        raise InputError(
            f"the parameter set {case.parameters.name} is a plain lattice gas without an interface",
            advice="Use a set with interface energies, such as li_li2s.",
        )
    if math.isnan(case.current_mA_cm2):
        raise InputError(
            f"{case.name} strips at no given current, and a burst needs one",
            advice="Give one: kmc nucleation --current 0.5, or current_mA_cm2 in Python.",
        )
    if case.sink_distance_um == math.inf:
        raise InputError(
            f"{case.name} has electrode_thickness_um = inf and no other sink: S has no limit",
            advice="Give a thickness: kmc nucleation --thickness 100, or thickness_um in Python; "
            "or sink_depth_um or sink_length_um in the run.",
        )
    return case


def _run_conditions(source: str | Path) -> NucleationConditions:
    from kmc.runfile.kinds import KINDS
    from kmc.runfile.load import load_run

    run = load_run(source)
    system, conditions = run.system, run.conditions
    if KINDS[run.kind].uses is not None:
        raise InputError(
            f"{run.name} is {KINDS[run.kind].noun}, which has no voids of vacancies in a metal",
            advice="Give a run such as strip_li, or a parameter set such as li_li2s.",
        )
    if system.boundary != "interface":
        raise InputError(
            f"{run.name} has no interface: system.boundary = {system.boundary!r}",
            advice="Nucleation is asked for at an interface.",
        )
    parameters = run.parameter_set()
    steps = [planned.step.drive.current_density_mA_cm2 for planned in run.protocol.plan]
    current = max(steps) if steps else conditions.current_density_mA_cm2
    return NucleationConditions(
        name=run.name,
        parameters=parameters,
        lattice=system.lattice,
        temperature_K=conditions.temperature_K,
        mg_coverage=coverage_of(run, parameters),
        mg_fraction=system.mg_fraction,
        current_mA_cm2=current if current > 0 else math.nan,
        thickness_um=conditions.electrode_thickness_um,
        sink_length_um=conditions.sink_length_um,
        sink_depth_um=conditions.sink_depth_um,
    )


def coverage_of(run: RunFile, parameters: ParameterSet) -> float:
    """Share of Mg in L1 of a run; that of the metal where it gives none."""
    system = run.system
    if system.mg_coverage_L1 == "equilibrium":
        plain = Surface(parameters, system.lattice, run.conditions.temperature_K)
        return equilibrium_coverage(plain, system.mg_fraction)
    return float(system.mg_fraction if system.mg_coverage_L1 is None else system.mg_coverage_L1)


def equilibrium_coverage(surface: Surface, mg_fraction: float) -> float:
    """Share of Mg in L1 in equilibrium with the bulk (Langmuir and McLean)."""
    h = surface.hamiltonian
    gain_ueV = (h.binding_ueV(MG, 1) - h.binding_ueV(LI, 1)) - (
        h.bulk_binding_ueV(MG) - h.bulk_binding_ueV(LI)
    )
    odds = mg_fraction / (1 - mg_fraction) * math.exp(gain_ueV / surface.kT_ueV)
    return min(odds / (1 + odds), 1 - 1e-9)
