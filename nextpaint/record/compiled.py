"""Compiled kernels: a closed set, each with one explicit signature, compiled once and kept beside the environment.

    @kernel("int64(const uint8[::1], int64)")     a function that runs as machine code, without the interpreter's lock
    def first_newline(buffer, start): ...

    @inner                                  a part of kernels, compiled into each of them

Invariants: a kernel has exactly the types of its signature (anything else raises TypeError, nothing is compiled for
it); it makes no arrays, callers give it what it writes to; no fast-math, no fused multiply-add, no parallel reduction,
so results are the same bits everywhere.

Numba compiles (`record.compiling`), at set-up or when a kernel is first needed: one object file for each, kept per
content of the module and of everything of ours it imports, so old code never runs under new sources. Here it is loaded
by LLVM's linker alone: a process in which nothing is compiled never imports Numba, which would take it seconds and a
hundred megabytes.

Kernels live in `nextpaint.record` and `nextpaint.process.kernels` only; `process/kernels/warm.py` compiles them all.
Memory safety is the kernel's own business: indices are not checked.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numpy as np

from nextpaint.record.errors import NextpaintError

F = TypeVar("F", bound=Callable[..., Any])

_IMPORTS = re.compile(r"^(?:from|import) (nextpaint(?:\.\w+)*)", re.MULTILINE)
COMPILER = ("nextpaint.record.compiling", "nextpaint.record.instructions")  # what every kernel also depends on
_SUM_BYTES = 16  # before an object file: its checksum
_FASTCALL = 0x80  # METH_FASTCALL of CPython's methodobject.h
_lock = Lock()


class Kernel:
    """A function to be compiled on its first call, or by `compile`. Called like the function."""

    __slots__ = ("_digest", "_run", "function", "signature")

    def __init__(self, function: Callable[..., Any], signature: str) -> None:
        self.function = function
        self.signature = signature
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
            if self._run == self._first:
                self._run = _loaded(self._object_code(), self._entry(), self.function.__name__)

    def _first(self, *arguments: Any) -> Any:
        self.compile()
        return self._run(*arguments)

    def _entry(self) -> str:
        """The name of the entry: of these sources, this function and this signature only."""
        code = self.function.__code__
        which = f"{self._digest} {self.function.__qualname__} {code.co_firstlineno} {self.signature}"
        return f"{self.function.__name__.strip('<>')}_{blake2b(which.encode(), digest_size=8).hexdigest()}"

    def _object_code(self) -> bytes:
        """What was kept, if it is whole: LLVM ends the process over an object file that is not."""
        path = folder() / self._digest / f"{self._entry()}.o"
        with contextlib.suppress(FileNotFoundError):
            kept = path.read_bytes()
            if kept[:_SUM_BYTES] == _sum(kept[_SUM_BYTES:]):
                return kept[_SUM_BYTES:]
        from nextpaint.record import compiling

        code = compiling.object_code(self.function, self.signature, self._entry())
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(f".{os.getpid()}")  # others may compile the same
        written.write_bytes(_sum(code) + code)
        written.replace(path)
        return code


def _sum(code: bytes) -> bytes:
    return blake2b(code, digest_size=_SUM_BYTES).digest()


class Part:
    """What kernels call: made for Numba when the first of them is compiled. Python cannot call it."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._made: Any = None

    @property
    def _numba_type_(self) -> Any:
        """By which Numba finds out what an object is."""
        from nextpaint.record import compiling

        if self._made is None:
            self._made = self._make(compiling)
        return compiling.numba_type(self._made)


class _Method(ctypes.Structure):
    """PyMethodDef of CPython."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


# What entries refer to, at its address in CPython.
_KNOWN = {"ndarray": np.ndarray, "none": None, "type_error": TypeError, "runtime_error": RuntimeError}
for _name, _object in _KNOWN.items():
    llvm.add_symbol(f"nextpaint_{_name}", id(_object))


@cache
def _linker() -> Any:
    """LLVM's linker of object files into this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


_methods: list[_Method] = []  # functions point into these
_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def _loaded(code: bytes, entry: str, name: str) -> Callable[..., Any]:
    """The entry of an object file as a built-in function."""
    linker = _linker()
    linker.add_object_file(llvm.ObjectFileRef.from_data(code))
    linker.finalize_object()
    _methods.append(_Method(name.encode(), linker.get_function_address(entry), _FASTCALL, None))
    return cast(Callable[..., Any], _new_function(ctypes.addressof(_methods[-1]), None, None))


KERNELS: list[Kernel] = []


def kernel(signature: str) -> Callable[[F], F]:
    """Declare a kernel. `signature` as Numba writes it, such as `int64(const uint8[::1], boolean)`: arguments are
    arrays of NumPy (C-contiguous), int64, uint64, float64 and boolean; the result is one of those numbers or void. An
    array that is only read is `const`: then a read-only one, such as a view of bytes, may be given as well."""

    def declare(function: F) -> F:
        made = Kernel(function, signature)
        KERNELS.append(made)
        return cast(F, made)

    return declare


def inner(function: F) -> F:
    """A part of kernels: compiled with whichever types they call it with, never called from Python."""
    return cast(F, Part(lambda compiling: compiling.part(function, inlined=False)))


def inlined(function: F) -> F:
    """`inner`, put where it is called however long it is: for what runs for every field of every record."""
    return cast(F, Part(lambda compiling: compiling.part(function, inlined=True)))


def instruction(name: str) -> Any:
    """What `record.instructions` has under this name."""
    return Part(lambda compiling: compiling.instruction(name))


# Memory by address, for parts of kernels: an array handed to a part is a structure of seven words, a number is not.
# Kernels take arrays and pass on `array.ctypes.data`; they keep addresses inside what they were given.
byte_at: Callable[[int], int] = instruction("byte_at")  # the byte at an address, 0 to 255
long_at: Callable[[int], int] = instruction("long_at")  # the int64 at an address
word_at: Callable[[int], Any] = instruction("word_at")  # eight bytes as uint64, the first one lowest
put_byte: Callable[[int, int], None] = instruction("put_byte")  # writes the low byte of a number to an address
put_word: Callable[[int, Any], None] = instruction("put_word")  # writes eight bytes
# Let the cache line of an address be on its way; any address is allowed. A processor sees by itself that memory is read
# in order. Records and rows are not: where the next one begins stands in the one before, so each would be waited for.
prefetch: Callable[[int], None] = instruction("prefetch")


@cache
def folder() -> Path:
    """Where machine code is kept: NEXTPAINT_KERNELS if set, else beside the environment, else the user's cache, else a
    folder of the user's own among temporary files. Raises NextpaintError where others could write to that one."""
    if given := os.environ.get("NEXTPAINT_KERNELS"):
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
    place = Path(tempfile.gettempdir()) / f"nextpaint-kernels-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not stat.S_ISDIR(found.st_mode):
        raise NextpaintError(
            "machine code cannot be kept where others can write", where=str(place),
            cure="remove it, or name a folder of your own with NEXTPAINT_KERNELS",
        )  # fmt: skip
    return place


@cache
def _source(path: str) -> bytes:
    return Path(path).read_bytes()


@cache
def digest(module: str) -> str:
    """Of a module's source, of all of ours it imports, of what compiles it and the processor: 16 hex digits."""
    folder_of_ours = Path(__file__).parent
    seen = {name: _source(str(folder_of_ours / f"{name.rpartition('.')[2]}.py")) for name in COMPILER}
    open_ = [module]
    while open_:
        name = open_.pop()
        if name in seen:
            continue
        path = getattr(sys.modules.get(name), "__file__", None)
        seen[name] = _source(path) if path else b""
        open_ += _IMPORTS.findall(seen[name].decode())
    text = b"\0".join(name.encode() + b"\0" + seen[name] for name in sorted(seen))
    return blake2b(_machine().encode() + text, digest_size=8).hexdigest()


@cache
def _machine() -> str:
    packages = " ".join(version(each) for each in ("numba", "llvmlite", "numpy"))
    return f"{packages} {llvm.get_host_cpu_name()} {sys.version_info[:2]} {object.__basicsize__}"
