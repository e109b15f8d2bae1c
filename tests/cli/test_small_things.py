"""Mistakes and terminals that ended in a traceback, or in a file nobody expected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings

import fake
import numpy as np
import pytest
from click.testing import CliRunner

import kmc
from kmc.campaign.dataset import _with_removed
from kmc.cli.app import main
from kmc.cli.shared import finish
from kmc.common.outputs import check_output, csv_of, replacing
from kmc.errors import InputError, KmcWarning, OutputError
from kmc.files import saving
from kmc.runfile.load import checked_run

SMALL = ["--set", "system.size=[8, 8, 10]", "--set", "acceleration.max_hops_per_strip_per_site=1e3"]
KMC = [sys.executable, "-m", "kmc.cli"]


def test_a_file_that_may_not_be_written(tmp_path, monkeypatch):
    path = fake.write(tmp_path / "run.h5")

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(saving, "open", refused, raising=False)
    with pytest.raises(
        OutputError, match=r"run\.h5 cannot be written: Permission denied"
    ) as caught:
        saving.WriteLock(path)
    assert "chmod u+w" in caught.value.advice


@pytest.mark.parametrize(
    "words",
    [["run", "strip_li", "-o", "{}"], ["report", "{}"], ["image", "{}", "--scale", "1"]],
)
def test_a_name_that_is_too_long_for_the_disk(words):
    words = [word.format("x" * 5000) for word in words]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "too long" in done.output
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("words", [["movie", "."], ["image", ".", "--scale", "1"], ["plot", "."]])
def test_the_current_folder_is_no_file(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert ". is a folder" in done.output


def test_an_interruption_while_the_picture_is_drawn(tmp_path, capsys):
    found = kmc.load(fake.write(tmp_path / "run.h5", n_frames=1))

    def interrupted(what):
        raise KeyboardInterrupt

    found.plot = interrupted
    with pytest.raises(KeyboardInterrupt):
        finish(found, quiet=True)
    assert f"The run is safe; kmc plot {tmp_path / 'run.h5'} draws" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("ascii", marks=pytest.mark.slow)])
def test_terminals_that_lack_some_signs(tmp_path, encoding):
    path = fake.write(tmp_path / "run.h5")
    for words in (
        ["info", path],
        ["info", path, "--json"],
        ["init", "-"],
        ["params", "show", "li_li2s"],
    ):
        done = subprocess.run([*KMC, *map(str, words)], capture_output=True, check=False,
                              env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["out.txt", "out.csv", "out.PNG", "run.xyz"])
def test_a_trajectory_is_not_named_like_something_else(name, tmp_path):
    done = CliRunner().invoke(main, ["run", "strip_li", *SMALL, "-o", str(tmp_path / name)])
    assert done.exit_code == 2
    with pytest.raises(InputError, match="a trajectory is an HDF5 file") as caught:
        kmc.run("strip_li", output=tmp_path / name)
    assert f"{tmp_path / name}"[:-4] + ".h5" in caught.value.advice
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("temperature", [25, 60.0])
def test_a_temperature_in_celsius(temperature):
    tables = {"conditions": {"temperature_K": temperature}, "stop": {"events": 10}}
    with pytest.warns(
        KmcWarning, match=rf"Did you mean {temperature:g} °C\? That is temperature_K"
    ):
        checked_run(tables)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked_run({**tables, "conditions": {"temperature_K": 200}})


def test_numbers_of_which_some_are_removed():
    assert np.array_equal(_with_removed([1.0, "none", 3]), [1.0, np.nan, 3], equal_nan=True)
    for values in ([1.0, 2.0], ["none"], ["none", "bcc_100"], ["none", [8, 8, 8]], ["none", True]):
        assert _with_removed(values) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
@pytest.mark.parametrize("ignored", [False, True])
def test_the_end_of_the_terminal(tmp_path, ignored):
    """SIGHUP ends a run as SIGTERM does, and not at all under nohup."""
    end = "stop.wall_time_s=6" if ignored else "stop.capacity_monolayers=1e6"
    words = ["run", "strip_li", "--set", "stop.capacity_monolayers=none", "--set", end]
    words += ["-o", "run.h5", "-q"]
    # Compiled and cached first: SIGHUP while the loop compiles ends the process, by design.
    short = [*KMC, *words, "--set", "stop.events=100", "-o", "compiled.h5"]
    subprocess.run(short, cwd=tmp_path, check=True)
    start = ["nohup", *KMC] if ignored else KMC
    running = subprocess.Popen(
        [*start, *words],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Where the tests themselves run under nohup, the signal is ignored by their children.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    while not (tmp_path / "run.h5").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.1)
    running.send_signal(signal.SIGHUP)
    said, _ = running.communicate()
    assert running.returncode == (0 if ignored else 130), said
    reason = kmc.load(tmp_path / "run.h5").stop_reason
    assert reason.startswith("wall_time_s") if ignored else reason == "interrupted"


def test_names_with_control_characters_are_refused(tmp_path):
    """In a terminal they would move the cursor or change the colour of what follows."""
    with pytest.raises(InputError, match="has a control character in its name"):
        check_output(tmp_path / "red\x1b[31m.h5")
    check_output(tmp_path / "Li\u3000\u00e9.h5")


def test_cells_are_no_formulas():
    """Names come from the user's files; a spreadsheet runs a cell that begins with one of these."""
    pandas = pytest.importorskip("pandas")
    names = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "plain", ""]
    table = pandas.DataFrame({"name": names, "x_nm": [-1.0, 2, 3, 4, 5, 6]})
    rows = [line.split(",") for line in csv_of(table).splitlines()[1:]]
    assert [name.strip('"') for name, _ in rows[:5]] == [*("'" + n for n in names[:4]), "plain"]
    assert rows[0][1] == "-1.0"


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "a.csv").symlink_to(mine)
    with replacing(tmp_path / "a.csv") as draft:
        draft.write_text("new")
    assert not (tmp_path / "a.csv").is_symlink()
    assert ((tmp_path / "a.csv").read_text(), mine.read_text()) == ("new", "mine")


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_names_that_kmc_gives_are_not_followed_as_links(tmp_path, there):
    """A stranger's folder may hold them: a file of mine is neither replaced nor made."""
    mine, run = tmp_path / "mine", fake.write(tmp_path / "run.h5")
    if there:
        mine.write_text("mine")
    for command, name in (("plot", "run_summary.png"), ("report", "run_report.html")):
        (tmp_path / name).symlink_to(mine)
        done = CliRunner().invoke(main, [command, str(run)])
        assert done.exit_code == (2 if there else 0)
        assert CliRunner().invoke(main, [command, str(run), "--force"]).exit_code == 0
        assert not (tmp_path / name).is_symlink()
    (tmp_path / "run.png").symlink_to(mine)
    finish(kmc.load(run), quiet=True)
    assert not (tmp_path / "run.png").is_symlink()
    assert mine.read_text() == "mine" if there else not mine.exists()


def test_a_folder_has_no_picture_and_a_loop_of_links_no_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for arguments, text in ((("plot", "."), "is a folder"), (("report", "a"), "symbolic links")):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 2
        assert text in done.output
