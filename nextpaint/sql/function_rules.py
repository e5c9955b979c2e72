"""Typing of function calls: most by their row in `signatures`, some by a rule of their own below.

The binder is given as a protocol: a rule needs only to bind an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from nextpaint.record import types
from nextpaint.record.columns import Value
from nextpaint.record.types import Field, Kind, Type, decimal
from nextpaint.sql import coercion, collection_rules, signatures, syntax
from nextpaint.sql.operators import arithmetic, case_call, comparison_operands
from nextpaint.sql.pattern_safety import longest_text
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Literal
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.user_functions import AGGREGATE, TABLE, UserFunction, in_force


class Bind(Protocol):
    """What a rule needs of the binder."""

    def bind(self, node: syntax.Expression) -> Expr: ...

    def value(self, node: syntax.Expression) -> Expr: ...

    def condition(self, node: syntax.Expression, what: str) -> Expr: ...


def function_call(binder: Bind, node: syntax.Call) -> Expr:
    """The typed call. Aggregates are answered before this by whoever may hold them; here they are out of place."""
    user = in_force().functions.get(node.name)
    if node.name in signatures.AGGREGATES or (user is not None and user.kind == AGGREGATE):
        where = "with OVER is not allowed here" if node.over is not None else "is not allowed here"
        raise Refusal(f"{node.name}(...) {where}", node.at, "aggregates stand in the SELECT list or in HAVING")
    if node.over is not None or node.filter is not None or node.distinct or node.star:
        if node.name in signatures.ELSEWHERE:
            raise Refusal(f"{node.name} is not supported", node.at, signatures.ELSEWHERE[node.name])
        raise Refusal(f"{node.name} is not an aggregate function", node.at, near(node.name, signatures.AGGREGATES))
    rule = _SPECIAL.get(node.name)
    if rule is not None:
        return rule(binder, node)
    signature = signatures.FUNCTIONS.get(node.name)
    if signature is None and user is not None:
        return _user_call(binder, node, user)
    if signature is None:
        if node.name in signatures.ELSEWHERE:
            raise Refusal(f"{node.name} is not a function here", node.at, signatures.ELSEWHERE[node.name])
        raise Refusal(
            f"unknown function {node.name}",
            node.at,
            near(node.name, [*signatures.known_names(), *in_force().functions]),
        )
    return _by_signature(binder, node, signature)


def _user_call(binder: Bind, node: syntax.Call, user: UserFunction) -> Expr:
    """A call of the application's own Python."""
    if user.kind == TABLE:
        usage = f"FROM t, LATERAL TABLE({user.name}(...)) AS u(...)"
        raise Refusal(f"{user.name} is a table function: it gives rows, not a value", node.at, usage)
    return Call(user.result, "PYTHON", user_arguments(binder, node.args, user, node.at), user.options, node.at)


def user_arguments(binder: Bind, given: Sequence[syntax.Expression], user: UserFunction, at: At) -> tuple[Expr, ...]:
    """The arguments of a call of the application's own Python, cast where nothing can get lost."""
    if not user.exact and in_force().continuous:
        raise Refusal(
            f"{user.name} is declared inexact: its results could differ on replay",
            at,
            "declare it exact, or call it in a query over the table",
        )
    if len(given) != len(user.parameters):
        shown = ", ".join(str(each) for each in user.parameters)
        raise Refusal(
            f"{user.name} takes {_count(len(user.parameters), len(user.parameters), False)}", at, f"({shown})"
        )
    args: list[Expr] = []
    for each, wanted in zip(given, user.parameters, strict=True):
        value = binder.bind(each)
        if not coercion.stores(value.type, wanted):
            raise Refusal(f"{user.name} needs {wanted} here, not {value.type}", each.at, f"CAST it AS {wanted}")
        args.append(coercion.cast(value, wanted, each.at))
    return tuple(args)


def _by_signature(binder: Bind, node: syntax.Call, signature: signatures.Signature) -> Expr:
    options = dict(_plain_options(node))
    if signature.name in ("FLOOR", "CEIL") and "unit" in options:
        return _round_time(binder, node, str(options["unit"]))
    shape = signature.shape
    required = sum(1 for _, optional, _ in shape if not optional)
    repeated = bool(shape) and shape[-1][2]
    if len(node.args) < required or (len(node.args) > len(shape) and not repeated):
        raise Refusal(f"{node.name} takes {_count(required, len(shape), repeated)}", node.at, _usage(node.name, shape))
    args: list[Expr] = []
    for index, each in enumerate(node.args):
        kind = shape[min(index, len(shape) - 1)][0]
        args.append(argument(binder, node.name, each, kind))
    options.update(signature.options)
    zone = in_force().zone
    if zone and signature.name in ("UNIX_TIMESTAMP", "FROM_UNIXTIME"):
        options["zone"] = zone
    if zone and signature.name in ("LOCALTIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"):
        now = Call(types.TIMESTAMP_LTZ, "CURRENT_TIMESTAMP", (), at=node.at)
        shown = coercion.cast(now, types.TIMESTAMP, node.at)
        return coercion.cast(shown, signature.returns(()), node.at)
    if signature.name in ("EXTRACT",):
        args[0] = coercion.local(args[0], types.TIMESTAMP)
        _check_unit(str(options.get("unit")), args[0].type, node.at)
    if signature.name.startswith("REGEXP") and isinstance(args[1], Literal):
        _check_pattern(str(args[1].value), args[1].at)
    result = signature.returns(tuple(arg.type for arg in args))
    return Call(result, signature.name, tuple(args), tuple(sorted(options.items())), node.at)


def _check_pattern(pattern: str, at: At) -> None:
    """Refuse a regular expression that may never end; one that does not compile gives NULL, as in Flink."""
    try:
        longest_text(pattern)
    except re.error:
        return
    except ValueError as wrong:
        raise Refusal(str(wrong).partition("; ")[0], at, str(wrong).partition("; ")[2]) from wrong


def argument(binder: Bind, function: str, node: syntax.Expression, kind: str) -> Expr:
    """One argument, checked against its kind of parameter."""
    value = binder.bind(node) if kind == "x" else binder.value(node)
    if not signatures.accepts(kind, value.type):
        cure = "CAST it AS STRING" if kind == "s" else ""
        raise Refusal(f"{function} needs {signatures.KIND_WORDS[kind]} here, not {value.type}", node.at, cure)
    return coercion.cast(value, types.DOUBLE, node.at) if kind == "d" else value


def _plain_options(node: syntax.Call) -> list[tuple[str, Value]]:
    return [(name, value) for name, value in node.options if isinstance(value, str | bool)]


def _count(required: int, most: int, repeated: bool) -> str:
    plural = "argument" if required == 1 and most == 1 else "arguments"
    if repeated:
        return f"at least {required} {'argument' if required == 1 else 'arguments'}"
    return f"{required} {plural}" if required == most else f"{required} to {most} arguments"


def _usage(name: str, shape: list[tuple[str, bool, bool]]) -> str:
    parts = []
    for kind, optional, repeated in shape:
        text = signatures.KIND_WORDS[kind].split()[-1] + (", ..." if repeated else "")
        parts.append(f"[{text}]" if optional else text)
    return f"{name}({', '.join(parts)})"


_TIME_UNITS = ("HOUR", "MINUTE", "SECOND", "MILLISECOND")
_UNITS = {
    Kind.DATE: (*"YEAR QUARTER MONTH WEEK DAY DOW ISODOW ISOYEAR DOY EPOCH DECADE CENTURY MILLENNIUM".split(),),
    Kind.TIME: _TIME_UNITS,
    Kind.INTERVAL_DAY: ("DAY", *_TIME_UNITS),
    Kind.INTERVAL_YEAR: ("YEAR", "QUARTER", "MONTH"),
}


def _check_unit(unit: str, type_: Type, at: At) -> None:
    units = _UNITS.get(type_.kind)
    if units is not None and unit not in units:
        cure = f"it has {', '.join(units)}" if type_.kind is not Kind.DATE else "CAST it AS TIMESTAMP(3)"
        raise Refusal(f"{'a DATE' if type_.kind is Kind.DATE else type_} has no {unit}", at, cure)


def _round_time(binder: Bind, node: syntax.Call, unit: str) -> Expr:
    value = argument(binder, node.name, node.args[0], "t")
    _check_unit(unit, value.type, node.at)
    shown = coercion.local(value, types.TIMESTAMP)
    made = Call(shown.type, f"{node.name}_TIME", (shown,), (("unit", unit),), node.at)
    if shown is value:
        return made
    return Call(value.type, "INSTANT", (made, value), (("zone", in_force().zone),), node.at)


# ---------------------------------------------------------------- rules of their own


def _arity(node: syntax.Call, least: int, most: int | None = None) -> None:
    top = least if most is None else most
    if not least <= len(node.args) <= top:
        raise Refusal(f"{node.name} takes {_count(least, min(top, 99), top > 99)}", node.at)


def _coalesce(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 2 if node.name == "IFNULL" else 1, 2 if node.name == "IFNULL" else 1000)
    return _merged("COALESCE", [binder.bind(each) for each in node.args], node.at)


def _merged(name: str, args: list[Expr], at: At) -> Expr:
    target = coercion.common_type([arg.type for arg in args])
    if target is None:
        shown = " and ".join(sorted({str(arg.type) for arg in args}))
        raise Refusal(f"{name} mixes {shown}", at, "CAST them to one type")
    return Call(target, name, tuple(coercion.cast(arg, target, arg.at) for arg in args), at=at)


def _extreme(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 1, 1000)
    args = [binder.value(each) for each in node.args]
    for arg in args:
        if coercion.comparable(arg.type, arg.type) is None:
            raise Refusal(f"{node.name} does not order {arg.type}", arg.at)
    return _merged(node.name, args, node.at)


def _nullif(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 2)
    first, second = binder.value(node.args[0]), binder.bind(node.args[1])
    pair = comparison_operands(first, second, "NULLIF", node.at)
    if pair[0].type == first.type:
        return Call(first.type, "NULLIF", pair, at=node.at)
    equal = Call(types.BOOLEAN, "=", pair, at=node.at)
    return case_call([equal], [Literal(first.type, None, node.at), first], node.at)


def _if(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 3)
    condition = binder.condition(node.args[0], "the first argument of IF")
    return case_call([condition], [binder.value(node.args[1]), binder.value(node.args[2])], node.at)


def _modulo(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 2)
    return arithmetic("%", binder.value(node.args[0]), binder.value(node.args[1]), node.at)


def _round(binder: Bind, node: syntax.Call) -> Expr:
    """ROUND and TRUNCATE: a DECIMAL's scale follows the constant number of digits."""
    _arity(node, 1, 2)
    value = argument(binder, node.name, node.args[0], "n")
    digits: Expr = Literal(types.INT, 0, node.at)
    if len(node.args) == 2:
        digits = argument(binder, node.name, node.args[1], "i")
    result = value.type
    if result.kind is Kind.DECIMAL:
        if not isinstance(digits, Literal) or not isinstance(digits.value, int):
            raise Refusal(f"{node.name} of a DECIMAL needs a constant number of digits", digits.at)
        result = _rounded(result, digits.value)
    return Call(result, node.name, (value, digits), at=node.at)


def _rounded(type_: Type, digits: int) -> Type:
    if digits >= type_.scale:
        return type_
    if digits < 0:
        return decimal(min(38, 1 + type_.precision - type_.scale), 0)
    return decimal(min(38, 1 + type_.precision - type_.scale + digits), digits)


def _timestamp_add(binder: Bind, node: syntax.Call) -> Expr:
    amount = argument(binder, node.name, node.args[0], "i")
    value = argument(binder, node.name, node.args[1], "t")
    options = _plain_options(node)
    _check_unit(str(dict(options)["unit"]), value.type, node.at)
    return Call(value.type, "TIMESTAMPADD", (amount, value), tuple(options), node.at)


def _json_value(binder: Bind, node: syntax.Call) -> Expr:
    """Arguments: the JSON text, then the DEFAULT of ON EMPTY and of ON ERROR, where given."""
    written = dict(node.options)
    returning = written.get("returning", types.STRING)
    result = returning if isinstance(returning, Type) else types.STRING
    args = [argument(binder, node.name, node.args[0], "s")]
    options: dict[str, Value] = {"on_empty": "NULL", "on_error": "NULL", **dict(_plain_options(node))}
    for event in ("on_empty_default", "on_error_default"):
        default = written.get(event)
        if default is None or isinstance(default, str | bool | Type):
            continue
        value = binder.bind(default)
        if result.kind is Kind.STRING and value.type.kind is not Kind.STRING and isinstance(value, Literal):
            value = value if value.value is None else Literal(types.STRING, str(value.value), value.at)
        if not coercion.stores(value.type, result):
            raise Refusal(f"the DEFAULT is {value.type}, JSON_VALUE returns {result}", value.at)
        args.append(coercion.cast(value, result, value.at))
    return Call(result, "JSON_VALUE", tuple(args), tuple(sorted(options.items())), node.at)


def _json_query(binder: Bind, node: syntax.Call) -> Expr:
    returning = dict(node.options).get("returning", types.STRING)
    result = returning if isinstance(returning, Type) else types.STRING
    options = dict(_plain_options(node))
    if result.kind is Kind.ARRAY and "EMPTY OBJECT" in options.values():
        raise Refusal("EMPTY OBJECT is no ARRAY<STRING>", node.at, "EMPTY ARRAY ON EMPTY")
    text = argument(binder, node.name, node.args[0], "s")
    return Call(result, "JSON_QUERY", (text,), tuple(sorted(options.items())), node.at)


def _row(binder: Bind, node: syntax.Call) -> Expr:
    """ROW(...): a field made of a column or a ROW field takes its name, others are EXPR$0, EXPR$1."""
    _arity(node, 1, 1000)
    args = [binder.value(each) for each in node.args]
    names: list[str] = []
    for index, arg in enumerate(args):
        name = f"EXPR${index}"
        if isinstance(arg, ColumnRef):
            name = arg.name.rpartition(".")[2]
        elif isinstance(arg, Call) and arg.function == "FIELD":
            name = str(dict(arg.options)["name"])
        names.append(name if name not in names else f"{name}{index}")
    fields = [Field(name, arg.type) for name, arg in zip(names, args, strict=True)]
    return Call(types.row(*fields), "ROW", tuple(args), at=node.at)


def _array(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 1, 1000)
    merged = _merged("ARRAY", [binder.bind(each) for each in node.args], node.at)
    assert isinstance(merged, Call)
    return Call(types.array(merged.type), "ARRAY", merged.args, at=node.at)


def _map(binder: Bind, node: syntax.Call) -> Expr:
    if len(node.args) % 2:
        raise Refusal("MAP takes keys and values in turn", node.at, "MAP['a', 1, 'b', 2]")
    bound = [binder.bind(each) for each in node.args]
    keys = _merged("MAP", bound[0::2], node.at)
    values = _merged("MAP", bound[1::2], node.at)
    assert isinstance(keys, Call)
    assert isinstance(values, Call)
    args = tuple(each for pair in zip(keys.args, values.args, strict=True) for each in pair)
    return Call(types.mapping(keys.type, values.type), "MAP", args, at=node.at)


def _array_contains(binder: Bind, node: syntax.Call) -> Expr:
    _arity(node, 2)
    array = argument(binder, node.name, node.args[0], "a")
    needle = binder.bind(node.args[1])
    element = array.type.element or types.NULL
    if not coercion.stores(needle.type, element):
        raise Refusal(f"the array holds {element}, not {needle.type}", needle.at, "CAST the value")
    return Call(types.BOOLEAN, "ARRAY_CONTAINS", (array, coercion.cast(needle, element, needle.at)), at=node.at)


_SPECIAL: dict[str, Callable[[Bind, syntax.Call], Expr]] = {
    "COALESCE": _coalesce,
    "IFNULL": _coalesce,
    "NULLIF": _nullif,
    "IF": _if,
    "GREATEST": _extreme,
    "LEAST": _extreme,
    "MOD": _modulo,
    "ROUND": _round,
    "TRUNCATE": _round,
    "TIMESTAMPADD": _timestamp_add,
    "JSON_VALUE": _json_value,
    "JSON_QUERY": _json_query,
    "ROW": _row,
    "ARRAY": _array,
    "MAP": _map,
    "ARRAY_CONTAINS": _array_contains,
    **collection_rules.RULES,
}
