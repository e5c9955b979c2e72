"""Aggregates as a small program over words: one line per aggregate, run for each row.

A line of a program (int64, `LINE` words): what to do, how to finish, the argument's word and field in the packed input
row, the filter's word and field (-1: none), the accumulator's first word and field in the state row, the bits that a
finished integer wraps at (0: none), and the call whose members it needs (-1: none). Accumulators: COUNT a count; SUM
and AVG a count and a total; the others a value, NULL while there is none. Lines from `MEMBERS_ONLY` on have none: what
they are is in `kernels.members`.

Values are equal to those of `process.aggregates`, bit for bit: floats add in arrival order, integers wrap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.memory import load, load_real, store, store_real
from nextpaint.process.kernels.paged import NULLS
from nextpaint.record.compiled import inner

LINE = 10
COUNT_ALL, COUNT, SUM, SUM_REAL, MIN, MIN_REAL, MAX, MAX_REAL, FIRST, LAST = range(10)
MEMBERS_ONLY, MEMBERS_REAL = 16, 17  # the second: the result is a real
MEMBERS_OF = 9  # word of a line
AS_IS, TOTAL, AVERAGE, AVERAGE_REAL = range(4)

Address = Any


@inner
def start(program: Address, lines: int, row: Address) -> None:
    """The accumulators of a row without input; its other words are zero."""
    nulls = 0
    for line in range(lines):
        at = program + line * 8 * LINE
        if MIN <= load(at) < MEMBERS_ONLY:
            nulls |= 1 << load(at + 56)
    store(row + 8 * NULLS, load(row + 8 * NULLS) | nulls)


@inner
def filtered(at: Address, packed: Address) -> Any:
    """Does the filter of a line leave a row out?"""
    if load(at + 32) < 0:
        return False
    return load(packed) >> load(at + 40) & 1 != 0 or load(packed + 8 * load(at + 32)) == 0


@inner
def skips(at: Address, packed: Address) -> Any:
    """Does a line leave a row out, for its filter or its NULL?"""
    return filtered(at, packed) or (load(at) != COUNT_ALL and load(packed) >> load(at + 24) & 1 != 0)


@inner
def add(program: Address, lines: int, row: Address, packed: Address) -> None:
    """Take an input row into a state row's accumulators."""
    for line in range(lines):
        at = program + line * 8 * LINE
        if not skips(at, packed):
            add_line(at, row, packed)


@inner
def add_line(at: Address, row: Address, packed: Address) -> None:
    """Take an input row that is not skipped into one line's accumulator."""
    what = load(at)
    acc = row + 8 * load(at + 48)
    value = packed + 8 * load(at + 16)
    if what <= COUNT:
        store(acc, load(acc) + 1)
    elif what == SUM:
        store(acc, load(acc) + 1)
        store(acc + 8, load(acc + 8) + load(value))
    elif what == SUM_REAL:
        store(acc, load(acc) + 1)
        store_real(acc + 8, load_real(acc + 8) + load_real(value))
    else:
        _add_value(what, row, acc, load(at + 56), value)


@inner
def _add_value(what: int, row: Address, acc: Address, field: int, value: Address) -> None:
    nulls = load(row + 8 * NULLS)
    if nulls >> field & 1:
        store(row + 8 * NULLS, nulls & ~(1 << field))
        taken = True
    elif what == MIN:
        taken = load(value) < load(acc)
    elif what == MIN_REAL:
        taken = load_real(value) < load_real(acc)
    elif what == MAX:
        taken = load(value) > load(acc)
    elif what == MAX_REAL:
        taken = load_real(value) > load_real(acc)
    else:
        taken = what == LAST
    if taken:
        store(acc, load(value))


@inner
def retract(program: Address, lines: int, row: Address, packed: Address) -> None:
    """Take an input row back; counts and sums only."""
    for line in range(lines):
        at = program + line * 8 * LINE
        if not skips(at, packed):
            retract_line(at, row, packed)


@inner
def retract_line(at: Address, row: Address, packed: Address) -> None:
    """Take an input row that is not skipped back from one line's accumulator."""
    what = load(at)
    acc = row + 8 * load(at + 48)
    value = packed + 8 * load(at + 16)
    store(acc, load(acc) - 1)
    if what == SUM:
        store(acc + 8, load(acc + 8) - load(value))
    elif what == SUM_REAL:
        store_real(acc + 8, load_real(acc + 8) - load_real(value))


@inner
def merge(program: Address, lines: int, row: Address, other: Address) -> None:
    """Take another row's accumulators, of later input, into a row's."""
    for line in range(lines):
        at = program + line * 8 * LINE
        what = load(at)
        word = 8 * load(at + 48)
        acc, more = row + word, other + word
        if what <= COUNT:
            store(acc, load(acc) + load(more))
        elif what == SUM:
            store(acc, load(acc) + load(more))
            store(acc + 8, load(acc + 8) + load(more + 8))
        elif what == SUM_REAL:
            store(acc, load(acc) + load(more))
            store_real(acc + 8, load_real(acc + 8) + load_real(more + 8))
        elif load(other + 8 * NULLS) >> load(at + 56) & 1 == 0:
            _add_value(what, row, acc, load(at + 56), more)


@inner
def left(program: Address, lines: int, row: Address, other: Address) -> Any:
    """Take another row's accumulators, which were merged into a row's, out of them; whether a MIN or MAX left with them
    that is now to be `sought`. Not for reals, FIRST and LAST, which depend on the order of rows."""
    gone = False
    for line in range(lines):
        at = program + line * 8 * LINE
        what = load(at)
        word = 8 * load(at + 48)
        acc, less = row + word, other + word
        if what <= SUM:
            store(acc, load(acc) - load(less))
            if what == SUM:
                store(acc + 8, load(acc + 8) - load(less + 8))
        elif load(other + 8 * NULLS) >> load(at + 56) & 1 == 0 and load(less) == load(acc):
            gone = True
    return gone


@inner
def sought(program: Address, lines: int, row: Address, other: Address, first: bool) -> None:
    """Make a row's MIN and MAX anew of those of the rows it was merged of, one after the other."""
    for line in range(lines):
        at = program + line * 8 * LINE
        what, field = load(at), load(at + 56)
        if what < MIN:
            continue
        if first:
            store(row + 8 * NULLS, load(row + 8 * NULLS) | 1 << field)
        if load(other + 8 * NULLS) >> field & 1 == 0:
            word = 8 * load(at + 48)
            _add_value(what, row, row + word, field, other + word)


@inner
def _wrapped(value: int, bits: int) -> Any:
    if bits == 0 or bits == 64:
        return value
    return value << (64 - bits) >> (64 - bits)


@inner
def finish(program: Address, lines: int, row: Address, out: Address) -> None:
    """The results of a row as packed fields: NULL bits, then a word each."""
    nulls = 0
    for line in range(lines):
        at = program + line * 8 * LINE
        if load(at) >= MEMBERS_ONLY:
            continue
        how = load(at + 8)
        acc = row + 8 * load(at + 48)
        into = out + 8 * (line + 1)
        if how == AS_IS:
            if load(at) >= MIN and load(row + 8 * NULLS) >> load(at + 56) & 1:
                nulls |= 1 << line
                store(into, 0)
            else:
                store(into, load(acc))
            continue
        count = load(acc)
        if count == 0:
            nulls |= 1 << line
            store(into, 0)
        elif how == TOTAL:
            store(into, _wrapped(load(acc + 8), load(at + 64)))
        elif how == AVERAGE:
            total = load(acc + 8)
            down = total // count
            store(into, down + 1 if total < 0 and down * count != total else down)  # toward zero
        else:
            store_real(into, load_real(acc + 8) / np.float64(count))
    store(out, nulls)


@inner
def same_results(program: Address, lines: int, left: Address, right: Address) -> Any:
    """Are two finished rows equal? Words, and reals as numbers."""
    for line in range(lines + 1):
        if load(left + 8 * line) != load(right + 8 * line):
            if line == 0 or load_real(left + 8 * line) != 0.0 or load_real(right + 8 * line) != 0.0:
                return False
            at = program + (line - 1) * 8 * LINE
            what = load(at)
            if what != SUM_REAL and what != MIN_REAL and what != MAX_REAL and what != MEMBERS_REAL:
                return False
    return True
