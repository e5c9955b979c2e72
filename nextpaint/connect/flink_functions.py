"""The aggregates of ours that Flink does not have, as PyFlink user functions: the same final rows on Apache Flink.

| here                              | on Flink, after `register`                      |
|-----------------------------------|-------------------------------------------------|
| `DECAYED_SUM(x, INTERVAL h)`      | `DECAYED_SUM(x, ts, h in ms)`                   |
| `DECAYED_COUNT(INTERVAL h)`       | `DECAYED_COUNT(ts, h in ms)`                    |
| `LAST_N(x, n)`                    | `LAST_N(x, ts, n)`                              |
| `TOP_N_COUNTS(x, n)`              | `TOP_N_COUNTS(x, n)`                            |
| `APPROX_QUANTILE(x, q)`           | `APPROX_QUANTILE(x, q)`                         |
| `APPROX_COUNT_DISTINCT(x)`        | `APPROX_DISTINCT(x)`: the other name is Flink's |

`ts` is the event time, which a Flink function is not told: here it is the input's time attribute. A row that is put out
holds a decayed value as of the start of the half-life that its newest row is in (counted from 1970), on both sides.
Values agree within 1e-9: powers are not exact in Flink's Python.

The file stands alone: workers need it, PyFlink, and for APPROX_DISTINCT the `datasketches` package, whose sketch is the
one used here. Accumulators are JSON text. It does not run anything here and nothing here imports it.
"""

from __future__ import annotations

import base64
import json
import math
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyflink.common import Row
from pyflink.table import AggregateFunction, DataTypes, TableEnvironment
from pyflink.table.types import DataType
from pyflink.table.udf import udaf

KEPT_HALF_LIVES = 60
SCALE = 2.0**28
WEIGHT_MAX = 2**52
ACCURACY_BASE = 1.01 / 0.99
SMALLEST = 1e-9
LOG_REGISTERS = 12


def _ms(time: Any) -> int:
    """Epoch ms of a TIMESTAMP, whose clock is read as UTC, or of a TIMESTAMP_LTZ."""
    if not isinstance(time, datetime):
        raise ValueError(f"the time is {time!r}: give the time attribute")
    moment = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _plain(value: Any) -> Any:
    """A value as JSON has it: a ROW as a list."""
    if isinstance(value, datetime):
        return _ms(value)
    return [_plain(each) for each in value] if isinstance(value, Row | tuple | list) else value


def _typed(value: Any, kind: DataType) -> Any:
    if value is None:
        return None
    if hasattr(kind, "fields"):
        return Row(*(_typed(each, field.data_type) for each, field in zip(value, kind.fields, strict=True)))
    return value


class JsonAggregate(AggregateFunction):  # type: ignore[misc]
    """An aggregate whose accumulator is one JSON text. `kind`: the type of its argument where the result has it."""

    def __init__(self, kind: DataType | None = None) -> None:
        self.kind = kind

    zero: Any = ()

    def create_accumulator(self) -> Row:
        return Row(json.dumps(self.zero))

    def accumulate(self, accumulator: Row, *values: Any) -> None:
        accumulator[0] = json.dumps(self.added(json.loads(accumulator[0]), *values))

    def get_value(self, accumulator: Row) -> Any:
        return self.result(json.loads(accumulator[0]))

    @abstractmethod
    def added(self, held: Any, *values: Any) -> Any:
        """What is held with one more row."""

    @abstractmethod
    def result(self, held: Any) -> Any:
        """The aggregate of what is held."""


class DecayedSum(JsonAggregate):
    """(half-life in ms, {bucket of one half-life: fixed-point sum}); `nextpaint.process.kernels.decayed` says how."""

    zero: Any = (1, {})

    def added(self, held: Any, *values: Any) -> Any:
        x, time, half_life = values
        if x is None:
            return held
        buckets = held[1]
        bucket, rest = divmod(_ms(time), half_life)
        scaled = float(x) * 2.0 ** (rest / half_life) * SCALE
        if scaled == scaled:
            weight = round(max(-WEIGHT_MAX, min(WEIGHT_MAX, scaled)))
            buckets[str(bucket)] = buckets.get(str(bucket), 0) + weight
        oldest = max(map(int, buckets), default=0) - KEPT_HALF_LIVES
        return half_life, {key: each for key, each in buckets.items() if int(key) >= oldest}

    def result(self, held: Any) -> float | None:
        buckets = sorted((int(bucket), total) for bucket, total in held[1].items())
        if not buckets:
            return None
        return sum(math.ldexp(float(total), bucket - buckets[-1][0]) for bucket, total in buckets) / SCALE


class DecayedCount(DecayedSum):
    """A decayed sum of ones."""

    def added(self, held: Any, *values: Any) -> Any:
        return super().added(held, 1.0, *values)


class LastN(JsonAggregate):
    """The last n values by event time, ties by arrival, oldest first: [(time, value), ...]."""

    def added(self, held: Any, *values: Any) -> Any:
        value, time, n = values
        at = _ms(time)
        place = len(held)
        while place and held[place - 1][0] > at:
            place -= 1
        held.insert(place, (at, _plain(value)))
        return held[-n:]

    def result(self, held: Any) -> list[Any]:
        return [_typed(value, self.kind) for _, value in held]


class TopCounts(JsonAggregate):
    """The n most frequent values by Space-Saving: (n, [(value, count), ...] in order of arrival)."""

    zero = (1, ())

    def added(self, held: Any, *values: Any) -> Any:
        value, n = values
        counts = held[1]
        if value is None:
            return n, counts
        for each in counts:
            if each[0] == _plain(value):
                each[1] += 1
                return n, counts
        first = 1
        if len(counts) >= max(10 * n, 100):
            rarest = min(range(len(counts)), key=lambda index: counts[index][1])
            first += counts.pop(rarest)[1]
        return n, [*counts, (_plain(value), first)]

    def result(self, held: Any) -> list[Row]:
        n, counts = held
        return [Row(_typed(value, self.kind), count) for value, count in sorted(counts, key=lambda each: -each[1])[:n]]


class Quantile(JsonAggregate):
    """Within 1 %, from counts of logarithmic buckets (DDSketch): (q, {"sign,index": count})."""

    zero: Any = (0.5, {})

    def added(self, held: Any, *values: Any) -> Any:
        value, q = values
        counts = held[1]
        if value is not None and math.isfinite(value):
            name = ",".join(map(str, _bucket(float(value))))
            counts[name] = counts.get(name, 0) + 1
        return float(q), counts

    def result(self, held: Any) -> float | None:
        q, counts = held
        ordered = sorted((tuple(map(int, name.split(","))), count) for name, count in counts.items())
        rank = q * (sum(counts.values()) - 1)
        seen = 0
        for (sign, index), count in ordered:
            seen += count
            if seen > rank:
                return sign * 2.0 * ACCURACY_BASE ** (index * sign) / (ACCURACY_BASE + 1.0)
        return None


def _bucket(value: float) -> tuple[int, int]:
    size = abs(value)
    if size < SMALLEST:
        return (0, 0)
    index = math.ceil(math.log(size) / math.log(ACCURACY_BASE))
    return (1, index) if value > 0 else (-1, -index)


class Distinct(JsonAggregate):
    """A HyperLogLog sketch of 4096 registers, its bytes in base64."""

    zero = ""

    def added(self, held: Any, *values: Any) -> Any:
        from datasketches import hll_sketch, tgt_hll_type

        value = values[0]
        if value is None:
            return held
        sketch = (
            hll_sketch.deserialize(base64.b64decode(held)) if held else hll_sketch(LOG_REGISTERS, tgt_hll_type.HLL_4)
        )
        known = isinstance(value, str | float)
        sketch.update(value if known else int(value) if isinstance(value, int) else repr(value))
        return base64.b64encode(sketch.serialize_compact()).decode()

    def result(self, held: Any) -> int:
        from datasketches import hll_sketch

        return round(hll_sketch.deserialize(base64.b64decode(held)).get_estimate()) if held else 0


def counted(kind: DataType) -> DataType:
    """The result of TOP_N_COUNTS of values of a type."""
    fields = [DataTypes.FIELD("value", kind), DataTypes.FIELD("count", DataTypes.BIGINT())]
    return DataTypes.ARRAY(DataTypes.ROW(fields))


def functions(last: DataType, frequent: DataType) -> Sequence[tuple[str, JsonAggregate, DataType]]:
    """(name, function, result type); `last` and `frequent`: the types of the arguments of LAST_N and TOP_N_COUNTS."""
    return (
        ("DECAYED_SUM", DecayedSum(), DataTypes.DOUBLE()),
        ("DECAYED_COUNT", DecayedCount(), DataTypes.DOUBLE()),
        ("LAST_N", LastN(last), DataTypes.ARRAY(last)),
        ("TOP_N_COUNTS", TopCounts(frequent), counted(frequent)),
        ("APPROX_QUANTILE", Quantile(), DataTypes.DOUBLE()),
        ("APPROX_DISTINCT", Distinct(), DataTypes.BIGINT()),
    )


def register(environment: TableEnvironment, last: DataType, frequent: DataType) -> None:
    """Make the functions known to a Flink table environment, for values of these types in LAST_N and TOP_N_COUNTS."""
    held = DataTypes.ROW([DataTypes.FIELD("held", DataTypes.STRING())])
    for name, function, result in functions(last, frequent):
        made = udaf(function, result_type=result, accumulator_type=held, name=name)
        environment.create_temporary_system_function(name, made)
