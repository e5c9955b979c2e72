"""What if? A decision made again at its position, with something changed.

    Change(items={"85123A": {"stock": 0}})      another fact of an item, as if it had been written just before
    Change(forget=("last view",))               an event that never came, by message id, or the last view of the person
    Change(without=("interest",))               a feature that nobody has
    Change(profiled=False)                      the same request without a profile

The changed decision comes from the ledger through the one replay, by the application in force then, along the recorded
paths and with the recorded chance; the record stays as it is. Everything else stays too: what the person did after a
forgotten event still happened, and what others did.

Invariants: nothing is written; the ledger is read up to the decision's position. With facts alone the unchanged
decision is recomputed on the way and compared with its record; `proved` says so.

The state that was moved to a decision's position is kept for the next question: about the same decision, or a later
one, it costs two decisions and the records in between. Facts of tables that nothing is derived from are read over that
state (`overlaid`); other facts are written into it, and it is gone. An event is left out from the start: the state in
which it never was is another one, and is kept as well. `prepare` puts the states together before anybody asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from nextpaint.application import Application
from nextpaint.decide import Decider, Decision, DecisionRecord, Surface
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.duration import age_text
from nextpaint.decide.explain import compare
from nextpaint.decide.model import Rankers, no_rankers
from nextpaint.decide.moved import moved
from nextpaint.engine.history import Past, before, is_view
from nextpaint.engine.overlaid import Overlaid
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.replay import Frames
from nextpaint.ports import Clock, Disk
from nextpaint.process import checkpoint
from nextpaint.process.coercion import coerce
from nextpaint.process.outputs import plain
from nextpaint.process.reading import Reading
from nextpaint.record.codec import Record
from nextpaint.record.columns import Value
from nextpaint.record.errors import InvalidInput, NotFound, ReplayError
from nextpaint.sql.program import Table

LAST_VIEW = "last view"
KEPT_ROWS_MAX = 2_000_000  # of a kept state: a few hundred megabytes
KEPT_RECORDS_MAX = 20_000  # applied at most instead of reading a checkpoint: about a second
KEPT_STATES = 2  # with and without the event that was asked about last; a third waits before it
CHANGES_MAX = 50  # items, events and features of one change: a question, not a migration

_json = msgspec.json.Encoder(decimal_format="number").encode


class Change(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What is supposed. `items`: item id -> column -> value; `forget`: message ids, or "last view"; `without`:
    features; `profiled`: False for the same page without a profile."""

    items: dict[str, dict[str, Any]] = {}
    forget: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    profiled: bool | None = None

    def checked(self) -> Change:
        """Itself. Raises InvalidInput for an empty change or one that is too large."""
        if not (self.items or self.forget or self.without or self.profiled is not None):
            raise InvalidInput("nothing is changed", where="what-if", cure='send {"items": {"ID": {"stock": 0}}}')
        if max(len(self.items), len(self.forget), len(self.without)) > CHANGES_MAX:
            raise InvalidInput(f"more than {CHANGES_MAX} changes", where="what-if", cure="ask about fewer at once")
        return self


@dataclass(frozen=True, slots=True)
class Source:
    """Where decisions are recomputed from. Without a `disk` there are no checkpoints and everything starts at the first
    record; `known`: applications that need not be planned again."""

    ledger: Frames
    clock: Clock
    rankers: Rankers = no_rankers
    disk: Disk | None = None
    known: tuple[Application, ...] = ()

    def frame_of(self, seq: int) -> int:
        """The frame that holds a record."""
        number = 0
        for frame in self.ledger.frames():
            if frame.base_seq > seq:
                break
            number = frame.number
        return number

    def nearest(self, up_to: int) -> int:
        """The position of the newest checkpoint at or before a seq, whole or not; -1 without one."""
        there = () if self.disk is None else checkpoint.positions(self.disk)
        return max((each for each in there if each <= up_to), default=-1)

    def start(self, up_to: int) -> checkpoint.Checkpoint | None:
        """The newest checkpoint at or before a seq."""
        return None if self.disk is None else checkpoint.newest(self.disk, up_to)


class Supposing:
    """Answers what-if questions about decisions of one ledger, one at a time. Blocks: run it on a worker thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._kept: dict[frozenset[int], Recomputation] = {}  # by the events left out, the least used first
        self._before: Recomputation | None = None  # moved to just before an event that may be left out

    @property
    def source(self) -> Source:
        return self._source

    def answer(self, record: DecisionRecord, change: Change, frame: int | None = None) -> dict[str, Any]:
        """The changed page beside the recorded one: {"changed": [in words], "cards", "moved", "answer", "proved",
        "text"}. `frame`: the one that holds the read position, where it is known. Raises InvalidInput, NotFound,
        ReplayError beyond the replay horizon."""
        change.checked()
        forgotten = self._forgotten(record, change.forget, frame)
        without = frozenset(each.seq for each in forgotten)
        again = self._standing(record, without)
        decider = again.decider(record)
        proved = not forgotten and not compare(record, again.made(decider, record).record)
        said = [
            f"without {each.named}, {age_text(max(record.time_ms - each.event.ts, 0))} before" for each in forgotten
        ]
        facts = Supposed(again, record.time_ms)
        for key, columns in change.items.items():
            said += facts.take(key, columns)
        if facts.written:
            facts.write()
        else:
            self._keep(without, again)
        if change.without:
            decider = _without(again, record, change.without)
            said += [f"without the feature {name}" for name in change.without]
        if change.profiled is not None:
            said.append("with a profile" if change.profiled else "without a profile")
        again.over = facts.reading if facts.overlaid else None
        try:
            made = again.made(decider, record, profiled=change.profiled)
            titles = _titles(again, record, made)
        finally:
            again.over = None
        return _told(record, made, said, proved, titles)

    def prepare(self, record: DecisionRecord, frame: int | None = None) -> Iterator[None]:
        """Put together what the first questions about a decision need, in two pieces of work: the state just before the
        person's last view, and the one the decision read, each with what a decision reads of it. No answer depends on
        it."""
        try:
            (view,) = self._forgotten(record, (LAST_VIEW,), frame)
        except NotFound:
            view = None
        wanted = {frozenset[int]()} if view is None else {frozenset[int](), frozenset({view.seq})}
        for without in self._kept.keys() - wanted:  # a state takes a moment to be freed: not while somebody waits
            del self._kept[without]
        if view is not None and frozenset({view.seq}) not in self._kept:
            again = self._moving(self._before, view.seq - 1)
            again.warm(record, view.seq - 1)
            self._before = again if again.replay.size <= KEPT_ROWS_MAX else None
        yield
        again = self._standing(record, frozenset())
        again.warm(record, record.position)
        self._keep(frozenset(), again)
        yield

    def _keep(self, without: frozenset[int], again: Recomputation) -> None:
        if again.replay.size <= KEPT_ROWS_MAX:
            self._kept[without] = again
            while len(self._kept) > KEPT_STATES:
                del self._kept[next(iter(self._kept))]

    def _standing(self, record: DecisionRecord, without: frozenset[int]) -> Recomputation:
        """A state at or before a decision in which some events never were. It is taken out of what is kept: whoever
        changes nothing in it puts it back."""
        kept = self._kept.pop(without, None)
        if kept is not None and self._near(kept, record.position):
            kept.replay.reopen()
            return kept
        if not without:
            return self._moving(None, record.position)
        again, self._before = self._moving(self._before, min(without) - 1), None
        again.replay.leave_out(without)
        return again

    def _moving(self, kept: Recomputation | None, seq: int) -> Recomputation:
        """A state that can move on to a seq: the kept one, or the newest checkpoint at or before it."""
        if kept is not None and self._near(kept, seq):
            kept.replay.reopen()
            return kept
        source = self._source
        return Recomputation(
            source.ledger, source.clock, disk=source.disk, start=source.start(seq), rankers=source.rankers,
            known=source.known,
        )  # fmt: skip

    def _near(self, kept: Recomputation, seq: int) -> bool:
        """Whether a state can move on to a seq, and no checkpoint is far nearer."""
        return self._source.nearest(seq) - KEPT_RECORDS_MAX <= kept.replay.applied <= seq

    def _forgotten(self, record: DecisionRecord, names: Sequence[str], frame: int | None) -> list[Past]:
        """The events to leave out. Raises NotFound for one that this person did not send before the decision."""
        if not names:
            return []
        wanted = set(names) - {LAST_VIEW}
        need_view = LAST_VIEW in names

        def enough(found: list[Past]) -> bool:
            ids = {each.event.message_id for each in found}
            return wanted <= ids and (not need_view or any(map(is_view, found)))

        at = self._source.frame_of(record.position) if frame is None else frame
        found = before(self._source.ledger, record.subjects, record.position, at, enough)
        chosen = [each for each in found if each.event.message_id in wanted]
        missing = sorted(wanted - {each.event.message_id for each in chosen})
        view = next(filter(is_view, found), None)
        if missing or (need_view and view is None):
            what = f"event {missing[0][:80]!r}" if missing else "view of an item"
            raise NotFound(
                f"this person sent no {what} before the decision", where=f"decision {record.decision_id}",
                cure="GET /v1/decisions/ID/events lists what there is",
            )  # fmt: skip
        if need_view and view is not None and view not in chosen:
            chosen.append(view)
        return chosen


# ---------------------------------------------------------------- another fact


class Supposed:
    """The facts of one question: read over the state where nothing is derived from their tables, else written."""

    def __init__(self, again: Recomputation, time_ms: int) -> None:
        self._again = again
        self._time_ms = time_ms
        self.overlaid: dict[str, dict[str, dict[str, Value]]] = {}
        self.written: list[tuple[str, Record]] = []

    def take(self, key: str, columns: Mapping[str, Any]) -> list[str]:
        """Take an item's facts, each for the table that has the column; gives them in words."""
        application, said, rest = self._again.application, [], dict(columns)
        for name in application.item_tables:
            table = application.program.tables[name]
            part = {column: rest.pop(column) for column in table.names if column in rest}
            if part:
                said += self._taken(table, key, part)
        if rest:
            known = sorted(
                {column for name in application.item_tables for column in application.program.tables[name].names}
            )
            unknown = f"no item table has a column {next(iter(rest))[:80]!r}"
            raise InvalidInput(unknown, where=f"what-if, item {key[:80]}", cure=f"known: {', '.join(known)}")
        return said

    def _taken(self, table: Table, key: str, part: Mapping[str, Any]) -> list[str]:
        tables = self._again.replay.tables
        held = tables.reading(self._time_ms).row(table.name, (key,))
        if held is None:
            raise NotFound(f"{table.name} has no item {key[:80]!r}", where="what-if", cure="name an item by its id")
        row = {name: plain(value) for name, value in held.items()}
        said, read = [], dict[str, Value]()
        for column, value in part.items():
            try:
                read[column] = coerce(value, table.fields[table.names.index(column)].type)
            except ValueError as error:
                raise InvalidInput(f"{column}: {error}", where=f"what-if, item {key[:80]}") from error
            said.append(f"{column} of {key} {_shown(value)} instead of {_shown(row[column])}")
            row[column] = value
        if table.watermark is not None:
            name = table.names[table.watermark.column]
            row[name] = read[name] = self._time_ms
        if self.alone(table, read):
            self.overlaid.setdefault(table.name, {})[key] = read
        else:
            item_key = {table.names[at]: row[table.names[at]] for at in table.primary_key}
            self.written.append((table.name, Record(_json(item_key), _json(row), self._time_ms)))
        return said

    def alone(self, table: Table, read: Mapping[str, Value]) -> bool:
        """Whether another row of a table is all that these values change."""
        simple = all(value is None or type(value) in (int, float, bool, str) for value in read.values())
        derived_from = self._again.replay.tables.runner.graph.derived_from
        return simple and len(table.primary_key) == 1 and table.name not in derived_from

    def write(self) -> None:
        """Apply what is to be written, after the last record."""
        for table, record in self.written:
            self._again.replay.suppose(table, [record])

    def reading(self, below: Reading) -> Reading:
        """`below` with the facts that are read over it."""
        return Overlaid(below, self.overlaid, self._again.replay.tables.runner.at_ms)


def _shown(value: object) -> str:
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)[:80]


# ---------------------------------------------------------------- without a feature


def left_out(candidates: Candidates, context: Context) -> FloatArray:
    """A feature that nobody has."""
    return np.full(len(candidates), np.nan)


def _without(again: Recomputation, record: DecisionRecord, names: Sequence[str]) -> Decider:
    """The surface of a record with features that are NULL for every candidate."""
    surface = _surface(again.application, record.surface)
    for name in names:
        if name not in surface.features:
            cure = f"known: {', '.join(surface.features) or 'none'}"
            raise InvalidInput(f"there is no feature {name[:80]!r}", where=f"surface {record.surface}", cure=cure)
    features = {**surface.features, **dict.fromkeys(names, left_out)}
    return again.decider_of([surface.but(surface.name, features=features)])


def _surface(application: Application, name: str) -> Surface:
    found = next((each for each in application.surfaces if each.name == name), None)
    if found is None:
        raise ReplayError(f"the application in force then had no surface {name[:80]!r}")
    return found


# ---------------------------------------------------------------- in words


def _titles(again: Recomputation, record: DecisionRecord, made: Decision) -> dict[str, str]:
    """Titles as of the decision, where the items table has a column `title`."""
    items = _surface(again.application, record.surface).items
    reading = again.reading(record.time_ms)
    pages = (record, made.record)
    keys = dict.fromkeys(
        [each.id for page in pages for each in page.items] + [each.id for page in pages for each in page.near]
    )
    rows = {key: reading.row(items, (key,)) for key in keys}
    return {key: str(row["title"]) for key, row in rows.items() if row is not None and row.get("title")}


def _told(
    record: DecisionRecord, made: Decision, said: list[str], proved: bool, titles: Mapping[str, str]
) -> dict[str, Any]:
    change = moved(record, made.record, titles)
    answer = made.answer
    for name in ("budget", "ttl_s", "why"):
        answer.pop(name, None)
    return {
        "decision_id": record.decision_id,
        "surface": record.surface,
        "position": record.position,
        "time_ms": record.time_ms,
        "changed": [_titled(each, titles) for each in said],
        "proved": proved,
        "moved": change["moved"],
        "cards": change["cards"],
        "answer": answer,
        "text": f"What if: {'; '.join(_titled(each, titles) for each in said)}.\n{change['text']}",
    }


def _titled(said: str, titles: Mapping[str, str]) -> str:
    """A change in words, with the title behind the id it names."""
    for key, title in titles.items():
        if f" {key}" in said:
            return said.replace(f" {key}", f" {key} ({title})", 1)
    return said
