"""Table functions evaluated: from the argument values of one row to rows.

Each takes the Python values of its arguments and yields tuples, or None for a place without a row; what it may raise is
ValueError, which sends the row to the dead-letter topic. The names are those of `sql/table_functions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

from nextpaint.record.columns import Value
from nextpaint.record.types import Kind, Type

MULTISET_MAX = 1_000_000  # a count in a record is a number like any other
Rows = Iterable[tuple[Value, ...] | None]
TableFunction = Callable[..., Rows]


def _unnest(types: tuple[Type, ...]) -> TableFunction:
    """Elements of an array, entries of a map, values of a multiset as often as they are in it; the fields of rows,
    nothing for a NULL row. NULL has no elements."""
    type_ = types[0]
    if type_.is_multiset and type_.key is not None:
        if type_.key.kind is Kind.ROW:
            return lambda value: (tuple(each) for each in _repeated(value))
        return lambda value: ((each,) for each in _repeated(value))
    if type_.kind is Kind.MAP:
        return _entries
    if type_.element is not None and type_.element.kind is Kind.ROW:
        return lambda value: (None if each is None else tuple(each) for each in value or ())
    return lambda value: ((each,) for each in value or ())


def _repeated(value: Any) -> Iterable[Any]:
    """The values of a multiset."""
    pairs = [(each, times or 0) for each, times in _entries(value)]
    if sum(times for _, times in pairs) > MULTISET_MAX:
        raise ValueError(f"UNNEST of a MULTISET of more than {MULTISET_MAX} values")
    for each, times in pairs:
        yield from repeat(each, times)


def _entries(value: Any) -> Iterable[tuple[Any, ...]]:
    """Of a dict, or of the pairs that state holds a map as."""
    return value.items() if isinstance(value, dict) else (tuple(each) for each in value or ())


TABLE_FUNCTIONS: dict[str, Callable[[tuple[Type, ...]], TableFunction]] = {"UNNEST": _unnest}
