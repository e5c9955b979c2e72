"""The rows of one key in order of time: found by time in a tree, read one after the other through a chain.

The tree is a treap: ordered by time, rows of one time in the order they came in; of two rows the one whose number has
the higher priority is above. A priority is a hash of the number, so the tree is flat whatever order times come in, and
a step down costs a look at one row. Rows go oldest first, all of a time together.

Four words of layout in each row, from `place[1]` on: the trees of earlier and of later rows below it, the row after it,
its number. Slots are stored one higher, zero is none. A set of rows is two words anywhere: the tree's root, the first
row. `place`: the word of a stored row that has its time, and its first link.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.paged import row_at
from nextpaint.record.compiled import inner

EARLIER, LATER, AFTER, NUMBER = range(4)
LINKS = 4
ROOT, FIRST = range(2)
SET_WORDS = 2

Address = Any


@inner
def _priority(number: int) -> Any:
    """A hash of a row's number (the finalizer of SplitMix64)."""
    mixed = np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)


@inner
def time_of(meta: Any, place: Any, slot: int) -> Any:
    """A row's time."""
    return load(row_at(meta, slot) + 8 * place[0])


@inner
def number_of(meta: Any, place: Any, slot: int) -> Any:
    """A row's number."""
    return load(row_at(meta, slot) + 8 * (place[1] + NUMBER))


@inner
def next_of(meta: Any, place: Any, slot: int) -> Any:
    """The row after this one; -1: none."""
    return load(row_at(meta, slot) + 8 * (place[1] + AFTER)) - 1


@inner
def first_of(held: Address) -> Any:
    """The oldest row of a set; -1: none."""
    return load(held + 8 * FIRST) - 1


@inner
def first_from(meta: Any, place: Any, held: Address, time: int) -> Any:
    """The first row of a set at or after a time; -1: none."""
    found = np.int64(-1)
    here = load(held + 8 * ROOT) - 1
    while here >= 0:
        row = row_at(meta, here)
        if load(row + 8 * place[0]) >= time:
            found = here
            here = load(row + 8 * (place[1] + EARLIER)) - 1
        else:
            here = load(row + 8 * (place[1] + LATER)) - 1
    return found


@inner
def put_in(meta: Any, place: Any, held: Address, slot: int, number: int) -> None:
    """Take a row into a set, behind those of its time; its number is higher than theirs."""
    row = row_at(meta, slot)
    link = row + 8 * place[1]
    time, priority = load(row + 8 * place[0]), _priority(number)
    store(link + 8 * NUMBER, number)
    before = np.int64(-1)
    hole = held + 8 * ROOT
    here = load(hole) - 1
    while here >= 0 and _priority(number_of(meta, place, here)) >= priority:
        other = row_at(meta, here)
        if load(other + 8 * place[0]) <= time:
            before = here
            hole = other + 8 * (place[1] + LATER)
        else:
            hole = other + 8 * (place[1] + EARLIER)
        here = load(hole) - 1
    store(hole, slot + 1)
    # What was there is divided between the two sides of the row.
    earlier, later = link + 8 * EARLIER, link + 8 * LATER
    while here >= 0:
        other = row_at(meta, here)
        if load(other + 8 * place[0]) <= time:
            before = here
            store(earlier, here + 1)
            earlier = other + 8 * (place[1] + LATER)
            here = load(earlier) - 1
        else:
            store(later, here + 1)
            later = other + 8 * (place[1] + EARLIER)
            here = load(later) - 1
    store(earlier, 0)
    store(later, 0)
    at = held + 8 * FIRST if before < 0 else row_at(meta, before) + 8 * (place[1] + AFTER)
    store(link + 8 * AFTER, load(at))
    store(at, slot + 1)


@inner
def cut_upto(meta: Any, place: Any, held: Address, time: int) -> None:
    """Take the rows up to a time out of the tree. The chain is the caller's, who walks it and says which row is then
    the first (`began_with`)."""
    hole = held + 8 * ROOT
    here = load(hole) - 1
    while here >= 0:
        row = row_at(meta, here)
        if load(row + 8 * place[0]) <= time:
            here = load(row + 8 * (place[1] + LATER)) - 1
            store(hole, here + 1)
        else:
            hole = row + 8 * (place[1] + EARLIER)
            here = load(hole) - 1


@inner
def began_with(held: Address, slot: int) -> None:
    """Say which row of a set is the first; -1: it is empty."""
    store(held + 8 * FIRST, slot + 1)
