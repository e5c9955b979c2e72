"""Mirrors follow their tables: columns, codes and places are what a fresh mirror would say, whatever changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process import places as places_of
from nextpaint.process.mirror import TableMirror
from nextpaint.process.operators.protocol import Output
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT
from nextpaint.record.types import DOUBLE, STRING, Field

FIELDS = (Field("item", STRING), Field("category", STRING), Field("price", DOUBLE))
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["left", "right"]),
        st.sampled_from("abcdefgh"),
        st.sampled_from(["x", "y", None]),
        st.booleans(),
    ),
    max_size=60,
)


def table() -> MaterialisedTable:
    return MaterialisedTable("table/t", FIELDS, (0,), (), State())


def content(mirror: TableMirror) -> dict[Any, Any]:
    category, price = mirror.column("category", 0).to_list(), mirror.column("price", 0).to_list()
    return {key: (category[slot], price[slot]) for key, slot in mirror.slots.items()}


@given(CHANGES, st.integers(1, 5), st.sampled_from([3, 8, 100_000]))
def test_a_mirror_that_follows_equals_a_fresh_one(changes: list[Any], every: int, log: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places_of, "LOG_MAX", log)
        check_that_mirrors_follow(changes, every)


def check_that_mirrors_follow(changes: list[Any], every: int) -> None:
    tables = {"left": table(), "right": table()}
    mirrors = {name: TableMirror(each, {}) for name, each in tables.items()}
    for mirror in mirrors.values():
        mirror.declare(["price"], ["category"])
    mirrors["left"].place(mirrors["right"])
    for number, (name, item, category, gone) in enumerate(changes):
        each = tables[name]
        row = each.get((item,)) if gone else (item, category, float(number))
        if row is not None:
            each.apply(Output(each.nothing), DELETE if gone else INSERT, number, row, number)
        if number % every == 0:
            for mirror in mirrors.values():
                mirror.take_in(every)
            mirrors["left"].place(mirrors["right"])
        if number == 30:  # the same table, made again: as when another application takes over
            again = tables["left"] = table()
            for key, stored in each.rows.items() if name == "left" else mirrors["left"]._table.rows.items():
                again.rows.put(key, stored)
            mirrors["left"].rebind(again, {})
    left, right = mirrors["left"], mirrors["right"]
    places = left.places_in(right)
    for name, mirror in mirrors.items():
        assert content(mirror) == {key[0]: tables[name].get(key)[1:] for key, _ in tables[name].rows.items()}  # type: ignore[index]
        codes, of = mirror.codes("category")
        names = {code: value for value, code in of.items()}
        assert {key: names.get(int(codes[slot])) for key, slot in mirror.slots.items()} == {
            key: row[0] for key, row in content(mirror).items()
        }
    assert {key: int(places[slot]) for key, slot in left.slots.items()} == {
        key: right.slots.get(key, -1) for key in left.slots
    }
