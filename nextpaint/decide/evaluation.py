"""Off-policy evaluation: what another policy would have earned, from decisions that were logged with propensities.

A logged step is one showing: what was shown with which probability, and what it earned. A target policy gives the
probability with which it would have shown the same. Weighing each reward with the ratio of the two gives the target's
value without trying it:

* `ips`: the mean of weight * reward (Horvitz and Thompson, 1952): unbiased, wide where the policies differ;
* `snips`: the same over the mean weight (Swaminathan and Joachims, *The self-normalized estimator for counterfactual
  learning*, NeurIPS 2015): a little biased, narrower, and never outside the range of rewards;
* `dr`: a model's prediction corrected by the weighed error of the model (Dudik, Langford and Li, *Doubly robust policy
  evaluation and learning*, ICML 2011): unbiased if either is right.

Intervals are normal, from the variance of the per-cluster terms; `snips` by linearisation. Steps of one decision belong
together (the same page, the same person): they form a cluster, whose sum is one observation. The effective sample size
is (sum w)^2 / sum w^2: how many showings of the target's own the log is worth. No propensity is taken for less than a
floor; how many were is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Z_95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True)
class Logged:
    """n showings. propensity: of what was shown, above 0. target: the probability under the policy that is evaluated.
    reward: what came. cluster: showings of one decision share a number. predicted: the model's reward of what was
    shown; expected: its reward of what the target would have shown at that place. All of shape (n,)."""

    propensity: FloatArray
    target: FloatArray
    reward: FloatArray
    cluster: IntArray
    predicted: FloatArray | None = None
    expected: FloatArray | None = None


@dataclass(frozen=True)
class Value:
    """An estimate of the mean reward per showing, with its 95 % interval."""

    estimator: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimator:<6} {self.value:.5f}  [{self.low:.5f}, {self.high:.5f}]"


@dataclass(frozen=True)
class Evaluation:
    """What a log says of a policy. `logged`: the value of the policy that logged. `effective`: effective sample size;
    `cut`: the share of weights that the floor cut."""

    showings: int
    clusters: int
    logged: Value
    values: tuple[Value, ...]
    effective: float
    largest: float
    cut: float


def evaluate(log: Logged, floor: float = 0.0) -> Evaluation:
    """IPS, SNIPS and, where the log has predictions, DR. Raises ValueError for an empty log or a propensity that is not
    above 0."""
    size = len(log.reward)
    if not size:
        raise ValueError("there is no logged showing with a propensity")
    if not bool((log.propensity > 0.0).all()):
        raise ValueError("a propensity is not above 0")
    weight = log.target / np.maximum(log.propensity, floor)
    cut = float((log.propensity < floor).mean())
    total = float(weight.sum())
    effective = total * total / float((weight * weight).sum()) if total > 0.0 else 0.0
    values = [_mean("ips", weight * log.reward, log.cluster), _ratio(weight, log.reward, log.cluster)]
    if log.predicted is not None and log.expected is not None:
        terms = log.expected + weight * (log.reward - log.predicted)
        values.append(_mean("dr", terms, log.cluster))
    logged = _mean("logged", log.reward, log.cluster)
    clusters = len(np.unique(log.cluster))
    return Evaluation(size, clusters, logged, tuple(values), effective, float(weight.max()), cut)


def _mean(name: str, terms: FloatArray, cluster: IntArray) -> Value:
    value = float(terms.mean())
    return _interval(name, value, _spread(terms - value, cluster))


def _ratio(weight: FloatArray, reward: FloatArray, cluster: IntArray) -> Value:
    """The weighted mean; its error to first order is the mean of w (r - value) over the mean weight."""
    total = float(weight.sum())
    if not total > 0.0:
        return Value("snips", 0.0, float("-inf"), float("inf"))
    value = float((weight * reward).sum()) / total
    terms = weight * (reward - value) / (total / len(weight))
    return _interval("snips", value, _spread(terms, cluster))


def _interval(name: str, value: float, error: float) -> Value:
    return Value(name, value, value - Z_95 * error, value + Z_95 * error)


def _spread(centred: FloatArray, cluster: IntArray) -> float:
    """Standard error of the mean of `centred` terms (mean 0), whose clusters are independent of each other."""
    _, places = np.unique(cluster, return_inverse=True)
    sums = np.bincount(places, centred)
    count = len(sums)
    if count < 2:
        return float("inf")
    return float(np.sqrt((sums * sums).sum() * count / (count - 1))) / len(centred)


def fitted(features: FloatArray, reward: FloatArray, ridge: float = 1.0) -> Callable[[FloatArray], FloatArray]:
    """A ridge regression of rewards on features, shape (n, k), with a constant: the reward model of `dr`."""
    x = np.column_stack([features, np.ones(len(features))])
    penalty = np.eye(x.shape[1]) * ridge
    penalty[-1, -1] = 0.0
    theta = np.linalg.lstsq(x.T @ x + penalty, x.T @ reward, rcond=None)[0]

    def predict(rows: FloatArray) -> FloatArray:
        found: FloatArray = np.column_stack([rows, np.ones(len(rows))]) @ theta
        return found

    return predict
