"""How kernels are compiled, and how a compiled kernel knows that it is up to date."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.core.options import DefaultOptions
from numba.extending import intrinsic, overload

# Kernels pass tuples of arrays to one another. Left to itself numba counts a reference to every
# array at each of these hand-overs, which costs ten times what the physics does; kernels own no
# memory, so the counting can go. The option is not part of numba's documented interface: should a
# later version drop it, kernels stay right and become slow (`benchmarks` would tell).
_NO_COUNTING: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}

inner = njit(forceinline=True, error_model="numpy", **_NO_COUNTING)
"""Decorator of functions that are compiled into the loop that calls them."""

entry = njit(cache=True, nogil=True, error_model="numpy", **_NO_COUNTING)
"""Decorator of functions called from Python; compiled code is kept on disk."""


index = np.uint64
"""Wraps an index known not to be negative: numba then leaves out Python's counting from the end."""


@intrinsic
def _prefetch(typing_context, array, position):
    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i32, i32, i32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(function, [address, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


def prefetch(array, position):
    """Ask for the cache line of an element that will be needed soon; any position is harmless."""


@overload(prefetch)
def _prefetch_compiled(array, position):
    return lambda array, position: _prefetch(array, np.uint64(position))


def source_fingerprint() -> int:
    """Hash of the kernel sources.

    numba's cache watches only the file of the function it stores; as a captured constant this hash
    makes a cached kernel invalid as soon as any kernel module changes.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:6], "big")
