"""Makes the picture of docs/deposition.md from shipped runs.

``python docs/deposition.py FOLDER``: FOLDER keeps the runs, which are not run again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kmc
from kmc import plotting

DOCS = Path(__file__).resolve().parent
RUNS = ("plate_zno_002", "plate_zno_on_carbon", "plate_carbon")


def main(folder: Path) -> None:
    """Run what is missing and write the picture."""
    found = []
    for name in RUNS:
        path = folder / f"{name}.h5"
        found.append(kmc.load(path) if path.exists() else kmc.run(name, output=path))
    plotting.save(found[0].system.plot(found), DOCS / "deposition.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
