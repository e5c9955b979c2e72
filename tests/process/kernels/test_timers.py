"""The queue of timers against a plain heap, however times come."""

import heapq
import random

import pytest

from nextpaint.process.kernels import timers
from nextpaint.process.typed_timeline import Timers


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
        timers.push(queue.queue, time, number, number + 1)
        heapq.heappush(model, (time, number, number + 1))
        # Grows to thousands, shrinks, and grows again: the ring goes round and becomes larger on the way.
        while model and chance.random() < (0.3 if number % 9_000 < 7_000 else 0.9):
            first = model[0]
            assert queue.first_time() == first[0]
            assert timers.first_time(queue.queue) == first[0]
            assert (timers.first_order(queue.queue), timers.first_slot(queue.queue)) == first[1:]
            heapq.heappop(model)
            timers.pop(queue.queue)
    assert queue.waiting == len(model) > 1_000
    while model:
        assert timers.first_slot(queue.queue) == heapq.heappop(model)[2]
        timers.pop(queue.queue)
    assert queue.first_time() is None


def test_timers_in_order_say_what_comes_next():
    queue = Timers()
    queue.armed(100)
    for number in range(100):
        timers.push(queue.queue, number, number, number)
    timers.pop(queue.queue)
    assert [timers.coming(queue.queue, after) for after in (0, 8, 98, 99)] == [1, 9, 99, -1]


def test_one_timer_far_ahead_does_not_keep_the_others_in_the_heap():
    queue = Timers()
    queue.armed(1_000)
    timers.push(queue.queue, 10**12, 0, 0)
    for number in range(1, 500):
        timers.push(queue.queue, number, number, number)
    assert queue.queue[timers.IN_HEAP] < 100
