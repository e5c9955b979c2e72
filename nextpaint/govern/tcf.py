"""Consent strings of IAB Europe's Transparency and Consent Framework, version 2: what a person agreed to.

Only the core segment is read, and of it the consents to purposes and vendors. Source of the layout: IAB Tech Lab,
"Consent string and vendor list formats v2". What cannot be read is no consent. Legitimate interest is no consent here:
a profile needs the person's yes.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

TEXT_CHARACTERS_MAX = 8_192  # a string with every vendor as a bit is about 300 characters
VERSION = 2
_VERSION_AT, _PURPOSES_AT, _MAX_VENDOR_AT, _RANGE_AT, _VENDORS_AT = 0, 152, 213, 229, 230
PURPOSES = 24


@dataclass(frozen=True, slots=True)
class Agreed:
    """Purposes (1 to 24) and vendors that were agreed to."""

    purposes: frozenset[int]
    vendors: frozenset[int]


class _Bits:
    """Unsigned numbers of a string of bits, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self.length = len(data) * 8

    def number(self, at: int, width: int) -> int:
        """Raises ValueError beyond the end."""
        if at + width > self.length:
            raise ValueError("the consent string is cut short")
        return self._value >> (self.length - at - width) & ((1 << width) - 1)


def agreed(text: str) -> Agreed | None:
    """What a consent string says; None when it cannot be read as one of version 2."""
    if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not text.isascii():
        return None
    core = text.partition(".")[0]
    try:
        bits = _Bits(base64.b64decode(core + "=" * (-len(core) % 4), altchars=b"-_", validate=True))
        if bits.number(_VERSION_AT, 6) != VERSION:
            return None
        purposes = {number for number in range(1, PURPOSES + 1) if bits.number(_PURPOSES_AT + number - 1, 1)}
        return Agreed(frozenset(purposes), frozenset(_vendors(bits)))
    except (binascii.Error, ValueError):
        return None


def _vendors(bits: _Bits) -> set[int]:
    most = bits.number(_MAX_VENDOR_AT, 16)
    if not bits.number(_RANGE_AT, 1):
        return {vendor for vendor in range(1, most + 1) if bits.number(_VENDORS_AT + vendor - 1, 1)}
    found: set[int] = set()
    at = _VENDORS_AT + 12
    for _ in range(bits.number(_VENDORS_AT, 12)):
        first = last = bits.number(at + 1, 16)
        if bits.number(at, 1):
            last = bits.number(at + 17, 16)
        at += 33 if bits.number(at, 1) else 17
        if last < first or last > most:
            raise ValueError("a range of vendors is not one")
        found.update(range(first, last + 1))
    return found
