"""Columns of a decision record as they are written: short, readable as JSON, and exactly what they were.

A column of one row or more is one of

* its values, a list;
* one value: every row has it;
* `{"of": [8.25, null], "by": "aab"}`: few values, and a letter per row (a: the first);
* for ages, a name: the same as the ages of that feature. Features that are read from one row age together.

Whole floats are written without a point. All four read back to the same bits, the sign of a zero included.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign
from string import ascii_lowercase as LETTERS
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
V = TypeVar("V", str, int | None, float | None)

WHOLE_MAX = 2**53  # beyond, an int has more digits than the float


class Coded(msgspec.Struct, Generic[T], frozen=True):
    """Few values, and per row the letter of one."""

    of: tuple[T, ...]
    by: str


Texts = tuple[str, ...] | str | Coded[str]
Ints = tuple[int | None, ...] | int | None | Coded[int | None]
Floats = tuple[float | None, ...] | float | None | Coded[float | None]
Ages = Ints | str

_LONG = (tuple, Coded)


def packed(column: tuple[V, ...]) -> tuple[V, ...] | V | Coded[V]:
    """A column of texts or whole numbers as it is written. Letters are tried for texts, and for numbers where the first
    two are equal: rows are in the order of their scores, so what few values a column has stand together."""
    count = len(column)
    if not count:
        return column
    first = column[0]
    if column.count(first) == count:
        return first
    if first != column[1] and not isinstance(first, str):
        return column
    distinct = dict.fromkeys(column)
    if len(distinct) <= len(LETTERS) and 5 * len(distinct) < 4 * count - 16:  # five bytes a value, 16 for the frame
        letter_of = dict(zip(distinct, LETTERS, strict=False))
        return Coded(tuple(distinct), "".join([letter_of[value] for value in column]))
    return column


def packed_floats(column: tuple[float | None, ...]) -> Floats:
    """A column of floats as it is written."""
    if 0.0 in column and any(value == 0.0 and copysign(1.0, value) < 0.0 for value in column if value is not None):
        return column  # -0.0 equals 0.0 and is another number
    first = column[0] if column else None
    if first is None:
        first = next((value for value in column if value is not None), None)
    return packed(_whole(column) if first is not None and first.is_integer() else column)


def _whole(column: tuple[float | None, ...]) -> tuple[float | None, ...]:
    """The column as whole numbers, where all of it is whole."""
    if None in column:
        if all(value is None or (value.is_integer() and abs(value) < WHOLE_MAX) for value in column):
            return tuple([None if value is None else int(value) for value in column])
        return column
    try:
        whole = tuple(map(int, column))  # type: ignore[arg-type]
    except (OverflowError, ValueError):  # infinite, or no number
        return column
    return whole if whole == column and -WHOLE_MAX < min(whole) and max(whole) < WHOLE_MAX else column


def packed_ages(columns: Sequence[tuple[int | None, ...]], names: Sequence[str]) -> tuple[Ages, ...]:
    """The ages of features, in the order of their `names`. Raises ValueError where a column has no name."""
    first: dict[tuple[int | None, ...], tuple[str, Ages]] = {}
    made: list[Ages] = []
    for column, name in zip(columns, names[: len(columns)], strict=True):
        same = first.get(column)
        if same is None:
            made.append(packed(column))
            first[column] = name, made[-1]
        else:
            made.append(same[0] if isinstance(same[1], _LONG) else same[1])
    return tuple(made)


def spread(written: tuple[Any, ...] | Any | Coded[Any], count: int) -> tuple[Any, ...]:
    """The `count` values of a written column. Raises ValueError when they are another number."""
    if isinstance(written, Coded):
        value_of = dict(zip(LETTERS, written.of, strict=False))
        try:
            column = tuple([value_of[letter] for letter in written.by])
        except KeyError as error:
            raise ValueError(f"the letter {error} of a column stands for nothing") from None
    elif isinstance(written, tuple):
        column = written
    else:
        return (written,) * count
    if len(column) != count:
        raise ValueError(f"a column has {len(column)} values for {count} rows")
    return column


def spread_ages(written: Sequence[Ages], names: Sequence[str], count: int) -> list[tuple[int | None, ...]]:
    """The ages of features. Raises ValueError where a name is not that of a feature before."""
    made: dict[str, tuple[int | None, ...]] = {}
    for each, name in zip(written, names[: len(written)], strict=True):
        if isinstance(each, str) and each not in made:
            raise ValueError(f"ages of {each[:60]!r}, which is no feature before {name!r}")
        made[name] = made[each] if isinstance(each, str) else spread(each, count)
    return list(made.values())
