"""INSERT INTO: the query fitted to its target, and the order and rules of all INSERTs of an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nextpaint.record.types import BIGINT, Field, Kind
from nextpaint.sql import coercion, definitions, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.describe import describe_table
from nextpaint.sql.fitting import completed, enforced
from nextpaint.sql.formats import JSON, value_format
from nextpaint.sql.option_hints import check_option_hints
from nextpaint.sql.plan import At, Changes, ColumnRef, Conflicts, Deduplicate, Expr, Node, Project, Schema, Union
from nextpaint.sql.program import Insert, Table
from nextpaint.sql.queries import plan_statement_query
from nextpaint.sql.ranks import settled
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import projected
from nextpaint.sql.scope import Scope
from nextpaint.sql.settings import duration_ms


@dataclass(frozen=True, slots=True)
class PlannedInsert:
    """An INSERT and the tables it reads."""

    insert: Insert
    reads: tuple[str, ...]


def plan_insert(catalog: Catalog, statement: definitions.InsertInto, builtins: Mapping[str, Table]) -> PlannedInsert:
    """The statement against its target. Raises Refusal (or AlreadyReported)."""
    target = _target(catalog, statement, builtins)
    catalog.start()
    ttl_ms = duration_ms(catalog.settings.get("table.exec.state.ttl", "0"))
    node = _with_partition(settled(plan_statement_query(catalog, statement.query), ttl_ms), statement)
    reads, views = catalog.read()
    columns = _columns(statement, target)
    width = len(node.schema.fields)
    if width != len(columns):
        raise Refusal(
            f"the query has {width} columns, {target.name} takes {len(columns)}",
            statement.query.at,
            f"in this order: {', '.join(target.fields[index].name for index in columns)}",
        )
    _check_changes(statement, target, node, columns)
    _check_times(statement, node)
    node = _cast(node, target, columns, statement)
    node = enforced(node, target, columns, catalog.settings, statement.at)
    node = completed(node, target, columns, statement.at)
    if statement.conflict in ("NOTHING", "ERROR") and node.schema.changes is Changes.APPEND:
        node = _first_of_each_key(node, target, statement, ttl_ms)
    elif statement.conflict and not _fits(node, target):
        node = _one_of_each_key(node, target, statement, ttl_ms)
    every = tuple(range(len(target.fields)))
    return PlannedInsert(
        Insert(target.name, node, every, _canonical(catalog, statement, reads, views), statement.at), reads
    )


def _target(catalog: Catalog, statement: definitions.InsertInto, builtins: Mapping[str, Table]) -> Table:
    name = statement.target
    if name.text in catalog.views:
        raise Refusal(f"{name.text} is a view", name.at, "INSERT INTO a table")
    if name.text in builtins:
        raise Refusal(f"{name.text} is built in and written by the node", name.at, "INSERT INTO a table of your own")
    table = catalog.table(name)
    if table is None:
        raise Refusal(f"unknown table {name.text}", name.at, near(name.text, catalog.tables))
    if table.takes_images:
        raise Refusal(
            f"{name.text} takes changes from outside ('format' = 'debezium-json')", name.at, "INSERT INTO another table"
        )
    form = value_format(table).name
    if form != JSON:
        raise Refusal(
            f"{name.text} has the format '{form}', and statements write JSON", name.at, "leave the format out"
        )
    if table.metadata:
        column = table.fields[table.metadata[0][0]].name
        raise Refusal(
            f"{name.text} has the METADATA column {column}, which only records from outside carry",
            name.at,
            "INSERT INTO a table without METADATA",
        )
    check_option_hints(statement.options, name.text, table)
    return table


def _with_partition(node: Node, statement: definitions.InsertInto) -> Node:
    """The query's columns, then the constants of PARTITION."""
    if not statement.partition:
        return node
    own = [ColumnRef(each.type, index, each.name) for index, each in enumerate(node.schema.fields)]
    binder = Binder(Scope(()))
    constants = [binder.value(value) for _, value in statement.partition]
    names = [*node.schema.names, *(name.text for name, _ in statement.partition)]
    return projected(node, [*own, *constants], names, statement.at)


def _columns(statement: definitions.InsertInto, target: Table) -> tuple[int, ...]:
    """The target columns in the order of the query's; computed ones take no value."""
    computed = {index for index, _ in target.computed}
    constant = tuple(name for name, _ in statement.partition)
    names = {each.text for each in constant}
    if not statement.columns:
        rest = [index for index, each in enumerate(target.names) if index not in computed and each not in names]
        return (*rest, *_listed(statement, target, constant, rest))
    return _listed(statement, target, (*statement.columns, *constant), ())


def _listed(
    statement: definitions.InsertInto, target: Table, columns: Sequence[syntax.Ident], others: Sequence[int]
) -> tuple[int, ...]:
    """The places of columns written out; with `others` no column may be left that is NOT NULL."""
    computed = {index for index, _ in target.computed}
    found: list[int] = []
    for each in columns:
        if each.text not in target.names:
            raise Refusal(f"{target.name} has no column {each.text}", each.at, near(each.text, target.names))
        index = target.names.index(each.text)
        if index in computed:
            raise Refusal(f"{each.text} is a computed column", each.at, "leave it out")
        if index in found:
            raise Refusal(f"{each.text} is given twice", each.at)
        found.append(index)
    for index, field in enumerate(target.fields):
        if not field.nullable and index not in (*found, *others, *computed):
            raise Refusal(f"{field.name} of {target.name} is NOT NULL and gets no value", statement.at, "select it too")
    return tuple(found)


def _check_changes(statement: definitions.InsertInto, target: Table, node: Node, columns: Sequence[int]) -> None:
    """Flink's rules for updating queries; ON CONFLICT decides where the keys differ."""
    schema = node.schema
    if statement.conflict and not target.primary_key:  # Flink 2.3: "only allowed for upsert sinks"
        raise Refusal(f"ON CONFLICT, and {target.name} has no PRIMARY KEY", statement.at, "leave it out")
    if schema.changes is Changes.APPEND:
        return
    if not target.primary_key:
        raise Refusal(
            f"{target.name} has no PRIMARY KEY and cannot take updates, and this query updates its rows",
            statement.at,
            "declare PRIMARY KEY (...) NOT ENFORCED on the table, or aggregate over a window",
        )
    key = {columns[index] for index in schema.key}
    if not statement.conflict and (not key or not key <= set(target.primary_key)):
        own = ", ".join(target.fields[index].name for index in target.primary_key)
        query = ", ".join(schema.fields[index].name for index in schema.key) or "nothing"
        raise Refusal(
            f"the query's rows are unique by ({query}), {target.name} by ({own})",
            statement.at,
            "make the PRIMARY KEY the columns of GROUP BY, and select all of them; or ON CONFLICT DO DEDUPLICATE",
        )


def _fits(node: Node, target: Table) -> bool:
    """Does the query have at most one row of each key of the target?"""
    schema = node.schema
    return schema.changes is Changes.APPEND or (bool(schema.key) and set(schema.key) <= set(target.primary_key))


def _one_of_each_key(node: Node, target: Table, statement: definitions.InsertInto, ttl_ms: int) -> Node:
    """ON CONFLICT over updates: one of the rows of each key shows."""
    schema = replace(node.schema, key=target.primary_key, rowtime=None, more_times=())
    buries = f"{target.name} has a row of this key already" if statement.conflict == "ERROR" else ""
    return Conflicts(schema, node, target.primary_key, statement.conflict, statement.at, ttl_ms, buries)


def _first_of_each_key(node: Node, target: Table, statement: definitions.InsertInto, ttl_ms: int) -> Node:
    """ON CONFLICT DO NOTHING and DO ERROR: the first row of each key stays. A further one is passed over, or goes to
    the dead letters; Flink's ERROR fails the job there."""
    schema, at = node.schema, statement.at
    buries = f"{target.name} has a row of this key already" if statement.conflict == "ERROR" else ""
    ranked = replace(schema, fields=(*schema.fields, Field("rank", BIGINT, False)), key=target.primary_key)
    first = Deduplicate(ranked, node, target.primary_key, None, False, at, ttl_ms, buries)
    refs = tuple(ColumnRef(each.type, index, each.name, at) for index, each in enumerate(schema.fields))
    return Project(replace(schema, key=target.primary_key), first, refs, at)


def _check_times(statement: definitions.InsertInto, node: Node) -> None:
    """A row of a topic has one time; Flink refuses two."""
    times = [node.schema.fields[index].name for index in node.schema.times]
    if len(times) > 1:
        raise Refusal(
            f"the query has {len(times)} time attributes: {', '.join(times)}",
            statement.query.at,
            f"CAST({times[1]} AS TIMESTAMP(3)) makes it a plain column",
        )


def _cast(node: Node, target: Table, columns: Sequence[int], statement: definitions.InsertInto) -> Node:
    """The query's columns in the target's types; one projection, when any type differs."""
    exprs: list[Expr] = []
    changed = False
    for index, (field, position) in enumerate(zip(node.schema.fields, columns, strict=True)):
        wanted = target.fields[position]
        at = _item_at(statement.query, index)
        ref = ColumnRef(field.type, index, field.name, at)
        if not coercion.stores(field.type, wanted.type):
            word = "TRY_CAST" if field.type.kind is Kind.STRING else "CAST"
            raise Refusal(
                f"column {index + 1} ({field.name}) is {field.type}, {target.name}.{wanted.name} is {wanted.type}",
                at,
                f"write {word}({field.name} AS {wanted.type})",
            )
        expr = coercion.cast(ref, wanted.type, at)
        changed = changed or expr is not ref
        exprs.append(expr)
    if not changed:
        return node
    schema = node.schema
    fields = tuple(Field(each.name, expr.type, each.nullable) for each, expr in zip(schema.fields, exprs, strict=True))
    # A cast to a wider type keeps rows apart, so the key stays; a cast time column is no time attribute any more.
    rowtime = schema.rowtime
    if rowtime is not None and not isinstance(exprs[rowtime], ColumnRef):
        rowtime = None
    return Project(Schema(fields, rowtime, schema.key, schema.changes), node, tuple(exprs), statement.at)


def _item_at(query: syntax.Query, index: int) -> At:
    """Where output column `index` was written, when the SELECT list says so."""
    body = query.body
    while isinstance(body, syntax.UnionAll | syntax.SetOperation):
        body = body.inputs[0].body
    if isinstance(body, syntax.ValueRows):
        return body.rows[0][index].at if index < len(body.rows[0]) else body.at
    if index < len(body.items) and not any(
        isinstance(each.expression, syntax.Star) for each in body.items[: index + 1]
    ):
        return body.items[index].at
    return body.at


def _canonical(catalog: Catalog, statement: definitions.InsertInto, reads: Sequence[str], views: Sequence[str]) -> str:
    """Everything the statement's state depends on: the tables and views it reads, then itself."""
    lines = [describe_table(catalog.tables[name]) for name in reads]
    for name in views:
        view = catalog.views[name]
        columns = f" ({', '.join(each.text for each in view.columns)})" if view.columns else ""
        lines.append(f"VIEW {name}{columns} AS {view.text}")
    return ";\n".join([*lines, statement.text])


# ---------------------------------------------------------------- all INSERTs together


def together(planned: Sequence[PlannedInsert], tables: Mapping[str, Table]) -> list[PlannedInsert]:
    """One statement per target: INSERTs into one are a UNION ALL of their rows, those of one record in the order of the
    statements. Each row of a keyed table takes the place of the last one, and a deletion its key, whoever wrote it."""
    by_target: dict[str, list[PlannedInsert]] = {}
    for each in planned:
        by_target.setdefault(each.insert.target, []).append(each)
    return [_joint(several, tables) if len(several) > 1 else several[0] for several in by_target.values()]


def _joint(several: Sequence[PlannedInsert], tables: Mapping[str, Table]) -> PlannedInsert:
    first = several[0].insert
    schemas = [each.insert.root.schema for each in several]
    fields = tuple(
        replace(own[0], nullable=any(each.nullable for each in own))
        for own in zip(*(each.fields for each in schemas), strict=True)
    )
    changes = Changes.RETRACT if any(each.changes is Changes.RETRACT for each in schemas) else Changes.APPEND
    key = tables[first.target].primary_key if changes is Changes.RETRACT else ()
    rowtime = schemas[0].rowtime if len({each.rowtime for each in schemas}) == 1 else None
    root = Union(Schema(fields, rowtime, key, changes), tuple(each.insert.root for each in several), first.at)
    reads = tuple(dict.fromkeys(name for each in several for name in each.reads))
    text = ";\n".join(each.insert.sql for each in several)
    return PlannedInsert(Insert(first.target, root, first.columns, text, first.at), reads)


def in_order(planned: Sequence[PlannedInsert]) -> tuple[list[Insert], list[Refusal]]:
    """INSERTs so that each comes after those that fill the tables it reads; else the circles, by name."""
    by_target = {each.insert.target: each for each in planned}
    order: list[Insert] = []
    done: set[str] = set()
    refused: list[Refusal] = []

    def visit(target: str, path: tuple[str, ...]) -> None:
        if target in done:
            return
        each = by_target[target]
        if target in path:
            circle = " -> ".join([*path[path.index(target) :], target])
            refused.append(Refusal(f"tables feed each other in a circle: {circle}", each.insert.at, "break it"))
            done.add(target)
            return
        for name in each.reads:
            if name in by_target:
                visit(name, (*path, target))
        if target not in done:
            done.add(target)
            order.append(each.insert)

    for each in planned:
        visit(each.insert.target, ())
    return order, refused
