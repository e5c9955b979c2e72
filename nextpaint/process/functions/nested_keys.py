"""PACK and UNPACK: nested values as BYTES that are equal where the values are, and back.

The bytes are MessagePack: a ROW and an ARRAY are lists, a MAP is a list of pairs in the order of their packed keys, a
DECIMAL is text. Texts stand in them as they are, so what erases a person finds them there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from nextpaint.process.functions.evaluation import Failed, Operand, lift, made
from nextpaint.process.functions.strings import Builder
from nextpaint.record.types import Kind, Type
from nextpaint.sql.plan import Call

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()

_Turn = Callable[[Any], Any]


def build_pack(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """PACK(nested value)."""
    plain = _plain(operands[0].type)

    def pack(value: Any) -> bytes:
        try:
            return _encoder.encode(plain(value))
        except UnicodeEncodeError as error:
            raise Failed("half a pair of UTF-16 in a key") from error

    return made(call.type, lift(call.type, pack, operands), operands, fallible=True)


def build_unpack(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """UNPACK(packed) as a value of the call's type."""
    nested = _nested(call.type)
    return made(call.type, lift(call.type, lambda data: nested(_decoder.decode(data)), operands), operands)


def _plain(type_: Type) -> _Turn:
    """From a value of a type to what is packed."""
    if type_.kind is Kind.ROW:
        turns = [_plain(each.type) for each in type_.fields]
        return _or_null(lambda row: [turn(cell) for turn, cell in zip(turns, row, strict=True)])
    if type_.kind is Kind.ARRAY and type_.element is not None:
        element = _plain(type_.element)
        return _or_null(lambda cells: [element(cell) for cell in cells])
    if type_.kind is Kind.MAP and type_.key is not None and type_.element is not None:
        key, value = _plain(type_.key), _plain(type_.element)

        def entries(found: dict[Any, Any]) -> list[Any]:
            pairs = [(key(each), value(cell)) for each, cell in found.items()]
            return sorted(pairs, key=lambda pair: _encoder.encode(pair[0]))

        return _or_null(entries)
    if type_.kind in (Kind.FLOAT, Kind.DOUBLE):
        return lambda cell: math.nan if cell != cell else cell  # one NaN of the many there are
    return _same


def _nested(type_: Type) -> _Turn:
    """From what was packed to a value of a type."""
    if type_.kind is Kind.ROW:
        turns = [_nested(each.type) for each in type_.fields]
        return _or_null(lambda row: tuple([turn(cell) for turn, cell in zip(turns, row, strict=True)]))
    if type_.kind is Kind.ARRAY and type_.element is not None:
        element = _nested(type_.element)
        return _or_null(lambda cells: [element(cell) for cell in cells])
    if type_.kind is Kind.MAP and type_.key is not None and type_.element is not None:
        key, value = _nested(type_.key), _nested(type_.element)
        return _or_null(lambda pairs: {key(each): value(cell) for each, cell in pairs})
    return _or_null(Decimal) if type_.kind is Kind.DECIMAL else _same


def _or_null(turn: _Turn) -> _Turn:
    return lambda cell: None if cell is None else turn(cell)


def _same(cell: Any) -> Any:
    return cell


FUNCTIONS: dict[str, Builder] = {"PACK": build_pack, "UNPACK": build_unpack}
