"""Sessions on typed state give what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.session import SessionAggregation
from nextpaint.process.operators.typed_session import TypedSession, fitting
from nextpaint.record.columns import INSERT, MAX_WATERMARK
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Scan, Schema, Window, WindowKind
from tests.process.operators.both import Both, batches, timed

TYPES = (STRING, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP)
AGGREGATES = (
    Aggregate("COUNT", (), BIGINT),
    Aggregate("SUM", (2,), DOUBLE, filter=3),
    Aggregate("AVG", (1,), BIGINT),
    Aggregate("MIN", (1,), BIGINT),
    Aggregate("MAX", (2,), DOUBLE),
    Aggregate("FIRST_VALUE", (2,), DOUBLE),
    Aggregate("LAST_VALUE", (1,), BIGINT),
)


def node(gap: int, keys: tuple[int, ...]) -> plan.WindowAggregate:
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(TYPES)), rowtime=4), "t")
    fields = tuple(Field(f"k{at}", TYPES[at]) for at in keys)
    fields += tuple(Field(name, TIMESTAMP) for name in ("window_start", "window_end", "window_time"))
    fields += tuple(Field(f"a{at}", each.type) for at, each in enumerate(AGGREGATES))
    return plan.WindowAggregate(Schema(fields), scan, Window(WindowKind.SESSION, gap), 4, keys, AGGREGATES)


def row(chance: random.Random, time: int) -> tuple[Any, ...]:
    return (
        chance.choice(("a", "b", "a key longer than a unit", None)),
        chance.choice((1, -1, 500, None)),
        chance.choice((0.1, -0.5, 1e17, None)),
        chance.choice((True, False, None)),
        None if chance.random() < 0.03 else time,
    )


@pytest.mark.parametrize("gap", [1, 1_000, 20_000, 70_000])
def test_equal_to_the_general_operator(gap: int) -> None:
    for seed in range(12):
        chance = random.Random(seed)
        planned = node(gap, ((0,), (0, 1), (3,), ())[seed % 4])
        run = Both(
            [TYPES],
            lambda sources, state, planned=planned: SessionAggregation("session/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.session("session/1", planned, sources, state),
            ["_sessions"],
            timers=False,
        )
        assert isinstance(run.typed, TypedSession)
        rows, marks = timed(chance, 150, lambda time, chance=chance: row(chance, time))
        marks.append((rows[-1][1] + 1, MAX_WATERMARK if seed % 2 else marks[-1][1]))
        for each in batches(TYPES, rows, marks, chance, 12):
            run.step(each)
            if chance.random() < 0.1:
                run.upstream[0].changes = [Change(INSERT, row(chance, 120_000)) for _ in range(3)]
                run.live({}, 0)
                run.live({0: "a"} if planned.keys else {}, 0)
            if chance.random() < 0.1:
                run.reload()
        assert run.outputs


def test_a_row_between_many_sessions_joins_them_oldest_first() -> None:
    planned = node(10, (0,))
    run = Both(
        [TYPES],
        lambda sources, state: SessionAggregation("session/1", planned, sources, state),
        lambda sources, state: choice.session("session/1", planned, sources, state),
        ["_sessions"],
        timers=False,
    )
    times = [100, 130, 115, 120, 160, 141, 151, 85, 200, 90]
    rows = [(INSERT, seq, ("a", seq, 0.1 * seq, True, time)) for seq, time in enumerate(times)]
    for each in batches(TYPES, rows, [(20, MAX_WATERMARK)], random.Random(1), 3):
        run.step(each)
    assert run.outputs


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node(1, (2,))) is None, "a float is no key"
    assert fitting(node(1, (0,))) is not None
