"""The scalar functions: what each takes and what it gives. One row per function; a new function is a new row.

The parameter language: `s` string, `i` integer, `n` number, `d` number taken as DOUBLE, `b` boolean, `t` date or
timestamp, `p` timestamp, `a` array, `c` array or map, `x` anything; `?` optional, `+` one or more (last only). The
result is a type, or a function of the argument types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nextpaint.record import types
from nextpaint.record.types import INTEGERS, Field, Kind, Type, decimal

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
    "e": "a time or interval",
    "h": "an integer or text",
    "m": "a map",
    "o": "an array of values that can be ordered",
    "w": "a number, text or condition",
    "y": "text or bytes",
    "x": "a value",
}


_CALENDAR = (Kind.DATE, Kind.TIME, Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR)


def _orderable(type_: Type) -> bool:
    inner = type_.element
    return type_.kind is Kind.ARRAY and inner is not None and inner.kind not in (Kind.ARRAY, Kind.MAP, Kind.ROW)


_TESTS: dict[str, Callable[[Type], bool]] = {
    "s": lambda type_: type_.kind is Kind.STRING,
    "i": lambda type_: type_.kind in INTEGERS,
    "n": lambda type_: type_.is_numeric,
    "d": lambda type_: type_.is_numeric,
    "b": lambda type_: type_.kind is Kind.BOOLEAN,
    "t": lambda type_: type_.is_time or type_.kind in (Kind.DATE, Kind.TIME),
    "e": lambda type_: type_.is_time or type_.kind in _CALENDAR,
    "p": lambda type_: type_.is_time,
    "a": lambda type_: type_.kind is Kind.ARRAY,
    "c": lambda type_: type_.kind in (Kind.ARRAY, Kind.MAP),
    "h": lambda type_: type_.kind in (Kind.STRING, *INTEGERS),
    "m": lambda type_: type_.kind is Kind.MAP,
    "o": _orderable,
    "w": lambda type_: type_.kind in (Kind.STRING, Kind.BOOLEAN, *INTEGERS),
    "y": lambda type_: type_.kind in (Kind.STRING, Kind.BYTES),
}


def accepts(kind: str, type_: Type) -> bool:
    """Does a parameter of this kind take the type?"""
    test = _TESTS.get(kind)
    return test is None or test(type_)


def _same(arguments: tuple[Type, ...]) -> Type:
    return arguments[0]


def _whole(arguments: tuple[Type, ...]) -> Type:
    """FLOOR and CEIL of a DECIMAL have no fraction digits."""
    first = arguments[0]
    return decimal(first.precision, 0) if first.kind is Kind.DECIMAL else first


def _element(arguments: tuple[Type, ...]) -> Type:
    return arguments[0].element or types.NULL


def _entries(arguments: tuple[Type, ...]) -> Type:
    key, value = arguments[0].key or types.NULL, arguments[0].element or types.NULL
    return types.array(types.row(Field("key", key), Field("value", value)))


_STRING, _INT, _BOOLEAN, _DOUBLE, _BIGINT = types.STRING, types.INT, types.BOOLEAN, types.DOUBLE, types.BIGINT

_ANGLES = ("SIN", "COS", "TAN", "COT", "ASIN", "ACOS", "ATAN", "SINH", "COSH", "TANH", "DEGREES", "RADIANS")

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
    "SPLIT_INDEX": Signature("SPLIT_INDEX", "s h i", _STRING),
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
    "TO_DATE": Signature("TO_DATE", "s s?", types.DATE),
    "EXTRACT": Signature("EXTRACT", "e", _BIGINT),
    **{
        unit: Signature("EXTRACT", "e", _BIGINT, (("unit", unit),))
        for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "HOUR", "MINUTE", "SECOND")
    },
    "DAYOFMONTH": Signature("EXTRACT", "e", _BIGINT, (("unit", "DAY"),)),
    "DAYOFWEEK": Signature("EXTRACT", "e", _BIGINT, (("unit", "DOW"),)),
    "DAYOFYEAR": Signature("EXTRACT", "e", _BIGINT, (("unit", "DOY"),)),
    "TIMESTAMPDIFF": Signature("TIMESTAMPDIFF", "t t", _INT),
    "CURRENT_TIMESTAMP": Signature("CURRENT_TIMESTAMP", "", types.TIMESTAMP_LTZ),
    "NOW": Signature("CURRENT_TIMESTAMP", "", types.TIMESTAMP_LTZ),
    "LOCALTIMESTAMP": Signature("LOCALTIMESTAMP", "", types.TIMESTAMP),
    "PROCTIME": Signature("PROCTIME", "", types.TIMESTAMP_LTZ),
    # collections
    "CARDINALITY": Signature("CARDINALITY", "c", _INT),
    "ELEMENT": Signature("ELEMENT", "a", _element),
    # text by place, letter and pattern
    "REPEAT": Signature("REPEAT", "s i", _STRING),
    "REVERSE": Signature("REVERSE", "s", _STRING),
    "OVERLAY": Signature("OVERLAY", "s s i i?", _STRING),
    "TRANSLATE": Signature("TRANSLATE", "s s s", _STRING),
    "TRANSLATE3": Signature("TRANSLATE", "s s s", _STRING),
    "SPLIT": Signature("SPLIT", "s s", types.array(_STRING)),
    "ELT": Signature("ELT", "i s+", _STRING),
    "ASCII": Signature("ASCII", "s", _INT),
    "CHR": Signature("CHR", "i", _STRING),
    "INET_ATON": Signature("INET_ATON", "s", types.BIGINT),
    "INET_NTOA": Signature("INET_NTOA", "i", _STRING),
    "PRINTF": Signature("PRINTF", "s x+", _STRING),
    "REGEXP_EXTRACT_ALL": Signature("REGEXP_EXTRACT_ALL", "s s i?", types.array(_STRING)),
    "REGEXP_COUNT": Signature("REGEXP_COUNT", "s s", _INT),
    "REGEXP_INSTR": Signature("REGEXP_INSTR", "s s", _INT),
    "REGEXP_SUBSTR": Signature("REGEXP_SUBSTR", "s s", _STRING),
    "IS_DECIMAL": Signature("IS_DECIMAL", "s", _BOOLEAN),
    "IS_DIGIT": Signature("IS_DIGIT", "s", _BOOLEAN),
    "IS_ALPHA": Signature("IS_ALPHA", "s", _BOOLEAN),
    # text in other spellings
    "TO_BASE64": Signature("TO_BASE64", "y", _STRING),
    "FROM_BASE64": Signature("FROM_BASE64", "s", _STRING),
    "HEX": Signature("HEX", "h", _STRING),
    "UNHEX": Signature("UNHEX", "s", types.BYTES),
    "BIN": Signature("BIN", "i", _STRING),
    "ENCODE": Signature("ENCODE", "s s", types.BYTES),
    "DECODE": Signature("DECODE", "y s", _STRING),
    "URL_ENCODE": Signature("URL_ENCODE", "s", _STRING),
    "URL_DECODE": Signature("URL_DECODE", "s", _STRING),
    "PARSE_URL": Signature("PARSE_URL", "s s s?", _STRING),
    "STR_TO_MAP": Signature("STR_TO_MAP", "s s? s?", types.mapping(_STRING, _STRING)),
    "SHA1": Signature("SHA1", "s", _STRING),
    "SHA224": Signature("SHA224", "s", _STRING),
    "SHA384": Signature("SHA384", "s", _STRING),
    "SHA512": Signature("SHA512", "s", _STRING),
    "SHA2": Signature("SHA2", "s i", _STRING),
    "HASH_CODE": Signature("HASH_CODE", "w", _INT),
    # JSON text
    "JSON_STRING": Signature("JSON_STRING", "x", _STRING),
    "JSON_QUOTE": Signature("JSON_QUOTE", "s", _STRING),
    "JSON_UNQUOTE": Signature("JSON_UNQUOTE", "s", _STRING),
    # angles
    **{name: Signature(name, "d", _DOUBLE) for name in _ANGLES},
    "ATAN2": Signature("ATAN2", "d d", _DOUBLE),
    # time
    "UNIX_TIMESTAMP": Signature("UNIX_TIMESTAMP", "s? s?", _BIGINT),
    "FROM_UNIXTIME": Signature("FROM_UNIXTIME", "i s?", _STRING),
    "CONVERT_TZ": Signature("CONVERT_TZ", "s s s", _STRING),
    "CURRENT_DATE": Signature("CURRENT_DATE", "", types.DATE),
    "CURRENT_TIME": Signature("CURRENT_TIME", "", types.TIME),
    "LOCALTIME": Signature("CURRENT_TIME", "", types.TIME),
    "CURRENT_ROW_TIMESTAMP": Signature("CURRENT_TIMESTAMP", "", types.TIMESTAMP_LTZ),
    # arrays and maps (those that take an element have rules of their own)
    "ARRAY_DISTINCT": Signature("ARRAY_DISTINCT", "a", _same),
    "ARRAY_REVERSE": Signature("ARRAY_REVERSE", "a", _same),
    "ARRAY_SLICE": Signature("ARRAY_SLICE", "a i i?", _same),
    "ARRAY_SORT": Signature("ARRAY_SORT", "o b? b?", _same),
    "ARRAY_JOIN": Signature("ARRAY_JOIN", "a s s?", _STRING),
    "ARRAY_MAX": Signature("ARRAY_MAX", "o", _element),
    "ARRAY_MIN": Signature("ARRAY_MIN", "o", _element),
    "MAP_KEYS": Signature("MAP_KEYS", "m", lambda given: types.array(given[0].key or types.NULL)),
    "MAP_VALUES": Signature("MAP_VALUES", "m", lambda given: types.array(given[0].element or types.NULL)),
    "MAP_ENTRIES": Signature("MAP_ENTRIES", "m", _entries),
    "MAP_FROM_ARRAYS": Signature(
        "MAP_FROM_ARRAYS",
        "a a",
        lambda given: types.mapping(given[0].element or types.NULL, given[1].element or types.NULL),
    ),
}

# Typed by `collection_rules`.
COLLECTED = (
    "ARRAY_POSITION", "ARRAY_APPEND", "ARRAY_PREPEND", "ARRAY_REMOVE", "ARRAY_UNION", "ARRAY_INTERSECT", "ARRAY_EXCEPT",
    "ARRAY_CONCAT", "MAP_UNION", "JSON_OBJECT", "JSON_ARRAY", "TYPEOF", "PI", "E", "CURRENT_DATABASE", "INSTR",
    "TO_TIMESTAMP_LTZ", "DATE_FORMAT", "LOG",
)  # fmt: skip

# Functions whose types are a rule of their own in `binder`, by SQL name.
SPECIAL = (
    "COALESCE", "IFNULL", "NULLIF", "IF", "GREATEST", "LEAST", "ROUND", "TRUNCATE", "MOD", "TIMESTAMPADD", "JSON_VALUE",
    "JSON_QUERY", "ROW", "ARRAY", "MAP", "ARRAY_CONTAINS", *COLLECTED,
)  # fmt: skip

AGGREGATES = (
    "COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "DECAYED_SUM", "DECAYED_COUNT", "LAST_N",
    "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP", "LISTAGG", "ARRAY_AGG", "COLLECT", "TOP_N_COUNTS",
    "APPROX_COUNT_DISTINCT", "APPROX_QUANTILE", "PERCENTILE",
)  # fmt: skip

# What a `Call` of a plan may be named: the evaluator implements exactly these.
CANONICAL = frozenset(
    {
        *(signature.name for signature in FUNCTIONS.values()),
        *("+ - * / % || = <> < <= > >= AND OR NOT IN LIKE CASE CAST TRY_CAST FIELD ITEM ROW ARRAY MAP".split()),
        *("ONLY REQUIRE COALESCE NULLIF GREATEST LEAST ROUND TRUNCATE TIMESTAMPADD JSON_VALUE ARRAY_CONTAINS".split()),
        *("FLOOR_TIME CEIL_TIME SIMILAR INSTR TO_TIMESTAMP_LTZ TO_INSTANT DATE_FORMAT JSON_OBJECT JSON_ARRAY".split()),
        *("ARRAY_POSITION ARRAY_APPEND ARRAY_PREPEND ARRAY_REMOVE ARRAY_UNION ARRAY_INTERSECT ARRAY_EXCEPT".split()),
        *("PYTHON PREDICT WALL_CLOCK INSTANT ARRAY_CONCAT MAP_UNION JSON_QUERY JSON".split()),
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
    "RANK": "write RANK() OVER (PARTITION BY k ORDER BY x)",
    "DENSE_RANK": "write DENSE_RANK() OVER (PARTITION BY k ORDER BY x)",
    "JSON": "it stands as a value in JSON_OBJECT and JSON_ARRAY",
    "LAG": "write LAG(x) OVER (PARTITION BY k ORDER BY ts)",
    "LEAD": "a stream does not know the next row",
    "GROUP_CONCAT": "use LAST_N(x, n)",
    "JSON_EXTRACT": "use JSON_VALUE(json, '$.path')",
    "GET_JSON_OBJECT": "use JSON_VALUE(json, '$.path')",
    "OCTET_LENGTH": "use CHAR_LENGTH(HEX(text)) / 2",
    "PARSE_JSON": "keep JSON as text: JSON_VALUE(text, '$.path')",
    "TRY_PARSE_JSON": "keep JSON as text: JSON_VALUE(text, '$.path')",
    "OBJECT_OF": "use ROW(x, ..)",
    "OBJECT_UPDATE": "use ROW(x, ..)",
    "BITMAP_BUILD_AGG": "use ARRAY_AGG(DISTINCT x)",
    "BITMAP_BUILD_CARDINALITY_AGG": "use COUNT(DISTINCT x), or APPROX_COUNT_DISTINCT(x)",
    "SINGLE_VALUE": "use MAX(x)",
    "GROUP_ID": "use GROUPING_ID(k, ..)",
    "SOURCE_WATERMARK": "declare WATERMARK FOR ts AS ts - INTERVAL '5' SECOND",
    "UUID": "a result must not depend on chance: MD5 of what identifies the row is a name for it",
    "RAND": "a result must not depend on chance: HASH_CODE of what identifies the row is spread evenly enough",
    "RAND_INTEGER": "a result must not depend on chance: MOD(ABS(HASH_CODE(id)), n)",
    "CURRENT_WATERMARK": "it stands in the SELECT list and WHERE of a continuous query without GROUP BY or OVER",
    "TUMBLE": "use FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), ...)) and GROUP BY window_start, window_end",
    "HOP": "use FROM TABLE(HOP(TABLE t, DESCRIPTOR(ts), ...)) and GROUP BY window_start, window_end",
    "SESSION": "use FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), ...)) and GROUP BY the window and k",
    "TUMBLE_START": "select window_start of FROM TABLE(TUMBLE(...))",
    "TUMBLE_END": "select window_end of FROM TABLE(TUMBLE(...))",
}


def known_names() -> tuple[str, ...]:
    """Every function a query may call."""
    return (*FUNCTIONS, *SPECIAL, *AGGREGATES)
