"""Calls of an application's own aggregates.

Of a class the accumulator is the class's own, frozen (`folding.py`). Of a function over arrays it is the arguments of
the group's rows in order of arrival, and the function is called with them whole whenever the result is read.

A row that a class refuses (it raises) is left out of that aggregate, a result that fails is NULL; both leave a reason,
which the operator takes with the row to the dead-letter topic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nextpaint.process.folding import Folding, frozen, thawed
from nextpaint.process.functions.called import array_of, one_value
from nextpaint.process.functions.evaluation import hold
from nextpaint.process.state import Immutable
from nextpaint.process.user_code import FUNCTIONS, Registered
from nextpaint.record.columns import Value
from nextpaint.sql.plan import Aggregate


class Calls:
    """One aggregate of an application over frozen accumulators; `reasons` gets why a row or a result failed."""

    def __init__(self, aggregate: Aggregate, reasons: list[str]) -> None:
        found = FUNCTIONS.get(str(dict(aggregate.options).get("identity")))
        if found is None:
            raise ValueError("the code of this aggregate is not registered")
        self._registered: Registered = found
        self._reasons = reasons
        self._folds: Folding | None = found.code if isinstance(found.code, Folding) else None
        self.zero: Immutable = frozen(self._folds.create()) if self._folds is not None else ()
        self.retracts = self._folds is None or hasattr(self._folds, "retract")

    def add(self, acc: Immutable, values: tuple[Value, ...], time: int) -> Immutable:
        if self._folds is None:
            return (*acc, frozen(values))
        return self._changed(self._folds.accumulate, acc, *map(_given, values))

    def retract(self, acc: Immutable, values: tuple[Value, ...], time: int) -> Immutable:
        if self._folds is None:
            row = frozen(values)
            place = acc.index(row) if row in acc else len(acc)
            return acc[:place] + acc[place + 1 :]
        return self._changed(self._folds.retract, acc, *map(_given, values))

    def merge(self, a: Immutable, b: Immutable) -> Immutable:
        return a + b if self._folds is None else self._changed(self._folds.merge, a, [thawed(b)])

    def result(self, acc: Immutable, as_of: int | None) -> Value:
        try:
            value: Value = one_value(self._value(acc), self._registered.result)
            return value
        except Exception as error:  # a declared edge: the application's own Python may raise anything
            self._failed(error)
            return None

    def _value(self, acc: Immutable) -> Any:
        if self._folds is not None:
            return self._folds.get_value(thawed(acc))
        rows = [thawed(each) for each in acc]
        columns = zip(*rows, strict=True) if rows else [()] * len(self._registered.parameters)
        arrays = [array_of(hold(t, list(c))) for t, c in zip(self._registered.parameters, columns, strict=True)]
        return self._registered.code(*arrays)

    def _changed(self, method: Callable[..., Any], acc: Immutable, *given: Any) -> Immutable:
        own = thawed(acc)
        try:
            made = method(own, *given)
            return frozen(own if made is None else made)
        except Exception as error:  # a declared edge: the application's own Python may raise anything
            self._failed(error)
            return acc

    def _failed(self, error: Exception) -> None:
        self._reasons.append(f"{self._registered.name}: {type(error).__name__}: {error}"[:300])


def _given(value: Value) -> Any:
    """A column's value as a class gets it: what it keeps of it, it may change."""
    return thawed(frozen(value)) if isinstance(value, list | tuple | dict) else value
