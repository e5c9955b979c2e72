"""IN (SELECT ...), EXISTS (SELECT ...) and their negations in WHERE: semi and anti joins.

A subquery may name columns of the query around it. Where it is a plain SELECT with a WHERE, the conjuncts that do so
become the join's condition; elsewhere such a name is unknown. `x NOT IN (SELECT y ...)` is not a plain anti join: one
NULL among the y, or a NULL x, makes it UNKNOWN. As in Flink the join then has no key and asks every pair
`x = y OR x IS NULL OR y IS NULL`, unless both are NOT NULL; of several columns all of those.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from nextpaint.record.types import BOOLEAN
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.correlated import opened
from nextpaint.sql.joins import joined
from nextpaint.sql.operators import comparison_operands
from nextpaint.sql.plan import Call, ColumnRef, Expr, JoinKind, Node, shifted
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, nullable, with_window
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
    correlated = opened(partial(plan_source, env), outer.scope, len(outer.node.schema.fields), query)
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


def _membership(relation: Relation, node: Node, picked: list[Expr] | None, subquery: syntax.Subquery) -> list[Expr]:
    """`operand = column` of IN for each column, over the joined ones; for NOT IN with what a NULL makes of it."""
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
    found: list[Expr] = []
    for written, column in zip(values, columns, strict=True):
        value, member = Binder(relation.scope).value(written), shifted(column, width)
        equal: Expr = Call(BOOLEAN, "=", comparison_operands(value, member, "IN", subquery.at), at=subquery.at)
        sides = ((value, nullable(value, relation.node.schema)), (member, nullable(column, node.schema)))
        for side, may_miss in sides if subquery.negated else ():
            if may_miss:
                missing = Call(BOOLEAN, "IS NULL", (side,), at=subquery.at)
                equal = Call(BOOLEAN, "OR", (equal, missing), at=subquery.at)
        found.append(equal)
    return found
