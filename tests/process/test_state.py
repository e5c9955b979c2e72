"""Paged state: a cell is a dictionary, its hash sees content only, and a snapshot is the state of its moment."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.state import PAGE_ROWS, Cell, State

KEYS = st.one_of(st.integers(0, 40), st.text(max_size=3), st.tuples(st.text(max_size=2), st.integers(0, 5)))
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.tuples(st.integers(0, 9), st.text(max_size=3)),
)
WRITES = st.lists(st.tuples(KEYS, VALUES, st.booleans()), max_size=80)


def write(cell: Cell, model: dict[Any, Any], writes: list[Any]) -> None:
    for key, value, gone in writes:
        if gone:
            assert cell.pop(key) == model.pop(key, None)
        else:
            cell.put(key, value)
            model[key] = value


@given(WRITES)
def test_a_cell_is_a_dictionary(writes: list[Any]) -> None:
    cell, model = Cell("op/cell"), dict[Any, Any]()
    write(cell, model, writes)
    assert dict(cell.items()) == model
    assert len(cell) == len(model)
    assert all(cell.get(key) == value and key in cell for key, value in model.items())


@given(WRITES, WRITES)
def test_many_are_put_and_got_as_one_by_one(before: list[Any], after: list[Any]) -> None:
    one_by_one, together, model = Cell("op/cell"), Cell("op/cell"), dict[Any, Any]()
    for cell in (one_by_one, together):
        write(cell, {}, before)
        cell.hash()
        cell.freeze()
        cell.watchers.append(set())
    put = {key: value for key, value, gone in after if not gone}
    for key, value in put.items():
        one_by_one.put(key, value)
    together.put_all(put)
    model = dict(one_by_one.items())
    assert dict(together.items()) == model
    assert together.hash() == one_by_one.hash()
    assert together.watchers == one_by_one.watchers
    assert sum(page.hash for page in together.frozen_pages()) == sum(page.hash for page in one_by_one.frozen_pages())
    keys = [key for key, _, _ in before + after]
    assert together.several(keys) == [model.get(key) for key in keys]


def test_a_cell_grows_page_by_page() -> None:
    cell = Cell("op/cell")
    pages = []
    for key in range(40 * PAGE_ROWS):
        cell.put(key, key)
        pages.append(len(cell.pages))
    assert max(after - before for before, after in pairwise(pages)) == 1
    assert max(len(page) for page in cell.pages) < 6 * PAGE_ROWS
    assert all(cell.get(key) == key for key in range(40 * PAGE_ROWS))


@given(WRITES, st.randoms())
def test_the_hash_does_not_see_history_or_layout(writes: list[Any], chance: Any) -> None:
    cell, model = Cell("op/cell"), dict[Any, Any]()
    write(cell, model, writes)
    other = Cell("op/cell")
    for key in range(3 * PAGE_ROWS):  # more pages than the first ever had
        other.put(("filler", key), key)
    rows = list(model.items())
    chance.shuffle(rows)
    for key, value in rows:
        other.put(key, "to be replaced")
        other.put(key, value)
    for key in range(3 * PAGE_ROWS):
        other.pop(("filler", key))
    assert other.hash() == cell.hash()


def test_the_hash_sees_every_row_its_cell_and_its_value() -> None:
    hashes = set()
    for name, key, value in (("a", 1, 1), ("a", 1, 2), ("a", 2, 1), ("b", 1, 1), ("a", 1, 1.0), ("a", "1", 1)):
        cell = Cell(name)
        cell.put(key, value)
        hashes.add(cell.hash())
    assert len(hashes) == 6


def test_the_hash_is_kept_as_rows_change() -> None:
    cell = Cell("a")
    cell.put("x", 1)
    before = cell.hash()
    cell.put("y", 2)
    assert cell.hash() != before
    cell.pop("y")
    assert cell.hash() == before


def test_the_hash_is_the_same_in_every_process() -> None:
    program = (
        "from nextpaint.process.state import Cell\n"
        "cell = Cell('op/cell')\n"
        "for key in range(2000): cell.put((str(key), key), (key, 'x', 0.5))\n"
        "print(cell.hash())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(seen) == 1


@given(WRITES, WRITES, st.integers(1, 20))
def test_a_snapshot_is_the_state_of_its_moment_whatever_is_written_meanwhile(
    before: list[Any], during: list[Any], rows: int
) -> None:
    state, model = State(), dict[Any, Any]()
    cell = state.cell("op", "cell")
    write(cell, model, before)
    expected, moment = state.hash(), dict(model)
    snapshot = state.snapshot()
    pages: list[tuple[str, bytes]] = []
    for number in range(0, len(during), 4):
        write(cell, model, during[number : number + 4])
        pages += snapshot.slice(rows)
    while not snapshot.done:
        pages += snapshot.slice(rows)
    loaded = State()
    copy = loaded.cell("op", "cell")
    for _, data in pages:
        copy.load_page(data)
    assert dict(copy.items()) == moment
    assert snapshot.state_hash == loaded.hash() == expected
    assert dict(cell.items()) == model


def test_a_page_split_during_a_snapshot_is_in_it_once() -> None:
    state = State()
    cell = state.cell("op", "cell")
    for key in range(PAGE_ROWS):
        cell.put(key, key)
    snapshot = state.snapshot()
    for key in range(PAGE_ROWS, 8 * PAGE_ROWS):
        cell.put(key, key)
    loaded = State()
    copy = loaded.cell("op", "cell")
    while not snapshot.done:
        for _, data in snapshot.slice(50):
            copy.load_page(data)
    assert dict(copy.items()) == {key: key for key in range(PAGE_ROWS)}


def test_decimals_survive_a_checkpoint() -> None:
    state = State()
    cell = state.cell("op", "cell", decimals=True)
    cell.put(("a", Decimal("1.50")), (Decimal("-0.05"), ("x", Decimal("2"))))
    snapshot = state.snapshot()
    [(_, data)] = snapshot.slice(10)
    copy = State().cell("op", "cell", decimals=True)
    copy.load_page(data)
    assert dict(copy.items()) == dict(cell.items())


def test_watchers_are_told_of_every_changed_key() -> None:
    cell = Cell("a")
    changed: set[Any] = set()
    cell.watchers.append(changed)
    cell.put("x", 1)
    cell.put("y", 1)
    cell.pop("y")
    cell.pop("never there")
    assert changed == {"x", "y"}


def test_what_is_not_plain_is_refused() -> None:
    cell = Cell("a")
    cell.put("x", object())
    with pytest.raises(TypeError, match="only immutable plain values"):
        cell.hash()


def test_a_cell_is_made_once() -> None:
    state = State()
    state.cell("op", "cell")
    with pytest.raises(RuntimeError, match="unique"):
        state.cell("op", "cell")
