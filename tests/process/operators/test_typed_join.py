"""The regular join on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.join import Join
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_join import TypedJoin, fitting
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field, Type
from nextpaint.sql import plan
from nextpaint.sql.plan import Call, ColumnRef, JoinKind, Scan, Schema
from tests.process.operators.both import Both, Rows, Upstream, batches

LEFT = (BIGINT, STRING, TIMESTAMP, DOUBLE)
RIGHT = (STRING, BIGINT, BOOLEAN)
TEXTS = ("x", "y", "a longer key than a unit of the heap", None)


def schema(types: tuple[Type, ...]) -> Schema:
    return Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(types)))


def node(kind: JoinKind, keys: int = 1, *, nulls: bool = False, residual: bool = False, ttl: int = 0) -> plan.Join:
    left_keys, right_keys = (((), ()), ((1,), (0,)), ((1, 0), (0, 1)))[keys]
    both = schema(LEFT if kind.left_only else (*LEFT, *RIGHT))
    further = Call(BOOLEAN, "<", (ColumnRef(BIGINT, 0, "c0"), ColumnRef(BIGINT, 5, "c1"))) if residual else None
    return plan.Join(
        both, Scan(schema(LEFT), "l"), Scan(schema(RIGHT), "r"), kind, left_keys, right_keys,
        (nulls,) * keys, further, (ttl, ttl),
    )  # fmt: skip


def left(chance: random.Random) -> tuple[Any, ...]:
    return chance.choice((1, 2, None)), chance.choice(TEXTS), chance.choice((5, None)), chance.choice((0.5, 0.0, None))


def right(chance: random.Random) -> tuple[Any, ...]:
    return chance.choice(TEXTS), chance.choice((1, 2, None)), chance.choice((True, None))


def changelog(chance: random.Random, count: int, row: Any) -> tuple[Rows, list[tuple[int, int]]]:
    """Rows that come, change and go, some that were never there, and marks."""
    rows: Rows = []
    marks: list[tuple[int, int]] = []
    there: list[tuple[Any, ...]] = []
    seq = 0
    for _ in range(count):
        what = chance.random()
        if what < 0.6 or not there:
            there.append(row(chance))
            rows.append((INSERT, seq, there[-1]))
        elif what < 0.75:
            rows.append((DELETE, seq, there.pop(chance.randrange(len(there)))))
        elif what < 0.95:
            at = chance.randrange(len(there))
            rows.append((UPDATE_BEFORE, seq, there[at]))
            there[at] = row(chance)
            rows.append((UPDATE_AFTER, seq, there[at]))
        else:
            rows.append((DELETE, seq, row(chance)))
        if chance.random() < 0.3:
            marks.append((seq, 1_000 * seq))
        seq += chance.choice((0, 1, 1, 2))
    marks = [(at, value) for at, value in dict(marks).items()]
    return rows, marks


@pytest.mark.parametrize("kind", list(JoinKind))
@pytest.mark.parametrize("keys", [0, 1, 2])
def test_equal_to_the_general_operator(kind: JoinKind, keys: int) -> None:
    told = 0
    for seed in range(4):
        chance = random.Random(seed)
        planned = node(kind, keys, nulls=seed % 2 == 1, residual=kind is JoinKind.INNER and seed > 1)
        run = Both(
            [LEFT, RIGHT],
            lambda sources, state, planned=planned: Join("join/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.join("join/1", planned, sources, state),
            ["_sides.0._cell", "_sides.1._cell"],
        )
        assert isinstance(run.typed, TypedJoin)
        count = 40 if keys else 20
        (lefts, left_marks), (rights, right_marks) = changelog(chance, count, left), changelog(chance, count, right)
        end = max(lefts[-1][1], rights[-1][1]) + 1
        cut = chance.randint(0, 10**6)
        pairs = zip(
            batches(LEFT, lefts, left_marks, random.Random(cut), 9, end),
            batches(RIGHT, rights, right_marks, random.Random(cut), 9, end),
            strict=True,
        )
        for pair in pairs:
            run.step(*pair)
            if chance.random() < 0.3:
                run.upstream[0].changes = [Change(INSERT, left(chance)) for _ in range(2)]
                run.upstream[1].changes = [Change(INSERT, right(chance)), Change(DELETE, right(chance))]
                run.live({}, 0)
                run.live({1: "x"}, 0)
            if chance.random() < 0.2:
                run.reload()
        told += len(run.outputs)
    assert told


def test_a_row_has_a_word_for_its_matches_only_where_they_are_counted() -> None:
    words = {}
    for kind in (JoinKind.INNER, JoinKind.LEFT, JoinKind.RIGHT, JoinKind.FULL, JoinKind.ANTI):
        made = choice.join("join/1", node(kind), [Upstream(LEFT), Upstream(RIGHT)], State())
        words[kind.name] = [len(side._cell.packing.kinds) - len(side.given.kinds) for side in made._sides]
    assert words == {"INNER": [3, 3], "LEFT": [4, 3], "RIGHT": [3, 4], "FULL": [4, 4], "ANTI": [4, 3]}


def test_a_row_with_many_partners_needs_more_room_than_there_is() -> None:
    chance = random.Random(1)
    planned = node(JoinKind.FULL)
    run = Both(
        [LEFT, RIGHT],
        lambda sources, state: Join("join/1", planned, sources, state),
        lambda sources, state: choice.join("join/1", planned, sources, state),
        ["_sides.0._cell"],
    )
    lefts: Rows = [(INSERT, at, (at, "x", at, 1.5)) for at in range(3_000)]
    rights: Rows = [(INSERT, 3_000, ("x", 1, None)), (INSERT, 3_001, ("x", 2, None)), (DELETE, 3_002, ("x", 1, None))]
    cut = chance.randint(0, 10**6)
    for pair in zip(
        batches(LEFT, lefts, [], random.Random(cut), 2_000, 3_003),
        batches(RIGHT, rights, [], random.Random(cut), 2_000, 3_003),
        strict=True,
    ):
        run.step(*pair)
    assert len(run.outputs) == 3_000 + 6_000 + 3_000 + 3_000


def test_equal_numbers_are_equal_rows() -> None:
    planned = node(JoinKind.INNER)
    run = Both(
        [LEFT, RIGHT],
        lambda sources, state: Join("join/1", planned, sources, state),
        lambda sources, state: choice.join("join/1", planned, sources, state),
        ["_sides.0._cell"],
    )
    lefts: Rows = [(INSERT, 0, (1, "x", 5, 0.0)), (DELETE, 1, (1, "x", 5, -0.0))]
    run.step(batches(LEFT, lefts, [], random.Random(0), 5, 2)[0], batches(RIGHT, [], [], random.Random(0), 5, 2)[0])
    assert run.typed.kept == 0


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node(JoinKind.LEFT))
    assert fitting(node(JoinKind.INNER, residual=True))
    assert not fitting(node(JoinKind.LEFT, residual=True)), "a condition that decides what is padded"
    assert not fitting(node(JoinKind.INNER, ttl=1_000))
