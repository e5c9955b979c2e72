"""Outputs as columns give the very bytes, identities and order that rows one by one would."""

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextpaint.process.outputs import FEW, Block, OutputIdentity, OutputRow, Outputs, json_rows, output_value
from nextpaint.record.codec import decode_batch
from nextpaint.record.columns import Batch, Column, TextColumn
from nextpaint.record.runs import Run
from nextpaint.record.types import BIGINT, BOOLEAN, BYTES, DOUBLE, INT, STRING, TIMESTAMP, array, decimal

TYPES = (STRING, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP, decimal(9, 2), BYTES, array(STRING), INT)
NAMES = ("s", "n", 'x "quoted"', "ok", "ts", "price", "raw", "tags", "größe")

longs = st.integers(-(2**63), 2**63 - 1)
reals = (
    st.floats() | st.integers(-(10**17), 10**17).map(float) | st.decimals(-(10**6), 10**6, places=3).map(float)
    | st.sampled_from([0.1 + 0.2, -0.0, 1e15, 999999999999999.9, 1e-4, 0.00012, 9.5e-5, 123456789.123456789])
)  # fmt: skip
text = st.text(max_size=12) | st.text('"\\/\b\f\n\r\t\x00\x1f\x7fé\u2028 plain ', max_size=20)
lines = st.tuples(
    st.none() | text, st.none() | longs, st.none() | reals, st.none() | st.booleans(), longs,
    st.none() | st.decimals(-99999, 99999, places=2), st.none() | st.binary(max_size=4),
    st.none() | st.lists(text, max_size=2), st.integers(-(2**31), 2**31 - 1),
)  # fmt: skip


def block(rows, seqs=None, operator=1):
    return Block.of("t", operator, NAMES, Batch.of(TYPES, rows, seqs or range(len(rows)), [0] * len(rows)))


@given(st.lists(lines, min_size=1, max_size=6), st.booleans())
@example([("a", -(2**63), float("nan"), True, 0, None, b"", [], 0)], True)
def test_the_bytes_are_those_of_rows_one_by_one(rows, held_as_places):
    made = block(rows)
    if held_as_places:
        strings = made.batch.columns[0]
        made.batch = made.batch.with_columns(
            [TextColumn(STRING, strings.views(), strings.valid), *made.batch.columns[1:]]
        )
    expected = [output_value(row) for row in made]
    assert json_rows(NAMES, made.batch.columns).raw() == expected
    batch = made.encoded(1_790_000_000_000).build(5)
    offset, records = decode_batch(batch)
    assert offset == 5
    assert [record.value for record in records] == expected
    assert {(record.key, record.timestamp_ms, record.headers) for record in records} == {(None, 1_790_000_000_000, ())}
    run = Run.of_batch("t", 0, 0, batch)
    assert [run.value(index) for index in range(len(run))] == expected


@given(st.lists(reals, min_size=1, max_size=30))
def test_doubles_have_their_shortest_text(values):
    column = Column.of(DOUBLE, values)
    expected = [output_value(OutputRow(OutputIdentity(0, 0, 0), "t", "+I", {"x": value})) for value in values]
    assert json_rows(("x",), (column,)).raw() == expected


@pytest.mark.parametrize("odd", ['"', "\\", "\n", "\x01", "é", "a"])
def test_texts_of_every_length_with_something_odd_at_every_place(odd):
    plain = "abcdefghijklmnopqrstuvwxyz"
    long = [(plain * 3)[:at] + odd + (plain * 3)[at:size] for size in (31, 32, 33, 65, 70) for at in range(size + 1)]
    texts = [plain[:at] + odd + plain[at:size] for size in range(26) for at in range(size + 1)] + long
    column = Column.of(STRING, texts)
    assert json_rows(("x",), (column,)).raw() == [msgspec.json.encode({"x": text}) for text in texts]


def test_whole_numbers_of_every_length():
    values = sorted({sign * (10**power + step) for power in range(19) for step in (-1, 0, 1) for sign in (1, -1)})
    values += [2**63 - 1, -(2**63), 2**63 - 2, 1 - 2**63]
    column = Column.of(BIGINT, values)
    assert json_rows(("x",), (column,)).raw() == [msgspec.json.encode({"x": value}) for value in values]


def test_many_records_have_the_right_lengths():
    """Varints of one, two and three bytes, for offsets and for lengths."""
    values = ["x" * size for size in (0, 40, 54, 55, 60, 8000, 8190, 8200, 70_000)] * 20
    made = Block.of("t", 1, ("s",), Batch.of((STRING,), [(each,) for each in values], range(180), [0] * 180))
    _, records = decode_batch(made.encoded(0).build(0))
    assert [record.value for record in records] == [b'{"s":"%s"}' % each.encode() for each in values]


ROW = ("a", 1, 1.0, True, 0, None, None, None, 0)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)),
)
def test_what_was_emitted_before_is_left_out(seqs, reached):
    seqs = sorted(seqs)
    outputs = Outputs(
        [block([ROW] * len(seqs), seqs, 1), block([ROW] * len(seqs), seqs, 2)],
        [OutputRow(OutputIdentity(seqs[0], 0, 0), "_dead", "+I", {"reason": "r"})],
    )
    identities = [row.identity for row in outputs]
    assert identities == sorted(set(identities)), "in order, and each once"
    assert outputs.last == identities[-1]
    left = outputs.after(OutputIdentity(*reached))
    assert [row.identity for row in left] == [each for each in identities if each > OutputIdentity(*reached)]
    assert len(left) == len(list(left))


@pytest.mark.parametrize("count", [1, FEW - 1, FEW, 40])
def test_few_rows_and_many_rows_are_the_same_records(count):
    outputs = Outputs([block([ROW] * count)])
    ((topic, records, batch),) = outputs.drafts(77)
    assert topic == "t" and (batch is None) == (count < FEW)
    found = records if batch is None else decode_batch(batch.build(0))[1]
    assert [(each.value, each.timestamp_ms) for each in found] == [(output_value(row), 77) for row in outputs]


def test_ordinals_count_the_rows_of_one_cause():
    assert block([ROW] * 6, [3, 3, 4, 7, 7, 7]).ordinals.tolist() == [0, 1, 0, 0, 1, 2]
    assert np.array_equal(block([], []).ordinals, [])
