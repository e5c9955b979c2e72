"""Window joins against a computation over all rows of each window."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.record.columns import INSERT, MAX_WATERMARK
from nextpaint.sql.plan import JoinKind, WindowJoin
from tests.process.operators.driving import Driven, Event, Row, found, net, numbered, planned, same_at_every_cut

TABLES = """
    CREATE TABLE l (k INT, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE r (k INT, w INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
"""
SIDES = """WITH a AS (SELECT k, v, window_start, window_end FROM HOP(TABLE l, DESCRIPTOR(ts), INTERVAL '0.005' SECOND,
    INTERVAL '0.010' SECOND)), b AS (SELECT k, w, window_start AS ws, window_end AS we FROM HOP(TABLE r, DESCRIPTOR(ts),
    INTERVAL '0.005' SECOND, INTERVAL '0.010' SECOND)) """
SAME = "a.window_start = ws AND a.window_end = we"
QUERIES = {
    **{
        kind: f"{SIDES} SELECT a.k, v, window_end, b.k AS k2, w FROM a {kind} JOIN b ON a.k = b.k AND v <= w AND {SAME}"
        for kind in ("INNER", "LEFT", "RIGHT", "FULL")
    },
    "SEMI": f"{SIDES} SELECT k, v FROM a WHERE EXISTS (SELECT 1 FROM b WHERE a.k = b.k AND v <= w AND {SAME})",
    "ANTI": f"{SIDES} SELECT k, v FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.k = b.k AND v <= w AND {SAME})",
}
NODES: dict[str, WindowJoin] = {name: found(planned(TABLES, query), WindowJoin) for name, query in QUERIES.items()}


def expected(kind: JoinKind, left: list[Row], right: list[Row]) -> Counter[Row]:
    def matches(a: Row, b: Row) -> bool:
        return a[0] is not None and a[0] == b[0] and a[2:] == b[2:] and a[1] <= b[1]

    if kind.left_only:
        wanted = kind is JoinKind.SEMI
        return Counter(a for a in left if any(matches(a, b) for b in right) == wanted)
    rows = Counter(a + b for a in left for b in right if matches(a, b))
    if kind.pads_left:
        rows += Counter((*a, *(None,) * 4) for a in left if not any(matches(a, b) for b in right))
    if kind.pads_right:
        rows += Counter((*(None,) * 4, *b) for b in right if not any(matches(a, b) for a in left))
    return rows


key = st.one_of(st.none(), st.integers(0, 1), st.integers(0, 1))
moves = st.lists(
    st.one_of(st.tuples(st.integers(0, 1), key, st.integers(0, 3), st.integers(0, 3)), st.integers(0, 6)), max_size=20
)


def fed(drawn: list[Any]) -> tuple[list[Event], list[list[Row]]]:
    """Rows in windows [5 n, 5 n + 10), watermarks of both sides, and the rows that are in time."""
    events: list[Event] = []
    rows: list[list[Row]] = [[], []]
    watermark = 0
    for each in drawn:
        if isinstance(each, int):
            watermark += each
            events += [Event(port, watermark=watermark) for port in (0, 1)]
            continue
        port, k, value, window = each
        row = (k, value, 5 * window, 5 * window + 10)
        events.append(Event(port, INSERT, row))
        if row[3] - 1 > watermark:
            rows[port].append(row)
    return events, rows


@pytest.mark.parametrize("name", sorted(QUERIES))
@settings(max_examples=30, deadline=None)
@given(drawn=moves)
def test_each_window_is_joined_once_when_it_ends(name: str, drawn: list[Any]) -> None:
    events, rows = fed(drawn)
    changes = same_at_every_cut(NODES[name], events, seeds=1)
    assert net(changes) == expected(NODES[name].kind, *rows)
    assert all(kind == INSERT for _, kind, _ in changes)


@pytest.mark.parametrize("name", sorted(QUERIES))
@settings(max_examples=15, deadline=None)
@given(drawn=moves, cut=st.integers(0, 20), key=st.integers(0, 1))
def test_a_reading_joins_the_open_windows(name: str, drawn: list[Any], cut: int, key: int) -> None:
    events, _ = fed([each for each in drawn if not isinstance(each, int)])
    driven = Driven(NODES[name])
    assert not driven.step(numbered(events[:cut]))
    driven.wait(events[cut:])
    ended = [Event(port, watermark=MAX_WATERMARK) for port in (0, 1)]
    final = Counter(row for _, _, row in Driven(NODES[name]).step(numbered([*events, *ended])))
    assert Counter(each.row for each in driven.operator.pending({}, 0)) == final
    keyed = Counter(each.row for each in driven.operator.pending({0: key}, 0) if each.row[0] == key)
    assert keyed == Counter({row: n for row, n in final.items() if row[0] == key})


def test_a_row_whose_window_has_fired_is_late() -> None:
    driven = Driven(NODES["LEFT"])
    driven.step(numbered([Event(0, watermark=9), Event(1, watermark=9), Event(0, INSERT, (1, 1, 0, 10))]))
    assert driven.operator.late == 1
    assert not driven.operator.held
