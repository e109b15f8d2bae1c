"""What an operando microscope saw, to lay beside runs.

Zhao et al., Nature Communications (2025), 10.1038/s41467-025-59567-8: text and Fig. 1, at 0.2 MPa
and 0.5 mA/cm², over 160 µm of interface. Only numbers that the paper states in words.
"""

from __future__ import annotations

CITATION = "Zhao et al., Nat. Commun. (2025)"
LAST_mAh_cm2 = 3.0

CONTACT_LOSS_OF_RISE = 90.0  # %, where the overpotential of Li rises steeply
COALESCENCE_mAh_cm2 = 0.25  # Li: voids coalesce from here
GAP_mAh_cm2 = 1.25  # Li: all voids have become one gap
FIRST_COUNT = {"Li": (16.0, 18.0), "Mg": (2.0, 3.0)}  # voids per 100 µm
FIRST_WIDTH_um = {"Li": (2.2, 1.3), "Mg": (3.8, 1.0)}  # mean and deviation
SPLIT = (0.5, 20.0)  # Li-Mg: mAh/cm² and width in µm at which voids split
WIDTH_FALLS_mAh_cm2 = (0.625, 1.0, 2.375)  # Li-Mg: the largest width drops
HEIGHT_FALLS_mAh_cm2 = (0.5, 1.0, 2.625)  # Li-Mg: the largest height drops
