"""The SELECT list: its expressions and the names Flink gives them."""

from __future__ import annotations

from nextpaint.record import types
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import Expr
from nextpaint.sql.refusal import AlreadyReported, Refusal
from nextpaint.sql.scope import Scope, field_of
from nextpaint.sql.sources import Environment

Column = tuple[Expr, str]


def select_list(env: Environment, select: syntax.Select, scope: Scope, binder: Binder) -> list[Column]:
    """The columns of a SELECT; `*` expands over `scope`. Findings in separate items are all reported."""
    columns: list[Column] = []
    failed = False
    for item in select.items:
        try:
            columns.extend(_item(item, scope, binder, len(columns)))
        except Refusal as refusal:
            env.catalog.report(refusal)
            failed = True
    if failed:
        raise AlreadyReported
    return columns


def _item(item: syntax.SelectItem, scope: Scope, binder: Binder, ordinal: int) -> list[Column]:
    if isinstance(item.expression, syntax.Star):
        qualifier = item.expression.qualifier
        if qualifier is not None and str(qualifier) not in scope.qualifiers and scope.has(qualifier):
            return _fields(binder.bind(qualifier), item)
        columns = scope.expand(item.expression.qualifier, item.at)
        if not columns:
            raise Refusal("* without a table", item.at)
        found: list[Column] = []
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


def _fields(row: Expr, item: syntax.SelectItem) -> list[Column]:
    """The fields of a ROW, of `row.*`."""
    if row.type.kind is not types.Kind.ROW:
        raise Refusal(f"* of {row.type}", item.at, "only a table and a ROW have columns")
    return [(field_of(row, syntax.Ident(each.name, item.at)), each.name) for each in row.type.fields]


def _name(item: syntax.SelectItem, ordinal: int) -> str:
    if item.alias is not None:
        return item.alias.text
    if isinstance(item.expression, syntax.Name):
        return item.expression.parts[-1].text
    if isinstance(item.expression, syntax.FieldOf):
        return item.expression.name.text
    return f"EXPR${ordinal}"
