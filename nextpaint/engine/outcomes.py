"""What became of a surface's decisions: showings and rewards over a whole ledger, joined as a learner joins them.

The join is the learner's own operator over every decision of the surface, explored or not, run once from the first
record with nothing else of the application but what the reward is made of. So an evaluation, a training set and a
posterior never disagree about what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nextpaint.application import Application
from nextpaint.decide import Reward
from nextpaint.decide.codec import answered_ids
from nextpaint.decide.duration import duration_ms
from nextpaint.decide.requirements import Needs
from nextpaint.engine.kept import topics_of
from nextpaint.engine.replay import Frames, Rebuild
from nextpaint.process.graph import EXPLORED, BuiltIn, Design, Learner, build, scans
from nextpaint.process.operators.learning import LearnerSpec
from nextpaint.process.sources import Explode
from nextpaint.sql.program import Program
from nextpaint.stream.lost import since

EVERYTHING = 2**63 - 1
_NAME = "_outcomes"

Json = Any


@dataclass(slots=True)
class Outcomes:
    """`rewards[decision_id, item_id]`: the reward of every showing, 0.0 where none came in its window. `counts`: what
    was joined and what was not, by reason."""

    rewards: dict[tuple[str, str], float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    beyond: int = 0  # decisions left out: retention took records that may say what became of them


def outcomes_of(ledger: Frames, application: Application, surface: str, reward: Reward) -> Outcomes:
    """Joins a ledger's decisions of `surface` with their outcomes. Raises ApplicationError where the reward does not
    plan, ValueError where its window is no duration."""
    found = Outcomes()

    def watch(decision: str, item: str, value: float) -> None:
        found.rewards[decision, item] = value

    design = _design(application, surface, reward)
    begin = since(ledger.lost(), topics_of(build(design))[_NAME])
    if begin is not None:
        design = _from(design, begin, found)
    rebuild = Rebuild(ledger, replace(application, design=design))
    learner = rebuild.runner.graph.learners[_NAME]
    learner.watch = watch
    rebuild.finish(EVERYTHING)
    found.counts = {**learner.counts, **({"beyond_retention": found.beyond} if found.beyond else {})}
    return found


def _from(design: Design, begin_ms: int, found: Outcomes) -> Design:
    """The design without decisions of before a time: of what became of them not all is there."""

    def of(explode: Explode) -> Explode:
        def later(record: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
            rows = explode(record)
            if rows and record["time_ms"] < begin_ms:
                found.beyond += 1
                return ()
            return rows

        return later

    return replace(
        design,
        built_in=tuple(
            replace(each, explode=of(each.explode))
            if each.table.name == EXPLORED.name and each.explode is not None else each
            for each in design.built_in
        ),
    )  # fmt: skip


def _design(application: Application, surface: str, reward: Reward) -> Design:
    needs = Needs("")
    reward.needs(needs)
    program = application.planned_with(needs.statements)
    events = next(each.table for each in application.design.built_in if each.table.name == "events")
    lateness_ms = events.watermark.delay_ms if events.watermark is not None else 0

    def every(record: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
        items = answered_ids(record) if record["surface"] == surface else []
        if not items:
            return ()
        none = [0.0] * len(items)
        row = {"decision_id": record["decision_id"], "learner": _NAME, "ts": record["time_ms"], "items": items}
        return [{**row, "arms": items, "examined": none, "means": none, "priors": none, "contexts": []}]

    built_in = tuple(
        BuiltIn(EXPLORED, each.topic, every) if each.table.name == EXPLORED.name else each
        for each in application.design.built_in
    )
    spec = LearnerSpec(duration_ms(reward.within), lateness_ms)
    return Design(
        _only(program, {reward.trials, reward.rewards}), built_in,
        learners=(Learner(_NAME, reward.trials, reward.rewards, spec),),
    )  # fmt: skip


def _only(program: Program, wanted: set[str]) -> Program:
    """The program with the statements that `wanted` tables are made of."""
    before = 0
    while before != len(wanted):
        before = len(wanted)
        for insert in program.inserts:
            if insert.target in wanted:
                wanted |= scans(insert.root)
    return replace(program, inserts=type(program.inserts)(each for each in program.inserts if each.target in wanted))
