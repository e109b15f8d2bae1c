"""Energies and rates of single events as tables, in the form the kernels look them up."""

import math

import numpy as np

from kmc.errors import InputError
from kmc.kernels import selection, tables
from kmc.model.electrochemistry import Drive
from kmc.model.hamiltonian import LI, MG, VACANCY
from kmc.model.model import Model
from kmc.model.solute import activation_energy_ueV

_FINE = 1024  # µeV per step of the coarse Boltzmann table
_CHEMISTRY = 1 << tables.CHEMISTRY_SHIFT  # columns of a table for each chemistry
_HOPS_TO_A_LAYER = 4  # of bcc (100)
_MIN_HOPS = 30.0  # of a walk worth drawing at once: it takes as long as so many hops
_HOPS = 2048  # of them those that a hop of a pure metal can name
_MEMORY_MONOLAYERS = 0.1  # charge over which the measured activity of vacancies forgets the past
_MIN_MEMORY = 100.0  # strips
# Of `tables.Channels` what is no rate, or one that is the same in every layer (`lone_vacancy`).
_BESIDE_A_LONE_VACANCY = ("unit_Hz", "strip", "emission", "absorbs", "forgetting")


def one_species(model: Model) -> tables.OneSpecies:
    """Tables of a pure metal."""
    h, kT = model.hamiltonian, model.kT_ueV
    e1, e2 = int(h.bond1[LI, LI]), int(h.bond2[LI, LI])
    site = model.site_binding_ueV(LI)
    # Index of a hop (see `tables.OneSpecies`): chemistry and class of the atom, then the
    # difference of the packed counts (nv1 + 16 nv2), atom minus vacancy.
    index = np.arange(_HOPS // 2)
    # The counts of both ends as one difference: a hop depends on nothing else, and the table fits
    # the cache.
    packed = index % 256 - 128
    d_nv1 = (packed + 7) % 16 - 7
    d_nv2 = (packed - d_nv1) // 16
    n_chemistries = len(model.hamiltonians)
    columns = (n_chemistries - 1) * _CHEMISTRY + _HOPS
    rows = tables.ALONE + site.size
    hop_rate = np.zeros((rows, columns))
    hop_energy = np.zeros((rows, columns), dtype=np.int32)
    barrier_ueV = int(model.barriers_ueV[0])
    only_one = packed == tables.NV1  # the atom beside a lone vacancy sees that one only
    for chemistry in range(n_chemistries):
        pair = site[4 * chemistry + index // 256][None, :] - site[:, None]
        energy = pair - e1 * d_nv1 - e2 * d_nv2 + e1
        here = slice(chemistry * _CHEMISTRY, chemistry * _CHEMISTRY + index.size)
        classes = np.arange(site.size)[:, None] % tables.N_CLASSES, index[None, :] // 256
        lone_floor = np.where(only_one, model.lone_floors_ueV[classes], model.floor_ueV)
        for first, floor in ((0, model.floor_ueV), (tables.ALONE, lone_floor)):
            activation = activation_energy_ueV(barrier_ueV, energy, floor)
            rate = np.exp(-activation / kT) * (model.attempt_frequency_Hz / model.unit_Hz)
            hop_rate[first : first + site.size, here] = rate
            hop_energy[first : first + site.size, here] = energy
    counts = np.arange(128)
    lost = e1 * (counts & 15) + e2 * (counts >> 4)
    binding = site[:, None] - lost
    excess = (binding - model.strip_reference_ueV) / kT
    # Rows are 4 * chemistry + class.
    metal = np.tile(_has_metal(model), (n_chemistries, 1))
    expected = np.minimum(np.exp(-(site - model.kink_ueV) / kT), tables.MAX_EXPECTED)
    bits = np.arange(n_chemistries * _CHEMISTRY)
    counts_to = bits & tables.MASK_VACANCIES
    row = _row_of(bits) + np.where(counts_to == 0, tables.ALONE, 0)
    law = tables.OneSpecies(
        first_hop=(row * columns + 128 - counts_to).astype(np.int32),
        hop_rate=hop_rate.reshape(-1),
        hop_energy_ueV=hop_energy.reshape(-1),
        binding_ueV=binding.astype(np.int32),
        strip_weight=np.exp(-model.strip_weight_lambda * excess) * metal,
        plate_weight=np.exp((1.0 - model.strip_weight_lambda) * excess) * metal,
        expected=np.floor(expected / tables.EXPECTED_UNIT + 0.5).astype(np.int64),
        absorption=np.exp(-lost / kT) * (model.absorption_rate_Hz / model.unit_Hz),
    )
    if model.at_equilibrium:
        law = law._replace(**tables.NO_HOPS_OF_ONE_SPECIES)
    return law


def _row_of(bits: np.ndarray) -> np.ndarray:
    """Row 4 * chemistry + class of the lowest 16 bits of a state."""
    return 4 * (bits >> tables.CHEMISTRY_SHIFT) + ((bits >> tables.CLASS_SHIFT) & 3)


def _has_metal(model: Model) -> np.ndarray:
    """By class and packed counts (nv2, nv1): 0 where every neighbour is vacant, else 1.

    An atom without metal beside it has no way for its electron, so that it is not oxidised; nor is
    an ion reduced there.
    """
    counts = np.arange(128)
    nv1, nv2 = counts & 15, counts >> 4
    metal = np.ones((tables.N_CLASSES, counts.size))
    for layer in range(1, model.n_classes_used + 1):
        n1, n2 = model.hamiltonian.n_neighbours[:, layer]
        first, second = nv1 >= n1, nv2 >= n2
        metal[layer, first & second if model.interaction_shells == 2 else first] = 0.0
    return metal


def two_species(model: Model) -> tables.TwoSpecies:
    """Tables of an alloy."""
    h, kT = model.hamiltonian, model.kT_ueV
    if "Mg" not in model.parameters.species:
        raise InputError(
            f"the parameter set {model.parameters.name} has no Mg",
            advice="Use a set with Mg, such as limg_li2s.",
        )
    bits = np.arange(len(model.hamiltonians) * _CHEMISTRY)
    nv1, nv2, classes, cx = bits & 15, (bits >> 4) & 7, (bits >> 8) & 3, (bits >> 11) & 7
    rows = _row_of(bits)
    counts = np.arange(tables.MASK_MG + 1)
    nm1, nm2 = counts & 15, counts >> 4
    site = np.zeros((3, bits.size), dtype=np.int64)
    mg_bonds = np.zeros((3, counts.size), dtype=np.int64)
    pair = np.zeros((3, 4, 4), dtype=np.int64)
    for x in (LI, MG):
        site[x] = model.site_binding_ueV(x)[rows] - h.bond1[x, LI] * nv1 - h.bond2[x, LI] * nv2
        site[x] += h.chi * cx * (classes == 1)  # a vacancy of L1 stays behind, beside cx Mg
        mg_bonds[x] = (h.bond1[x, MG] - h.bond1[x, LI]) * nm1
        mg_bonds[x] += (h.bond2[x, MG] - h.bond2[x, LI]) * nm2
        pair[x] = h.bond1[x, x]
    site[MG] -= h.chi * cx * (classes == 2)  # an Mg of L2 takes its pairs along
    pair[MG, 1, 2] += h.chi
    pair[MG, 2, 1] += h.chi
    highest = model.floor_ueV + int(model.barriers_ueV.max())
    highest += 2 * int(np.abs(site).max() + np.abs(mg_bonds).max())
    barriers, share = model.barriers_ueV, model.refill_mg_fraction
    metal = np.ones((tables.N_CLASSES, 256))  # by the bits of `tables.MASK_METAL`
    metal[:, :128] = _has_metal(model)
    # exp(a + b) as a product of two tables: an alloy has more energies than one table could hold.
    coarse = np.exp(-_FINE * np.arange(highest // _FINE + 2) / kT)
    # Binding of an atom and what its class and that of the vacancy add, (4, columns): a column is
    # the lowest 16 bits of the atom's state, with bit `tables.HOP_MG_SHIFT` for Mg.
    of_class = (bits >> tables.CLASS_SHIFT) & 3
    species = np.where(bits >> tables.HOP_MG_SHIFT & 1, MG, LI)
    own = site[species, bits & ~(1 << tables.HOP_MG_SHIFT)]
    hops = own + pair[species, np.arange(tables.N_CLASSES)[:, None], of_class]
    return tables.TwoSpecies(
        site_ueV=site.astype(np.int32),
        mg_bonds_ueV=mg_bonds.astype(np.int32),
        hop_ueV=hops.astype(np.int32),
        barrier_ueV=np.array([0, 0, *barriers[:2], *barriers[[2, 2]]], dtype=np.int32),
        floors_ueV=np.append(model.lone_floors_ueV, model.floor_ueV).astype(np.int32),
        floor_rules=model.lone_floors_ueV.min() >= int(model.barriers_ueV.max()),
        rate_coarse=coarse * (model.attempt_frequency_Hz / model.unit_Hz),
        rate_fine=np.exp(-np.arange(_FINE) / kT),
        strip_reference_ueV=model.strip_reference_ueV,
        strip_exponent=model.strip_weight_lambda / kT,
        plate_exponent=(1.0 - model.strip_weight_lambda) / kT,
        metal=metal.reshape(-1),
        kink_ueV=model.kink_ueV,
        absorption=np.array([0.0, 1.0 - share, share]) * (model.absorption_rate_Hz / model.unit_Hz),
        bulk_binding_ueV=np.array([0, h.bulk_binding_ueV(LI), h.bulk_binding_ueV(MG)]),
        exchange_floor_ueV=model.exchange_floor_ueV,
        inverse_kT=1.0 / kT,
    )


def lone_vacancy(model: Model, wanted: bool) -> tables.LoneVacancy | tables.NoWalks | None:
    """Rates of the only vacancy of a box, layer by layer, if wanted; None where nothing hops."""
    if model.at_equilibrium:
        return None
    n = model.lattice.layers
    if not wanted:
        return tables.NoWalks(layers=n)
    # What is left behind has lost the bonds of an atom: hops follow these differences.
    classes = model.layer_class()
    site = model.site_binding_ueV(LI)[classes]
    floor = model.lone_floors_ueV[classes[:-1], classes[1:]]  # between a layer and the next
    rate = np.zeros((2, n))
    for side, layers, energy in (
        (0, slice(1, n), -np.diff(site)),
        (1, slice(n - 1), np.diff(site)),
    ):
        activation = activation_energy_ueV(int(model.barriers_ueV[0]), energy, floor)
        hop = np.exp(-activation / model.kT_ueV) * (model.attempt_frequency_Hz / model.unit_Hz)
        rate[side, layers] = _HOPS_TO_A_LAYER * hop
    nx, ny = model.lattice.cells
    return tables.LoneVacancy(
        nx=nx,
        ny=ny,
        layers=n,
        rate=rate,
        absorption=model.absorption_rate_Hz / model.unit_Hz,
        most_others=float(rate.max()) / _MIN_HOPS,
        lost=np.zeros((2, n)),
        kept=np.zeros((2, n)),
    )


def law(model: Model, alloy: bool) -> tables.OneSpecies | tables.TwoSpecies:
    """Energy and rate tables: `OneSpecies`, or `TwoSpecies` when Mg may be present.

    Without hops and absorption where vacancies are in equilibrium between events.
    """
    tables_ = two_species(model) if alloy else one_species(model)
    if model.at_equilibrium:
        hops = "rate_coarse" if alloy else "hop_rate"
        for name in (hops, "absorption"):
            tables_ = tables_._replace(**{name: np.zeros_like(getattr(tables_, name))})
    return tables_


# --- processes other than hops ---


def channels(
    model: Model, drive: Drive | None = None, charge_transfer_V: float | None = None
) -> tables.Channels:
    """Processes other than hops.

    - `drive`: what drives charge transfer; that of the model by default.
    - `charge_transfer_V`: overpotential of the interface that is held; that of the drive by
      default.
    """
    drive = model.drive if drive is None else drive
    emission_Hz = model.emission_rate_per_site_Hz * model.lattice.sites_per_layer
    if model.at_equilibrium:
        emission_Hz = 0.0
    strip_Hz, strip_per_weight_Hz, plate_per_weight_Hz = 0.0, 0.0, 0.0
    if drive.overpotential_V is not None:
        held = drive.overpotential_V if charge_transfer_V is None else charge_transfer_V
        strip_per_weight_Hz, plate_per_weight_Hz = model.charge_transfer_rates_Hz(held)
    elif model.has_interface:
        per_site_Hz = model.rate_per_site_Hz(drive.current_density_mA_cm2)
        strip_Hz = abs(per_site_Hz * model.lattice.sites_per_layer)
    exchange_Hz2 = 0.0
    # At a given current η follows from the product of both rates, which does not depend on it.
    if model.exchange and strip_Hz > 0.0:
        exchange_Hz2 = math.prod(model.charge_transfer_rates_Hz(0.0))
    n_L1 = model.lattice.sites_per_layer
    creep_Hz = np.empty(0)
    if model.pressure_MPa(drive) > 0:
        # For every number of vacant sites beforehand: the loop then looks its rate up.
        creep_Hz = np.array([model.closure_rate_Hz(1 - n / n_L1, drive) for n in range(n_L1 + 1)])
    # While a given current plates, what the strips before left behind is no property of the
    # interface: a row then has what was met since the row before (`Engine.begin_row`).
    forgets = not drive.plates or drive.overpotential_V is not None
    memory = max(_MIN_MEMORY, _MEMORY_MONOLAYERS * n_L1)
    rates = tables.Channels(
        unit_Hz=model.unit_Hz,
        strip=strip_Hz / model.unit_Hz,
        strip_per_weight=strip_per_weight_Hz / model.unit_Hz,
        plate_per_weight=plate_per_weight_Hz / model.unit_Hz,
        exchange=exchange_Hz2 / model.unit_Hz**2,
        plating=drive.plates,
        plates=model.plates,
        forgetting=1.0 / memory if forgets else 0.0,
        emission=emission_Hz / model.unit_Hz,
        absorbs=model.absorption_rate_Hz > 0.0 and not model.at_equilibrium,
        creep=creep_Hz / model.unit_Hz,
        mg_share=float(model.reservoir_mg_fraction),
        mg_exchange=0.0,  # `Engine.set_mixing`
    )
    others = rates._asdict().items()
    refused = [name for name, rate in others if np.any(rate) and name not in _BESIDE_A_LONE_VACANCY]
    if model.superbasins and refused:
        problem = f"superbasins = True knows no process with a rate in {', '.join(refused)}"
        raise InputError(problem, advice="Set superbasins = False.")
    return rates


# --- state of the kernels ---


def new_state(
    model: Model, occupancy: np.ndarray, alloy: bool, capacity: int | None = None
) -> tables.State:
    """Kernel state of a configuration, not yet counted and sorted (`kernels.loop.prepare`).

    - `occupancy`: array of uint8, shape (n_sites,).
    - `alloy`: whether the state will run with the tables for Mg.
    - `capacity`: vacancies that fit before the bins must grow.
    """
    occupancy = np.asarray(occupancy, dtype=np.uint8)
    chemistry = model.interphase.chemistry if model.interphase else None
    site_state = model.kernel_lattice.site_states(occupancy, model.layer_class(), chemistry)
    if capacity is None:
        # Room for what a short run makes; bins that fill up are doubled, which costs a copy.
        capacity = int(1.25 * (occupancy == VACANCY).sum()) + 1024
    active = 2 * model.lattice.sites_per_layer if model.has_interface else 1
    plating = active if model.plates else 1
    counters = np.zeros(tables.N_COUNTERS, dtype=np.int64)
    # H of the box full of Li, without a look at every bond; `loop.prepare` adds what differs.
    counters[tables.ENERGY] = model.hamiltonian.perfect_energy_ueV(model.lattice)
    for k, h in enumerate(model.hamiltonians[1:], start=1):
        sites = int(np.count_nonzero(chemistry == k))
        counters[tables.ENERGY] += sites * int((h.phi - model.hamiltonian.phi)[LI, 1:3].sum())
    clock = np.zeros(tables.N_CLOCK)
    clock[tables.PUT_OFF] = -1.0
    listed = alloy and model.mg_exchange
    h, gain = model.hamiltonian, 0  # the most that Mg neighbours can hold an atom better than Li
    if "Mg" in model.parameters.species:
        gain1, gain2 = (np.max(b[1:, MG] - b[1:, LI], initial=0) for b in (h.bond1, h.bond2))
        gain = int(8 * gain1 + 6 * gain2)
    lowest = min(model.floor_ueV, int(model.lone_floors_ueV.min()))
    # Above every total rate a vacancy can have: 8 hops at the lowest barrier, and absorption.
    highest_Hz = 8 * (model.attempt_frequency_Hz * model.boltzmann(lowest))
    highest_Hz += 2 * (model.absorption_rate_Hz * model.boltzmann(-gain))
    # Above every weight that there can be, so that no bin is missing for one.
    share, reference = model.strip_weight_lambda, model.strip_reference_ueV
    strip = share * (reference - model.weakest_strip_ueV())
    plate = (1.0 - share) * (model.strongest_strip_ueV() - reference)
    highest_strip, highest_plate = (math.exp(max(0.0, e) / model.kT_ueV) for e in (strip, plate))
    state = tables.State(
        site_state=site_state,
        hops=_empty_bins(site_state.size, capacity, highest_Hz / model.unit_Hz),
        strips=_empty_bins(active, active, highest_strip),
        plates=_empty_bins(plating, plating, highest_plate),
        counters=counters,
        clock=clock,
        dirty=np.zeros(active, dtype=np.int32),
        monomer=np.zeros(active, dtype=np.int64),
        isolated=np.zeros(2, dtype=np.int64),
        activity=np.zeros(2),
        mg=tables.MgList(
            sites=np.zeros(model.lattice.n_sites if listed else 0, dtype=np.int32),
            place=np.full(site_state.size if listed else 0, -1, dtype=np.int32),
            length=np.zeros(1, dtype=np.int64),
        ),
    )
    if model.at_equilibrium:
        state = state._replace(**tables.NO_HOPS_OF_STATE)
    return state


def occupancy_of(model: Model, state: tables.State) -> np.ndarray:
    """Species of the sites of the box, uint8 of shape (n_sites,)."""
    occupancy = np.empty((model.lattice.layers, model.lattice.sites_per_layer), dtype=np.uint8)
    for layer, site_state in enumerate(model.kernel_lattice.by_layer(state.site_state)):
        occupancy[layer] = (site_state >> tables.SPECIES_SHIFT) & 3
    return occupancy.reshape(-1)


def row_length(capacity: int) -> int:
    """Room for this many members in a bin, such that bins do not share lines of the cache.

    Rows a power of two apart would all begin in the same few lines.
    """
    line = 16  # int32
    return line * (2 * (capacity // (2 * line)) + 1 + 2 * (capacity % (2 * line) > line))


def _empty_bins(n_sites: int, capacity: int, highest: float) -> tables.Bins:
    """Bins whose highest holds the highest rate there can be; rates far below share the lowest."""
    n = selection.N_BINS
    octaves = max(0, math.ceil(math.log2(highest)))
    unit_bin = n - 2 - 2 * octaves
    b = np.arange(n)
    window_octaves = 1 << (selection.WINDOW_BITS - 1)
    exponent = b // 2 - unit_bin // 2
    return tables.Bins(
        members=np.empty((n, row_length(capacity)), dtype=np.int32),
        count=np.zeros(n, dtype=np.int64),
        bound=np.where(b % 2 == 0, 1.0, 1.5) * np.exp2(exponent),
        weight=np.append((2 + b % 2) << (b // 2 % window_octaves), np.zeros(n, dtype=np.int64)),
        window=np.zeros(selection.N_WINDOWS, dtype=np.int64),
        scale=np.exp2(window_octaves * np.arange(selection.N_WINDOWS) - unit_bin // 2 - 1),
        top=np.arange(selection.N_WINDOWS) << selection.WINDOW_BITS,
        where=np.full(n_sites, selection.NONE, dtype=np.int32),
        unit_bin=unit_bin,
    )
