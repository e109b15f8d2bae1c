"""The short summary of a box: eight lines in the words of a battery laboratory."""

from __future__ import annotations

import fake
import pytest

from kmc import load
from kmc.common.conditions import ending


@pytest.fixture(scope="module")
def stripped(tmp_path_factory):
    box = fake.lattice(cells=(24, 24), layers=16)
    return load(fake.write(tmp_path_factory.mktemp("digest") / "strip_li.h5", box=box))


def test_eight_lines_say_what_a_battery_scientist_asks(stripped):
    rows = stripped.summary()
    said = {label: text.replace("\u00a0", " ") for label, text in rows}
    samples = stripped.samples
    assert len(rows) <= 8
    assert list(said)[:5] == ["Ended", "Conditions", "Stripped", "Contact", "Voids"]
    assert "2 monolayers" in said["Stripped"]
    assert "mAh/cm²" in said["Stripped"]
    assert f"→ {100 * samples.contact_fraction[-1]:.3g} %" in said["Contact"]
    assert "2 in the last frame, the largest" in said["Voids"]
    assert f"{1e3 * samples.overpotential_V[-1]:.3g} mV at the end" in said["Overpotential"]


def test_trust_names_slowed_hops_and_too_few_voids(stripped):
    """The number of voids is said wherever contact is: below 20 there is no mean of it."""
    trust = dict(stripped.summary())["Trust"].replace("\u00a0", " ")
    assert "hops slowed up to 280 times" in trust
    for number in ("contact", "number and size of voids", "overpotential", " S ", "absorbed share"):
        assert number in trust
    assert trust.endswith("2 voids: too few for a mean contact (a larger system.size)")


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("capacity_monolayers reached 2", "capacity of 2 monolayers reached"),
        ("capacity_monolayers reached 1", "capacity of 1 monolayer reached"),
        ("capacity_mAh_cm2 reached 0.1; then rested for 3 s",
         "capacity of 0.1 mAh/cm² reached; then rested for 3 s"),
        ("events reached 100", "100 events reached"),
        ("interrupted", "interrupted"),
    ],
)  # fmt: skip
def test_endings_in_words(reason, text):
    assert ending(reason) == text
