"""A typed cell is a dictionary, as any cell; its hash sees content only, and a snapshot is the state of its moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels import erasing, paged
from nextpaint.process.kernels.paged import BYTES, REAL, STRING, TRUTH, WORD
from nextpaint.process.state import State
from nextpaint.process.typed import Packing, TypedCell
from nextpaint.record.columns import Column, TextColumn
from nextpaint.record.hashing import key_hashes
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, TIMESTAMP
from nextpaint.record.types import BYTES as BYTES_TYPE
from nextpaint.record.types import STRING as STRING_TYPE

WORDS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.none() | st.text(max_size=40)
KEYS = st.tuples(st.none() | st.sampled_from(["a", "b", "", "a longer key than a unit"]), st.none() | st.integers(0, 9))
VALUES = st.tuples(st.none() | WORDS, st.none() | st.floats(allow_nan=False), st.none() | st.booleans(), TEXTS)
WRITES = st.lists(st.tuples(KEYS, VALUES, st.booleans()), max_size=60)


def make(name: str = "op/cell") -> TypedCell:
    return TypedCell(name, (STRING, WORD, WORD, REAL, TRUTH, STRING), 2)


def write(cell: TypedCell, model: dict[Any, Any], writes: list[Any]) -> None:
    for key, value, gone in writes:
        if gone:
            assert cell.pop(key) == model.pop(key, None)
        else:
            cell.put(key, value)
            model[key] = value


def through_pages(state: State, fresh: TypedCell, between: Any = None) -> tuple[TypedCell, str]:
    snapshot = state.snapshot()
    while not snapshot.done:
        for _, body in snapshot.slice(3):
            fresh.load_page(body)
        if between is not None:
            between()
    return fresh, snapshot.state_hash


@given(WRITES)
def test_a_typed_cell_is_a_dictionary(writes: list[Any]) -> None:
    cell, model = make(), dict[Any, Any]()
    write(cell, model, writes)
    keys = [*model, ("never put", 1)]
    assert cell.several(keys) == [model.get(key) for key in keys]
    assert dict(cell.items()) == model
    assert len(cell) == len(model)
    assert all(cell.get(key) == value and key in cell for key, value in model.items())


@given(WRITES, st.randoms())
def test_the_hash_does_not_see_history_or_layout(writes: list[Any], chance: Any) -> None:
    cell, model = make(), dict[Any, Any]()
    write(cell, model, writes)
    other = make()
    for number in range(200):
        other.put(("filler", number), (number, 0.0, None, "x" * number))
    rows = list(model.items())
    chance.shuffle(rows)
    for key, value in rows:
        other.put(key, (1, 1.0, True, "to be replaced"))
        other.put(key, value)
    for number in range(200):
        other.pop(("filler", number))
    assert other.hash() == cell.hash()
    assert make("op/other").hash() == 0
    if model:
        third = make("op/other")
        write(third, {}, writes)
        assert third.hash() != cell.hash(), "the cell's name is hashed"


@given(WRITES, WRITES)
def test_a_snapshot_is_the_state_of_its_moment(before: list[Any], after: list[Any]) -> None:
    state, model = State(), dict[Any, Any]()
    cell = state.add(make())
    for number in range(300):
        cell.put(("old", number), (number, None, None, "y" * (number % 50)))
        model["old", number] = (number, None, None, "y" * (number % 50))
    write(cell, model, before)
    expected, hashed = dict(model), cell.hash()
    waiting = list(after)

    def between() -> None:
        write(cell, model, [waiting.pop()] if waiting else [])
        for number in range(0, 300, 37):
            cell.pop(("old", number))
            model.pop(("old", number), None)

    fresh, state_hash = through_pages(state, make(), between)
    assert dict(fresh.items()) == expected
    assert int(state_hash, 16) == hashed == fresh.hash()
    assert dict(cell.items()) == model


def test_growing_keeps_every_row_and_moves_none() -> None:
    cell = make()
    slots = {}
    for number in range(5_000):
        cell.put((None, number), (number, None, None, None))
        if number % 500 == 0:
            slots[number] = cell.find((None, number))
    assert all(cell.find((None, number)) == slot for number, slot in slots.items())
    assert all(cell.get((None, number))[0] == number for number in range(5_000))
    assert cell.get((None, 5_000)) is None


def test_freed_rows_and_strings_are_used_again() -> None:
    cell = make()
    for number in range(2_000):
        cell.put(("key", number), (None, None, None, "z" * 100))
        cell.pop(("key", number))
    assert cell.meta[paged.HIGH] == 1
    assert cell.size_bytes() < 400
    assert not cell.meta[paged.HEAP_USED]


def test_a_string_larger_than_a_segment_of_the_heap() -> None:
    cell = make()
    large = "ä" * 1_500_000
    cell.put(("k", 1), (None, None, None, large))
    cell.put(("k", 2), (None, None, None, "small"))
    assert cell.get(("k", 1))[3] == large
    assert cell.get(("k", 2))[3] == "small"


def test_texts_of_any_length_are_keys() -> None:
    cell = TypedCell("op/cell", (STRING, STRING, WORD), 2)
    keys = [("x" * size, "y" * (2_000 - size)) for size in (0, 1, 500, 1_023, 1_024, 1_025, 1_999)]
    cell.put_all({key: (at,) for at, key in enumerate(keys)})
    assert [cell.get(key) for key in keys] == [(at,) for at in range(len(keys))]


def test_the_hash_of_texts_does_not_see_where_they_lie() -> None:
    """Short ones are in their row, others in the heap; checkpoints of versions before that have this hash."""
    cell = TypedCell("golden", (STRING, WORD, STRING), 1)
    for size in range(40):
        cell.put(("".join(chr(97 + (size * 7 + at) % 26) for at in range(size)),), (size, "\0" * (size % 12)))
    assert f"{cell.hash():032x}" == "6f25af22e92d5f6778b68a233baaa215"


def test_a_damaged_page_is_refused() -> None:
    state = State()
    cell = state.add(make())
    cell.put(("k", 1), (1, 2.0, True, "text"))
    (_, body), *_ = state.snapshot().slice(10)
    for broken in (body[:-8], body + b"\0" * 8, b"\x09" + body[1:], body.replace(b"\x04\0\0\0\0\0\0\0", b"\xff" * 8)):
        with pytest.raises(ValueError, match="page"):
            make().load_page(broken)


def test_watchers_hear_of_changes() -> None:
    cell = make()
    heard: set[Any] = set()
    cell.watchers.append(heard)
    cell.put(("k", 1), (1, None, None, None))
    cell.pop(("k", 2))
    assert heard == {("k", 1)}


COLUMNS = st.lists(
    st.tuples(TEXTS, st.none() | WORDS, st.none() | st.booleans(), st.none() | st.binary(max_size=20),
              st.none() | st.floats(allow_nan=False)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(COLUMNS, st.booleans())
def test_packing_and_back(rows: list[Any], views: bool) -> None:
    types = (STRING_TYPE, TIMESTAMP, BOOLEAN, BYTES_TYPE, DOUBLE)
    columns = [Column.of(type_, [row[at] for row in rows]) for at, type_ in enumerate(types)]
    if views:
        columns[0] = TextColumn(STRING_TYPE, columns[0].views(), columns[0].valid)
    packing = Packing((STRING, WORD, TRUTH, BYTES, REAL))
    packed, kept = packing.rows(columns, len(rows))
    assert [tuple(row) for row in packing.values(packed, len(rows))] == rows
    back = packing.columns(packed, len(rows), range(len(types)), types)
    assert list(zip(*(column.to_list() for column in back), strict=True)) == rows
    for row in rows:
        assert packing.values(packing.one(row), 1) == [list(row)]
    digests = np.empty((len(rows), 2), np.int64)
    from nextpaint.process.kernels.packing import hash_packed

    hash_packed(packed, packing.keys((0, 1, 2, 3)), digests)
    assert np.array_equal(digests.view(np.uint64), key_hashes(columns, (0, 1, 2, 3)))
    assert BIGINT
    del kept


def test_more_texts_than_fields_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged, "UNITS_MAX", 2 * paged.HEAP_UNITS)
    cell = TypedCell("c", (WORD, STRING), 1)
    for key in range(1_024):
        cell.put((key,), ("x" * 2_048,))
    with pytest.raises(MemoryError, match="cell c: more than"):
        cell.put((1_024,), ("x" * 2_048,))


def test_texts_of_every_length_come_and_go_in_the_memory_of_those_before() -> None:
    cell = TypedCell("c", (WORD, STRING), 1)
    taken = set()
    for turn in range(6):
        for length in range(1_100):
            cell.put((length,), (chr(97 + turn) * length,))
        assert all(cell.get((length,)) == (chr(97 + turn) * length,) for length in range(1_100))
        for length in range(1_100):
            cell.pop((length,))
        taken.add(int(cell.meta[paged.HEAP_AT]))
        assert cell.meta[paged.HEAP_USED] == 0
    assert len(taken) == 1


def test_rows_that_nobody_looks_up_are_kept_as_any_others() -> None:
    kinds = (WORD, WORD, STRING)
    indexed = TypedCell("op/cell", kinds, 2, placed=True)
    for seq in range(3_000):
        indexed.put((seq, 0), (f"row number {seq}",))
    state = State()
    state.add(indexed)
    plain, state_hash = through_pages(state, TypedCell("op/cell", kinds, 2, placed=True, found=False))
    again = State()
    again.add(plain)
    assert again.hash() == state_hash
    assert dict(plain.items()) == dict(indexed.items())
    slots = np.array([slot for slot, fields in plain.rows() if fields[0] % 3], np.int64)
    plain.run(erasing.rows_removed, len(slots), slots)
    plain.reclaim()
    assert sorted(plain.items()) == [((seq, 0), (f"row number {seq}",)) for seq in range(0, 3_000, 3)]


def test_rows_that_are_not_found_by_their_key_are_not_said_to_be_missing() -> None:
    cell = TypedCell("op/cell", (WORD, WORD, STRING), 2, placed=True, found=False)
    for look in (lambda: cell.get((1, 0)), lambda: (1, 0) in cell, lambda: cell.several([(1, 0), (2, 0)])):
        with pytest.raises(RuntimeError, match="not found by their key"):
            look()
