"""Policies: what they show, with which probability, and that a seed fixes it."""

from collections import Counter
from itertools import permutations

import msgspec
import numpy as np
import pytest

from nextpaint.decide import (
    Diversify,
    EpsilonGreedy,
    Examination,
    Flat,
    LinTS,
    LinUCB,
    Moment,
    PlackettLuce,
    Rank,
    Reward,
    ThompsonSampling,
    Top,
    Weighted,
    explored_rows,
)
from nextpaint.decide.explain import compare, explain
from nextpaint.decide.learner import Learns
from nextpaint.decide.propensity import epsilon_greedy_marginals, estimate, plackett_luce_conditionals
from nextpaint.record.errors import ApplicationError
from tests.decide.reading import shop
from tests.decide.surfaces import BODY, HOME, decider, ids

REWARD = Reward("impressions", within="30 min")
PLAIN = HOME.but(
    "home_carousel", retrieve=[Top("trending", by="heat", k=12)], require=[], rules=[], limit=4,
    features={"trend": "trending.heat", "price": "inventory.price"}, rank=Weighted(trend=1.0), cold=None,
)  # fmt: skip


def surface(policy, **changes):
    return PLAIN.but("home_carousel", explore=policy, **changes)


def many(policy, count, reading=None, **changes):
    reading = reading or shop(12)
    made = decider(surface(policy, **changes))
    request = made.request("home_carousel", BODY)
    return [
        made.decide("home_carousel", request, ("s1",), reading, Moment("d" * 16, reading.time_ms, seed))
        for seed in range(count)
    ]


ALL = [
    ThompsonSampling("item_id", REWARD),
    EpsilonGreedy(0.3, reward=REWARD),
    EpsilonGreedy(0.3),
    PlackettLuce(0.5),
    LinTS(REWARD),
]


@pytest.mark.parametrize("policy", ALL, ids=str)
def test_a_seed_fixes_the_page_and_another_seed_gives_another(policy):
    one, again = many(policy, 8), many(policy, 8)
    assert [ids(each) for each in one] == [ids(each) for each in again]
    assert len({tuple(ids(each)) for each in one}) > 1
    assert not compare(one[3].record, again[3].record)
    assert one[3].record.digest() == again[3].record.digest()


@pytest.mark.parametrize("policy", [*ALL, LinUCB(REWARD)], ids=str)
def test_what_is_shown_was_ranked_and_nothing_comes_twice(policy):
    for decision in many(policy, 20):
        page = ids(decision)
        assert len(page) == len(set(page)) == 4
        assert set(page) <= {f"i{n:03d}" for n in range(12)}
        assert [each.place for each in decision.record.explored.tried] == [1, 2, 3, 4]


def test_only_the_pool_is_explored():
    shown = Counter(item for each in many(PlackettLuce(50.0, pool=5), 200) for item in ids(each))
    assert set(shown) == {f"i{n:03d}" for n in range(5)}


def test_thompson_shows_what_may_be_the_best_and_settles_with_evidence():
    reading = shop(12)
    policy = ThompsonSampling("item_id", REWARD, Flat(strength=2.0))
    name = policy.learns.name("home_carousel")
    first = Counter(ids(each)[0] for each in many(policy, 150, reading))
    assert max(first.values()) < 40
    reading.learned(name).arms = {f"i{n:03d}": (500.0, 10.0) for n in range(12)} | {"i007": (500.0, 60.0)}
    assert Counter(ids(each)[0] for each in many(policy, 100, reading))["i007"] > 96


def test_the_rankers_score_is_the_prior_until_trials_take_over():
    reading = shop(12)
    policy = ThompsonSampling("item_id", REWARD, Rank(strength=50.0, rate=0.1))
    record = many(policy, 1, reading)[0].record
    by_item = {item.id: (item.score, tried) for item, tried in zip(record.items, record.explored.tried, strict=True)}
    mean_score = sum(12 - n for n in range(12)) / 12 / 12
    for score, tried in by_item.values():
        assert tried.prior == pytest.approx(0.1 * score / mean_score, rel=1e-5)
        assert tried.mean == pytest.approx(tried.prior, rel=1e-5)
    reading.learned(policy.learns.name("home_carousel")).arms = {"i000": (950.0, 19.0)}
    record = many(policy, 1, reading)[0].record
    tried = {item.id: each for item, each in zip(record.items, record.explored.tried, strict=True)}.get("i000")
    if tried is not None:
        assert tried.mean == pytest.approx((50 * tried.prior + 19) / 1000, rel=1e-4)


def test_epsilon_greedy_propensities_are_the_frequencies():
    decisions = many(EpsilonGreedy(0.4), 1500)
    seen = Counter((place, item) for each in decisions for place, item in enumerate(ids(each)))
    told = {
        (place, item["id"]): item["propensity"] for each in decisions for place, item in enumerate(each.answer["items"])
    }
    for key, count in seen.items():
        assert told[key] == pytest.approx(count / 1500, abs=4 * np.sqrt(0.25 / 1500))


def test_epsilon_greedy_marginals_sum_to_one_at_every_place():
    for epsilon, pool in ((0.1, 7), (1.0, 5), (0.5, 3)):
        table = np.array(
            [epsilon_greedy_marginals(epsilon, np.full(pool, rank, np.int64), pool) for rank in range(pool)]
        )
        assert np.allclose(table.sum(axis=0), 1.0) and np.allclose(table.sum(axis=1), 1.0)


def test_plackett_luce_gives_every_order_its_probability():
    strengths = np.array([3.0, 1.0, 0.5, 2.0])
    chances = {
        order: float(np.prod(plackett_luce_conditionals(strengths, np.array(order, np.int64), 4)))
        for order in permutations(range(4))
    }
    assert sum(chances.values()) == pytest.approx(1.0)
    assert chances[0, 3, 1, 2] == pytest.approx(3 / 6.5 * 2 / 3.5 * 1 / 1.5)


def test_plackett_luce_propensities_are_the_frequencies():
    decisions = many(PlackettLuce(1.0), 1500)
    first = Counter(ids(each)[0] for each in decisions)
    told = {each.answer["items"][0]["id"]: each.answer["items"][0]["propensity"] for each in decisions}
    for item, count in first.items():
        assert told[item] == pytest.approx(count / 1500, abs=4 * np.sqrt(0.25 / 1500))


def test_thompson_has_no_propensity_on_the_answer_path_and_says_of_which_kind_it_will_be():
    record = many(ThompsonSampling("item_id", REWARD), 1)[0].record
    assert record.explored.kind == "estimated"
    assert [each.propensity for each in record.explored.tried] == [None] * 4


def test_estimated_propensities_are_the_frequencies_of_other_seeds():
    reading = shop(12)
    policy = ThompsonSampling("item_id", REWARD, Flat(strength=2.0))
    reading.learned(policy.learns.name("home_carousel")).arms = {f"i{n:03d}": (40.0, float(n)) for n in range(12)}
    decisions = many(policy, 600, reading)
    explored = decisions[0].explored
    found = estimate(explored.drawn.pages, explored.drawn.order, 4, 2000, 9)
    for place, (value, error) in enumerate(zip(found.values, found.errors, strict=True)):
        item = ids(decisions[0])[place]
        share = sum(ids(each)[place] == item for each in decisions) / len(decisions)
        assert value == pytest.approx(share, abs=4 * (error + (0.25 / 600) ** 0.5))
    assert found == estimate(explored.drawn.pages, explored.drawn.order, 4, 2000, 9)


def test_a_linear_policy_follows_what_it_learned_of_features():
    reading = shop(12)
    policy = LinUCB(REWARD, alpha=1e-6, prior=Flat())
    learner = reading.learned(policy_name())
    learner.theta = {"*": [0.0, 1.0, 0.0]}
    decision = many(policy, 1, reading)[0]
    assert ids(decision) == ["i011", "i010", "i009", "i008"]
    assert decision.record.explored.scales == {"trend": 12.0, "price": 12.0}


def policy_name():
    return Learns(None, REWARD, None, ("trend", "price"), 1.0).name("home_carousel")


def test_what_the_learner_is_told_is_what_was_recorded():
    reading = shop(12)
    record = many(LinTS(REWARD, examination=Examination(at=(1.0, 0.5))), 1, reading)[0].record
    (row,) = explored_rows(msgspec.to_builtins(record))
    assert row["items"] == [item.id for item in record.items]
    assert row["arms"] == ["*"] * 4
    assert row["examined"] == [1.0, 0.5, 0.5, 0.5]
    trend, price = record.items[1].values
    assert row["contexts"][3:6] == [trend / 12.0, price / 12.0, 1.0]
    assert not list(explored_rows(msgspec.to_builtins(many(PlackettLuce(0.5), 1)[0].record)))


def test_places_are_examined_as_declared_or_as_estimated():
    reading = shop(12)
    policy = ThompsonSampling("item_id", REWARD, examination=Examination(at=(1.0, 0.9), estimated=True))
    learner = reading.learned(policy.learns.name("home_carousel"))
    learner.expected[:4] = 1000.0
    learner.came[:4] = [1000.0, 500.0, 250.0, 100.0]
    tried = many(policy, 1, reading)[0].record.explored.tried
    assert [round(each.examined, 2) for each in tried] == [1.0, 0.51, 0.26, 0.12]


def test_what_a_rule_moved_keeps_the_propensity_of_its_explored_place():
    decision = many(EpsilonGreedy(0.3), 1, rules=[Diversify(by="category", at_most=1)])[0]
    assert all(each.place > 0 for each in decision.record.explored.tried)


def test_the_explanation_says_that_others_were_tried():
    decision = many(PlackettLuce(5.0), 3)[2]
    told = explain(decision.record, "support")
    assert any(miss["cause"] == "explore" for miss in told["near_misses"])
    assert "probabilities are exact, place by place" in told["text"]
    assert "had a probability of" in told["explored"]["items"][0]["text"]
    assert explain(decision.record, "regulator")["propensities"][0] == decision.answer["items"][0]["propensity"]


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (ThompsonSampling("colour", REWARD), "unknown column"),
        (ThompsonSampling("inputs.colour", REWARD), "unknown input"),
        (ThompsonSampling("item_id", REWARD, half_life="soon"), "half_life"),
        (ThompsonSampling("item_id", Reward("impressions", within="soon")), "Reward(within=)"),
        (ThompsonSampling("item_id", REWARD, prior=Rank(strength=0)), "strength must be above 0"),
        (ThompsonSampling("item_id", REWARD, pool=0), "pool=0"),
        (EpsilonGreedy(0.0), "EpsilonGreedy(0.0)"),
        (PlackettLuce(0.0), "temperature=0.0"),
        (LinTS(REWARD, features=("colour",)), "unknown feature"),
        (LinUCB(REWARD, alpha=-1.0), "alpha=-1.0"),
        (LinTS(REWARD, ridge=0.0), "ridge=0.0"),
        (ThompsonSampling("item_id", REWARD, examination=Examination(at=())), "each place needs"),
    ],
)
def test_mistakes_are_reported_where_they_are_written(policy, what):
    with pytest.raises(ApplicationError) as error:
        decider(surface(policy))
    assert any(what in each.what for each in error.value.diagnostics)
