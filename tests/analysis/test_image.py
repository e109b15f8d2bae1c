"""`kmc image` on drawn images whose voids are known."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import fake
import numpy as np
import pandas as pd
import pytest
from cli_calls import call
from PIL import Image

from kmc import load, plotting
from kmc.analysis import segmented_image
from kmc.analysis.image_files import read_image
from kmc.analysis.measured import read_measured
from kmc.analysis.segmented_image import measure_image
from kmc.errors import InputError, KmcWarning

pytest.importorskip("skimage")

METAL, ELECTROLYTE, VOID = 255, 128, 0
SCALE = 50.0  # nm per pixel


def drawn(*blocks, tilt=0.0, shape=(60, 200)) -> np.ndarray:
    """Metal over electrolyte, and voids (x, height of the base, width, height) above its edge.

    The edge rises by `tilt` pixels from left to right.
    """
    image = np.full(shape, METAL, np.uint8)
    edge = 40 - np.round(np.linspace(0, tilt, shape[1])).astype(int)
    rows = np.arange(shape[0])[:, None]
    image[rows >= edge] = ELECTROLYTE
    for x, base, width, height in blocks:
        for column in range(x, x + width):
            top = edge[column] - base - height
            image[top : top + height, column] = VOID
    return image


# Three voids at the interface, one of them at the left edge; one in the metal; one of 2 pixels.
BLOCKS = ((0, 0, 10, 4), (50, 0, 20, 8), (120, 0, 6, 5), (80, 10, 8, 8), (160, 0, 2, 1))


@pytest.mark.parametrize("tilt", [0.0, 12.0])
def test_known_voids(tilt):
    found = measure_image(drawn(*BLOCKS, tilt=tilt), SCALE, electrolyte=ELECTROLYTE)
    voids = found.voids.sort_values("width_nm")
    assert (voids["width_nm"] / SCALE).tolist() == [6, 10, 20]
    assert (voids["height_nm"] / SCALE).tolist() == [5, 4, 8]
    assert (voids["area_nm2"] / SCALE**2).tolist() == [30, 40, 160]
    assert voids["at_edge"].tolist() == [False, True, False]
    assert found.row["voids"] == 3
    assert found.row["contact_loss"] == pytest.approx(36 / 200)
    assert found.row["voids_per_100um"] == pytest.approx(3 / (200 * SCALE / 1e3) * 100)
    assert found.row["width_median_nm"] == pytest.approx(10 * SCALE)
    assert found.row["gaps"] == 0
    row = found.measured_row()
    assert row["contact_loss_percent"] == pytest.approx(18)
    assert row["width_um"] == pytest.approx(12 * SCALE / 1e3)
    assert row["width_um_error"] == pytest.approx(np.std([6, 10, 20], ddof=1) * SCALE / 1e3)


def test_metal_below_and_an_edge_as_interface():
    image = drawn(*BLOCKS)
    upside_down = measure_image(image[::-1], SCALE, electrolyte=ELECTROLYTE, metal="below")
    cropped = measure_image(image[:40], SCALE)
    plain = measure_image(image, SCALE, electrolyte=ELECTROLYTE)
    for other in (upside_down, cropped):
        assert other.row == plain.row
        pd.testing.assert_frame_equal(other.voids, plain.voids)


def test_slices_are_lines_and_a_gap_is_one():
    gap = drawn((0, 0, 200, 3))
    found = measure_image(np.stack([drawn(*BLOCKS), gap]), SCALE, electrolyte=ELECTROLYTE)
    assert found.n_lines == 2
    assert found.row["voids"] == 4
    assert found.row["gaps"] == 1
    assert found.row["contact_loss"] == pytest.approx((36 / 200 + 1) / 2)
    assert found.row["voids_per_100um"] == pytest.approx(4 / (2 * 200 * SCALE / 1e3) * 100)


def test_small_ones_are_left_out_on_request():
    found = measure_image(drawn(*BLOCKS), SCALE, electrolyte=ELECTROLYTE, min_size=1)
    assert found.row["voids"] == 4
    assert found.row["contact_loss"] == pytest.approx(38 / 200)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"void": 7}, "no pixel has the value 7"),
        ({"electrolyte": 7}, "no pixel has the value 7"),
        ({"electrolyte": VOID}, "have one value"),
        ({"metal": "left"}, "metal = 'left'"),
        ({"nm_per_pixel": 0}, "is no length"),
    ],
)
def test_refused(change, part):
    options = {"nm_per_pixel": SCALE, "electrolyte": ELECTROLYTE} | change
    with pytest.raises(InputError, match=part):
        measure_image(drawn(*BLOCKS), options.pop("nm_per_pixel"), **options)


def test_a_value_that_is_not_there_names_the_option_that_states_it():
    """Masks of greys other than 0: the values that there are, and where to give one."""
    image = drawn(*BLOCKS)
    image[image == VOID] = 30
    with pytest.raises(InputError) as refusal:
        measure_image(image, SCALE, electrolyte=ELECTROLYTE)
    assert "--void VALUE" in refusal.value.advice
    assert "30 (" in refusal.value.advice
    assert measure_image(image, SCALE, void=30, electrolyte=ELECTROLYTE).row["voids"] > 0


def test_what_is_not_segmented_is_refused():
    noise = np.random.default_rng(1).integers(0, 255, (20, 30))
    with pytest.raises(InputError, match="not segmented"):
        measure_image(noise, SCALE)
    image = drawn(*BLOCKS)
    image[:, 9] = METAL
    with pytest.raises(InputError, match="column 9 of the image has no electrolyte"):
        measure_image(image, SCALE, electrolyte=ELECTROLYTE)


def png_of(width: int, height: int) -> bytes:
    """A PNG of some kB that states this size, and unpacks to one row."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def part(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    data = zlib.compress(bytes(width + 1))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")


@pytest.mark.parametrize("size", [(13_000, 13_000), (60_000, 60_000), (300_000, 2)])
def test_sizes_are_looked_at_before_pixels(tmp_path, size):
    path = tmp_path / "large.png"
    path.write_bytes(png_of(*size))
    with pytest.raises(InputError, match=r"too large.*at most 100 million pixels") as told:
        read_image(path)
    assert "Crop it" in told.value.advice
    assert "[system]" not in told.value.advice


def test_a_stack_that_states_too_much(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, shape=(500, 1000, 1000), dtype=np.uint8)  # sparse: nothing is written
    with pytest.raises(InputError, match="too large"):
        read_image(path)


def test_a_large_micrograph_in_tiles(monkeypatch):
    """The same numbers whatever the size of the tiles."""
    image = drawn(*BLOCKS, tilt=12.0)
    whole = measure_image(image, SCALE, electrolyte=ELECTROLYTE)
    monkeypatch.setattr(segmented_image, "_TILE_PIXELS", 7 * len(image))
    tiled = measure_image(image, SCALE, electrolyte=ELECTROLYTE)
    assert tiled.row == whole.row
    pd.testing.assert_frame_equal(tiled.voids, whole.voids)


@pytest.mark.slow
def test_a_large_micrograph_fits_into_a_gigabyte(tmp_path):
    """20 000 x 4 000 pixels with 20 000 voids, in a process of its own."""
    path = tmp_path / "large.png"
    image = np.full((4000, 20_000), METAL, np.uint8)
    image[3000:] = ELECTROLYTE
    image[2900:3000, ::2] = VOID
    image[:2000, ::7] = VOID
    Image.fromarray(image).save(path, compress_level=1)
    code = (
        "import sys; from pathlib import Path; from kmc.analysis.image_files import read_image\n"
        "from kmc.analysis.segmented_image import measure_image\n"
        "found = measure_image(read_image(sys.argv[1]), 5.0, electrolyte=128)\n"
        # Not ru_maxrss, which begins with the memory of the process that started this one.
        "status = Path('/proc/self/status').read_text()\n"
        "print(len(found.voids), status.partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    voids, kilobytes = map(int, done.stdout.split())
    assert voids == 10_000
    assert kilobytes < 10**6, kilobytes


def test_the_command_writes_what_plot_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(drawn(*BLOCKS)).save("a.png")
    Image.fromarray(np.repeat(drawn((30, 0, 50, 6))[..., None], 3, axis=2)).save("b.tif")
    result = call(
        *("image", "a.png", "b.tif", "--scale", SCALE, "--electrolyte", ELECTROLYTE),
        *("--capacity", 0.1, "--capacity", 0.5, "-o", "mine.csv", "--voids", "each.csv"),
    )
    assert result.exit_code == 0, result.output
    assert "a.png: 1 line of 10 µm, 3 voids (30 per 100 µm), contact loss 18.0 %" in (
        result.stdout.replace("\u00a0", " ")
    )
    assert "1 of them reaches the edge" in result.stdout
    table = read_measured("mine.csv").table
    assert table["capacity_mAh_cm2"].tolist() == [0.1, 0.5]
    assert table["voids_per_100um"].tolist() == pytest.approx([30, 10])
    assert table["contact_loss_percent"].tolist() == pytest.approx([18, 25])
    assert len(pd.read_csv("each.csv")) == 4
    t = load(fake.write(tmp_path / "run.h5", n_frames=2))
    page = plotting.draw("microscope", t, data="mine.csv")
    points = [line for axes in _axes(page) for line in axes.lines if line.get_marker() == "o"]
    assert {0.1, 0.5} <= {float(x) for line in points for x in line.get_xdata()}


def _axes(page):
    return [*page.axes] + [a for part in page.subfigs for a in _axes(part)]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nix.png", "--scale", 1], "no such file"),
        (["text.png", "--scale", 1], "cannot be read as an image"),
        (["red.png", "--scale", 1], "is in colour"),
        (["a.png", "a.png", "--scale", 1, "--capacity", 1], "was given 1 times for 2 images"),
        (["a.png", "--scale", 1, "--electrolyte", METAL], "metal and electrolyte swapped"),
        (
            ["a.png", "--scale", 1, "--electrolyte", ELECTROLYTE, "--metal", "below"],
            "turn the image over with --metal above",
        ),
        (["a.png", "--scale", 1, "--capacity", -1], "negative"),
        (["a.png", "--scale", 1, "--voids", "x.txt"], "ends in .txt"),
        (["a.png", "--scale", -1], "is no length"),
        (["a.png", "--scale", 1e308], "is no length"),
        (["a.png"], "--scale"),
        (["a.png", "--scale", 1], "none of the"),
        (["a.png", "--scale", 1, "--electrolyte", 128, "--bright"], "belongs to --threshold"),
    ],
)
def test_the_command_refuses(tmp_path, monkeypatch, arguments, part):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(drawn(*BLOCKS)).save("a.png")
    Image.fromarray(np.full((4, 4, 3), (255, 0, 0), np.uint8)).save("red.png")
    result = call("image", *arguments)
    assert result.exit_code == 2, result.output
    assert part in result.stderr
    assert not list(tmp_path.glob("*.csv"))


def test_a_look_without_a_capacity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(drawn(*BLOCKS)).save("a.png")
    result = call(
        *("image", "a.png", "--scale", SCALE, "--electrolyte", ELECTROLYTE, "-o", "mine.csv")
    )
    assert result.exit_code == 0, result.output
    assert "hold at every charge" in result.stderr
    table = read_measured("mine.csv").table
    assert table["capacity_mAh_cm2"].isna().all()
    assert table["contact_loss_percent"].tolist() == pytest.approx([18])


def test_a_phase_given_as_the_void_is_said():
    with pytest.warns(KmcWarning, match="is that the value of the metal"):
        measure_image(drawn(*BLOCKS)[:40], SCALE, void=METAL)


def test_voids_off_the_edge_are_not_none():
    """Without the electrolyte these five lie inside the image: no answer, instead of 0 voids."""
    with (
        pytest.warns(KmcWarning, match="the voids are those at this edge; there are 0 "),
        pytest.raises(InputError, match="none of the 5\xa0voids"),
    ):
        measure_image(drawn(*BLOCKS), SCALE)


def test_a_file_is_read_as_slices(tmp_path):
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (1, 60, 200)
