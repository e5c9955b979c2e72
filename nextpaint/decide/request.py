"""A decision request: parsed and checked before anything is read.

Shape of the body: `{"userId"?, "anonymousId"?, "subject"?, "inputs"?, "items"?, "limit"?, "exclude"?, "profiled"?,
"minor"?, "as_of_ms"?}`; `events` and `position` are the engine's and pass unread. Everything here is hostile until it
has been parsed: sizes are bounded, unknown keys are errors. Raw identifiers stop here: a record holds tokens only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from nextpaint.record.errors import InvalidInput

InputValue = str | int | float | bool | tuple[str, ...] | None

ITEMS_MAX = 1_000  # a search page brings hundreds; more is a catalogue, not a list to re-rank
LIMIT_MAX = 200  # answers of one decision: keeps the record short
TEXT_MAX = 1_024  # characters of one string input
ID_MAX = 256  # characters of an item or person id
MINOR = "minor"  # why nothing of the person is read: the request says that they are one

_KEYS = (
    "userId", "anonymousId", "subject", "inputs", "items", "limit", "exclude", "profiled", "as_of_ms",
    "events", "position", "minor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InputType:
    """The declared type of an input: `kind` is str, int, float, bool or list (of strings)."""

    kind: type
    optional: bool = False

    def __str__(self) -> str:
        return f"Optional({self.kind.__name__})" if self.optional else self.kind.__name__


def Optional(kind: type) -> InputType:
    """The type of an input that may be missing."""
    return InputType(kind, optional=True)


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A checked request. `items` and `exclude` are item ids without repeats; `limit` None means the surface's.
    `withheld`: why there is no profile ("consent", "minor"). `found`: what an index outside the
    state found for a retriever, by the retriever as printed; the engine's, never a caller's."""

    user_id: str | None = None
    anonymous_id: str | None = None
    subject: str | None = None
    inputs: Mapping[str, InputValue] = field(default_factory=dict)
    items: tuple[str, ...] | None = None
    limit: int | None = None
    exclude: tuple[str, ...] = ()
    profiled: bool = True
    as_of_ms: int | None = None
    withheld: str = ""
    found: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def parse(surface: str, inputs: Mapping[str, InputType], body: Mapping[str, Any]) -> DecisionRequest:
        """Checks `body` against the declared `inputs` of `surface`. Raises InvalidInput, which names what is wrong."""
        check = _Check(surface)
        if not isinstance(body, Mapping):
            raise check.wrong("the request", body, "an object")
        for key in body:
            if key not in _KEYS:
                raise check.unknown("key", key, _KEYS)
        items = body.get("items")
        limit = body.get("limit")
        if limit is not None and (type(limit) is not int or not 1 <= limit <= LIMIT_MAX):
            raise check.wrong("'limit'", limit, f"a whole number from 1 to {LIMIT_MAX}")
        as_of_ms = body.get("as_of_ms")
        if as_of_ms is not None and (type(as_of_ms) is not int or not 0 <= as_of_ms < 2**53):
            raise check.wrong("'as_of_ms'", as_of_ms, "milliseconds since 1970 as a whole number")
        profiled = body.get("profiled", True)
        if type(profiled) is not bool:
            raise check.wrong("'profiled'", profiled, "true or false")
        minor = body.get("minor", False)
        if type(minor) is not bool:
            raise check.wrong("'minor'", minor, "true or false")
        return DecisionRequest(
            user_id=check.identifier(body, "userId"),
            anonymous_id=check.identifier(body, "anonymousId"),
            subject=check.identifier(body, "subject"),
            inputs=check.inputs(inputs, body.get("inputs") or {}),
            items=None if items is None else check.ids("'items'", items),
            limit=limit,
            exclude=check.ids("'exclude'", body.get("exclude") or ()),
            profiled=profiled and not minor,
            as_of_ms=as_of_ms,
            withheld=MINOR if minor else "",
        )


class _Check:
    """The checks of one request; every error names the surface and the offending key."""

    def __init__(self, surface: str) -> None:
        self._where = f"surface {surface!r}"

    def wrong(self, what: str, value: object, expected: str) -> InvalidInput:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return InvalidInput(f"{what} is {shown}", where=self._where, cure=f"send {expected}")

    def unknown(self, kind: str, name: object, known: tuple[str, ...]) -> InvalidInput:
        text = str(name)[:60]
        near = get_close_matches(text, known, 1)
        cure = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        return InvalidInput(f"unknown {kind} {text!r}", where=self._where, cure=cure)

    def identifier(self, body: Mapping[str, Any], key: str) -> str | None:
        value = body.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value or len(value) > ID_MAX:
            raise self.wrong(f"{key!r}", value, f"a string of 1 to {ID_MAX} characters")
        return value

    def ids(self, what: str, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or len(value) > ITEMS_MAX:
            raise self.wrong(what, value, f"a list of at most {ITEMS_MAX} item ids")
        for each in value:
            if not isinstance(each, str) or len(each) > ID_MAX:
                raise self.wrong(f"an element of {what}", each, f"an item id: a string of at most {ID_MAX} characters")
        return tuple(dict.fromkeys(value))

    def inputs(self, declared: Mapping[str, InputType], given: object) -> dict[str, InputValue]:
        if not isinstance(given, Mapping):
            raise self.wrong("'inputs'", given, "an object")
        for name in given:
            if name not in declared:
                raise self.unknown("input", name, tuple(declared))
        return {name: self._input(name, kind, given.get(name)) for name, kind in declared.items()}

    def _input(self, name: str, declared: InputType, value: Any) -> InputValue:
        what = f"input {name!r}"
        if value is None:
            if declared.optional:
                return None
            raise InvalidInput(f"{what} is missing", where=self._where, cure=f"send inputs.{name} ({declared})")
        match declared.kind:
            case kind if kind is list:
                return self.ids(what, value)
            case kind if kind is str:
                if isinstance(value, str) and len(value) <= TEXT_MAX:
                    return value
            case kind if kind is bool:
                if type(value) is bool:
                    return value
            case kind if kind is int:
                if type(value) is int and -(2**63) <= value < 2**63:
                    return value
            case _:
                if type(value) in (int, float) and abs(value) < float("inf"):
                    return float(value)
        raise self.wrong(what, value, f"a value of type {declared}")
