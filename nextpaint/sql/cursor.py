"""A cursor over tokens: what every grammar rule needs to look ahead, to demand and to refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from nextpaint.sql.dialect import Kind, Token
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.reserved import RESERVED
from nextpaint.sql.syntax import Ident

Item = TypeVar("Item")

# Nesting of expressions and queries. Python's own stack ends near 1000 frames and one level takes up to twelve.
DEPTH_MAX = 40


class Cursor:
    """Position in one statement. `tokens` ends with an END token."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._index]

    @property
    def at(self) -> At:
        return self.current.at

    @property
    def index(self) -> int:
        return self._index

    def slice(self, start: int, stop: int) -> Sequence[Token]:
        return self._tokens[start:stop]

    def peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._index + ahead, len(self._tokens) - 1)]

    def advance(self) -> Token:
        token = self.current
        if token.kind is not Kind.END:
            self._index += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Do the next tokens read like this (keywords in upper case, or signs)?"""
        return all(self._reads(self.peek(ahead), text) for ahead, text in enumerate(texts))

    @staticmethod
    def _reads(token: Token, text: str) -> bool:
        if token.kind is Kind.SIGN:
            return token.text == text
        return token.kind is Kind.WORD and token.upper == text

    def sees_any(self, *texts: str) -> bool:
        return any(self.sees(text) for text in texts)

    def take(self, *texts: str) -> bool:
        if not self.sees(*texts):
            return False
        for _ in texts:
            self.advance()
        return True

    def expect(self, *texts: str) -> Token:
        """Demand these tokens; the first one is returned."""
        first = self.current
        for text in texts:
            if not self._reads(self.current, text):
                raise Refusal(f"expected {text} but found {self.current}", self.at)
            self.advance()
        return first

    def expect_end(self) -> None:
        if self.current.kind is not Kind.END:
            raise Refusal(f"unexpected {self.current}", self.at, "the statement was complete before this word")

    def identifier(self, what: str = "a name") -> Ident:
        """A name: quoted, or a word that is not reserved."""
        token = self.current
        if token.kind is Kind.QUOTED:
            self.advance()
            return Ident(token.text, token.at)
        if token.kind is not Kind.WORD:
            raise Refusal(f"expected {what} but found {token}", token.at)
        if token.upper in RESERVED:
            raise Refusal(
                f"expected {what} but found the reserved word {token.text}",
                token.at,
                f"if it is a name, write it in backticks: `{token.text}`",
            )
        self.advance()
        return Ident(token.text, token.at)

    def object_name(self, what: str) -> Ident:
        """The name of a table, view, function or model; the one catalog and database there is may stand before it."""
        name = self.identifier(what)
        for outer in ("default_catalog", "default_database"):
            if name.text == outer and self.take("."):
                name = self.identifier(what)
        if self.sees("."):
            raise Refusal(
                "other catalogs and databases are not supported",
                self.at,
                "an application has default_catalog.default_database only; write the name alone",
            )
        return name

    def sees_identifier(self) -> bool:
        token = self.current
        return token.kind is Kind.QUOTED or (token.kind is Kind.WORD and token.upper not in RESERVED)

    def string(self, what: str) -> str:
        token = self.current
        if token.kind is not Kind.STRING:
            raise Refusal(f"expected {what} in single quotes but found {token}", token.at)
        self.advance()
        return token.text

    def integer(self, what: str) -> int:
        token = self.current
        if token.kind is not Kind.NUMBER or not token.text.isdigit() or len(token.text) > 18:
            raise Refusal(f"expected {what} but found {token}", token.at)
        self.advance()
        return int(token.text)

    def comma_separated(self, rule: Callable[[], Item]) -> tuple[Item, ...]:
        items = [rule()]
        while self.take(","):
            items.append(rule())
        return tuple(items)

    def in_parentheses(self, rule: Callable[[], Item]) -> tuple[Item, ...]:
        self.expect("(")
        items = self.comma_separated(rule)
        self.expect(")")
        return items

    @contextmanager
    def nested(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise Refusal(f"nested deeper than {DEPTH_MAX} levels", self.at, "split it with WITH or a view")
        try:
            yield
        finally:
            self._depth -= 1
