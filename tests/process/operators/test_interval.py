"""Interval joins against a computation over all rows, and their rules for late rows and memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.record.columns import INSERT, MAX_WATERMARK
from nextpaint.sql.plan import IntervalJoin, JoinKind
from tests.process.operators.driving import Driven, Event, Row, found, net, numbered, planned, run, same_at_every_cut

TABLES = """
    CREATE TABLE l (k INT, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE r (k INT, w INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
"""
BOUNDS = {
    "around": ("l.ts BETWEEN r.ts - INTERVAL '0.002' SECOND AND r.ts + INTERVAL '0.003' SECOND", -2, 3),
    "after": ("l.ts > r.ts AND l.ts <= r.ts + INTERVAL '0.004' SECOND", 1, 4),
    "before": ("r.ts - INTERVAL '0.001' SECOND >= l.ts AND r.ts < l.ts + INTERVAL '0.005' SECOND", -4, -1),
    "equal": ("l.ts = r.ts", 0, 0),
    "never": ("l.ts BETWEEN r.ts + INTERVAL '0.002' SECOND AND r.ts - INTERVAL '0.002' SECOND", 2, -2),
}
KINDS = ("", "LEFT", "RIGHT", "FULL")


def node_of(kind: str, bounds: str, more: str = "") -> IntervalJoin:
    text = f"SELECT l.k, v, l.ts, r.k AS k2, w, r.ts AS ts2 FROM l {kind} JOIN r ON l.k = r.k AND {BOUNDS[bounds][0]}"
    node: IntervalJoin = found(planned(TABLES, text + more), IntervalJoin)
    return node


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bounds_are_read_from_every_spelling(name: str) -> None:
    node = node_of("", name)
    assert (node.lower, node.upper) == BOUNDS[name][1:]
    assert (node.left_keys, node.right_keys, node.residual) == ((0,), (0,), None)


def expected(node: IntervalJoin, left: list[Row], right: list[Row]) -> Counter[Row]:
    def matches(a: Row, b: Row) -> bool:
        return a[0] is not None and a[0] == b[0] and node.lower <= a[2] - b[2] <= node.upper

    rows = Counter(a + b for a in left for b in right if matches(a, b))
    if node.kind.pads_left:
        rows += Counter((*a, None, None, None) for a in left if not any(matches(a, b) for b in right))
    if node.kind.pads_right:
        rows += Counter((None, None, None, *b) for b in right if not any(matches(a, b) for a in left))
    return rows


key = st.one_of(st.none(), st.integers(0, 1), st.integers(0, 1))
arrivals = st.lists(st.tuples(st.integers(0, 1), key, st.integers(0, 3), st.integers(0, 4)), max_size=25)


def fed(drawn: list[tuple[int, Any, int, int]], late: int) -> tuple[list[Event], list[list[Row]]]:
    """Rows in rising time, up to `late` ms out of order, each side with its watermark after every row."""
    events: list[Event] = []
    rows: list[list[Row]] = [[], []]
    now, newest = 10, [0, 0]
    for port, k, step, back in drawn:
        now += step
        row = (k, len(events), now - min(back, late))
        rows[port].append(row)
        events.append(Event(port, INSERT, row))
        newest[port] = max(newest[port], now - late - 1)
        events.append(Event(port, watermark=newest[port]))
    return events, rows


@pytest.mark.parametrize("bounds", sorted(BOUNDS))
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(drawn=arrivals)
def test_rows_in_time_give_the_join_of_all_rows(kind: str, bounds: str, drawn: list[Any]) -> None:
    node = node_of(kind, bounds)
    events, rows = fed(drawn, 2)
    assert net(same_at_every_cut(node, events, seeds=1)) == expected(node, *rows)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(drawn=arrivals, cut=st.integers(0, 50), key=st.integers(0, 1))
def test_a_reading_joins_what_waits_and_pads_the_rest(kind: str, drawn: list[Any], cut: int, key: int) -> None:
    node = node_of(kind, "around")
    events, rows = fed(drawn, 2)
    driven = Driven(node)
    before = driven.step(numbered(events[:cut]))
    driven.wait(events[cut:])
    now = net(before) + Counter(each.row for each in driven.operator.pending({}, 0))
    assert now == expected(node, *rows)
    keyed = net(before) + Counter(each.row for each in driven.operator.pending({0: key}, 0))
    assert {row: n for row, n in keyed.items() if row[0] == key} == {row: n for row, n in now.items() if row[0] == key}


@settings(max_examples=50, deadline=None)
@given(drawn=arrivals)
def test_late_rows_lose_partners_but_nobody_is_lost(drawn: list[Any]) -> None:
    """Whatever is late, every row of a full join comes out: in a pair or padded, at every cut."""
    node = node_of("FULL", "around")
    events, rows = fed(drawn, 0)
    shuffled = sorted(range(len(events)), key=lambda at: (at * 7919) % 13)
    mixed = [events[at] for at in shuffled]
    output = net(same_at_every_cut(node, mixed, seeds=2))
    assert set(output) <= set(expected(node_of("FULL", "around"), *rows)) | padded(rows)
    assert {row[:3] for row in output if row[:3] != (None,) * 3} == set(rows[0])
    assert {row[3:] for row in output if row[3:] != (None,) * 3} == set(rows[1])


def padded(rows: list[list[Row]]) -> set[Row]:
    return {(*row, None, None, None) for row in rows[0]} | {(None, None, None, *row) for row in rows[1]}


def both(watermark: int) -> list[Event]:
    return [Event(port, watermark=watermark) for port in (0, 1)]


def test_an_expired_row_is_padded_at_once_and_memory_is_let_go() -> None:
    """Bounds [-2, 3]: a left row at 10 can meet right rows up to 12."""
    node = node_of("LEFT", "around")
    driven = Driven(node)
    assert not driven.step(numbered([Event(0, INSERT, (1, 1, 10)), *both(12)]))
    assert driven.operator.held == 1
    assert driven.step([(9, Event(1, watermark=13)), (9, Event(0, watermark=13))]) == [
        (9, INSERT, (1, 1, 10, None, None, None))
    ]
    assert driven.state.rows() == len(["watermark"] * 3 + ["expired"] * 2), "no row and no timer is kept"
    assert driven.step([(10, Event(0, INSERT, (1, 2, 10)))]) == [(10, INSERT, (1, 2, 10, None, None, None))]


def test_the_watermark_is_held_back_by_the_larger_bound() -> None:
    driven = Driven(node_of("", "around"))
    driven.step(numbered(both(100)))
    assert driven.marks == [(1, 97)]
    driven.step([(5, each) for each in both(MAX_WATERMARK)])
    assert driven.marks == [(5, MAX_WATERMARK)]


def test_a_further_condition_belongs_to_on() -> None:
    node = node_of("LEFT", "around", " AND v < w")
    rows = [Event(0, INSERT, (1, 5, 10)), Event(1, INSERT, (1, 4, 10)), Event(1, INSERT, (1, 6, 11))]
    assert net(run(node, rows)) == Counter([(1, 5, 10, 1, 6, 11)])


def test_which_times_stay_time_attributes() -> None:
    kinds = {kind: node_of(kind, "around").schema.times for kind in KINDS}
    assert kinds == {"": (2, 5), "LEFT": (2,), "RIGHT": (5,), "FULL": ()}
    assert node_of("FULL", "around").kind is JoinKind.FULL
