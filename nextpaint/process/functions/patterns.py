"""LIKE and the regular expressions of SQL, as functions of one text.

Regular expressions are written for Java. What both languages share is passed on; named groups and possessive
quantifiers are translated or the same; a pattern that does not compile never matches (REGEXP is FALSE,
REGEXP_EXTRACT and REGEXP_REPLACE are NULL), as in Flink. Replacement text is literal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from nextpaint.process.functions.evaluation import Failed
from nextpaint.sql.pattern_safety import longest_text


@lru_cache(maxsize=256)
def like(pattern: str, escape: str | None = None) -> Callable[[str], bool]:
    """`%` is any text, `_` one character that does not end a line. Raises ValueError on a wrong escape."""
    parts: list[str] = []
    literal: list[str] = []
    simple = True  # only % beside literal text
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        if letter == escape:
            position += 1
            if position == len(pattern) or pattern[position] not in ("%", "_", escape):
                raise ValueError(f"the LIKE pattern {pattern!r} has its escape before something that needs none")
            literal.append(pattern[position])
        elif letter in "%_":
            parts.append("".join(literal))
            literal = []
            parts.append(letter)
            simple = simple and letter == "%"
        else:
            literal.append(letter)
        position += 1
    parts.append("".join(literal))
    return (_plain(parts) if simple else None) or _expression(parts)


def _plain(parts: list[str]) -> Callable[[str], bool] | None:
    """`abc`, `abc%`, `%abc` and `%abc%` without a regular expression."""
    if len(parts) == 1:
        whole = parts[0]
        return lambda text: text == whole
    if len(parts) == 3 and parts[0] and not parts[2]:
        return lambda text, start=parts[0]: text.startswith(start)  # type: ignore[misc]
    if len(parts) == 3 and not parts[0]:
        return lambda text, end=parts[2]: text.endswith(end)  # type: ignore[misc]
    if len(parts) == 5 and not parts[0] and not parts[4]:
        return lambda text, inner=parts[2]: inner in text  # type: ignore[misc]
    return None


def ends(pattern: str, escape: str | None = None) -> tuple[str, str | None] | None:
    """`abc` as ("abc", None), `abc%` as ("abc", ""), `%abc` as ("", "abc"); None for any other pattern."""
    parts = pattern.split("%")
    if "_" in pattern or (escape is not None and escape in pattern) or len(parts) > 2:
        return None
    if len(parts) == 1:
        return parts[0], None
    return (parts[0], parts[1]) if parts[0] == "" or parts[1] == "" else None


def _expression(parts: list[str]) -> Callable[[str], bool]:
    written = {"%": "(?s:.*)", "_": "."}
    source = "".join([written[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)])
    search = re.compile(source + r"\Z").match
    return lambda text: search(text) is not None


class Pattern:
    """A compiled pattern that refuses text too long for it: the time of a search is bounded."""

    __slots__ = ("_compiled", "_longest", "groups")

    def __init__(self, compiled: re.Pattern[str], longest: int) -> None:
        self._compiled = compiled
        self._longest = longest
        self.groups = compiled.groups

    def _bounded(self, text: str) -> str:
        if len(text) > self._longest:
            raise Failed(f"a text of {len(text)} characters is longer than the {self._longest} this pattern may search")
        return text

    def search(self, text: str) -> re.Match[str] | None:
        return self._compiled.search(self._bounded(text))

    def fullmatch(self, text: str) -> re.Match[str] | None:
        return self._compiled.fullmatch(self._bounded(text))

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        return self._compiled.finditer(self._bounded(text))

    def sub(self, replacement: str, text: str) -> str:
        return self._compiled.sub(lambda match: replacement, self._bounded(text))

    def split(self, text: str, maxsplit: int = 0) -> list[str]:
        return self._compiled.split(self._bounded(text), maxsplit)


@lru_cache(maxsize=256)
def java_regex(pattern: str) -> Pattern | None:
    """A Java pattern compiled; None if it cannot be. Raises ValueError for one that may never end."""
    source = re.sub(r"\(\?<(?![=!])", "(?P<", pattern).replace(r"\z", r"\Z").replace(r"\h", r"[ \t]")
    try:
        compiled = re.compile(source, re.ASCII)  # \w and \d are ASCII in Java
    except (re.error, OverflowError, RecursionError):
        return None
    return Pattern(compiled, longest_text(source))


def regexp(text: str, pattern: str) -> bool:
    """Whether the pattern is found; never for an empty one."""
    expression = java_regex(pattern) if pattern else None
    return expression is not None and expression.search(text) is not None


def regexp_extract(text: str, pattern: str, group: int = 0) -> str | None:
    """The text of a group of the first match, None without one."""
    expression = java_regex(pattern)
    match = None if expression is None else expression.search(text)
    if match is None or expression is None or not 0 <= group <= expression.groups:
        return None
    found: str | None = match[group]
    return found


def regexp_replace(text: str, pattern: str, replacement: str) -> str | None:
    """Every match replaced by literal text; None for a pattern that cannot be."""
    expression = java_regex(pattern)
    return None if expression is None else expression.sub(replacement, text)


# ---------------------------------------------------------------- more than one match


def regexp_extract_all(text: str, pattern: str, group: int = 1) -> list[str | None] | None:
    """The group of every match; None for a pattern or a group that is not there."""
    expression = java_regex(pattern)
    if expression is None or not 0 <= group <= expression.groups:
        return None
    return [match[group] for match in expression.finditer(text)]


def regexp_count(text: str, pattern: str) -> int | None:
    """How often the pattern is found, an empty match counted too."""
    expression = java_regex(pattern)
    return None if expression is None else sum(1 for _ in expression.finditer(text))


def regexp_instr(text: str, pattern: str) -> int | None:
    """Where the first match starts, from 1; 0 without one."""
    expression = java_regex(pattern)
    if expression is None:
        return None
    match = expression.search(text)
    return 0 if match is None else match.start() + 1


def regexp_substr(text: str, pattern: str) -> str | None:
    """The first match."""
    expression = java_regex(pattern)
    match = None if expression is None else expression.search(text)
    return None if match is None else match[0]


_SIMILAR = {"%": "(?s:.*)", "_": "(?s:.)", ".": r"\.", "^": r"\^", "$": r"\$", "\\": r"\\"}


@lru_cache(maxsize=256)
def similar(pattern: str, escape: str | None = None) -> Pattern:
    """SIMILAR TO's pattern: `% _` as in LIKE, and `| * + ? {n} ( ) [ ]` as in regular expressions. Raises
    ValueError."""
    parts: list[str] = []
    place = 0
    inside = False
    while place < len(pattern):
        letter = pattern[place]
        if letter == escape:
            place += 1
            if place == len(pattern):
                raise ValueError(f"the pattern {pattern!r} ends with its escape")
            parts.append(re.escape(pattern[place]))
        elif letter in "[]":
            inside = letter == "["
            parts.append(letter)
        elif inside:
            parts.append("\\\\" if letter == "\\" else letter)
        else:
            parts.append(_SIMILAR.get(letter, letter))
        place += 1
    expression = java_regex(f"(?:{''.join(parts)})")
    if expression is None:
        raise ValueError(f"{pattern!r} is not a pattern of SIMILAR TO")
    return expression
