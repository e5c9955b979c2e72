"""The best of many numbers, before ties are settled: one pass that keeps the best so far, one that collects."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.nearest import best_first, sift
from nextpaint.record.compiled import kernel


def best(values: Any, usable: Any, count: int) -> Any:
    """The `count` largest usable values, with all that equal the least of them; every usable one where there are fewer.
    Row 0: their places; row 1: the values, largest first, equal ones in the order of places. `count` > 0. Values that
    are no numbers are not usable."""
    places, found = np.empty(len(values), np.int64), np.empty(len(values))
    held = _best(values, usable, np.full(count, -np.inf), places, found)
    return best_first(places[:held], found[:held], count)


@kernel("int64(const float64[::1], const boolean[::1], float64[::1], int64[::1], float64[::1])")
def _best(values: Any, usable: Any, heap: Any, places: Any, found: Any) -> int:
    """The usable values, and where they are, that reach the least of the largest; how many. `heap`: as long as the
    largest are many, of -inf."""
    for at in range(len(values)):
        if usable[at] and values[at] > heap[0] and values[at] < np.inf:
            sift(heap, len(heap), values[at])
    held = 0
    for at in range(len(values)):
        if usable[at] and values[at] >= heap[0] and -np.inf < values[at] < np.inf:
            places[held] = at
            found[held] = values[at]
            held += 1
    return held


@kernel("void(boolean[::1], const int64[::1], const int64[::1], const boolean[::1])")
def restrict(usable: Any, places: Any, codes: Any, accepted: Any) -> None:
    """Leaves usable what has an accepted code. A row's code is that of its place, below 0 for none; without `places`
    every row is its own."""
    for at in range(len(usable)):
        place = places[at] if len(places) else at
        code = codes[place] if place >= 0 else -1
        usable[at] = usable[at] and code >= 0 and accepted[code]
