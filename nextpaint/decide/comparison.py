"""What an experiment says: each variant's mean reward per person, and its difference from the control.

People are what was assigned, so they are what is compared: means per exposed person with normal 95 % intervals from
their variance (Welch). `mismatch` is how far the numbers of people are from the declared shares, in standard
deviations: beyond about 3 the assignment or the counting is broken, and no difference should be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nextpaint.decide.evaluation import Z_95
from nextpaint.decide.experiment import HOLDOUT, Experiment
from nextpaint.process.operators.exposures import Tally


def compared(experiment: Experiment, tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """One experiment as JSON-ready data; `control` is the variant that others are compared with."""
    control = experiment.base
    base = tallies.get(control, Tally())
    shares = experiment.shares()
    people = sum(tally.people for name, tally in tallies.items() if name != HOLDOUT)
    variants = []
    for name in (*experiment.variants, HOLDOUT):
        tally = tallies.get(name, Tally())
        mean, error = _mean(tally)
        told: dict[str, Any] = {
            "variant": name, "people": tally.people, "decisions": tally.decisions, "rewards": tally.rewards,
            "rewarded_people": tally.rewarded, "reward_per_person": mean, "interval": _interval(mean, error),
        }  # fmt: skip
        if name != HOLDOUT:
            told["share"] = shares[name]
            told["mismatch"] = _mismatch(tally.people, people, shares[name])
            if name != control:
                base_mean, base_error = _mean(base)
                difference = mean - base_mean
                told["difference"] = difference
                told["difference_interval"] = _interval(difference, (error * error + base_error * base_error) ** 0.5)
        variants.append(told)
    return {"experiment": experiment.name, "control": control, "holdout": experiment.holdout, "variants": variants}


def _mean(tally: Tally) -> tuple[float, float]:
    """Mean reward per person and its standard error; infinite where there are fewer than two people."""
    if tally.people < 2:
        return (tally.total if tally.people else 0.0), float("inf")
    mean = tally.total / tally.people
    variance = max(tally.squares - tally.people * mean * mean, 0.0) / (tally.people - 1)
    return mean, float((variance / tally.people) ** 0.5)


def _interval(value: float, error: float) -> list[float] | None:
    return None if error == float("inf") else [value - Z_95 * error, value + Z_95 * error]


def _mismatch(count: int, people: int, share: float) -> float:
    spread = (people * share * (1.0 - share)) ** 0.5
    return (count - people * share) / spread if spread > 0.0 else 0.0
