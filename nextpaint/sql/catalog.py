"""The tables and views a statement may name, the findings so far, and what a statement has read.

Views are planned once, when first named, and so are tables that take their columns from a query (`unfilled`); one that
has errors is reported once and stops its readers silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from nextpaint.sql.definitions import CreateTable, CreateView
from nextpaint.sql.plan import At, Call, Changes, Node, Scan, Schema
from nextpaint.sql.program import Table
from nextpaint.sql.refusal import AlreadyReported, Refusal, near
from nextpaint.sql.relation import renamed
from nextpaint.sql.syntax import Ident, Query

PlanView = Callable[["Catalog", Query], Node]
Planned = TypeVar("Planned")
FillTable = Callable[["Catalog", CreateTable], Table]


@dataclass(frozen=True, slots=True)
class PlannedView:
    """A view's node and everything it reads, its views before itself."""

    node: Node
    tables: tuple[str, ...]
    views: tuple[str, ...]


@dataclass
class Catalog:
    """`live`: the query runs over the content of tables (a snapshot), not over their changes."""

    tables: dict[str, Table]
    views: Mapping[str, CreateView]
    plan_view: PlanView
    live: bool = False
    filled: Mapping[str, CreateTable] = field(default_factory=dict)  # CREATE TABLE AS, and what is LIKE one
    unfilled: dict[str, CreateTable] = field(default_factory=dict)  # those not planned yet
    fill: FillTable | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    findings: list[Refusal] = field(default_factory=list)
    _planned: dict[str, PlannedView] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _tables_read: dict[str, None] = field(default_factory=dict)
    _views_read: dict[str, None] = field(default_factory=dict)

    def report(self, refusal: Refusal) -> None:
        self.findings.append(refusal)

    def start(self) -> None:
        """Forget what was read: a new statement begins."""
        self._tables_read, self._views_read = {}, {}

    def read(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tables (sorted) and views (definitions before uses) the statement has named."""
        return tuple(sorted(self._tables_read)), tuple(self._views_read)

    def node(self, name: Ident) -> Node:
        """The scan of a table, or the node of a view."""
        if name.text in self.broken:
            raise AlreadyReported(name.text)
        table = self.table(name)
        if table is not None:
            self._tables_read[name.text] = None
            return scan(table, name.at, live=self.live)
        if name.text in self.views:
            return self._view(name)
        raise Refusal(f"unknown table {name.text}", name.at, near(name.text, [*self.tables, *self.views, *self.broken]))

    def table(self, name: Ident) -> Table | None:
        """The table of that name, its columns worked out where they are those of a query."""
        if name.text in self.unfilled:
            if name.text in self.broken:
                raise AlreadyReported(name.text)
            definition = self.unfilled[name.text]
            assert self.fill is not None, "who gives unfilled tables says how to fill them"
            fill = self.fill
            self._refuse_circle(name, "table")
            self.tables[name.text] = self._apart(name.text, lambda: fill(self, definition))
            del self.unfilled[name.text]
        return self.tables.get(name.text)

    def _refuse_circle(self, name: Ident, what: str) -> None:
        if name.text in self._open:
            path = " -> ".join([*self._open[self._open.index(name.text) :], name.text])
            raise Refusal(f"the {what} reads itself: {path}", name.at, "break the circle")

    def _view(self, name: Ident) -> Node:
        planned = self._planned.get(name.text)
        if planned is None:
            self._refuse_circle(name, "view")
            planned = self._planned[name.text] = self._apart(name.text, lambda: self._plan(name.text))
        self._tables_read.update(dict.fromkeys(planned.tables))
        self._views_read.update(dict.fromkeys(planned.views))
        return planned.node

    def _plan(self, name: str) -> PlannedView:
        view = self.views[name]
        node = self.plan_view(self, view.query)
        node = named(node, view.columns, view.name) if view.columns else unique_names(node, view.name.at)
        tables, views = self.read()
        return PlannedView(node, tables, (*views, name))

    def _apart(self, name: str, plan: Callable[[], Planned]) -> Planned:
        """What `plan` makes of `name`, aside from what is being planned: reads of its own, its errors reported."""
        outer = self._tables_read, self._views_read
        self.start()
        self._open.append(name)
        try:
            return plan()
        except Refusal as refusal:
            self.broken.add(name)
            self.report(refusal)
            raise AlreadyReported(name) from refusal
        except AlreadyReported:
            self.broken.add(name)
            raise
        finally:
            self._open.pop()
            self._tables_read, self._views_read = outer


def scan(table: Table, at: At, *, live: bool) -> Scan:
    """The rows of a table: of a keyed one and of one fed with changes its changes, or its content when `live`."""
    rowtime = table.watermark.column if table.watermark is not None else None
    updated = bool(table.primary_key) or table.takes_images
    changes = Changes.RETRACT if updated and not live else Changes.APPEND
    now = tuple(index for index, each in table.computed if isinstance(each, Call) and each.function == "PROCTIME")
    return Scan(Schema(table.fields, rowtime, table.primary_key, changes, proctimes=now), table.name, at)


def named(node: Node, columns: tuple[Ident, ...], owner: Ident) -> Node:
    """`node` under the column names of `owner (a, b, ...)`."""
    if len(columns) != len(node.schema.fields):
        raise Refusal(
            f"{owner.text} names {len(columns)} columns, its query has {len(node.schema.fields)}", columns[0].at
        )
    return renamed(node, [each.text for each in columns], owner.at)


def unique_names(node: Node, at: At) -> Node:
    """A subquery's columns must have names of their own: a reader could not tell them apart."""
    names = node.schema.names
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Refusal(f"two columns are named {name}", at, f"write x AS {name}_2 for one of them")
    return node
