"""Some hundred cases of `fuzz`, thousands in the slow suite, and every finding it ever made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fuzz
import h5py
import pytest
from marks import slow

import kmc
from kmc.common import catalogue
from kmc.errors import FileFormatError, InputError
from kmc.model.parameters import load_parameters
from kmc.runfile.load import load_run, parse_override
from kmc.systems.electrode.run import ElectrodeJob

CASES, MORE_CASES = 300, 3000
FEWEST = 42  # of a target: with half of it every file of `hdf5_content` is refused


@pytest.fixture(scope="module", autouse=True)
def reader():
    fuzz.warm_up()
    yield
    fuzz.READER.stop()


def test_the_shares_make_all():
    assert sum(target.share for target in fuzz.TARGETS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("cases", "start"), [(CASES, 2026), slow(MORE_CASES, 2027)])
@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_generated_input_is_used_or_refused_in_words(name, cases, start):
    cases = max(FEWEST, round(cases * fuzz.TARGETS[name].share))
    outcomes = fuzz.run_target(name, cases, start=start)
    assert outcomes.total() >= 0.9 * cases  # hypothesis may count a few duplicates as cases
    assert set(outcomes) - {"refused", "not made"}, "nothing was accepted: it tests only refusals"
    assert outcomes["refused"]


@pytest.mark.slow
def test_a_crash_a_hang_and_a_traceback_are_findings(monkeypatch):
    """The harness notices what it is there to notice."""
    reader = fuzz.Reader()
    for make in (_raise, _crash, _hang):
        monkeypatch.setattr(reader, "PATIENCE_S", 3.0)
        if make is not _hang:
            monkeypatch.setattr(reader, "PATIENCE_S", fuzz.HANGS_S)
        with pytest.raises(fuzz.Finding):
            reader.examine(make, None)
    reader.stop()


def _raise(case, path):
    path.write_bytes(fuzz.whole_files()[0])
    fuzz.read_everything = lambda path: 1 / 0  # in the worker, which the next case replaces


def _crash(case, path):
    import os

    os.abort()


def _hang(case, path):
    import time

    time.sleep(2 * fuzz.HANGS_S)


@pytest.mark.slow
def test_the_command_runs():
    script = Path(fuzz.__file__)
    done = subprocess.run(
        [sys.executable, script, "--cases", "20", "--target", "lattice", "--seconds", "300"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 cases" in done.stdout
    assert "0 findings" in done.stdout


# --- findings -------------------------------------------------------------------------------------


def refused(text: str, tmp_path) -> str:
    path = tmp_path / "case.toml"
    path.write_bytes(text.encode())
    with pytest.raises(InputError) as caught:
        load_run(path)
    fuzz.check_refusal(caught.value)
    return str(caught.value)


def test_integer_of_more_digits_than_python_reads(tmp_path):
    said = refused(f"[stop]\nevents = 1{'0' * 5000}\n", tmp_path)
    assert "enormous integer" in said


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 3000 + "]" * 3000,
        "[" + ".".join("a" * 3000) + "]",
        ".".join("a" * 3000) + " = 1",
        "[stop]\nevents = " + "[" * 30 + "]" * 30,
    ],
)
def test_deep_nesting(tmp_path, text):
    assert "20 deep" in refused(text, tmp_path)


def test_a_file_too_large_to_be_a_run_file(tmp_path):
    assert "larger than 4 MB" in refused("# much\n" * 10**6, tmp_path)


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".toml", "a\0b.toml", "a\0b"])
def test_names_no_file_can_have(name):
    for key in ("system.params", "system.lattice"):
        with pytest.raises(InputError) as caught:
            load_run("strip_li_hops", {key: name})
        fuzz.check_refusal(caught.value)
    with pytest.raises(InputError) as caught:
        load_run(name)
    fuzz.check_refusal(caught.value)


def test_override_that_no_screen_shows():
    with pytest.raises(InputError) as caught:
        parse_override("\0\x1b[2J")
    assert "\0" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "setting",
    [
        "acceleration.max_hops_per_strip_per_site=2.2250738585e-313",
        "acceleration.max_hops_per_strip_per_site=1e300",
    ],
)
def test_extreme_ratios(setting):
    assert fuzz.examine_override(setting) in ("ran", "refused")


@pytest.mark.parametrize("grid_um", ["0.0049", "1e-4", "1e-300", "1e-320"])
def test_cells_too_small_for_any_memory_are_refused_at_once(grid_um):
    with pytest.raises(InputError, match="grid_um") as caught:
        load_run("upscale_li", dict([parse_override(f"upscale.grid_um={grid_um}")]))
    fuzz.check_refusal(caught.value)
    if grid_um == "0.0049":  # in range, but too small for the square: what is advised is taken
        load_run("upscale_li", {"upscale.grid_um": float(caught.value.advice.split()[1])})


def test_frames_whose_times_are_a_table():
    case = [("replace", "frames/time_s", ("f8", (3, 128), "contiguous"))]
    assert fuzz.TARGETS["hdf5_content"].examine(case) == "refused"


def test_strip_weights_beyond_the_bins_are_refused_not_drawn_for_ever():
    setting = "parameters.formation_energy_bulk_eV=4"
    assert fuzz.examine_override(setting) == "refused"
    key, value = parse_override(setting)
    run = load_run("strip_li_hops", {key: value, "system.size": [4, 4, 8]})
    with pytest.raises(InputError, match=r"strip_weight_lambda = 0\.5") as caught:
        ElectrodeJob(run)
    lowest_K = int(caught.value.advice.split()[3])
    warm = {key: value, "system.size": [4, 4, 8], "conditions.temperature_K": float(lowest_K)}
    assert fuzz._set_up(load_run("strip_li_hops", warm)) == "ran"


def test_an_electrode_thinner_than_numbers_reach():
    assert fuzz.examine_override("conditions.electrode_thickness_um=1e-320") == "refused"
    assert fuzz.examine_override("conditions.electrode_thickness_um=1e-6") == "ran"


def test_a_record_that_claims_a_giant_lattice(tmp_path):
    """Neither the lattice nor its sites are built from it."""
    for key in ("layers", "cells"):
        path = tmp_path / "giant.h5"
        path.write_bytes(fuzz.whole_files()[0])
        with h5py.File(path, "r+") as file:
            record = json.loads(file["record"][:].tobytes())
            record["lattice"][key] = 161080660 if key == "layers" else [10**6, 10**6]
            fuzz.replace_record(file, record, seal=True)
        for read in (kmc.load, kmc.verify):
            with pytest.raises(FileFormatError, match=r"a box of \d+ cells with \d+ sites"):
                read(path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("provenance",), None),
        (("resolved", "parameters", "second_shell_ratio"), 3),
        (("resolved", "run", "conditions", "temperature_K"), "warm"),
        (("resolved", "acceleration", "saddle_floor_eV"), None),
        (("resolved", "interface"), {"chemistry": 1}),
        (("seed",), 10**30),
        (("datasets", "samples/time_s"), ["<f8", [7], "sums", 1]),
        (("lattice",), {"name": "bcc_100"}),
    ],
)
def test_a_record_of_another_layout(tmp_path, keys, value):
    path = tmp_path / "odd.h5"
    path.write_bytes(fuzz.whole_files()[0])
    with h5py.File(path, "r+") as file:
        record = json.loads(file["record"][:].tobytes())
        table = record
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value
        fuzz.replace_record(file, record, seal=True)
    with pytest.raises(FileFormatError, match="is damaged: "):
        kmc.load(path).summary(full=True)


@pytest.mark.slow
def test_control_characters_of_a_file_stay_out_of_messages(tmp_path):
    path = tmp_path / "set.toml"
    text = catalogue.locate("params", "lattice_gas").read_text(encoding="utf-8")
    path.write_text(text.replace('unit = "Å"', 'unit = "\\u0000\\u001b[2J"'), encoding="utf-8")
    with pytest.raises(InputError, match="disagrees with the key") as caught:
        load_parameters(path)
    fuzz.check_refusal(caught.value)
    assert "\x1b" not in str(caught.value)
