"""Checkpoints: the complete state of a run as bytes, from which it continues without a difference.

A checkpoint is a table of numbers, texts and arrays. As bytes it is, little-endian::

    8 bytes  the letters kmcstate
    8 bytes  length of the body
    4 bytes  CRC-32 of the body
    body     zlib: a line of JSON, then the arrays one after the other

The JSON line is an object; an array stands in it as ``{"dtype": …, "shape": …}``. Reading executes
nothing from the file.
"""

import json
import math
import struct
import zlib
from typing import Any

import numpy as np

from kmc.files import integrity as guard

_MAGIC = b"kmcstate"
_PART_BYTES = 2**26
_HEAD = struct.Struct("<8sQI")
_FASTEST = 1  # level of zlib: compression of a large box must not delay the event loop
_DTYPES = ("|u1", "|i1", "|b1", "<i4", "<i8", "<f4", "<f8")

Table = dict[str, Any]


def pack(table: Table) -> bytes:
    """Bytes of a table of numbers, texts, lists, objects and arrays."""
    plain, arrays = {}, []
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            arrays.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
            if arrays[-1].dtype.str not in _DTYPES:  # it could not be read again
                raise TypeError(f"{name} of a checkpoint is of {array.dtype}")
            plain[name] = {"dtype": arrays[-1].dtype.str, "shape": list(array.shape)}
        else:
            plain[name] = value
    line = json.dumps(plain, separators=(",", ":")).encode() + b"\n"
    # Array by array, so that a box of gigabytes is never in memory a second time.
    packer = zlib.compressobj(_FASTEST)
    body = b"".join(
        [packer.compress(line), *(packer.compress(array.data) for array in arrays), packer.flush()]
    )
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def unpack(data: bytes, most: int = 0) -> Table | None:
    """The table of these bytes; None where they hold no complete checkpoint.

    Bytes behind the checkpoint are ignored, as files of 0.2 have some. What it unpacks to has at
    most `most` bytes; 0 is for any, where kmc itself has packed it.
    """
    if len(data) < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    # Before anything is unpacked: a torn write gives no state, never a wrong one.
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        return None
    try:
        unpacker, content = zlib.decompressobj(), bytearray()
        # In parts: at once zlib takes twice the memory of the result.
        while part := unpacker.decompress(body, _PART_BYTES):
            content += part
            body = unpacker.unconsumed_tail
            if most and len(content) > most:
                return None
        return _tables(content) if unpacker.eof else None
    except (*guard.H5PY_ERRORS, zlib.error):
        return None


def _tables(data: bytearray) -> Table:
    end = data.index(b"\n") + 1
    table = json.loads(data[:end])
    for name, value in table.items():
        if not (isinstance(value, dict) and value.keys() == {"dtype", "shape"}):
            continue
        # numpy takes memory for the shape that is stated, not for the bytes that are there.
        if value["dtype"] not in _DTYPES or not 0 <= math.prod(value["shape"]) <= len(data):
            raise ValueError(value)
        array = np.frombuffer(data, value["dtype"], math.prod(value["shape"]), end)
        end += array.nbytes
        # A copy is aligned, as compiled functions want it.
        table[name] = array.reshape(value["shape"]).copy()
    return table
