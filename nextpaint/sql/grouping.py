"""GROUP BY: plain, per window, and with GROUPING SETS, ROLLUP and CUBE.

An aggregation becomes: a projection that computes keys and arguments (of GROUPING SETS one per set, with NULL for the
keys that are not in it, put together again), the aggregation over its columns, HAVING as a filter, ROW_NUMBER over the
result, and a projection of the SELECT list in which aggregates and keys are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nextpaint.record import types
from nextpaint.record.types import Field
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import AggregateCalls, check_time, is_aggregate
from nextpaint.sql.binder import Binder, Replace
from nextpaint.sql.group_windows import GroupWindow, group_window, has_columns
from nextpaint.sql.lifetimes import lifetimes_of
from nextpaint.sql.nested_keys import key_type, packed, unpacked
from nextpaint.sql.overs import plan_over
from nextpaint.sql.plan import (
    Call,
    Changes,
    ColumnRef,
    Expr,
    GroupAggregate,
    Literal,
    Node,
    Schema,
    Union,
    Window,
    WindowAggregate,
    Windowed,
    WindowedAggregate,
    WindowKind,
    columns_of,
)
from nextpaint.sql.ranks import bounded, plan_rank
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import WINDOW_COLUMNS, Inputs, PendingWindow, Relation, projected, with_window
from nextpaint.sql.scope import Scope
from nextpaint.sql.select_list import select_list
from nextpaint.sql.sources import Environment
from nextpaint.sql.value_subqueries import Outer, lifted

_GROUPING = ("GROUPING", "GROUPING_ID")


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys beside the window's columns; of GROUPING SETS which keys each set has."""

    exprs: tuple[Expr, ...]
    sets: tuple[frozenset[int], ...] = ()

    @property
    def columns(self) -> int:
        """Key columns of the aggregation: the keys, and with sets the number of the set."""
        return len(self.exprs) + bool(self.sets)


class _Grouping:
    """Puts group keys and aggregates in the place of what was written. `edges`: bound window columns with their
    places in the output."""

    def __init__(
        self,
        relation: Relation,
        keys: _Keys,
        edges: Sequence[tuple[Expr, int]],
        aggregates: AggregateCalls,
        window: GroupWindow | None,
    ) -> None:
        scope = relation.scope
        self._inner = Binder(scope)
        self._scope = scope
        self._sets = keys
        self._keys = [*((key, index) for index, key in enumerate(keys.exprs)), *edges]
        self._aggregates = aggregates
        self._first = keys.columns + (len(WINDOW_COLUMNS) if edges or window is not None else 0)
        self._window = window

    def replace(self, node: syntax.Expression) -> Expr | None:
        if isinstance(node, syntax.Call) and is_aggregate(node):
            ordinal = self._aggregates.add(node)
            found = self._aggregates.found[ordinal]
            return ColumnRef(found.type, self._first + ordinal, f"{node.name.lower()}${ordinal}", node.at)
        if isinstance(node, syntax.Call) and node.name in _GROUPING:
            return self._grouping(node)
        if isinstance(node, syntax.Call) and self._window is not None:
            edge = self._window.edge(node)
            if edge is not None:
                return self._edge(edge, node)
        if isinstance(node, syntax.Name):
            return self._rewritten(self._scope.resolve(node), node)
        if any(is_aggregate(each) for each in syntax.walk(node)):
            return None
        try:
            return self._key(self._inner.bind(node))
        except Refusal:
            return None  # the rules will meet the same place again and refuse it there

    def _grouping(self, node: syntax.Call) -> Expr:
        """GROUPING(k, ...): a bit per argument, 1 where the row's set does not have it."""
        places = []
        for arg in node.args:
            key = self._inner.value(arg)
            if key not in self._sets.exprs:
                raise Refusal(f"{node.name} takes keys of GROUP BY", arg.at, "name a grouped column")
            places.append(self._sets.exprs.index(key))
        if not places:
            raise Refusal(f"{node.name} takes keys of GROUP BY", node.at, "GROUPING(k)")
        number = ColumnRef(types.BIGINT, len(self._sets.exprs), "set$", node.at)
        args: list[Expr] = []
        for ordinal, present in enumerate(self._sets.sets):
            bits = sum((place not in present) << shift for shift, place in enumerate(reversed(places)))
            args += [
                Call(types.BOOLEAN, "=", (number, Literal(types.BIGINT, ordinal, node.at)), at=node.at),
                Literal(types.BIGINT, bits, node.at),
            ]
        zero = Literal(types.BIGINT, 0, node.at)
        return Call(types.BIGINT, "CASE", (*args, zero), at=node.at) if args else zero

    def _edge(self, edge: int, node: syntax.Call) -> Expr:
        """The window's start, end or time: they follow the keys."""
        assert self._window is not None and self._window.relation.window is not None
        time = self._window.relation.window.time
        of_time = self._window.relation.node.schema.fields[time].type
        kind = of_time if WINDOW_COLUMNS[edge] == "window_time" else types.TIMESTAMP
        return ColumnRef(kind, self._sets.columns + edge, WINDOW_COLUMNS[edge], node.at)

    def _key(self, expr: Expr) -> Expr | None:
        for key, index in self._keys:
            if key == expr:
                name = key.name if isinstance(key, ColumnRef) else f"$key{index}"
                return unpacked(ColumnRef(key_type(key.type), index, name, expr.at), key.type)
        return None

    def _rewritten(self, expr: Expr, node: syntax.Name) -> Expr:
        found = self._key(expr)
        if found is not None:
            return found
        if isinstance(expr, Call) and expr.function != "FIELD":
            args = tuple(self._rewritten(each, node) for each in expr.args)
            return Call(expr.type, expr.function, args, expr.options, expr.at)
        raise Refusal(
            f"{node} is neither grouped nor aggregated", node.at, f"add {node} to GROUP BY or write LAST_VALUE({node})"
        )


def plan_grouped(env: Environment, select: syntax.Select, relation: Relation, over: Sequence[syntax.Call]) -> Node:
    """A SELECT with GROUP BY, HAVING or aggregates. `over`: its OVER calls, which rank the groups."""
    window = group_window(env, select, relation)
    if window is not None:
        relation, select = window.relation, window.select
    elif relation.window is not None and not has_columns(relation, _bound_keys(select, relation.scope, select.group)):
        relation = with_window(relation)  # rows of windows, grouped by something else
    windows = relation.window is not None or _groups_windows(select, relation)
    bound = _bound_keys(select, relation.scope, select.group)
    edges = _window_edges(relation) if windows else {}
    inside = [each for each in bound if isinstance(each, ColumnRef) and each.index in edges]
    keys = _keys(select, relation.scope, [each for each in bound if each not in inside])
    if windows and window is None:
        _check_windows(select, relation, keys)
    inputs = Inputs(relation.node)
    if not keys.sets:
        for key in keys.exprs:
            inputs.add(packed(key))
    calls = AggregateCalls(Binder(relation.scope), inputs, relation.node.schema.changes)
    placed = [(each, keys.columns + edges[each.index]) for each in inside]
    grouping = _Grouping(relation, keys, placed, calls, window)
    binder = Binder(relation.scope, grouping.replace)
    if over:
        _collect(calls, [each.over for each in over if each.over is not None])
    late = bool(over) or any(syntax.subqueries((select.items, select.having)))  # bound over the aggregation's rows
    columns = [] if late else select_list(env, select, relation.scope, binder)
    if late:
        _collect(calls, [select.items, select.qualify, select.having])
    having = binder.condition(select.having, "HAVING") if select.having is not None and not late else None
    if windows:
        node = _windowed(select, relation, keys, inputs, calls)
    else:
        node = _grouped(env, select, keys, inputs, calls)
    if late:
        return _late(env, select, Relation(node, relation.scope), (grouping, over))
    if having is not None and select.having is not None:
        node = bounded(node, having, select.having.at)
    return projected(node, [expr for expr, _ in columns], [name for _, name in columns], select.at)


def _late(
    env: Environment, select: syntax.Select, grouped: Relation, bound: tuple[_Grouping, Sequence[syntax.Call]]
) -> Node:
    """What is bound over the rows of an aggregation: subqueries, HAVING with them, ranks of the groups, the list."""
    grouping, over = bound
    names = _GroupNames(Binder(grouped.scope, grouping.replace))
    outer = Outer(names, names.binder, len(grouped.node.schema.fields))
    node, found = lifted(env, grouped.node, outer, (select.items, select.having))
    rules: list[Replace] = [found, grouping.replace]

    def replaced(written: syntax.Expression) -> Expr | None:
        return next((expr for rule in rules if (expr := rule(written)) is not None), None)

    binder = Binder(grouped.scope, replaced)
    if select.having is not None:
        node = bounded(node, binder.condition(select.having, "HAVING"), select.having.at)
    if over:
        plan = plan_rank if all(each.name == "ROW_NUMBER" for each in over) else plan_over
        planned = plan(Relation(node, grouped.scope), over, select.windows, binder)
        node = planned.node
        rules.insert(0, planned.replace)
        if select.qualify is not None:
            node = bounded(node, binder.condition(select.qualify, "QUALIFY"), select.qualify.at)
    columns = select_list(env, select, grouped.scope, binder)
    return projected(node, [expr for expr, _ in columns], [name for _, name in columns], select.at)


class _GroupNames:
    """Names as they mean columns of an aggregation's rows."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder

    def resolve(self, name: syntax.Name) -> Expr:
        return self.binder.bind(name)


def _collect(calls: AggregateCalls, parts: Sequence[object]) -> None:
    """Add the aggregates of what is bound only after the aggregation has its node."""
    for part in parts:
        inside = (part.partition, part.order) if isinstance(part, syntax.Over) else part
        for each in syntax.walk(inside):
            if isinstance(each, syntax.Call) and is_aggregate(each):
                calls.add(each)


# ---------------------------------------------------------------- keys


def _bound_keys(select: syntax.Select, scope: Scope, group: Sequence[syntax.Expression]) -> list[Expr]:
    keys: list[Expr] = []
    binder = Binder(scope)
    for node in group:
        for each in syntax.walk(node):
            if is_aggregate(each):
                raise Refusal("an aggregate in GROUP BY", each.at)
        key = binder.value(node)
        if key not in keys:
            keys.append(key)
    return keys


def _keys(select: syntax.Select, scope: Scope, exprs: Sequence[Expr]) -> _Keys:
    sets = []
    for each in select.sets:
        bound = _bound_keys(select, scope, each)
        sets.append(frozenset(index for index, key in enumerate(exprs) if key in bound))
    return _Keys(tuple(exprs), tuple(sets))


def _key_fields(keys: _Keys) -> list[Field]:
    fields = [
        Field(each.name if isinstance(each, ColumnRef) else f"$key{index}", key_type(each.type))
        for index, each in enumerate(keys.exprs)
    ]
    return [*fields, Field("set$", types.BIGINT, False)] if keys.sets else fields


def _source(inputs: Inputs, keys: _Keys, select: syntax.Select) -> tuple[Node, tuple[int, ...]]:
    """The aggregation's input, and the places of its keys."""
    if not keys.sets:
        # Nothing to compute is fine for COUNT(*): one constant column keeps the rows countable.
        if not inputs.exprs:
            inputs.add(Literal(types.INT, 1))
        places = tuple(inputs.add(packed(key)) for key in keys.exprs)
        return inputs.node(select.at), places
    several = []
    for ordinal, present in enumerate(keys.sets):
        packs = [packed(key) for key in keys.exprs]
        own = [key if at in present else Literal(key.type, None) for at, key in enumerate(packs)]
        several.append(inputs.with_further([*own, Literal(types.BIGINT, ordinal)], select.at))
    first = len(inputs.exprs)
    schema = several[0].schema
    fields = tuple(replace(each, nullable=True) for each in schema.fields)
    node = Union(Schema(fields, schema.rowtime, (), schema.changes), tuple(several), select.at)
    return node, tuple(range(first, first + keys.columns))


def _aggregate_fields(calls: AggregateCalls) -> list[Field]:
    return [Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(calls.found)]


def _grouped(env: Environment, select: syntax.Select, keys: _Keys, inputs: Inputs, calls: AggregateCalls) -> Node:
    rowtime = inputs.add_rowtime() if calls.needs_rowtime else None
    check_time(calls.found, rowtime is not None, select.at)
    source, places = _source(inputs, keys, select)
    fields = (*_key_fields(keys), *_aggregate_fields(calls))
    changes = Changes.APPEND if env.catalog.live else Changes.RETRACT
    output = Schema(fields, None, tuple(range(keys.columns)), changes)
    ttl_ms = None if isinstance(select.source, syntax.Join) else min(lifetimes_of(select).values(), default=None)
    return GroupAggregate(output, source, places, tuple(calls.found), select.at, ttl_ms)


# ---------------------------------------------------------------- windows


def _groups_windows(select: syntax.Select, relation: Relation) -> bool:
    """Does GROUP BY name both bounds of the windows that the rows carry already?"""
    windowed = relation.node.schema.windowed
    if windowed is None:
        return False
    bound = {each.index for each in _bound_keys(select, relation.scope, select.group) if isinstance(each, ColumnRef)}
    return {windowed.start, windowed.end} <= bound


def _window_edges(relation: Relation) -> dict[int, int]:
    """Scope column -> 0 for the window's start, 1 for its end, 2 for its time."""
    if relation.window is not None:
        return {relation.window.first + offset: offset for offset in range(len(WINDOW_COLUMNS))}
    schema = relation.node.schema
    assert schema.windowed is not None
    edges = {schema.windowed.start: 0, schema.windowed.end: 1}
    return edges if schema.rowtime is None else edges | {schema.rowtime: 2}


def _check_windows(select: syntax.Select, relation: Relation, keys: _Keys) -> None:
    for each in select.sets:
        inside = {key.index for key in _bound_keys(select, relation.scope, each) if isinstance(key, ColumnRef)}
        edges = {column for column, offset in _window_edges(relation).items() if offset < 2}
        if not edges <= inside:
            raise Refusal(
                "every grouping set of a window aggregation has window_start and window_end", select.group[0].at
            )
    if relation.window is not None:
        _check_pending(keys, relation.window)


def _check_pending(keys: _Keys, pending: PendingWindow) -> None:
    for each in keys.exprs:
        if max(columns_of(each), default=-1) >= pending.first:
            raise Refusal(
                "GROUP BY of a computation on window columns is not supported", each.at, "group by them as they are"
            )
    window = pending.window
    same = all(key in pending.partition for key in keys.exprs) and all(each in keys.exprs for each in pending.partition)
    if window.kind is WindowKind.SESSION and not same:
        raise Refusal(
            "the PARTITION BY of SESSION and the keys of GROUP BY differ", pending.at, "write the same columns in both"
        )
    if window.kind is WindowKind.HOP and window.size % window.step:
        raise Refusal(
            f"HOP's size ({window.size} ms) is not a multiple of its slide ({window.step} ms)",
            pending.at,
            "the slide comes first, then the size",
        )


def _window_of(relation: Relation) -> Window:
    if relation.window is not None:
        return relation.window.window
    windowed = relation.node.schema.windowed
    assert windowed is not None
    return windowed.window


def _windowed(select: syntax.Select, relation: Relation, keys: _Keys, inputs: Inputs, calls: AggregateCalls) -> Node:
    """Aggregation per window: of a window table function, or of rows that carry their window."""
    schema = relation.node.schema
    time = inputs.add_rowtime()
    if relation.window is None:
        assert schema.windowed is not None
        bounds = (schema.windowed.start, schema.windowed.end)
        start, end = (inputs.add(ColumnRef(types.TIMESTAMP, at, schema.fields[at].name)) for at in bounds)
    source, places = _source(inputs, keys, select)
    times = schema.fields[schema.rowtime].type if schema.rowtime is not None else types.TIMESTAMP
    edges = zip(WINDOW_COLUMNS, (types.TIMESTAMP, types.TIMESTAMP, times), strict=True)
    count = keys.columns
    fields = (*_key_fields(keys), *(Field(name, each, False) for name, each in edges), *_aggregate_fields(calls))
    window = _window_of(relation)
    windowed = Windowed(count, count + 1, window)
    output = Schema(fields, count + 2, tuple(range(count + 2)), Changes.APPEND, windowed=windowed)
    found = tuple(calls.found)
    if relation.window is None:
        return WindowedAggregate(output, source, start, end, places, found, select.at, window.zone)
    assert time is not None  # the window table function has checked it
    return WindowAggregate(output, source, window, time, places, found, relation.window.at)
