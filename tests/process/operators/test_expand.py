"""UNNEST: what each kind of collection becomes, and that changes keep their kinds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nextpaint.process.functions import table_functions
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.types import STRING, Field, multiset
from nextpaint.sql import table_functions as planned_functions
from nextpaint.sql.plan import Expand
from tests.process.operators.driving import Driven, Event, Row, found, net, numbered, planned, same_at_every_cut

TABLES = "CREATE TABLE t (k INT, a ARRAY<INT>, m MAP<STRING, INT>, r ARRAY<ROW<x INT, y STRING>>);"
ROWS: list[Row] = [
    (1, (10, None, 10), {"p": 1, "q": None}, ((1, "a"), None)),
    (2, (), {}, ()),
    (3, None, None, None),
]


def expanded(query: str, rows: list[Row] = ROWS) -> list[Row]:
    node = found(planned(TABLES, query), Expand)
    changes = same_at_every_cut(node, [Event(0, INSERT, row) for row in rows])
    width = len(node.input.schema.fields)
    return [(row[0], *row[width:]) for _, _, row in changes]


CASES: list[tuple[str, list[Row]]] = [
    ("SELECT k, x FROM t CROSS JOIN UNNEST(a) AS u (x)", [(1, 10), (1, None), (1, 10)]),
    ("SELECT k, x FROM t LEFT JOIN UNNEST(a) AS u (x) ON TRUE", [(1, 10), (1, None), (1, 10), (2, None), (3, None)]),
    ("SELECT k, x, n FROM t, UNNEST(a) WITH ORDINALITY AS u (x, n)", [(1, 10, 1), (1, None, 2), (1, 10, 3)]),
    (
        "SELECT k, x, n FROM t LEFT JOIN UNNEST(a) WITH ORDINALITY AS u (x, n) ON TRUE",
        [(1, 10, 1), (1, None, 2), (1, 10, 3), (2, None, None), (3, None, None)],
    ),
    ("SELECT k, a1, b1 FROM t, UNNEST(m) AS u (a1, b1)", [(1, "p", 1), (1, "q", None)]),
    ("SELECT k, x, y FROM t, UNNEST(r) AS u", [(1, 1, "a")]),
]


@pytest.mark.parametrize(("query", "rows"), CASES)
def test_what_a_collection_becomes(query: str, rows: list[Row]) -> None:
    assert expanded(query) == rows


def multisets(query: str, rows: list[Row]) -> list[Row]:
    node = found(
        planned("CREATE TABLE t (k INT, m MULTISET<STRING>, r MULTISET<ROW<x INT, y STRING>>);", query), Expand
    )
    return [row[-2:] for _, _, row in same_at_every_cut(node, [Event(0, INSERT, row) for row in rows])]


def test_a_multiset_gives_each_value_as_often_as_it_is_in_it() -> None:
    query = "SELECT k, x FROM t CROSS JOIN UNNEST(m) WITH ORDINALITY AS u (x, n)"
    given: list[Row] = [(1, {"p": 2, "q": 1, "z": None}, None), (2, {}, None), (3, None, None)]
    assert multisets(query, given) == [("p", 1), ("p", 2), ("q", 3)]
    rows: list[Row] = [(1, None, (((1, "a"), 2), ((None, None), 1)))]
    assert multisets("SELECT k, x FROM t, UNNEST(r) AS u (x, y)", rows) == [(1, "a"), (1, "a"), (None, None)]


def test_a_multiset_of_too_many_values_fails_its_row() -> None:
    unnest = table_functions.TABLE_FUNCTIONS["UNNEST"]((multiset(STRING),))
    with pytest.raises(ValueError, match="more than 1000000 values"):
        list(unnest({"p": 2_000_000_000}))


def test_changes_keep_their_kinds_and_take_back_what_they_gave() -> None:
    node = found(planned(TABLES, CASES[0][0]), Expand)
    old, new = (1, (1, 2), None, None), (1, (2, 3), None, None)
    events = [Event(0, kind, row) for kind, row in ((INSERT, old), (UPDATE_BEFORE, old), (UPDATE_AFTER, new))]
    changes = same_at_every_cut(node, events)
    assert [kind for _, kind, _ in changes] == [INSERT] * 2 + [UPDATE_BEFORE] * 2 + [UPDATE_AFTER] * 2
    assert net([*changes, *same_at_every_cut(node, [Event(0, DELETE, new)])]) == Counter()


def test_a_reading_expands_what_waits_upstream() -> None:
    driven = Driven(found(planned(TABLES, CASES[0][0]), Expand))
    driven.wait([Event(0, INSERT, row) for row in ROWS])
    assert [(change.row[0], change.row[-1]) for change in driven.operator.pending({0: 1}, 0)] == CASES[0][1]


def test_another_table_function_is_called_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(text: Any) -> list[Row]:
        if text == "bad":
            raise ValueError("no words in it")
        return [(each,) for each in text.split()]

    monkeypatch.setitem(planned_functions.TABLE_FUNCTIONS, "WORDS", lambda types, at: (Field("word", STRING),))
    monkeypatch.setitem(table_functions.TABLE_FUNCTIONS, "WORDS", lambda types: words)
    node = found(planned("CREATE TABLE t (s STRING);", "SELECT s, w FROM t, LATERAL TABLE(WORDS(s)) AS u (w)"), Expand)
    driven = Driven(node)
    assert [row for _, _, row in driven.step(numbered([Event(0, INSERT, (text,)) for text in ("a b", "bad", "")]))] == [
        ("a b", "a"),
        ("a b", "b"),
    ]
