"""How kernels are compiled, and how a compiled kernel knows that it is up to date."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import cgutils, types
from numba.core.options import DefaultOptions
from numba.extending import intrinsic, overload

# Kernels pass tuples of arrays to one another. Left to itself numba counts a reference to every
# array at each of these hand-overs, which costs ten times what the physics does; kernels own no
# memory, so the counting can go. The option is not part of numba's documented interface: should a
# later version drop it, kernels stay right and become slow (`benchmarks` would tell).
_NO_COUNTING: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}

_numba: Any = numba  # its published types know neither all options nor the settings


class _Part:
    """Function that compiled functions call; called from Python, it runs as Python.

    What Python can call has a wrapper that unpacks every array of every tuple passed. Without it a
    kernel compiles in two thirds of the time, and a call from Python would end the process.
    """

    def __init__(self, function: Callable, options: dict[str, Any]) -> None:
        self.py_func = function
        self.dispatcher = _numba.njit(
            error_model="numpy",
            no_cpython_wrapper=True,
            no_cfunc_wrapper=True,
            **options,
            **_NO_COUNTING,
        )(function)
        self._numba_type_ = typeof(self.dispatcher)

    def __call__(self, *arguments):
        return self.py_func(*arguments)


def inner(function: Callable) -> Callable:
    """Decorator of functions that are compiled into the loop that calls them."""
    return function if _numba.config.DISABLE_JIT else _Part(function, {"forceinline": True})


def rare(function: Callable) -> Callable:
    """Decorator of functions that few events need: compiled once, called from the loop.

    Pass whole numbers as ``np.int64(...)``: numba compiles a function anew for every literal.
    """
    return function if _numba.config.DISABLE_JIT else _Part(function, {})


entry = _numba.njit(
    cache=True, nogil=True, error_model="numpy", no_cfunc_wrapper=True, **_NO_COUNTING
)
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
