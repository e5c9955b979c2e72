"""The last steps of an INSERT: NOT NULL columns enforced, and every column of the target filled.

`table.exec.sink.not-null-enforcer`: ERROR (the default) sends a row with a NULL where none may be to the dead letters,
DROP drops it. Flink's ERROR fails the job; here the statement goes on. Columns of the PRIMARY KEY are not checked by
ERROR: a NULL in a key is a key of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nextpaint.record.types import BOOLEAN, Field
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Filter, Literal, Node, Project, Schema
from nextpaint.sql.program import Table

ENFORCER = "table.exec.sink.not-null-enforcer"


def enforced(node: Node, target: Table, columns: Sequence[int], settings: Mapping[str, str], at: At) -> Node:
    """`node` without rows that have a NULL for a NOT NULL column of `target`."""
    drops = settings.get(ENFORCER, "ERROR").upper() == "DROP"
    schema = node.schema
    checked = [
        index
        for index, place in enumerate(columns)
        if not target.fields[place].nullable
        and schema.fields[index].nullable
        and (drops or place not in target.primary_key)
    ]
    if not checked:
        return node
    refs = [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(schema.fields)]
    if drops:
        for index in checked:
            node = Filter(node.schema, node, Call(BOOLEAN, "IS NOT NULL", (refs[index],), at=at), at)
        return node
    exprs: list[Expr] = list(refs)
    for index in checked:
        column = (("column", target.fields[columns[index]].name),)
        exprs[index] = Call(refs[index].type, "REQUIRE", (refs[index],), column, at)
    fields = tuple(replace(each, nullable=each.nullable and i not in checked) for i, each in enumerate(schema.fields))
    rowtime = None if schema.rowtime in checked else schema.rowtime
    return Project(replace(schema, fields=fields, rowtime=rowtime), node, tuple(exprs), at)


def completed(node: Node, target: Table, columns: Sequence[int], at: At) -> Node:
    """`node` with every column of the target in its order: those given, computed ones, and NULL for the others."""
    if tuple(columns) == tuple(range(len(target.fields))):
        return node
    schema = node.schema
    place = {column: index for index, column in enumerate(columns)}
    given: dict[int, Expr] = {}
    for index, field in enumerate(target.fields):
        if index in place:
            own = schema.fields[place[index]]
            given[index] = ColumnRef(own.type, place[index], own.name, at)
        else:
            given[index] = Literal(field.type, None, at)
    exprs = dict(given)
    for index, expr in target.computed:
        exprs[index] = _over(expr, given)
    fields = tuple(
        Field(each.name, each.type, schema.fields[place[index]].nullable if index in place else True)
        for index, each in enumerate(target.fields)
    )
    rowtime = None if schema.rowtime is None else columns[schema.rowtime]
    key = tuple(columns[index] for index in schema.key)
    ordered = tuple(exprs[index] for index in range(len(target.fields)))
    return Project(Schema(fields, rowtime, key, schema.changes), node, ordered, at)


def _over(expr: Expr, columns: Mapping[int, Expr]) -> Expr:
    """An expression over a table's columns as one over what fills them."""
    if isinstance(expr, ColumnRef):
        return columns[expr.index]
    if isinstance(expr, Call):
        return replace(expr, args=tuple(_over(each, columns) for each in expr.args))
    return expr
