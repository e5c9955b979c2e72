"""A table by key: the latest row of each, with the ledger time of its last change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import load, load_real
from nextpaint.process.kernels.paged import (
    FIELDS,
    LIVE,
    NULLS,
    REAL,
    SPEC,
    SPEC_WORDS,
    STRING,
    append,
    find,
    room_for,
    row_at,
    same_string,
    touch,
    unlink,
    write_fields,
)
from nextpaint.record.columns import DELETE, UPDATE_AFTER, UPDATE_BEFORE
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
            if not same_string(meta, load(held), given):
                return False
        elif load(held) != load(given) and (kind != REAL or load_real(held) != load_real(given)):
            return False
    return True


@kernel("int64(int64[::1], const int64[:,::1], const int64[:,::1], const int8[::1], int64, int64)")
def table_step(meta: Words, rows: Words, digests: Words, kinds: npt.NDArray[np.int8], clock: int, at: int) -> int:
    """Take changes from row `at` on; gives how far it came before it lacked room. `clock`: the field that holds the
    ledger time, which alone is no change. The -U of a -U/+U pair of one key says nothing that the +U does not."""
    while at < rows.shape[0]:
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
