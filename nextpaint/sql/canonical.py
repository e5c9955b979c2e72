"""Canonical text: equal for statements that differ in white space, comments and the case of keywords only.

Made from tokens, so nothing that was written can get lost: any edit of a name, a literal or a clause shows. Reserved
words and function names are upper case (Flink reads them in any case); names stay as they are (case matters).
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.sql.dialect import Kind, Token
from nextpaint.sql.reserved import RESERVED

_NO_SPACE_BEFORE = frozenset(") ] , . (".split())
_NO_SPACE_AFTER = frozenset("( [ .".split())


def canonical_text(tokens: Sequence[Token]) -> str:
    """One line of SQL for the tokens, without END."""
    words: list[str] = []
    glue = True
    previous: Token | None = None
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        text = _text(token, following, previous)
        sign = token.kind is Kind.SIGN
        tight = sign and text in _NO_SPACE_BEFORE and not (text == "(" and not _is_call(previous))
        if not glue and not tight:
            words.append(" ")
        words.append(text)
        glue = sign and text in _NO_SPACE_AFTER
        previous = token
    return "".join(words)


def _text(token: Token, following: Token | None, previous: Token | None) -> str:
    match token.kind:
        case Kind.STRING:
            return "'" + token.text.replace("'", "''") + "'"
        case Kind.HINT:
            return f"/*+{' '.join(token.text.split())}*/"
        case Kind.UNICODE:
            return "U&'" + token.text.replace("'", "''") + "'"
        case Kind.HEX:
            return f"x'{token.text}'"
        case Kind.QUOTED:
            return quoted(token.text)
        case Kind.WORD if token.upper in RESERVED:
            return token.upper
        case Kind.WORD if following is not None and following.text == "(" and not _is_name_place(previous):
            return token.upper
        case Kind.NUMBER:
            return token.text.upper()
    return token.text


def _is_name_place(previous: Token | None) -> bool:
    """After INTO or AS, or right after another word, a word before `(` is a name with its column list."""
    if previous is None:
        return False
    if previous.kind is Kind.WORD:
        return previous.upper in ("INTO", "AS", "WITH") or previous.upper not in RESERVED
    return previous.kind is Kind.QUOTED


def _is_call(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.WORD and token.upper not in _SPACED


_SPACED = frozenset(
    "AS IN ON AND OR NOT FROM WHERE SELECT BY OVER FILTER JOIN WHEN THEN ELSE CASE BETWEEN LIKE HAVING WITH".split()
)


def quoted(name: str) -> str:
    """A name as it must be written: in backticks when it is reserved or not a plain word."""
    if name.upper() in RESERVED or not name.replace("$", "_").isidentifier():
        return "`" + name.replace("`", "``") + "`"
    return name
