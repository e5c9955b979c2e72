"""SELECT: FROM with WHERE, then GROUP BY (`grouping.py`), OVER or a plain list, then DISTINCT."""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.sql import syntax
from nextpaint.sql.aggregates import is_aggregate
from nextpaint.sql.binder import Binder, Replace
from nextpaint.sql.correlated import conjoined, conjuncts_of
from nextpaint.sql.current_watermarks import watermark_calls, with_watermarks
from nextpaint.sql.grouping import plan_grouped
from nextpaint.sql.lifetimes import lifetimes_of
from nextpaint.sql.nested_keys import distinct
from nextpaint.sql.overs import plan_over
from nextpaint.sql.plan import ColumnRef, Node, Schema, Values, columns_of
from nextpaint.sql.ranks import bounded, plan_rank
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, projected, with_window
from nextpaint.sql.scope import Scope
from nextpaint.sql.select_list import select_list
from nextpaint.sql.sources import Environment, plan_source
from nextpaint.sql.subqueries import semi_joined, without_subqueries
from nextpaint.sql.value_subqueries import Outer, lifted


def plan_select(env: Environment, select: syntax.Select) -> Node:
    """The node of one SELECT. Findings in separate items of its list are all reported."""
    lifetimes_of(select)  # refuses names that are not there, also where nothing is remembered
    plain, subqueries = without_subqueries(select.where)
    _check_where(plain)
    wanted = conjuncts_of(plain)
    relation = _from(env, select, conjoined([each for each in wanted if not _needs_columns(each)]))
    for subquery in subqueries:
        relation = semi_joined(env, relation, subquery)
    relation = _where_lifted(env, relation, [each for each in wanted if _needs_columns(each)])
    parts = (select.items, select.having, select.qualify)
    calls = [each for each in syntax.walk(parts) if isinstance(each, syntax.Call)]
    over = [each for each in calls if each.over is not None]
    grouped = bool(select.group) or select.having is not None or any(is_aggregate(each) for each in calls)
    if select.qualify is not None and not over:
        raise Refusal("QUALIFY filters on an OVER column, and there is none", select.qualify.at, "use WHERE")
    node = _selected(env, select, relation, over, grouped)
    return distinct(node, env.catalog.live, select.at) if select.distinct else node


def _selected(
    env: Environment, select: syntax.Select, relation: Relation, over: Sequence[syntax.Call], grouped: bool
) -> Node:
    if over and env.catalog.live:
        raise Refusal("OVER in a query over live tables is not supported", over[0].at, "INSERT it into a table")
    if grouped:
        return plan_grouped(env, select, relation, over)
    relation = with_window(relation)
    if over:
        return _over(env, select, relation, over)
    node, binder = _with_columns(env, relation, (select.items,))
    columns = select_list(env, select, relation.scope, binder)
    return projected(node, [expr for expr, _ in columns], [name for _, name in columns], select.at)


def _over(env: Environment, select: syntax.Select, relation: Relation, calls: Sequence[syntax.Call]) -> Node:
    """A SELECT with OVER calls: one node that adds their columns, QUALIFY as a filter, and the list."""
    numbers = all(each.name == "ROW_NUMBER" for each in calls)
    planned = (plan_rank if numbers else plan_over)(relation, calls, select.windows)
    binder = Binder(relation.scope, planned.replace)
    node = planned.node
    if select.qualify is not None:
        condition = _aliases_written_out(select, relation.scope)
        node = bounded(node, binder.condition(condition, "QUALIFY"), select.qualify.at)
    node, found = lifted(env, node, Outer(relation.scope, binder, len(node.schema.fields)), (select.items,))
    binder = Binder(relation.scope, lambda each: found(each) or planned.replace(each))
    columns = select_list(env, select, relation.scope, binder)
    return projected(node, [expr for expr, _ in columns], [name for _, name in columns], select.at)


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
        return plan_source(env, select.source, where, lifetimes_of(select))
    if select.source is not None:
        relation = plan_source(env, select.source)
    else:
        relation = Relation(Values(Schema(()), ((),), select.at), Scope(()))
    return relation if where is None else _where(relation, where)


def _check_where(where: syntax.Expression | None) -> None:
    for each in syntax.walk(where):
        if is_aggregate(each):
            raise Refusal("an aggregate in WHERE", each.at, "use HAVING")
        if isinstance(each, syntax.Call) and each.over is not None:
            raise Refusal("OVER in WHERE", each.at, "filter in an outer query")


def _needs_columns(condition: syntax.Expression) -> bool:
    """Does it hold a subquery or CURRENT_WATERMARK, which become columns of the node below?"""
    return any(syntax.subqueries(condition)) or bool(watermark_calls(condition))


def _with_columns(env: Environment, relation: Relation, parts: tuple[object, ...]) -> tuple[Node, Binder]:
    """The relation's node with the columns that `parts` need, and what binds expressions over it."""
    scope = relation.scope
    node: Node = relation.node
    marked: Replace | None = None
    if not env.catalog.live:
        node, marked = with_watermarks(node, Binder(scope), parts)
    binder = Binder(scope, marked)
    node, found = lifted(env, node, Outer(scope, binder, len(node.schema.fields)), parts)
    return node, Binder(scope, lambda each: found(each) or (marked(each) if marked is not None else None))


def _where_lifted(env: Environment, relation: Relation, parts: Sequence[syntax.Expression]) -> Relation:
    """The rows for which conditions that need columns of their own are TRUE."""
    if not parts:
        return relation
    relation = with_window(relation)
    fields = relation.node.schema.fields
    node, binder = _with_columns(env, relation, tuple(parts))
    for each in parts:
        node = bounded(node, binder.condition(each, "WHERE"), each.at)
    refs = [ColumnRef(each.type, index, each.name) for index, each in enumerate(fields)]
    return Relation(projected(node, refs, [each.name for each in fields], node.at), relation.scope)


def _where(relation: Relation, where: syntax.Expression) -> Relation:
    predicate = Binder(relation.scope).condition(where, "WHERE")
    if relation.window is not None and max(columns_of(predicate), default=-1) >= relation.window.first:
        relation = with_window(relation)
    return Relation(bounded(relation.node, predicate, where.at), relation.scope, relation.window)
