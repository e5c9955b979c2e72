"""Kafka RecordBatch v2 (magic 2): the bytes of every entry of the ledger, and of the Kafka protocol.

Source: kafka.apache.org, "Record Batch" and "Record" of the message format (KIP-98). Big-endian; CRC32C from
`attributes` to the end, so the base offset (bytes 0-7) may be rewritten in place without touching the checksum.

    baseOffset i64 · batchLength i32 · partitionLeaderEpoch i32 · magic i8 = 2 · crc u32 · attributes i16
    lastOffsetDelta i32 · baseTimestamp i64 · maxTimestamp i64 · producerId i64 · producerEpoch i16
    baseSequence i32 · records i32 · then per record, varints in zigzag:
    length · attributes i8 · timestampDelta · offsetDelta · keyLength · key · valueLength · value
    headers · per header: keyLength · key · valueLength · value            (length -1 is null)

Invariants: encode then decode is the identity; decode of any bytes either returns what they say or raises
`MalformedBatch`, never anything else, and never allocates more than it was given times a stated limit.
Writes uncompressed batches without producer; reads uncompressed and gzip ones. Does not read control batches.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from crc32c import crc32c

from nextpaint.record.errors import RequestError

Bytes = bytes | memoryview


class MalformedBatch(RequestError, ValueError):
    """Bytes that are not a RecordBatch v2 this node reads. `what` names the field, `where` the byte."""


class Record(NamedTuple):
    """One record. `timestamp_ms`: epoch milliseconds of the event. A null header value is read as b""."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()


HEADER_BYTES = 61
_HEADER = struct.Struct(">qiibIhiqqqhii")
_AFTER_CRC = struct.Struct(">hiqqqhii")  # attributes .. records: what the CRC starts with
_UP_TO_CRC = struct.Struct(">qiibI")
_CRC_AT = 17
_CHECKED_FROM = 21
_LENGTH_FROM = 12  # batchLength counts what follows itself
_RECORD_BYTES_MIN = 7  # length, attributes, timestamp, offset, key -1, value -1, no headers
_INT32_MAX = 2**31 - 1
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

_GZIP = 1
_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_LOG_APPEND_TIME = 0x08
_CONTROL = 0x20

# A hostile batch of 1 MB of gzip can hold 1 GB. 32 MiB is twice what the largest accepted request may decode to.
INFLATED_BYTES_MAX = 32 << 20


def _zigzag(number: int) -> bytes:
    """A signed varint: zigzag, then seven bits a byte, least significant first."""
    if not _INT64_MIN <= number <= _INT64_MAX:
        raise ValueError(f"{number} is outside 64 bits")
    rest = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


# Lengths and deltas are nearly always small: 16,384 ready-made varints (0.9 MB) turn a loop into one index.
_SMALL = [_zigzag(number) for number in range(16384)]
_SMALL_MAX = len(_SMALL)
_NULL = _zigzag(-1)


def varint(number: int) -> bytes:
    return _SMALL[number] if 0 <= number < _SMALL_MAX else _zigzag(number)


class BatchBuilder:
    """An uncompressed batch that grows: records are encoded when they arrive, the header when the offset is known.

    A record the format cannot hold raises ValueError and leaves the builder as it was, so one bad record is refused
    where it came from and never fails the batch it would have joined.
    """

    __slots__ = ("_first", "_latest", "_parts", "bytes", "count")

    def __init__(self) -> None:
        self.count = 0
        self.bytes = HEADER_BYTES  # of the batch as it would be built now
        self._parts: list[bytes] = []
        self._first = 0
        self._latest = 0

    def append(self, records: Sequence[Record]) -> None:
        """Timestamps are held as deltas to the first record's, in any order."""
        if not records:
            return
        first = self._first if self.count else records[0].timestamp_ms
        latest = self._latest if self.count else first
        offset_delta = self.count
        grown = 0
        parts: list[bytes] = []
        small = _SMALL
        for key, value, timestamp, headers in records:
            if timestamp > latest:
                latest = timestamp
            head = b"\0" + varint(timestamp - first) + varint(offset_delta)
            offset_delta += 1
            if key is None:
                head += _NULL
            else:
                head += varint(len(key)) + key
            if value is None:
                head += _NULL
            else:
                head += varint(len(value)) + value
            body = head + (_encode_headers(headers) if headers else b"\0")
            size = len(body)
            prefix = small[size] if size < _SMALL_MAX else _zigzag(size)
            grown += size + len(prefix)
            parts.append(prefix)
            parts.append(body)
        if not (_INT64_MIN <= first and latest <= _INT64_MAX):
            raise ValueError(f"a timestamp between {first} and {latest} is outside 64 bits")
        if self.bytes + grown > _INT32_MAX:
            raise ValueError(f"a RecordBatch of {self.bytes + grown} bytes; the format ends at 2 GiB")
        self._parts += parts
        self._first, self._latest, self.count = first, latest, offset_delta
        self.bytes += grown

    def build(self, base_offset: int) -> bytes:
        """The batch: offsets rise by one from `base_offset` (0 <= base_offset < 2**63)."""
        return b"".join(self.parts(base_offset))

    def parts(self, base_offset: int) -> tuple[Bytes, ...]:
        """The batch in pieces, for whoever copies them into a frame: `bytes` in all."""
        if not self.count:
            raise ValueError("a RecordBatch holds at least one record")
        body = b"".join(self._parts)
        return _header(body, self.count, self._first, self._latest, base_offset), body


class EncodedBatch:
    """A batch that is encoded already, for instance by a Kafka producer: kept byte for byte but for its base offset.
    `body`: what stands behind `data`, if they were made apart. Whoever takes one from outside checks it first
    (`opened_batch`): in a frame it is covered by the frame's checksum and not looked at again."""

    __slots__ = ("_body", "_data", "bytes", "count")

    def __init__(self, data: Bytes, count: int, body: Bytes = b"") -> None:
        self._data = data
        self._body = body
        self.count = count
        self.bytes = len(data) + len(body)

    def build(self, base_offset: int) -> bytes:
        return b"".join(self.parts(base_offset))

    def parts(self, base_offset: int) -> tuple[Bytes, ...]:
        """The batch in pieces, for whoever copies them into a frame: `bytes` in all."""
        return base_offset.to_bytes(8, "big"), memoryview(self._data)[8:], self._body


def record_batch(body: Bytes, count: int, timestamp_ms: int) -> EncodedBatch:
    """The batch of `count` records that `body` holds already, all at the time `timestamp_ms`."""
    return EncodedBatch(_header(body, count, timestamp_ms, timestamp_ms, 0), count, body)


def _header(body: Bytes, count: int, first_ms: int, latest_ms: int, base_offset: int) -> bytes:
    """What stands before the records of a batch."""
    checked = _AFTER_CRC.pack(0, count - 1, first_ms, latest_ms, -1, -1, -1, count)
    length = len(checked) + len(body) + (_CHECKED_FROM - _LENGTH_FROM)
    return _UP_TO_CRC.pack(base_offset, length, 0, 2, crc32c(body, crc32c(checked))) + checked


def encode_batch(records: Sequence[Record], base_offset: int) -> bytes:
    """The bytes of one uncompressed batch of at least one record. ValueError for what the format cannot hold."""
    builder = BatchBuilder()
    builder.append(records)
    return builder.build(base_offset)


def _encode_headers(headers: tuple[tuple[str, bytes], ...]) -> bytes:
    parts = [varint(len(headers))]
    for name, value in headers:
        encoded = name.encode()
        parts += (varint(len(encoded)), encoded, varint(len(value)), value)
    return b"".join(parts)


class OpenedBatch(NamedTuple):
    """A batch whose header and checksum are right: what is left is `records` records in `body`, inflated."""

    base_offset: int
    body: bytes | memoryview
    records: int
    first_ms: int
    append_ms: int | None  # the broker's time, when it stands for that of every record


def opened_batch(data: bytes | memoryview, *, checked: bool = False) -> OpenedBatch:
    """Check exactly one batch up to its records; its checksum not if another that covers it was `checked`. Raises
    MalformedBatch.

    `data` is one whole batch and nothing after it. Offsets are base offset + index: a batch with holes (a compacted
    one) is refused, for a position in the ledger is an ordinal.
    """
    if len(data) < HEADER_BYTES:
        raise _malformed(f"{len(data)} bytes are less than a batch header of {HEADER_BYTES}", 0)
    fields = _HEADER.unpack_from(data)
    base_offset, length, _, magic, crc, attributes, last_delta, first, latest, _, _, _, count = fields
    if magic != 2:
        raise _malformed(f"magic {magic}; only record format 2 (Kafka 0.11 and later) is read", 16)
    if length != len(data) - _LENGTH_FROM:
        raise _malformed(f"batchLength {length}, but {len(data) - _LENGTH_FROM} bytes follow it", 8)
    if not checked and crc32c(memoryview(data)[_CHECKED_FROM:]) != crc:
        raise _malformed("CRC32C does not match", _CRC_AT)
    if attributes & _CONTROL:
        raise _malformed("a control batch (transaction marker) holds no records", _CHECKED_FROM)
    if count < 1 or last_delta != count - 1:
        raise _malformed(f"{count} records and lastOffsetDelta {last_delta}: not a dense batch", 23)
    body: bytes | memoryview = memoryview(data)[HEADER_BYTES:]
    if attributes & 7:
        body = _inflate(bytes(body), attributes & 7)
    if count > len(body) // _RECORD_BYTES_MIN:
        raise _malformed(f"{count} records cannot fit in {len(body)} bytes", 57)
    return OpenedBatch(base_offset, body, count, first, latest if attributes & _LOG_APPEND_TIME else None)


def decode_batch(data: bytes | memoryview) -> tuple[int, list[Record]]:
    """(base offset, records) of exactly one batch, as `opened_batch` takes it. Raises MalformedBatch."""
    opened = opened_batch(data)
    records = _decode_records(bytes(opened.body), opened.records, opened.first_ms)
    if opened.append_ms is not None:
        records = [record._replace(timestamp_ms=opened.append_ms) for record in records]
    return opened.base_offset, records


def _inflate(body: bytes, codec: int) -> bytes:
    if codec != _GZIP:
        name = _CODECS[codec] if codec < len(_CODECS) else str(codec)
        raise _malformed(f"compression {name} is not read; send uncompressed or gzip", _CHECKED_FROM)
    try:
        inflater = zlib.decompressobj(wbits=31)
        inflated = inflater.decompress(body, INFLATED_BYTES_MAX)
    except zlib.error as error:
        raise _malformed(f"gzip: {error}", HEADER_BYTES) from None
    if not inflater.eof or inflater.unused_data:
        raise _malformed(f"gzip stream is cut short, followed by bytes, or above {INFLATED_BYTES_MAX}", HEADER_BYTES)
    return inflated


def _decode_records(body: bytes, count: int, first: int) -> list[Record]:
    records: list[Record] = []
    at = 0
    try:
        for index in range(count):
            size, start = _varint(body, at)
            end = start + size
            if size < 0 or end > len(body):
                raise _malformed(f"record {index} has length {size} beyond the batch", at)
            record, at = _decode_record(body, start + 1, first, index)
            if at != end:
                raise _malformed(f"record {index} has length {size}, its fields take {at - start}", start)
            records.append(record)
    except (IndexError, UnicodeDecodeError):
        raise _malformed(f"record {len(records)} is cut short or not UTF-8", at) from None
    if at != len(body):
        raise _malformed(f"{len(body) - at} bytes after the last record", at)
    return records


def _decode_record(body: bytes, at: int, first: int, index: int) -> tuple[Record, int]:
    """One record whose timestamp delta starts at `at`; the record and where it ends."""
    delta, at = _varint(body, at)
    timestamp = first + delta
    if not _INT64_MIN <= timestamp <= _INT64_MAX:
        raise _malformed(f"record {index} has a timestamp outside 64 bits", at)
    number, at = _varint(body, at)
    if number != index:
        raise _malformed(f"record {index} says it is record {number}", at)
    key, at = _field(body, at)
    value, at = _field(body, at)
    count, at = _varint(body, at)
    if count == 0:
        return Record(key, value, timestamp), at
    if not 0 < count <= len(body) // 2:
        raise _malformed(f"record {index} has {count} headers", at)
    headers: list[tuple[str, bytes]] = []
    for _ in range(count):
        name, at = _field(body, at)
        content, at = _field(body, at)
        if name is None:
            raise _malformed(f"record {index} has a header without a name", at)
        headers.append((name.decode(), content or b""))
    return Record(key, value, timestamp, tuple(headers)), at


def _field(body: bytes, at: int) -> tuple[bytes | None, int]:
    size = body[at]
    if size < 0x80:  # one byte: 0..63 or a null
        at += 1
        size = (size >> 1) ^ -(size & 1)
    else:
        size, at = _varint(body, at)
    if size < 0:
        if size != -1:
            raise _malformed(f"length {size}", at)
        return None, at
    end = at + size
    if end > len(body):
        raise _malformed(f"a field of {size} bytes goes beyond the batch", at)
    return body[at:end], end


def _varint(body: bytes, at: int) -> tuple[int, int]:
    byte = body[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    rest, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = body[at]
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise _malformed("a varint of more than ten bytes", at)
    if rest >> 64:
        raise _malformed("a varint outside 64 bits", at)
    return (rest >> 1) ^ -(rest & 1), at + 1


def _malformed(what: str, at: int) -> MalformedBatch:
    return MalformedBatch(f"not a RecordBatch: {what}", where=f"byte {at}", cure="send Kafka record format 2")
