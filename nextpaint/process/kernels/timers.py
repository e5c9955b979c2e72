"""A queue of timers: the smallest (time, order) first. A binary heap in blocks that never move.

A queue is one array of int64 (the names below are its indices). Entries are time, order, slot. Derived from state:
neither hashed nor saved. `push` is called only when `room_for_timers` said yes.
"""

from __future__ import annotations

from typing import Any

from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.paged import ROOM_TIMERS, lacking
from nextpaint.record.compiled import inner

BLOCKS, COUNT, ROOM, ORDER = range(4)  # ORDER: of the timer set last, for whoever numbers them
QUEUE = 4
BLOCK_TIMERS = 2048
TIMER_WORDS = 3

Queue = Any


@inner
def room_for_timers(meta: Any, queue: Queue, count: int) -> Any:
    """Is there room for more timers? If not, NEED says so."""
    if queue[COUNT] + count > queue[ROOM]:
        return lacking(meta, ROOM_TIMERS, count)
    return True


@inner
def _at(queue: Queue, place: int) -> Any:
    return load(queue[BLOCKS] + (place >> 11) * 8) + (place & 2047) * (8 * TIMER_WORDS)


@inner
def push(queue: Queue, time: int, order: int, slot: int) -> None:
    """Add a timer."""
    place = queue[COUNT]
    queue[COUNT] += 1
    at = _at(queue, place)
    while place > 0:
        above = (place - 1) >> 1
        parent = _at(queue, above)
        parent_time = load(parent)
        if parent_time < time or (parent_time == time and load(parent + 8) <= order):
            break
        store(at, parent_time)
        store(at + 8, load(parent + 8))
        store(at + 16, load(parent + 16))
        at, place = parent, above
    store(at, time)
    store(at + 8, order)
    store(at + 16, slot)


@inner
def first_time(queue: Queue) -> Any:
    """The time of the first timer; there is one."""
    return load(_at(queue, 0))


@inner
def first_slot(queue: Queue) -> Any:
    """The slot of the first timer; there is one."""
    return load(_at(queue, 0) + 16)


@inner
def first_order(queue: Queue) -> Any:
    """The order of the first timer; there is one."""
    return load(_at(queue, 0) + 8)


@inner
def pop(queue: Queue) -> None:
    """Remove the first timer."""
    queue[COUNT] -= 1
    count = queue[COUNT]
    last = _at(queue, count)
    time, order, slot = load(last), load(last + 8), load(last + 16)
    place = 0
    at = _at(queue, 0)
    while 2 * place + 1 < count:
        below = 2 * place + 1
        child = _at(queue, below)
        if below + 1 < count:
            other = _at(queue, below + 1)
            if load(other) < load(child) or (load(other) == load(child) and load(other + 8) < load(child + 8)):
                child, below = other, below + 1
        child_time = load(child)
        if time < child_time or (time == child_time and order <= load(child + 8)):
            break
        store(at, child_time)
        store(at + 8, load(child + 8))
        store(at + 16, load(child + 16))
        at, place = child, below
    store(at, time)
    store(at + 8, order)
    store(at + 16, slot)
