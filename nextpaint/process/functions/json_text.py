"""From SQL values to JSON text: JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_QUOTE, JSON_UNQUOTE.

Keys of JSON_OBJECT come out sorted and nothing has white space, as in Flink. The result of JSON_OBJECT or JSON_ARRAY
directly inside another is part of it, not quoted again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from nextpaint.process.functions.evaluation import Evaluation, Held, Operand, cells_of, hold, lift, made
from nextpaint.process.functions.number_text import double_text
from nextpaint.process.functions.strings import Builder, plain
from nextpaint.process.functions.time_text import timestamp_text
from nextpaint.record.types import INTEGERS, Kind, Type
from nextpaint.sql.plan import Call

Write = Callable[[Any], str]
_quoted = msgspec.json.Encoder().encode


def _text(value: str) -> str:
    return _quoted(value.encode("utf-8", "replace").decode()).decode()


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return f'"{double_text(value)}"'
    shown = format(Decimal(repr(value)), "f")
    return shown if "." in shown else shown + ".0"


def _instant(type_: Type) -> Write:
    zone = "Z" if type_.kind is Kind.TIMESTAMP_LTZ else ""

    def write(value: int) -> str:
        shown = timestamp_text(value, 3).replace(" ", "T")
        return f'"{shown.removesuffix(".000")}{zone}"'

    return write


def writer(type_: Type) -> Write:
    """A function from a value that is not NULL to JSON text."""
    match type_.kind:
        case Kind.BOOLEAN:
            return lambda value: "true" if value else "false"
        case kind if kind in INTEGERS:
            return str
        case Kind.FLOAT | Kind.DOUBLE:
            return _number
        case Kind.DECIMAL:
            return lambda value: format(value, "f")
        case Kind.STRING:
            return _text
        case Kind.BYTES:
            return lambda value: f'"{base64.b64encode(value).decode()}"'
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            return _instant(type_)
        case Kind.ARRAY:
            element = _nullable(writer(_of(type_.element)))
            return lambda values: "[" + ",".join([element(each) for each in values]) + "]"
        case Kind.MAP:
            value_of = _nullable(writer(_of(type_.element)))
            return lambda entries: _object([(str(key), value_of(each)) for key, each in entries.items()])
        case Kind.ROW:
            parts = [(field.name, _nullable(writer(field.type))) for field in type_.fields]
            return lambda row: _object([(name, write(cell)) for (name, write), cell in zip(parts, row, strict=True)])
    raise TypeError(f"{type_} has no form in JSON; CAST it AS STRING")


def _of(type_: Type | None) -> Type:
    assert type_ is not None
    return type_


def _nullable(write: Write) -> Write:
    return lambda value: "null" if value is None else write(value)


def _object(pairs: list[tuple[str, str]]) -> str:
    return "{" + ",".join([f"{_text(name)}:{value}" for name, value in pairs]) + "}"


def build_json_string(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """JSON_STRING: one value as JSON; NULL for NULL."""
    return made(call.type, lift(call.type, writer(operands[0].type), operands), operands)


def _writers(call: Call, values: tuple[Operand, ...]) -> list[Write]:
    """Option `raw`: places (comma separated) of values that are JSON text already."""
    raw = {int(each) for each in str(dict(call.options).get("raw", "")).split(",") if each}
    return [_nullable(str if index in raw else writer(each.type)) for index, each in enumerate(values)]


def build_json_object(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """JSON_OBJECT: key, value, key, value, ...; option on_null."""
    absent = dict(call.options).get("on_null") == "ABSENT"
    write = _writers(call, operands[1::2])
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        columns = [cells_of(run(ev)) for run in runs]
        made_texts = []
        for line in zip(*columns, strict=True) if runs else [()] * ev.length:
            pairs = {str(key): (form, cell) for key, cell, form in zip(line[::2], line[1::2], write, strict=True)}
            kept = [(key, form(cell)) for key, (form, cell) in sorted(pairs.items()) if not (absent and cell is None)]
            made_texts.append(_object(kept))
        return hold(call.type, made_texts)

    return made(call.type, kernel, operands)


def build_json_array(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """JSON_ARRAY: values; option on_null."""
    absent = dict(call.options).get("on_null", "ABSENT") == "ABSENT"
    write = _writers(call, operands)
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        columns = [cells_of(run(ev)) for run in runs]
        lines = zip(*columns, strict=True) if runs else [()] * ev.length
        return hold(
            call.type,
            [
                "["
                + ",".join([form(c) for form, c in zip(write, line, strict=True) if not (absent and c is None)])
                + "]"
                for line in lines
            ],
        )

    return made(call.type, kernel, operands)


_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _quote(text: str) -> str:
    """A JSON string of ASCII letters only."""
    parts = []
    for letter in text:
        if letter in _SHORT:
            parts.append(_SHORT[letter])
        elif " " <= letter <= "~":
            parts.append(letter)
        else:
            units = letter.encode("utf-16-be", "surrogatepass").hex()
            parts.extend(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return '"' + "".join(parts) + '"'


def _unquote(text: str) -> str:
    """The text of a JSON string; anything else as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text


FUNCTIONS: dict[str, Builder] = {
    "JSON_OBJECT": build_json_object,
    "JSON_ARRAY": build_json_array,
    "JSON_STRING": build_json_string,
    "JSON_QUOTE": plain(_quote),
    "JSON_UNQUOTE": plain(_unquote),
}
