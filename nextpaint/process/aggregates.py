"""Aggregate functions over accumulators that are immutable tuples.

Each function declares whether it can take rows back (`retract`), how two accumulators merge (sessions that grow
together, linked subjects), and how its result reads at a time (`result(acc, as_of)`): decayed sums fade, others stay.

Sums of integers wrap at their declared width as in Flink; sums of floats add in arrival order, which is ledger order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from datasketches import hll_sketch, hll_union, tgt_hll_type

from nextpaint.process import frequent, moments, percentiles, quantiles
from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.operators.protocol import DeadRow, StepContext
from nextpaint.process.state import frozen
from nextpaint.process.user_aggregates import Calls
from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGER_BITS, INTEGERS, NULL, Kind, Type
from nextpaint.sql.plan import Aggregate

Acc = Any
NO_TIME = -(2**63)
HLL_LOG_REGISTERS = 12  # 4096 registers, at most 2.1 kB a group
_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)  # more digits than any total of DECIMALs has
_QUOTIENT = Context(prec=38, rounding=ROUND_HALF_UP)
QUANTILE_PARTS = 1_000_000  # a plan holds the quantile as an integer of these parts


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """One aggregate, bound to its types. `add(acc, values, time_ms)`; `retract` is None where rows cannot be taken
    back."""

    zero: Acc
    add: Callable[[Acc, tuple[Value, ...], int], Acc]
    merge: Callable[[Acc, Acc], Acc]
    result: Callable[[Acc, int | None], Value]
    retract: Callable[[Acc, tuple[Value, ...], int], Acc] | None = None
    fades: bool = False  # the result depends on the time it is read at
    counts_nulls: bool = False  # DISTINCT: is NULL one of the values?


def wrap(value: int, bits: int) -> int:
    """Two's complement at `bits`, as Java does it silently."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def _count(aggregate: Aggregate) -> AggregateFunction:
    def step(sign: int) -> Callable[[Acc, tuple[Value, ...], int], Acc]:
        if not aggregate.args:
            return lambda acc, values, time: acc + sign
        return lambda acc, values, time: acc if values[0] is None else acc + sign

    return AggregateFunction(0, step(1), lambda a, b: a + b, lambda acc, as_of: acc, step(-1))


def _sum(aggregate: Aggregate, argument: Type) -> AggregateFunction:
    """(count of values, total): NULL over no value, and where a DECIMAL has no room for the total."""
    zero: Any = Decimal(0) if argument.kind is Kind.DECIMAL else 0 if argument.kind in INTEGERS else 0.0
    bits = INTEGER_BITS.get(aggregate.type.kind)
    decimals = argument.kind is Kind.DECIMAL
    plus: Callable[[Any, Any], Any] = _EXACT.add if decimals else operator.add
    minus: Callable[[Any, Any], Any] = _EXACT.subtract if decimals else operator.sub

    def bounded(total: Any) -> Any:
        return wrap(total, 64) if bits and not -(2**62) < total < 2**62 else total

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        value: Any = values[0]
        return acc if value is None else (acc[0] + 1, bounded(plus(acc[1], value)))

    def retract(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        value: Any = values[0]
        return acc if value is None else (acc[0] - 1, bounded(minus(acc[1], value)))

    def merge(a: Acc, b: Acc) -> Acc:
        return (a[0] + b[0], bounded(plus(a[1], b[1])))

    def result(acc: Acc, as_of: int | None) -> Value:
        if not acc[0] or (decimals and not _fits(acc[1], aggregate.type)):
            return None
        return wrap(acc[1], bits) if bits else acc[1]

    return AggregateFunction((0, zero), add, merge, result, retract)


def _fits(value: Decimal, type_: Type) -> bool:
    return abs(value) < Decimal(10) ** (type_.precision - type_.scale)


def _average(aggregate: Aggregate, argument: Type) -> AggregateFunction:
    total = _sum(aggregate, argument)

    def result(acc: Acc, as_of: int | None) -> Value:
        count: int = acc[0]
        value: Any = acc[1]
        if not count:
            return None
        if argument.kind in INTEGERS:
            return int(-(-value // count) if value < 0 else value // count)  # truncated toward zero, as Flink
        if isinstance(value, Decimal):
            last = Decimal(1).scaleb(-aggregate.type.scale)
            mean = _QUOTIENT.divide(value, Decimal(count)).quantize(last, context=_EXACT)
            return mean if _fits(mean, aggregate.type) else None
        return float(value / count)

    return AggregateFunction(total.zero, total.add, total.merge, result, total.retract)


def _extreme(pick: Callable[[Any, Any], Any]) -> AggregateFunction:
    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        value: Any = values[0]
        return acc if value is None else value if acc is None else pick(acc, value)

    def merge(a: Acc, b: Acc) -> Acc:
        return b if a is None else a if b is None else pick(a, b)

    return AggregateFunction(None, add, merge, lambda acc, as_of: acc)


def _first() -> AggregateFunction:
    """First in arrival order; merging keeps the left (older) side."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        return acc if acc is not None or values[0] is None else (values[0],)

    return AggregateFunction(None, add, lambda a, b: a or b, lambda acc, as_of: acc and acc[0])


def _last() -> AggregateFunction:
    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        return acc if values[0] is None else (values[0],)

    return AggregateFunction(None, add, lambda a, b: b or a, lambda acc, as_of: acc and acc[0])


def _last_n(limit: int) -> AggregateFunction:
    """The last n values by event time (ties by arrival), oldest first: ((time, value), ...)."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        value = _immutable(values[0])
        if not acc or acc[-1][0] <= time:
            return (*acc[-limit + 1 :], (time, value)) if limit > 1 else ((time, value),)
        if len(acc) == limit and time < acc[0][0]:
            return acc
        place = len(acc)
        while place and acc[place - 1][0] > time:
            place -= 1
        return (*acc[:place], (time, value), *acc[place:])[-limit:]

    def merge(a: Acc, b: Acc) -> Acc:
        return tuple(sorted((*a, *b), key=lambda each: each[0])[-limit:])

    return AggregateFunction((), add, merge, lambda acc, as_of: [each[1] for each in acc])


def _lag(back: int) -> AggregateFunction:
    """The value `back` rows before the last one, else the last row's default: (default, the last values)."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        value, default = (_immutable(each) for each in values)
        return (default, (*acc[1][-back:], value) if back else (value,))

    def result(acc: Acc, as_of: int | None) -> Value:
        found: Value = acc[1][0] if len(acc[1]) > back else acc[0]
        return found

    return AggregateFunction((None, ()), add, lambda a, b: b, result)


def _without(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """A list without the first of equal values."""
    if value not in values:
        return values
    at = values.index(value)
    return values[:at] + values[at + 1 :]


def _list_text() -> AggregateFunction:
    """LISTAGG: (separator, the texts in order of arrival); NULLs are left out."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        return acc if values[0] is None else (values[1], (*acc[1], values[0]))

    def retract(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        return (acc[0], _without(acc[1], values[0]))

    def result(acc: Acc, as_of: int | None) -> Value:
        return acc[0].join(acc[1]) if acc[1] else None

    return AggregateFunction((",", ()), add, lambda a, b: (b[0], a[1] + b[1]), result, retract)


def _array() -> AggregateFunction:
    """ARRAY_AGG: the values in order of arrival, NULLs too."""
    return AggregateFunction(
        (),
        lambda acc, values, time: (*acc, _immutable(values[0])),
        lambda a, b: a + b,
        lambda acc, as_of: list(acc) if acc else None,
        lambda acc, values, time: _without(acc, _immutable(values[0])),
        counts_nulls=True,
    )


def _collected() -> AggregateFunction:
    """COLLECT: how often each value came, in order of arrival; NULLs are left out."""

    def counted(acc: Acc, value: Value, times: int) -> Acc:
        found = dict(acc)
        found[value] = found.get(value, 0) + times
        if not found[value]:
            del found[value]
        return tuple(found.items())

    def step(times: int) -> Callable[[Acc, tuple[Value, ...], int], Acc]:
        return lambda acc, values, time: acc if values[0] is None else counted(acc, frozen(values[0]), times)

    def merge(a: Acc, b: Acc) -> Acc:
        for value, times in b:
            a = counted(a, value, times)
        return a

    return AggregateFunction((), step(1), merge, lambda acc, as_of: dict(acc), step(-1))


def _variance(aggregate: Aggregate) -> AggregateFunction:
    sample, root = aggregate.function.endswith("SAMP"), aggregate.function.startswith("STDDEV")

    def result(acc: Acc, as_of: int | None) -> Value:
        return moments.result(acc, sample, root, aggregate.type)

    return AggregateFunction(moments.ZERO, moments.add, moments.merge, result, moments.retract)


def _top_counts(n: int) -> AggregateFunction:
    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        return acc if values[0] is None else frequent.add(acc, values[0], n)

    return AggregateFunction(
        (), add, lambda a, b: frequent.merge(a, b, n), lambda acc, as_of: list(frequent.result(acc, n))
    )


def _approximate_count() -> AggregateFunction:
    """APPROX_COUNT_DISTINCT: a HyperLogLog sketch of 4096 registers as its bytes; the error is about 1.6 %."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        if values[0] is None:
            return acc
        sketch = hll_sketch.deserialize(acc) if acc else hll_sketch(HLL_LOG_REGISTERS, tgt_hll_type.HLL_4)
        value = values[0]
        sketch.update(
            value if isinstance(value, str | float) else int(value) if isinstance(value, int) else repr(value)
        )
        return bytes(sketch.serialize_compact())

    def merge(a: Acc, b: Acc) -> Acc:
        if not a or not b:
            return a or b
        union = hll_union(HLL_LOG_REGISTERS)
        for each in (a, b):
            union.update(hll_sketch.deserialize(each))
        return bytes(union.get_result(tgt_hll_type.HLL_4).serialize_compact())

    def result(acc: Acc, as_of: int | None) -> Value:
        return round(hll_sketch.deserialize(acc).get_estimate()) if acc else 0

    return AggregateFunction(b"", add, merge, result)


def _quantile(q: float) -> AggregateFunction:
    def step(sign: int) -> Callable[[Acc, tuple[Value, ...], int], Acc]:
        return lambda acc, values, time: acc if values[0] is None else quantiles.count(acc, values[0], sign)  # type: ignore[arg-type]

    return AggregateFunction((), step(1), quantiles.merge, lambda acc, as_of: quantiles.quantile(acc, q), step(-1))


def shares_of(aggregate: Aggregate) -> tuple[float, ...]:
    """PERCENTILE: which percentiles, as parts of one."""
    return tuple(float(share) for _, share in aggregate.options)  # type: ignore[arg-type]


def times_of(frequency: Sequence[Any]) -> int:
    """PERCENTILE: how often a row counts, from the arguments after its value."""
    return 1 if not frequency else frequency[0] if frequency[0] is not None and frequency[0] > 0 else 0


def _percentile(aggregate: Aggregate) -> AggregateFunction:
    shares, several = shares_of(aggregate), aggregate.type.kind is Kind.ARRAY

    def step(sign: int) -> Callable[[Acc, tuple[Value, ...], int], Acc]:
        def changed(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
            value: Any = values[0]
            times = times_of(values[1:])
            return percentiles.count(acc, value, sign * times) if value is not None and times else acc

        return changed

    def result(acc: Acc, as_of: int | None) -> Value:
        found = percentiles.of_counts(acc, shares)
        return found if found is None else list(found) if several else found[0]

    return AggregateFunction((), step(1), percentiles.merge, result, step(-1))


def _immutable(value: Value) -> Any:
    return tuple(_immutable(each) for each in value) if isinstance(value, list | tuple) else value


def _decayed(aggregate: Aggregate) -> AggregateFunction:
    """Order-free decayed sum; see `kernels.decayed`. Reads as of a time; without one, at its newest row."""
    decayed = DecayedSum(aggregate.parameter)
    counting = not aggregate.args

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        weight: Any = 1.0 if counting else values[0]
        return acc if weight is None else decayed.add(acc, float(weight), time)

    def result(acc: Acc, as_of: int | None) -> Value:
        return decayed.value(acc, as_of)

    return AggregateFunction(decayed.zero, add, decayed.merge, result, fades=True)


def _distinct(inner: AggregateFunction) -> AggregateFunction:
    """Only the first of equal values counts: (inner accumulator, ((value, times), ...)). Cost grows with the distinct
    values of one group. What further arguments a call has (LISTAGG's separator) belongs to the value."""

    def add(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        if values[0] is None and not inner.counts_nulls:
            return acc
        seen = dict(acc[1])
        value = _one(values)
        times = seen.get(value, 0)
        seen[value] = times + 1
        return (inner.add(acc[0], values, time) if not times else acc[0], tuple(seen.items()))

    def retract(acc: Acc, values: tuple[Value, ...], time: int) -> Acc:
        seen = dict(acc[1])
        value = _one(values)
        times = seen.pop(value, 0)
        if not times:
            return acc
        if times > 1:
            seen[value] = times - 1
            return (acc[0], tuple(seen.items()))
        assert inner.retract is not None
        return (inner.retract(acc[0], values, time), tuple(seen.items()))

    def merge(a: Acc, b: Acc) -> Acc:
        seen = dict(a[1])
        total = a[0]
        for value, times in b[1]:
            if value not in seen:
                total = inner.add(total, value if isinstance(value, tuple) else (value,), NO_TIME)
            seen[value] = seen.get(value, 0) + times
        return (total, tuple(seen.items()))

    return AggregateFunction(
        (inner.zero, ()), add, merge, lambda acc, as_of: inner.result(acc[0], as_of), retract if inner.retract else None
    )


def _one(values: tuple[Value, ...]) -> Any:
    """The arguments as one value. A single one has an order, so it is no tuple itself."""
    return values[0] if len(values) == 1 else values


_TABLE: dict[str, Callable[[Aggregate, Type], AggregateFunction]] = {
    "COUNT": lambda call, _: _count(call),
    "SUM": lambda call, argument: _sum(call, argument),
    "AVG": lambda call, argument: _average(call, argument),
    "MIN": lambda call, _: _extreme(min),
    "MAX": lambda call, _: _extreme(max),
    "FIRST_VALUE": lambda call, _: _first(),
    "LAST_VALUE": lambda call, _: _last(),
    "LISTAGG": lambda call, _: _list_text(),
    "ARRAY_AGG": lambda call, _: _array(),
    "COLLECT": lambda call, _: _collected(),
    **dict.fromkeys(("STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP"), lambda call, _: _variance(call)),
    "ROW_NUMBER": lambda call, _: _count(call),
    "LAG": lambda call, _: _lag(call.parameter),
    "LAST_N": lambda call, _: _last_n(call.parameter),
    **dict.fromkeys(("DECAYED_SUM", "DECAYED_COUNT"), lambda call, _: _decayed(call)),
    "TOP_N_COUNTS": lambda call, _: _top_counts(call.parameter),
    "APPROX_COUNT_DISTINCT": lambda call, _: _approximate_count(),
    "PERCENTILE": lambda call, _: _percentile(call),
    "APPROX_QUANTILE": lambda call, _: _quantile(call.parameter / QUANTILE_PARTS),
}


def aggregate_function(
    aggregate: Aggregate, inputs: tuple[Type, ...], reasons: list[str] | None = None
) -> AggregateFunction:
    """Bind one aggregate call of a plan to the types of its node's input. `reasons` gets why an application's own
    aggregate failed."""
    if aggregate.function == "PYTHON":
        own = Calls(aggregate, reasons if reasons is not None else [])
        return AggregateFunction(own.zero, own.add, own.merge, own.result, own.retract if own.retracts else None)
    make = _TABLE.get(aggregate.function)
    if make is None:
        raise ValueError(f"no aggregate function {aggregate.function}: the planner must refuse it")
    made = make(aggregate, inputs[aggregate.args[0]] if aggregate.args else NULL)
    return _distinct(made) if aggregate.distinct and aggregate.function not in ("MIN", "MAX") else made


_NOTHING = AggregateFunction(
    None, lambda acc, values, time: acc, lambda a, b: a, lambda acc, as_of: None, lambda acc, values, time: acc
)


class Accumulators:
    """All aggregates of one node over one group: a tuple of accumulators."""

    def __init__(
        self,
        aggregates: tuple[Aggregate, ...],
        inputs: tuple[Type, ...],
        rowtime: int | None,
        skipped: frozenset[int] = frozenset(),
    ) -> None:
        """`skipped`: calls that somebody else keeps; here they do nothing."""
        self.reasons: list[str] = []  # why an application's own aggregates left rows out, since somebody looked
        self._calls = [
            (_NOTHING if index in skipped else aggregate_function(each, inputs, self.reasons), each.args, each.filter)
            for index, each in enumerate(aggregates)
        ]
        self._rowtime = rowtime
        self._only = self._calls[0] if len(self._calls) == 1 and self._calls[0][2] is None else None
        self.zero: tuple[Acc, ...] = tuple(function.zero for function, _, _ in self._calls)
        self.fades = any(function.fades for function, _, _ in self._calls)
        self.retractable = all(function.retract for function, _, _ in self._calls)
        self.half_lives = tuple(each.parameter if each.function.startswith("DECAYED") else 0 for each in aggregates)

    def report(self, context: StepContext, seq: int, operator: str, row: tuple[Value, ...]) -> None:
        """What failed while `row` was handled goes to the dead letters, one row per reason."""
        for reason in dict.fromkeys(self.reasons):
            context.dead.append(DeadRow(seq, operator, reason, row))
        self.reasons.clear()

    def _time(self, row: tuple[Value, ...]) -> int:
        time = row[self._rowtime] if self._rowtime is not None else None
        return time if isinstance(time, int) else NO_TIME

    def add(self, accs: tuple[Acc, ...], row: tuple[Value, ...]) -> tuple[Acc, ...]:
        time = self._time(row)
        if self._only is not None:
            function, args, _ = self._only
            return (function.add(accs[0], tuple([row[arg] for arg in args]), time),)
        return tuple(
            acc
            if condition is not None and row[condition] is not True
            else function.add(acc, tuple(row[arg] for arg in args), time)
            for acc, (function, args, condition) in zip(accs, self._calls, strict=True)
        )

    def retract(self, accs: tuple[Acc, ...], row: tuple[Value, ...]) -> tuple[Acc, ...]:
        time = self._time(row)
        taken = []
        for acc, (function, args, condition) in zip(accs, self._calls, strict=True):
            assert function.retract is not None, "the compiler refuses this"
            skip = condition is not None and row[condition] is not True
            taken.append(acc if skip else function.retract(acc, tuple(row[arg] for arg in args), time))
        return tuple(taken)

    def merge(self, a: tuple[Acc, ...], b: tuple[Acc, ...]) -> tuple[Acc, ...]:
        return tuple(
            function.merge(left, right) for left, right, (function, _, _) in zip(a, b, self._calls, strict=True)
        )

    def results(self, accs: tuple[Acc, ...], as_of: int | None = None) -> tuple[Value, ...]:
        return tuple(function.result(acc, as_of) for acc, (function, _, _) in zip(accs, self._calls, strict=True))
