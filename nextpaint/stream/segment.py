"""A segment file: a header that stands on its own, then frames.

The header says where the segment begins (frame, seq, `at`, chain value, next offset of every topic-partition), so
the state of the log at its start is known without reading what came before. It is written by `Disk.replace`, hence
whole and durable before the first frame; a bad header is damage, never a crash.

A segment ends where the next one begins. Frames behind that point in the file are *superseded*: recovery starts a new
segment instead of truncating or overwriting, so it never destroys a byte. A *hollow* segment is what retention
leaves when nothing stays: the header, with where it ended, and no frames; chain and offsets stay provable across the
hole. A *thinned* one is what it leaves when something does: the same header with a marker (what stays, when it was
rewritten), then the frames that are left, each with the number, `seq`, entry numbers, offsets, `at` and chain value it
had. Holes between them are legal there and nowhere else, and the marker's counts tell a hole from a loss.

Does not decide what a bad frame means: `stream/recovery.py` does.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from crc32c import crc32c

from nextpaint.ports import Disk, File
from nextpaint.record.errors import CorruptLedger
from nextpaint.stream.frame import (
    HEADER_BYTES,
    MAGIC,
    NOTHING_EMITTED,
    BadFrame,
    Emitted,
    EntryKind,
    Frame,
    FrameFlag,
    FrameHeader,
    Place,
    parse_frame,
    parse_header,
)

DIRECTORY = "ledger"
SUFFIX = ".seg"
FORMAT_VERSION = 1
MARKED_VERSION = 2  # of a segment with a marker, so that who does not know markers refuses it

_MAGIC = b"\xf7NPs"
_HEADER = struct.Struct(">4sHHI8sQQIq3qQQII")
_TOPIC = struct.Struct(">BiQ")
_ENDED = 1  # the header says where the segment ended: hollow or thinned
_MARKER = struct.Struct(">QQQqQ")

# Reads are 1 MiB: large enough that the system call is noise, small enough to hold for every reader.
READ_BYTES = 1 << 20
# Enough for the header of a log with a hundred topics; longer ones take a second read.
FIRST_READ_BYTES = 4096
# One index point per 64 KiB: finding a frame reads at most that much, and a 64 MiB segment has 1,024 points.
INDEX_BYTES = 64 << 10

Partition = tuple[str, int]


def segment_path(first_frame: int) -> str:
    """Named by the first frame, so that names sort as frames do."""
    return f"{DIRECTORY}/{first_frame:016d}{SUFFIX}"


@dataclass(slots=True)
class End:
    """Where a segment ends, which is where the next begins."""

    frame: int = 0
    seq: int = 0
    chain: int = 0


@dataclass(frozen=True, slots=True)
class Marker:
    """What retention left of a segment, and when: the ledger's time and next `seq` at the (last) rewrite."""

    frames: int
    records: int  # of entries that are not gone
    bytes: int  # behind the header
    at: int
    next_seq: int


@dataclass(slots=True)
class SegmentHeader:
    """What was true when the segment began; `end` and `marker` only when it was rewritten."""

    nonce: bytes
    first_frame: int = 0
    first_seq: int = 0
    prev: int = 0
    at: int = 0
    emitted: Emitted = NOTHING_EMITTED
    offsets: dict[Partition, int] = field(default_factory=dict)
    end: End | None = None
    marker: Marker | None = None

    @property
    def seed(self) -> int:
        """What every checksum of this segment starts from."""
        return crc32c(self.nonce)

    def encode(self, align_bytes: int) -> bytes:
        """The bytes, padded so that the first frame begins at a multiple of `align_bytes`."""
        topics = [
            _TOPIC.pack(len(name.encode()), partition, offset) + name.encode()
            for (name, partition), offset in sorted(self.offsets.items())
        ]
        rest = b"".join(topics)
        marker = self.marker
        if marker is not None:
            rest += _MARKER.pack(marker.frames, marker.records, marker.bytes, marker.at, marker.next_seq)
        rest += bytes(-(_HEADER.size + len(rest) + 4) % align_bytes)
        end = self.end or End()
        size = _HEADER.size + len(rest) + 4
        data = _HEADER.pack(
            _MAGIC, MARKED_VERSION if marker else FORMAT_VERSION, _ENDED if self.end else 0, size, self.nonce,
            self.first_frame, self.first_seq, self.prev, self.at, *self.emitted, end.frame, end.seq, end.chain,
            len(topics),
        )  # fmt: skip
        return data + rest + crc32c(rest, crc32c(data)).to_bytes(4, "big")


def parse_segment_header(data: bytes, where: str) -> tuple[SegmentHeader, int]:
    """The header and its size in bytes. CorruptLedger: a header is durable before anything follows it."""

    def corrupt(what: str) -> CorruptLedger:
        return CorruptLedger(f"the segment header {what}", where=f"{where}, offset 0", cure=CURE)

    if len(data) < _HEADER.size:
        raise corrupt(f"is cut short: {len(data)} bytes")
    fields = _HEADER.unpack_from(data)
    magic, version, flags, size, nonce, first_frame, first_seq, prev, at = fields[:9]
    if magic != _MAGIC:
        raise corrupt("does not begin with the magic of a segment")
    if version not in (FORMAT_VERSION, MARKED_VERSION):
        raise corrupt(f"has format version {version}; this release reads up to {MARKED_VERSION}")
    if not _HEADER.size + 4 <= size <= len(data) or crc32c(data[: size - 4]) != int.from_bytes(data[size - 4 : size]):
        raise corrupt("fails its checksum")
    offsets: dict[Partition, int] = {}
    position = _HEADER.size
    for _ in range(fields[15]):
        length, partition, offset = _TOPIC.unpack_from(data, position)
        position += _TOPIC.size + length
        offsets[(data[position - length : position].decode(), partition)] = offset
    end = End(*fields[12:15]) if flags & _ENDED else None
    marker = Marker(*_MARKER.unpack_from(data, position)) if version == MARKED_VERSION else None
    return SegmentHeader(nonce, first_frame, first_seq, prev, at, fields[9:12], offsets, end, marker), size


CURE = (
    "the node does not start on damaged data: restore this file from a backup or replica, "
    "then run `nextpaint verify` on the directory"
)


@dataclass(slots=True)
class TopicSpan:
    """What one topic has in one segment: for retention, verification and reads by offset."""

    records: int = 0
    bytes: int = 0
    at_last: int = 0
    output: bool = False  # its records are the engine's own


class Segment:
    """One segment and a sparse index of its good, durable frames. Readers open the file for themselves.

    `points`: (frame number, seq, file offset), at least INDEX_BYTES apart; rises in each part.
    """

    def __init__(self, path: str, header: SegmentHeader, start: int) -> None:
        self.path = path
        self.header = header
        self.seed = header.seed
        self.start = start  # file offset of the first frame
        self.scanned = False  # whether every frame was checked and is in the index
        self.end_offset = self.start  # just behind the last good frame
        self.frames = 0
        self.end = End(header.first_frame, header.first_seq, header.prev)
        self.at = header.at
        self.began = -1  # `at` of its first frame; -1 while there is none
        self.emitted = header.emitted
        self.offsets = dict(header.offsets)
        self.topics: dict[Partition, TopicSpan] = {}
        self.points: list[tuple[int, int, int]] = []
        self.topic_points: dict[Partition, list[tuple[int, int]]] = {}  # (offset, file offset of its frame)

    @classmethod
    def open(cls, disk: Disk, path: str) -> Segment:
        file = disk.open(path)
        try:
            data = file.read(0, FIRST_READ_BYTES)
            size = int.from_bytes(data[8:12], "big")
            if FIRST_READ_BYTES < size <= file.size():
                data = file.read(0, size)
        finally:
            file.close()
        header, start = parse_segment_header(data, path)
        if path != segment_path(header.first_frame):
            raise CorruptLedger(
                f"the segment says it begins at frame {header.first_frame}", where=f"{path}, offset 0", cure=CURE
            )
        return cls(path, header, start)

    @property
    def rewritten(self) -> bool:
        """Whether retention took anything out of it."""
        return self.header.end is not None

    @property
    def thinned(self) -> bool:
        """Whether it was rewritten and has frames."""
        marker = self.header.marker
        return marker is not None and marker.frames > 0

    @property
    def hollow(self) -> bool:
        return self.rewritten and not self.thinned

    def place(self, align_bytes: int) -> Place:
        """Where the next frame of this segment begins."""
        end = self.end
        return Place(end.frame, end.seq, end.chain, self.at, self.seed, self.emitted, align_bytes)

    def adopt(self, scanned: Segment) -> None:
        """Take over what a scan of the same file found, at once, for readers on other threads."""
        self.points, self.topic_points, self.topics = scanned.points, scanned.topic_points, scanned.topics
        self.frames, self.at, self.emitted = scanned.frames, scanned.at, scanned.emitted
        self.offsets, self.end, self.began = scanned.offsets, scanned.end, scanned.began
        self.end_offset = scanned.end_offset
        self.scanned = True

    def following(self, nonce: bytes) -> SegmentHeader:
        """The header of the segment that begins where this one ends now."""
        end = self.end
        return SegmentHeader(nonce, end.frame, end.seq, end.chain, self.at, self.emitted, dict(self.offsets))

    def note(self, frame: Frame) -> None:
        """Count a good frame that begins at `end_offset`: on recovery, and after each sync."""
        offset = self.end_offset
        if not self.points or offset - self.points[-1][2] >= INDEX_BYTES:
            self.points.append((frame.number, frame.base_seq, offset))
        for entry in frame.entries:
            partition = (entry.topic, entry.partition)
            if entry.kind is EntryKind.GONE:
                self.offsets[partition] = entry.base_offset + entry.count
                continue
            span = self.topics.get(partition)
            if span is None:
                span = self.topics[partition] = TopicSpan()
                self.topic_points[partition] = []
            span.records += entry.count
            span.bytes += len(entry.batch)
            span.at_last = entry.at
            span.output = entry.kind is EntryKind.OUTPUT
            self.offsets[partition] = entry.base_offset + entry.count
            points = self.topic_points[partition]
            if not points or offset - points[-1][1] >= INDEX_BYTES:
                points.append((entry.base_offset, offset))
        self.frames += 1
        self.began = frame.at if self.began < 0 else self.began
        self.at = frame.at
        self.emitted = frame.emitted
        self.end = End(frame.number + 1, frame.next_seq, frame.chain)
        self.end_offset = offset + frame.bytes  # last: a reader on another thread goes no further than this

    def seek_frame(self, number: int) -> int:
        """A file offset at or before frame `number`."""
        index = bisect_right(self.points, number, key=lambda point: point[0]) - 1
        return self.points[index][2] if index >= 0 else self.start

    def seek_seq(self, seq: int) -> int:
        """A file offset at or before the frame that holds `seq`."""
        index = bisect_right(self.points, seq, key=lambda point: point[1]) - 1
        return self.points[index][2] if index >= 0 else self.start

    def seek_offset(self, partition: Partition, offset: int) -> int | None:
        """A file offset at or before the frame that holds `offset` of the partition; None: nothing of it is here."""
        points = self.topic_points.get(partition)
        if not points:
            return None
        return points[max(0, bisect_right(points, offset, key=lambda point: point[0]) - 1)][1]

    def walk(self, file: File, offset: int, limit: int) -> Iterator[tuple[int, Frame]]:
        """(file offset, frame) of the frames between two file offsets, each checked alone and in order.

        Raises BadFrame at the first bytes that are not the next frame, or, in a thinned segment, not a later one; ends
        without at `limit`.
        """
        seed, thinned = self.seed, self.thinned
        chain = self.header.prev if offset == self.start else None
        expected: tuple[int, int] | None = (
            (self.header.first_frame, self.header.first_seq) if offset == self.start else None
        )
        data, base = b"", offset
        while offset < limit:
            position = offset - base
            if len(data) - position < HEADER_BYTES:
                data, base, position = file.read(offset, min(READ_BYTES, limit - offset)), offset, 0
            header, header_crc = parse_header(data, position, seed)
            size = HEADER_BYTES + header.length
            if offset + size > limit:
                raise BadFrame(f"frame {header.number} has {size} bytes, {limit - offset} are there")
            if len(data) - position < size:
                data, base, position = file.read(offset, max(size, min(READ_BYTES, limit - offset))), offset, 0
            payload = memoryview(data)[position + HEADER_BYTES : position + size]
            if crc32c(payload, header_crc) != header.chain:
                raise BadFrame(f"frame {header.number}: the payload's checksum does not match")
            if thinned or header.flags is not FrameFlag.NONE:
                self._require_kind(header)
            hole = thinned and expected is not None and header.number > expected[0] and header.base_seq >= expected[1]
            if chain is not None and header.prev != chain and not hole:
                raise BadFrame(f"frame {header.number} does not continue the chain")
            if expected is not None and expected != (header.number, header.base_seq) and not hole:
                raise BadFrame(f"frame {header.number}, seq {header.base_seq} stands where {expected} belongs")
            frame = parse_frame(header, payload)
            yield offset, frame
            chain = frame.chain
            expected = (header.number + 1, header.base_seq + header.records)
            offset += size

    def _require_kind(self, header: FrameHeader) -> None:
        """Rewritten frames are in thinned segments, and no others are."""
        if self.thinned is not bool(header.flags & FrameFlag.REWRITTEN):
            kind = "" if self.thinned else " not"
            raise BadFrame(f"frame {header.number} is not of a segment that was{kind} rewritten")

    def later_frame(self, file: File, offset: int, size: int, number: int) -> tuple[int, int] | None:
        """(frame number, file offset) of a whole later frame of this segment behind `offset`, where `number` belongs.

        Evidence that what stands at `offset` was durable once: frame n+1 is not written before frame n is synced.
        A payload cannot fake it: it does not know the nonce that seeds the checksum, and an image of a frame that was
        read back from this very file has a number that is not later.
        """
        data = file.read(offset, size - offset)
        at = data.find(MAGIC, 1)
        while at >= 0:
            try:
                header, header_crc = parse_header(data, at, self.seed)
                payload = memoryview(data)[at + HEADER_BYTES : at + HEADER_BYTES + header.length]
                if (
                    header.number > number
                    and len(payload) == header.length
                    and crc32c(payload, header_crc) == header.chain
                ):
                    return header.number, offset + at
            except BadFrame:
                pass
            at = data.find(MAGIC, at + 1)
        return None
