"""Grey images and their three-level masks: the voids that were drawn, and refusals."""

from __future__ import annotations

import re

import micrographs
import numpy as np
import pytest
from PIL import Image, ImageDraw

from kmc.analysis.plan_view import measure_plan_image
from kmc.analysis.segmentation import View, info_bars
from kmc.analysis.segmented_image import measure_image
from kmc.errors import InputError, KmcWarning

pytest.importorskip("skimage")

# The phase between the others in grey is the electrolyte, the metal, or the electrolyte again.
ORDERS = {
    "bright metal": micrographs.GREYS,
    "bright electrolyte": {"void": 30.0, "metal": 120.0, "electrolyte": 210.0},
    "bright voids": {"void": 210.0, "metal": 30.0, "electrolyte": 120.0},
}


def codes(greys) -> dict[str, float]:
    """Values of void and electrolyte in a three-level mask."""
    order = sorted(greys.values())
    return {name: (0, 128, 255)[order.index(greys[name])] for name in ("void", "electrolyte")}


@pytest.mark.parametrize("blur", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("greys", ORDERS.values(), ids=ORDERS)
def test_three_levels_with_a_rim(greys, blur):
    """A blurred edge between black and white is grey: the phase of that grey must not hide it."""
    cut = micrographs.cut(np.random.default_rng(5), blur=blur, greys=greys)
    mask = micrographs.three_levels(cut.grey, greys)
    found = measure_image(mask, 10.0, **codes(greys))
    assert found.row["voids"] == cut.n_voids
    # Two pixels at either foot of the eight voids, in 600: the blur's standard deviation.
    assert found.row["contact_loss"] == pytest.approx(cut.contact_loss, abs=2 * 16 / 600)
    assert found.row["width_mean_nm"] / 10 == pytest.approx(cut.width_px, abs=4)


def test_the_rim_hid_them():
    """Of the mask as it stands the uppermost grey of the electrolyte lies above the voids."""
    cut = micrographs.cut(np.random.default_rng(5), blur=2.0)
    mask = micrographs.three_levels(cut.grey)
    as_it_is = measure_image(mask, 10.0, electrolyte=128, rim=0)
    assert as_it_is.row["contact_loss"] < 0.2 * cut.contact_loss


@pytest.mark.parametrize(("blur", "noise"), [(0.0, 20.0), (1.0, 0.0), (1.0, 6.0), (2.0, 20.0)])
@pytest.mark.parametrize("greys", ORDERS.values(), ids=ORDERS)
def test_grey_images(greys, blur, noise):
    cut = micrographs.cut(np.random.default_rng(6), blur=blur, noise=noise, greys=greys)
    values = {name: greys[name] for name in ("void", "electrolyte")}
    found = measure_image(cut.grey, 10.0, threshold="otsu", **values)
    assert found.row["voids"] == cut.n_voids
    assert found.row["contact_loss"] == pytest.approx(cut.contact_loss, abs=2 * 16 / 600)
    assert found.row["width_mean_nm"] / 10 == pytest.approx(cut.width_px, rel=0.06)
    (view,) = found.views
    assert (view.shown == View.ELECTROLYTE).mean() == pytest.approx(
        (cut.phases == 2).mean(), abs=0.01
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("greys", ["bright metal", "bright electrolyte"])
def test_the_error_that_a_thick_rim_leaves_is_told(greys, masked):
    """Metal as the middle grey hides the corners of voids: up to a rim of the width, and said."""
    greys, errors = ORDERS[greys], []
    for seed in range(4):
        cut = micrographs.cut(np.random.default_rng(seed), blur=3.0, greys=greys)
        if masked:
            image, options = micrographs.three_levels(cut.grey, greys), codes(greys)
        else:
            image, options = cut.grey, {"threshold": "otsu"} | greys
            del options["metal"]
        found = measure_image(image, 10.0, **options)
        errors.append(1 - found.row["width_mean_nm"] / 10 / cut.width_px)
        (told,) = (note for note in found.notes if "a rim of" in note)
        share = re.search(r"; that is (\d+) % of the median width", told)
        assert bool(share) == (greys["metal"] == 120)
        if share:
            assert errors[-1] < 1.5 * int(share[1]) / 100
    assert (0.08 < np.mean(errors) < 0.2) == (greys["metal"] == 120)


def test_a_deconvolution_brings_the_corners_back():
    """Richardson and Lucy's by a Gaussian of 3/4 of the rim, as the documentation advises."""
    from skimage.restoration import richardson_lucy

    greys, errors = ORDERS["bright electrolyte"], []
    x = np.arange(-12, 13)
    for seed in range(4):
        cut = micrographs.cut(np.random.default_rng(seed), blur=3.0, greys=greys)
        point = np.exp(-(x[:, None] ** 2 + x**2) / 2 / (0.75 * 4) ** 2)  # of the rim of 4 pixels
        padded = np.pad(cut.grey / 255, 24, mode="edge")
        sharp = richardson_lucy(padded, point / point.sum(), 10)[24:-24, 24:-24]
        image = np.rint(255 * np.clip(sharp, 0, 1)).astype(np.uint8)
        found = measure_image(image, 10.0, threshold="75,165", void=30, electrolyte=210)
        assert found.row["voids"] == cut.n_voids
        errors.append(1 - found.row["width_mean_nm"] / 10 / cut.width_px)
    assert abs(np.mean(errors)) < 0.06, errors


@pytest.mark.parametrize(
    "scaled",
    [
        lambda grey: grey.astype(np.uint16) * 100 + 3000,
        lambda grey: grey.astype(np.float32) / 255,
        lambda grey: np.rint(grey / 7.5 + 100).astype(np.uint8),  # 24 grey values in all
        # Brighter from left to right by a third of the contrast.
        lambda grey: np.clip(grey + np.linspace(-15, 15, 600), 0, 255).astype(np.uint8),
    ],
)
def test_depths_contrasts_and_some_shade(scaled):
    cut = micrographs.cut(np.random.default_rng(1))
    electrolyte = float(scaled(np.full((1, 600), 120, np.uint8))[0, 300])
    found = measure_image(scaled(cut.grey), 10.0, electrolyte=electrolyte, threshold="otsu")
    assert found.row["voids"] == cut.n_voids
    assert found.row["contact_loss"] == pytest.approx(cut.contact_loss, abs=16 / 600)


def test_thresholds_of_ones_own_and_the_darkest_by_default():
    cut = micrographs.cut(np.random.default_rng(6))
    for threshold in ("75,165", "otsu"):
        found = measure_image(cut.grey, 10.0, electrolyte=120, threshold=threshold)
        assert found.row["voids"] == cut.n_voids
    assert "multi-Otsu: " in found.notes[0]


@pytest.mark.parametrize(
    ("image", "options", "part"),
    [
        ("noise", {"threshold": "otsu"}, "do not part into 2 phases"),
        ("shaded", {"threshold": "otsu"}, "do not part into 2 phases"),
        ("cut", {"threshold": "otsu"}, "do not part into 2 phases: peaks .* lie at .*, .* and "),
        ("cut", {"threshold": "90", "electrolyte": 120}, "parts 2\xa0phases, and with"),
        ("cut", {"threshold": "otsu", "electrolyte": 30}, "are one class"),
        ("cut", {"electrolyte": 120}, "not segmented"),
        ("noisy", {"threshold": "otsu", "electrolyte": 120}, "do not part into 3 phases"),
    ],
)
def test_refused(image, options, part):
    rng = np.random.default_rng(3)
    images = {
        "noise": np.clip(rng.normal(120, 20, (200, 300)), 0, 255).astype(np.uint8),
        "shaded": np.linspace(0, 255, 300).astype(np.uint8)[None].repeat(200, axis=0),
        "cut": micrographs.cut(rng).grey,
        "noisy": micrographs.cut(rng, noise=150.0).grey,
    }
    with pytest.raises(InputError, match=part):
        measure_image(images[image], 10.0, **options)


def test_an_electrolyte_taken_for_a_void_is_said():
    """Metal over electrolyte without voids, and no word of the electrolyte."""
    image = np.where(np.arange(60)[:, None] < 40, 210.0, 120.0) + np.zeros((1, 200))
    image += np.random.default_rng(1).normal(0, 6, image.shape)
    with pytest.warns(KmcWarning, match="100 % of the edge of the image are void"):
        measure_image(image.astype(np.uint8), 10.0, threshold="otsu")


def labelled(image: np.ndarray, bar: int, value: int) -> np.ndarray:
    """With a scale bar and its length in one value, and an info bar below."""
    height, width = image.shape
    page = Image.new("L", (width, height + bar), 255 - value)
    page.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(page)
    draw.fontmode = "1"  # no grey levels of its own
    draw.rectangle((20, 20, 139, 25), fill=value)
    draw.text((55, 30), "10 um", fill=value, font_size=20)
    draw.text((10, height + 5), "15 kV  x 5000  WD 8 mm", fill=value, font_size=20)
    return np.array(page)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_what_is_burned_into_a_section(value):
    """Scale bar, label and info bar in the value of any phase, above and below the interface."""
    cut = micrographs.cut(np.random.default_rng(5), blur=1.0, pores=0)
    mask = micrographs.three_levels(cut.grey)
    plain = measure_image(mask, 10.0, electrolyte=128)
    for turned in (False, True):
        image = labelled(mask[::-1] if turned else mask, 34, value)
        side = {"metal": "below" if turned else "above"}
        found = measure_image(image, 10.0, electrolyte=128, **side)
        assert found.row == plain.row
        assert np.array_equal(found.voids, plain.voids)
    grey = measure_image(labelled(cut.grey, 34, 255), 10.0, electrolyte=120, threshold="otsu")
    assert grey.row["voids"] == cut.n_voids
    assert "info bar of 34\xa0rows" in " ".join(grey.notes)


def test_a_flat_phase_with_pores_is_no_info_bar():
    mask = np.full((100, 200), 255, np.uint8)
    mask[80:] = 128
    mask[85:90, 20:30] = mask[85:90, 60:70] = mask[88:92, 100:110] = 0
    assert info_bars(mask, own=(128, 255)) == (0, 0)


def discs(rng: np.random.Generator, n: int = 40, side: int = 400) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    void = np.zeros((side, side), bool)
    for at_y, at_x in rng.uniform((130, 30), side - 30, (n, 2)):
        void |= (y - at_y) ** 2 + (x - at_x) ** 2 < rng.uniform(5, 14) ** 2
    return void


def test_a_plan_view_with_labels():
    void = discs(np.random.default_rng(2))
    mask = np.where(void, 0, 255).astype(np.uint8)
    plain = measure_plan_image(mask, 0.1)
    found = measure_plan_image(labelled(mask, 0, 0), 0.1)
    assert found.row == plain.row
    assert "of a scale bar and its label" in found.notes[0]
    assert (found.views[0].shown == View.IGNORED).sum() > 700  # the bar has 720 pixels
    found = measure_plan_image(labelled(mask, 34, 255), 0.1)
    assert found.row == plain.row
    assert found.notes == ("not counted: an info bar of 34\xa0rows",)


@pytest.mark.parametrize("kind", ["box", "marks", "bar beside a void"])
def test_scale_bars_of_other_programs(kind):
    """A black box at the corner with white letters, a line with marks at its ends, and a void near
    a bar, which is a disc and no letter."""
    void = discs(np.random.default_rng(2))
    void[300:, :200] = False
    if kind == "bar beside a void":
        y, x = np.mgrid[:400, :400]
        void |= (y - 330) ** 2 + (x - 150) ** 2 < 12**2
    mask = np.where(void, 0, 255).astype(np.uint8)
    image = Image.fromarray(mask)
    draw, ink = ImageDraw.Draw(image), 0
    if kind == "box":
        draw.rectangle((0, 340, 130, 399), fill=0)
        ink = 255
    draw.rectangle((20, 380, 119, 383), fill=ink)
    draw.text((45, 350), "10 mm", fill=ink, font_size=22)
    if kind == "marks":
        for x in (20, 118):
            draw.rectangle((x, 374, x + 1, 389), fill=ink)
    greys = np.where(np.asarray(image) > 127, 255, 0).astype(np.uint8)
    found, plain = measure_plan_image(greys, 0.1), measure_plan_image(mask, 0.1)
    assert found.row == plain.row
    assert "of a scale bar and its label" in found.notes[0]


def test_a_mask_of_one_value_has_no_voids():
    with pytest.raises(InputError, match=r"no pixel has the value 0; there are 255 \(100\.0 %\)"):
        measure_plan_image(np.full((50, 50), 255, np.uint8), 0.1)


@pytest.mark.parametrize("turned", [False, True])
def test_an_info_bar_on_its_own_ground(turned):
    """White with dark letters on a white mask: all voids, and the area of the image without it."""
    void = discs(np.random.default_rng(2))
    mask = np.where(void, 0, 255).astype(np.uint8)
    image = labelled(mask, 34, 0)
    image[20:60, 10:150] = mask[20:60, 10:150]  # the info bar alone
    found = measure_plan_image(image[::-1] if turned else image, 0.1)
    plain = measure_plan_image(mask, 0.1)
    assert np.allclose(np.sort(found.voids["area_um2"]), np.sort(plain.voids["area_um2"]))
    # Its end is not to be seen: the ground above the letters counts as high as that below them.
    assert found.row["contact_loss_percent"] == pytest.approx(
        plain.row["contact_loss_percent"], rel=2 / 400
    )
    assert found.notes == ("not counted: an info bar of 33\xa0rows",)
    assert (found.views[0].shown == View.BAR).sum() == 33 * 400


@pytest.mark.parametrize("seed", range(5))
def test_voids_near_an_edge_are_no_text(seed):
    """Equal discs in a row, also cut to half discs, and discs at random places."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:200, :400]
    row = ((x % 50) - 25) ** 2 + ((y % 40) - 20) ** 2 < (6 + seed) ** 2
    for void in (row, row & (y % 40 < 20), discs(rng)):
        assert info_bars(np.where(void, 0, 255)) == (0, 0)


def test_a_jpeg_of_a_plan_view(tmp_path):
    """Value 0 alone would lose a part of each void: refused as a mask, measured by a threshold."""
    from kmc.analysis.image_files import read_micrograph

    void = discs(np.random.default_rng(2))
    mask = Image.fromarray(np.where(void, 0, 255).astype(np.uint8))
    for quality in (60, 100):
        mask.save(tmp_path / "mask.jpg", quality=quality)
        shot = read_micrograph(tmp_path / "mask.jpg")
        with pytest.raises(InputError, match="not segmented"):
            measure_plan_image(shot.pixels, 0.1)
        found = measure_plan_image(shot.pixels, 0.1, threshold="otsu")
        assert found.row["contact_loss_percent"] == pytest.approx(100 * void.mean(), abs=0.1)


def test_close_values_are_no_mask():
    mask = np.where(discs(np.random.default_rng(2)), 0, 255).astype(np.uint8)
    mask[0, :9] = 2  # as a compression leaves it, with few values all the same
    with pytest.raises(InputError, match="as close as 0 and 2: it is not segmented"):
        measure_plan_image(mask, 0.1)


def test_a_rim_in_a_plan_view():
    """Half of a rim of a third value belongs to the voids."""
    from scipy import ndimage

    void = discs(np.random.default_rng(2), n=12)
    inner, outer = (
        ndimage.binary_erosion(void, iterations=2),
        ndimage.binary_dilation(void, iterations=2),
    )
    mask = np.select([inner, outer], [0, 128], 255).astype(np.uint8)
    found = measure_plan_image(mask, 0.1).row["contact_loss_percent"]
    assert found == pytest.approx(100 * void.mean(), rel=0.05)
