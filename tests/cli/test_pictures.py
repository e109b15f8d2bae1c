"""`kmc plot`, `kmc movie`, `kmc export`: what they write, say and refuse."""

from __future__ import annotations

import shutil

import cli_calls
import fake
import pandas as pd
import pytest
from cli_calls import call

from kmc.systems import SYSTEMS


def refused(*arguments) -> str:
    message = cli_calls.refused(*arguments)
    assert len(message.strip().splitlines()) >= 2  # what is wrong, and what to do
    return message


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trajectories")
    fake.write(folder / "li.h5", n_frames=3)
    fake.write(folder / "limg.h5", n_frames=2, species=("Li", "Mg"))
    return folder


@pytest.fixture
def folder(trajectories, tmp_path, monkeypatch):
    """A working folder with two small trajectories."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(trajectories, tmp_path, dirs_exist_ok=True)


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".h5")


def test_help_lists_the_pictures():
    text = call("plot", "--help").stdout
    for system in SYSTEMS.values():
        assert all(f"  {name:<11} {what}" in text for name, what in system.pictures.items())


def test_plot_writes_beside_the_trajectory(folder):
    result = call("plot", "li.h5", "limg.h5", "--what", "contact")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Wrote li_limg_contact.png\n"
    assert files(folder) == ["li_limg_contact.png"]


def test_plot_asks_before_it_overwrites(folder):
    (folder / "out.svg").write_text("precious")
    assert "--force" in refused("plot", "li.h5", "-o", "out.svg")
    assert (folder / "out.svg").read_text() == "precious"
    result = call("plot", "li.h5", "--what", "contact", "-o", "out.svg", "--force", "--quiet")
    assert result.exit_code == 0
    assert result.output == ""
    assert "</svg>" in (folder / "out.svg").read_text()


def test_a_run_that_goes_on_is_drawn_until_it_ends(folder, monkeypatch):
    fake.write(folder / "going.h5", n_frames=1, finished=None)
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        (folder / "going.h5").unlink()
        fake.write(folder / "going.h5", n_frames=2)

    monkeypatch.setattr("time.sleep", sleep)
    result = call("plot", "going.h5", "--what", "contact", "--follow")
    assert result.stdout == "Wrote going_contact.png\n"
    assert len(waited) == 1


def test_movie_and_export(folder):
    told = call("movie", "li.h5", "--frames", "::2").stdout.splitlines()
    assert told == [
        "Wrote li.gif: 2 frames",
        "li.h5 has 3 frames: a smaller output.frame_every_monolayers gives a run more.",
    ]
    assert call("export", "li.h5", "--frames", "-1").stdout == "Wrote li.xyz: 1 frame\n"
    assert call("export", "li.h5", "-o", "s.csv").stdout == "Wrote s.csv: 11 rows of samples\n"
    assert call("export", "li.h5", "--what", "voids").exit_code == 0
    assert {"void", "track", "frame"} <= set(pd.read_csv("li_voids.csv").columns)
    assert call("export", "limg.h5", "--what", "events", "--min-size", "2").exit_code == 0
    assert files(folder) == ["li.gif", "li.xyz", "li_voids.csv", "limg_events.csv", "s.csv"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["plot", "nix.h5"], "nix.h5: no such file"),
        (["plot", "li.h5", "--paper"], "--paper has no meaning"),
        (["plot", "li.h5", "-o", "a.docx"], "a.docx ends in .docx"),
        (["plot", "li.h5", "-o", "none/a.png"], "there is no folder none"),
        (["plot", "li.h5", "--what", "map", "--frames", "7"], "there is no frame 7"),
        (["plot", "li.h5", "--what", "sizes", "--frames", "x"], "'x' are no selection"),
        (["plot", "li.h5", "--what", "mapp"], "mapp"),
        (["plot"], "Missing argument"),
        (["movie", "li.h5", "-o", "a.avi"], "a.avi ends in .avi"),
        (["movie", "li.h5", "--fps", "1000"], "1000 frames per second"),
        (["export", "li.h5", "--what", "voids", "-o", "a.xyz"], "a.xyz ends in .xyz"),
        (["export", "li.h5", "-o", "a.csv", "--vacancies"], "--vacancies has no meaning"),
        (["export", "li.h5", "-o", "a.csv", "--frames", "1"], "--frames has no meaning"),
        (["export", "li.h5", "--min-size", "0"], "0 is not in the range"),
    ],
)
def test_refused(folder, arguments, part):
    assert part in refused(*arguments)
    assert files(folder) == []
