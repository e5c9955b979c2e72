"""Nodes made from nodes: filters, projections, renames, and what each keeps of event time, key and change mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nextpaint.record.types import BIGINT, BOOLEAN, TIMESTAMP, Field, Kind
from nextpaint.sql.plan import (
    ArrivalTime,
    At,
    Call,
    Changes,
    ColumnRef,
    Expr,
    Filter,
    Literal,
    Node,
    Project,
    Rank,
    Schema,
    Window,
    Windowed,
    WindowKind,
    WindowTable,
    columns_of,
)
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


def window_table(pending: PendingWindow, node: Node) -> WindowTable:
    """The window table function as a node of its own: the columns of `windowed_scope`."""
    schema = node.schema
    if schema.changes is not Changes.APPEND and pending.window.kind is WindowKind.SESSION:
        raise Refusal(
            "SESSION without GROUP BY of its windows needs rows that are not updated later",
            pending.at,
            "GROUP BY window_start, window_end and the keys, or window the stream that feeds the table",
        )
    count = len(schema.fields)
    time = schema.fields[pending.time]
    edges = (Field("window_start", TIMESTAMP, False), Field("window_end", TIMESTAMP, False))
    fields = (*schema.fields, *edges, Field("window_time", time.type, False))
    keys = tuple(each.index for each in pending.partition if isinstance(each, ColumnRef))
    windowed = Windowed(count, count + 1, pending.window, pending.time)
    return WindowTable(
        Schema(fields, count + 2, (), schema.changes, windowed=windowed),
        node,
        pending.window,
        pending.time,
        keys,
        pending.at,
    )


def with_window(relation: Relation) -> Relation:
    """The relation with a window table function that waits for a GROUP BY as a node of its own."""
    if relation.window is None:
        return relation
    return Relation(window_table(relation.window, relation.node), relation.scope)


def filtered(node: Node, predicate: Expr, at: At) -> Node:
    """The rows for which `predicate` is TRUE."""
    if predicate.type != BOOLEAN:
        raise Refusal(f"a condition is BOOLEAN, not {predicate.type}", at)
    return Filter(node.schema, node, predicate, at)


def projected(node: Node, exprs: Sequence[Expr], names: Sequence[str], at: At) -> Node:
    """A projection; the node itself when nothing changes."""
    used = frozenset().union(*map(columns_of, exprs)) if exprs else frozenset()
    node = _rank_hidden(node, used) or node
    schema = node.schema
    identity = len(exprs) == len(schema.fields) and all(
        isinstance(each, ColumnRef) and each.index == index for index, each in enumerate(exprs)
    )
    if identity and tuple(names) == schema.names:
        return node
    fields = tuple(Field(name, each.type, nullable(each, schema)) for name, each in zip(names, exprs, strict=True))
    origin = {each.index: index for index, each in reversed(list(enumerate(exprs))) if isinstance(each, ColumnRef)}
    key = tuple(origin[index] for index in schema.key) if all(index in origin for index in schema.key) else ()
    times = [origin[index] for index in schema.times if index in origin]
    now = tuple(index for index, each in enumerate(exprs) if is_now(each, schema))
    windowed = _windowed(schema.windowed, origin)
    made = Schema(fields, times[0] if times else None, key, schema.changes, tuple(times[1:]), now, windowed)
    return Project(made, node, tuple(exprs), at)


def is_now(expr: Expr, schema: Schema) -> bool:
    """Is it a processing-time attribute?"""
    if isinstance(expr, ColumnRef):
        return expr.index in schema.proctimes
    return isinstance(expr, Call) and expr.function == "PROCTIME"


def by_arrival(node: Node, time: int, at: At) -> Node:
    """The node in order of processing time, which `time` holds, as its event time. Raises Refusal."""
    schema = node.schema
    if schema.changes is not Changes.APPEND:
        raise Refusal("rows that are updated have no processing time of their own", at, "use the stream of events")
    made = replace(schema, rowtime=time, more_times=(), proctimes=(), windowed=None)
    return ArrivalTime(made, node, time, at)


def led_by(node: Node, time: int) -> Node:
    """The node with this one of its time attributes as the first."""
    schema = node.schema
    if time == schema.rowtime:
        return node
    others = tuple(each for each in schema.times if each != time)
    return replace(node, schema=replace(schema, rowtime=time, more_times=others))


def _windowed(windowed: Windowed | None, origin: dict[int, int]) -> Windowed | None:
    if windowed is None or windowed.start not in origin or windowed.end not in origin:
        return None
    time = origin.get(windowed.time) if windowed.time is not None else None
    return Windowed(origin[windowed.start], origin[windowed.end], windowed.window, time)


def rank_schema(node: Node, partition: Sequence[int], rows: tuple[int, int | None], shown: bool) -> Schema:
    """The schema of a rank over `node`. With the rank each (partition, rank) is one row that changes; without it rows
    come and go, and only the input's own key tells them apart."""
    schema = node.schema
    rank = len(schema.fields)
    key = (*partition, rank) if shown else tuple(partition) if rows[0] == rows[1] else schema.key
    return Schema((*schema.fields, Field("rank$", BIGINT, False)), None, key, Changes.RETRACT)


def _rank_hidden(node: Node, used: frozenset[int]) -> Node | None:
    """The node with a rank below that nobody reads not shown; None where there is nothing to change."""
    match node:
        case Rank(shown=True, last=int()) if len(node.input.schema.fields) not in used:
            schema = rank_schema(node.input, node.partition, (node.first, node.last), False)
            return replace(node, schema=schema, shown=False)
        case Filter():
            inner = _rank_hidden(node.input, used | columns_of(node.predicate))
            return Filter(inner.schema, inner, node.predicate, node.at) if inner is not None else None
        case Project():
            below = frozenset().union(*(columns_of(node.exprs[index]) for index in used)) if used else frozenset()
            inner = _rank_hidden(node.input, below)
            return projected(inner, node.exprs, node.schema.names, node.at) if inner is not None else None
    return None


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
        """The projection."""
        return self.with_further((), at)

    def with_further(self, exprs: Sequence[Expr], at: At) -> Node:
        """The projection with more columns at its end, also such as are there already."""
        names: list[str] = []
        for index, each in enumerate((*self.exprs, *exprs)):
            name = each.name if isinstance(each, ColumnRef) else f"${index}"
            names.append(name if name not in names else f"{name}${index}")
        return projected(self._node, (*self.exprs, *exprs), names, at)


def is_orderable(kind: Kind) -> bool:
    """Can values of this kind be sorted, and told apart by DISTINCT?"""
    return kind not in (Kind.ARRAY, Kind.MAP, Kind.ROW, Kind.NULL)
