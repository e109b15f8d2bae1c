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
)
from kmc.plotting.impedance_panels import impedance_picture
from kmc.plotting.measured_panels import plan_picture
from kmc.plotting.movie import save_movie
from kmc.plotting.notebook import slider, watch
from kmc.plotting.nucleation_panels import nucleation_picture
from kmc.plotting.pages import overview
from kmc.plotting.statistics import ripening_picture
from kmc.plotting.style import MAGNESIUM, METAL, save
from kmc.plotting.sweep_panels import sweep_picture
from kmc.plotting.thresholds import threshold_picture

__all__ = [
    "MAGNESIUM",
    "METAL",
    "PICTURES",
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
    "ripening_picture",
    "save",
    "save_movie",
    "slider",
    "sweep_picture",
    "threshold_picture",
    "watch",
]
