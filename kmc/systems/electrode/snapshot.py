"""Snapshots of an engine: taken, restored, and compared with a state built from scratch.

The future of a run is determined by the species of every site, the order of the members in the
bins, the list of strip weights that are out of date, the counters, the clock and the generator. All
else is recomputed when a snapshot is restored, and must agree.
"""

import numpy as np

from kmc.errors import KmcError
from kmc.kernels import loop, selection, tables
from kmc.model.electrochemistry import Drive
from kmc.model.model import Model
from kmc.model.processes import PROCESSES
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.equilibrium_stepping import engine_of

_RECOUNTED = {
    "vacancies": tables.VACANCIES,
    "vacancies in L1": tables.VACANT_L1,
    "Mg in L1": tables.MG_L1,
    "energy in µeV": tables.ENERGY,
}
_SUMS = {
    "hops, by class and way": (tables.HOPS, [*range(tables.HOPS_BY_WAY, tables.HOPS_END)]),
    "events, by kind": (tables.EVENTS, [process.counter for process in PROCESSES]),
}


def take(engine: Engine) -> dict:
    """The state of an engine as plain numbers and arrays.

    ``occupancy`` uint8 (n_sites,); ``counters`` int64; ``clock`` float64; ``hop_bins``,
    ``strip_bins`` and ``plate_bins`` int32 (members, 2), rows of bin and site in the order within
    the bins; ``dirty`` int32, sites whose strip weight is out of date; ``monomer`` int64, what each
    member of the strip bins adds to the isolated vacancies; ``activity`` float64 (2,); ``alloy``;
    ``generator``; ``drive``, current density in mA/cm² and voltage in V or None; ``interface_V``,
    None where a current is given.
    """
    state = engine.state
    return {
        "alloy": isinstance(engine.law, tables.TwoSpecies),
        "drive": list(engine.drive),
        "interface_V": engine.interface_V,
        "generator": engine.rng.bit_generator.state,
        "occupancy": engine.occupancy(),
        "counters": state.counters.copy(),
        "clock": state.clock.copy(),
        "hop_bins": _rows(engine.bin_members("hops")),
        "strip_bins": _rows(engine.bin_members("strips")),
        "plate_bins": _rows(engine.bin_members("plates")),
        "monomer": state.monomer.copy(),
        "activity": state.activity.copy(),
        "mg_sites": engine.mg_sites().astype(np.int32),
        "mixing": engine.mixing,
        "dirty": _dirty_sites(engine).astype(np.int32),
        **engine.extra_state(),
    }


def _dirty_sites(engine: Engine) -> np.ndarray:
    """Sites whose strip weight is out of date."""
    listed = engine.state.dirty[: engine.count(tables.N_DIRTY)]
    return engine.model.kernel_lattice.lattice_sites(listed)


def _rows(members: dict[int, np.ndarray]) -> np.ndarray:
    pieces = [np.column_stack([np.full(len(sites), b), sites]) for b, sites in members.items()]
    return np.concatenate([np.empty((0, 2)), *pieces]).astype(np.int32)


def restore(model: Model, saved: dict) -> Engine:
    """An engine in the state that `take` returned.

    Raises `KmcError`: the state contradicts itself or the model.
    """
    try:
        # By a name that is checked: a file must not choose what is called.
        if (name := saved["generator"]["bit_generator"]) != "PCG64":
            raise ValueError(f"generator {name!r}")
        rng = np.random.Generator(np.random.PCG64())
        engine = engine_of(model)(model, saved["occupancy"], rng, alloy=bool(saved["alloy"]))
        drive = Drive(*saved["drive"])
        if drive != engine.drive:
            engine.set_drive(drive)
        counters = np.asarray(saved["counters"], dtype=np.int64)
        _restore_order(engine, saved, counters)
        if saved["interface_V"] is not None:
            engine.set_interface_V(float(saved["interface_V"]))
        engine.set_mixing(tuple(saved["mixing"]))
        engine.restore_extra(saved)
        # Last: the new engine has drawn from the generator when it was made.
        rng.bit_generator.state = saved["generator"]
        # A state that passes its checksum can still be of another run: it is recounted.
        problems = differences(engine)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as problem:
        raise KmcError(f"the checkpoint does not fit the run: {problem}") from None
    if problems:
        raise KmcError(f"the checkpoint does not fit the run: {problems[0]}")
    return engine


def _restore_order(engine: Engine, saved: dict, counters: np.ndarray) -> None:
    """Replace the order of the members, counters and clock of a new engine by the saved ones."""
    state, numbering = engine.state, engine.model.kernel_lattice
    if counters.ndim != 1 or not tables.HOPS_END <= counters.size <= state.counters.size:
        raise ValueError(f"{counters.size} counters instead of {state.counters.size}")
    hop_bins, strip_bins, dirty = saved["hop_bins"], saved["strip_bins"], saved["dirty"]
    plate_bins = saved["plate_bins"]
    if state.hops:
        _fill(state.hops, hop_bins[:, 0], numbering.kernel_sites(hop_bins[:, 1]))
    for bins, rows in ((state.strips, strip_bins), (state.plates, plate_bins)):
        _fill(bins, rows[:, 0], numbering.strip_members(rows[:, 1]))
    # Those that the new engine has marked are unmarked: the saved list alone counts.
    state.site_state[state.dirty[: engine.count(tables.N_DIRTY)]] &= ~tables.DIRTY
    state.dirty[: dirty.size] = numbering.kernel_sites(dirty)
    state.site_state[state.dirty[: dirty.size]] |= tables.DIRTY
    state.counters[:] = 0
    state.counters[: counters.size] = counters  # later ones count what was not there yet
    monomer = np.asarray(saved["monomer"], dtype=np.int64)
    if monomer.shape != state.monomer.shape:
        raise ValueError(f"{monomer.size} sites at the interface instead of {state.monomer.size}")
    state.monomer[:] = monomer
    state.isolated[:] = _isolated(monomer)
    state.activity[:] = saved["activity"]
    mg, sites = state.mg, saved["mg_sites"]
    if sorted(sites.tolist()) != sorted(engine.mg_sites().tolist()):
        raise ValueError("another list of Mg atoms than the sites hold")
    # In this order, by which the loop draws the next exchange.
    mg.sites[: sites.size] = numbering.kernel_sites(sites)
    mg.place[mg.sites[: sites.size]] = np.arange(sites.size)
    # Its numbers choose members of lists, which the loop does not check.
    clock, drawn = saved["clock"], saved["clock"][[tables.PLACE, tables.MEMBER]]
    at, n_sites = clock[tables.STRIP_DUE], state.site_state.size
    is_place = at in (-1.0, tables.WAITING) or (at == np.floor(at) and 0.0 <= at <= n_sites)
    if not (is_place and np.isfinite(clock).all() and np.all((drawn >= 0.0) & (drawn <= 1.0))):
        raise ValueError(f"the clock stands at {clock.tolist()}")
    state.clock[:] = clock


def _fill(bins: tables.Bins, numbers: np.ndarray, members: np.ndarray) -> None:
    """Put members into their bins, in this order."""
    bins.count[:] = 0
    bins.where[:] = selection.NONE
    bins.window[:] = 0
    for b in np.unique(numbers):
        inside = members[numbers == b]
        bins.members[b, : inside.size] = inside
        bins.count[b] = inside.size
        bins.where[inside] = (int(b) << selection.POSITION_BITS) | np.arange(inside.size)
    bins.window[:] = _masses(bins)
    bins.top[:] = np.arange(1, selection.N_WINDOWS + 1) * (1 << selection.WINDOW_BITS) - 1


def _isolated(monomer: np.ndarray) -> np.ndarray:
    """Isolated vacancies seen and expected, from what each member adds to them."""
    return np.array([np.count_nonzero(monomer < 0), monomer[monomer > 0].sum()])


def _masses(bins: tables.Bins) -> np.ndarray:
    """Summed bounds of each window's members, in its own unit."""
    scale = np.repeat(bins.scale, 1 << selection.WINDOW_BITS)
    mass = bins.count * np.rint(bins.bound / scale).astype(np.int64)
    return mass.reshape(selection.N_WINDOWS, -1).sum(axis=1)


# --- self-check from scratch ----------------------------------------------------------------------


def differences(engine: Engine) -> list[str]:
    """Differences of the state from one built from the species alone; empty if there are none.

    Counts around every site, counters and their sums, the energy (also summed bond by bond without
    the kernels), the bin of every vacancy's total rate and of every strip weight that is up to
    date. All are integers, so the comparison is exact.
    """
    model, state = engine.model, engine.state
    occupancy = engine.occupancy()
    alloy = isinstance(engine.law, tables.TwoSpecies)
    # From the species alone, with the same tables: whatever differs, the running sums got wrong.
    fresh = Engine(model, occupancy, np.random.default_rng(0), alloy=alloy)
    numbers = [(name, engine.count(at), fresh.count(at)) for name, at in _RECOUNTED.items()]
    for name, (total, parts) in _SUMS.items():
        numbers.append((name, engine.count(total), int(state.counters[parts].sum())))
    energy = model.energy_ueV(occupancy)
    numbers.append(("energy in µeV, bond by bond", engine.count(tables.ENERGY), energy))
    sites = (s.site_state & ~tables.DIRTY for s in (state, fresh.state))
    of_sites = {"state of a site": sites}
    if state.hops:
        of_sites["bin of a vacancy"] = (_bins(s.hops) for s in (state, fresh.state))
    for name, (running, rebuilt) in of_sites.items():
        for at in np.flatnonzero(running != rebuilt)[:1]:
            site = model.kernel_lattice.lattice_sites(np.array([at]))[0]
            numbers.append((f"{name} ({site})", running[at], rebuilt[at]))
    isolated = zip(("seen", "expected"), state.isolated, _isolated(state.monomer), strict=True)
    numbers += [(f"isolated vacancies {name}", int(a), int(b)) for name, a, b in isolated]
    problems = [f"{name}: {a} in the run, {b} rebuilt" for name, a, b in numbers if a != b]
    loop.update_strip_weights(fresh.geometry, fresh.law, fresh.channels, fresh.state, fresh.scratch)
    clean = np.ones(state.strips.where.size, dtype=bool)
    # Weights that are marked as out of date may differ: they are recomputed before they are used.
    clean[model.kernel_lattice.strip_members(_dirty_sites(engine))] = False
    wrong = clean & (_bins(state.strips) != _bins(fresh.state.strips))
    problems += _wrong_member("strip weight of {} is in the wrong bin", wrong)
    if set(engine.mg_sites().tolist()) != set(fresh.mg_sites().tolist()):
        problems.append("the list of Mg atoms is not that of the sites")
    if engine.channels.plates:
        wrong = clean & (_bins(state.plates) != _bins(fresh.state.plates))
        problems += _wrong_member("plate weight of {} is in the wrong bin", wrong)
    problems += _wrong_member(
        "{} is not counted as the isolated vacancy, or atom among atoms, that it is or is not",
        clean & (state.monomer != fresh.state.monomer),
    )
    for name in ("hops", "strips", "plates"):
        if bins := getattr(state, name):
            problems += _disorder(name, bins)
    return problems


def _wrong_member(text: str, wrong: np.ndarray) -> list[str]:
    """What is wrong of the first such member of the strip or plate bins."""
    return [
        text.format(f"column {member // 2} in L{1 + member % 2}")
        for member in np.flatnonzero(wrong)[:1]
    ]


def _bins(bins: tables.Bins) -> np.ndarray:
    """Bin of every possible member, −1 for none."""
    return bins.where >> selection.POSITION_BITS


def _disorder(name: str, bins: tables.Bins) -> list[str]:
    """Disagreements of the lists of the bins, the positions of the members and the masses."""
    for b in np.flatnonzero(bins.count):
        members = bins.members[b, : bins.count[b]]
        places = (int(b) << selection.POSITION_BITS) | np.arange(members.size)
        if np.any(bins.where[members] != places):
            return [f"bin {b} of the {name} and the places of its members disagree"]
    if bins.count.sum() != np.count_nonzero(bins.where != selection.NONE):
        return [f"the bins of the {name} do not hold every member once"]
    if np.any(bins.window != _masses(bins)):
        return [f"the masses of the bins of the {name} are not the sums of their members"]
    return []
