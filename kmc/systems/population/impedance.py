"""Impedance of a partial contact between metal and electrolyte, as spectra are measured.

    Z(ω) = R_s + 1/(θ/R_ct + iω θ C_dl) + R_c/(1 + iω ε ε0/κ)

θ is the share of contact, R_ct = kT/(ze j0) the charge transfer of full contact near rest, C_dl
the capacitance of its double layer. R_c is the constriction of the actual map, contacts of one
potential on a half-space (`kmc.systems.population.voltage.Constriction`). It lies in the
electrolyte, where displacement current takes the same paths, hence its relaxation time ε ε0/κ.
Full contact has R_c = 0, one small round contact of diameter d Holm's resistance 1/(2κd). Transfer
and constriction are in series exactly where one is small against the other. Between, the true
resistance is larger than this sum, as each term is least for a distribution of its own; most
where κ R_ct is the size of the pattern.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmc.common.late import pandas as pd
from kmc.errors import InputError
from kmc.systems.population.voltage import Constriction, Kinetics, kinetics_of

_VACUUM_F_cm = 8.8541878128e-14  # permittivity
_FREQUENCIES_Hz = np.geomspace(1e7, 1e-2, 181)


def impedance(
    contact: np.ndarray,
    edge_um: float,
    kinetics: Kinetics,
    *,
    double_layer_uF_cm2: float = 10.0,
    relative_permittivity: float = 10.0,
    frequency_Hz: Sequence[float] | np.ndarray = _FREQUENCIES_Hz,
) -> dict[str, Any]:
    """Impedance of a map of contact as columns, area-specific: Z, and θ, R_ct/θ, R_c and R_s.

    - `contact` (ndarray, shape (n, n)): share of each cell where metal touches the electrolyte;
      periodic, `edge_um` wide.
    - `double_layer_uF_cm2`, `relative_permittivity`: C_dl of contact and ε of the electrolyte,
      inputs.

    Raises `InputError`: no contact is left, the map is not square, or a capacitance is not
    positive.
    """
    contact = np.asarray(contact, dtype=float)
    if contact.ndim != 2 or contact.shape[0] != contact.shape[1]:
        raise InputError(f"a map of contact has the shape {contact.shape}, and must be square")
    if not (double_layer_uF_cm2 > 0 and relative_permittivity > 0):
        raise InputError(
            f"C_dl = {double_layer_uF_cm2:g} µF/cm², ε = {relative_permittivity:g}: both must be "
            "above 0",
            advice="Some 10 µF/cm² and 10 are usual.",
        )
    share = float(contact.mean())
    # Refused rather than infinite: an infinite row would end every fit and picture that follows.
    if share == 0:
        raise InputError("no contact is left: the impedance is infinite")
    kappa_S_cm = kinetics.conductivity_mS_cm * 1e-3
    length_um = Constriction(edge_um, len(contact)).length_um(contact)
    constriction = length_um * 1e-4 / kappa_S_cm
    full = kinetics.thermal_V / (kinetics.exchange_current_density_mA_cm2 * 1e-3)
    frequency = np.asarray(frequency_Hz, dtype=float)
    omega = 2j * np.pi * frequency
    # Share of contact cancels: a smaller contact has the larger resistance and the smaller layer.
    layer_s = full * double_layer_uF_cm2 * 1e-6
    # Of the electrolyte itself, whatever the shape of the contact: both take the same lines of
    # current.
    relaxation_s = relative_permittivity * _VACUUM_F_cm / kappa_S_cm
    series = kinetics.series_resistance_ohm_cm2
    Z = series + full / share / (1 + omega * layer_s) + constriction / (1 + omega * relaxation_s)
    return {
        # First, as pyimpspec and impedance.py take them.
        "frequency_Hz": frequency,
        "Z_real_ohm_cm2": Z.real,
        "Z_imag_ohm_cm2": Z.imag,
        "contact_fraction": share,
        "transfer_ohm_cm2": full / share,
        "constriction_ohm_cm2": constriction,
        "series_ohm_cm2": series,
    }


def nearest_frame(table: "pd.DataFrame", interface_ohm_cm2: float) -> str:
    """Which frame of `impedances` has the charge transfer of a measured interface, in words."""
    rows = table.groupby("frame").first()
    away = np.log(rows["transfer_ohm_cm2"]) - np.log(interface_ohm_cm2)
    row = rows.loc[away.abs().idxmin()]
    return (
        f"the run comes nearest with {row['transfer_ohm_cm2']:.3g} Ω cm² at "
        f"{row['capacity_mAh_cm2']:.3g} mAh/cm², contact {100 * row['contact_fraction']:.1f} %"
    )


def impedances(found: Any, frames: Sequence[int] | None = None, **options: float) -> "pd.DataFrame":
    """Impedance of frames of a population against charge: a row for each frame and frequency.

    - `found` (PopulationRun).
    - `frames`: all of the first replica by default. Frames without contact are left out.
    - `options`: ``double_layer_uF_cm2``, ``relative_permittivity`` and ``frequency_Hz`` of
      `impedance`.

    Raises `InputError`: no frame has contact, or the file is not of a population with frames of its
    gap.
    """
    if not hasattr(found, "gap_um"):
        raise InputError(
            f"{found.path} is no population of voids",
            advice="Give a run of kmc upscale; a box of atoms is smaller than its constriction.",
        )
    kinetics = kinetics_of(found)
    first = np.flatnonzero(np.asarray(found.frames["replica"]) == 0)
    tables = []
    for frame in first if frames is None else frames:
        contact = found.contact_map(int(frame))
        if not contact.any():
            continue
        columns = impedance(contact, found.edge_um, kinetics, **options)  # type: ignore[arg-type]
        table = pd.DataFrame(columns)
        table.insert(3, "frame", int(frame))
        table.insert(4, "capacity_mAh_cm2", float(found.frames["capacity_mAh_cm2"][frame]))
        tables.append(table)
    if not tables:
        raise InputError(f"{found.path}: no frame has contact", advice="Give an earlier frame.")
    return pd.concat(tables, ignore_index=True)
