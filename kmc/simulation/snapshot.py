"""The complete state of a running configuration: taken, put back, and checked from scratch.

What a run will do follows from the species of every site, the order of the members in the bins,
the list of strip weights that are out of date, the counters, the clock and the generator. All else
is recomputed when a state is put back, and must agree.
"""

from __future__ import annotations

import numpy as np

from kmc.errors import KmcError
from kmc.kernels import loop, selection, tables
from kmc.model.model import Model
from kmc.model.processes import PROCESSES
from kmc.simulation.engine import Engine

_RECOUNTED = {
    "vacancies": tables.VACANCIES,
    "vacancies in L1": tables.VACANT_L1,
    "Mg in L1": tables.MG_L1,
    "energy in µeV": tables.ENERGY,
}
_SUMS = {
    "hops, by class and way": (
        tables.HOPS,
        list(range(tables.HOPS_BY_WAY, tables.EXCHANGES)),
    ),
    "events, by kind": (
        tables.EVENTS,
        [process.counter for process in PROCESSES],
    ),
}


def take(engine: Engine) -> dict:
    """Everything that what comes next depends on, as plain numbers and arrays.

    Returns
    -------
    dict
        ``occupancy`` uint8 (n_sites,); ``counters`` int64; ``clock`` float64; ``hop_bins`` and
        ``strip_bins`` int32 (members, 2), rows of bin and site in the order within the bins;
        ``dirty`` int32, sites whose strip weight is out of date; ``alloy``; ``generator``;
        ``charge_transfer_V``, None in a run at given current.
    """
    state = engine.state
    n_dirty = engine.count(tables.N_DIRTY)
    return {
        "alloy": isinstance(engine.law, tables.TwoSpecies),
        "charge_transfer_V": engine.charge_transfer_V,
        "generator": engine.rng.bit_generator.state,
        "occupancy": engine.occupancy(),
        "counters": state.counters.copy(),
        "clock": state.clock.copy(),
        "hop_bins": _rows(engine.bin_members("hops")),
        "strip_bins": _rows(engine.bin_members("strips")),
        "mg_sites": engine.mg_sites().astype(np.int32),
        "mixing": engine.mixing,
        "dirty": engine.lattice_sites(state.dirty[:n_dirty]).astype(np.int32),
    }


def _rows(members: dict[int, np.ndarray]) -> np.ndarray:
    pieces = [np.column_stack([np.full(len(sites), b), sites]) for b, sites in members.items()]
    return np.concatenate([np.empty((0, 2)), *pieces]).astype(np.int32)


def restore(model: Model, saved: dict) -> Engine:
    """An engine that goes on where `take` left off.

    Raises
    ------
    KmcError
        The state contradicts itself or the model.
    """
    try:
        rng = np.random.Generator(getattr(np.random, _generator_name(saved))())
        engine = Engine(model, saved["occupancy"], rng, alloy=bool(saved["alloy"]))
        counters = np.asarray(saved["counters"], dtype=np.int64)
        _put_back(engine, saved, counters)
        engine.set_mixing(tuple(saved["mixing"]))
        if saved["charge_transfer_V"] is not None:
            engine.set_charge_transfer_V(float(saved["charge_transfer_V"]))
        rng.bit_generator.state = saved["generator"]
        problems = differences(engine)
    except (KeyError, IndexError, ValueError, TypeError, OverflowError) as problem:
        raise KmcError(f"the checkpoint does not fit the run: {problem}") from None
    if problems:
        raise KmcError(f"the checkpoint does not fit the run: {problems[0]}")
    return engine


def _generator_name(saved: dict) -> str:
    name = saved["generator"]["bit_generator"]
    if name != "PCG64":
        raise ValueError(f"generator {name!r}")
    return name


def _put_back(engine: Engine, saved: dict, counters: np.ndarray) -> None:
    """Replace what the engine made up about order and history by what was saved."""
    state, lattice = engine.state, engine.model.lattice
    if counters.shape != state.counters.shape:
        raise ValueError(f"{counters.size} counters instead of {state.counters.size}")
    hop_bins, strip_bins, dirty = saved["hop_bins"], saved["strip_bins"], saved["dirty"]
    for sites, end in (
        (hop_bins[:, 1], lattice.n_sites),
        (strip_bins[:, 1], 2 * lattice.sites_per_layer),
        (dirty, 2 * lattice.sites_per_layer),
    ):
        if sites.size and not 0 <= sites.min() <= sites.max() < end:
            raise ValueError("a site that is not there")
    _fill(state.hops, hop_bins[:, 0], engine.kernel_sites(hop_bins[:, 1]))
    layer, column = np.divmod(strip_bins[:, 1], lattice.sites_per_layer)
    _fill(state.strips, strip_bins[:, 0], 2 * column + layer)
    state.site_state[state.dirty[: engine.count(tables.N_DIRTY)]] &= ~tables.DIRTY
    state.dirty[: dirty.size] = engine.kernel_sites(dirty)
    state.site_state[state.dirty[: dirty.size]] |= tables.DIRTY
    _fill_mg(engine, saved["mg_sites"])
    state.counters[:] = counters
    state.clock[:] = saved["clock"]


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


def _fill_mg(engine: Engine, sites: np.ndarray) -> None:
    """Put the Mg atoms into their list, in this order."""
    mg = engine.state.mg
    if sorted(sites.tolist()) != sorted(engine.mg_sites().tolist()):
        raise ValueError("another list of Mg atoms than the sites hold")
    mg.sites[: sites.size] = engine.kernel_sites(sites)
    mg.place[mg.sites[: sites.size]] = np.arange(sites.size)


def _masses(bins: tables.Bins) -> np.ndarray:
    """Summed bounds of each window's members, in its own unit."""
    scale = np.repeat(bins.scale, 1 << selection.WINDOW_BITS)
    mass = bins.count * np.rint(bins.bound / scale).astype(np.int64)
    return mass.reshape(selection.N_WINDOWS, -1).sum(axis=1)


# --- the check from scratch -----------------------------------------------------------------------


def differences(engine: Engine) -> list[str]:
    """What of the state differs from one built anew from the species alone; empty if all is right.

    Counts around every site, counters and their sums, the energy (also summed bond by bond without
    the kernels), the bin of every vacancy's total rate and of every strip weight that is up to
    date. All are integers, so the comparison is exact.
    """
    model, state = engine.model, engine.state
    occupancy = engine.occupancy()
    fresh = Engine(
        model,
        occupancy,
        np.random.default_rng(0),
        alloy=isinstance(engine.law, tables.TwoSpecies),
    )
    problems = []
    for name, counter in _RECOUNTED.items():
        problems += _compare(name, engine.count(counter), fresh.count(counter))
    for name, (whole, parts) in _SUMS.items():
        problems += _compare(name, engine.count(whole), int(state.counters[parts].sum()))
    energy = model.energy_ueV(occupancy)
    problems += _compare("energy in µeV, bond by bond", engine.count(tables.ENERGY), energy)
    problems += _compare_sites(
        engine,
        "word of a site",
        state.site_state & ~tables.DIRTY,
        fresh.state.site_state & ~tables.DIRTY,
    )
    problems += _compare_sites(
        engine, "bin of a vacancy", _bins(state.hops), _bins(fresh.state.hops)
    )
    loop.update_strip_weights(fresh.geometry, fresh.law, fresh.state, fresh.scratch)
    clean = np.ones(state.strips.where.size, dtype=bool)
    dirty = engine.lattice_sites(state.dirty[: engine.count(tables.N_DIRTY)])
    layer, column = np.divmod(dirty, model.lattice.sites_per_layer)
    clean[2 * column + layer] = False
    wrong = clean & (_bins(state.strips) != _bins(fresh.state.strips))
    problems += [
        f"strip weight of column {member // 2} in L{1 + member % 2} is in the wrong bin"
        for member in np.flatnonzero(wrong)[:1]
    ]
    if set(engine.mg_sites().tolist()) != set(fresh.mg_sites().tolist()):
        problems.append("the list of Mg atoms is not that of the sites")
    for name, bins in (("hops", state.hops), ("strips", state.strips)):
        problems += _disorder(name, bins)
    return problems


def _compare(name: str, running: int, rebuilt: int) -> list[str]:
    return [] if running == rebuilt else [f"{name}: {running} in the run, {rebuilt} rebuilt"]


def _compare_sites(engine: Engine, name: str, running, rebuilt) -> list[str]:
    wrong = np.flatnonzero(running != rebuilt)[:1]
    return [
        f"{name} ({int(engine.lattice_sites(wrong)[0])}): {running[place]} in the run, "
        f"{rebuilt[place]} rebuilt"
        for place in wrong
    ]


def _bins(bins: tables.Bins) -> np.ndarray:
    """Bin of every member that there could be, −1 for those in none."""
    return bins.where >> selection.POSITION_BITS


def _disorder(name: str, bins: tables.Bins) -> list[str]:
    """Whether the lists of the bins, the places of the members and the masses agree."""
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
