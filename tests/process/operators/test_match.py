"""MATCH_RECOGNIZE against a search of all rows, and what each clause means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.record.columns import INSERT
from nextpaint.sql.plan import Match
from tests.process.operators.driving import Driven, Event, Row, found, numbered, planned, same_at_every_cut

TABLE = "CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);"
MEASURES = "MEASURES FIRST(A.v) AS a, COUNT(B.v) AS n, LAST(B.v) AS b, C.v AS c"


def node_of(pattern: str, skip: str, define: str, measures: str = MEASURES) -> Match:
    text = f"""SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts {measures} ONE ROW PER MATCH
        AFTER MATCH SKIP {skip} PATTERN ({pattern}) DEFINE {define}) AS m"""
    node: Match = found(planned(TABLE, text), Match)
    return node


def rows_of(node: Match, values: list[int], key: str = "x") -> list[Row]:
    """What comes out for these values, one a second, with a watermark after each."""
    events: list[Event] = []
    for second, value in enumerate(values, 1):
        events += [Event(0, INSERT, (key, value, second * 1000)), Event(0, watermark=second * 1000)]
    return [row[1:] for _, _, row in same_at_every_cut(node, events, seeds=2)]


FALL_AND_RISE = "B AS B.v < LAST(B.v, 1) OR (LAST(B.v, 1) IS NULL AND B.v < A.v), C AS C.v > LAST(B.v)"


@pytest.mark.parametrize(
    ("skip", "expected"),
    [
        ("TO LAST C", [(10, 2, 7, 9), (9, 1, 5, 6)]),
        ("PAST LAST ROW", [(10, 2, 7, 9)]),
        ("TO NEXT ROW", [(10, 2, 7, 9), (8, 1, 7, 9), (9, 1, 5, 6)]),
    ],
)
def test_where_matching_goes_on(skip: str, expected: list[Row]) -> None:
    assert rows_of(node_of("A B+ C", skip, FALL_AND_RISE), [10, 8, 7, 9, 5, 6]) == expected


def search(values: list[int], greedy: bool) -> list[Row]:
    """A+ with v > 5, then B* with v < 3 and C with v < 9, past the last row: the longest or shortest way first."""
    rows: list[Row] = []
    start = 0
    while start < len(values):
        found_at = None
        middle = start
        if values[start] > 5:
            middle += 1
            while middle < len(values) and values[middle] < 3 and (greedy or not values[middle] < 9):
                middle += 1
            if middle < len(values) and values[middle] < 9:
                found_at = middle
        if found_at is None:
            start += 1
            continue
        between = values[start + 1 : found_at]
        rows.append((values[start], len(between), between[-1] if between else None, values[found_at]))
        start = found_at + 1
    return rows


@pytest.mark.parametrize("greedy", [True, False])
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 9), max_size=20))
def test_a_greedy_variable_takes_what_it_can_and_a_reluctant_one_what_it_must(greedy: bool, values: list[int]) -> None:
    node = node_of(f"A B*{'' if greedy else '?'} C", "PAST LAST ROW", "A AS A.v > 5, B AS B.v < 3, C AS C.v < 9")
    assert rows_of(node, values) == search(values, greedy)


@settings(max_examples=40, deadline=None)
@given(drawn=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9), st.integers(0, 3)), max_size=30))
def test_keys_are_matched_apart_at_every_cut(drawn: list[Any]) -> None:
    node = node_of("A B+ C", "PAST LAST ROW", FALL_AND_RISE)
    events: list[Event] = []
    per_key: dict[str, list[int]] = {}
    for place, (key, value, step) in enumerate(drawn):
        time = place * 10
        per_key.setdefault(key, []).append(value)
        events += [Event(0, INSERT, (key, value, time)), Event(0, watermark=time - step * 5)]
    output = [row for _, _, row in same_at_every_cut(node, events, seeds=2)]
    for key, values in per_key.items():
        assert [row[1:] for row in output if row[0] == key] == rows_of(node, values, key)


def test_rows_are_matched_in_order_of_time_and_late_ones_dropped() -> None:
    driven = Driven(node_of("A C", "PAST LAST ROW", "C AS C.v > A.v", "MEASURES A.v AS a, C.v AS c"))
    early = [Event(0, INSERT, ("x", 2, 2000)), Event(0, INSERT, ("x", 1, 1000)), Event(0, watermark=2000)]
    assert [row for _, _, row in driven.step(numbered(early))] == [("x", 1, 2)]
    driven.step([(9, Event(0, INSERT, ("x", 0, 2000)))])
    assert (driven.operator.late, driven.operator.held) == (1, 0)


def test_within_ends_a_match_that_takes_as_long() -> None:
    text = """SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES A.v AS a, B.v AS b
        AFTER MATCH SKIP TO NEXT ROW PATTERN (A B) WITHIN INTERVAL '10' SECOND DEFINE A AS A.v = 1, B AS B.v = 2)"""
    node = found(planned(TABLE, text), Match)
    for seconds, expected in ((9, [("x", 1, 2)]), (10, [])):
        events = [Event(0, INSERT, ("x", 1, 1000)), Event(0, INSERT, ("x", 2, 1000 + seconds * 1000))]
        assert [row for _, _, row in same_at_every_cut(node, [*events, Event(0, watermark=60_000)])] == expected
    driven = Driven(node)
    driven.step(numbered([Event(0, INSERT, ("x", 1, 1000)), Event(0, watermark=10_999)]))
    assert driven.operator.next_timer() == 11_000
    driven.step([(9, Event(0, watermark=11_000))])
    assert driven.state.rows() == 2, "the watermark alone is left"


def test_a_condition_that_fails_goes_to_the_dead_letters() -> None:
    node = node_of("A C", "PAST LAST ROW", "C AS 10 / C.v > 1", "MEASURES A.v AS a, C.v AS c")
    assert rows_of(node, [1, 0, 5]) == [(0, 5)]


def test_the_match_has_a_time_attribute() -> None:
    node = node_of("A C", "PAST LAST ROW", "C AS C.v > 1", "MEASURES A.v AS a, MATCH_ROWTIME() AS at_time")
    assert node.schema.rowtime == 2
