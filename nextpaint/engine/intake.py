"""Everything that enters: collected events, item rows, rows of declared tables. Admitted, deduplicated, appended,
answered when durable.

Overload is refused before anything is kept. What does not fit is quarantined with its reason, durably, and never half
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import msgspec

from nextpaint.engine.consenting import CONSENTS, Consenting
from nextpaint.engine.index import BODY_HEADER, EVENTS_TOPIC, ID_HEADER
from nextpaint.engine.node import Node
from nextpaint.govern.access import INGEST, Principal
from nextpaint.govern.door import Admission, Consent, Door, DoorSettings, Link, Who
from nextpaint.govern.personal import redact
from nextpaint.govern.subjects import Suppressed
from nextpaint.ports.promise import Promise
from nextpaint.process.coercion import coerce
from nextpaint.process.formats import writer_of
from nextpaint.process.images import read_image
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, LedgerError, NextpaintError, NotFound, Overloaded
from nextpaint.record.event import Event
from nextpaint.record.event import encode as encode_event
from nextpaint.sql.program import Table
from nextpaint.stream.dedup import Dedup, Waiting
from nextpaint.stream.frame import Draft, Entry, EntryKind, Frame, Position

QUARANTINE_TOPIC = "_quarantine"
IDENTITY_TOPIC = "identity"

_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Receipt:
    """What became of a write. `position` is that of the last record it made; `seq` is for waiting until it is
    applied."""

    accepted: int = 0
    duplicates: int = 0
    quarantined: list[tuple[int, str]] = field(default_factory=list)
    position: str = ""
    seq: int = -1


@dataclass(slots=True)
class LastEvent:
    """How the newest event went through its stages, ms each; for the console."""

    event: str = ""
    item_id: str = ""
    subject: str = ""
    stages: list[tuple[str, float]] = field(default_factory=list)


class _Landing:
    """One write on its way to disk: its promise is kept when every part of it is durable."""

    __slots__ = ("_node", "_open", "keys", "landed", "last", "promise", "seq", "whole")

    def __init__(self, node: Node) -> None:
        self.promise: Promise[Any] = Promise()
        self.whole: Callable[[], object] = lambda: None  # called once, when all is durable; gives the result
        self.landed: list[Callable[[int], None]] = []  # told the seq of the last record, when all is durable
        self.keys: list[bytes] = []  # of events: what is free again when they are lost
        self.last: tuple[Frame, Entry, int] | None = None
        self.seq = -1
        self._open = 1
        self._node = node

    def append(self, draft: Draft, failed: Callable[[LedgerError], None] | None = None) -> None:
        """Let `draft` be part of this write. Raises what `Writer.append` raises; the write is over then: what was
        appended before lands by itself, and nobody waits for it here."""
        size = len(draft.records)
        self._open += 1
        self._node.append(
            draft,
            self._landed if size == 1 else lambda frame, entry, index: self._landed(frame, entry, index + size - 1),
            failed or self.fail,
        )

    def join(self, original: Waiting) -> None:
        """Wait for the original of a duplicate."""
        self._open += 1
        original.join(self._joined, self.fail)

    def close(self) -> Promise[Any]:
        """All parts are known."""
        self._close()
        return self.promise

    def _joined(self, seq: int) -> None:
        self.seq = max(self.seq, seq)
        self._close()

    def _landed(self, frame: Frame, entry: Entry, index: int) -> None:
        if entry.base_seq + index >= self.seq:
            self.seq, self.last = entry.base_seq + index, (frame, entry, index)
        self._close()

    def fail(self, error: LedgerError) -> None:
        self.promise.reject(error)

    def lose(self, error: LedgerError) -> None:
        """The events never get there: their ids are free again, a retry is a new event."""
        for key in self.keys:
            self._node.dedup.abandon(key, error)
        self.fail(error)

    def _close(self) -> None:
        self._open -= 1
        if not self._open:
            for each in self.landed:
                each(self.seq)
            if not self.promise.done:
                self.promise.resolve(self.whole())

    def position(self) -> str:
        if self.last is None:
            return ""
        frame, entry, index = self.last
        place = next(at for at, each in enumerate(frame.entries) if each is entry)
        return str(Position(frame.number, place, index))


class Intake:
    """The way in of one node."""

    def __init__(self, node: Node, door: Door) -> None:
        self._node = node
        self._door = door
        self._limits = DoorSettings()
        self.consenting = Consenting(node)
        self.last_event = LastEvent()

    def refusal(self) -> str:
        """Why nothing may enter just now, counted: records, decisions or the state thread itself are further behind
        than they may be. "" when they are not."""
        why = self._overload()
        if why:
            self._node.observed.counters.add("refused")
        return why

    def _overload(self) -> str:
        turns, settings = self._node.turns, self._node.settings
        if turns.crowded:
            return "decisions wait for the node's time"
        if turns.waiting_records > settings.unapplied_max:
            return f"more than {settings.unapplied_max} records wait to be applied"
        if turns.lag_ms > settings.lag_ms_max:
            return f"the node is more than {settings.lag_ms_max} ms behind"
        return ""

    def refuse_overload(self) -> None:
        """Raise Overloaded when the node is overloaded, and what stopped it when it has stopped."""
        self._node.require_running()
        why = self.refusal()
        if why:
            raise Overloaded(why, retry_after_s=1)

    def forget(self, subjects: Sequence[str]) -> None:
        """Drop what is in memory of somebody."""
        self.consenting.forget(subjects)
        if self.last_event.subject in subjects:
            self.last_event = LastEvent()

    # ------------------------------------------------------------ events

    def events(
        self, principal: Principal, calls: Sequence[Mapping[str, Any]], received_at_ms: int, who: Who | None = None
    ) -> Promise[Receipt]:
        """Segment calls, each already decoded; done when all admitted and quarantined ones are durable.

        What refuses the whole request is raised at once.
        """
        started = self._node.ports.clock.monotonic_ns()
        self.refuse_overload()
        admission = self._door.admit(calls, principal, received_at_ms, who)
        receipt = Receipt(quarantined=[(each.index, each.reason) for each in admission.quarantined])
        landing = _Landing(self._node)
        admitted = self._deduplicated(principal, admission.events, receipt, landing)
        times = started, self._node.ports.clock.monotonic_ns(), received_at_ms
        landing.whole = lambda: self._collected(landing, receipt, admission, times)
        if admitted:
            self._append(admitted, landing)
        if admission.links:
            self._links(admission.links, landing, received_at_ms)
        if admission.consents:
            self._consents(admission.consents, landing, received_at_ms)
        if admission.quarantined:
            self._quarantine(admission, landing, received_at_ms)
        return landing.close()

    def _collected(
        self, landing: _Landing, receipt: Receipt, admission: Admission, times: tuple[int, int, int]
    ) -> Receipt:
        """Everything of a request is durable."""
        self._door.recorded(admission.links)
        receipt.position, receipt.seq = landing.position(), landing.seq
        for subject in (event.subject for event in admission.events):
            self._node.acknowledged(subject, receipt.seq)
        for subject in (each for link in admission.links for each in (link.anonymous, link.user)):
            self._node.acknowledged(subject, receipt.seq)
        if landing.keys:
            self._observe(admission.events[-1], receipt, times)
        counters = self._node.observed.counters
        if receipt.duplicates:
            counters.add("duplicates", receipt.duplicates)
        if receipt.quarantined:
            counters.add("quarantined", len(receipt.quarantined))
        if admission.suppressed:
            counters.add("suppressed", admission.suppressed)
        return receipt

    def _deduplicated(
        self, principal: Principal, events: Sequence[Event], receipt: Receipt, landing: _Landing
    ) -> list[Record]:
        """Records of the events that are new; duplicates wait for their originals."""
        dedup = self._node.dedup
        records = []
        for event in events:
            key = Dedup.key(principal.name, event.message_id)
            body = Dedup.body_hash(
                "\x00".join((event.type, event.subject, event.event or "", event.properties)).encode()
            )
            seen = dedup.seen(key, body)
            if seen is None:
                dedup.begin(key, body)
                landing.keys.append(key)
                headers = ((ID_HEADER, key), (BODY_HEADER, body.to_bytes(8, "big")))
                records.append(Record(event.subject.encode(), encode_event(event), event.ts, headers))
                receipt.accepted += 1
                continue
            receipt.duplicates += 1
            if isinstance(seen, Waiting):
                landing.join(seen)
            else:
                landing.seq = max(landing.seq, seen)
        return records

    def _append(self, records: list[Record], landing: _Landing) -> None:
        """New events on their way to disk."""
        try:
            landing.append(Draft(EVENTS_TOPIC, EntryKind.INPUT, records), landing.lose)
        except (NextpaintError, ValueError) as error:
            landing.lose(LedgerError(f"the events were not kept: {error}"))
            raise

    def _links(self, links: Sequence[Link], landing: _Landing, now_ms: int) -> None:
        """A link between two tokens, in both directions: a person is read from any of them."""
        records = []
        for link in links:
            for subject, linked in ((link.anonymous, link.user), (link.user, link.anonymous)):
                value = {"subject": subject, "linked": linked, "cause": link.cause, "ts": link.from_ms}
                records.append(Record(subject.encode(), _json(value), now_ms))
        if records:
            landing.append(Draft(IDENTITY_TOPIC, EntryKind.INPUT, records))

    def _consents(self, consents: Sequence[Consent], landing: _Landing, now_ms: int) -> None:
        """What people said of their consent, where it is new."""
        records = self.consenting.said(consents, now_ms)
        if records:
            landing.landed.append(self.consenting.landed)
            landing.append(Draft(CONSENTS, EntryKind.INPUT, records))

    def _quarantine(self, admission: Admission, landing: _Landing, now_ms: int) -> None:
        records = [
            Record(None, _json({"reason": each.reason, "original": each.original}), now_ms)
            for each in admission.quarantined
        ]
        if records:
            landing.append(Draft(QUARANTINE_TOPIC, EntryKind.INPUT, records))

    def _observe(self, event: Event, receipt: Receipt, times: tuple[int, int, int]) -> None:
        started, appended, received_at_ms = times
        observed, durable = self._node.observed, self._node.ports.clock.monotonic_ns()
        observed.events.add(receipt.accepted, received_at_ms)
        observed.commit.add((durable - appended) / 1e6)
        if self._node.watches:
            return  # one event after the other is followed to where it is applied
        shown = LastEvent(event.event or event.type, event.item_id or "", event.subject)
        shown.stages = [("door", (appended - started) / 1e6), ("frame and sync", (durable - appended) / 1e6)]
        self.last_event = shown
        self._node.watch_applied(receipt.seq, durable, shown.stages)

    # ------------------------------------------------------------ rows

    async def rows(self, principal: Principal, table: Table, rows: Sequence[Mapping[str, Any]], now_ms: int) -> Receipt:
        """Rows of a declared table; answered when durable and applied."""
        principal.require(INGEST)
        write = writer_of(table)

        def record(row: Mapping[str, Any]) -> Record:
            key, value = self._row(table, row, now_ms)
            return Record(_json(key) if key else None, write(value), now_ms)

        return await self._written(table, rows, record, now_ms)

    async def delete_rows(
        self, principal: Principal, table: Table, keys: Sequence[Mapping[str, Any]], now_ms: int
    ) -> Receipt:
        """Take rows of a table away, each by its key; answered when durable and applied. A key without a row is no
        error. Raises InvalidInput for a table whose rows have no key, or come as changes."""
        principal.require(INGEST)
        self._check_deletable(table)

        def record(key: Mapping[str, Any]) -> Record:
            return Record(_json(self._only_key(table, key)), None, now_ms)

        return await self._written(table, keys, record, now_ms)

    async def _written(
        self, table: Table, rows: Sequence[Mapping[str, Any]], record: Callable[[Mapping[str, Any]], Record],
        now_ms: int,
    ) -> Receipt:  # fmt: skip
        """A record of each row, durable and applied; rows for which `record` raises ValueError are quarantined."""
        self.refuse_overload()
        receipt, landing, records = Receipt(), _Landing(self._node), list[Record]()
        for index, row in enumerate(rows):
            try:
                records.append(record(row))
            except ValueError as error:
                receipt.quarantined.append((index, redact(str(error))))
        if records:
            landing.append(Draft(table.name, EntryKind.INPUT, records))
        self._quarantine_rows(table, receipt, landing, now_ms)
        await landing.close()
        receipt.accepted = len(records)
        receipt.position, receipt.seq = landing.position(), landing.seq
        await self._node.applied(landing.seq)
        return receipt

    def _check_deletable(self, table: Table) -> None:
        where = f"table {table.name}"
        if not table.primary_key:
            cure = "declare a PRIMARY KEY; rows of a stream stay"
            raise InvalidInput(f"rows of {table.name} have no key to be deleted by", where=where, cure=cure)
        if table.takes_images:
            cure = f'write {{"op": "d", "before": {{...}}}} as a row of {table.name}'
            raise InvalidInput(f"rows of {table.name} come as changes, deletions too", where=where, cure=cure)

    def _only_key(self, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
        """The key that a row consists of; ValueError says what is wrong with it."""
        value = self._columns(table, row)
        key = self._key(table, value)
        more = [name for name in value if name not in key]
        if more:
            raise ValueError(f"{more[0]} is no part of the key {', '.join(key)}: a row is deleted by its key alone")
        return key

    def _row(self, table: Table, row: Mapping[str, Any], now_ms: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The key and the value of one row, or change; ValueError says what is wrong with it."""
        if table.takes_images:
            return self._change(table, row, now_ms)
        value = self._columns(table, row)
        key = self._key(table, value)
        if table.watermark is not None:
            time = table.names[table.watermark.column]
            value.setdefault(time, now_ms)
            self._check_time(table, time, value, now_ms)
        return key, value

    def _change(self, table: Table, row: Mapping[str, Any], now_ms: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """A change with its images, whose rows are complete."""
        op, *images = read_image(row)
        rows = [self._columns(table, each) if each is not None else None for each in images]
        for each in rows:
            if each is not None and table.watermark is not None:
                self._check_time(table, table.names[table.watermark.column], each, now_ms)
        key = self._key(table, rows[1] or rows[0] or {})
        return key, {"before": rows[0], "after": rows[1], "op": op}

    def _key(self, table: Table, value: Mapping[str, Any]) -> dict[str, Any]:
        key = {table.names[at]: value.get(table.names[at]) for at in table.primary_key}
        if None in key.values():
            raise ValueError(f"the key {', '.join(key)} is missing")
        return key

    def _columns(self, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with a token for its user. Raises ValueError for unknown columns, and values not of their type."""
        if not isinstance(row, dict):
            raise ValueError("a row must be a JSON object")
        value = dict(row)
        if "subject" in table.names and "user_id" in value:
            user = value.pop("user_id")
            if user is not None and not (isinstance(user, str) and 0 < len(user) <= 512):
                raise ValueError("user_id must be a text of 1 to 512 characters")
            try:
                value["subject"] = self._node.subjects.token("user", user) if user is not None else None
            except Suppressed as error:
                raise ValueError(error.what) from error
        types = {each.name: each.type for each in table.fields}
        for name, each in value.items():
            if name not in types:
                near = get_close_matches(name, types, 1)
                raise ValueError(f"{table.name} has no column {name}" + (f", did you mean {near[0]}?" if near else ""))
            try:
                coerce(each, types[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            if isinstance(each, str) and self._node.runner.erasures.names(each):
                raise ValueError(f"{name} names somebody who was erased")
        return value

    def _check_time(self, table: Table, column: str, value: Mapping[str, Any], now_ms: int) -> None:
        """A row from the future would move the watermark for everybody; a stream has no use for one beyond retention.
        A keyed table may be told how things were long ago."""
        limits = self._limits
        time_ms = coerce(value.get(column), next(each.type for each in table.fields if each.name == column))
        if not isinstance(time_ms, int):
            raise ValueError(f"the time {column} is NULL")
        if time_ms > now_ms + limits.future_ms_max:
            raise ValueError(f"the time {column} is more than {limits.future_ms_max // 1000} s in the future")
        if not table.primary_key and time_ms < now_ms - limits.retention_ms:
            days = limits.retention_ms // 86_400_000
            raise ValueError(f"the time {column} is older than the retention of {days} days")

    def _quarantine_rows(self, table: Table, receipt: Receipt, landing: _Landing, now_ms: int) -> None:
        records = [
            Record(None, _json({"table": table.name, "row": index, "reason": reason}), now_ms)
            for index, reason in receipt.quarantined
        ]
        if records:
            landing.append(Draft(QUARANTINE_TOPIC, EntryKind.INPUT, records))
        self._node.observed.counters.add("quarantined", len(records))

    def _item_tables(self) -> list[Table]:
        application = self._node.application
        tables = [application.program.tables[name] for name in application.item_tables]
        if not tables:
            raise NotFound(
                "this application has no item tables", cure="declare a table keyed by the surfaces' item key"
            )
        return tables

    async def delete_items(self, principal: Principal, items: Sequence[Mapping[str, Any]], now_ms: int) -> Receipt:
        """Take items out of all item tables of the application, each by its key; answered when applied."""
        whole, tables = Receipt(accepted=len(items)), self._item_tables()
        for table in tables:
            self._check_deletable(table)
        for table in tables:
            receipt = await self.delete_rows(principal, table, items, now_ms)
            whole.accepted, whole.quarantined = receipt.accepted, receipt.quarantined  # all have the same key
            if receipt.seq >= whole.seq:
                whole.seq, whole.position = receipt.seq, receipt.position
        return whole

    async def items(self, principal: Principal, items: Sequence[Mapping[str, Any]], now_ms: int) -> Receipt:
        """Items over all item tables of the application: each table takes the columns it has; answered when applied."""
        tables = self._item_tables()
        known = {name for table in tables for name in table.names}
        split: dict[str, list[Mapping[str, Any]]] = {table.name: [] for table in tables}
        places: dict[str, list[int]] = {table.name: [] for table in tables}  # which item each part is of
        rejected: list[tuple[int, str]] = []
        for index, item in enumerate(items):
            unknown = [name for name in item if name not in known] if isinstance(item, dict) else ["(not an object)"]
            if unknown:
                near = get_close_matches(unknown[0], known, 1)
                cure = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
                rejected.append((index, f"no item table has a column {unknown[0]}; {cure}"))
                continue
            for table in tables:
                part = {name: item[name] for name in table.names if name in item}
                if any(table.names.index(name) not in table.primary_key for name in part):
                    split[table.name].append(part)
                    places[table.name].append(index)
        if rejected and not any(split.values()):
            raise InvalidInput(
                rejected[0][1], where=f"item {rejected[0][0]}", cure="correct the item and send it again"
            )
        whole = Receipt(quarantined=rejected)
        for table in tables:
            if not split[table.name]:
                continue
            receipt = await self.rows(principal, table, split[table.name], now_ms)
            whole.quarantined += [(places[table.name][at], f"{table.name}: {why}") for at, why in receipt.quarantined]
            if receipt.seq >= whole.seq:
                whole.seq, whole.position = receipt.seq, receipt.position
        whole.accepted = len(items) - len({index for index, _ in whole.quarantined})
        return whole
