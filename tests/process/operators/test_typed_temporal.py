"""The temporal join on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.temporal import TemporalJoin
from nextpaint.process.operators.typed_temporal import TypedTemporalJoin, fitting
from nextpaint.record.columns import DELETE, INSERT, MAX_WATERMARK, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, TIMESTAMP, Field, Type
from nextpaint.sql import plan
from nextpaint.sql.plan import Scan, Schema
from tests.process.operators.both import Both, Rows, batches, timed

LEFT = (BIGINT, STRING, TIMESTAMP, DOUBLE, INT)
RIGHT = (STRING, TIMESTAMP, STRING, INT, BOOLEAN)


def schema(types: tuple[Type, ...], time: int) -> Schema:
    return Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(types)), rowtime=time)


def node(keys: int, *, outer: bool, left: tuple[Type, ...] = LEFT, residual: Any = None) -> plan.TemporalJoin:
    both = Schema((*schema(left, 2).fields, *schema(RIGHT, 1).fields), rowtime=2)
    left_keys, right_keys = ((1,), (0,)) if keys == 1 else ((1, 4), (0, 3))
    return plan.TemporalJoin(
        both, Scan(schema(left, 2), "l"), Scan(schema(RIGHT, 1), "r"), left_keys, right_keys, 2, 1, outer, residual
    )


def clicks(chance: random.Random, time: int) -> tuple[Any, ...]:
    item = chance.choice(("x", "y", "a longer item than a unit", None))
    when = None if chance.random() < 0.03 else time
    return (chance.choice((1, 2, None)), item, when, chance.choice((0.5, None)), chance.choice((1, 2)))


def changes(chance: random.Random, rows: Rows) -> Rows:
    """A changelog of items at the seqs of `rows`."""
    made: Rows = []
    for _, seq, (_, item, time, _, number) in rows:
        row = (
            item,
            time,
            chance.choice(("p", "a text longer than one unit", None)),
            number,
            chance.choice((True, None)),
        )
        kind = chance.choice((INSERT, INSERT, UPDATE_AFTER, DELETE, UPDATE_BEFORE))
        made.append((kind, seq, row))
        if kind == UPDATE_BEFORE and chance.random() < 0.7:
            made.append((UPDATE_AFTER, seq, (*row[:2], "q", *row[3:])))
    return made


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize("keys", [1, 2])
def test_equal_to_the_general_operator(keys: int, outer: bool) -> None:
    planned = node(keys, outer=outer)
    for seed in range(14):
        chance = random.Random(seed)
        run = Both(
            [LEFT, RIGHT],
            lambda sources, state: TemporalJoin("temporal/1", planned, sources, state),
            lambda sources, state: choice.temporal("temporal/1", planned, sources, state),
            ["_left", "_versions"],
        )
        assert isinstance(run.typed, TypedTemporalJoin)
        left, left_marks = timed(chance, 90, lambda time, chance=chance: clicks(chance, time))
        right, right_marks = timed(chance, 70, lambda time, chance=chance: clicks(chance, time))
        end = max(left[-1][1], right[-1][1]) + 1
        left_marks.append((end, MAX_WATERMARK))
        right_marks.append((end, MAX_WATERMARK if seed % 2 else 150_000))
        cut = chance.randint(0, 10**6)
        lefts = batches(LEFT, left, left_marks, random.Random(cut), 12, end + 1)
        rights = batches(RIGHT, changes(chance, right), right_marks, random.Random(cut), 12, end + 1)
        for pair in zip(lefts, rights, strict=True):
            run.step(*pair)
            if chance.random() < 0.2:
                run.upstream[0].changes = [Change(INSERT, clicks(chance, 160_000)) for _ in range(3)]
                run.live({}, 0)
                run.live({1: "x"}, 0)
                run.live({5: "y"}, 0)
                run.live({0: 1, 1: "x"}, 0)
            if chance.random() < 0.1:
                run.reload()
        assert run.outputs


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node(1, outer=True))
    residual = plan.Literal(BOOLEAN, True)
    assert not fitting(node(1, outer=True, residual=residual)), "a further condition"
    assert not fitting(node(2, outer=True, left=(BIGINT, STRING, TIMESTAMP, DOUBLE, STRING))), "keys of two kinds"
