"""Avro schemas as columns meet them: parsed from JSON, or made from declared columns as Flink makes them.

A schema is a tree of `Avro` nodes; what a writer's schema may fill is decided by `fits`, by Avro's rules for reading
with another schema (specification 1.11, "Schema Resolution"): fields by name, fields that nobody reads skipped, missing
ones absent, int read as long, float or double, text as bytes and back.

Not here: bytes. Recursive schemas and values without bytes in arrays are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nextpaint.record.types import INTEGERS, Field, Kind, Type

_PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_NAMED = ("record", "enum", "fixed")
NESTING_MAX = 16

_WHOLE: dict[str, tuple[Kind, ...]] = {
    "boolean": (Kind.BOOLEAN,),
    "int": (*INTEGERS, Kind.FLOAT, Kind.DOUBLE, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ),
    "long": (Kind.BIGINT, Kind.FLOAT, Kind.DOUBLE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ),
    "float": (Kind.FLOAT, Kind.DOUBLE),
    "double": (Kind.DOUBLE,),
    "string": (Kind.STRING, Kind.BYTES),
    "bytes": (Kind.BYTES, Kind.STRING, Kind.DECIMAL),
    "fixed": (Kind.BYTES, Kind.DECIMAL),
    "enum": (Kind.STRING,),
}


@dataclass(frozen=True, slots=True)
class Avro:
    """One node. `fields`: of a record; `branches`: of a union; `inner`: of an array's items or a map's values;
    `symbols`: of an enum; `size`: of a fixed; `scale`: of a decimal; `logical`: the logical type, or empty."""

    kind: str
    name: str = ""
    fields: tuple[tuple[str, Avro], ...] = ()
    branches: tuple[Avro, ...] = ()
    inner: Avro | None = None
    symbols: tuple[str, ...] = ()
    size: int = 0
    logical: str = ""
    scale: int = 0

    @property
    def value(self) -> Avro:
        """The one branch of a union beside null; of anything else itself."""
        others = [each for each in self.branches if each.kind != "null"]
        return others[0] if len(others) == 1 else self

    def __str__(self) -> str:
        if self.kind == "union":
            return " or ".join(map(str, self.branches))
        return f"{self.kind} {self.name}" if self.name else f"{self.kind}{f' ({self.logical})' if self.logical else ''}"


def parsed(text: str) -> Avro:
    """A schema from its JSON. Raises ValueError."""
    try:
        return _parsed(msgspec.json.decode(text), {}, "", 0)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the schema is not JSON: {error}") from error


def _parsed(node: Any, known: dict[str, Avro | None], space: str, depth: int) -> Avro:
    if depth > NESTING_MAX:
        raise ValueError(f"the schema is nested deeper than {NESTING_MAX} levels")
    if isinstance(node, list):
        branches = tuple(_parsed(each, known, space, depth + 1) for each in node)
        if not branches or any(each.kind == "union" for each in branches):
            raise ValueError("a union has branches, and none of them is a union")
        return Avro("union", branches=branches)
    if isinstance(node, str):
        return Avro(node) if node in _PRIMITIVES else _named(node, known, space)
    if not isinstance(node, dict) or "type" not in node:
        raise ValueError(f"{str(node)[:60]} is not a schema")
    kind = node["type"]
    if isinstance(kind, dict | list):
        return _parsed(kind, known, space, depth)
    if kind in ("array", "map"):
        inner = _parsed(node.get("items" if kind == "array" else "values"), known, space, depth + 1)
        if not least_bytes(inner):
            raise ValueError(f"an {kind} of {inner}, which takes no bytes, is not supported")
        return Avro(kind, inner=inner)
    if kind in _NAMED:
        return _declared(node, known, space, depth)
    if kind not in _PRIMITIVES:
        return _named(str(kind), known, space)
    return Avro(kind, logical=str(node.get("logicalType", "")), scale=_number(node.get("scale", 0)))


def _number(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 2**31:
        raise ValueError(f"{str(given)[:40]} is not a size or scale")
    return given


def _named(name: str, known: dict[str, Avro | None], space: str) -> Avro:
    for full in (name, f"{space}.{name}"):
        if full in known:
            found = known[full]
            if found is None:
                raise ValueError(f"the schema {name} is inside itself, which is not supported")
            return found
    raise ValueError(f"the schema names {name[:60]}, which it does not declare")


def _declared(node: dict[str, Any], known: dict[str, Avro | None], space: str, depth: int) -> Avro:
    name, kind = node.get("name"), node["type"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"a {kind} without a name")
    space = str(node.get("namespace", name.rpartition(".")[0] or space))
    full = name if "." in name or not space else f"{space}.{name}"
    known[full] = None
    if kind == "record":
        fields = node.get("fields")
        if not isinstance(fields, list) or not all(isinstance(each, dict) and "type" in each for each in fields):
            raise ValueError(f"the record {name} has no fields")
        inner = tuple((str(each.get("name")), _parsed(each["type"], known, space, depth + 1)) for each in fields)
        made = Avro("record", name, inner)
    elif kind == "enum":
        symbols = node.get("symbols")
        if not isinstance(symbols, list) or not symbols or not all(isinstance(each, str) for each in symbols):
            raise ValueError(f"the enum {name} has no symbols")
        made = Avro("enum", name, symbols=tuple(symbols))
    else:
        size = _number(node.get("size", -1))
        made = Avro("fixed", name, size=size, logical=str(node.get("logicalType", "")), scale=_number(node.get("scale", 0)))  # fmt: skip  # noqa: E501
    known[full] = made
    return made


def least_bytes(schema: Avro) -> int:
    """The fewest bytes a value takes."""
    match schema.kind:
        case "null":
            return 0
        case "record":
            return sum(least_bytes(each) for _, each in schema.fields)
        case "fixed":
            return schema.size
        case "float":
            return 4
        case "double":
            return 8
        case _:
            return 1


def declared(fields: Sequence[Field]) -> Avro:
    """The schema of declared columns, in their order, as Flink's format `avro` makes it: a nullable column is a union
    of null and its type. Raises ValueError for a type that Avro has no place for."""
    return Avro("record", "record", tuple((each.name, _of(each.type, each.nullable)) for each in fields))


def _of(type_: Type, nullable: bool) -> Avro:
    match type_.kind:
        case Kind.BOOLEAN:
            made = Avro("boolean")
        case Kind.TINYINT | Kind.SMALLINT | Kind.INT:
            made = Avro("int")
        case Kind.BIGINT:
            made = Avro("long")
        case Kind.FLOAT | Kind.DOUBLE:
            made = Avro(type_.kind.value.lower())
        case Kind.STRING | Kind.BYTES:
            made = Avro(type_.kind.value.lower())
        case Kind.DECIMAL:
            made = Avro("bytes", logical="decimal", scale=type_.scale)
        case Kind.DATE | Kind.TIME:
            made = Avro("int", logical="date" if type_.kind is Kind.DATE else "time-millis")
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            made = Avro("long", logical="timestamp-millis")
        case Kind.ARRAY if type_.element is not None:
            made = Avro("array", inner=_of(type_.element, True))
        case Kind.MAP if type_.element is not None and type_.key is not None and type_.key.kind is Kind.STRING:
            made = Avro("map", inner=_of(type_.element, True))
        case Kind.ROW:
            made = Avro("record", "row", tuple((each.name, _of(each.type, each.nullable)) for each in type_.fields))
        case _:
            raise ValueError(f"Avro has no type for {type_}")
    return Avro("union", branches=(Avro("null"), made)) if nullable else made


def misfit(schema: Avro, type_: Type, place: str = "") -> str:
    """What keeps values of a schema from being read as a type; empty: nothing. `place`: the column's name."""
    value = schema.value
    if value.kind == "record" and type_.kind is Kind.ROW:
        own = dict(value.fields)
        inner = (misfit(own[each.name], each.type, f"{place}.{each.name}") for each in type_.fields if each.name in own)
        return next(filter(None, inner), "")
    if value.inner is not None:
        wanted = Kind.ARRAY if value.kind == "array" else Kind.MAP
        if type_.kind is wanted and type_.element is not None and (wanted is Kind.ARRAY or _text_keys(type_)):
            return misfit(value.inner, type_.element, f"{place}[]")
    good = type_.kind in _WHOLE.get(value.kind, ()) and value.kind != "union"
    if good and type_.kind is Kind.DECIMAL and (value.logical != "decimal" or value.scale != type_.scale):
        good = False
    return "" if good else f"{place} is {type_}, and the schema has {schema} there"


def _text_keys(type_: Type) -> bool:
    return type_.key is not None and type_.key.kind is Kind.STRING
