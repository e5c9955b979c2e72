"""Queries where a value is expected: (SELECT ...), IN, EXISTS, ANY and ALL inside an expression.

Each becomes a LEFT JOIN whose right side has at most one row for a left row, and an expression over the columns it
adds; as in Flink the result is updated when the query's rows are. A query that names columns of the query around it is
grouped by what it equates with them. IN and EXISTS that stand alone in WHERE are semi joins (`subqueries.py`).

A query as a value that gives more than one row fails its row (in Flink the job); over no rows it is NULL, and COUNT 0
where the query names the columns around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from nextpaint.record.types import BIGINT, BOOLEAN, Field
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import AggregateCalls, is_aggregate
from nextpaint.sql.binder import Binder, Replace
from nextpaint.sql.correlated import opened
from nextpaint.sql.join_conditions import Equality, equalities
from nextpaint.sql.joins import joined
from nextpaint.sql.nested_keys import bytewise, packed
from nextpaint.sql.operators import comparison_operands
from nextpaint.sql.plan import (
    Aggregate,
    At,
    Call,
    Changes,
    ColumnRef,
    Expr,
    Filter,
    GroupAggregate,
    JoinKind,
    Literal,
    Node,
    Project,
    Rank,
    Schema,
    Values,
)
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Inputs, nullable, projected
from nextpaint.sql.scope import Names, Scope
from nextpaint.sql.sources import Environment, plan_source

_MARK = "found$"
_FIRST = {"<": "MAX", "<=": "MAX", ">": "MIN", ">=": "MIN"}  # what ANY compares with; ALL with the other
_OTHER = {"MAX": "MIN", "MIN": "MAX"}


@dataclass(frozen=True, slots=True)
class Outer:
    """What surrounds a subquery: its names, and how its own expressions are bound. `width`: its columns."""

    names: Names
    binder: Binder
    width: int


@dataclass(frozen=True, slots=True)
class _Inner:
    """A subquery's rows: its column over them, and what it equates with the outside."""

    node: Node
    scope: Scope | None  # of a query that names the outside: what its SELECT list is bound over
    column: syntax.Expression | None
    pairs: tuple[Equality, ...]


def lifted(env: Environment, node: Node, outer: Outer, parts: Sequence[object]) -> tuple[Node, Replace]:
    """`node` with columns for the subqueries among `parts`, and what stands in their places. Raises Refusal."""
    found: dict[syntax.Subquery, Expr] = {}
    for each in syntax.subqueries(parts):
        if each not in found:
            node, found[each] = _lifted(env, node, outer, each)
    return node, lambda written: found.get(written) if isinstance(written, syntax.Subquery) else None


def _lifted(env: Environment, node: Node, outer: Outer, query: syntax.Subquery) -> tuple[Node, Expr]:
    inner = _inner(env, outer, query)
    match query.form:
        case "value":
            return _value(env, node, inner, query)
        case "EXISTS":
            return _exists(env, node, inner, query)
        case "IN":
            return _member(env, node, inner, (query, _operand(outer, query)))
    return _compared(env, node, inner, (query, _operand(outer, query)))


def _operand(outer: Outer, query: syntax.Subquery) -> Expr:
    assert query.operand is not None
    if isinstance(query.operand, syntax.Call) and query.operand.name == "ROW":
        raise Refusal(
            f"{query.form} of several columns stands only in WHERE, alone or joined by AND", query.at, "compare one"
        )
    return outer.binder.value(query.operand)


def _inner(env: Environment, outer: Outer, query: syntax.Subquery) -> _Inner:
    correlated = opened(partial(plan_source, env), outer.names, outer.width, query.query)
    if correlated is None:
        node = env.plan_query(env, query.query)
        if query.form != "EXISTS" and len(node.schema.fields) != 1:
            raise Refusal(
                f"a value is compared with one column, the query has {len(node.schema.fields)}",
                query.query.at,
                "select one",
            )
        return _Inner(node, None, None, ())
    pairs, rest = equalities(correlated.ties, outer.width)
    if rest or any(each.nulls for each in pairs):
        at = rest[0].at if rest else query.at
        raise Refusal(
            "a query as a value is tied to the query around it by equalities only",
            at,
            "write WHERE inner = outer, or join the query",
        )
    items = correlated.items
    if query.form != "EXISTS" and (len(items) != 1 or isinstance(items[0].expression, syntax.Star)):
        raise Refusal("a value is compared with one column", query.query.at, "select one")
    return _Inner(correlated.node, correlated.scope, items[0].expression, tuple(pairs))


# ---------------------------------------------------------------- forms


def _value(env: Environment, node: Node, inner: _Inner, query: syntax.Subquery) -> tuple[Node, Expr]:
    at = query.at
    if inner.scope is None:
        right = inner.node if single_row(inner.node) else _one_row(env, inner, _column(inner), at)
        return _joined(node, right, inner, at), _added(node, right, 0, at)
    assert inner.column is not None
    if any(is_aggregate(each) for each in syntax.walk(inner.column)):
        right, empty = _aggregated(env, inner, inner.column, at)
        made = _joined(node, right, inner, at)
        if isinstance(empty, Literal) and empty.value is None:
            return made, _added(node, right, len(inner.pairs), at)
        mark = _added(node, right, len(inner.pairs) + 1, at)
        value = _added(node, right, len(inner.pairs), at)
        return made, Call(value.type, "CASE", (_is(mark, "IS NOT NULL"), value, empty), at=at)
    right = _one_row(env, inner, _column(inner), at)
    return _joined(node, right, inner, at), _added(node, right, len(inner.pairs), at)


def _exists(env: Environment, node: Node, inner: _Inner, query: syntax.Subquery) -> tuple[Node, Expr]:
    right = _counted(env, inner, [], query.at)
    made = _joined(node, right, inner, query.at)
    found = _is(_added(node, right, len(right.schema.fields) - 1, query.at), "IS NOT NULL")
    return made, _signed(found, query)


def _member(env: Environment, node: Node, inner: _Inner, asked: tuple[syntax.Subquery, Expr]) -> tuple[Node, Expr]:
    """IN: TRUE where a row is equal; else unknown where a NULL is compared with anything; else FALSE."""
    query, operand = asked
    at = query.at
    column = _column(inner)
    left, right_value = comparison_operands(operand, column, "IN", at)
    if right_value.type.is_nested and not (bytewise(left.type) and bytewise(right_value.type)):
        raise Refusal(f"IN of {right_value.type} is not supported", at, "compare one of its fields")
    equal = Equality(packed(left), packed(right_value), False)
    keyed = _Inner(inner.node, inner.scope, inner.column, (*inner.pairs, equal))
    members = _counted(env, keyed, [], at)
    made = _joined(node, members, keyed, at)
    matched = _is(_added(node, members, len(members.schema.fields) - 1, at), "IS NOT NULL")
    if not nullable(operand, node.schema) and not nullable(column, inner.node.schema):
        return made, _signed(matched, query)
    counts = _counted(env, inner, [Aggregate("COUNT", (0,), BIGINT, at=at)], at, column)
    whole = _joined(made, counts, inner, at)
    first = len(made.schema.fields) + len(inner.pairs)
    values = ColumnRef(BIGINT, first, "values$", at)
    rows = ColumnRef(BIGINT, first + 1, _MARK, at)
    fewer = Call(BOOLEAN, "<", (values, rows), at=at)
    unknown = Call(BOOLEAN, "OR", (_is(operand, "IS NULL"), fewer), at=at)
    args: tuple[Expr, ...] = (
        _is(rows, "IS NULL"), Literal(BOOLEAN, False, at), matched, Literal(BOOLEAN, True, at),
        unknown, Literal(BOOLEAN, None, at), Literal(BOOLEAN, False, at),
    )  # fmt: skip
    return whole, _signed(Call(BOOLEAN, "CASE", args, at=at), query)


def _compared(env: Environment, node: Node, inner: _Inner, asked: tuple[syntax.Subquery, Expr]) -> tuple[Node, Expr]:
    """`x < ANY (...)` and `x < ALL (...)`: compared with the extreme, as far as NULLs let it be known."""
    query, operand = asked
    at, every = query.at, query.form == "ALL"
    column = _column(inner)
    left, value = comparison_operands(operand, column, query.operator, at)
    extreme = _FIRST[query.operator] if not every else _OTHER[_FIRST[query.operator]]
    calls = [Aggregate(extreme, (0,), value.type, at=at), Aggregate("COUNT", (0,), BIGINT, at=at)]
    right = _counted(env, inner, calls, at, value)
    made = _joined(node, right, inner, at)
    first = len(inner.pairs)
    best, values, rows = (_added(node, right, first + place, at) for place in range(3))
    holds = Call(BOOLEAN, query.operator, (left, best), at=at)
    decided = Call(BOOLEAN, "NOT", (holds,), at=at) if every else holds
    fewer = Call(BOOLEAN, "<", (values, rows), at=at)
    unknown = Call(BOOLEAN, "OR", (_is(operand, "IS NULL"), fewer), at=at)
    args: tuple[Expr, ...] = (
        _is(rows, "IS NULL"), Literal(BOOLEAN, every, at), decided, Literal(BOOLEAN, not every, at),
        unknown, Literal(BOOLEAN, None, at), Literal(BOOLEAN, every, at),
    )  # fmt: skip
    return made, _signed(Call(BOOLEAN, "CASE", args, at=at), query)


def _signed(found: Expr, query: syntax.Subquery) -> Expr:
    return Call(BOOLEAN, "NOT", (found,), at=query.at) if query.negated else found


def _is(expr: Expr, what: str) -> Expr:
    return Call(BOOLEAN, what, (expr,), at=expr.at)


# ---------------------------------------------------------------- the right side


def single_row(node: Node) -> bool:
    """Does the query give at most one row?"""
    match node:
        case Project() | Filter():
            return single_row(node.input)
        case GroupAggregate():
            return not node.keys
        case Rank():
            return not node.partition and node.first == node.last
        case Values():
            return len(node.rows) <= 1
    return False


def _column(inner: _Inner) -> Expr:
    """The one column of a subquery, over its rows."""
    if inner.scope is not None and inner.column is not None:
        return Binder(inner.scope).value(inner.column)
    each = inner.node.schema.fields[0]
    return ColumnRef(each.type, 0, each.name, inner.node.at)


def _counted(env: Environment, inner: _Inner, calls: Sequence[Aggregate], at: At, value: Expr | None = None) -> Node:
    """The keys that tie a subquery, `calls` over `value` (column 0 of their arguments), and how many rows there are."""
    inputs = Inputs(inner.node)
    places = tuple(inputs.add(each.right) for each in inner.pairs)
    own = inputs.add(value if value is not None else Literal(BIGINT, 1, at))
    found = [
        *(replace(each, args=(own,) if each.args else ()) for each in calls),
        Aggregate("COUNT", (), BIGINT, at=at),
    ]
    return _grouped(env, inputs, places, (found, at))


def _grouped(env: Environment, inputs: Inputs, places: tuple[int, ...], more: tuple[list[Aggregate], At]) -> Node:
    calls, at = more
    source = inputs.node(at)
    keys = [replace(source.schema.fields[place], name=f"key{index}$") for index, place in enumerate(places)]
    made = [Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(calls)]
    changes = Changes.APPEND if env.catalog.live else Changes.RETRACT
    schema = Schema((*keys, *made), None, tuple(range(len(keys))), changes)
    return GroupAggregate(schema, source, places, tuple(calls), at)


def _one_row(env: Environment, inner: _Inner, value: Expr, at: At) -> Node:
    """The keys and the value of the one row there is; more than one fails."""
    calls = [Aggregate("FIRST_VALUE", (0,), value.type, at=at)]
    counted = _counted(env, inner, calls, at, value)
    fields = counted.schema.fields
    refs = [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(fields)]
    only = Call(value.type, "ONLY", (refs[-2], refs[-1]), at=at)
    return projected(counted, [*refs[:-2], only], [*(each.name for each in refs[:-2]), "value$"], at)


def _aggregated(env: Environment, inner: _Inner, item: syntax.Expression, at: At) -> tuple[Node, Expr]:
    """The keys, the value of an aggregating SELECT for each, and a mark that it is there; the value over no rows."""
    assert inner.scope is not None
    inputs = Inputs(inner.node)
    places = tuple(inputs.add(each.right) for each in inner.pairs)
    calls = AggregateCalls(Binder(inner.scope), inputs, inner.node.schema.changes)
    width = len(places)

    def in_group(node: syntax.Expression) -> Expr | None:
        if is_aggregate(node) and isinstance(node, syntax.Call):
            ordinal = calls.add(node)
            return ColumnRef(calls.found[ordinal].type, width + ordinal, f"value{ordinal}$", node.at)
        if isinstance(node, syntax.Name):
            raise Refusal(f"{node} is neither grouped nor aggregated", node.at, f"write MAX({node})")
        return None

    def over_nothing(node: syntax.Expression) -> Expr | None:
        if is_aggregate(node) and isinstance(node, syntax.Call):
            call = calls.found[calls.add(node)]
            return Literal(call.type, 0 if "COUNT" in call.function else None, node.at)
        return None

    value = Binder(inner.scope, in_group).value(item)
    if calls.needs_rowtime:
        raise Refusal("an aggregate of time as a value is not supported", item.at, "INSERT it into a table and join")
    empty = Binder(Scope(()), over_nothing).bind(item)
    grouped = _grouped(env, inputs, places, (calls.found, at))
    keys = [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(grouped.schema.fields[:width])]
    columns = [*keys, value, Literal(BOOLEAN, True, at)]
    return projected(grouped, columns, [*(each.name for each in keys), "value$", _MARK], at), empty


# ---------------------------------------------------------------- the join


def _joined(node: Node, right: Node, inner: _Inner, at: At) -> Node:
    width = len(node.schema.fields)
    condition: list[Expr] = []
    for place, each in enumerate(inner.pairs):
        field = right.schema.fields[place]
        condition.append(Call(BOOLEAN, "=", (each.left, ColumnRef(field.type, width + place, field.name, at)), at=at))
    return joined(node, right, JoinKind.LEFT, condition, at)


def _added(node: Node, right: Node, place: int, at: At) -> ColumnRef:
    """Column `place` of the right side, after the join."""
    field = right.schema.fields[place]
    return ColumnRef(field.type, len(node.schema.fields) + place, field.name, at)
