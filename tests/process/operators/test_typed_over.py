"""OVER on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.over import OverAggregation
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_over import TypedOver, fitting
from nextpaint.record.columns import INSERT, MAX_WATERMARK
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Scan, Schema
from tests.process.operators.both import Both, batches, timed

TYPES = (STRING, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP)
EXACT = (
    Aggregate("COUNT", (), BIGINT),
    Aggregate("COUNT", (2,), BIGINT, filter=3),
    Aggregate("SUM", (1,), BIGINT),
    Aggregate("AVG", (1,), BIGINT, filter=3),
)
FOLDED = (
    Aggregate("SUM", (2,), DOUBLE, filter=3),
    Aggregate("AVG", (2,), DOUBLE),
    Aggregate("MIN", (1,), BIGINT),
    Aggregate("MAX", (2,), DOUBLE),
    Aggregate("FIRST_VALUE", (1,), BIGINT),
    Aggregate("LAST_VALUE", (2,), DOUBLE),
)


def node(unit: str, preceding: int | None, partition: tuple[int, ...], aggregates: Any) -> plan.OverAggregate:
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(TYPES)), rowtime=4), "t")
    fields = scan.schema.fields + tuple(Field(f"a{at}", each.type) for at, each in enumerate(aggregates))
    return plan.OverAggregate(Schema(fields, rowtime=4), scan, partition, 4, unit, preceding, aggregates)


def row(chance: random.Random, time: int) -> tuple[Any, ...]:
    return (
        chance.choice(("a", "b", "a key longer than a unit", None)),
        chance.choice((1, -1, 2**62, 500, None)),
        chance.choice((0.1, -0.5, 1e17, None)),
        chance.choice((True, False, None)),
        None if chance.random() < 0.03 else time,
    )


FRAMES = [
    ("RANGE", 0), ("RANGE", 1_000), ("RANGE", 20_000), ("RANGE", 100_000), ("RANGE", None), ("ROWS", 0), ("ROWS", 1),
    ("ROWS", 4), ("ROWS", None),
]  # fmt: skip


@pytest.mark.parametrize("aggregates", [EXACT, EXACT + FOLDED], ids=["exact", "folded"])
@pytest.mark.parametrize(("unit", "preceding"), FRAMES)
def test_equal_to_the_general_operator(unit: str, preceding: int | None, aggregates: Any) -> None:
    for seed in range(6):
        chance = random.Random(seed)
        planned = node(unit, preceding, ((0,), (0, 1), ())[seed % 3], aggregates)
        run = Both(
            [TYPES],
            lambda sources, state, planned=planned: OverAggregation("over/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.over("over/1", planned, sources, state),
            ["held_rows", "_frames"],
        )
        assert isinstance(run.typed, TypedOver)
        rows, marks = timed(chance, 120, lambda time, chance=chance: row(chance, time))
        marks.append((rows[-1][1] + 1, MAX_WATERMARK if seed % 2 else marks[-1][1]))
        for each in batches(TYPES, rows, marks, chance, 12):
            run.step(each)
            if chance.random() < 0.15:
                run.upstream[0].changes = [Change(INSERT, row(chance, 120_000)) for _ in range(3)]
                run.live({}, 110_000)
                run.live({0: "a"}, 110_000)
                run.live({0: "a", 1: 1}, 110_000)
                if run.general.recounts and planned.partition == (0,):
                    assert run.typed.recounted(("a",), 110_000) == run.general.recounted(("a",), 110_000)
            if chance.random() < 0.1:
                run.reload()
        assert run.outputs


def test_frames_that_no_row_can_reach_are_dropped() -> None:
    planned = node("RANGE", 1_000, (0,), EXACT)
    run = Both(
        [TYPES],
        lambda sources, state: OverAggregation("over/1", planned, sources, state),
        lambda sources, state: choice.over("over/1", planned, sources, state),
        ["held_rows", "_frames"],
    )
    rows = [(INSERT, seq, (f"key {seq}", 1, 0.5, True, seq * 100)) for seq in range(2_000)]
    marks = [(seq, seq * 100) for seq in range(0, 2_000, 7)]
    for each in batches(TYPES, rows, marks, random.Random(1), 300):
        run.step(each)
    assert len(run.typed.row_cell) < 40
    assert len(run.typed.frame_cell) < 40


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node("ROWS", 1, (2,), EXACT)) is None, "a float is no key"
    assert fitting(node("ROWS", 1, (0,), (Aggregate("MIN", (0,), STRING),))) is None
    assert fitting(node("ROWS", 1, (0,), EXACT)) is not None
