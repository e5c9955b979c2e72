"""Experiments: the same surface in several variants, each person always in the same one.

`Experiment("exploration", holdout=0.05, variants={"on": {}, "off": {"explore": None}})`. A variant is what it changes
of the surface; `{}` is the surface as it is. `holdout` is a share of all people that stays out of the comparison: they
see the `control` variant (the last declared, unless named) and count for none.

Assignment is a hash of experiment and person, so it needs no memory and any node agrees. The person is the token under
which they were first decided for in this experiment; after devices are linked, the earliest link says whose token
stands for all: of its two ends the one that was decided for first (`assigned`, a hidden table of first decisions).
Without a person (a stranger without an id, or without a profile) nothing is assigned: the surface answers as declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Any

import msgspec

from nextpaint.decide.binder import Binder
from nextpaint.decide.duration import duration_ms
from nextpaint.decide.requirements import ExposureNeed, Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.reading import Reading
from nextpaint.record.columns import Value

ASSIGNED = "_assigned"  # (experiment, unit) -> when that unit was first decided for
HOLDOUT = "holdout"
VARIED = ("retrieve", "require", "features", "rank", "explore", "rules", "cold", "fallback", "limit", "say", "show")


class Assigned(msgspec.Struct, array_like=True, frozen=True):
    """The variant a decision was made in. `unit`: the token it was assigned by; `shown`: the variant answered, which
    differs from `variant` only for the holdout."""

    experiment: str
    variant: str
    unit: str
    shown: str


@dataclass(frozen=True)
class Experiment:
    """See the module. weights: relative shares of the variants, equal if left out. reward: what variants are compared
    by; None: what the surface explores with or its model is trained on."""

    name: str
    variants: Mapping[str, Mapping[str, Any]]
    unit: str = "person"
    holdout: float = 0.0
    control: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    reward: Reward | None = None

    def __str__(self) -> str:
        held = f", {self.holdout:.0%} held out" if self.holdout else ""
        changes = ", ".join(f"{name} ({', '.join(edits) or 'as declared'})" for name, edits in self.variants.items())
        return f"Experiment({self.name}: {changes} by {self.unit}{held})"

    @property
    def base(self) -> str:
        """The variant the holdout sees."""
        return self.control if self.control is not None else list(self.variants)[-1]

    def needs(self, needs: Needs, declared: Reward | None = None) -> None:
        """The hidden table of first decisions, and who is shown what, where a reward is declared."""
        reward = self.reward or declared
        if reward is not None:
            try:
                within_ms = duration_ms(reward.within)
            except (TypeError, ValueError):
                return  # reported where the reward is bound
            reward.needs(needs)
            needs.exposures[self.name] = ExposureNeed(self.name, reward.trials, reward.rewards, within_ms)
        for statement in (
            f"CREATE TABLE `{ASSIGNED}` (experiment STRING, unit STRING, since TIMESTAMP(3), "
            "PRIMARY KEY (experiment, unit) NOT ENFORCED)",
            f"INSERT INTO `{ASSIGNED}` SELECT experiment, unit, MIN(ts) FROM decisions WHERE experiment IS NOT NULL "
            "GROUP BY experiment, unit",
        ):
            needs.statements[statement] = None

    def check(self, binder: Binder) -> None:
        """Reports what is wrong with it; the variants themselves are bound like surfaces."""
        who = f"Experiment({self.name!r})"
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            binder.error(
                f"the name {self.name!r} of an experiment cannot be part of an address", "use letters, digits, _, -"
            )
        if self.unit != "person":
            binder.error(f"{who}: unit={self.unit!r}", "write unit='person'")
        if not 0.0 <= self.holdout < 1.0:
            binder.error(f"{who}: holdout={self.holdout!r}", "write a share from 0 to below 1")
        if len(self.variants) < 2 or HOLDOUT in self.variants:
            binder.error(
                f"{who} needs two variants or more, none named {HOLDOUT!r}", "variants={'on': {}, 'off': {...}}"
            )
        if self.control is not None and self.control not in self.variants:
            binder.unknown("variant in control=:", self.control, self.variants)
        if self.reward is not None:
            self.reward.within_ms(binder)
        for name, edits in self.variants.items():
            for key in edits:
                if key not in VARIED:
                    binder.unknown(f"setting in variant {name!r}:", key, VARIED)
        for name, weight in self.weights.items():
            if name not in self.variants:
                binder.unknown("variant in weights=:", name, self.variants)
            if not (isfinite(weight) and weight >= 0.0):
                binder.error(f"{who}: weight {name}={weight!r}", "write a number from 0")
        if self.variants and not sum(self._weights()) > 0.0:
            binder.error(f"{who}: all weights are 0", "give at least one variant a weight above 0")

    def _weights(self) -> list[float]:
        return [float(self.weights.get(name, 0.0 if self.weights else 1.0)) for name in self.variants]

    def shares(self) -> dict[str, float]:
        """The declared share of each variant among those that are not held out."""
        weights = self._weights()
        return {name: weight / sum(weights) for name, weight in zip(self.variants, weights, strict=True)}

    def assign(self, unit: str) -> Assigned:
        """The variant of a unit."""
        word = blake2b(f"{self.name}\x1f{unit}".encode(), digest_size=8).digest()
        share = int.from_bytes(word, "big") / 2**64
        if share < self.holdout:
            return Assigned(self.name, HOLDOUT, unit, self.base)
        weights = self._weights()
        reached, left = 0.0, (share - self.holdout) / (1.0 - self.holdout) * sum(weights)
        for name, weight in zip(self.variants, weights, strict=True):
            reached += weight
            if left < reached:
                return Assigned(self.name, name, unit, name)
        last = [name for name, weight in zip(self.variants, weights, strict=True) if weight > 0.0][-1]
        return Assigned(self.name, last, unit, last)

    def assigned(self, subjects: Sequence[str], reading: Reading) -> Assigned | None:
        """The variant of a person, known by `subjects`; None for nobody."""
        if not subjects:
            return None
        links: list[tuple[Value, str, str]] = []
        if len(subjects) > 1:
            for subject in subjects:
                for row in reading.rows("identity", (subject,)):
                    if row["linked"] in subjects:
                        links.append((row["ts"], subject, str(row["linked"])))
        if not links:
            return self.assign(subjects[0])
        _, first, second = min(links, key=lambda each: (each[0], min(each[1:]), each[1:]))
        since = {each: reading.row(ASSIGNED, (self.name, each)) for each in (first, second)}
        known = {each: row["since"] for each, row in since.items() if row is not None}
        unit = min((first, second), key=lambda each: (each not in known, known.get(each, 0), each))
        return self.assign(unit)
