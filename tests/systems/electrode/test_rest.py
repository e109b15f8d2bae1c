"""Rest after stripping: phases of a run, and what voids do without current."""

from __future__ import annotations

import math

import fake
import numpy as np
import pytest

from kmc.analysis import ripening
from kmc.errors import InputError
from kmc.model import rate_tables
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run
from kmc.systems.electrode.phases import Beginning, Phase
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.run import run_to_file

SMALL = {
    "system.size": [12, 12, 12],
    "acceleration.max_hops_per_strip_per_site": 1e5,
    "stop.capacity_monolayers": 0.4,
    "rest.time_s": 0.05,
}


@pytest.fixture(scope="module")
def rested(tmp_path_factory):
    path = tmp_path_factory.mktemp("rest") / "rested.h5"
    return run_to_file(load_run("strip_li_hops", SMALL), path, progress=False)


def test_current_is_off_and_everything_else_goes_on(rested):
    s = rested.samples
    rest = s["phase"] == 1
    begun = np.flatnonzero(rest)[0]
    assert rested.finished
    assert rested.stop_reason == "capacity_monolayers reached 0.4; then rested for 0.05 s"
    assert np.all(np.diff(s["phase"]) >= 0)
    assert np.all(s["strips"][rest] == s["strips"][begun - 1])
    assert s["strips"][-1] == math.ceil(0.4 * 144)
    # Without current what is left is kT/e ln S, measured in the rest itself and falling.
    kT_V = 8.617333262e-5 * 298.15
    volts, S = s["overpotential_V"][rest], s["vacancy_activity"][rest]
    np.testing.assert_allclose(volts, kT_V * np.log(S), rtol=1e-9)
    assert len(np.unique(S)) > 90
    assert s["overpotential_V"][begun - 1] > volts[-50:].mean()
    assert not s["overpotential_charge_transfer_V"][rest].any()
    assert np.all(s["overpotential_V"][~rest] > 0)
    assert s["hops"][-1] > s["hops"][begun - 1]
    assert s["time_s"][-1] == pytest.approx(s["time_s"][begun - 1] + 0.05, rel=1e-12)


def test_cadence_of_the_rest(rested):
    rest = rested.samples["phase"] == 1
    start = rested.samples["time_s"][~rest][-1]
    # One row for each of 100 intervals in which anything happens, and never two.
    assert 75 <= rest.sum() <= 101
    interval = np.floor((rested.samples["time_s"][rest][:-1] - start) / 0.0005 * (1 - 1e-12))
    assert (np.diff(interval) >= 1).all()
    frames = rested.frames.time_s - start
    assert (frames > 0).sum() == 10
    assert (frames == 0).sum() == 1  # the moment the current was switched off


def test_the_stripping_before_it_is_that_of_a_run_without_rest(rested, tmp_path):
    alone = {**SMALL, "rest.time_s": None}
    t = run_to_file(load_run("strip_li_hops", alone), tmp_path / "t.h5", progress=False)
    n = len(t.samples)
    for name in t.samples:
        assert np.array_equal(t.samples[name], rested.samples[name][:n]), name


def test_rest_by_events(tmp_path):
    run = load_run("strip_li_hops", {**SMALL, "rest.time_s": None, "rest.events": 1000})
    t = run_to_file(run, tmp_path / "t.h5", progress=False)
    rest = t.samples["phase"] == 1
    assert t.samples["events"][-1] == t.samples["events"][~rest][-1] + 1000
    assert 95 <= rest.sum() <= 101
    assert t.stop_reason.startswith("capacity_monolayers reached 0.4; then rested for ")


def test_any_stop_leads_to_the_rest(tmp_path):
    run = load_run("strip_li_hops", {**SMALL, "stop.overpotential_V": 0.001})
    t = run_to_file(run, tmp_path / "t.h5", progress=False)
    assert t.stop_reason.startswith("overpotential_V reached 0.001; then rested for 0.05 s")


def test_a_phase_follows_from_plain_numbers():
    """What a checkpoint must hold to put a run back into its rest."""
    simulation = ElectrodeJob(load_run("strip_li_hops", SMALL))
    beginning = Beginning(1, 0.1, 5000, "capacity_monolayers reached 0.4")
    phase = Phase(simulation.run_file, simulation.model, beginning)
    assert phase.ends.limits == {"time_s": pytest.approx(0.15)}
    assert phase.samples.limit() == {"pause_time_s": pytest.approx(0.1005)}
    phase.enter(simulation.engine)
    assert simulation.engine.channels.strip == 0
    assert simulation.model.floor_ueV > 0
    assert phase.next(simulation.engine, "anything") is None


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"rest.time_s": None, "rest.frame_every_s": 1.0}, "without a rest"),
        ({"conditions.current_density_mA_cm2": 0.0}, "needs a current above 0 to rest from"),
        ({"rest.time_s": -1.0}, "time_s = -1"),
        ({"rest.events": 0}, "events = 0"),
    ],
)
def test_impossible_rests_are_refused(overrides, said):
    with pytest.raises(InputError) as caught:
        load_run("strip_li_hops", {**SMALL, **overrides})
    assert said.replace("time_s = -1", "rest.time_s").replace("events = 0", "rest.events") in str(
        caught.value
    )


def test_ripening_needs_a_rest(tmp_path):
    from kmc import load

    with pytest.raises(InputError, match="no rest with two frames"):
        ripening.measure(load(fake.write(tmp_path / "t.h5")))


def test_ripening_finds_the_exponent_it_was_given():
    import pandas as pd

    time_s = np.linspace(0, 100, 60)
    for m in (0.25, 1 / 3):
        table = pd.DataFrame({"rest_s": time_s, "mean_radius_nm": 0.5 * (1 + time_s / 2) ** m})
        found, error = ripening._fit(table)
        assert found == pytest.approx(m, abs=1e-3)
        assert error < 1e-3


def test_ripening_of_a_run(rested):
    found = ripening.measure(rested)
    assert len(found.table) == 11
    assert found.table["vacancies_in_voids"].equals(
        found.table["vacancies_in_voids"].__class__([v.sum() for v in found.volumes])
    )
    assert "Ripening over 0.05 s" in repr(found)
    assert not found.measurable
    assert found.plot().axes


@pytest.mark.slow
@pytest.mark.validation
def test_contact_does_not_get_worse_at_rest(tmp_path):
    """Gibbs–Thomson and the reservoir: the change of contact over a rest, mean of eight seeds.

    Contact of the last quarter of the rest minus that at switch-off. Fails where the mean is
    below zero; that it is above is asserted with 97.5 % confidence (t of 7 degrees of freedom).
    """
    changes = []
    for seed in range(8):
        settings = {**SMALL, "system.size": [20, 20, 12], "rest.time_s": 0.5, "random.seed": seed}
        settings["acceleration.max_hops_per_strip_per_site"] = 1e4
        t = run_to_file(
            load_run("strip_li_hops", settings), tmp_path / f"{seed}.h5", progress=False
        )
        rest = t.samples["phase"] == 1
        contact = t.samples["contact_fraction"]
        changes.append(contact[rest][-25:].mean() - contact[~rest][-1])
    error = np.std(changes, ddof=1) / math.sqrt(len(changes))
    assert np.mean(changes) > 2.365 * error


@pytest.mark.validation
@pytest.mark.parametrize("temperature_K", [273.15, 298.15, 333.15, 373.15])
def test_rates_and_equilibrium_follow_arrhenius(temperature_K):
    """D_v of the reservoir with E0 = 0.055 eV, emission with E0 + E_f, against 298.15 K.

    E0 is exact, up to rounding; E_f is a sum of bonds of whole µeV, which 1/kT makes some 1e-5.
    """
    lattice, values = fake.lattice(), load_parameters("li_li2s")

    def at(kelvin):
        return Model(
            lattice, values, kelvin, current_density_mA_cm2=0.5, electrode_thickness_um=100.0
        )

    model, reference = at(temperature_K), at(298.15)
    beta = (1 / temperature_K - 1 / 298.15) / 8.617333262e-5
    absorbed = model.absorption_rate_Hz / reference.absorption_rate_Hz
    emitted = model.emission_rate_per_site_Hz / reference.emission_rate_per_site_Hz
    assert absorbed == pytest.approx(math.exp(-0.055 * beta), rel=1e-6)
    assert emitted == pytest.approx(math.exp(-0.555 * beta), rel=1e-4)
    rates = rate_tables.law(model, alloy=False).hop_rate.max() * model.unit_Hz
    assert rates <= model.attempt_frequency_Hz * (1 + 1e-12)


def test_the_temperature_series_differs_in_temperature_alone():
    runs = [load_run(f"temperature_{name}") for name in ("0C", "25C", "60C", "100C")]
    assert [run.conditions.temperature_K for run in runs] == [273.15, 298.15, 333.15, 373.15]
    tables = [run.resolved() for run in runs]
    for table in tables:
        table["conditions"].pop("temperature_K")
    assert all(table == tables[0] for table in tables)
