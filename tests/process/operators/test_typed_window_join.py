"""The window join on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_window_join import TypedWindowJoin, fitting
from nextpaint.process.operators.window_join import WindowJoin
from nextpaint.record.columns import IDLE, INSERT, MAX_WATERMARK
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, TIMESTAMP, Field, Type
from nextpaint.sql import plan
from nextpaint.sql.plan import Call, ColumnRef, JoinKind, Scan, Schema
from tests.process.operators.both import Both, Rows, batches

LEFT = (BIGINT, STRING, TIMESTAMP, TIMESTAMP, DOUBLE)
RIGHT = (STRING, TIMESTAMP, TIMESTAMP, BIGINT)
TEXTS = ("x", "y", "a longer key than a unit of the heap", None)


def schema(types: tuple[Type, ...]) -> Schema:
    return Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(types)))


def node(kind: JoinKind, keys: int = 1, *, nulls: bool = False, residual: bool = False) -> plan.WindowJoin:
    left_keys, right_keys = (((), ()), ((1,), (0,)), ((1, 0), (0, 3)))[keys]
    both = schema(LEFT if kind.left_only else (*LEFT, *RIGHT))
    further = Call(BOOLEAN, "<=", (ColumnRef(BIGINT, 0, "c0"), ColumnRef(BIGINT, 8, "c3"))) if residual else None
    return plan.WindowJoin(
        both, Scan(schema(LEFT), "l"), Scan(schema(RIGHT), "r"), kind, left_keys, right_keys, (nulls,) * keys,
        (2, 3), (1, 2), further,
    )  # fmt: skip


def window(chance: random.Random, time: int) -> tuple[int, int]:
    """A window not far from a time; several have the same end."""
    end = time + chance.choice((-20, 0, 5, 10, 10, 20))
    return end - chance.choice((5, 10)), end


def left(chance: random.Random, time: int) -> tuple[Any, ...]:
    return (
        chance.choice((1, 2, 3, None)), chance.choice(TEXTS), *window(chance, time), chance.choice((0.5, -0.0, None))
    )  # fmt: skip


def right(chance: random.Random, time: int) -> tuple[Any, ...]:
    return chance.choice(TEXTS), *window(chance, time), chance.choice((1, 2, 3, None))


def drawn(chance: random.Random, count: int, row: Any) -> tuple[Rows, list[tuple[int, int]]]:
    """Rows, several at one seq, and marks that mostly rise."""
    rows: Rows = []
    marks: dict[int, int] = {}
    for seq in range(count):
        time = 100 + 5 * (seq // 3)
        rows += [(INSERT, seq, row(chance, time)) for _ in range(chance.choice((0, 1, 1, 2)))]
        if chance.random() < 0.3:
            marks[seq] = IDLE if chance.random() < 0.1 else time - chance.choice((0, 5, 12))
    return rows, list(marks.items())


def both(planned: plan.WindowJoin) -> Both:
    return Both(
        [LEFT, RIGHT],
        lambda sources, state: WindowJoin("join/1", planned, sources, state),
        lambda sources, state: choice.window_join("join/1", planned, sources, state),
        [],
    )


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("keys", [0, 1, 2])
def test_equal_to_the_general_operator(kind: JoinKind, keys: int) -> None:
    told = 0
    for seed in range(6):
        chance = random.Random(seed)
        run = both(node(kind, keys, nulls=seed % 2 == 1, residual=kind is JoinKind.INNER and seed > 2))
        assert isinstance(run.typed, TypedWindowJoin)
        (lefts, left_marks), (rights, right_marks) = drawn(chance, 120, left), drawn(chance, 120, right)
        if seed % 3:
            left_marks, right_marks = [*left_marks, (120, MAX_WATERMARK)], [*right_marks, (120, MAX_WATERMARK)]
        cut = chance.randint(0, 10**6)
        pairs = zip(
            batches(LEFT, lefts, left_marks, random.Random(cut), 9, 121),
            batches(RIGHT, rights, right_marks, random.Random(cut), 9, 121),
            strict=True,
        )
        for pair in pairs:
            run.step(*pair)
            if chance.random() < 0.2:
                run.upstream[0].changes = [Change(INSERT, left(chance, 200)) for _ in range(2)]
                run.upstream[1].changes = [Change(INSERT, right(chance, 200)) for _ in range(2)]
                run.live({}, 0)
                run.live({1: "x"}, 0)
            if chance.random() < 0.2:
                run.reload()
        told += len(run.outputs)
    assert told > 20


@pytest.mark.parametrize("kind", list(JoinKind))
def test_a_window_with_more_pairs_than_there_is_room_for(kind: JoinKind) -> None:
    run = both(node(kind))
    lefts: Rows = [(INSERT, at, (at, f"k{at % 50}", 0, 10, 1.5)) for at in range(3_000)]
    rights: Rows = [(INSERT, 3_000 + at, (f"k{at % 70 + 20}", 0, 10, at)) for at in range(300)]
    marks = [(3_300, MAX_WATERMARK)]
    pairs = zip(
        batches(LEFT, lefts, marks, random.Random(1), 900, 3_301),
        batches(RIGHT, rights, marks, random.Random(1), 900, 3_301),
        strict=True,
    )
    for pair in pairs:
        run.step(*pair)
        run.reload()
    assert run.typed.held == 0
    assert len(run.outputs) > 1_000


def test_what_decides_about_padding_stays_general() -> None:
    assert fitting(node(JoinKind.INNER, residual=True))
    assert not fitting(node(JoinKind.LEFT, residual=True))
    assert not fitting(node(JoinKind.SEMI, residual=True))


def test_keys_of_other_types_stay_general() -> None:
    planned = node(JoinKind.INNER)
    other = schema((INT, *RIGHT[1:]))
    assert not fitting(
        plan.WindowJoin(
            planned.schema, planned.left, Scan(other, "r"), JoinKind.INNER, (1,), (0,), (False,), (2, 3), (1, 2)
        )
    )
