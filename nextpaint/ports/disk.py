"""Files, and what it takes for bytes to survive a power cut.

Paths are relative to the data directory and use "/". The promises, in the words of POSIX and of experience:
  - bytes are durable after `File.sync()` of the file they are in;
  - a name (create, rename, remove) is durable after `sync_directory()` of the directory it is in;
  - a sync that failed may never be retried on the same file: the kernel marks the pages clean, so the next sync
    succeeds while the bytes are gone (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020);
  - `replace()` is the one way to put a whole file in place and the only caller of rename in this package.

Every failure is an `OSError` with the operating system's errno. Does not buffer: `append` is the system call.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

Names = list[str]
Bytes = bytes | bytearray | memoryview

_WRITE_AND_SYNC: int = getattr(os, "RWF_DSYNC", 0)
_DIRECT: int = getattr(os, "O_DIRECT", 0)
DIRECT_ALIGN = 512  # of direct writes: length, place and memory; a device that wants more refuses them
TEMPORARY = ".tmp"  # suffix of a file that `replace` has not put in place yet; whoever finds one may remove it


def aligned(size: int) -> memoryview:
    """Memory that can be written to a file directly, past the page cache. What is written from it must not change
    meanwhile; a fork does no harm then."""
    space = np.empty(size + DIRECT_ALIGN, np.uint8)
    begin = -space.ctypes.data % DIRECT_ALIGN
    return space[begin : begin + size].data


class File(Protocol):
    """An open file. `read` may run on another thread than `append` and `sync`."""

    def append(self, data: Bytes) -> None:
        """Write `data` whole at the end. On ENOSPC or EIO a part of it may be there."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""

    def size(self) -> int: ...

    def sync(self) -> None:
        """Make content and size durable (fdatasync)."""

    def commit(self, data: Bytes) -> None:
        """`append` and `sync`: returns when `data` is durable. Any part of it may be, when it fails."""

    def truncate(self, size: int) -> None: ...

    def close(self) -> None: ...


class Lock(Protocol):
    """A held lock; it ends with the process at the latest."""

    def release(self) -> None: ...


class Disk(Protocol):
    """The data directory."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and appending. `create`: make it if it is missing. FileNotFoundError otherwise."""

    def exists(self, path: str) -> bool: ...

    def list(self, directory: str) -> Names:
        """Sorted names in `directory`; empty when there is no such directory."""

    def remove(self, path: str) -> None: ...

    def make_directory(self, path: str) -> None:
        """Make the directory and its parents; nothing happens if it exists."""

    def sync_directory(self, path: str) -> None:
        """Make the names in `path` durable; "" is the data directory itself."""

    def replace(self, path: str, data: bytes) -> None:
        """Put a file with exactly `data` at `path`, durably and atomically: old or new, never a mixture."""

    def replacing(self, path: str, parts: Iterable[Bytes]) -> Generator[None]:
        """`replace` in steps: each part is asked for and synced by itself, so that a large file does not hold up the
        syncs of others, and the step after the last part puts the file in place."""

    def read(self, path: str) -> bytes: ...

    def free_bytes(self) -> int: ...

    def lock(self, path: str) -> Lock:
        """Hold `path` locked until released or the process ends. Raises `Locked`, which names the holder."""


class Primitives(Protocol):
    """What `replace_durably` is composed of, so that real and simulated disks share the order of its steps."""

    def open(self, path: str, *, create: bool = False) -> File: ...

    def sync_directory(self, path: str) -> None: ...

    def rename(self, source: str, target: str) -> None: ...


def replace_durably(disk: Primitives, path: str, data: bytes) -> None:
    """Write beside, sync, rename, sync the directory: after any crash `path` is whole, old or new."""
    for _ in replacing_durably(disk, path, (data,)):
        pass


def replacing_durably(disk: Primitives, path: str, parts: Iterable[Bytes]) -> Generator[None]:
    """The same in steps, one for each part."""
    temporary = path + TEMPORARY
    file = disk.open(temporary, create=True)
    try:
        file.truncate(0)  # what an interrupted replace left behind
        for part in parts:
            file.append(part)
            file.sync()
            yield
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_directory(path.rpartition("/")[0])


class Locked(OSError):
    """Another process holds the lock. `holder` is its process id, "" when it could not be read."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(errno.EWOULDBLOCK, f"locked by process {holder or 'unknown'}", path)
        self.holder = holder


class SystemFile:
    """A POSIX descriptor opened with O_APPEND; reads are `pread` and move nothing."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._direct: int | None = None  # None: not tried yet

    @property
    def direct(self) -> int:
        """Another descriptor of this file, for appending past the page cache; -1 where the file system has no such
        way (or the system: macOS)."""
        if self._direct is None:
            self._direct = -1
            if _DIRECT and self.descriptor >= 0:
                with contextlib.suppress(OSError):
                    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | _DIRECT
                    self._direct = os.open(f"/proc/self/fd/{self.descriptor}", flags)  # whatever its name is by now
        return self._direct

    def append(self, data: Bytes) -> None:
        written = os.write(self.descriptor, data)
        if written == len(data):
            return
        view = memoryview(data)
        while written < len(data):  # a signal or a full disk: the next write says which
            count = os.write(self.descriptor, view[written:])
            if count == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += count

    def _written_and_synced(self, data: Bytes) -> int:
        """How many bytes are durable; 0 where the file system knows no such call (it says so before it writes)."""
        if not _WRITE_AND_SYNC:
            return 0
        try:
            return os.pwritev(self.descriptor, (data,), 0, _WRITE_AND_SYNC)  # O_APPEND: the offset has no say
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            return 0

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self.descriptor, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        got = len(data)
        while got < size and (more := os.pread(self.descriptor, size - got, offset + got)):
            parts.append(more)
            got += len(more)
        return b"".join(parts)

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def sync(self) -> None:
        os.fdatasync(self.descriptor)

    def commit(self, data: Bytes) -> None:
        """One system call where the system has it: after each, a thread waits for the interpreter."""
        written = self._written_and_synced(data)
        if written < len(data):
            self.append(data[written:])
            self.sync()

    def truncate(self, size: int) -> None:
        os.ftruncate(self.descriptor, size)

    def close(self) -> None:
        for descriptor in (self.descriptor, -1 if self._direct is None else self._direct):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor = self._direct = -1


class SystemLock:
    """A descriptor under flock(2)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # closing drops the lock; the file stays, an unlink would race
            self._descriptor = -1


class SystemDisk:
    """The files below `root`, which is made (durably) if it is missing."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self._make(self.root)

    def open(self, path: str, *, create: bool = False) -> SystemFile:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return SystemFile(os.open(self._path(path), flags, 0o600))

    def exists(self, path: str) -> bool:
        return self._path(path).exists()

    def list(self, directory: str) -> Names:
        try:
            return sorted(os.listdir(self._path(directory)))
        except FileNotFoundError:
            return []

    def remove(self, path: str) -> None:
        self._path(path).unlink()

    def make_directory(self, path: str) -> None:
        self._make(self._path(path))

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(self._path(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        """A step of `replace`; not part of `Disk`, so nobody else can call it."""
        self._path(source).replace(self._path(target))

    def replace(self, path: str, data: bytes) -> None:
        replace_durably(self, path, data)

    def replacing(self, path: str, parts: Iterable[Bytes]) -> Generator[None]:
        return replacing_durably(self, path, parts)

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def free_bytes(self) -> int:
        figures = os.statvfs(self.root)
        return figures.f_bavail * figures.f_frsize

    def lock(self, path: str) -> SystemLock:
        descriptor = os.open(self._path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise Locked(str(self._path(path)), holder) from None
        # The pid is a courtesy to the reader of the error; a full disk must not keep a node from opening.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return SystemLock(descriptor)

    def _path(self, path: str) -> Path:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a path below the data directory")
        return self.root / path

    def _make(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class ReadOnlyDisk(SystemDisk):
    """A directory that is only looked at, as of a stopped node or on a read-only file system: files are opened for
    reading, nothing is made, and whatever would change something fails with EROFS. It takes no lock."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def open(self, path: str, *, create: bool = False) -> SystemFile:
        if create:
            raise self._refused(path)
        return SystemFile(os.open(self._path(path), os.O_RDONLY | os.O_CLOEXEC))

    def remove(self, path: str) -> None:
        raise self._refused(path)

    def make_directory(self, path: str) -> None:
        raise self._refused(path)

    def rename(self, source: str, target: str) -> None:
        raise self._refused(target)

    def lock(self, path: str) -> SystemLock:
        raise self._refused(path)

    def _refused(self, path: str) -> OSError:
        return OSError(errno.EROFS, os.strerror(errno.EROFS), str(self.root / path))
