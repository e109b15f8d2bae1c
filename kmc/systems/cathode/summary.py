"""The summary of a cathode."""

import numpy as np

from kmc.common.conditions import ended
from kmc.common.formatting import duration, figure, percent, plural
from kmc.files.table_run import TableRun
from kmc.systems.cathode.contact import single_pores
from kmc.systems.cathode.run import DELITHIATED, LITHIATED

# Of a section of 24 × 24 sites, each cut into n × n: stresses of the active material and the frame,
# and contact between both, over those at n = 8.
_SECTION = {1: (2.4, 2.0, 0.85), 2: (1.05, 1.08, 0.93), 4: (1.02, 1.03, 0.99)}
_SHOWN = ("contact_active_active", "contact_active_frame", "pore_area")
_STRESSES = ("stress_active_GPa", "stress_frame_GPa")


def summary(run: TableRun) -> list[tuple[str, str]]:
    """Pairs of label and text, for `kmc info`."""
    section, facts, s = run.run["cathode"], run.facts, run.samples
    first, lithiated, frame = facts["materials"]
    active = first if lithiated == first else f"{first} to {lithiated}"
    edge = len(run.constants["material"])
    text = f"{active} in {frame}, {edge} × {edge} sites, {facts['grains']} grains; "
    text += f"{percent(facts['swelling_lithiated'])} of area in the plane, "
    rows = [ended(run), ("Conditions", f"{text}at {section['c_rate_per_h']:g} C")]
    shares = (facts[f"{name}_sites"] / edge**2 * 100 for name in ("active", "frame", "pore"))
    rows.append(("Volume", "active {:.1f}, frame {:.1f}, pores {:.1f} %".format(*shares)))
    cut = section.get("refinement", 1)
    rows.append(("Grid", _grid(cut)))
    law = [n for n in dict.fromkeys(facts["norton_exponent"]) if n]
    creep = f"Norton, n = {' to '.join(f'{n:.3g}' for n in law)}" if law else "none: elastic"
    rows.append(("Creep", creep))
    for phase, label in ((LITHIATED, "Lithiated"), (DELITHIATED, "Delithiated")):
        at = np.flatnonzero(s["phase"] == phase)
        if not at.size:
            continue
        ends = {name: s[name][at[[0, -1]]] for name in (*_SHOWN, *_STRESSES)}
        active, frame, pores = ("{:.3g} → {:.3g} %".format(*100 * ends[name]) for name in _SHOWN)
        text = f"contact active-active {active}, active-frame {frame}; pores {pores}"
        rows.append((label, f"{text} (cycle 1 → {s['cycle'][at[-1]]:.0f})"))
        if phase == LITHIATED:  # swollen, it bears most
            active, frame = ("{:.3f} → {:.3f}".format(*ends[name]) for name in _STRESSES)
            rows.append(("Stress", f"lithiated, active {active}, frame {frame} GPa"))
    if text := _pores(run):
        rows.append(("Single pores", text))
    if len(s["time_s"]):
        moved = f"{figure(s['moved'][-1])} moved a portion"
        rows.append(("Events", f"{figure(s['events'][-1])} of creep, {moved}"))
        rows.append(("Simulated", duration(float(s["time_s"][-1]))))
    text = f"one section of {plural(facts['grains'], 'grain')}: compare other random.seed"
    if cut < max(_SECTION):
        text += f"; necks {plural(cut, 'site')} wide are not converged: raise cathode.refinement"
    return [*rows, ("Trust", text)]


def _grid(cut: int) -> str:
    """How far from converged a grid is, by one section cut finer and finer (docs/cathode.md)."""
    text = f"necks between grains are {plural(cut, 'site')} wide"
    if (at := max(n for n in (0, *_SECTION) if n <= cut)) not in _SECTION:
        return text
    active, frame, contact = _SECTION[at]
    return (
        f"{text}: stress of Se {active:g} and of the frame {frame:g} times, contact {contact:g} "
        "times that at 8 in a section of selenium (cathode.refinement)"
    )


def _pores(run: TableRun) -> str:
    """Open area of single pores, delithiated, in the first and the last frame of a cycle."""
    s, frames = run.samples, run.frames
    at = [i for i, row in enumerate(frames["sample"]) if s["phase"][row] == DELITHIATED]
    if not at:
        return ""
    ends = sorted({at[0], at[-1]})
    opened = np.stack([frames["open_area"][i] for i in ends])
    cut = run.run["cathode"].get("refinement", 1)
    pores = single_pores(run.constants["material"], opened, cut)
    if not pores.size:
        return ""
    texts = []
    for i, one in zip(ends, pores, strict=True):
        low, middle, high = np.quantile(one, (0, 0.5, 1))
        cycle = s["cycle"][frames["sample"][i]]
        texts.append(f"{middle:.2f} ({low:.2f} to {high:.2f}) in cycle {cycle:.0f}")
    number = plural(pores.shape[1], "pore")
    return f"open area of {number}, delithiated, over the first: median {', '.join(texts)}"
