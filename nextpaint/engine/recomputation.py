"""A decision made again from the ledger at its read position, by the application in force there.

It follows the recorded paths: no clock, no chance, no model. `verdicts` says whether what comes out is what was
recorded; beyond the replay horizon (records or applications gone) it raises ReplayError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nextpaint.application import Application
from nextpaint.decide import Decider, Decision, DecisionRecord, DecisionRequest, Moment, Paths, Surface
from nextpaint.decide.codec import decoded
from nextpaint.decide.explain import compare
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.engine.replay import DECISIONS_TOPIC, Cut, Frames, Replay
from nextpaint.ports import Clock, Disk
from nextpaint.process import checkpoint
from nextpaint.process.reading import Reading
from nextpaint.record.errors import ReplayError


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision recomputed: `differences` is empty when candidates, features, scores and order are identical."""

    decision_id: str
    position: int
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return not self.differences


class Recomputation:
    """Recomputes decisions in the order of their read positions over one replay."""

    def __init__(
        self, ledger: Frames, clock: Clock, *, disk: Disk | None = None, start: checkpoint.Checkpoint | None = None,
        cut: Cut | None = None, rankers: Rankers = no_rankers, without: Collection[int] = (),
        known: Iterable[Application] = (),
    ) -> None:  # fmt: skip
        self._rankers = rankers
        applications = {each.hash: each for each in known}  # need not be planned again
        self.replay = Replay(ledger, start=start, disk=disk, cut=cut, without=without, applications=applications)
        self._clock = clock
        self._deciders: dict[str, Decider] = {}
        self.over: Callable[[Reading], Reading] | None = None  # what decisions read instead

    def verdicts(self, records: Iterable[DecisionRecord]) -> Iterator[Verdict]:
        """One verdict per record; records must come in ascending read position."""
        for record in records:
            again = self.again(record)
            yield Verdict(record.decision_id, record.position, tuple(str(each) for each in compare(record, again)))

    def again(self, record: DecisionRecord) -> DecisionRecord:
        """The record this decision would leave if it were made again, following its recorded paths."""
        return self.decided(record).record

    @property
    def application(self) -> Application:
        """The application in force at the last decision."""
        application = self.replay.application
        assert application is not None
        return application

    def decided(self, record: DecisionRecord, other: Decider | None = None, surface: str = "") -> Decision:
        """The decision made again at its position; by `other` and its `surface`, every stage of which runs."""
        decider = self.decider(record)
        if other is None:
            return self.made(decider, record)
        return self.made(other, record, Paths({}), surface)

    def decider(self, record: DecisionRecord) -> Decider:
        """Move to a decision's position; gives what decided there."""
        return self._decider_at(record.position)

    def warm(self, record: DecisionRecord, seq: int) -> None:
        """Move to a position and read there what a decision like this one reads, so that the next one is quick."""
        decider = self._decider_at(seq)
        if any(each.name == record.surface for each in decider.surfaces):
            self.made(decider, record)

    def _decider_at(self, seq: int) -> Decider:
        self.replay.advance(seq)
        application = self.replay.application
        if application is None:
            raise ReplayError("no application was in force", where=f"seq {seq}")
        decider = self._deciders.get(application.hash)
        if decider is None:
            decider = self._deciders[application.hash] = self.decider_of(application.surfaces)
        return decider

    def decider_of(self, surfaces: Sequence[Surface]) -> Decider:
        """A decider of these surfaces over the tables of the application in force."""
        application = self.application
        return Decider(surfaces, application.program.tables, self._clock, application.hash, self._rankers)

    def made(
        self, decider: Decider, record: DecisionRecord, paths: Paths | None = None, surface: str = "",
        profiled: bool | None = None,
    ) -> Decision:  # fmt: skip
        """The request of `record` decided from the state as it is now; `paths`: those of the record unless given."""
        asked = record.request
        request = DecisionRequest(
            inputs=dict(asked.inputs),
            items=asked.items,
            limit=asked.limit,
            exclude=asked.exclude,
            profiled=asked.profiled if profiled is None else profiled,
            withheld=asked.withheld if profiled is None else "",
            found=asked.found,
        )
        moment = Moment(record.decision_id, record.time_ms, record.seed, None, paths or record.paths())
        reading = self.reading(record.time_ms)
        return decider.decide(surface or record.surface, request, record.subjects, reading, moment)

    def reading(self, time_ms: int) -> Reading:
        """What decisions read."""
        reading = self.replay.tables.reading(time_ms)
        return reading if self.over is None else self.over(reading)


def decisions_of(ledger: Frames) -> Iterator[tuple[int, DecisionRecord]]:
    """(seq, record) of every decision in a ledger, in ledger order."""
    for frame in ledger.frames():
        for entry in frame.entries:
            if entry.topic == DECISIONS_TOPIC:
                for at, record in enumerate(entry.records):
                    yield entry.base_seq + at, decoded(record.value or b"")
