"""The contact line of a gap on a grid: its speed against a moving mesh, in every direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from moving_rim import half_width

from kmc.kernels import outline
from kmc.systems.population.state import Outline

BEGIN, V, END = 10.0, 0.2, 150.0  # half the width, gain of each half, time; lengths in cells


def means(height, n: int, parts: int = 8) -> np.ndarray:
    """Means over n × n cells of a height as a function of x and y."""
    x = (np.arange(n * parts) + 0.5) / parts
    return height(x[None, :], x[:, None]).reshape(n, parts, n, parts).mean(axis=(1, 3))


def grow(h: np.ndarray, gain, dt: float, steps: int) -> Outline:
    """Let a gap grow; `gain` gives what each cell gains in unit time. Changes h."""
    shape = Outline(len(h))
    shape.locate(h)
    for _ in range(steps):
        step = gain(shape) * dt
        shape.relax(h, step, dt)
        outline.clear(h)
        shape.locate(h)
        shape.advance(h, dt)
        shape.locate(h)
    return shape


def test_the_moving_mesh_is_converged():
    """To 0.1 %, in mesh and in steps; its volume is kept."""
    coarse = half_width(BEGIN, V, np.linspace(0, END, 31), 30)[-1]
    assert half_width(BEGIN, V, np.linspace(0, END, 61), 60)[-1] == pytest.approx(coarse, rel=1e-3)


@pytest.mark.validation
@pytest.mark.parametrize(("way", "n"), [((1, 0), 48), ((1, 1), 68), ((2, 1), 107), ((3, 1), 152)])
def test_a_straight_rim_moves_alike_in_every_direction(way, n):
    """Half the width of a ridge to 1 %, from 10 to 13.07 cells, with a lip of 3.7 cells.

    1 % is 0.13 cells, 4 % of the way of the rim, for the grid; the mesh beside it has 0.1 %.
    """
    length = math.hypot(*way)
    period = n / length  # across the ridge

    def ridge(x, y):
        s = ((way[0] * x + way[1] * y) / length) % period - period / 2
        return np.maximum(0.0, (BEGIN**2 - s**2) / (2 * BEGIN))

    def gain(shape: Outline) -> np.ndarray:
        return shape.cover * (2 * V * n * n / period / shape.cover.sum())

    shape = grow(means(ridge, n), gain, END / 150, 150)
    wanted = half_width(BEGIN, V, np.linspace(0, END, 61))[-1]
    assert shape.cover.sum() * period / n**2 / 2 == pytest.approx(wanted, rel=0.01)
