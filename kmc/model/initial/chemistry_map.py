"""Maps of interface chemistries: the chemistry below each L1 site.

A random map comes from a Gaussian random field over the periodic interface. The field is white
noise smoothed with a Gaussian of width ξ/2, so that its two-point function is exp(−r²/ξ²); the
sites where it is highest, as many as the fraction asks for, have the chemistry. At a fraction of
one half the two-point function of the map is then (2/π) arcsin exp(−r²/ξ²) (Van Vleck and
Middleton, Proc. IEEE 54, 2 (1966), doi:10.1109/PROC.1966.4567).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kmc.common.units import A_per_nm
from kmc.model.initial.masks import read_mask
from kmc.model.interphase import INTERFACE_KEYS, Interphase
from kmc.model.lattice import Lattice
from kmc.model.parameters import ParameterSet, load_parameters

_IMAGES = 4  # periodic images of a kernel on either side; it is narrower than half of the box


def random_map(
    lattice: Lattice,
    fractions: Sequence[float],
    correlation_length_nm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Chemistry of each L1 site, drawn at random.

    Each chemistry is cut from a field of its own, on the sites that those before it have left.

    - `fractions`: share of the L1 sites of chemistries 1, 2, …; the rest is chemistry 0.
    - `correlation_length_nm`: ξ of the field; 0 draws each site by itself.

    Returns ndarray of uint8, shape (sites_per_layer,).
    """
    chemistry = np.zeros(lattice.sites_per_layer, dtype=np.uint8)
    # Rounded so that the sum is as close to its share as each of them.
    ends = np.rint(np.cumsum(fractions) * lattice.sites_per_layer).astype(int)
    for index, wanted in enumerate(np.diff(ends, prepend=0), 1):
        field = random_field(lattice, correlation_length_nm, rng)
        field[chemistry > 0] = -np.inf
        chemistry[np.argsort(-field, kind="stable")[:wanted]] = index
    return chemistry


def random_field(
    lattice: Lattice, correlation_length_nm: float, rng: np.random.Generator
) -> np.ndarray:
    """Gaussian random field on the L1 sites with correlation exp(−r²/ξ²).

    White noise on the sites is convolved with a Gaussian, exactly periodic, by Fourier transforms
    over the cells: one for each pair of columns of the cell, which may have several.
    """
    nx, ny = lattice.cells
    columns = lattice.unit_cell.sites_per_layer_cell
    noise = rng.standard_normal((ny, nx, columns))
    width_A = A_per_nm * correlation_length_nm / 2
    if width_A == 0:
        return noise.reshape(-1)
    edges = lattice.unit_cell.edges[:2] * lattice.lattice_parameter_A
    places = lattice.unit_cell.in_plane[:columns] * lattice.lattice_parameter_A
    spectrum = np.fft.rfft2(noise, axes=(0, 1))
    field = np.empty_like(noise)
    for to in range(columns):
        total = np.zeros_like(spectrum[:, :, 0])
        for start in range(columns):
            along = []
            for n, edge, offset in zip((nx, ny), edges, places[to] - places[start], strict=True):
                # A Gaussian on the cells, summed over its periodic images.
                at = np.arange(n) * edge + offset
                images = np.arange(-_IMAGES, _IMAGES + 1) * n * edge
                gauss = np.exp(-((at[:, None] + images) ** 2) / (2 * width_A**2))
                along.append(gauss.sum(axis=1))
            kernel = np.fft.rfft2(along[1][:, None] * along[0][None, :])
            total = total + kernel * spectrum[:, :, start]
        field[:, :, to] = np.fft.irfft2(total, s=(ny, nx))
    return field.reshape(-1)


def map_from_mask(lattice: Lattice, mask: np.ndarray) -> np.ndarray:
    """Chemistry of each L1 site from an image scaled to the box.

    - `mask` (ndarray of uint8, shape (rows, columns)): chemistry at ``[y, x]``; a site takes that
      of its pixel.
    """
    place = lattice.positions_A[: lattice.sites_per_layer, :2] / lattice.box_A[:2]
    rows, columns = mask.shape
    # A site on the edge between two pixels belongs to the later one, regardless of rounding.
    x = np.floor(place[:, 0] * columns + 1e-9).astype(int) % columns
    y = np.floor(place[:, 1] * rows + 1e-9).astype(int) % rows
    return mask[y, x].astype(np.uint8)


# --- the chemistries of a run ---


def chemistry_sets(
    base: ParameterSet,
    entries: Sequence[Any],
    overrides: Mapping[str, float],
) -> tuple[ParameterSet, ...]:
    """Parameter sets of the chemistries, that of [system] first.

    [parameters] of a run changes the energies of the interface for [system] alone, and every other
    value for all chemistries, since the metal is one and the same.

    - `base`: that of [system], with the overrides.
    - `entries`: the other chemistries: entries of ``chemistry`` in the section [interface] of a run
      file.
    - `overrides`: [parameters] of the run.

    Raises `InputError`: no such set, or an override of a quantity that it does not have.
    """
    shared = {key: v for key, v in overrides.items() if key not in INTERFACE_KEYS}
    return base, *(
        load_parameters(entry.params, shared | dict(entry.parameters)) for entry in entries
    )


def interphase_of(
    settings: Any,
    sets: tuple[ParameterSet, ...],
    lattice: Lattice,
    rng: np.random.Generator,
) -> Interphase | None:
    """The chemistries of a run and their map from its section [interface]; None for only one."""
    if not settings.chemistry:
        return None
    if settings.mask is not None:
        mask = read_mask(settings.mask, len(settings.chemistry) + 1)
        chemistry = map_from_mask(lattice, mask)
    else:
        fractions = [entry.fraction or 0.0 for entry in settings.chemistry]
        chemistry = random_map(lattice, fractions, settings.correlation_length_nm, rng)
    return Interphase(chemistry, sets)


def chemistries(names: Sequence[str], found: Interphase | None) -> list[dict]:
    """The chemistries with their share and energies, as JSON-able data.

    - `names`: parameter set of [system], then those of the entries, as the run file names them.
    """
    if found is None:
        return []
    count = np.bincount(found.chemistry, minlength=len(found.parameters))
    return [
        {
            "params": name,
            "sites": int(n),
            "fraction": float(n / found.chemistry.size),
            "parameters": {
                key: parameters.value(key) for key in INTERFACE_KEYS if parameters.has(key)
            },
        }
        for name, n, parameters in zip(names, count, found.parameters, strict=True)
    ]
