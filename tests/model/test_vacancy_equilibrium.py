"""Vacancies in equilibrium: the compiled chain against the plain one and against enumeration."""

import math
from dataclasses import replace

import equilibrium as plain
import numpy as np
import pytest
from marks import slow
from scipy.signal import lfilter

from kmc.errors import InputError
from kmc.kernels import equilibrium as kernel
from kmc.model.equilibrium import Relaxation, VacancyEquilibrium, _autocorrelation_time
from kmc.model.hamiltonian import Hamiltonian, calibrate, total_energy_ueV
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

FACES = ("bcc_100", "bcc_110", "bcc_111")
K_B_ueV = 86.17333262  # per K


class Case:
    """A small box, its energies, and its exact distribution."""

    def __init__(
        self, face="bcc_100", cells=(4, 4), kelvin=700.0, mg=0, chemistries=1, change=None
    ):
        self.lattice = Lattice(face, cells, 8, "interface", 3.506)
        parameters = load_parameters("limg_li2s")
        self.hamiltonians = [calibrate(parameters, self.lattice)]
        if change is not None:
            self.hamiltonians = [change(self.hamiltonians[0])]
        self.chemistry = None
        if chemistries == 2:
            # In the second a vacancy of L1 costs 0.1 eV less, one of L2 0.05 eV more.
            phi = self.hamiltonians[0].phi.copy()
            phi[1:, 1] += 100_000
            phi[1:, 2] -= 50_000
            self.hamiltonians.append(replace(self.hamiltonians[0], phi=phi))
            self.chemistry = np.arange(self.lattice.sites_per_layer) % 3 % 2
        self.kT_ueV = K_B_ueV * kelvin
        # Of bulk Li that is put on a kink, half of the bonds are left (docs/model/energy.md).
        h = self.hamiltonians[0]
        self.kink_ueV = round((8 * h.bond1[1, 1] + 6 * h.bond2[1, 1]) / 2)
        self.metal = np.ones(self.lattice.n_sites, dtype=np.uint8)
        per_layer = self.lattice.sites_per_layer
        # Mg in L2, then in L1, then in L3, where it is felt most.
        self.metal[[per_layer + 1, 5, 2 * per_layer + 3][:mg]] = 2

    def energy(self, occupancy):
        return total_energy_ueV(self.hamiltonians, self.chemistry, occupancy, self.lattice)

    def exact(self, n, sites=None):
        return plain.enumerated(self.energy, self.kink_ueV, self.kT_ueV, self.metal, n, sites)

    def chain(self, occupancy):
        given = self.lattice, self.hamiltonians, self.kT_ueV, occupancy, self.chemistry
        return VacancyEquilibrium(*given)

    def with_vacancies(self, n, rng):
        occupancy = self.metal.copy()
        occupancy[rng.choice(np.flatnonzero(occupancy == 1), n, replace=False)] = 0
        return occupancy

    def observables(self, sites):
        """Of each way: vacancies in L1, L2 and L3, pairs within reach of a bond, even chemistry."""
        sites = np.atleast_2d(sites)
        layer = self.lattice.layer[sites]
        columns = [(layer == k).sum(axis=1) for k in (1, 2, 3)]
        column = sites % self.lattice.sites_per_layer % 3 % 2
        columns.append(((layer == 1) & (column == 1)).sum(axis=1))
        if sites.shape[1] == 2:
            near = np.concatenate([self.lattice.neighbour_table(k) for k in (1, 2)], axis=1)
            columns.append((near[sites[:, 0]] == sites[:, 1:]).any(axis=1))
        return np.stack(columns, axis=1).astype(float)


def deviations(case, n, wrong=None, blocks=24, samples=150):
    """z of means of samples and of the contact with n vacancies, and of S with n − 1."""
    ways, weights = case.exact(n)
    S = case.exact(n - 1)[1].sum() / weights.sum()
    exact = weights @ case.observables(ways) / weights.sum()
    exact = np.append(exact, (exact[0], S))
    means = []
    for block in range(blocks):
        rng = np.random.default_rng([17, n, block])
        box = (wrong or case).chain(case.with_vacancies(n, rng))
        box.equilibrate(300, rng)
        values = []
        for _ in range(samples):
            share = 1 - box.equilibrate(30, rng).contact_fraction
            row = case.observables(np.flatnonzero(box.occupancy == 0))[0]
            values.append(np.append(row, share * case.lattice.sites_per_layer))
        box.flip(int(np.flatnonzero(box.occupancy == 0)[0]))
        means.append(np.append(np.mean(values, axis=0), box.equilibrate(30 * samples, rng).S))
    error = np.std(means, axis=0, ddof=1) / math.sqrt(blocks)
    return (np.mean(means, axis=0) - exact)[error > 0] / error[error > 0]


CASES = [
    *(("bcc_100", mg, 2, 1) for mg in (0, 3)),
    *(slow(face, mg, 2, 1) for face in FACES[1:] for mg in (0, 3)),
    *(slow(face, 2, 2, 2) for face in FACES),
]


@pytest.mark.validation
@pytest.mark.parametrize(("face", "mg", "chemistries", "n"), CASES)
def test_enumerated_boxes(face, mg, chemistries, n):
    """Numbers in L1, L2, L3, over one chemistry, pairs, and S, each within 3 standard errors.

    Of these some 50 numbers one or more lies outside by chance with a probability of 0.13.
    """
    z = deviations(Case(face, mg=mg, chemistries=chemistries), n)
    assert np.abs(z).max() < 3, z


def five_percent(h: Hamiltonian) -> Hamiltonian:
    return replace(h, bond1=h.bond1 * 21 // 20, bond2=h.bond2 * 21 // 20, phi=h.phi * 21 // 20)


@pytest.mark.validation
def test_five_percent_in_the_energies_are_noticed():
    z = deviations(Case(), 1, wrong=Case(change=five_percent))
    assert np.abs(z).max() > 10


@pytest.mark.validation
@pytest.mark.slow
def test_two_vacancies_of_the_prototype():
    """6 × 6 × 8 at 700 K, the two highest layers full: 1.6701, 0.1683 in L1, L2, bonded 0.2088."""
    case = Case(cells=(6, 6))
    metal = np.flatnonzero(case.lattice.layer <= 6)
    ways, weights = case.exact(2, metal)
    layers = weights @ case.observables(ways) / weights.sum()
    assert layers[[0, 1, 4]] == pytest.approx([1.6701, 0.1683, 0.2088], abs=1e-4)


def curved(h: Hamiltonian) -> Hamiltonian:
    """Any energies of coordination, not those of a metal, so that no entry passes for another."""
    table = np.random.default_rng(8).integers(-15_000, 40_000, (4, 9, 7))
    table[:, 0, 0] = 0
    return replace(h, coordination_ueV=table, bond_L1_ueV=-21_000)


@pytest.mark.parametrize(
    ("face", "change"),
    [
        ("bcc_111", None),
        ("bcc_100", curved),
        *(slow(face, curved) for face in FACES[1:]),
        *(slow(face, None) for face in FACES[:2]),
    ],
)
def test_flip_for_flip_as_the_plain_chain(face, change):
    case = Case(face, kelvin=298.15, mg=3, chemistries=2, change=change)
    occupancy = case.with_vacancies(9, np.random.default_rng(3))
    occupancy[[3, 4, -1, -2]] = 0  # in L1, and below the reservoir
    ours, theirs = np.random.default_rng(5), np.random.default_rng(5)
    box = case.chain(occupancy)
    averages = box.equilibrate(4, ours)
    given = case.energy, case.kink_ueV, case.kT_ueV, occupancy
    made, below, above = plain.chain(*given, 4, theirs)
    assert averages.pairs == made >= 2
    assert np.array_equal(box.occupancy, occupancy)
    assert averages.residence == pytest.approx(below, rel=1e-12)
    assert averages.residence_above == pytest.approx(above, rel=1e-12)
    assert ours.random() == theirs.random()
    for site in np.flatnonzero(occupancy != 2):
        expected = plain.taken_out_ueV(case.energy, case.kink_ueV, occupancy, site)
        assert box.formation_ueV[site] == expected


def test_free_vacancies():
    """Without energies S = Z_n/Z_(n+1) is (n + 1)/(M − n)."""
    case = Case()
    h = case.hamiltonians[0]
    none = {key: 0 * getattr(h, key) for key in ("bond1", "bond2", "phi", "chi")}
    case.hamiltonians, n = [replace(h, **none)], 7
    rng = np.random.default_rng(1)
    averages = case.chain(case.with_vacancies(n, rng)).equilibrate(1000, rng)
    assert averages.pairs > 900
    assert pytest.approx((n + 1) / (case.lattice.n_sites - n), rel=1e-9) == averages.S


def test_state_is_occupancy_and_generator():
    case = Case(kelvin=298.15, mg=2)
    rng = np.random.default_rng(2)
    box = case.chain(case.with_vacancies(12, rng))
    box.equilibrate(500, rng)
    again, same = case.chain(box.occupancy), np.random.default_rng()
    same.bit_generator.state = rng.bit_generator.state
    assert box.equilibrate(500, rng) == again.equilibrate(500, same)
    assert np.array_equal(box.occupancy, again.occupancy)


def test_a_strip_and_its_reverse():
    case = Case(mg=1)
    box = case.chain(case.metal)
    energy = box.formation_ueV.copy()
    box.flip(0)
    assert box.vacancies == 1
    assert box.occupancy[0] == 0
    box.flip(0)
    assert np.array_equal(box.formation_ueV, energy)
    with pytest.raises(InputError, match="holds Mg"):
        box.flip(int(np.flatnonzero(case.metal == 2)[0]))


def test_autocorrelation_time_of_a_known_series():
    """x' = a x + noise forgets at a rate of a: ½ + Σ a^k = ½ + a/(1 − a)."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=200_000)
    for a in (0.0, 0.8, 0.97):
        series = lfilter([1.0], [1.0, -a], noise)
        expected = 0.5 + a / (1 - a)
        assert _autocorrelation_time(series) == pytest.approx(expected, rel=0.05)


def test_pairs_of_a_strip():
    """A strip changes the contact by 1e-4, and is forgotten after 1000 pairs."""
    known = Relaxation(vacancies=1000, contact_fraction=0.9, contact_pairs=1000, S_pairs=400)
    assert known.pairs_per_strip(1e-3) == 100
    assert known.pairs_per_strip(1.0) == 40
    # Half of the contact is lost: a lag of 0.0015 is 0.3 % of it.
    assert replace(known, contact_fraction=0.5).pairs_per_strip() == math.ceil(1000 / 3)


def test_annealing_ends_at_the_temperature_of_the_box():
    case = Case(kelvin=298.15)
    rng = np.random.default_rng(6)
    box = case.chain(case.with_vacancies(20, rng))
    before = box.equilibrate(4000, rng)
    box.anneal(8000, rng)
    after = box.equilibrate(4000, rng)
    assert box.box.half == 0.5 / case.kT_ueV
    vacancy = int(np.flatnonzero(box.occupancy == 0)[0])
    rate = math.exp(box.formation_ueV[vacancy] / (2 * case.kT_ueV))
    assert box.chain.sums.value[kernel.FILL, vacancy] == pytest.approx(rate, rel=1e-12)
    assert after.vacancies == 20
    assert after.energy_ueV < before.energy_ueV + 3 * case.kT_ueV


def test_a_box_without_lithium():
    case = Case()
    with pytest.raises(InputError, match="holds no Li"):
        case.chain(np.full(case.lattice.n_sites, 2))
