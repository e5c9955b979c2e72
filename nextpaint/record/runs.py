"""A run of records of one entry as places in its bytes: how records reach the engine without an object each.

    run = Run.of_batch("clicks", seq, at_ms, batch)      the records of one Kafka RecordBatch v2
    run.part(0, 100)                                     a step may take any part of a run

Invariants: records are consecutive, `seq` is that of the first; `first` says that the run begins an entry, which is
where the ledger's clock moves. A length of -1 is a null key or value. Nothing is copied from an uncompressed batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nextpaint.record.codec import HEADER_BYTES, Bytes, Record, decode_batch, opened_batch
from nextpaint.record.compiled import byte_at, inner, kernel, prefetch
from nextpaint.record.views import ByteArray

Places = npt.NDArray[np.int64]  # per record: start and length of the key, start and length of the value
Numbers = npt.NDArray[np.int64]
Within = tuple[ByteArray, int]  # a buffer, and where in it something begins


_LINE_BYTES = 64  # what a processor fetches at once
_AHEAD_BYTES = 2048  # the time that memory takes to come: six records of a few hundred bytes


class Arriving(NamedTuple):
    """One record of the ledger, where somebody wants them one by one."""

    seq: int
    at_ms: int
    topic: str
    key: bytes | None
    value: bytes | None
    first: bool  # the first record of its entry: where the ledger clock moves


@dataclass(slots=True)
class Run:
    """Consecutive records of one topic under one ledger time. `places`: int64, shape (records, 4)."""

    topic: str
    seq: int
    at_ms: int
    first: bool
    buffer: ByteArray
    places: Places

    def __len__(self) -> int:
        return len(self.places)

    @property
    def last_seq(self) -> int:
        return self.seq + len(self.places) - 1

    def part(self, begin: int, end: int) -> Run:
        """Records `begin` to `end` (not included) of this run."""
        first = self.first and begin == 0
        return Run(self.topic, self.seq + begin, self.at_ms, first, self.buffer, self.places[begin:end])

    def after(self, seq: int) -> Run:
        """The records whose seq is greater."""
        return self if seq < self.seq else self.part(seq + 1 - self.seq, len(self))

    def without(self, seqs: Collection[int]) -> list[Run]:
        """What is left of this run when the records at `seqs` never came; the first part still begins the entry."""
        cuts = sorted(seq - self.seq for seq in seqs if self.seq <= seq <= self.last_seq)
        parts: list[Run] = []
        begin = 0
        for cut in (*cuts, len(self)):
            if cut > begin:
                parts.append(replace(self.part(begin, cut), first=self.first and not parts))
            begin = cut + 1
        return parts

    def span(self) -> bytes:
        """All bytes from the first key to the end of the last value; of at least one record."""
        low, high = _span(self)
        return self.buffer[low:high].tobytes()

    def key(self, index: int) -> bytes | None:
        return self._bytes(*self.places[index, :2].tolist())

    def value(self, index: int) -> bytes | None:
        return self._bytes(*self.places[index, 2:].tolist())

    def _bytes(self, start: int, length: int) -> bytes | None:
        return None if length < 0 else self.buffer[start : start + length].tobytes()

    @staticmethod
    def of_batch(topic: str, seq: int, at_ms: int, batch: Bytes, within: Within | None = None) -> Run:
        """All records of a RecordBatch. `within`: the batch's own bytes in a buffer that runs share: that of a frame,
        whose checksum covers them. Raises MalformedBatch."""
        opened = opened_batch(batch, checked=within is not None)
        buffer = np.frombuffer(opened.body, np.uint8)
        size, begin = len(buffer), 0
        if within is not None and size + HEADER_BYTES == len(batch):  # else it was compressed
            buffer, begin = within[0], within[1] + HEADER_BYTES
        places = np.empty((opened.records, 4), np.int64)
        if walk_records(buffer, begin, begin + size, places, opened.first_ms) != begin + size:
            return Run.of_records(topic, seq, at_ms, decode_batch(batch)[1])  # or says what is wrong, and where
        return Run(topic, seq, at_ms, True, buffer, places)

    @staticmethod
    def of_records(topic: str, seq: int, at_ms: int, records: Sequence[Record | Arriving], first: bool = True) -> Run:
        """Records that exist as Python objects."""
        parts: list[bytes] = []
        places: list[tuple[int, int, int, int]] = []
        at = 0
        for record in records:
            key, value = record.key, record.value
            size, length = -1 if key is None else len(key), -1 if value is None else len(value)
            places.append((at, size, at + max(size, 0), length))
            at += max(size, 0) + max(length, 0)
            parts += (key or b"", value or b"")
        return Run(
            topic,
            seq,
            at_ms,
            first,
            np.frombuffer(b"".join(parts), np.uint8),
            np.array(places, np.int64).reshape(-1, 4),
        )


def gathered(records: Iterable[Arriving]) -> list[Run]:
    """Records one by one as runs."""
    runs: list[Run] = []
    numbered = enumerate(records)
    for _, same in groupby(numbered, lambda each: (each[1].topic, each[1].at_ms, each[1].seq - each[0])):
        part: list[Arriving] = []
        for _, record in same:
            if record.first and part:
                runs.append(_run_of(part))
                part = []
            part.append(record)
        runs.append(_run_of(part))
    return runs


def _run_of(part: Sequence[Arriving]) -> Run:
    return Run.of_records(part[0].topic, part[0].seq, part[0].at_ms, part, part[0].first)


def joined(runs: Sequence[Run]) -> tuple[ByteArray, Places]:
    """One buffer and the places in it of all records of some runs (at least one), in order. Runs that share a buffer,
    as those of one frame do, are not copied."""
    runs = [run for run in runs if len(run)] or runs[:1]
    buffer = runs[0].buffer
    if all(run.buffer is buffer for run in runs):
        places = runs[0].places if len(runs) == 1 else np.concatenate([run.places for run in runs])
        if not len(places):
            return buffer, places
        spans = [_span(run) for run in runs]
        low, high = min(low for low, _ in spans), max(high for _, high in spans)
        return buffer[low:high], places + _moved(-low)
    size = sum(len(run) for run in runs)
    places = np.empty((size, 4), np.int64)
    buffers: list[ByteArray] = []
    moved, at = 0, 0
    for run in runs:
        low, high = _span(run)
        buffers.append(run.buffer[low:high])
        np.add(run.places, _moved(moved - low), out=places[at : at + len(run)])
        moved += high - low
        at += len(run)
    return np.concatenate(buffers), places


def numbered(runs: Sequence[Run]) -> tuple[Numbers, Numbers]:
    """The seq and the ledger time of every record of some runs, in order."""
    told = np.array([(run.seq, run.at_ms, len(run.places)) for run in runs], np.int64).reshape(-1, 3)
    records = sum(len(run.places) for run in runs)
    seqs, clocks = np.empty(records, np.int64), np.empty(records, np.int64)
    number_records(told, seqs, clocks)
    return seqs, clocks


def _moved(by: int) -> Places:
    """What moves places by so many bytes."""
    return np.array([by, 0, by, 0], np.int64)


def _span(run: Run) -> tuple[int, int]:
    """Where the records of a run begin and end in its buffer."""
    return int(run.places[0, 0]), int(run.places[-1, 2] + max(run.places[-1, 3], 0))


@inner
def _varint(buffer: int, at: int, end: int) -> tuple[int, int]:
    """(value, where it ends) of a zigzag varint; the position is -1 if there is none within 64 bits."""
    rest = np.uint64(0)
    for byte_number in range(10):
        if at >= end:
            return 0, -1
        byte = byte_at(buffer + at)
        at += 1
        if byte_number == 9 and byte > 1:
            return 0, -1
        rest |= np.uint64(byte & 0x7F) << np.uint64(7 * byte_number)
        if byte < 0x80:
            value: int = np.int64(rest >> np.uint64(1)) ^ -np.int64(rest & np.uint64(1))  # type: ignore[assignment]
            return value, at
    return 0, -1


@inner
def _field(buffer: int, at: int, end: int) -> tuple[int, int, int]:
    """(start, length, where it ends) of a nullable field; the position is -1 if it is not whole."""
    size, at = _varint(buffer, at, end)
    if at < 0 or size < -1 or size > end - at:
        return 0, 0, -1
    return at, size, at + max(size, 0)


@inner
def _text_is_ascii(buffer: int, at: int, size: int) -> bool:
    for byte in range(size):
        if byte_at(buffer + at + byte) > 127:
            return False
    return True


@inner
def _skipped_headers(buffer: int, at: int, end: int) -> int:
    """Where the headers at `at` end; -1 if they are not whole, or a name is null or not plain ASCII."""
    count, at = _varint(buffer, at, end)
    if at < 0 or count < 0:
        return -1
    for _ in range(count):
        start, size, at = _field(buffer, at, end)
        if at < 0 or size < 0 or not _text_is_ascii(buffer, start, size):
            return -1
        start, size, at = _field(buffer, at, end)
        if at < 0:
            return -1
    return at


@kernel("int64(const uint8[::1], int64, int64, int64[:,::1], int64)")
def walk_records(buffer: ByteArray, begin: int, stop: int, places: Places, first_ms: int) -> int:
    """Find each record's key and value between two places; gives where the last one ends, or -1 if anything is not as
    the format says."""
    text, at = buffer.ctypes.data, begin
    for index in range(places.shape[0]):
        size, at = _varint(text, at, stop)
        if at < 0 or size < 1 or size > stop - at:
            return -1
        end = at + size
        for line in range(at + _AHEAD_BYTES, min(end + _AHEAD_BYTES, stop), _LINE_BYTES):
            prefetch(text + line)
        delta, at = _varint(text, at + 1, end)
        moved = first_ms + delta  # beyond 64 bits a sum turns round
        if at < 0 or (moved < first_ms if delta > 0 else moved > first_ms):
            return -1
        number, at = _varint(text, at, end)
        if at < 0 or number != index:
            return -1
        places[index, 0], places[index, 1], at = _field(text, at, end)
        if at < 0:
            return -1
        places[index, 2], places[index, 3], at = _field(text, at, end)
        if at < 0 or _skipped_headers(text, at, end) != end:
            return -1
        at = end
    return at


@kernel("void(const int64[:,::1], int64[::1], int64[::1])")
def number_records(runs: npt.NDArray[np.int64], seqs: Numbers, clocks: Numbers) -> None:
    """Write the seq and the ledger time of each record. runs: the seq of the first, the time, how many, a row each."""
    to = 0
    for run in range(runs.shape[0]):
        seq, at_ms = runs[run, 0], runs[run, 1]
        for record in range(runs[run, 2]):
            seqs[to], clocks[to] = seq + record, at_ms
            to += 1
