"""SELECT: the projection, and the three ways rows are aggregated (GROUP BY, windows, OVER).

An aggregation becomes: a projection that computes keys and arguments, the aggregation over its columns, HAVING as a
filter, and a projection of the SELECT list in which aggregates and keys are columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.record import types
from nextpaint.record.types import Field
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import AggregateCalls, check_time, is_aggregate
from nextpaint.sql.binder import Binder
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
    Values,
    WindowAggregate,
    Windowed,
    WindowedAggregate,
    WindowKind,
)
from nextpaint.sql.ranks import bounded, plan_rank
from nextpaint.sql.refusal import AlreadyReported, Refusal
from nextpaint.sql.relation import WINDOW_COLUMNS, Inputs, PendingWindow, Relation, filtered, projected, with_window
from nextpaint.sql.scope import Scope
from nextpaint.sql.sources import Environment, plan_source
from nextpaint.sql.subqueries import semi_joined, without_subqueries


def plan_select(env: Environment, select: syntax.Select) -> Node:
    """The node of one SELECT. Findings in separate items of its list are all reported."""
    plain, subqueries = without_subqueries(select.where)
    _check_where(plain)
    relation = _from(env, select, plain)
    for subquery in subqueries:
        relation = semi_joined(env, relation, subquery)
    parts = (select.items, select.having, select.qualify)
    calls = [each for each in syntax.walk(parts) if isinstance(each, syntax.Call)]
    over = [each for each in calls if each.over is not None]
    grouped = bool(select.group) or select.having is not None or any(is_aggregate(each) for each in calls)
    if over and grouped:
        raise Refusal("OVER together with GROUP BY is not supported yet", over[0].at, "aggregate in a subquery first")
    if select.qualify is not None and not over:
        raise Refusal("QUALIFY filters on an OVER column, and there is none", select.qualify.at, "use WHERE")
    if grouped and relation.window is not None:
        return _windowed(env, select, relation, relation.window)
    if grouped and _groups_windows(select, relation):
        return _windowed(env, select, relation, None)
    if grouped:
        return _grouped(env, select, relation)
    relation = with_window(relation)
    if over:
        return _over(env, select, relation, over)
    return _projection(env, select, relation.node, relation.scope, Binder(relation.scope))


def _over(env: Environment, select: syntax.Select, relation: Relation, calls: Sequence[syntax.Call]) -> Node:
    """A SELECT with OVER calls: one node that adds their columns, QUALIFY as a filter, and the list."""
    if env.catalog.live:
        raise Refusal("OVER in a query over live tables is not supported", calls[0].at, "INSERT it into a table")
    numbers = all(each.name == "ROW_NUMBER" for each in calls)
    planned = (plan_rank if numbers else plan_over)(relation, calls, select.windows)
    binder = Binder(relation.scope, planned.replace)
    node = planned.node
    if select.qualify is not None:
        condition = _aliases_written_out(select, relation.scope)
        node = bounded(node, binder.condition(condition, "QUALIFY"), select.qualify.at)
    return _projection(env, select, node, relation.scope, binder)


def _aliases_written_out(select: syntax.Select, scope: Scope) -> syntax.Expression:
    """QUALIFY with the SELECT list's aliases replaced by what they stand for; a column of that name comes first."""
    assert select.qualify is not None
    own = {each.name for each in scope.columns}
    aliased = [(each.alias.text, each.expression) for each in select.items if each.alias is not None]
    condition: syntax.Expression = syntax.replaced(select.qualify, {n: e for n, e in aliased if n not in own})
    return condition


def _from(env: Environment, select: syntax.Select, where: syntax.Expression | None) -> Relation:
    """FROM with WHERE applied."""
    if isinstance(select.source, syntax.Join):
        return plan_source(env, select.source, where)
    if select.source is not None:
        relation = plan_source(env, select.source)
    elif env.catalog.live:
        relation = Relation(Values(Schema(()), ((),), select.at), Scope(()))
    else:
        raise Refusal("SELECT without FROM has no place in a stream", select.at, "select from a table")
    return relation if where is None else _where(relation, where)


def _check_where(where: syntax.Expression | None) -> None:
    for each in syntax.walk(where):
        if is_aggregate(each):
            raise Refusal("an aggregate in WHERE", each.at, "use HAVING")
        if isinstance(each, syntax.Call) and each.over is not None:
            raise Refusal("OVER in WHERE", each.at, "filter in an outer query")


def _where(relation: Relation, where: syntax.Expression) -> Relation:
    predicate = Binder(relation.scope).condition(where, "WHERE")
    if relation.window is not None and _reads(predicate, relation.window.first):
        relation = with_window(relation)
    return Relation(bounded(relation.node, predicate, where.at), relation.scope, relation.window)


def _reads(expr: Expr, first: int) -> bool:
    """Does the expression read a column at or after `first`?"""
    if isinstance(expr, ColumnRef):
        return expr.index >= first
    return isinstance(expr, Call) and any(_reads(each, first) for each in expr.args)


# ---------------------------------------------------------------- the SELECT list


def _projection(env: Environment, select: syntax.Select, node: Node, scope: Scope, binder: Binder) -> Node:
    """The SELECT list over `node`; `*` expands over `scope`."""
    exprs: list[Expr] = []
    names: list[str] = []
    failed = False
    for item in select.items:
        try:
            for expr, name in _item(item, scope, binder, len(exprs)):
                exprs.append(expr)
                names.append(name)
        except Refusal as refusal:
            env.catalog.report(refusal)
            failed = True
    if failed:
        raise AlreadyReported
    return projected(node, exprs, names, select.at)


def _item(item: syntax.SelectItem, scope: Scope, binder: Binder, ordinal: int) -> list[tuple[Expr, str]]:
    if isinstance(item.expression, syntax.Star):
        columns = scope.expand(item.expression.qualifier, item.at)
        if not columns:
            raise Refusal("* without a table", item.at)
        found: list[tuple[Expr, str]] = []
        for each in columns:
            name = syntax.Ident(each.name, item.at)
            parts = (syntax.Ident(each.qualifier, item.at), name) if each.qualifier else (name,)
            found.append((binder.bind(syntax.Name(parts, item.at)), each.name))
        return found
    expr = binder.bind(item.expression)
    if expr.type.kind is types.Kind.NULL:
        raise Refusal("NULL has no type here", item.at, "write CAST(NULL AS type)")
    if expr.type.kind in (types.Kind.INTERVAL_DAY, types.Kind.INTERVAL_YEAR):
        raise Refusal("an interval cannot be a column", item.at, "add it to a time or use a number")
    return [(expr, _name(item, ordinal))]


def _name(item: syntax.SelectItem, ordinal: int) -> str:
    if item.alias is not None:
        return item.alias.text
    if isinstance(item.expression, syntax.Name):
        return item.expression.parts[-1].text
    if isinstance(item.expression, syntax.FieldOf):
        return item.expression.name.text
    return f"EXPR${ordinal}"


# ---------------------------------------------------------------- GROUP BY


class _Grouping:
    """Puts group keys and aggregates in the place of what was written."""

    def __init__(self, scope: Scope, keys: Sequence[tuple[Expr, int]], aggregates: AggregateCalls, first: int) -> None:
        self._inner = Binder(scope)
        self._scope = scope
        self._keys = keys
        self._aggregates = aggregates
        self._first = first  # index of the first aggregate in the aggregation's output

    def replace(self, node: syntax.Expression) -> Expr | None:
        if isinstance(node, syntax.Call) and is_aggregate(node):
            ordinal = self._aggregates.add(node)
            found = self._aggregates.found[ordinal]
            return ColumnRef(found.type, self._first + ordinal, f"{node.name.lower()}${ordinal}", node.at)
        if isinstance(node, syntax.Name):
            return self._rewritten(self._scope.resolve(node), node)
        if any(is_aggregate(each) for each in syntax.walk(node)):
            return None
        try:
            return self._key(self._inner.bind(node))
        except Refusal:
            return None  # the rules will meet the same place again and refuse it there

    def _key(self, expr: Expr) -> Expr | None:
        for key, index in self._keys:
            if key == expr:
                name = key.name if isinstance(key, ColumnRef) else f"$key{index}"
                return ColumnRef(key.type, index, name, expr.at)
        return None

    def _rewritten(self, expr: Expr, node: syntax.Name) -> Expr:
        found = self._key(expr)
        if found is not None:
            return found
        if isinstance(expr, Call):
            args = tuple(self._rewritten(each, node) for each in expr.args)
            return Call(expr.type, expr.function, args, expr.options, expr.at)
        raise Refusal(
            f"{node} is neither grouped nor aggregated", node.at, f"add {node} to GROUP BY or write LAST_VALUE({node})"
        )


def _bound_keys(select: syntax.Select, scope: Scope) -> list[Expr]:
    keys: list[Expr] = []
    binder = Binder(scope)
    for node in select.group:
        for each in syntax.walk(node):
            if is_aggregate(each):
                raise Refusal("an aggregate in GROUP BY", each.at)
        key = binder.value(node)
        if key.type.kind in (types.Kind.ARRAY, types.Kind.MAP, types.Kind.ROW):
            raise Refusal(f"GROUP BY {key.type} is not supported", node.at, "group by its fields")
        if key not in keys:
            keys.append(key)
    return keys


def _key_fields(keys: Sequence[Expr]) -> list[Field]:
    return [
        Field(each.name if isinstance(each, ColumnRef) else f"$key{index}", each.type)
        for index, each in enumerate(keys)
    ]


def _grouped(env: Environment, select: syntax.Select, relation: Relation) -> Node:
    schema = relation.node.schema
    keys = _bound_keys(select, relation.scope)
    inputs = Inputs(relation.node)
    positions = [inputs.add(key) for key in keys]
    calls = AggregateCalls(Binder(relation.scope), inputs, schema.changes)
    grouping = _Grouping(relation.scope, [(key, index) for index, key in enumerate(keys)], calls, len(keys))
    binder = Binder(relation.scope, grouping.replace)
    having, projection = _list_and_having(env, select, relation.scope, binder)
    rowtime = inputs.add_rowtime() if calls.needs_rowtime else None
    check_time(calls.found, rowtime is not None, select.at)
    _refuse_constant(inputs)
    fields = [
        *_key_fields(keys),
        *(Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(calls.found)),
    ]
    output = Schema(
        tuple(fields), None, tuple(range(len(keys))), Changes.APPEND if env.catalog.live else Changes.RETRACT
    )
    node: Node = GroupAggregate(output, inputs.node(select.at), tuple(positions), tuple(calls.found), select.at)
    return _finish(select, node, having, projection)


def _refuse_constant(inputs: Inputs) -> None:
    """Nothing to compute is fine for COUNT(*): one constant column keeps the rows countable."""
    if not inputs.exprs:
        inputs.add(Literal(types.INT, 1))


def _list_and_having(
    env: Environment, select: syntax.Select, scope: Scope, binder: Binder
) -> tuple[Expr | None, list[tuple[Expr, str]]]:
    """The bound HAVING and SELECT list of an aggregation."""
    projection: list[tuple[Expr, str]] = []
    failed = False
    for item in select.items:
        try:
            projection.extend(_item(item, scope, binder, len(projection)))
        except Refusal as refusal:
            env.catalog.report(refusal)
            failed = True
    if failed:
        raise AlreadyReported
    having = binder.condition(select.having, "HAVING") if select.having is not None else None
    return having, projection


def _finish(select: syntax.Select, node: Node, having: Expr | None, projection: list[tuple[Expr, str]]) -> Node:
    if having is not None and select.having is not None:
        node = filtered(node, having, select.having.at)
    return projected(node, [expr for expr, _ in projection], [name for _, name in projection], select.at)


# ---------------------------------------------------------------- window aggregation


def _groups_windows(select: syntax.Select, relation: Relation) -> bool:
    """Does GROUP BY name both bounds of the windows that the rows carry already?"""
    windowed = relation.node.schema.windowed
    if windowed is None or relation.node.schema.changes is not Changes.APPEND:
        return False
    bound = {each.index for each in _bound_keys(select, relation.scope) if isinstance(each, ColumnRef)}
    return {windowed.start, windowed.end} <= bound


def _window_edges(relation: Relation, pending: PendingWindow | None) -> dict[int, int]:
    """Scope column -> 0 for the window's start, 1 for its end, 2 for its time."""
    if pending is not None:
        return {pending.first + offset: offset for offset in range(len(WINDOW_COLUMNS))}
    schema = relation.node.schema
    assert schema.windowed is not None
    edges = {schema.windowed.start: 0, schema.windowed.end: 1}
    return edges if schema.rowtime is None else edges | {schema.rowtime: 2}


def _windowed(env: Environment, select: syntax.Select, relation: Relation, pending: PendingWindow | None) -> Node:
    """Aggregation per window: of a window table function, or of rows that carry their window (`pending` None)."""
    edges = _window_edges(relation, pending)
    bound = _bound_keys(select, relation.scope)
    bounds = {edges[each.index] for each in bound if isinstance(each, ColumnRef) and each.index in edges}
    keys = [each for each in bound if not (isinstance(each, ColumnRef) and each.index in edges)]
    for name, offset in (("window_start", 0), ("window_end", 1)):
        if offset not in bounds:
            raise Refusal(
                f"GROUP BY without {name} is not a window aggregation: it would update and keep every window forever",
                select.group[0].at if select.group else select.at,
                "GROUP BY window_start, window_end and the keys",
            )
    if pending is not None:
        _check_window_keys(keys, pending)
        _check_steps(pending)
    inputs = Inputs(relation.node)
    positions = tuple(inputs.add(key) for key in keys)
    calls = AggregateCalls(Binder(relation.scope), inputs, Changes.APPEND)
    count = len(keys)
    replaced = [(key, index) for index, key in enumerate(keys)]
    replaced += [
        (each, count + edges[each.index]) for each in bound if isinstance(each, ColumnRef) and each.index in edges
    ]
    grouping = _Grouping(relation.scope, replaced, calls, count + len(WINDOW_COLUMNS))
    binder = Binder(relation.scope, grouping.replace)
    having, projection = _list_and_having(env, select, relation.scope, binder)
    time = inputs.add_rowtime()
    schema = relation.node.schema
    times = schema.fields[schema.rowtime].type if schema.rowtime is not None else types.TIMESTAMP
    bounds_fields = zip(WINDOW_COLUMNS, (types.TIMESTAMP, types.TIMESTAMP, times), strict=True)
    fields = [*_key_fields(keys), *(Field(name, each, False) for name, each in bounds_fields)]
    fields += [Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(calls.found)]
    window = pending.window if pending is not None else schema.windowed.window if schema.windowed is not None else None
    assert window is not None
    traits = Windowed(count, count + 1, window)
    output = Schema(tuple(fields), count + 2, tuple(range(count + 2)), Changes.APPEND, windowed=traits)
    found = tuple(calls.found)
    node: Node
    if pending is not None:
        assert time is not None  # the window table function has checked it
        node = WindowAggregate(output, inputs.node(select.at), window, time, positions, found, pending.at)
    else:
        assert schema.windowed is not None
        start, end = (
            inputs.add(ColumnRef(types.TIMESTAMP, at, schema.fields[at].name))
            for at in (schema.windowed.start, schema.windowed.end)
        )
        node = WindowedAggregate(output, inputs.node(select.at), start, end, positions, found, select.at)
    return _finish(select, node, having, projection)


def _check_window_keys(keys: Sequence[Expr], pending: PendingWindow) -> None:
    for each in keys:
        if _reads(each, pending.first):
            raise Refusal(
                "GROUP BY of a computation on window columns is not supported", each.at, "group by them as they are"
            )
    same = all(key in pending.partition for key in keys) and all(each in keys for each in pending.partition)
    if pending.window.kind is WindowKind.SESSION and not same:
        raise Refusal(
            "the PARTITION BY of SESSION and the keys of GROUP BY differ", pending.at, "write the same columns in both"
        )


def _check_steps(pending: PendingWindow) -> None:
    window = pending.window
    if window.kind is WindowKind.HOP and window.size % window.step:
        raise Refusal(
            f"HOP's size ({window.size} ms) is not a multiple of its slide ({window.step} ms)",
            pending.at,
            "the slide comes first, then the size",
        )
