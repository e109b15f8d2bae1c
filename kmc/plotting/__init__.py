"""Pictures of trajectories, for the screen and for one column of print."""

from __future__ import annotations

from kmc.plotting.pages import overview, save_overview
from kmc.plotting.style import MAGNESIUM, METAL

__all__ = ["MAGNESIUM", "METAL", "overview", "save_overview"]
