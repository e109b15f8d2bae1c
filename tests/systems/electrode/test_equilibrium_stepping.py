"""Equilibrium between strips: diffusion before the first void, nuclei, and a box with a void."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from kmc.errors import InputError
from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.nuclei.vapour import vapour_of
from kmc.runfile.load import load_run
from kmc.systems.electrode import snapshot
from kmc.systems.electrode.electrode_profile import ElectrodeProfile
from kmc.systems.electrode.equilibrium_stepping import EquilibriumEngine
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.electrode.summary import _validity
from kmc.systems.job import Ended, Frame, Row

SMALL = {
    "acceleration.max_hops_per_strip_per_site": math.inf,
    "system.size": [12, 12, 12],
    "stop.capacity_monolayers": 1.0,
    "output.sample_every_monolayers": 0.1,
}
FLAWED = {"interface.voids": [[2.0, 2.0, 1.0, 0.6]], "interface.patches": [[3.2, 3.2, 0.6]]}
EXCHANGED = {
    "acceleration.mg_exchange": True,
    "system.mg_coverage_L1": 0.85,
    "stop.capacity_monolayers": 0.2,
}
PATCHY = {"interface.chemistry": [{"params": "li_philic_015", "fraction": 0.3}]}


def job_of(seed: int = 1, base: str = "strip_li", **changes) -> ElectrodeJob:
    return ElectrodeJob(load_run(base, {**SMALL, "random.seed": seed, **changes}))


def run_on(job: ElectrodeJob, until=lambda job: False) -> tuple[list, list]:
    """Rows and frames up to the end, or to a moment."""
    rows, frames = [], []
    while not until(job):
        for item in job.advance():
            if isinstance(item, Row):
                rows.append(dict(item.values))
            elif isinstance(item, Frame):
                frames.append(item.arrays["occupancy"])
            elif isinstance(item, Ended):
                return rows, frames
    return rows, frames


def times_of_nuclei(engine: EquilibriumEngine) -> list[float]:
    """A list that takes the time of each nucleus; a step of the run goes on beyond it."""
    times, nucleate = [], engine._nucleate

    def noted(*arguments) -> None:
        times.append(engine.time_s)
        nucleate(*arguments)

    engine._nucleate = noted
    return times


def flat_electrode(current: float = 0.5) -> Model:
    values = load_parameters("li_li2s")
    box = Lattice("bcc_100", (12, 12), 12, "interface", values.value("lattice_parameter_A"))
    return Model(box, values, 298.15, current_density_mA_cm2=current, electrode_thickness_um=100.0)


def test_before_any_void_S_follows_diffusion_through_the_electrode():
    """S − 1 = 2 J √(t/πD)/(ρ c_eq) in thick metal; 1 + jL/(e ρ D_v c_eq) = 507 in the end.

    The first layers hold 1 % of the vacancies of 100 µm, which slow the start by as much.
    """
    model, kT = flat_electrode(), 8.617333262145e-5 * 298.15
    a_cm = 3.506e-8
    D = a_cm**2 * 2.6e12 * math.exp(-0.055 / kT)
    per_cm3 = 2 / a_cm**3 * math.exp(-0.5 / kT)
    flux = 0.5e-3 / 1.602176634e-19
    stored = math.exp(-0.28 / kT) + math.exp(-0.43 / kT)
    profile, t = ElectrodeProfile(model, stored), 0.0
    site_Hz = model.rate_per_site_Hz(0.5)
    for _ in range(400):
        profile.step(1e-4, site_Hz * 1e-4)
        t += 1e-4
    expected = 1 + 2 * flux * math.sqrt(t / (math.pi * D)) / per_cm3
    assert pytest.approx(expected, rel=0.03) == profile.S
    for _ in range(3000):
        profile.step(1e-3, site_Hz * 1e-3)
    assert pytest.approx(1 + flux * 1e-2 / (D * per_cm3), rel=1e-3) == profile.S
    # With a void at S = 6 the metal gives back two thirds of what it stored in a straight profile
    # (the rest goes to the sink), and then takes (S − 1) of 506.
    held = float(profile.held[1:] @ (profile.activity[1:] - 1.0)) * 501 / 506
    given = sum(profile.step(1e-3, S=6.0) for _ in range(3000))
    assert -given == pytest.approx(2 / 3 * held - 3.0 * 5 / 506 * site_Hz, rel=0.01)
    assert profile.step(1e-3, S=6.0) == pytest.approx(5 / 506 * site_Hz * 1e-3, rel=1e-3)


@pytest.mark.slow
def test_first_voids_come_as_the_integral_of_the_nucleation_rate_says():
    """∫ I(S) A dt at the first nuclei of 50 seeds, by an integration of its own: Exp(1).

    Each within the last step of what its seed had drawn, so that I wrong by 5 % is noticed; their
    distribution by Kolmogorov and Smirnov at 1 %.
    """
    model = flat_electrode()
    vapour = vapour_of(model.parameters, "bcc_100", 298.15)
    area_um2, site_Hz = model.lattice.area_A2 * 1e-8, model.rate_per_site_Hz(0.5)
    kT = 8.617333262145e-5 * 298.15
    profile = ElectrodeProfile(model, math.exp(-0.28 / kT) + math.exp(-0.43 / kT))
    dt, times, hazard, activity = 2e-5, [0.0], [0.0], [1.0]
    while hazard[-1] < 30.0:
        profile.step(dt, site_Hz * dt)
        times.append(times[-1] + dt)
        hazard.append(hazard[-1] + float(vapour.rate_per_um2_s(profile.S)) * area_um2 * dt)
        activity.append(profile.S)
    # Half of the boxes have a void at this S: less in one of twice the edge.
    assert np.interp(math.log(2) / 4, hazard, activity) < 0.93 * np.interp(
        math.log(2), hazard, activity
    )
    reached, drawn = [], []
    for seed in range(50):
        job = job_of(seed)
        drawn.append(job.engine._until_void)
        began = times_of_nuclei(job.engine)
        run_on(job, lambda job, began=began: bool(began))
        reached.append(np.interp(began[0], times, hazard))
    # A void comes at the end of a step of a quarter of a strip, in which the integral rises by a
    # tenth or so.
    ratio = np.array(reached) / np.array(drawn)
    assert 0.98 < np.median(ratio) < 1.15
    ordered, steps = np.sort(np.array(drawn)), np.arange(1, 51) / 50
    distance = np.abs(1 - np.exp(-np.sort(reached)) - steps).max()
    assert distance < 1.63 / math.sqrt(50)
    assert len(np.unique(ordered)) == 50


def test_S_of_a_row_is_that_of_the_vacancies_the_box_holds():
    """Within a quarter of a long chain at the n of the last row, as n grows by one a strip.

    A mean over a tenth of a monolayer would show 30 to 50, that of the nucleus.
    """
    job = job_of(**{"system.size": [16, 16, 14], "stop.capacity_monolayers": 0.5})
    rows, _ = run_on(job)
    box, rng = job.engine._chain, np.random.default_rng(1)
    box.equilibrate(20_000, rng)
    S = box.equilibrate(60_000, rng).S
    assert box.vacancies > 100
    assert rows[-1]["vacancy_activity"] == pytest.approx(S, rel=0.25)


def test_beyond_forty_kT_no_void_comes():
    """0.02 mA/cm²: S stays below 22, the barrier above 60 kT."""
    job = job_of(**{"conditions.current_density_mA_cm2": 0.02, "stop.capacity_monolayers": 2.0})
    rows, _ = run_on(job)
    assert job.engine.open
    assert rows[-1]["vacancy_activity"] < 22
    assert max(row["vacancies"] for row in rows) < 10
    assert [v.model.barrier_kT(22) > 40 for _, v in job.engine._vapours] == [True]


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ("strip_li", {}),
        pytest.param("strip_limg", {}, marks=pytest.mark.slow),
        pytest.param("strip_limg", EXCHANGED, marks=pytest.mark.slow),
        pytest.param("strip_li", FLAWED, marks=pytest.mark.slow),
        pytest.param("strip_li", PATCHY, marks=pytest.mark.slow),
    ],
)
def test_a_run_adds_up_and_goes_on_from_its_state(base, changes):
    """Vacancies, energy and counts agree with those built from scratch; a run that is taken up in
    the middle gives the same rows and frames."""
    job = job_of(base=base, **changes)
    rows, frames = run_on(job)
    assert snapshot.differences(job.engine) == []
    last = rows[-1]
    gained = last["strips"] - last["absorbed"] + last["emitted"]
    assert last["vacancies"] - rows[0]["vacancies"] == gained
    assert last["hops"] == 0
    # Nuclei are those of the Mg that L1 has now: exchanges bring it from 85 to 94 %.
    covered = job.engine.count(tables.MG_L1) / job.model.lattice.sites_per_layer
    assert job.engine._coverage == pytest.approx(covered, abs=0.06)
    first = job_of(base=base, **changes)
    half = last["strips"] // 2
    before = run_on(first, lambda job: job.engine.count(tables.STRIPS) > half)
    second = ElectrodeJob(first.run_file)
    second.restore(first.state())
    after = run_on(second)
    assert before[0] + after[0] == rows
    assert all(np.array_equal(a, b) for a, b in zip(before[1] + after[1], frames, strict=True))


def test_progress_counts_events_that_are_rare():
    """Some hundred strips a second, not 0.00 million."""
    job = job_of()
    run_on(job, lambda job: job.engine.count(tables.STRIPS) > 20)
    _, text = job.progress()
    number = re.search(r"contact [\d.]+  (\d+) events/s$", text)
    assert number, text
    assert int(number[1]) > 0


def test_at_rest_the_electrode_gives_back_what_it_stored():
    """Without current S of an open interface falls with the time L²/D of the electrode."""
    job = job_of(**{"stop.capacity_monolayers": 0.05, "rest.time_s": 0.3})
    rows, _ = run_on(job)
    rest = [row for row in rows if row["phase"] == 1]
    volts = np.array([row["overpotential_V"] for row in rest])
    kT = 8.617333262145e-5 * 298.15
    assert volts[0] == pytest.approx(kT * math.log(rest[0]["vacancy_activity"]), rel=1e-9)
    assert np.all(np.diff(volts) < 0)
    assert volts[-1] > 0.2 * volts[0]


def test_what_has_no_meaning_in_equilibrium_is_refused():
    for key, value in (
        ("acceleration.superbasins", True),
        ("conditions.exchange", True),
        ("acceleration.lateral_supersaturation", 1.0),
        ("system.boundary", "periodic"),
    ):
        with pytest.raises(InputError, match="max_hops_per_strip_per_site"):
            job_of(**{key: value})
    for run in ("cell_li", "cathode_se"):  # a deposition takes it: its own tests
        with pytest.raises(InputError, match="has no meaning in a run with"):
            load_run(run, {"acceleration.max_hops_per_strip_per_site": math.inf})


def test_mg_that_stands_still_is_named():
    """Beside a vacancy it hops with ν exp(−0.102 eV/kT), 5e10 times a second."""
    job = job_of(base="strip_limg", **{"system.size": [6, 6, 8]})
    limits = job.resolved["acceleration"]["equilibrium"]
    hop_Hz = 2.6e12 * math.exp(-0.102 / (8.617333262145e-5 * 298.15))
    strips_Hz = job.model.rate_per_site_Hz(0.5) * 36
    assert limits["mg_hops_per_strip"] == pytest.approx(hop_Hz / strips_Hz, rel=1e-4)
    run = SimpleNamespace(run={"system": {"mg_fraction": 0.03}}, acceleration={})
    assert "Mg stands still, though" in _validity(run, None, limits)
    run.run["acceleration"] = {"mg_exchange": True}
    assert "Mg beside voids stands still, though" in _validity(run, None, limits)
    run.run["system"]["mg_fraction"] = 0.0
    assert "Mg" not in _validity(run, None, limits)


@pytest.mark.long
def test_contact_of_one_void_is_that_of_equilibrium():
    """0.956, 0.867 and 0.792 at 320, 1580 and 3100 vacancies (shared values of one void each)."""
    job = job_of(
        **{
            "system.size": [40, 40, 24],
            "stop.capacity_monolayers": 2.0,
            "output.sample_every_monolayers": 0.02,
        }
    )
    assert isinstance(job.engine, EquilibriumEngine)
    rows, _ = run_on(job)
    n = np.array([row["vacancies"] for row in rows])
    contact = np.array([row["contact_fraction"] for row in rows])
    for size, value, tolerance in ((320, 0.956, 0.005), (1580, 0.867, 0.01), (3100, 0.792, 0.01)):
        near = np.argsort(np.abs(n - size))[:3]
        assert contact[near].mean() == pytest.approx(value, abs=tolerance), size
    S = np.array([row["vacancy_activity"] for row in rows])
    assert 3.9 < S[np.argsort(np.abs(n - 300))[:3]].mean() < 5.9  # 4.6; 3.9 to 5.6 of single n
    assert 1.7 < S[-1] < 2.5
    assert rows[-1]["absorbed"] - rows[-1]["emitted"] < 100
