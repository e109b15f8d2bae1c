"""Energies of vacancies beside each other, fitted: the table and the picture of the docs.

    python benchmarks/energies/fit.py          # prints the table, says if the shipped one differs
    python benchmarks/energies/fit.py --write  # writes fit.csv beside it and docs/energies.png

The energy is E = Σ over atoms of ½ ε1 v1 + ½ ε2 v2 + β (v1 + r v2)², v1 and v2 the missing first
and second neighbours, in units of the potential's own E_f. With r fixed and E_f = 1, ε1 and β are
fitted by least squares, each structure per vacancy, surfaces per site of their layer. The row of
the shipped set has no fitted number: its β is that of the DFT surface energy.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
from pathlib import Path

import clusters
import interfaces
import numpy as np
import summary

from kmc.common.units import MICRO_eV
from kmc.kernels.tables import LI, VACANCY
from kmc.model import ase_clusters
from kmc.model.hamiltonian import calibrate
from kmc.model.lattice import Lattice
from kmc.model.parameters import load_parameters

SHIPPED = Path(__file__).with_name("fit.csv")
PICTURE = Path(__file__).parents[2] / "docs" / "energies.png"
SET = "li_li2s_clusters"
WEIGHT = 0.4  # r
_BULK = "formation_energy_bulk_eV"
ON_SURFACE = ("surface_100_vacancy", "surface_100_adatom")  # not fitted
_LAYERS = 18  # of a periodic box that is cut in two
_HEADER = (
    *("energies", "epsilon1", "epsilon2", "beta", "rms", "leave_one_out_rms"),
    *("worst", "worst_error", "gamma_100"),
)


def missing(structure: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Missing first and second neighbours of each atom, and vacancies or surface sites of it all.

    Of a surface, atoms are those of one column, a site of its layer.
    """
    if structure.startswith("surface_"):
        box = Lattice("bcc_" + structure.removeprefix("surface_"), (4, 4), _LAYERS, "periodic", 1.0)
        vacant = box.layer > _LAYERS // 2
        return *_counts(box, vacant), 2.0 * box.sites_per_layer
    box = Lattice("bcc_100", (8, 8), 16, "periodic", 1.0)
    places = np.rint(box.positions_A * 2).astype(int)
    wanted = np.mod(np.array(clusters.CLUSTERS[structure]) + 4, 16)
    vacant = (places[:, None, :] == wanted).all(axis=2).any(axis=1)
    assert vacant.sum() == len(wanted)
    return *_counts(box, vacant), float(len(wanted))


def _counts(box: Lattice, vacant: np.ndarray) -> list[np.ndarray]:
    return [vacant[box.neighbour_table(shell)].sum(axis=1)[~vacant] for shell in (1, 2)]


def terms(structure: str, weight: float = WEIGHT) -> np.ndarray:
    """What ε1, ε2 and β are multiplied with, per vacancy or surface site; shape (3,).

    Of a vacancy in (100) or an adatom on it: what it adds to those of the surface.
    """
    if structure in ON_SURFACE:
        box = Lattice("bcc_100", (4, 4), _LAYERS, "periodic", 1.0)
        vacant = box.layer > _LAYERS // 2
        top, above = (np.flatnonzero(box.layer == _LAYERS // 2 + n)[0] for n in (0, 1))
        changed = vacant.copy()
        changed[top if structure.endswith("vacancy") else above] ^= True
        after, before = (_sums(*_counts(box, state), weight) for state in (changed, vacant))
        return after - before
    v1, v2, number = missing(structure)
    return _sums(v1, v2, weight) / number


def _sums(v1: np.ndarray, v2: np.ndarray, weight: float) -> np.ndarray:
    return np.array([v1.sum() / 2, v2.sum() / 2, ((v1 + weight * v2) ** 2).sum()])


def computed() -> dict[str, dict[str, float]]:
    """Energies by potential and structure, per vacancy or surface site, in units of E_f."""
    energies: dict[str, dict[str, float]] = {}
    for row in ase_clusters.energies("li"):
        energies.setdefault(row["potential"], {})[row["structure"]] = row
    tables = {}
    for potential, rows in energies.items():
        formation = rows["vacancy"]["excess_eV"]
        faces = [f"surface_{face}" for face in ("100", "110", "111")]
        wanted = [name for name in (*clusters.CLUSTERS, *faces) if name != "vacancy"]
        if not set(wanted) <= set(rows):
            continue  # not all computed yet
        # The lattice parameter, from the supercell of four cells.
        a = float(rows["vacancy"]["cell_A"].split()[0]) / 4
        table = {}
        for name in wanted:
            number = missing(name)[2]
            if name in faces:
                box = Lattice("bcc_" + name[-3:], (4, 4), _LAYERS, "periodic", a)
                number = rows[name]["area_A2"] / box.site_area_A2
            table[name] = rows[name]["excess_eV"] / formation / number
        tables[potential] = table
    if len(tables) > 1:
        names = next(iter(tables.values()))
        tables["mean"] = {n: float(np.mean([t[n] for t in tables.values()])) for n in names}
    return tables


def fit(table: dict[str, float], without: str = "") -> np.ndarray:
    """ε1, ε2, β in units of E_f."""
    names = [name for name in table if name != without]
    rows = np.array([terms(name) for name in names])
    lone = terms("vacancy")  # ε2 follows from E_f = 1
    free = rows[:, [0, 2]] - rows[:, [1]] * lone[[0, 2]] / lone[1]
    energy = np.array([table[name] for name in names]) - rows[:, 1] / lone[1]
    (epsilon1, beta), *_ = np.linalg.lstsq(free, energy, rcond=None)
    return np.array([epsilon1, (1 - lone[0] * epsilon1 - lone[2] * beta) / lone[1], beta])


def fourth(structure: str) -> float:
    """What a bond of fourth neighbours ε4 is multiplied with, per vacancy or surface site."""
    odd = np.array(list(itertools.product((-3, -1, 1, 3), repeat=3)))
    vectors = odd[(odd**2).sum(axis=1) == 11]
    if structure.startswith("surface_"):
        normal = np.array([int(digit) for digit in structure.removeprefix("surface_")])
        # From layer to layer: 1, 2 and 1 of these steps, in half the edge of the cubic cell.
        layer = {"100": 1, "110": 2, "111": 1}[structure[-3:]]
        return float(np.abs(vectors @ normal).sum() / layer / 4)
    places = np.array(clusters.CLUSTERS[structure])
    squared = ((places[:, None] - places) ** 2).sum(axis=2)
    return 12 - float((squared == 11).sum()) / 2 / len(places)


def fit_with_fourth(table: dict[str, float], without: str = "") -> np.ndarray:
    """ε1, ε2, β and ε4 in units of E_f: one number more than `fit` has."""
    names = [name for name in table if name != without]
    rows = np.array([[*terms(name), fourth(name)] for name in names])
    lone = np.array([*terms("vacancy"), fourth("vacancy")])
    free = rows[:, [0, 2, 3]] - rows[:, [1]] * lone[[0, 2, 3]] / lone[1]
    energy = np.array([table[name] for name in names]) - rows[:, 1] / lone[1]
    (epsilon1, beta, epsilon4), *_ = np.linalg.lstsq(free, energy, rcond=None)
    rest = 1 - lone[0] * epsilon1 - lone[2] * beta - lone[3] * epsilon4
    return np.array([epsilon1, rest / lone[1], beta, epsilon4])


def of_set(name: str = SET) -> np.ndarray:
    """The same of a parameter set."""
    parameters = load_parameters(name)
    bulk, beta = (parameters.value(key) for key in (_BULK, "coordination_curvature_eV"))
    assert parameters.value("coordination_second_shell_weight") == WEIGHT
    epsilon2, beta = parameters.value("second_shell_bond_eV") / bulk, beta / bulk
    lone = terms("vacancy")
    return np.array([(1 - lone[1] * epsilon2 - lone[2] * beta) / lone[0], epsilon2, beta])


def rows() -> list[dict[str, str]]:
    """The table: a fit to each potential and to their mean, and the set beside the last of them."""
    tables, out = computed(), []
    for name, table in tables.items():
        fitted = fit(table)
        left_out = {k: float(terms(k) @ fit(table, k) - e) for k, e in table.items()}
        out.append(_row(name, fitted, table, left_out))
    errors = {k: float(terms(k) @ of_set() - e) for k, e in table.items()}
    return [*out, _row(f"{SET} beside {name}", of_set(), table, errors)]


def _row(
    name: str, energies: np.ndarray, table: dict[str, float], errors: dict[str, float]
) -> dict[str, str]:
    residuals = [terms(k) @ energies - e for k, e in table.items()]
    worst = max(errors, key=lambda k: abs(errors[k]))
    numbers = (*energies, _rms(residuals), _rms(list(errors.values())))
    shown = [f"{x:.4f}" for x in numbers]
    gamma = float(terms("surface_100") @ energies)
    return dict(
        zip(_HEADER, (name, *shown, worst, f"{errors[worst]:.3f}", f"{gamma:.3f}"), strict=True)
    )


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def at_electrolyte(name: str = "li2s_110") -> dict[str, dict[str, tuple[float, float]]]:
    """By potential and group of vacancies: energies per vacancy beyond single ones, E_f.

    Of the set, and computed, each in units of its own E_f.
    """
    parameters = load_parameters(SET)
    a, formation = parameters.value("lattice_parameter_A"), parameters.value(_BULK)
    box = Lattice("bcc_100", (8, 8), 18, "interface", a)
    h = calibrate(parameters, box)
    half = np.rint(2 * box.positions_A[:, :2] / a).astype(int)
    # Sites of an odd layer have even coordinates there, whatever the lattice begins with.
    half -= half[0]
    keys = zip(box.layer.tolist(), *half.T.tolist(), strict=True)
    site = {key: i for i, key in enumerate(keys)}

    def energy_eV(sites: list[int]) -> float:
        vacant = np.isin(np.arange(box.n_sites), sites)
        change = h.energy_ueV(np.where(vacant, VACANCY, LI), box) - h.perfect_energy_ueV(box)
        return change / MICRO_eV

    groups = interfaces.vacancies(interfaces.INTERFACES[name], "")
    tables: dict[str, dict[str, tuple[float, float]]] = {}
    for potential in dict.fromkeys(row["potential"] for row in ase_clusters.energies(name)):
        lone = summary.of_potential("li", potential)["vacancy"]["excess_eV"]
        for key, computed_eV in summary.beyond_singles(name, potential).items():
            sites = [site[place] for place in groups[key]]
            own = energy_eV(sites) - sum(energy_eV([i]) for i in sites)
            pair = (own / formation / len(sites), computed_eV / lone / len(sites))
            tables.setdefault(potential, {})[key] = pair
    return tables


def drawn() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, tuple[float, float]]]]:
    """What the picture shows: computed energies in E_f, and `at_electrolyte`."""
    tables = computed()
    tables.pop("mean", None)
    for row in ase_clusters.energies("li"):
        if row["structure"] in ON_SURFACE and row["potential"] in tables:
            formation = summary.of_potential("li", row["potential"])["vacancy"]["excess_eV"]
            tables[row["potential"]][row["structure"]] = row["excess_eV"] / formation
    return tables, at_electrolyte()


def description() -> str:
    """Numbers of the picture, which it carries: a test compares them with the tables."""
    tables, beyond = drawn()
    rows = [[f"{v:.3f}" for v in table.values()] for table in tables.values()]
    rows += [[f"{own:.3f} {found:.3f}" for own, found in t.values()] for t in beyond.values()]
    return "\n".join(" ".join(row) for row in [*rows, [f"{x:.4f}" for x in of_set()]])


def draw(path: Path) -> None:
    """All structures, computed against those of two sets, per vacancy or surface site.

    Groups in L1 to L2 at Li2S are drawn by what they cost beyond their single vacancies.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    tables, beyond = drawn()
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    whole = load_parameters("li_li2s").value("second_shell_ratio")
    pairs = np.array([1.0, whole, 0.0]) / (4 + 3 * whole)
    titles = (
        "pairs, ε2/ε1 = 0.5 (li_li2s)",
        f"{SET}: bulk and surfaces",
        f"{SET}: groups at Li2S",
    )
    markers = dict(zip(tables, "os^vD", strict=False))
    for axis, energies in zip(axes, (pairs, of_set()), strict=False):
        for name, table in tables.items():
            x = [terms(k) @ energies for k in table]
            axis.plot(x, list(table.values()), markers[name], ms=5, mfc="none", label=name)
        axis.set(xlabel="energy of the set, E_f", xlim=(0.1, 1.6), ylim=(0.1, 1.6))
    for name, table in beyond.items():
        own, found = zip(*table.values(), strict=True)
        color = f"C{list(tables).index(name)}"
        axes[2].plot(own, found, markers[name], color=color, ms=5, mfc="none", label=name)
        for key in ("L1_square_4", "L1_square_9", "L1_square_16", "pit_9_4"):
            if key in table:
                text = key.replace("L1_square_", "").replace("pit_9_4", "9 + 4")
                axes[2].annotate(text, table[key], (5, -3), textcoords="offset points", fontsize=8)
    low, high = axes[2].get_xlim(), axes[2].get_ylim()
    span = (min(low[0], high[0]), max(low[1], high[1]))
    axes[2].set(xlabel="energy of the set, E_f", xlim=span, ylim=span)
    for axis, title in zip(axes, titles, strict=True):
        axis.axline((0.5, 0.5), slope=1, color="0.6", lw=0.8, zorder=0)
        axis.set_title(title, fontsize=11)
        axis.set_aspect("equal")
    axes[0].set_ylabel("computed, E_f per vacancy or surface site")
    axes[2].set_ylabel("the same beyond single vacancies")
    axes[0].legend(frameon=False, loc="lower right", fontsize=9)
    figure.savefig(path, dpi=100, metadata={"Description": description()})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write fit.csv and docs/energies.png")
    arguments = parser.parse_args()
    text = io.StringIO()
    writer = csv.DictWriter(text, _HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows())
    print(text.getvalue(), end="")
    if arguments.write:
        SHIPPED.write_text(text.getvalue(), encoding="utf-8")
        draw(PICTURE)
    elif not SHIPPED.exists() or SHIPPED.read_text(encoding="utf-8") != text.getvalue():
        raise SystemExit(f"This is not the table of {SHIPPED}: --write replaces it.")
    else:
        print(f"As in {SHIPPED}.")


if __name__ == "__main__":
    main()
