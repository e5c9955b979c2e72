"""Nested values as keys: GROUP BY, DISTINCT, set operations and PARTITION BY of ARRAY, MAP and ROW.

Nothing that keeps rows by key knows nested keys. A projection makes BYTES of them by PACK, the same for equal values;
another one gives the values back by UNPACK. Entries of a MAP have no order; everything else is compared in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.record.types import BYTES, Field, Kind, Type
from nextpaint.sql.plan import At, Call, Changes, ColumnRef, Expr, GroupAggregate, Node, Schema
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import projected


def key_type(type_: Type) -> Type:
    """The type of a key of such values."""
    return BYTES if type_.is_nested else type_


def bytewise(type_: Type) -> bool:
    """Are two values equal by `=` just where their keys are? Not of floating point: 0.0 = -0.0, and NaN <> NaN."""
    inner = (type_.element, type_.key, *(each.type for each in type_.fields))
    return type_.kind not in (Kind.FLOAT, Kind.DOUBLE) and all(bytewise(each) for each in inner if each is not None)


def packed(value: Expr) -> Expr:
    """A value as a key."""
    if value.type.kind is Kind.NULL:
        raise Refusal("a key that is NULL has no type", value.at, "CAST(NULL AS a type)")
    if not value.type.is_nested:
        return value
    if isinstance(value, Call) and value.function == "UNPACK":
        return value.args[0]
    return Call(BYTES, "PACK", (value,), at=value.at)


def unpacked(key: Expr, type_: Type) -> Expr:
    """The value of that type that a key was made of."""
    return Call(type_, "UNPACK", (key,), at=key.at) if type_.is_nested else key


def with_packed(node: Node, at: At) -> Node:
    """The node with each of its columns as a key."""
    return projected(node, [packed(each) for each in _columns(node.schema.fields, at)], node.schema.names, at)


def with_unpacked(node: Node, fields: Sequence[Field], at: At) -> Node:
    """A node of keys with the values of these columns."""
    columns = _columns(node.schema.fields, at)
    values = [unpacked(each, field.type) for each, field in zip(columns, fields, strict=True)]
    return projected(node, values, node.schema.names, at)


def distinct(node: Node, live: bool, at: At) -> Node:
    """Each row once: a group of all columns without aggregates. Of rows that only come, it too only gives more."""
    keys = with_packed(node, at)
    columns = tuple(range(len(keys.schema.fields)))
    changes = Changes.APPEND if live else node.schema.changes
    groups = GroupAggregate(Schema(keys.schema.fields, None, columns, changes), keys, columns, (), at)
    return with_unpacked(groups, node.schema.fields, at)


def _columns(fields: Sequence[Field], at: At) -> list[ColumnRef]:
    return [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(fields)]
