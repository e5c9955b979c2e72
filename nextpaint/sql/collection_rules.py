"""Typing of calls that take several arrays, or an array and an element; and of the few that name types or constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from nextpaint.record import types
from nextpaint.record.columns import Value
from nextpaint.record.types import Kind, Type
from nextpaint.sql import coercion, syntax
from nextpaint.sql.plan import Call, Expr, Literal
from nextpaint.sql.refusal import Refusal


class Bind(Protocol):
    """What a rule needs of the binder."""

    def bind(self, node: syntax.Expression) -> Expr: ...

    def value(self, node: syntax.Expression) -> Expr: ...


def _array(binder: Bind, node: syntax.Call, index: int) -> Expr:
    value = binder.value(node.args[index])
    if value.type.kind is not Kind.ARRAY:
        raise Refusal(f"{node.name} needs an array here, not {value.type}", node.args[index].at, "ARRAY[1, 2]")
    return value


def _takes(node: syntax.Call, least: int, most: int) -> None:
    if not least <= len(node.args) <= most:
        count = str(least) if least == most else f"{least} or more"
        raise Refusal(f"{node.name} takes {count} arguments", node.at)


def _with_element(result: Type | None) -> Callable[[Bind, syntax.Call], Expr]:
    """(array, element): the element in the array's type. `result` None: the array's."""

    def rule(binder: Bind, node: syntax.Call) -> Expr:
        _takes(node, 2, 2)
        array = _array(binder, node, 0)
        element = binder.bind(node.args[1])
        common = coercion.common_type((array.type.element or types.NULL, element.type))
        if common is None:
            raise Refusal(f"the array holds {array.type.element}, not {element.type}", element.at, "CAST the value")
        array = coercion.cast(array, types.array(common), array.at)
        args = (array, coercion.cast(element, common, element.at))
        return Call(result or array.type, node.name, args, at=node.at)

    return rule


def _arrays(binder: Bind, node: syntax.Call) -> Expr:
    """Several arrays in one type."""
    exactly = node.name != "ARRAY_CONCAT"
    _takes(node, 2 if exactly else 1, 2 if exactly else 1000)
    arrays = [_array(binder, node, index) for index in range(len(node.args))]
    common = coercion.common_type([each.type for each in arrays])
    if common is None:
        shown = " and ".join(sorted({str(each.type) for each in arrays}))
        raise Refusal(f"{node.name} mixes {shown}", node.at, "CAST them to one type")
    return Call(common, node.name, tuple(coercion.cast(each, common, each.at) for each in arrays), at=node.at)


def _maps(binder: Bind, node: syntax.Call) -> Expr:
    _takes(node, 1, 1000)
    maps = [binder.value(each) for each in node.args]
    for each in maps:
        if each.type.kind is not Kind.MAP or not coercion.same_layout(each.type, maps[0].type):
            raise Refusal(f"{node.name} needs maps of one type, not {each.type}", each.at, "CAST them to one type")
    return Call(maps[0].type, node.name, tuple(maps), at=node.at)


def _json_parts(binder: Bind, node: syntax.Call) -> Expr:
    """JSON_OBJECT and JSON_ARRAY: values that are JSON calls themselves are marked, by place, in the option `raw`."""
    is_object = node.name == "JSON_OBJECT"
    args = [
        _raw(binder, each) if isinstance(each, syntax.Call) and each.name == "JSON" and (at % 2 or not is_object)
        else binder.bind(each)
        for at, each in enumerate(node.args)
    ]  # fmt: skip
    values = args[1::2] if is_object else args
    for key in args[0::2] if is_object else ():
        if key.type.kind is not Kind.STRING:
            raise Refusal(f"a key of JSON_OBJECT is text, not {key.type}", key.at, "write it in single quotes")
    for value in values:
        if value.type.kind in (Kind.DATE, Kind.TIME, Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR):
            raise Refusal(f"{value.type} has no form in JSON", value.at, "CAST it AS STRING")
    raw = [str(at) for at, each in enumerate(values) if isinstance(each, Call) and each.function in _JSON]
    options: dict[str, Value] = {name: value for name, value in node.options if isinstance(value, str)}
    if raw:
        options["raw"] = ",".join(raw)
    return Call(types.STRING, node.name, tuple(args), tuple(sorted(options.items())), node.at)


_JSON = ("JSON_OBJECT", "JSON_ARRAY", "JSON")


def _raw(binder: Bind, node: syntax.Call) -> Expr:
    """JSON(text): text that is JSON, as a part of what is around it."""
    _takes(node, 1, 1)
    text = binder.value(node.args[0])
    if text.type.kind is not Kind.STRING:
        raise Refusal(f"JSON takes text, not {text.type}", text.at, "JSON_STRING(x) is the JSON of any value")
    return Call(types.STRING, "JSON", (text,), at=node.at)


def _typeof(binder: Bind, node: syntax.Call) -> Expr:
    _takes(node, 1, 2)
    value = binder.bind(node.args[0])
    return Literal(types.STRING, str(value.type), node.at)


def _constant(type_: Type, value: Value) -> Callable[[Bind, syntax.Call], Expr]:
    def rule(_binder: Bind, node: syntax.Call) -> Expr:
        _takes(node, 0, 0)
        return Literal(type_, value, node.at)

    return rule


def _instr(binder: Bind, node: syntax.Call) -> Expr:
    _takes(node, 2, 4)
    args = [binder.value(each) for each in node.args]
    for index, each in enumerate(args):
        if (index < 2 and each.type.kind is not Kind.STRING) or (index > 1 and each.type.kind not in types.INTEGERS):
            raise Refusal(f"INSTR(text, part[, from[, nth]]) has no {each.type} here", each.at)
    return Call(types.INT, "INSTR", tuple(args), at=node.at)


def _to_timestamp_ltz(binder: Bind, node: syntax.Call) -> Expr:
    """Of a number: (n[, 0 or 3]); of text: (text[, format[, zone]])."""
    _takes(node, 1, 3)
    args = [binder.value(each) for each in node.args]
    text = args[0].type.kind is Kind.STRING
    if not text and not args[0].type.is_numeric:
        raise Refusal(f"TO_TIMESTAMP_LTZ needs a number or text, not {args[0].type}", args[0].at)
    for each in args[1:]:
        if text and each.type.kind is not Kind.STRING:
            raise Refusal(f"TO_TIMESTAMP_LTZ of text takes a format and a zone, not {each.type}", each.at)
    if not text:
        _takes(node, 1, 2)
        precision = args[1] if len(args) == 2 else Literal(types.INT, 3, node.at)
        if not isinstance(precision, Literal) or precision.value not in (0, 3):
            raise Refusal("the precision is 0 for seconds or 3 for milliseconds", precision.at)
    name = "TO_INSTANT" if len(args) == 3 else "TO_TIMESTAMP_LTZ"
    return Call(types.TIMESTAMP_LTZ, name, tuple(args), at=node.at)


def _date_format(binder: Bind, node: syntax.Call) -> Expr:
    _takes(node, 2, 2)
    time, pattern = binder.value(node.args[0]), binder.value(node.args[1])
    if time.type.kind is Kind.STRING:
        time = Call(types.TIMESTAMP, "TO_TIMESTAMP", (time,), at=time.at)
    time = coercion.local(time, types.TIMESTAMP)
    if not time.type.is_time:
        raise Refusal(f"DATE_FORMAT needs a timestamp here, not {time.type}", time.at, "CAST it AS TIMESTAMP(3)")
    if pattern.type.kind is not Kind.STRING:
        raise Refusal(f"DATE_FORMAT needs text here, not {pattern.type}", pattern.at, "'yyyy-MM-dd HH:mm:ss'")
    return Call(types.STRING, "DATE_FORMAT", (time, pattern), at=node.at)


def _log(binder: Bind, node: syntax.Call) -> Expr:
    """LOG(x) is LN(x); LOG(base, x) is LN(x) / LN(base)."""
    _takes(node, 1, 2)
    args = [coercion.cast(binder.value(each), types.DOUBLE, each.at) for each in node.args]
    logs = [Call(types.DOUBLE, "LN", (each,), at=node.at) for each in args]
    return logs[0] if len(logs) == 1 else Call(types.DOUBLE, "/", (logs[1], logs[0]), at=node.at)


RULES: dict[str, Callable[[Bind, syntax.Call], Expr]] = {
    "ARRAY_POSITION": _with_element(types.INT),
    "ARRAY_APPEND": _with_element(None),
    "ARRAY_PREPEND": _with_element(None),
    "ARRAY_REMOVE": _with_element(None),
    "ARRAY_UNION": _arrays,
    "ARRAY_INTERSECT": _arrays,
    "ARRAY_EXCEPT": _arrays,
    "ARRAY_CONCAT": _arrays,
    "MAP_UNION": _maps,
    "JSON_OBJECT": _json_parts,
    "JSON_ARRAY": _json_parts,
    "TYPEOF": _typeof,
    "PI": _constant(types.DOUBLE, math.pi),
    "E": _constant(types.DOUBLE, math.e),
    "CURRENT_DATABASE": _constant(types.STRING, "default_database"),
    "INSTR": _instr,
    "TO_TIMESTAMP_LTZ": _to_timestamp_ltz,
    "DATE_FORMAT": _date_format,
    "LOG": _log,
}
