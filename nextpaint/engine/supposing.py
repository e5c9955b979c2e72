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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.replay import Frames
from nextpaint.ports import Clock, Disk
from nextpaint.process import checkpoint
from nextpaint.process.coercion import coerce
from nextpaint.process.outputs import plain
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, NotFound, ReplayError
from nextpaint.sql.plan import Table

LAST_VIEW = "last view"
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

    def start(self, up_to: int) -> checkpoint.Checkpoint | None:
        """The newest checkpoint at or before a seq."""
        return None if self.disk is None else checkpoint.newest(self.disk, up_to)


class Supposing:
    """Answers what-if questions about decisions of one ledger. Blocks: run it on a worker thread."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def answer(self, record: DecisionRecord, change: Change, frame: int | None = None) -> dict[str, Any]:
        """The changed page beside the recorded one: {"changed": [in words], "cards", "moved", "answer", "proved",
        "text"}. `frame`: the one that holds the read position, where it is known. Raises InvalidInput, NotFound,
        ReplayError beyond the replay horizon."""
        change.checked()
        forgotten = self._forgotten(record, change.forget, frame)
        first = min((each.seq for each in forgotten), default=record.position + 1)
        start = self._source.start(min(first - 1, record.position))
        again = Recomputation(
            self._source.ledger, self._source.clock, disk=self._source.disk, start=start,
            rankers=self._source.rankers, without=frozenset(each.seq for each in forgotten), known=self._source.known,
        )  # fmt: skip
        decider = again.decider(record)
        proved = not forgotten and not compare(record, again.made(decider, record).record)
        said = [
            f"without {each.named}, {age_text(max(record.time_ms - each.event.ts, 0))} before" for each in forgotten
        ]
        for key, columns in change.items.items():
            said += _supposed(again, key, columns, record.time_ms)
        if change.without:
            decider = _without(again, record, change.without)
            said += [f"without the feature {name}" for name in change.without]
        if change.profiled is not None:
            said.append("with a profile" if change.profiled else "without a profile")
        made = again.made(decider, record, profiled=change.profiled)
        return _told(record, made, said, proved, _titles(again, record, made))

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


def _supposed(again: Recomputation, key: str, columns: Mapping[str, Any], time_ms: int) -> list[str]:
    """Writes an item's facts after the last record, each into the table that has the column; gives them in words."""
    application, said, rest = again.application, [], dict(columns)
    for name in application.item_tables:
        table = application.program.tables[name]
        part = {column: rest.pop(column) for column in table.names if column in rest}
        if part:
            said += _written(again, table, key, part, time_ms)
    if rest:
        known = sorted(
            {column for name in application.item_tables for column in application.program.tables[name].names}
        )
        raise InvalidInput(f"no item table has a column {next(iter(rest))[:80]!r}", where=f"what-if, item {key[:80]}",
                           cure=f"known: {', '.join(known)}")  # fmt: skip
    return said


def _written(again: Recomputation, table: Table, key: str, part: Mapping[str, Any], time_ms: int) -> list[str]:
    held = again.replay.tables.reading(time_ms).row(table.name, (key,))
    if held is None:
        raise NotFound(f"{table.name} has no item {key[:80]!r}", where="what-if", cure="name an item by its id")
    row = {name: plain(value) for name, value in held.items()}
    said = []
    for column, value in part.items():
        try:
            coerce(value, table.fields[table.names.index(column)].type)
        except ValueError as error:
            raise InvalidInput(f"{column}: {error}", where=f"what-if, item {key[:80]}") from error
        said.append(f"{column} of {key} {_shown(value)} instead of {_shown(row[column])}")
        row[column] = value
    if table.watermark is not None:
        row[table.names[table.watermark.column]] = time_ms
    item_key = {table.names[at]: row[table.names[at]] for at in table.primary_key}
    again.replay.suppose(table.name, [Record(_json(item_key), _json(row), time_ms)])
    return said


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
    reading = again.replay.tables.reading(record.time_ms)
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
