"""`kmc.sweep` and `kmc.critical` from Python."""

from __future__ import annotations

import numpy as np
import pytest

import kmc
from kmc.errors import InputError, KmcWarning

TINY = {
    "system.size": [6, 6, 8],
    "acceleration.max_hops_per_strip_per_site": None,
    "acceleration.slow_down_by": 1e9,
    "stop.capacity_monolayers": 0.3,
}
CURRENT = "conditions.current_density_mA_cm2"
PRESSURE = "conditions.stack_pressure_MPa"


@pytest.mark.slow
def test_a_sweep_from_a_dict(tmp_path):
    study = {
        "run": "strip_li",
        "replicas": 2,
        "grid": {CURRENT: np.array([0.5, 5.0])},
        "set": TINY,
    }
    ds = kmc.sweep(study, output=tmp_path / "some", workers=1, progress=False, at_monolayers=0.2)
    assert dict(ds.sizes) == {"current_density_mA_cm2": 2, "replica": 2, "at_monolayers": 1}
    assert (ds.state == "done").all()
    again = kmc.sweep(study, output=tmp_path / "some", progress=False)
    assert again.time_s.equals(ds.time_s)


@pytest.mark.parametrize(
    ("study", "says"),
    [
        ({"run": "strip_li", "gird": {}}, "Did you mean 'grid'"),
        ({"run": "strip_li", "grid": [1]}, "must be a dict"),
        ({"run": "strip_lii"}, "strip_li"),
        ({"run": "strip_li", "grid": {PRESSURE: [-1.0]}}, "at least 0"),
        ({"run": "strip_li", "grid": {PRESSURE: [-1.0]}}, "of the dict of the sweep"),
    ],
)
def test_a_dict_that_is_no_sweep(study, says, tmp_path):
    with pytest.raises(InputError) as caught:
        kmc.sweep(study, output=tmp_path / "none", progress=False)
    assert says in f"{caught.value.message} {caught.value.advice}"
    assert not (tmp_path / "none").exists()


def test_a_sweep_warns_of_what_it_hides(tmp_path):
    study = {"run": "strip_li_hops", "grid": {CURRENT: [0.5, 5.0]}, "set": {}}
    with pytest.raises(InputError), pytest.warns(KmcWarning, match="slow_down_by"):
        kmc.sweep(study, output=tmp_path / "x" / "y", progress=False)


@pytest.mark.slow
def test_a_critical_current(tmp_path):
    found = kmc.critical(
        "strip_li",
        vary=CURRENT,
        between=(0.5, 500),
        criterion="contact_fraction<0.8",
        at=0.5,
        settings={key: value for key, value in TINY.items() if "stop" not in key},
        max_runs=24,
        output=tmp_path / "critical",
        workers=1,
        progress=False,
    )
    low, high = found.interval
    assert np.isnan(found.value) or low <= found.value <= high
    assert found.sentence.split(":")[0] in found._repr_html_().lower()
    assert found.plot() is not None
