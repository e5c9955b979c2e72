"""The interval join on typed state gives what the general operator gives, at every step."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.interval import IntervalJoin
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_interval import TypedIntervalJoin, fitting
from nextpaint.process.state import State
from nextpaint.record.columns import IDLE, INSERT, MAX_WATERMARK, Batch
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, TIMESTAMP, Field, Type
from nextpaint.sql import plan
from nextpaint.sql.plan import Call, ColumnRef, JoinKind, Scan, Schema
from tests.process.operators.both import Both, Rows, batches, cell

LEFT = (BIGINT, STRING, TIMESTAMP, DOUBLE)
RIGHT = (STRING, TIMESTAMP, BIGINT, STRING)
TEXTS = ("x", "y", "a longer key than a unit of the heap", None)
KINDS = (JoinKind.INNER, JoinKind.LEFT, JoinKind.RIGHT, JoinKind.FULL)
BOUNDS = ((-20, 30), (1, 40), (-40, -1), (0, 0), (10, -10))


def schema(types: tuple[Type, ...]) -> Schema:
    return Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(types)))


def node(
    kind: JoinKind, keys: int = 1, bounds: tuple[int, int] = BOUNDS[0], *, residual: bool = False
) -> plan.IntervalJoin:
    left_keys, right_keys = (((), ()), ((1,), (0,)), ((1, 0), (0, 2)))[keys]
    further = Call(BOOLEAN, "<=", (ColumnRef(BIGINT, 0, "c0"), ColumnRef(BIGINT, 6, "c2"))) if residual else None
    return plan.IntervalJoin(
        schema((*LEFT, *RIGHT)), Scan(schema(LEFT), "l"), Scan(schema(RIGHT), "r"), kind, left_keys, right_keys, 2, 1,
        *bounds, further,
    )  # fmt: skip


class Run(Both):
    """Both interval joins; the timers of a key are one row of the typed one."""

    def agree(self) -> None:
        super().agree()
        timers: dict[Any, Any] = {}
        for key, value in self.typed._timers.items():
            assert value[0::3] != (None, None), "a key without timers"
            timers.update(
                {(side, key): value[3 * side : 3 * side + 3] for side in (0, 1) if value[3 * side] is not None}
            )
        assert timers == dict(cell(self.general, "_timers").items())

    def step_in_a_snapshot(self, *batches: Batch) -> None:
        """A step while a snapshot runs, which is of before."""
        before, fresh = self.state.hash(), State()
        snapshot = self.state.snapshot()
        taken = snapshot.slice(1)
        self.step(*batches)
        self._make(self.upstream, fresh)
        while not snapshot.done:
            taken += snapshot.slice(50)
        for name, body in taken:
            fresh.cells[name].load_page(body)
        assert fresh.hash() == before == snapshot.state_hash


def both(planned: plan.IntervalJoin) -> Run:
    run = Run(
        [LEFT, RIGHT],
        lambda sources, state: IntervalJoin("join/1", planned, sources, state),
        lambda sources, state: choice.interval("join/1", planned, sources, state),
        ["_cells.0", "_cells.1", "_expired"],
    )
    assert isinstance(run.typed, TypedIntervalJoin)
    return run


def left(chance: random.Random, time: int | None) -> tuple[Any, ...]:
    return chance.choice((1, 2, None)), chance.choice(TEXTS), time, chance.choice((0.5, -0.0, None))


def right(chance: random.Random, time: int | None) -> tuple[Any, ...]:
    return chance.choice(TEXTS), time, chance.choice((1, 2, None)), chance.choice(("", "some text of the right", None))


def drawn(chance: random.Random, count: int, row: Any) -> tuple[Rows, list[tuple[int, int]]]:
    """Rows, several at one seq and some far behind, and marks that mostly rise."""
    rows: Rows = []
    marks: dict[int, int] = {}
    for seq in range(count):
        time = 100 + 5 * (seq // 3)
        for _ in range(chance.choice((0, 1, 1, 3))):
            at = None if chance.random() < 0.02 else time - chance.choice((-30, 0, 0, 3, 10, 25, 70))
            rows.append((INSERT, seq, row(chance, at)))
        if chance.random() < 0.4:
            marks[seq] = IDLE if chance.random() < 0.1 else time - chance.choice((0, 5, 12, 12))
    return rows, list(marks.items())


def fed(run: Run, lefts: Any, rights: Any, end: int, chance: random.Random, largest: int = 9) -> Any:
    cut = chance.randint(0, 10**6)
    for pair in zip(
        batches(LEFT, *lefts, random.Random(cut), largest, end),
        batches(RIGHT, *rights, random.Random(cut), largest, end),
        strict=True,
    ):
        (run.step if chance.random() < 0.8 else run.step_in_a_snapshot)(*pair)
        yield pair


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 40), marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", [0, 1, 2])
def test_equal_to_the_general_operator(kind: JoinKind, keys: int, seeds: range) -> None:
    told = 0
    for seed in seeds:
        chance = random.Random(100 * seed + keys)
        run = both(node(kind, keys, BOUNDS[(seed + keys) % 5], residual=kind is JoinKind.INNER and seed % 3 == 1))
        (lefts, left_marks), (rights, right_marks) = drawn(chance, 70, left), drawn(chance, 70, right)
        if seed % 3:
            left_marks, right_marks = [*left_marks, (70, MAX_WATERMARK)], [*right_marks, (70, MAX_WATERMARK)]
        for _ in fed(run, (lefts, left_marks), (rights, right_marks), 71, chance):
            if chance.random() < 0.2:
                run.upstream[0].changes = [Change(INSERT, left(chance, 240)) for _ in range(2)]
                run.upstream[1].changes = [Change(INSERT, right(chance, 240)) for _ in range(2)]
                run.live({}, 0)
                run.live({1: "x"}, 0)
                run.live({1: "x", 0: 1}, 0)
            if chance.random() < 0.2:
                run.reload()
        told += len(run.outputs)
    assert told > 30


@pytest.mark.parametrize("descending", [False, True])
def test_many_rows_of_one_key_and_more_pairs_than_there_is_room_for(descending: bool) -> None:
    """3,000 rows wait in any order of time; few of them are near a row, many expire at once."""
    chance = random.Random(1)
    run = both(node(JoinKind.FULL))
    times = list(range(3_000)) if descending else [chance.randrange(3_000) for _ in range(3_000)]
    times.sort(key=(lambda time: -time) if descending else (lambda time: 0))
    lefts: Rows = [(INSERT, at, (at, "x", time, 1.5)) for at, time in enumerate(times)]
    rights: Rows = [(INSERT, 3_000 + at, ("x", chance.randrange(3_000), at, "t" * 40)) for at in range(100)]
    marks = [(3_050, 1_500), (3_101, MAX_WATERMARK)]
    for _ in fed(run, (lefts, marks), (rights, marks), 3_102, chance, largest=2_000):
        run.reload()
    assert len(run.outputs) > 4_000
    assert not run.state.rows() - len(["watermark"] * 3 + ["expired"] * 2)


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node(JoinKind.FULL))
    assert fitting(node(JoinKind.INNER, residual=True))
    assert not fitting(node(JoinKind.LEFT, residual=True)), "a condition that decides what is padded"
    other = Scan(schema((INT, *RIGHT[1:])), "r")
    assert not fitting(replace(node(JoinKind.INNER), right=other)), "keys of two kinds"
