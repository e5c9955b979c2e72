"""The aggregates of a node as a program for kernels, or None where one of them does not fit.

They fit when every function is COUNT, SUM, AVG, MIN, MAX, FIRST_VALUE or LAST_VALUE over integers, times, floats (or
booleans, but for MIN and MAX), without DISTINCT. State and results equal those of `aggregates.Accumulators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import accumulate
from nextpaint.process.kernels.accumulate import LINE
from nextpaint.process.kernels.paged import FIRST_FIELD, REAL, TRUTH, WORD
from nextpaint.process.state import Immutable
from nextpaint.process.typed import Packing, kind_of
from nextpaint.record.columns import Column, Value
from nextpaint.record.types import INTEGER_BITS, Kind, Type
from nextpaint.sql.plan import Aggregate

Words = npt.NDArray[np.int64]

_VALUES = {
    ("MIN", WORD): accumulate.MIN,
    ("MIN", REAL): accumulate.MIN_REAL,
    ("MAX", WORD): accumulate.MAX,
    ("MAX", REAL): accumulate.MAX_REAL,
    ("FIRST_VALUE", WORD): accumulate.FIRST,
    ("FIRST_VALUE", REAL): accumulate.FIRST,
    ("FIRST_VALUE", TRUTH): accumulate.FIRST,
    ("LAST_VALUE", WORD): accumulate.LAST,
    ("LAST_VALUE", REAL): accumulate.LAST,
    ("LAST_VALUE", TRUTH): accumulate.LAST,
}
_RETRACTABLE = ("COUNT", "SUM", "AVG")


@dataclass(frozen=True, slots=True)
class _Call:
    """One aggregate: its line's first two words, the kinds of its accumulator's fields, and how those read."""

    what: int
    how: int
    kinds: tuple[int, ...]
    boxed: bool = False  # the accumulator is None or a tuple of the value


def _call(aggregate: Aggregate, argument: Type | None) -> _Call | None:
    if aggregate.distinct:
        return None
    if aggregate.function == "COUNT":
        return _Call(accumulate.COUNT_ALL if argument is None else accumulate.COUNT, accumulate.AS_IS, (WORD,))
    kind = kind_of(argument) if argument is not None else None
    if kind is None or argument is None:
        return None
    if aggregate.function in ("SUM", "AVG"):
        if not argument.is_numeric:
            return None
        real, average = kind == REAL, aggregate.function == "AVG"
        how = (accumulate.AVERAGE_REAL if real else accumulate.AVERAGE) if average else accumulate.TOTAL
        return _Call(accumulate.SUM_REAL if real else accumulate.SUM, how, (WORD, REAL if real else WORD))
    what = _VALUES.get((aggregate.function, kind))
    if what is None:
        return None
    return _Call(what, accumulate.AS_IS, (kind,), aggregate.function.endswith("_VALUE"))


class TypedAggregates:
    """The program of a node's aggregates over a state row whose accumulators begin at field `first`.

    `inputs`: the input columns that kernels are given, packed in this order (`packing`): `keys` first. `lead`: fields
    of one word before them, for the kernel to fill. `stored`: arguments are read from state rows that hold all input
    columns after `lead` fields, beginning at the word of NULL bits."""

    def __init__(
        self, aggregates: Sequence[Aggregate], calls: Sequence[_Call], types: Sequence[Type], keys: Sequence[int],
        first: int, lead: int = 0, stored: bool = False,
    ) -> None:  # fmt: skip
        used = {each for aggregate in aggregates for each in (*aggregate.args, aggregate.filter) if each is not None}
        self.inputs = tuple(range(len(types))) if stored else (*keys, *sorted(used - set(keys)))
        self.packing = Packing([*[WORD] * lead, *(_known(types[each]) for each in self.inputs)])
        self.kinds = tuple(kind for call in calls for kind in call.kinds)
        self.result_types = tuple(each.type for each in aggregates)
        self._results = Packing([_known(each) for each in self.result_types])
        self._calls = calls
        places = range(1, len(self.packing.kinds) + 1) if stored else self.packing.at
        lines, at = [], first
        for aggregate, call in zip(aggregates, calls, strict=True):
            argument = lead + self.inputs.index(aggregate.args[0]) if aggregate.args else 0
            condition = lead + self.inputs.index(aggregate.filter) if aggregate.filter is not None else -1
            lines.append(
                [
                    call.what, call.how, places[argument] if aggregate.args else 0, argument,
                    places[condition] if condition >= 0 else -1, condition, FIRST_FIELD + at, at,
                    INTEGER_BITS.get(aggregate.type.kind, 0),
                ]
            )  # fmt: skip
            at += len(call.kinds)
        self.program = np.array(lines, np.int64).reshape(-1, LINE)

    def accumulators(self, fields: Sequence[Value]) -> tuple[Immutable, ...]:
        """Fields of a state row as the accumulators of `aggregates.Accumulators`."""
        found: list[Immutable] = []
        at = 0
        for call in self._calls:
            if len(call.kinds) == 2:
                found.append((fields[at], fields[at + 1]))
            elif call.boxed:
                found.append((fields[at],) if fields[at] is not None else None)
            else:
                found.append(fields[at])
            at += len(call.kinds)
        return tuple(found)

    def fields(self, accs: Sequence[Any]) -> list[Value]:
        """The other way round."""
        found: list[Value] = []
        for acc, call in zip(accs, self._calls, strict=True):
            if len(call.kinds) == 2:
                found += acc
            elif call.boxed:
                found.append(acc[0] if acc is not None else None)
            else:
                found.append(acc)
        return found

    def columns(self, results: Words, count: int) -> list[Column]:
        """Finished rows as columns."""
        return [self._results.column(results, count, at, type_) for at, type_ in enumerate(self.result_types)]

    @property
    def result_width(self) -> int:
        return self._results.width


def _known(type_: Type) -> int:
    kind = kind_of(type_)
    assert kind is not None, "checked when the operator was chosen"
    return kind


def typed_aggregates(
    aggregates: Sequence[Aggregate], types: Sequence[Type], keys: Sequence[int], first: int, *, retracts: bool = False,
    lead: int = 0, stored: bool = False,
) -> TypedAggregates | None:  # fmt: skip
    """The program of a node's aggregates, or None. `types`: of its input; `retracts`: rows may be taken back."""
    calls: list[_Call] = []
    for each in aggregates:
        call = _call(each, types[each.args[0]] if each.args else None)
        retracted = retracts and each.function not in _RETRACTABLE
        if call is None or retracted or (each.filter is not None and types[each.filter].kind is not Kind.BOOLEAN):
            return None
        calls.append(call)
    return TypedAggregates(aggregates, calls, types, keys, first, lead, stored)
