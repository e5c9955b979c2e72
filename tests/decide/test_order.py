"""Orders do not depend on how elements were held: score descending, then key ascending."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide.order import best_first, top

SCORED = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 1.5, -2.0, 1e300]), st.text(max_size=3)), unique_by=lambda e: e[1]
)


@given(SCORED, st.integers(0, 12))
def test_top_is_the_head_of_the_full_order(scored, count):
    scores = np.array([score for score, _ in scored], np.float64)
    keys = [key for _, key in scored]
    expected = sorted(range(len(keys)), key=lambda index: (-scores[index], keys[index]))
    assert best_first(scores, keys.__getitem__).tolist() == expected
    assert top(scores, keys.__getitem__, count).tolist() == expected[:count]


@given(SCORED, st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_order_of_rows_does_not_matter(scored, chance, count):
    shuffled = list(scored)
    chance.shuffle(shuffled)
    picked = [
        [
            each[top(np.array([s for s, _ in each], np.float64), [k for _, k in each].__getitem__, count)[i]][1]
            for i in range(min(count, len(each)))
        ]
        for each in (scored, shuffled)
    ]
    assert picked[0] == picked[1]
