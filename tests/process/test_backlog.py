"""A follower that takes a cell in by portions, while it is written, ends with what the cell holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process import state
from nextpaint.process.backlog import Backlog, FirstColumns
from nextpaint.process.kernels.paged import STRING, WORD
from nextpaint.process.state import Cell
from nextpaint.process.typed import TypedCell

KEYS = st.tuples(st.sampled_from("abc"), st.integers(0, 40))
WRITES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 9), st.integers(0, 3)), max_size=120)


def typed() -> TypedCell:
    return TypedCell("t/rows", (STRING, WORD, WORD), 2)


def wrote(cell: Cell, key: Any, value: int | None) -> None:
    if value is None:
        cell.pop(key)
    else:
        cell.put(key, (value,))


@pytest.mark.parametrize("made", [lambda: Cell("t/rows"), typed], ids=["general", "typed"])
@given(before=WRITES, after=WRITES, most=st.integers(1, 20))
def test_what_is_taken_in_by_portions_is_what_there_is(made: Any, before: Any, after: Any, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "PAGE_ROWS", 3)
        cell = made()
        for key, value, _ in before:
            wrote(cell, key, value)
        backlog, index, seen = Backlog(cell), FirstColumns(cell), dict[Any, Any]()
        for key, value, turns in after:
            wrote(cell, key, value)
            for _ in range(turns):
                index.take_in(most)
                for taken in backlog.take(most):
                    seen[taken] = cell.get(taken)
        while len(backlog):
            for taken in backlog.take(most):
                seen[taken] = cell.get(taken)
        assert {key: value for key, value in seen.items() if value is not None} == dict(cell.items())
        first: dict[Any, Any] = {}
        for key, _ in cell.items():
            first.setdefault(key[0], set()).add(key)
        assert {name: set(keys) for name, keys in index.keys().items() if keys} == first


def test_a_follower_goes_over_to_another_cell_and_hears_of_the_first_no_more() -> None:
    one, other = Cell("t/rows"), Cell("t/rows")
    for cell in (one, other):
        cell.put(("a", 1), (1,))
    backlog = Backlog(one)
    with pytest.raises(RuntimeError, match="behind"):
        backlog.rebind(other)
    assert backlog.take() == [("a", 1)]
    backlog.rebind(other)
    one.put(("b", 2), (2,))
    assert len(backlog) == 0
    other.put(("c", 3), (3,))
    assert backlog.take() == [("c", 3)]
    assert one.watchers == []
