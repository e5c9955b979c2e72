"""JSON_VALUE, JSON_QUERY, JSON_EXISTS and IS JSON over text.

A path is STRICT unless it says `lax`: a missing member is then an error, so ON EMPTY never fires. JSON_VALUE gives
scalars only. In strict mode an object, an array, a JSON null, a missing member and bad JSON are errors; in lax mode
each of them is empty. Numbers keep the digits they are written with. A value that is not of the RETURNING type fails
the row, as it fails Flink's job; an integer is accepted for DOUBLE.

A text is parsed once for all calls over it: the last parsed texts are kept, within a bound. Parsed values are shared,
so nothing here changes one. Text behind a JSON value makes it bad JSON (Flink's parser stops reading instead).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from nextpaint.process.functions.casts import widen
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Failed,
    Held,
    Operand,
    cells_of,
    hold,
    lift,
    made,
)
from nextpaint.process.functions.json_places import at_path
from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call

Builder = Callable[[Call, tuple[Operand, ...]], Operand]

_MEMO_CHARACTERS = 4_000_000  # of text whose parsed form is kept: a step of 10,000 events, about 60 MB when parsed
_BAD, _EMPTY = object(), object()
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode


class _Memo:
    """The last parsed texts. Dropped all at once at the bound: batches come and go, none is worth keeping."""

    def __init__(self) -> None:
        self.parsed: dict[str, Any] = {}
        self.characters = 0

    def parse(self, text: str) -> Any:
        """The value of a text not seen lately, or _BAD."""
        try:
            value = _DECODE(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, ArithmeticError):
            value = _BAD
        if self.characters + len(text) > _MEMO_CHARACTERS:
            self.parsed.clear()
            self.characters = 0
        self.characters += len(text)
        self.parsed[text] = value
        return value


_MEMO = _Memo()


_parsed = _MEMO.parsed.get


def _value(text: str) -> Any:
    value = _parsed(text, _EMPTY)
    return _MEMO.parse(text) if value is _EMPTY else value


# ---------------------------------------------------------------- paths

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"*\s]+)|\[\s*(?P<index>-?\d+)\s*\]|\[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]"""
    r"""|\[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]|(?P<every>\.\*|\[\s*\*\s*\])"""
)
_EVERY = None  # the step `[*]` or `.*`

Find = Callable[[Any], Any]


def path_of(call: Call) -> tuple[tuple[str | int | None, ...], bool]:
    """The steps of a call's path, and whether it is strict."""
    options = dict(call.options)
    text = str(options.get("path", "$")).strip()
    mode = re.match(r"(?i)(lax|strict)\s+", text)
    strict = bool(options.get("strict", True)) if mode is None else mode[1].lower() == "strict"
    return parse_path(text if mode is None else text[mode.end() :]), strict


def parse_path(path: str) -> tuple[str | int | None, ...]:
    """`$.a['b c'][0][*]` as steps. Raises ValueError."""
    if not path.startswith("$"):
        raise ValueError(f"the JSON path {path!r} does not start with $")
    steps: list[str | int | None] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"the JSON path {path!r} cannot be read from {path[position:]!r} on")
        position = match.end()
        quoted = match["single"] if match["single"] is not None else match["double"]
        if match["name"] is not None:
            steps.append(match["name"])
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(_EVERY if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    return tuple(steps)


def finder(steps: tuple[str | int | None, ...]) -> Find:
    """A function to what a path leads to, _EMPTY if it leads nowhere."""
    if len(steps) == 1 and isinstance(steps[0], str):
        name = steps[0]
        return lambda value: value.get(name, _EMPTY) if type(value) is dict else _EMPTY

    def find(value: Any) -> Any:
        for number, step in enumerate(steps):
            if step is _EVERY:
                return _find_every(value, steps[number + 1 :])
            if type(step) is str:
                value = value.get(step, _EMPTY) if type(value) is dict else _EMPTY
            elif type(value) is list and isinstance(step, int) and -len(value) <= step < len(value):
                value = value[step]
            else:
                return _EMPTY
            if value is _EMPTY:
                return _EMPTY
        return value

    return find


def _find_every(value: Any, rest: tuple[str | int | None, ...]) -> Any:
    """All members that have what follows: a list."""
    members = value.values() if type(value) is dict else value if type(value) is list else ()
    find = finder(rest)
    found = [find(member) for member in members]
    flat = _EVERY in rest
    return [x for each in found if each is not _EMPTY for x in (each if flat else [each])]


# ---------------------------------------------------------------- JSON_VALUE


def build_json_value(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Arguments: text, then the default values (of ON EMPTY, of ON ERROR) that `on_empty`/`on_error` = DEFAULT ask
    for. Options: path, strict, on_empty and on_error (NULL, ERROR or DEFAULT). RETURNING is the call's type."""
    steps, strict = path_of(call)
    find, single = finder(steps), _EVERY not in steps
    convert = _returning(call.type)
    options = dict(call.options)
    on_empty, on_error = str(options.get("on_empty", "NULL")), str(options.get("on_error", "NULL"))
    defaults = [widen(each, call.type) for each in operands[1:]]

    def scalar(text: str) -> Any:
        value = _value(text)
        if value is not _BAD:
            value = find(value)
            kind = type(value)
            if kind is str or kind is int or kind is Decimal or kind is bool:
                return convert(value)
        return _BAD if strict else _EMPTY

    if on_empty == on_error == "NULL" and single:

        def nullable(text: str) -> Any:  # the usual call: what is no scalar is NULL, whatever the reason
            value = _parsed(text, _EMPTY)
            value = find(_MEMO.parse(text) if value is _EMPTY else value)
            kind = type(value)
            if kind is str or kind is int or kind is Decimal or kind is bool:
                return convert(value)
            return None

        run = lift(call.type, nullable, operands[:1])
        usual = made(call.type, run, operands[:1], fallible=call.type.kind is not Kind.STRING)
        return at_path(usual, operands[0], steps, nullable)
    empty = _otherwise(on_empty, defaults[:1], "is empty: the path leads to no scalar")
    error = _otherwise(on_error, defaults[-1:], "is an error: bad JSON, or the path leads to no scalar")
    inner = operands[0].run

    def kernel(ev: Evaluation) -> Held:
        cells: list[Any] = []
        for row, text in enumerate(cells_of(inner(ev))):
            try:
                value = None if text is None else scalar(text)
                if value is _EMPTY:
                    value = empty()
                elif value is _BAD:
                    value = error()
            except Failed as failed:
                ev.fail(row, str(failed))
                value = None
            cells.append(value)
        return hold(call.type, cells)

    return made(call.type, kernel, (operands[0], *defaults), fallible=True)


def _otherwise(what: str, defaults: list[Operand], reason: str) -> Callable[[], Value]:
    if what == "DEFAULT" and defaults:
        default = defaults[0]
        if not default.constant:
            raise ValueError("the value after DEFAULT must be a constant")
        return lambda: default.value
    if what == "ERROR":

        def fail() -> Value:
            raise Failed(f"JSON_VALUE {reason}")

        return fail
    if what != "NULL":
        raise ValueError(f"ON EMPTY and ON ERROR know NULL, ERROR and DEFAULT with a value, not {what}")
    return lambda: None


def _returning(type_: Type) -> Callable[[Any], Any]:
    """Turns a JSON scalar into a value of the type."""
    if type_.kind is Kind.STRING:
        return lambda value: value if type(value) is str else _text(value)
    if type_.kind is Kind.BOOLEAN:
        return lambda value: value if type(value) is bool else _mismatch(value, type_)
    if type_.kind in (Kind.DOUBLE, Kind.FLOAT):
        return lambda value: float(value) if type(value) in (int, Decimal) else _mismatch(value, type_)
    if type_.kind in INTEGERS:
        limit = 1 << (INTEGER_BITS[type_.kind] - 1)
        return lambda value: value if type(value) is int and -limit <= value < limit else _mismatch(value, type_)
    raise ValueError(f"JSON_VALUE cannot return {type_}")


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def _mismatch(value: Any, type_: Type) -> Any:
    raise Failed(f"JSON_VALUE found {_text(value)[:40]!r}, which is not {type_}")


# ---------------------------------------------------------------- JSON_QUERY, JSON_EXISTS, IS JSON


def build_json_query(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Options: path, strict, wrapper (WITHOUT, CONDITIONAL, UNCONDITIONAL), on_empty and on_error (NULL, ERROR,
    EMPTY ARRAY, EMPTY OBJECT). The result is text with sorted keys, or ARRAY<STRING> if that is the call's type."""
    steps, strict = path_of(call)
    find = finder(steps)
    options = dict(call.options)
    wrapper = str(options.get("wrapper", "WITHOUT"))
    fallbacks: dict[str, Any] = {"NULL": None, "EMPTY ARRAY": [], "EMPTY OBJECT": {}}
    on_empty, on_error = str(options.get("on_empty", "NULL")), str(options.get("on_error", "NULL"))
    for what in (on_empty, on_error):
        if what not in fallbacks and what != "ERROR":
            raise ValueError(f"JSON_QUERY does not know {what} ON EMPTY or ON ERROR")
    written = _strings if call.type.kind is Kind.ARRAY else _written

    def query(text: str) -> Any:
        value = _value(text)
        value = find(value) if value is not _BAD else _BAD
        if value is _EMPTY or value is None or value is _BAD:
            value = _BAD if strict else _EMPTY
        if value is not _BAD and value is not _EMPTY:
            nested = type(value) is list or type(value) is dict
            if wrapper == "UNCONDITIONAL" or (wrapper == "CONDITIONAL" and not nested):
                value = [value]
            elif not nested:
                value = _BAD if strict else _EMPTY
        if value is _BAD or value is _EMPTY:
            what = on_error if value is _BAD else on_empty
            if what == "ERROR":
                raise Failed("JSON_QUERY: the path leads to no object or array")
            value = fallbacks[what]
        try:
            return None if value is None else written(value)
        except RecursionError:
            raise Failed("JSON_QUERY: the value is nested too deeply") from None

    return made(call.type, lift(call.type, query, operands[:1]), operands, fallible=True)


def _strings(value: Any) -> list[str | None] | None:
    if type(value) is not list:
        return None
    return [_string(each) for each in value]


def _string(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return _text(value) if type(value) in (int, bool, Decimal) else _written(value)


def _written(value: Any) -> str:
    """JSON text without spaces, keys sorted, numbers as they were written."""
    if type(value) is dict:
        return "{" + ",".join([f"{_written(key)}:{_written(value[key])}" for key in sorted(value)]) + "}"
    if type(value) is list:
        return "[" + ",".join([_written(each) for each in value]) + "]"
    if type(value) is Decimal:
        return str(value)
    return msgspec.json.encode(value).decode()


def build_json_exists(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Options: path, strict, on_error (TRUE, FALSE, UNKNOWN, ERROR). A member that is JSON null does not exist."""
    steps, strict = path_of(call)
    find = finder(steps)
    on_error = str(dict(call.options).get("on_error", "FALSE"))
    answers = {"TRUE": True, "FALSE": False, "UNKNOWN": None}
    if on_error not in answers and on_error != "ERROR":
        raise ValueError(f"JSON_EXISTS does not know {on_error} ON ERROR")

    def exists(text: str) -> bool | None:
        value = _value(text)
        found = _BAD if value is _BAD else find(value)
        if found is None:
            return False
        if found is not _BAD and found is not _EMPTY:
            return True
        if not strict:
            return False
        if on_error == "ERROR":
            raise Failed("JSON_EXISTS: bad JSON, or the path leads nowhere")
        return answers[on_error]

    return made(call.type, lift(call.type, exists, operands[:1]), operands, fallible=on_error == "ERROR")


def build_is_json(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Option kind: VALUE, OBJECT, ARRAY or SCALAR. FALSE for NULL."""
    kind = str(dict(call.options).get("kind", "VALUE"))
    tests: dict[str, Callable[[Any], bool]] = {
        "VALUE": lambda value: True,
        "OBJECT": lambda value: type(value) is dict,
        "ARRAY": lambda value: type(value) is list,
        "SCALAR": lambda value: type(value) is not dict and type(value) is not list,
    }
    test, inner = tests[kind] if kind in tests else None, operands[0].run
    if test is None:
        raise ValueError(f"IS JSON knows {', '.join(tests)}, not {kind}")

    def kernel(ev: Evaluation) -> Held:
        answers = []
        for text in cells_of(inner(ev)):
            value = _BAD if text is None else _value(text)
            answers.append(value is not _BAD and test(value))
        return hold(call.type, answers)

    return made(call.type, kernel, operands)


def build_json(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """JSON: text that is JSON, as JSON_QUERY writes it. Fails for other text."""

    def read(text: str) -> str:
        value = _value(text)
        if value is _BAD:
            raise Failed(f"JSON found {text[:40]!r}, which is no JSON")
        return _written(value)

    return made(call.type, lift(call.type, read, operands), operands)


FUNCTIONS: dict[str, Builder] = {
    "JSON": build_json,
    "JSON_VALUE": build_json_value,
    "JSON_QUERY": build_json_query,
    "JSON_EXISTS": build_json_exists,
    "IS JSON": build_is_json,
}
