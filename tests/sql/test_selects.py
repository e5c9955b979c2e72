"""One construct, one plan: what a SELECT becomes, line by line (indentation is input)."""

from pathlib import Path

import pytest

from nextpaint.sql.plan import (
    Changes,
    GroupAggregate,
    OverAggregate,
    Project,
    TemporalJoin,
    Window,
    WindowAggregate,
    WindowKind,
)
from tests.sql.shop import node, plan

MINUTE = 60_000


def traits(query: str) -> str:
    """Event time, key and change mode of the result."""
    _, _, found = plan(query).splitlines()[0].partition("  [")
    return found.rstrip("]")


def shapes() -> list[object]:
    """(query, plan) of each block of the file."""
    blocks = (Path(__file__).parent / "plans.txt").read_text().split("\n== ")[1:]
    return [
        pytest.param(lines[1], lines[2:], id=lines[0]) for lines in (block.strip("\n").split("\n") for block in blocks)
    ]


@pytest.mark.parametrize(("query", "expected"), shapes())
def test_the_plan_of(query, expected):
    assert plan(query).splitlines() == expected


def test_aggregates_name_columns_of_their_input():
    root = node("SELECT s, SUM(i + 1) FILTER (WHERE bo) AS n FROM t GROUP BY s")
    assert isinstance(root, Project)
    group = root.input
    assert isinstance(group, GroupAggregate)
    [total] = group.aggregates
    assert (group.keys, total.args, total.filter) == ((0,), (2,), 1)
    assert group.schema.key == (0,)
    assert group.schema.changes is Changes.RETRACT


def test_decay_finds_the_event_time_in_its_input():
    group = node("SELECT s, DECAYED_COUNT(INTERVAL '10' SECOND) AS n FROM t GROUP BY s").input
    assert isinstance(group, GroupAggregate)
    assert group.input.schema.rowtime == 1
    assert group.aggregates[0].parameter == 10_000


def test_over_appends_its_aggregates_to_the_input():
    root = node("SELECT SUM(i) OVER (PARTITION BY s ORDER BY ts ROWS 3 PRECEDING) AS n FROM (SELECT s, i, ts FROM t)")
    over = root.input
    assert isinstance(over, OverAggregate)
    assert over.schema.names == ("s", "i", "ts", "sum$0")
    assert (over.partition, over.order, over.unit, over.preceding) == ((0,), 2, "ROWS", 3)


def test_a_window_aggregation_has_keys_bounds_and_aggregates():
    query = (
        "SELECT n FROM (SELECT s, COUNT(*) AS n, window_start, window_end FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), "
        "INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)) GROUP BY s, window_start, window_end)"
    )
    window = node(query).input.input
    assert isinstance(window, WindowAggregate)
    assert window.window == Window(WindowKind.HOP, 5 * MINUTE, MINUTE)
    assert window.schema.names == ("s", "window_start", "window_end", "window_time", "count$0")
    assert window.schema.rowtime == 3
    assert window.schema.changes is Changes.APPEND


def test_a_temporal_join_has_both_keys_and_pads_with_null():
    join = node("SELECT * FROM t AS a LEFT JOIN pair FOR SYSTEM_TIME AS OF a.ts AS p ON p.l = a.i AND p.k = a.s")
    assert isinstance(join, TemporalJoin)
    assert [join.left.schema.names[index] for index in join.left_keys] == ["s", "i"]
    assert [join.right.schema.names[index] for index in join.right_keys] == ["k", "l"]
    assert (join.left.schema.names[join.left_time], join.right.schema.names[join.right_time]) == ("ts", "ts")
    assert join.outer
    assert all(field.nullable for field in join.schema.fields[-4:])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT i, ts FROM t WHERE i > 1", "rowtime ts"),
        ("SELECT ts AS happened FROM t", "rowtime happened"),
        ("SELECT CAST(ts AS TIMESTAMP_LTZ(3)) AS ts FROM t", ""),
        ("SELECT COALESCE(ts, ts) AS ts FROM t", ""),
        ("SELECT lt AS ts FROM t", ""),
        ("SELECT ts FROM (SELECT ts FROM t)", "rowtime ts"),
        ("SELECT ts FROM t UNION ALL SELECT lt FROM (SELECT CAST(lt AS TIMESTAMP(3)) AS lt FROM t)", ""),
        ("SELECT MAX(ts) AS ts FROM t", "retract"),
        ("SELECT s AS k, COUNT(*) AS n FROM t GROUP BY s", "key k; retract"),
        ("SELECT COUNT(*) AS n FROM t GROUP BY s", "retract"),
    ],
)
def test_event_time_keys_and_changes_are_tracked(query, expected):
    assert traits(query) == expected
