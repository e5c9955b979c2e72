"""Answers to "why did this person see this?": from the decision's record, by recomputing it, and by supposing something
else.

The record is the answer; replay is the proof. Beyond the replay horizon an explanation says "recorded, no longer
recomputable".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from nextpaint.decide import DecisionRecord, deidentified
from nextpaint.decide.deidentified import Gone
from nextpaint.decide.explain import explain
from nextpaint.decide.retention import DECISIONS
from nextpaint.engine.auditing import Auditing, Read
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.exporting import Exporting, named_in
from nextpaint.engine.history import Past, before
from nextpaint.engine.kept import Term, day, length
from nextpaint.engine.node import Node
from nextpaint.engine.propensities import Estimated
from nextpaint.engine.proving import VIEW as REGULATOR
from nextpaint.engine.proving import Stored, viewed
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.replay import gone_from
from nextpaint.engine.reviewing import Reviewing
from nextpaint.engine.supposing import Change, Source, Supposing
from nextpaint.govern.signing import Signer
from nextpaint.process import checkpoint
from nextpaint.record.errors import LetGo, NotFound, Overloaded, PersonErased, ReplayError
from nextpaint.stream.frame import EntryKind, Position

SIGNING_KEY = "signing.key"  # in the data directory; see govern/signing
EVENTS_LISTED = 20
NO_LONGER = "recorded, no longer recomputable"
KEPT_S = 120.0  # how long the state of the last what-if question waits for the next
PREPARED_BEHIND_MAX = 2_000  # records that wait to be applied: a busy node prepares nothing for questions to come
SUPPOSED_AT_ONCE = 4  # what-if questions waiting for the one that runs: each reads up to a minute of the ledger again


class Explaining:
    """Explanations of one node's decisions."""

    def __init__(self, node: Node, deciding: Deciding, reviewing: Reviewing) -> None:
        self._node = node
        self._reviewing = reviewing
        self._signer = Signer.open(node.directory / SIGNING_KEY)
        self._deciding = deciding
        self._auditing = Auditing(node)
        self._exporting = Exporting(node, deciding, self.titles)
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._supposing: Supposing | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def explain(self, read: Read, replay: bool) -> dict[str, Any]:
        """The view of a decision that `read` names; the read is on record before the answer is there."""
        self._auditing.require_writable()
        stored = self.stored(*read.decisions)
        record, view = stored.record, read.view
        titles, gone = self.titles(record.surface, named_in(record)), self.gone(record)
        if view == REGULATOR:
            answer = viewed(stored, titles, gone)
        elif gone is None:
            answer = explain(record, view, titles)
        else:
            answer = deidentified.told(record, view, titles, gone)
        estimated = self.estimated(record.decision_id)
        if estimated is not None and view != "user":
            answer["estimated_propensities"] = msgspec.to_builtins(estimated)
        term = self.term(record)
        answer["kept"], answer["retention"] = term.sentence, term.told()
        review = self._reviewing.of(record.decision_id)
        if review is not None:
            answer["review"] = review.told(record.decision_id)
            if view == "user":
                answer["text"] = f"{answer['text']}\n{review.sentence}"
        if replay:
            answer["replay"] = since(await asyncio.to_thread(self.replayed, record), gone)
        await self._auditing.note(read)
        return self._signer.signed(answer) if self._signer is not None and view == REGULATOR else answer

    async def person(
        self, read: Read, user_id: str | None, anonymous_id: str | None, skip: int
    ) -> dict[str, Any]:  # fmt: skip
        """Everything kept about one person and decided for them; see `exporting`."""
        self._auditing.require_writable()
        answer = await self._exporting.person(user_id, anonymous_id, skip)
        decisions = tuple(each["decision_id"] for each in answer["decisions"])
        await self._auditing.note(
            msgspec.structs.replace(read, decisions=decisions, subjects=tuple(answer["subjects"]))
        )
        return answer

    async def what_if(self, read: Read, change: Change) -> dict[str, Any]:
        """The decision made again with something changed; see `supposing`. Raises Overloaded when too many ask."""
        self._auditing.require_writable()
        (decision_id,) = read.decisions
        record = self.present(decision_id)
        change.checked()
        if self._waiting >= SUPPOSED_AT_ONCE:
            raise Overloaded("other what-if questions are being answered", where=f"decision {decision_id[:40]}")
        frame = self._frame_of(record)
        self._waiting += 1
        try:
            async with self._turn:
                answer = await asyncio.to_thread(self._supposes().answer, record, change, frame)
        finally:
            self._waiting -= 1
        await self._auditing.note(read)
        return answer

    async def prepare(self, decision_id: str) -> bool:
        """Make the first what-if question about a decision quick; False where others are asked just now, or the node
        has more to do. Nothing is read out."""
        record = self.present(decision_id)
        if self._turn.locked() or self._node.turns.waiting_records > PREPARED_BEHIND_MAX:
            return False
        frame = self._frame_of(record)
        pieces = self._supposes().prepare(record, frame)
        for _ in range(2):  # a question that came meanwhile is answered in between
            async with self._turn:
                await asyncio.to_thread(next, pieces, None)
        return True

    def _supposes(self) -> Supposing:
        """Who answers, with what was kept of the last question; for a while, since it is a whole state."""
        node = self._node
        if self._supposing is None or self._supposing.source.known != (node.application,):
            self._supposing = Supposing(
                Source(node.ledger, node.ports.clock, self._deciding.models, node.ports.disk, (node.application,))
            )
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = node.loop.call_later(KEPT_S, self._forget)
        return self._supposing

    def _forget(self) -> None:
        self._supposing = self._forgetting = None

    async def events(self, read: Read) -> list[dict[str, Any]]:
        """What the person did before a decision, newest first: the message ids that `what_if` can leave out."""
        self._auditing.require_writable()
        record = self.present(*read.decisions)
        frame = self._node.ledger.frame_before(record.position)

        def enough(found: list[Past]) -> bool:
            return len(found) >= EVENTS_LISTED

        found = await asyncio.to_thread(
            before, self._node.ledger, record.subjects, record.position, frame, enough
        )  # fmt: skip
        await self._auditing.note(read)
        return [
            {
                "message_id": each.event.message_id,
                "event": each.event.event or each.event.type,
                "item_id": each.event.item_id,
                "age_ms": max(record.time_ms - each.event.ts, 0),
                "position": str(self._node.position_of(each.seq)),
            }
            for each in found[:EVENTS_LISTED]
        ]

    def titles(self, surface: str, keys: Iterable[str]) -> dict[str, str]:
        """Today's titles of a surface's items, where its items table has a column `title`."""
        items = next((each.items for each in self._deciding.decider.surfaces if each.name == surface), None)
        if items is None:
            return {}
        reading = self._node.tables.reading(self._node.ports.clock.now_ms())
        rows = {key: reading.row(items, (key,)) for key in keys}
        return {key: str(row["title"]) for key, row in rows.items() if row is not None and row.get("title")}

    def gone(self, record: DecisionRecord) -> Gone | None:
        """Since when the person of a decision is erased; None of one who is not."""
        if not record.subjects:
            return None
        at_ms = self._node.index.erased_ms(record.subjects[0])
        return None if at_ms is None else Gone(at_ms)

    def present(self, decision_id: str) -> DecisionRecord:
        """The record of a decision, to be asked about the person's past. Raises NotFound, PersonErased."""
        record = self.record(decision_id)
        gone = self.gone(record)
        if gone is not None:
            raise erased_since(gone, decision_id)
        return record

    def forget(self, subjects: Sequence[str]) -> None:
        """Somebody was erased: no state of a question about the past is kept."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forget()

    def record(self, decision_id: str) -> DecisionRecord:
        """The stored record of a decision. Raises NotFound."""
        return self.stored(decision_id).record

    def stored(self, decision_id: str) -> Stored:
        """The record of a decision, and where it is. Raises NotFound."""
        seq = self._node.decisions.get(decision_id)
        if seq is None:
            raise NotFound(
                f"unknown decision {decision_id[:40]!r}",
                where="this node's ledger",
                cure="ids are in every answer as decision_id",
            )
        position = self._stored_at(decision_id, seq)
        return Stored.of(self._node.ledger.frame(position.frame), position.entry, position.record)

    def _stored_at(self, decision_id: str, seq: int) -> Position:
        """Where a record is. Raises LetGo, with dates, where retention let it go."""
        ledger, retention = self._node.ledger, self._node.application.retention
        try:
            position = self._node.position_of(seq)
            if ledger.frame(position.frame).entries[position.entry].kind is not EntryKind.GONE:
                return position
        except LetGo:
            pass
        made_ms = ledger.when(seq)[1]
        age = retention.age_ms(DECISIONS)
        kept = "" if age is None else f": decisions are kept for {length(age)}, this one was until {day(made_ms + age)}"
        raise LetGo(
            f"the record of decision {decision_id[:40]!r}, made by {day(made_ms)}, was let go{kept}",
            where="this node's ledger",
            cure="how long records are kept is declared in [retention] of nextpaint.toml",
        ) from None

    def term(self, record: DecisionRecord) -> Term:
        """How long a decision's record exists, and can be made again."""
        node, horizon = self._node, self._node.horizon.oldest
        taken = bool(gone_from(node.ledger))
        again = not taken or (horizon is not None and record.position >= horizon.applied)
        return Term(node.application.retention, record.time_ms, again, taken)

    def _frame_of(self, record: DecisionRecord) -> int:
        """The frame of a decision's read position. Raises ReplayError where that is gone."""
        try:
            return self._node.position_of(record.position).frame
        except LetGo as gone:
            raise ReplayError(
                f"recorded, no longer recomputable: what it read was let go ({gone.what})",
                where=f"decision {record.decision_id}",
                cure="within `replay` of [retention] decisions can be made again",
            ) from None

    def estimated(self, decision_id: str) -> Estimated | None:
        """The propensities that were estimated after a decision; None when there are none."""
        seq = self._node.propensities.get(decision_id)
        if seq is None:
            return None
        try:
            position = self._node.position_of(seq)
            frame = self._node.ledger.frame(position.frame)
        except LetGo:
            return None
        if frame.entries[position.entry].kind is EntryKind.GONE:
            return None
        value = frame.entries[position.entry].records[position.record].value or b""
        return msgspec.json.decode(value, type=Estimated)

    def replayed(self, record: DecisionRecord) -> dict[str, Any]:
        """Whether the decision recomputes identically from the ledger alone."""
        start = checkpoint.newest(self._node.ports.disk, record.position)
        try:
            again = Recomputation(
                self._node.ledger, self._node.ports.clock, disk=self._node.ports.disk, start=start,
                rankers=self._deciding.models, known=(self._node.application,),
            )  # fmt: skip
            verdict = next(again.verdicts([record]))
        except ReplayError as error:
            return {"verdict": NO_LONGER, "reason": str(error)}
        said = "identical" if verdict.identical else "different"
        from_ = "the first record" if start is None else f"the checkpoint at seq {start.header.applied}"
        return {"verdict": said, "differences": list(verdict.differences), "from": from_}


def erased_since(gone: Gone, decision_id: str) -> PersonErased:
    """The answer to whoever asks about the past of somebody who was erased."""
    return PersonErased(
        f"the person of this decision was erased on {gone.date}: what they did is told to nobody",
        where=f"decision {decision_id[:40]}", cure=f"GET /v1/decisions/{decision_id[:40]} has what is left",
    )  # fmt: skip


def since(verdict: dict[str, Any], gone: Gone | None) -> dict[str, Any]:
    """What a replay gave, of a decision whose person may be erased: the ledger still gives the same, and nothing of
    how it differs is told."""
    if gone is None:
        return verdict
    told = {name: value for name, value in verdict.items() if name in ("from", "reason")}
    return {**told, "verdict": f"{verdict['verdict']}, erased since {gone.date}", "differences": []}
