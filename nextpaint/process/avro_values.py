"""Avro bytes to values, one at a time: the reference of the columnar decoder, which falls back to it.

Every way in which bytes may not follow their schema is a ValueError with words.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nextpaint.record.avro import Avro
from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGER_BITS, Kind, Type

_MICROS = ("timestamp-micros", "local-timestamp-micros", "time-micros")


def divisor(schema: Avro) -> int:
    """What makes milliseconds of an integer with the schema's logical type."""
    return 1000 if schema.logical in _MICROS else 1


class Bytes:
    """What is left of one value's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._at:
            raise ValueError(f"the Avro bytes end where {size} more are needed" if size >= 0 else "a negative length")
        self._at += size
        return self._data[self._at - size : self._at]

    def whole(self) -> int:
        """A zigzag varint of at most 64 bits."""
        found = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            found |= (byte & 127) << shift
            if byte < 128:
                if found >= 1 << 64:
                    break
                return (found >> 1) ^ -(found & 1)
        raise ValueError("an Avro integer of more than 64 bits")

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def record(data: bytes, schema: Avro, fields: dict[str, Type]) -> dict[str, Value]:
    """The columns that a record's bytes give; those that the schema lacks are absent."""
    source = Bytes(data)
    found: dict[str, Value] = {}
    for name, inner in schema.fields:
        value = read(source, inner, fields.get(name))
        if name in fields:
            found[name] = value
    if source.left:
        raise ValueError(f"{source.left} bytes are left behind the Avro record")
    return found


def value_of(data: bytes, schema: Avro, type_: Type) -> Value:
    """All of some bytes as one value."""
    return read(Bytes(data), schema, type_)


def read(source: Bytes, schema: Avro, type_: Type | None) -> Value:
    """The next value; `type_` None: nobody wants it, but its bytes are passed."""
    if schema.kind == "union":
        branch = source.whole()
        if not 0 <= branch < len(schema.branches):
            raise ValueError(f"there is no branch {branch} in {schema}")
        return read(source, schema.branches[branch], type_)
    if schema.kind == "record":
        return _row(source, schema, type_)
    if schema.kind == "array":
        element = type_.element if type_ is not None else None
        return tuple(read(source, _inner(schema), element) for _ in _items(source))
    if schema.kind == "map":
        element = type_.element if type_ is not None else None
        return {_text(source): read(source, _inner(schema), element) for _ in _items(source)}
    return _scalar(source, schema, type_)


def _inner(schema: Avro) -> Avro:
    assert schema.inner is not None, "arrays and maps have one"
    return schema.inner


def _row(source: Bytes, schema: Avro, type_: Type | None) -> Value:
    wanted = {each.name: each.type for each in type_.fields} if type_ is not None else {}
    found = {name: read(source, inner, wanted.get(name)) for name, inner in schema.fields}
    return tuple(found.get(name) for name in wanted)


def _items(source: Bytes) -> Iterator[None]:
    while count := source.whole():
        if count < 0:
            if not 0 <= source.whole() <= source.left:
                raise ValueError("an Avro block is longer than its bytes")
            count = -count
        if count > source.left:
            raise ValueError(f"{count} items in {source.left} bytes")
        for _ in range(count):
            yield


def _text(source: Bytes) -> str:
    return source.take(source.whole()).decode()


def _scalar(source: Bytes, schema: Avro, type_: Type | None) -> Value:
    match schema.kind:
        case "null":
            return None
        case "boolean":
            byte = source.take(1)[0]
            if byte > 1:
                raise ValueError(f"{byte} is no Avro boolean")
            return byte == 1
        case "int" | "long":
            return _integer(source.whole(), schema, type_)
        case "float" | "double":
            single = schema.kind == "float"
            real: float = struct.unpack("<f" if single else "<d", source.take(4 if single else 8))[0]
            return real
        case "enum":
            place = source.whole()
            if not 0 <= place < len(schema.symbols):
                raise ValueError(f"{schema} has no symbol {place}")
            return schema.symbols[place]
        case _:
            return _bytes(source.take(schema.size if schema.kind == "fixed" else source.whole()), schema, type_)


def _integer(value: int, schema: Avro, type_: Type | None) -> Value:
    if schema.kind == "int" and not -(2**31) <= value < 2**31:
        raise ValueError(f"{value} is no Avro int")
    if type_ is None:
        return value
    if type_.kind in (Kind.FLOAT, Kind.DOUBLE):
        real = float(value)
        return struct.unpack("<f", struct.pack("<f", real))[0] if type_.kind is Kind.FLOAT else real
    bits = INTEGER_BITS.get(type_.kind, 64)
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"{value} does not fit {type_}")
    return value // divisor(schema)


def _bytes(data: bytes, schema: Avro, type_: Type | None) -> Value:
    if type_ is None or type_.kind is Kind.BYTES:
        return data
    if type_.kind is Kind.STRING:
        return data.decode()
    made = Decimal(int.from_bytes(data, "big", signed=True)).scaleb(-schema.scale)
    if len(made.as_tuple().digits) > type_.precision:
        raise ValueError(f"{made} does not fit {type_}")
    return made


def encoded(value: Any, schema: Avro) -> bytes:
    """A value as the schema writes it: unions take null or their other branch. For tests and tools."""
    if schema.kind == "union":
        index = next(i for i, each in enumerate(schema.branches) if (each.kind == "null") == (value is None))
        return _zigzag(index) + encoded(value, schema.branches[index])
    if schema.kind == "record":
        if isinstance(value, dict):
            value = [value.get(name) for name, _ in schema.fields]
        return b"".join(encoded(each, inner) for each, (_, inner) in zip(value, schema.fields, strict=True))
    if schema.inner is not None:
        pairs = value.items() if isinstance(value, dict) else [(None, each) for each in value]
        parts = [
            (_sized(key.encode()) if key is not None else b"") + encoded(each, schema.inner) for key, each in pairs
        ]
        return (_zigzag(len(parts)) + b"".join(parts) if parts else b"") + b"\0"
    match schema.kind:
        case "null":
            return b""
        case "boolean":
            return bytes([value])
        case "int" | "long":
            return _zigzag(value * divisor(schema))
        case "float" | "double":
            return struct.pack("<f" if schema.kind == "float" else "<d", value)
        case "enum":
            return _zigzag(schema.symbols.index(value))
    if isinstance(value, Decimal):
        number = int(value.scaleb(schema.scale))
        size = schema.size if schema.kind == "fixed" else max(1, math.ceil((number.bit_length() + 1) / 8))
        value = number.to_bytes(size, "big", signed=True)
    data = value.encode() if isinstance(value, str) else value
    return data if schema.kind == "fixed" else _sized(data)


def _zigzag(value: int) -> bytes:
    left = (value << 1) ^ (value >> 63)
    out = bytearray()
    while left >= 128:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])


def _sized(data: bytes) -> bytes:
    return _zigzag(len(data)) + data
