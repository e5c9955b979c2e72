"""Whether a regular expression can be run on text from outside: Python's engine backtracks, and some patterns never
end.

Two rules make the time polynomial: no unbounded repeat inside another one (`(a+)+`), and no unbounded repeat over
alternatives that can start with the same character (`(a|ab)*`). What is left costs at most
length ** (repeats + 1), since a search starts everywhere, so the length of the text is bounded by the number of
unbounded repeats: some seconds at worst.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT)
_MANY = 64  # a repeat bounded by less is as good as written out
# Longest text by number of unbounded repeats; beyond three the last holds.
LENGTHS = (1_000_000, 20_000, 1_500, 400)


def longest_text(source: str) -> int:
    """The longest text the pattern may be run on. Raises ValueError for a pattern that may never end."""
    return LENGTHS[min(_repeats(_parser.parse(source), inside=False), len(LENGTHS) - 1)]


def _repeats(items: Iterable[Any], *, inside: bool) -> int:
    """The number of unbounded repeats."""
    found = 0
    for kind, value in items:
        unbounded = kind in _REPEATS and value[1] > _MANY
        if unbounded:
            if inside:
                raise ValueError("a repeat inside a repeat may never end; write it with one repeat")
            _check_alternatives(value[2])
            found += 1
        for part in _below(kind, value):
            found += _repeats(part, inside=inside or unbounded)
    return found


def _below(kind: Any, value: Any) -> Iterator[Any]:
    """The sub-patterns of one item."""
    if kind in _REPEATS:
        yield value[2]
    elif kind is c.SUBPATTERN:
        yield value[3]
    elif kind is c.BRANCH:
        yield from value[1]
    elif kind in (c.ASSERT, c.ASSERT_NOT):
        yield value[1]
    elif kind is c.ATOMIC_GROUP:
        yield value
    elif kind is c.GROUPREF_EXISTS:
        yield from (part for part in value[1:] if part is not None)


def _check_alternatives(items: Iterable[Any]) -> None:
    for kind, value in items:
        if kind is c.BRANCH:
            seen: set[int] = set()
            for part in value[1]:
                first = _first(part)
                if first is None or first & seen:
                    raise ValueError("a repeat over alternatives that start alike may never end; factor the start out")
                seen |= first
        for part in _below(kind, value):
            _check_alternatives(part)


def _first(items: Iterable[Any]) -> set[int] | None:
    """The characters a sub-pattern can start with; None when that is open."""
    for kind, value in items:
        if kind is c.LITERAL:
            return {value}
        if kind is c.SUBPATTERN:
            return _first(value[3])
        if kind is c.IN:
            return _set(value)
        if kind is c.AT:
            continue
        return None
    return None


def _set(items: Iterable[Any]) -> set[int] | None:
    found: set[int] = set()
    for kind, value in items:
        if kind is c.LITERAL:
            found.add(value)
        elif kind is c.RANGE and value[1] - value[0] < 1000:
            found.update(range(value[0], value[1] + 1))
        else:
            return None
    return found
