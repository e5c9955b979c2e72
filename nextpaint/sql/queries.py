"""Whole queries: WITH, UNION ALL, and ORDER BY and LIMIT of queries over live tables."""

from __future__ import annotations

from dataclasses import replace

from nextpaint.sql import coercion, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog, named, unique_names
from nextpaint.sql.nested_keys import distinct, key_type, with_packed, with_unpacked
from nextpaint.sql.plan import Changes, ColumnRef, Expr, Node, Schema, SetOperation, Sort, SortKey, TimeSort, Union
from nextpaint.sql.ranks import limited
from nextpaint.sql.refusal import AlreadyReported, Refusal
from nextpaint.sql.relation import is_orderable, projected, renamed
from nextpaint.sql.scope import Scope
from nextpaint.sql.selects import plan_select
from nextpaint.sql.sources import Environment
from nextpaint.sql.value_rows import plan_values


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
    body = query.body
    if not env.catalog.live and isinstance(body, syntax.Select) and query.order and not body.distinct:
        return _sorted_with_more(env, query, body)
    if isinstance(body, syntax.Select):
        node = plan_select(env, body)
    else:
        node = plan_values(body) if isinstance(body, syntax.ValueRows) else _combined(env, body)
    if query.order or query.limit is not None or query.offset:
        node = _sorted(env, query, node)
    return node


def _sorted_with_more(env: Environment, query: syntax.Query, body: syntax.Select) -> Node:
    """A sorted SELECT whose ORDER BY may name more than its list has: that is selected, sorted by and left out."""
    plain = plan_select(env, body)
    items, order = list(body.items), list(query.order)
    for index, each in enumerate(query.order):
        try:
            _sort_position(query, plain, each)
        except Refusal:
            name = syntax.Ident(f"sort${index}", each.at)
            items.append(syntax.SelectItem(each.expression, name, each.at))
            order[index] = replace(each, expression=syntax.Name((name,), each.at))
    if len(items) == len(body.items):
        return _sorted(env, query, plain)
    whole = plan_select(env, replace(body, items=tuple(items)))
    node = _sorted(env, replace(query, body=replace(body, items=tuple(items)), order=tuple(order)), whole)
    width = len(plain.schema.fields)
    refs = [ColumnRef(each.type, index, each.name, query.at) for index, each in enumerate(node.schema.fields)]
    return projected(node, refs[:width], plain.schema.names, query.at)


def _sorted(env: Environment, query: syntax.Query, node: Node) -> Node:
    keys = tuple(SortKey(_sort_column(query, node, item), item.descending, item.nulls_first) for item in query.order)
    if env.catalog.live:
        return Sort(node.schema, node, keys, query.limit, query.at, query.offset)
    if query.limit is not None:
        return limited(node, keys, (query.offset + 1, query.offset + query.limit), query.at)
    if query.offset:
        raise Refusal("OFFSET in a stream needs a LIMIT", query.at, "LIMIT n OFFSET m")
    schema = node.schema
    first = keys[0]
    if schema.changes is Changes.APPEND and first.index in schema.proctimes and len(keys) == 1 and not first.descending:
        return node  # rows come in the order of processing time
    if schema.changes is not Changes.APPEND or keys[0].index != schema.rowtime or keys[0].descending:
        cure = f"ORDER BY {schema.fields[schema.rowtime].name}" if schema.rowtime is not None else "add LIMIT n"
        raise Refusal(
            "a stream is sorted by its event time first, ascending, or it has a LIMIT", query.order[0].at, cure
        )
    return TimeSort(schema, node, keys, query.at)


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


# ---------------------------------------------------------------- UNION, INTERSECT, EXCEPT


def _word(body: syntax.UnionAll | syntax.SetOperation) -> str:
    if isinstance(body, syntax.UnionAll):
        return "UNION ALL"
    return f"{body.kind} ALL" if body.all else body.kind


def _combined(env: Environment, body: syntax.UnionAll | syntax.SetOperation) -> Node:
    """UNION, INTERSECT and EXCEPT of inputs with common names and types."""
    nodes = _operands(env, body)
    append = all(node.schema.changes is Changes.APPEND for node in nodes)
    changes = Changes.APPEND if append else Changes.RETRACT
    fields = tuple(
        replace(each, nullable=any(node.schema.fields[index].nullable for node in nodes))
        for index, each in enumerate(nodes[0].schema.fields)
    )
    if isinstance(body, syntax.SetOperation) and body.kind != "UNION":
        if env.catalog.live:
            raise Refusal(f"{body.kind} over live tables is not supported", body.at, "use IN or NOT IN")
        key = () if body.all else tuple(range(len(fields)))
        if body.kind == "EXCEPT":
            changes = Changes.RETRACT  # a row that comes on the right takes one back
        kept = tuple(replace(each, type=key_type(each.type)) for each in fields)
        keys = tuple(with_packed(node, body.at) for node in nodes)
        made = SetOperation(Schema(kept, None, key, changes), keys, body.kind == "INTERSECT", body.all, body.at)
        return with_unpacked(made, fields, body.at)
    rowtimes = {node.schema.rowtime for node in nodes}
    rowtime = nodes[0].schema.rowtime if len(rowtimes) == 1 else None
    union = Union(Schema(fields, rowtime, (), changes), tuple(nodes), body.at)
    return distinct(union, env.catalog.live, body.at) if isinstance(body, syntax.SetOperation) else union


def _operands(env: Environment, body: syntax.UnionAll | syntax.SetOperation) -> list[Node]:
    nodes: list[Node] = []
    failed = False
    for query in body.inputs:
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
    for query, node in zip(body.inputs, nodes, strict=True):
        if len(node.schema.fields) != width:
            raise Refusal(
                f"{_word(body)} of {width} and {len(node.schema.fields)} columns",
                query.at,
                "select the same columns in both",
            )
    return _aligned(body, nodes)


def _aligned(body: syntax.UnionAll | syntax.SetOperation, nodes: list[Node]) -> list[Node]:
    """Every input with the names of the first and the common types."""
    names = nodes[0].schema.names
    targets = []
    for index, name in enumerate(names):
        candidates = [node.schema.fields[index].type for node in nodes]
        target = coercion.common_type(candidates)
        if target is None:
            shown = " and ".join(sorted({str(each) for each in candidates}))
            raise Refusal(
                f"column {index + 1} ({name}) of {_word(body)} mixes {shown}", body.at, "CAST it in one of the inputs"
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
