"""Binds the names a surface uses to the application's tables, and collects every mistake.

Nothing here raises: an unknown table, column or input becomes a Diagnostic at the surface's line with the nearest name,
and the caller goes on, so one check shows all errors of an application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

from nextpaint.decide.context import ListPath
from nextpaint.decide.duration import duration_ms
from nextpaint.decide.facts import Fact, KeyPart, Origin
from nextpaint.decide.request import InputType
from nextpaint.process.followed import Followed
from nextpaint.record.errors import Diagnostic
from nextpaint.record.types import Field, Kind, Type
from nextpaint.sql.plan import At
from nextpaint.sql.program import Table

SUBJECT = "subject"  # the key column that is the person, by name

_INPUT_TYPES = {str: Kind.STRING, int: Kind.BIGINT, float: Kind.DOUBLE, bool: Kind.BOOLEAN}


class Binder:
    """The tables and inputs one surface may name. `item_key` is the items table's key column ('' when that is
    wrong)."""

    def __init__(
        self, surface: str, at: At, items: str, inputs: Mapping[str, InputType], tables: Mapping[str, Table]
    ) -> None:
        self.surface = surface
        self.at = at
        self.inputs = inputs
        self.tables = tables
        self.diagnostics: list[Diagnostic] = []
        self.reads: set[str] = set()  # every table that a stage names
        self.followed = Followed()  # what stages read over many keys
        self._facts: dict[tuple[str, tuple[KeyPart, ...]], Fact] = {}
        self.items_table = items
        self.items = self.table(items, "items")
        self.item_key = ""
        if self.items is not None:
            self.item_key = self._item_key(self.items)

    def error(self, what: str, cure: str = "") -> None:
        """Reports a mistake of this surface."""
        self.diagnostics.append(Diagnostic(self.at.file, self.at.line, 0, f"surface {self.surface!r}: {what}", cure))

    def unknown(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Reports an unknown name, with the nearest known one."""
        names = sorted(known)
        near = get_close_matches(name, names, 1)
        listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        self.error(f"unknown {kind} {name!r}", f"did you mean {near[0]!r}?" if near else f"known: {listed or 'none'}")

    def table(self, name: str, used_by: str) -> Table | None:
        """A declared table; reports and gives None where there is none."""
        found = self.tables.get(name)
        if found is None:
            self.unknown(f"table in {used_by}:", name, self.tables)
        else:
            self.reads.add(name)
        return found

    def field(self, table: Table, column: str, used_by: str) -> Field | None:
        """A column of a table; reports and gives None where there is none."""
        for each in table.fields:
            if each.name == column:
                return each
        self.unknown(f"column of {table.name!r} in {used_by}:", column, table.names)
        return None

    def item_column(self, column: str, used_by: str) -> Field | None:
        """A column of the items table."""
        return None if self.items is None else self.field(self.items, column, used_by)

    def numeric(self, table: Table, column: str, used_by: str) -> Field | None:
        """A column that holds numbers."""
        found = self.field(table, column, used_by)
        if found is not None and not found.type.is_numeric:
            self.error(f"{used_by}: {table.name}.{column} is {found.type}, not a number", "name a numeric column")
            return None
        return found

    def duration(self, text: str, used_by: str) -> int:
        """Milliseconds of a length of time; 0 after reporting."""
        try:
            return duration_ms(text)
        except (ValueError, TypeError) as error:
            self.error(f"{used_by}: {error}")
            return 0

    def path(self, path: str, used_by: str) -> tuple[Table, Field] | None:
        """A "table.column" path."""
        name, dot, column = path.partition(".")
        if not dot:
            self.error(f"{used_by}: {path!r} is not a column", "write 'table.column'")
            return None
        table = self.table(name, used_by)
        field = None if table is None else self.field(table, column, used_by)
        return None if table is None or field is None else (table, field)

    def item_list(self, path: str, used_by: str) -> ListPath | None:
        """A "table.column" that is a LAST_N list of items: ARRAY<ROW<item STRING, [weight,] time TIMESTAMP>> by
        subject."""
        found = self.path(path, used_by)
        if found is None:
            return None
        table, field = found
        row = field.type.element
        fields = row.fields if field.type.kind is Kind.ARRAY and row is not None else ()
        item = _first(fields, lambda type_: type_.kind is Kind.STRING)
        time = _first(fields, lambda type_: type_.is_time)
        if item is None or time is None:
            self.error(
                f"{used_by}: {path} is {field.type}, not a list of items",
                "fill it with LAST_N(ROW(item_id, weight, ts), 50)",
            )
            return None
        if [table.names[index] for index in table.primary_key] != [SUBJECT]:
            self.error(
                f"{used_by}: {table.name!r} is not kept by person", f"declare PRIMARY KEY ({SUBJECT}) NOT ENFORCED"
            )
            return None
        return ListPath(table.name, field.name, item, time, _first(fields, lambda type_: type_.is_numeric))

    def fact(self, path: str, used_by: str, on: Mapping[str, str] | None = None) -> Fact | None:
        """A "table.column", its key bound by name; `on` maps key columns to "subject", "inputs.name" or an items
        column."""
        found = self.path(path, used_by)
        if found is None:
            return None
        table, field = found
        names = [table.names[index] for index in table.primary_key]
        if not names:
            self.error(
                f"{used_by}: {table.name!r} has no primary key, so it cannot be read by key",
                "declare PRIMARY KEY (...)",
            )
            return None
        for name in on or ():
            if name not in names:
                self.unknown(f"key column of {table.name!r} in on= of {used_by}:", name, names)
        parts = [self._key_part(table, name, (on or {}).get(name, ""), used_by) for name in names]
        key = tuple(part for part in parts if part is not None)
        if len(key) < len(names):
            return None
        own = table.name == self.items_table and not on
        fact = self._facts.setdefault((path, key), Fact(table.name, field.name, field.type, key, self.item_key, own))
        fact.follow(self.items_table, self.followed)
        return fact

    def columns(self) -> dict[str, Type]:
        """What a condition may name: every column as "table.column", and the inputs as "inputs.name"."""
        named = {
            f"{table.name}.{field.name}": field.type
            for table in self.tables.values()
            if table.primary_key
            for field in table.fields
        }
        for name, declared in self.inputs.items():
            if declared.kind in _INPUT_TYPES:
                named[f"inputs.{name}"] = Type(_INPUT_TYPES[declared.kind])
        return named

    def _key_part(self, table: Table, column: str, source: str, used_by: str) -> KeyPart | None:
        item_names = self.items.names if self.items is not None else ()
        if source.startswith("inputs."):
            name = source.removeprefix("inputs.")
            if name in self.inputs:
                return KeyPart(column, Origin.INPUT, name)
            self.unknown(f"input in on= of {used_by}:", name, self.inputs)
            return None
        if (source or column) == SUBJECT:
            return KeyPart(column, Origin.SUBJECT)
        if source:
            name = source.removeprefix(f"{self.items_table}.")
            if name in item_names:
                return KeyPart(column, Origin.ITEM, name)
            self.unknown(f"column of {self.items_table!r} in on= of {used_by}:", name, item_names)
            return None
        # The items table's key stays the candidate's even where an input has its name: `inventory.stock` is the stock
        # of the item that is about to be shown, not of the page it is shown on.
        if column == self.item_key:
            return KeyPart(column, Origin.ITEM, column)
        if column in self.inputs:
            return KeyPart(column, Origin.INPUT, column)
        if column in item_names:
            return KeyPart(column, Origin.ITEM, column)
        self.error(
            f"{used_by}: nothing is named like key column {column!r} of {table.name!r}",
            f"write on={{{column!r}: 'inputs.<name>'}} or a column of {self.items_table!r}",
        )
        return None

    def _item_key(self, items: Table) -> str:
        if len(items.primary_key) != 1:
            self.error(f"items table {items.name!r} needs a primary key of one column", "declare PRIMARY KEY (item_id)")
            return ""
        field = items.fields[items.primary_key[0]]
        if field.type.kind is not Kind.STRING:
            self.error(
                f"key {field.name!r} of items table {items.name!r} is {field.type}", "item ids are STRING: CAST them"
            )
        return field.name


def _first(fields: tuple[Field, ...], wanted: Callable[[Type], bool]) -> int | None:
    return next((index for index, field in enumerate(fields) if wanted(field.type)), None)
