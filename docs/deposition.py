"""Makes the picture of docs/deposition.md from shipped runs.

``python docs/deposition.py FOLDER``: FOLDER keeps the runs, which are not run again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

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
    picture = DOCS / "deposition.png"
    plotting.save(found[0].system.plot(found), picture)
    with Image.open(picture) as drawn:
        small = drawn.convert("RGB").resize(
            [2 * n // 3 for n in drawn.size], Image.Resampling.LANCZOS
        )
    small.quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
