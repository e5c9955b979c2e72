"""Who was shown which variant of an experiment, and what came of it.

Ports: 0 = decisions (the built-in stream), 1 = trials (decision_id, item_id), 2 = rewards (decision_id, item_id, value,
ts). A person counts for a variant from the first decision in it of which an item was shown: deciding is not exposure.
A reward counts for the person once per answered item, if the decision was shown and it happened within the window;
rewards that come first wait for the showing. Rewards are summed by person, for people are what was assigned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nextpaint.process.operators.protocol import ROW, Operator, Row, StepContext, merged
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE, Batch
from nextpaint.record.types import STRING


class Assigned(NamedTuple):
    """A decision that may still be shown or rewarded. `waiting`: rewards that came before any showing."""

    variant: str
    unit: str
    time_ms: int
    items: tuple[str, ...]
    exposed: bool
    rewarded: tuple[str, ...]
    waiting: float


class Tally(NamedTuple):
    """A variant: people exposed, decisions shown, rewards, the sum of rewards, and of their squares by person; people
    with a reward."""

    people: int = 0
    decisions: int = 0
    rewards: int = 0
    total: float = 0.0
    squares: float = 0.0
    rewarded: int = 0


class Exposures(Operator):
    """State: `decisions`, id -> Assigned; `order`, ordinal -> (due, id); `people`, (variant, unit) -> (first exposure,
    rewards so far); `variants`, name -> Tally."""

    waits = frozenset({"decisions"})

    def __init__(self, identity: str, experiment: str, within_ms: int, keep_ms: int, state: State) -> None:
        super().__init__(identity, (STRING,))
        self.experiment = experiment
        self._within_ms = within_ms
        self._kept_ms = within_ms + keep_ms
        self._decisions = state.cell(identity, "decisions")
        self._order = state.cell(identity, "order")
        self._people = state.cell(identity, "people")
        self._variants = state.cell(identity, "variants")

    @property
    def tallies(self) -> dict[str, Tally]:
        """Every variant that was shown, by name."""
        return {name: Tally(*held) for name, held in sorted(self._variants.items())}

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        rows = [batch.rows() for batch in inputs]
        kinds = [batch.kind.tolist() for batch in inputs]
        ats = [context.at(batch.seq).tolist() if len(batch) else [] for batch in inputs]
        for what, port, index, _ in merged(inputs):
            if what != ROW or kinds[port][index] in (UPDATE_BEFORE, DELETE):
                continue
            at_ms = ats[port][index]
            self._forget(at_ms)
            if port == 0:
                self._decided(rows[0][index], at_ms)
            elif port == 1:
                self._shown(rows[1][index], at_ms)
            else:
                self._rewarded(rows[2][index], at_ms)
        return self.nothing

    def _decided(self, row: Row, at_ms: int) -> None:
        decision, _, _, experiment, variant, unit, items, _, time_ms = row
        if experiment != self.experiment or decision in self._decisions or not isinstance(items, tuple):
            return
        told = Assigned(str(variant), str(unit), int(str(time_ms)), tuple(map(str, items)), False, (), 0.0)
        self._decisions.put(decision, tuple(told))
        ordinal: int = self._order.get("next", 0)
        self._order.put(ordinal, (at_ms + self._kept_ms, decision))
        self._order.put("next", ordinal + 1)

    def _forget(self, at_ms: int) -> None:
        start: int = self._order.get("head", 0)
        head = start
        while (entry := self._order.get(head)) is not None and entry[0] <= at_ms:
            self._decisions.pop(entry[1])
            self._order.pop(head)
            head += 1
        if head != start:
            self._order.put("head", head)

    def _found(self, row: Row) -> Assigned | None:
        stored = self._decisions.get(row[0])
        return Assigned(*stored) if stored is not None and row[1] in stored[3] else None

    def _shown(self, row: Row, at_ms: int) -> None:
        told = self._found(row)
        if told is None or told.exposed:
            return
        tally = Tally(*self._variants.get(told.variant, Tally()))
        key = (told.variant, told.unit)
        if key not in self._people:
            self._people.put(key, (at_ms, 0.0))
            tally = tally._replace(people=tally.people + 1)
        self._variants.put(told.variant, tuple(tally._replace(decisions=tally.decisions + 1)))
        if told.waiting > 0.0:
            self._count(told, told.waiting, len(told.rewarded))
        self._decisions.put(row[0], tuple(told._replace(exposed=True, waiting=0.0)))

    def _rewarded(self, row: Row, at_ms: int) -> None:
        told, value, time_ms = self._found(row), row[2], row[3]
        if told is None or not isinstance(value, float) or value <= 0.0 or row[1] in told.rewarded:
            return
        if isinstance(time_ms, int) and time_ms - told.time_ms > self._within_ms:
            return
        if told.exposed:
            self._count(told, value, 1)
        waiting = told.waiting if told.exposed else told.waiting + value
        self._decisions.put(row[0], tuple(told._replace(rewarded=(*told.rewarded, str(row[1])), waiting=waiting)))

    def _count(self, told: Assigned, value: float, rewards: int) -> None:
        key = (told.variant, told.unit)
        since, before = self._people.get(key)
        after = before + value
        self._people.put(key, (since, after))
        tally = Tally(*self._variants.get(told.variant))
        changed = tally._replace(
            rewards=tally.rewards + rewards,
            total=tally.total + value,
            squares=tally.squares + (after * after - before * before),
            rewarded=tally.rewarded + (before == 0.0),
        )
        self._variants.put(told.variant, tuple(changed))
