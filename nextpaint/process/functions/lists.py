"""Functions over whole arrays and maps. A NULL array or map gives NULL; a NULL element is a value like any other.

Elements are equal as in IS NOT DISTINCT FROM, and NULLs are the smallest, as in Flink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nextpaint.process.functions.evaluation import Evaluation, Failed, Held, Operand, cells_of, hold, made
from nextpaint.process.functions.strings import Builder, plain
from nextpaint.sql.plan import Call

List = list[Any]


def _held(value: Any) -> Any:
    """Something that can be looked up: arrays and maps inside arrays become tuples."""
    if isinstance(value, list | tuple):
        return tuple([_held(each) for each in value])
    if isinstance(value, dict):
        return frozenset((_held(key), _held(each)) for key, each in value.items())
    return value


def _first_of_each(values: Iterable[Any]) -> List:
    seen: dict[Any, Any] = {}
    for value in values:
        seen.setdefault(_held(value), value)
    return list(seen.values())


def _union(first: List, second: List) -> List:
    return _first_of_each([*first, *second])


def _intersect(first: List, second: List) -> List:
    wanted = {_held(value) for value in second}
    return _first_of_each(value for value in first if _held(value) in wanted)


def _except(first: List, second: List) -> List:
    """Each element of `second` takes all equal ones away."""
    unwanted = {_held(value) for value in second}
    return _first_of_each(value for value in first if _held(value) not in unwanted)


def _concat(*arrays: List) -> List:
    return [value for array in arrays for value in array]


def _position(values: List, wanted: Any) -> int:
    for index, value in enumerate(values):
        if value is not None and _held(value) == _held(wanted):
            return index + 1
    return 0


def _slice(values: List, start: int, end: int | None = None) -> List:
    """From `start` to `end`, both counted from 1 or from the end, both included."""
    length = len(values)
    low = start - 1 if start > 0 else 0 if start == 0 else length + start
    high = length if end is None else end if end > 0 else 1 if end == 0 else max(1, length + end + 1)
    if low >= length or low > high:
        return []
    return list(values[max(low, 0) : min(high, length)])


def _order(value: Any) -> Any:
    """NaN is the largest number, as in Java."""
    return (1, 0.0) if isinstance(value, float) and value != value else (0, value)


def _sort(values: List, ascending: bool = True, nulls_first: bool | None = None) -> List:
    first = ascending if nulls_first is None else nulls_first
    kept = sorted((value for value in values if value is not None), key=_order, reverse=not ascending)
    missing = [None] * (len(values) - len(kept))
    return [*missing, *kept] if first else [*kept, *missing]


def _most(values: List) -> Any:
    return max((value for value in values if value is not None), key=_order, default=None)


def _least(values: List) -> Any:
    return min((value for value in values if value is not None), key=_order, default=None)


def _join(values: List, separator: str, missing: str | None = None) -> str:
    shown = [missing if value is None else value for value in values]
    return separator.join([value for value in shown if value is not None])


def _map_union(*maps: dict[Any, Any]) -> dict[Any, Any]:
    made_map: dict[Any, Any] = {}
    for each in maps:
        made_map.update(each)
    return made_map


def _map_from_arrays(keys: List, values: List) -> dict[Any, Any]:
    if len(keys) != len(values):
        raise Failed(f"MAP_FROM_ARRAYS of {len(keys)} keys and {len(values)} values")
    return dict(zip(keys, values, strict=True))


def with_element(function: Callable[[List, Any], Any]) -> Builder:
    """A function of an array and an element, which may be NULL."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        first, second = operands[0].run, operands[1].run

        def kernel(ev: Evaluation) -> Held:
            pairs = zip(cells_of(first(ev)), cells_of(second(ev)), strict=True)
            return hold(call.type, [None if values is None else function(values, value) for values, value in pairs])

        return made(call.type, kernel, operands)

    return build


FUNCTIONS: dict[str, Builder] = {
    "ARRAY_POSITION": plain(_position),
    "ARRAY_DISTINCT": plain(_first_of_each),
    "ARRAY_UNION": plain(_union),
    "ARRAY_INTERSECT": plain(_intersect),
    "ARRAY_EXCEPT": plain(_except),
    "ARRAY_CONCAT": plain(_concat),
    "ARRAY_APPEND": with_element(lambda values, value: [*values, value]),
    "ARRAY_PREPEND": with_element(lambda values, value: [value, *values]),
    "ARRAY_REMOVE": with_element(lambda values, value: [each for each in values if _held(each) != _held(value)]),
    "ARRAY_REVERSE": plain(lambda values: list(values[::-1])),
    "ARRAY_SLICE": plain(_slice),
    "ARRAY_SORT": plain(_sort),
    "ARRAY_JOIN": plain(_join),
    "ARRAY_MAX": plain(_most),
    "ARRAY_MIN": plain(_least),
    "MAP_KEYS": plain(lambda entries: list(entries)),
    "MAP_VALUES": plain(lambda entries: list(entries.values())),
    "MAP_ENTRIES": plain(lambda entries: [tuple(each) for each in entries.items()]),
    "MAP_UNION": plain(_map_union),
    "MAP_FROM_ARRAYS": plain(_map_from_arrays, fallible=True),
}
