"""Table functions: what rows one row may become, by name and argument types.

UNNEST is built in, an application brings its own (`user_functions`). Others are put into `TABLE_FUNCTIONS` beside their
evaluation in `process/functions/table_functions.py`, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nextpaint.record.types import INT, Field, Kind, Type
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import named
from nextpaint.sql.function_rules import user_arguments
from nextpaint.sql.plan import At, Expand, Expr, Node, Schema, Values
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import Relation
from nextpaint.sql.scope import Scope
from nextpaint.sql.user_functions import TABLE, UserFunction, in_force

ORDINALITY = Field("ORDINALITY", INT, False)
FieldsOf = Callable[[Sequence[Type], At], tuple[Field, ...]]


def _unnested(types: Sequence[Type], at: At) -> tuple[Field, ...]:
    type_ = types[0]
    if type_.is_multiset and type_.key is not None:
        return _of_elements(type_.key)
    if type_.kind is Kind.MAP and type_.key is not None and type_.element is not None:
        return (Field("KEY", type_.key), Field("VALUE", type_.element))
    if type_.kind is not Kind.ARRAY or type_.element is None:
        raise Refusal(f"UNNEST takes an array, a map or a multiset, not {type_}", at)
    return _of_elements(type_.element)


def _of_elements(type_: Type) -> tuple[Field, ...]:
    if type_.kind is Kind.ROW:
        return tuple(Field(each.name, each.type) for each in type_.fields)
    return (Field("", type_),)


TABLE_FUNCTIONS: dict[str, FieldsOf] = {"UNNEST": _unnested}


def expansion(source: syntax.Expansion, scope: Scope) -> tuple[Relation, tuple[Expr, ...]]:
    """The columns that `source` adds to a row (over no rows yet), and its arguments over the row's columns."""
    user = user_table(source.function)
    if user is not None:
        args = user_arguments(Binder(scope), source.args, user, source.at)
        fields = tuple(Field(each.name, each.type) for each in user.result.fields)
    else:
        args = tuple(Binder(scope).value(each) for each in source.args)
        fields = _built_in(source)([each.type for each in args], source.args[0].at if source.args else source.at)
    alias = source.alias or syntax.Ident("EXPR$0", source.at)
    fields = tuple(replace(each, name=each.name or alias.text) for each in fields)  # as Flink names the one column
    if source.ordinality:
        fields = (*fields, ORDINALITY)
    node: Node = Values(Schema(fields), (), source.at)
    if source.columns:
        node = named(node, source.columns, alias)
    return Relation(node, Scope.of(node.schema, source.alias.text if source.alias is not None else "")), args


def user_table(name: str) -> UserFunction | None:
    """The application's own table function of that name."""
    user = in_force().functions.get(name.upper())
    return user if user is not None and user.kind == TABLE else None


def _built_in(source: syntax.Expansion) -> FieldsOf:
    function = TABLE_FUNCTIONS.get(source.function)
    if function is None:
        own = [each.name for each in in_force().functions.values() if each.kind == TABLE]
        cure = near(source.function, [*TABLE_FUNCTIONS, *own])
        raise Refusal(f"{source.function}(...) is not a table function here", source.at, cure)
    return function


def expand(
    left: Node, source: syntax.Expansion, right: Relation, args: tuple[Expr, ...], *, outer: bool, residual: Expr | None
) -> Node:
    """`left` with each row as often as the function says; `outer` pads a row for which no other is left."""
    schema = left.schema
    added = tuple(Field(each.name, each.type, each.nullable or outer) for each in right.node.schema.fields)
    made = Schema(
        (*schema.fields, *added), schema.rowtime, (), schema.changes, schema.more_times, schema.proctimes
    )  # fmt: skip
    user = user_table(source.function)
    function, options = ("PYTHON", user.options) if user is not None else (source.function, ())
    return Expand(made, left, function, args, source.ordinality, outer, residual, source.at, options)
