"""Time, chance and threads, real and simulated."""

import queue
import threading

import pytest

from nextpaint.ports import (
    InlineWorkers,
    SeededRandom,
    SimulatedClock,
    SimulatedWorkers,
    SystemClock,
    SystemRandom,
    ThreadWorkers,
)


def test_the_system_clock_is_in_epoch_milliseconds():
    clock = SystemClock()
    assert 1_700_000_000_000 < clock.now_ms() < 5_000_000_000_000
    assert clock.monotonic_ns() <= clock.monotonic_ns()


def test_simulated_time_moves_only_when_told():
    clock = SimulatedClock(now_ms=1000)
    clock.advance(5)
    assert (clock.now_ms(), clock.monotonic_ns()) == (1005, 5_000_000)
    clock.jump(-500)
    assert (clock.now_ms(), clock.monotonic_ns()) == (505, 5_000_000)
    with pytest.raises(ValueError, match="forwards"):
        clock.advance(-1)


def test_a_seed_repeats_and_the_system_does_not():
    assert SeededRandom(1).token(9) == SeededRandom(1).token(9) != SeededRandom(2).token(9)
    assert SystemRandom().uint64() != SystemRandom().uint64()
    assert len(SystemRandom().token(5)) == 5
    assert 0 <= SeededRandom(1).uint64() < 1 << 64


def test_the_system_gives_no_byte_twice():
    random = SystemRandom()
    drawn = [random.token(8) for _ in range(2_000)]
    assert len(set(drawn)) == 2_000
    assert len(random.token(10_000)) == 10_000


def outcome(results: list):
    return lambda result, error: results.append((result, error))


def boom() -> int:
    raise OSError("boom")


def test_inline_workers_run_at_once():
    results: list = []
    InlineWorkers().submit(lambda: 7, outcome(results))
    InlineWorkers().submit(boom, outcome(results))
    assert results[0] == (7, None)
    assert str(results[1][1]) == "boom"


def test_thread_workers_run_elsewhere_and_deliver_here():
    calls: queue.Queue = queue.Queue()
    workers = ThreadWorkers(calls.put)
    results: list = []
    workers.submit(lambda: threading.current_thread().name, outcome(results))
    workers.submit(boom, outcome(results))
    for _ in range(2):
        calls.get(timeout=60)()
    workers.close()
    assert results[0] == ("nextpaint-worker-0", None)
    assert isinstance(results[1][1], OSError)


def test_what_is_done_can_be_delivered_before_the_loop_comes_to_it_and_only_once():
    calls: queue.Queue = queue.Queue()
    workers = ThreadWorkers(calls.put)
    results: list = []
    workers.submit(lambda: 1, outcome(results))
    late = calls.get(timeout=60)
    assert results == []
    workers.deliver_due()
    assert results == [(1, None)]
    late()
    workers.close()
    assert results == [(1, None)]


def test_a_closed_loop_stops_the_thread_quietly():
    def deliver(call) -> None:
        raise RuntimeError("Event loop is closed")

    workers = ThreadWorkers(deliver)
    workers.submit(lambda: 1, outcome([]))
    workers.close()


def test_simulated_workers_reorder_and_repeat_themselves():
    def run(seed: int) -> list[int]:
        workers = SimulatedWorkers(SeededRandom(seed))
        order: list[int] = []
        for number in range(6):
            workers.submit(lambda number=number: number, lambda result, error: order.append(result))
        assert not workers.idle
        assert order == []
        workers.close()
        assert workers.idle
        assert not workers.step()
        return order

    assert run(1) == run(1)
    assert sorted(run(1)) == list(range(6))
    assert len({tuple(run(seed)) for seed in range(10)}) > 5
