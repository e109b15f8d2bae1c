"""Safe operation: `kmc critical` at samples of a calibration's posterior."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from kmc.campaign.critical.search import critical, posterior_samples
from kmc.campaign.critical.threshold import Fit, Scale
from kmc.errors import InputError


@pytest.fixture
def calibration(tmp_path):
    """A folder as of `kmc calibrate`: sinks between 2 and 8 µm, shared, and flaws of one cell."""
    folder = tmp_path / "fit"
    folder.mkdir()
    inputs = {
        "sinks": {"keys": ["conditions.sink_length_um"], "experiments": []},
        "flaws": {"keys": ["upscale.flaw_density_per_um2"], "experiments": ["cell"]},
    }
    content = {"format": "kmc calibration", "version": 1, "plausible": True, "inputs": inputs,
               "experiments": ["cell", "next"]}  # fmt: skip
    (folder / "calibration.json").write_text(json.dumps(content))
    u = np.stack([np.linspace(0, 1, 50), np.full(50, 0.5)], axis=1)
    posterior = np.stack([2 + 6 * u[:, 0], np.full(50, 0.1)], axis=1)
    np.savez(folder / "samples.npz", posterior=posterior, posterior_u=u, theta=posterior, theta_u=u)
    return folder


def test_runs_have_the_inputs_of_samples(calibration):
    rows = posterior_samples(calibration, None, 3)
    assert [row["conditions.sink_length_um"] for row in rows] == pytest.approx([2, 4.93878, 8])
    assert all(row["upscale.flaw_density_per_um2"] == 0.1 for row in rows)
    (row, _) = posterior_samples(calibration, "next", 2)
    assert set(row) == {"conditions.sink_length_um"}


def test_what_is_refused(calibration):
    with pytest.raises(InputError, match="no experiment 'last'"):
        posterior_samples(calibration, "last", 3)
    with pytest.raises(InputError, match="of no calibration"):
        posterior_samples(None, "next", 3)
    content = json.loads((calibration / "calibration.json").read_text()) | {"plausible": False}
    (calibration / "calibration.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no input plausible"):
        posterior_samples(calibration, None, 3)


def test_an_input_of_the_calibration_cannot_be_varied(calibration):
    with pytest.raises(InputError, match="an input of the calibration at once"):
        critical("operando_li", vary="conditions.sink_length_um", between=(1, 5), at=0.05,
                 criterion="contact_fraction<0.8", calibration=calibration)  # fmt: skip


def test_a_tenth_of_a_logistic_curve():
    """P = 1/(1 + exp(−(x − x_c)/w)) is 0.1 at x_c − w ln 9."""
    fit = Fit(5.0, 4.0, 6.0, 0.95, True, 0.5, Scale(0.0, 10.0, False))
    assert fit.quantile(0.1) == pytest.approx(5 - 0.5 * math.log(9))
    assert fit.probability(fit.quantile(0.1)) == pytest.approx(0.1)
    falling = Fit(5.0, 4.0, 6.0, 0.95, False, 0.5, Scale(1.0, 10.0, True))
    assert falling.quantile(0.1) == pytest.approx(5 * 9**0.5)
    assert falling.probability(falling.quantile(0.1)) == pytest.approx(0.1)


@pytest.mark.slow
def test_the_current_that_is_safe_lies_below_that_of_one_half(calibration, tmp_path):
    asked = {
        "vary": "conditions.current_density_mA_cm2", "between": (0.05, 5.0),
        "criterion": "contact_fraction<0.85", "at": 0.05, "calibration": calibration,
        "replicas": 4, "max_runs": 24, "tolerance": 0.5, "workers": 1, "progress": False,
        "output": tmp_path / "runs",
        "settings": {"upscale.domain_um": 6, "upscale.frames": 1},
    }  # fmt: skip
    found = critical("operando_li", **asked)
    assert sum(found.search.runs) <= 24
    text = "\n".join(found.lines())
    if found.search.fit.rising:
        assert not found.safe > found.value
        assert "4 samples of its posterior" in text or "outside the range" in text
    again = critical("operando_li", **asked)
    assert again.search.values == found.search.values
