"""Calls of an application's own table functions: a batch of rows in, for each of them its rows.

Over arrays a function is called once per batch and gives one iterable of tuples per row (None: no rows). When that call
raises, or gives anything else, the rows are tried one by one: those that raise fail with the reason. Row by row it
returns or yields tuples. A function of one column may give its bare values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from nextpaint.process.functions.called import array_of, one_value
from nextpaint.process.functions.evaluation import Failures, Held, cells_of
from nextpaint.process.state import frozen
from nextpaint.process.user_code import FUNCTIONS, Registered
from nextpaint.record.columns import Value
from nextpaint.record.types import Type

Row = tuple[Value, ...]
ROWS_MAX = 100_000  # that one row may become: a function that never ends must not take the node with it


class UserTable:
    """A resolved table function."""

    def __init__(self, identity: str) -> None:
        found = FUNCTIONS.get(identity)
        if found is None:
            raise ValueError("the code of this table function is not registered")
        self._registered: Registered = found
        self._types = tuple(each.type for each in found.result.fields)

    def rows(self, given: Sequence[Held], length: int, failures: Failures) -> list[list[Row]]:
        """The function's rows for each of `length` rows; none for a row that has failed."""
        registered = self._registered
        if not registered.rowwise and not failures.rows:
            try:
                return self._several(registered.code(*map(array_of, given)), length)
            except Exception:  # a declared edge: the rows are tried one by one
                pass
        columns = [cells_of(each) for each in given]
        lines = list(zip(*columns, strict=True)) if columns else [()] * length
        return [[] if row in failures.rows else self._one(row, given, line, failures) for row, line in enumerate(lines)]

    def _one(self, row: int, given: Sequence[Held], line: Sequence[Any], failures: Failures) -> list[Row]:
        try:
            if self._registered.rowwise:
                return self._made(self._registered.code(*line))
            arrays = [array_of((values[row : row + 1], valid[row : row + 1] if valid is not None else None))
                      for values, valid in given]  # fmt: skip
            return self._several(self._registered.code(*arrays), 1)[0]
        except Exception as error:  # a declared edge: the application's own Python may raise anything
            failures.add(row, f"{self._registered.name}: {type(error).__name__}: {error}"[:300])
            return []

    def _several(self, found: Iterable[Any], length: int) -> list[list[Row]]:
        made = [self._made(each) for each in islice(found, length + 1)]
        if len(made) != length:
            raise ValueError(f"gave rows for {'more' if len(made) > length else len(made)} of {length} rows")
        return made

    def _made(self, found: Any) -> list[Row]:
        if found is None:
            return []
        if isinstance(found, tuple | str | bytes) or not isinstance(found, Iterable):
            found = (found,)  # one row, as PyFlink allows
        made = [self._row(each) for each in islice(found, ROWS_MAX + 1)]
        if len(made) > ROWS_MAX:
            raise ValueError(f"gave more than {ROWS_MAX} rows for one")
        return made

    def _row(self, given: Any) -> Row:
        one = len(self._types) == 1 and not (isinstance(given, tuple) and len(given) == 1)
        cells = (given,) if one else tuple(given)
        if len(cells) != len(self._types):
            raise ValueError(f"gave a row of {len(cells)} values for {len(self._types)} columns")
        return tuple(_cell(each, wanted) for each, wanted in zip(cells, self._types, strict=True))


def _cell(value: Any, wanted: Type) -> Value:
    made: Value = frozen(one_value(value, wanted))
    return made
