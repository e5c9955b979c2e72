"""Nodes made from nodes: filters, projections, renames, and what each keeps of event time, key and change mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nextpaint.record.types import BOOLEAN, TIMESTAMP, Field, Kind
from nextpaint.sql.plan import At, Changes, ColumnRef, Expr, Filter, Literal, Node, Project, Schema, Window
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.scope import Scope, ScopeColumn

WINDOW_COLUMNS = ("window_start", "window_end", "window_time")


@dataclass(frozen=True, slots=True)
class PendingWindow:
    """A window table function that waits for its GROUP BY. Its three columns follow those of the node."""

    function: str
    window: Window
    time: int
    partition: tuple[Expr, ...]
    first: int  # index of window_start in the scope
    at: At


@dataclass(frozen=True, slots=True)
class Relation:
    """What FROM gives: a node, the names over its columns, and a window that is not aggregated yet."""

    node: Node
    scope: Scope
    window: PendingWindow | None = None


def windowed_scope(schema: Schema, qualifier: str) -> Scope:
    """The columns of a table and of a window over it."""
    own = Scope.of(schema, qualifier)
    count = len(schema.fields)
    time = schema.fields[schema.rowtime].type if schema.rowtime is not None else TIMESTAMP
    bounds = (TIMESTAMP, TIMESTAMP, time)
    extra = [
        ScopeColumn(qualifier, name, type_, count + index)
        for index, (name, type_) in enumerate(zip(WINDOW_COLUMNS, bounds, strict=True))
    ]
    return own.joined(Scope(extra))


def filtered(node: Node, predicate: Expr, at: At) -> Node:
    """The rows for which `predicate` is TRUE."""
    if predicate.type != BOOLEAN:
        raise Refusal(f"a condition is BOOLEAN, not {predicate.type}", at)
    return Filter(node.schema, node, predicate, at)


def projected(node: Node, exprs: Sequence[Expr], names: Sequence[str], at: At) -> Node:
    """A projection; the node itself when nothing changes."""
    schema = node.schema
    identity = len(exprs) == len(schema.fields) and all(
        isinstance(each, ColumnRef) and each.index == index for index, each in enumerate(exprs)
    )
    if identity and tuple(names) == schema.names:
        return node
    fields = tuple(Field(name, each.type, nullable(each, schema)) for name, each in zip(names, exprs, strict=True))
    origin = {each.index: index for index, each in reversed(list(enumerate(exprs))) if isinstance(each, ColumnRef)}
    key = tuple(origin[index] for index in schema.key) if all(index in origin for index in schema.key) else ()
    if schema.changes is Changes.UPSERT and not key:
        missing = ", ".join(schema.fields[index].name for index in schema.key if index not in origin)
        raise Refusal("an updating table must keep its key", at, f"select {missing or 'the key columns'} as well")
    times = [origin[index] for index in schema.times if index in origin]
    made = Schema(fields, times[0] if times else None, key, schema.changes, tuple(times[1:]))
    return Project(made, node, tuple(exprs), at)


def led_by(node: Node, time: int) -> Node:
    """The node with this one of its time attributes as the first."""
    schema = node.schema
    if time == schema.rowtime:
        return node
    others = tuple(each for each in schema.times if each != time)
    return replace(node, schema=replace(schema, rowtime=time, more_times=others))


def renamed(node: Node, names: Sequence[str], at: At) -> Node:
    """The same columns under other names."""
    refs = [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(node.schema.fields)]
    return projected(node, refs, names, at)


def nullable(expr: Expr, schema: Schema) -> bool:
    """May the value be NULL? Known only for columns and constants."""
    if isinstance(expr, ColumnRef):
        return schema.fields[expr.index].nullable
    if isinstance(expr, Literal):
        return expr.value is None
    return True


class Inputs:
    """The expressions an aggregation needs computed first; equal ones share a column."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.exprs: list[Expr] = []

    def add(self, expr: Expr) -> int:
        if expr not in self.exprs:
            self.exprs.append(expr)
        return self.exprs.index(expr)

    def add_rowtime(self) -> int | None:
        """The event time's column, if the input has one."""
        rowtime = self._node.schema.rowtime
        if rowtime is None:
            return None
        each = self._node.schema.fields[rowtime]
        return self.add(ColumnRef(each.type, rowtime, each.name))

    def node(self, at: At) -> Node:
        """The projection. An UPSERT input keeps its key so that its rows stay tellable."""
        schema = self._node.schema
        if schema.changes is Changes.UPSERT:
            for index in schema.key:
                self.add(ColumnRef(schema.fields[index].type, index, schema.fields[index].name))
        names: list[str] = []
        for index, each in enumerate(self.exprs):
            name = each.name if isinstance(each, ColumnRef) else f"${index}"
            names.append(name if name not in names else f"{name}${index}")
        return projected(self._node, self.exprs, names, at)


def is_orderable(kind: Kind) -> bool:
    """Can values of this kind be sorted, and told apart by DISTINCT?"""
    return kind not in (Kind.ARRAY, Kind.MAP, Kind.ROW, Kind.NULL)
