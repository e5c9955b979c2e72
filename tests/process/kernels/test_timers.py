"""The queue of timers against a plain heap, however times come."""

import heapq
import random

import numpy as np
import pytest

from nextpaint.process.kernels import timers
from nextpaint.process.typed_timeline import Timers
from nextpaint.record.compiled import kernel


@kernel("void(int64[::1], int64, int64, int64)")
def push(queue, time, order, slot):
    timers.push(queue, time, order, slot)


@kernel("void(int64[::1])")
def pop(queue):
    timers.pop(queue)


@kernel("void(int64[::1], int64[::1])")
def first(queue, found):
    found[0], found[1], found[2] = timers.first_time(queue), timers.first_order(queue), timers.first_slot(queue)


@kernel("int64(int64[::1], int64)")
def coming(queue, after):
    return timers.coming(queue, after)


def first_of(queue):
    """(time, order, slot) of the first timer."""
    found = np.zeros(3, np.int64)
    first(queue, found)
    return tuple(found.tolist())


def drawn(how, chance, number):
    if how == "in order":
        return number // 3
    if how == "late ones":
        return number - chance.randrange(500) * (chance.random() < 0.1)
    if how == "one far ahead":
        return 10**12 if number == 5 else number
    return chance.randrange(1_000)


@pytest.mark.parametrize("how", ["in order", "late ones", "one far ahead", "any"])
def test_timers_come_out_in_order_of_time_and_number(how):
    chance, queue, model = random.Random(7), Timers(), []
    for number in range(12_000):
        if queue.queue[timers.COUNT] == queue.queue[timers.ROOM]:
            queue.more_timers()
        time = drawn(how, chance, number)
        push(queue.queue, time, number, number + 1)
        heapq.heappush(model, (time, number, number + 1))
        # Grows to thousands, shrinks, and grows again: the ring goes round and becomes larger on the way.
        while model and chance.random() < (0.3 if number % 9_000 < 7_000 else 0.9):
            assert queue.first_time() == model[0][0]
            assert first_of(queue.queue) == heapq.heappop(model)
            pop(queue.queue)
    assert queue.waiting == len(model) > 1_000
    while model:
        assert first_of(queue.queue) == heapq.heappop(model)
        pop(queue.queue)
    assert queue.first_time() is None


def test_timers_in_order_say_what_comes_next():
    queue = Timers()
    queue.armed(100)
    for number in range(100):
        push(queue.queue, number, number, number)
    pop(queue.queue)
    assert [coming(queue.queue, after) for after in (0, 8, 98, 99)] == [1, 9, 99, -1]


def test_one_timer_far_ahead_does_not_keep_the_others_in_the_heap():
    queue = Timers()
    queue.armed(1_000)
    push(queue.queue, 10**12, 0, 0)
    for number in range(1, 500):
        push(queue.queue, number, number, number)
    assert queue.queue[timers.IN_HEAP] < 100
