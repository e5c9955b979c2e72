"""A queue of timers: the smallest (time, order) first. A ring of those set in order of time, a heap of the others.

Timers are mostly set in the order in which they are due, with rows that come in late between: a timer that is not
before the last one of the ring joins it, which costs nothing however many there are, and says what is due next and
after that. Others are in a heap of four entries below each. Both are in blocks that never move.

A queue is one array of int64 (the names below are its indices). Entries are time, order, slot. Derived from state:
neither hashed nor saved. `push` is called only when `room_for_timers` said yes.
"""

from __future__ import annotations

from typing import Any

from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.paged import ROOM_TIMERS, lacking
from nextpaint.record.compiled import inner

BLOCKS, COUNT, ROOM, ORDER = range(4)  # ORDER: of the timer set last, for whoever numbers them
IN_HEAP, RING, RING_MASK, HEAD, TAIL = range(4, 9)  # of COUNT; blocks of the ring; its entries are numbers HEAD to TAIL
QUEUE = 9
BLOCK_TIMERS = 2048
TIMER_WORDS = 3
_BELOW = 4
_FEW, _MANY = 4, 64  # so few timers of the ring, far ahead, do not keep so many out of it

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
def _in_ring(queue: Queue, number: int) -> Any:
    place = number & queue[RING_MASK]
    return load(queue[RING] + (place >> 11) * 8) + (place & 2047) * (8 * TIMER_WORDS)


@inner
def _written(at: int, time: int, order: int, slot: int) -> None:
    store(at, time)
    store(at + 8, order)
    store(at + 16, slot)


@inner
def _into_heap(queue: Queue, time: int, order: int, slot: int) -> None:
    place = queue[IN_HEAP]
    queue[IN_HEAP] += 1
    at = _at(queue, place)
    while place > 0:
        above = (place - 1) >> 2
        parent = _at(queue, above)
        parent_time = load(parent)
        if parent_time < time or (parent_time == time and load(parent + 8) <= order):
            break
        _written(at, parent_time, load(parent + 8), load(parent + 16))
        at, place = parent, above
    _written(at, time, order, slot)


@inner
def push(queue: Queue, time: int, order: int, slot: int) -> None:
    """Add a timer."""
    queue[COUNT] += 1
    if queue[TAIL] != queue[HEAD]:
        last = _in_ring(queue, queue[TAIL] - 1)
        if time < load(last) or (time == load(last) and order < load(last + 8)):
            if queue[TAIL] - queue[HEAD] > _FEW or queue[IN_HEAP] < _MANY:
                _into_heap(queue, time, order, slot)
                return
            while queue[TAIL] != queue[HEAD]:
                ahead = _in_ring(queue, queue[HEAD])
                queue[HEAD] += 1
                _into_heap(queue, load(ahead), load(ahead + 8), load(ahead + 16))
    _written(_in_ring(queue, queue[TAIL]), time, order, slot)
    queue[TAIL] += 1


@inner
def _heap_is_first(queue: Queue) -> Any:
    """Whether the first timer, of at least one, is in the heap."""
    if queue[TAIL] == queue[HEAD]:
        return True
    if queue[IN_HEAP] == 0:
        return False
    ring, heap = _in_ring(queue, queue[HEAD]), _at(queue, 0)
    return load(heap) < load(ring) or (load(heap) == load(ring) and load(heap + 8) < load(ring + 8))


@inner
def first_at(queue: Queue) -> Any:
    """Where the first timer is; there is one. Its words are time, order, slot."""
    return _at(queue, 0) if _heap_is_first(queue) else _in_ring(queue, queue[HEAD])


@inner
def first_time(queue: Queue) -> Any:
    """The time of the first timer; there is one."""
    return load(first_at(queue))


@inner
def first_slot(queue: Queue) -> Any:
    """The slot of the first timer; there is one."""
    return load(first_at(queue) + 16)


@inner
def first_order(queue: Queue) -> Any:
    """The order of the first timer; there is one."""
    return load(first_at(queue) + 8)


@inner
def coming(queue: Queue, after: int) -> Any:
    """The slot of a timer that will probably be first when so many have been; -1: not known. It is still set."""
    number = queue[HEAD] + after
    return load(_in_ring(queue, number) + 16) if number < queue[TAIL] else -1


@inner
def pop(queue: Queue) -> None:
    """Remove the first timer."""
    queue[COUNT] -= 1
    if not _heap_is_first(queue):
        queue[HEAD] += 1
        return
    queue[IN_HEAP] -= 1
    count = queue[IN_HEAP]
    last = _at(queue, count)
    time, order, slot = load(last), load(last + 8), load(last + 16)
    place = 0
    at = _at(queue, 0)
    while _BELOW * place + 1 < count:
        below = _BELOW * place + 1
        child = _at(queue, below)
        child_time, child_order = load(child), load(child + 8)
        for beside in range(below + 1, min(below + _BELOW, count)):
            other = _at(queue, beside)
            other_time, other_order = load(other), load(other + 8)
            if other_time < child_time or (other_time == child_time and other_order < child_order):
                child, below, child_time, child_order = other, beside, other_time, other_order
        if time < child_time or (time == child_time and order <= child_order):
            break
        _written(at, child_time, child_order, load(child + 16))
        at, place = child, below
    _written(at, time, order, slot)
