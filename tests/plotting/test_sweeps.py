"""Pictures of sweeps and thresholds, and the table behind them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import t as student

from kmc.campaign.critical.question import Critical, Question, parse_criterion
from kmc.campaign.critical.threshold import Scale, Search, fit
from kmc.errors import InputError
from kmc.plotting import sweep_picture
from kmc.plotting.campaign_pages import threshold_map_picture, threshold_picture, wilson
from kmc.plotting.sweep_panels import _edges, sweep_table


def dataset(shape=(4, 3, 5), seed=1) -> xr.Dataset:
    """Contact that falls with the current and with the temperature, with noise over replicas."""
    rng = np.random.default_rng(seed)
    currents = np.geomspace(0.1, 100, shape[0])
    temperatures = np.linspace(280, 320, shape[1])
    contact = 0.9 - 0.1 * np.log10(currents)[:, None, None] - 0.002 * (temperatures[:, None] - 280)
    contact = contact + 0.02 * rng.standard_normal(shape)
    dims = ["current_density_mA_cm2", "temperature_K", "replica"]
    ds = xr.Dataset(
        {
            "contact_fraction": (dims, contact, {"units": "1"}),
            "contact_fraction_at": ([*dims, "at_monolayers"], contact[..., None] + 0.01),
            "onset_capacity_monolayers": (dims, np.where(contact > 0.7, np.nan, contact)),
            "state": (dims, np.full(shape, "done", dtype=object)),
        },
        {"replica": np.arange(shape[2]), "at_monolayers": [0.5]},
    )
    for name, values in zip(dims[:2], (currents, temperatures), strict=True):
        ds = ds.assign_coords({name: (name, values, {"key": f"conditions.{name}"})})
    return ds


def draws(figure) -> bool:
    """Whether a figure can be drawn, which finds what only the renderer sees."""
    figure.draw_without_rendering()
    return len(figure.axes) > 0


# --- the table ------------------------------------------------------------------------------------


def test_table_has_the_interval_of_the_mean():
    ds = dataset((4, 1, 5))
    table = sweep_table(ds)
    assert list(table.columns) == ["current_density_mA_cm2", "n", "mean", "std", "low", "high"]
    values = ds.contact_fraction.values[2, 0]
    low, high = student.interval(0.95, 4, values.mean(), values.std(ddof=1) / np.sqrt(5))
    assert table.loc[2, ["mean", "low", "high"]].tolist() == pytest.approx(
        [values.mean(), low, high]
    )


def test_replicas_without_a_number_are_left_out():
    ds = dataset((3, 1, 4))
    ds.contact_fraction[0, 0, 1:] = np.nan
    ds.contact_fraction[1, 0, :] = np.nan
    table = sweep_table(ds)
    assert table["n"].tolist() == [1, 0, 4]
    assert table["mean"].notna().tolist() == [True, False, True]
    assert table["low"].notna().tolist() == [False, False, True]


def test_axes_are_chosen_by_name_or_key():
    ds = dataset()
    table = sweep_table(ds, x="conditions.temperature_K", y="current_density_mA_cm2")
    assert list(table.columns[:2]) == ["current_density_mA_cm2", "temperature_K"]
    assert len(table) == 12
    one = sweep_table(ds, where={"temperature_K": "300"})
    assert list(one.columns[:1]) == ["current_density_mA_cm2"]
    mean = float(ds.contact_fraction.sel(temperature_K=300)[0].mean())
    assert one["mean"][0] == pytest.approx(mean)


def test_at_a_capacity():
    ds = dataset()
    difference = sweep_table(ds, at=0.5)["mean"] - sweep_table(ds)["mean"]
    assert difference.to_numpy() == pytest.approx(0.01)


def test_at_a_capacity_what_belongs_to_whole_runs_gives_way_to_contact():
    ds = dataset()
    ds.attrs["headline"] = "half_contact_mAh_cm2"
    contact = sweep_table(ds, "contact_fraction", at=0.5)["mean"]
    assert sweep_table(ds, at=0.5)["mean"].equals(contact)


@pytest.mark.parametrize("digits", [20, 60])
def test_a_label_stays_on_the_page(digits, tmp_path):
    ds = dataset()
    ds.contact_fraction.attrs |= {"label": "charge to " + "half " * (digits // 5), "units": "1"}
    page = sweep_picture(ds)
    page.savefig(tmp_path / "page.png")
    box = page.axes[0].yaxis.label.get_window_extent()
    assert box.y0 >= 0
    assert box.y1 <= page.bbox.y1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"what": "contact"}, "Did you mean 'contact_fraction'?"),
        ({"what": "state"}, "there is no number 'state'"),
        ({"x": "temperature"}, "Did you mean 'temperature_K'?"),
        ({"x": "temperature_K", "y": "temperature_K"}, "one axis"),
        ({"where": {"temperature_K": 5}}, "Values of temperature_K: 280.0, 300.0, 320.0."),
        ({"what": "onset_capacity_monolayers", "at": 0.5}, "not a number at a capacity"),
    ],
)
def test_what_cannot_be_drawn(options, said):
    with pytest.raises(InputError) as caught:
        sweep_table(dataset(), **options)
    assert said in str(caught.value)


def test_three_axes_need_a_choice():
    ds = dataset().expand_dims(size=[1, 2])
    ds = ds.assign_coords(size=("size", [1, 2], {"key": "system.size"}))
    with pytest.raises(InputError, match="varies as well") as caught:
        sweep_table(ds)
    assert "--where" in caught.value.advice
    assert len(sweep_table(ds, where={"size": 1})) == 12


# --- pictures -------------------------------------------------------------------------------------


def test_lines_and_bands():
    figure = sweep_picture(dataset())
    (axes,) = figure.axes
    assert draws(figure)
    assert len(axes.lines) == 3
    assert len(axes.collections) == 3  # bands
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "current density (mA/cm²)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["280", "300", "320"]


SHARES = ["contact_fraction", "contact_fraction_Li", "contact_active_frame", "coverage"]
SHARES += ["efficiency", "dead_per_plated"]


@pytest.mark.parametrize("what", [*SHARES, "voids"])
def test_a_band_stays_within_what_is_possible(what):
    """Of shares 0 to 1, of other numbers that are not negative 0."""
    ds = dataset((4, 3, 2)).rename({"contact_fraction": what})
    values = ds[what] / ds[what].max()
    ds[what] = values.where(ds.replica == 0, 0.1 * values)
    table = sweep_table(ds, what)
    assert table["low"].min() < 0
    assert table["high"].max() > 1
    bands = sweep_picture(ds, what).axes[0].collections
    heights = np.concatenate([path.vertices[:, 1] for band in bands for path in band.get_paths()])
    assert heights.min() == 0
    assert heights.max() == (table["high"].max() if what == "voids" else 1)


def test_a_band_around_an_area_that_was_regained_more_than_once_contains_its_mean():
    ds = dataset((4, 3, 2)).rename({"contact_fraction": "regained_fraction"})
    ds["regained_fraction"] = 2.0 + ds["regained_fraction"]
    bands = sweep_picture(ds, "regained_fraction").axes[0].collections
    heights = np.concatenate([path.vertices[:, 1] for band in bands for path in band.get_paths()])
    assert heights.min() > 2


def test_names_as_values_stand_side_by_side():
    ds = dataset((2, 1, 3))
    names = ("current_density_mA_cm2", ["one", "two"], {"key": "system.params"})
    figure = sweep_picture(ds.assign_coords(current_density_mA_cm2=names))
    assert draws(figure)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["one", "two"]


def test_one_run_a_point_has_no_band():
    figure = sweep_picture(dataset((4, 1, 1)))
    assert draws(figure)
    assert len(figure.axes[0].collections) == 0
    assert "no interval" in figure.get_supxlabel()


def test_heat_map():
    figure = sweep_picture(dataset(), heatmap=True)
    assert draws(figure)
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_yscale() == "linear"
    with pytest.raises(InputError, match="two axes"):
        sweep_picture(dataset((4, 1, 2)), heatmap=True)


def test_nothing_to_draw_says_why():
    ds = dataset()
    ds["contact_fraction"][:] = np.nan
    with pytest.raises(InputError, match="no run of this sweep has a number"):
        sweep_picture(ds)


# --- thresholds -----------------------------------------------------------------------------------


def found(values, hits, runs) -> Critical:
    scale = Scale.between(0.1, 1000.0)
    asked = Question("strip_li", "conditions.current_density_mA_cm2", scale,
                     parse_criterion("contact_fraction<0.8"), at=1.0)  # fmt: skip
    search = Search(fit(values, hits, runs, scale), tuple(values), tuple(hits), tuple(runs), True)
    return Critical(asked, search)


CLEAR = ([0.1, 5, 15, 1000], [0, 0, 8, 8], [8] * 4)
NONE = ([0.1, 10, 1000], [0, 0, 0], [4] * 3)
HIGH = ([0.1, 500, 1000], [0, 0, 3], [8, 8, 4])


@pytest.mark.parametrize("outcome", [CLEAR, NONE, HIGH])
def test_threshold(outcome):
    figure = threshold_picture(found(*outcome))
    assert draws(figure)
    assert "contact fraction < 0.8" in figure.axes[0].get_ylabel()
    # CLEAR has no value with runs of both kinds: any slope between two points fits as well.
    mixed = outcome is HIGH
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 400]
    assert len(curves) == mixed
    assert ("logistic fit" in figure.get_supxlabel()) == mixed


def test_axes_of_a_heat_map_begin_at_zero_where_the_values_do():
    pressures = np.array([0.0, 0.5, 1.5])
    np.testing.assert_allclose(_edges(pressures), [0.0, 0.25, 1.0, 2.0])
    assert _edges(np.array([0.0])).min() == 0.0
    assert _edges(np.array([-1.0, 0.0])).min() < -1.0


def test_threshold_map_shows_what_is_open():
    figure = threshold_map_picture(
        [found(*CLEAR), found(*HIGH), found(*NONE)],
        "parameters.second_shell_ratio",
        [0.4, 0.5, 0.6],
    )
    assert draws(figure)
    assert "arrows" in figure.get_supxlabel()
    assert figure.axes[0].get_ylabel() == "critical current density (mA/cm²)"


def test_wilson_interval():
    """5 of 10: 0.237 to 0.763; none of 10: 0 to 0.278 (Brown, Cai, DasGupta 2001, eq. 4)."""
    low, high = wilson(np.array([5.0, 0.0]), np.array([10.0, 10.0]))
    assert low == pytest.approx([0.2366, 0.0], abs=1e-4)
    assert high == pytest.approx([0.7634, 0.2775], abs=1e-4)


# --- settings that differ, and noise --------------------------------------------------------------


def zipped(values, currents, lattices) -> xr.Dataset:
    names = np.array(lattices, dtype=object)
    return xr.Dataset(
        {"contact_fraction": (("zip", "replica"), values, {"units": "1"})},
        {
            "zip": np.arange(len(currents)),
            "current_density_mA_cm2": (
                "zip",
                currents,
                {"key": "conditions.current_density_mA_cm2"},
            ),
            "lattice": ("zip", names, {"key": "system.lattice"}),
            "replica": np.arange(values.shape[1]),
        },
    )


@pytest.mark.parametrize("currents", [[0.5, 1.0, 2.0], [0.5, 0.5, 2.0]])
def test_settings_that_change_together_are_not_joined(currents):
    values = np.random.default_rng(1).random((3, 4))
    ds = zipped(values, currents, ["bcc_100", "bcc_110", "bcc_111"])
    page = sweep_picture(ds)
    (axes,) = page.axes
    assert {line.get_linestyle() for line in axes.lines} <= {"None", "none", ""}
    assert not axes.collections or all(len(c.get_paths()) != 1 for c in axes.collections)
    if len(set(currents)) < 3:
        labels = [text.get_text() for text in axes.get_xticklabels()]
        assert labels == ["0.5, bcc_100", "0.5, bcc_110", "2, bcc_111"]
    else:
        assert "lattice change too" in page._supxlabel.get_text()


def test_equal_results_have_no_interval():
    values = np.array([[0.5, 0.5], [0.4, 0.6], [0.2, 0.3]])
    ds = dataset((3, 1, 2))
    ds["contact_fraction"] = (ds["contact_fraction"].dims, values.reshape(3, 1, 2), {"units": "1"})
    table = sweep_table(ds)
    assert table["low"].notna().tolist() == [False, True, True]
    assert "none where all runs agree" in sweep_picture(ds)._supxlabel.get_text()


def test_colours_of_a_heat_map_span_more_than_the_noise():
    """Of means that differ by less than their intervals none gets the end of the scale."""
    ds = dataset((4, 3, 4))
    noise = 0.5 + 0.01 * np.random.default_rng(1).normal(size=(4, 3, 4))
    ds["contact_fraction"] = (ds["contact_fraction"].dims, noise, {"units": "1"})
    page = sweep_picture(ds, heatmap=True)
    table = sweep_table(ds)
    (mesh,) = page.axes[0].collections
    half = (table["high"] - table["mean"]).median()
    assert mesh.norm.vmax - mesh.norm.vmin >= 4 * half * (1 - 1e-9)
    assert f"± {half:.3g}" in page._supxlabel.get_text()
    assert sum("±" in text.get_text() for text in page.axes[0].texts) == 12


def test_runs_that_kept_their_contact_count_as_a_bound_and_are_marked():
    """A mean over those that lost it alone would come out too early."""
    ds = dataset((3, 1, 2))
    dims = ds.contact_fraction.dims
    half = np.array([[0.2, 0.4], [0.3, np.nan], [np.nan, np.nan]])[:, None]
    attrs = {"units": "mAh/cm2", "censored": "half_contact_censored", "label": "charge to half"}
    ds["half_contact_mAh_cm2"] = (dims, half, attrs)
    ds["half_contact_censored"] = (dims, np.isnan(half))
    ds["capacity_mAh_cm2"] = (dims, np.full(half.shape, 1.0))
    ds.attrs["headline"] = "half_contact_mAh_cm2"
    table = sweep_table(ds)
    assert table["censored"].tolist() == [0, 1, 2]
    assert table["mean"].tolist() == pytest.approx([0.3, 0.65, 1.0])
    assert table["low"].notna().tolist() == [True, False, False]
    figure = sweep_picture(ds)
    assert draws(figure)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "charge to half (mAh/cm²)"
    marked = [line for line in axes.lines if line.get_marker() == "^"]
    assert marked[0].get_ydata().tolist() == pytest.approx([0.65, 1.0])
    assert "3 runs ended before" in figure.get_supxlabel().replace("\u00a0", " ")


def test_a_search_without_a_threshold_draws_and_names_only_what_there_is():
    scale = Scale.between(0.3, 3)
    outcome = fit([0.3, 1, 3], [2, 2, 2], [2, 2, 2], scale)
    question = Question("cell_li", "conditions.current_density_mA_cm2", scale,
                        parse_criterion("contact_fraction<0.5"))  # fmt: skip
    found = Critical(question, Search(outcome, (0.3, 1, 3), (2, 2, 2), (2, 2, 2), False))
    figure = threshold_picture(found)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    title = axes.title if axes.get_title() else axes._left_title
    box, page = title.get_window_extent(), figure.bbox
    assert box.x1 <= page.x1
    assert box.y1 <= page.y1
    assert "fit" not in figure.get_supxlabel()
