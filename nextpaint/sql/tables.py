"""CREATE TABLE: from its syntax to a `Table`, with its computed columns, watermark and primary key checked."""

from __future__ import annotations

from nextpaint.record import types
from nextpaint.record.types import Field, Kind
from nextpaint.sql import coercion, definitions, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.formats import check_format
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Literal, Schema
from nextpaint.sql.program import Table, Watermark
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.scope import Scope
from nextpaint.sql.settings import check_options

# What a record of the node's backbone carries beside its value. `offset` is its ordinal in the ledger.
METADATA = {
    "topic": types.STRING,
    "partition": types.INT,
    "offset": types.BIGINT,
    "timestamp": types.TIMESTAMP_LTZ,
    "key": types.BYTES,
}
_ROWTIME_DIGITS_MAX = 3
_WATERMARK_USAGE = "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND"


def build_table(definition: definitions.CreateTable) -> Table:
    """The declared table. Raises Refusal at the first column or clause that is wrong."""
    if not definition.columns:
        raise Refusal(f"{definition.name.text} has no columns", definition.at)
    seen: set[str] = set()
    for column in definition.columns:
        if column.name.text in seen:
            raise Refusal(f"two columns are named {column.name.text}", column.name.at, "rename one")
        seen.add(column.name.text)
    fields, computed = _columns(definition)
    key = _key(definition, fields, computed)
    fields = [Field(each.name, each.type, each.nullable and index not in key) for index, each in enumerate(fields)]
    watermark = _watermark(definition, fields)
    places = dict(definition.option_places)
    check_options(dict(definition.options), places, definition.at)
    made = Table(
        definition.name.text,
        tuple(fields),
        key,
        watermark,
        tuple(computed.items()),
        _metadata(definition),
        definition.options,
        definition.at,
    )
    check_format(made, places)
    return made


def _metadata(definition: definitions.CreateTable) -> tuple[tuple[int, str, Expr], ...]:
    """What the record itself carries, cast to the declared type."""
    found: list[tuple[int, str, Expr]] = []
    for index, column in enumerate(definition.columns):
        if not column.metadata or column.type is None:
            continue
        own = METADATA.get(column.metadata)
        if own is None:
            raise Refusal(
                f"records have no metadata '{column.metadata}'", column.at, f"one of {', '.join(sorted(METADATA))}"
            )
        if not coercion.castable(own, column.type):
            raise Refusal(f"the metadata '{column.metadata}' is {own}, not {column.type}", column.at, f"declare {own}")
        found.append(
            (index, column.metadata, coercion.cast(ColumnRef(own, 0, column.metadata), column.type, column.at))
        )
    return tuple(found)


def _columns(definition: definitions.CreateTable) -> tuple[list[Field], dict[int, Expr]]:
    """All fields in order, and the expressions of computed ones (over physical columns only)."""
    physical = [
        Field(each.name.text, each.type, not each.not_null) if each.type is not None else None
        for each in definition.columns
    ]
    scope = Scope(
        [
            column
            for index, each in enumerate(physical)
            if each is not None
            for column in Scope.of(Schema((each,)), definition.name.text, index).columns
        ]
    )
    fields: list[Field] = []
    computed: dict[int, Expr] = {}
    later = {each.name.text for each in definition.columns if each.computed is not None}
    for index, (column, known) in enumerate(zip(definition.columns, physical, strict=True)):
        if known is not None:
            fields.append(known)
            continue
        assert column.computed is not None
        for each in syntax.walk(column.computed):
            if isinstance(each, syntax.Name) and each.parts[0].text in later:
                raise Refusal(
                    f"{column.name.text} is computed from {each}, itself a computed column",
                    each.at,
                    "computed columns use physical columns only",
                )
        expr = Binder(scope).value(column.computed)
        computed[index] = expr
        fields.append(Field(column.name.text, expr.type))
    return fields, computed


def _key(definition: definitions.CreateTable, fields: list[Field], computed: dict[int, Expr]) -> tuple[int, ...]:
    names = [each.name for each in fields]
    key: list[int] = []
    for each in definition.primary_key:
        if each.text not in names:
            raise Refusal(f"the PRIMARY KEY names an unknown column {each.text}", each.at, near(each.text, names))
        index = names.index(each.text)
        if index in key:
            raise Refusal(f"the PRIMARY KEY names {each.text} twice", each.at)
        if index in computed:
            raise Refusal(f"the PRIMARY KEY names the computed column {each.text}", each.at, "use physical columns")
        if fields[index].type.kind in (Kind.ARRAY, Kind.MAP, Kind.ROW):
            raise Refusal(f"a key of type {fields[index].type} is not supported", each.at, "use a plain column")
        key.append(index)
    return tuple(key)


def _watermark(definition: definitions.CreateTable, fields: list[Field]) -> Watermark | None:
    if definition.watermark is None:
        return None
    column, node = definition.watermark
    names = [each.name for each in fields]
    if column.text not in names:
        raise Refusal(f"WATERMARK FOR an unknown column {column.text}", column.at, near(column.text, names))
    index = names.index(column.text)
    if not fields[index].type.is_time:
        raise Refusal(
            f"WATERMARK FOR a {fields[index].type} column", column.at, "declare it TIMESTAMP(3) or TIMESTAMP_LTZ(3)"
        )
    if fields[index].type.precision > _ROWTIME_DIGITS_MAX:
        raise Refusal(
            f"WATERMARK FOR a {fields[index].type} column",
            column.at,
            f"an event time has at most {_ROWTIME_DIGITS_MAX} digits: {fields[index].type.kind}({_ROWTIME_DIGITS_MAX})",
        )
    expr = Binder(Scope.of(Schema(tuple(fields)), definition.name.text)).value(node)
    return Watermark(index, _delay(expr, index, node.at))


def _delay(expr: Expr, column: int, at: At) -> int:
    """The delay of `column` or `column - INTERVAL`, in ms."""
    if isinstance(expr, ColumnRef) and expr.index == column:
        return 0
    if isinstance(expr, Call) and expr.function == "-":
        left, right = expr.args
        if isinstance(left, ColumnRef) and left.index == column and isinstance(right, Literal):
            delay = right.value
            if right.type.kind is Kind.INTERVAL_DAY and isinstance(delay, int) and delay >= 0:
                return delay
    raise Refusal("a watermark is the column itself or the column minus a constant interval", at, _WATERMARK_USAGE)
