"""Protocols of a cycler: steps, their ends, resume in the middle of one, balance of charge."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from observed import vacancy_rates_Hz
from same_files import contents

import kmc
from kmc.analysis import coulombic
from kmc.errors import InputError
from kmc.kernels import tables
from kmc.model.electrochemistry import Drive
from kmc.runfile.load import checked_run, load_run, restored_run
from kmc.runfile.protocol import blocks_of, plan_of
from kmc.systems.electrode.engine import Engine
from kmc.systems.electrode.run import ElectrodeJob
from kmc.systems.electrode.snapshot import differences
from kmc.systems.electrode.summary import summary
from kmc.systems.run import extend, resume, run_to_file

TEXT = """
[system]
params = "{params}"
size = [8, 8, 12]
[conditions]
electrode_thickness_um = inf
[acceleration]
max_hops_per_strip_per_site = 1e3
[output]
sample_every_monolayers = 0.1
frame_every_monolayers = 0.5
{more}
"""
CYCLES = """
[[protocol]]
steps = [
    "Strip at 0.5 mA/cm2 until 0.5 monolayers",
    "Rest for 20 ms",
    {{ do = "plate", current_density_mA_cm2 = 0.25, until = {{ capacity_monolayers = 0.3 }} }},
]
repeat = {n}
"""


def run_of(folder, blocks, params="li_li2s", **overrides):
    path = folder / "cycled.toml"
    path.write_text(TEXT.format(params=params, more=blocks))
    return load_run(path, {key.replace("__", "."): value for key, value in overrides.items()})


@pytest.fixture(scope="module")
def cycled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocol")
    run = run_of(folder, CYCLES.format(n=3))
    return run_to_file(run, folder / "cycled.h5", progress=False, check_every=5_000)


def rows(path) -> dict[str, bytes]:
    """The same but for the record, which holds the text of the run file."""
    found = contents(path)
    assert found.pop("record")
    return found


def ends(samples):
    """The last row of each step."""
    return [np.flatnonzero(samples["step"] == n)[-1] for n in np.unique(samples["step"])]


def test_every_step_passes_its_charge_to_the_atom(cycled):
    s = cycled.samples
    assert cycled.stop_reason == "all 9 steps of the protocol are done"
    last = ends(s)
    assert s["cycle"][last].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert s["phase"][last].tolist() == [0, 1, 0] * 3
    n = 64
    stripped, plated = np.ceil(0.5 * n), np.ceil(0.3 * n)
    assert np.diff(s["strips"][last], prepend=0).tolist() == [stripped, 0, 0] * 3
    assert np.diff(s["plates"][last], prepend=0).tolist() == [0, 0, plated] * 3
    # Nothing else makes or fills a vacancy in a closed box.
    assert np.array_equal(s["vacancies"], s["strips"] - s["plates"])
    rest = s["step"] == 2
    assert np.ptp(s["time_s"][rest]) == pytest.approx(0.019, abs=2e-3)
    assert kmc.verify(cycled.path).passed


def test_current_has_the_sign_of_its_direction(cycled):
    s = cycled.samples
    current = s["current_density_mA_cm2"]
    expected = np.array([0.5, 0.0, -0.25])[(s["step"] - 1) % 3]
    assert np.array_equal(current, expected)
    plating = current < 0
    assert np.all(s["overpotential_charge_transfer_V"][plating] < 0)


@pytest.mark.slow
def test_resume_in_a_plate_step_gives_the_same_bytes(cycled, tmp_path, monkeypatch):
    run = run_of(tmp_path, CYCLES.format(n=3))
    path = tmp_path / "resumed.h5"
    seen = []

    def stop(simulation):
        return simulation.phase.step.number == 6 and simulation.engine.count(tables.PLATES) >= 30

    original = ElectrodeJob._limits

    def limits(self):
        if not seen and stop(self):
            seen.append(self.phase.step.number)
            signal.raise_signal(signal.SIGINT)
        return original(self)

    monkeypatch.setattr(ElectrodeJob, "_limits", limits)
    monkeypatch.setattr("kmc.systems.electrode.run._FIRST_CHUNK", 50)
    monkeypatch.setattr("kmc.systems.electrode.run._next_chunk", lambda chunk, seconds: 50)
    run_to_file(run, path, progress=False)
    assert seen == [6]
    assert not kmc.load(path).finished
    resume(path, progress=False)
    assert contents(path) == contents(cycled.path)


VARIED = """
[[protocol]]
steps = [
    { step = "Strip at 0.5 mA/cm2 until 0.4 monolayers", temperature_K = 333.15 },
    { step = "Rest for 0.2 s", temperature_K = 353.15, stack_pressure_MPa = 5 },
    { step = "Plate at 0.5 mA/cm2 until 0.4 monolayers", stack_pressure_MPa = 2 },
    { step = "Hold at 0.03 V for 0.1 s or until 0.2 monolayers", temperature_K = 313.15 },
    { step = "Hold at -0.05 V for 0.05 s", stack_pressure_MPa = 1 },
]
repeat = 2
"""


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("varied")
    t = run_to_file(run_of(folder, VARIED), folder / "whole.h5", progress=False)
    assert t.finished
    assert kmc.verify(t.path).passed
    assert t.samples["closures"][-1] > 0
    return t


@pytest.mark.slow
def test_interrupted_at_every_change_of_temperature_and_pressure(varied, tmp_path, monkeypatch):
    """Where each step begins, before anything happens in it, and after 60 events of it."""
    path, seen, original = tmp_path / "parts.h5", [], ElectrodeJob._limits

    def limits(self):
        found, begun = original(self), self.phase.beginning
        place = (begun.step, self.engine.events >= begun.events + 60)
        if place not in seen:
            seen.append(place)
            found["events"] = self.engine.events
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(ElectrodeJob, "_limits", limits)
    monkeypatch.setattr("kmc.systems.electrode.run._FIRST_CHUNK", 50)
    monkeypatch.setattr("kmc.systems.electrode.run._next_chunk", lambda chunk, seconds: 50)
    t = run_to_file(run_of(tmp_path, VARIED), path, progress=False)
    parts = 1
    while not t.finished:
        t = resume(path, progress=False)
        parts += 1
    assert {step for step, later in seen if not later} == set(range(1, 11))
    assert len(seen) >= 15
    assert parts == len(seen) + 1
    assert contents(path) == contents(varied.path)


SIGNALLED = """
import os, signal, sys
from kmc.systems.electrode.run import ElectrodeJob

original, place = ElectrodeJob._enter, int(sys.argv.pop(1))

def enter(self, beginning):
    original(self, beginning)
    if beginning.step == place:
        os.kill(os.getpid(), signal.SIGINT)

ElectrodeJob._enter = enter
from kmc.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_process_interrupted_at_a_change_of_step_is_resumed(varied, tmp_path):
    """kmc run and twice kmc resume, each but the last stopped by Ctrl-C as a step begins."""
    run_of(tmp_path, VARIED)
    for place, command in ((2, ["run", "cycled.toml", "-o", "t.h5"]), (8, ["resume", "t.h5"])):
        arguments = [sys.executable, "-c", SIGNALLED, str(place), *command, "-q"]
        assert subprocess.run(arguments, cwd=tmp_path, check=False).returncode == 130
        assert kmc.load(tmp_path / "t.h5").stop_reason == "interrupted"
    arguments = [sys.executable, "-m", "kmc.cli", "resume", "t.h5", "-q"]
    assert subprocess.run(arguments, cwd=tmp_path, check=False).returncode == 0
    assert contents(tmp_path / "t.h5") == contents(varied.path)


@pytest.mark.slow
def test_more_cycles_are_those_of_a_longer_run(cycled, tmp_path):
    """Each dataset, byte for byte, and a second time; what has no protocol has no cycles."""
    path = tmp_path / "longer.h5"
    run_to_file(run_of(tmp_path, CYCLES.format(n=1)), path, progress=False)
    extend(path, {}, cycles=1, progress=False)
    t = extend(path, {}, cycles=1, progress=False)
    assert t.stop_reason == cycled.stop_reason
    assert t.resolved == cycled.resolved
    assert rows(path) == rows(cycled.path)
    with pytest.raises(InputError, match="is finished") as caught:
        resume(path, progress=False)
    assert "--cycles" in caught.value.advice
    for cycles in (-1, 1.5, True):
        with pytest.raises(InputError, match="no number of cycles"):
            extend(path, {}, cycles=cycles, progress=False)


def test_no_cycles_are_added_to_a_file_that_does_not_say_how_it_ended(tmp_path, monkeypatch):
    """Finished by an earlier version; nothing in the file changes."""
    path = tmp_path / "earlier.h5"
    monkeypatch.setattr(ElectrodeJob, "state", earlier_state(ElectrodeJob.state))
    run_to_file(run_of(tmp_path, CYCLES.format(n=1)), path, progress=False)
    monkeypatch.undo()
    before = path.read_bytes()
    with pytest.raises(InputError, match="did not note why its last step ended"):
        extend(path, {}, cycles=1, progress=False)
    assert path.read_bytes() == before


def earlier_state(state):
    """What a run keeps of its end, without why its last phase ended."""

    def shorter(self):
        whole = state(self)
        return {**whole, "ended": whole["ended"] and whole["ended"][:3]}

    return shorter


@pytest.mark.slow
def test_steps_that_end_early_are_counted_in_the_cycles_added(tmp_path):
    """The last step finds no atom left; with more cycles the run goes on as a longer one does."""
    blocks = """
[[protocol]]
steps = ["Plate at 0.5 mA/cm2 until 0.3 monolayers", "Strip at 0.5 mA/cm2 until 30 monolayers"]
repeat = {n}
"""
    paths = [tmp_path / "once.h5", tmp_path / "twice.h5"]
    for n, path in enumerate(paths, 1):
        run = run_of(tmp_path, blocks.format(n=n), acceleration__max_hops_per_strip_per_site=10.0)
        run_to_file(run, path, progress=False)
    t = extend(paths[0], {}, cycles=1, progress=False)
    assert "; 2 ended early, the first was step 2 (strip" in t.stop_reason
    assert t.stop_reason == kmc.load(paths[1]).stop_reason
    assert rows(paths[0]) == rows(paths[1])


def test_plating_goes_on_where_there_is_no_site_left(tmp_path):
    """Each step passes its charge; what finds no vacancy pushes as much metal out at the top."""
    blocks = """
[[protocol]]
steps = ["Strip at 0.5 mA/cm2 until 0.2 monolayers", "Plate at 0.5 mA/cm2 until 1 monolayer"]
repeat = 2
"""
    t = run_to_file(run_of(tmp_path, blocks), tmp_path / "full.h5", progress=False)
    assert t.stop_reason == "all 4 steps of the protocol are done"
    s = t.samples
    assert (s["strips"][-1], s["plates"][-1]) == (26, 128)
    assert s["pushes"][-1] == s["pushed_out"][-1] == 128 - 26
    assert [c.efficiency for c in coulombic.cycles(t)] == [13 / 64] * 2
    # Pushes have no overpotential. It used to be what the strips before had left: +120 mV, falling.
    pushed = np.diff(s["pushes"], prepend=0) > 0
    for name in ("overpotential_V", "overpotential_concentration_V"):
        assert np.array_equal(np.isnan(s[name]), pushed)
    assert pushed.sum() > 10
    assert not np.isnan(s["overpotential_charge_transfer_V"]).any()
    plating = (np.diff(s["plates"], prepend=0) > 0) & ~pushed
    assert plating.any()
    assert (s["vacancies_expected"][plating] < 1e-2).all()  # of a row's few ions, no memory
    text = dict(summary(t))["Overpotential"]
    assert f"undefined in {pushed.sum()}\u00a0rows: no site was vacant, and ions pushed" in text
    # Strip then plate gives the flat interface back, to the last µeV.
    assert s["contact_fraction"][-1] == 1.0
    assert s["energy_eV"][-1] == s["energy_eV"][0]
    assert kmc.verify(t.path).passed


def test_holds_and_ends_by_voltage_and_contact(tmp_path):
    blocks = (
        """
[[protocol]]
step = "Strip at 0.5 mA/cm2 until 0.5 monolayers or contact 0.9"
""".replace("contact 0.9", "0.9 contact")
        + """
[[protocol]]
step = "Hold at -0.1 V until 0.05 monolayers or 10 s"
[[protocol]]
step = "Plate at 0.5 mA/cm2 until 1 monolayer or 0.98 contact"
[[protocol]]
step = "Strip at 0.5 mA/cm2 until 0.01 V or 1 monolayer"
"""
    )
    t = run_to_file(run_of(tmp_path, blocks), tmp_path / "held.h5", progress=False)
    s, last = t.samples, ends(t.samples)
    assert s["contact_fraction"][last[0]] <= 0.9
    assert s["capacity_monolayers"][last[0]] < 0.5
    held = s["step"] == 2
    assert np.all(s["overpotential_V"][held] == -0.1)
    assert s["capacity_monolayers"][last[0]] - s["capacity_monolayers"][last[1]] == pytest.approx(
        np.ceil(0.05 * 64) / 64
    )
    assert s["contact_fraction"][last[2]] >= 0.98
    assert s["overpotential_V"][last[3]] >= 0.01
    assert kmc.verify(t.path).passed


@pytest.mark.slow
def test_stop_of_the_whole_run_and_extend(cycled, tmp_path):
    run = run_of(tmp_path, CYCLES.format(n=3), stop__events=2000)
    t = run_to_file(run, tmp_path / "cut.h5", progress=False)
    assert t.stop_reason.startswith("events reached 2000 in step ")
    t = extend(tmp_path / "cut.h5", {"stop.events": None}, progress=False)
    assert t.stop_reason == cycled.stop_reason
    for name in t.samples:
        assert np.array_equal(t.samples[name], cycled.samples[name], equal_nan=True), name


def test_a_run_without_protocol_has_no_steps():
    run = load_run("strip_li_hops")
    assert not run.has_protocol
    assert "protocol" not in run.resolved()
    row = ElectrodeJob(load_run("strip_li_hops", {"system.size": [8, 8, 12]})).engine.sample()
    assert (row["step"], row["cycle"]) == (0, 0)


@pytest.mark.parametrize(
    ("text", "drive", "key", "value"),
    [
        ("Strip at 0.5 mA/cm2 until 1 monolayer", Drive(0.5), "capacity_monolayers", 1.0),
        ("plate at 500 µA/cm² until 1e-3 mAh/cm2", Drive(-0.5), "capacity_mAh_cm2", 1e-3),
        ("Rest for 2 minutes", Drive(), "time_s", 120.0),
        ("Hold at -20 mV for 1 s", Drive(0.0, -0.02), "time_s", 1.0),
        ("Strip at 1 mA/cm2 for 5 s or until 50 mV", Drive(1.0), "overpotential_V", 0.05),
        (
            "Strip at 1 mA/cm2 until 2 monolayers or 0.5 contact",
            Drive(1.0),
            "contact_fraction",
            0.5,
        ),
    ],
)
def test_texts(text, drive, key, value):
    (planned,) = plan_of(blocks_of([text]))
    assert planned.step.drive == drive
    assert getattr(planned.step.until, key) == pytest.approx(value)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("Strp at 1 mA/cm2 for 1 s", "'Strp' is no step"),
        ("Strip at 1 V for 1 s", "a strip has no overpotential_V"),
        ("Strip at 1 mA/cm2", "a strip may never end"),
        ("Strip at 0.5 until 1 monolayer", "'0.5' is not a number and its unit"),
        ("Rest until 0.9 contact", "a rest may never end"),
        ("Plate at 1 mA/cm2 until 3 apples", "unit 'apples' is not known here"),
        ("Strip at -1 mA/cm2 for 1 s", "current_density_mA_cm2 = -1.0 is out of range"),
        ("Strip at 1 mA/cm2 for 1 s or 2 s", "has two ends by time_s"),
        ({"do": "melt"}, 'do = "melt" is not a valid choice'),
        ({"do": "rest", "untli": {}}, "'untli' is not a known key"),
        (
            {"do": "rest", "temperature_K": 0.5, "until": {"time_s": 1}},
            "temperature_K = 0.5 is out of range",
        ),
        ({"step": "Rest for 1 s", "until": {}}, "'until' cannot stand beside step"),
        ({"step": "Rest for 1 s", "temperature_C": 60}, "Did you mean 'temperature_K'?"),
        ({"step": 3}, "step = 3 must be a text"),
        ("Strip at 0.5 mA until 1 monolayer", "Did you mean 'mA/cm2'?"),
    ],
)
def test_messages(step, message):
    with pytest.raises(InputError) as refused:
        checked_run({"protocol": {"blocks": [{"steps": [step]}]}}, "my.toml")
    assert str(refused.value).startswith("[[protocol]] of my.toml entry 1: step 1: ")
    assert message in str(refused.value)


HOT = """
[[protocol]]
steps = [
    "Strip at 0.5 mA/cm2 until 0.3 monolayers",
    {{ step = "Rest for 20 ms", temperature_K = {kelvin} }},
    {{ step = "Plate at 0.5 mA/cm2 until 0.2 monolayers", temperature_K = {kelvin} }},
]
repeat = 2
"""


@pytest.mark.slow
def test_each_step_has_its_temperature(tmp_path):
    """Rates are those of a run at that temperature; what is stopped there goes on as it was."""
    blocks = HOT.format(kelvin=360.0)
    more = {"conditions__electrode_thickness_um": 100.0}
    whole = run_to_file(
        run_of(tmp_path, blocks, **more), tmp_path / "hot.h5", progress=False, check_every=2_000
    )
    assert kmc.verify(whole.path).passed
    (other,) = whole.resolved["temperatures"]
    assert other["temperature_K"] == 360.0
    # kT ln(ν/(ratio · strips per site)): the floor follows from the temperature.
    floor = whole.acceleration["saddle_floor_eV"] * 360.0 / 298.15
    assert other["saddle_floor_eV"] == pytest.approx(floor, abs=2e-6)
    plating = whole.samples["events"][whole.samples["step"] == 3]
    middle = int(plating[0] + plating[-1]) // 2
    run = run_of(tmp_path, blocks, stop__events=middle, **more)
    t = run_to_file(run, tmp_path / "cut.h5", progress=False)
    assert t.samples["step"][-1] == 3
    t = extend(tmp_path / "cut.h5", {"stop.events": None}, progress=False)
    assert t.stop_reason == whole.stop_reason
    for name in t.samples:
        assert np.array_equal(t.samples[name], whole.samples[name], equal_nan=True), name


def test_rates_at_another_temperature(tmp_path):
    """An engine that was warmed has the rates of one that was built warm."""
    simulation = ElectrodeJob(run_of(tmp_path, HOT.format(kelvin=360.0)))
    engine, warm = simulation.engine, simulation.setup.models[360.0]
    engine.advance(strips=15)
    cold = engine.state.clock[tables.TIME]
    engine.set_model(warm)
    fresh = Engine(warm, engine.occupancy(), np.random.default_rng(1))
    fresh.set_drive(engine.drive)
    for site in np.flatnonzero(engine.occupancy() == 0):
        rates = vacancy_rates_Hz(engine, site)
        assert rates.any()
        assert np.array_equal(rates, vacancy_rates_Hz(fresh, site))
    assert np.array_equal(engine.exchange_rates_Hz(), fresh.exchange_rates_Hz())
    assert (engine.count(tables.STRIPS), engine.time_s) == (15, cold)
    assert differences(engine) == []


def test_a_current_below_zero_plates():
    """It is a plate step, and a rest after it; what has no end is refused."""
    conditions = {"conditions": {"current_density_mA_cm2": -0.25}}
    run = checked_run({**conditions, "stop": {"time_s": 2.0, "events": 9}, "rest": {"time_s": 1.0}})
    plate, rest = (planned.step for planned in run.protocol.plan)
    assert plate.drive == Drive(-0.25)
    assert (plate.until.time_s, rest.until.time_s) == (2.0, 1.0)
    assert (run.stop.time_s, run.stop.events) == (None, 9)
    assert run.drive.current_density_mA_cm2 == 0.25  # the reference of raised barriers
    assert run.resolved()["conditions"]["current_density_mA_cm2"] == 0.25
    assert not run.conditions.current_is_given  # the section stays as the file has it
    restored = restored_run(run.resolved(), Path("p.h5"), "")
    assert restored.resolved() == run.resolved()
    with pytest.raises(InputError, match="plates, and may never end"):
        checked_run({**conditions, "stop": {"contact_fraction": 0.5}})
    with pytest.raises(InputError, match="plates, which needs an interface"):
        checked_run({**conditions, "stop": {"time_s": 1.0}, "system": {"boundary": "periodic"}})


@pytest.mark.slow
def test_each_step_has_its_pressure(tmp_path):
    """Creep closes voids in the pressed step alone; the stress is that of the step."""
    blocks = """
[[protocol]]
steps = [
    "Strip at 0.5 mA/cm2 until 0.5 monolayers",
    { step = "Rest for 5 s", stack_pressure_MPa = 5.0 },
    "Plate at 0.5 mA/cm2 until 0.05 monolayers",
]
"""
    t = run_to_file(run_of(tmp_path, blocks), tmp_path / "pressed.h5", progress=False)
    s = t.samples
    last = ends(s)
    closed = np.diff(s["closures"][last], prepend=0)
    assert closed[0] == closed[2] == 0
    assert closed[1] > 0
    assert np.array_equal(s["local_stress_MPa"] > 0, s["step"] == 2)
    assert kmc.verify(t.path).passed
    plain = run_to_file(
        run_of(tmp_path, blocks.replace("5.0", "0.0")), tmp_path / "plain.h5", progress=False
    )
    assert plain.samples["closures"][-1] == 0


def test_what_a_protocol_excludes():
    tables_ = {"protocol": {"blocks": ["Rest for 1 s"]}}
    for section, key, value in (
        ("stop", "time_s", 1.0),
        ("rest", "time_s", 1.0),
        ("conditions", "current_density_mA_cm2", 0.5),
        ("conditions", "exchange", True),
        ("system", "boundary", "periodic"),
    ):
        with pytest.raises(InputError, match="cannot be combined with"):
            checked_run({**tables_, section: {key: value}})


def test_a_protocol_is_restored_from_its_record(tmp_path):
    run = run_of(tmp_path, CYCLES.format(n=2))
    assert restored_run(run.resolved(), tmp_path, run.text).resolved() == run.resolved()


@pytest.mark.slow
@pytest.mark.parametrize("params", ["li_li2s", "limg_li2s"])
def test_a_hundred_short_cycles_without_drift(params, tmp_path):
    """Each cycle strips and plates as much: charge to the atom, the state under the self-check."""
    blocks = """
[[protocol]]
steps = ["Strip at 0.5 mA/cm2 until 0.1 monolayers", "Plate at 0.5 mA/cm2 until 0.09 monolayers"]
repeat = 100
"""
    more = {"system__mg_fraction": 0.03} if params == "limg_li2s" else {}
    run = run_of(tmp_path, blocks, params, **more)
    t = run_to_file(run, tmp_path / "many.h5", progress=False, check_every=2_000)
    s = t.samples
    assert s["cycle"][-1] == 100
    assert s["strips"][-1] == 700
    assert s["vacancies"][-1] == s["strips"][-1] - s["plates"][-1]
    assert kmc.verify(t.path).passed


def test_strip_then_plate_at_an_infinitesimal_current(tmp_path):
    """The flat interface comes back: every ion finds a vacancy, and no metal is pushed back."""
    blocks = """
[[protocol]]
steps = ["Strip at 1e-9 mA/cm2 until 0.25 monolayers", "Plate at 1e-9 mA/cm2 until 0.25 monolayers"]
"""
    t = run_to_file(run_of(tmp_path, blocks), tmp_path / "slow.h5", progress=False)
    s = t.samples
    assert (s["strips"][-1], s["plates"][-1], s["pushes"][-1]) == (16, 16, 0)
    assert np.array_equal(t.frames[-1].occupancy, t.frames[0].occupancy)
    assert s["energy_eV"][-1] == s["energy_eV"][0]


@pytest.mark.slow
@pytest.mark.parametrize("params", ["li_li2s", "limg_li2s"])
def test_ten_cycles_balance_each_species_to_the_atom(params, tmp_path):
    """Strips, plates, growth, creep and the reservoir account for every Li and Mg of the box."""
    blocks = """
[[protocol]]
steps = [
    "Strip at 0.5 mA/cm2 until 0.5 monolayers",
    { step = "Rest for 50 ms", stack_pressure_MPa = 7.0 },
    "Plate at 0.5 mA/cm2 until 0.5 monolayers",
]
repeat = 10
"""
    more = {"conditions__electrode_thickness_um": 100.0}
    if params == "limg_li2s":
        more |= {"system__mg_fraction": 0.1}
    t = run_to_file(run_of(tmp_path, blocks, params, **more), tmp_path / "ten.h5", progress=False)
    s = {name: int(t.samples[name][-1]) for name in (
        "strips", "plates", "absorbed", "absorbed_Mg", "emitted", "emitted_Mg", "closures",
        "closures_Mg", "pushed_out", "pushed_out_Mg",
    )}  # fmt: skip
    first, last = (np.bincount(t.frames[k].occupancy, minlength=3) for k in (0, -1))
    mg = s["absorbed_Mg"] - s["emitted_Mg"] + s["closures_Mg"] - s["pushed_out_Mg"]
    both = s["absorbed"] - s["emitted"] + s["closures"] - s["pushed_out"]
    assert s["strips"] == s["plates"] == 320
    assert last[tables.MG] - first[tables.MG] == mg
    assert last[tables.LI] - first[tables.LI] == both - mg
    assert kmc.verify(t.path).passed
