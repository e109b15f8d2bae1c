"""The README is true: every command and every Python block in it runs, and its numbers hold.

The lines that install and test kmc are run by `.ci/run`, in a fresh environment.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import kmc
from kmc.analysis import voids
from kmc.common import catalogue
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.model.model import Model

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
INSTALL = "pip install . && kmc run strip_li"
TEST = 'pip install ".[test]" && pytest'
KMC = "from kmc.cli.app import main; main()"  # what the command `kmc` runs


def commands(text: str) -> list[list[str]]:
    """The kmc commands of a block, without those that install or test."""
    parts = [part for line in text.splitlines() for part in line.split("&&")]
    words = [shlex.split(part, comments=True) for part in parts]
    return [w for w in words if w and w[0] not in ("pip", "pytest")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which everything of the README has been run, from top to bottom."""
    folder = tmp_path_factory.mktemp("readme")
    for language, text in BLOCKS:
        if language == "python":
            todo = [["-c", text]]
        else:
            todo = [["-c", KMC, *words[1:]] for words in commands(text)]
        for arguments in todo:
            done = subprocess.run(
                [sys.executable, *arguments], cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
    return folder


def table_row(label: str) -> list[str]:
    """Cells of a row of the table of ratios, without its label."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("| ").split("|")][1:]


# --- what stands there ----------------------------------------------------------------------------


def test_the_two_commands_stand_there():
    assert [language for language, _ in BLOCKS if language not in ("sh", "python")] == []
    lines = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
    assert lines[0] == INSTALL
    assert TEST in lines
    programs = {words[0] for line in lines for words in [shlex.split(line)]}
    assert programs <= {"pip", "kmc"}


def test_the_pictures_are_there():
    sources = re.findall(r'<img src="([^"]+)"', README)
    assert sources
    for source in sources:
        picture = (ROOT / source).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 400_000


def test_every_shipped_run_and_set_is_mentioned():
    for name in ("strip_li", "strip_limg", "docs/runs.md", "li_li2s", "limg_li2s"):
        assert name in README
    page = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
    for name in catalogue.names("runs"):
        assert f"`{name}`" in page


# --- what it says ---------------------------------------------------------------------------------


def test_everything_in_it_runs(folder):
    written = {path.name for path in folder.iterdir()}
    for name in ("strip_li", "my_run", "warm", "strip_limg", "second"):
        assert f"{name}.h5" in written
    assert {"my_run.toml", "strip_li.png", "warm.png"} <= written


def test_numbers_of_the_shipped_ratio(folder):
    """Voids and contact of strip_li.

    The README has means of 12 seeds; single runs scatter around them by 1.2 and 0.6 voids, 0.034 of
    contact and 1.4 mV (standard deviations).
    """
    t = kmc.load(folder / "strip_li.h5")
    _, early, late, contact = table_row("1e6")
    assert t.acceleration["max_hops_per_strip_per_site"] == 1e6
    assert t.frames[1].capacity_monolayers == pytest.approx(0.2, abs=0.01)
    counts = [len(voids.find(t.frames[i].occupancy, t.lattice)) for i in (1, -1)]
    assert counts[0] == pytest.approx(int(early), abs=4)
    assert counts[1] == pytest.approx(int(late), abs=3)
    assert t.samples.contact_fraction[-1] == pytest.approx(float(contact), abs=0.06)


def test_what_it_says_of_overpotential_and_size(folder):
    t = kmc.load(folder / "strip_li.h5")
    start, end = re.search(r"from (\d+) mV to about\s+(\d+) mV", README).groups()
    volts = t.samples.overpotential_charge_transfer_V
    total = float(re.search(r"total rise, to about (\d+) mV", README)[1])
    assert 1e3 * t.samples.overpotential_V[-20:].mean() == pytest.approx(total, rel=0.1)
    assert 1e3 * volts[0] == pytest.approx(float(start), abs=0.5)
    assert 1e3 * volts[-50:].mean() == pytest.approx(float(end), abs=1.0)
    width = re.search(r"The box is (\d+) nm wide", README)[1]
    assert t.lattice.box_A[0] / 10 == pytest.approx(float(width), abs=0.5)
    charge = re.search(r"strips (\S+) mAh/cm²", README)[1]
    assert t.samples.capacity_mAh_cm2[-1] == pytest.approx(float(charge), rel=0.05)
    area = t.lattice.box_A[0] * t.lattice.box_A[1]
    assert t.samples.capacity_mAh_cm2[-1] == pytest.approx(
        capacity_mAh_cm2(t.samples.strips[-1], area)
    )


def test_how_far_the_true_ratio_is_away(folder):
    """Rate of a hop of Li over the strip rate of a site, without any floor."""
    from kmc.model.parameters import load_parameters

    lattice = kmc.load(folder / "strip_li.h5").lattice
    model = Model(lattice, load_parameters("li_li2s"), 298.15, current_density_mA_cm2=0.5)
    (hop,) = model.hop_classes()
    rate = model.attempt_frequency_Hz * 10 ** (
        -hop["barrier_eV"] * 1e6 / model.kT_ueV / 2.302585092994046
    )
    true = rate / model.strip_rate_per_site_Hz
    assert true == pytest.approx(8e10, rel=0.02)
    assert README.count("8e10") == 2
