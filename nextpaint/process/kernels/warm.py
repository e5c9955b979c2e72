"""All kernels, compiled before they are needed: `scripts/setup` runs this, and a node does before it listens.

    python -m nextpaint.process.kernels.warm        compile what is not compiled yet, with a line of progress

After `warm()` nothing compiles any more: every kernel has its one signature, see `record.compiled`.
"""

from __future__ import annotations

import ctypes
import pkgutil
import re
import shutil
import sys
from collections.abc import Callable
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

import llvmlite.binding as llvm

import nextpaint.process.kernels
import nextpaint.record
from nextpaint.record.compiled import COMPILER, KERNELS, Kernel, digest, folder

PACKAGES = (nextpaint.record, nextpaint.process.kernels)

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ")  # of /proc/self/smaps
_DONTNEED = 4  # MADV_DONTNEED of Linux

Progress = Callable[[int, int, str], None]


def all_kernels() -> list[Kernel]:
    """Every kernel there is, by name."""
    names = [package.__name__ for package in PACKAGES]
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            name = f"{package.__name__}.{module.name}"
            if name != __name__ and name not in COMPILER:
                import_module(name)
    ours = [each for each in KERNELS if each.function.__module__.startswith("nextpaint.")]
    strays = [each.name for each in ours if each.function.__module__.rpartition(".")[0] not in names]
    if strays:
        raise RuntimeError(f"kernels live in {' and '.join(names)} only; move {', '.join(strays)}")
    return sorted(ours, key=lambda each: each.name)


def _marker(kernels: list[Kernel]) -> Path:
    """The file whose presence says that all of `kernels` have been compiled here as they are now."""
    parts = sorted({digest(each.function.__module__) for each in kernels})
    return folder() / f"warm-{blake2b(' '.join(parts).encode(), digest_size=8).hexdigest()}"


def is_cold() -> bool:
    """Whether compiling would take more than loading: seconds to a minute."""
    return not _marker(all_kernels()).exists()


_warmed: list[int] = []


def warm(progress: Progress | None = None) -> int:
    """Compile or load every kernel, once in a process; gives their number. `progress(done, all, name)` is called before
    each."""
    if _warmed:
        return _warmed[0]
    kernels = all_kernels()
    for done, each in enumerate(kernels):
        if progress is not None:
            progress(done, len(kernels), each.name)
        each.compile()
    marker = _marker(kernels)
    if not marker.exists():
        _forget({digest(each.function.__module__) for each in kernels})
        folder().mkdir(parents=True, exist_ok=True)
        marker.touch()
    let_go()
    _warmed.append(len(kernels))
    return len(kernels)


def let_go() -> int:
    """Give back the pages of LLVM's code, some forty megabytes that nothing runs once all kernels are there; says how
    many bytes. If something does, they are read from its file again. Only what is exactly as in the file goes: no
    mapping that may be written, none with a page that was."""
    library = str(Path(llvm.__file__).parent)
    try:
        lines = Path("/proc/self/smaps").read_text(errors="replace").splitlines()
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):  # another system
        return 0
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    begin = end = resident = given = 0
    for line in lines:
        name, _, value = line.partition(":")
        if found := _MAPPING.match(line):
            ours = found[3][1] == "-" and library in line
            begin, end = (int(found[1], 16), int(found[2], 16)) if ours else (0, 0)
        elif name == "Rss":
            resident = int(value.split()[0]) << 10
        elif name == "Anonymous" and end and not int(value.split()[0]) and not advise(begin, end - begin, _DONTNEED):
            given += resident
    return given


def _forget(kept: set[str]) -> None:
    """Remove machine code of older sources."""
    for path in folder().glob("*"):
        if path.is_dir() and len(path.name) == 16 and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith("warm-"):
            path.unlink(missing_ok=True)


def main() -> None:
    """What `scripts/setup` runs."""
    if not is_cold():
        return
    shown = sys.stderr.isatty()

    def progress(done: int, count: int, name: str) -> None:
        if shown:
            print(f"\rsetup: compiling kernels {done}/{count}  {name:<48.48}", end="", file=sys.stderr, flush=True)

    if not shown:
        print("setup: compiling kernels", file=sys.stderr, flush=True)
    count = warm(progress)
    if shown:
        print(f"\rsetup: compiled {count} kernels{' ' * 60}", file=sys.stderr)


if __name__ == "__main__":
    main()
