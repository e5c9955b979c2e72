"""Training sets from the ledger, and the proof that what was logged is what is computed.

A training row is an answered item that was shown: its features as the decision logged them (not as they are now), the
reward that came in its window, its place and propensity. Only decisions that ranked with features give rows,
and none of somebody who was erased. The set is
a function of the ledger: it has a hash, which goes into the lineage of what is trained on it.

Backfill: with another application, features come from a state that had it in force from the ledger's first record, read
at each decision's position and as of its time: a feature that was declared today has the values it would have had then.

Parity: every logged decision is made again from history; the feature matrix of all its candidates must have the same
hash, and each logged value the same bits.
"""

from __future__ import annotations

import csv
import io
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from nextpaint.application import Application
from nextpaint.decide import Decider, DecisionRecord, DecisionRequest, Reward
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.engine.gone import present_decisions_of
from nextpaint.engine.kept import horizon, missing, topics_of
from nextpaint.engine.outcomes import outcomes_of
from nextpaint.engine.recomputation import Recomputation, decisions_of
from nextpaint.engine.replay import Frames, Rebuild, moment
from nextpaint.ports import Clock, Disk, SystemClock
from nextpaint.process.graph import build
from nextpaint.process.live import Tables
from nextpaint.record.errors import NotFound, ReplayError

Value = float | None


@dataclass(slots=True)
class TrainingSet:
    """Rows in ledger order. `positions`: first and last read position; `joined`: what was counted and what was not."""

    surface: str
    features: tuple[str, ...]
    decisions: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    values: list[tuple[Value, ...]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    propensities: list[Value] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    positions: tuple[int, int] = (-1, -1)
    joined: dict[str, int] = field(default_factory=dict)

    def csv(self) -> bytes:
        """One line per row; NULL is empty; floats as Python prints them, which loses nothing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["decision_id", "item_id", "time_ms", "place", "propensity", *self.features, "reward"])
        rows = zip(
            self.decisions, self.items, self.times_ms, self.places, self.propensities, self.values, self.rewards,
            strict=True,
        )  # fmt: skip
        for decision, item, time_ms, place, propensity, values, reward in rows:
            shown = ["" if each is None else repr(each) for each in (propensity, *values)]
            writer.writerow([decision, item, time_ms, place, *shown, repr(reward)])
        return text.getvalue().encode()

    def lineage(self, application: str) -> dict[str, Any]:
        """Where a model trained on this set comes from."""
        return {
            "surface": self.surface,
            "application": application,
            "features": list(self.features),
            "rows": len(self.rewards),
            "rewarded": sum(reward > 0 for reward in self.rewards),
            "positions": list(self.positions),
            "training_set_sha256": sha256(self.csv()).hexdigest(),
            "joined": self.joined,
        }


class Backfill:
    """The features of a surface of another application, at the positions of logged decisions, in ascending order."""

    def __init__(self, ledger: Frames, application: Application, clock: Clock) -> None:
        topics = topics_of(build(application.design))
        gone = missing({name: each for name, each in topics.items() if not name.startswith("_")}, ledger.lost())
        if gone:
            raise ReplayError(
                f"features cannot be computed for the past: {', '.join(sorted(gone))} would lack what was before "
                f"{moment(max(gone.values()))}, which retention let go",
                where="ledger", cure="train on logged features: leave --folder out",
            )  # fmt: skip
        self._rebuild = Rebuild(ledger, application)
        self._decider = Decider(application.surfaces, application.program.tables, clock, application.hash)
        self._tables = Tables(self._rebuild.runner)

    def values(self, record: DecisionRecord) -> dict[str, tuple[Value, ...]]:
        """Per answered item what the surface would have read of it."""
        for _ in self._rebuild.steps(record.position):
            pass
        asked = record.request
        request = DecisionRequest(
            inputs=dict(asked.inputs), items=asked.items, profiled=asked.profiled, withheld=asked.withheld,
            found=asked.found,
        )  # fmt: skip
        reading = self._tables.reading(record.time_ms)
        items = [each.id for each in record.items]
        return self._decider.features_of(record.surface, items, request, record.subjects, reading)


def training_set(
    ledger: Frames, application: Application, surface: str, reward: Reward, backfill: Application | None = None
) -> TrainingSet:
    """What `surface` showed and what became of it; with the features of `backfill` in the place of those logged. Raises
    NotFound when no decision ranked with features."""
    declared = next((each for each in (backfill or application).surfaces if each.name == surface), None)
    if declared is None:
        known = ", ".join(each.name for each in (backfill or application).surfaces)
        raise NotFound(f"unknown surface {surface[:80]!r}", where="application", cure=f"known: {known}")
    names = tuple(declared.features)
    filled = None if backfill is None else Backfill(ledger, backfill, SystemClock())
    outcomes = outcomes_of(ledger, application, surface, reward)
    found = TrainingSet(surface, names, joined=dict(outcomes.counts))
    first, last = -1, -1
    made = (each for _, each in present_decisions_of(ledger) if each.surface == surface)
    records = made if filled is None else sorted(made, key=lambda each: each.position)
    for record in records:
        logged = tuple(each.name for each in record.features)
        if filled is None and logged != names:
            continue
        shown = [each for each in record.items if (record.decision_id, each.id) in outcomes.rewards]
        if filled is not None:
            values = filled.values(record) if shown else {}
        else:
            values = {each.id: each.values for each in record.items}
        for place, item in enumerate(record.items):
            reward_of_item = outcomes.rewards.get((record.decision_id, item.id))
            read = values.get(item.id, ())
            if reward_of_item is None or len(read) != len(names):
                continue
            found.decisions.append(record.decision_id)
            found.items.append(item.id)
            found.values.append(read)
            found.rewards.append(reward_of_item)
            found.places.append(place + 1)
            found.propensities.append(None if record.explored is None else record.explored.tried[place].propensity)
            found.times_ms.append(record.time_ms)
            first, last = (record.position if first < 0 else min(first, record.position)), max(last, record.position)
    if not found.rewards:
        raise NotFound(
            f"{surface!r} has no shown item with the features it declares now", where="ledger",
            cure="gather decisions with impressions first",
        )  # fmt: skip
    found.positions = (first, last)
    return found


@dataclass(slots=True)
class Parity:
    """Recomputed against logged: `values` compared bit for bit; `different`: what is not equal, at most ten; `beyond`:
    decisions that can be made again no more, since states are made from `begin` on."""

    decisions: int = 0
    values: int = 0
    matrices: int = 0
    different: list[str] = field(default_factory=list)
    beyond: int = 0
    begin: str = "the first record"


def parity(
    ledger: Frames, clock: Clock, surface: str, most: int, rankers: Rankers = no_rankers, disk: Disk | None = None
) -> Parity:  # fmt: skip
    """Makes up to `most` logged decisions of `surface` again and compares their features. `disk`: where checkpoints
    are, for a ledger of which retention has taken records."""
    records = sorted(
        (each for _, each in decisions_of(ledger) if each.surface == surface), key=lambda each: each.position
    )
    begin = horizon(ledger, disk)
    found = Parity(beyond=sum(each.position < begin.seq for each in records), begin=begin.told)
    records = records[found.beyond :]
    if not records:
        return found
    again = Recomputation(ledger, clock, start=begin.start, rankers=rankers)
    for record in records[:: max(1, len(records) // most)][:most] if records else ():
        made = again.again(record)
        found.decisions += 1
        found.matrices += made.matrix == record.matrix
        if made.matrix != record.matrix:
            found.different.append(f"{record.decision_id}: the feature matrix")
        recomputed = {item.id: item.values for item in made.items}
        for item in record.items:
            values = recomputed.get(item.id, ())
            for name, logged, now in zip(record.features, item.values, values, strict=False):
                found.values += 1
                if _bits(logged) != _bits(now):
                    found.different.append(
                        f"{record.decision_id} {item.id} {name.name}: logged {logged!r}, now {now!r}"
                    )
    del found.different[10:]
    return found


def _bits(value: Value) -> bytes:
    return b"" if value is None else struct.pack("<d", value)
