"""Temporal joins: `l [LEFT] JOIN r FOR SYSTEM_TIME AS OF l.ts AS r ON l.k = r.k`.

By an event time the row meets the version in force then; by a processing time (a lookup join) what the table holds when
the row is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.record.types import INTEGERS, Field
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.join_conditions import conjunction, equalities
from nextpaint.sql.join_keys import moved, with_columns, without_columns
from nextpaint.sql.plan import (
    Call,
    Changes,
    ColumnRef,
    Deduplicate,
    Expr,
    LookupJoin,
    Node,
    Project,
    Scan,
    Schema,
    TemporalJoin,
)
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.scope import Scope


def temporal_join(left: Node, scope: Scope, right: Node, on: Sequence[Expr], join: syntax.Join) -> Node:
    """The join of each left row with the version in force at its time. `scope`: the left side's names; `on`: the
    conjuncts of ON over left and right columns."""
    table = join.right
    assert isinstance(table, syntax.TableName) and table.as_of is not None and join.on is not None
    if left.schema.changes is not Changes.APPEND:
        raise Refusal(
            "the left side of a temporal join must not be updated later", join.at, "join the stream of events"
        )
    moment = Binder(scope).value(table.as_of)
    if isinstance(moment, ColumnRef) and moment.index in left.schema.proctimes:
        return _lookup_join(left, right, on, join)
    right_time = _check_versioned(right, table)
    left_time = _as_of(left, scope, table.as_of)
    if right.schema.fields[right_time].type.kind is not left.schema.fields[left_time].type.kind:
        raise Refusal(
            "both sides of a temporal join need the same kind of time", join.at, "TIMESTAMP(3) or TIMESTAMP_LTZ(3)"
        )
    keys, residual = _split(on, len(left.schema.fields))
    right_keys = right.schema.key
    missing = [right.schema.fields[index].name for index in right_keys if index not in keys]
    if missing:
        qualifier = (table.alias or table.name).text
        raise Refusal(
            f"a temporal join needs the whole PRIMARY KEY of {table.name.text}: {', '.join(missing)}",
            join.on.at,
            " AND ".join(f"l.{name} = {qualifier}.{name}" for name in missing),
        )
    outer = join.kind == "LEFT"
    extra = tuple(Field(each.name, each.type, each.nullable or outer) for each in right.schema.fields)
    schema = Schema((*left.schema.fields, *extra), left.schema.rowtime, (), Changes.APPEND)
    left_keys = tuple(keys[index] for index in right_keys)
    return TemporalJoin(
        schema, left, right, left_keys, right_keys, left_time, right_time, outer, residual, join.at
    )  # fmt: skip


def _lookup_join(left: Node, right: Node, on: Sequence[Expr], join: syntax.Join) -> Node:
    """`FOR SYSTEM_TIME AS OF` a processing time: the table as it is at the row's position."""
    table = join.right
    assert isinstance(table, syntax.TableName) and join.on is not None
    if not right.schema.key:
        raise Refusal(
            f"{table.name.text} has no PRIMARY KEY and cannot be looked up", table.at, "PRIMARY KEY (...) NOT ENFORCED"
        )
    width = len(left.schema.fields)
    pairs, rest = equalities(on, width)
    left, left_keys = with_columns(left, [each.left for each in pairs])
    wide = len(left.schema.fields)
    keys = [each.right.index for each in pairs if isinstance(each.right, ColumnRef) and not each.nulls]
    if not pairs or len(keys) < len(pairs):
        raise Refusal(
            "a lookup join needs equalities with columns of the table", join.on.at, f"l.key = {table.name.text}.key"
        )
    outer = join.kind == "LEFT"
    extra = tuple(Field(each.name, each.type, each.nullable or outer) for each in right.schema.fields)
    schema = replace(left.schema, fields=(*left.schema.fields, *extra), key=(), windowed=None)
    residual = conjunction([moved(each, width, wide - width) for each in rest])
    node = LookupJoin(schema, left, right, tuple(left_keys), tuple(keys), outer, residual, join.at)
    return without_columns(node, (width, wide), len(extra))


def _check_versioned(node: Node, table: syntax.TableName) -> int:
    """The time column of a versioned table."""
    name = table.name.text
    plain = node
    while isinstance(plain, Project):
        plain = plain.input
    latest = isinstance(plain, Scan) or (isinstance(plain, Deduplicate) and plain.last and plain.time is not None)
    if not latest or not node.schema.key:
        raise Refusal(
            f"{name} is not a versioned table: it has no PRIMARY KEY",
            table.at,
            "PRIMARY KEY (...) NOT ENFORCED, or a view of the latest row per key",
        )
    if node.schema.rowtime is None:
        raise Refusal(f"{name} is not a versioned table: it has no event time", table.at, "declare WATERMARK FOR on it")
    return node.schema.rowtime


def _as_of(left: Node, scope: Scope, as_of: syntax.Expression) -> int:
    time = Binder(scope).value(as_of)
    rowtime = left.schema.rowtime
    if isinstance(time, ColumnRef) and time.index in left.schema.times:
        return time.index
    if rowtime is None:
        cure = "declare WATERMARK FOR on the left table and keep that column in the views between"
    else:
        cure = f"the left side's time attribute is {left.schema.fields[rowtime].name}"
    raise Refusal("FOR SYSTEM_TIME AS OF takes the left side's time attribute", as_of.at, cure)


def _split(on: Sequence[Expr], left_count: int) -> tuple[dict[int, int], Expr | None]:
    """`right key -> left column` of the equalities between plain columns, and the rest of the condition."""
    keys: dict[int, int] = {}
    rest: list[Expr] = []
    for each in on:
        pair = _key_pair(each, left_count)
        if pair is None or pair[1] in keys:
            rest.append(each)
        else:
            keys[pair[1]] = pair[0]
    return keys, conjunction(rest)


def _key_pair(each: Expr, left_count: int) -> tuple[int, int] | None:
    if not isinstance(each, Call) or each.function != "=":
        return None
    first, second = each.args
    if not isinstance(first, ColumnRef) or not isinstance(second, ColumnRef):
        return None
    if first.type.kind is not second.type.kind and not {first.type.kind, second.type.kind} <= set(INTEGERS):
        return None
    low, high = sorted((first.index, second.index))
    if low < left_count <= high:
        return low, high - left_count
    return None
