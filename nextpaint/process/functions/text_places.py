"""Text functions over places in a buffer: no Python string per row.

`improved` gives a call over text a `column` of its own where its operand's column is held as places (`TextColumn`): a
part of a text is another place in the same buffer, another case of its letters another buffer of the same places, a
choice of texts their places side by side. Each answers only for what it is certain of: positions count characters, so
anything but ASCII, a small batch, or a text held as objects goes to the functions of Python strings, which are the
reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nextpaint.process.functions.evaluation import Evaluation, Failed, Held, Operand
from nextpaint.record.columns import AnyArray, BoolArray, Column, IntArray, TextColumn
from nextpaint.record.types import STRING, Type
from nextpaint.record.views import Views, same_text

FEW = 16  # rows that are computed one by one: arrays cost as much as about so many
Part = Callable[[Views], Views]


def located(operand: Operand, ev: Evaluation) -> TextColumn | None:
    """The column of an operand, where it is held as places and is worth a pass."""
    if operand.column is None or ev.length < FEW:
        return None
    found = operand.column(ev)
    return found if isinstance(found, TextColumn) else None


def with_column(made: Operand, fast: Callable[[Evaluation], Column | None]) -> Operand:
    """An operand of text whose column is that of `fast` where there is one."""
    slow = made.run

    def column(ev: Evaluation) -> Column:
        found = fast(ev)
        return found if found is not None else Column(made.type, *slow(ev))

    def run(ev: Evaluation) -> Held:
        found = column(ev)
        return found.values, found.valid

    return replace(made, run=run, column=column)


def _ascii(views: Views) -> Views | None:
    """The same texts close together; None where a character is not ASCII."""
    close = views.compact()
    return close if not len(close.buffer) or close.buffer.max() < 128 else None


def of_ascii(made: Operand, source: Operand, part: Part) -> Operand:
    """A text of each ASCII text. NULL for NULL."""

    def fast(ev: Evaluation) -> Column | None:
        held = located(source, ev)
        close = _ascii(held.views()) if held is not None else None
        return TextColumn(made.type, part(close), held.valid) if held is not None and close is not None else None

    return with_column(made, fast)


def upper(views: Views) -> Views:
    """Small letters as large ones."""
    small = (views.buffer - np.uint8(97) < 26).view(np.uint8)
    return Views(views.buffer - (small << np.uint8(5)), views.start, views.length)


def lower(views: Views) -> Views:
    """Large letters as small ones."""
    large = (views.buffer - np.uint8(65) < 26).view(np.uint8)
    return Views(views.buffer + (large << np.uint8(5)), views.start, views.length)


def substring(start: int, length: int | None) -> Part:
    """As SUBSTRING: from `start`, counted from 1 or, below 0, from the end. `length` is not below 0."""

    def part(views: Views) -> Views:
        size = views.length.astype(np.int64)
        begin = np.full(len(size), max(start - 1, 0)) if start >= 0 else size + start
        left = np.where((begin < 0) | (begin > size), 0, size - begin)
        if length is not None:
            left = np.minimum(left, length)
        return Views(views.buffer, views.start + np.where(left > 0, begin, 0), left.astype(np.int32))

    return part


def left(count: int) -> Part:
    """The first characters."""
    return substring(1, max(count, 0))


def right(count: int) -> Part:
    """The last characters."""

    def part(views: Views) -> Views:
        size = np.minimum(views.length, np.int32(min(max(count, 0), 2**31 - 1)))
        return Views(views.buffer, views.start + (views.length - size), size)

    return part


def counted(made: Operand, source: Operand) -> Operand:
    """CHAR_LENGTH."""
    slow = made.run

    def run(ev: Evaluation) -> Held:
        held = located(source, ev)
        close = _ascii(held.views()) if held is not None else None
        if held is None or close is None:
            return slow(ev)
        return close.length.astype(np.int64), held.valid

    return replace(made, run=run)


def matched(made: Operand, source: Operand, start: str, end: str | None) -> Operand:
    """Whether a text is `start`, or where there is an `end`, `start` or `end` alone: begins or ends with it."""
    slow = made.run
    wanted = np.frombuffer((start or end or "").encode("utf-8", "surrogatepass"), np.uint8)

    def run(ev: Evaluation) -> Held:
        held = located(source, ev)
        if held is None:
            return slow(ev)
        views = held.views()
        if end is not None:
            size = np.minimum(views.length, np.int32(len(wanted)))
            views = Views(views.buffer, views.start if start else views.start + (views.length - size), size)
        return same_text(views, wanted), held.valid

    return replace(made, run=run)


# ---------------------------------------------------------------- choices


Chosen = tuple[IntArray | None, Column]  # rows of the result (None: all) and their values


def chosen(type_: Type, length: int, parts: Sequence[Chosen]) -> Column:
    """A column put together from rows of several, which are all of its rows."""
    if len(parts) == 1 and parts[0][0] is None:
        return parts[0][1]
    rows = np.concatenate([each for each, _ in parts if each is not None])
    columns = [column for _, column in parts]
    if not all(isinstance(each, TextColumn) for each in columns):
        return _objects(type_, length, parts)
    place = np.empty(length, np.int64)
    place[rows] = np.arange(length)
    return Column.concat(columns).take(place).typed(type_)


def _objects(type_: Type, length: int, parts: Sequence[Chosen]) -> Column:
    values: AnyArray = np.empty(length, object)
    valid: BoolArray | None = None
    for rows, column in parts:
        values[rows] = column.values
        if column.valid is not None:
            valid = np.ones(length, np.bool_) if valid is None else valid
            valid[rows] = column.valid
    return Column(type_, values, valid)


def column_of(operand: Operand, ev: Evaluation) -> Column:
    """An operand's column, in whichever form it has."""
    return operand.column(ev) if operand.column is not None else Column(operand.type, *operand.run(ev))


# ---------------------------------------------------------------- one text of many rows


def by_unit(made: Operand, source: Operand, unit_ms: int, write: Callable[[int], Any]) -> Operand:
    """A text of each time that is the same for all times of one unit, such as a day: written once for each unit that
    a batch has, and pointed to by its rows. `write` takes a unit's first millisecond and may fail a row."""

    def fast(ev: Evaluation) -> Column | None:
        if ev.length < FEW:
            return None
        times, valid = source.run(ev)
        units = times // unit_ms
        low = int(units.min())
        span = int(units.max()) - low + 1
        if span > ev.length:
            return None
        there = np.zeros(span, np.bool_)
        there[units - low] = True
        try:
            texts = Views.of([write((low + at) * unit_ms) if given else "" for at, given in enumerate(there.tolist())])
        except Failed:
            return None
        views = texts.take(units - low)
        return TextColumn(STRING, views if valid is None else views.where(valid), valid)

    return with_column(made, fast)
