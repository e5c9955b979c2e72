"""Reviews of a node's decisions by people: the queue, and what came of each.

    contest(...)     somebody asks a person to look; so does, by itself, every decision of a surface that is significant
    decide(...)      a person did
    all(...)         the queue

Each step is a record of the table `_reviews`: the ledger has every one, the table the newest.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nextpaint.decide import DecisionRecord
from nextpaint.decide.review import CLOSED, CONTESTED, OPEN, REVIEWS, SIGNIFICANT, Contest, Finding, Review, row_of
from nextpaint.engine.node import Node
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.stream.frame import Draft, EntryKind

LISTED_MAX = 1_000

_json = msgspec.json.Encoder().encode


class Reviewing:
    """The reviews of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def of(self, decision_id: str) -> Review | None:
        """The review of a decision, if there is one."""
        row = self._node.tables.reading(self._node.ports.clock.now_ms()).row(REVIEWS.name, (decision_id,))
        return None if row is None else _review(row["body"])

    def all(self, state: str = "") -> list[dict[str, Any]]:
        """Reviews in a state ('' for all), those that wait longest first; closed ones alone, the last closed first. At
        most `LISTED_MAX`."""
        if state not in ("", OPEN, CLOSED):
            raise InvalidInput(f"there is no state {state[:40]!r}", where="query", cure=f"send {OPEN} or {CLOSED}")
        wanted = [(key, each) for key, each in self.every().items() if state in ("", each.state)]
        if state == CLOSED:
            wanted.sort(key=lambda one: (-one[1].decided_ms, one[0]))
        else:
            wanted.sort(key=lambda one: (one[1].asked_ms, one[0]))
        return [each.told(key) for key, each in wanted[:LISTED_MAX]]

    def every(self) -> dict[str, Review]:
        """All reviews there are, by decision."""
        rows = self._node.tables.reading(self._node.ports.clock.now_ms()).rows(REVIEWS.name, ())
        return {str(row["decision_id"]): _review(row["body"]) for row in rows}

    async def contest(self, record: DecisionRecord, contest: Contest, who: str) -> dict[str, Any]:
        """Ask a person to look at a decision; one that is open already stays as it was asked for first."""
        contest.checked()
        await self._node.caught_up()  # what was opened a moment ago
        held = self.of(record.decision_id)
        if held is not None and held.state == OPEN:
            return held.told(record.decision_id)
        rounds = 1 if held is None else held.rounds + 1
        now_ms = self._node.ports.clock.now_ms()
        review = Review(OPEN, record.surface, CONTESTED, contest.reason, who, now_ms, rounds)
        return await self._write(record.decision_id, review)

    async def decide(self, decision_id: str, finding: Finding, who: str) -> dict[str, Any]:
        """Close a review with what a person found. Raises NotFound, InvalidInput where it is closed already."""
        finding.checked()
        await self._node.caught_up()
        held = self.of(decision_id)
        if held is None:
            raise NotFound(
                f"nobody asked for a review of {decision_id[:40]!r}", where="reviews", cure="GET /v1/reviews lists them"
            )
        if held.state != OPEN:
            raise InvalidInput(
                f"this review was closed by {held.decided_by}: {held.outcome}",
                where=f"review of {decision_id}",
                cure="contest the decision again to open another",
            )
        now_ms = self._node.ports.clock.now_ms()
        closed = msgspec.structs.replace(
            held, state=CLOSED, outcome=finding.outcome, note=finding.note, decided_by=who, decided_ms=now_ms
        )
        return await self._write(decision_id, closed)

    async def _write(self, decision_id: str, review: Review) -> dict[str, Any]:
        draft = drafted(decision_id, review, self._node.ports.clock.now_ms())
        _, entry, index = await self._node.appended(draft)
        await self._node.applied(entry.base_seq + index)
        return review.told(decision_id)


def drafted(decision_id: str, review: Review, now_ms: int) -> Draft:
    """A review as the record that keeps it."""
    record = Record(_json({"decision_id": decision_id}), _json(row_of(decision_id, review, now_ms)), now_ms)
    return Draft(REVIEWS.name, EntryKind.INPUT, [record])


def significant(record: DecisionRecord, why: str, now_ms: int) -> Draft:
    """The review that a decision of a significant surface begins with."""
    return drafted(record.decision_id, Review(OPEN, record.surface, SIGNIFICANT, why, "", now_ms), now_ms)


def _review(body: object) -> Review:
    return msgspec.json.decode(str(body), type=Review)
