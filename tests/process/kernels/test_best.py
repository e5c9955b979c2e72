"""The best of many numbers against sorting them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels.best import best

SOME = st.lists(
    st.tuples(st.sampled_from([-2.0, 0.0, -0.0, 0.5, 1.0, 7.0]) | st.floats(-9, 9), st.booleans()), max_size=60
)


@given(SOME, st.integers(1, 70))
def test_the_best_are_those_that_reach_the_last_place(some: list[tuple[float, bool]], count: int) -> None:
    values, usable = np.array([value for value, _ in some], np.float64), np.array([able for _, able in some], np.bool_)
    ranked = sorted((value for value, able in some if able), reverse=True)
    least = ranked[count - 1] if count <= len(ranked) else -np.inf
    expected = [at for at, (value, able) in enumerate(some) if able and value >= least]
    assert best(values, usable, count).tolist() == expected
