"""Measured impedance spectra: read from tables, and fitted by a resistance and one or two arcs.

    Z(ω) = R_s + Σ R/(1 + (iωτ)^a)

Each term is the arc of Cole and Cole (J. Chem. Phys. 9, 341 (1941), doi:10.1063/1.1750906), a
resistance beside a constant phase element. The sum of the R is that of the interface, to lay beside
the charge transfer of a run (`kmc.systems.population.impedance`); its constriction relaxes with the
electrolyte, above what is measured, and is in R_s.
"""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from kmc.analysis.cycler import area_cm2
from kmc.common.late import pandas as pd
from kmc.common.tables import read_table
from kmc.errors import InputError, KmcWarning

_BETTER = 10.0  # by which the information criterion of Bayes must fall for a second arc
_MISFIT = 0.03  # relative distance of fit and points that is warned of
_LEAST_POINTS = 8
# Beginnings of names of columns, tried in this order.
_PART = r"([(_/z\[]|part|$)"
_MINUS = "-−–"
_NAMES = {
    "f": re.compile(r"f(req|[^a-z]|$)"),
    "im": re.compile(rf"[{_MINUS}]?((zi|z?[_.]?im(a?g|aginary)?){_PART}|z?(''|″|\"|”|’’|′′))"),
    "re": re.compile(rf"(zr|z?[_.]?re(al)?){_PART}|z?('|′|’)"),
}
_UNITS = {"k": 1e3, "M": 1e6, "m": 1e-3}


@dataclass(frozen=True)
class Spectrum:
    """A measured spectrum and its fit; resistances in Ω cm² are areas times those of the cell."""

    path: Path
    frequency_Hz: np.ndarray
    Z_ohm_cm2: np.ndarray
    series_ohm_cm2: float
    interface_ohm_cm2: float  # of all arcs
    error_ohm_cm2: float  # standard deviation of it, from the scatter about the fit
    tops_Hz: tuple[float, ...]  # of the arcs, the fastest first
    misfit: float  # root mean square of the relative distance


def read_spectrum(path: str | Path) -> Spectrum:
    """Read a table of frequency, Z' and Z'' or −Z'', and fit it.

    Columns are found by their names, such as freq/Hz, Re(Z)/Ohm, -Im(Z)/Ohm; without names they are
    frequency, Z' and Z''. Resistances of a cell are times the area that the file states.

    Raises `InputError`: a column is missing, there are too few points, or no area is stated.
    """
    table = read_table(path)
    names = [name.lower().replace(" ", "") for name in table.names]
    if all(re.fullmatch(r"[-+.\d,e]+", name) for name in names[:3]) and len(names) >= 3:
        table.rows.insert(0, list(table.names))
        names = table.names[:] = ["frequency", "re", "im", *names[3:]]
    columns: dict[str, str] = {}
    for plain, name in zip(names, table.names, strict=True):
        if what := next((key for key, pattern in _NAMES.items() if pattern.match(plain)), None):
            columns.setdefault(what, name)
    if len(columns) < 3:
        raise InputError(
            f"{path} has the columns {', '.join(table.names)}, not frequency, Z' and Z''",
            advice="Name them as in freq/Hz, Re(Z)/Ohm, -Im(Z)/Ohm.",
        )
    numbers = table.numbers(columns.values())
    f, real, imaginary = (np.array(numbers[columns[what]]) for what in ("f", "re", "im"))
    if columns["im"].lstrip()[:1] in _MINUS:
        imaginary = -imaginary
    elif np.nanmedian(imaginary) > 0:
        text = f"{path}: most {columns['im']} are positive, and are taken as −Z''"
        warnings.warn(text, KmcWarning, stacklevel=2)
        imaginary = -imaginary
    # A capital Ω is its own sign or the Greek letter.
    unit = re.search(r"(?<![a-zA-Z])([kMm]?)(?:[oO][hH][mM]|[ΩΩ])", columns["re"])
    Z = (real + 1j * imaginary) * _UNITS.get(unit[1] if unit else "", 1.0)
    if not re.search(r"cm(2|²|\^2)", columns["re"].lower()):
        Z = Z * area_cm2(table)
    # Beyond its upper end an arc only has the inductance of the leads.
    kept = np.isfinite(Z) & (f > 0) & (Z.imag <= 0)
    if kept.sum() < _LEAST_POINTS:
        raise InputError(
            f"{path} has {kept.sum()} points with Z'' below 0, and {_LEAST_POINTS} are needed",
            advice="Is the sign of Z'' that of its name?",
        )
    return Spectrum(Path(path), f, Z, *_fit(f[kept], Z[kept], str(path)))


def _fit(f: np.ndarray, Z: np.ndarray, source: str) -> tuple:
    omega, width = 2 * np.pi * f, float(np.ptp(Z.real)) or 1.0
    top = float(f[(-Z.imag).argmax()])

    def arcs(logs: np.ndarray) -> np.ndarray:
        value = np.full(len(f), np.exp(logs[0]), dtype=complex)
        for R, tau, a in logs[1:].reshape(-1, 3):
            value += np.exp(R) / (1 + (1j * omega * np.exp(tau)) ** a)
        return value

    def distance(logs: np.ndarray) -> np.ndarray:
        away = (arcs(logs) - Z) / np.abs(Z)
        return np.concatenate((away.real, away.imag))

    start = [np.log(max(float(Z.real.min()), 1e-3 * width))]
    best: Any = None
    least = np.inf
    for apart in ([1.0], [0.03, 30.0]):  # one arc, or two on both sides of the highest point
        first = [(np.log(width / len(apart)), -np.log(2 * np.pi * top * r), 0.9) for r in apart]
        low = [-30.0, *[-30.0, -40.0, 0.4] * len(apart)]
        high = [30.0, *[30.0, 40.0, 1.0] * len(apart)]
        guess = np.array([*start, *np.ravel(first)])
        fit = scipy.optimize.least_squares(distance, guess, bounds=(low, high))
        scatter = np.log(2 * fit.cost / len(f) + 1e-300)
        criterion = 2 * len(f) * scatter + len(fit.x) * np.log(len(f))
        if best is None or criterion < least - _BETTER:
            best, least = fit, criterion
    R, tau, _ = best.x[1:].reshape(-1, 3).T
    misfit = float(np.sqrt(2 * best.cost / len(f)))
    if misfit > _MISFIT:
        text = f"{source}: the fit of {len(R)} arcs misses the points by {100 * misfit:.1f} %"
        warnings.warn(f"{text}; a tail at low frequencies is no arc", KmcWarning, stacklevel=3)
    scatter = 2 * best.cost / max(2 * len(f) - len(best.x), 1)
    covariance = scatter * np.linalg.pinv(best.jac.T @ best.jac)
    slope = np.zeros(len(best.x))
    slope[1::3] = np.exp(R)
    error = float(np.sqrt(slope @ covariance @ slope))
    tops = tuple(sorted(np.exp(-tau) / (2 * np.pi), reverse=True))
    return float(np.exp(best.x[0])), float(np.exp(R).sum()), error, tops, misfit


def contact_table(spectra: Sequence[Spectrum], charges_mAh_cm2: Sequence[float]) -> "pd.DataFrame":
    """Loss of contact of each further spectrum against the first, as a table of measured data.

    The resistance of an interface is taken as inverse to its contact.
    """
    first, rows = spectra[0], []
    for spectrum, charge in zip(spectra[1:], charges_mAh_cm2[1:], strict=True):
        share = first.interface_ohm_cm2 / spectrum.interface_ohm_cm2
        relative = math.hypot(*(s.error_ohm_cm2 / s.interface_ohm_cm2 for s in (first, spectrum)))
        loss, error = 100 * max(1 - share, 0.0), 100 * share * relative
        rows.append(
            {
                "capacity_mAh_cm2": charge,
                "contact_loss_percent": loss,
                "contact_loss_percent_error": error,
            }
        )
    return pd.DataFrame(rows)
