"""A table by key: the latest row of each, with the ledger time of its last change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.chains import words_copied
from nextpaint.process.kernels.memory import load, load_real
from nextpaint.process.kernels.paged import (
    FIELDS,
    LIVE,
    NULLS,
    REAL,
    ROOM_OUT,
    SPEC,
    SPEC_WORDS,
    STRING,
    append,
    find,
    foresee,
    insert,
    lacking,
    next_slot,
    read_fields,
    room_for,
    row_at,
    same_string,
    touch,
    unlink,
    write_fields,
)
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]


@inner
def _same_row(meta: Any, row: Any, packed: Any, clock: int) -> Any:
    """Are all fields but the clock equal, as values?"""
    clocked = 1 << clock
    if (load(row + 8 * NULLS) & ~LIVE | clocked) != (load(packed) | clocked):
        return False
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        kind, given, held = load(spec), packed + 8 * load(spec + 8), row + 8 * load(spec + 16)
        if field == clock:
            continue
        if kind >= STRING:
            if not same_string(meta, held, given):
                return False
        elif load(held) != load(given) and (kind != REAL or load_real(held) != load_real(given)):
            return False
    return True


@kernel("int64(int64[::1], const int64[:,::1], const int64[:,::1], const int8[::1], int64, int64)")
def table_step(meta: Words, rows: Words, digests: Words, kinds: npt.NDArray[np.int8], clock: int, at: int) -> int:
    """Take changes from row `at` on; gives how far it came before it lacked room. `clock`: the field that holds the
    ledger time, which alone is no change. The -U of a -U/+U pair of one key says nothing that the +U does not."""
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        low, high, after = digests[at, 0], digests[at, 1], at + 1
        if kinds[at] == UPDATE_BEFORE and after < rows.shape[0] and kinds[after] == UPDATE_AFTER:
            if digests[after, 0] == low and digests[after, 1] == high:
                at += 1
                continue
        slot = find(meta, low, high)
        packed = rows[at].ctypes.data
        if kinds[at] == UPDATE_BEFORE or kinds[at] == DELETE:
            if slot >= 0:
                if not touch(meta, slot):
                    return at
                unlink(meta, slot)
        elif slot < 0:
            if append(meta, low, high, packed, meta[FIELDS]) < 0:
                return at
        elif not _same_row(meta, row_at(meta, slot), packed, clock):
            if not room_for(meta, packed, meta[FIELDS]) or not touch(meta, slot):
                return at
            write_fields(meta, row_at(meta, slot), packed, meta[FIELDS])
        at += 1
    return at


@inner
def _told(told: Any, count: int, kind: int, at: int) -> None:
    told[count, 0], told[count, 1] = kind, at


@kernel(
    "void(int64[::1], const int64[:,::1], const int64[:,::1], const int8[::1], int64, int64[:,::1], int64[:,::1],"
    " int64[::1])"
)
def changed_step(
    meta: Words, rows: Words, digests: Words, kinds: npt.NDArray[np.int8], clock: int, out: Words, told: Words,
    cursor: Words,
) -> None:  # fmt: skip
    """As `table_step`, from row `cursor[0]` on, and what changed: packed rows in `out`, in `told` the kind and the
    input row that caused each; `cursor[1]` counts them. A row that replaces another takes a new slot: the old one's
    strings stay readable until the step's end. Comes back early when room lacks."""
    at, count = cursor[0], cursor[1]
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        if count + 2 > told.shape[0]:
            lacking(meta, ROOM_OUT, 2)
            break
        low, high, after = digests[at, 0], digests[at, 1], at + 1
        if kinds[at] == UPDATE_BEFORE and after < rows.shape[0] and kinds[after] == UPDATE_AFTER:
            if digests[after, 0] == low and digests[after, 1] == high:
                at += 1
                continue
        slot = find(meta, low, high)
        packed = rows[at].ctypes.data
        if kinds[at] == UPDATE_BEFORE or kinds[at] == DELETE:
            if slot >= 0:
                if not touch(meta, slot):
                    break
                read_fields(meta, row_at(meta, slot), out[count].ctypes.data)
                unlink(meta, slot)
                _told(told, count, DELETE, at)
                count += 1
        elif slot < 0:
            if append(meta, low, high, packed, meta[FIELDS]) < 0:
                break
            words_copied(out[count].ctypes.data, packed, out.shape[1])
            _told(told, count, INSERT, at)
            count += 1
        elif not _same_row(meta, row_at(meta, slot), packed, clock):
            if not room_for(meta, packed, meta[FIELDS]) or not touch(meta, next_slot(meta)) or not touch(meta, slot):
                break
            read_fields(meta, row_at(meta, slot), out[count].ctypes.data)
            unlink(meta, slot)
            write_fields(meta, row_at(meta, insert(meta, low, high)), packed, meta[FIELDS])
            words_copied(out[count + 1].ctypes.data, packed, out.shape[1])
            _told(told, count, UPDATE_BEFORE, at)
            _told(told, count + 1, UPDATE_AFTER, at)
            count += 2
        at += 1
    cursor[0], cursor[1] = at, count
