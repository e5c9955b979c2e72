"""GROUP BY on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_group import TypedGroup, fitting
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, TIMESTAMP, TINYINT, Field, array
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Changes, Scan, Schema
from tests.process.operators.both import Both, batches

TYPES = (STRING, INT, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP, TINYINT)
COUNTS = (
    Aggregate("COUNT", (), BIGINT),
    Aggregate("COUNT", (3,), BIGINT, filter=4),
    Aggregate("SUM", (2,), BIGINT),
    Aggregate("SUM", (6,), TINYINT, filter=4),
    Aggregate("SUM", (3,), DOUBLE),
    Aggregate("AVG", (2,), BIGINT),
    Aggregate("AVG", (3,), DOUBLE, filter=4),
)
VALUES = (
    Aggregate("MIN", (2,), BIGINT),
    Aggregate("MAX", (3,), DOUBLE),
    Aggregate("MIN", (3,), DOUBLE, filter=4),
    Aggregate("MAX", (5,), TIMESTAMP),
    Aggregate("FIRST_VALUE", (4,), BOOLEAN),
    Aggregate("LAST_VALUE", (3,), DOUBLE),
)


def node(aggregates: tuple[Aggregate, ...], keys: tuple[int, ...], changes: Changes) -> plan.GroupAggregate:
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(TYPES)), rowtime=5, changes=changes), "t")
    fields = tuple(Field(f"k{at}", TYPES[at]) for at in keys)
    fields += tuple(Field(f"a{at}", each.type) for at, each in enumerate(aggregates))
    return plan.GroupAggregate(Schema(fields), scan, keys, aggregates)


def row(chance: random.Random) -> tuple[Any, ...]:
    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.2 else value

    return (
        maybe(chance.choice(("a", "b", "a key longer than one unit of the heap"))),
        maybe(chance.randint(-1, 1)),
        maybe(chance.choice((1, -1, 7, 2**62, 2**63 - 1, -(2**63)))),
        maybe(chance.choice((0.1, -0.0, 0.0, 1e300, -2.5))),
        maybe(chance.random() < 0.5),
        maybe(chance.randint(0, 5)),
        maybe(chance.randint(-128, 127)),
    )


def changelog(
    chance: random.Random, count: int, row: Callable[[random.Random], tuple[Any, ...]] = row
) -> list[tuple[int, int, tuple[Any, ...]]]:
    """Rows that come and go; also, while there are none, some that never came."""
    rows, there = [], []
    for seq in range(count):
        if there and chance.random() < 0.5:
            gone = there.pop(chance.randrange(len(there)))
            if chance.random() < 0.5:
                rows.append((DELETE, seq, gone))
            else:
                there.append(row(chance))
                rows += [(UPDATE_BEFORE, seq, gone), (UPDATE_AFTER, seq, there[-1])]
        elif not there and chance.random() < 0.2:
            rows.append((DELETE, seq, row(chance)))
        else:
            there.append(row(chance))
            rows.append((INSERT, seq, there[-1]))
    return rows


def both(planned: plan.GroupAggregate, *, keys_only: bool = False) -> Both:
    def general(sources: Any, state: State) -> GroupAggregate:
        made = GroupAggregate("group/1", planned, sources, state)
        made.keys_only = keys_only
        return made

    def typed(sources: Any, state: State) -> GroupAggregate:
        made = choice.group("group/1", planned, sources, state)
        assert isinstance(made, TypedGroup)
        made.keys_only = keys_only
        return made

    return Both([TYPES], general, typed, ["groups"])


@pytest.mark.parametrize("keys_only", [False, True])
@pytest.mark.parametrize("keys", [(0,), (0, 1), (4, 5, 0), ()])
@pytest.mark.parametrize("changes", [Changes.APPEND, Changes.RETRACT])
def test_equal_to_the_general_operator(changes: Changes, keys: tuple[int, ...], keys_only: bool) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        retracts = changes is Changes.RETRACT
        run = both(node(COUNTS if retracts else COUNTS + VALUES, keys, changes), keys_only=keys_only)
        rows = changelog(chance, 120) if retracts else [(INSERT, seq, row(chance)) for seq in range(120)]
        watched: tuple[set[Any], set[Any]] = (set(), set())
        for each in batches(TYPES, rows, [(30, 5), (90, 7)], chance, 9):
            run.general.groups.watchers, run.typed.groups.watchers = [watched[0]], [watched[1]]
            run.step(each)
            if chance.random() < 0.2:
                run.upstream[0].changes = [Change(INSERT, row(chance)) for _ in range(3)]
                run.live({}, 0)
                run.live({0: "a"} if keys else {}, 0)
            if chance.random() < 0.15:
                run.reload()
        assert watched[0] <= watched[1]
        assert run.outputs


def test_many_keys() -> None:
    run = both(node(COUNTS[:3], (0, 2), Changes.APPEND))
    chance = random.Random(1)
    rows = [(INSERT, seq, (f"user {chance.randint(0, 4_000)}", None, seq % 3, 0.5, True, 0, 0)) for seq in range(9_000)]
    for each in batches(TYPES, rows, [], chance, 2_000):
        run.step(each)


def test_what_does_not_fit_stays_general() -> None:
    for aggregate in (
        Aggregate("COUNT", (3,), BIGINT, distinct=True), Aggregate("MIN", (0,), STRING),
        Aggregate("LAST_N", (2,), array(BIGINT), parameter=3), Aggregate("VAR_POP", (3,), DOUBLE),
    ):  # fmt: skip
        assert fitting(node((aggregate,), (0,), Changes.APPEND)) is None
    assert fitting(node(VALUES[:1], (0,), Changes.RETRACT)) is None, "MIN takes nothing back"
    assert fitting(node(COUNTS[:1], (3,), Changes.APPEND)) is None, "a float is no key"
    assert fitting(node(COUNTS[:1], (0,), Changes.APPEND)) is not None
