"""Calibrations of a formula in place of runs, whose inputs are known."""

from __future__ import annotations

import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import stand_in

from kmc.campaign.calibration import posterior
from kmc.campaign.calibration.calibrate import calibrate, load_calibration
from kmc.campaign.calibration.design import read_design, sobol
from kmc.errors import InputError
from kmc.plotting.report import report

SEED = 20261124  # set before the first run of the coverage test, and not changed after it


def calibrated(tmp_path, rng, u, **settings):
    _, data = stand_in.measured(rng, u)
    made = stand_in.problem(data, **settings)
    return calibrate(made, tmp_path, simulate=stand_in.simulate(rng))


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    """Ranks of the true inputs, drawn from the priors, in the posteriors of 20 calibrations."""
    steps = posterior.STEPS, posterior.BURN_IN
    posterior.STEPS, posterior.BURN_IN = 700, 200
    rng, ranks = np.random.default_rng(SEED), []
    for number in range(20):
        u = rng.random(len(stand_in.PRIORS))
        folder = tmp_path_factory.mktemp("twenty") / str(number)
        found = calibrated(folder, rng, u, waves=1)
        assert found.plausible, found.lines()
        ranks.append((found.samples["posterior_u"] < u).mean(axis=0))
    posterior.STEPS, posterior.BURN_IN = steps
    return np.array(ranks)


@pytest.mark.slow
@pytest.mark.validation
def test_90_percent_intervals_hold_the_truth_in_15_to_20_of_20(twenty):
    """Binomial: an honest 90 % interval holds 15 to 20 with a probability of 98.9 %."""
    held = ((twenty > 0.05) & (twenty < 0.95)).sum(axis=0)
    assert (held >= 15).all(), held


@pytest.mark.slow
@pytest.mark.validation
def test_ranks_of_the_truth_are_even(twenty):
    """Rank histogram of the two inputs that matter (Cook et al. 2006): none of 5 bins is empty
    or holds half; χ² below its 99.9 % quantile of 18.5."""
    counts = np.histogram(twenty[:, :2], 5, (0, 1))[0]
    assert ((counts - 8) ** 2 / 8).sum() < 18.5, counts


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "fit"
    rng = np.random.default_rng(7)
    return calibrated(folder, rng, np.array([0.5, 0.6, 0.3]), posterior_runs=8)


@pytest.mark.slow
def test_an_input_without_effect_is_found_to_have_none(one):
    assert one.content["idle"] == ["idle"]
    rows = {row["input"]: row for row in one.content["posterior"]}
    assert rows["idle"]["width_left"] > 0.8
    assert max(rows[name]["width_left"] for name in ("sinks", "flaws")) < 0.5
    assert any("idle" in line and "without effect" in line for line in one.lines())


def test_samples_are_independent_of_each_other(one):
    """As many independent ones as are kept, by the autocorrelation time of the slowest input."""
    chains = one.content["chains"]
    assert chains["autocorrelation"] < 40
    assert chains["independent"] > posterior.KEPT == len(one.samples["posterior_u"])
    # Those of one walker stand 128 places and 66 steps apart.
    u = one.samples["posterior_u"] - one.samples["posterior_u"].mean(axis=0)
    lagged = [(u[k:] * u[: len(u) - k]).mean(axis=0) / (u**2).mean(axis=0) for k in range(1, 257)]
    assert np.abs(lagged).max() < 5 / np.sqrt(len(u))  # 768 numbers of a normal distribution


def test_emulators_state_their_errors(one):
    for row in one.content["emulators"]:
        assert 0.5 < row["rms_error"] < 1.6
        name = next(n for n, o in stand_in.NUMBERS.items() if o.name == row["quantity"])
        assert row["scatter"] == pytest.approx(stand_in.SCATTER[name], rel=0.35)


def test_predictions_stand_beside_the_data(one):
    rows = one.content["predictions"]
    assert [row["quantity"] for row in rows] == [
        "voids_per_100um at 0.125", "width_um at 0.125", "charge of gap"
    ]  # fmt: skip
    assert all(row["runs"] == 8 and row["verdict"] == "within" for row in rows)


def test_the_next_measurement_narrows_what_it_depends_on(one):
    """The gap depends on sinks most; nothing tells of the idle input."""
    left = {row["measure"]: row["left"] for row in one.content["next"]}
    gap = left["cell: charge of gap"]
    assert gap["sinks"] < 0.9
    assert all(row["idle"] > 0.95 for row in left.values())


def test_the_folder_is_read_back_and_holds_arrays_for_sbi(one):
    again = load_calibration(one.folder)
    assert again.content == one.content
    theta, x = again.samples["theta"], again.samples["x/cell"]
    assert theta.shape == (64, 3)
    assert x.shape == (64, 2, 3)
    assert list(again.samples["names/cell"]) == [o.name for o in stand_in.NUMBERS.values()]
    assert (one.folder / "posterior.csv").read_text().startswith("input,key")
    rows = again.settings(4, "cell")
    assert len(rows) == 4
    assert set(rows[0]) == {"a.sinks", "a.flaws", "a.idle"}


@pytest.mark.parametrize("name", ["calibration.json", "samples.npz"])
@pytest.mark.parametrize("damage", ["empty", "cut", "bytes", "bomb", "link", "pipe", "folder"])
def test_a_damaged_calibration_is_refused_in_words(one, tmp_path, name, damage):
    folder = tmp_path / "fit"
    shutil.copytree(one.folder, folder)
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "link":
        path.symlink_to(one.folder / name)
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage == "folder":
        path.mkdir()
    elif damage == "bomb":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("posterior.npy", bytes(2**28 + 1))
    else:
        half = len(content) // 2
        changed = content[:half] + bytes(200) + content[half + 200 :]
        path.write_bytes({"empty": b"", "cut": content[:half], "bytes": changed}[damage])
    with pytest.raises(InputError, match=r"calibration|is a link|no regular file"):
        load_calibration(folder)
    with pytest.raises(InputError):
        report(folder, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def changed_samples(folder, name, values):
    arrays = dict(np.load(folder / "samples.npz"))
    np.savez(folder / "samples.npz", **{**arrays, name: values})


@pytest.mark.parametrize("name", ["theta", "posterior", "posterior_u"])
def test_samples_that_are_no_numbers_of_the_inputs_are_refused(one, tmp_path, name):
    folder = tmp_path / "fit"
    right = one.samples[name]
    for wrong in (
        np.full_like(right, np.nan),
        right[:0],
        right[:, :1],
        right[0],
        np.array(5.0),
        right.astype(str),
        np.zeros((2, 3, 4)),
    ):
        shutil.copytree(one.folder, folder)
        changed_samples(folder, name, wrong)
        with pytest.raises(InputError, match=r"calibration in .* cannot be used"):
            load_calibration(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("place", ["wave_1", "posterior_2"])
@pytest.mark.parametrize("text", ["[]x", "{}", "5", "[[0.1]]", '[["a", 0, 0]]', "[[2, 0, 0]]",
                                  "[[NaN, 0, 0]]", "[[1, 2], [3]]", "null"])  # fmt: skip
def test_a_damaged_design_is_refused_by_its_name(one, tmp_path, place, text):
    folder = tmp_path / "fit"
    shutil.copytree(one.folder, folder)
    (folder / place / "design.json").write_text(text)
    with pytest.raises(InputError, match=r"design\.json"):
        read_design(folder / place / "design.json", 3)


def test_it_has_a_report_and_pictures(one, tmp_path):
    page = report(one.folder, tmp_path / "page.html").read_text()
    for text in ("sinks", "What to measure next", "Total Sobol indices", "charge of gap"):
        assert text in page
    assert one.plot("predictions").axes


@pytest.mark.validation
def test_a_wrong_model_leaves_no_input_plausible(tmp_path):
    """Data of a metal with sinks, a model that knows none: 40 times the voids, no gap before."""
    rng = np.random.default_rng(3)
    _, data = stand_in.measured(rng, np.array([0.9, 0.5, 0.5]))
    true = stand_in.simulate(rng)

    def without_sinks(experiment, settings, *rest):
        return true(experiment, [row | {"a.sinks": 1.0} for row in settings], *rest)

    found = calibrate(stand_in.problem(data), tmp_path / "fit", simulate=without_sinks)
    assert not found.plausible
    text = "\n".join(found.lines())
    assert "No input is left plausible" in text
    assert "Farthest off" in text
    assert len(found.content["waves"]) == 1  # nothing is run where nothing is left
    with pytest.raises(InputError, match="has no corner"):
        found.plot()


@pytest.mark.slow
def test_refused_runs_are_information(tmp_path):
    """Below 2 no run is possible: those inputs are ruled out, and the rest is calibrated."""
    rng = np.random.default_rng(5)
    _, data = stand_in.measured(rng, np.array([0.6, 0.5, 0.5]))
    simulate = stand_in.simulate(rng, refuse=lambda row: row["a.sinks"] < 2)
    found = calibrate(stand_in.problem(data, waves=1), tmp_path / "fit", simulate=simulate)
    assert found.plausible
    assert 5 <= found.content["refused"]["cell"] <= 9  # 23 % of 32
    assert any("refused" in line for line in found.lines())
    assert np.quantile(found.samples["posterior"][:, 0], 0.02) > 1.7


def test_another_calibration_is_not_mixed_in(one):
    rng = np.random.default_rng(7)
    _, data = stand_in.measured(rng, np.array([0.5, 0.5, 0.5]))
    with pytest.raises(InputError, match="other data, priors, runs or points"):
        calibrate(stand_in.problem(data), one.folder, simulate=stand_in.simulate(rng))
    (one.folder.parent / "strangers").mkdir()
    (one.folder.parent / "strangers" / "x").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        calibrate(
            stand_in.problem(data), one.folder.parent / "strangers", simulate=stand_in.simulate(rng)
        )


@pytest.mark.slow
def test_a_wave_is_designed_once(tmp_path):
    """Interrupted in the second wave, its places are those of the first attempt."""
    rng = np.random.default_rng(1)
    _, data = stand_in.measured(rng, np.array([0.5, 0.5, 0.5]))
    calls = []

    def interrupted(experiment, settings, observables, replicas, folder):
        if folder.parent.name == "wave_2":
            raise KeyboardInterrupt
        return stand_in.simulate(np.random.default_rng(2), calls)(
            experiment, settings, observables, replicas, folder
        )

    with pytest.raises(KeyboardInterrupt):
        calibrate(stand_in.problem(data), tmp_path / "fit", simulate=interrupted)
    kept = json.loads((tmp_path / "fit" / "wave_2" / "design.json").read_text())
    found = calibrate(
        stand_in.problem(data),
        tmp_path / "fit",
        simulate=stand_in.simulate(np.random.default_rng(2)),
    )
    np.testing.assert_array_equal(found.samples["theta_u"][32:], kept)
    with pytest.raises(InputError, match="holds no calibration"):
        load_calibration(tmp_path)


@pytest.mark.slow
def test_more_waves_and_runs_go_on_in_the_same_folder(tmp_path):
    """The samples of the posterior that were run are kept; more come behind them."""
    rng = np.random.default_rng(4)
    _, data = stand_in.measured(rng, np.array([0.5, 0.5, 0.5]))

    def go(**settings):
        simulate = stand_in.simulate(np.random.default_rng(2))
        return calibrate(stand_in.problem(data, **settings), tmp_path / "fit", simulate=simulate)

    def kept(wave):
        return json.loads((tmp_path / "fit" / f"posterior_{wave}" / "design.json").read_text())

    go(waves=1, posterior_runs=2)
    first = kept(1)
    go(waves=1, posterior_runs=5)
    assert len(first) == 2
    assert kept(1)[:2] == first
    assert len(kept(1)) == 5
    found = go(waves=2, posterior_runs=2)
    assert len(kept(2)) == 2
    assert [row["runs"] for row in found.content["predictions"]] == [2, 2, 2]


def test_wave_points_are_spread():
    places = np.random.default_rng(0).random((500, 2)) ** 3
    chosen = posterior.spread(places, 16)
    assert len(np.unique(chosen, axis=0)) == 16
    gaps = np.linalg.norm(chosen[:, None] - chosen, axis=2)[np.triu_indices(16, 1)]
    assert gaps.min() > 0.1


def test_sobol_points_fill_the_cube():
    u = sobol(64, 3, 1)
    assert u.shape == (64, 3)
    counts = np.histogram(u[:, 0], 8, (0, 1))[0]
    assert (counts == 8).all()
