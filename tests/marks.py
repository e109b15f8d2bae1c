"""Which cases of a test wait for the slow or the long suite."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest


def slow(*values):
    """The values of a case that takes longer than the default suite allows."""
    return pytest.param(*values, marks=pytest.mark.slow)


def long(*values):
    """The values of a case that takes a minute or more."""
    return pytest.param(*values, marks=pytest.mark.long)


def slow_but(kept: Collection, cases: Iterable) -> list:
    """All cases; only those that are kept are in the default suite."""
    return [case if case in kept else slow(case) for case in cases]
