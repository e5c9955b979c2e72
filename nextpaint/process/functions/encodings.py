"""Bytes and text in other spellings: base64, hexadecimal, URLs, checksums, character sets."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from nextpaint.process.functions.evaluation import Failed, Operand
from nextpaint.process.functions.patterns import java_regex
from nextpaint.process.functions.strings import Builder, plain
from nextpaint.record.types import INTEGERS, Kind
from nextpaint.sql.plan import Call

_WORD = 2**64 - 1


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def _to_base64(value: str | bytes) -> str:
    return base64.b64encode(_bytes(value)).decode()


def _from_base64(text: str | bytes) -> str:
    try:
        return base64.b64decode(_bytes(text), validate=True).decode("utf-8", "replace")
    except binascii.Error:
        raise Failed(f"{text[:40]!r} is not base64") from None


def build_hex(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """HEX: of a number its 64 bits without leading zeros, of text its bytes."""
    if operands[0].type.kind in INTEGERS:
        return plain(lambda value: f"{value & _WORD:X}")(call, operands)
    return plain(lambda value: _bytes(value).hex().upper())(call, operands)


def _unhex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text if len(text) % 2 == 0 else "0" + text) if text.isalnum() or not text else None
    except ValueError:
        return None


def _bin(value: int) -> str:
    return f"{value & _WORD:b}"


_CHARSETS = {
    "US-ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
}


def _charset(name: str) -> str:
    found = _CHARSETS.get(name.upper())
    if found is None:
        raise Failed(f"the character set {name!r} is not known: one of {', '.join(_CHARSETS)}")
    return found


def _encode(text: str, charset: str) -> bytes:
    return text.encode(_charset(charset), "replace")


def _decode(value: bytes, charset: str) -> str:
    return value.decode(_charset(charset), "replace")


# ---------------------------------------------------------------- URLs

_ESCAPES = re.compile(r"%(?![0-9a-fA-F]{2})")
_URL = re.compile(
    r"(?P<protocol>https?|ftp|file|jar|mailto):(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<ref>.*))?\Z",
    re.IGNORECASE | re.DOTALL,
)


def _url_encode(text: str) -> str:
    return quote_plus(text, safe="*", errors="replace").replace("~", "%7E")


def _url_decode(text: str) -> str | None:
    if _ESCAPES.search(text):
        return None
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _parse_url(url: str, part: str, key: str | None = None) -> str | None:
    """A part of a URL by its Java name: HOST PATH QUERY REF PROTOCOL FILE AUTHORITY USERINFO."""
    found = _URL.match(url.strip())
    if found is None or (key is not None and part != "QUERY"):
        return None
    if key is not None:
        for pair in (found["query"] or "").split("&"):
            name, equals, value = pair.partition("=")
            if name == key and equals:
                return value
        return None
    authority = found["authority"] or ""
    user, at, host = authority.rpartition("@")
    match part:
        case "HOST":
            return host.partition(":")[0] if not host.startswith("[") else host.partition("]")[0] + "]"
        case "PATH":
            return found["path"]
        case "FILE":
            return found["path"] + (f"?{found['query']}" if found["query"] is not None else "")
        case "PROTOCOL":
            return found["protocol"].lower()
        case "USERINFO":
            return user if at else None
        case "QUERY" | "REF" | "AUTHORITY":
            return found[part.lower()]
    return None


def _str_to_map(text: str, pairs: str = ",", value: str = "=") -> dict[str, str | None]:
    """`a=1,b=2`; both separators are regular expressions, as in Flink."""
    between, inside = java_regex(pairs), java_regex(value)
    if between is None or inside is None:
        raise Failed("a separator of STR_TO_MAP is not a regular expression")
    made: dict[str, str | None] = {}
    for item in between.split(text) if text else ():
        parts = inside.split(item, maxsplit=1)
        made[parts[0]] = parts[-1] if len(parts) > 1 else None
    return made


# ---------------------------------------------------------------- checksums


def _checksum(name: str) -> Builder:
    return plain(lambda value: hashlib.new(name, _bytes(value), usedforsecurity=False).hexdigest())


def _sha2(value: str | bytes, bits: int) -> str:
    if bits not in (224, 256, 384, 512):
        raise Failed(f"SHA2 has 224, 256, 384 or 512 bits, not {bits}")
    return hashlib.new(f"sha{bits}", _bytes(value)).hexdigest()


def _java_hash(text: str) -> int:
    """The magnitude of Java's String.hashCode: over UTF-16 units, wrapped to 32 bits."""
    units = text.encode("utf-16-be", "surrogatepass")
    held = 0
    for index in range(0, len(units), 2):
        held = (31 * held + (units[index] << 8 | units[index + 1])) & 0xFFFFFFFF
    return min(held, 2**32 - held) if held != 2**31 else -(2**31)


def build_hash_code(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """HASH_CODE: what Java's hashCode of the value is."""
    kind = operands[0].type.kind
    function: Callable[[Any], int] = _java_hash
    if kind is Kind.BOOLEAN:
        function = lambda value: 1231 if value else 1237  # noqa: E731
    elif kind is Kind.BIGINT:
        function = lambda value: _signed((value ^ (value >> 32)) & 0xFFFFFFFF)  # noqa: E731
    elif kind in INTEGERS:
        function = int
    return plain(function)(call, operands)


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


FUNCTIONS: dict[str, Builder] = {
    "TO_BASE64": plain(_to_base64),
    "FROM_BASE64": plain(_from_base64, fallible=True),
    "HEX": build_hex,
    "UNHEX": plain(_unhex),
    "BIN": plain(_bin),
    "ENCODE": plain(_encode, fallible=True),
    "DECODE": plain(_decode, fallible=True),
    "URL_ENCODE": plain(_url_encode),
    "URL_DECODE": plain(_url_decode),
    "PARSE_URL": plain(_parse_url),
    "STR_TO_MAP": plain(_str_to_map, fallible=True),
    "SHA1": _checksum("sha1"),
    "SHA224": _checksum("sha224"),
    "SHA384": _checksum("sha384"),
    "SHA512": _checksum("sha512"),
    "SHA2": plain(_sha2, fallible=True),
    "HASH_CODE": build_hash_code,
}
