"""Clusters among Mg that does not move."""

from __future__ import annotations

import numpy as np
import pytest

from kmc.model.parameters import load_parameters
from kmc.nuclei import clusters
from kmc.nuclei.surface import Surface

N_MAX = 60


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", [0, 4])
def test_all_sizes_are_reached_among_few_pockets(arrangement, monkeypatch):
    """At a Mg coverage of 0.6 the Li sites of L1 do not percolate: a walk must leave its pocket."""
    monkeypatch.setattr(clusters, "_MAX_ROUNDS", 4)  # as spare rounds are for worse arrangements
    surface = Surface(load_parameters("limg_li2s"), "bcc_100", 298.15, 0.6, 0.03)
    free = clusters.cluster_free_energies(surface, n_max=N_MAX, walkers=2, steps=600_000)
    geometry = surface.quenched_geometry(N_MAX + 2, np.random.default_rng([1, 7, arrangement]))
    first, columns = geometry.base << geometry.shift, 1 << geometry.shift
    lithium = np.flatnonzero(geometry.site[first : first + columns])
    for k in range(2):
        rng = np.random.default_rng([1, 8, arrangement, k])
        start = first + int(rng.choice(lithium))
        bias = clusters.learn_bias(geometry, free.ln_Z, N_MAX, rng, start)
        assert np.isfinite(bias).all()
        # What it costs to grow by one vacancy is positive, at any size.
        assert (np.diff(bias[1:-1]) > 0).all()
