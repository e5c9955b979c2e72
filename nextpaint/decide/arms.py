"""What exploration has found out, arm by arm: rates with intervals, and what finding out has cost.

Rates are rewards over examined trials (a showing low on the page counts as less than one), with 95 % Wilson intervals.
Regret is the reward that the best arm would have had beyond what the others had, by what is known now: the sum of
trials times (rate of the best - rate), with every rate drawn towards that of all arms by `PRIOR_TRIALS` trials, so that
an arm of two lucky showings is not the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nextpaint.decide.evaluation import Z_95

PRIOR_TRIALS = 20.0


def wilson(rewards: float, trials: float) -> list[float] | None:
    """The 95 % interval of a rate; None without trials. Wilson, *Probable inference*, JASA 1927."""
    if trials <= 0.0:
        return None
    rate, square = min(rewards / trials, 1.0), Z_95 * Z_95
    centre = (rate + square / (2.0 * trials)) / (1.0 + square / trials)
    half = Z_95 / (1.0 + square / trials) * (rate * (1.0 - rate) / trials + square / (4.0 * trials * trials)) ** 0.5
    return [max(centre - half, 0.0), min(centre + half, 1.0)]


def arms_told(arms: Sequence[str], trials: Sequence[float], rewards: Sequence[float]) -> list[dict[str, Any]]:
    """Each arm with its rate and interval, the most tried first."""
    rows = sorted(zip(arms, trials, rewards, strict=True), key=lambda each: (-each[1], each[0]))
    return [
        {
            "arm": arm, "trials": tried, "rewards": rewarded,
            "rate": rewarded / tried if tried > 0.0 else None, "interval": wilson(rewarded, tried),
        }
        for arm, tried, rewarded in rows
    ]  # fmt: skip


def regret(trials: Sequence[float], rewards: Sequence[float], total: tuple[float, float]) -> dict[str, Any]:
    """`rewards`: given up so far, by what is known now; `share`: of all that the best arm would have had."""
    if total[0] <= 0.0 or not trials:
        return {"rewards": 0.0, "share": 0.0}
    rate = total[1] / total[0]
    means = [
        (rewarded + PRIOR_TRIALS * rate) / (tried + PRIOR_TRIALS)
        for tried, rewarded in zip(trials, rewards, strict=True)
    ]
    best = max(means)
    lost = sum(tried * (best - mean) for tried, mean in zip(trials, means, strict=True))
    possible = best * sum(trials)
    return {"rewards": lost, "share": lost / possible if possible > 0.0 else 0.0}
