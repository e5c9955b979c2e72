"""Keys of a join that are computed: columns of its inputs while it runs, dropped after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.sql.plan import Call, ColumnRef, Expr, Node, shifted
from nextpaint.sql.relation import projected


def with_columns(node: Node, keys: Sequence[Expr]) -> tuple[Node, list[int]]:
    """The node with a column for each key, and where they are."""
    schema = node.schema
    exprs: list[Expr] = [ColumnRef(each.type, index, each.name) for index, each in enumerate(schema.fields)]
    names = list(schema.names)
    places: list[int] = []
    for key in keys:
        if isinstance(key, ColumnRef):
            places.append(key.index)
            continue
        places.append(len(exprs))
        names.append(f"$key{len(exprs)}")
        exprs.append(key)
    return projected(node, exprs, names, node.at), places


def moved(expr: Expr, width: int, by: int) -> Expr:
    """A residual after `by` key columns came between the sides."""
    if isinstance(expr, ColumnRef):
        return shifted(expr, by) if expr.index >= width else expr
    if isinstance(expr, Call):
        return replace(expr, args=tuple(moved(each, width, by) for each in expr.args))
    return expr


def without_columns(node: Node, widths: tuple[int, int], right: int) -> Node:
    """A join's node without its left input's columns in [widths[0], widths[1]) and with `right` columns after them."""
    width, wide = widths
    fields = node.schema.fields
    keep = [*range(width), *range(wide, wide + right)]
    if len(keep) == len(fields):
        return node
    refs = [ColumnRef(fields[index].type, index, fields[index].name) for index in keep]
    return projected(node, refs, [each.name for each in refs], node.at)
