"""How kernels are compiled, and how a compiled kernel knows that it is up to date."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
from llvmlite import ir
from numba import typeof
from numba.core import caching, cgutils, event, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.options import DefaultOptions
from numba.extending import intrinsic, overload

# Kernels pass tuples of arrays to one another. Left to itself numba counts a reference to every
# array at each of these hand-overs, which costs ten times what the physics does; kernels own no
# memory, so the counting can go. The option is not part of numba's documented interface: should a
# later version drop it, kernels stay right and become slow (`benchmarks` would show it).
_NO_COUNTING: dict[str, Any] = {"_nrt": False} if hasattr(DefaultOptions, "_nrt") else {}

_numba: Any = numba  # its published types know neither all options nor the settings


class _PartLibrary(JITCodeLibrary):
    """LLVM code of a part, which its callers link and optimise: nothing else is made of it.

    Left to itself numba optimises each function together with all that it calls and makes machine
    code of it, so that what is called deep below the loop goes through this at every level: a
    third of the compilation, for code that never runs.
    """

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


class _PartCompiler(Compiler):
    def __init__(self, typing_context, target, library, *given):
        super().__init__(typing_context, target, _PartLibrary(target.codegen(), "part"), *given)
        # numba knows a compiled function by a built-in function of its own; nobody calls this one.
        self.state.targetctx = self.state.targetctx.subtarget(get_executable=lambda *_: [].copy)


# Not part of the documented interface either: without these methods compilation takes longer.
_LINKED_ONLY: dict[str, Any] = (
    {"pipeline_class": _PartCompiler} if hasattr(JITCodeLibrary, "_get_module_for_linking") else {}
)


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
            **_LINKED_ONLY,
            **options,
            **_NO_COUNTING,
        )(function)
        self._numba_type_ = typeof(self.dispatcher)

    def __call__(self, *arguments):
        return self.py_func(*arguments)


def _called_by(function: Callable, left_out: Container[Callable], found: set) -> set:
    """Dispatchers of the parts that a function calls by name, and of those that these call."""
    for name in function.__code__.co_names:
        part = function.__globals__.get(name)
        if isinstance(part, _Part) and part not in left_out and part.dispatcher not in found:
            found.add(part.dispatcher)
            _called_by(part.py_func, left_out, found)
    return found


@contextlib.contextmanager
def reported_compilation(
    function: Any,
    report: Callable[[int, int], None],
    left_out: Container[Callable] = (),
    under_way: Callable[[bool], None] = lambda compiling: None,
) -> Iterator[None]:
    """Report the compilation of an entry point that is called meanwhile.

    - `function` (compiled function)
    - `report`: called with the number of functions compiled, and of all that it calls. Not at all
      if compiled code is found on disk, or in memory.
    - `left_out` (container of functions): parts that the types of the arguments keep from being
      compiled.
    - `under_way`: called with True when compilation begins, and with False when it is over.
    """
    if _numba.config.DISABLE_JIT:
        yield
        return
    parts: set = set()

    class Listener(event.Listener):
        depth = 0  # functions compile what they call

        def on_start(self, _: Any) -> None:
            self.depth += 1
            under_way(True)

        def on_end(self, _: Any) -> None:
            self.depth -= 1
            under_way(self.depth > 0)
            if not parts:
                _called_by(function.py_func, left_out, parts)
            report(sum(bool(part.overloads) for part in parts), len(parts))

    with event.install_listener("numba:compile", Listener()):
        yield


@functools.cache
def _sources() -> str:
    """Hash of the kernel sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def inner(function: Callable) -> Callable:
    """Decorator of functions that are compiled into the loop that calls them."""
    return function if _numba.config.DISABLE_JIT else _Part(function, {"forceinline": True})


def rare(function: Callable) -> Callable:
    """Decorator of functions that few events need: compiled once, called from the loop.

    Pass whole numbers as ``np.int64(...)``: numba compiles a function anew for every literal.
    """
    return function if _numba.config.DISABLE_JIT else _Part(function, {})


class _CacheFiles(caching.CompileResultCacheImpl):
    """Files of compiled code, in the folder that numba's setting names and nowhere else."""


# Code kept beside the sources would outlive an uninstallation of the package, and the folder that
# it keeps alive would hide a checkout that is installed afterwards.
_CacheFiles._locator_classes = [
    locator
    for locator in caching.CompileResultCacheImpl._locator_classes
    if "UserProvided" in locator.__name__
]


class _Cache(caching.FunctionCache):
    _impl_class = _CacheFiles


@contextlib.contextmanager
def _cache_folder() -> Iterator[None]:
    """numba's setting names the folder of the cache: NUMBA_CACHE_DIR, or the user's cache."""
    own = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = own or platformdirs.user_cache_dir("kmc", appauthor=False)
    try:
        yield
    finally:
        _numba.config.CACHE_DIR = own


def _kept(function: Callable, **options: Any) -> Any:
    """Compile a function for calls from Python; its code is kept on disk where that is possible.

    It is found again as long as no file of the kernels changes: numba itself watches only the file
    of the function, and not those of the parts that are compiled into it.
    """
    compiled = _numba.njit(nogil=True, error_model="numpy", **options)(function)
    if _numba.config.DISABLE_JIT:
        return compiled
    try:
        with _cache_folder():
            compiled._cache = _Cache(compiled.py_func)
    except RuntimeError:  # the folder cannot be written
        return compiled
    save = compiled._cache.save_overload

    def save_if_possible(signature: Any, result: Any) -> None:
        with contextlib.suppress(OSError):
            save(signature, result)

    compiled._cache.save_overload = save_if_possible
    file = compiled._cache._cache_file
    file._source_stamp = _sources()
    # What an earlier version kept names its classes, which may be gone; and a file may be damaged.
    file._load_index = _or_else(file._load_index, dict)
    file.load = _or_else(file.load, lambda: None)
    return compiled


def _or_else(read: Callable, otherwise: Callable) -> Callable:
    def read_or_else(*given: Any) -> Any:
        try:
            return read(*given)
        except Exception:  # unpickling raises whatever it meets; the code is compiled again
            return otherwise()

    return read_or_else


def entry(function: Callable) -> Any:
    """Decorator of functions called from Python."""
    return _kept(function, no_cfunc_wrapper=True, **_NO_COUNTING)


def allocating(function: Callable) -> Any:
    """Decorator of functions called from Python that make arrays, and of what they call."""
    return _kept(function)


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


def _of_bits(plain: Callable, generated: Callable) -> Callable:
    """Function of a whole number: `plain` from Python, one machine instruction where compiled."""

    def instruction(typing_context, mask):
        def generate(context, builder, signature, arguments):
            return generated(builder, arguments[0])

        return types.int64(types.int64), generate

    compiled: Any = intrinsic(instruction)
    overload(plain)(lambda mask: lambda mask: compiled(np.int64(mask)))
    return plain


# Number of the lowest bit that is set, where one is.
lowest_bit = _of_bits(
    lambda mask: (int(mask) & -int(mask)).bit_length() - 1,
    lambda builder, mask: builder.cttz(mask, cgutils.true_bit),
)
# How many bits are set.
count_bits = _of_bits(lambda mask: int(mask).bit_count(), lambda builder, mask: builder.ctpop(mask))
