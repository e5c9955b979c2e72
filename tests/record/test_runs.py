"""Runs: places of records in the bytes of a batch, and what of them a step takes."""

import gzip

import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.record.codec import MalformedBatch, Record, decode_batch, encode_batch
from nextpaint.record.runs import Arriving, Run, gathered, joined, numbered

fields = st.none() | st.binary(max_size=90)
drawn = st.lists(
    st.builds(
        Record, fields, fields, st.integers(0, 2**41),
        st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=5)), max_size=2).map(tuple),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def pairs(run):
    return [(run.key(index), run.value(index)) for index in range(len(run))]


@given(drawn, st.data())
def test_places_are_those_of_the_records(records, data):
    run = Run.of_batch("t", 7, 1000, encode_batch(records, 3))
    assert pairs(run) == [(record.key, record.value) for record in records]
    begin = data.draw(st.integers(0, len(records)))
    end = data.draw(st.integers(begin, len(records)))
    part = run.part(begin, end)
    assert pairs(part) == pairs(run)[begin:end] and part.seq == 7 + begin
    assert part.first is (begin == 0)
    assert pairs(run.after(7 + begin)) == pairs(run)[begin + 1 :]


@given(drawn)
def test_records_as_objects_make_the_same_run(records):
    run = Run.of_records("t", 0, 1, records)
    assert pairs(run) == [(record.key, record.value) for record in records]
    twice, places = joined([run, run.part(1, len(run)), run])
    whole = Run("t", 0, 1, True, twice, places)
    assert pairs(whole) == pairs(run) + pairs(run)[1:] + pairs(run)


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 5)), max_size=6))
def test_records_are_numbered_as_their_runs_are(drawn):
    nothing = np.zeros(0, np.uint8)
    runs = [Run("t", seq, at_ms, True, nothing, np.zeros((size, 4), np.int64)) for seq, at_ms, size in drawn]
    seqs, clocks = numbered(runs)
    assert seqs.tolist() == [seq + record for seq, _, size in drawn for record in range(size)]
    assert clocks.tolist() == [at_ms for _, at_ms, size in drawn for _ in range(size)]


@given(st.lists(drawn, min_size=1, max_size=3), st.data())
def test_runs_of_one_frame_are_joined_without_a_copy(batches, data):
    encoded = [encode_batch(records, 0) for records in batches]
    whole = np.frombuffer(b"before" + b"".join(encoded) + b"behind", np.uint8)
    runs, at = [], 6
    for batch in encoded:
        runs.append(Run.of_batch("t", 0, 0, batch, (whole, at)))
        at += len(batch)
    expected = [pair for run in runs for pair in pairs(run)]
    assert expected == [(record.key, record.value) for records in batches for record in records]
    cut = data.draw(st.integers(0, len(runs[0])))
    parts = [runs[0].part(0, cut), runs[0].part(cut, len(runs[0])), *runs[1:]]
    buffer, places = joined(parts)
    if all(run.buffer is whole for run in runs):  # not those whose headers the walk leaves to the other decoder
        assert not len(buffer) or np.shares_memory(buffer, whole)
    assert pairs(Run("t", 0, 0, True, buffer, places)) == expected


def test_a_record_that_reaches_into_the_next_batch_is_refused():
    batch = encode_batch([Record(None, b"abc", 0)], 0)
    longer = bytearray(batch)
    longer[61] += 4  # the record's length, two more
    longer[17:21] = crc32c(bytes(longer[21:])).to_bytes(4, "big")
    whole = np.frombuffer(bytes(longer) + batch, np.uint8)
    with pytest.raises(MalformedBatch):
        Run.of_batch("t", 0, 0, bytes(longer), (whole, 0))


def test_compressed_batches_are_inflated():
    plain = encode_batch([Record(b"k", b"v" * 100, 5)], 0)
    body = gzip.compress(plain[61:])
    checked = (1).to_bytes(2, "big") + plain[23:61] + body
    packed = (
        plain[:8] + (9 + len(checked)).to_bytes(4, "big") + plain[12:17] + crc32c(checked).to_bytes(4, "big") + checked
    )
    assert decode_batch(packed)[1][0].value == b"v" * 100
    assert pairs(Run.of_batch("t", 0, 0, packed)) == [(b"k", b"v" * 100)]
    within = np.frombuffer(b"xx" + packed, np.uint8)
    assert pairs(Run.of_batch("t", 0, 0, packed, (within, 2))) == [(b"k", b"v" * 100)]


@given(drawn, st.data())
def test_damage_under_a_right_checksum_is_refused_as_by_the_other_decoder(records, data):
    batch = bytearray(encode_batch(records, 0))
    at = data.draw(st.integers(61, len(batch) - 1))
    batch[at] = data.draw(st.integers(0, 255))
    batch[17:21] = crc32c(bytes(batch[21:])).to_bytes(4, "big")
    try:
        expected = [(record.key, record.value) for record in decode_batch(bytes(batch))[1]]
    except MalformedBatch:
        with pytest.raises(MalformedBatch):
            Run.of_batch("t", 0, 0, bytes(batch))
    else:
        assert pairs(Run.of_batch("t", 0, 0, bytes(batch))) == expected


def test_records_one_by_one_are_gathered_by_topic_clock_and_entry():
    told = [("a", 1, True), ("a", 1, False), ("a", 1, True), ("b", 1, False), ("b", 2, False)]
    runs = gathered(Arriving(seq, at, topic, None, b"x", first) for seq, (topic, at, first) in enumerate(told))
    assert [(run.topic, run.seq, len(run), run.at_ms, run.first) for run in runs] == [
        ("a", 0, 2, 1, True), ("a", 2, 1, 1, True), ("b", 3, 1, 1, False), ("b", 4, 1, 2, False),
    ]  # fmt: skip


def test_a_run_without_some_records_keeps_places_and_the_beginning_of_its_entry():
    run = Run.of_records("t", 10, 5, [Record(None, b"%d" % n, 0) for n in range(6)])
    parts = run.without({9, 10, 13, 99})
    assert [(each.seq, len(each), each.first) for each in parts] == [(11, 2, True), (14, 2, False)]
    assert [parts[1].value(at) for at in range(2)] == [b"4", b"5"]
    assert [len(each) for each in run.without(())] == [6]
    assert run.without(set(range(10, 16))) == []
