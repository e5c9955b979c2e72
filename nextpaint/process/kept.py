"""Aggregates that must know the single values of a group: DISTINCT, PERCENTILE, and MIN, MAX, FIRST_VALUE, LAST_VALUE
over rows that may be taken back.

The values of all groups are one cell, (group, call, value) -> how often, so that a group of a million distinct values
is a million small rows and not one that is rewritten with every event. FIRST_VALUE and LAST_VALUE keep the order of
arrival: the ordinals at which the value came, of which a retraction takes the oldest, as Flink.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from nextpaint.process.aggregates import (
    NO_TIME,
    Acc,
    Accumulators,
    AggregateFunction,
    aggregate_function,
    shares_of,
    times_of,
)
from nextpaint.process.percentiles import at_shares, place_of
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import Value
from nextpaint.record.types import Kind, Type
from nextpaint.sql.plan import Aggregate

Row = tuple[Value, ...]

_REMEMBERING = ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE")


def keeps_values(aggregate: Aggregate, updated: bool) -> bool:
    """Must this call know the group's values? `updated`: its input takes rows back."""
    if aggregate.function == "PERCENTILE":
        return True
    if aggregate.distinct:
        return aggregate.function not in ("MIN", "MAX") or updated
    return updated and aggregate.function in _REMEMBERING


class Kept:
    """The values of one group: by (call, value) how often, or the ordinals of arrival; and in order where a call
    needs it."""

    __slots__ = ("_cell", "_group", "ordered", "times")

    def __init__(self, group: Row, cell: Cell | None) -> None:
        self._group = group
        self._cell = cell
        self.times: dict[tuple[int, Value], Any] = {}
        self.ordered: dict[int, list[Any]] = {}

    def put(self, call: int, value: Value, times: Any) -> None:
        """Keep, or with an empty `times` forget, a value."""
        if times:
            self.times[(call, value)] = times
        else:
            del self.times[(call, value)]
        if self._cell is not None:
            if times:
                self._cell.put((self._group, call, value), times)
            else:
                self._cell.pop((self._group, call, value))

    def clear(self) -> None:
        if self._cell is not None:
            for call, value in self.times:
                self._cell.pop((self._group, call, value))
        self.times.clear()
        self.ordered.clear()

    def copy(self) -> Kept:
        """The same values, detached from state."""
        made = Kept(self._group, None)
        made.times = dict(self.times)
        made.ordered = {call: list(each) for call, each in self.ordered.items()}
        return made


class KeptCall(Protocol):
    """An aggregate call over kept values: the first argument of each row, with the `others` of that row. `loaded` puts
    a value read from state in its order."""

    zero: Acc
    counts_nulls: bool

    def add(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc: ...
    def retract(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc: ...
    def result(self, acc: Acc, as_of: int | None) -> Value: ...
    def loaded(self, kept: Kept, value: Value, times: Any) -> None: ...


class _Distinct:
    """The first of equal values counts, and the last one taken back. Other arguments are constants."""

    def __init__(self, call: int, inner: AggregateFunction) -> None:
        self._call = call
        self._inner = inner
        self._retract = inner.retract  # None: of LAST_VALUE, which the planner keeps from rows that are updated
        self.zero = inner.zero
        self.counts_nulls = inner.counts_nulls

    def add(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = kept.times.get((self._call, value), 0)
        kept.put(self._call, value, times + 1)
        return acc if times else self._inner.add(acc, (value, *others), NO_TIME)

    def retract(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = kept.times.get((self._call, value), 0)
        if not times:
            return acc
        kept.put(self._call, value, times - 1)
        assert self._retract is not None, "the planner refuses it"
        return acc if times > 1 else self._retract(acc, (value, *others), NO_TIME)

    def result(self, acc: Acc, as_of: int | None) -> Value:
        return self._inner.result(acc, as_of)

    def loaded(self, kept: Kept, value: Value, times: Any) -> None:
        """DISTINCT asks for no order."""


class _Extreme:
    """MIN and MAX: the ends of the group's values in order. The accumulator is the end itself."""

    zero: Acc = None
    counts_nulls = False

    def __init__(self, call: int, largest: bool, real: bool) -> None:
        self._call = call
        self._end = -1 if largest else 0
        # NaN is above every number, as Java compares; a tuple keeps it comparable.
        self._comparable: Callable[[Any], Any] = place_of if real else _plain
        self._real = real

    def add(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = kept.times.get((self._call, value), 0)
        kept.put(self._call, value, times + 1)
        if not times:
            insort(kept.ordered.setdefault(self._call, []), self._comparable(value))
        return self._best(kept)

    def retract(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = kept.times.get((self._call, value), 0)
        if times:
            kept.put(self._call, value, times - 1)
        if times == 1:
            values = kept.ordered[self._call]
            values.pop(bisect_left(values, self._comparable(value)))
        return self._best(kept)

    def _best(self, kept: Kept) -> Acc:
        values = kept.ordered.get(self._call)
        if not values:
            return None
        best = values[self._end]
        return best if not self._real else math.nan if best[0] else best[1]

    def result(self, acc: Acc, as_of: int | None) -> Value:
        value: Value = acc
        return value

    def loaded(self, kept: Kept, value: Value, times: Any) -> None:
        insort(kept.ordered.setdefault(self._call, []), self._comparable(value))


class _Percentile:
    """PERCENTILE: the accumulator is its result. Derived: the values in order and how often each, as two arrays, which
    a change replaces."""

    zero: Acc = None
    counts_nulls = False

    def __init__(self, call: int, aggregate: Aggregate) -> None:
        self._call = call
        self._shares = shares_of(aggregate)
        self._several = aggregate.type.kind is Kind.ARRAY

    def add(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = times_of(others)
        return self._changed(kept, value, times) if times else acc

    def retract(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        times = min(times_of(others), kept.times.get((self._call, value), 0))
        return self._changed(kept, value, -times) if times else acc

    def _changed(self, kept: Kept, value: Any, change: int) -> Acc:
        value = value or 0.0  # a zero without its sign, as `percentiles.count` has it
        values, counts = self._ordered(kept)
        times = kept.times.get((self._call, value), 0) + change
        kept.put(self._call, value, times)
        at = int(np.searchsorted(values, value))
        if times == change:
            values, counts = np.insert(values, at, value), np.insert(counts, at, times)
        elif times:
            counts = counts.copy()
            counts[at] = times
        else:
            values, counts = np.delete(values, at), np.delete(counts, at)
        kept.ordered[self._call] = [values, counts]
        return at_shares(values, np.cumsum(counts), self._shares)

    def _ordered(self, kept: Kept) -> list[Any]:
        """The arrays; after a start made of what state holds."""
        if self._call not in kept.ordered:
            found = [(value, times) for (call, value), times in kept.times.items() if call == self._call]
            found.sort(key=lambda each: place_of(each[0]))  # type: ignore[arg-type]
            values = np.array([value for value, _ in found], np.float64)
            kept.ordered[self._call] = [values, np.array([times for _, times in found], np.int64)]
        return kept.ordered[self._call]

    def result(self, acc: Acc, as_of: int | None) -> Value:
        value: Value = acc if acc is None else list(acc) if self._several else acc[0]
        return value

    def loaded(self, kept: Kept, value: Value, times: Any) -> None:
        """The order is made when it is first needed."""


class _ByArrival:
    """FIRST_VALUE and LAST_VALUE: (next ordinal, the value in a tuple or none)."""

    zero: Acc = (0, ())
    counts_nulls = False

    def __init__(self, call: int, last: bool) -> None:
        self._call = call
        self._end = -1 if last else 0

    def add(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        ordinal = acc[0]
        kept.put(self._call, value, (*kept.times.get((self._call, value), ()), ordinal))
        kept.ordered.setdefault(self._call, []).append(_Arrived(ordinal, value))
        return (ordinal + 1, self._best(kept))

    def retract(self, acc: Acc, kept: Kept, value: Value, others: Row) -> Acc:
        ordinals = kept.times.get((self._call, value), ())
        if not ordinals:
            return acc
        kept.put(self._call, value, ordinals[1:])
        arrived = kept.ordered[self._call]
        arrived.pop(bisect_left(arrived, _Arrived(ordinals[0], value)))
        return (acc[0], self._best(kept))

    def _best(self, kept: Kept) -> tuple[Value, ...]:
        arrived = kept.ordered.get(self._call)
        return (arrived[self._end].value,) if arrived else ()

    def result(self, acc: Acc, as_of: int | None) -> Value:
        value: Value = acc[1][0] if acc[1] else None
        return value

    def loaded(self, kept: Kept, value: Value, times: Any) -> None:
        for ordinal in times:
            insort(kept.ordered.setdefault(self._call, []), _Arrived(ordinal, value))


class _Arrived:
    """A value at its ordinal; compared by the ordinal alone."""

    __slots__ = ("ordinal", "value")

    def __init__(self, ordinal: int, value: Value) -> None:
        self.ordinal = ordinal
        self.value = value

    def __lt__(self, other: _Arrived) -> bool:
        return self.ordinal < other.ordinal


def _plain(value: Any) -> Any:
    return value


def _bound(call: int, aggregate: Aggregate, inputs: tuple[Type, ...]) -> KeptCall:
    argument = inputs[aggregate.args[0]]
    if aggregate.function in ("MIN", "MAX"):
        return _Extreme(call, aggregate.function == "MAX", argument.dtype.kind == "f")
    if aggregate.function in ("FIRST_VALUE", "LAST_VALUE") and not aggregate.distinct:
        return _ByArrival(call, aggregate.function == "LAST_VALUE")
    if aggregate.function == "PERCENTILE" and not aggregate.distinct:
        return _Percentile(call, aggregate)
    plain = replace(aggregate, distinct=False, filter=None)
    return _Distinct(call, aggregate_function(plain, inputs))


class GroupAccumulators(Accumulators):
    """The aggregates of a group aggregation, some of which keep values. `folded` is the one way rows go in and out."""

    def __init__(
        self, aggregates: tuple[Aggregate, ...], inputs: tuple[Type, ...], rowtime: int | None, updated: bool
    ) -> None:
        kept = {index for index, each in enumerate(aggregates) if keeps_values(each, updated)}
        super().__init__(aggregates, inputs, rowtime, skipped=frozenset(kept))
        self.kept_calls: dict[int, KeptCall] = {
            index: _bound(index, aggregates[index], inputs) for index in sorted(kept)
        }
        self._arguments = {index: aggregates[index].args for index in kept}
        self._conditions = {index: aggregates[index].filter for index in kept}
        self.zero = tuple(
            self.kept_calls[index].zero if index in self.kept_calls else each for index, each in enumerate(self.zero)
        )

    def folded(self, accs: tuple[Acc, ...], row: Row, kept: Kept | None, retracting: bool) -> tuple[Acc, ...]:
        """The accumulators with a row added, or taken back."""
        made = self.retract(accs, row) if retracting else self.add(accs, row)
        if kept is None:
            return made
        several = list(made)
        for index, call in self.kept_calls.items():
            value, *others = [row[each] for each in self._arguments[index]]
            condition = self._conditions[index]
            if (value is None and not call.counts_nulls) or (condition is not None and row[condition] is not True):
                continue
            value = math.nan if value != value else frozen(value)
            change = call.retract if retracting else call.add
            several[index] = change(several[index], kept, value, tuple(others))
        return tuple(several)

    def results(self, accs: tuple[Acc, ...], as_of: int | None = None) -> tuple[Value, ...]:
        if not self.kept_calls:
            return super().results(accs, as_of)
        return tuple(
            self.kept_calls[index].result(acc, as_of) if index in self.kept_calls else function.result(acc, as_of)
            for index, (acc, (function, _, _)) in enumerate(zip(accs, self._calls, strict=True))
        )


class KeptValues:
    """The values of all groups. State: `values`, (group, call, value) -> times. Derived: the same by group, ordered."""

    def __init__(self, identity: str, accumulators: GroupAccumulators, types: Sequence[Type], state: State) -> None:
        self._calls = accumulators.kept_calls
        self._cell = state.cell(identity, "values", decimals=any(each.has_decimals for each in types))
        self._groups: dict[Row, Kept] = {}

    def restore(self) -> None:
        self._groups = {}
        for (group, call, value), times in self._cell.items():
            kept = self.of(group)
            kept.times[(call, value)] = times
            self._calls[call].loaded(kept, value, times)

    def of(self, group: Row) -> Kept:
        kept = self._groups.get(group)
        if kept is None:
            kept = self._groups[group] = Kept(group, self._cell)
        return kept

    def looked_at(self, group: Row) -> Kept:
        """A copy that a reading may change."""
        kept = self._groups.get(group)
        return kept.copy() if kept is not None else Kept(group, None)

    def forget(self, group: Row) -> None:
        kept = self._groups.pop(group, None)
        if kept is not None:
            kept.clear()
