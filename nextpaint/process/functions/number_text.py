"""Numbers and booleans as text, and text as numbers, the way Flink's casts write and read them.

DOUBLE and FLOAT are written as Java does (`1.0`, `1.2E7`), with the shortest digits that read back to the same value.
Readers raise `Failed` on text that is not of the type.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

import numpy as np

from nextpaint.process.functions.evaluation import Failed
from nextpaint.record.types import INTEGER_BITS, Kind, Type

# Wide enough that a product of two DECIMAL(38) is exact before it is rounded to its declared scale.
EXACT = Context(prec=100, rounding=ROUND_HALF_UP, Emin=-9999, Emax=9999)

_QUANTA = [Decimal(1).scaleb(-scale) for scale in range(39)]
_CEILINGS = [Decimal(10) ** digits for digits in range(39)]
_TRUE = frozenset({"t", "true", "y", "yes", "1"})
_FALSE = frozenset({"f", "false", "n", "no", "0"})
_INTEGER = re.compile(r"[ \t\r\n]*([+-]?)(?:([0-9]+)(?:\.[0-9]*)?|\.[0-9]+)[ \t\r\n]*\Z")
_DOUBLE = re.compile(
    r"[\x00-\x20]*([+-]?(?:NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))[fFdD]?[\x00-\x20]*\Z"
)
_DECIMAL = re.compile(r"[ \t\r\n]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?)[ \t\r\n]*\Z")


def double_text(value: float) -> str:
    """Java's Double.toString: plain from 1e-3 to 1e7, else one digit before the point and an exponent."""
    if 1e-3 <= abs(value) < 1e7 or value == 0.0:
        return repr(value)
    return _scientific(repr(value))


def float_text(value: float) -> str:
    """Java's Float.toString: the digits that tell this value from its neighbours of 32 bits."""
    single = np.float32(value)
    if 1e-3 <= abs(value) < 1e7 or value == 0.0:
        return np.format_float_positional(single, unique=True, trim="0")
    return _scientific(np.format_float_scientific(single, unique=True, trim="0"))


def _scientific(text: str) -> str:
    if text in ("nan", "inf", "-inf"):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[text]
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    power = exponent + len(digits) - 1
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' if sign else ''}{shown[0]}.{shown[1:] or '0'}E{power}"


def decimal_text(value: Decimal) -> str:
    """All digits of the scale, never an exponent."""
    return f"{value:f}"


def boolean_text(value: bool) -> str:
    """TRUE or FALSE."""
    return "TRUE" if value else "FALSE"


def read_boolean(text: str) -> bool:
    """t, true, y, yes, 1 and their opposites, in any case."""
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise Failed(f"cannot read {shown(text)} as BOOLEAN")


def read_integer(text: str, kind: Kind) -> int:
    """An integer of `kind`; digits after a point are cut off, an exponent is not accepted."""
    match = _INTEGER.match(text)
    if match is None or len(text) > 400:
        raise Failed(f"cannot read {shown(text)} as {kind}")
    value = int(match[2] or "0")
    if match[1] == "-":
        value = -value
    limit = 1 << (INTEGER_BITS[kind] - 1)
    if not -limit <= value < limit:
        raise Failed(f"{shown(text)} is outside {kind}")
    return value


def read_double(text: str) -> float:
    """As Java's Double.parseDouble, without hexadecimal forms."""
    match = _DOUBLE.match(text)
    if match is None:
        raise Failed(f"cannot read {shown(text)} as DOUBLE")
    return float(match[1])


def read_decimal(text: str, type_: Type) -> Decimal:
    """Rounded half up to the type's scale."""
    match = _DECIMAL.match(text)
    if match is None or len(text) > 400:
        raise Failed(f"cannot read {shown(text)} as {type_}")
    return fit(Decimal(match[1]), type_)


def fit(value: Decimal, type_: Type) -> Decimal:
    """`value` rounded half up to the scale of DECIMAL(p, s); fails if it then has more than p digits."""
    try:
        rounded = value.quantize(_QUANTA[type_.scale], context=EXACT)
    except InvalidOperation:
        raise Failed(f"{value} is outside {type_}") from None
    if abs(rounded) >= _CEILINGS[type_.precision] * _QUANTA[type_.scale]:
        raise Failed(f"{value} is outside {type_}")
    return rounded if rounded else rounded.copy_abs()  # a DECIMAL has no negative zero


def decimal_of_double(value: float, type_: Type) -> Decimal:
    """The DECIMAL of the shortest digits of a DOUBLE, as Java's BigDecimal.valueOf."""
    if value != value or value in (float("inf"), float("-inf")):
        raise Failed(f"{double_text(value)} is outside {type_}")
    return fit(Decimal(repr(value)), type_)


def shown(text: str) -> str:
    """A text for an error message: quoted, cut at 40 characters."""
    return repr(text if len(text) <= 40 else text[:40] + "…")
