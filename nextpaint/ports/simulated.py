"""A disk that forgets what was not synced, the way disks do when the power goes.

Every file has two images. The *visible* one is what the running process reads. The *durable* one is what a crash
leaves: for each 512-byte sector that was written and not synced, independently, the new bytes, the old bytes, zeros or
garbage; the length anything between the durable and the visible one. A name that was created, renamed or removed
survives for certain only after `sync_directory`; before that each name is independently in its old or new state.

Faults, each at the Nth operation of a kind: EIO, a full disk (a prefix of the write is there), a sync that fails
**and marks the pages clean** (a later sync then succeeds without the bytes: the trap of fsync), and bits that flip at
rest. `on_operation` is called before every operation, so a test can clone the disk there and crash the clone: that
visits every crash point of a workload in one run.

Does not model: misdirected writes inside one file by the device, or reordering across a completed sync.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Iterable

from nextpaint.ports.disk import Bytes, Locked, Names, replace_durably, replacing_durably
from nextpaint.ports.random import Random

SECTOR_BYTES = 512  # what a disk writes whole or not at all; 4096 on newer ones, and 512 is the harder case

NEVER = -1


class SimulatedCrash(BaseException):
    """The power went. Not an `Exception`: no handler of the code under test may survive it."""


class _Inode:
    __slots__ = ("dirty", "durable", "resized", "visible")

    def __init__(self) -> None:
        self.visible = bytearray()
        self.durable = bytearray()
        self.dirty: set[int] = set()  # sectors written since the last sync, failed or not
        self.resized = False  # the length changed since the last successful sync

    def clone(self) -> _Inode:
        twin = _Inode()
        twin.visible = bytearray(self.visible)
        twin.durable = bytearray(self.durable)
        twin.dirty = set(self.dirty)
        twin.resized = self.resized
        return twin


class SimulatedFile:
    """A handle on a simulated file; dead once its process is."""

    def __init__(self, disk: SimulatedDisk, path: str, inode: _Inode) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._life = disk.life

    def append(self, data: Bytes) -> None:
        fault = self._begin("append")
        inode = self._inode
        start = len(inode.visible)
        room = self._disk.capacity_bytes - self._disk.used_bytes()
        if fault == errno.ENOSPC:
            room = min(room, self._disk.below(len(data) + 1))
        written = data if fault == 0 else data[: self._disk.below(len(data) + 1)]
        if len(data) > room:
            fault, written = errno.ENOSPC, data[: max(0, room)]
        inode.visible += written
        if written:
            inode.dirty.update(range(start // SECTOR_BYTES, (start + len(written) - 1) // SECTOR_BYTES + 1))
            inode.resized = True
        _fail(fault, self._path)

    def read(self, offset: int, size: int) -> bytes:
        _fail(self._begin("read"), self._path)
        return bytes(self._inode.visible[offset : offset + size])

    def size(self) -> int:
        self._alive()
        return len(self._inode.visible)

    def sync(self) -> None:
        fault = self._begin("sync")
        inode = self._inode
        if fault:
            # Some sectors got there, the others did not, and all are clean from now on.
            kept = {sector for sector in sorted(inode.dirty) if self._disk.below(2)}
            self._write_through(kept)
            inode.dirty.clear()
            _fail(fault, self._path)
        self._write_through(inode.dirty)
        if inode.resized:
            del inode.durable[len(inode.visible) :]
            inode.durable.extend(bytes(len(inode.visible) - len(inode.durable)))
            inode.resized = False
        inode.dirty.clear()

    def commit(self, data: Bytes) -> None:
        self.append(data)
        self.sync()

    def truncate(self, size: int) -> None:
        _fail(self._begin("truncate"), self._path)
        inode = self._inode
        if size != len(inode.visible):
            del inode.visible[size:]
            inode.visible.extend(bytes(size - len(inode.visible)))
            inode.resized = True

    def close(self) -> None:
        return

    def _write_through(self, sectors: set[int]) -> None:
        inode = self._inode
        for sector in sectors:
            start = sector * SECTOR_BYTES
            data = inode.visible[start : start + SECTOR_BYTES]
            if len(inode.durable) < start:
                inode.durable.extend(bytes(start - len(inode.durable)))
            inode.durable[start : start + len(data)] = data

    def _begin(self, operation: str) -> int:
        self._alive()
        return self._disk.operation(operation, self._path)

    def _alive(self) -> None:
        if self._life != self._disk.life:
            raise SimulatedCrash("this file belongs to a process that is gone")


class SimulatedLock:
    """A lock that a crash or restart releases."""

    def __init__(self, disk: SimulatedDisk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._life = disk.life

    def release(self) -> None:
        if self._life == self._disk.life:
            self._disk.locks.discard(self._path)


class SimulatedDisk:
    """An empty disk. `random` decides what a crash leaves; `capacity_bytes` counts visible bytes."""

    def __init__(self, random: Random, capacity_bytes: int = 1 << 40) -> None:
        self._random = random
        self.capacity_bytes = capacity_bytes
        self.life = 0  # rises with every crash and restart; handles of an earlier life are dead
        self.locks: set[str] = set()
        self.operations = 0
        self.trace: list[str] | None = None  # set to [] to record every operation
        self.on_operation: Callable[[str, str], None] | None = None
        self._visible: dict[str, _Inode | None] = {"": None}  # None: a directory
        self._durable: dict[str, _Inode | None] = {"": None}
        self._counts: dict[str, int] = {}
        self._faults: dict[str, tuple[int, int, bool]] = {}

    # --- the port -------------------------------------------------------------------------------------------

    def open(self, path: str, *, create: bool = False) -> SimulatedFile:
        _fail(self.operation("open", path), path)
        inode = self._visible.get(path)
        if inode is None:
            parent = path.rpartition("/")[0]
            if not create or path in self._visible or parent not in self._visible:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            inode = self._visible[path] = _Inode()
        return SimulatedFile(self, path, inode)

    def exists(self, path: str) -> bool:
        return path in self._visible

    def list(self, directory: str) -> Names:
        prefix = f"{directory}/" if directory else ""
        return sorted(
            path[len(prefix) :]
            for path in self._visible
            if path.startswith(prefix) and path != directory and "/" not in path[len(prefix) :]
        )

    def remove(self, path: str) -> None:
        _fail(self.operation("remove", path), path)
        if path not in self._visible:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        del self._visible[path]

    def make_directory(self, path: str) -> None:
        _fail(self.operation("make_directory", path), path)
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            self._visible.setdefault("/".join(parts[:depth]), None)

    def sync_directory(self, path: str) -> None:
        _fail(self.operation("sync_directory", path), path)
        for name in self._names(path):
            if name in self._visible:
                self._durable[name] = self._visible[name]
            else:
                self._durable.pop(name, None)

    def rename(self, source: str, target: str) -> None:
        """A step of `replace`; not part of `Disk`, so nobody else can call it."""
        _fail(self.operation("rename", target), target)
        self._visible[target] = self._visible.pop(source)

    def replace(self, path: str, data: bytes) -> None:
        replace_durably(self, path, data)

    def replacing(self, path: str, parts: Iterable[Bytes]) -> Generator[None]:
        return replacing_durably(self, path, parts)

    def read(self, path: str) -> bytes:
        file = self.open(path)
        return file.read(0, file.size())

    def free_bytes(self) -> int:
        return max(0, self.capacity_bytes - self.used_bytes())

    def lock(self, path: str) -> SimulatedLock:
        if path in self.locks:
            raise Locked(path, "simulated")
        self.locks.add(path)
        return SimulatedLock(self, path)

    # --- faults ---------------------------------------------------------------------------------------------

    def fail(self, operation: str, *, after: int = 0, error: int = errno.EIO, lasting: bool = False) -> None:
        """Let the operation named ("append", "sync", ... or "any") fail once `after` more of them have passed.

        `lasting`: and every one after it. A failed sync marks the pages clean, as Linux does.
        """
        self._faults[operation] = (self._counts.get(operation, 0) + after, error, lasting)

    def heal(self) -> None:
        """No more failures; what they broke stays broken."""
        self._faults.clear()

    def crash(self) -> None:
        """Cut the power: what was not synced is decided by chance, and every handle and lock is gone."""
        survivors: dict[str, _Inode | None] = {}
        for name in sorted({*self._visible, *self._durable}):
            new, old = self._visible.get(name, NEVER), self._durable.get(name, NEVER)
            survivor = new if new is not old and self.below(2) else old
            if not isinstance(survivor, int):
                survivors[name] = survivor
        for name in sorted(survivors):  # a file whose directory is gone is gone
            parent = name.rpartition("/")[0]
            if name and parent not in survivors:
                del survivors[name]
        seen: set[int] = set()
        for inode in survivors.values():
            if inode is not None and id(inode) not in seen:
                seen.add(id(inode))
                self._settle(inode)
        self._visible = survivors
        self._durable = dict(survivors)
        self.restart()

    def restart(self) -> None:
        """Kill the process, not the machine: handles and locks are gone, the page cache is not."""
        self.life += 1
        self.locks = set()

    def flip(self, path: str, bit: int) -> None:
        """Flip one bit of a file at rest, in both images."""
        inode = self._visible[path]
        if inode is None:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        for image in (inode.visible, inode.durable):
            if bit // 8 < len(image):
                image[bit // 8] ^= 1 << (bit % 8)

    def clone(self, random: Random) -> SimulatedDisk:
        """A copy of everything but handles, locks, faults and hooks, which decides by its own `random`."""
        twin = SimulatedDisk(random, self.capacity_bytes)
        inodes = {
            id(inode): inode.clone()
            for names in (self._visible, self._durable)
            for inode in names.values()
            if inode is not None
        }
        twin._visible = {name: inode and inodes[id(inode)] for name, inode in self._visible.items()}
        twin._durable = {name: inode and inodes[id(inode)] for name, inode in self._durable.items()}
        return twin

    # --- for this module and its files ----------------------------------------------------------------------

    def operation(self, name: str, path: str) -> int:
        """Count an operation about to happen; the errno it is to fail with, or 0."""
        if self.on_operation is not None:
            self.on_operation(name, path)
        self.operations += 1
        if self.trace is not None:
            self.trace.append(f"{name} {path}")
        fault = 0
        for kind in (name, "any"):
            count = self._counts.get(kind, 0)
            self._counts[kind] = count + 1
            at, error, lasting = self._faults.get(kind, (NEVER, 0, False))
            if at != NEVER and (count == at or (lasting and count > at)):
                fault = error
        return fault

    def below(self, limit: int) -> int:
        return self._random.uint64() % limit

    def used_bytes(self) -> int:
        return sum(len(inode.visible) for inode in self._visible.values() if inode is not None)

    def _names(self, directory: str) -> Names:
        names = {*self._visible, *self._durable}
        return [name for name in names if name and name.rpartition("/")[0] == directory]

    def _settle(self, inode: _Inode) -> None:
        """What a crash leaves of one file."""
        image, new = bytearray(inode.durable), inode.visible
        if inode.resized:
            low, high = sorted((len(image), len(new)))
            size = (low, high, low + self.below(high - low + 1))[self.below(3)]
            del image[size:]
            image.extend(bytes(size - len(image)))
        for sector in sorted(inode.dirty):
            start = sector * SECTOR_BYTES
            end = min(start + SECTOR_BYTES, len(image))
            if start >= end:
                continue
            fate = self.below(8)  # kept more often than not: mixtures of good and bad sectors are the hard case
            if fate < 4:
                data = bytes(new[start:end])
                image[start : start + len(data)] = data
            elif fate == 4:
                image[start:end] = bytes(end - start)
            elif fate == 5:
                image[start:end] = self._random.token(end - start)
        inode.visible, inode.durable = bytearray(image), image
        inode.dirty.clear()
        inode.resized = False


def _fail(error: int, path: str) -> None:
    if error:
        raise OSError(error, os.strerror(error), path)
