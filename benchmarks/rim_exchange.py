"""Exchange of the rim of a contact beyond that of flat contact, from equilibrium.

    python benchmarks/rim_exchange.py [PARAMETER SET] [FACE] [SAMPLES]

A gap across the whole box divides the contact; its two rims are straight on average, so that no
curvature shifts the equilibrium. The box is closed and no current flows. Barriers are raised, which
leaves equilibrium as it is, so the result is free of any ratio. Printed is w̄_rim of

    a_eff = contact + w̄_rim · a · (length of rim per area),

Σ exp[−λ (B_i − B_ref)/kT] over the electroactive atoms being the exchange of the interface at
equilibrium in units of that of a flat one. The error is the scatter of independent gaps.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from kmc.kernels import tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters
from kmc.simulation.engine import Engine

FLOOR_eV = 0.35
GAPS = 6
SHAPES = ((24, 24, 12, 0.35, 3), (24, 24, 14, 0.35, 4), (36, 20, 12, 0.4, 3))


def rim_weight(name: str, face: str, shape, seed: int, samples: int) -> tuple[float, float]:
    """w̄_rim of one gap, and the share of the interface in contact."""
    nx, ny, layers, width, height = shape
    parameters = load_parameters(name)
    lattice = Lattice(
        face, (nx, ny), layers, "interface", parameters.value("lattice_parameter_A")
    )
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
    arguments = sys.argv[1:]
    name = arguments[0] if arguments else "li_li2s"
    face = arguments[1] if len(arguments) > 1 else "bcc_100"
    samples = int(arguments[2]) if len(arguments) > 2 else 4000
    for shape in SHAPES:
        found = np.array([rim_weight(name, face, shape, seed, samples) for seed in range(GAPS)])
        mean, error = found[:, 0].mean(), found[:, 0].std(ddof=1) / math.sqrt(GAPS)
        print(
            f"{name} {face} {shape[0]} x {shape[1]} cells, gap {shape[3]:.2f} wide, "
            f"{shape[4]} layers high: w_rim = {mean:.2f} +- {error:.2f}, contact "
            f"{found[:, 1].mean():.2f}, rim {found[:, 2].mean():.3f} per nm",
            flush=True,
        )


if __name__ == "__main__":
    main()
