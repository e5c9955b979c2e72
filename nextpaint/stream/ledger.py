"""The ledger: one durable, totally ordered log. Topics and partitions are views of it.

Promises, each held by a test:
  - `write` returns after the frame is synced; nothing is in `frames()`, `offsets()` or `read_topic()` before that;
  - what `write` returned is there after any crash, once, in order; what it did not return is there whole or not at all;
  - after a failed write or sync the ledger is read-only until it is opened again: the descriptor is never tried twice;
  - bytes that fail a checksum are served to nobody: a torn tail is superseded and reported, damage is CorruptLedger.

One thread writes (the caller of `write`, or of its steps); any thread may read meanwhile. A ledger holds the
lock of its directory from `open` to `close`. Does not batch (`stream/writer.py`), deduplicate or interpret records.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections import ChainMap, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock as Mutex
from typing import Literal, Self

from nextpaint.ports import File, Lock, Locked, Ports
from nextpaint.ports.disk import TEMPORARY
from nextpaint.record.codec import EncodedBatch, Record
from nextpaint.record.errors import LedgerLocked, LedgerReadOnly, LetGo, NotFound
from nextpaint.stream.frame import (
    BadFrame,
    Draft,
    Emitted,
    Entry,
    Frame,
    FrameDraft,
    FrameFlag,
    Position,
    encode_frame,
    encode_rewritten,
    parse_frame,
    parse_header,
)
from nextpaint.stream.lost import Lost, lost
from nextpaint.stream.recovery import Found, RecoveryReport, damage, report, scan, scan_sealed
from nextpaint.stream.segment import (
    DIRECTORY,
    Marker,
    Partition,
    Segment,
    SegmentHeader,
    TopicSpan,
    segment_path,
)

LOCK = "node.lock"
NONCE_BYTES = 8
PIECE_BYTES = 1 << 20  # of a rewrite: encoded between two rests, and synced at a time


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """segment_bytes: a segment is sealed once it is this long. 64 MiB is about half a minute of a saturated node: few
        files (16,000 per TB), yet retention frees space in steps nobody notices and a scan of one takes well below 1 s.
    segment_ms: or once it holds this long a time: retention takes away what is in a sealed segment, and a record
        should not stay for months because its node is a quiet one.
    verify: "all" checks every frame at open, so damage stops the node at once; "tail" checks headers, the chain of
        segments and the last segment, and the rest when it is read: for ledgers of many GB with a recent checkpoint.
    align_bytes: frames begin at multiples of this, so that an append never rewrites a sector that holds an
        acknowledged frame: a sector torn by a power cut then harms only what nobody was promised. 512 is the sector
        of most drives and costs 256 bytes a frame on average; 4096 is for drives with 4 KiB sectors that may tear.
    """

    segment_bytes: int = 64 << 20
    segment_ms: int = 86_400_000
    verify: Literal["all", "tail"] = "all"
    align_bytes: int = 512


class _Replaced(Exception):
    """Retention replaced the file of a segment before it was opened: look again."""


class Ledger:
    """Made by `Ledger.open`. `read_only`: why nothing can be written, or None."""

    def __init__(self, ports: Ports, settings: LedgerSettings, lock: Lock) -> None:
        self._ports = ports
        self._settings = settings
        self._lock = lock
        self._segments: list[Segment] = []
        self._file: File | None = None
        self._scanning = Mutex()
        self._one_rewrite = Mutex()
        self._listing = Mutex()  # held for the moment in which `_segments` is exchanged
        self._lost: tuple[list[Segment], list[Lost]] = ([], [])  # of this list of segments
        self._replacing = Mutex()  # held while a segment's file is, and until it is in the list
        self._prepared: deque[Frame] = deque()  # and not durable yet
        self._prepared_offsets: dict[Partition, int] = {}  # behind them
        self._prepared_bytes = 0  # since the last moment when nothing was prepared
        # Called for each frame: writes what must be durable before it, and gives the file to be synced, if any.
        self.before_frame: Callable[[], File | None] = lambda: None
        self._witnessed = True  # nothing was written yet
        self._full = False
        self.read_only: str | None = None
        self.recovery = RecoveryReport()

    @classmethod
    def open(cls, ports: Ports, settings: LedgerSettings | None = None) -> Self:
        """Lock the directory, recover, and be ready to append.

        Raises LedgerLocked, CorruptLedger (nothing was changed), or OSError when the disk cannot be read. When only
        writing is impossible (a full disk) the ledger opens read-only.
        """
        disk = ports.disk
        started_ns = ports.clock.monotonic_ns()
        settings = settings or LedgerSettings()
        try:
            lock = disk.lock(LOCK)
        except Locked as locked:
            raise LedgerLocked(
                f"another process has this data directory open{f' (pid {locked.holder})' if locked.holder else ''}",
                where=str(locked.filename),
                cure="stop it first, or open another data directory; a node holds its directory for life",
            ) from None
        ledger = cls(ports, settings, lock)
        try:
            found = scan(disk, everything=settings.verify == "all")
            ledger._segments = found.segments
            found_report = report(found, 0.0)
            try:
                ledger._begin(found)
            except OSError as error:
                if not found.segments:
                    raise
                ledger._refuse(error, "a new segment could not be started")
                found = scan(disk, everything=False)  # what failed may have replaced the last file all the same
                if found.last is not None:
                    found.segments[-1].note(found.last)
                ledger._segments = found.segments
        except BaseException:
            ledger._release()
            raise
        seconds = (ports.clock.monotonic_ns() - started_ns) / 1e9
        ledger.recovery = replace(found_report, seconds=seconds)
        return ledger

    # --- where it stands --------------------------------------------------------------------------------------

    @property
    def next_frame(self) -> int:
        return self._segments[-1].end.frame

    @property
    def next_seq(self) -> int:
        return self._segments[-1].end.seq

    @property
    def at(self) -> int:
        """The ledger's time: `at` of its last entry, 0 when it is empty."""
        return self._segments[-1].at

    @property
    def emitted(self) -> Emitted:
        """As of the last durable frame: where a re-run after a crash starts to emit again."""
        return self._segments[-1].emitted

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Oldest first; the last one is being written. For retention and reports."""
        return tuple(self._segments)

    def spans(self, segment: Segment) -> dict[Partition, TopicSpan]:
        """What each topic-partition has in a segment."""
        self._ensure_scanned(segment)
        return segment.topics

    def lost(self) -> list[Lost]:
        """What retention took out of it, oldest first."""
        segments = self._segments
        if self._lost[0] is not segments:
            rewritten = any(each.rewritten for each in segments)
            for segment in segments[:-1] if rewritten else ():
                self._ensure_scanned(segment)
            self._lost = (segments, lost(segments) if rewritten else [])
        return self._lost[1]

    def offsets(self) -> dict[Partition, int]:
        """The next offset of every (topic, partition) that was ever written."""
        return dict(self._segments[-1].offsets)

    # --- writing ----------------------------------------------------------------------------------------------

    def write(self, draft: FrameDraft) -> Frame:
        """Append a frame and sync it; returns when it is durable.

        Raises LedgerReadOnly when it is not: then it is acknowledged to nobody, and nothing more is written until the
        ledger is opened again. ValueError for a draft that cannot be encoded; nothing has happened then.
        """
        try:
            if self.full:
                self.roll()
            before = self.before_frame()
            data, frame = self.prepare(draft)
            if before is not None:
                before.sync()
            self.file.commit(data)
        except (ValueError, LedgerReadOnly):
            raise
        except BaseException as error:  # an interrupt as well: a part of the frame may be in the file
            self.refuse(error)
            if isinstance(error, OSError):
                raise self._refusal() from error
            raise
        self.note(frame)
        return frame

    # What `write` does, in steps, for a caller that commits elsewhere and prepares frames behind one that is not
    # durable yet. Frames are committed to `file` in the order they were prepared, each synced before the next is begun,
    # and so is what `before_frame` gave when the frame was prepared.

    def prepare(self, draft: FrameDraft) -> tuple[memoryview, Frame]:
        """The bytes of the next frame, to be committed, and the frame, to be given to `note` once they are durable.

        Raises ValueError for a draft that cannot be encoded; nothing has happened then.
        """
        if self.read_only is not None or self._file is None:
            raise self._refusal()
        now = self._ports.clock.now_ms()
        for entry in draft.entries:
            if entry.at < 0:
                entry.at = now
        segment = self._segments[-1]
        place = segment.place(self._settings.align_bytes)
        offsets: Mapping[Partition, int] = segment.offsets
        if self._prepared:
            last = self._prepared[-1]
            place = place._replace(
                number=last.number + 1, seq=last.next_seq, prev=last.chain, at=last.at, emitted=last.emitted
            )
            offsets = ChainMap(self._prepared_offsets, segment.offsets)
        data, frame = encode_frame(draft, place, offsets)
        self._prepared.append(frame)
        self._prepared_bytes += len(data)
        for made in frame.entries:
            self._prepared_offsets[(made.topic, made.partition)] = made.base_offset + made.count
        return data, frame

    @property
    def file(self) -> File:
        """Where prepared frames go."""
        if self._file is None:
            raise self._refusal()
        return self._file

    def note(self, frame: Frame) -> None:
        """The oldest prepared frame is durable: readers find it from now on."""
        self._prepared.popleft()
        if not self._prepared:
            self._prepared_offsets.clear()
            self._prepared_bytes = 0
        self._segments[-1].note(frame)
        self._witnessed = bool(frame.flags)

    @property
    def full(self) -> bool:
        """Whether the next frame belongs into another segment: to `roll` once every prepared frame is durable."""
        segment, settings = self._segments[-1], self._settings
        if not segment.frames and not self._prepared:
            return False
        size = segment.end_offset + self._prepared_bytes
        began = segment.began if segment.frames else self._prepared[0].at
        at = self._prepared[-1].at if self._prepared else segment.at
        return size >= settings.segment_bytes or at - began >= settings.segment_ms

    def refuse(self, error: BaseException) -> BaseException:
        """Nothing more is written: a frame could not be made durable. Gives what to raise."""
        if isinstance(error, LedgerReadOnly):
            return error
        self._refuse(error, "a frame could not be made durable")
        return self._refusal() if isinstance(error, OSError) else error

    @property
    def witnessed(self) -> bool:
        """Whether evidence that the last frame was synced is on disk, so that its loss could be told from a crash."""
        return self._witnessed

    def witness(self) -> None:
        """Write that evidence: an empty frame. To be called when writing has paused for about a second."""
        if not self.witnessed:
            self.write(FrameDraft(flags=FrameFlag.WITNESS))

    def close(self) -> None:
        """Write the end frame, so that the next open knows nothing may be missing, and release the directory."""
        try:
            if self._file is not None and self.read_only is None:
                self.write(FrameDraft(flags=FrameFlag.END))
        finally:
            self.read_only = self.read_only or "it is closed"
            self._release()

    # --- reading ----------------------------------------------------------------------------------------------

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The durable frames from number `start`, in order, each checked; ends at what is durable when it gets there.

        Streams from disk in constant memory, also while frames are written. Frames that retention removed are
        skipped. Raises CorruptLedger at the first damaged byte.
        """
        number = start
        while (segment := self._segment_of(number)) is not None:
            try:
                for frame in self._walk(segment, segment.seek_frame(number)):
                    if frame.number >= number:
                        number = frame.number + 1
                        if not frame.flags:
                            yield frame
            except _Replaced:
                continue
            if segment.thinned:
                number = segment.end.frame  # its last frames may be among those that are gone

    def read_topic(self, topic: str, partition: int, offset: int, records_max: int) -> list[tuple[int, Record]]:
        """Up to `records_max` (offset, record) pairs of one partition from `offset` on; empty at its end."""
        while True:
            try:
                return self._read_topic((topic, partition), offset, records_max)
            except _Replaced:
                pass

    def _read_topic(self, key: Partition, offset: int, records_max: int) -> list[tuple[int, Record]]:
        found: list[tuple[int, Record]] = []
        for segment in self._segments:
            if len(found) >= records_max or segment.hollow or segment.offsets.get(key, 0) <= offset:
                continue
            self._ensure_scanned(segment)
            at = segment.seek_offset(key, offset)
            if at is None:
                continue
            for frame in self._walk(segment, at):
                for entry in frame.entries:
                    if (entry.topic, entry.partition) == key and entry.base_offset + entry.count > offset:
                        found += _from_offset(entry, offset, records_max - len(found))
                if len(found) >= records_max:
                    break
        return found

    def frame(self, number: int) -> Frame:
        """One durable frame. NotFound when it is not durable yet, LetGo when retention removed it."""
        for frame in self.frames(number):
            if frame.number == number:
                return frame
            break
        if 0 <= number < self.next_frame:
            raise self._gone(bisect_right(self._segments, number, key=lambda each: each.header.first_frame) - 1)
        raise NotFound(f"frame {number} is not in the ledger", cure=f"it holds frames up to {self.next_frame - 1}")

    def seq_of(self, position: Position) -> int:
        """The ledger-wide ordinal of a record, also of one that is gone while a neighbour in its frame is not. NotFound
        when there is no such record."""
        frame = self.frame(position.frame)
        if 0 <= position.entry < len(frame.entries):
            entry = frame.entries[position.entry]
            if 0 <= position.record < entry.count:
                return entry.base_seq + position.record
        raise NotFound(f"there is no record {position}", where=repr(frame))

    def position_of(self, seq: int) -> Position:
        """Where the record with this ordinal is. NotFound when it is not durable yet, LetGo when retention removed it,
        unless a neighbour in its frame stayed."""
        while True:
            try:
                return self._position_of(seq)
            except _Replaced:
                pass

    def _position_of(self, seq: int) -> Position:
        segments = self._segments
        index = bisect_right(segments, seq, key=lambda segment: segment.header.first_seq) - 1
        if index >= 0 and 0 <= seq < segments[index].end.seq:
            segment = segments[index]
            self._ensure_scanned(segment)
            for frame in () if segment.hollow else self._walk(segment, segment.seek_seq(seq)):
                if frame.base_seq <= seq < frame.next_seq:
                    number = bisect_right(frame.entries, seq, key=lambda entry: entry.base_seq) - 1
                    return Position(frame.number, number, seq - frame.entries[number].base_seq)
                if frame.base_seq > seq:
                    break
            raise self._gone(index)
        raise NotFound(f"seq {seq} is not in the ledger", cure=f"it holds records up to seq {self.next_seq - 1}")

    def frame_before(self, seq: int) -> int:
        """The frame that holds a record; of one that is gone, where it was or the first of its segment. NotFound for
        one that is not durable."""
        try:
            return self.position_of(seq).frame
        except LetGo:
            segments = self._segments
            return segments[bisect_right(segments, seq, key=lambda each: each.header.first_seq) - 1].header.first_frame

    def when(self, seq: int) -> tuple[int, int]:
        """Between which times of the ledger a record was admitted, by the segment it is or was in: for records that
        are gone. NotFound for one that is not durable."""
        segments = self._segments
        index = bisect_right(segments, seq, key=lambda segment: segment.header.first_seq) - 1
        if not 0 <= seq < segments[index].end.seq:
            raise NotFound(f"seq {seq} is not in the ledger", cure=f"it holds records up to seq {self.next_seq - 1}")
        return segments[index].header.at, segments[index].at

    def _gone(self, index: int) -> LetGo:
        """What is missing from a segment, which retention rewrote."""
        segment = self._segments[index]
        marker = segment.header.marker
        when = "" if marker is None else f", by its time {marker.at}"
        return LetGo(
            f"retention let this record go{when}", where=segment.path, cure="see [retention] in nextpaint.toml"
        )

    def _segment_of(self, number: int) -> Segment | None:
        """The first segment with frames that holds `number` or a later one."""
        segments = self._segments
        index = max(0, bisect_right(segments, number, key=lambda segment: segment.header.first_frame) - 1)
        for segment in segments[index:]:
            # The last segment may hold nothing yet: then it ends where it begins, and has no frame to give.
            if not segment.hollow and segment.end.frame > max(number, segment.header.first_frame):
                self._ensure_scanned(segment)
                return segment
        return None

    def _walk(self, segment: Segment, offset: int) -> Iterator[Frame]:
        """Frames from a file offset to the durable end of a segment. Its file stays readable if it is replaced."""
        limit = segment.end_offset
        file = self._ports.disk.open(segment.path)
        good = offset
        try:
            for at, frame in segment.walk(file, offset, limit):
                good = at + frame.bytes
                yield frame
        except BadFrame as bad:
            with self._replacing:
                if segment in self._segments:
                    raise damage(segment, good, str(bad)) from None
            raise _Replaced from None
        finally:
            file.close()

    def _ensure_scanned(self, segment: Segment) -> None:
        """Check and index a sealed segment on first use (`verify="tail"`)."""
        with self._scanning:
            if not segment.scanned:
                following = self._segments[self._segments.index(segment) + 1]
                scan_sealed(self._ports.disk, segment, following.header)

    # --- segments ---------------------------------------------------------------------------------------------

    def rewrite(self, segment: Segment, gone: Collection[Partition]) -> Iterator[int]:
        """Take topic-partitions out of a sealed segment; of a segment in which nothing else is, only the header stays.

        Yields after each piece of work, last the bytes given back to the disk. Runs beside the writer and readers:
        those that have the old file open go on reading it. The file is old or new at every moment, also when an
        OSError is raised. Positions, offsets, `seq` and the chain remain provable; see stream/retention.py.
        LedgerReadOnly when this process could not begin a segment: what seals the last one may not be durable then.
        """
        if self._file is None:
            raise self._refusal()
        if segment is self._segments[-1] or segment.hollow:
            raise ValueError(f"{segment.path} is not a sealed segment with frames")
        if segment not in self._segments or not self._one_rewrite.acquire(blocking=False):
            raise ValueError(f"{segment.path} is being rewritten, or was")
        try:
            yield from self._rewritten(segment, gone)
        except OSError:
            with suppress(OSError):  # on a full disk what was begun takes the room of what is left to do
                self._ports.disk.remove(segment.path + TEMPORARY)
            raise
        finally:
            self._one_rewrite.release()

    def _rewritten(self, segment: Segment, gone: Collection[Partition]) -> Iterator[int]:
        self._ensure_scanned(segment)
        twin = self._twin(segment)
        parts: list[bytes] = []
        begin, read = twin.end_offset, segment.start
        file = self._ports.disk.open(segment.path)
        try:
            size = file.size()
            if not segment.topics.keys() <= set(gone):
                for offset, frame in segment.walk(file, segment.start, segment.end_offset):
                    part = encode_rewritten(frame, gone, twin.seed)
                    if part:
                        header, _ = parse_header(part, 0, twin.seed)
                        twin.note(parse_frame(header, memoryview(part)[len(part) - header.length :]))
                        parts.append(part)
                    if offset - read >= PIECE_BYTES:
                        read = offset
                        parts[:] = _joined(parts)
                        yield 0
        except BadFrame as bad:
            raise damage(segment, segment.end_offset, str(bad)) from None
        finally:
            file.close()
        records = sum(span.records for span in twin.topics.values())
        marker = Marker(twin.frames, records, twin.end_offset - begin, self.at, self.next_seq)
        twin.header = replace(twin.header, marker=marker)
        twin.end, twin.offsets, twin.at, twin.emitted = segment.end, segment.offsets, segment.at, segment.emitted
        twin.scanned = True
        parts = [twin.header.encode(self._settings.align_bytes), *_joined(parts)]
        steps = self._ports.disk.replacing(segment.path, parts)
        for _ in parts:
            next(steps)
            yield 0
        self._put_in_place(segment, twin, steps)
        yield size - twin.end_offset

    def _twin(self, segment: Segment) -> Segment:
        """A segment to put in the place of another, without frames yet, and with a nonce of its own: no reader of the
        old file can take a frame of the new one for one of its own."""
        nonce = self._ports.random.token(NONCE_BYTES)
        header = replace(segment.header, nonce=nonce, end=segment.end, marker=Marker(0, 0, 0, 0, 0))
        return Segment(segment.path, header, len(header.encode(self._settings.align_bytes)))

    def _put_in_place(self, segment: Segment, twin: Segment, steps: Iterator[None]) -> None:
        """The last step of a replacement, and the list of segments after it."""
        with self._replacing:
            try:
                next(steps, None)
            finally:
                if Segment.open(self._ports.disk, segment.path).header.nonce == twin.header.nonce:
                    with self._listing:
                        self._segments = [twin if each is segment else each for each in self._segments]

    def _begin(self, found: Found) -> None:
        """Start the segment this process writes to: stream/recovery.py says why it begins with a copy."""
        disk = self._ports.disk
        nonce = self._ports.random.token(NONCE_BYTES)
        previous = found.segments[-1] if found.segments else None
        if previous is None:
            disk.make_directory(DIRECTORY)
            disk.sync_directory("")
        for name in disk.list(DIRECTORY):
            if name.endswith(TEMPORARY):
                disk.remove(f"{DIRECTORY}/{name}")
        header = previous.following(nonce) if previous else SegmentHeader(nonce)
        content = header.encode(self._settings.align_bytes)
        segment = Segment(segment_path(header.first_frame), header, len(content))
        last, copy = found.last, None
        if last is not None and not last.flags:
            drafts = [
                Draft(entry.topic, entry.kind, [], entry.partition, entry.at, EncodedBatch(entry.batch, entry.count))
                for entry in last.entries
            ]
            place = segment.place(self._settings.align_bytes)
            data, copy = encode_frame(FrameDraft(drafts, last.emitted), place, segment.offsets)
            content += data
        disk.replace(segment.path, content)
        if copy is not None:
            segment.note(copy)
            self._witnessed = False
        segment.scanned = True
        kept = [each for each in found.segments if each.path != segment.path]
        self._file = disk.open(segment.path)
        self._segments = [*kept, segment]

    def roll(self) -> None:
        """Seal the segment and start the next. Every frame so far is synced, so the header may rely on them.

        Raises LedgerReadOnly: of a ledger that could not begin a segment, the last one may not be durable.
        """
        if self.read_only is not None or self._file is None:
            raise self._refusal()
        header = self._segments[-1].following(self._ports.random.token(NONCE_BYTES))
        content = header.encode(self._settings.align_bytes)
        segment = Segment(segment_path(header.first_frame), header, len(content))
        segment.scanned = True
        self._ports.disk.replace(segment.path, content)
        file = self._ports.disk.open(segment.path)
        self._file.close()
        self._file = file
        with self._listing:
            self._segments = [*self._segments, segment]

    # --- the end ----------------------------------------------------------------------------------------------

    def _refuse(self, error: BaseException, what: str) -> None:
        self.read_only = f"{what}: {getattr(error, 'strerror', None) or repr(error)}"
        self._full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)

    def _refusal(self) -> LedgerReadOnly:
        cure = "free space on the data directory's disk, then restart the node" if self._full else DISK_CURE
        return LedgerReadOnly(
            f"the ledger is read-only: {self.read_only}; reads go on, nothing is acknowledged",
            where=f"frame {self.next_frame}" if self._segments else DIRECTORY,
            cure=cure,
        )

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()


DISK_CURE = (
    "look at the disk and the kernel's log, then restart the node: it recovers what is durable into a new file; "
    "a failed sync is never tried again on the same one"
)


def _from_offset(entry: Entry, offset: int, limit: int) -> list[tuple[int, Record]]:
    first = max(0, offset - entry.base_offset)
    return [
        (entry.base_offset + index, record)
        for index, record in enumerate(entry.records[first : first + limit], start=first)
    ]


def _joined(parts: list[bytes]) -> list[bytes]:
    """The same bytes in pieces of about PIECE_BYTES; those that are as long already stay as they are."""
    joined: list[bytes] = []
    short: list[bytes] = []
    for part in parts:
        short.append(part)
        if len(part) >= PIECE_BYTES or sum(map(len, short)) >= PIECE_BYTES:
            joined.append(b"".join(short))
            short = []
    return [*joined, b"".join(short)] if short else joined
