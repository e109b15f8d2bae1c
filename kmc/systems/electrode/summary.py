"""The summary of a box of atoms as pairs of label and text."""

import math
from collections.abc import Mapping

import numpy as np

from kmc.analysis import balance, coulombic, voids
from kmc.common.conditions import driven_by_run, ended, temperatures
from kmc.common.formatting import count, duration, figure, monolayers, percent, plural, scaled
from kmc.common.metals import METALS
from kmc.common.units import A_per_nm
from kmc.files.reader import Trajectory

Rows = list[tuple[str, str]]
FEW_VOIDS = 20  # below this many, contact is that of single voids
_NEGLIGIBLE = 0.01  # of the overpotential: a constriction that need not be named in volts
_STAGE_NAMES = {"L1": "at L1", "L2": "at L2", "deep": "above L2"}
_VERDICTS = {
    "equilibrium": "In equilibrium from layer to layer, so that raised barriers do not change the "
    "composition of the layers (number and size of the voids depend on the ratio even so)",
    "near": "Near equilibrium, layers off by a fifth at most",
    "off": "Not in equilibrium, raised barriers delay their net transport (see kmc converge)",
    "unknown": "Too few to resolve a net flux",
}
_ONE_S = 0.2  # difference of S across a box in equilibrium that counts as none
_BY_MORE_THAN = 1.001  # factors closer to 1 come from rounding to whole µeV


def summary(trajectory: Trajectory) -> Rows:
    """All that the numbers of a box come to, its numerics last; ``kmc info --all``."""
    rows, samples = _in_short(trajectory), trajectory.samples
    rows += [*_interface(trajectory), *_alloy(trajectory)]
    if not len(samples):
        return rows
    last = {name: samples[name][-1] for name in samples}
    has_current = trajectory.has_current
    rows += _cycles(trajectory)
    # Only where there ever was any: most runs have none, and a row of 0 would say nothing.
    if "dead_Li" in samples and samples["dead_Li"].any():
        metal, most = trajectory.metal, int(samples["dead_Li"].max())
        text = plural(int(last["dead_Li"]), f"{metal} atom")
        text += f" not connected to the metal behind the box (at most {count(most)} at once)"
        rows.append((f"Dead {METALS[metal]}", text))
    text = f"{count(samples['vacancies'][0])} → {count(last['vacancies'])} in the box"
    if last["absorbed"] or last["emitted"]:
        text += f"; {count(last['absorbed'])} went into the metal behind it"
        if last["emitted"]:
            text += f", {count(last['emitted'])} came from there"
    if last.get("closures"):
        text += f"; creep closed {count(last['closures'])}"
    rows.append(("Vacancies", text))
    if trajectory.has_interface and has_current:
        rows += _rests(trajectory)
    text = f"{duration(last['time_s'])}, {plural(int(last['events']), 'event')}"
    rows.append(("Simulated", text))
    if has_current and last["strips"]:
        per_atom = last["hops"] / last["strips"]
        rows.append(("Hops", f"{figure(per_atom)} for each stripped atom"))
    return rows + _acceleration(trajectory)


# --- in short -------------------------------------------------------------------------------------


def _in_short(run: Trajectory) -> Rows:
    """At most eight pairs of label and text, each of about a line."""
    rows = [ended(run), ("Conditions", _conditions(run))]
    if not len(run.samples):
        return [*rows, ("Samples", "none yet")]
    rows += _charge(run)
    if run.has_interface:
        rows.append(("Contact", _contact(run)))
    cavities = voids.find(run.frames[-1].occupancy, run.lattice) if len(run.frames) else None
    if cavities is not None:
        when = "in the last frame"
        # A frame is rarer than a sample: it may be of another moment than the rows above.
        if run.frames.events[-1] != run.samples["events"][-1]:
            frame = run.frames[-1]
            at = duration(frame.time_s)
            if run.has_current:
                at = monolayers(frame.capacity_monolayers)
            when += f", at {at}"
        text = f"none of {cavities.min_size} vacancies or more {when}"
        if len(cavities):
            width, height = (
                figure(x, "nm", 2) for x in (cavities[0].width_nm, cavities[0].height_nm)
            )
            text = f"{len(cavities)} {when}, the largest {width} wide and {height} high"
        rows.append(("Voids", text))
    if run.has_interface and run.has_current:
        rows += _overpotential(run)
        # A file of an earlier kmc has no activity, and a row in which ions pushed the metal up NaN.
        S = run.samples.get("vacancy_activity", np.zeros(0))
        if len(S := S[np.isfinite(S)]):
            text = f"of vacancies at the interface: {figure(S[-1])} at the end, largest "
            rows.append(("Supersaturation", f"{text}{figure(S.max())}"))
    if trust := _trust(run, cavities):
        rows.append(("Trust", trust))
    return rows


def _contact(run: Trajectory) -> str:
    first, last = map(percent, run.samples["contact_fraction"][[0, -1]])
    text = f"{first} → {last} of the interface"
    if "Mg" in run.species:
        first, last = map(percent, run.samples["contact_fraction_Li"][[0, -1]])
        text += f"; by {run.metal} {first} → {last}"
    return text


def _conditions(run: Trajectory) -> str:
    edges = " × ".join(f"{edge / A_per_nm:.3g}" for edge in run.box["box_A"][:2])
    parts = [
        run.run.get("system", {}).get("params", "–".join(run.species)),
        f"{edges} nm of {run.box['name']}" + ", periodic (no interface)" * (not run.has_interface),
        temperatures(run.run),
        driven_by_run(run.run),
    ]
    return ", ".join(part for part in parts if part)


def _charge(run: Trajectory) -> Rows:
    if not run.has_current:
        return []
    samples = run.samples
    last = {name: samples[name][-1] for name in ("capacity_monolayers", "capacity_mAh_cm2")}
    text = f"{monolayers(last['capacity_monolayers'])}, "
    text += figure(last["capacity_mAh_cm2"], "mAh/cm²")
    if "step" not in samples or not samples["step"].any():
        return [("Stripped", text)]
    text += " net of what was plated"
    efficiencies = [
        (c.cycle, c.efficiency) for c in coulombic.cycles(run) if c.efficiency is not None
    ]
    if efficiencies:
        ends = dict.fromkeys((efficiencies[0], efficiencies[-1]))
        texts = (f"{percent(efficiency)} in cycle {cycle}" for cycle, efficiency in ends)
        text += f"; stripped over plated: {', '.join(texts)}"
    return [("Stripped", text)]


def _overpotential(run: Trajectory) -> Rows:
    samples = run.samples
    volts = samples["overpotential_V"]
    flows = samples["phase"] == 0 if "phase" in samples else np.ones(len(volts), dtype=bool)
    rows = np.flatnonzero(flows & np.isfinite(volts))
    parts = []  # what no number describes
    if flows.any() and np.isinf(volts[flows][-1]):
        parts.append("unlimited at the end: no atom is electroactive")
    if pushed := int(np.isnan(volts[flows]).sum()):
        parts.append(
            f"undefined in {plural(pushed, 'row')}: no site was vacant, and ions pushed the metal "
            "up"
        )
    beyond = "; ".join(parts)
    if not len(rows) or not volts[rows].any():
        return [("Overpotential", beyond)] if beyond else []
    last, most = rows[-1], rows[np.argmax(np.abs(volts[rows]))]
    text = f"{scaled(volts[last], 'V')} at the end"
    if most != last:
        charge = figure(samples["capacity_mAh_cm2"][most], "mAh/cm²")
        text += f", largest {scaled(volts[most], 'V')} at {charge}"
    name = "overpotential_constriction_V"
    if name in samples and np.nanmax(np.abs(samples[name])) < _NEGLIGIBLE * abs(volts[most]):
        text += "; constriction: negligible"
    return [("Overpotential", f"{text}; {beyond}" if beyond else text)]


def _trust(run: Trajectory, found: voids.Voids | None) -> str:
    """What limits the numbers most: slowed hops, few voids, or neither."""
    parts = []
    slowed = [entry.get("slowed_by", 1.0) for entry in run.acceleration.get("classes", [])]
    if max(slowed, default=1.0) > _BY_MORE_THAN:
        parts.append(
            f"hops slowed up to {figure(max(slowed), digits=2)} times, on which contact, number "
            "and size of voids, overpotential, S and the absorbed share depend (kmc converge)"
        )
    if limits := run.acceleration.get("equilibrium"):
        parts.append(_validity(run, found, limits))
    if found is not None and 0 < len(found) < FEW_VOIDS and run.has_interface:
        parts.append(
            f"{plural(len(found), 'void')}: too few for a mean contact (a larger system.size)"
        )
    return "; ".join(parts)


def _validity(run: Trajectory, found: voids.Voids | None, limits: Mapping[str, float]) -> str:
    """Whether equilibrium between strips holds for the largest void, and across the box."""
    across = limits.get("lateral_difference_S", math.nan)
    text = f"in equilibrium between strips, S within {figure(across, digits=2)} across the box"
    if across > _ONE_S:
        text += f" (it is one number up to {_ONE_S:g}: use a smaller box)"
    hops = limits.get("mg_hops_per_strip", 0.0)
    if hops > 1 and run.run.get("system", {}).get("mg_fraction"):
        exchanges = run.run.get("acceleration", {}).get("mg_exchange")
        text += f"; Mg {'beside voids ' if exchanges else ''}stands still, though one beside a "
        text += (
            f"vacancy hops {figure(hops, digits=2)} times between two strips: S and contact are "
        )
        text += "those of pinned Mg (give a ratio)"
    per_s = abs(run.acceleration.get("strip_rate_per_site_Hz") or 0.0)
    if found is None or not len(found) or not per_s:
        return text
    rounding_s = limits.get("rounding_s_per_nm4", math.nan) * (found[0].width_nm / 2) ** 4
    tenth_s = 0.1 * found[0].volume / (per_s * run.lattice.sites_per_layer)
    text += f"; the largest void rounds off in {figure(rounding_s, 's', 2)}, "
    text += f"{figure(rounding_s / tenth_s, digits=2)} of the time in which it grows by a tenth"
    if rounding_s > tenth_s:
        text += " (it would lag behind: strip at a lower current, or give a ratio)"
    return text


# --- in full --------------------------------------------------------------------------------------


def _interface(trajectory: Trajectory) -> Rows:
    """Chemistries and flaws of the initial interface, if any."""
    start, section = trajectory.resolved.get("interface", {}), trajectory.run.get("interface", {})
    parts = []
    for entry, name in zip(start.get("chemistry", []), trajectory.chemistries, strict=True):
        parts.append(f"{percent(entry['fraction'])} {name}")
    # 1 µm² is 1e8 Å².
    area_um2 = trajectory.box["box_A"][0] * trajectory.box["box_A"][1] / 1e8
    flaws = []
    for kind, key in (("patch", "patches"), ("void", "voids")):
        density = section.get(f"{kind}_density_per_um2")
        if density or start.get(key):
            number = len(start.get(key, []))
            text = f"{count(number)} {kind if number == 1 else key}"
            if density:
                text += f" (of those drawn {figure(density * area_um2)} were to be expected)"
            flaws.append(text)
    if flaws:
        vacant = plural(start.get("vacant_sites", 0), "vacant site")
        parts.append(f"{' and '.join(flaws)} at the start, {vacant}")
    return [("Interface", "; ".join(parts))] if parts else []


def _alloy(trajectory: Trajectory) -> Rows:
    """The input that decides what an alloy's interface does, unless L1 began in equilibrium."""
    system = trajectory.run.get("system", {})
    coverage = system.get("mg_coverage_L1")
    # In equilibrium the coverage follows from the energies, and is no input.
    if not (system.get("mg_fraction") and trajectory.has_interface) or coverage == "equilibrium":
        return []
    start = "as random as the bulk" if coverage is None else f"with {percent(coverage)} Mg"
    samples = trajectory.samples
    if trajectory.run.get("acceleration", {}).get("mg_exchange") and len(samples):
        now = float(samples["contact_fraction"][-1] - samples["contact_fraction_Li"][-1])
        text = f"L1 began {start}; with Mg at its true rate it ends with {percent(now)}"
    else:
        text = (
            f"L1 began {start}, an input that nobody has measured and that decides how much "
            "contact is kept: compare values of system.mg_coverage_L1 (kmc sweep study_mg_fraction)"
        )
    return [("Alloy", text)]


def _cycles(trajectory: Trajectory) -> Rows:
    """How many cycles of a protocol are complete, and its efficiency by Aurbach's protocol."""
    if not (cycles := coulombic.cycles(trajectory)):
        return []
    rows = [("Cycles", f"{plural(len(cycles), 'cycle')} completed")]
    if (aurbach := coulombic.aurbach_of(trajectory)) is not None:
        text = f"Coulombic efficiency by Aurbach's protocol: {percent(aurbach.efficiency)}"
        if aurbach.formation is not None:
            text += f", formation {percent(aurbach.formation)}, not counted"
        dead = int(trajectory.samples["dead_Li"][-1]) if "dead_Li" in trajectory.samples else 0
        text += f"; {aurbach.loss(dead)}"
        rows.append(("", text))
    return rows


def _rests(trajectory: Trajectory) -> Rows:
    """How long no current flowed, and what contact and voltage did meanwhile."""
    samples = trajectory.samples
    flows = samples["phase"] == 0 if "phase" in samples else np.ones(len(samples), dtype=bool)
    if flows.all() or not flows.any():
        return []
    if "step" in samples and samples["step"].any():
        # A row at a change belongs to the step that ends, so that its interval does.
        rested_s = np.diff(samples["time_s"])[~flows[1:]].sum()
        rests = len(np.unique(samples["step"][~flows]))
        return [("Rest", f"{plural(rests, 'rest')}, {duration(rested_s)} in all")]
    rested_s = samples["time_s"][-1] - samples["time_s"][flows][-1]
    contact, volts = samples["contact_fraction"], samples["overpotential_V"]
    text = f"{duration(rested_s)} without current; contact {percent(contact[flows][-1])} "
    text += f"→ {percent(contact[-1])}"
    if volts[-1] != 0.0:  # files of earlier versions have no voltage at rest
        text += f"; overpotential, kT/e ln S, {scaled(volts[~flows][0], 'V')} → "
        text += scaled(volts[-1], "V")
    return [("Rest", text)]


def _acceleration(trajectory: Trajectory) -> Rows:
    """Barrier raising: the lowest barrier, and the factor of each class of hops."""
    table = trajectory.acceleration
    classes = [c for c in table.get("classes", []) if c.get("slowed_by", 1.0) > _BY_MORE_THAN]
    if known := table.get("equilibrium"):
        text = f"equilibrium between strips: {figure(known['pairs_per_strip'])} pairs of flips "
        text += (
            f"after each, as contact forgets itself in {figure(known['contact_pairs'], digits=2)}"
        )
        text += f" of them and S in {figure(known['S_pairs'], digits=2)}; annealed as it grows"
        return [("Kinetics", text)]
    if not classes:
        return [("Kinetics", "exact: no barrier was raised")]
    lowest_eV, ratio = (
        table.get("saddle_floor_eV", math.nan),
        table.get("max_hops_per_strip_per_site"),
    )
    per_site_Hz = table.get("strip_rate_per_site_Hz")
    # Where a floor or a factor was given, the ratio follows from the lowest barrier.
    if not ratio and per_site_Hz and "fastest_hop_Hz" in table:
        ratio = table["fastest_hop_Hz"] / per_site_Hz
    text = f"barriers were raised to at least {figure(lowest_eV, 'eV')}"
    if ratio:
        text += f"; no hop is more than {figure(ratio)} times as frequent as stripping at one site"
    rows = [("Kinetics", text)]
    slowed = [entry["name"] for entry in classes]
    for entry in classes:
        name = _class_name(entry["name"], trajectory)
        text = f"{name}: true barrier {figure(entry['barrier_eV'], 'eV')}, slowed "
        text += f"{figure(entry['slowed_by'])} times"
        rows.append(("", text))
    if table.get("lone_floor_eV", math.nan) < table.get("saddle_floor_eV", math.nan):
        times, share = table.get("lone_slowed_by", 1.0), table.get("box_resistance_share", 0.0)
        how = "not at all"
        if times > _BY_MORE_THAN:
            how = f"{figure(times)} times; the box is {percent(share)} of their way to the sink"
        rows.append(("", f"lone vacancies above L2: slowed {how}"))
    for entry in trajectory.resolved.get("temperatures", []):
        floor = figure(entry["saddle_floor_eV"], "eV")
        rows.append(("", f"steps at {figure(entry['temperature_K'], 'K', 5)}: at least {floor}"))
    counted = [e for e in balance.exchanges(trajectory) if e.hop_class in slowed]
    return rows + _net_flux(counted, trajectory)


def _class_name(name: str, trajectory: Trajectory) -> str:
    """A class of hops in words: Li_near_Mg → Na beside Mg."""
    metal, _, other = name.partition("_near_")
    metal = trajectory.metal if metal == "Li" else metal
    return f"{metal} beside {other}" if other else metal


def _net_flux(exchanges: list[balance.Exchange], trajectory: Trajectory) -> Rows:
    """Net share of the hops from layer to layer, and the effect of raised barriers on it."""
    texts = []
    for name in dict.fromkeys(exchange.hop_class for exchange in exchanges):
        shares = []
        for exchange in (e for e in exchanges if e.hop_class == name):
            most = figure(100 * exchange.at_most, "%", 2 if exchange.at_most < 0.1 else 3)
            # Where noise could hide a net flux, the most that it could hide: ``< 0.9 % at L1``.
            share = most if exchange.resolved else f"<\u00a0{most}"
            a_layer = " a layer" if exchange.steps > 1 else ""
            shares.append(f"{share}{a_layer} {_STAGE_NAMES[exchange.stage]}")
        texts.append(f"of the hops of {_class_name(name, trajectory)} {', '.join(shares)}")
    for verdict, sentence in _VERDICTS.items():
        named: dict[str, list[str]] = {}
        for exchange in exchanges:
            if exchange.verdict == verdict:
                named.setdefault(exchange.hop_class, []).append(_STAGE_NAMES[exchange.stage])
        if named:
            listed = (f"{_class_name(n, trajectory)} ({', '.join(at)})" for n, at in named.items())
            texts.append(f"{sentence}: {'; '.join(listed)}")
    return [("" if row else "Net flux", text) for row, text in enumerate(texts)]
