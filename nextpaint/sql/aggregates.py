"""Aggregate calls: what each takes, its result type and what its input must be.

Result types are Flink's: SUM and AVG of an integer keep its type (AVG truncates, SUM wraps), SUM of DECIMAL(p, s) is
DECIMAL(38, s), AVG, STDDEV and VAR of it DECIMAL(38, max(6, s)). DECAYED_SUM, DECAYED_COUNT and LAST_N are ours; they
read the row's event time, which is the rowtime column of the aggregation's input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from nextpaint.record import types
from nextpaint.record.types import INTEGERS, Field, Kind, Type, array, decimal
from nextpaint.sql import coercion, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.function_rules import user_arguments
from nextpaint.sql.nested_keys import packed
from nextpaint.sql.plan import Aggregate, At, Changes, Expr, Literal
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Inputs, is_orderable
from nextpaint.sql.signatures import AGGREGATES
from nextpaint.sql.user_functions import AGGREGATE, UserFunction, in_force

# LAST_N keeps its rows in memory per key; a longer history belongs into a topic.
LAST_N_MAX = 10_000

_TIMED = ("DECAYED_SUM", "DECAYED_COUNT", "LAST_N")


@dataclass(frozen=True, slots=True)
class _Rule:
    """`result` of the argument's type; `accepts` says what the argument may be."""

    accepts: Callable[[Type], bool]
    needs: str
    result: Callable[[Type], Type]


def _sum(type_: Type) -> Type:
    return decimal(38, type_.scale) if type_.kind is Kind.DECIMAL else type_


def _average(type_: Type) -> Type:
    return decimal(38, max(6, type_.scale)) if type_.kind is Kind.DECIMAL else type_


def _number(type_: Type) -> bool:
    return type_.is_numeric


def _ordered(type_: Type) -> bool:
    return is_orderable(type_.kind)


def _any(_type: Type) -> bool:
    return True


def _same(type_: Type) -> Type:
    return type_


def _counted(type_: Type) -> Type:
    return array(types.row(Field("item", type_), Field("n", types.BIGINT, False)))


_RULES = {
    "COUNT": _Rule(_any, "a value", lambda _type: types.BIGINT),
    "SUM": _Rule(_number, "a number", _sum),
    "AVG": _Rule(_number, "a number", _average),
    "MIN": _Rule(_ordered, "a value with an order", _same),
    "MAX": _Rule(_ordered, "a value with an order", _same),
    "FIRST_VALUE": _Rule(_any, "a value", _same),
    "LAST_VALUE": _Rule(_any, "a value", _same),
    "DECAYED_SUM": _Rule(_number, "a number", lambda _type: types.DOUBLE),
    "LAST_N": _Rule(_any, "a value", array),
    **dict.fromkeys(("STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP"), _Rule(_number, "a number", _average)),
    "ARRAY_AGG": _Rule(_any, "a value", array),
    "COLLECT": _Rule(_any, "a value", types.multiset),
    "TOP_N_COUNTS": _Rule(_ordered, "a value with an order", _counted),
    "APPROX_COUNT_DISTINCT": _Rule(_ordered, "a value with an order", lambda _type: types.BIGINT),
    "APPROX_QUANTILE": _Rule(_number, "a number", lambda _type: types.DOUBLE),
}

# What cannot take rows back: sketches that have forgotten which rows they saw.
_ONE_WAY = ("TOP_N_COUNTS", "APPROX_COUNT_DISTINCT")
_DISTINCT = (
    "COUNT", "SUM", "AVG", "MIN", "MAX", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP", "COLLECT", "ARRAY_AGG",
    "FIRST_VALUE", "LAST_VALUE",
)  # fmt: skip
_OVER_DISTINCT = "aggregate over SELECT DISTINCT"
TOP_N_MAX = 1_000
QUANTILE_PARTS = 1_000_000  # see process.aggregates

OVER_AGGREGATES = (
    "COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "LAG",
    "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP", "LISTAGG", "ARRAY_AGG", "PERCENTILE", "RANK", "DENSE_RANK",
)  # fmt: skip
RANKS = ("RANK", "DENSE_RANK")  # Flink 2.3 counts the rows up to the place in the order, its peers too


def result_type(function: str, argument: Type | None, at: At) -> Type:
    """The type of a plain aggregate call; `argument` None: of rows. Raises Refusal when it does not take that."""
    rule = _RULES[function]
    if argument is None:
        if function != "COUNT":
            raise Refusal(f"{function}(*) counts nothing", at, f"{function}(column)")
        return types.BIGINT
    if not rule.accepts(argument):
        raise Refusal(f"{function} needs {rule.needs}, not {argument}", at)
    return rule.result(argument)


def is_aggregate(node: object) -> bool:
    """A plain aggregate call, without OVER."""
    if not isinstance(node, syntax.Call) or node.over is not None:
        return False
    return node.name in AGGREGATES or user_aggregate(node.name) is not None


def user_aggregate(name: str) -> UserFunction | None:
    """The application's own aggregate of that name in upper case."""
    user = in_force().functions.get(name)
    return user if user is not None and user.kind == AGGREGATE else None


class AggregateCalls:
    """The distinct aggregate calls of one SELECT, in order of appearance."""

    def __init__(self, binder: Binder, inputs: Inputs, changes: Changes, *, nested: bool = False) -> None:
        """`nested`: aggregates inside are columns of the input, of OVER above GROUP BY."""
        self._nested = nested
        self._binder = binder
        self._inputs = inputs
        self._changes = changes
        self.found: list[Aggregate] = []

    @property
    def needs_rowtime(self) -> bool:
        return any(each.function in _TIMED for each in self.found)

    def add(self, node: syntax.Call) -> int:
        """The ordinal of the call among the aggregates."""
        aggregate = self._bound(node)
        if aggregate not in self.found:
            self.found.append(aggregate)
        return self.found.index(aggregate)

    def _bound(self, node: syntax.Call) -> Aggregate:
        for inner in () if self._nested else syntax.walk((node.args, node.filter)):
            if is_aggregate(inner):
                raise Refusal("aggregates cannot be nested", inner.at, "aggregate a query over the first aggregation")
        if node.name in (*_TIMED, *_ONE_WAY) and self._changes is not Changes.APPEND:
            raise Refusal(f"{node.name} over rows that are updated", node.at, "aggregate the stream of events itself")
        condition: int | None = None
        if node.filter is not None:
            condition = self._inputs.add(self._binder.condition(node.filter, "FILTER"))
        if node.star and node.name != "COUNT":
            raise Refusal(f"{node.name}(*) is not a function", node.at, f"name what {node.name} takes")
        if node.star:
            return Aggregate("COUNT", (), types.BIGINT, False, condition, 0, node.at)
        return self._special(node, condition) or self._plain(node, condition)

    def _special(self, node: syntax.Call, condition: int | None) -> Aggregate | None:
        """Calls with rules of their own."""
        user = user_aggregate(node.name)
        if user is not None:
            return self._own(node, user, condition)
        if node.name == "LAG":
            return self._lag(node)
        if node.name in (*RANKS, "ROW_NUMBER"):
            if node.args or node.star or node.distinct:
                raise Refusal(f"{node.name} takes no arguments", node.at, f"{node.name}() OVER (...)")
            if node.name == "ROW_NUMBER":
                return Aggregate("ROW_NUMBER", (), types.BIGINT, at=node.at)
            return Aggregate("COUNT", (), types.BIGINT, at=node.at, options=(("rank", node.name),))
        if node.name == "PERCENTILE":
            return self._percentile(node, condition)
        return self._listed(node, condition) if node.name == "LISTAGG" else None

    def _plain(self, node: syntax.Call, condition: int | None) -> Aggregate:
        """A function of at most one value and a constant."""
        args, parameter = self._parameter(node)
        if node.name == "DECAYED_COUNT":
            return Aggregate(node.name, (), types.DOUBLE, False, condition, parameter, node.at)
        rule = _RULES[node.name]
        if len(args) != 1:
            raise Refusal(f"{node.name} takes 1 argument, not {len(args)}", node.at)
        value = self._binder.value(args[0])
        if not rule.accepts(value.type):
            raise Refusal(f"{node.name} needs {rule.needs}, not {value.type}", value.at)
        if node.name in ("DECAYED_SUM", "APPROX_QUANTILE"):
            value = coercion.cast(value, types.DOUBLE, value.at)
        result = rule.result(value.type)
        if node.distinct:
            self._check_distinct(node, value)
            value = packed(value) if node.name == "COUNT" else value
        index = self._inputs.add(value)
        distinct = node.distinct and node.name != "FIRST_VALUE"  # the first is the first of its equals
        return Aggregate(node.name, (index,), result, distinct, condition, parameter, node.at)

    def _own(self, node: syntax.Call, user: UserFunction, condition: int | None) -> Aggregate:
        """A call of the application's own aggregate."""
        if node.distinct:
            raise Refusal(f"{user.name} takes no DISTINCT", node.at, _OVER_DISTINCT)
        if self._changes is not Changes.APPEND and not user.retracts:
            raise Refusal(
                f"{user.name} over rows that are updated: it has no retract(accumulator, ...)",
                node.at,
                "add retract, or aggregate the stream of events itself",
            )
        args = user_arguments(self._binder, node.args, user, node.at)
        places = tuple(self._inputs.add(each) for each in args)
        return Aggregate("PYTHON", places, user.result, False, condition, 0, node.at, user.options)

    def _lag(self, node: syntax.Call) -> Aggregate:
        """LAG(x [, n [, default]]): `args` are x and the default, `parameter` is n."""
        usage = "LAG(x), LAG(x, 2) or LAG(x, 1, 0)"
        if not 1 <= len(node.args) <= 3 or node.distinct:
            raise Refusal("LAG takes 1 to 3 arguments", node.at, usage)
        value = self._binder.value(node.args[0])
        distance: Expr = self._binder.value(node.args[1]) if len(node.args) > 1 else Literal(types.INT, 1)
        back = distance.value if isinstance(distance, Literal) else None
        if not isinstance(back, int) or isinstance(back, bool) or not 0 <= back <= LAST_N_MAX:
            raise Refusal(f"LAG goes back a constant number from 0 to {LAST_N_MAX}", node.args[-1].at, usage)
        default: Expr = Literal(value.type, None, node.at)
        if len(node.args) == 3:
            given = self._binder.bind(node.args[2])
            if not coercion.stores(given.type, value.type):
                raise Refusal(f"LAG's default is {given.type}, its value {value.type}", given.at, "CAST one of them")
            default = coercion.cast(given, value.type, given.at)
        args = (self._inputs.add(value), self._inputs.add(default))
        return Aggregate("LAG", args, value.type, False, None, back, node.at)

    def _parameter(self, node: syntax.Call) -> tuple[tuple[syntax.Expression, ...], int]:
        """The arguments without the constant one, and that constant."""
        if node.name in ("DECAYED_SUM", "DECAYED_COUNT"):
            wanted = 2 if node.name == "DECAYED_SUM" else 1
            usage = "DECAYED_SUM(x, INTERVAL '10' MINUTE)" if wanted == 2 else "DECAYED_COUNT(INTERVAL '10' MINUTE)"
            if len(node.args) != wanted:
                raise Refusal(f"{node.name} takes {wanted} argument{'s' if wanted > 1 else ''}", node.at, usage)
            return node.args[:-1], positive_ms(self._binder.value(node.args[-1]), "the half-life", usage)
        if node.name == "LAST_N":
            if len(node.args) != 2:
                raise Refusal("LAST_N takes 2 arguments", node.at, "LAST_N(ROW(item_id, ts), 50)")
            size = self._binder.value(node.args[1])
            if not (isinstance(size, Literal) and isinstance(size.value, int) and 1 <= size.value <= LAST_N_MAX):
                raise Refusal(f"LAST_N needs a constant from 1 to {LAST_N_MAX}", node.args[1].at)
            return node.args[:1], size.value
        if node.name == "TOP_N_COUNTS":
            return self._constant(node, "TOP_N_COUNTS(item_id, 10)", 1, TOP_N_MAX)
        if node.name == "APPROX_QUANTILE":
            return self._constant(node, "APPROX_QUANTILE(price, 0.95)", 0, 1, QUANTILE_PARTS)
        return node.args, 0

    def _constant(
        self, node: syntax.Call, usage: str, low: int, high: int, parts: int = 1
    ) -> tuple[tuple[syntax.Expression, ...], int]:
        """The first argument, and the second as a constant from `low` to `high`, in `parts`."""
        if len(node.args) != 2:
            raise Refusal(f"{node.name} takes 2 arguments", node.at, usage)
        value = self._binder.value(node.args[1])
        held = value.value if isinstance(value, Literal) else None
        number = isinstance(held, int | float | Decimal) and not isinstance(held, bool)
        if not number or not low <= held <= high or (parts == 1 and not isinstance(held, int)):  # type: ignore[operator]
            raise Refusal(f"{node.name} needs a constant from {low} to {high}", node.args[1].at, usage)
        return node.args[:1], round(held * parts)  # type: ignore[operator, arg-type]

    def _listed(self, node: syntax.Call, condition: int | None) -> Aggregate:
        """LISTAGG([DISTINCT] text [, separator])."""
        usage = "LISTAGG(text) or LISTAGG(DISTINCT text, '; ')"
        if not 1 <= len(node.args) <= 2:
            raise Refusal("LISTAGG takes a text and a separator", node.at, usage)
        value = self._binder.value(node.args[0])
        separator: Expr = (
            self._binder.value(node.args[1]) if len(node.args) > 1 else Literal(types.STRING, ",", node.at)
        )
        if value.type.kind is not Kind.STRING or not (
            isinstance(separator, Literal) and isinstance(separator.value, str)
        ):
            raise Refusal(f"LISTAGG joins texts with a constant text, not {value.type}", node.args[0].at, usage)
        args = (self._inputs.add(value), self._inputs.add(separator))
        return Aggregate("LISTAGG", args, types.STRING, node.distinct, condition, 0, node.at)

    def _percentile(self, node: syntax.Call, condition: int | None) -> Aggregate:
        """PERCENTILE([DISTINCT] x, share or ARRAY[share, ...] [, frequency]); the shares are `options`."""
        usage = "PERCENTILE(price, 0.95), PERCENTILE(price, ARRAY[0.5, 0.95]) or PERCENTILE(price, 0.95, times)"
        if not 2 <= len(node.args) <= 3:
            raise Refusal("PERCENTILE takes a value and a share, and how often the value counts", node.at, usage)
        value = self._binder.value(node.args[0])
        if not value.type.is_numeric:
            raise Refusal(f"PERCENTILE needs a number, not {value.type}", value.at, usage)
        written = node.args[1]
        several = written.args if isinstance(written, syntax.Call) and written.name == "ARRAY" else ()
        shares = tuple(("share", self._share(each, usage)) for each in several or (written,))
        args = [self._inputs.add(coercion.cast(value, types.DOUBLE, value.at))]
        if len(node.args) == 3:
            frequency = self._binder.value(node.args[2])
            if frequency.type.kind not in INTEGERS:
                raise Refusal(f"the frequency is {frequency.type}, not an integer", frequency.at, usage)
            if node.distinct:
                raise Refusal("PERCENTILE with a frequency takes no DISTINCT", node.at, "leave one of them out")
            args.append(self._inputs.add(frequency))
        result = array(types.DOUBLE) if several else types.DOUBLE
        return Aggregate("PERCENTILE", tuple(args), result, node.distinct, condition, 0, node.at, shares)

    def _share(self, node: syntax.Expression, usage: str) -> float:
        value = self._binder.value(node)
        held = value.value if isinstance(value, Literal) else None
        if not isinstance(held, int | float | Decimal) or isinstance(held, bool) or not 0 <= held <= 1:
            raise Refusal("PERCENTILE needs a constant from 0 to 1", node.at, usage)
        return float(held)

    def _check_distinct(self, node: syntax.Call, value: Expr) -> None:
        if node.name not in _DISTINCT:
            raise Refusal(f"{node.name} takes no DISTINCT", node.at)
        if node.name.endswith("_VALUE") and self._changes is not Changes.APPEND:
            raise Refusal(f"{node.name}(DISTINCT ...) over rows that are updated", node.at, "leave DISTINCT out")
        if value.type.kind in (Kind.ROW, Kind.MAP):
            raise Refusal(f"DISTINCT of {value.type} inside {node.name}, as in Flink", value.at, _OVER_DISTINCT)


def positive_ms(value: Expr, what: str, usage: str) -> int:
    """The milliseconds of a constant interval above zero."""
    if value.type.kind is Kind.INTERVAL_YEAR:
        raise Refusal(f"{what} in months has no fixed length", value.at, "use days")
    if not (isinstance(value, Literal) and value.type.kind is Kind.INTERVAL_DAY and isinstance(value.value, int)):
        raise Refusal(f"{what} must be a constant interval, not {value.type}", value.at, usage)
    if value.value <= 0:
        raise Refusal(f"{what} must be above zero", value.at, usage)
    return value.value


def check_time(aggregates: list[Aggregate], has_rowtime: bool, at: At) -> None:
    """Decay and LAST_N order rows by event time."""
    for each in aggregates:
        if each.function in _TIMED and not has_rowtime:
            raise Refusal(
                f"{each.function} needs event time, and its input has no time attribute",
                each.at if each.at.line else at,
                "declare WATERMARK FOR on the table and keep that column in the views between",
            )
