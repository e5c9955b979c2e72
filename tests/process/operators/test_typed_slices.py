"""Windows in slices give what the general operator gives, at every step: rows, readings, and what they hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nextpaint.process.erasing import Erased
from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.typed_slices import SlicedWindow
from nextpaint.process.operators.window import WindowAggregation, windows_of
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, MAX_WATERMARK
from nextpaint.record.types import BIGINT, DOUBLE
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Window, WindowKind
from tests.process.operators.both import Both, batches, timed
from tests.process.operators.test_typed_window import INTS, TYPES, node, row

COUNTS = (Aggregate("COUNT", (), BIGINT), Aggregate("SUM", (1,), BIGINT), Aggregate("AVG", (1,), BIGINT, filter=3))
BOUNDS = (Aggregate("MIN", (1,), BIGINT), Aggregate("MAX", (1,), BIGINT, filter=3), Aggregate("COUNT", (2,), BIGINT))
WINDOWS = (
    Window(WindowKind.HOP, 10_000, 2_000),
    Window(WindowKind.HOP, 10_000, 3_000, offset=-500),
    Window(WindowKind.HOP, 10_000, 7_000, offset=100),
    Window(WindowKind.HOP, 60_000, 1_000, offset=300),
    Window(WindowKind.CUMULATE, 12_000, 3_000),
    Window(WindowKind.CUMULATE, 30_000, 1_000, offset=-700),
)


class Sliced(Both):
    """Both, where what open windows hold is compared as it is read, and no slice stays for nothing."""

    def __init__(self, planned: plan.WindowAggregate) -> None:
        super().__init__(
            [TYPES],
            lambda sources, state: WindowAggregation("window/1", planned, sources, state),
            lambda sources, state: choice.window("window/1", planned, sources, state),
            [],
        )
        self.window = planned.window

    def agree(self) -> None:
        super().agree()
        typed, general = self.typed, self.general
        assert isinstance(typed, SlicedWindow)
        assert isinstance(general, WindowAggregation)
        assert typed._opened({}) == dict(general._windows.items())
        for key, _ in typed._windows.items():
            assert list(windows_of(self.window, key[1]))[-1][1] - 1 > general._clock.watermark
        assert (len(typed._windows) == 0) == (len(general._windows) == 0)
        assert typed._windows.size_bytes() > 0


@pytest.mark.parametrize(
    ("window", "aggregates"),
    [*((window, COUNTS) for window in WINDOWS), *((window, BOUNDS) for window in WINDOWS[1::2]), (WINDOWS[0], ())],
)
def test_equal_to_the_general_operator(window: Window, aggregates: tuple[Aggregate, ...]) -> None:
    for seed in range(4):
        chance = random.Random(seed)
        run = Sliced(planned := node(window, ((0,), (0, 1), (3,), ())[seed % 4], aggregates))
        rows, marks = timed(chance, 60, lambda time, chance=chance: row(chance, time))
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


def near(chance: random.Random, at: int) -> tuple[Any, ...]:
    """Mostly in order, and dense: every key in most slices."""
    late = chance.choice((0, 0, 0, 0, 700, 2_500, 6_000))
    return (chance.choice("abc"), chance.choice(INTS), chance.choice((0.5, None)), True, at * 20 - late)


def falling(chance: random.Random, at: int) -> tuple[Any, ...]:
    """Every MAX leaves with the oldest slice, and every MIN is new."""
    return ("a", -at if at % 5 else None, 1.0, chance.choice((True, None)), at * 60)


@pytest.mark.parametrize("made", [near, falling])
@pytest.mark.parametrize("aggregates", [COUNTS, BOUNDS], ids=["counts", "bounds"])
def test_keys_that_stay(made: Callable[[random.Random, int], tuple[Any, ...]], aggregates: Any) -> None:
    chance = random.Random(5)
    run = Sliced(node(Window(WindowKind.HOP, 5_000, 500), (0,), aggregates))
    rows = [(INSERT, seq, made(chance, seq)) for seq in range(600)]
    marks = [(seq, rows[seq][2][4] - 1_000) for seq in range(0, 600, 7)]
    for number, each in enumerate(batches(TYPES, rows, marks, chance, 60)):
        run.step(each)
        if number % 6 == 5:
            run.reload()
    assert len(run.outputs) > 20


def test_an_event_is_in_one_row_and_an_erasure_makes_the_rest_anew() -> None:
    chance = random.Random(1)
    run = Sliced(node(Window(WindowKind.HOP, 60_000, 1_000), (0,), COUNTS))
    rows = [(INSERT, seq, (f"k{seq % 9}", seq, 1.0, True, seq * 500)) for seq in range(200)]
    marks = [(seq, seq * 500 - 2_000) for seq in range(200)]
    parts = batches(TYPES, rows, marks, chance, 40)
    for each in parts[:-1]:
        run.step(each)
    cell = run.typed._windows  # type: ignore[attr-defined]
    assert len(cell) < 200 < len(run.general._windows)  # type: ignore[attr-defined]
    before = cell.running
    run.typed.remade({"slices": Erased(1)}, {"slices": cell})
    assert cell.running is not before
    assert not any(piece.any() for piece in (*before._segments, *before._kept))
    run.agree()
    run.step(parts[-1])


def test_more_keys_than_there_is_room_for_at_first() -> None:
    run = Sliced(node(Window(WindowKind.HOP, 3_000, 1_000), (1,), COUNTS))
    rows = [(INSERT, seq, ("", (seq * 37) % 1_201, 1.0, True, seq)) for seq in range(1_200)]
    for each in batches(TYPES, rows, [(1_199, 900), (1_200, 2_100), (1_201, MAX_WATERMARK)], random.Random(2), 1_200):
        run.step(each)
    assert len(run.outputs) > 3_000


def test_a_snapshot_is_of_one_moment_while_windows_fire() -> None:
    run = Sliced(node(Window(WindowKind.HOP, 4_000, 1_000), (1,), BOUNDS))
    rows = [(INSERT, seq, ("", seq % 200, 1.0, True, seq * 8)) for seq in range(1_500)]
    parts = batches(TYPES, rows, [(seq, seq * 8 - 500) for seq in range(0, 1_500, 50)], random.Random(4), 200)
    for each in parts[:7]:
        run.step(each)
    expected, held = run.state.hash(), dict(run.typed._opened({}))  # type: ignore[attr-defined]
    snapshot, fresh = run.state.snapshot(), State()
    made = choice.window("window/1", node(run.window, (1,), BOUNDS), run.upstream, fresh)
    for each in parts[7:]:
        run.step(each)
        for name, body in snapshot.slice(64):
            fresh.cells[name].load_page(body)
    assert snapshot.done
    assert fresh.hash() == snapshot.state_hash == expected != run.state.hash()
    made.restore()
    assert made._opened({}) == held


@pytest.mark.parametrize(
    ("window", "aggregates"),
    [
        (Window(WindowKind.TUMBLE, 1_000), COUNTS),
        (Window(WindowKind.HOP, 1_000, 2_000), COUNTS),
        (Window(WindowKind.CUMULATE, 1_000, 1_000), COUNTS),
        (WINDOWS[0], (Aggregate("SUM", (2,), DOUBLE),)),
        (WINDOWS[0], (Aggregate("MAX", (2,), DOUBLE),)),
        (WINDOWS[0], (Aggregate("LAST_VALUE", (1,), BIGINT),)),
    ],
)
def test_what_depends_on_order_or_shares_nothing_keeps_whole_windows(window: Window, aggregates: Any) -> None:
    run = Both(
        [TYPES],
        lambda sources, state: WindowAggregation("window/1", node(window, (0,), aggregates), sources, state),
        lambda sources, state: choice.window("window/1", node(window, (0,), aggregates), sources, state),
        ["_windows"],
    )
    assert not isinstance(run.typed, SlicedWindow)
