"""Calls of an application's own functions and models inside expressions.

PYTHON: a batch is one call with arrays (NULLs as None in object arrays). When that call raises, the rows are tried one
by one: those that raise fail with the reason, the others have their value. PREDICT: a matrix of the arguments, NULL as
NaN, scored in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from nextpaint.process.coercion import coerce
from nextpaint.process.functions.evaluation import Evaluation, Held, Operand, cells_of, hold, made
from nextpaint.process.functions.strings import Builder
from nextpaint.process.user_code import FUNCTIONS as REGISTERED
from nextpaint.process.user_code import MODELS, Registered
from nextpaint.record.types import Kind, Type
from nextpaint.sql.plan import Call


def build_python(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Option identity: the function's name by content."""
    function = REGISTERED.get(str(dict(call.options).get("identity")))
    if function is None:
        raise ValueError("the code of this function is not registered")
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        return hold(call.type, _results(ev, function, call.type, [run(ev) for run in runs]))

    return made(call.type, kernel, operands, fallible=True)


def _results(ev: Evaluation, function: Registered, type_: Type, given: Sequence[Held]) -> list[Any]:
    if not ev.length:
        return []
    if not function.rowwise:
        try:
            return _checked(function.code(*[array_of(each) for each in given]), ev.length, type_)
        except Exception:  # a declared edge: the rows are tried one by one
            pass
    columns = [cells_of(each) for each in given]
    lines = list(zip(*columns, strict=True)) if columns else [()] * ev.length
    return [_one(ev, row, function, type_, line) for row, line in enumerate(lines)]


def _one(ev: Evaluation, row: int, function: Registered, type_: Type, line: Sequence[Any]) -> Any:
    try:
        if function.rowwise:
            return one_value(function.code(*line), type_)
        arrays = [
            np.array([cell]) if cell is not None and not isinstance(cell, list | tuple) else _boxed(cell)
            for cell in line
        ]
        return _checked(function.code(*arrays), 1, type_)[0]
    except Exception as error:  # a declared edge: the application's own Python may raise anything
        ev.fail(row, f"{function.name}: {type(error).__name__}: {error}"[:300])
        return None


def _boxed(cell: Any) -> Any:
    held = np.empty(1, object)
    held[0] = cell
    return held


def array_of(held: Held) -> Any:
    """What an application's function over arrays gets: NULL is None, in an array of objects."""
    values, valid = held
    if valid is None or values.dtype == object:
        return values
    cells = values.astype(object)
    cells[~valid] = None
    return cells


def _checked(found: Any, length: int, type_: Type) -> list[Any]:
    cells = found.tolist() if isinstance(found, np.ndarray) else list(found)
    if len(cells) != length:
        raise ValueError(f"gave {len(cells)} values for {length} rows")
    return [one_value(cell, type_) for cell in cells]


def one_value(value: Any, type_: Type) -> Any:
    """A Python value as one of the declared type; ValueError when it is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (type_.kind is Kind.BYTES and isinstance(value, bytes)):
        return value
    if type_.kind is Kind.STRING and not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is not a {type_}")
    if (
        type_.kind in (Kind.DOUBLE, Kind.FLOAT)
        and isinstance(value, int | float | Decimal)
        and not isinstance(value, bool)
    ):
        return float(value)  # NaN and infinity are values
    made_value = coerce(value, type_)
    return list(made_value) if isinstance(made_value, tuple) and type_.kind is Kind.ARRAY else made_value


def build_predict(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Option identity: the model's SHA-256. Arguments are DOUBLE."""
    ranker = MODELS.get(str(dict(call.options).get("identity")))
    if ranker is None:
        raise ValueError("the model's file is not loaded")
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        matrix = np.empty((ev.length, len(runs)))
        for index, run in enumerate(runs):
            values, valid = run(ev)
            matrix[:, index] = values if valid is None else np.where(valid, values, np.nan)
        return ranker.predict(matrix), None

    return made(call.type, kernel, operands)


FUNCTIONS: dict[str, Builder] = {"PYTHON": build_python, "PREDICT": build_predict}
