"""Off-policy estimators: right on average, honest about how sure they are."""

import numpy as np
import pytest

from nextpaint.decide.evaluation import Logged, evaluate, fitted


def logged(chance, size=400, arms=5, clusters=None):
    """A log of a softmax policy with two features per step; gives the log and the target's true value."""
    x = chance.normal(size=(size, 2))
    theta = np.array([[0.3 * np.cos(arm), 0.3 * np.sin(arm)] for arm in range(arms)])
    rates = 0.3 + 0.2 * np.tanh(x @ theta.T)
    logging = np.exp(x @ theta[::-1].T)
    logging /= logging.sum(axis=1, keepdims=True)
    target = np.exp(3 * (x @ theta.T))
    target /= target.sum(axis=1, keepdims=True)
    drawn = (chance.random((size, 1)) > logging.cumsum(axis=1)).sum(axis=1)
    rows = np.arange(size)
    reward = (chance.random(size) < rates[rows, drawn]).astype(float)
    return x, drawn, rates, logging, target, reward, rows


def made(chance, **more):
    x, drawn, rates, logging, target, reward, rows = logged(chance, **more)
    guess = 0.3 + 0.15 * np.tanh(x.sum(axis=1))
    log = Logged(logging[rows, drawn], target[rows, drawn], reward, rows, guess, guess)
    return log, float((target * rates).sum(axis=1).mean())


def test_intervals_cover_the_true_value_as_often_as_they_say():
    chance = np.random.default_rng(4)
    covered = dict.fromkeys(("ips", "snips", "dr"), 0)
    bias = dict.fromkeys(covered, 0.0)
    for _ in range(300):
        log, truth = made(chance)
        for each in evaluate(log).values:
            covered[each.estimator] += each.low <= truth <= each.high
            bias[each.estimator] += (each.value - truth) / 300
    for name, count in covered.items():
        assert 0.91 <= count / 300 <= 0.985, (name, count)
        assert abs(bias[name]) < 0.01


def test_the_same_policy_is_worth_what_it_earned():
    chance = np.random.default_rng(1)
    reward = chance.random(50)
    even = np.full(50, 0.2)
    found = evaluate(Logged(even, even, reward, np.arange(50)))
    for each in found.values:
        assert each.value == pytest.approx(reward.mean())
        assert (each.low, each.high) == pytest.approx((found.logged.low, found.logged.high))
    assert found.effective == pytest.approx(50)


def test_showings_of_one_decision_are_one_observation():
    reward = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 20)
    even = np.ones(100)
    apart = evaluate(Logged(even, even, reward, np.arange(100))).values[0]
    together = evaluate(Logged(even, even, reward, np.arange(100) // 20)).values[0]
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_the_effective_sample_size_says_how_little_a_log_is_worth():
    propensity = np.array([0.5] * 99 + [0.001])
    found = evaluate(Logged(propensity, np.full(100, 0.5), np.ones(100), np.arange(100)))
    assert found.effective < 2
    cut = evaluate(Logged(propensity, np.full(100, 0.5), np.ones(100), np.arange(100)), floor=0.1)
    assert (cut.effective > 80, cut.cut) == (True, 0.01)


def test_what_cannot_be_evaluated_is_said():
    with pytest.raises(ValueError, match="no logged showing"):
        evaluate(Logged(*[np.empty(0)] * 3, np.empty(0, np.int64)))
    with pytest.raises(ValueError, match="not above 0"):
        evaluate(Logged(np.zeros(1), np.ones(1), np.ones(1), np.zeros(1, np.int64)))


def test_a_model_predicts_what_it_was_fitted_to():
    chance = np.random.default_rng(2)
    x = chance.normal(size=(200, 3))
    predict = fitted(x, 1.0 + x @ np.array([0.5, -1.0, 0.0]), ridge=1e-9)
    assert np.allclose(predict(np.eye(3)), [1.5, 0.0, 1.0])
