"""Arms: rates with intervals that hold, and a regret that is nought for who knew the best arm."""

import random

import pytest

from nextpaint.decide.arms import arms_told, regret, wilson


def test_intervals_hold_as_often_as_they_say():
    chance = random.Random(3)
    for rate, trials in ((0.02, 300), (0.1, 80), (0.5, 30)):
        held = 0
        for _ in range(1500):
            low, high = wilson(sum(chance.random() < rate for _ in range(trials)), trials)
            held += low <= rate <= high
        assert 0.92 <= held / 1500 <= 0.985, (rate, trials)


def test_arms_are_listed_by_trials_and_an_untried_one_has_no_rate():
    told = arms_told(["a", "b", "c"], [10.0, 40.0, 0.0], [1.0, 2.0, 0.0])
    assert [each["arm"] for each in told] == ["b", "a", "c"]
    assert told[0]["rate"] == 0.05 and told[0]["interval"][0] < 0.05 < told[0]["interval"][1]
    assert told[2]["rate"] is None and told[2]["interval"] is None


def test_regret_is_what_others_than_the_best_arm_gave_up():
    assert regret([], [], (0.0, 0.0)) == {"rewards": 0.0, "share": 0.0}
    assert regret([1000.0], [100.0], (1000.0, 100.0))["rewards"] == 0.0
    told = regret([100_000.0, 100_000.0], [10_000.0, 5_000.0], (200_000.0, 15_000.0))
    assert told["rewards"] == pytest.approx(5_000, rel=0.01) and told["share"] == pytest.approx(0.25, rel=0.01)
    lucky = regret([1000.0, 2.0], [100.0, 2.0], (1002.0, 102.0))
    assert lucky["share"] < 0.5, "two showings do not make a best arm"
