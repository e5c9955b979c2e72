"""CREATE TABLE ... AS query: a table with the query's columns, and the INSERT that fills it, as Flink makes them
(`MergeTableAsUtil`).

Columns written out come first, and get no value unless they are computed; then the query's in its order. A column
written out under the name of one of the query's gives it its type, where an INSERT could store that. Names alone,
`(b, a)`, put the query's columns in another order. A table may be LIKE such a one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.record.types import Field
from nextpaint.sql.canonical import canonical_text, quoted
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.definitions import ColumnDefinition, CreateTable, Filling, InsertInto
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.likeness import merged
from nextpaint.sql.plan import (
    ColumnRef,
    Filter,
    GroupAggregate,
    Node,
    Project,
    Scan,
    WindowAggregate,
    WindowedAggregate,
)
from nextpaint.sql.program import Table
from nextpaint.sql.queries import distinct_names, plan_statement_query
from nextpaint.sql.ranks import settled
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import Ident
from nextpaint.sql.tables import build_table

_INSTEAD = "declare the table, then INSERT INTO it"


def fill_table(catalog: Catalog, definition: CreateTable) -> Table:
    """The table with the columns of its query, or of the query of the table it is LIKE. Raises Refusal (or
    AlreadyReported)."""
    return build_table(_whole(catalog, definition))


def _whole(catalog: Catalog, definition: CreateTable) -> CreateTable:
    """The definition with all of its columns."""
    if definition.like is not None:
        source = definition.like.source
        catalog.table(source)  # what is wrong with it is reported there, once
        return merged(definition, _whole(catalog, catalog.filled[source.text]))
    filling = definition.filling
    assert filling is not None, "a table without a query of its own is LIKE another"
    node = _planned(catalog, filling)
    _check_columns(definition, node)
    own = {each.name.text: each for each in definition.columns}
    taken = [own.pop(each.name) if each.name in own else _column(each, definition) for each in node.schema.fields]
    if filling.listed:
        taken = _in_order(taken, filling.listed)
    columns = (*(each for each in definition.columns if each.name.text in own), *taken)
    return replace(definition, columns=columns)


def filling_insert(catalog: Catalog, definition: CreateTable) -> InsertInto | None:
    """The statement that fills the table; None when the table has been refused."""
    filling = definition.filling
    if filling is None or definition.name.text in catalog.broken:
        return None
    names = _planned(catalog, filling).schema.names
    head = tokenize(f"INSERT INTO {quoted(definition.name.text)} ({', '.join(map(quoted, names))})")[:-1]
    text = f"{canonical_text(head)} {filling.text}"
    columns = tuple(Ident(each, definition.name.at) for each in names)
    return InsertInto(definition.name, columns, filling.query, "", text, definition.at)


def _planned(catalog: Catalog, filling: Filling) -> Node:
    return distinct_names(settled(plan_statement_query(catalog, filling.query)))


def _column(field: Field, definition: CreateTable) -> ColumnDefinition:
    """A column of the query as it would be written."""
    at = definition.filling.query.at if definition.filling is not None else definition.at
    return ColumnDefinition(Ident(field.name, at), field.type, not field.nullable, at=at)


def _in_order(columns: Sequence[ColumnDefinition], listed: Sequence[Ident]) -> list[ColumnDefinition]:
    """The query's columns in the order of names: each of them, once."""
    by_name = {each.name.text: each for each in columns}
    for each in listed:
        if each.text not in by_name:
            raise Refusal(f"the query has no column {each.text}", each.at, near(each.text, by_name))
    if len(listed) != len(columns):
        cure = f"name each of {', '.join(by_name)} once"
        raise Refusal(f"{len(listed)} names for the {len(columns)} columns of the query", listed[0].at, cure)
    return [replace(by_name[each.text], name=each) for each in listed]


def _check_columns(definition: CreateTable, node: Node) -> None:
    """What is written out beside the query must fit it."""
    names = node.schema.names
    keys = {each.text for each in definition.primary_key}
    for each in definition.columns:
        if each.kind != "PHYSICAL" and each.name.text in names:
            raise Refusal(f"the query has a column {each.name.text} already", each.name.at, "rename one of them")
    places = {each.name.text: each.at for each in definition.columns if each.not_null}
    places |= {each.text: each.at for each in definition.primary_key}
    for name, at in places.items():
        if name in names and _takes_null(node, names.index(name)):
            what = "is in the PRIMARY KEY" if name in keys else "is NOT NULL"
            cure = f"select COALESCE({name}, ..) AS {name}; or {_INSTEAD}"
            raise Refusal(f"{name} {what}, and may be NULL in the query", at, cure)


def _takes_null(node: Node, index: int) -> bool:
    """Is the column surely one that may be NULL: a table's own, passed on? Of other expressions we do not know; where
    Flink refuses those as keys, a NULL is handled as by any INSERT."""
    match node:
        case Scan():
            return node.schema.fields[index].nullable
        case Filter():
            return _takes_null(node.input, index)
        case Project():
            expr = node.exprs[index]
            return isinstance(expr, ColumnRef) and _takes_null(node.input, expr.index)
        case GroupAggregate() | WindowAggregate() | WindowedAggregate():
            return index < len(node.keys) and _takes_null(node.input, node.keys[index])
    return False
