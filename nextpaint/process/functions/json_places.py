"""JSON_VALUE over texts that are held as places in a buffer: the kernel that decodes records finds the member.

A path of names is a schema of ROWs with one field each. The kernel answers for what it is certain of (see
`kernels.json_columns`): a text that is not strict JSON in the usual form, or a scalar that is not of the type asked
for, goes to the function of Python strings, which is the reference. A number asked for as text is what is written
there, where that is how the reference writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nextpaint.process.decoding import JsonDecoder, Pass
from nextpaint.process.functions.evaluation import Evaluation, Failed, Held, Operand
from nextpaint.process.functions.text_places import located, with_column
from nextpaint.process.kernels.json_columns import DEPTH_MAX, RAW, UNESCAPED, VALUE
from nextpaint.record.columns import BoolArray, Column, IntArray, TextColumn
from nextpaint.record.types import INTEGERS, Field, Kind, Type, row
from nextpaint.record.views import Views

_WRITTEN = re.compile(rb"true|false|0|-?[1-9][0-9]*(?:\.[0-9]+)?|-?0\.[1-9][0-9]*").fullmatch
_KINDS = frozenset({Kind.STRING, Kind.BOOLEAN, Kind.DOUBLE, *INTEGERS})
Function = Callable[[str], Any]


def at_path(made: Operand, source: Operand, steps: Sequence[str | int | None], function: Function) -> Operand:
    """JSON_VALUE that is NULL where there is no scalar. `function`: of one text, for rows the kernel leaves; it may
    raise Failed."""
    names = [each for each in steps if isinstance(each, str)]
    if not names or len(names) < len(steps) or len(steps) >= DEPTH_MAX or made.type.kind not in _KINDS:
        return made
    decoder, depth = JsonDecoder([_schema(names, made.type)]), len(names)

    def fast(ev: Evaluation) -> Column | None:
        held = located(source, ev)
        if held is None:
            return None
        views = held.views()
        length = views.length if held.valid is None else np.where(held.valid, views.length, np.int32(-1))
        start = np.ascontiguousarray(views.start)
        passed = decoder.passed(views.buffer, start, np.ascontiguousarray(length, np.int32))
        inside = (passed.states[1:depth] == VALUE).all(axis=0) & ~passed.odd
        unsure = passed.odd | (passed.states[1 : depth + 1] == RAW).any(axis=0)
        if held.valid is not None:
            unsure &= held.valid
        column = _column(made.type, passed, depth, inside & (passed.states[depth] >= VALUE) & ~unsure)
        rows = unsure.nonzero()[0]
        if not len(rows):
            return column
        written = _written(passed, depth, inside, rows) if made.type.kind is Kind.STRING else [None] * len(rows)
        cells = []
        for place, text, known in zip(rows.tolist(), views.take(rows).texts(), written, strict=True):
            cells.append(_one(ev, place, function, text) if known is None else known)
        return _with(column, rows, cells)

    if made.type.kind is Kind.STRING:
        return with_column(made, fast)
    slow = made.run

    def run(ev: Evaluation) -> Held:
        column = fast(ev)
        return slow(ev) if column is None else (column.values, column.valid)

    return replace(made, run=run)


def _schema(names: Sequence[str], type_: Type) -> Field:
    field = Field(names[-1], type_)
    for name in reversed(names[:-1]):
        field = Field(name, row(field))
    return field


def _column(type_: Type, passed: Pass, node: int, valid: BoolArray) -> Column:
    """The values of a node where there are some."""
    known = None if valid.all() else valid
    if type_.kind is not Kind.STRING:
        values = passed.reals[node] if type_.kind is Kind.DOUBLE else passed.words[node]
        values = np.where(valid, values, values.dtype.type(0))
        return Column(type_, values.astype(np.bool_) if type_.kind is Kind.BOOLEAN else values, known)
    moved = passed.states[node] == UNESCAPED
    buffer, start = passed.buffer, passed.words[node]
    if moved.any():
        buffer, start = passed.with_arena(), np.where(moved, start + len(passed.buffer), start)
    views = Views(buffer, np.where(valid, start, 0), np.where(valid, passed.lengths[node], np.int32(0)))
    return TextColumn(type_, views, known)


def _written(passed: Pass, node: int, inside: BoolArray, rows: IntArray) -> list[str | None]:
    """What is written at these rows where it is a number or a truth value in the form of the reference."""
    alone = inside[rows] & (passed.states[node][rows] == RAW)
    places = Views(passed.buffer, np.where(alone, passed.words[node][rows], 0), passed.lengths[node][rows]).where(alone)
    return [each.decode() if _WRITTEN(each) else None for each in places.raw()]


def _one(ev: Evaluation, row: int, function: Function, text: str) -> Any:
    """The value of one row by itself."""
    try:
        return function(text)
    except Failed as failed:
        ev.fail(row, str(failed))
        return None


def _with(column: Column, rows: IntArray, cells: Sequence[Any]) -> Column:
    """A column with other values in some rows."""
    length = len(column)
    place = np.arange(length)
    place[rows] = np.arange(length, length + len(rows))
    return Column.concat([column, _made(column, cells)]).take(place)


def _made(column: Column, cells: Sequence[Any]) -> Column:
    if not isinstance(column, TextColumn):
        return Column.of(column.type, cells)
    valid = None if None not in cells else np.array([each is not None for each in cells], np.bool_)
    return TextColumn(column.type, Views.of(cells), valid)
