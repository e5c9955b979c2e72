"""Rows appended and dropped are those of a plain byte string; a snapshot is of its own moment."""

from hypothesis import given
from hypothesis import strategies as st

from nextpaint.stream import packed
from nextpaint.stream.packed import PackedRows

STEPS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60)


@given(STEPS, st.integers(1, 40), st.binary(max_size=9))
def test_rows_are_those_of_a_plain_string(steps, chunk_bytes, begun):
    whole, rows, number = begun, PackedRows(begun), 0
    before = packed.CHUNK_BYTES
    packed.CHUNK_BYTES = chunk_bytes
    try:
        snapshots = []
        for appended, dropped in steps:
            for _ in range(appended):
                number += 1
                rows.append(b"%03d" % (number % 1000))
                whole += b"%03d" % (number % 1000)
            dropped = min(dropped, len(whole))
            rows.drop(dropped)
            whole = whole[dropped:]
            snapshots.append((rows.snapshot(), whole))
        assert [made() for made, _ in snapshots] == [expected for _, expected in snapshots]
    finally:
        packed.CHUNK_BYTES = before
