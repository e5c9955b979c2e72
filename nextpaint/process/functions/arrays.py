"""Rows, arrays and maps: constructors, access and the functions over them.

Arrays count from 1. An index or key that is not there gives NULL. A ROW is a tuple in field order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nextpaint.process.functions.casts import widen
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Failed,
    Held,
    Operand,
    cells_of,
    hold,
    lift,
    made,
)
from nextpaint.record.columns import Column, RowColumn
from nextpaint.record.types import Kind, Type
from nextpaint.sql.plan import Call

Builder = Callable[[Call, tuple[Operand, ...]], Operand]


def _constructor(call: Call, operands: tuple[Operand, ...], gather: Callable[[tuple[Any, ...]], Any]) -> Operand:
    """NULL arguments are kept as NULL elements."""
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        if not runs:
            return hold(call.type, [gather(()) for _ in range(ev.length)])
        columns = [cells_of(run(ev)) for run in runs]
        return hold(call.type, [gather(line) for line in zip(*columns, strict=True)])

    return made(call.type, kernel, operands)


def build_row(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ROW: the arguments as fields."""
    parts = tuple([widen(each, field.type) for each, field in zip(operands, call.type.fields, strict=True)])
    slowly = _constructor(call, parts, tuple)

    def column(ev: Evaluation) -> Column:
        fields = [each.column(ev) if each.column is not None else Column(each.type, *each.run(ev)) for each in parts]
        return RowColumn(call.type, ev.length, fields.__getitem__, None)

    return replace(slowly, column=column) if parts and not slowly.warns else slowly


def build_array(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ARRAY: the arguments as elements."""
    return _constructor(call, tuple([widen(each, _element(call.type)) for each in operands]), list)


def build_map(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Arguments: key, value, key, value, ... A later key replaces an earlier one."""
    if len(operands) % 2:
        raise ValueError("MAP needs a value for every key")
    key, element = call.type.key, _element(call.type)
    assert key is not None
    parts = tuple([widen(each, element if index % 2 else key) for index, each in enumerate(operands)])
    return _constructor(call, parts, lambda line: dict(zip(line[::2], line[1::2], strict=True)))


def _element(type_: Type) -> Type:
    if type_.element is None:
        raise TypeError(f"{type_} has no elements")
    return type_.element


def build_field(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """FIELD: the field of a ROW that the option name gives."""
    names = [field.name for field in operands[0].type.fields]
    name = dict(call.options).get("name")
    if name not in names:
        raise ValueError(f"the row has no field {name!r}; it has {', '.join(names)}")
    place = names.index(str(name))
    rows, slowly = operands[0].column, lift(call.type, lambda row: row[place], operands)
    if rows is None:
        return made(call.type, slowly, operands)

    def column(ev: Evaluation) -> Column:
        row = rows(ev)
        if isinstance(row, RowColumn):
            return row.field(place)
        values, valid = slowly(ev)
        return Column(call.type, values, valid)

    def kernel(ev: Evaluation) -> Held:
        found = column(ev)
        return found.values, found.valid

    return replace(made(call.type, kernel, operands), column=column)


def _at(values: list[Any], index: int) -> Any:
    return values[index - 1] if 1 <= index <= len(values) else None


def build_item(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ITEM: array[i], map[key]."""
    if operands[0].type.kind is Kind.ARRAY:
        index = operands[1].value
        if isinstance(index, int) and index < 1:
            raise ValueError(f"the elements of an array count from 1, not {index}")
        return made(call.type, lift(call.type, _at, operands), operands)
    if operands[0].type.kind is not Kind.MAP or operands[0].type.key is None:
        raise TypeError(f"a {operands[0].type} has no elements to take")
    parts = (operands[0], widen(operands[1], operands[0].type.key))
    return made(call.type, lift(call.type, lambda entries, key: entries.get(key), parts), parts)


def _only(values: list[Any]) -> Any:
    if len(values) > 1:
        raise Failed(f"ELEMENT of an array of {len(values)} elements; it must have one")
    return values[0] if values else None


def build_contains(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ARRAY_CONTAINS: TRUE or FALSE also with NULL elements; a NULL is looked for like any other value."""
    wanted = widen(operands[1], _element(operands[0].type))
    first, second = operands[0].run, wanted.run

    def kernel(ev: Evaluation) -> Held:
        pairs = zip(cells_of(first(ev)), cells_of(second(ev)), strict=True)
        return hold(call.type, [None if values is None else value in values for values, value in pairs])

    return made(call.type, kernel, (operands[0], wanted))


def _plain(function: Callable[..., Any], *, fallible: bool = False) -> Builder:
    return lambda call, operands: made(call.type, lift(call.type, function, operands), operands, fallible=fallible)


FUNCTIONS: dict[str, Builder] = {
    "ROW": build_row,
    "ARRAY": build_array,
    "MAP": build_map,
    "FIELD": build_field,
    "ITEM": build_item,
    "CARDINALITY": _plain(len),
    "ELEMENT": _plain(_only, fallible=True),
    "ARRAY_CONTAINS": build_contains,
}
