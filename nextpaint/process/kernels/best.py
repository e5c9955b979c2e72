"""The best of many numbers, before ties are settled: one pass that keeps the best so far, one that collects."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.nearest import sift
from nextpaint.record.compiled import kernel


@kernel("int64[::1](const float64[::1], const boolean[::1], int64)", allocates=True)
def best(values: Any, usable: Any, count: int) -> Any:
    """Places, ascending, of the `count` largest usable values, with all that equal the least of them; every usable one
    where there are fewer. `count` > 0; usable values are numbers."""
    heap = np.full(count, -np.inf)
    for at in range(len(values)):
        if usable[at] and values[at] > heap[0]:
            sift(heap, count, values[at])
    places = np.empty(len(values), np.int64)
    held = 0
    for at in range(len(values)):
        if usable[at] and values[at] >= heap[0]:
            places[held] = at
            held += 1
    return places[:held].copy()
