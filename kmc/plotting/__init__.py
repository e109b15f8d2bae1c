"""Pictures for the screen and for one column of print; matplotlib is imported here and nowhere
else. Imports every package but `cli`.

>>> from kmc import plotting
>>> plotting.draw("map", kmc.load("strip_li.h5"))       # doctest: +SKIP
"""

from kmc.common.outputs import PICTURES
from kmc.plotting.calibration_panels import calibration_picture
from kmc.plotting.convergence import convergence_picture
from kmc.plotting.draw import (
    draw,
    plot_cross_section,
    plot_profiles,
    plot_voids,
    save_movie,
    table_picture,
)
from kmc.plotting.impedance_panels import impedance_picture
from kmc.plotting.notebook import slider, watch
from kmc.plotting.nucleation_panels import nucleation_picture
from kmc.plotting.pages import overview, save_overview
from kmc.plotting.plan_panels import plan_picture
from kmc.plotting.statistics import ripening_picture
from kmc.plotting.style import MAGNESIUM, METAL, save
from kmc.plotting.sweep_panels import sweep_picture
from kmc.plotting.thresholds import threshold_picture
from kmc.plotting.upscale import POPULATION_PICTURES, population_picture

__all__ = [
    "MAGNESIUM",
    "METAL",
    "PICTURES",
    "POPULATION_PICTURES",
    "calibration_picture",
    "convergence_picture",
    "draw",
    "impedance_picture",
    "nucleation_picture",
    "overview",
    "plan_picture",
    "plot_cross_section",
    "plot_profiles",
    "plot_voids",
    "population_picture",
    "ripening_picture",
    "save",
    "save_movie",
    "save_overview",
    "slider",
    "sweep_picture",
    "table_picture",
    "threshold_picture",
    "watch",
]
