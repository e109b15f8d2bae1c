"""The summary of a deposition, the charge of its steps, and its Coulombic efficiency."""

import numpy as np

from kmc.analysis.coulombic import aurbach_of
from kmc.common.conditions import ended
from kmc.common.formatting import duration, figure, monolayers, percent, plural
from kmc.common.metals import METALS
from kmc.files.table_run import TableRun
from kmc.model.electrochemistry import zinc_oxide_mAh_cm2

FEW_ISLANDS = 20  # below this many, their density is that of the box


def has_layer(run: TableRun) -> bool:
    """Whether fresh surface takes lithium for a layer."""
    return bool(run.run["deposition"].get("surface_layer_nm"))


def layer_of(run: TableRun) -> np.ndarray:
    """Atoms in the layer on the surface at each sample: plated, neither stripped nor metal."""
    s = run.samples
    return np.asarray(s["plated"] - s["stripped"] - s["atoms"])


def lost(run: TableRun) -> str:
    """Lithium that was plated and cannot be stripped, in its two parts, as text."""
    last = {name: values[-1] for name, values in run.samples.items()}
    plated, layer, dead = max(1.0, last["plated"]), layer_of(run)[-1], last["dead_Li"]
    return (
        f"{layer:.0f} atoms in the surface layer ({percent(layer / plated)} of the plated), "
        f"{dead:.0f} dead ({percent(dead / plated)}); {last['atoms'] - dead:.0f} in contact"
    )


def summary(run: TableRun) -> list[tuple[str, str]]:
    """Pairs of label and text, for `kmc info`."""
    facts, s, section = run.facts, run.samples, run.run["deposition"]
    nx, ny, nz = run.run["system"]["size"]
    nm = facts["spacing_A"] / 10
    on = facts["surfaces"][0]
    if len(facts["surfaces"]) > 2:
        share = float(run.constants["substrate"].mean())
        on += f", {percent(share)} of it {facts['surfaces'][1]}"
    conditions = run.run["conditions"]
    current = figure(conditions["current_density_mA_cm2"], "mA/cm²")
    text = f"{on}, {nx * nm:.3g} nm × {ny * nm:.3g} nm, {nz} layers; "
    rows = [
        ended(run),
        ("Conditions", f"{text}{conditions['temperature_K']:g} K, {current}"),
    ]
    if "adsorption_energy_eV" in run.params:
        # Work of adhesion a site: adsorption − cohesive energy + 3 ε, the formation energy here.
        keys = ("adsorption_energy_eV", "formation_energy_bulk_eV", "cohesive_energy_eV")
        on_it, bonds, cohesive = (float(run.params[key]["value"]) for key in keys)
        if (value := on_it - cohesive + bonds) < 0:
            text = f"{facts['surfaces'][0]} {value:.3f} eV a site: below 0, the substrate repels "
            rows.append(("Adhesion", f"{text}{METALS[run.metal]}, which no solid does"))
    raised = ", ".join(
        f"{name} {given:g} → {used:.3f} eV"
        for name, given, used in zip(
            facts["surfaces"], facts["barrier_eV"], facts["barrier_used_eV"], strict=True
        )
        if used > given
    )
    rows.append(("Raised barriers", raised or "none: rates are true"))
    if times := facts.get("equilibrium"):
        slowest = max(*times["diffusion_s"], times["step_s"])
        text = (
            f"between two atoms that arrive: {duration(times['arrivals_s'])} on 10 nm × 10 nm, "
            f"which lone atoms cross in {duration(slowest)} at most; an atom leaves a kink "
            f"{figure(times['leaves_kink'])} times a monolayer"
        )
        rows.append(("Equilibrium", text))
    if area := section.get("area_per_electrode_area"):
        rows.append(
            ("Scaffold", f"{figure(area)} of its area in an area of the electrode (stated)")
        )
    if oxide_nm := section.get("zinc_oxide_nm"):
        oxide_charge = zinc_oxide_mAh_cm2(oxide_nm) * (area or 1.0)
        text = f"{figure(oxide_charge, 'mAh/cm²')} turned {oxide_nm:g} nm of ZnO into LiZn and Li2O"
        rows.append(("ZnO", f"{text} before lithium was plated, in no efficiency"))
    if not len(s["time_s"]):
        return [*rows, ("Samples", "none yet")]
    last = {name: values[-1] for name, values in s.items()}
    charge = figure(last["capacity_mAh_cm2"], "mAh/cm²")
    rows.append(("Capacity", f"{monolayers(last['capacity_monolayers'])}, {charge}"))
    islands = plural(int(last["islands"]), "island")
    text = f"{percent(last['coverage'])} covered, {islands}, "
    rows.append(("Deposit", f"{text}{monolayers(last['mean_height_layers'])} high on average"))
    text = f"{figure(last['islands_per_um2'], 'islands per µm²')}, roughness "
    text += f"{last['roughness_layers']:.3g} layers, highest {last['max_height_layers']:.0f}"
    rows.append(("Shape", text))
    dead = f"{last['dead_Li']:.0f} of {last['atoms']:.0f} atoms without a path to the substrate"
    rows.append(("Lost", lost(run)) if has_layer(run) else (f"Dead {METALS[run.metal]}", dead))
    if (efficiency := aurbach_of(run)) is not None:
        side = "" if has_layer(run) else "; side reactions are not modelled"
        rows.append(("Efficiency", f"{100 * efficiency.efficiency:.3f} % (Aurbach){side}"))
        formation = "none" if efficiency.formation is None else f"{percent(efficiency.formation)}"
        text = (
            f"formation {formation}; lost {plural(efficiency.lost, 'atom')}; left at the end "
            f"{last['dead_Li']:.0f} dead and {last['atoms'] - last['dead_Li']:.0f} that the cutoff "
            "holds"
        )
        rows.append(("Protocol", text))
    rows.append(("Events", f"{figure(last['hops'])} hops of {figure(last['attempts'])} attempts"))
    rows.append(("Simulated", duration(float(last["time_s"]))))
    if raised:
        rows.append(("Trust", f"barriers raised: {raised}; islands depend on it"))
    elif 0 < last["islands"] < FEW_ISLANDS:
        rows.append(("Trust", f"{islands}: their density is that of the box"))
    return rows
