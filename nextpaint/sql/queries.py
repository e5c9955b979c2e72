"""Whole queries: WITH, UNION ALL, and ORDER BY and LIMIT of queries over live tables."""

from __future__ import annotations

from dataclasses import replace

from nextpaint.sql import coercion, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog, named, unique_names
from nextpaint.sql.plan import Changes, ColumnRef, Expr, Node, Schema, Sort, SortKey, Union
from nextpaint.sql.refusal import AlreadyReported, Refusal
from nextpaint.sql.relation import is_orderable, projected, renamed
from nextpaint.sql.scope import Scope
from nextpaint.sql.selects import plan_select
from nextpaint.sql.sources import Environment


def plan_statement_query(catalog: Catalog, query: syntax.Query) -> Node:
    """A query that stands by itself: of an INSERT, a view, or asked over live tables."""
    node = _plan(Environment(catalog, {}, _plan), query)
    return distinct_names(node) if catalog.live else node


def distinct_names(node: Node) -> Node:
    """An answer's columns with names of their own: the second `n` is `n0`, as in Flink."""
    names: list[str] = []
    for name in node.schema.names:
        taken = {*names, *node.schema.names}
        free = (f"{name}{count}" for count in range(len(taken) + 1))
        names.append(name if name not in names else next(each for each in free if each not in taken))
    if isinstance(node, Sort):
        inner = renamed(node.input, names, node.at)
        return replace(node, input=inner, schema=inner.schema)
    return renamed(node, names, node.at)


def _plan(env: Environment, query: syntax.Query) -> Node:
    for name, columns, inner in query.ctes:
        node = unique_names(_plan(env, inner), name.at)
        if columns:
            node = named(node, columns, name)
        if name.text in env.ctes:
            raise Refusal(f"WITH names {name.text} twice", name.at)
        env = replace(env, ctes={**env.ctes, name.text: node})
    if not env.catalog.live:
        if query.order:
            raise Refusal(
                "ORDER BY is not supported in a continuous statement", query.order[0].at, "sort where it is read"
            )
        if query.limit is not None:
            raise Refusal("LIMIT is not supported in a continuous statement", query.at, "limit where it is read")
    body = query.body
    node = _union(env, body) if isinstance(body, syntax.UnionAll) else plan_select(env, body)
    if query.order or query.limit is not None:
        node = _sorted(query, node)
    return node


def _sorted(query: syntax.Query, node: Node) -> Node:
    keys = tuple(SortKey(_sort_column(query, node, item), item.descending, item.nulls_first) for item in query.order)
    return Sort(node.schema, node, keys, query.limit, query.at)


def _sort_column(query: syntax.Query, node: Node, item: syntax.OrderItem) -> int:
    """The output column an ORDER BY item means: a position, a name, or an expression of the SELECT list."""
    index = _sort_position(query, node, item)
    if not is_orderable(node.schema.fields[index].type.kind):
        raise Refusal(f"ORDER BY {node.schema.fields[index].type}", item.at, "order by one of its fields")
    return index


def _sort_position(query: syntax.Query, node: Node, item: syntax.OrderItem) -> int:
    names = node.schema.names
    match item.expression:
        case syntax.Number(text) if text.isdigit() and 1 <= int(text) <= len(names):
            return int(text) - 1
        case syntax.Name(parts) if len(parts) == 1 and parts[0].text in names:
            return names.index(parts[0].text)
    if isinstance(query.body, syntax.Select):
        for index, each in enumerate(query.body.items):
            if isinstance(each.expression, syntax.Star):
                break
            if each.expression == item.expression:
                return index
    if isinstance(item.expression, syntax.Name) and item.expression.parts[-1].text in names:
        bound = Binder(Scope.of(node.schema, item.expression.parts[0].text)).bind(item.expression)
        if isinstance(bound, ColumnRef):
            return bound.index
    raise Refusal("ORDER BY takes columns of the SELECT list", item.at, f"one of {', '.join(names)}")


# ---------------------------------------------------------------- UNION ALL


def _union(env: Environment, union: syntax.UnionAll) -> Node:
    nodes: list[Node] = []
    failed = False
    for query in union.inputs:
        try:
            nodes.append(_plan(env, query))
        except Refusal as refusal:
            env.catalog.report(refusal)
            failed = True
        except AlreadyReported:
            failed = True
    if failed:
        raise AlreadyReported
    first = nodes[0]
    width = len(first.schema.fields)
    for query, node in zip(union.inputs, nodes, strict=True):
        if len(node.schema.fields) != width:
            raise Refusal(
                f"UNION ALL of {width} and {len(node.schema.fields)} columns",
                query.at,
                "select the same columns in both",
            )
    nodes = _aligned(union, nodes)
    rowtimes = {node.schema.rowtime for node in nodes}
    rowtime = nodes[0].schema.rowtime if len(rowtimes) == 1 else None
    append = all(node.schema.changes is Changes.APPEND for node in nodes)
    fields = tuple(
        replace(each, nullable=any(node.schema.fields[index].nullable for node in nodes))
        for index, each in enumerate(nodes[0].schema.fields)
    )
    schema = Schema(fields, rowtime, (), Changes.APPEND if append else Changes.RETRACT)
    return Union(schema, tuple(nodes), union.at)


def _aligned(union: syntax.UnionAll, nodes: list[Node]) -> list[Node]:
    """Every input with the names of the first and the common types."""
    names = nodes[0].schema.names
    targets = []
    for index, name in enumerate(names):
        candidates = [node.schema.fields[index].type for node in nodes]
        target = coercion.common_type(candidates)
        if target is None:
            shown = " and ".join(sorted({str(each) for each in candidates}))
            raise Refusal(
                f"column {index + 1} ({name}) of UNION ALL mixes {shown}", union.at, "CAST it in one of the inputs"
            )
        targets.append(target)
    aligned: list[Node] = []
    for node in nodes:
        exprs: list[Expr] = []
        changed = False
        for index, (field, target) in enumerate(zip(node.schema.fields, targets, strict=True)):
            ref = ColumnRef(field.type, index, field.name, node.at)
            expr = coercion.cast(ref, target, node.at)
            changed = changed or expr is not ref
            exprs.append(expr)
        aligned.append(projected(node, exprs, names, node.at) if changed else renamed(node, names, node.at))
    return aligned
