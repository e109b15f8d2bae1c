"""What TIFF and PNG files say of a micrograph: scale, photometry, planes, pages, compression."""

from __future__ import annotations

import numpy as np
import pytest
from cli_calls import call
from PIL import Image, ImageOps

from kmc.analysis.image_files import read_image, read_micrograph
from kmc.errors import InputError

tifffile = pytest.importorskip("tifffile")

MASK = np.full((40, 60), 255, np.uint8)
MASK[:, :9] = 0  # 15 %
# As SmartSEM writes it: first the values by number, then names and texts of one each.
ZEISS = "\r\n".join([
    *("2.000000e-08", "0"),
    *("AP_WD", "WD = 5.1 mm"),
    *("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = {}"),
    *("DP_DETECTOR_CHANNEL", "Signal A = InLens"),
    "",
])  # fmt: skip
FEI = "[Scan]\r\nPixelWidth=1.25e-08\r\nPixelHeight=1.25e-08\r\n"


@pytest.mark.parametrize(
    ("options", "nm"),
    [
        ({"imagej": True, "resolution": (40, 40), "metadata": {"unit": "um"}}, 25),
        ({"imagej": True, "resolution": (40, 40), "metadata": {"unit": "micron"}}, 25),
        ({"imagej": True, "resolution": (0.04, 0.04), "metadata": {"unit": "nm"}}, 25),
        ({"imagej": True, "metadata": {"unit": "pixel"}}, None),
        ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.65}}, 650),
        (
            {
                "ome": True,
                "metadata": {"axes": "YX", "PhysicalSizeX": 12.5, "PhysicalSizeXUnit": "nm"},
            },
            12.5,
        ),
        ({"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}, 10),
        ({"resolution": (2.54e6, 2.54e6), "resolutionunit": "INCH"}, 10),
        # Of a screen and a printer, and without a unit.
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"resolution": (1200, 1200), "resolutionunit": "INCH"}, None),
        ({"resolution": (40, 40), "resolutionunit": "NONE"}, None),
        ({"extratags": [(34682, "s", 0, FEI, True)]}, 12.5),
        ({"extratags": [(34118, "s", 0, ZEISS.format("12.50 nm"), True)]}, 12.5),
        ({"extratags": [(34118, "s", 0, ZEISS.format("1.117 µm").encode("cp1252"), True)]}, 1117),
        ({"extratags": [(34118, "s", 0, ZEISS.format("350.0 pm"), True)]}, 0.35),
        ({"extratags": [(34118, "s", 0, ZEISS.format("12.50 widgets"), True)]}, None),
        ({}, None),
    ],
)
def test_the_scale_of_a_tiff(tmp_path, options, nm):
    tifffile.imwrite(tmp_path / "a.tif", MASK, **options)
    shot = read_micrograph(tmp_path / "a.tif")
    assert shot.nm_per_pixel == (None if nm is None else pytest.approx(nm, rel=1e-4))
    assert bool(shot.scale_source) == (nm is not None)
    assert np.array_equal(shot.pixels[0], MASK)


def test_the_scale_of_a_png(tmp_path):
    Image.fromarray(MASK).save(tmp_path / "a.png", dpi=(2.54e6, 2.54e6))
    Image.fromarray(MASK).save(tmp_path / "b.png", dpi=(300, 300))
    assert read_micrograph(tmp_path / "a.png").nm_per_pixel == pytest.approx(10, rel=1e-3)
    assert read_micrograph(tmp_path / "b.png").nm_per_pixel is None


def test_pixels_that_are_not_square(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", MASK, imagej=True, resolution=(40, 50), metadata={"unit": "um"}
    )
    with pytest.raises(InputError, match="25 nm wide and 20 nm high"):
        read_micrograph(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
@pytest.mark.parametrize("white_is_0", [False, True])
def test_white_as_zero(tmp_path, dtype, white_is_0):
    """Values are those that a viewer shows, whichever way they are stored."""
    shown = MASK == 255 if dtype is bool else MASK.astype(dtype) * (np.iinfo(dtype).max // 255)
    stored = np.invert(shown) if white_is_0 else shown
    kind = "miniswhite" if white_is_0 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=kind)
    shot = read_micrograph(tmp_path / "a.tif")
    assert np.array_equal(shot.pixels[0], shown.astype(shot.pixels.dtype))
    assert any("inverted" in note for note in shot.notes) == white_is_0


@pytest.mark.parametrize("white_is_0", [0, 1])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_compressions(tmp_path, compression, white_is_0):
    picture = Image.fromarray(MASK == 255 if compression == "group4" else MASK)
    picture.save(tmp_path / "a.tif", compression=compression, tiffinfo={262: white_is_0})
    values = read_micrograph(tmp_path / "a.tif").pixels[0]
    assert np.array_equal(values * (255 // values.max()), MASK)


def test_compressed_pages_are_slices(tmp_path):
    pages = [Image.fromarray(np.roll(MASK, k, axis=1)) for k in range(3)]
    pages[0].save(
        tmp_path / "a.tif", compression="tiff_lzw", save_all=True, append_images=pages[1:]
    )
    stack = read_micrograph(tmp_path / "a.tif").pixels
    assert np.array_equal(stack, [np.roll(MASK, k, axis=1) for k in range(3)])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_planes_of_a_colour_image_are_no_slices(tmp_path, planar):
    axis = -1 if planar == "contig" else 0
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack([MASK] * 3, axis=axis), photometric="rgb", planarconfig=planar
    )
    assert np.array_equal(read_micrograph(tmp_path / "a.tif").pixels, MASK[None])
    coloured = np.stack([MASK, 255 - MASK, MASK], axis=axis)
    tifffile.imwrite(tmp_path / "a.tif", coloured, photometric="rgb", planarconfig=planar)
    with pytest.raises(InputError, match="is in colour"):
        read_micrograph(tmp_path / "a.tif")


def test_several_images_in_a_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(MASK)
        file.write(MASK[::4, ::4])
    (note,) = read_micrograph(tmp_path / "a.tif").notes
    assert note == "it holds 2 images: the first, of 60 × 40 pixels, is measured"
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(MASK[::4, ::4])
        file.write(MASK)
    with pytest.raises(InputError, match="2 images of different sizes"):
        read_micrograph(tmp_path / "b.tif")
    channels = np.stack([MASK, 255 - MASK])
    tifffile.imwrite(tmp_path / "c.tif", channels, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="several channels"):
        read_micrograph(tmp_path / "c.tif")
    tifffile.imwrite(tmp_path / "d.tif", channels, imagej=True, metadata={"axes": "TYX"})
    assert "images in time" in read_micrograph(tmp_path / "d.tif").notes[0]


def test_pixels_without_a_number(tmp_path):
    values = MASK.astype(np.float32)
    values[3, 3] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(InputError, match="pixels that are no numbers"):
        read_micrograph(tmp_path / "a.tif")


def test_the_command_uses_and_compares_the_scale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", MASK, imagej=True, resolution=(40, 40), metadata={"unit": "um"})
    own = call("image", "--plan", "a.tif")
    assert own.exit_code == 0, own.output
    assert "25\xa0nm a pixel, by ImageJ" in own.stdout
    assert "contact loss 15.0 %" in own.stdout
    for scale, differs in ((25.4, False), (2.5, True)):
        done = call("image", "--plan", "a.tif", "--scale", scale)
        assert done.exit_code == 0, done.output
        said = "a.tif: --scale 2.5 counts, and ImageJ says 25\xa0nm a pixel: all lengths differ"
        assert (said in done.stderr) == differs


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_says(tmp_path, orientation, compression):
    """Against Pillow, which turns by its own table."""
    stored = np.zeros((32, 48), np.uint8)
    stored[:8, :16], stored[8:16, :8] = 200, 100
    tags = {274: orientation}
    if compression == "jpeg":
        exif = Image.Exif()
        exif.update(tags)
        Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=100)
        found = read_image(tmp_path / "a.jpg")[0]
    else:
        Image.fromarray(stored).save(tmp_path / "a.tif", compression=compression, tiffinfo=tags)
        found = read_image(tmp_path / "a.tif")[0]
    turned = Image.fromarray(stored)
    turned.getexif()[274] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(turned))
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 3 * (compression == "jpeg")
