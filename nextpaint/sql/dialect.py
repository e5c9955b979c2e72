"""Flink's lexical rules as a sqlglot dialect, and the token stream the grammar reads.

sqlglot's tokenizer does the lexing under the rules below (single-quoted strings, backtick identifiers, `--` and
`/* */` comments). Its parser is not used: it accepts the union of thirty dialects and drops what it does not
know, while a statement that Flink refuses must be refused here too. Every word stays a plain word; the grammar decides
what is a keyword where, which is how Flink's non-reserved words work.

A hint (`/*+ ... */`) is one token, since some change what a job remembers; `hint_grammar` reads it.

Does not do: parsing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from sqlglot import tokens as lexer
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token as RawToken
from sqlglot.tokenizer_core import TokenType

from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal

# A text above this length is refused before lexing: the whole application of a shop is a few tens of kilobytes.
TEXT_CHARS_MAX = 1_000_000

_OPERATORS = ("<=", ">=", "<>", "!=", "||", "=>", "::", "->")


class Flink(Dialect):
    """Apache Flink SQL, lexical part. Source: Flink 2.3 documentation, SQL / overview."""

    class Tokenizer(lexer.Tokenizer):
        QUOTES: ClassVar[list[str | tuple[str, str]]] = ["'"]
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--", ("/*", "*/")]
        STRING_ESCAPES: ClassVar[list[str]] = ["'"]
        IDENTIFIER_ESCAPES: ClassVar[list[str]] = ["`"]
        HEX_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("x'", "'"), ("X'", "'")]
        UNICODE_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("u&'", "'"), ("U&'", "'")]
        BIT_STRINGS: ClassVar[list[str | tuple[str, str]]] = []
        NESTED_COMMENTS: ClassVar[bool] = False
        KEYWORDS: ClassVar[dict[str, TokenType]] = {text: lexer.Tokenizer.KEYWORDS[text] for text in _OPERATORS}


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted name"
    STRING = "string"
    NUMBER = "number"
    HEX = "hexadecimal bytes"
    UNICODE = "string with escapes"
    SIGN = "sign"
    HINT = "hint"
    END = "end of text"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the content: unescaped for strings and quoted names. `upper` is for keywords only."""

    kind: Kind
    text: str
    at: At
    start: int = 0
    end: int = 0  # exclusive, offsets into the source text

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind is Kind.WORD else ""

    def __str__(self) -> str:
        if self.kind is Kind.HINT:
            return f"the hint /*+{self.text}*/"
        return "the end of the statement" if self.kind is Kind.END else f"'{self.text}'"


_KINDS = {
    TokenType.IDENTIFIER: Kind.QUOTED,
    TokenType.STRING: Kind.STRING,
    TokenType.NUMBER: Kind.NUMBER,
    TokenType.HEX_STRING: Kind.HEX,
    TokenType.UNICODE_STRING: Kind.UNICODE,
}
_SIGNS = frozenset("( ) [ ] , ; . + - * / % = < > <= >= <> || =>".split())
_PATTERN_SIGNS = frozenset("? ?? { } | ^ $".split())  # of a text with MATCH_RECOGNIZE only
_WORD = re.compile(r"[^\W\d][\w$]*\Z")
_NUMBER = re.compile(r"\d+(\.\d*)?([eE][+-]?\d+)?\Z")
_CURES = {
    '"': "write strings in single quotes and names in backticks",
    "::": "write CAST(x AS type)",
    "!=": "write <>",
    "?": "parameters are not part of a statement; write the value",
}


def tokenize(text: str, file: str = "") -> list[Token]:
    """The tokens of `text`, ended by one END token. Raises Refusal at the first character that is not Flink SQL."""
    place = _Places(text, file)
    if len(text) > TEXT_CHARS_MAX:
        raise Refusal(f"the text has {len(text)} characters, more than {TEXT_CHARS_MAX}", place.at(0), "split it")
    try:
        raw = Flink().tokenize(text)
    except SqlglotError as error:
        start = getattr(error, "start", None)
        offset = next((match.start() for match in _OPENERS.finditer(text) if match.group("open")), start or 0)
        raise Refusal(
            "a string, quoted name or comment is not closed", place.at(offset), "close it with ', ` or */"
        ) from error
    result: list[Token] = []
    signs = _SIGNS | _PATTERN_SIGNS if any(each.text.upper() == "MATCH_RECOGNIZE" for each in raw) else _SIGNS
    for each in raw:
        token = _token(each, text, place, signs)
        joined = _fraction(result, token)
        if joined is not None:
            result[-1] = joined
        else:
            result.append(token)
    hints = [match for match in _OPENERS.finditer(text) if match.group().startswith("/*+")] if "/*+" in text else []
    if hints:
        result += [_hint(match, place) for match in hints]
        result.sort(key=lambda each: each.start)
    result.append(Token(Kind.END, "", place.at(len(text.rstrip())), len(text), len(text)))
    return result


def _hint(match: re.Match[str], place: _Places) -> Token:
    return Token(Kind.HINT, match.group()[3:-2], place.at(match.start()), match.start(), match.end())


def _token(each: RawToken, text: str, place: _Places, signs: frozenset[str]) -> Token:
    at = place.at(each.start)
    kind = _KINDS.get(each.token_type)
    if kind is None:
        kind = Kind.WORD if _WORD.match(each.text) else Kind.SIGN
    refused = kind is Kind.SIGN and each.text not in signs
    refused = refused or (kind is Kind.NUMBER and not _NUMBER.match(each.text))
    if kind is Kind.NUMBER and not refused:
        after = text[each.end + 1 : each.end + 2]
        refused = after.isalpha() or after == "_"
    if refused:
        shown = each.text or text[each.start : each.end + 1]
        raise Refusal(f"'{shown}' is not part of Flink SQL", at, _CURES.get(shown, ""))
    if kind is Kind.QUOTED and not each.text:
        raise Refusal("a quoted name is empty", at)
    return Token(kind, each.text, at, each.start, each.end + 1)


def _fraction(before: list[Token], token: Token) -> Token | None:
    """`.5` arrives as a dot and a number: join them unless the dot belongs to a name."""
    if token.kind is not Kind.NUMBER or not before or before[-1].text != "." or before[-1].kind is not Kind.SIGN:
        return None
    dot = before[-1]
    if dot.end != token.start or "." in token.text:
        return None
    if len(before) > 1 and before[-2].end == dot.start and before[-2].kind in (Kind.WORD, Kind.QUOTED, Kind.NUMBER):
        return None
    return Token(Kind.NUMBER, "." + token.text, dot.at, dot.start, token.end)


_OPENERS = re.compile(r"--[^\n]*|/\*(?:.|\n)*?\*/|'(?:[^']|'')*'|`(?:[^`]|``)*`|(?P<open>'|`|/\*)")


class _Places:
    """Offsets to lines and columns."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._starts = [0, *(match.end() for match in re.finditer(r"\n", text))]

    def at(self, offset: int) -> At:
        line = bisect_right(self._starts, offset)
        return At(self._file, line, offset - self._starts[line - 1] + 1)
