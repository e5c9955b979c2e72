r"""The grammar of texts with escapes: `U&'caf\00e9'`, `U&'caf!00e9' UESCAPE '!'`."""

from __future__ import annotations

import string

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind, Token
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import String

_ESCAPE = "\\"


def parse_unicode(cursor: Cursor) -> String:
    """`U&'..' [UESCAPE 'c']`: characters by their number in hexadecimal, four digits after the escape character."""
    token = cursor.advance()
    escape = _ESCAPE
    if cursor.take("UESCAPE"):
        at = cursor.at
        written = cursor.advance()
        escape = written.text
        if written.kind is not Kind.STRING or len(escape) != 1 or escape in "+'\" \t\n" or escape in string.hexdigits:
            raise Refusal("UESCAPE takes one character that is no hexadecimal digit", at, "UESCAPE '!'")
    return String(_unescaped(token, escape), token.at)


def _unescaped(token: Token, escape: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(token.text):
        if token.text[at] != escape:
            parts.append(token.text[at])
            at += 1
        elif token.text[at + 1 : at + 2] == escape:
            parts.append(escape)
            at += 2
        else:
            digits = token.text[at + 1 : at + 5]
            if len(digits) < 4 or not set(digits) <= set(string.hexdigits):
                raise Refusal(
                    f"{escape} is followed by four hexadecimal digits", token.at, f"{escape}00e9, or {escape * 2}"
                )
            parts.append(chr(int(digits, 16)))
            at += 5
    # Two halves of a pair are one character.
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
