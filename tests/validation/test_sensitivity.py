"""Every validation check run against physics that is 5 % wrong: each must notice."""

import inspect

import numpy as np
import pytest
from checks import FIVE_PERCENT, Maker, follow_atoms
from test_barrier_raising import (
    FIVE_PERCENT_UPHILL,
    HIGH_eV,
    check_enrichment,
    check_layers,
    check_void_sizes,
    uphill,
)
from test_equilibrium import (
    check_detailed_balance,
    check_detailed_balance_along_a_run,
    check_enumerated_box,
    check_layer_occupation,
    check_reservoir,
)
from test_kinetics import (
    check_constants,
    check_faraday,
    check_selection,
    check_steady_state,
    check_supersaturation,
    check_waiting_times,
)
from test_lattice_gas import check_critical_temperature
from test_transport import (
    check_magnesium_diffusion,
    check_tracer_diffusion,
    check_vacancy_diffusivity,
)

from kmc.kernels import tables

pytestmark = [pytest.mark.validation, pytest.mark.slow]


def scaled(**factors):
    return Maker(scale=factors)


def channel(name):
    """One of the kernel's rates of the whole box 5 % high."""
    return Maker(
        channels=lambda channels: channels._replace(**{name: getattr(channels, name) * 1.05})
    )


def _hops_out_of_L1(law):
    """Vacancies leave L1 5 % too fast, the way back untouched: no detailed balance."""
    rates = law.hop_rate.reshape(tables.ALONE + len(law.binding_ueV), -1).copy()
    rates[[1, tables.ALONE + 1]] *= FIVE_PERCENT  # beside other vacancies, and alone
    return law._replace(hop_rate=rates.reshape(-1))


def _bonds_to_magnesium(law):
    """Mg 5 % off in what its surroundings do to it: 5 % of a bond per Mg neighbour of Li."""
    bonds = law.mg_bonds_ueV.copy()
    first = np.arange(bonds.shape[1]) & 15
    bonds += (0.05 * 120_909 * first).astype(bonds.dtype)
    return law._replace(mg_bonds_ueV=bonds)


def _alloy_rates(law):
    return law._replace(rate_coarse=law.rate_coarse * FIVE_PERCENT)


def _absorption(law):
    return law._replace(absorption=law.absorption * FIVE_PERCENT)


NU = scaled(attempt_frequency_Hz=1.05)
HOT = scaled(temperature_K=1.05)
LEAK = Maker(law=_hops_out_of_L1)


def in_fewer(check, wrong, times=10, **arguments):
    """A case that is noticed in so many times fewer events, and therefore in all of them."""
    events = inspect.signature(check).parameters["events"].default // times
    return check, wrong, {"events": events, **arguments}


CASES = {
    "D_v: ν": (check_vacancy_diffusivity, NU, {}),
    "D_v: barrier": (check_vacancy_diffusivity, scaled(barrier_Li_eV=1.05), {}),
    "D_v: T": (check_vacancy_diffusivity, HOT, {}),
    "D*: ν": (check_tracer_diffusion, NU, {}),
    "D_Mg: barrier": (check_magnesium_diffusion, scaled(barrier_Mg_eV=1.05), {}),
    "D_Mg: ν": (check_magnesium_diffusion, NU, {}),
    "L1/bulk: E_f(L1)": in_fewer(check_layer_occupation, scaled(formation_energy_L1_eV=1.05)),
    "L1/bulk: E_f(bulk)": in_fewer(check_layer_occupation, scaled(formation_energy_bulk_eV=1.05)),
    "L1/bulk: L1→L2": (check_layer_occupation, scaled(formation_energy_L1_to_L2_eV=1.05), {}),
    "L1/bulk: rate": (check_layer_occupation, LEAK, {}),
    "waiting times": (check_waiting_times, NU, {}),
    "waiting times: one layer": (check_waiting_times, LEAK, {"name": "bcc_100"}),
    "selection: ν against the rest": (check_selection, Maker(law=_alloy_rates), {}),
    "selection: ν in the cold": (
        check_selection,
        Maker(law=_alloy_rates),
        {"kind": "cold LiMg"},
    ),
    "selection: absorption": (check_selection, Maker(law=_absorption), {}),
    "selection: strip": (check_selection, channel("strip"), {"kind": "strips"}),
    "selection: emission": (check_selection, channel("emission"), {"kind": "emission"}),
    "detailed balance": (check_detailed_balance, scaled(formation_energy_L1_eV=1.05), {}),
    "detailed balance: Mg": (check_detailed_balance, Maker(law=_bonds_to_magnesium), {}),
    "detailed balance, floor": (
        check_detailed_balance,
        Maker(law=_bonds_to_magnesium),
        {"floor_eV": 0.3},
    ),
    "detailed balance in a crowd": (
        check_detailed_balance_along_a_run,
        scaled(formation_energy_Mg_shell1_eV=1.05),
        {},
    ),
    "enumerated box: T": in_fewer(check_enumerated_box, HOT, resolution=0.05),
    "enumerated box: fill energy": (check_enumerated_box, scaled(fill_Li_near_Mg_eV=1.05), {}),
    "enumerated box: bonds": in_fewer(
        check_enumerated_box, scaled(formation_energy_bulk_eV=1.05), times=3, resolution=0.03
    ),
    "enumerated box: Mg": in_fewer(
        check_enumerated_box, scaled(formation_energy_Mg_shell1_eV=1.05), times=3, resolution=0.03
    ),
    "room temperature, floor: 5 % uphill": (
        check_layer_occupation,
        FIVE_PERCENT_UPHILL,
        {"floor_eV": HIGH_eV},
    ),
    "floor, layers: 5 % uphill": (check_layers, FIVE_PERCENT_UPHILL, {}),
    "floor, voids: 5 % uphill": (check_void_sizes, FIVE_PERCENT_UPHILL, {}),
    "floor, periodic voids: 5 % uphill": (
        check_void_sizes,
        FIVE_PERCENT_UPHILL,
        {"name": "periodic"},
    ),
    "floor, layers of an alloy: 5 % uphill": (
        check_layers,
        FIVE_PERCENT_UPHILL,
        {"name": "alloy"},
    ),
    # Vacancies carry Mg both ways: 5 % uphill would move its share in L1 by 1 % only.
    "floor, Mg: 20 % uphill": (
        check_enrichment,
        uphill(lambda dE: np.full_like(dE, 1 / 1.2)),
        {"events": 24_000_000},
    ),
    # Floors done wrong are noticed in an eighth of the hops: test_barrier_raising.
    "detailed balance, floor: 5 % uphill": (
        check_detailed_balance,
        FIVE_PERCENT_UPHILL,
        {"floor_eV": HIGH_eV},
    ),
    "reservoir: absorption": (check_reservoir, Maker(law=_absorption), {}),
    "reservoir: emission": (check_reservoir, channel("emission"), {}),
    "reservoir: T": in_fewer(check_reservoir, HOT),
    "Faraday": (check_faraday, channel("strip"), {}),
    "constants": (check_constants, scaled(lattice_parameter_A=1.05), {}),
    "supersaturation: j": (check_supersaturation, scaled(current_density_mA_cm2=1.05), {}),
    "supersaturation: L": (check_supersaturation, scaled(electrode_thickness_um=1.05), {}),
    "supersaturation: barrier": (check_supersaturation, scaled(barrier_Li_eV=1.05), {}),
    "steady state: absorption": (check_steady_state, Maker(law=_absorption), {}),
    "steady state: strip": (check_steady_state, channel("strip"), {}),
    "T_c: ε low": (check_critical_temperature, scaled(pair_bond_eV=0.95), {}),
    "T_c: ε high": (check_critical_temperature, scaled(pair_bond_eV=1.05), {}),
    "T_c: T": (check_critical_temperature, HOT, {}),
}


# A quarter to half a minute each, and other cases of the same check are in the slow suite.
LONG = {"floor, Mg: 20 % uphill", "steady state: strip", "T_c: ε high", "T_c: T"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.long] * (case in LONG)) for case in CASES]
)
def test_five_percent_is_noticed(case):
    """The check fails, and not for lack of statistics (which is `NotConclusive`)."""
    check, wrong, arguments = CASES[case]
    with pytest.raises(AssertionError) as caught:
        check(make=wrong, **arguments)
    print(f"{case}: {str(caught.value).splitlines()[0]}")


def test_a_wrong_selection_is_noticed():
    """A selector that draws again when it has found one vacancy, in 5 % of the cases."""

    def spoil(frozen):
        right, rng = frozen.draw, np.random.default_rng(502)

        def draw():
            event, time_s = right()
            again = event.site_to == 126 and rng.random() < 0.05
            return (right()[0], time_s) if again else (event, time_s)

        frozen.draw = draw

    with pytest.raises(AssertionError):
        check_selection(spoil=spoil)


def test_a_wrong_walk_has_another_correlation_factor():
    """A vacancy that turns back 5 % less often than at random: f moves by ten standard errors."""
    rng = np.random.default_rng(501)
    f = {}
    for less in (0.0, 0.05):
        f[less] = [correlation_factor(walk(rng, 400_000, less)) for _ in range(6)]
    right, wrong = np.mean(f[0.0]), np.mean(f[0.05])
    error = np.std(f[0.0]) / np.sqrt(5)
    assert abs(right - 0.7272) < 4 * error
    assert error < 0.0014  # twice that of `check_tracer_diffusion`
    assert abs(wrong - 0.7272) > 4 * 0.0007  # standard error of `check_tracer_diffusion`


def walk(rng, hops, less):
    """Directions of a vacancy: uniform over 8, but reversals a fraction `less` rarer."""
    directions = rng.integers(8, size=hops)
    for k in np.flatnonzero(directions[1:] == 7 - directions[:-1]) + 1:
        if directions[k] == 7 - directions[k - 1] and rng.random() < less:
            directions[k] = (7 - directions[k - 1] + 1 + rng.integers(7)) % 8
    return directions


def correlation_factor(directions, size=24):
    """f of the atoms that such a vacancy moves, in a periodic box of the oracle's own making."""
    vectors = np.array([[(k >> axis & 1) * 2 - 1 for axis in range(3)] for k in range(8)])
    path = np.vstack([[0, 0, 0], vectors[directions]]).cumsum(axis=0) % (2 * size)
    sites = (path[:, 0] * 2 * size + path[:, 1]) * 2 * size + path[:, 2]
    n = (2 * size) ** 3
    total, last = np.zeros((2, n, 3))
    steps = -vectors[directions].astype(float)  # the atom goes where the vacancy was
    cosine = follow_atoms(sites[1:], sites[:-1], steps, total, last) / len(directions)
    return (1 + cosine) / (1 - cosine)


def test_every_check_is_here():
    """No check of the validation files is left without a wrong model that it must notice."""
    import test_barrier_raising as floor
    import test_equilibrium as equilibrium
    import test_kinetics as kinetics
    import test_lattice_gas as lattice_gas
    import test_transport as transport

    used = {check for check, _, _ in CASES.values()}
    for module in (equilibrium, floor, kinetics, lattice_gas, transport):
        for name, check in vars(module).items():
            assert not name.startswith("check_") or check in used, name
