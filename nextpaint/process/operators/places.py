"""Values of a match's places: of its last and first rows per variable, and aggregates over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nextpaint.process.aggregates import Accumulators
from nextpaint.process.functions.compile import compile_row
from nextpaint.process.operators.protocol import Row
from nextpaint.record.columns import Value
from nextpaint.record.types import Type
from nextpaint.sql.plan import Aggregate, ColumnRef, Place

Taken = tuple[int, Row, tuple[int, int, int]]
Of = Callable[[Row, int], Value]
Reader = Callable[[list[Row], int], Value]


class Places:
    """`variables`: the pattern's, in order; a taken row names its variable by index."""

    def __init__(self, places: Sequence[Place], variables: Sequence[str], time: int, types: Sequence[Type]) -> None:
        self._variables = [variables.index(each.variable) if each.variable else -1 for each in places]
        self._readers = [_reader(each) if each.function != "ROWTIME" else None for each in places]
        self._time = time

    def values(
        self, read: Iterable[int], rows: Sequence[Taken], at_ms: int, released: int | None = None
    ) -> tuple[Value, ...]:
        """The values of the places that are read; the others are NULL. `released`: the event time at which the match
        comes out, by default that of its last row. Raises ValueError when one fails."""
        found: list[Value] = [None] * len(self._readers)
        for index in read:
            reader = self._readers[index]
            if reader is None:
                found[index] = rows[-1][1][self._time] if released is None else released
                continue
            variable = self._variables[index]
            own = [row for item, row, _ in rows if variable < 0 or item == variable]
            found[index] = reader(own, at_ms)
        return tuple(found)


def _reader(place: Place) -> Reader:
    if place.function in ("LAST", "FIRST"):
        return _navigation(place)
    return _aggregate(place)


def _of(place: Place) -> Of:
    if isinstance(place.arg, ColumnRef):
        index = place.arg.index
        return lambda row, at_ms: row[index]
    assert place.arg is not None
    return compile_row(place.arg)


def _navigation(place: Place) -> Reader:
    of, offset, last = _of(place), place.offset, place.function == "LAST"

    def read(rows: list[Row], at_ms: int) -> Value:
        if len(rows) <= offset:
            return None
        return of(rows[-1 - offset] if last else rows[offset], at_ms)

    return read


def _aggregate(place: Place) -> Reader:
    of = _of(place) if place.arg is not None else None
    args = (0,) if place.arg is not None else ()
    types = (place.arg.type,) if place.arg is not None else ()
    accumulators = Accumulators((Aggregate(place.function, args, place.type),), types, None)

    def read(rows: list[Row], at_ms: int) -> Value:
        accs = accumulators.zero
        for row in rows:
            accs = accumulators.add(accs, (of(row, at_ms),) if of is not None else ())
        return accumulators.results(accs)[0]

    return read
