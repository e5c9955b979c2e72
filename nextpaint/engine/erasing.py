"""Erasing a person from a running node (GDPR Art. 17), and the receipt that says what became of every store.

    hold the tokens -> hashes of who stays out -> erase record durable and applied -> keys.db destroyed -> memory
    -> checkpoint, older ones gone -> receipt on record -> answer

The record is the erasure: state without the person follows from it, here and in every replay (`process.erasures`).
Whatever comes after it in this order is finished by the next start, should the node stop in between (`Node`): only the
receipt is then missing, and `one` says so.

Who is erased: the tokens of the identifiers that are named, the devices linked to them, and accounts that were made one
with `alias`. An account that merely used the same device is somebody else's. A node that is asked for somebody it does
not know, or knows no longer, says the same of both: nothing is held.

The receipt that is answered carries a keyed hash of the identifier it was asked by; the copy on record does not, for
beside the erase record that would be a way from an identifier to its tokens.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nextpaint.decide import DecisionRequest
from nextpaint.decide.codec import decoded
from nextpaint.decide.deidentified import KEPT_BECAUSE
from nextpaint.engine.auditing import AUDIT_TOPIC, Auditing, Read
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.index import RECEIPTS_TOPIC
from nextpaint.engine.intake import Intake
from nextpaint.engine.kept import kept_text
from nextpaint.engine.node import Node
from nextpaint.engine.registry import DIRECTORY as MODELS
from nextpaint.engine.replay import DECISIONS_TOPIC, Frames
from nextpaint.govern.door import Door
from nextpaint.process import checkpoint
from nextpaint.process.erasing import MARK
from nextpaint.process.erasures import ERASE_TOPIC, Erasure
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, NextpaintError, NotFound
from nextpaint.stream.frame import Draft, EntryKind

DECISIONS_NAMED = 20_000  # of an erase record, the newest: what state still holds of older ones names a token
LISTED = 1_000
RETRY_S = 5.0
FOR_EVER = "as long as the ledger is"

_WORDS = {
    "keys": "keys.db has no way from an identifier to a token of this person, or back.",
    "ledger": "Records are not rewritten. They hold random tokens and no identifiers, and nothing leads from them "
    "to the person any more. The erase record names the tokens, so that every replay erases at the same "
    "place. Who knows whom this receipt is about finds that record by its position: keep it apart from the "
    "ledger.",
    "state": "Rows of the person are gone. In rows of others the mark is in the place of the person's token. "
    "Counts and sums over many people keep what was counted.",
    "posteriors": "Sums by arm and by variant over many people, without a person's part of their own, are kept as "
    "they are. Decisions that waited for an outcome were dropped.",
    "memory": "Last answers, links, consents and readings of the person were dropped.",
    "vectors": "Vectors, here and in Qdrant or pgvector, are of items. A person's is computed for each decision "
    "and kept nowhere.",
    "checkpoints": "Those from before the erasure were removed once one without the person was on disk. What was "
    "decided before is made again from the first record, as long as retention took none.",
    "decisions": "Their records are shown without the person: no tokens, no inputs, nothing the person's own past "
    "gave.",
    "audit": "Records of who read the person's data name tokens, as the ledger does.",
    "models": "Weights are of many people and are kept. `nextpaint train` leaves out who was erased: train and "
    "promote again to have a model that never saw the person.",
    "generated_copies": "This node generates no texts.",
    "lakehouse": "There is none: this node writes to no lake.",
    "vendors": "There are none: this node sends nothing about people to anybody. Readers of its topics are the "
    "shop's to tell.",
    "backups": "Copies of the data directory are outside this node: keys.db must not outlive the shop's term for "
    "erasures in them. A node that is started on an older keys.db destroys these identifiers again.",
}

log = logging.getLogger("nextpaint.engine")

_json = msgspec.json.Encoder().encode

Json = Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A person to be erased. suppress: no profile is to be made of these identifiers again."""

    user_id: str | None = None
    anonymous_id: str | None = None
    suppress: bool = False


@dataclass(frozen=True, slots=True)
class _Person:
    """tokens: all of the person's. others: accounts that used the same devices, which stay."""

    tokens: tuple[str, ...]
    others: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledger holds of a person. records: by topic. decisions: (id, surface, read position), oldest first."""

    records: dict[str, int]
    decisions: tuple[tuple[str, str, int], ...]
    reads: int


class Erasing:
    """The erasures of one node."""

    def __init__(
        self, node: Node, deciding: Deciding, intake: Intake, door: Door, forget: Callable[[Sequence[str]], None]
    ) -> None:
        """`forget`: told the tokens of somebody who was erased, to drop what is in memory of them."""
        self._node = node
        self._deciding = deciding
        self._intake = intake
        self._door = door
        self._forget = forget
        self._auditing = Auditing(node)
        self._turn = asyncio.Lock()
        self._begun: list[tuple[str, ...]] = []  # whose record is, or may be, in the ledger and keys.db not up to it
        self._timer: asyncio.TimerHandle | None = None
        self._trying: asyncio.Future[None] | None = None
        self._closed = False

    async def erase(self, read: Read, asked: Asked) -> dict[str, Json]:
        """Erase a person; the receipt. {"erased": False, ...} where nothing is held. Raises InvalidInput, and what the
        ledger or keys.db raises when they cannot be written: then nothing is promised, and it is to be asked again."""
        if not (asked.user_id or asked.anonymous_id):
            raise InvalidInput("nobody is named", where="person", cure="send userId or anonymousId")
        self._auditing.require_writable()
        self._node.require_running()
        async with self._turn:
            await self._finish()
            await self._node.caught_up()
            person = self._person(asked)
            if not person.tokens:
                return await self._nothing(read, asked)
            return await self._erased(read, asked, person)

    # ------------------------------------------------------------ who

    def _person(self, asked: Asked) -> _Person:
        request = DecisionRequest(user_id=asked.user_id, anonymous_id=asked.anonymous_id)
        named = self._deciding.named(request)
        tokens, others = self._linked(named)
        if asked.user_id is None and len(others) == 1:  # a device with one account is that person's
            tokens, others = self._linked([*others, *named])
        return _Person(tuple(tokens), len(others))

    def _linked(self, named: Sequence[str]) -> tuple[list[str], list[str]]:
        """All tokens of a person who has these, and those of other accounts on the way."""
        reading = self._node.tables.reading(0)
        found, others = dict.fromkeys(named), dict[str, None]()
        open_ = list(found)
        while open_:
            token = open_.pop()
            account = self._is_account(token)
            for link in reading.rows("identity", (token,)):
                linked = str(link["linked"])
                if linked in found:
                    continue
                if self._is_account(linked) and not (account and link["cause"] == "alias"):
                    others[linked] = None
                    continue
                found[linked] = None
                open_.append(linked)
        return list(found), [each for each in others if each not in found]

    def _is_account(self, token: str) -> bool:
        return any(kind == "user" for kind, _ in self._node.subjects.identifiers(token))

    def _named(self, asked: Asked) -> list[tuple[str, str]]:
        """What is asked for as (kind, keyed hash)."""
        named = self._node.subjects.named
        return [
            *([named("user", asked.user_id)] if asked.user_id else ()),
            *([named("anonymous", asked.anonymous_id)] if asked.anonymous_id else ()),
        ]

    # ------------------------------------------------------------ erasing

    async def _nothing(self, read: Read, asked: Asked) -> dict[str, Json]:
        """Somebody who is not known, or was erased before: which of the two is nobody's business."""
        suppress = self._named(asked) if asked.suppress else []
        if suppress:
            await asyncio.to_thread(self._node.subjects.destroy, (), suppress)
            self._node.subjects.release(())
        await self._auditing.note(read)
        return {
            "erased": False, "suppressed": asked.suppress,
            "text": "Nothing is held under this id, so there is nothing to erase.",
        }  # fmt: skip

    async def _erased(self, read: Read, asked: Asked, person: _Person) -> dict[str, Json]:
        node, tokens = self._node, person.tokens
        node.subjects.hold(tokens)
        try:
            # What was under way when the tokens were held is before this in the ledger, and is found.
            await self._auditing.note(read)
            before = await asyncio.to_thread(held_of, node.ledger, tokens)
            suppress = tuple(self._identifiers(tokens)) if asked.suppress else ()
            if suppress:  # of no effect while there is a token, so it may come first
                await asyncio.to_thread(node.subjects.destroy, (), suppress)
        except BaseException:
            node.subjects.release(tokens)
            raise
        now_ms, name = node.ports.clock.now_ms(), node.ports.random.token(8).hex()
        named = tuple(each[0] for each in before.decisions[-DECISIONS_NAMED:])
        erasure = Erasure(name, tokens, named, read.who, read.purpose, now_ms, asked.suppress)
        self._begun.append(tokens)
        try:
            _, entry, index = await node.appended(_draft(ERASE_TOPIC, name, erasure, now_ms))
            await node.applied(entry.base_seq + index)
            identifiers = await self._destroyed(tokens)
        except BaseException:
            self._later()
            raise
        node.observed.counters.add("erasures")
        await node.rewritten()
        counts = (identifiers, len(suppress), person.others)
        receipt = self._receipt(erasure, entry.base_seq + index, before, counts)
        await node.appended(_draft(RECEIPTS_TOPIC, name, receipt, now_ms))
        return {**receipt, "person": self._named(asked)[0][1]}

    async def _destroyed(self, tokens: Sequence[str]) -> int:
        """What follows an erase record that is applied: keys.db, memory. How many identifiers there were."""
        tomb = self._node.runner.erasures.of(tokens[0])
        destroyed = 0
        if tomb is not None:  # else its frame was lost: nothing was erased, and it can be asked for again
            destroyed = await asyncio.to_thread(self._node.subjects.destroy, tokens, (), tomb.seq)
            self._forgotten(tokens)
        self._node.subjects.release(tokens)
        self._begun.remove(tuple(tokens))
        return destroyed

    async def _finish(self) -> None:
        """Finish what was begun and failed, in order: `destroy` says how far erasures are done."""
        for tokens in list(self._begun):
            await self._node.caught_up()
            await self._destroyed(tokens)

    def _later(self) -> None:
        """Try to finish in a while: until then the person's calls are asked to come again."""
        if self._timer is None and not self._closed:
            self._timer = self._node.loop.call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None

        async def retried() -> None:
            async with self._turn:
                try:
                    await self._finish()
                except NextpaintError as error:
                    log.warning("an erasure waits to be finished: %s", error)
                    self._later()

        self._trying = asyncio.ensure_future(retried())

    async def close(self) -> None:
        """Try nothing any more: the next start finishes what is left."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._trying is not None:
            await self._trying

    def _identifiers(self, tokens: Sequence[str]) -> Iterator[tuple[str, str]]:
        for token in tokens:
            yield from self._node.subjects.identifiers(token)

    def _forgotten(self, tokens: Sequence[str]) -> None:
        """Drop what is in memory of a person."""
        for token in tokens:
            self._door.forget_links(token)
        self._node.forget(tokens)
        self._intake.forget(tokens)
        self._deciding.forget(tokens)
        self._forget(tokens)

    # ------------------------------------------------------------ the receipt

    def _receipt(self, erasure: Erasure, seq: int, before: _Held, keys: tuple[int, int, int]) -> dict[str, Json]:
        node = self._node
        identifiers, suppressed, others = keys
        kept = self._kept(before.records)
        counts = node.runner.erasures.counts.get(erasure.id, {})
        stores: dict[str, dict[str, Json]] = {
            "keys": {"identifiers_destroyed": identifiers, "suppressed_hashes": suppressed},
            "ledger": {"records_under_tokens": before.records, "kept": kept},
            "state": {
                "cells": [_told(name, *each) for name, each in sorted(counts.items())],
                "rows_dropped": sum(each.dropped for each in counts.values()),
                "rows_marked": sum(each.marked for each in counts.values()),
                "mark": MARK,
            },
            "posteriors": {
                "learners": sorted(node.runner.graph.learners),
                "experiments": sorted(node.runner.graph.exposures),
                "policy": "kept",
            },
            "memory": {},
            "vectors": {"tables": sorted(node.runner.graph.vectors), "held": 0},
            "checkpoints": {"kept": checkpoint.positions(node.ports.disk)},
            "decisions": {
                "records": len(before.decisions),
                "kept": "de-identified",
                "because": KEPT_BECAUSE,
                "until": kept.get(DECISIONS_TOPIC, FOR_EVER),
            },
            "audit": {"reads_of_the_person": before.reads, "kept": kept.get(AUDIT_TOPIC, FOR_EVER)},
            "models": {"trained_on_them": self._models(before), "policy": "retrain"},
            "generated_copies": {"held": 0},
            "lakehouse": {"held": 0},
            "vendors": {"told": []},
            "backups": {},
        }
        return {
            "erased": True,
            "id": erasure.id,
            "at_ms": erasure.at_ms,
            "position": str(node.position_of(seq)),
            "asked_by": erasure.who,
            "purpose": erasure.purpose,
            "suppressed": erasure.suppressed,
            "other_accounts_on_the_same_devices": others,
            "stores": {name: {**told, "text": _WORDS[name]} for name, told in stores.items()},
        }

    def _kept(self, topics: Iterable[str]) -> dict[str, str]:
        """How long records of these topics are kept, as the application in force declares it."""
        retention = self._node.application.retention
        limits = {topic: name for name in retention.classes for topic in retention.topics(name)}
        return {each: kept_text(retention, limits[each]) if each in limits else FOR_EVER for each in topics}

    def _models(self, before: _Held) -> list[dict[str, Json]]:
        """Trained models of this directory whose training may have seen a decision of the person."""
        disk, found = self._node.ports.disk, []
        names = sorted(disk.list(MODELS)) if disk.exists(MODELS) else []
        for name in names:
            if name.endswith(".lineage"):
                lineage = msgspec.json.decode(disk.read(f"{MODELS}/{name}")) or {}
                surface, (first, last) = lineage.get("surface"), lineage.get("positions") or (-1, -1)
                seen = sum(each == surface and first <= position <= last for _, each, position in before.decisions)
                if seen:
                    model = name.removesuffix(".lineage")
                    found.append({"model": model, "surface": surface, "decisions_of_the_person": seen})
        return found

    # ------------------------------------------------------------ coming back

    async def lift(self, read: Read, asked: Asked) -> dict[str, Json]:
        """Let somebody in again who asked to stay out, and asks otherwise now: from now on they are somebody new."""
        named = self._named(asked)
        if not named:
            raise InvalidInput("nobody is named", where="person", cure="send userId or anonymousId")
        self._auditing.require_writable()
        await self._auditing.note(read)
        return {"lifted": self._node.subjects.lift(named)}

    # ------------------------------------------------------------ looking back

    def all(self) -> list[dict[str, Json]]:
        """Every erasure, the last first, at most `LISTED`."""
        names = [name for name, _ in self._node.erased.items()]
        return [self._brief(name) for name in reversed(names[-LISTED:])]

    def one(self, name: str) -> dict[str, Json]:
        """A receipt by its id. Raises NotFound."""
        if self._node.erased.get(name) is None:
            raise NotFound(f"unknown erasure {name[:40]!r}", where="this node's ledger",
                           cure="GET /v1/erasures lists them")  # fmt: skip
        seq = self._node.receipts.get(name)
        if seq is not None:
            position = self._node.position_of(seq)
            frame = self._node.ledger.frame(position.frame)  # NotFound, should retention have removed it
            found: dict[str, Json] = msgspec.json.decode(
                frame.entries[position.entry].records[position.record].value or b""
            )
            return found
        text = "No receipt was written: the node stopped or failed in between. The erasure was finished afterwards."
        return {**self._brief(name), "stores": None, "text": text}

    def _brief(self, name: str) -> dict[str, Json]:
        found, seq = self._node.erasure(name), self._node.erased.get(name)
        if found is None or seq is None:
            return {"erased": True, "id": name}
        return {
            "erased": True, "id": name, "position": str(self._node.position_of(seq)), "at_ms": found.at_ms,
            "asked_by": found.who, "purpose": found.purpose, "suppressed": found.suppressed,
        }  # fmt: skip


def _draft(topic: str, name: str, value: object, now_ms: int) -> Draft:
    return Draft(topic, EntryKind.INPUT, [Record(name.encode(), _json(value), now_ms)])


def _told(cell: str, dropped: int, marked: int) -> dict[str, Json]:
    kind, _, rest = cell.partition("/")
    of = f"table {rest.partition('/')[0]}" if kind == "table" else kind
    return {"of": of, "cell": cell, "dropped": dropped, "marked": marked}


def held_of(ledger: Frames, tokens: Sequence[str]) -> _Held:
    """What the ledger holds under these tokens. Reads all of it: for a worker thread."""
    written = [each.encode() for each in tokens]
    records: Counter[str] = Counter()
    decisions: list[tuple[str, str, int]] = []
    for frame in ledger.frames():
        for entry in frame.entries:
            for record in entry.records:
                body = (record.key or b"") + b"\0" + (record.value or b"")
                if not any(each in body for each in written):
                    continue
                records[entry.topic] += 1
                if entry.topic == DECISIONS_TOPIC:
                    found = decoded(record.value or b"")
                    if found.subjects and found.subjects[0] in tokens:
                        decisions.append((found.decision_id, found.surface, found.position))
    return _Held(dict(sorted(records.items())), tuple(decisions), records[AUDIT_TOPIC])
