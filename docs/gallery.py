"""Makes the pictures of docs/gallery.md from shipped runs, shortened to take a minute in all.

``python docs/gallery.py`` writes docs/gallery/*.png; the trajectories are not kept. Equal seeds
give equal runs, so a picture changes only when the physics or the drawing does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import kmc
from kmc import plotting
from kmc.analysis import ripening

FOLDER = Path(__file__).resolve().parent / "gallery"
MOST_BYTES = 150_000
DPI = 140

# Name of a trajectory: shipped run, and what is changed so that it takes seconds.
RUNS = {
    "strip_li": ("strip_li", {"stop.capacity_monolayers": 1}),
    "strip_limg": ("strip_limg", {"stop.capacity_monolayers": 0.5}),
    "flaws": ("flaws", {"stop.capacity_monolayers": 0.5}),
    "patchy": ("patchy", {"stop.capacity_monolayers": 1}),
    "rest_li": ("rest_li", {"rest.time_s": 1}),
    "pressure_0p2": ("pressure_0p2", {"stop.capacity_monolayers": 2}),
    "pressure_1p5": ("pressure_1p5", {"stop.capacity_monolayers": 2}),
    "face_110": ("face_110", {"stop.capacity_monolayers": 0.7}),
    "face_111": ("face_111", {"stop.capacity_monolayers": 0.7}),
}
FASTER = {"acceleration.max_hops_per_strip_per_site": 1e5}
OFTEN = {"output.frame_every_monolayers": 0.05}

# Name of a picture: which of `plotting.draw`, and of which trajectories.
PICTURES = {
    "summary": ("summary", ["strip_li"], {}),
    "map": ("map", ["strip_li"], {"frames": [2, 4, 10, 20]}),
    "lifelines": ("lifelines", ["strip_li"], {}),
    "voids": ("voids", ["strip_li"], {}),
    "section": ("section", ["strip_limg"], {}),
    "profiles": ("profiles", ["strip_limg"], {}),
    "microscope": ("microscope", ["strip_li", "strip_limg"], {}),
    "flaws": ("map", ["flaws"], {"frames": [0, 2, 5, 10]}),
    "patchy": ("map", ["patchy"], {"frames": [2, 4, 10, 20]}),
    "pressure": ("contact", ["pressure_0p2", "pressure_1p5"], {}),
    "faces": ("contact", ["face_110", "face_111"], {}),
}


def main() -> None:
    """Run everything and write the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            name: kmc.run(
                run, FASTER | OFTEN | changes, output=Path(folder) / f"{name}.h5", progress=False
            )
            for name, (run, changes) in RUNS.items()
        }
        for name, (what, of, options) in PICTURES.items():
            write(name, plotting.draw(what, [runs[one] for one in of], **options))
        write("rest", ripening.measure(runs["rest_li"]).plot())


def write(name: str, picture) -> None:
    """Save a figure small enough for the repository."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    picture.savefig(path, dpi=DPI, metadata={"Software": None})
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path.name} has {size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
