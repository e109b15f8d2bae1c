"""Criteria: read safely, refused with advice."""

from __future__ import annotations

import math

import pytest

from kmc.campaign.critical.question import Criterion, parse_criterion
from kmc.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("contact_fraction<0.8", Criterion("contact_fraction", "<", 0.8)),
        (" overpotential_V >= 1e-2 ", Criterion("overpotential_V", ">=", 0.01)),
        ("max_void_width_nm>3", Criterion("max_void_width_nm", ">", 3.0)),
        ("voids<=-2", Criterion("voids", "<=", -2.0)),
    ],
)
def test_reading(text, expected):
    assert parse_criterion(text) == expected
    assert parse_criterion(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a comparison"),
        ("contact_fraction", "is not a comparison"),
        ("contact_fraction=0.8", "is not a comparison"),
        ("0.8>contact_fraction", "is not a comparison"),
        ("contact_fraction<0.8 and 1", "is not a comparison"),
        ("__import__('os')<1", "is not a comparison"),
        ("contact<0.8", "Did you mean 'contact_fraction'?"),
        ("contact_fraction<x", "compares with 'x'"),
        ("contact_fraction<nan", "compares with 'nan'"),
        ("contact_fraction<inf", "compares with 'inf'"),
    ],
)
def test_what_it_is_not(text, said):
    with pytest.raises(InputError) as caught:
        parse_criterion(text)
    assert said in str(caught.value)


def test_holding():
    criterion = parse_criterion("contact_fraction<0.8")
    assert criterion.holds([0.7, 0.8, math.nan]).tolist() == [True, False, False]


def test_an_unknown_name_is_answered_in_a_line():
    with pytest.raises(InputError) as caught:
        parse_criterion("x<1")
    assert "Usual are contact_fraction, overpotential_V, voids" in str(caught.value)
    assert len(str(caught.value)) < 300
