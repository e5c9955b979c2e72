"""Everything that is kept about one person and was decided for them, machine-readable: what an access request gets.

Decisions are the regulator's views, each checkable against the ledger (`proving`); `profile` is every row of a table
whose key begins with the person. The ledger has no index by person: it is read once, on a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nextpaint.decide import DecisionRecord, DecisionRequest
from nextpaint.decide.codec import decoded
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.kept import classes_kept
from nextpaint.engine.node import Node
from nextpaint.engine.proving import Stored, viewed
from nextpaint.engine.replay import DECISIONS_TOPIC, Frames
from nextpaint.process.outputs import plain
from nextpaint.record.errors import NotFound

DECISIONS_MAX = 500  # of one answer: each is some 30 KB
SUBJECT = "subject"

Titles = Callable[[str, Iterable[str]], dict[str, str]]


class Exporting:
    """Exports of one node's people."""

    def __init__(self, node: Node, deciding: Deciding, titles: Titles) -> None:
        self._node = node
        self._deciding = deciding
        self._titles = titles

    async def person(self, user_id: str | None, anonymous_id: str | None, skip: int = 0) -> dict[str, Any]:
        """{"subjects", "position", "decisions": [views, oldest first], "more", "profile": {table: rows},
        "kept": {class: how long}}: after the first `skip` decisions, at most `DECISIONS_MAX`; `more` are left. Raises
        NotFound for somebody this node has never seen."""
        subjects = self._deciding.subjects(DecisionRequest(user_id=user_id, anonymous_id=anonymous_id))
        if not subjects:
            raise NotFound(
                "nobody is known under this id", where="person", cure="send the userId or anonymousId of calls"
            )
        node = self._node
        profile, position = self._profile(subjects), str(node.position_of(node.runner.applied))
        found = await asyncio.to_thread(decided_for, node.ledger, subjects, node.durable)
        kept = found[skip : skip + DECISIONS_MAX]
        titles: dict[str, dict[str, str]] = {}
        for surface in dict.fromkeys(each.record.surface for each in kept):
            named = dict.fromkeys(
                key for each in kept if each.record.surface == surface for key in named_in(each.record)
            )
            titles[surface] = self._titles(surface, named)
        views = await asyncio.to_thread(lambda: [viewed(each, titles[each.record.surface]) for each in kept])
        return {
            "subjects": subjects, "position": position, "profile": profile, "decisions": views,
            "more": max(len(found) - skip - len(kept), 0),
            "kept": classes_kept(node.application.retention),
        }  # fmt: skip

    def _profile(self, subjects: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The rows that are kept of a person, by table; live, as of now."""
        reading = self._node.tables.reading(self._node.ports.clock.now_ms())
        profile: dict[str, list[dict[str, Any]]] = {}
        for name, live in self._node.tables.live.items():
            if live.table.key and live.table.names[live.table.key[0]] == SUBJECT:
                rows = [row for subject in subjects for row in reading.rows(name, (subject,))]
                if rows:
                    profile[name] = [{column: plain(value) for column, value in row.items()} for row in rows]
        return profile


def named_in(record: DecisionRecord) -> list[str]:
    """The items a record names: those shown, and near misses."""
    return [each.id for each in record.items] + [each.id for each in record.near]


def decided_for(ledger: Frames, subjects: Sequence[str], to_seq: int) -> list[Stored]:
    """Every decision for these tokens up to a seq, in ledger order. Reads the whole ledger."""
    tokens, found = set(subjects), []
    written = [each.encode() for each in subjects]
    for frame in ledger.frames():
        if frame.base_seq > to_seq:
            break
        for entry, held in enumerate(frame.entries):
            if held.topic == DECISIONS_TOPIC:
                for at, record in enumerate(held.records):
                    value = record.value or b""
                    # Looking for the bytes first spares reading what was decided for everybody else.
                    if any(each in value for each in written) and tokens & set(decoded(value).subjects):
                        found.append(Stored.of(frame, entry, at))
    return found
