"""GROUP BY: one state row per key (key fields, row count, accumulators), one call per batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import add, finish, retract, same_results, start
from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.paged import FIRST_FIELD, ROOM_OUT, append, find, lacking, row_at, touch, unlink
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import kernel

Words = npt.NDArray[np.int64]


@kernel(
    "void(int64[::1], const int64[:,::1], const int64[:,::1], const int8[::1], const int64[:,::1], int64, boolean,"
    " int64[:,::1], int64[::1], int8[::1], int64[::1])"
)
def group_step(
    meta: Words, rows: Words, digests: Words, kinds: npt.NDArray[np.int8], program: Words, keys: int, keys_only: bool,
    out: Words, out_row: Words, out_kind: npt.NDArray[np.int8], cursor: Words,
) -> None:  # fmt: skip
    """Fold rows into their groups from `cursor[0]` on; `cursor[1]` counts the output. A packed row has the key fields
    first. Output: results (unless `keys_only`), which input row caused it, kind. Comes back early when room lacks."""
    lines, code = program.shape[0], program.ctypes.data
    at, count = cursor[0], cursor[1]
    count_at = 8 * (FIRST_FIELD + keys)
    while at < rows.shape[0]:
        packed = rows[at].ctypes.data
        back = kinds[at] == UPDATE_BEFORE or kinds[at] == DELETE
        if count + 2 > out_row.size:
            lacking(meta, ROOM_OUT, count)
            break
        slot = find(meta, digests[at, 0], digests[at, 1])
        is_new = slot < 0
        if is_new:
            if back:
                at += 1
                continue
            slot = append(meta, digests[at, 0], digests[at, 1], packed, keys)
            if slot < 0:
                break
            start(code, lines, row_at(meta, slot))
        elif not touch(meta, slot):
            break
        row = row_at(meta, slot)
        rows_in = load(row + count_at)
        gone = back and rows_in <= 1
        if not keys_only and not is_new:
            finish(code, lines, row, out[count].ctypes.data)
        if gone:
            unlink(meta, slot)
        elif back:
            store(row + count_at, rows_in - 1)
            retract(code, lines, row, packed)
        else:
            store(row + count_at, rows_in + 1)
            add(code, lines, row, packed)
        if keys_only:
            out_row[count] = at
            out_kind[count] = DELETE if gone else UPDATE_AFTER
            count += 1
        elif gone or is_new:
            if is_new:
                finish(code, lines, row, out[count].ctypes.data)
            out_row[count] = at
            out_kind[count] = INSERT if is_new else DELETE
            count += 1
        else:
            finish(code, lines, row, out[count + 1].ctypes.data)
            if not same_results(code, lines, out[count].ctypes.data, out[count + 1].ctypes.data):
                out_row[count], out_row[count + 1] = at, at
                out_kind[count], out_kind[count + 1] = UPDATE_BEFORE, UPDATE_AFTER
                count += 2
        at += 1
    cursor[0], cursor[1] = at, count
