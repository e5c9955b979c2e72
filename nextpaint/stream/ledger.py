"""The ledger: one durable, totally ordered log. Topics and partitions are views of it.

Promises, each held by a test:
  - `write` returns after the frame is synced; nothing is in `frames()`, `offsets()` or `read_topic()` before that;
  - what `write` returned is there after any crash, once, in order; what it did not return is there whole or not at all;
  - after a failed write or sync the ledger is read-only until it is opened again: the descriptor is never tried twice;
  - bytes that fail a checksum are served to nobody: a torn tail is superseded and reported, damage is CorruptLedger.

One thread writes (the caller of `write`, one frame at a time); any thread may read meanwhile. A ledger holds the
lock of its directory from `open` to `close`. Does not batch (`stream/writer.py`), deduplicate or interpret records.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock as Mutex
from typing import Literal, Self

from nextpaint.ports import File, Lock, Locked, Ports
from nextpaint.ports.disk import TEMPORARY
from nextpaint.record.codec import EncodedBatch, Record
from nextpaint.record.errors import LedgerLocked, LedgerReadOnly, NotFound
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
)
from nextpaint.stream.recovery import Found, RecoveryReport, damage, report, scan, scan_sealed
from nextpaint.stream.segment import DIRECTORY, Partition, Segment, SegmentHeader, TopicSpan, segment_path

LOCK = "node.lock"
NONCE_BYTES = 8


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """segment_bytes: a segment is sealed once it is this long. 64 MiB is about half a minute of a saturated node: few
        files (16,000 per TB), yet retention frees space in steps nobody notices and a scan of one takes well below 1 s.
    verify: "all" checks every frame at open, so damage stops the node at once; "tail" checks headers, the chain of
        segments and the last segment, and the rest when it is read: for ledgers of many GB with a recent checkpoint.
    align_bytes: frames begin at multiples of this, so that an append never rewrites a sector that holds an
        acknowledged frame: a sector torn by a power cut then harms only what nobody was promised. 512 is the sector
        of most drives and costs 256 bytes a frame on average; 4096 is for drives with 4 KiB sectors that may tear.
    """

    segment_bytes: int = 64 << 20
    verify: Literal["all", "tail"] = "all"
    align_bytes: int = 512


class Ledger:
    """Made by `Ledger.open`. `read_only`: why nothing can be written, or None."""

    def __init__(self, ports: Ports, settings: LedgerSettings, lock: Lock) -> None:
        self._ports = ports
        self._settings = settings
        self._lock = lock
        self._segments: list[Segment] = []
        self._file: File | None = None
        self._scanning = Mutex()
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

    def offsets(self) -> dict[Partition, int]:
        """The next offset of every (topic, partition) that was ever written."""
        return dict(self._segments[-1].offsets)

    # --- writing ----------------------------------------------------------------------------------------------

    def write(self, draft: FrameDraft) -> Frame:
        """Append a frame and sync it; returns when it is durable.

        Raises LedgerReadOnly when it is not: then it is acknowledged to nobody, and nothing more is written until the
        ledger is opened again. ValueError for a draft that cannot be encoded; nothing has happened then.
        """
        if self.read_only is not None or self._file is None:
            raise self._refusal()
        now = self._ports.clock.now_ms()
        for entry in draft.entries:
            if entry.at < 0:
                entry.at = now
        try:
            segment = self._segments[-1]
            if segment.frames and segment.end_offset >= self._settings.segment_bytes:
                segment = self._roll()
            data, frame = encode_frame(draft, segment.place(self._settings.align_bytes), segment.offsets)
            self._file.commit(data)
        except ValueError:
            raise
        except BaseException as error:  # an interrupt as well: a part of the frame may be in the file
            self._refuse(error, "a frame could not be made durable")
            if isinstance(error, OSError):
                raise self._refusal() from error
            raise
        segment.note(frame)
        self._witnessed = bool(frame.flags)
        return frame

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
            for frame in self._walk(segment, segment.seek_frame(number)):
                if frame.number >= number:
                    number = frame.number + 1
                    if not frame.flags:
                        yield frame

    def read_topic(self, topic: str, partition: int, offset: int, records_max: int) -> list[tuple[int, Record]]:
        """Up to `records_max` (offset, record) pairs of one partition from `offset` on; empty at its end."""
        found: list[tuple[int, Record]] = []
        key = (topic, partition)
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
        """One durable frame. NotFound when it is not durable yet, or retention removed it."""
        for frame in self.frames(number):
            if frame.number == number:
                return frame
            break
        raise NotFound(f"frame {number} is not in the ledger", cure=f"it holds frames up to {self.next_frame - 1}")

    def seq_of(self, position: Position) -> int:
        """The ledger-wide ordinal of a record. NotFound when there is no such record."""
        frame = self.frame(position.frame)
        if 0 <= position.entry < len(frame.entries):
            entry = frame.entries[position.entry]
            if 0 <= position.record < entry.count:
                return entry.base_seq + position.record
        raise NotFound(f"there is no record {position}", where=repr(frame))

    def position_of(self, seq: int) -> Position:
        """Where the record with this ordinal is. NotFound when it is not durable yet, or retention removed it."""
        segments = self._segments
        index = bisect_right(segments, seq, key=lambda segment: segment.header.first_seq) - 1
        if index >= 0 and 0 <= seq < segments[index].end.seq and not segments[index].hollow:
            segment = segments[index]
            self._ensure_scanned(segment)
            for frame in self._walk(segment, segment.seek_seq(seq)):
                if frame.base_seq <= seq < frame.next_seq:
                    number = bisect_right(frame.entries, seq, key=lambda entry: entry.base_seq) - 1
                    return Position(frame.number, number, seq - frame.entries[number].base_seq)
        raise NotFound(f"seq {seq} is not in the ledger", cure=f"it holds records up to seq {self.next_seq - 1}")

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
            if segment in self._segments:  # otherwise retention replaced the file just before it was opened
                raise damage(segment, good, str(bad)) from None
        finally:
            file.close()

    def _ensure_scanned(self, segment: Segment) -> None:
        """Check and index a sealed segment on first use (`verify="tail"`)."""
        with self._scanning:
            if not segment.scanned:
                following = self._segments[self._segments.index(segment) + 1]
                scan_sealed(self._ports.disk, segment, following.header)

    # --- segments ---------------------------------------------------------------------------------------------

    def hollow(self, segment: Segment) -> int:
        """Give the frames of a sealed segment back to the disk; returns the bytes freed. See stream/retention.py.

        The header stays, with where the segment ended, so that chain, positions and offsets remain provable. Runs on
        the thread that writes. On OSError nothing is lost: the file is old or new.
        """
        segments = self._segments
        index = segments.index(segment)
        if index == len(segments) - 1 or segment.hollow:
            raise ValueError(f"{segment.path} is not a sealed segment with frames")
        self._ensure_scanned(segment)
        header = replace(segment.header, end=segment.end)
        content = header.encode(self._settings.align_bytes)
        twin = Segment(segment.path, header, len(content))
        twin.end, twin.offsets, twin.scanned = segment.end, segment.offsets, True
        file = self._ports.disk.open(segment.path)
        freed = file.size() - len(content)
        file.close()
        self._segments = [*segments[:index], twin, *segments[index + 1 :]]
        try:
            self._ports.disk.replace(segment.path, content)
        except OSError:
            if not Segment.open(self._ports.disk, segment.path).hollow:
                self._segments = segments
            raise
        return freed

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

    def _roll(self) -> Segment:
        """Seal the segment and start the next. Every frame so far is synced, so the header may rely on them."""
        header = self._segments[-1].following(self._ports.random.token(NONCE_BYTES))
        content = header.encode(self._settings.align_bytes)
        segment = Segment(segment_path(header.first_frame), header, len(content))
        segment.scanned = True
        self._ports.disk.replace(segment.path, content)
        file = self._ports.disk.open(segment.path)
        if self._file is not None:
            self._file.close()
        self._file = file
        self._segments = [*self._segments, segment]
        return segment

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
