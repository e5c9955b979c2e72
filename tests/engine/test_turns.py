"""The state thread's schedule: what is late is known, and what was late is forgotten."""

import asyncio
from types import SimpleNamespace

import pytest

from nextpaint.engine.node import NodeSettings
from nextpaint.engine.turns import (
    CROWDED_FOR_MS,
    CROWDED_SHARE,
    DECIDE_MS_MAX,
    LAG_MS_MAX,
    PATIENCE_MS,
    PATIENCE_MS_MAX,
    Turns,
)
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SimulatedClock, SystemClock
from nextpaint.process.runner import Arriving
from nextpaint.record.errors import Overloaded
from nextpaint.record.runs import gathered
from tests.engine.shop import GOODS, click, corner, opened, until


def test_a_stall_is_seen_as_lag_and_fades_when_nothing_waits():
    async def run():
        clock = SimulatedClock()
        turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None)
        turns.submit(0, lambda: None)
        clock.advance(120)
        assert turns.lag_ms == 120
        await asyncio.sleep(0)
        clock.advance(10)
        assert turns.lag_ms == 110
        clock.advance(200)
        assert turns.lag_ms == 0

    asyncio.run(run())


def test_what_was_read_after_a_turn_may_have_waited_for_the_whole_of_it():
    async def run():
        clock = SimulatedClock(0)
        turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None)
        turns.submit(0, lambda: clock.advance(20))
        clock.advance(7)  # until the turn comes
        await asyncio.sleep(0)
        assert turns.unread_ms == 27, "it came when the last one had been read, and nothing was read since"
        clock.advance(3)
        assert turns.unread_ms == 27
        turns.submit(0, lambda: None)
        clock.advance(4)
        assert turns.unread_ms == 27 + 4, "and waits for its own turn"
        clock.advance(21)
        assert turns.unread_ms == turns.lag_ms == 25, "the node slept after its last turn: it reads at once"

    asyncio.run(run())


def test_a_node_that_refused_events_after_a_stall_takes_them_again(tmp_path):
    """Even if the refused events were all its traffic: nobody else gives the state thread a turn."""

    async def run():
        async with opened(tmp_path, corner(), items=GOODS, settings=NodeSettings()) as engine:
            turns, clock = engine.node.turns, SimulatedClock()
            clock.advance(turns._clock.monotonic_ns() // 1_000_000 + 1)
            turns._clock = clock
            turns.submit(0, lambda: None)
            clock.advance(300)
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await engine.ingest(LOCAL, [click("v", "g1")])
            clock.advance(300)
            return await engine.ingest(LOCAL, [click("v", "g1")])

    assert asyncio.run(run()).accepted == 1


def test_decisions_run_earliest_deadline_first():
    async def run():
        done = []
        turns = Turns(SystemClock(), lambda records: None, lambda switch: None, lambda: None)
        for deadline in (30, 10, 20):
            turns.submit(deadline, lambda deadline=deadline: done.append(deadline))
        await until(lambda: len(done) == 3)
        return done

    assert asyncio.run(run()) == [10, 20, 30]


@pytest.mark.parametrize("waited_ms", [0, 60])
def test_decisions_of_a_turn_are_bounded_and_events_give_way_by_how_long_the_next_one_waits(waited_ms):
    async def run():
        clock, done = SimulatedClock(), []
        turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None)

        def decide():
            clock.advance(1)
            done.append(None)

        for _ in range(80):
            turns.submit(0, decide)
        clock.advance(waited_ms)
        assert turns.lag_ms == waited_ms
        turns._turn()
        return len(done)

    assert asyncio.run(run()) == DECIDE_MS_MAX


def decisions_in_turn(waits_ms, between_ms=10, lag_ms_max=LAG_MS_MAX):
    """Turns in which the next decision had waited so long, one after the other; whether they are crowded after each."""

    async def run():
        clock, crowded = SimulatedClock(1_000_000), []
        turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None, lag_ms_max)
        for waited_ms in waits_ms:
            turns.submit(0, lambda: None)
            clock.advance(waited_ms)
            turns._turn()
            crowded.append(turns.crowded)
            clock.advance(between_ms)
        clock.advance(int(CROWDED_FOR_MS))
        return crowded, turns.crowded

    return asyncio.run(run())


def test_what_an_answer_does_not_depend_on_goes_before_events_are_refused():
    async def run():
        clock, seen = SimulatedClock(1_000_000), []
        turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None)
        for _ in range(8):
            turns.submit(0, lambda: None)
            clock.advance(20)
            turns._turn()
            seen.append((turns.pressed, turns.crowded))
        return seen

    assert asyncio.run(run()) == [(False, False)] * 3 + [(True, False)] * 5


def test_decisions_that_all_wait_long_for_a_while_are_a_queue_that_stands():
    long_ms = int(CROWDED_SHARE * LAG_MS_MAX) + 5
    crowded, after = decisions_in_turn([long_ms] * 4)
    assert crowded == [False, False, False, True], "told from a burst by how long it goes on"
    assert not after, "nothing was decided for a while: there is no queue"


def test_where_a_node_may_be_later_a_longer_queue_is_none():
    long_ms = int(CROWDED_SHARE * LAG_MS_MAX) + 5
    assert decisions_in_turn([long_ms] * 9, lag_ms_max=10 * LAG_MS_MAX) == ([False] * 9, False)
    assert decisions_in_turn([10 * long_ms] * 4, lag_ms_max=10 * LAG_MS_MAX)[0][-1]


def test_one_decision_that_need_not_wait_ends_the_queue():
    long_ms = int(CROWDED_SHARE * LAG_MS_MAX) + 5
    waits = [*[long_ms] * 4, 1, long_ms, long_ms]
    assert decisions_in_turn(waits)[0] == [*[False] * 3, True, *[False] * 3]


def test_a_clock_that_stands_still_makes_no_slice_of_infinite_size():
    async def run():
        applied = []
        turns = Turns(SimulatedClock(), applied.extend, lambda switch: None, lambda: None)
        for seq in range(5_000):
            turns.extend([Arriving(seq, 0, "t", None, None, True)])
            turns.drain()
        assert len(applied) == 5_000

    asyncio.run(run())


def test_slices_grow_while_they_are_short_and_shrink_when_one_is_long():
    """What a slice costs whatever is in it must not make the next one smaller."""

    async def run():
        spent_ns, per_record_ns, sizes = [0], [0], []

        def apply(runs):
            sizes.append(sum(map(len, runs)))
            spent_ns[0] += 900_000 + per_record_ns[0] * sizes[-1]

        clock = SimpleNamespace(monotonic_ns=lambda: spent_ns[0])
        turns = Turns(clock, apply, lambda switch: None, lambda: None)
        seen = []
        for per_record_ns[0] in (10_000, 400_000):
            turns.extend(gathered([Arriving(seq, 0, "t", None, None, seq == 0) for seq in range(3_000)]))
            turns.drain()
            seen.append(sizes[:-1])  # the last takes what is left
            sizes.clear()
        return seen

    cheap, dear = asyncio.run(run())
    assert max(cheap) > 100
    assert max(dear[3:]) <= 10


def test_the_busier_the_thread_the_longer_a_slice_may_be():
    """Records come by the thousand and decisions all the time, so that nothing but the share of the thread counts."""

    async def largest(busy):
        spent_ns, sizes = [0], []

        def apply(runs):
            sizes.append(sum(map(len, runs)))
            spent_ns[0] += 900_000 + 50_000 * sizes[-1]

        turns = Turns(SimpleNamespace(monotonic_ns=lambda: spent_ns[0]), apply, lambda switch: None, lambda: None)
        spent_ns[0] += 300_000_000
        turns._measure(0 if busy else spent_ns[0])
        turns._decided_ns = 1
        turns.extend(gathered([Arriving(seq, 0, "t", None, None, seq == 0) for seq in range(3_000)]))
        while turns.waiting_records:
            turns._slice()
        return max(sizes[:-1])

    assert asyncio.run(largest(busy=False)) < 70  # 3 ms and what one growth overshoots
    assert 150 < asyncio.run(largest(busy=True)) < 330


def test_a_busy_thread_lets_records_wait_longer_for_company_and_a_quiet_one_does_not():
    clock = SimulatedClock()
    turns = Turns(clock, lambda records: None, lambda switch: None, lambda: None)

    def busy_for(ms: int, of_ms: int) -> float:
        """What patience is after a window of which the thread was busy for a part."""
        clock.advance(of_ms - ms)
        since_ns = clock.monotonic_ns()
        clock.advance(ms)
        turns._measure(since_ns)
        return turns._patience_ns / 1e6

    turns._measure(clock.monotonic_ns())
    assert busy_for(100, 300) == PATIENCE_MS
    assert PATIENCE_MS < busy_for(210, 300) < PATIENCE_MS_MAX
    assert busy_for(300, 300) == PATIENCE_MS_MAX
    assert busy_for(0, 100) == PATIENCE_MS_MAX, "one quiet moment says nothing"
    assert busy_for(30, 200) == PATIENCE_MS


def test_records_wait_for_company_by_the_loop_not_by_the_clock():
    """A clock that only runs while the thread does (a bench's) must not keep them waiting."""

    async def run():
        clock, applied = SimulatedClock(), []
        turns = Turns(clock, applied.extend, lambda switch: None, lambda: None)
        turns._sliced_ns = clock.monotonic_ns()
        turns.extend([Arriving(0, 0, "t", None, None, True)])
        await asyncio.sleep(0)
        assert not applied
        await until(lambda: applied)
        return len(applied)

    assert asyncio.run(run()) == 1


def test_what_is_due_leaves_after_each_decision_and_before_the_slices():
    async def run():
        done = []
        turns = Turns(SystemClock(), lambda runs: done.append("slice"), lambda switch: None, lambda: None)
        turns.decided = lambda: done.append("hand over")
        turns.hurried = lambda: True
        turns.extend(gathered([Arriving(0, 0, "t", None, None, True)]))
        for name in ("first", "second"):
            turns.submit(0, lambda name=name: done.append(name))
        await until(lambda: "slice" in done)
        return done

    assert asyncio.run(run())[:5] == ["first", "hand over", "second", "hand over", "slice"]


def test_who_writes_alone_waits_for_nobody_and_many_share_frames(tmp_path):
    async def run():
        settings = NodeSettings(frame_gap_ms=50, lag_ms_max=60_000)
        async with opened(tmp_path / "node", corner(), items=GOODS, settings=settings) as engine:
            loop, frames = asyncio.get_running_loop(), engine.node.observed.frames
            delayed, tick = [], settings.tick_ms / 1000
            later = loop.call_later
            engine.node.loop = SimpleNamespace(
                call_soon=loop.call_soon, create_future=loop.create_future,
                call_later=lambda delay, call: (delay < tick and delayed.append(delay), later(delay, call))[1],
            )  # fmt: skip
            for _ in range(10):
                await engine.ingest(LOCAL, [click("v", "g1")])
            assert delayed == []
            before = frames.total
            await asyncio.gather(*(engine.ingest(LOCAL, [click("v", "g1")]) for _ in range(40)))
            assert frames.total - before <= 3
            await asyncio.gather(*(engine.ingest(LOCAL, [click("v", "g1")]) for _ in range(40)))
            assert delayed and max(delayed) <= 0.05
            engine.node.loop = loop

    asyncio.run(run())
