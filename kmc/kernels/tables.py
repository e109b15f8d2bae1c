"""Data of the kernels: one packed state per site, and named tuples of arrays.

The state of a site is one packed int32. Its low bits count what surrounds it, so that a binding
energy is one or two look-ups and no neighbour has to be visited to know one:

===========  =======  ========================================================================
bits         field    meaning
===========  =======  ========================================================================
0-3          nv1      vacancies among the 8 first neighbours
4-6          nv2      vacancies among the 6 second neighbours (if second-shell bonds exist)
7            -        always 0: room for the sign when counts are subtracted
8-9          class    1, 2, 3 for L1, L2, L3 at an interface, 0 elsewhere
10           blocked  no atom to hop from here: vacancy or wall; cleared on a vacancy while
                      `events.exchange` has it in its list of vacancies to refresh
11-13        cx       L1 site: Mg among its first neighbours in L2; L2 site: vacancies among its
                      first neighbours in L1 (the pairs that the interface term chi counts)
14-15        chem     L1, L2 site: chemistry of the interface below it
16-19        nm1      Mg among the first neighbours
20-22        nm2      Mg among the second neighbours
23-24        X        species: 0 vacancy, 1 Li, 2 Mg, 3 wall (outside the box: never moves)
25-28        variant  variant of the unit cell (which neighbour offsets apply)
29           edge     some neighbour lies across a periodic boundary
30           top      class 0: the layer that touches the metal reservoir
             dirty    classes 1, 2: strip weight out of date
31 (sign)    fringe   some site that feels a hop into this one lies across a periodic boundary
===========  =======  ========================================================================

The kernels number sites column by column, from the electrolyte up, so that a site's neighbours in
the layers around it share cache lines: ``column * height + walls + layer``. `walls` wall sites
stand below and above every column, and spare the first and last layers any special case.
"""

from typing import Any, NamedTuple

import numpy as np

VACANCY, LI, MG, WALL = 0, 1, 2, 3

NV1 = 1
NV2 = 1 << 4
CLASS_SHIFT = 8
BLOCKED_SHIFT = 10
BLOCKED = 1 << BLOCKED_SHIFT
CX = 1 << 11
CHEMISTRY_SHIFT = 14
NM1 = 1 << 16
NM2 = 1 << 20
SPECIES_SHIFT = 23
SPECIES = 1 << SPECIES_SHIFT
VARIANT_SHIFT = 25
EDGE = 1 << 29
TOP = 1 << 30
DIRTY = 1 << 30
FRINGE = -(1 << 31)

MASK_VACANCIES = 0x7F  # nv1, nv2
ALONE = 16  # row of a vacancy with no other in its shells, less its class and chemistry
MASK_FIRST = 0xF  # nv1, or nm1 once shifted
MASK_HOP = 0xFFFF  # nv1, nv2, class, blocked, cx, chem
HOP_MG_SHIFT = 7  # bit of a hop's index for Mg, not Li: not taken in the state
MASK_SITE = 0xFB7F  # nv1, nv2, class, cx, chem
MASK_MG = 0x7F  # nm1, nm2 once shifted by MG_SHIFT
MG_SHIFT = 16
SPECIES_BITS = 3 * SPECIES
MASK_METAL = (3 << CLASS_SHIFT) | MASK_VACANCIES  # class, nv2, nv1
TOP_BITS = (3 << CLASS_SHIFT) | TOP  # equal to TOP in the top layer

N_FIRST, N_SECOND = 8, 6
N_NEAR = N_FIRST + N_SECOND
N_CLASSES = 4
N_KEPT = 256  # vacancies whose rates may be kept, a power of two

# Ways of a hop: in its layer, or up or down (the atom, from or to the electrolyte) with its lower
# end in L1, in L2 or deeper. Number 1 + 2 * stage + (0 up, 1 down).
IN_LAYER, FIRST_WAY = 0, 1
N_KINDS, N_WAYS = 3, 7

# Counters, int64. From HOPS_BY_WAY on come the hops by kind (see `rates.barrier_kind`) and way, and
# behind them what came later: a checkpoint with fewer counters is one from before.
(
    EVENTS,
    HOPS,
    STRIPS,
    ABSORBED,
    EMITTED,
    VACANCIES,
    VACANT_L1,
    MG_L1,
    ENERGY,
    ABSORBED_MG,
    EMITTED_MG,
    ATTEMPTS,
    REFRESHES,
    LOGGED,
    N_DIRTY,
    CLOSURES,
    CLOSURES_MG,
    HOPS_BY_WAY,
) = range(18)
HOPS_END = HOPS_BY_WAY + N_KINDS * N_WAYS
PLATES, MG_EXCHANGES, PUSHES, PUSHED_OUT, PUSHED_OUT_MG = range(HOPS_END, HOPS_END + 5)
N_COUNTERS = HOPS_END + 5

# Entries of the clock, float64: the time in s; the two uniform numbers of the attempt to come; the
# time integral of VACANCIES in s, up to the time of the last attempt, which follows; the time of an
# attempt that a limit put off, −1 for none, and the total rate it was drawn with; whether a charge
# transfer in the direction of the current is due: 0 no, −1 at a site drawn by its weight, −2
# (`WAITING`) an ion waits for a vacant site, else 1 + its site.
TIME, PLACE, MEMBER, VACANCY_TIME, ATTEMPT_TIME, PUT_OFF, PUT_OFF_RATE, STRIP_DUE = range(8)
N_CLOCK = 8
WAITING = -2.0

# Return values of `advance`; of what it calls also `GO_ON`, where there is no reason to stop.
PAUSED, TIME_IS_UP, NO_EVENT, NO_ELECTROACTIVE, BINS_FULL, NO_SITE = range(6)
GO_ON = -1

# Kinds of logged events.
HOP, STRIP, ABSORPTION, EMISSION, CLOSURE, PLATE, MG_EXCHANGE, PUSH, PUSH_OUT = range(9)

# Of `State.isolated` and `State.activity`.
SEEN, EXPECTED = range(2)
EXPECTED_UNIT = 2.0**-36  # expected numbers of isolated vacancies are counted in whole units
MAX_EXPECTED = 4.0  # of one site: beyond it no vacancy is isolated


class Geometry(NamedTuple):
    """Where the neighbours of a site are.

    ``offsets[row, k]`` is the step in site number to neighbour k (first shell, then second). Row v
    serves the sites of variant v away from the periodic boundaries; for those near one,
    ``row[layer key, in_plane]`` names the row, where the key of a layer is `layer_key`.

    ``around[pattern, variant, k]`` lists, as steps from p, the sites that feel a hop from q,
    neighbour k of p, into p; the two themselves are left out. First come, in groups that end at
    ``group_end``, those whose counts change: A first of p and second of q, B first of p only, C
    second of p and first of q, D first of q only, E second of p only, F second of q only;
    ``shift`` is what a Li or an Mg that hops adds to the states of each. Then come
    the first neighbours of all these, which as vacancies see their atoms changed. Of the sites of
    the list, ``beside`` has bit j set if site j of the groups is a first neighbour, ``beyond`` of
    those in the groups bit j if site j behind the groups is one. Pattern 0 holds away from
    the boundaries in plane; ``pattern[column]`` names the one that a column near one needs. Where z
    is periodic, ``wrap_layer[layer]`` brings back a step that ends beyond the last layer or below
    the first, a negative layer.

    ``way[variant, k, 4 * class of p + class of q]`` is the way of that hop.
    """

    sites_per_layer: int  # columns
    n_layers: int
    columns: int  # columns of sites per cell
    layer_types: int
    height: int  # sites of a column with its walls
    walls: int
    active_layers: int  # layers that may hold electroactive atoms: 2, or 0 without an interface
    looks_ahead: bool  # whether the box is so large that waiting for memory sets the pace
    shells: int  # shells whose occupation changes a rate: 0, 1 or 2
    pairs: bool  # whether pairs of an L1 vacancy and an Mg in L2 have an energy
    offsets: np.ndarray  # int32[rows, 14]
    row: np.ndarray  # int32[keys, sites_per_layer]
    layer_key: np.ndarray  # int32[n_layers]
    around: np.ndarray  # int32[patterns, variants, 8, candidates]
    around_layers: np.ndarray  # int64[variants, 8, candidates]: layers that a step goes up
    beside: np.ndarray  # int64[variants, 8, sites of the groups]
    beyond: np.ndarray  # int64[variants, 8, sites of the groups]
    group_end: np.ndarray  # int64[6]
    shift: np.ndarray  # int64[2, sites of the groups]: for Li, for Mg
    pattern: np.ndarray  # int32[sites_per_layer]
    wrap_layer: np.ndarray  # int32; empty unless z is periodic
    way: np.ndarray  # int8[variants, 8, 16]


class Bins(NamedTuple):
    """Members grouped by the bound of their rate (see `selection`)."""

    members: np.ndarray  # int32[n_bins, capacity], site numbers
    count: np.ndarray  # type: ignore[assignment]  # int64[n_bins]; hides tuple.count, not needed
    bound: np.ndarray  # float64[n_bins]
    weight: np.ndarray  # int64[2 * n_bins], the bound in the unit of the bin's window; 0 beyond
    window: np.ndarray  # int64[windows], summed bounds of a window's members, in its own unit
    scale: np.ndarray  # float64[windows], that unit
    top: np.ndarray  # int64[windows], no bin of the window above this one is occupied
    where: np.ndarray  # int32[sites], bin << POSITION_BITS | position, -1 for none
    unit_bin: int  # bin whose bound is 1


class OneSpecies(NamedTuple):
    """Energies and rates of a pure metal, tabulated over the difference of vacancy counts.

    Rates are in units of `Channels.unit_Hz`. The index of a hop is 128 + (bits of the atom:
    chem, blocked, class, nv2, nv1) - (nv2, nv1 of the vacancy); it is unique, as the counts of the
    two ends differ by less than 8 either way. A row is 4 * chemistry + class; one chemistry has 4
    rows and 2048 columns. In the tables of hops the rows from `ALONE` on are those of a vacancy
    without another one around it: there the index says whether the atom has another one, so that
    a lone vacancy has a floor of its own. They are stored row behind row, and ``first_hop`` names
    where the hops into a vacancy begin. Without Mg there are no pairs for chi to count: cx is 0.
    """

    first_hop: np.ndarray  # int32[bits of the vacancy]: 128 - (nv2, nv1) in its row
    hop_rate: np.ndarray  # float64[rows * columns]: row of the vacancy, index; 0 where blocked
    hop_energy_ueV: np.ndarray  # int32[rows * columns]
    binding_ueV: np.ndarray  # int32[rows, 128]: row, (nv2, nv1)
    strip_weight: np.ndarray  # float64[rows, 128]; 0 for an atom without metal beside it
    plate_weight: np.ndarray  # float64[rows, 128], likewise
    expected: np.ndarray  # int64[rows]: vacancies in place of an atom among atoms, in equilibrium
    absorption: np.ndarray  # float64[128]


class TwoSpecies(NamedTuple):
    """Energies of an alloy as sums of look-ups, rates from factored Boltzmann tables.

    Rates are in units of `Channels.unit_Hz`.
    """

    site_ueV: np.ndarray  # int32[3, 16384 * chemistries]: species, (chem, cx, class, nv2, nv1)
    mg_bonds_ueV: np.ndarray  # int32[3, 128]: species, (nm2, nm1)
    hop_ueV: np.ndarray  # int32[4, columns]: class of the vacancy, bits of the atom (see `rates`)
    barrier_ueV: np.ndarray  # int32[6]: 2 * species + (1 beside Mg)
    floors_ueV: np.ndarray  # int32[17]: of a lone vacancy (its class, the atom's), of all others
    floor_rules: bool  # every floor lies above every barrier, so that it alone decides
    rate_coarse: np.ndarray  # nu exp(-1024 i µeV / kT)
    rate_fine: np.ndarray  # exp(-i µeV / kT), i < 1024
    strip_reference_ueV: int
    strip_exponent: float  # lambda / kT in 1/µeV
    plate_exponent: float  # (1 - lambda) / kT in 1/µeV
    metal: np.ndarray  # float64[1024]: (class, nv2, nv1), 0 where all neighbours are vacant, or 1
    kink_ueV: int  # binding of Li at a kink of the bulk
    absorption: np.ndarray  # float64[3]: k_abs times the reservoir's fraction of each species
    bulk_binding_ueV: np.ndarray  # int32[3]: species, in bulk Li
    exchange_floor_ueV: int  # lowest barrier of Mg and Li that change places, that in bulk Li
    inverse_kT: float  # 1/µeV


class Channels(NamedTuple):
    """Processes other than hops. Rates in units of `unit_Hz`."""

    unit_Hz: float
    strip: float  # of the whole box, at a given current: of the plate if that plates
    plating: bool  # whether the current, given or driven, plates: the direction limits count
    strip_per_weight: float  # at a given voltage: rate of an atom with strip weight 1
    plate_per_weight: float  # at a given voltage: rate on a vacant site with plate weight 1
    exchange: float  # at a given current: product of the two, if the exchange takes place, or 0
    plates: bool  # whether the run ever plates, so that plate weights are kept up to date
    forgetting: float  # share of the measured activity that is forgotten with each strip
    emission: float  # of the whole box
    absorbs: bool
    creep: np.ndarray  # float64[L1 sites + 1]: closing of a void vacancy by VACANT_L1, or empty
    mg_share: float  # Mg in the metal that creep draws from the reservoir
    mg_exchange: float  # of an Mg and a Li beside it changing places in bulk Li; 0: never


class LoneVacancy(NamedTuple):
    """The walk of a vacancy that is the only one of its box (see `lone_vacancy`).

    Rates in units of `Channels.unit_Hz`.
    """

    nx: int  # cells
    ny: int
    layers: int
    rate: np.ndarray  # float64[2, n_layers]: of all hops to the layer below, to the one above
    absorption: float  # from the top layer
    most_others: float  # other events faster than this are better waited for hop by hop
    lost: np.ndarray  # float64[2, n_layers], work space
    kept: np.ndarray  # float64[2, n_layers], work space


class NoWalks(NamedTuple):
    """In place of `LoneVacancy` where every hop is an event of the loop."""

    layers: int


class MgList(NamedTuple):
    """The Mg atoms of the box, where they exchange places with Li; else empty arrays."""

    sites: np.ndarray  # int32: the first ``length[0]`` are theirs
    place: np.ndarray  # int32[sites with walls]: where in `sites`, -1 for no Mg
    length: np.ndarray  # int64[1]


class State(NamedTuple):
    """Everything that changes in time, except the generator."""

    site_state: np.ndarray  # int32[sites with walls]
    hops: Bins
    strips: Bins  # of 2 * column + (0 for L1, 1 for L2)
    plates: Bins  # of the same members
    counters: np.ndarray  # int64[N_COUNTERS]
    clock: np.ndarray  # float64[N_CLOCK]: TIME, PLACE, …
    dirty: np.ndarray  # int32: sites of L1 and L2 whose strip weight is out of date
    monomer: np.ndarray  # int64[members of strips]: expected vacancies of an atom, -1 a vacancy
    isolated: np.ndarray  # int64[2]: isolated vacancies in L1 and L2, seen and expected (in units)
    activity: np.ndarray  # float64[2]: the same, summed over the strips of the recent past
    mg: MgList


class Scratch(NamedTuple):
    """Work space, so that the loop allocates nothing."""

    near: np.ndarray  # int64[3, 14]
    steps: np.ndarray  # int32[candidates]
    touched: np.ndarray  # int64[256]
    bins: np.ndarray  # int64[256], where they belong
    rates: np.ndarray  # float64[slots, 10]: of vacancies whose rates are kept (see `events`)
    owner: np.ndarray  # int64[slots]: the vacancy that a row of `rates` belongs to, or -1


class WithoutHops(NamedTuple):
    """Work space of a box without hops: with this type no rates of vacancies are compiled."""

    near: np.ndarray  # int64[3, 14]


# What hops alone need is () in a box without them: numba hands every number of every array over at
# each call, and half of the compilation goes there. Not None, by which each call from Python would
# look up the types of all arguments anew.
_OF_STEPS = ("around", "around_layers", "beside", "beyond", "group_end", "shift")
NO_HOPS_OF_GEOMETRY: dict[str, Any] = dict.fromkeys(
    (*_OF_STEPS, "pattern", "wrap_layer", "way"), ()
)
NO_HOPS_OF_ONE_SPECIES: dict[str, Any] = {"first_hop": (), "hop_rate": (), "hop_energy_ueV": ()}
NO_HOPS_OF_STATE: dict[str, Any] = {"hops": ()}


class Limits(NamedTuple):
    """Absolute values at which `advance` returns.

    Net charge counts in the direction of the current: strips less plates or, while the current
    plates, plates less strips.
    """

    events: int
    strips: int  # net charge in atoms
    attempts: int
    vacant_L1: int
    time_s: float  # the clock stops exactly here, and time is up
    pause_time_s: float  # the clock stops exactly here, with the next attempt put off
    before_strip: int  # returns when the next atom of the current is due after so much net charge


class EventLog(NamedTuple):
    """Record of every event; empty arrays when not wanted. Sites are the user's numbers."""

    kind: np.ndarray  # int8
    site_from: np.ndarray  # int64, -1 for absorption, closure and plate: metal from outside
    site_to: np.ndarray  # int64, -1 for a strip or an emission
    species: np.ndarray  # int8; of a closure, the atom that entered at the top
    time_s: np.ndarray  # float64
