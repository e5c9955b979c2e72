"""What an exploration learns from: rewards joined to decisions, and trials.

A reward is a row of `stream` that names the decision and the item it belongs to. It counts once per answered item, if
it happened within `within` of the decision and the item was shown (`trial`). What cannot be joined is counted by its
reason; see `process.operators.learning`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from nextpaint.decide.binder import Binder
from nextpaint.decide.requirements import Needs


@dataclass(frozen=True)
class Reward:
    """`Reward("clicks", by="decision_id", within="30 min", trial="impressions")`.

    when: a SQL condition on the stream's columns; None: every row. value: a SQL expression above 0, 1.0 if left out;
    Beta statistics cap it at 1. item, time: the columns that hold the item and the event time. `trial` is the stream of
    items that were shown, with the same `by` and `item`.
    """

    stream: str
    by: str = "decision_id"
    within: str = "30 min"
    trial: str = "impressions"
    when: str | None = None
    value: str | None = None
    item: str = "item_id"
    time: str = "ts"

    def __str__(self) -> str:
        when = f" when {self.when}" if self.when else ""
        value = f", worth {self.value}" if self.value else ""
        return f"Reward({self.stream}{when}{value}, by={self.by}, within={self.within}, trial={self.trial})"

    @property
    def _name(self) -> str:
        told = (self.stream, self.by, self.when, self.value, self.item, self.time)
        return blake2b(repr(told).encode(), digest_size=4).hexdigest()

    @property
    def rewards(self) -> str:
        """The hidden table of joined rewards."""
        return f"_rewards_{self._name}"

    @property
    def trials(self) -> str:
        """The hidden table of trials."""
        told = repr((self.trial, self.by, self.item)).encode()
        return f"_trials_{blake2b(told, digest_size=4).hexdigest()}"

    def needs(self, needs: Needs) -> None:
        """The hidden statements that give trials and rewards their columns."""
        where = f" WHERE {self.when}" if self.when else ""
        value = self.value or "1"
        for statement in (
            f"CREATE TABLE `{self.trials}` (decision_id STRING, item_id STRING)",
            f"INSERT INTO `{self.trials}` SELECT `{self.by}`, `{self.item}` FROM `{self.trial}`",
            f"CREATE TABLE `{self.rewards}` (decision_id STRING, item_id STRING, `value` DOUBLE, ts TIMESTAMP(3))",
            f"INSERT INTO `{self.rewards}` SELECT `{self.by}`, `{self.item}`, CAST({value} AS DOUBLE), `{self.time}` "
            f"FROM `{self.stream}`{where}",
        ):
            needs.statements[statement] = None

    def within_ms(self, binder: Binder) -> int:
        return binder.duration(self.within, "Reward(within=)")
