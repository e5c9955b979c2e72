"""A frame: what one sync makes durable. Its entries, its bytes, and how they are checked.

Layout (big-endian; `docs/internals/ledger.md` draws it):

    header   magic · header_crc · chain · prev · length · entries · records · flags · number · base_seq · at · emitted
    table    per entry: kind · topic length · partition · at · base offset · records · batch length · topic
    batches  per entry: one Kafka RecordBatch v2
    padding  zeros up to the writer's alignment; part of the payload, so readers need not know it

Invariants: `header_crc` is the CRC32C of the header from `prev` on, seeded with the segment's nonce; `chain` is the
same sum carried on over the payload; `prev` is the chain value of the frame before. So a frame can be checked alone
(is it whole, is it of this segment?) and in order (does it follow that one?). Entries of a frame, records of an entry
and `seq` are dense; frames may leave holes between them after retention.

A frame of a *rewritten* segment (`stream/segment.py`) says so in its flags and holds what retention left: the table
has a row for each entry, with kind GONE and no batch for one that was let go, so entry numbers, `seq` and offsets are
what they were. Its payload begins with the chain value the frame had; `chain` in its header is the checksum of what is
there now.

Does not touch files.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np
from crc32c import crc32c

from nextpaint.ports.disk import aligned
from nextpaint.record.codec import BatchBuilder, Bytes, EncodedBatch, MalformedBatch, Record, decode_batch
from nextpaint.record.errors import CorruptLedger
from nextpaint.record.runs import Run, Within

TICK_TOPIC = "_ticks"
TOPIC_BYTES_MAX = 249  # Kafka's limit for a topic name

MAGIC = b"\xf7NPf"  # 0xf7 is in no UTF-8 text, so text payloads cannot even look like the start of a frame
_HEADER = struct.Struct(">4sIIIIIIIQQqqqq")
HEADER_BYTES = _HEADER.size
_FROM_PREV = struct.Struct(">IIIIIQQqqqq")
_CHECKED_FROM = 12
_ENTRY = struct.Struct(">BBiqQII")
_CHAIN_BYTES = 4
CHECKED_BYTES = 128 << 10  # of a frame that are copied before they are checked: less than a cache holds

Emitted = tuple[int, int, int]
NOTHING_EMITTED: Emitted = (-1, 0, 0)


class EntryKind(IntEnum):
    """What an entry is to the engine."""

    INPUT = 0  # from outside: the engine applies it
    OUTPUT = 1  # the engine made it: replay compares, never applies
    TICK = 2  # time passed and nothing else happened
    SWITCH = 3  # another application is in force from here on
    GONE = 4  # retention let its records go; its place stays


class FrameFlag(IntFlag):
    """A flagged frame has no entries: it is evidence about the frame before it."""

    NONE = 0
    END = 1  # clean shutdown: everything before it is known to be durable
    WITNESS = 2  # an empty frame after a pause, for the same evidence while the node lives
    REWRITTEN = 4  # only in files: what retention left of a frame


_NONE = FrameFlag.NONE  # what almost every frame has: operations on flags cost as much as the rest of a header


class Position(NamedTuple):
    """A record's place: logical, so it survives segment rolls and recovery. Orders as the ledger does."""

    frame: int
    entry: int
    record: int

    def __str__(self) -> str:
        return f"{self.frame}.{self.entry}.{self.record}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """The inverse of `str`; ValueError for anything else."""
        numbers = text.split(".")
        if len(numbers) != 3 or not all(number.isascii() and number.isdigit() for number in numbers):
            raise ValueError(f"{text!r} is not a position; write frame.entry.record, such as 17.0.3")
        return cls(*map(int, numbers))


@dataclass(slots=True)
class Draft:
    """What a caller wants appended: records for one topic-partition. `at` is set by the writer."""

    topic: str
    kind: EntryKind
    records: list[Record]
    partition: int = 0
    at: int = -1
    batch: BatchBuilder | EncodedBatch | None = field(default=None, repr=False, compare=False)  # when encoded already

    @classmethod
    def tick(cls) -> Draft:
        """Time passes: one empty record, so that a tick has a `seq` of its own."""
        return cls(TICK_TOPIC, EntryKind.TICK, [Record(None, None, 0)])


@dataclass(slots=True)
class FrameDraft:
    """The content of the next frame. `emitted`: the outputs of every input up to this identity are in the ledger."""

    entries: list[Draft] = field(default_factory=list)
    emitted: Emitted | None = None  # None: as the frame before
    flags: FrameFlag = FrameFlag.NONE


class Entry:
    """One RecordBatch of one topic-partition in a frame. `base_seq`: ledger-wide ordinal of its first record."""

    __slots__ = (
        "_records", "_within", "at", "base_offset", "base_seq", "batch", "count", "kind", "partition", "topic",
    )  # fmt: skip

    def __init__(
        self, draft: Draft, base_offset: int, base_seq: int, batch: Bytes, count: int, within: Within | None = None
    ) -> None:
        self.topic = draft.topic
        self.partition = draft.partition
        self.kind = draft.kind
        self.at = draft.at
        self.base_offset = base_offset
        self.base_seq = base_seq
        self.batch = batch  # as the Kafka listener sends it
        self.count = count
        self._within = within
        self._records: Sequence[Record] | None = draft.records or None  # None: still to be decoded
        if draft.kind is EntryKind.GONE:
            self._records = ()

    @property
    def records(self) -> Sequence[Record]:
        """Decoded on first use; an entry just written keeps the very records it was given."""
        if self._records is None:
            try:
                base_offset, records = decode_batch(self.batch)
            except MalformedBatch as error:
                raise self._corrupt(f"{error.what}, {error.where}") from error
            self._require(base_offset, len(records))
            self._records = records
        return self._records

    def run(self) -> Run:
        """The records as places in the batch: nothing is decoded."""
        try:
            run = Run.of_batch(self.topic, self.base_seq, self.at, self.batch, self._within)
        except MalformedBatch as error:
            raise self._corrupt(f"{error.what}, {error.where}") from error
        self._require(int.from_bytes(self.batch[:8], "big"), len(run))
        return run

    def _require(self, base_offset: int, count: int) -> None:
        """That the batch is the one the frame's table speaks of."""
        if base_offset != self.base_offset or count != self.count:
            raise self._corrupt(
                f"its batch holds {count} records from offset {base_offset}, "
                f"its table says {self.count} from {self.base_offset}"
            )

    def _corrupt(self, what: str) -> CorruptLedger:
        return CorruptLedger(
            f"an entry whose frame is whole cannot be read: {what}",
            where=f"{self.topic}-{self.partition}, offset {self.base_offset}, seq {self.base_seq}",
            cure="these bytes were written like this: report it, with the output of `nextpaint verify`",
        )

    def __repr__(self) -> str:
        return f"Entry({self.topic}-{self.partition} {self.kind.name} seq {self.base_seq}+{self.count} at {self.at})"


class SharedBytes:
    """The bytes that hold the batches of a frame, end to end from `at`: runs of records of one frame are places in the
    same buffer, so that a step over several of them joins them without a copy."""

    __slots__ = ("_array", "_view", "at")

    def __init__(self, data: Bytes, at: int) -> None:
        self._view = memoryview(data)
        self._array = np.frombuffer(data, np.uint8)
        self.at = at

    def entry(self, draft: Draft, base_offset: int, base_seq: int, size: int, count: int) -> Entry:
        """The entry whose batch comes next."""
        at, self.at = self.at, self.at + size
        return Entry(draft, base_offset, base_seq, self._view[at : self.at], count, (self._array, at))


class Frame:
    """A durable frame. `at` is that of its last entry; `chain` its link to the next frame, `prev` that of the one
    before. Of a rewritten frame they are those it was written with."""

    __slots__ = ("at", "base_seq", "bytes", "chain", "emitted", "entries", "flags", "next_seq", "number", "prev")

    def __init__(self, header: FrameHeader, entries: tuple[Entry, ...], chain: int | None = None) -> None:
        self.number = header.number
        self.base_seq = header.base_seq
        self.next_seq = header.base_seq + header.records
        self.at = header.at
        self.emitted = header.emitted
        self.flags = header.flags if header.flags is _NONE else header.flags & ~FrameFlag.REWRITTEN
        self.prev = header.prev
        self.chain = header.chain if chain is None else chain
        self.bytes = HEADER_BYTES + header.length
        self.entries = entries

    def __repr__(self) -> str:
        return f"Frame({self.number}, seq {self.base_seq}..{self.next_seq}, {len(self.entries)} entries)"


class FrameHeader(NamedTuple):
    """The fixed part. `length` counts the payload: table and batches."""

    chain: int
    prev: int
    length: int
    entries: int
    records: int
    flags: FrameFlag
    number: int
    base_seq: int
    at: int
    emitted: Emitted


class BadFrame(ValueError):
    """The bytes at this place are not a whole frame of this segment. Whoever walks decides: torn tail, or damage."""


class Place(NamedTuple):
    """Where a frame begins: what its header states and its checksums are seeded with."""

    number: int
    seq: int
    prev: int
    at: int
    seed: int  # CRC32C of the segment's nonce
    emitted: Emitted
    align_bytes: int  # the frame is padded to a multiple of this


def encode_frame(draft: FrameDraft, place: Place, offsets: Mapping[tuple[str, int], int]) -> tuple[memoryview, Frame]:
    """The bytes of a frame and the frame. Fills in `at` of the drafts. `offsets`: the next one of each partition.

    Raises ValueError for a draft the format cannot hold; nothing has happened then.
    """
    table: list[bytes] = []
    batches: list[Bytes] = []
    placed: list[tuple[Draft, int, int, int, int]] = []  # offset, seq, bytes, records of each entry
    next_offsets: dict[tuple[str, int], int] = {}
    seq, at = place.seq, place.at
    for entry in draft.entries:
        topic = entry.topic.encode()
        if not 0 < len(topic) <= TOPIC_BYTES_MAX:
            raise ValueError(f"topic {entry.topic!r} has {len(topic)} bytes; 1 to {TOPIC_BYTES_MAX} are possible")
        if entry.at > at:
            at = entry.at
        entry.at = at
        partition = (entry.topic, entry.partition)
        offset = next_offsets.get(partition, -1)
        if offset < 0:
            offset = offsets.get(partition, 0)
        batch: BatchBuilder | EncodedBatch | None = entry.batch
        if batch is None:
            batch = BatchBuilder()
            batch.append(entry.records)
        size, count = batch.bytes, batch.count
        next_offsets[partition] = offset + count
        table.append(_ENTRY.pack(entry.kind, len(topic), entry.partition, at, offset, count, size))
        table.append(topic)
        batches += batch.parts(offset)
        placed.append((entry, offset, seq, size, count))
        seq += count
    head = b"".join(table)
    length = len(head) + sum(size for _, _, _, size, _ in placed)
    padding = bytes(-(HEADER_BYTES + length) % place.align_bytes)
    data = aligned(HEADER_BYTES + length + len(padding))
    emitted = draft.emitted or place.emitted
    fields = (length + len(padding), len(placed), seq - place.seq, int(draft.flags), place.number, place.seq, at)
    checked = _FROM_PREV.pack(place.prev, *fields, *emitted)
    header_crc = crc32c(checked, place.seed)
    chain = _filled(data, (head, *batches, padding), header_crc)  # every batch is copied once, here
    header = FrameHeader(chain, place.prev, *fields[:3], draft.flags, *fields[4:], emitted)
    data[:HEADER_BYTES] = b"".join((MAGIC, header_crc.to_bytes(4, "big"), chain.to_bytes(4, "big"), checked))
    data = data.toreadonly()
    shared = SharedBytes(data, HEADER_BYTES + len(head))
    return data, Frame(header, tuple(shared.entry(*each) for each in placed))


def _filled(data: memoryview, parts: Sequence[Bytes], checksum: int) -> int:
    """Write the parts behind the header; the checksum carried on over them, of what is in the cache still."""
    begin = at = HEADER_BYTES
    for part in parts:
        end = at + len(part)
        data[at:end] = part
        at = end
        if at - begin >= CHECKED_BYTES:
            checksum = crc32c(data[begin:at], checksum)
            begin = at
    return crc32c(data[begin:], checksum) if begin < at else checksum


def encode_rewritten(frame: Frame, gone: Container[tuple[str, int]], seed: int) -> bytes:
    """What is left of a frame when the entries of some topic-partitions go; nothing when no entry stays. `seed`: of the
    segment it goes to."""
    table: list[bytes] = []
    batches: list[Bytes] = []
    for entry in frame.entries:
        topic = entry.topic.encode()
        stays = entry.kind is not EntryKind.GONE and (entry.topic, entry.partition) not in gone
        kind, size = (entry.kind, len(entry.batch)) if stays else (EntryKind.GONE, 0)
        table.append(
            _ENTRY.pack(kind, len(topic), entry.partition, entry.at, entry.base_offset, entry.count, size) + topic
        )
        if stays:
            batches.append(entry.batch)
    if not batches:
        return b""
    payload = b"".join((frame.chain.to_bytes(4, "big"), *table, *batches))
    fields = (len(payload), len(frame.entries), frame.next_seq - frame.base_seq, int(FrameFlag.REWRITTEN))
    checked = _FROM_PREV.pack(frame.prev, *fields, frame.number, frame.base_seq, frame.at, *frame.emitted)
    header_crc = crc32c(checked, seed)
    sums = header_crc.to_bytes(4, "big") + crc32c(payload, header_crc).to_bytes(4, "big")
    return b"".join((MAGIC, sums, checked, payload))


def parse_header(data: bytes | memoryview, offset: int, seed: int) -> tuple[FrameHeader, int]:
    """The header at `offset` and its checksum, which seeds the payload's. BadFrame if it is not of this segment."""
    if len(data) - offset < HEADER_BYTES:
        raise BadFrame(f"{len(data) - offset} bytes are less than a frame header")
    fields = _HEADER.unpack_from(data, offset)
    magic, header_crc, chain, prev, length, entries, records, flags, number, base_seq, at = fields[:11]
    if magic != MAGIC:
        raise BadFrame("no frame begins here")
    if crc32c(memoryview(data)[offset + _CHECKED_FROM : offset + HEADER_BYTES], seed) != header_crc:
        raise BadFrame("the frame header's checksum does not match")
    emitted = (fields[11], fields[12], fields[13])
    flag = FrameFlag(flags) if flags else FrameFlag.NONE
    return FrameHeader(chain, prev, length, entries, records, flag, number, base_seq, at, emitted), header_crc


def parse_frame(header: FrameHeader, payload: bytes | memoryview) -> Frame:
    """A frame whose checksum matched."""
    if header.flags is _NONE or not header.flags & FrameFlag.REWRITTEN:
        return Frame(header, parse_entries(header, payload))
    entries = parse_entries(header, payload, _CHAIN_BYTES)
    return Frame(header, entries, int.from_bytes(payload[:_CHAIN_BYTES], "big"))


def parse_entries(header: FrameHeader, payload: bytes | memoryview, begin: int = 0) -> tuple[Entry, ...]:
    """The entries of a frame whose checksum matched; batches are decoded later, by who needs them. `begin`: of the
    table."""
    entries: list[Entry] = []
    at = begin
    seq = header.base_seq
    view = memoryview(payload)
    rows: list[tuple[Draft, int, int, int]] = []
    try:
        for _ in range(header.entries):
            kind, size, partition, entry_at, offset, count, length = _ENTRY.unpack_from(view, at)
            at += _ENTRY.size
            topic = str(view[at : at + size], "utf-8")
            at += size
            rows.append((Draft(topic, EntryKind(kind), [], partition, entry_at), offset, count, length))
    except (struct.error, ValueError) as error:
        raise BadFrame(f"the entry table cannot be read: {error}") from None
    shared = SharedBytes(view, at)
    for draft, offset, count, length in rows:
        entries.append(shared.entry(draft, offset, seq, length, count))
        seq += count
    at = shared.at
    if at > len(view) or seq != header.base_seq + header.records:
        raise BadFrame(f"entries take {at} of {len(view)} bytes, {seq - header.base_seq} of {header.records} records")
    return tuple(entries)
