"""IN (SELECT ...), EXISTS (SELECT ...) and their negations in WHERE: semi and anti joins.

A subquery may name columns of the query around it. Where it is a plain SELECT with a WHERE, the conjuncts that do so
become the join's condition; elsewhere such a name is unknown. `x NOT IN (SELECT y ...)` is not a plain anti join: one
NULL among the y, or a NULL x, makes it UNKNOWN. As in Flink the join then has no key and asks every pair
`x = y OR x IS NULL OR y IS NULL`, unless both are NOT NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nextpaint.record.types import BOOLEAN
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.join_conditions import conjuncts, shifted
from nextpaint.sql.joins import joined
from nextpaint.sql.operators import comparison_operands
from nextpaint.sql.plan import Call, ColumnRef, Expr, JoinKind, Node, columns_of
from nextpaint.sql.ranks import bounded
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, nullable, with_window
from nextpaint.sql.scope import Names, Scope
from nextpaint.sql.sources import Environment, plan_source


def without_subqueries(where: syntax.Expression | None) -> tuple[syntax.Expression | None, list[syntax.Subquery]]:
    """WHERE without the IN and EXISTS subqueries among its conjuncts, and those."""
    if isinstance(where, syntax.Binary) and where.operator == "AND":
        left, first = without_subqueries(where.left)
        right, second = without_subqueries(where.right)
        if left is not None and right is not None:
            kept: syntax.Expression | None = replace(where, left=left, right=right)
        else:
            kept = left if left is not None else right
        return kept, [*first, *second]
    found, negated = where, False
    while isinstance(found, syntax.Unary) and found.operator == "NOT":
        found, negated = found.operand, not negated
    if isinstance(found, syntax.Subquery) and found.form in ("IN", "EXISTS") and not _nested(found.operand):
        return None, [replace(found, negated=found.negated != negated)]
    return where, []


def conjuncts_of(where: syntax.Expression | None) -> list[syntax.Expression]:
    """The parts of a condition as written that are joined by AND."""
    if isinstance(where, syntax.Binary) and where.operator == "AND":
        return [*conjuncts_of(where.left), *conjuncts_of(where.right)]
    return [where] if where is not None else []


def conjoined(parts: Sequence[syntax.Expression]) -> syntax.Expression | None:
    """The parts joined by AND again."""
    whole: syntax.Expression | None = None
    for each in parts:
        whole = each if whole is None else syntax.Binary("AND", whole, each, whole.at)
    return whole


def _nested(operand: syntax.Expression | None) -> bool:
    return any(syntax.subqueries(operand))


def semi_joined(env: Environment, relation: Relation, subquery: syntax.Subquery) -> Relation:
    """The rows of `relation` for which the subquery holds."""
    relation = with_window(relation)
    width = len(relation.node.schema.fields)
    node, scope, condition = _inner(env, relation, subquery.query)
    if subquery.operand is not None:
        condition = [*condition, *_membership(relation, node, scope, subquery)]
    kind = JoinKind.ANTI if subquery.negated else JoinKind.SEMI
    made = joined(relation.node, node, kind, condition, subquery.at)
    assert len(made.schema.fields) == width
    return Relation(made, relation.scope)


def _inner(env: Environment, outer: Relation, query: syntax.Query) -> tuple[Node, list[Expr] | None, list[Expr]]:
    """The subquery's rows, its one column over them when it is correlated, and the conjuncts that tie both."""
    correlated = opened(env, outer.scope, len(outer.node.schema.fields), query)
    if correlated is None:
        return env.plan_query(env, query), None, []
    node = correlated.node
    if isinstance(correlated.items[0].expression, syntax.Star):
        return (
            node,
            [ColumnRef(each.type, at, each.name) for at, each in enumerate(node.schema.fields)],
            correlated.ties,
        )
    picked = [Binder(correlated.scope).value(item.expression) for item in correlated.items]
    return node, picked, correlated.ties


@dataclass(frozen=True, slots=True)
class Correlated:
    """A query that names columns around it: its own rows, and the conjuncts that tie them, over the columns around it
    followed by its own. `scope`: what its SELECT list, `items`, is bound over."""

    node: Node
    scope: Scope
    items: tuple[syntax.SelectItem, ...]
    ties: list[Expr]


def opened(env: Environment, outer: Names, width: int, query: syntax.Query) -> Correlated | None:
    """A plain SELECT whose WHERE names any of the `width` columns of `outer`; None for a query by itself."""
    body = query.body
    plain = isinstance(body, syntax.Select) and not query.ctes and not query.order and query.limit is None
    if not plain or not isinstance(body, syntax.Select) or body.where is None or body.group or body.source is None:
        return None
    inner = with_window(plan_source(env, body.source))
    try:
        conditions = conjuncts(Binder(_Both(inner.scope.shifted(width), outer)).condition(body.where, "WHERE"))
    except Refusal:
        return None  # refused there at the same place, with the subquery's own names
    if not any(min(columns_of(each), default=width) < width for each in conditions):
        return None
    ties: list[Expr] = []
    node = inner.node
    for each in conditions:
        if columns_of(each) and min(columns_of(each)) < width:
            ties.append(each)
        else:
            node = bounded(node, shifted(each, -width), each.at)
    return Correlated(node, inner.scope, body.items, ties)


class _Both:
    """Names of a subquery, then those of the query around it."""

    def __init__(self, inner: Scope, outer: Names) -> None:
        self._inner, self._outer = inner, outer

    def resolve(self, name: syntax.Name) -> Expr:
        try:
            return self._inner.resolve(name)
        except Refusal as unknown:
            try:
                return self._outer.resolve(name)
            except Refusal:
                raise unknown from None


def _membership(relation: Relation, node: Node, picked: list[Expr] | None, subquery: syntax.Subquery) -> list[Expr]:
    """`operand = column` of IN, over the joined columns; for NOT IN with what a NULL makes of it."""
    assert subquery.operand is not None
    width = len(relation.node.schema.fields)
    columns = picked or [ColumnRef(each.type, at, each.name) for at, each in enumerate(node.schema.fields)]
    operand = subquery.operand
    values = operand.args if isinstance(operand, syntax.Call) and operand.name == "ROW" else (operand,)
    if len(columns) != len(values):
        compared = "one column" if len(values) == 1 else f"{len(values)} columns"
        raise Refusal(
            f"IN compares {compared}, the query has {len(columns)}", subquery.query.at, "select those that are compared"
        )
    if subquery.negated and len(values) > 1:
        raise Refusal("NOT IN of several columns is not supported", subquery.at, "write NOT EXISTS with equalities")
    bound = [Binder(relation.scope).value(each) for each in values]
    members = [shifted(each, width) for each in columns]
    equals: list[Expr] = []
    for value, member in zip(bound, members, strict=True):
        equals.append(Call(BOOLEAN, "=", comparison_operands(value, member, "IN", subquery.at), at=subquery.at))
    if not subquery.negated:
        return equals
    [value], [member], [equal] = bound, members, equals
    unknown: Expr = equal
    for each, schema, plain in (
        (value, relation.node.schema, value), (member, node.schema, columns[0]),
    ):  # fmt: skip
        if nullable(plain, schema):
            missing = Call(BOOLEAN, "IS NULL", (each,), at=subquery.at)
            unknown = Call(BOOLEAN, "OR", (unknown, missing), at=subquery.at)
    return [unknown]
