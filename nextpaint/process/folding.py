"""An application's own aggregate as a class: what it must have, and its accumulators as state.

    create_accumulator() -> accumulator        merge(accumulator, others)
    accumulate(accumulator, *values)           retract(accumulator, *values), where rows may be taken back
    get_value(accumulator) -> value

The names are PyFlink's. A method changes the accumulator in place or returns the new one. An accumulator is made of
numbers, text, bytes, lists, tuples and dicts; state keeps it as tuples that say what they were, in the order they are
in, so a class gets back what it made.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from nextpaint.process.state import Immutable

_NEEDED = ("create_accumulator", "accumulate", "get_value", "merge")
_LIST, _TUPLE, _MAP, _DECIMAL, _LARGE, _NAN = "l", "t", "m", "d", "i", "n"


class Folding:
    """A resolved class. `retract` is there where the class has it."""

    def __init__(self, made: Any) -> None:
        self.create = made.create_accumulator
        self.accumulate = made.accumulate
        self.get_value = made.get_value
        self.merge = made.merge
        if _own(made, "retract"):
            self.retract = made.retract


def folding(target: str, code: Any) -> Any:
    """A class or object that folds rows as a `Folding`; a plain function as it is. Raises ValueError."""
    try:
        made = code() if isinstance(code, type) else code
    except Exception as error:  # a declared edge
        raise ValueError(f"{target}(): {type(error).__name__}: {error}") from error
    if not hasattr(made, "accumulate"):
        return made
    missing = [name for name in _NEEDED if not _own(made, name)]
    if missing:
        why = "; sessions that grow together and linked people need it" if missing == ["merge"] else ""
        raise ValueError(f"{target} has no {missing[0]}(...){why}")
    try:
        frozen(made.create_accumulator())
    except Exception as error:  # a declared edge
        raise ValueError(f"{target}.create_accumulator(): {error}") from error
    return Folding(made)


def _own(made: Any, name: str) -> bool:
    """Does the object have the method, other than PyFlink's base class, whose methods only raise?"""
    method = getattr(made, name, None)
    return callable(method) and not str(getattr(method, "__module__", "")).startswith("pyflink.")


def frozen(value: Any) -> Immutable:
    """A Python value as state holds it. Raises ValueError for what it does not hold."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | float | bytes):
        return value if value == value else (_NAN,)  # a NaN equals itself, so that it can be taken back
    if isinstance(value, str):
        value.encode()  # UnicodeEncodeError is a ValueError
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else (_LARGE, str(value))
    if isinstance(value, Decimal):
        return (_DECIMAL, str(value))
    if isinstance(value, list | tuple):
        return (_LIST if isinstance(value, list) else _TUPLE, *(frozen(each) for each in value))
    if isinstance(value, dict):
        return (_MAP, *((frozen(key), frozen(each)) for key, each in value.items()))
    cure = ": use a dict, whose order is certain" if isinstance(value, set | frozenset) else ""
    made_of = "numbers, text, bytes, lists, tuples and dicts"
    raise ValueError(f"an accumulator is made of {made_of}, not {type(value).__name__}{cure}")


def thawed(value: Immutable) -> Any:
    """What was frozen, for Python to change."""
    if not isinstance(value, tuple):
        return value
    kind, *parts = value
    if kind == _MAP:
        return {thawed(key): thawed(each) for key, each in parts}
    if kind == _NAN:
        return math.nan
    if kind in (_DECIMAL, _LARGE):
        return (Decimal if kind == _DECIMAL else int)(parts[0])
    made = [thawed(each) for each in parts]
    return made if kind == _LIST else tuple(made)
