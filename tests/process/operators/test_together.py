"""What is bought together equals a plain count over whole baskets, however rows come and wherever it was restored."""

from math import sqrt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.erasing import Erased, Traces
from nextpaint.process.operators.protocol import StepContext
from nextpaint.process.operators.together import BoughtTogether
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, Batch
from nextpaint.record.types import BIGINT, STRING

TYPES = (STRING, STRING)
NO_TIMES = StepContext(np.zeros(0, np.int64), np.zeros(0, np.int64))
ROWS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz")), max_size=30)


def operator(state):
    return BoughtTogether("together", (STRING, STRING, BIGINT), (0, 1), 3, state)


def feed(index, rows):
    size = len(rows)
    index.step([Batch.of(TYPES, rows, list(range(size)), [INSERT] * size)], NO_TIMES)


def counted(rows, item):
    """(other, share), the most shared baskets first, of equal ones the first by name; three of them."""
    baskets = {basket: {each for of, each in rows if of == basket} for basket, _ in rows}
    with_ = {each: sum(each in basket for basket in baskets.values()) for _, each in rows}
    both = {other: sum({item, other} <= basket for basket in baskets.values()) for other in with_ if other != item}
    best = sorted((other for other in both if both[other]), key=lambda other: (-both[other], other))[:3]
    return [(other, both[other] / sqrt(with_[item] * with_[other])) for other in best]


@given(ROWS, st.integers(0, 30))
def test_shares_are_the_cosines_of_baskets_after_every_change_and_a_restart(rows, cut):
    state = State()
    index = operator(state)
    for part, known in ((rows[:cut], rows[:cut]), (rows[cut:], rows)):
        feed(index, part)
        for again in (False, True):
            if again:
                index.restore()
            for item in "vwxyz":
                assert [(each["other"], each["share"]) for each in index.rows(item)] == counted(known, item)


def test_a_basket_of_somebody_erased_is_gone_and_what_is_bought_together_stays():
    state, ada = State(), "Ada".ljust(22, "x")
    index = operator(state)
    feed(index, [(ada, "v"), (ada, "w"), ("b", "v"), ("b", "w"), ("b", "x")])
    before = index.rows("v")
    cells = {name.removeprefix("together/"): cell for name, cell in state.cells.items()}
    assert index.erase(Traces((ada,)), cells) == {"together/baskets": Erased(1, 0), "together/order": Erased(0, 1)}
    assert index.rows("v") == before and ada not in repr([list(cell.items()) for cell in cells.values()])
    feed(index, [("c", "v"), ("c", "w")])
    assert index.baskets_with("v") == 3
