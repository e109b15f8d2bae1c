"""Studies of ratios: what is asked, what is run, what is read, and `kmc converge`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import fake
import numpy as np
import pytest
from cli_calls import output_of

import kmc
from kmc.campaign.convergence import levels as study
from kmc.campaign.convergence.findings import CELLS, SQUARES, assess
from kmc.campaign.convergence.levels import Levels, physical_ratio_of
from kmc.campaign.convergence.outcome import RATIO, read_study
from kmc.campaign.convergence.power_law import WIDTH, LevelRuns
from kmc.campaign.folder import make_folder, open_folder
from kmc.cli.shared import numbers_of
from kmc.errors import InputError, KmcError
from kmc.runfile.load import load_run

TINY = {"system.size": [6, 6, 8], "stop.capacity_monolayers": 0.6}
SHIPPED = Path(__file__).parents[3] / "runs"
SET = ["--set", "system.size=[6, 6, 8]", "--set", "stop.capacity_monolayers=0.6"]
PHYSICAL = 6.7778e11  # 2.6e12 Hz over 0.5 mA/cm² on a site of 3.506 Å squared


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("points/*.h5")}


# --- what is asked --------------------------------------------------------------------------------


def test_the_former_name_of_levels_is_deprecated(monkeypatch):
    monkeypatch.setattr(study, "check_reading", lambda at, tolerance: 1 / 0)
    with pytest.warns(DeprecationWarning, match="levels"), pytest.raises(ZeroDivisionError):
        study.converge("strip_li_hops", rungs=2)
    text = output_of("converge", "strip_li_hops", "--rungs", 0, code=2)
    assert "--levels 0 is out of range" in text


def test_the_default_study_ends_ten_times_above_the_run():
    asked = Levels("strip_li_hops").check()
    assert asked[1] == (1e3, 1e4, 1e5, 1e6, 1e7)
    assert asked[0].acceleration.max_hops_per_strip_per_site == 1e7
    assert Levels("strip_li_hops", levels=2).check()[1] == (1e6, 1e7)


def test_a_set_ratio_is_that_of_the_run():
    assert Levels("strip_li_hops", settings={RATIO: 2e4}, levels=2).check()[1] == (2e4, 2e5)


def test_the_study_ends_at_the_physical_ratio():
    assert Levels("strip_li_hops", settings={RATIO: 5e11}, levels=2).check()[1] == (
        6.74e10,
        6.74e11,
    )


def test_the_physical_ratio_is_where_no_floor_is_left(tmp_path):
    run = load_run("strip_li_hops", TINY)
    found = physical_ratio_of(run)
    assert found == pytest.approx(PHYSICAL, rel=1e-3)
    t = kmc.run("strip_li_hops", {**TINY, RATIO: found * 1.0001, "stop.events": 1000},
                output=tmp_path / "a.h5", progress=False)  # fmt: skip
    assert t.acceleration["saddle_floor_eV"] == 0
    held = load_run("strip_li_hops", {
        **TINY, "conditions.current_density_mA_cm2": None, "conditions.overpotential_V": 0.02,
    })  # fmt: skip
    assert found / 10 < physical_ratio_of(held) < found


def test_a_floor_gives_way_to_ratios(tmp_path):
    settings = {**TINY, RATIO: None, "acceleration.saddle_floor_eV": 0.4}
    asked = Levels("strip_li_hops", (1e4, 1e5), settings=settings)
    assert asked.check()[0].acceleration.saddle_floor_eV is None
    plan = asked.plan(tmp_path / "none")
    assert plan.run_tables(plan.points[0])["acceleration"] == {"max_hops_per_strip_per_site": 1e4}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 0}, "--replicas 0 is out of range"),
        ({"levels": 0}, "--levels 0 is out of range"),
        ({"levels": 10}, "Ask for fewer --levels"),
        ({"ratios": (1e4, 1e4)}, "needs different ratios"),
        ({"ratios": ()}, "needs different ratios"),
        ({"ratios": ("1e4",)}, "a ratio of nan is out of range"),
        ({"ratios": (math.nan,)}, "a ratio of nan is out of range"),
        ({"ratios": (-1e4,)}, "at least 1"),
        ({"ratios": (1e4, 1e12)}, "beyond the physical one, 6.8e11"),
        ({"base": "strip_lii"}, "Did you mean 'strip_li'?"),
        ({"settings": {"system.sise": 3}}, "size"),
        (
            {"settings": {RATIO: None, "acceleration.saddle_floor_eV": 0.4}},
            "saddle_floor_eV = 0.4, not a ratio",
        ),
        (
            {"settings": {RATIO: None, "acceleration.slow_down_by": 8e5}},
            "slow_down_by = 800000, not a ratio",
        ),
        ({"settings": {RATIO: None}}, "has no ratio"),
        (
            {
                "settings": {
                    RATIO: None, "conditions.current_density_mA_cm2": 0, "stop.events": 1000
                }
            },
            "without a current",
        ),
        (
            {"settings": {RATIO: None, "system.boundary": "periodic", "stop.events": 1000,
                          "system.vacancy_fraction": 0.01,
                          "conditions.current_density_mA_cm2": 0,
                          "conditions.electrode_thickness_um": None}},
            "without an interface nothing is stripped",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_study_is_refused(changes, message):
    with pytest.raises(InputError) as caught:
        Levels(**{"base": "strip_li_hops", **changes}).check()
    assert message in str(caught.value)


def test_lowest_barrier_as_a_ratio():
    settings = {RATIO: None, "acceleration.saddle_floor_eV": 0.4}
    with pytest.raises(InputError) as caught:
        Levels("strip_li_hops", settings=settings).check()
    ratio = PHYSICAL * math.exp(-0.4 / (8.617333e-5 * 298.15))
    assert f"are a ratio of {ratio:.1e}"[:-4] in caught.value.advice


@pytest.mark.parametrize("text", ["", "1e4,", "a", "1e4;1e5"])
def test_ratios_that_are_no_numbers(text):
    with pytest.raises(InputError, match="no list of numbers"):
        numbers_of("--ratios", text, "1e4,1e5,1e6")
    assert numbers_of("--ratios", None, "1e4") == ()
    assert numbers_of("--ratios", "1e4, 2e5", "1e4") == (1e4, 2e5)


# --- reading, with synthetic runs -----------------------------------------------------------------


def made(folder, ratios=(1e4, 1e5, 1e6), replicas=2, **options):
    made = make_folder(folder, Levels("strip_li_hops", ratios, replicas=replicas).plan(folder))
    settings = fake.resolved(fake.lattice())
    frequency = {"value": 2.6e12, "unit": "Hz", "source": [], "note": "", "assumed": False}
    settings["parameters"]["attempt_frequency_Hz"] = frequency
    for point in made.plan.points:
        made.prepare(point)
        fake.write(made.trajectory_path(point), n_frames=3, settings=settings, **options)
        made.record_done(point, point.settings[RATIO] / 1e4)
    return made


@pytest.mark.slow
def test_reading_a_folder(tmp_path):
    made(tmp_path / "a")
    found = read_study(tmp_path / "a", workers=1)
    ds = kmc.load_sweep(tmp_path / "a")
    loss = found.findings["contact_loss"]
    assert [level.mean for level in loss.levels] == pytest.approx(
        1 - ds.contact_fraction.mean("replica").values
    )
    area_um2 = np.prod(fake.lattice().box_A[:2]) / 1e8
    density = found.findings["void_density_per_um2"]
    assert density.levels[0].mean == pytest.approx(float(ds.voids[0].mean()) / area_um2)
    assert found.physical_ratio > 1e10
    assert (found.runs, found.missing, found.base) == (6, 0, "strip_li_hops")


@pytest.mark.slow
def test_reading_at_a_capacity(tmp_path):
    folder = tmp_path / "a"
    made(folder, monolayers=1.0)
    early, late = read_study(folder, at=0.5), read_study(folder)
    first, last = (f.findings["contact_loss"].levels[0].mean for f in (early, late))
    assert first < last
    assert early.findings["onset_capacity_monolayers"] == late.findings["onset_capacity_monolayers"]
    beyond = read_study(folder, at=2.0)
    assert beyond.early == 6
    assert beyond.findings["contact_loss"].levels[0].n == 0
    assert "6 runs ended before 2 monolayers" in " ".join(beyond.lines()).replace("\u00a0", " ")


def test_times_come_from_the_runs(tmp_path):
    """1, 10 and 100 s a run: a further level takes 2 runs of 1000 s, a third replica 111 s."""
    from kmc.campaign.convergence.outcome import _Times

    opened = made(tmp_path / "a")
    times = _Times(opened, 2)
    assert times((1e7,), 2) == pytest.approx(1000.0)
    assert times((), 3) == pytest.approx(111 / 2)
    assert times((), 2) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": 0.0}, "--at 0"),
        ({"at": math.nan}, "--at nan"),
        ({"tolerance": 1.0}, "--tolerance 1"),
    ],
)
def test_readings_that_make_no_sense(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read_study(tmp_path, **options)


def test_folders_that_hold_no_study(tmp_path):
    with pytest.raises(InputError, match="not the folder of a sweep"):
        read_study(tmp_path)
    folder = tmp_path / "sweep"
    file = tmp_path / "s.toml"
    file.write_text('run = "strip_li_hops"\n[grid]\n"conditions.temperature_K" = [290, 300]\n')
    from kmc.campaign.plan import read_plan

    make_folder(folder, read_plan(file))
    with pytest.raises(InputError, match="holds another sweep"):
        read_study(folder)
    with pytest.raises(InputError, match="holds another sweep"):
        Levels("strip_li_hops").plan(folder)


def test_a_study_without_a_run_that_is_done(tmp_path):
    folder = tmp_path / "a"
    opened = make_folder(folder, Levels("strip_li_hops", (1e4, 1e5)).plan(folder))
    with pytest.raises(KmcError, match="none of the runs"):
        read_study(folder)
    opened.record_failure(opened.plan.points[0], "the disk is full", "", 1.0)
    with pytest.raises(KmcError, match="the disk is full"):
        read_study(folder)


@pytest.mark.slow
def test_a_failed_run_is_left_out_and_output(tmp_path):
    opened = made(tmp_path / "a", replicas=3)
    opened.trajectory_path(opened.plan.points[4]).write_bytes(b"nothing")
    found = read_study(tmp_path / "a")
    assert found.missing == 1
    assert [level.n for level in found.findings["contact_loss"].levels] == [3, 2, 3]


# --- real runs, in a box of 36 sites at the interface ---------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "tiny"
    options = ["--ratios", "1e2,1e3,1e4", "--replicas", 2, "-j", 2, "-o", folder]
    output = output_of("converge", "strip_li_hops", *SET, *options)
    return folder, output


@pytest.mark.slow
def test_a_real_study(real):
    folder, output = real
    assert "strip_li_hops: contact and voids at the end of the runs" in output
    assert "contact loss" in output
    assert "6.8e11" in output
    assert (folder / "converge.png").read_bytes().startswith(b"\x89PNG")
    assert len(files(folder)) == 6
    ds = kmc.load_sweep(folder)
    assert ds.sizes == {"max_hops_per_strip_per_site": 3, "replica": 2}
    assert (ds.state == "done").all()


@pytest.mark.slow
def test_the_efficiency_of_aurbachs_protocol_is_followed(tmp_path):
    """By its loss, over the ratios: with a cutoff of 0.12 V it is that of the slowed vacancies."""
    text = SHIPPED.joinpath("aurbach.toml").read_text(encoding="utf-8")
    (tmp_path / "low.toml").write_text(text.replace("until 1 V", "until 120 mV"), encoding="utf-8")
    out = tmp_path / "out"
    text = output_of("converge", tmp_path / "low.toml", "--ratios", "1e4,1e5", "--replicas", 2,
                "-o", out)  # fmt: skip
    assert "Aurbach loss" in text
    found = read_study(out).findings["aurbach_loss"]
    ds = kmc.load_sweep(out, progress=False)
    for i, level in enumerate(found.levels):
        lost = [1 - kmc.load(path).to_json()["aurbach_efficiency"] for path in ds.path.values[i]]
        assert level.mean == pytest.approx(np.mean(lost))
        assert level.mean > 0.1
    # What a tenfold ratio may change is a share of the loss, or of a tenth of the plated charge.
    assert found.last.margin == pytest.approx(0.1 * max(0.1, found.levels[1].mean))


@pytest.mark.slow
def test_a_second_call_runs_nothing(real, tmp_path):
    folder, _ = real
    before = files(folder)
    options = ["--ratios", "1e3", "--replicas", 2, "-o", folder, "--no-plot", "-q"]
    outputs = ["--json", tmp_path / "c.json", "--csv", tmp_path / "c.csv"]
    assert output_of("converge", "strip_li_hops", *SET, *options, *outputs) == ""
    assert files(folder) == before
    data = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert data["ratios"] == [1e2, 1e3, 1e4]
    assert set(data["observables"]) == {
        "contact_loss", "void_density_per_um2", "mean_void_width_nm", "onset_capacity_monolayers",
        "vacancy_activity", "overpotential_V", "absorbed_share",
    }  # fmt: skip
    header = (tmp_path / "c.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.startswith("observable,unit,kind,ratio,n,mean,std,low,high")


@pytest.mark.slow
def test_a_dry_run_writes_nothing(real, tmp_path):
    folder, _ = real
    output = output_of(
        "converge", "strip_li_hops", *SET, "--dry-run", "--replicas", 3, "-o", folder
    )
    assert "Time" in output
    assert len(files(folder)) == 6
    output_of("converge", "strip_li_hops", "--dry-run", "-o", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_added_levels_and_replicas_run_alone(real):
    folder, _ = real
    before = files(folder)
    found = kmc.converge(
        "strip_li_hops", ratios=[1e5], replicas=3, settings=TINY, output=folder, progress=False
    )
    after = files(folder)
    assert {name: after[name] for name in before} == before
    assert len(after) == 12
    assert found.ratios == (1e2, 1e3, 1e4, 1e5)
    assert found.replicas == 3
    assert len(open_folder(folder).log()) == 12


@pytest.mark.slow
def test_another_run_in_the_same_folder_is_refused(real):
    folder, _ = real
    output = output_of("converge", "strip_li_hops", "--ratios", "1e3", "-o", folder, code=2)
    assert "holds another sweep" in output


@pytest.mark.slow
def test_as_a_process(real):
    folder, _ = real
    words = ["converge", "strip_li_hops", *SET, "--ratios", "1e2", "--at", "0.3", "-o", str(folder)]
    words += ["--replicas", "2", "--plot", str(folder / "p.svg"), "--tolerance", "0.5"]
    done = subprocess.run(
        [sys.executable, "-c", "from kmc.cli.app import main; main()", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "contact and voids at 0.3 monolayers" in done.stdout
    assert "<svg" in (folder / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ratios", "1e4", "--levels", 3], "exclude each other"),
        (["--plot", "a.png", "--no-plot"], "exclude each other"),
        (["--plot", "a.jpeg"], "ends in .jpeg"),
        (["--json", "a.txt"], "Use a name that ends in .json"),
        (["--csv", "a.txt"], "Use a name that ends in .csv"),
        (["--ratios", "many"], "Separate them by commas: --ratios 1e4,1e5,1e6."),
        (["--at", -1], "--at -1"),
        (["--tolerance", 2], "--tolerance 2"),
        (["--set", "conditions.temperature_K=-1"], "--set conditions.temperature_K=-1"),
    ],
)
def test_it_refuses(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in output_of("converge", "strip_li_hops", *options, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_runs_that_fail_are_reported(tmp_path, monkeypatch):
    """The folder of one point cannot be written: the others count."""
    folder = tmp_path / "a"
    plan = Levels("strip_li_hops", (1e2, 1e3), replicas=2, settings=TINY).plan(folder)
    opened = make_folder(folder, plan)
    broken = opened.trajectory_path(plan.points[0]).with_suffix(".part.h5")
    broken.mkdir()
    options = ["--ratios", "1e2,1e3", "--replicas", 2, "-o", folder, "--no-plot"]
    output = output_of("converge", "strip_li_hops", *SET, *options, code=1)
    assert "1 point failed" in output
    assert "1 run failed or has not been run" in output


@pytest.mark.parametrize(
    ("name", "noun"),
    [("plate_carbon", "a deposition"), ("cathode_se", "a cathode")],
)
def test_a_kind_without_a_ratio_is_refused_as_such(name, noun):
    """It asked for --ratios, or named a quantity of a parameter set that such runs never need."""
    with pytest.raises(InputError, match=f"{name} is {noun}: it has no ratio") as caught:
        Levels(name).check()
    assert "kmc sweep" in caught.value.advice


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("cell_li", "--ratios", "1e4,1e5"), "a population of voids: it has no ratio"),
        (("cell_li", "--cells", "0.4,0.2", "--squares", "20,40"), "exclude each other"),
        (("cell_li", "--cells", "0.4,0.4"), "needs different values"),
        (("cell_li", "--squares", "-2"), "--squares -2"),
        (("upscale_li", "--replicas", "2"), "has no upscale.grid_um"),
        (("strip_li", "--cells", "0.4"), "a box of atoms: it has no cells"),
        (("cathode_se", "--squares", "20"), "a cathode: it has no square"),
    ],
)
def test_levels_that_a_run_cannot_have(tmp_path, options, said):
    assert said in output_of("converge", *options, "-o", tmp_path / "c", "--dry-run", code=2)


def test_cells_and_squares_of_a_population_are_ordered_by_what_they_resolve():
    """Twice, once and half the cells of the run; half, once and twice its square."""
    assert Levels("cell_li", levels=3).check()[1] == (0.4, 0.2, 0.1)
    assert Levels("cell_li", axis=SQUARES).check()[1] == (20.0, 40.0, 80.0)
    assert Levels("cell_li", (20, 10), axis=SQUARES).check()[1] == (10.0, 20.0)
    assert Levels("cell_li", (0.1, 0.4), axis=CELLS).check()[1] == (0.4, 0.1)


def test_a_number_of_the_grid_is_marked_and_another_holds():
    """Of levels by cells no law is drawn, and the tolerance is for halved cells."""
    levels = {0.4: [10.0, 10.1, 9.9], 0.2: [10.05, 10.0, 9.95]}
    runs = [LevelRuns.of(cell, values) for cell, values in levels.items()]
    same = assess(WIDTH, runs, tolerance=0.1, physical_ratio=math.inf, axis=CELLS)
    assert (same.verdict, same.converged_from, same.law, same.needed) == (
        "converged",
        0.4,
        None,
        None,
    )
    assert "from cells of 0.4 µm to cells of 0.2 µm" in same.sentences[0]
    runs[1] = LevelRuns.of(0.2, [13.0, 13.1, 12.9])
    other = assess(WIDTH, runs, tolerance=0.1, physical_ratio=math.inf, axis=CELLS)
    assert other.verdict == "changing"
    assert other.needed.ratios == (0.1,)
    # 6 % are within the tolerance of halved cells, and beyond that of half the step.
    for cell, verdict in ((0.2, "converged"), (0.28, "changing")):
        runs[1] = LevelRuns.of(cell, [10.6, 10.7, 10.5])
        step = assess(WIDTH, runs, tolerance=0.1, physical_ratio=math.inf, axis=CELLS)
        assert step.verdict == verdict


@pytest.mark.slow
def test_a_cell_says_which_of_its_numbers_hold(tmp_path):
    """Two levels of cells and of squares of a small cell under pressure; the first in a report."""
    folder, more = tmp_path / "cells", ["--set", "conditions.stack_pressure_MPa=1"]
    more += ["--set", "upscale.domain_um=12", "--set", "upscale.capacity_mAh_cm2=0.12"]
    more += ["--replicas", "2", "--workers", "1"]
    said = output_of("converge", "cell_li", "--cells", "1,0.6", *more, "-o", folder)
    assert (folder / "converge.png").is_file()
    for word in ("with the cells", "contact loss, %", "voids that split", "cells of 0.6 µm"):
        assert word in said
    found = read_study(folder, at=0.1)
    assert found.ratios == (1.0, 0.6)
    assert found.moment.replace("\u00a0", " ") == "at 0.1 mAh/cm²"
    assert json.loads(found.to_json())["axis"] == "upscale.grid_um"
    assert len(found.table()) == 2 * len(found.findings) == 16
    late = found.findings["half_contact_mAh_cm2"]
    assert (late.levels[0].censored, late.verdict) == (2, "unknown")
    assert "a larger upscale.capacity_mAh_cm2" in late.sentences[0]
    output_of("report", folder, "-o", tmp_path / "report.html")
    assert "Convergence study" in (tmp_path / "report.html").read_text(encoding="utf-8")
    # Counts of events of squares of two sizes are not compared.
    wide = kmc.converge(
        "cell_li",
        squares=(10, 12),
        replicas=1,
        settings={"upscale.grid_um": 1.0, "upscale.capacity_mAh_cm2": 0.05},
        output=tmp_path / "squares",
        workers=1,
        progress=False,
    )
    assert "splits" not in wide.findings
    assert "with one run a level" in wide.findings["contact_loss"].sentences[0]
