"""Pictures for the screen and for one column of print; matplotlib is imported here and nowhere
else. Imports every package but `cli`.

>>> from kmc import plotting
>>> plotting.draw("map", kmc.load("strip_li.h5"))       # doctest: +SKIP
"""

# The public names are those that are imported here `as` themselves.
from kmc.plotting.campaign_pages import calibration_picture as calibration_picture
from kmc.plotting.campaign_pages import convergence_picture as convergence_picture
from kmc.plotting.campaign_pages import threshold_picture as threshold_picture
from kmc.plotting.draw import draw as draw
from kmc.plotting.draw import profiles_picture as profiles_picture
from kmc.plotting.draw import sections_picture as sections_picture
from kmc.plotting.draw import slider as slider
from kmc.plotting.draw import watch as watch
from kmc.plotting.measured_panels import impedance_picture as impedance_picture
from kmc.plotting.measured_panels import plan_picture as plan_picture
from kmc.plotting.measured_panels import segmentation_picture as segmentation_picture
from kmc.plotting.movie import save_movie as save_movie
from kmc.plotting.nucleation_panels import nucleation_picture as nucleation_picture
from kmc.plotting.nucleation_panels import voids_picture as voids_picture
from kmc.plotting.pages import overview as overview
from kmc.plotting.statistics import plot_voids as plot_voids
from kmc.plotting.statistics import ripening_picture as ripening_picture
from kmc.plotting.style import MAGNESIUM as MAGNESIUM
from kmc.plotting.style import METAL as METAL
from kmc.plotting.style import save as save
from kmc.plotting.sweep_panels import sweep_picture as sweep_picture
