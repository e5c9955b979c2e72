"""Regular joins against a computation over the whole content, at random cuts and from random checkpoints."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.runner import Runner
from nextpaint.record.columns import DELETE, INSERT, KIND_NAMES, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.sql.plan import Join, JoinKind, Node
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, whole
from tests.process.operators.driving import Driven, Event, Row, found, net, numbered, planned, run, same_at_every_cut

TABLES = "CREATE TABLE l (k INT, v INT); CREATE TABLE r (k INT, w INT);"
QUERIES = {
    "INNER": "SELECT l.k, v, r.k AS k2, w FROM l JOIN r ON l.k = r.k",
    "LEFT": "SELECT l.k, v, r.k AS k2, w FROM l LEFT JOIN r ON l.k = r.k",
    "RIGHT": "SELECT l.k, v, r.k AS k2, w FROM l RIGHT JOIN r ON l.k = r.k",
    "FULL": "SELECT l.k, v, r.k AS k2, w FROM l FULL JOIN r ON l.k = r.k",
    "INNER if": "SELECT l.k, v, r.k AS k2, w FROM l JOIN r ON l.k = r.k AND l.v < r.w",
    "LEFT if": "SELECT l.k, v, r.k AS k2, w FROM l LEFT JOIN r ON l.k = r.k AND ABS(l.v) < r.w",
    "FULL if": "SELECT l.k, v, r.k AS k2, w FROM l FULL JOIN r ON l.k = r.k AND l.v < r.w",
    "FULL null": "SELECT l.k, v, r.k AS k2, w FROM l FULL JOIN r ON l.k IS NOT DISTINCT FROM r.k",
    "CROSS": "SELECT l.k, v, r.k AS k2, w FROM l CROSS JOIN r",
    "SEMI": "SELECT k, v FROM l WHERE k IN (SELECT k FROM r)",
    "SEMI if": "SELECT k, v FROM l WHERE EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.w > l.v)",
    "ANTI": "SELECT k, v FROM l WHERE NOT EXISTS (SELECT 1 FROM r WHERE r.k = l.k)",
    "ANTI in": "SELECT k, v FROM l WHERE k NOT IN (SELECT k FROM r)",
}
NODES = {name: found(planned(TABLES, query), Join) for name, query in QUERIES.items()}


def test_the_queries_are_the_joins_they_say() -> None:
    for name, node in NODES.items():
        kind = name.split(" ")[0]
        assert node.kind is (JoinKind.INNER if kind == "CROSS" else JoinKind(kind))
        assert bool(node.left_keys) == (name not in ("CROSS", "ANTI in"))


def matches(name: str, left: Row, right: Row) -> bool | None:
    (k, v), (k2, w) = left, right
    if name == "CROSS":
        return True
    if name == "FULL null":
        return k == k2
    if k is None or k2 is None:
        return None
    if name == "LEFT if":
        return k == k2 and v is not None and w is not None and abs(v) < w
    return k == k2 and (not name.endswith(" if") or (v is not None and w is not None and v < w))


def expected(name: str, left: Counter[Row], right: Counter[Row]) -> Counter[Row]:
    """The join of two multisets, pair by pair."""
    kind = NODES[name].kind
    lefts, rights = list(left.elements()), list(right.elements())
    if kind is JoinKind.SEMI:
        return Counter(row for row in lefts if any(matches(name, row, each) for each in rights))
    if name == "ANTI in":
        return Counter(row for row in lefts if all(matches(name, row, each) is False for each in rights))
    if kind is JoinKind.ANTI:
        return Counter(row for row in lefts if not any(matches(name, row, each) for each in rights))
    rows = Counter(a + b for a in lefts for b in rights if matches(name, a, b))
    if kind.pads_left:
        rows += Counter((*a, None, None) for a in lefts if not any(matches(name, a, b) for b in rights))
    if kind.pads_right:
        rows += Counter((None, None, *b) for b in rights if not any(matches(name, a, b) for a in lefts))
    return rows


small = st.one_of(st.none(), st.integers(0, 2))
moves = st.lists(st.tuples(st.integers(0, 1), small, small, st.sampled_from(["+", "+", "-", "u"])), max_size=25)


def events_of(drawn: list[tuple[int, Any, Any, str]]) -> tuple[list[Event], list[Counter[Row]]]:
    """A legal changelog of both sides, and what it leaves."""
    content: list[Counter[Row]] = [Counter(), Counter()]
    events: list[Event] = []
    for port, key, value, what in drawn:
        row, held = (key, value), content[port]
        if what != "+" and not held:
            continue
        if what == "+":
            events.append(Event(port, INSERT, row))
            held[row] += 1
            continue
        old = sorted(held, key=repr)[0]
        held[old] -= 1
        content[port] = held = +held
        events.append(Event(port, DELETE if what == "-" else UPDATE_BEFORE, old))
        if what == "u":
            events.append(Event(port, UPDATE_AFTER, row))
            held[row] += 1
    return events, content


@pytest.mark.parametrize("name", sorted(QUERIES))
@settings(max_examples=25, deadline=None)
@given(drawn=moves)
def test_what_a_join_leaves_is_the_join_of_what_its_sides_leave(name: str, drawn: list[Any]) -> None:
    events, content = events_of(drawn)
    changes = same_at_every_cut(NODES[name], events, seeds=1)
    assert net(changes) == expected(name, *content)
    if NODES[name].kind in (JoinKind.INNER, JoinKind.SEMI) and all(each.kind == INSERT for each in events):
        assert all(kind == INSERT for _, kind, _ in changes), "appended rows joined are appended"


@pytest.mark.parametrize("name", sorted(QUERIES))
@settings(max_examples=15, deadline=None)
@given(drawn=moves, cut=st.integers(0, 25), key=st.integers(0, 2))
def test_a_reading_joins_what_waits_upstream(name: str, drawn: list[Any], cut: int, key: int) -> None:
    """Rows that wait upstream, read through `pending`, give what they would give on arrival; so for one key."""
    events, content = events_of(drawn)
    driven = Driven(NODES[name])
    before = driven.step(numbered(events[:cut]))
    driven.wait(events[cut:])
    whole = [(0, each.kind, each.row) for each in driven.operator.pending({}, 0)]
    assert net_any(before + whole) == expected(name, *content)
    keyed = [(0, each.kind, each.row) for each in driven.operator.pending({0: key}, 0)]
    assert only(net_any(before + keyed), key) == only(expected(name, *content), key)
    assert driven.operator.pending({}, 0) == driven.operator.pending({}, 0), "a reading changes nothing"


def net_any(changes: list[tuple[int, int, Row]]) -> Counter[Row]:
    """The rows left when the two sides' waiting rows come one side after the other."""
    rows: Counter[Row] = Counter()
    for _, kind, row in changes:
        rows[row] += -1 if kind in (UPDATE_BEFORE, DELETE) else 1
    return Counter({row: count for row, count in rows.items() if count})


def only(rows: Counter[Row], key: int) -> Counter[Row]:
    return Counter({row: count for row, count in rows.items() if row[0] == key})


def changelog(node: Node, *events: Event) -> list[tuple[str, Row]]:
    return [(KIND_NAMES[kind], row) for _, kind, row in run(node, events)]


def test_a_left_join_pads_takes_back_and_pads_again() -> None:
    """The changelog of Flink 2.3 for an update of the right side."""
    left, right = (1, 10), (1, 20)
    assert changelog(
        NODES["LEFT"], Event(0, INSERT, left), Event(1, INSERT, right),
        Event(1, UPDATE_BEFORE, right), Event(1, UPDATE_AFTER, (1, 21)), Event(0, DELETE, left),
    ) == [
        ("+I", (1, 10, None, None)),
        ("-D", (1, 10, None, None)), ("+I", (1, 10, 1, 20)),
        ("-U", (1, 10, 1, 20)), ("+I", (1, 10, None, None)),
        ("-D", (1, 10, None, None)), ("+I", (1, 10, 1, 21)),
        ("-D", (1, 10, 1, 21)),
    ]  # fmt: skip


def test_an_inner_join_passes_the_kind_of_the_change_on() -> None:
    assert changelog(
        NODES["INNER"], Event(0, INSERT, (1, 1)), Event(1, INSERT, (1, 2)),
        Event(1, UPDATE_BEFORE, (1, 2)), Event(1, UPDATE_AFTER, (1, 3)),
    ) == [("+I", (1, 1, 1, 2)), ("-U", (1, 1, 1, 2)), ("+U", (1, 1, 1, 3))]  # fmt: skip


def test_not_in_with_a_null_gives_nothing() -> None:
    assert changelog(NODES["ANTI in"], Event(0, INSERT, (1, 1)), Event(1, INSERT, (None, 2))) == [
        ("+I", (1, 1)),
        ("-D", (1, 1)),
    ]


def test_a_failing_condition_matches_nothing_and_is_reported() -> None:
    node = found(planned(TABLES, "SELECT l.k, w FROM l LEFT JOIN r ON l.k = r.k AND l.k / r.w > 0"), Join)
    assert net(run(node, [Event(0, INSERT, (1, 1)), Event(1, INSERT, (1, 0))])) == Counter([(1, 1, None, None)])


def test_rows_not_written_for_their_time_to_live_are_forgotten() -> None:
    """As in Flink a forgotten row meets nobody, and what was told about it stays."""
    sql = """
        SET 'table.exec.state.ttl' = '10 s';
        CREATE TABLE l (k INT, v INT);
        CREATE TABLE r (k INT, w INT);
        CREATE TABLE pairs (k INT, v INT, w INT);
        INSERT INTO pairs SELECT l.k, v, w FROM l JOIN r ON l.k = r.k;"""
    moves = [("l", {"k": 1, "v": 1}), ("r", {"k": 1, "w": 1}), ("r", {"k": 1, "w": 2}), ("l", {"k": 1, "v": 2})]
    arriving = records(moves, at_ms=1_000, step_ms=6_000)

    def make() -> Runner:
        return runner_of(plan_program([("test.sql", sql)], {}))

    outputs = whole(make(), arriving)
    assert [tuple(row.row.values()) for row in outputs] == [(1, 1, 1), (1, 2, 2)]
    half = make()
    first = whole(half, arriving[:2])
    again = reloaded(half, make)
    assert outputs_of([*first, *cut(again, arriving[2:], 1, 1)]) == outputs_of(outputs)
