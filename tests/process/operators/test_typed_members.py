"""Aggregates that must know single values, on typed state: equal to the general operator at every step, from any cut,
from a checkpoint, and for readings over what is held upstream."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_group import TypedGroup, fitting
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT, Batch, Column, RowColumn
from nextpaint.record.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    Field,
    Kind,
    Type,
    array,
)
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Changes, Scan, Schema
from tests.process.operators.both import Both, Rows, batches
from tests.process.operators.test_typed_group import changelog

SHOWN = Type(Kind.ROW, fields=(Field("item", STRING), Field("w", DOUBLE), Field("ts", TIMESTAMP)))
TYPES = (STRING, STRING, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP, SHOWN, INT)
COUNTED = Type(Kind.ROW, fields=(Field("value", STRING), Field("n", BIGINT)))
LISTS = (
    Aggregate("LAST_N", (6,), array(SHOWN), parameter=5),
    Aggregate("LAST_N", (1,), array(STRING), parameter=1, filter=4),
    Aggregate("LAST_N", (3,), array(DOUBLE), parameter=40),
    Aggregate("TOP_N_COUNTS", (1,), array(COUNTED), parameter=2),
)
SUMS = (
    Aggregate("DECAYED_SUM", (3,), DOUBLE, parameter=1_000),
    Aggregate("DECAYED_SUM", (2,), DOUBLE, parameter=7, filter=4),
    Aggregate("DECAYED_COUNT", (), DOUBLE, parameter=60_000),
)
DISTINCT = (
    Aggregate("COUNT", (1,), BIGINT, distinct=True),
    Aggregate("COUNT", (2,), BIGINT, distinct=True, filter=4),
    Aggregate("SUM", (7,), INT, distinct=True),
    Aggregate("AVG", (2,), BIGINT, distinct=True),
)
PLAIN = (Aggregate("COUNT", (), BIGINT), Aggregate("SUM", (3,), DOUBLE))


def node(aggregates: tuple[Aggregate, ...], keys: tuple[int, ...] = (0,), changes: Changes = Changes.APPEND) -> Any:
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(TYPES)), rowtime=5, changes=changes), "t")
    fields = tuple(Field(f"k{at}", TYPES[at]) for at in keys)
    fields += tuple(Field(f"a{at}", each.type) for at, each in enumerate(aggregates))
    return plan.GroupAggregate(Schema(fields), scan, keys, aggregates)


def row(chance: random.Random) -> tuple[Any, ...]:
    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.15 else value

    time = chance.choice((0, 5, 1_000, 3_000, 70_000, 10**6)) + chance.randint(0, 2_000)
    word = (
        f"{chance.choice('abc')}{chance.randint(0, 99) if chance.random() < 0.3 else ''}{'!' * chance.randint(0, 40)}"
    )
    shown = (maybe(word), maybe(chance.random()), maybe(time))
    return (
        maybe(chance.choice(("a", "b", "a key longer than one unit of the heap"))),
        maybe(word),
        maybe(chance.choice((0, 1, -7, 2**40, 2**62))),
        maybe(chance.choice((0.1, 1.0, -2.5, 1e300, float("inf"), 4e-9))),
        maybe(chance.random() < 0.7),
        maybe(time),
        maybe(shown),
        maybe(chance.randint(-3, 3)),
    )


def both(planned: Any, *, quiet: bool) -> Both:
    def general(sources: Any, state: State) -> GroupAggregate:
        made = GroupAggregate("group/1", planned, sources, state)
        made.keys_only = quiet
        return made

    def typed(sources: Any, state: State) -> GroupAggregate:
        made = choice.group("group/1", planned, sources, state, quiet=quiet)
        assert isinstance(made, TypedGroup)
        return made

    return Both([TYPES], general, typed, ["groups"])


def pair(made: Both) -> tuple[GroupAggregate, TypedGroup]:
    """The two operators, by their types."""
    assert isinstance(made.general, GroupAggregate) and isinstance(made.typed, TypedGroup)
    return made.general, made.typed


def run(planned: Any, rows: Rows, chance: random.Random, *, quiet: bool) -> Both:
    made = both(planned, quiet=quiet)
    for each in batches(TYPES, rows, [(30, 5), (90, 7)], chance, 17):
        made.step(each)
        if chance.random() < 0.2:
            made.upstream[0].changes = [Change(INSERT, row(chance)) for _ in range(3)]
            made.live({}, 10**6)
            made.live({0: "a"}, 10**6)
        if chance.random() < 0.15:
            made.reload()
    return made


@pytest.mark.parametrize("aggregates", [LISTS, SUMS, DISTINCT, PLAIN + LISTS[:2] + DISTINCT[:2] + SUMS[:1]])
@pytest.mark.parametrize("keys", [(0,), (7, 0)])
def test_equal_to_the_general_operator_where_only_keys_are_read(
    aggregates: tuple[Aggregate, ...], keys: tuple[int, ...]
) -> None:
    for seed in range(6):
        chance = random.Random(seed)
        rows: Rows = [(INSERT, seq, row(chance)) for seq in range(200)]
        run(node(aggregates, keys), rows, chance, quiet=True)


@pytest.mark.parametrize("aggregates", [SUMS, DISTINCT, PLAIN + DISTINCT[:2] + SUMS[:1]])
def test_finished_rows_are_equal(aggregates: tuple[Aggregate, ...]) -> None:
    for seed in range(6):
        chance = random.Random(seed)
        rows: Rows = [(INSERT, seq, row(chance)) for seq in range(150)]
        run(node(aggregates), rows, chance, quiet=False)


@pytest.mark.parametrize("quiet", [False, True])
def test_distinct_values_are_taken_back(quiet: bool) -> None:
    for seed in range(10):
        chance = random.Random(seed)
        planned = node(PLAIN[:1] + DISTINCT, changes=Changes.RETRACT)
        made = run(planned, changelog(chance, 200, row), chance, quiet=quiet)
        general, typed = pair(made)
        held = 0
        for key, _ in general.groups.items():
            kept, found = general.looked_at(key), typed.looked_at(key)
            assert kept is not None and found is not None and found.times == kept.times
            held += len(kept.times)
        assert len(made.state.cells["group/1/members"]) == held


def test_members_go_with_their_group() -> None:
    made = both(node(DISTINCT, changes=Changes.RETRACT), quiet=True)
    rows = [("a", f"value {at}", at, 1.0, True, 0, None, 1) for at in range(3_000)]
    made.step(Batch.of(TYPES, rows, range(3_000), [INSERT] * 3_000))
    made.step(Batch.of(TYPES, rows, range(3_000, 6_000), [DELETE] * 3_000))
    assert made.state.rows() == 0
    made.step(Batch.of(TYPES, rows, range(6_000, 9_000), [INSERT] * 3_000))


def test_the_last_of_many() -> None:
    """Rows that come in order, late and too late, with a list longer than a page and a snapshot under way."""
    chance = random.Random(3)
    made = both(node((Aggregate("LAST_N", (6,), array(SHOWN), parameter=500),)), quiet=True)
    seq = 0
    for number in range(60):
        rows = []
        for _ in range(chance.randint(1, 200)):
            time = 1_000 * seq - (chance.randint(0, 600_000) if chance.random() < 0.1 else 0)
            rows.append((chance.choice("ab"), None, 0, 0.0, True, time, (f"item {seq}", 1.0, time), 0))
            seq += 1
        made.step(Batch.of(TYPES, rows, range(seq - len(rows), seq), [INSERT] * len(rows)))
        if number % 20 == 10:
            made.reload()
    assert len(pair(made)[1].groups.get(("a",))[1][0]) == 500


def test_a_reading_is_kept_and_brought_up_to_date() -> None:
    made = both(node(LISTS[:1]), quiet=True)
    for seq, (time, item) in enumerate([(10, "a"), (20, "b"), (15, "c"), (30, "d"), (5, "e"), (40, "f"), (50, "g")]):
        row_ = ("k", None, 0, 0.0, True, time, (item, 1.0, time), 0)
        made.step(Batch.of(TYPES, [row_], [seq], [INSERT]))  # compares the reading
        made.agree()
    assert [each[1][0] for each in pair(made)[1].groups.get(("k",))[1][0]] == ["c", "b", "d", "f", "g"]


def test_a_row_given_as_columns_is_the_row_given_as_tuples() -> None:
    rows: list[tuple[Any, ...]] = [
        ("a", None, None, 1.0, True, 7, ("x", 0.5, 7), 1),
        ("a", None, None, 1.0, True, 8, None, 1),
    ]
    plain = Batch.of(TYPES, rows, [0, 1], [INSERT, INSERT])
    parts = [
        Column.of(field.type, values)
        for field, values in zip(SHOWN.fields, (["x", "y"], [0.5, 1.0], [7, 8]), strict=True)
    ]
    columnar = RowColumn(SHOWN, 2, parts.__getitem__, np.array([True, False]))
    columns = tuple(columnar if at == 6 else each for at, each in enumerate(plain.columns))
    made, other = both(node(LISTS), quiet=True), both(node(LISTS), quiet=True)
    made.step(plain)
    other.step(plain.with_columns(columns))
    assert made.state.hash() == other.state.hash()


def test_many_faded_groups_at_once() -> None:
    chance = random.Random(5)
    made = both(node(SUMS), quiet=True)
    rows: Rows = [(INSERT, seq, (f"k{chance.randint(0, 50)}", *row(chance)[1:])) for seq in range(500)]
    for each in batches(TYPES, rows, [], chance, 100):
        made.step(each)
    keys = [(f"k{number}",) for number in range(60)]
    for aggregate in range(len(SUMS)):
        expected, found = (each.faded(keys, aggregate) for each in pair(made))
        for left, right in zip(expected, found, strict=True):
            assert left.tolist() == right.tolist()


def test_what_does_not_fit_stays_general() -> None:
    for aggregate in (
        Aggregate("COUNT", (3,), BIGINT, distinct=True),
        Aggregate("TOP_N_COUNTS", (3,), array(COUNTED), parameter=2),
        Aggregate("ARRAY_AGG", (1,), array(STRING)),
    ):
        assert fitting(node((aggregate,)), quiet=True) is None
    assert fitting(node(LISTS[:1])) is None, "somebody reads the lists"
    assert fitting(node(LISTS[:1]), quiet=True) is not None
    assert fitting(node(SUMS, changes=Changes.RETRACT)) is None, "fading takes nothing back"
