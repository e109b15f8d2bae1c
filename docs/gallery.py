"""Makes the pictures of docs/gallery.md from shipped runs, shortened where they are long.

``python docs/gallery.py [FOLDER]`` writes docs/gallery/*.png. FOLDER keeps the files of the runs,
and those that are there are not run again; without it they are not kept. Equal seeds give equal
runs, so a picture changes only when the physics or the drawing does.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

import kmc
from kmc.analysis import ripening
from kmc.plotting import style

FOLDER = Path(__file__).resolve().parent / "gallery"
MAX_BYTES = 150_000
DPI = 140
COLOURS, RARE = 256, Image.Quantize.MAXCOVERAGE  # thin marks keep their colours

# Name of a trajectory: shipped run, and what is changed so that it takes seconds.
RUNS = {
    "strip_li": ("strip_li_hops", {"stop.capacity_monolayers": 1}),
    "strip_limg": ("strip_limg", {"stop.capacity_monolayers": 0.5}),
    "flaws": ("flaws", {"stop.capacity_monolayers": 0.5}),
    "patchy": ("patchy", {"stop.capacity_monolayers": 1}),
    "rest_li": ("rest_li", {"rest.time_s": 1}),
    "face_110": ("face_110", {"stop.capacity_monolayers": 0.7}),
    "face_111": ("face_111", {"stop.capacity_monolayers": 0.7}),
}
# Other kinds, and a run with a protocol, as shipped but for these.
AS_SHIPPED = {
    "cycle_li": {},
    "cell_li": {},
    "upscale_cycle": {},
    "plate_zno_on_carbon": {},
    "cathode_se": {"cathode.cycles": 3},
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
    "faces": ("contact", ["face_110", "face_111"], {}),
    "cycle": ("summary", ["cycle_li"], {}),
    "cell": ("summary", ["cell_li"], {}),
    "cell_section": ("section", ["cell_li"], {}),
    "cell_microscope": ("microscope", ["cell_li"], {"paper": True}),
    "population_cycle": ("summary", ["upscale_cycle"], {}),
    "deposition": ("summary", ["plate_zno_on_carbon"], {}),
    "cathode": ("summary", ["cathode_se"], {}),
}


def main(folder: Path) -> None:
    """Run what is missing and write the pictures."""
    wanted = {name: (run, FASTER | OFTEN | more) for name, (run, more) in RUNS.items()}
    wanted |= {name: (name, changes) for name, changes in AS_SHIPPED.items()}
    runs = {}
    for name, (run, changes) in wanted.items():
        path = folder / f"{name}.h5"
        done = path.exists()
        runs[name] = kmc.load(path) if done else kmc.run(run, changes, output=path, progress=False)
    for name, (what, of, options) in PICTURES.items():
        chosen = [runs[one] for one in of]
        write(name, chosen[0].system.plot(chosen, what, **options))
    write("rest", ripening.measure(runs["rest_li"]).plot())


def write(name: str, picture) -> None:
    """Save a figure small enough for the repository."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    with style.styled():  # ticks and outlines of labels are made while it is saved
        picture.savefig(path, dpi=DPI, metadata={"Software": None})
    with Image.open(path) as drawn:  # a palette takes a third of the bytes
        few = drawn.convert("RGB").quantize(COLOURS, RARE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} has {size} bytes, more than {MAX_BYTES}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
