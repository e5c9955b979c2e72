"""The scalar functions: what each takes and what it gives. One row per function; a new function is a new row.

The parameter language: `s` string, `i` integer, `n` number, `d` number taken as DOUBLE, `b` boolean, `t` date or
timestamp, `p` timestamp, `a` array, `c` array or map, `x` anything; `?` optional, `+` one or more (last only). The
result is a type, or a function of the argument types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nextpaint.record import types
from nextpaint.record.types import INTEGERS, Kind, Type, decimal

Result = Type | Callable[[tuple[Type, ...]], Type]


@dataclass(frozen=True, slots=True)
class Signature:
    """`name`: the canonical name in the plan. `options`: added to what the call brought."""

    name: str
    parameters: str
    result: Result
    options: tuple[tuple[str, str], ...] = ()

    def returns(self, arguments: tuple[Type, ...]) -> Type:
        return self.result if isinstance(self.result, Type) else self.result(arguments)

    @property
    def shape(self) -> list[tuple[str, bool, bool]]:
        """(kind, optional, repeated) of each parameter."""
        shape: list[tuple[str, bool, bool]] = []
        for part in self.parameters.split():
            shape.append((part[0], part.endswith("?"), part.endswith("+")))
        return shape


KIND_WORDS = {
    "s": "text",
    "i": "an integer",
    "n": "a number",
    "d": "a number",
    "b": "a condition",
    "t": "a date or timestamp",
    "p": "a timestamp",
    "a": "an array",
    "c": "an array or map",
    "x": "a value",
}


def accepts(kind: str, type_: Type) -> bool:
    """Does a parameter of this kind take the type?"""
    match kind:
        case "s":
            return type_.kind is Kind.STRING
        case "i":
            return type_.kind in INTEGERS
        case "n" | "d":
            return type_.is_numeric
        case "b":
            return type_.kind is Kind.BOOLEAN
        case "t":
            return type_.is_time or type_.kind is Kind.DATE
        case "p":
            return type_.is_time
        case "a":
            return type_.kind is Kind.ARRAY
        case "c":
            return type_.kind in (Kind.ARRAY, Kind.MAP)
    return True


def _same(arguments: tuple[Type, ...]) -> Type:
    return arguments[0]


def _whole(arguments: tuple[Type, ...]) -> Type:
    """FLOOR and CEIL of a DECIMAL have no fraction digits."""
    first = arguments[0]
    return decimal(first.precision, 0) if first.kind is Kind.DECIMAL else first


def _element(arguments: tuple[Type, ...]) -> Type:
    return arguments[0].element or types.NULL


_STRING, _INT, _BOOLEAN, _DOUBLE, _BIGINT = types.STRING, types.INT, types.BOOLEAN, types.DOUBLE, types.BIGINT

# SQL name -> signature. Several names of one function share a canonical name.
FUNCTIONS: dict[str, Signature] = {
    # text
    "CONCAT": Signature("CONCAT", "s+", _STRING),
    "CONCAT_WS": Signature("CONCAT_WS", "s s+", _STRING),
    "UPPER": Signature("UPPER", "s", _STRING),
    "LOWER": Signature("LOWER", "s", _STRING),
    "INITCAP": Signature("INITCAP", "s", _STRING),
    "TRIM": Signature("TRIM", "s s?", _STRING),
    "BTRIM": Signature("TRIM", "s s?", _STRING, (("side", "BOTH"),)),
    "LTRIM": Signature("TRIM", "s s?", _STRING, (("side", "LEADING"),)),
    "RTRIM": Signature("TRIM", "s s?", _STRING, (("side", "TRAILING"),)),
    "SUBSTRING": Signature("SUBSTRING", "s i i?", _STRING),
    "SUBSTR": Signature("SUBSTRING", "s i i?", _STRING),
    "LEFT": Signature("LEFT", "s i", _STRING),
    "RIGHT": Signature("RIGHT", "s i", _STRING),
    "CHAR_LENGTH": Signature("CHAR_LENGTH", "s", _INT),
    "CHARACTER_LENGTH": Signature("CHAR_LENGTH", "s", _INT),
    "REPLACE": Signature("REPLACE", "s s s", _STRING),
    "POSITION": Signature("POSITION", "s s", _INT),
    "LOCATE": Signature("LOCATE", "s s i?", _INT),
    "INSTR": Signature("INSTR", "s s", _INT),
    "SPLIT_INDEX": Signature("SPLIT_INDEX", "s s i", _STRING),
    "REGEXP": Signature("REGEXP", "s s", _BOOLEAN),
    "REGEXP_EXTRACT": Signature("REGEXP_EXTRACT", "s s i?", _STRING),
    "REGEXP_REPLACE": Signature("REGEXP_REPLACE", "s s s", _STRING),
    "LPAD": Signature("LPAD", "s i s", _STRING),
    "RPAD": Signature("RPAD", "s i s", _STRING),
    "STARTSWITH": Signature("STARTSWITH", "s s", _BOOLEAN),
    "ENDSWITH": Signature("ENDSWITH", "s s", _BOOLEAN),
    "MD5": Signature("MD5", "s", _STRING),
    "SHA256": Signature("SHA256", "s", _STRING),
    # JSON (JSON_VALUE has its own rule: the result is what RETURNING says)
    "JSON_EXISTS": Signature("JSON_EXISTS", "s", _BOOLEAN),
    "JSON_QUERY": Signature("JSON_QUERY", "s", _STRING),
    # numbers (ROUND and TRUNCATE have their own rule: the scale is the second argument)
    "ABS": Signature("ABS", "n", _same),
    "SIGN": Signature("SIGN", "n", _same),
    "SQRT": Signature("SQRT", "d", _DOUBLE),
    "POWER": Signature("POWER", "d d", _DOUBLE),
    "EXP": Signature("EXP", "d", _DOUBLE),
    "LN": Signature("LN", "d", _DOUBLE),
    "LOG10": Signature("LOG10", "d", _DOUBLE),
    "LOG2": Signature("LOG2", "d", _DOUBLE),
    "FLOOR": Signature("FLOOR", "n", _whole),
    "CEIL": Signature("CEIL", "n", _whole),
    # time
    "TO_TIMESTAMP": Signature("TO_TIMESTAMP", "s s?", types.TIMESTAMP),
    "TO_TIMESTAMP_LTZ": Signature("TO_TIMESTAMP_LTZ", "i i?", types.TIMESTAMP_LTZ),
    "TO_DATE": Signature("TO_DATE", "s s?", types.DATE),
    "DATE_FORMAT": Signature("DATE_FORMAT", "p s", _STRING),
    "EXTRACT": Signature("EXTRACT", "t", _BIGINT),
    **{
        unit: Signature("EXTRACT", "t", _BIGINT, (("unit", unit),))
        for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "HOUR", "MINUTE", "SECOND")
    },
    "DAYOFMONTH": Signature("EXTRACT", "t", _BIGINT, (("unit", "DAY"),)),
    "DAYOFWEEK": Signature("EXTRACT", "t", _BIGINT, (("unit", "DOW"),)),
    "DAYOFYEAR": Signature("EXTRACT", "t", _BIGINT, (("unit", "DOY"),)),
    "TIMESTAMPDIFF": Signature("TIMESTAMPDIFF", "t t", _INT),
    "CURRENT_TIMESTAMP": Signature("CURRENT_TIMESTAMP", "", types.TIMESTAMP_LTZ),
    "NOW": Signature("CURRENT_TIMESTAMP", "", types.TIMESTAMP_LTZ),
    "LOCALTIMESTAMP": Signature("LOCALTIMESTAMP", "", types.TIMESTAMP),
    "PROCTIME": Signature("PROCTIME", "", types.TIMESTAMP_LTZ),
    # collections
    "CARDINALITY": Signature("CARDINALITY", "c", _INT),
    "ELEMENT": Signature("ELEMENT", "a", _element),
}

# Functions whose types are a rule of their own in `binder`, by SQL name.
SPECIAL = (
    "COALESCE", "IFNULL", "NULLIF", "IF", "GREATEST", "LEAST", "ROUND", "TRUNCATE", "MOD", "TIMESTAMPADD", "JSON_VALUE",
    "ROW", "ARRAY", "MAP", "ARRAY_CONTAINS",
)  # fmt: skip

AGGREGATES = (
    "COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "DECAYED_SUM", "DECAYED_COUNT", "LAST_N",
)  # fmt: skip

# What a `Call` of a plan may be named: the evaluator implements exactly these.
CANONICAL = frozenset(
    {
        *(signature.name for signature in FUNCTIONS.values()),
        *("+ - * / % || = <> < <= > >= AND OR NOT IN LIKE CASE CAST TRY_CAST FIELD ITEM ROW ARRAY MAP".split()),
        *("REQUIRE COALESCE NULLIF GREATEST LEAST ROUND TRUNCATE TIMESTAMPADD JSON_VALUE ARRAY_CONTAINS".split()),
        *("FLOOR_TIME", "CEIL_TIME"),
        *("IS NULL", "IS NOT NULL", "IS TRUE", "IS FALSE", "IS JSON", "IS DISTINCT FROM"),
    }
)

# What Flink has and people try first: what to use here.
ELSEWHERE = {
    "LENGTH": "use CHAR_LENGTH(text)",
    "LEN": "use CHAR_LENGTH(text)",
    "NVL": "use COALESCE(a, b)",
    "ISNULL": "use x IS NULL",
    "DATEDIFF": "use TIMESTAMPDIFF(DAY, a, b)",
    "DATE_ADD": "use t + INTERVAL '1' DAY",
    "DATE_TRUNC": "use FLOOR(t TO DAY)",
    "ROW_NUMBER": "write ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) and bound it",
    "RANK": "ranks are ROW_NUMBER() OVER (...) in a stream",
    "DENSE_RANK": "ranks are ROW_NUMBER() OVER (...) in a stream",
    "LAG": "write LAG(x) OVER (PARTITION BY k ORDER BY ts)",
    "LEAD": "a stream does not know the next row",
    "GROUP_CONCAT": "use LAST_N(x, n)",
    "LISTAGG": "use LAST_N(x, n)",
    "COLLECT": "use LAST_N(x, n)",
    "ARRAY_AGG": "use LAST_N(x, n)",
    "APPROX_COUNT_DISTINCT": "use COUNT(DISTINCT x)",
    "JSON_EXTRACT": "use JSON_VALUE(json, '$.path')",
    "GET_JSON_OBJECT": "use JSON_VALUE(json, '$.path')",
    "TUMBLE": "use FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), ...)) and GROUP BY window_start, window_end",
    "HOP": "use FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), ...)) and GROUP BY window_start, window_end",
    "SESSION": "use FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), ...)) and GROUP BY the window and k",
    "TUMBLE_START": "select window_start of FROM TABLE(TUMBLE(...))",
    "TUMBLE_END": "select window_end of FROM TABLE(TUMBLE(...))",
}


def known_names() -> tuple[str, ...]:
    """Every function a query may call."""
    return (*FUNCTIONS, *SPECIAL, *AGGREGATES)
