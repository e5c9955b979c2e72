"""What an experiment says: means per person, differences with intervals, and whether its counts can be believed."""

import numpy as np
import pytest

from nextpaint.decide import Experiment
from nextpaint.decide.comparison import compared
from nextpaint.process.operators.exposures import Tally

EXPERIMENT = Experiment("e", variants={"on": {}, "off": {"explore": None}}, holdout=0.1)


def tally(rewards):
    return Tally(
        len(rewards), len(rewards), int(rewards.sum()), float(rewards.sum()), float((rewards**2).sum()),
        int((rewards > 0).sum()),
    )  # fmt: skip


def test_intervals_of_the_difference_cover_it_as_often_as_they_say():
    chance = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        found = compared(EXPERIMENT, {"on": tally(chance.poisson(0.6, 300)), "off": tally(chance.poisson(0.5, 300))})
        low, high = found["variants"][0]["difference_interval"]
        covered += low <= 0.1 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_the_mean_and_its_interval_are_those_of_people():
    rewards = np.array([0.0, 1.0, 3.0, 0.0])
    told = compared(EXPERIMENT, {"on": tally(rewards)})["variants"][0]
    assert told["reward_per_person"] == 1.0
    half = 1.959963984540054 * rewards.std(ddof=1) / 2
    assert told["interval"] == pytest.approx([1.0 - half, 1.0 + half])
    assert told["difference_interval"] is None


def test_counts_that_do_not_match_the_declared_shares_are_told():
    even = compared(EXPERIMENT, {"on": Tally(510), "off": Tally(490), "holdout": Tally(100)})
    assert abs(even["variants"][0]["mismatch"]) < 1
    skewed = compared(EXPERIMENT, {"on": Tally(600), "off": Tally(400)})
    assert skewed["variants"][0]["mismatch"] > 6
    assert "mismatch" not in even["variants"][2]
