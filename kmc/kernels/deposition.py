"""Event loop of a deposition: plating, stripping and hops on a simple cubic lattice, compiled.

Sites are numbered (z ny + y) nx + x, periodic along x and y; below z = 0 is the substrate, which
conducts. Atoms are sorted into bins by place and number of neighbours; all of a bin have the same
bound on their rate. An attempt takes a bin by its mass, a member of it, one of 18 directions, and
rejects what is not possible or happens less often: rejected attempts pass time like others, which
keeps waiting times exact (Lewis and Shedler, doi:10.1002/nav.3800260304).

An atom that changes its bin is taken out, the last member of the bin filling its place, and put at
the end of the other. Bins change in a fixed order: the site itself, then its neighbours in the
order of `STEPS`. An atom is connected if a path of neighbours leads from it to the substrate;
others are dead: they cannot be stripped, do not hop, and nothing is plated on them. A hop that
would cut atoms off, or join dead ones, is rejected, so that detailed balance holds.

Fresh surface of the metal may take lithium for a layer on it: while plating makes more faces than
have had one, ions go to the layer first, and what is stripped takes its layer with it, for good.
"""

from typing import NamedTuple

import numpy as np

from kmc.kernels.jit import entry, inner, rare

# The six neighbours, the lowest last; then the second neighbours.
STEPS = np.array(
    [
        *([1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]),
        *([1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]),
        *([1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]),
        *([1, 0, -1], [-1, 0, -1], [0, 1, -1], [0, -1, -1]),
    ],
    dtype=np.int64,
)
DIRECTIONS = 18
PER_PLACE = 7  # 0 to 6 neighbours
PLATED, STRIPPED, HOPS, ATTEMPTS, DEAD, ATOMS = range(6)  # counts
TIME = 0  # of the clock
EACH, COVERED, OWED, TAKEN = range(4)  # of the layer: atoms a face, faces that have it, atoms
CHARGE, TIME_UP, PAUSE, FULL, EXHAUSTED, BLOCKED, FROZEN = range(7)  # why `advance` returned
REST, PLATE, STRIP = range(3)


class Box(NamedTuple):
    """What does not change: size, and the place of the first layer of each column."""

    nx: int
    ny: int
    nz: int
    metal: int  # number of the place above the first layer
    substrate: np.ndarray  # uint8 [ny nx]


class Law(NamedTuple):
    """Rates, at one current."""

    bound: np.ndarray  # [bin], rate in one direction that no atom of a bin exceeds, Hz
    ratio: np.ndarray  # [from, to, layer changes], share of it in which a hop happens
    weight: np.ndarray  # [bin], of an atom of a bin in stripping
    drive: int  # REST, PLATE or STRIP
    drive_Hz: float  # of the whole box


class DepositState(NamedTuple):
    """What changes."""

    occupied: np.ndarray  # uint8 [site]
    neighbours: np.ndarray  # int8 [site], of vacant sites too
    connected: np.ndarray  # uint8 [site], 1 for connected atoms
    top: np.ndarray  # int32 [column], layers up to the highest atom
    members: np.ndarray  # int32 [bin, site]
    size: np.ndarray  # int64 [bin], members
    n_connected: np.ndarray  # int64 [bin], connected members
    where: np.ndarray  # int32 [site], place in the bin
    stack: np.ndarray  # int32 [site], scratch
    seen: np.ndarray  # int64 [site], scratch: number of the search
    searches: np.ndarray  # int64 [1]
    counts: np.ndarray  # int64, see PLATED and so on
    clock: np.ndarray  # float64 [1], s
    layer: np.ndarray  # float64 [4], see EACH and so on


@inner
def shifted(box, site, d):
    """Site one step away, and its layer; the layer is −1 or nz outside."""
    z = site // (box.ny * box.nx)
    y = (site // box.nx) % box.ny
    x = site % box.nx
    x = (x + STEPS[d, 0]) % box.nx
    y = (y + STEPS[d, 1]) % box.ny
    z = z + STEPS[d, 2]
    return (z * box.ny + y) * box.nx + x, z


@inner
def place_of(box, site):
    columns = box.ny * box.nx
    return np.int64(box.substrate[site]) if site < columns else box.metal


@inner
def bin_of(box, state, site):
    return place_of(box, site) * PER_PLACE + state.neighbours[site]


@rare
def _insert(box, state, site):
    b = bin_of(box, state, site)
    state.members[b, state.size[b]] = site
    state.where[site] = state.size[b]
    state.size[b] += 1
    state.n_connected[b] += state.connected[site]


@rare
def _take_out(box, state, site):
    b = bin_of(box, state, site)
    last = state.members[b, state.size[b] - 1]
    state.members[b, state.where[site]] = last
    state.where[last] = state.where[site]
    state.size[b] -= 1
    state.n_connected[b] -= state.connected[site]


@rare
def _set_connected(box, state, site, value):
    if state.connected[site] != value:
        b = bin_of(box, state, site)
        state.n_connected[b] += 1 if value else -1
        state.counts[DEAD] += -1 if value else 1
        state.connected[site] = value


@rare
def _reaches_substrate(box, state, start):
    """Whether neighbours lead from an atom to the substrate; if not, all it reaches are dead."""
    columns = box.ny * box.nx
    state.searches[0] += 1
    number = state.searches[0]
    depth = 1
    state.stack[0] = start
    state.seen[start] = number
    while depth > 0:
        depth -= 1
        site = np.int64(state.stack[depth])
        if site < columns:
            return True
        for d in range(6):
            other, z = shifted(box, site, d)
            if z < box.nz and state.occupied[other] and state.seen[other] != number:
                state.seen[other] = number
                state.stack[depth] = other
                depth += 1
    _set_piece(box, state, start, np.int64(0))
    return False


@rare
def _set_piece(box, state, start, value):
    """Mark an atom, and all it reaches through atoms of the other kind, as connected or dead."""
    _set_connected(box, state, start, value)
    state.stack[0] = start
    depth = 1
    while depth > 0:
        depth -= 1
        site = np.int64(state.stack[depth])
        for d in range(6):
            other, z = shifted(box, site, d)
            if 0 <= z < box.nz and state.occupied[other] and state.connected[other] != value:
                _set_connected(box, state, other, value)
                state.stack[depth] = other
                depth += 1


@rare
def _recount(box, state, site, step):
    """Change the number of neighbours of the sites beside one, and the bins of their atoms."""
    for d in range(6):
        other, z = shifted(box, site, d)
        if 0 <= z < box.nz:
            if state.occupied[other]:
                _take_out(box, state, other)
            state.neighbours[other] += step
            if state.occupied[other]:
                _insert(box, state, other)


@rare
def remove(box, state, site):
    """Take an atom away: its bin, those of its neighbours, connection, top of the column."""
    columns = box.ny * box.nx
    _take_out(box, state, site)
    state.occupied[site] = 0
    if not state.connected[site]:
        state.counts[DEAD] -= 1
    state.connected[site] = 0
    state.counts[ATOMS] -= 1
    _recount(box, state, site, np.int64(-1))
    # An atom with one neighbour is an end of its piece: without it nothing else is cut off.
    if state.neighbours[site] + (1 if site < columns else 0) > 1:
        for d in range(6):
            other, z = shifted(box, site, d)
            if 0 < z < box.nz and state.occupied[other] and state.connected[other]:
                _reaches_substrate(box, state, other)
    column = site % columns
    top = state.top[column]
    if site // columns == top - 1:
        while top > 0 and not state.occupied[(top - 1) * columns + column]:
            top -= 1
        state.top[column] = top


@inner
def beside(box, state, site):
    """Whether an atom at a site is connected, and whether it touches a dead atom."""
    held, dead = site < box.ny * box.nx, False
    for d in range(6):
        other, z = shifted(box, site, d)
        if 0 <= z < box.nz and state.occupied[other]:
            if state.connected[other]:
                held = True
            else:
                dead = True
    return held, dead


@rare
def add(box, state, site):
    """Put an atom on a vacant site."""
    columns = box.ny * box.nx
    state.occupied[site] = 1
    held, dead = beside(box, state, site)
    state.connected[site] = 1 if held else 0
    if not held:
        state.counts[DEAD] += 1
    _insert(box, state, site)
    state.counts[ATOMS] += 1
    _recount(box, state, site, np.int64(1))
    if held and dead:
        _set_piece(box, state, site, np.int64(1))
    column = site % columns
    state.top[column] = max(state.top[column], site // columns + 1)


@inner
def _target(box, state, site, d):
    """Site of a hop in a direction, −1 where it is not possible."""
    columns = box.ny * box.nx
    other, z = shifted(box, site, d)
    if z < 0 or z >= box.nz or state.occupied[other]:
        return -1
    if d < 6:
        # The atom itself is a neighbour of the site it goes to.
        return other if state.neighbours[other] > 1 or other < columns else -1
    between = 0
    for e in range(6):  # the two sites that are neighbours of both
        along = STEPS[d, 0] * STEPS[e, 0] + STEPS[d, 1] * STEPS[e, 1] + STEPS[d, 2] * STEPS[e, 2]
        if along == 1:
            middle, _ = shifted(box, site, e)
            between += state.occupied[middle]
    return other if between == 1 else -1


@inner
def mass_of(numbers, weights):
    """Sum over the bins of their members' bounds or weights."""
    total = 0.0
    for b in range(numbers.size):
        total += numbers[b] * weights[b]
    return total


@inner
def bin_at(numbers, weights, u):
    """Bin that holds u in that sum; the last with members where rounding carried u beyond it."""
    chosen = -1
    for b in range(numbers.size):
        part = numbers[b] * weights[b]
        if part > 0.0:
            chosen = b
            if u < part:
                break
            u -= part
    return chosen


@rare
def _hop(box, law, state, mass, rng):
    """One attempt at a hop; `mass` is the sum over the bins."""
    b = bin_at(state.size, law.bound, rng.random() * mass)
    member = min(np.int64(rng.random() * state.size[b]), state.size[b] - 1)
    site = np.int64(state.members[b, member])
    d = min(np.int64(rng.random() * DIRECTIONS), DIRECTIONS - 1)
    target = _target(box, state, site, d)
    if target < 0:
        return
    ratio = law.ratio[place_of(box, site), place_of(box, target), 1 if STEPS[d, 2] != 0 else 0]
    if ratio < 1.0 and rng.random() >= ratio:
        return
    if not state.connected[site]:
        return
    n_dead = state.counts[DEAD]
    remove(box, state, site)
    held, dead = beside(box, state, target)
    # Rejected both ways, cutting off and joining, so that hop and reverse stay in detailed balance.
    if state.counts[DEAD] != n_dead or dead or not held:
        add(box, state, site)
        return
    add(box, state, target)
    state.counts[HOPS] += 1


@inner
def _faces(box, state):
    """Faces of atoms, dead ones too, without an atom or the substrate on their other side."""
    faces = 0
    for b in range(state.size.size):
        below = 1 if b < box.metal * PER_PLACE else 0
        faces += state.size[b] * (6 - b % PER_PLACE - below)
    return faces


@rare
def _layer_takes(box, state):
    """Whether fresh surface takes an ion for its layer."""
    layer, faces = state.layer, _faces(box, state)
    layer[OWED] += layer[EACH] * max(0.0, faces - layer[COVERED])
    layer[COVERED] = max(layer[COVERED], faces)
    if layer[OWED] < 1.0:
        return False
    layer[OWED] -= 1.0
    layer[TAKEN] += 1.0
    return True


@rare
def _plate(box, state, rng):
    """Reduce an ion on the highest atom of a column, or on the bare substrate."""
    columns = box.ny * box.nx
    if state.layer[EACH] > 0.0 and _layer_takes(box, state):
        state.counts[PLATED] += 1
        return CHARGE
    # A bound on rejections: with one free column of n the chance to miss it is exp(−64).
    for _ in range(64 * columns):
        column = min(np.int64(rng.random() * columns), columns - 1)
        top = state.top[column]
        if top == box.nz:
            return FULL
        if top == 0 or state.connected[(top - 1) * columns + column]:
            add(box, state, top * columns + column)
            state.counts[PLATED] += 1
            return CHARGE
    return BLOCKED


@rare
def _strip(law, box, state, rng):
    """Oxidise a connected atom, weakly bound ones first."""
    total = mass_of(state.n_connected, law.weight)
    if total == 0.0:
        return EXHAUSTED
    chosen = bin_at(state.n_connected, law.weight, rng.random() * total)
    # Bins hold dead atoms too, as few as they are: rejection is cheaper than bins of their own.
    while True:
        member = min(np.int64(rng.random() * state.size[chosen]), state.size[chosen] - 1)
        site = np.int64(state.members[chosen, member])
        if state.connected[site]:
            remove(box, state, site)
            state.counts[STRIPPED] += 1
            if state.layer[EACH] > 0.0:
                state.layer[COVERED] = min(state.layer[COVERED], _faces(box, state))
            return CHARGE


@entry
def advance(box, law, state, charge, time_s, attempts, rng):
    """Go on until a charge has passed, a time is up, or a number of attempts was made.

    - `charge` (int): atoms plated and stripped in all, of ``counts``.
    - `time_s` (float): end, infinity without one.
    - `attempts` (int): attempts of this call.
    - `rng` (numpy.random.Generator): the only source of randomness. An attempt draws its waiting
      time (standard exponential), then a number for its kind; a hop then bin, member, direction
      and, where its rate may reject it, one more; plating a column until it is connected; stripping
      a bin, and members until one is connected.

    Returns int: CHARGE, TIME_UP, PAUSE, FULL, EXHAUSTED, BLOCKED or FROZEN (nothing can happen any
    more).
    """
    counts = state.counts
    for _ in range(attempts):
        if counts[PLATED] + counts[STRIPPED] >= charge:
            return CHARGE
        mass = mass_of(state.size, law.bound)
        total = law.drive_Hz + DIRECTIONS * mass
        if total == 0.0:
            if time_s < np.inf:
                state.clock[TIME] = time_s
                return TIME_UP
            return FROZEN
        time = state.clock[TIME] + rng.standard_exponential() / total
        if time >= time_s:
            state.clock[TIME] = time_s
            return TIME_UP
        state.clock[TIME] = time
        counts[ATTEMPTS] += 1
        if rng.random() * total < law.drive_Hz:
            code = _plate(box, state, rng) if law.drive == PLATE else _strip(law, box, state, rng)
            if code != CHARGE:
                return code
        else:
            _hop(box, law, state, mass, rng)
    return PAUSE
