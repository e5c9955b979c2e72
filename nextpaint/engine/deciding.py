"""Deciding on a running node: waits, schedule, reading, record, answer.

    request -> (its events and its person's applied, its position reached) -> turn -> reading at `applied` -> decide
    -> record durable -> answer

The record is committed before the answer leaves. When the disk stalls past the surface's window the answer leaves with
`recorded: "pending"` and is counted; the record follows or, after a crash, is known to be missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nextpaint.application import Application
from nextpaint.decide import Decider, Decision, DecisionRequest, Moment
from nextpaint.decide.budget import RUN
from nextpaint.decide.codec import encoded
from nextpaint.decide.context import Context
from nextpaint.decide.window import Window
from nextpaint.engine.consenting import WITHHELD
from nextpaint.engine.intake import Intake
from nextpaint.engine.latency import Expected, Latency
from nextpaint.engine.nearest import Nearest
from nextpaint.engine.node import Node
from nextpaint.engine.propensities import PropensityWork
from nextpaint.engine.registry import ModelFiles
from nextpaint.engine.replay import DECISIONS_TOPIC
from nextpaint.engine.reviewing import significant
from nextpaint.govern.access import DECIDE, Principal
from nextpaint.ports import Workers
from nextpaint.ports.promise import Promise
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, LetGo, NextpaintError, NotFound, Overloaded
from nextpaint.stream.frame import Draft, Entry, EntryKind, Frame, Position

AHEAD_MS_MAX = 7 * 86_400_000
LINKS_MAX = 16  # tokens of one person: more is not a person but a shared device


@dataclass(frozen=True, slots=True)
class Terms:
    """What the node itself says of a request. exclude: items another surface of the page has. total_ms: all the time
    there is, where that is less than the surface's window. withheld: why there is no profile, though one was asked
    for."""

    exclude: tuple[str, ...] = ()
    total_ms: int | None = None
    withheld: str = ""


USUAL = Terms()


@dataclass(slots=True)
class _Asked:
    """A request on its way: what is asked for, when it came and until when it is to be decided (monotonic ns). end_ns:
    when an answer would be of no use, if that is known. waits: for events of its own or for a position. ingested_ns:
    when everything it reads was there; begun_ns: when its turn came."""

    surface: str
    request: DecisionRequest
    window: Window
    as_of_ms: int
    now_ms: int
    started_ns: int
    deadline_ns: int
    end_ns: int | None
    waits: bool
    ingested_ns: int
    begun_ns: int = 0
    stale: bool = False


class OutOfTime(NextpaintError):
    """A decision that had to be answered by a certain moment was not made: too little was left when its turn came."""

    status = 503


class Deciding:
    """The decisions of one node."""

    def __init__(self, node: Node, intake: Intake, background: Workers | None = None) -> None:
        self._node = node
        self._intake = intake
        self.models = ModelFiles(node.ports.disk)
        self.decider = self._made()
        self.stages: dict[str, Latency] = {}
        self.total = Latency()
        self.commit = Latency()  # from a record's append until it is durable
        self.answering = Latency()  # from then until its answer was made
        self._needed = Expected()  # from the turn of a decision that is in a hurry to its answer
        self.inside = 0
        self.recent: list[str] = []
        self.propensities: PropensityWork | None = None
        self.nearest = Nearest(node)
        self._preparing: set[asyncio.Task[None]] = set()
        if background is not None:
            count = node.observed.counters.add
            self.propensities = PropensityWork(background, node.ports.clock, node.append, count)
        node.switched.append(self._switched)
        node.follows = lambda application: self._decider_of(application).followed

    def _decider_of(self, application: Application) -> Decider:
        clock = self._node.ports.clock
        return Decider(application.surfaces, application.program.tables, clock, application.hash, self.models)

    def _made(self) -> Decider:
        """The surfaces in force, and what they read made: no decision pays for the whole of a table."""
        decider = self._decider_of(self._node.application)
        self._node.tables.follow(decider.followed)
        return decider

    def _switched(self) -> None:
        self.decider = self._made()

    def decide(
        self, principal: Principal, surface: str, body: Mapping[str, Any], terms: Terms = USUAL
    ) -> Promise[dict[str, Any]]:
        """One decision, recorded, in the answer's shape; rejected with NotFound, InvalidInput and the like, for lack of
        time only where `terms.total_ms` says that a late answer is none: OutOfTime, and nothing was decided. Nothing
        but the state thread's schedule stands between the request, the record and the answer: no task, and whoever
        follows the promise has the answer as soon as its record is known to be durable."""
        promise: Promise[dict[str, Any]] = Promise()
        try:
            asked = self._asked(principal, surface, body, terms)
            if asked.waits or self.nearest.follows:
                task = asyncio.ensure_future(self._prepared(principal, body, asked))
                self._preparing.add(task)  # the loop itself forgets who nobody holds
                task.add_done_callback(lambda done: self._go_on(done, asked, promise))
            else:
                self._submit(asked, promise)
        except Exception as error:  # a declared edge: the error belongs to the caller
            promise.reject(error)
        return promise

    def _asked(self, principal: Principal, surface: str, body: Mapping[str, Any], terms: Terms) -> _Asked:
        principal.require(DECIDE)
        self._node.require_running()
        clock = self._node.ports.clock
        started_ns = clock.monotonic_ns()
        now_ms = clock.now_ms()
        body = dict(body)
        as_of_ms = now_ms + self._ahead(body)
        if terms.exclude:
            body["exclude"] = [*(body.get("exclude") or ()), *terms.exclude]
        request = self.decider.request(surface, body)
        if terms.withheld:
            request = replace(request, profiled=False, withheld=terms.withheld)
        window = next(each.window for each in self.decider.surfaces if each.name == surface)
        if terms.total_ms is not None:
            window = window.within(terms.total_ms)
        deadline_ns = started_ns + (window.ingest_ms + window.process_ms) * 1_000_000
        end_ns = None if terms.total_ms is None else started_ns + terms.total_ms * 1_000_000
        waits = bool(body.get("events") or body.get("position")) or self._behind(request) > self._node.runner.applied
        return _Asked(surface, request, window, as_of_ms, now_ms, started_ns, deadline_ns, end_ns, waits, started_ns)

    async def _prepared(self, principal: Principal, body: Mapping[str, Any], asked: _Asked) -> None:
        """Wait for what a decision reads: its own events, a position, what indexes find for it."""
        if asked.waits:
            asked.stale = await self._caught_up(principal, body, asked)
        if self.nearest.follows:
            asked.request = await self._searched(asked.surface, asked.request, asked.as_of_ms, asked.deadline_ns)
        asked.ingested_ns = self._node.ports.clock.monotonic_ns()

    def _go_on(self, prepared: asyncio.Task[None], asked: _Asked, promise: Promise[dict[str, Any]]) -> None:
        self._preparing.discard(prepared)
        if prepared.cancelled():
            promise.reject(Overloaded("the node is stopping", where=f"surface {asked.surface}", retry_after_s=1))
            return
        error = prepared.exception()
        if isinstance(error, Exception):
            promise.reject(error)
        else:
            self._submit(asked, promise)

    def _submit(self, asked: _Asked, promise: Promise[dict[str, Any]]) -> None:
        """Wait for the state thread between two slices, then decide and append the record at once: the decisions of a
        turn share a frame."""
        timer: asyncio.TimerHandle | None = None

        def give_up() -> None:
            promise.reject(OutOfTime("too little time was left to decide", where=f"surface {asked.surface}"))

        def run() -> None:
            if not promise.done and not self._in_time(asked):
                give_up()
            if timer is not None:
                timer.cancel()
            if promise.done:
                return
            try:
                self._record(asked, self._decided(asked), promise)
            except Exception as error:  # a declared edge: the error belongs to the caller, the schedule goes on
                promise.reject(error)

        self._node.turns.submit(asked.deadline_ns, run)
        if asked.end_ns is not None:
            timer = self._node.loop.call_later((asked.end_ns - self._node.ports.clock.monotonic_ns()) / 1e9, give_up)

    def _in_time(self, asked: _Asked) -> bool:
        """Whether a decision that is begun now will surely be answered in time. One that will not would only take the
        time of those behind it: with more requests than a node can decide, each would be late by the same."""
        asked.begun_ns = self._node.ports.clock.monotonic_ns()
        if asked.end_ns is None or asked.begun_ns + self._needed.ms * 1e6 <= asked.end_ns:
            return True
        self._needed.passed_over()
        return False

    def _record(self, asked: _Asked, decision: Decision, promise: Promise[dict[str, Any]]) -> None:
        """Append the record, and answer when it is durable, or when the window has no time left for the disk. Raises
        what `Writer.append` raises."""
        clock, writer = self._node.ports.clock, self._node.writer
        decided_ns = clock.monotonic_ns()
        record = Record(decision.record.decision_id.encode(), encoded(decision.record), clock.now_ms())
        appended_ns = clock.monotonic_ns()
        timer: asyncio.TimerHandle | None = None

        def answer(synced_ns: int) -> None:
            if timer is not None:
                timer.cancel()
            if promise.done:
                return
            try:
                answered = self._answered(asked, decision, decided_ns, synced_ns)
            except Exception as error:  # a declared edge: the error belongs to the caller, the frame is whole
                promise.reject(error)
            else:
                promise.resolve(answered)

        def done(_frame: Frame, _entry: Entry, _index: int) -> None:
            self.commit.add((writer.synced_ns - appended_ns) / 1e6)
            answer(writer.synced_ns)

        def late() -> None:
            if not promise.done:
                self._node.observed.counters.add("decisions_pending")
                answer(0)

        why = next(each.significant for each in self.decider.surfaces if each.name == asked.surface)
        if why:  # before the decision: where that is durable, so is this
            self._node.append(significant(decision.record, why, clock.now_ms()))
        self._node.append(Draft(DECISIONS_TOPIC, EntryKind.INPUT, [record]), done, promise.reject)
        writer.hurry()
        if not promise.done:
            left_ns = asked.started_ns + asked.window.total_ms * 1_000_000 - decided_ns
            timer = self._node.loop.call_later(max(0.0, left_ns / 1e9), late)

    def _answered(self, asked: _Asked, decision: Decision, decided_ns: int, synced_ns: int) -> dict[str, Any]:
        """The answer of a decision; `synced_ns`: when its record was durable, 0 while it is not."""
        done_ns = self._node.ports.clock.monotonic_ns()
        if self.propensities is not None:
            self.propensities.poke(decision, asked.now_ms)
        answer = decision.answer
        answer["as_of"]["position"] = str(self._node.position_of(decision.record.position))
        answer["recorded"] = True if synced_ns else "pending"
        answer["candidates"] = decision.record.considered
        if asked.stale:
            answer["stale"] = True
        total_ms = (done_ns - asked.started_ns) / 1e6
        budget = answer["budget"]
        budget["window_ms"] = asked.window.total_ms
        budget["ingest"] = round((asked.ingested_ns - asked.started_ns) / 1e6, 3)
        budget["commit"] = round((done_ns - decided_ns) / 1e6, 3)
        budget["total"] = round(total_ms, 3)
        if asked.end_ns is not None:
            self._node.loop.call_soon(self._reached, asked.begun_ns)
        if synced_ns:
            self.answering.add((done_ns - synced_ns) / 1e6)
        self._observe(decision, total_ms, asked.window.total_ms)
        return answer

    def _reached(self, begun_ns: int) -> None:
        """An answer that had to be there in time has reached who waits for it: on a busy loop a round after it was
        made, and that is what the next one must be begun before."""
        self._needed.took((self._node.ports.clock.monotonic_ns() - begun_ns) / 1e6)

    def _ahead(self, body: dict[str, Any]) -> int:
        ahead = body.pop("ahead_ms", 0)
        if type(ahead) is not int or not 0 <= ahead <= AHEAD_MS_MAX:
            raise InvalidInput(
                f"'ahead_ms' is {ahead!r}"[:80], where="request", cure=f"send a whole number from 0 to {AHEAD_MS_MAX}"
            )
        return ahead

    def _behind(self, request: DecisionRequest) -> int:
        """The last record that was acknowledged under the identifiers of a request: a click changes the next page."""
        return max(map(self._node.unapplied, self.named(request)), default=-1)

    async def _caught_up(self, principal: Principal, body: Mapping[str, Any], asked: _Asked) -> bool:
        """Apply the request's own events and all that was acknowledged of its person, and reach the position it asks
        for; True when there was no time for it."""
        wanted = self._behind(asked.request)
        events = body.get("events")
        if events:
            if not isinstance(events, list):
                raise InvalidInput(
                    "'events' must be a list of Segment calls", where="request", cure="send a list, or leave it out"
                )
            receipt = await self._intake.events(principal, events, asked.now_ms)
            wanted = max(wanted, receipt.seq)
        position = body.get("position")
        if position:
            wanted = max(wanted, self._seq(position))
        if wanted <= self._node.runner.applied:
            return False
        left_s = (asked.deadline_ns - self._node.ports.clock.monotonic_ns()) / 1e9
        try:
            await asyncio.wait_for(self._node.applied(wanted), max(left_s, 0.0))
        except TimeoutError:
            return True
        return False

    def _seq(self, position: object) -> int:
        try:
            return self._node.seq_of(Position.parse(str(position)))
        except LetGo:
            return -1  # it was applied long ago
        except (ValueError, NotFound) as error:
            raise InvalidInput(
                f"'position' {str(position)[:40]!r} is not one of this node: {getattr(error, 'what', error)}",
                where="request",
                cure="send the position that an answer of this node gave",
            ) from error

    async def _searched(
        self, surface: str, request: DecisionRequest, as_of_ms: int, deadline_ns: int
    ) -> DecisionRequest:
        """The request with what indexes found for it. Nothing is asked of them for somebody without a profile."""
        subjects = self.subjects(request)
        if not request.profiled or self._intake.consenting.withheld(subjects, self.decider.purpose(surface)):
            return request

        def context() -> Context:
            return self.decider.context(surface, request, subjects, self._node.tables.reading(as_of_ms))

        found = await self.nearest.found(self.decider.searches(surface), context, deadline_ns)
        return replace(request, found=found) if found else request

    def _decided(self, asked: _Asked) -> Decision:
        random, request = self._node.ports.random, asked.request
        pressed = self._node.turns.pressed
        moment = Moment(random.token(8).hex(), asked.as_of_ms, random.uint64(), asked.deadline_ns, None, pressed)
        reading = self._node.tables.reading(asked.as_of_ms)
        subjects = self.subjects(request)
        if request.profiled and self._intake.consenting.withheld(subjects, self.decider.purpose(asked.surface)):
            request = replace(request, profiled=False, withheld=WITHHELD)
        return self.decider.decide(asked.surface, request, subjects, reading, moment)

    def subjects(self, request: DecisionRequest) -> list[str]:
        """The person's tokens, the primary first: those the request names and those linked to them."""
        tokens = dict.fromkeys(self.named(request))
        reading = self._node.tables.reading(0)
        for token in list(tokens):
            for link in reading.rows("identity", (token,)):
                tokens[str(link["linked"])] = None
        if request.user_id is None:  # from a device to its user to the user's other devices
            for token in list(tokens)[1:]:
                for link in reading.rows("identity", (token,)):
                    tokens[str(link["linked"])] = None
        return list(tokens)[:LINKS_MAX]

    def named(self, request: DecisionRequest) -> list[str]:
        """The tokens a request names, as far as they are known."""
        known = self._node.subjects.known
        named = [
            request.subject,
            known("user", request.user_id) if request.user_id else None,
            known("anonymous", request.anonymous_id) if request.anonymous_id else None,
        ]
        return [token for token in named if token is not None]

    def forget(self, subjects: Sequence[str]) -> None:
        """Drop what is in memory of somebody."""
        self.decider.forget(subjects)

    def flags(self, user_id: str | None, anonymous_id: str | None) -> list[dict[str, Any]]:
        """Every experiment and the variant of a person, as OpenFeature's remote evaluation names things."""
        subjects = self.subjects(DecisionRequest(user_id=user_id, anonymous_id=anonymous_id))
        reading = self._node.tables.reading(self._node.ports.clock.now_ms())
        flags = []
        for experiment, surfaces in self.decider.experiments:
            assigned = experiment.assigned(subjects, reading)
            variant = experiment.base if assigned is None else assigned.variant
            value = experiment.base if assigned is None else assigned.shown
            reason = "DEFAULT" if assigned is None else "SPLIT"
            metadata = {"surface": surfaces[0], "application": self._node.application.hash}
            flags.append(
                {"key": experiment.name, "value": value, "variant": variant, "reason": reason, "metadata": metadata}
            )
        return flags

    def _observe(self, decision: Decision, total_ms: float, window_ms: int) -> None:
        record = decision.record
        self._node.observed.decisions.add(1, self._node.ports.clock.now_ms())
        self.total.add(total_ms)
        for stage in record.stages:
            self.stages.setdefault(stage.stage, Latency()).add(stage.ms)
            if stage.stage == "near" and stage.path != RUN:
                self._node.observed.counters.add("without_near_misses")
        if record.rank.model:
            self._node.observed.counters.add(f"ranked_{record.rank.role}_{record.rank.model[:12]}")
        if record.degraded:
            self._node.observed.counters.add("degraded")
        elif total_ms <= window_ms:
            self.inside += 1
        self.recent = [record.decision_id, *self.recent[:19]]
