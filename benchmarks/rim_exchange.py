"""Exchange of the rim of a contact beyond that of flat contact, from equilibrium.

A gap across the whole box divides the contact; its two rims are straight on average, so that no
curvature shifts the equilibrium. The box is closed and no current flows. Barriers are raised, which
leaves equilibrium as it is, so that the result is free of any ratio. Found is w̄_rim of

    a_eff = contact + w̄_rim · a · (length of rim per area),

where Σ exp[−λ (B_i − B_ref)/kT] over the electroactive atoms is the exchange of the interface in
equilibrium, that of a flat one being 1 to a site. The error is the scatter of independent gaps. The
result for λ = 0.5 on bcc_100 at 298.15 K is `rim_exchange_weight` of the parameter sets.
"""

from __future__ import annotations

import math

import numpy as np
from common import arguments, show, write_json

from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.systems.electrode.engine import Engine

FLOOR_eV = 0.35
GAPS = 4
SHAPES = ((24, 24, 12, 0.35, 3), (24, 24, 14, 0.35, 4), (36, 20, 12, 0.4, 3))


def rim_weight(name: str, face: str, shape, seed: int, samples: int) -> tuple[float, float]:
    """w̄_rim of one gap, and the share of the interface in contact."""
    nx, ny, layers, width, height = shape
    parameters = load_parameters(name)
    lattice = Lattice(face, (nx, ny), layers, "interface", parameters.value("lattice_parameter_A"))
    model = Model(lattice, parameters, temperature_K=298.15, saddle_floor_eV=FLOOR_eV)
    occupancy = np.full(lattice.n_sites, tables.LI, dtype=np.uint8)
    x_A = lattice.positions_A[:, 0]
    layer = np.arange(lattice.n_sites) // lattice.sites_per_layer
    occupancy[(x_A < width * lattice.box_A[0]) & (layer < height)] = tables.VACANCY
    engine = Engine(model, occupancy, np.random.default_rng([seed, nx, height]))
    engine.advance(events=300_000 + 100 * samples)
    step_s = 0.3 * engine.time_s / samples
    start_s, rows = engine.time_s, []
    for k in range(samples):
        engine.advance(time_s=start_s + (k + 1) * step_s)
        row = engine.sample()
        rows.append((row["strip_weight"], row["contact_fraction"], row["rim_per_nm"]))
    weight, contact, rim_per_nm = np.mean(rows, axis=0)
    a_nm = lattice.lattice_parameter_A / 10
    return (weight - contact) / (a_nm * rim_per_nm), contact, rim_per_nm


def main() -> None:
    given = arguments(__doc__.splitlines()[0])
    samples, gaps = (100, 2) if given.quick else (3000, GAPS)
    rows = []
    for shape in SHAPES[: 1 if given.quick else None]:
        found = np.array([rim_weight("li_li2s", "bcc_100", shape, k, samples) for k in range(gaps)])
        weight, contact, rim = found.mean(axis=0)
        rows.append(
            {
                "box": f"{shape[0]} × {shape[1]}, gap {shape[3]:g} wide, {shape[4]} layers high",
                "contact": float(contact),
                "rim_per_nm": float(rim),
                "rim_weight": float(weight),
                "error": float(found[:, 0].std(ddof=1) / math.sqrt(gaps)),
            }
        )
        show(
            "Exchange of a rim in equilibrium",
            rows[-1:],
            {
                "box": "box",
                "contact": "contact",
                "rim_per_nm": "rim\n1/nm",
                "rim_weight": "w_rim",
                "error": "±",
            },
        )
    write_json(given.out, "rim_exchange", rows)


if __name__ == "__main__":
    main()
