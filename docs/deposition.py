"""Makes the pictures of docs/deposition.md from shipped runs.

``python docs/deposition.py FOLDER``: FOLDER keeps runs and sweep, which are not run again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kmc
from kmc import plotting
from kmc.model.parameters import load_parameters

DOCS = Path(__file__).resolve().parent
RUNS = ("plate_zno_002", "plate_zno_on_carbon", "plate_carbon")
SURFACES = {
    "li_zno_002": "ZnO (002)",
    "li_zno_020": "ZnO (020)",
    "li_zno_202": "ZnO (202)",
    "li_lizn": "LiZn",
    "li_carbon": "carbon",
}


def marked_map(folder: Path):
    """The map of study_deposition with the surfaces of the paper on it."""
    study = kmc.sweep("study_deposition", output=folder / "study_deposition", progress=False)
    picture = plotting.sweep_picture(
        study, "coverage", x="adsorption_energy_eV", y="surface_barrier_eV", heatmap=True
    )
    axes = picture.axes[0]
    for name, label in SURFACES.items():
        parameters = load_parameters(name)
        x = parameters.value("adsorption_energy_eV")
        y = parameters.value("surface_barrier_eV")
        axes.plot(x, y, "o", ms=4, mfc="white", mec="black", mew=0.8)
        axes.annotate(
            label,
            (x, y),
            xytext=(0, 5),
            textcoords="offset points",
            fontsize=6,
            ha="right" if x > 4 else "left" if x < 1.5 else "center",
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1},
        )
    return picture


def main(folder: Path) -> None:
    """Run what is missing and write the pictures."""
    found = []
    for name in RUNS:
        path = folder / f"{name}.h5"
        found.append(kmc.load(path) if path.exists() else kmc.run(name, output=path))
    plotting.save(found[0].system.plot(found), DOCS / "deposition.png")
    plotting.save(marked_map(folder), DOCS / "deposition_map.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
