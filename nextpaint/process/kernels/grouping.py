"""GROUP BY: one state row per key (key fields, row count, accumulators), one call per batch. Aggregates that must know
single values have them as members, rows of a second table (`kernels.members`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import (
    LINE,
    MEMBERS_OF,
    MEMBERS_ONLY,
    add,
    add_line,
    filtered,
    finish,
    retract,
    retract_line,
    same_results,
    skips,
    start,
)
from nextpaint.process.kernels.members import (
    ARGUMENT,
    CALL_WORDS,
    CHANGED,
    DECAYED,
    GROUP_LINKS,
    LACKING,
    LISTED,
    NO_ARGUMENT,
    emptied,
    member_taken,
    members_finished,
)
from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.paged import (
    FIELDS,
    FIRST_FIELD,
    ROOM_OUT,
    append,
    find,
    foresee,
    lacking,
    row_at,
    touch,
    unlink,
)
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

NO_ROOM, NO_GROUP = -1, -2
AT, OUTPUT, BEGUN, NEXT_LINE = range(4)  # of the cursor: input row, output rows; of that row: begun, lines done


@inner
def _finished(program: Any, calls: Any, meta: Any, members: Any, row: Any, out: Any) -> None:
    """A group's results."""
    finish(program.ctypes.data, program.shape[0], row, out)
    if calls.shape[0]:
        place = row + 8 * (FIRST_FIELD + meta[FIELDS])
        members_finished(members, place, calls.ctypes.data, calls.shape[0], out)


@inner
def _leaves_out(at: Any, spec: Any, packed: Any) -> Any:
    """Does a line with members leave a row out? LAST_N keeps NULLs; DECAYED_COUNT has no argument."""
    what = load(spec)
    if what == LISTED or (what == DECAYED and load(spec + 8 * ARGUMENT) == NO_ARGUMENT):
        return filtered(at, packed)
    return skips(at, packed)


@inner
def _lines_taken(tables: Any, program: Any, calls: Any, given: Any, back: bool, cursor: Any) -> Any:
    """Take a row into a group's accumulators and members, or back, from the line where `cursor` stands; False when room
    lacks."""
    meta, members = tables
    row, group, arrival, rows, index = given
    packed = rows[index].ctypes.data
    while cursor[NEXT_LINE] < program.shape[0]:
        at = program.ctypes.data + cursor[NEXT_LINE] * 8 * LINE
        call = load(at + 8 * MEMBERS_OF)
        counts = True
        if call >= 0:
            spec = calls.ctypes.data + call * 8 * CALL_WORDS
            place = row + 8 * (FIRST_FIELD + meta[FIELDS] + GROUP_LINKS * call)
            counts = not _leaves_out(at, spec, packed)
            if counts:
                came = member_taken(members, place, spec, (group, call, arrival, rows, index, back))
                if came == LACKING:
                    return False
                counts = came == CHANGED
        if load(at) < MEMBERS_ONLY and counts and not skips(at, packed):
            if back:
                retract_line(at, row, packed)
            else:
                add_line(at, row, packed)
        cursor[NEXT_LINE] += 1
    return True


@inner
def _group(meta: Any, low: int, high: int, given: Any, program: Any, back: bool) -> Any:
    """The slot of a row's group, made if there is none, which may then be written; or NO_ROOM, or NO_GROUP for a row
    that takes back what never came."""
    rows, at, keys = given
    slot = find(meta, low, high)
    if slot >= 0:
        return slot if touch(meta, slot) else NO_ROOM
    if back:
        return NO_GROUP
    slot = append(meta, low, high, rows[at].ctypes.data, keys)
    if slot < 0:
        return NO_ROOM
    start(program.ctypes.data, program.shape[0], row_at(meta, slot))
    return slot


@inner
def _folded(tables: Any, program: Any, calls: Any, given: Any, way: Any, cursor: Any) -> Any:
    """Take a row into its group, or back; False when room for members lacks. `way`: whether back, and whether the group
    is gone with it."""
    back, gone = way
    row, packed = given[0], given[3][given[4]].ctypes.data
    if calls.shape[0]:
        cursor[BEGUN] = 1
        if gone:
            if not emptied(tables[1], row + 8 * (FIRST_FIELD + tables[0][FIELDS]), calls.shape[0]):
                return False
        elif not _lines_taken(tables, program, calls, given, back, cursor):
            return False
        cursor[BEGUN], cursor[NEXT_LINE] = 0, 0
    elif back and not gone:
        retract(program.ctypes.data, program.shape[0], row, packed)
    elif not back:
        add(program.ctypes.data, program.shape[0], row, packed)
    return True


@inner
def _told(program: Any, out: Any, about: Any, count: Any, came: Any) -> Any:
    """Say what became of a group whose results before and after are in `out` from `count` on; gives how many output
    rows that is."""
    out_row, out_kind = about
    at, is_new, gone = came
    if is_new or gone:
        out_row[count] = at
        out_kind[count] = INSERT if is_new else DELETE
        return 1
    if same_results(program.ctypes.data, program.shape[0], out[count].ctypes.data, out[count + 1].ctypes.data):
        return 0
    out_row[count], out_row[count + 1] = at, at
    out_kind[count], out_kind[count + 1] = UPDATE_BEFORE, UPDATE_AFTER
    return 2


@kernel(
    "void(int64[::1], int64[::1], const int64[:,::1], const int64[:,::1], const int8[::1], const int64[:,::1],"
    " const int64[:,::1], int64, boolean, int64[:,::1], int64[::1], int8[::1], int64[::1])"
)
def group_step(
    meta: Words, members: Words, rows: Words, digests: Words, kinds: npt.NDArray[np.int8], program: Words,
    calls: Words, keys: int, keys_only: bool, out: Words, out_row: Words, out_kind: npt.NDArray[np.int8],
    cursor: Words,
) -> None:  # fmt: skip
    """Fold rows into their groups from where `cursor` stands. A packed row has the key fields first. Output: results
    (unless `keys_only`), which input row caused it, kind. Comes back early when room lacks, in either table."""
    at, count = cursor[AT], cursor[OUTPUT]
    count_at = 8 * (FIRST_FIELD + keys)
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        back = kinds[at] == UPDATE_BEFORE or kinds[at] == DELETE
        if count + 2 > out_row.size:
            lacking(meta, ROOM_OUT, count)
            break
        slot = _group(meta, digests[at, 0], digests[at, 1], (rows, at, keys), program, back)
        if slot == NO_ROOM:
            break
        if slot == NO_GROUP:
            at += 1
            continue
        row = row_at(meta, slot)
        rows_in = load(row + count_at)
        is_new, gone = rows_in == 0, back and rows_in <= 1
        if not keys_only and not is_new and cursor[BEGUN] == 0:
            _finished(program, calls, meta, members, row, out[count].ctypes.data)
        given = (row, (digests[at, 0], digests[at, 1]), rows_in + 1, rows, at)
        if not _folded((meta, members), program, calls, given, (back, gone), cursor):
            break
        if gone:
            unlink(meta, slot)
        else:
            store(row + count_at, rows_in - 1 if back else rows_in + 1)
        if keys_only:
            out_row[count] = at
            out_kind[count] = DELETE if gone else UPDATE_AFTER
            count += 1
        else:
            if not gone:
                _finished(program, calls, meta, members, row, out[count + (0 if is_new else 1)].ctypes.data)
            count += _told(program, out, (out_row, out_kind), count, (at, is_new, gone))
        at += 1
    cursor[AT], cursor[OUTPUT] = at, count
