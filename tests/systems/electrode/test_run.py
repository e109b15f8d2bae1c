"""Whole runs: what is recorded, when they stop, and that every record adds up."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from marks import slow

import kmc
from kmc.cli.app import main
from kmc.common.units import E_C, K_B_eV
from kmc.errors import InputError
from kmc.files.table_file import TableWriter
from kmc.kernels import tables
from kmc.runfile.load import load_run, restored_run
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.phases import Beginning, Phase
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.electrode.setup import set_up
from kmc.systems.run import run_to_file

SMALL = {
    "system.size": [8, 8, 12],
    "acceleration.max_hops_per_strip_per_site": 1e4,
    "stop.capacity_monolayers": 1.0,
    "output.sample_every_monolayers": 0.1,
    "output.frame_every_monolayers": 0.25,
}
RELAX = {
    "conditions.current_density_mA_cm2": 0.0,
    "acceleration.max_hops_per_strip_per_site": None,
    "stop.capacity_monolayers": None,
    "output.sample_every_monolayers": None,
    "output.frame_every_monolayers": None,
    "output.sample_every_events": 500,
    "output.frame_every_events": 1000,
    "system.vacancy_fraction": 0.02,
    "stop.events": 5000,
}
RUNS = {
    "li": ("strip_li_hops", SMALL),
    "limg": ("strip_limg", SMALL),
    "limg_equilibrium": ("strip_limg", {**SMALL, "system.mg_coverage_L1": "equilibrium"}),
    "li_110": ("strip_li_hops", {**SMALL, "system.lattice": "bcc_110"}),
    "limg_111": ("strip_limg", {**SMALL, "system.lattice": "bcc_111"}),
    "exact_rates": (
        "strip_li_hops",
        {**SMALL, "acceleration.max_hops_per_strip_per_site": None, "stop.events": 20_000},
    ),
    "relaxation": ("strip_limg", {**SMALL, **RELAX}),
    "bulk": (
        "strip_limg",
        {**SMALL, **RELAX, "system.boundary": "periodic", "system.mg_coverage_L1": None},
    ),
    "closed": (
        "strip_li_hops",
        {**SMALL, "conditions.electrode_thickness_um": float("inf")},
    ),
}


@pytest.fixture(scope="module")
def trajectory(request, tmp_path_factory):
    """Trajectory of one of RUNS, computed once."""
    cache = request.config.stash.setdefault(_STASH, {})

    def get(name):
        if name not in cache:
            base, overrides = RUNS[name]
            path = tmp_path_factory.mktemp("runs") / f"{name}.h5"
            cache[name] = run_to_file(load_run(base, overrides), path, progress=False)
        return cache[name]

    return get


_STASH = pytest.StashKey[dict]()


@pytest.mark.parametrize("name", RUNS)
def test_energy_of_every_frame_is_that_of_its_occupancy(trajectory, name):
    """To the last µeV, from scratch."""
    t = trajectory(name)
    base, overrides = RUNS[name]
    model = ElectrodeJob(load_run(base, overrides)).model
    sample_of = {events: i for i, events in enumerate(t.samples["events"])}
    assert len(t.frames) >= 2
    for frame in t.frames:
        recorded = t.samples["energy_eV"][sample_of[frame.events]]
        energy = model.hamiltonian.energy_ueV(frame.occupancy, model.lattice)
        assert round(recorded * 1e6) == energy


@pytest.mark.parametrize("name", RUNS)
def test_every_atom_is_accounted_for(trajectory, name):
    t = trajectory(name)
    first, last = t.frames[0].occupancy, t.frames[-1].occupancy
    change = {x: int((last == x).sum()) - int((first == x).sum()) for x in (0, 1, 2)}
    s = {key: int(t.samples[key][-1]) for key in ("strips", "absorbed", "emitted")}
    mg_gain = int(t.samples["absorbed_Mg"][-1] - t.samples["emitted_Mg"][-1])
    assert change[2] == mg_gain
    assert change[1] == s["absorbed"] - s["emitted"] - mg_gain - s["strips"]
    assert t.samples["vacancies"][-1] == (last == 0).sum()
    hops = sum(t.samples[f"hops_{c}"][-1] for c in ("Li", "Li_near_Mg", "Mg"))
    assert hops == t.samples["hops"][-1]
    assert t.samples["events"][-1] == hops + s["strips"] + s["absorbed"] + s["emitted"]


@pytest.mark.parametrize("name", ["li", "limg", "li_110", "limg_111"])
def test_contact_and_capacity_follow_from_the_frames(trajectory, name):
    t = trajectory(name)
    n_L1 = int((t.lattice.layer == 1).sum())
    row = {events: i for i, events in enumerate(t.samples["events"])}
    for frame in t.frames:
        L1 = frame.occupancy[t.lattice.layer == 1]
        i = row[frame.events]
        assert t.samples["contact_fraction"][i] == pytest.approx((L1 > 0).mean())
        assert t.samples["contact_fraction_Li"][i] == pytest.approx((L1 == 1).mean())
    strips = t.samples["strips"]
    assert t.samples["capacity_monolayers"] == pytest.approx(strips / n_L1)
    area_cm2 = t.lattice.box_A[0] * t.lattice.box_A[1] * 1e-16
    assert t.samples["capacity_mAh_cm2"] == pytest.approx(strips * E_C / area_cm2 / 3.6)


def test_cadence(trajectory):
    t = trajectory("li")
    assert t.frames.capacity_monolayers == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    at_samples = np.setdiff1d(
        np.round(t.samples["capacity_monolayers"], 3), [0.25, 0.75]
    )  # frames bring a sample along
    # 0.1 monolayers of 64 sites are 6.4 atoms: the next whole atom counts.
    assert at_samples == pytest.approx(np.ceil(np.arange(11) * 6.4 - 1e-9) / 64, abs=1e-3)


def test_same_seed_same_bytes(tmp_path):
    base, overrides = RUNS["limg"]
    files = [tmp_path / f"{i}.h5" for i in range(3)]
    for path, seed in zip(files, (5, 5, 6), strict=True):
        run_to_file(load_run(base, {**overrides, "random.seed": seed}), path, progress=False)
    contents = []
    for path in files:
        with h5py.File(path, "r") as file:
            contents.append(
                [
                    file[group][name][()].tobytes()
                    for group in ("samples", "frames")
                    for name in sorted(file[group])
                ]
            )
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ({"stop.capacity_monolayers": 0.5}, "capacity_monolayers reached 0.5"),
        ({"stop.capacity_mAh_cm2": 1e-5}, "capacity_mAh_cm2 reached 1e-05"),
        ({"stop.contact_fraction": 0.9}, "contact_fraction fell to 0.9"),
        ({"stop.events": 777}, "events reached 777"),
        ({"stop.time_s": 0.01}, "time_s reached 0.01"),
        ({"stop.overpotential_V": 0.001}, "overpotential_V reached 0.001"),
        ({"stop.wall_time_s": 1e-6}, "wall_time_s reached 1e-06"),
    ],
)
def test_stops(tmp_path, stop, reason):
    run = load_run("strip_li_hops", {**SMALL, **stop})
    t = run_to_file(run, tmp_path / "t.h5", progress=False)
    assert t.finished
    assert t.stop_reason == reason
    last = {key: t.samples[key][-1] for key in t.samples.keys()}  # noqa: SIM118
    if "events" in reason:
        assert last["events"] == 777
    if reason == "time_s reached 0.01":
        assert last["time_s"] == 0.01
    if "contact" in reason:
        assert last["contact_fraction"] <= 0.9 < t.samples["contact_fraction"][-2]
    assert t.frames[-1].events == last["events"]


def test_nothing_left_to_strip(tmp_path):
    """An interface of Mg alone, with no Li below an Mg after the first few layers are gone."""
    overrides = {
        **SMALL,
        "system.size": [4, 4, 8],
        "stop.capacity_monolayers": 20.0,
        "conditions.electrode_thickness_um": float("inf"),
    }
    t = run_to_file(load_run("strip_li_hops", overrides), tmp_path / "t.h5", progress=False)
    assert t.stop_reason == "no electroactive atom left at the interface"
    assert t.samples["contact_fraction_Li"][-1] == 0
    assert np.isinf(t.samples["overpotential_V"][-1])


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "ends"), [(1, False), (4, True)])
def test_a_held_voltage_without_any_contact(layers, ends):
    """Ions are reduced onto metal that is one layer away; where none is near, the run ends."""
    overrides = {
        **SMALL,
        "conditions.current_density_mA_cm2": None,
        "conditions.overpotential_V": 0.02,
    }
    model = ElectrodeJob(load_run("strip_li_hops", overrides)).model
    occupancy = np.ones(model.lattice.n_sites, dtype=np.uint8)
    occupancy[: layers * model.lattice.sites_per_layer] = 0
    engine = Engine(model, occupancy, np.random.default_rng(1))
    engine.split_voltage()
    reason = engine.advance(attempts=10)
    assert (reason == tables.NO_ELECTROACTIVE) == ends
    assert (engine.count(tables.EVENTS) == 0) == ends


def test_time_passes_where_next_to_nothing_happens(tmp_path):
    """At 80 K the only hops left are rare: the clock jumps to the limit, no endless loop."""
    overrides = {
        **SMALL,
        **RELAX,
        "stop.events": None,
        "conditions.temperature_K": 80.0,
        "acceleration.saddle_floor_eV": 1.0,
        "conditions.electrode_thickness_um": float("inf"),
        "stop.time_s": 1.0,
    }
    t = run_to_file(load_run("strip_li_hops", overrides), tmp_path / "t.h5", progress=False)
    assert t.stop_reason == "time_s reached 1"
    assert t.samples["time_s"][-1] == 1.0
    assert t.samples["events"][-1] == 0


NEARLY_EMPTY = {
    "system.size": [6, 6, 10],
    "system.params": "li_philic_015",
    "conditions.current_density_mA_cm2": 0.5,
    "conditions.electrode_thickness_um": 1.0,
    "acceleration.max_hops_per_strip_per_site": 1e5,
    "stop.capacity_monolayers": None,
    "output.sample_every_s": 0.001,
    "output.frame_every_s": 0.5,
    "stop.time_s": 3.0,
}


@pytest.mark.slow
def test_samples_in_time_show_the_state_at_their_time(tmp_path):
    """A row for every interval, at its time; vacancies come and go with hundreds of strips.

    The mean over the rows agrees with the exact one, far below the one vacancy that a row right
    after a strip would show.
    """
    t = run_to_file(load_run("strip_li_hops", NEARLY_EMPTY), tmp_path / "t.h5", progress=False)
    assert t.samples.strips[-1] > 200
    np.testing.assert_allclose(t.samples.time_s, np.arange(3001) * 0.001, atol=1e-12)
    np.testing.assert_allclose(t.frames.time_s, np.arange(7) * 0.5, atol=1e-12)
    exact = t.mean("vacancies")
    assert 0 < exact < 0.5
    blocks = t.samples.vacancies[1:].reshape(30, 100).mean(axis=1)
    error = max(blocks.std(ddof=1) / math.sqrt(30), math.sqrt(exact / 3000))  # at least Poisson's
    assert abs(blocks.mean() - exact) < 4 * error
    assert t.mean("time_s") == pytest.approx(1.5)


@pytest.mark.slow
def test_the_cadence_of_samples_changes_nothing(tmp_path):
    """Rows at other times, the same events: an attempt that a row comes before is put off."""
    ends = []
    for every in (0.001, 0.05):
        run = load_run("strip_li_hops", {**NEARLY_EMPTY, "output.sample_every_s": every})
        t = run_to_file(run, tmp_path / f"{every}.h5", progress=False)
        ends.append({name: t.samples[name][-1] for name in t.samples})
    assert ends[0] == ends[1]


def test_samples_in_charge_do_not_sit_on_a_fresh_vacancy(tmp_path):
    """Rows at multiples of the charge see an empty box as often as rows in time do."""
    overrides = {
        **NEARLY_EMPTY,
        "output.sample_every_s": None,
        "output.sample_every_monolayers": 1 / 36,
        "output.frame_every_s": None,
        "output.frame_every_monolayers": 8,
        "stop.time_s": None,
        "stop.capacity_monolayers": 8,
    }
    t = run_to_file(load_run("strip_li_hops", overrides), tmp_path / "t.h5", progress=False)
    np.testing.assert_array_equal(t.samples.strips, np.arange(289))
    blocks = t.samples.vacancies[1:].reshape(32, 9).mean(axis=1)
    exact = t.mean("vacancies")
    error = max(blocks.std(ddof=1) / math.sqrt(32), math.sqrt(exact / 288))
    assert abs(blocks.mean() - exact) < 4 * error
    assert blocks.mean() < 0.6


def test_an_average_needs_time(tmp_path):
    run = load_run("strip_li_hops", {**NEARLY_EMPTY, "stop.time_s": None, "stop.events": 1})
    t = run_to_file(run, tmp_path / "t.h5", progress=False)
    with pytest.raises(KeyError, match="vacancy"):
        t.mean("vacancy")
    assert t.mean("contact_fraction") == pytest.approx(1.0, abs=0.02)


def test_too_cold_is_refused(tmp_path):
    run = load_run("strip_li_hops", {**SMALL, "conditions.temperature_K": 1.0})
    with pytest.raises(InputError, match="temperature_K = 1 is too low") as caught:
        run_to_file(run, tmp_path / "t.h5", progress=False)
    assert "Use at least" in caught.value.advice
    assert not list(tmp_path.iterdir())


def test_equilibrium_coverage_of_L1(trajectory):
    """Segregation of −0.51 eV covers L1 almost whole at 298 K."""
    first = trajectory("limg_equilibrium").frames[0]
    L1 = first.occupancy[:64]
    assert (L1 == 2).mean() > 0.98


def test_run_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t = kmc.run(
        "strip_li_hops", overrides={**SMALL, "stop.capacity_monolayers": 0.2}, progress=False
    )
    assert (tmp_path / "strip_li_hops.h5").exists()
    assert t.samples.strips[-1] == 13
    assert kmc.load("strip_li_hops.h5").samples.strips[-1] == 13


ENDLESS = ["-o", "t.h5", "--set", "system.size=[8, 8, 60]", "--set", "stop.capacity_monolayers=30"]
ENDLESS += ["--set", "acceleration.max_hops_per_strip_per_site=1e10"]
HANGS_S = 3600  # nothing waits for so long, however slow the machine


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
def test_an_interrupted_run_leaves_a_readable_file_that_says_so(tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, "-m", "kmc.cli", "run", "strip_li_hops", *ENDLESS],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "t.h5").exists():  # signals are waited for before it is made
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    output, errors = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in output + errors
    t = kmc.load(tmp_path / "t.h5")
    assert not t.finished
    assert t.stop_reason == "interrupted"
    assert t.frames[-1].events == t.samples.events[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "name"),
    [(ElectrodeJob, "__init__"), (TableWriter, "__init__"), (Engine, "advance")],
)
def test_ctrl_c_while_the_run_is_being_prepared_is_not_lost(tmp_path, monkeypatch, where, name):
    """Before the model is made, before the file is, and before the loop is compiled or loaded."""
    monkeypatch.chdir(tmp_path)
    original = getattr(where, name)

    def interrupted(self, *arguments, **options):
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        signal.raise_signal(signal.SIGINT)
        return original(self, *arguments, **options)

    monkeypatch.setattr(where, name, interrupted)
    result = CliRunner().invoke(main, ["run", "strip_li_hops", *ENDLESS])
    assert result.exit_code == 130, result.output
    assert "Traceback" not in result.output
    if where is not ElectrodeJob:
        assert kmc.load("t.h5").stop_reason == "interrupted"


HELD = {
    "system": {"size": [4, 4, 8]},
    "conditions": {"overpotential_V": 0.1, "electrode_thickness_um": math.inf},
    "acceleration": {"saddle_floor_eV": 0.45},
    "stop": {"events": 1000},
}


@pytest.mark.slow
def test_a_held_voltage_is_sampled_in_time(tmp_path):
    """Rows show the mean over time; by charge they show first passages, some 100 times as vacant.

    A closed box at 0.1 V, 0.015 vacancies in the mean: the exact mean is that of `vacancy_time_s`.
    """
    by_time = kmc.run(HELD, output=tmp_path / "time.h5", progress=False)
    mean = by_time.samples["vacancies"].mean()
    assert mean == pytest.approx(by_time.mean("vacancies"), rel=0.5)
    every = {"sample_every_monolayers": 0.02, "frame_every_monolayers": 0.2}
    by_charge = kmc.run({**HELD, "output": every}, output=tmp_path / "charge.h5", progress=False)
    assert by_charge.mean("vacancies") == pytest.approx(by_time.mean("vacancies"), rel=0.01)
    between = by_charge.samples["vacancies"][1:-1]  # start and end are no rows by charge
    assert between.mean() > 20 * mean


def few_vacancies(volts: float) -> tuple[float, float]:
    """Mean vacancies and contact of `HELD`: all states with up to three vacancies, bcc (100)."""
    sites = np.array([(x, y, z) for z in range(8) for x in range(4) for y in range(4)])
    half = np.column_stack([2 * sites[:, :2] + sites[:, 2:] % 2, sites[:, 2]])  # units of a/2
    apart = np.abs(half[:, None] - half)
    apart[..., :2] = np.minimum(apart[..., :2], 8 - apart[..., :2])
    squared = (apart**2).sum(axis=2)
    kT, bond = K_B_eV * 298.15, 0.5 / ((8 + 0.5 * 6) / 2)
    pair = np.exp(np.where(squared == 3, bond, np.where(squared == 4, 0.5 * bond, 0.0)) / kT)
    one = np.exp((volts - np.array([0.28, 0.43, *[0.5] * 6])[sites[:, 2]]) / kT)
    vacant = (sites[:, 2] == 0).astype(float)
    total, number, open_sites = 1.0 + one.sum(), one.sum(), one @ vacant
    for i in range(len(sites)):
        rest = slice(i + 1, None)
        weight = one[rest] * pair[i, rest] * one[i]
        triple = np.triu(np.outer(weight, weight) * pair[rest, rest], 1) / one[i]
        total += weight.sum() + triple.sum()
        number += 2 * weight.sum() + 3 * triple.sum()
        open_sites += weight @ (vacant[i] + vacant[rest])
        open_sites += (triple * (vacant[i] + vacant[rest][:, None] + vacant[rest])).sum()
    return number / total, 1 - open_sites / total / 16


@pytest.mark.slow
def test_a_held_voltage_against_the_sum_over_states(tmp_path):
    """Figures of docs/trajectory.md; rows by charge show 1, 2, … vacancies, one each."""
    assert few_vacancies(0.1)[0] == pytest.approx(0.0148, abs=5e-5)
    assert few_vacancies(0.155) == pytest.approx((0.146, 0.991), abs=5e-4)
    t = kmc.run({**HELD, "stop": {"events": 5000}}, output=tmp_path / "a.h5", progress=False)
    assert t.mean("vacancies") == pytest.approx(few_vacancies(0.1)[0], rel=0.04)


def test_holds_of_a_protocol_are_sampled_in_time():
    """Both cadences, each for its steps; the run is the same when it is restored from its file."""
    steps = ["Strip at 0.5 mA/cm2 until 0.1 monolayers", "Hold at -20 mV for 1 s"]
    run = load_run({"protocol": {"blocks": [{"steps": steps}]}})
    output = run.output
    assert (output.sample_every_monolayers, output.frame_every_monolayers) == (0.02, 0.2)
    assert 0 < output.sample_every_s <= 0.02
    assert output.frame_every_s == pytest.approx(10 * output.sample_every_s)
    again = restored_run(json.loads(json.dumps(run.resolved())), Path("x.h5"), run.text)
    assert again.resolved() == run.resolved()
    model = set_up(run, *np.random.SeedSequence(1).spawn(2)).model
    cadences = [Phase(run, model, Beginning(step=n)).samples.cadence.unit for n in (1, 2)]
    assert cadences == ["monolayers", "s"]


@pytest.mark.parametrize(("volts", "kelvin"), [(1e-300, 298.15), (1.0, 1.0)])
def test_a_voltage_without_a_rate_in_numbers_is_sampled_by_charge(volts, kelvin):
    given = {"overpotential_V": volts, "temperature_K": kelvin}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1 K looks like °C
        run = load_run({"conditions": given, "stop": {"events": 10}})
    assert (run.output.sample_every_s, run.output.sample_every_monolayers) == (None, 0.02)
