"""Values that a run may have and that make no sense: warned of, not refused."""

import math
import warnings

from kmc.common.formatting import figure
from kmc.common.metals import MELTING_POINTS_K
from kmc.errors import KmcWarning
from kmc.model.electrochemistry import atoms_of_capacity
from kmc.runfile.run_file import Origin, RunFile

CELSIUS_K = 273.15  # 0 °C
_COLD_K = 150.0  # colder than any cell, and warmer than any cell in °C
_ANGLES_deg = (20.0, 160.0)  # below a void is a needle, above a film
_um_per_A = 1e-4


def warn_of_celsius(run: RunFile, origin: Origin) -> None:
    """Warn of a temperature in K that looks like one in °C."""
    for kelvin, shown in _temperatures(run, origin):
        if kelvin < _COLD_K:
            _warn(
                f"{shown} is {kelvin - CELSIUS_K:g} °C. Did you mean {kelvin:g} °C? That is "
                f"temperature_K = {kelvin + CELSIUS_K:g}"
            )


def warn_of_nonsense(run: RunFile, origin: Origin) -> None:
    """Warn of molten metal, of voids that are films or needles, and of a foil that is used up."""
    parameters = run.parameter_set()
    melts_K = MELTING_POINTS_K.get(parameters.metal, math.inf)  # of a cathode: no metal
    for kelvin, shown in _temperatures(run, origin):
        if kelvin >= melts_K:
            _warn(f"{shown}: {parameters.metal} melts at {melts_K:g} K, and the model is a crystal")
    angle, shown = run.upscale.contact_angle_deg, origin.of(run, "upscale.contact_angle_deg")
    if angle is None and run.kind == "population" and parameters.has("contact_angle_deg"):
        angle = parameters.value("contact_angle_deg")
        shown = f"contact_angle_deg = {angle:g} of {parameters.name}"
    if angle is not None and not _ANGLES_deg[0] <= angle <= _ANGLES_deg[1]:
        ratio = figure(math.tan(math.radians(180 - angle) / 2), digits=2)
        usual = f"usual are {_ANGLES_deg[0]:g}° to {_ANGLES_deg[1]:g}°"
        _warn(f"{shown}: voids are {ratio} times as high as their radius; {usual}")
    section = "stop" if run.kind == "electrode" else "upscale"
    charges = [(getattr(run, section).capacity_mAh_cm2, f"{section}.capacity_mAh_cm2")]
    if run.has_protocol:
        steps = [step for _, _, step in run.protocol.plan if step.do == "strip"]
        charges = [(step.until.capacity_mAh_cm2, "") for step in steps]
    charge, key = max(charges, key=lambda pair: pair[0] or 0.0, default=(None, ""))
    # Two atoms in the cubic cell of a bcc metal, whose face has a² of area.
    edge_A = parameters.value("lattice_parameter_A")
    cells = atoms_of_capacity(charge or 0.0, edge_A**2, parameters.valence) / 2
    thickness_um = run.conditions.electrode_thickness_um
    if cells * edge_A * _um_per_A > thickness_um:
        shown = origin.of(run, key) if key else f"a step strips {charge:g} mAh/cm²"
        _warn(
            f"{shown}: that is {cells * edge_A * _um_per_A:.3g} µm of {parameters.metal}, and "
            f"{origin.of(run, 'conditions.electrode_thickness_um')} is used up before"
        )


def _temperatures(run: RunFile, origin: Origin) -> list[tuple[float, str]]:
    """Temperatures of a run and of its steps, and how they are given."""
    return [(run.conditions.temperature_K, origin.of(run, "conditions.temperature_K"))] + [
        (step.temperature_K, f"temperature_K = {step.temperature_K:g} in step {n} of [[protocol]]")
        for n, _, step in run.protocol.plan
        if step.temperature_K is not None
    ]


def _warn(text: str) -> None:
    warnings.warn(text, KmcWarning, stacklevel=3)
