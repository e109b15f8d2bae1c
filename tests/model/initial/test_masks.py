"""Masks: every kind of PNG and NPY that serves, and every way a file can be of no use."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kmc.errors import InputError
from kmc.model.initial import masks


def png(path, array, mode=None, **options):
    image = Image.fromarray(np.asarray(array), mode) if mode else Image.fromarray(np.asarray(array))
    image.save(path, **options)
    return path


def refusal(path, n=2) -> InputError:
    with pytest.raises(InputError) as caught:
        masks.read_mask(path, n)
    assert str(path) in caught.value.message
    assert caught.value.advice
    return caught.value


# --- what serves ----------------------------------------------------------------------------------


def test_black_is_the_run_s_own_set_and_the_top_is_large_y(tmp_path):
    path = png(tmp_path / "a.png", np.array([[255, 0], [0, 0], [0, 0]], dtype=np.uint8))
    assert masks.read_mask(path, 2).tolist() == [[0, 0], [0, 0], [1, 0]]


def test_grey_levels_are_equal_steps(tmp_path):
    path = png(tmp_path / "a.png", np.array([[0, 60, 128, 190, 255]], dtype=np.uint8))
    assert masks.read_mask(path, 3).tolist() == [[0, 0, 1, 1, 2]]
    assert masks.read_mask(path, 4).tolist() == [[0, 1, 2, 2, 3]]
    assert masks.read_mask(path, 2).tolist() == [[0, 0, 1, 1, 1]]


@pytest.mark.parametrize("kind", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_kind_of_picture(tmp_path, kind):
    wanted = np.array([[0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    grey = Image.fromarray(255 * wanted[::-1])
    if kind == "I;16":
        image = Image.fromarray(np.uint16(65535) * wanted[::-1].astype(np.uint16))
    else:
        image = grey.convert("RGB").convert("P") if kind == "P" else grey.convert(kind)
    image.save(tmp_path / "a.png")
    assert masks.read_mask(tmp_path / "a.png", 2).tolist() == wanted.tolist()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, ">i4"])
def test_arrays_are_as_they_are(tmp_path, dtype):
    wanted = np.array([[0, 1, 0], [1, 1, 0]])
    np.save(tmp_path / "a.npy", wanted.astype(dtype))
    found = masks.read_mask(tmp_path / "a.npy", 2)
    assert found.dtype == np.uint8
    assert found.tolist() == wanted.tolist()


# --- what does not --------------------------------------------------------------------------------


def test_missing_folder_and_foreign(tmp_path):
    assert "does not exist" in refusal(tmp_path / "a.png").message
    assert "does not exist" in refusal(tmp_path / f"{'a' * 5000}.png").message
    (tmp_path / "b.npy").mkdir()
    assert "is not a file" in refusal(tmp_path / "b.npy").message
    assert "neither PNG nor NPY" in refusal(tmp_path / "c.jpg").message


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(50)])
def test_a_png_that_is_none(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert "cannot be read as a PNG" in refusal(path).message


def test_damaged_pictures(tmp_path):
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (40, 40)).astype(np.uint8)
    Image.fromarray(noise).save(buffer, format="PNG")
    whole = buffer.getvalue()
    path = tmp_path / "a.png"
    for cut in range(1, len(whole) - 60, 29):  # the last bytes are checksums
        path.write_bytes(whole[:cut])
        assert "PNG" in refusal(path).message


def test_a_picture_that_claims_to_be_enormous_is_not_unpacked(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header
    chunk += struct.pack(">I", zlib.crc32(b"IHDR" + header))
    pixels = zlib.compress(bytes(1000))
    data = struct.pack(">I", len(pixels)) + b"IDAT" + pixels + bytes(4)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    assert "60000 × 60000 pixels" in refusal(path).message


@pytest.mark.slow
def test_a_size_that_stands_elsewhere_than_usual_is_read_as_well(tmp_path):
    """A piece before the header, whose bytes look like a small picture."""

    def piece(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    small = struct.pack(">II", 16, 16)
    header = piece(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
    pixels = piece(b"IDAT", zlib.compress(bytes(20_001 * 20_000), 9)) + piece(b"IEND", b"")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + piece(b"tEXt", small + b"k\0v") + header + pixels)
    assert "20000 × 20000 pixels" in refusal(path).message


def test_transparency_has_no_level(tmp_path):
    pixels = np.zeros((3, 3, 4), dtype=np.uint8)
    pixels[0, 0, 3] = 255
    assert "transparent" in refusal(png(tmp_path / "a.png", pixels)).message


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 3)), "float64, not whole numbers"),
        (np.zeros(9, dtype=int), "not a two-dimensional array"),
        (np.zeros((3, 3, 3), dtype=int), "not a two-dimensional array"),
        (np.zeros((0, 3), dtype=int), "not a two-dimensional array"),
        (np.full((3, 3), 2), "holds 2, but there are chemistries 0 to 1"),
        (np.full((3, 3), -1), "holds -1"),
        (np.array([["a"]]), "not whole numbers"),
        (np.array([[None]]), "cannot be read as an NPY"),
    ],
)
def test_arrays_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert message in refusal(tmp_path / "a.npy").message


def test_an_array_that_claims_more_than_there_is(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6)}
        )
    assert "cannot be read as an NPY" in refusal(path).message


def test_an_array_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(masks, "MAX_PIXELS", 8)
    np.save(tmp_path / "a.npy", np.zeros((3, 3), dtype=int))
    assert "3 × 3 pixels" in refusal(tmp_path / "a.npy").message


def test_archives_and_pickles(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.savez(file, mask=np.zeros((3, 3), dtype=int))
    assert "an archive" in refusal(path).message
    path.write_bytes(b"\x80\x04K\x01.")
    assert "cannot be read as an NPY" in refusal(path).message
