"""Deduplication: the last row of each key by event time or by arrival, or the first to arrive.

A row that replaces another takes a new slot: the old one's strings stay readable until the step's end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.chains import same_row, words_copied
from nextpaint.process.kernels.memory import load
from nextpaint.process.kernels.paged import (
    FIELDS,
    FIRST_FIELD,
    ROOM_OUT,
    append,
    find,
    foresee,
    insert,
    lacking,
    next_slot,
    read_fields,
    room_for,
    row_at,
    touch,
    unlink,
    write_fields,
)
from nextpaint.record.columns import INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import kernel

Words = npt.NDArray[np.int64]


@kernel(
    "void(int64[::1], const int64[:,::1], const int64[:,::1], int64, int64, int64[:,::1], int64[:,::1], int64[::1])"
)
def last_step(
    meta: Words, rows: Words, digests: Words, time: int, time_at: int, out: Words, told: Words, cursor: Words
) -> None:
    """Keep the last row of each key, from row `cursor[0]` on; `cursor[1]` counts the output: packed rows in `out`, in
    `told` the kind and the input row that caused it. `time`: the field that has the event time and `time_at` its word;
    -1: by arrival. Comes back early when room lacks."""
    at, count = cursor[0], cursor[1]
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        packed = rows[at].ctypes.data
        if count + 2 > told.shape[0]:
            lacking(meta, ROOM_OUT, 2)
            break
        if time >= 0 and rows[at, 0] >> time & 1:
            at += 1
            continue
        slot = find(meta, digests[at, 0], digests[at, 1])
        if slot < 0:
            if append(meta, digests[at, 0], digests[at, 1], packed, meta[FIELDS]) < 0:
                break
            words_copied(out[count].ctypes.data, packed, out.shape[1])
            told[count, 0], told[count, 1] = INSERT, at
            count += 1
            at += 1
            continue
        row = row_at(meta, slot)
        older = time >= 0 and load(row + 8 * (FIRST_FIELD + time)) > rows[at, time_at]
        if older or same_row(meta, row, packed):
            at += 1
            continue
        if not room_for(meta, packed, meta[FIELDS]) or not touch(meta, next_slot(meta)) or not touch(meta, slot):
            break
        read_fields(meta, row, out[count].ctypes.data)
        unlink(meta, slot)
        slot = insert(meta, digests[at, 0], digests[at, 1])
        write_fields(meta, row_at(meta, slot), packed, meta[FIELDS])
        words_copied(out[count + 1].ctypes.data, packed, out.shape[1])
        told[count, 0], told[count, 1] = UPDATE_BEFORE, at
        told[count + 1, 0], told[count + 1, 1] = UPDATE_AFTER, at
        count += 2
        at += 1
    cursor[0], cursor[1] = at, count


@kernel("void(int64[::1], const int64[:,::1], const int64[:,::1], int64[::1], int64[::1])")
def first_step(meta: Words, rows: Words, digests: Words, out_row: Words, cursor: Words) -> None:
    """Keys that are new, from row `cursor[0]` on; `cursor[1]` counts the rows that were the first of theirs."""
    at, count = cursor[0], cursor[1]
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        if find(meta, digests[at, 0], digests[at, 1]) < 0:
            if append(meta, digests[at, 0], digests[at, 1], rows[at].ctypes.data, meta[FIELDS]) < 0:
                break
            out_row[count] = at
            count += 1
        at += 1
    cursor[0], cursor[1] = at, count
