"""Compiled kernels: a closed set, each with one explicit signature, compiled once and kept beside the environment.

    @kernel("int64(const uint8[::1], int64)")     a function that runs as machine code, without the interpreter's lock
    def first_newline(buffer, start): ...

    @inner                                  a part of kernels, compiled into each of them

Invariants: a kernel has exactly the types of its signature (anything else raises TypeError, nothing is compiled for
it); it makes no arrays unless it says that it allocates; no fast-math, no fused multiply-add, no parallel reduction, so
results are the same bits everywhere. Numba keeps machine code per source file and does not see the files that one
imports from; here it is kept per content of the module and of everything of ours it imports, so old code never runs
under new sources.

Kernels live in `nextpaint.record` and `nextpaint.process.kernels` only; `process/kernels/warm.py` compiles them all.
Memory safety is the kernel's own business: indices are not checked.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from llvmlite.binding import get_host_cpu_name
from numba import njit, types
from numba.core import sigutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

_IMPORTS = re.compile(r"^(?:from|import) (nextpaint(?:\.\w+)*)", re.MULTILINE)
_lock = Lock()


class Kernel:
    """A function to be compiled on its first call, or by `compile`. Called like the function."""

    __slots__ = ("_digest", "_run", "allocates", "function", "signature")

    def __init__(self, function: Callable[..., Any], signature: str, allocates: bool = False) -> None:
        self.function = function
        self.signature = signature
        self.allocates = allocates
        # Now, as the module is imported: sources that change before it is compiled are not those of this function.
        self._digest = digest(function.__module__)
        self._run: Callable[..., Any] = self._first

    def __call__(self, *arguments: Any) -> Any:
        return self._run(*arguments)

    @property
    def name(self) -> str:
        return f"{self.function.__module__.removeprefix('nextpaint.')}.{self.function.__name__}"

    def compile(self) -> None:
        """Compile, or load what was compiled before; once."""
        if self._run != self._first:
            return
        with _lock:
            numba.config.CACHE_DIR = str(folder() / self._digest)
            options = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": self.allocates}
            self._run = njit(_typed(self.signature), **options)(self.function)

    def _first(self, *arguments: Any) -> Any:
        self.compile()
        return self._run(*arguments)


def _typed(signature: str) -> Any:
    """Numba's own reading of a signature, with `const` arrays made read-only ones."""
    arguments, result = sigutils.normalize_signature(signature.replace("const ", ""))
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    words = re.split(r",(?![^\[]*\])", inside)
    typed = [
        types.Array(each.dtype, each.ndim, each.layout, readonly=True) if "const " in word else each
        for each, word in zip(arguments, words, strict=bool(arguments))
    ]
    return result(*typed)


KERNELS: list[Kernel] = []


def kernel(signature: str, *, allocates: bool = False) -> Callable[[F], F]:
    """Declare a kernel. `signature` as Numba writes it, such as `int64(const uint8[::1], boolean)`. An array that is
    only read is `const`: then a read-only one, such as a view of bytes, may be given as well. One that makes arrays
    says that it `allocates`. The others are compiled without reference counts: two locked instructions for each array
    handed to a part were a fifth to a half of a kernel's time."""

    def declare(function: F) -> F:
        made = Kernel(function, signature, allocates)
        KERNELS.append(made)
        return cast(F, made)

    return declare


def inner(function: F) -> F:
    """A part of kernels: compiled with whichever types they call it with, never called from Python."""
    return cast(F, njit(nogil=True, error_model="numpy", _nrt=False)(function))


def inlined(function: F) -> F:
    """`inner`, put where it is called however long it is: for what runs for every field of every record."""
    return cast(F, njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)(function))


def making(function: F) -> F:
    """`inner`, of kernels that allocate: it makes arrays itself."""
    return cast(F, njit(nogil=True, error_model="numpy")(function))


# Memory by address, for parts of kernels: an array handed to a part costs reference counting, a number does not.
# Kernels take arrays and pass on `array.ctypes.data`; they keep addresses inside what they were given.


def _load(bits: int, kind: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()))
        value.align = 1
        return value if bits == 64 else builder.zext(value, ir.IntType(64))

    return kind(types.int64), generate


def _byte_at(typing: Any, address: Any) -> Any:
    return _load(8, types.int64)


def _long_at(typing: Any, address: Any) -> Any:
    return _load(64, types.int64)


def _word_at(typing: Any, address: Any) -> Any:
    return _load(64, types.uint64)


def _put_byte(typing: Any, address: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8)
        builder.store(builder.trunc(arguments[1], byte), builder.inttoptr(arguments[0], byte.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _put_word(typing: Any, address: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())).align = 1
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


byte_at: Callable[[int], int] = intrinsic(_byte_at)  # the byte at an address, 0 to 255
long_at: Callable[[int], int] = intrinsic(_long_at)  # the int64 at an address
word_at: Callable[[int], Any] = intrinsic(_word_at)  # eight bytes as uint64, the first one lowest
put_byte: Callable[[int, int], None] = intrinsic(_put_byte)  # writes the low byte of a number to an address
put_word: Callable[[int, Any], None] = intrinsic(_put_word)  # writes eight bytes


@cache
def folder() -> Path:
    """Where machine code is kept: NUMBA_CACHE_DIR if set, else beside the environment, else the user's cache."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given)
    places = [Path(sys.prefix) / "var" / "nextpaint-kernels"]
    places.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nextpaint" / "kernels")
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    return Path(tempfile.gettempdir()) / f"nextpaint-kernels-{os.getuid()}"


@cache
def _source(path: str) -> bytes:
    return Path(path).read_bytes()


@cache
def digest(module: str) -> str:
    """Of a module's source, of all of ours it imports, of Numba's version and the processor: 16 hex digits."""
    seen: dict[str, bytes] = {}
    open_ = [module]
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        path = getattr(sys.modules.get(name), "__file__", None)
        seen[name] = _source(path) if path else b""
        open_ += _IMPORTS.findall(seen[name].decode())
    text = b"\0".join(name.encode() + b"\0" + seen[name] for name in sorted(seen))
    machine = f"{numba.__version__} {get_host_cpu_name()} {sys.version_info[:2]}".encode()
    return blake2b(machine + text, digest_size=8).hexdigest()
