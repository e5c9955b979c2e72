"""SQL types as Flink names them, and how a value of each is held in a column.

| type                                   | held as                                   |
|----------------------------------------|-------------------------------------------|
| BOOLEAN                                | bool                                      |
| TINYINT SMALLINT INT BIGINT            | int64, wrapped to the declared width       |
| FLOAT DOUBLE                           | float64 (FLOAT rounded to float32)         |
| TIMESTAMP(p) TIMESTAMP_LTZ(p) DATE TIME| int64: epoch ms, epoch ms, epoch days, ms of day |
| INTERVAL DAY TO SECOND / YEAR TO MONTH | int64: ms / months                         |
| DECIMAL(p,s)                           | object: decimal.Decimal with s digits       |
| STRING VARCHAR CHAR BYTES              | object: str / bytes                        |
| ARRAY ROW MAP                          | object: list / tuple (field order) / dict   |

Types are values: equal types compare equal. Nullability belongs to a field, not to a type.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Kind(StrEnum):
    """The root of a type; `Type` adds precision, scale, element and fields."""

    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INT = "INT"
    BIGINT = "BIGINT"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    DECIMAL = "DECIMAL"
    STRING = "STRING"
    BYTES = "BYTES"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMP_LTZ = "TIMESTAMP_LTZ"
    INTERVAL_DAY = "INTERVAL DAY TO SECOND"
    INTERVAL_YEAR = "INTERVAL YEAR TO MONTH"
    ARRAY = "ARRAY"
    MAP = "MAP"
    ROW = "ROW"
    NULL = "NULL"


INTEGERS = (Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT)
_INT64 = {
    *INTEGERS,
    Kind.DATE,
    Kind.TIME,
    Kind.TIMESTAMP,
    Kind.TIMESTAMP_LTZ,
    Kind.INTERVAL_DAY,
    Kind.INTERVAL_YEAR,
}
_FLOAT64 = {Kind.FLOAT, Kind.DOUBLE}
_NESTED = {Kind.ARRAY, Kind.MAP, Kind.ROW}
_DTYPES = {
    kind: np.dtype(np.int64 if kind in _INT64 else np.float64 if kind in _FLOAT64 else object) for kind in Kind
} | {Kind.BOOLEAN: np.dtype(np.bool_)}
INTEGER_BITS = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32, Kind.BIGINT: 64}


@dataclass(frozen=True, slots=True)
class Field:
    """A named, typed column or ROW field."""

    name: str
    type: Type
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Type:
    """One SQL type. `precision`: digits of DECIMAL, fraction digits of times, 1 for CHAR(n) and BINARY(n) (filled up
    to their length) and for a MULTISET, which is a MAP of values to how often they are in it. `length`: of CHAR(n),
    VARCHAR(n), BINARY(n), 0 = no limit."""

    kind: Kind
    precision: int = 0
    scale: int = 0
    length: int = 0
    element: Type | None = None  # ARRAY element, MAP value
    key: Type | None = None  # MAP key
    fields: tuple[Field, ...] = ()  # ROW

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The NumPy dtype of a column of this type (see the table above)."""
        return _DTYPES[self.kind]

    @property
    def is_nested(self) -> bool:
        """Values are lists, tuples or dicts."""
        return self.kind in _NESTED

    @property
    def is_multiset(self) -> bool:
        return self.kind is Kind.MAP and bool(self.precision)

    @property
    def is_fixed(self) -> bool:
        """CHAR(n) or BINARY(n)."""
        return bool(self.length and self.precision)

    @property
    def has_decimals(self) -> bool:
        """A DECIMAL, or a nested type that holds one."""
        inner = [self.element, self.key, *(field.type for field in self.fields)]
        return self.kind is Kind.DECIMAL or any(each is not None and each.has_decimals for each in inner)

    @property
    def is_numeric(self) -> bool:
        return self.kind in INTEGERS or self.kind in _FLOAT64 or self.kind is Kind.DECIMAL

    @property
    def is_time(self) -> bool:
        return self.kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ)

    def __str__(self) -> str:
        match self.kind:
            case Kind.DECIMAL:
                return f"DECIMAL({self.precision}, {self.scale})"
            case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ | Kind.TIME:
                return f"{self.kind.value}({self.precision})"
            case Kind.STRING if self.length:
                return f"{'CHAR' if self.is_fixed else 'VARCHAR'}({self.length})"
            case Kind.BYTES if self.length:
                return f"{'BINARY' if self.is_fixed else 'VARBINARY'}({self.length})"
            case Kind.ARRAY:
                return f"ARRAY<{self.element}>"
            case Kind.MAP if self.is_multiset:
                return f"MULTISET<{self.key}>"
            case Kind.MAP:
                return f"MAP<{self.key}, {self.element}>"
            case Kind.ROW:
                return "ROW<" + ", ".join(f"{field.name} {field.type}" for field in self.fields) + ">"
        return self.kind.value


BOOLEAN = Type(Kind.BOOLEAN)
TINYINT = Type(Kind.TINYINT)
SMALLINT = Type(Kind.SMALLINT)
INT = Type(Kind.INT)
BIGINT = Type(Kind.BIGINT)
FLOAT = Type(Kind.FLOAT)
DOUBLE = Type(Kind.DOUBLE)
STRING = Type(Kind.STRING)
BYTES = Type(Kind.BYTES)
DATE = Type(Kind.DATE)
TIME = Type(Kind.TIME)
TIMESTAMP = Type(Kind.TIMESTAMP, precision=3)
TIMESTAMP_LTZ = Type(Kind.TIMESTAMP_LTZ, precision=3)
INTERVAL_DAY = Type(Kind.INTERVAL_DAY)
INTERVAL_YEAR = Type(Kind.INTERVAL_YEAR)
NULL = Type(Kind.NULL)


def decimal(precision: int, scale: int) -> Type:
    return Type(Kind.DECIMAL, precision=precision, scale=scale)


def array(element: Type) -> Type:
    return Type(Kind.ARRAY, element=element)


def mapping(key: Type, value: Type) -> Type:
    return Type(Kind.MAP, key=key, element=value)


def multiset(value: Type) -> Type:
    return Type(Kind.MAP, precision=1, key=value, element=INT)


def row(*fields: Field) -> Type:
    return Type(Kind.ROW, fields=fields)
