"""Facts: columns of live tables, bound to a candidate by the names of the table's key columns.

The key of a fact's table is filled by name: `subject` from the request, then the surface's `inputs`, then the
candidate's row in the items table; `on={...}` overrides. How a fact is read follows from its key and is settled once,
when surfaces compile:

| key                                         | read                                            |
|---------------------------------------------|-------------------------------------------------|
| the items table's own                       | its column at the candidates' slots              |
| one candidate column                        | one `keyed` read for the batch                   |
| request columns only                        | one row, the same value for every candidate      |
| request columns, then one candidate column  | the rows under the request's part, mapped        |
| anything else                               | one row per distinct key                         |

A missing row and a missing part of a key are NULL. Numbers of several tokens of a person add (counts and decayed sums
do); of other types the first token that has a value gives it. Without tokens a personal fact is NULL and nothing is
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np

from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.process.followed import Followed
from nextpaint.record.columns import Column, IntArray, Value
from nextpaint.record.types import Kind, Type

Key = tuple[Value, ...]


class Origin(StrEnum):
    """Who gives a key column its value."""

    SUBJECT = "subject"
    INPUT = "input"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class KeyPart:
    """Key column `column` takes its value from `origin`; `name`: the input, or the items table's column."""

    column: str
    origin: Origin
    name: str = ""


@dataclass(frozen=True, eq=False)
class Fact:
    """`table.column`, of type `type`, read under `key`. `own`: a column of the items table itself. `item_key`: the
    items table's key column."""

    table: str
    column: str
    type: Type
    key: tuple[KeyPart, ...]
    item_key: str
    own: bool = False

    @property
    def path(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def personal(self) -> bool:
        """Whether reading it reads something about the person."""
        return any(part.origin is Origin.SUBJECT for part in self.key)

    @property
    def about(self) -> str:
        """The items column it is kept by beside the item's own key: what it is about, such as `category`; else ''."""
        names = [part.name for part in self.key if part.origin is Origin.ITEM and part.name != self.item_key]
        return names[-1] if names else ""

    def follow(self, items_table: str, followed: Followed) -> None:
        """Say what `read` reads over many keys."""
        from_item = [part.origin is Origin.ITEM for part in self.key]
        last = self.key[-1].name
        if self.own or from_item == [True]:
            followed.column(self.table, self.column)
            if last == self.item_key:
                followed.place(items_table, self.table)
        elif from_item[-1] and not any(from_item[:-1]):
            followed.prefix(self.table)
            if last != self.item_key and self.type.kind is Kind.DOUBLE:
                followed.code(items_table, last)
        for part in self.key:
            if part.origin is Origin.ITEM and part.name != self.item_key:
                followed.column(items_table, part.name)

    def read(self, candidates: Candidates, context: Context) -> Column:
        """One value per candidate, shape (n,)."""
        if self.own:
            return context.column(self.table, self.column).take(candidates.slots)
        from_item = [part.origin is Origin.ITEM for part in self.key]
        if from_item == [True]:
            if self.key[0].name != self.item_key:
                keys = item_values(self.key[0].name, self.item_key, candidates, context)
                return context.reading.keyed(self.table, self.column, keys)
            places = _places(self.table, candidates, context)
            column = context.column(self.table, self.column)
            if not len(column):  # nothing is kept in this table yet
                return column_of(self.type, [None] * len(candidates))
            taken = column.take(places)  # -1, no row, takes the last and is NULL below
            present = places >= 0
            return Column(taken.type, taken.values, present if taken.valid is None else taken.valid & present)
        if not any(from_item):
            value = context.once(self, lambda: self._request_value(context))
            return column_of(self.type, [value]).take(np.zeros(len(candidates), np.int64))
        if from_item[-1] and not any(from_item[:-1]):
            held = context.once(self, lambda: self._by_last_part(context))
            if not held:
                return column_of(self.type, [None] * len(candidates))
            name = self.key[-1].name
            if name != self.item_key and self.type.kind is Kind.DOUBLE and all(isinstance(each, str) for each in held):
                return self._by_code(name, held, candidates, context)
            keys = item_values(name, self.item_key, candidates, context)
            return column_of(self.type, [held.get(each) for each in keys])
        return self._row_by_row(candidates, context)

    def changed_at_ms(self, candidates: Candidates, context: Context) -> list[int | None]:
        """Per candidate: when the ledger last changed the row it was read from; None where there is no row. Facts of
        one row share the look-up."""
        return context.of_batch(
            ("changed", self.table, self.key), candidates, lambda: self._changed_at_ms(candidates, context)
        )

    def _changed_at_ms(self, candidates: Candidates, context: Context) -> list[int | None]:
        at_ms, table = context.reading.changed_at_ms, self.table
        if len(self.key) == 1 and self.key[0].origin is Origin.ITEM and self.key[0].name == self.item_key:
            return at_ms(table, [(key,) for key in candidates.keys()])
        changed: list[int | None] = [None] * len(candidates)
        for subject in self._people(context):
            keys = self._keys(candidates, context, subject)
            different = list(dict.fromkeys(keys))
            found = dict(zip(different, at_ms(table, different), strict=True))
            for index, key in enumerate(keys):
                at, before = found[key], changed[index]
                if at is not None and (before is None or at > before):
                    changed[index] = at
        return changed

    def _people(self, context: Context) -> Sequence[str]:
        return context.subjects if self.personal else ("",)

    def _request_part(self, parts: tuple[KeyPart, ...], context: Context, subject: str) -> Key:
        inputs = context.request.inputs
        return tuple(subject if part.origin is Origin.SUBJECT else cast(Value, inputs.get(part.name)) for part in parts)

    def _keys(self, candidates: Candidates, context: Context, subject: str) -> list[Key]:
        columns = [
            item_values(part.name, self.item_key, candidates, context)
            if part.origin is Origin.ITEM
            else [self._request_part((part,), context, subject)[0]] * len(candidates)
            for part in self.key
        ]
        return list(zip(*columns, strict=True))

    def _value(self, key: Key, context: Context) -> Value:
        row = None if None in key else context.reading.row(self.table, key)
        if row is None:
            return None
        context.known |= self.personal
        return row[self.column]

    def _request_value(self, context: Context) -> Value:
        total: Value = None
        for subject in self._people(context):
            total = unite(total, self._value(self._request_part(self.key, context, subject), context))
        return total

    def _by_last_part(self, context: Context) -> dict[Value, Value]:
        """The rows under the request's part of the key, by the last key column."""
        held: dict[Value, Value] = {}
        last = self.key[-1].column
        for subject in self._people(context):
            prefix = self._request_part(self.key[:-1], context, subject)
            for row in () if None in prefix else context.rows(self.table, prefix):
                held[row[last]] = unite(held.get(row[last]), row[self.column])
        context.known |= self.personal and bool(held)
        return held

    def _by_code(self, name: str, held: dict[Value, Value], candidates: Candidates, context: Context) -> Column:
        """`held` by a text column of the items table: one look-up for each value of it, not for each candidate."""
        codes, code_of = context.items.codes(name)
        values = np.full(len(code_of) + 1, np.nan)  # the last: no value, code -1
        for key, value in held.items():
            if key in code_of and value is not None:
                values[code_of[key]] = value
        taken = values[codes[candidates.slots]]
        return Column(self.type, taken, taken == taken)

    def _row_by_row(self, candidates: Candidates, context: Context) -> Column:
        values: list[Value] = [None] * len(candidates)
        for subject in self._people(context):
            rows: dict[Key, Value] = {}
            for index, key in enumerate(self._keys(candidates, context, subject)):
                if key not in rows:
                    rows[key] = self._value(key, context)
                values[index] = unite(values[index], rows[key])
        return column_of(self.type, values)


def _places(table: str, candidates: Candidates, context: Context) -> IntArray:
    """The slot of each candidate's row in a table kept by item, -1 where there is none; facts of a table share them."""
    return context.of_batch(
        ("slots", table), candidates, lambda: context.places(context.items_table, table)[candidates.slots]
    )


def item_values(name: str, item_key: str, candidates: Candidates, context: Context) -> list[Any]:
    """Column `name` of the candidates' rows in the items table, as Python values."""
    if name == item_key:
        return candidates.keys()
    return context.column(context.items_table, name).take(candidates.slots).to_list()


def unite(first: Value, second: Value) -> Value:
    """One value of two tokens of a person: numbers add, of anything else the first stands; NULL gives way."""
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, int | float) and isinstance(second, int | float) and not isinstance(first, bool):
        return first + second
    return first


def column_of(type_: Type, values: list[Any]) -> Column:
    """`Column.of`, with a short way for floats, which most facts are."""
    if type_.kind in (Kind.DOUBLE, Kind.FLOAT):
        held = np.array([np.nan if value is None else value for value in values], np.float64)
        return Column(type_, held, held == held)  # NaN is the one value that differs from itself
    return Column.of(type_, values)
