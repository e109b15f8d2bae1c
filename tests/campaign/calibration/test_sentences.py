"""A calibration as text."""

import pytest

from kmc.campaign.calibration.sentences import at_end_of_prior, plain


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.25, 3.47, ", at the upper end of its prior (3.5)"),
        (1.01, 2.0, ", at the lower end of its prior (1)"),
        (1.0 * 3.5**0.05, 3.5**0.95, ""),  # as wide as the prior
    ],
)
def test_a_posterior_at_an_end_of_its_prior_says_so(low, high, expected):
    prior = {"log_uniform": [1.0, 3.5], "uniform": None}
    assert at_end_of_prior({"low": low, "high": high}, prior) == expected


def test_a_normal_prior_has_no_ends():
    assert at_end_of_prior({"low": -5, "high": 5}, {"log_uniform": None, "uniform": None}) == ""


def test_names_of_quantities_are_words():
    assert plain("charge of contact_loss_percent=90") == "charge of contact loss of 90 %"
    assert plain("voids_per_100um at 0.125") == "voids at 0.125"
