"""Decisions: the one call that turns a request and a reading into a record and an answer.

`requirements` says, before anything is planned, what surfaces need; `Decider` compiles them against the planned tables
and then decides. A decision is a function of (surface, request, subjects, reading, seed, paths): time is measured only
to choose paths, and a replay is given the paths. What a node remembers beyond its ledger is cost estimates and last
good answers: neither changes a decision whose paths are given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextpaint.decide.answer import Identity, answer_of, record_of
from nextpaint.decide.binding import BoundSurface, bind_surfaces, nearest, reads_of
from nextpaint.decide.budget import Costs, Timeline
from nextpaint.decide.context import Context, Moment
from nextpaint.decide.experiment import Experiment
from nextpaint.decide.exploration import Explored
from nextpaint.decide.fallback import SPARE, Memory
from nextpaint.decide.feature import read_features
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.decide.parameters import parameters
from nextpaint.decide.pipeline import person, run
from nextpaint.decide.record import DecisionRecord, rows_of
from nextpaint.decide.request import DecisionRequest
from nextpaint.decide.requirements import Requirements, collect
from nextpaint.decide.retrieve import BoundSimilar
from nextpaint.decide.surface import Surface
from nextpaint.ports.clock import Clock
from nextpaint.process.followed import Followed
from nextpaint.process.reading import Reading
from nextpaint.record.errors import ApplicationError, NotFound
from nextpaint.sql.program import Table


@dataclass(frozen=True, slots=True)
class Decision:
    """A record to be committed before `answer` leaves; `explored`: a policy's work, from which propensities can be
    estimated later."""

    record: DecisionRecord
    answer: dict[str, Any]
    explored: Explored | None = None


def requirements(surfaces: Sequence[Surface]) -> Requirements:
    """What these surfaces need from the engine: hidden SQL, indexes, vectors, live readings."""
    return collect(surface.needs() for surface in surfaces)


class Decider:
    """The surfaces of one application, ready to decide.

    Raises ApplicationError with every mistake of every surface. `application` is the application's hash, for the
    records.
    """

    def __init__(
        self, surfaces: Sequence[Surface], tables: Mapping[str, Table], clock: Clock, application: str = "",
        rankers: Rankers = no_rankers,
    ) -> None:  # fmt: skip
        self._rankers = rankers
        self._clock = clock
        self._application = application
        self._costs = Costs()
        self._memory = Memory()
        self._bound, diagnostics = bind_surfaces(surfaces, tables)
        if diagnostics:
            raise ApplicationError(diagnostics)

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The surfaces, in the order they were declared."""
        return tuple(bound.surface for bound in self._bound.values())

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """Tables read by key, with the key columns a read fills."""
        return reads_of(self._bound)

    @property
    def followed(self) -> Followed:
        """What stages of all surfaces read over many keys, for `Tables.follow`."""
        total = Followed()
        for bound in self._bound.values():
            total.add(bound.followed)
        return total

    @property
    def experiments(self) -> tuple[tuple[Experiment, tuple[str, ...]], ...]:
        """Every experiment with the surfaces that are in it; surfaces may share one by its name."""
        found: dict[str, tuple[Experiment, tuple[str, ...]]] = {}
        for name, each in self._bound.items():
            if each.experiment is not None:
                first, surfaces = found.get(each.experiment.name, (each.experiment, ()))
                found[first.name] = (first, (*surfaces, name))
        return tuple(found.values())

    def purpose(self, surface: str) -> str:
        """What a person consents to, or not, for this surface. Raises NotFound."""
        return self._surface(surface).surface.purpose

    def parameters(self) -> list[dict[str, Any]]:
        """The main parameters of every surface; see `parameters`."""
        return [parameters(bound) for bound in self._bound.values()]

    def searches(self, surface: str) -> tuple[BoundSimilar, ...]:
        """The searches of a surface by vector, in every variant: what an index could find instead."""
        bound = self._surface(surface)
        stages = (named.run for each in (bound, *bound.variants.values()) for named in each.retrieve)
        return tuple(dict.fromkeys(stage for stage in stages if isinstance(stage, BoundSimilar)))

    def context(self, surface: str, request: DecisionRequest, subjects: Sequence[str], reading: Reading) -> Context:
        """What a stage of this surface would know, for a question before the decision. Raises NotFound."""
        moment = Moment("", reading.time_ms, 0)
        return Context(reading, self._surface(surface).surface.items, request, subjects, moment)

    def features_of(
        self, surface: str, items: Sequence[str], request: DecisionRequest, subjects: Sequence[str], reading: Reading
    ) -> dict[str, tuple[float | None, ...]]:
        """What a decision of this surface would read of some items, in the order its features are declared; nothing for
        an item that is not there. Raises NotFound."""
        context = self.context(surface, request, subjects, reading)
        found = read_features(self._surface(surface).features, context.found(items), context)
        columns = [column.to_list() for column in found.features.values()]
        return dict(zip(found.keys(), rows_of(columns, len(found)), strict=True))

    def request(self, surface: str, body: Mapping[str, Any]) -> DecisionRequest:
        """A checked request. Raises NotFound for an unknown surface and InvalidInput naming what is wrong."""
        return DecisionRequest.parse(surface, self._surface(surface).inputs, body)

    def decide(
        self, surface: str, request: DecisionRequest, subjects: Sequence[str], reading: Reading, moment: Moment
    ) -> Decision:
        """Decides from `reading`. `subjects`: the person's tokens, primary first; none for a stranger.

        Never fails for lack of time: stages are replaced by cheaper ones and the answer says which. Raises NotFound."""
        bound = self._surface(surface)
        started_ns = 0 if moment.paths is not None else self._clock.monotonic_ns()
        deadline_ns = started_ns + bound.surface.window.process_ms * 1_000_000
        if moment.deadline_ns is not None:
            deadline_ns = min(deadline_ns, moment.deadline_ns)
        timeline = Timeline(surface, self._costs, self._clock, deadline_ns, moment.paths, moment.pressed)
        context = Context(reading, bound.surface.items, request, subjects, moment)
        context.rankers = self._rankers
        assigned = bound.experiment.assigned(context.subjects, reading) if bound.experiment is not None else None
        if assigned is not None:
            bound = bound.variants[assigned.shown]
        context.limit = request.limit or bound.surface.limit
        outcome = run(bound, context, timeline, self._memory)
        identity = Identity(moment.decision_id, moment.seed, self._application, assigned)
        record = record_of(bound, context, timeline, outcome, identity)
        answer = answer_of(record, bound, context, outcome.shown)
        answer["budget"]["process"] = timeline.spent_ms()
        if moment.paths is None and bound.max_age_ms and outcome.page and not timeline.degraded:
            best = tuple(outcome.page.head(context.limit + SPARE).keys())
            self._memory.keep(surface, person(context), context.time_ms, best)
        return Decision(record, answer, outcome.explored)

    def forget(self, persons: Collection[str]) -> None:
        """Drop the last answers to these."""
        self._memory.forget(persons)

    def _surface(self, name: str) -> BoundSurface:
        found = self._bound.get(name)
        if found is None:
            raise NotFound(f"unknown surface {name[:80]!r}", where="application", cure=nearest(name, self._bound))
        return found
