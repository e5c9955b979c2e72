"""Rows in an order: what Top-N of every kind is made of.

A sort key is a tuple that compares as SQL orders rows: NULLs where the key says, text by code point (as Flink by its
UTF-8 bytes), NaN above every number. Rows with equal keys keep their order of arrival.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from nextpaint.record.columns import Value
from nextpaint.record.types import Kind, Type
from nextpaint.sql.plan import SortKey

Row = tuple[Value, ...]
Order = tuple[Any, ...]


class Place(NamedTuple):
    """A row in its order: its sort key, then the seq and ordinal of its arrival, which no other row has."""

    order: Order
    seq: int
    ordinal: int
    row: Row


class _Descending:
    """A text in descending order."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def _part(key: SortKey, kind: Kind) -> Callable[[Value], tuple[Any, ...]]:
    nothing = (0,) if key.nulls_first else (2,)
    if kind in (Kind.STRING, Kind.BYTES):
        turned: Callable[[Any], Any] = _Descending if key.descending else (lambda value: value)
    elif kind in (Kind.FLOAT, Kind.DOUBLE):
        sign = -1.0 if key.descending else 1.0

        def turned(value: Any) -> Any:
            return (sign, 0.0) if value != value else (0.0, sign * value)
    elif kind is Kind.DECIMAL:

        def turned(value: Any) -> Any:
            made: Decimal = value
            return made.copy_negate() if key.descending else made
    else:

        def turned(value: Any) -> Any:
            return -int(value) if key.descending else value

    return lambda value: nothing if value is None else (1, turned(value))


def order_by(keys: Sequence[SortKey], types: Sequence[Type]) -> Callable[[Row], Order]:
    """The sort key of a row of these column types."""
    parts = [(key.index, _part(key, types[key.index].kind)) for key in keys]
    if len(parts) == 1:
        index, only = parts[0]
        return lambda row: only(row[index])
    return lambda row: tuple([part for index, make in parts for part in make(row[index])])


class Ranking:
    """The rows of one partition, best first."""

    __slots__ = ("places",)

    def __init__(self, places: list[Place] | None = None) -> None:
        self.places = places if places is not None else []

    def add(self, place: Place) -> None:
        insort(self.places, place)

    def find(self, order: Order, row: Row) -> int | None:
        """Where an equal row is; of several the one that came first, as in Flink."""
        low = bisect_left(self.places, (order,))
        high = bisect_right(self.places, (order, _LAST), lo=low)
        for index in range(low, high):
            if self.places[index].row == row:
                return index
        return None

    def best(self, first: int, last: int) -> list[Place]:
        """The rows of rank `first` to `last`."""
        return self.places[first - 1 : last]


_LAST = 2**63
