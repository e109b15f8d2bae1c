"""Numbers in text: shares below rounding, and conversions that leave a rounding behind."""

import pytest

from kmc.common.formatting import percent
from kmc.common.validation import show, toml_value


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.46123, "46.1 %"), (1.0, "100 %"), (1.14e-253, "0 %"), (-0.0, "0 %"), (2e-7, "2e-5 %")],
)
def test_a_share_below_rounding_is_none(share, text):
    assert percent(share) == text


def test_a_message_shows_no_rounding_of_a_conversion():
    assert show(7.499999999999999) == "7.5"
    assert show([1, "x"]) == '[1, "x"]'
    # What a run file stores is exact.
    assert toml_value(7.499999999999999) == "7.499999999999999"
