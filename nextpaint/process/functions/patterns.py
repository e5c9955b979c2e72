"""LIKE and the regular expressions of SQL, as functions of one text.

Regular expressions are written for Java. What both languages share is passed on; named groups and possessive
quantifiers are translated or the same; a pattern that does not compile never matches (REGEXP is FALSE,
REGEXP_EXTRACT and REGEXP_REPLACE are NULL), as in Flink. Replacement text is literal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache


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


def _expression(parts: list[str]) -> Callable[[str], bool]:
    written = {"%": "(?s:.*)", "_": "."}
    source = "".join([written[part] if index % 2 else re.escape(part) for index, part in enumerate(parts)])
    search = re.compile(source + r"\Z").match
    return lambda text: search(text) is not None


@lru_cache(maxsize=256)
def java_regex(pattern: str) -> re.Pattern[str] | None:
    """A Java pattern compiled; None if it cannot be."""
    source = re.sub(r"\(\?<(?![=!])", "(?P<", pattern).replace(r"\z", r"\Z").replace(r"\h", r"[ \t]")
    try:
        return re.compile(source, re.ASCII)  # \w and \d are ASCII in Java
    except (re.error, OverflowError, RecursionError):
        return None


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
    return None if expression is None else expression.sub(lambda match: replacement, text)
