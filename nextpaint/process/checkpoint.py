"""Checkpoints: a runner's state at a position, in one file, written beside the running node.

File `checkpoints/<seq, 16 digits>.ckpt`: magic, then blocks of [u32 length][u32 CRC32C][MessagePack]. The first block
is the header (engine version, application hash, position, ledger clock), then pages `(cell name, rows)`, then what
lives beside the operators `(name, bytes)`, then an end block with the number of pages and the state hash at that
position. A file without a valid end block does not exist.

While it is being made a file is on disk beside its place, and only a piece of it is in memory. What a crash leaves of
one goes with the next start (`swept`): it may hold rows of somebody who is erased by then.

No pickle: only MessagePack of plain values. Cells of operators the running application does not have are refused: a
checkpoint is read by the application in force at its position.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import crc32c
import msgspec

from nextpaint.ports import Disk
from nextpaint.ports.disk import TEMPORARY
from nextpaint.process.halts import OPERATOR as HALTS
from nextpaint.process.runner import Runner
from nextpaint.process.state import Snapshot
from nextpaint.record.errors import ReplayError

MAGIC = b"NPCKPT09"
DIRECTORY = "checkpoints"
DAY_MS = 86_400_000
SLICE_ROWS = 1024  # about 2 ms of encoding and hashing between two steps
PIECE_BYTES = 1 << 20  # encoded before it is written: what a sync takes that a frame may wait for
_BLOCK = struct.Struct(">II")

log = logging.getLogger("nextpaint.process")


class Header(msgspec.Struct, frozen=True):
    """What a checkpoint is of."""

    engine: str
    application: str
    applied: int  # seq of the last applied record
    next_frame: int  # the first frame with a record after `applied`
    at_ms: int
    emitted: tuple[int, int, int]


class _End(msgspec.Struct, frozen=True):
    pages: int
    state_hash: str


_encode = msgspec.msgpack.Encoder().encode


def _block(body: bytes) -> bytes:
    return _BLOCK.pack(len(body), crc32c.crc32c(body)) + body


def path_of(applied: int) -> str:
    """Where the checkpoint of a position is."""
    return f"{DIRECTORY}/{applied:016d}.ckpt"


def carried(old: Runner, made: Runner) -> Runner:
    """`made` with what `old` knows of the operators that both have: where retention let records go, what is made anew
    from the rest knows less. Operators that were halted are made anew. Both must be at the same record."""
    runner = Runner(made.design)
    halted = tuple(f"{each.operator.id}/" for each in old.graph.stages if id(each) in old.halts.limits)
    kept = {
        name for name in runner.state.cells.keys() & old.state.cells.keys()
        if not name.startswith((HALTS, *halted))
    }  # fmt: skip
    for source, names in ((old, kept), (made, runner.state.cells.keys() - kept)):
        texts: dict[str, str] = {}
        snapshot = source.state.snapshot()
        while not snapshot.done:
            for name, rows in snapshot.slice(SLICE_ROWS):
                if name in names:
                    runner.state.cells[name].load_page(rows, texts)
    runner.restore(made.applied, made.at_ms)
    return runner


class CheckpointWriter:
    """Takes a snapshot now and encodes it in slices: `slice` between steps until it says True, `write` meanwhile
    whenever it is `full`, then `finish`. Those two touch no state, may run on other threads and raise OSError.

    `beside`: what lives beside the operators, each with a function that gives its bytes; it is called by `finish`.
    """

    def __init__(
        self, runner: Runner, header: Header, disk: Disk, beside: Mapping[str, Callable[[], bytes]] | None = None
    ) -> None:
        self.header = header
        self._snapshot: Snapshot = runner.state.snapshot()
        self._disk = disk
        self._beside = dict(beside or {})
        self._piece = bytearray(MAGIC + _block(_encode(header)))  # that is being encoded
        self._pieces: deque[bytearray] = deque()  # that wait to be written
        self._pages = 0
        self._ended = False  # nothing more is written: the file is in place, or given up
        self._failed: OSError | None = None
        self._steps: Generator[None] | None = None
        self._writing = Lock()

    def slice(self, rows_max: int = SLICE_ROWS) -> bool:
        """Encode some more of the state; True when all of it is."""
        for page in self._snapshot.slice(rows_max):
            self._piece += _block(_encode(page))
            self._pages += 1
        if len(self._piece) >= PIECE_BYTES:
            self._pieces.append(self._piece)
            self._piece = bytearray()
        return self._snapshot.done

    @property
    def full(self) -> bool:
        """Is there a piece to write?"""
        return bool(self._pieces)

    def write(self) -> None:
        """Write the pieces there are, beside the file's place; nothing where that is in place or given up."""
        with self._writing:
            if not self._ended:
                self._advance(len(self._pieces))

    def finish(self) -> None:
        """Write the rest, once `slice` said True, and put the file in place."""
        with self._writing:
            if self._failed is not None:
                raise self._failed
            for name, made in self._beside.items():
                self._piece += _block(_encode((name, made())))
            self._piece += _block(_encode(_End(self._pages, self._snapshot.state_hash)))
            self._pieces.append(self._piece)
            self._ended = True
            self._advance(None)

    def _advance(self, pieces: int | None) -> None:
        """Write so many pieces; None: to the end."""
        try:
            if self._steps is None:
                if not self._disk.exists(DIRECTORY):
                    self._disk.make_directory(DIRECTORY)
                    self._disk.sync_directory("")  # retention counts on what is in it
                self._steps = self._disk.replacing(self.path, self._taken())
            for _ in islice(self._steps, pieces):
                pass
        except OSError as error:
            self._failed = error
            self._dropped()
            raise

    def _dropped(self) -> None:
        self._ended = True
        self._pieces.clear()
        if self._steps is not None:
            self._steps.close()
            with suppress(OSError):  # not there any more, or not to be removed: the next start does
                self._disk.remove(self.path + TEMPORARY)

    def _taken(self) -> Iterator[bytearray]:
        """The pieces; the next one is asked for when it is there, or when the file ends."""
        while self._pieces:
            yield self._pieces.popleft()

    @property
    def path(self) -> str:
        return path_of(self.header.applied)

    @property
    def state_hash(self) -> str:
        return self._snapshot.state_hash

    def abandon(self) -> None:
        """Give the snapshot up, and what was written of it."""
        if not self._snapshot.done:
            self._snapshot.abandon()
        with self._writing:
            self._dropped()


def swept(disk: Disk) -> None:
    """Remove what crashes left of unfinished files."""
    for name in disk.list(DIRECTORY):
        if name.endswith(TEMPORARY):
            disk.remove(f"{DIRECTORY}/{name}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint file that was read and found whole."""

    header: Header
    state_hash: str
    pages: tuple[tuple[str, bytes], ...]
    beside: dict[str, bytes]

    def load(self, runner: Runner) -> None:
        """Put the state into a fresh runner of the same application; raises ReplayError when it does not fit."""
        texts: dict[str, str] = {}
        for name, rows in self.pages:
            cell = runner.state.cells.get(name)
            if cell is None:
                raise ReplayError(
                    f"the checkpoint holds state of {name}, which this application does not have",
                    where=path_of(self.header.applied),
                    cure="replay it with the application in force at its position",
                )
            cell.load_page(rows, texts)
        if runner.state.hash() != self.state_hash:
            raise ReplayError(
                "the checkpoint's state hash does not agree with its rows", where=path_of(self.header.applied)
            )
        runner.restore(self.header.applied, self.header.at_ms)


def positions(disk: Disk) -> list[int]:
    """The `applied` of every checkpoint file, ascending; whole or not."""
    if not disk.exists(DIRECTORY):
        return []
    names = (name for name in disk.list(DIRECTORY) if name.endswith(".ckpt"))
    return sorted(int(name.removesuffix(".ckpt")) for name in names)


def read(disk: Disk, applied: int) -> Checkpoint | None:
    """One checkpoint, or None when its file is damaged or unfinished: an older one or the ledger serves instead."""
    try:
        blocks = list(_blocks(disk.read(path_of(applied))))
        header = msgspec.msgpack.decode(blocks[0], type=Header)
        end = msgspec.msgpack.decode(blocks[-1], type=_End)
        pages = tuple(msgspec.msgpack.decode(block, type=tuple[str, bytes]) for block in blocks[1:-1])
        beside = dict(pages[end.pages :])
    except (ValueError, IndexError, msgspec.MsgspecError):
        return None
    if end.pages > len(pages):
        return None
    return Checkpoint(header, end.state_hash, pages[: end.pages], beside)


def _blocks(data: bytes) -> Iterator[bytes]:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("not a checkpoint")
    offset = len(MAGIC)
    while offset < len(data):
        if offset + _BLOCK.size > len(data):
            raise ValueError("cut short")
        size, crc = _BLOCK.unpack_from(data, offset)
        body = data[offset + _BLOCK.size : offset + _BLOCK.size + size]
        if len(body) != size or crc32c.crc32c(body) != crc:
            raise ValueError("damaged block")
        yield body
        offset += _BLOCK.size + size


def header(disk: Disk, applied: int) -> Header | None:
    """What one checkpoint is of, without reading all of it; None when its file is no checkpoint."""
    try:
        file = disk.open(path_of(applied))
    except FileNotFoundError:  # an older one, removed meanwhile
        return None
    try:
        start = file.read(0, len(MAGIC) + _BLOCK.size)
        if len(start) < len(MAGIC) + _BLOCK.size:
            return None
        size, _ = _BLOCK.unpack_from(start, len(MAGIC))
        block = next(_blocks(file.read(0, len(start) + size)), b"")
        return msgspec.msgpack.decode(block, type=Header)
    except (ValueError, msgspec.MsgspecError):
        return None
    finally:
        file.close()


def keeping(times: Mapping[int, int], recent: int, days: int) -> set[int]:
    """Which checkpoints stay: the newest `recent`, the first of each of the last `days` days (UTC), and the newest
    first of a day that is before them, so that the whole span can be made again. `times`: position -> ledger time."""
    ordered = sorted(times)
    stay = set(ordered[-recent:])
    if days and ordered:
        firsts = list({times[each] // DAY_MS: each for each in reversed(ordered)}.values())[::-1]
        edge = times[ordered[-1]] - days * DAY_MS
        stay |= {each for each in firsts if times[each] > edge}
        stay |= set([each for each in firsts if times[each] <= edge][-1:])
    return stay


def newest(disk: Disk, up_to: int | None = None) -> Checkpoint | None:
    """The newest whole checkpoint at or before a position; damaged ones are passed over with a warning.

    Files are put in place whole, so that no crash damages one: the medium may be failing.
    """
    for applied in reversed(positions(disk)):
        if up_to is None or applied <= up_to:
            found = read(disk, applied)
            if found is not None:
                return found
            log.warning("%s is damaged: an older checkpoint or the ledger serves instead", path_of(applied))
    return None
