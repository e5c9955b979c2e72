"""Windows on typed state give what the general operator gives, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_window import TypedWindow, fitting
from nextpaint.process.operators.window import WindowAggregation
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
    Aggregate("LAST_VALUE", (2,), DOUBLE),
)
INTS = (0, 1, 127, 128, -1, -32, -33, -129, 70_000, -70_000, 2**40, -(2**40), None)
KEYS = ("a", "b", "", "ab", "b" * 31, "a" * 32, "ü" * 40, None)


def node(window: Window, keys: tuple[int, ...], aggregates: tuple[Aggregate, ...] = AGGREGATES) -> plan.WindowAggregate:
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(TYPES)), rowtime=4), "t")
    fields = tuple(Field(f"k{at}", TYPES[at]) for at in keys)
    fields += tuple(Field(name, TIMESTAMP) for name in ("window_start", "window_end", "window_time"))
    fields += tuple(Field(f"a{at}", each.type) for at, each in enumerate(aggregates))
    return plan.WindowAggregate(Schema(fields), scan, window, 4, keys, aggregates)


def row(chance: random.Random, time: int) -> tuple[Any, ...]:
    return (
        chance.choice(KEYS),
        chance.choice(INTS),
        chance.choice((0.1, -0.5, None)),
        chance.choice((True, False, None)),
        None if chance.random() < 0.03 else time,
    )


WINDOWS = (
    Window(WindowKind.TUMBLE, 10_000),
    Window(WindowKind.TUMBLE, 7_000, offset=1_500),
    Window(WindowKind.HOP, 10_000, 2_000),
    Window(WindowKind.HOP, 10_000, 3_000, offset=-500),
    Window(WindowKind.HOP, 2_000, 5_000),
    Window(WindowKind.CUMULATE, 12_000, 3_000),
)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_equal_to_the_general_operator(window: Window) -> None:
    for seed in range(4):
        chance = random.Random(seed)
        planned = node(window, ((0,), (0, 1), (3,), ())[seed % 4])
        run = Both(
            [TYPES],
            lambda sources, state, planned=planned: WindowAggregation("window/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.window("window/1", planned, sources, state),
            ["_windows"],
        )
        assert isinstance(run.typed, TypedWindow)
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


def test_times_before_1970_and_many_windows() -> None:
    planned = node(Window(WindowKind.HOP, 1_000, 100), (1,))
    run = Both(
        [TYPES],
        lambda sources, state: WindowAggregation("window/1", planned, sources, state),
        lambda sources, state: choice.window("window/1", planned, sources, state),
        ["_windows"],
    )
    chance = random.Random(3)
    rows = [(INSERT, seq, ("a", chance.choice(INTS), 1.0, True, -200_000 + seq * 100)) for seq in range(3_000)]
    marks = [(seq, -200_000 + seq * 100 - 5_000) for seq in range(0, 3_000, 40)]
    for each in batches(TYPES, rows, marks, chance, 900):
        run.step(each)
    assert len(run.outputs) > 10_000


CARRIED = (STRING, BIGINT, DOUBLE, BOOLEAN, TIMESTAMP, TIMESTAMP)


def windowed(keys: tuple[int, ...], zone: str = "") -> plan.WindowedAggregate:
    """An aggregation of rows that carry start and end of their window."""
    scan = Scan(Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(CARRIED))), "t")
    fields = tuple(Field(f"k{at}", CARRIED[at]) for at in keys)
    fields += tuple(Field(name, TIMESTAMP) for name in ("window_start", "window_end", "window_time"))
    fields += tuple(Field(f"a{at}", each.type) for at, each in enumerate(AGGREGATES))
    return plan.WindowedAggregate(Schema(fields), scan, 4, 5, keys, AGGREGATES, zone=zone)


def carried(chance: random.Random, time: int) -> tuple[Any, ...]:
    """Windows of several lengths, some of which end at the same time."""
    end = time - time % 1_000 + chance.choice((0, 1_000, 1_000, 5_000))
    return (*row(chance, time)[:4], end - chance.choice((1_000, 2_000, 10_000)), end)


@pytest.mark.parametrize("keys", [(0,), (0, 1), (3,), (1,), ()])
def test_windows_of_windows_equal_the_general_operator(keys: tuple[int, ...]) -> None:
    for seed in range(4):
        chance = random.Random(seed)
        planned = windowed(keys)
        run = Both(
            [CARRIED],
            lambda sources, state, planned=planned: WindowAggregation("windowed/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.window("windowed/1", planned, sources, state),
            ["_windows"],
        )
        assert isinstance(run.typed, TypedWindow)
        rows, marks = timed(chance, 150, lambda time, chance=chance: carried(chance, time))
        marks.append((rows[-1][1] + 1, MAX_WATERMARK if seed % 2 else marks[-1][1]))
        for each in batches(CARRIED, rows, marks, chance, 12):
            run.step(each)
            if chance.random() < 0.1:
                run.upstream[0].changes = [Change(INSERT, carried(chance, 120_000)) for _ in range(3)]
                run.live({}, 0)
                run.live({0: "a"} if keys[:1] == (0,) else {}, 0)
            if chance.random() < 0.1:
                run.reload()
        assert run.outputs


def test_windows_of_windows_by_wall_clock_stay_general() -> None:
    assert fitting(windowed((0,))) is not None
    assert fitting(windowed((0,), "Europe/Vienna")) is None


def test_what_does_not_fit_stays_general() -> None:
    assert fitting(node(WINDOWS[0], (2,))) is None, "a float is no key"
    assert fitting(node(WINDOWS[0], (0,))) is not None
