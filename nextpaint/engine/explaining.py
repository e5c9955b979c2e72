"""Answers to "why did this person see this?": from the decision's record, and by recomputing it.

The record is the answer; replay is the proof. A decision is recomputed from the ledger at its read position by the
application in force there, following the recorded paths: no clock, no chance, no model. Beyond the replay horizon
(records or applications gone) an explanation says "recorded, no longer recomputable".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.decide import Decider, Decision, DecisionRecord, DecisionRequest, Moment, Paths
from nextpaint.decide.explain import compare, explain
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.node import Node
from nextpaint.engine.propensities import Estimated
from nextpaint.engine.replay import DECISIONS_TOPIC, Cut, Frames, Replay
from nextpaint.ports import Clock, Disk
from nextpaint.process import checkpoint
from nextpaint.record.errors import NotFound, ReplayError


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
        cut: Cut | None = None, rankers: Rankers = no_rankers,
    ) -> None:  # fmt: skip
        self._rankers = rankers
        self._replay = Replay(ledger, start=start, disk=disk, cut=cut)
        self._clock = clock
        self._deciders: dict[str, Decider] = {}

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
        application = self._replay.application
        assert application is not None
        return application

    def decided(self, record: DecisionRecord, other: Decider | None = None, surface: str = "") -> Decision:
        """The decision made again at its position; by `other` and its `surface`, every stage of which runs."""
        self._replay.advance(record.position)
        application = self._replay.application
        if application is None:
            raise ReplayError("no application was in force", where=f"seq {record.position}")
        decider = self._deciders.get(application.hash)
        if decider is None:
            tables = application.program.tables
            decider = Decider(application.surfaces, tables, self._clock, application.hash, self._rankers)
            self._deciders[application.hash] = decider
        asked = record.request
        request = DecisionRequest(
            inputs=dict(asked.inputs),
            items=asked.items,
            limit=asked.limit,
            exclude=asked.exclude,
            profiled=asked.profiled,
        )
        paths = record.paths() if other is None else Paths({})
        moment = Moment(record.decision_id, record.time_ms, record.seed, None, paths)
        reading = self._replay.tables.reading(record.time_ms)
        return (other or decider).decide(surface or record.surface, request, record.subjects, reading, moment)


def decisions_of(ledger: Frames) -> Iterator[tuple[int, DecisionRecord]]:
    """(seq, record) of every decision in a ledger, in ledger order."""
    for frame in ledger.frames():
        for entry in frame.entries:
            if entry.topic == DECISIONS_TOPIC:
                for at, record in enumerate(entry.records):
                    yield entry.base_seq + at, DecisionRecord.decode(record.value or b"")


class Explaining:
    """Explanations of one node's decisions."""

    def __init__(self, node: Node, deciding: Deciding) -> None:
        self._node = node
        self._deciding = deciding

    async def explain(self, decision_id: str, view: str, replay: bool) -> dict[str, Any]:
        record = self.record(decision_id)
        answer = explain(record, view, self._titles(record))
        estimated = self.estimated(record.decision_id)
        if estimated is not None and view != "user":
            answer["estimated_propensities"] = msgspec.to_builtins(estimated)
        if replay:
            answer["replay"] = await asyncio.to_thread(self.replayed, record)
        return answer

    def _titles(self, record: DecisionRecord) -> dict[str, str]:
        """Today's titles of the items a record names, where the items table has a column `title`."""
        surface = next((each for each in self._deciding.decider.surfaces if each.name == record.surface), None)
        if surface is None:
            return {}
        reading = self._node.tables.reading(record.time_ms)
        keys = [each.id for each in record.items] + [each.id for each in record.near]
        rows = {key: reading.row(surface.items, (key,)) for key in keys}
        return {key: str(row["title"]) for key, row in rows.items() if row is not None and row.get("title")}

    def record(self, decision_id: str) -> DecisionRecord:
        """The stored record of a decision. Raises NotFound."""
        seq = self._node.decisions.get(decision_id)
        if seq is None:
            raise NotFound(
                f"unknown decision {decision_id[:40]!r}",
                where="this node's ledger",
                cure="ids are in every answer as decision_id",
            )
        position = self._node.position_of(seq)
        frame = self._node.ledger.frame(position.frame)
        return DecisionRecord.decode(frame.entries[position.entry].records[position.record].value or b"")

    def estimated(self, decision_id: str) -> Estimated | None:
        """The propensities that were estimated after a decision; None when there are none."""
        seq = self._node.propensities.get(decision_id)
        if seq is None:
            return None
        position = self._node.position_of(seq)
        frame = self._node.ledger.frame(position.frame)
        value = frame.entries[position.entry].records[position.record].value or b""
        return msgspec.json.decode(value, type=Estimated)

    def replayed(self, record: DecisionRecord) -> dict[str, Any]:
        """Whether the decision recomputes identically from the ledger alone."""
        start = checkpoint.newest(self._node.ports.disk, record.position)
        try:
            again = Recomputation(
                self._node.ledger, self._node.ports.clock, disk=self._node.ports.disk, start=start,
                rankers=self._deciding.models,
            )  # fmt: skip
            verdict = next(again.verdicts([record]))
        except ReplayError as error:
            return {"verdict": "recorded, no longer recomputable", "reason": str(error)}
        said = "identical" if verdict.identical else "different"
        from_ = "the first record" if start is None else f"the checkpoint at seq {start.header.applied}"
        return {"verdict": said, "differences": list(verdict.differences), "from": from_}
