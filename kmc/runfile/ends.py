"""When a run will end, in words, before its first event."""

from __future__ import annotations

from kmc.common.formatting import figure, listed, monolayers, plural
from kmc.model.electrochemistry import atoms_of_capacity, capacity_mAh_cm2
from kmc.model.lattice import Lattice
from kmc.runfile.kinds import BOX, KINDS
from kmc.runfile.run_file import RunFile, given_keys

_OF_A_CELL_mAh_cm2 = 1e-2  # 276 monolayers: many times what a box of atoms is made for
_PROBE = (4, 4), 12  # cells and layers of a box whose interface stands for any of that lattice
_EARLIER = {
    "contact_fraction": "contact falls to {:g}",
    "overpotential_V": "the overpotential reaches {:g} V",
    "events": "{:g} events are done",
    "time_s": "{:g} s have passed",
    "wall_time_s": "{:g} s have passed on the clock",
}


def ends(run: RunFile) -> str:
    """The nearest stop of a run by charge, and those that may come before it.

    >>> from kmc.runfile.load import load_run
    >>> ends(load_run("strip_li")).replace("\\xa0", " ")
    'at 2 monolayers (7.24e-5 mAh/cm²)'
    """
    stop = run.stop
    earlier = [_EARLIER[k].format(getattr(stop, k)) for k in given_keys(stop) if k in _EARLIER]
    text, semicolon, hint = _by_charge(run).partition("; ")
    if earlier and text:
        text += f", or earlier when {' or '.join(earlier)}"
    elif earlier:
        text = f"when {listed(earlier)}"
    return text + semicolon + hint


def _by_charge(run: RunFile) -> str:
    if run.has_protocol:
        steps = f"after {plural(len(run.protocol.plan), 'step')}"
        ends_early = run.kind == "population" and run.upscale.contact_lost == "end"
        return f"{steps}, or earlier when no contact is left" if ends_early else steps
    section = getattr(run, KINDS[run.kind].section, None)
    if cycles := getattr(section, "cycles", None):
        return f"after {plural(cycles, 'cycle')}"
    if charge := getattr(section, "capacity_mAh_cm2", None):
        return f"at {figure(charge, 'mAh/cm²')}, or earlier when no contact is left"
    layers, charge = run.stop.capacity_monolayers, run.stop.capacity_mAh_cm2
    if run.kind != BOX:  # its layers are those of another lattice
        parts = [monolayers(layers)] if layers else []
        parts += [figure(charge, "mAh/cm²")] if charge else []
        return f"at {' or '.join(parts)}" if parts else ""
    parameters = run.parameter_set()
    edge_A, valence = parameters.value("lattice_parameter_A"), parameters.valence
    area_A2 = Lattice(run.system.lattice, *_PROBE, "interface", edge_A).site_area_A2
    found = [layers] if layers else []
    if charge:
        found.append(atoms_of_capacity(charge, area_A2, valence))
    if not found:
        return ""
    nearest = min(found)
    charge = capacity_mAh_cm2(nearest, area_A2, valence)
    text = f"at {monolayers(nearest)} ({figure(charge, 'mAh/cm²')})"
    return text if charge < _OF_A_CELL_mAh_cm2 else f"{text}; kmc run cell_li follows such charges"
