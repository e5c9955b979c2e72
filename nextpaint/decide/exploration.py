"""The exploring stage of a decision: the policy's order, what is recorded of it, and what its learner is told.

    rank -> explore -> rules

Only the best `pool` of the ranking are explored; the rest follow in the ranker's order. The record holds, per answered
item, what the policy knew and drew (`Tried`), rounded to six digits; the learner counts with exactly these numbers, so
posteriors follow from the ledger alone. Without time the ranker's order is answered, and nothing is learned from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from nextpaint.decide.budget import RUN, Timeline
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.policy import BoundPolicy, Drawn, six
from nextpaint.record.columns import IntArray


class Tried(msgspec.Struct, array_like=True, frozen=True):
    """An answered item as the policy saw it. place: in the explored order, from 1; 0: it was not explored. arm: '' is
    the item's own id. value: what the order went by. mean, prior: of its reward rate; trials: examined ones so far.
    examined: of the place it was answered at. propensity: of its explored place."""

    place: int
    arm: str = ""
    value: float = 0.0
    mean: float = 0.0
    prior: float = 0.0
    trials: float = 0.0
    examined: float = 1.0
    propensity: float | None = None


class Exploration(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a policy chose. `kind` says of what sort propensities are (see `propensity`); `floor`: the least that
    evaluations divide by; `pool`: candidates explored; `scales`: what a linear policy divided features by."""

    policy: str
    learner: str
    kind: str
    pool: int
    floor: float
    tried: tuple[Tried, ...]
    scales: dict[str, float] = {}


@dataclass(slots=True)
class Explored:
    """A policy's work on one decision: `pool` is what it was given, `order` the whole ranking in its order."""

    pool: Candidates
    drawn: Drawn
    order: Candidates


def explore(policy: BoundPolicy, ranked: Candidates, context: Context, timeline: Timeline) -> Explored | None:
    """The policy's order of the ranking; None when there was no time for one."""
    if timeline.choose("explore", "skipped", "the ranker's order", ("filter", "rules", "record")) != RUN:
        timeline.finish("explore", "skipped")
        return None
    timeline.start()
    pool = ranked.head(policy.pool)
    drawn = policy.draw(pool, context)
    rest: IntArray = np.arange(len(pool), len(ranked))
    order = ranked.take(np.concatenate([drawn.order, rest]))
    timeline.finish("explore")
    return Explored(pool, drawn, order)


def exploration_of(
    policy: BoundPolicy, printed: str, explored: Explored, page: Candidates, context: Context
) -> Exploration:
    """What is recorded for the answered `page`."""
    drawn = explored.drawn
    learner = policy.learner
    rows = {slot: row for row, slot in enumerate(explored.pool.slots.tolist())}
    places = {row: place for place, row in enumerate(drawn.order.tolist(), start=1)}
    examined = np.ones(len(page))
    if learner is not None:
        examined = policy.examination.of(len(page), learner.name, context)
    tried = []
    for slot, key, seen in zip(page.slots.tolist(), page.keys(), examined.tolist(), strict=True):
        row = rows.get(slot)
        if row is None:
            tried.append(Tried(0))
            continue
        place, arm = places[row], drawn.arms[row]
        known = drawn.propensities is not None and place <= len(drawn.propensities)
        chance = six(float(drawn.propensities[place - 1])) if known and drawn.propensities is not None else None
        value, mean, prior, trials = (
            six(float(each[row])) for each in (drawn.values, drawn.means, drawn.priors, drawn.trials)
        )
        arm = "" if arm == key else arm
        tried.append(Tried(place, arm, value, mean, prior, trials, six(seen), chance))
    name = "" if learner is None else learner.name
    return Exploration(printed, name, drawn.kind, len(explored.pool), policy.floor, tuple(tried), drawn.scales)
