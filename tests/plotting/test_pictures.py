"""The picture: that every kind of run has one, and that it shows what is in the file."""

from __future__ import annotations

import gzip
import math
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import fake
import numpy as np
import pytest
from marks import slow, slow_but
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.text import Text
from PIL import Image

import kmc
from kmc import load, plotting
from kmc.analysis import voids
from kmc.errors import InputError, KmcError
from kmc.plotting import maps, save_movie, section_panels, style
from kmc.systems.electrode.kind import PICTURES

BULK = fake.lattice(cells=(6, 6), layers=12, boundary="periodic")
REST = fake.lattice(cells=(6, 6))
QUIET = {"current": 0.0, "ratio": None, "floor_eV": 0.0}
RUNS = {
    "smallest": {"box": fake.lattice(cells=(4, 4))},
    "bcc_110": {"box": fake.lattice("bcc_110", (8, 6), 12)},
    "bcc_111 with Mg": {"box": fake.lattice("bcc_111", (8, 6), 12), "species": ("Li", "Mg")},
    "elongated": {"box": fake.lattice(cells=(4, 64))},
    "one sample": {"n_frames": 1, "monolayers": 0.0},
    "no sample": {"n_frames": 0, "finished": None},
    "inf at the end": {"last": {"overpotential_V": math.inf}},
    "inf alone": {"n_frames": 1, "last": {"overpotential_V": math.inf}},
    "unfinished": {"finished": None},
    "periodic": {
        "box": BULK,
        "settings": fake.resolved(BULK, **QUIET),
        "monolayers": 0.0,
        "time_s": 2e-9,
    },
    "no current": {
        "box": REST,
        "settings": fake.resolved(REST, **QUIET),
        "monolayers": 0.0,
        "time_s": 2e-9,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", slow_but(("bcc_111 with Mg", "no sample", "periodic"), RUNS))
def test_every_kind_of_run_has_its_picture(kind, tmp_path):
    t = load(fake.write(tmp_path / "run.h5", **RUNS[kind]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plotting.save(plotting.draw("summary", t), tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 5_000


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["svg", slow("pdf")])
def test_vector_formats(ending, tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=2, samples_per_frame=1))
    plotting.save(plotting.draw("summary", t), tmp_path / f"run.{ending}")
    assert (tmp_path / f"run.{ending}").stat().st_size > 5_000


@pytest.mark.slow
def test_unwritable_pictures_are_told(tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=1))
    with pytest.raises(KmcError, match="cannot be written"):
        plotting.save(plotting.draw("summary", t), tmp_path / "missing" / "run.png")
    with pytest.raises(InputError, match=r"\.docx"):
        plotting.save(plotting.draw("summary", t), tmp_path / "run.docx")


@pytest.mark.slow
def test_no_global_state(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    t = load(fake.write(tmp_path / "run.h5", n_frames=1))
    plotting.save(plotting.draw("summary", t), tmp_path / "run.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", [slow("bcc_100"), slow("bcc_110"), "bcc_111"])
def test_the_map_shows_contact_mg_and_gaps_in_their_places(name, tmp_path):
    box = fake.lattice(name, (14, 10), 12)
    t = load(fake.write(tmp_path / "run.h5", box=box, species=("Li", "Mg"), n_frames=2))
    frame = t.frames[-1]
    axes = [a for part in plotting.overview(t).subfigs for a in part.axes]
    picture, section = [image for a in axes for image in a.get_images()]
    assert picture.origin == section.origin == "lower"  # y and z upwards
    pixels = np.asarray(picture.get_array())[..., :3]
    height, width = pixels.shape[:2]
    places = box.positions_A[: box.sites_per_layer, :2]
    size = box.box_A[:2]
    if size[1] > size[0]:
        places, size = places[:, ::-1], size[::-1]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.01)
    column = np.minimum((places[:, 0] / size[0] * width).astype(int), width - 1)
    row = np.minimum((places[:, 1] / size[1] * height).astype(int), height - 1)
    shown = pixels[row, column]
    first_layer = frame.occupancy[: box.sites_per_layer]
    gap = voids.open_height_nm(frame.occupancy, box)
    np.testing.assert_allclose(
        shown[first_layer == 1], [to_rgb(plotting.METAL)] * sum(first_layer == 1)
    )
    np.testing.assert_allclose(
        shown[first_layer == 2], [to_rgb(plotting.MAGNESIUM)] * sum(first_layer == 2)
    )
    brightness = shown[first_layer == 0] @ [0.299, 0.587, 0.114]
    order = np.argsort(gap[first_layer == 0], kind="stable")
    assert np.all(np.diff(brightness[order]) < 1e-6)  # deeper is darker, also in a grey print
    assert brightness.max() < 0.75 < np.dot(to_rgb(plotting.METAL), [0.299, 0.587, 0.114])


@pytest.mark.parametrize("name", [slow("bcc_100"), slow("bcc_110"), "bcc_111"])
def test_the_map_shows_what_the_metal_stands_on(name, tmp_path):
    box = fake.lattice(name, (14, 10), 12)
    x = box.positions_A[: box.sites_per_layer, 0] / box.box_A[0]
    chemistry = (3 * x).astype(np.uint8)
    t = load(fake.write(tmp_path / "run.h5", box=box, n_frames=2, chemistry=chemistry))
    frame, view = t.frames[-1], maps.view_of(t, t.frames[-1])
    own = np.arange(len(view.places_nm))  # one pixel a place
    pixels = maps.pixels_of(view, maps.scale_for(view.most, view.step), own)[..., :3]
    metal = frame.occupancy[: box.sites_per_layer] > 0
    colours = np.array([to_rgb(c) for c in (style.METAL, *style.CHEMISTRIES)])
    np.testing.assert_allclose(pixels[metal], colours[chemistry[metal]])
    for page in (plotting.overview(t), plotting.draw("map", t)):
        labels = [text.get_text() for text in page.findobj(Text)]
        assert {"on li_philic_015", "on li_neutral"} <= set(labels)
        outlines = [c for c in page.findobj(ContourSet) if any(len(p) for p in c.get_paths())]
        assert outlines


def test_one_chemistry_is_not_outlined(tmp_path):
    page = plotting.overview(load(fake.write(tmp_path / "run.h5", n_frames=2)))
    assert not page.findobj(ContourSet)


# --- cross-sections -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [slow("bcc_100"), slow("bcc_110"), "bcc_111"])
def test_the_section_shows_what_its_sites_hold(name, tmp_path):
    box = fake.lattice(name, (14, 10), 12)
    t = load(fake.write(tmp_path / "run.h5", box=box, species=("Li", "Mg"), n_frames=2))
    frame = t.frames[-1]
    cut = section_panels.cut_through(box, [frame])
    assert len(cut.sites) == box.n_sites // box.cells[1 - maps.across(box)]
    nearest = section_panels.nearest_site(cut, 1200)
    pixels = section_panels.pixels_of(cut, frame, box, nearest)[..., :3]
    column = (cut.places_nm[:, 0] / cut.size_nm[0] * nearest.shape[1]).astype(int)
    row = (cut.places_nm[:, 1] / cut.size_nm[1] * nearest.shape[0]).astype(int)
    np.testing.assert_array_equal(nearest[row, column], np.arange(len(cut.sites)))
    in_void = voids.find(frame.occupancy, box).labels[cut.sites] > 0
    held = frame.occupancy[cut.sites]
    assert in_void.any()
    for colour, where in (
        (plotting.METAL, held == 1),
        (plotting.MAGNESIUM, held == 2),
        (section_panels.VOID, in_void),
        (section_panels.LONE, (held == 0) & ~in_void),
    ):
        shown = pixels[row[where], column[where]]
        np.testing.assert_allclose(shown, np.tile(to_rgb(colour), (where.sum(), 1)))
    rows = box.positions_A[:, 1 - maps.across(box)] // 1e-3
    most = max(np.sum(frame.occupancy[rows == r] == 0) for r in np.unique(rows))
    assert np.sum(held == 0) >= most  # no line of sites holds more vacancies than the chosen slice


def test_a_void_at_the_electrolyte_does_not_show_at_the_reservoir(tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=2))
    frame = t.frames[-1]
    cut = section_panels.cut_through(t.lattice, [frame])
    pixels = section_panels.pixels_of(cut, frame, t.lattice, section_panels.nearest_site(cut, 400))
    assert not np.all(frame.occupancy[: t.lattice.sites_per_layer])
    top = frame.occupancy[-2 * t.lattice.sites_per_layer :]
    if np.all(top):
        np.testing.assert_allclose(pixels[-1, :, :3], np.tile(to_rgb(plotting.METAL), (400, 1)))


# --- all pictures by name -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A run of Li and one of Li-Mg on another lattice."""
    folder = tmp_path_factory.mktemp("pair")
    box = fake.lattice("bcc_110", (14, 10), 12)
    one = fake.write(folder / "li.h5", box=fake.lattice(cells=(16, 16)), n_frames=4)
    two = fake.write(folder / "limg.h5", box=box, species=("Li", "Mg"), n_frames=3)
    return [load(one), load(two)]


@pytest.mark.slow
@pytest.mark.parametrize("what", PICTURES)
@pytest.mark.parametrize("n", [slow(1), 2])
def test_every_picture_of_one_and_of_two_runs(what, n, pair, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = plotting.draw(what, pair[-n:])
        plotting.save(page, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5_000
    assert page.get_size_inches()[0] == pytest.approx(3.4)
    for axes in all_axes(page):
        if axes.get_label() != "<colorbar>" and axes.axison and axes.get_xlabel():
            assert "(" in axes.get_xlabel(), "an axis without its unit"


@pytest.mark.slow
@pytest.mark.parametrize("what", [p for p in PICTURES if p not in ("summary", "contact")])
@pytest.mark.parametrize("kind", ["one sample", slow("periodic")])
def test_every_picture_of_odd_runs(what, kind, tmp_path):
    t = load(fake.write(tmp_path / "run.h5", **RUNS[kind]))
    if what == "mixing" and "Mg" not in t.species:
        with pytest.raises(InputError, match="has no Mg" if t.has_interface else "interface"):
            plotting.draw(what, t)
        return
    if kind == "periodic" and what in ("microscope", "profiles", "mixing"):
        with pytest.raises(InputError, match="without an interface"):
            plotting.draw(what, t)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plotting.save(plotting.draw(what, t), tmp_path / "page.svg")


def all_axes(page):
    """Of a page and its parts, which share the list of those inside them."""
    found = [*page.axes] + [a for part in page.subfigs for a in all_axes(part)]
    return list(dict.fromkeys(found))


def texts(page) -> str:
    return " ".join(text.get_text() for axes in all_axes(page) for text in axes.texts)


def test_numbers_of_the_paper_only_on_request(pair):
    plain = plotting.draw("microscope", pair)
    marked = plotting.draw("microscope", pair, paper=True)
    assert marked.get_size_inches()[0] == pytest.approx(7.0)
    for number in ("Li 16–18", "Li-Mg 2–3", "Li 2.2 ± 1.3", "Li-Mg 3.8 ± 1.0", "one gap"):
        assert number in texts(marked)
        assert number not in texts(plain)


def test_a_single_run_beside_data_has_its_name(pair):
    """Points have the colour of the run's metal: only the key tells which is which."""
    page = plotting.draw("microscope", pair[0], paper=True)
    keys = [t.get_text() for part in page.subfigs for key in part.legends for t in key.texts]
    assert {"li", "Li", "Li-Mg"} <= set(keys)
    assert not any(text.get_bbox_patch() for axes in all_axes(page) for text in axes.texts)


def test_what_a_run_rests_on_stands_under_its_title(pair, monkeypatch):
    monkeypatch.setattr(type(pair[0]), "rests_on", "hops slowed, and this is assumed")
    for what in ("summary", "map", "microscope"):
        page = plotting.draw(what, pair[0])
        heads = [text.get_text() for part in page.subfigs for text in part.texts]
        assert "hops slowed, and this is assumed" in heads, what


def test_a_heading_grows_with_what_a_run_rests_on(pair, monkeypatch):
    """On a page of one column it ended in "…" after two lines."""
    basis = "; ".join(f"the assumption number {i} of this run" for i in range(9))
    monkeypatch.setattr(type(pair[0]), "rests_on", basis)
    for what in ("summary", "map", "microscope"):
        page = plotting.draw(what, pair[0])
        page.canvas.draw()
        head = page.subfigs[0]
        (text,) = (one for one in head.texts if one.get_text().startswith("the assumption"))
        assert text.get_text().replace("\n", " ") == basis, what
        assert text.get_window_extent().y0 >= head.bbox.y0 - 1, what


def test_a_box_counts_voids_on_its_own_line(pair):
    """One void in a box of 8 nm is no 12 000 voids per 100 µm."""
    page = plotting.draw("microscope", pair[0])
    panel = next(a for a in all_axes(page) if a.get_ylabel().startswith("voids on"))
    length_nm = 1e-1 * pair[0].lattice.box_A[0]
    assert f"{length_nm:.3g}" in panel.get_ylabel()
    assert panel.get_ylim()[1] < 100


def test_steps_of_a_protocol_are_shaded():
    page = style.new_figure(3, 2)
    panel = page.subplots()
    current = np.array([0.5, 0.5, -0.5, -0.5, 0.0, 0.5])
    style.shade_steps([panel], np.arange(6.0), current)
    # By paths: the patches were polygons before matplotlib 3.9.
    paths = [p.get_path().transformed(p.get_patch_transform()) for p in panel.patches]
    spans = sorted((path.get_extents().x0, path.get_extents().x1) for path in paths)
    assert spans == [(1.0, 3.0), (3.0, 4.0)]


def test_a_void_over_the_edges_has_a_note(tmp_path):
    box = fake.lattice(cells=(8, 8))
    t = load(fake.write(tmp_path / "run.h5", box=box, n_frames=1))
    for corner, noted in ((True, True), (False, False)):
        occupancy = np.ones(box.n_sites, dtype=np.uint8)
        x, y = (box.positions_A[: box.sites_per_layer, :2] / box.box_A[:2]).T
        inside = (abs(x - 0.5) > 0.3) & (abs(y - 0.5) > 0.3)
        inside = inside if corner else (abs(x - 0.5) < 0.2) & (abs(y - 0.5) < 0.2)
        occupancy[: box.sites_per_layer][inside] = 0
        frame = SimpleNamespace(occupancy=occupancy, time_s=0.0, capacity_monolayers=0.0)
        assert maps.view_of(t, frame).crosses_edge == noted


def test_frames_can_be_chosen(pair):
    page = plotting.draw("map", pair[0], frames="0,2")
    titles = [axes.get_title(loc="left") for axes in all_axes(page)]
    assert [title for title in titles if title] == ["0 monolayers", "1.33 monolayers"]
    with pytest.raises(InputError, match="there is no frame 9"):
        plotting.draw("map", pair[0], frames="9")
    with pytest.raises(InputError, match="no picture 'mapp'"):
        plotting.draw("mapp", pair[0])


def test_runs_of_one_name_are_told_apart(tmp_path):
    from kmc.plotting import style

    made = []
    for folder in ("cold", "warm"):
        (tmp_path / folder).mkdir()
        made.append(load(fake.write(tmp_path / folder / "run.h5", n_frames=1)))
    assert style.run_names(made) == ["cold/run", "warm/run"]


def test_a_population_of_discs_has_no_section_and_says_so(tmp_path):
    packed = Path(__file__).parents[1] / "data" / "golden" / "136ba7f.population.h5.gz"
    (tmp_path / "old.h5").write_bytes(gzip.decompress(packed.read_bytes()))
    run = kmc.load(tmp_path / "old.h5")
    with pytest.raises(InputError, match="it has no gap") as caught:
        plotting.draw("section", run)
    assert "--what microscope" in caught.value.advice


def test_pictures_show_themselves_in_a_notebook(pair):
    assert plotting.draw("contact", pair)._repr_png_().startswith(b"\x89PNG")


# --- movies ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["bcc_111 with Mg", *map(slow, ("one sample", "periodic", "inf at the end"))]
)
def test_movies(kind, tmp_path):
    t = load(
        fake.write(
            tmp_path / "run.h5", **(RUNS[kind] | {"n_frames": RUNS[kind].get("n_frames", 3)})
        )
    )
    told = []
    save_movie(t, tmp_path / "run.gif", per_second=10, progress=lambda *p: told.append(p))
    n = len(t.frames)
    assert told == [(i, n) for i in range(n + 1)]
    film = Image.open(tmp_path / "run.gif")
    assert film.n_frames == n
    if n > 1:
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0
    assert film.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.gif", "run.h5"]


@pytest.mark.slow
def test_a_movie_shows_each_frame(tmp_path):
    t = load(fake.write(tmp_path / "run.h5", n_frames=3))
    save_movie(t, tmp_path / "run.gif", frames=[0, 2])
    film = Image.open(tmp_path / "run.gif")
    first = np.asarray(film.convert("RGB"))
    film.seek(1)
    assert np.mean(first != np.asarray(film.convert("RGB"))) > 0.005


def test_movies_refused(tmp_path, monkeypatch):
    t = load(fake.write(tmp_path / "run.h5", n_frames=1))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="needs the program ffmpeg"):
        save_movie(t, tmp_path / "run.mp4")
    with pytest.raises(InputError, match=r"ends in \.avi"):
        save_movie(t, tmp_path / "run.avi")
    with pytest.raises(InputError, match="frames per second"):
        save_movie(t, tmp_path / "run.gif", per_second=0)
    with pytest.raises(InputError, match="there is no folder"):
        save_movie(t, tmp_path / "missing" / "run.gif")


def stand_in_for_ffmpeg(folder, monkeypatch, body: str) -> None:
    script = folder / "bin" / "ffmpeg"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))


@pytest.mark.slow
def test_mp4_gives_ffmpeg_every_frame_whole(tmp_path, monkeypatch):
    stand_in_for_ffmpeg(
        tmp_path,
        monkeypatch,
        "size = sys.argv[sys.argv.index('-s') + 1]\n"
        "open(sys.argv[-1], 'w').write(f'{size} {len(sys.stdin.buffer.read())}')",
    )
    t = load(fake.write(tmp_path / "run.h5", n_frames=2))
    save_movie(t, tmp_path / "run.mp4")
    size, n_bytes = (tmp_path / "run.mp4").read_text().split()
    width, height = (int(edge) for edge in size.split("x"))
    assert width % 2 == height % 2 == 0
    assert int(n_bytes) == 2 * 3 * width * height


@pytest.mark.slow
def test_a_failure_of_ffmpeg_is_told(tmp_path, monkeypatch):
    stand_in_for_ffmpeg(tmp_path, monkeypatch, "sys.exit('Unknown encoder')")
    t = load(fake.write(tmp_path / "run.h5", n_frames=2))
    with pytest.raises(KmcError, match="ffmpeg failed: Unknown encoder"):
        save_movie(t, tmp_path / "run.mp4")
    assert not (tmp_path / "run.mp4").exists()


@pytest.mark.parametrize(
    ("capacity", "time_s", "key"),
    [
        ([0.0, 0.1, 0.2, 0.3], [0, 1, 2, 3], "capacity_monolayers"),
        ([0.0, 0.1, 0.1, 0.1], [0, 1, 5, 9], "time_s"),  # a rest
        ([0.0, 0.1, 0.2, 0.2], [0, 1, 2, 2.1], "capacity_monolayers"),  # the end, recorded twice
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3], "time_s"),  # no current at all
    ],
)
def test_the_axis_of_a_table_is_the_time_where_capacity_stands_still(capacity, time_s, key):
    import pandas as pd

    from kmc.plotting.style import table_axis

    rows = pd.DataFrame({"capacity_monolayers": capacity, "time_s": time_s, "frame": range(4)})
    twice = pd.concat([rows, rows])  # several rows a frame
    assert table_axis([rows])[0] == table_axis([twice])[0] == key
