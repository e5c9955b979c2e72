"""Scores are sums of signed contributions, the same bits in columns and in explanations."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide.candidates import Candidates, Features
from nextpaint.decide.rank import BoundWeighted, Weighted, contributions, spoke_most
from nextpaint.record.columns import Column
from nextpaint.record.types import DOUBLE

VALUES = st.lists(st.tuples(*[st.one_of(st.none(), st.floats(-1e6, 1e6)) for _ in range(3)]), min_size=1, max_size=30)
RANK = BoundWeighted((("sim", 0.5), ("heat", 0.3), ("price", -0.2)))


def batch(rows):
    columns = {name: Column.of(DOUBLE, [row[i] for row in rows]) for i, name in enumerate(["sim", "heat", "price"])}
    names = [f"i{index:03d}" for index in range(len(rows))]
    zeros = np.zeros(len(rows), np.int64)
    return Candidates(np.arange(len(rows)), zeros.astype(np.float64), zeros, names, Features.of(columns))


@given(VALUES)
def test_contributions_sum_to_the_score_bit_for_bit(rows):
    candidates = batch(rows)
    scales = RANK.scales(candidates)
    scores = RANK.scores(candidates, scales).tolist()
    for row, score in zip(rows, scores, strict=True):
        shares = contributions(dict(RANK.weights), scales, dict(zip(["sim", "heat", "price"], row, strict=True)))
        assert 0.0 + shares["sim"] + shares["heat"] + shares["price"] == score


@given(VALUES)
def test_what_spoke_most_is_the_largest_contribution_above_zero_the_first_declared_of_equal_ones(rows):
    candidates = batch(rows)
    scales = RANK.scales(candidates)
    spoken = spoke_most(candidates, dict(RANK.weights), scales)
    for row, said in zip(rows, spoken, strict=True):
        shares = contributions(dict(RANK.weights), scales, dict(zip(["sim", "heat", "price"], row, strict=True)))
        best = max(shares, key=shares.__getitem__)
        assert said == (best if shares[best] > 0.0 else "")


@given(VALUES)
def test_no_feature_moves_a_score_by_more_than_its_weight(rows):
    candidates = batch(rows)
    scores = RANK.scores(candidates, RANK.scales(candidates))
    assert (np.abs(scores) <= 1.0 + 1e-12).all()


def test_best_first_and_ties_stay_in_the_order_of_the_batch():
    ranked = RANK(batch([(1.0, None, 0.0), (2.0, 0.0, 0.0), (2.0, 0.0, 0.0), (2.0, 0.0, 10.0)]), None)  # type: ignore[arg-type]
    assert ranked.keys() == ["i001", "i002", "i003", "i000"] or ranked.keys() == ["i001", "i002", "i000", "i003"]
    assert ranked.scores.tolist() == sorted(ranked.scores.tolist(), reverse=True)


def test_a_feature_nobody_has_counts_nothing():
    candidates = batch([(None, 1.0, 0.0), (None, 2.0, 0.0)])
    assert RANK.scales(candidates) == {"sim": 0.0, "heat": 2.0, "price": 0.0}
    assert RANK.scores(candidates, RANK.scales(candidates)).tolist() == [0.15, 0.3]


def test_what_fades_counts_as_little_as_is_left():
    features = {"interest": [0.25, 0.0], "trend": [3.0, 6.0]}
    both = Candidates(
        np.arange(2),
        np.zeros(2),
        np.zeros(2, np.int64),
        ["a", "b"],
        Features.of({name: Column(DOUBLE, np.array(values)) for name, values in features.items()}),
    )
    ranker = BoundWeighted((("interest", 1.0), ("trend", 1.0)), (("interest", 1.0),))
    scales = ranker.scales(both)
    assert scales == {"interest": 1.0, "trend": 6.0}
    assert ranker.scores(both, scales).tolist() == [0.75, 1.0]


def test_full_at_is_printed_and_changes_no_weight():
    ranker = Weighted(interest=1.0).full_at(interest=2.0)
    assert str(ranker) == "Weighted(interest=1).full_at(interest=2)"
    assert Weighted(interest=1.0).full == {}
