"""The best of many numbers against sorting them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels.best import best, restrict

SOME = st.lists(
    st.tuples(
        st.sampled_from([-2.0, 0.0, -0.0, 0.5, 1.0, 7.0, np.nan, np.inf, -np.inf]) | st.floats(-9, 9), st.booleans()
    ),
    max_size=60,
)


@given(SOME, st.integers(1, 70))
def test_the_best_are_those_that_reach_the_last_place(some: list[tuple[float, bool]], count: int) -> None:
    values, usable = np.array([value for value, _ in some], np.float64), np.array([able for _, able in some], np.bool_)
    ranked = sorted((value for value, able in some if able and abs(value) < np.inf), reverse=True)
    least = ranked[count - 1] if count <= len(ranked) else -np.inf
    expected = [at for at, (value, able) in enumerate(some) if able and value >= least and abs(value) < np.inf]
    places, found = best(values, usable, count)
    assert places.tolist() == sorted(expected, key=lambda at: -some[at][0])  # equal ones in the order of places
    assert found.tolist() == [some[int(at)][0] for at in places]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-1, 9)), max_size=30),
    st.lists(st.integers(-1, 4), min_size=10, max_size=10),
)
def test_only_accepted_codes_stay_usable(rows: list[tuple[bool, int]], codes: list[int]) -> None:
    accepted = np.array([False, True, False, True, True])
    usable, places = np.array([able for able, _ in rows], np.bool_), np.array([place for _, place in rows], np.int64)
    expected = [able and place >= 0 and codes[place] in (1, 3, 4) for able, place in rows]
    restrict(usable, places, np.array(codes, np.int64), accepted)
    assert usable.tolist() == expected


def test_without_places_a_row_is_its_own() -> None:
    usable = np.ones(3, np.bool_)
    restrict(usable, np.empty(0, np.int64), np.array([0, -1, 1]), np.array([True, False]))
    assert usable.tolist() == [True, False, False]
