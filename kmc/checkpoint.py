"""The state of a run as bytes, from which it goes on as if it had never stopped.

A checkpoint is a table of numbers, texts and arrays. As bytes it is, little-endian::

    8 bytes  the letters kmcstate
    8 bytes  length of the body
    4 bytes  CRC-32 of the body
    body     zlib: a line of JSON, then the arrays one after the other

The JSON line is an object; an array stands in it as ``{"dtype": …, "shape": …}``. Nothing of it is
ever executed.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import numpy as np

_MAGIC = b"kmcstate"
_HEAD = struct.Struct("<8sQI")
_FASTEST = 1  # zlib's level: a large box must not hold the loop up
_DTYPES = ("|u1", "<i4", "<i8", "<f8")
_MOST_BYTES = 2**40

Table = dict[str, Any]


def pack(table: Table) -> bytes:
    """Bytes of a table of numbers, texts, lists, objects and arrays."""
    plain, arrays = {}, []
    for name, value in table.items():
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            arrays.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
            plain[name] = {"dtype": arrays[-1].dtype.str, "shape": list(array.shape)}
        else:
            plain[name] = value
    line = json.dumps(plain, separators=(",", ":")).encode() + b"\n"
    packer = zlib.compressobj(_FASTEST)
    body = b"".join([packer.compress(line), *map(packer.compress, arrays), packer.flush()])
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def unpack(data: bytes) -> Table | None:
    """The table of these bytes; None where they hold no whole checkpoint.

    What follows the checkpoint is ignored: a place in a file may be larger than what is in it.
    """
    if len(data) < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != checksum:
        return None
    try:
        return _tables(zlib.decompress(body))
    except (ValueError, KeyError, TypeError, zlib.error, MemoryError):
        return None


def _tables(data: bytes) -> Table:
    end = data.index(b"\n") + 1
    table = json.loads(data[:end])
    for name, value in table.items():
        if not (isinstance(value, dict) and value.keys() == {"dtype", "shape"}):
            continue
        if value["dtype"] not in _DTYPES or math.prod(value["shape"]) > _MOST_BYTES:
            raise ValueError(value)
        array = np.frombuffer(data, value["dtype"], math.prod(value["shape"]), end)
        end += array.nbytes
        table[name] = array.reshape(value["shape"])
    return table
