"""Pictures of trajectories, for the screen and for one column of print."""

from __future__ import annotations

from kmc.plotting.draw import PICTURES, draw, plot_cross_section, plot_profiles, plot_voids
from kmc.plotting.ladders import ladder_picture
from kmc.plotting.nucleation import nucleation_picture
from kmc.plotting.pages import overview, save_overview
from kmc.plotting.ripening import ripening_picture
from kmc.plotting.style import MAGNESIUM, METAL, save
from kmc.plotting.sweeps import sweep_picture
from kmc.plotting.upscale import POPULATION_PICTURES, population_picture

__all__ = [
    "MAGNESIUM",
    "METAL",
    "PICTURES",
    "POPULATION_PICTURES",
    "draw",
    "ladder_picture",
    "nucleation_picture",
    "overview",
    "plot_cross_section",
    "plot_profiles",
    "plot_voids",
    "population_picture",
    "ripening_picture",
    "save",
    "save_overview",
    "sweep_picture",
]
