"""RecordBatch v2: golden bytes built by hand from the specification, round trips, and hostile input."""

import gzip
import struct

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.record import codec
from nextpaint.record.codec import BatchBuilder, EncodedBatch, MalformedBatch, Record, decode_batch, encode_batch
from nextpaint.record.errors import RequestError

INT64 = st.integers(-(2**62), 2**62 - 1)  # two of them differ by what a varint of 64 bits holds
HEADERS = st.lists(st.tuples(st.text(max_size=6), st.binary(max_size=20)), max_size=3).map(tuple)
RECORDS = st.lists(
    st.builds(Record, st.none() | st.binary(max_size=80), st.none() | st.binary(max_size=300), INT64, HEADERS),
    min_size=1,
    max_size=20,
)

# Two records by the specification, field by field, with the varints worked out by hand (zigzag: 1 -> 2, -1 -> 1).
GOLDEN_BODY = (
    b"\x18\x00\x00\x00\x02k\x0avalue\x00"  # length 12, attributes 0, delta 0, offset 0, key 1, value 5, no headers
    b"\x16\x00\x09\x02\x01\x00\x02\x04id\x02\x07"  # length 11, time -5, offset 1, null key, empty value, id: 0x07
)


def sealed(
    body: bytes, *, count: int, attributes: int = 0, base: int = 7, first: int = 1000, last: int = 1000
) -> bytes:
    """A batch around `body`, assembled field by field, independently of the encoder."""
    checked = struct.pack(">hiqqqhii", attributes, count - 1, first, last, -1, -1, -1, count) + body
    return struct.pack(">qiibI", base, 9 + len(checked), 0, 2, crc32c(checked)) + checked


def test_the_bytes_are_those_of_the_kafka_specification():
    records = [Record(b"k", b"value", 1000), Record(None, b"", 995, (("id", b"\x07"),))]
    golden = sealed(GOLDEN_BODY, count=2)
    assert encode_batch(records, 7) == golden
    assert decode_batch(golden) == (7, records)
    assert golden[16] == 2, "magic"
    assert int.from_bytes(golden[17:21]) == crc32c(golden[21:]), "the CRC covers everything from the attributes on"


@given(RECORDS, st.integers(0, 2**62))
def test_what_is_encoded_is_decoded(records, base_offset):
    assert decode_batch(encode_batch(records, base_offset)) == (base_offset, records)
    assert decode_batch(memoryview(encode_batch(records, base_offset)))[1] == records


@given(RECORDS, st.data())
def test_a_batch_may_grow_in_any_portions(records, data):
    builder = BatchBuilder()
    rest = records
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        builder.append(rest[:size])
        rest = rest[size:]
    assert builder.build(3) == encode_batch(records, 3)
    assert builder.bytes == len(builder.build(3))


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, 8191, 8192, 16383, 16384, 2**31, 2**63 - 1, -(2**63)])
def test_varints_hold_64_bits(number):
    encoded = codec.varint(number)
    assert codec._varint(encoded, 0) == (number, len(encoded))


def test_the_base_offset_may_be_rewritten_without_a_new_checksum():
    records = [Record(b"k", b"v", 1)]
    assert EncodedBatch(encode_batch(records, 0), 1).build(99) == encode_batch(records, 99)


def test_one_bad_record_leaves_the_batch_as_it_was():
    builder = BatchBuilder()
    builder.append([Record(b"a", b"1", 5)])
    before = builder.build(0)
    for bad in (Record(b"b", b"2", 2**64), Record(b"b", b"2", 5, (("\ud800", b""),))):
        with pytest.raises(ValueError):
            builder.append([Record(b"ok", b"ok", 5), bad])
    assert builder.build(0) == before
    with pytest.raises(ValueError, match="at least one record"):
        encode_batch([], 0)


def test_gzip_is_read():
    assert decode_batch(sealed(gzip.compress(GOLDEN_BODY), count=2, attributes=1))[1][0].value == b"value"


def test_log_append_time_is_the_time_of_every_record():
    _, records = decode_batch(sealed(GOLDEN_BODY, count=2, attributes=8, last=5000))
    assert [record.timestamp_ms for record in records] == [5000, 5000]


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        (b"", "less than a batch header"),
        (sealed(GOLDEN_BODY, count=2)[:-1], "batchLength"),
        (sealed(GOLDEN_BODY, count=2) + b"x", "batchLength"),
        (sealed(GOLDEN_BODY, count=2)[:16] + b"\1" + sealed(GOLDEN_BODY, count=2)[17:], "magic 1"),
        (sealed(GOLDEN_BODY, count=2)[:-1] + b"x", "CRC32C"),
        (sealed(GOLDEN_BODY, count=3), "cut short"),
        (sealed(GOLDEN_BODY, count=1), "after the last record"),
        (sealed(GOLDEN_BODY, count=1 << 30), "cannot fit"),
        (sealed(GOLDEN_BODY, count=0), "not a dense batch"),
        (sealed(GOLDEN_BODY, count=2, attributes=0x20), "control batch"),
        (sealed(GOLDEN_BODY, count=2, attributes=4), "zstd"),
        (sealed(b"no gzip", count=1, attributes=1), "gzip"),
        (sealed(gzip.compress(GOLDEN_BODY)[:-3], count=2, attributes=1), "gzip"),
        (sealed(gzip.compress(bytes(codec.INFLATED_BYTES_MAX + 1)), count=2, attributes=1), "gzip"),
        (sealed(b"\x0e\x00\x00\x02\x01\x01\x00\x00", count=1), "says it is record 1"),
        (sealed(b"\x0c\x00\x00\x00\x03\x01\x00", count=1), "length -2"),
        (sealed(b"\x0c\x00\x00\x00\x7e\x01\x00", count=1), "beyond the batch"),
        (sealed(b"\x0c\x00\x00\x00\x01\x01\x01", count=1), "-1 headers"),
        (sealed(b"\x80" * 20, count=1), "ten bytes"),
        (sealed(b"\x14\x00\x00\x00\x01\x01\x02\x02\xff\x00\x00", count=1), "UTF-8"),
    ],
)
def test_malformed_bytes_are_named(batch, complaint):
    with pytest.raises(MalformedBatch, match=complaint) as caught:
        decode_batch(batch)
    assert isinstance(caught.value, RequestError)
    assert isinstance(caught.value, ValueError)


@given(st.binary(max_size=200), st.integers(0, 20), st.sampled_from([0, 1, 8]))
def test_any_body_is_read_or_refused(body, count, attributes):
    """With a right checksum, so that the fields themselves are reached."""
    try:
        _, records = decode_batch(sealed(body, count=count, attributes=attributes))
    except MalformedBatch:
        return
    assert len(records) == count


@given(RECORDS, st.data())
def test_a_changed_batch_is_refused_or_says_the_same_records(records, data):
    batch = bytearray(encode_batch(records, 5))
    at = data.draw(st.integers(0, len(batch) - 1))
    batch[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_batch(bytes(batch))[1]
    except MalformedBatch:
        return
    assert at < 16, "only base offset and leader epoch are outside the checksum"
    assert decoded == records
