"""Off-policy evaluation over a ledger: what a surface would have earned if it had been declared otherwise.

Every explored decision of the surface is made again at its position, as it was logged and as the other surface would
have made it, from the same state, request and candidates. A showing counts if the item was shown and stood where the
policy put it (what a rule moved was not placed by chance). The propensity of a showing is the marginal probability of
that item at that place: exact where the policy has it, else by drawing the page again from what it had read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.application import Application
from nextpaint.decide import Decider, Decision, DecisionRecord, Reward, Surface
from nextpaint.decide.as_ranked import AsRanked
from nextpaint.decide.candidates import FloatArray
from nextpaint.decide.evaluation import Evaluation, Logged, evaluate, fitted
from nextpaint.decide.exploration import Explored
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.engine.gone import present_decisions_of
from nextpaint.engine.kept import horizon
from nextpaint.engine.outcomes import Outcomes, outcomes_of
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.replay import Frames
from nextpaint.ports import Clock, Disk
from nextpaint.record.columns import IntArray
from nextpaint.record.errors import InvalidInput, NotFound, ReplayError

DRAWS = 256


@dataclass(slots=True)
class Report:
    """What was evaluated and what was left out. by_policy: decisions per logging policy."""

    evaluation: Evaluation
    target: str
    by_policy: dict[str, int]
    unshown: int
    moved: int
    joined: dict[str, int]


@dataclass(slots=True)
class _Log:
    """Showings as they are found."""

    propensity: list[float] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    cluster: list[int] = field(default_factory=list)
    features: list[list[float]] = field(default_factory=list)
    instead: list[FloatArray] = field(default_factory=list)  # features of what the target shows there, (draws, k)
    unshown: int = 0
    moved: int = 0


class Evaluating:
    """Evaluates surfaces on one ledger. `draws`: pages drawn where a policy has no exact marginals."""

    def __init__(
        self, ledger: Frames, clock: Clock, draws: int = DRAWS, rankers: Rankers = no_rankers, disk: Disk | None = None
    ) -> None:
        """`disk`: where checkpoints are, for a ledger of which retention has taken records."""
        self._disk = disk
        self._rankers = rankers
        self._ledger = ledger
        self._clock = clock
        self._draws = draws
        self._targets: dict[str, Decider] = {}

    def run(self, application: Application, surface: str, target: Surface, reward: Reward | None = None) -> Report:
        """What `target` would have earned on the explored decisions of `surface`. Raises NotFound, InvalidInput."""
        declared = _declared(application, surface)
        reward = reward or reward_of(declared)
        if target.explore is None:
            target = target.but(target.name, explore=AsRanked())
        records = sorted(
            (
                record
                for _, record in present_decisions_of(self._ledger)
                if record.surface == surface and record.explored
            ),
            key=lambda record: record.position,
        )
        if not records:
            raise NotFound(
                f"no decision of {surface!r} was explored", cure="declare explore= and gather decisions first"
            )
        begin = horizon(self._ledger, self._disk)
        beyond = sum(each.position < begin.seq for each in records)
        records = records[beyond:]
        if not records:
            raise ReplayError(
                f"{beyond} decisions are recorded, no longer recomputable: states are made again from {begin.told}",
                where=f"surface {surface!r}", cure="a longer `replay` in [retention] keeps more checkpoints",
            )  # fmt: skip
        outcomes = outcomes_of(self._ledger, application, surface, reward)
        log, by_policy = _Log(), dict[str, int]()
        recomputation = Recomputation(self._ledger, self._clock, start=begin.start, rankers=self._rankers)
        floor = 0.0
        for number, record in enumerate(records):
            assert record.explored is not None
            logged = recomputation.decided(record)
            other = recomputation.decided(record, self._target(recomputation.application, target), target.name)
            by_policy[record.explored.policy] = by_policy.get(record.explored.policy, 0) + 1
            floor = max(floor, record.explored.floor)
            self._add(log, number, (logged, other), outcomes)
        try:
            evaluation = evaluate(_arrays(log), floor)
        except ValueError as error:
            raise InvalidInput(
                str(error), where=f"surface {surface!r}", cure="check that impressions are sent"
            ) from error
        joined = dict(outcomes.counts) | ({"no_longer_recomputable": beyond} if beyond else {})
        return Report(evaluation, str(target.explore), by_policy, log.unshown, log.moved, joined)

    def _target(self, application: Application, target: Surface) -> Decider:
        decider = self._targets.get(application.hash)
        if decider is None:
            plain = target.but(target.name, experiment=None)
            known = {each.name for each in application.design.learners}
            missing = sorted(set(plain.needs().learners) - known)
            if missing:
                raise InvalidInput(
                    f"{target.name!r} learns what the logged application did not keep: {missing[0]}",
                    where=f"policy {target.explore}",
                    cure="evaluate a policy without a reward, or one that learns the same per and reward",
                )
            decider = Decider([plain], application.program.tables, self._clock, application.hash, self._rankers)
            self._targets[application.hash] = decider
        return decider

    def _add(self, log: _Log, number: int, both: tuple[Decision, Decision], outcomes: Outcomes) -> None:
        logged, other = both
        record = logged.record
        if logged.explored is None or other.explored is None or record.explored is None:
            return
        rows, chosen = _shown(record, log, outcomes)
        if not rows:
            return
        placed = logged.explored.drawn.order[: max(rows) + 1]
        slots = logged.explored.pool.slots[placed]
        place_of = {slot: row for row, slot in enumerate(other.explored.pool.slots.tolist())}
        there = np.array([place_of.get(slot, -1) for slot in slots.tolist()], np.int64)
        propensities = self._chances(logged.explored, placed, record.seed)
        targets = self._chances(other.explored, there, record.seed + 1)
        values = _values(other.explored)
        pages = self._pages(other.explored, len(placed), record.seed + 2)
        for place, item in zip(rows, chosen, strict=True):
            log.propensity.append(float(propensities[place]))
            log.target.append(float(targets[place]))
            log.reward.append(outcomes.rewards[record.decision_id, item])
            log.cluster.append(number)
            log.features.append([*_values(logged.explored)[placed[place]].tolist(), 1.0 / (place + 1)])
            seen = pages[:, place] if place < pages.shape[1] else np.empty(0, np.int64)
            log.instead.append(np.column_stack([values[seen], np.full(len(seen), 1.0 / (place + 1))]))

    def _pages(self, explored: Explored, places: int, seed: int) -> IntArray:
        pages = explored.drawn.pages
        assert pages is not None
        return pages(self._draws, seed, min(places, len(explored.pool)))

    def _chances(self, explored: Explored, rows: IntArray, seed: int) -> FloatArray:
        """P(row k at place k), shape as rows; 0 for a row below 0: it is not among the candidates."""
        known = rows >= 0
        if explored.drawn.chances is not None:
            return np.where(known, explored.drawn.chances(np.maximum(rows, 0)), 0.0)
        pages = self._pages(explored, len(rows), seed)
        found = np.zeros(len(rows))
        reached = pages.shape[1]
        hits = (pages == rows[None, :reached]).sum(axis=0)
        draws = len(pages)
        found[:reached] = hits / draws if draws == 1 else (hits + 0.5) / (draws + 1)
        return np.where(known, found, 0.0)


def _shown(record: DecisionRecord, log: _Log, outcomes: Outcomes) -> tuple[list[int], list[str]]:
    """Explored places (from 0) and ids of the answered items that were shown where the policy put them."""
    assert record.explored is not None
    rows, chosen = [], []
    for place, (item, tried) in enumerate(zip(record.items, record.explored.tried, strict=True), start=1):
        if (record.decision_id, item.id) not in outcomes.rewards:
            log.unshown += 1
        elif tried.place != place:
            log.moved += 1
        else:
            rows.append(place - 1)
            chosen.append(item.id)
    return rows, chosen


def _values(explored: Explored) -> FloatArray:
    """Feature values of the pool, NULL as 0, with the ranker's score, shape (n, k)."""
    return np.column_stack([explored.pool.scores, explored.pool.features.matrix.T])


def _arrays(log: _Log) -> Logged:
    reward, cluster = np.array(log.reward), np.array(log.cluster, np.int64)
    predicted = expected = None
    if log.features and len({len(each) for each in log.features}) == 1 and len(np.unique(cluster)) >= 4:
        predicted, expected = _cross_fitted(log, reward, cluster)
    return Logged(np.array(log.propensity), np.array(log.target), reward, cluster, predicted, expected)


def _cross_fitted(log: _Log, reward: FloatArray, cluster: IntArray) -> tuple[FloatArray, FloatArray]:
    """Predictions of what was shown and of what the target shows, each by a model fitted to the other half of the
    decisions, so that no reward predicts itself."""
    features = np.array(log.features)
    if any(each.shape[1] != features.shape[1] for each in log.instead):
        constant = np.full(len(reward), reward.mean())
        return constant, constant
    scale = np.abs(features).max(axis=0)
    scale[scale == 0.0] = 1.0
    predicted, expected = np.zeros(len(reward)), np.zeros(len(reward))
    for half in (0, 1):
        inside = cluster % 2 == half
        predict = fitted(features[~inside] / scale, reward[~inside])
        predicted[inside] = predict(features[inside] / scale)
        for index in np.flatnonzero(inside).tolist():
            seen = log.instead[index]
            expected[index] = predict(seen / scale).mean() if len(seen) else 0.0
    return predicted, expected


def reward_of(surface: Surface) -> Reward:
    """The reward a surface declares, for exploration or for its model. Raises InvalidInput."""
    for stage in (surface.explore, surface.rank):
        reward = getattr(stage, "reward", None)
        if isinstance(reward, Reward):
            return reward
    raise InvalidInput(f"surface {surface.name!r} declares no reward", cure="name its stream: --reward clicks")


def _declared(application: Application, surface: str) -> Surface:
    for each in application.surfaces:
        if each.name == surface:
            return each
    known = ", ".join(each.name for each in application.surfaces)
    raise NotFound(f"unknown surface {surface[:80]!r}", where="application", cure=f"known: {known}")


def application_of(ledger: Frames) -> Application:
    """The newest application of a ledger. Raises ReplayError when there is none."""
    newest = None
    for frame in ledger.frames():
        for entry in frame.entries:
            if entry.topic == "_app":
                newest = entry.records[-1].value
    if newest is None:
        raise ReplayError("no application was ever in force here")
    return Application.unpacked(newest)
