"""`kmc sweep-plot`, `kmc critical` and the studies that come with kmc."""

from __future__ import annotations

import subprocess
import sys

import fake
import pytest
from cli_calls import output_of
from click.testing import CliRunner

from kmc.campaign.folder import make_folder
from kmc.campaign.plan import read_plan
from kmc.cli.app import main
from kmc.common import catalogue
from kmc.errors import InputError
from kmc.runfile.load import load_run

SWEEP = """
run = "strip_li"
replicas = 2
[grid]
"conditions.temperature_K" = [290, 310, 330]
"conditions.current_density_mA_cm2" = [0.5, 1, 50]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    (folder / "study.toml").write_text(SWEEP)
    made = make_folder(folder / "study", read_plan(folder / "study.toml"))
    for point in made.plan.points[:-1]:
        made.prepare(point)
        fake.write(made.trajectory_path(point), monolayers=1 + 0.02 * point.index, n_frames=3)
        made.record_done(point, 1.0)
    return folder / "study"


# --- sweep-plot -----------------------------------------------------------------------------------


def test_plot_and_tables(study, tmp_path):
    picture, table, runs = tmp_path / "p.png", tmp_path / "t.csv", tmp_path / "runs.csv"
    options = ["-o", picture, "--csv", table, "--runs-csv", runs, "--what", "max_void_width_nm"]
    told = output_of("sweep-plot", study, "--at", 0.5, *options)
    assert f"Wrote {picture}, {table}, {runs}" in told
    assert "1 missing of 18 runs" in told
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(table.read_text().splitlines()) == 10
    assert len(runs.read_text().splitlines()) == 19
    assert "exists already" in output_of("sweep-plot", study, *options, code=2)
    assert output_of("sweep-plot", study, "--force", "-q", *options) == ""


def test_plot_goes_beside_the_folder(study, monkeypatch):
    monkeypatch.chdir(study.parent)
    assert "Wrote study_voids.png" in output_of(
        "sweep-plot", "study", "--what", "voids", "--heatmap"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--x", "temperature"], "Did you mean 'temperature_K'?"),
        (["--what", "contact"], "Did you mean 'contact_fraction'?"),
        (["--where", "temperature_K"], "is not AXIS=VALUE"),
        (["--where", "temperature_K=1"], "Values of temperature_K"),
        (["--at", "-1"], "a capacity is not negative"),
        (["--at", "7"], "no run of this sweep has a number"),
        (["--csv", "table.txt"], "Use a name that ends in .csv."),
        (["-o", "p.jpeg"], ".png, .svg or .pdf"),
    ],
)
def test_plot_refuses(study, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in output_of("sweep-plot", study, *options, code=2)
    assert list(tmp_path.iterdir()) == []


def test_plot_of_no_sweep(tmp_path):
    assert "is no folder" in output_of("sweep-plot", tmp_path / "nothing", code=2)


# --- critical -------------------------------------------------------------------------------------

ASKED = [
    "--vary", "conditions.current_density_mA_cm2", "--between", 1, 1000,
    "--criterion", "contact_fraction<0.5", "--at", 0.6, "--replicas", 2, "--max-runs", 8,
    "--set", "system.size=[6, 6, 8]", "--set", "acceleration.saddle_floor_eV=0.45",
    "--set", "acceleration.max_hops_per_strip_per_site=none",
]  # fmt: skip


@pytest.mark.slow
def test_critical_as_a_process(tmp_path):
    command = [
        "-c",
        "from kmc.cli.app import main; main()",
        "critical",
        "strip_li",
        *map(str, ASKED),
    ]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "in 0 of 2 runs" in done.stdout
    assert "Inputs: from memory, not looked up: exchange_current_density" in done.stdout
    assert "ritical current density" in done.stdout
    folder = tmp_path / "strip_li_critical"
    assert (folder / "critical.png").read_bytes().startswith(b"\x89PNG")
    assert len((folder / "critical.csv").read_text().splitlines()) >= 3


def test_a_dry_run_of_a_search_shows_its_first_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = output_of("critical", "strip_li", *ASKED, "--dry-run")
    for part in ("mA_cm2=1,r1", "mA_cm2=1000,r2", "8 runs at most", "Disk"):
        assert part in shown, part
    shown = output_of(
        "critical", "strip_li", *ASKED, "--dry-run", "--against", "temperature_K=[298, 333]"
    )
    assert "for each of the 2 values of --against" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_critical_against_a_second_key(tmp_path):
    options = ["--against", "parameters.formation_energy_L1_eV=[0.28, 0.5]", "-o", tmp_path / "map"]
    told = output_of("critical", "strip_li", *ASKED, "--max-runs", 4, *options)
    assert "parameters.formation_energy_L1_eV = 0.5: critical current density" in told
    assert len((tmp_path / "map" / "critical.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--criterion", "contact<0.5"], "Did you mean 'contact_fraction'?"),
        (["--between", 5, 5], "is empty"),
        (["--vary", "conditions.temperature"], "temperature_K"),
        (["--replicas", 1], "at least 2"),
        (["--against", "parameters.second_shell_ratio=0.5"], "no list of at least two"),
        (["--against", "parameters.second_shell_ratio=[0.5, 9]"], "9"),
    ],
)
def test_critical_refuses(tmp_path, options, said):
    folder = tmp_path / "found"
    assert said in output_of("critical", "strip_li", *ASKED, *options, "-o", folder, code=2)
    assert not folder.exists()


# --- studies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalogue.names("studies"))
def test_every_study_plans_and_says_what_it_takes(name):
    plan = read_plan(name)
    text = plan.text
    assert text.startswith("# Study: ")
    assert f"{len(plan.points)} runs, about " in text
    assert f"kmc sweep {name}\n" in text
    assert f"kmc sweep-plot {name}\n" in text or f"kmc sweep-plot {name} " in text


def test_a_study_is_no_run():
    with pytest.raises(InputError, match="is a sweep file, not a run"):
        load_run("study_temperature")


def test_a_dry_run_of_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "30" in output_of("sweep", "study_temperature", "--dry-run")
    assert list(tmp_path.iterdir()) == []


def test_help_of_converge_says_which_hops_the_ratio_slows():
    text = " ".join(CliRunner().invoke(main, ["converge", "--help"]).output.split())
    assert "slows hops with an end in L1" in text
    assert "equal ratios are no equal conditions" in text
