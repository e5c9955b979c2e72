"""From a syntax tree to a typed expression: names resolved, types checked, implicit casts written out.

One method per kind of node, found by its class. A `replace` hook sees every node first: that is how grouped queries put
aggregates and group keys in the place of what was written. Raises Refusal at the innermost wrong place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from nextpaint.record import types
from nextpaint.record.columns import Value
from nextpaint.record.types import Kind
from nextpaint.sql import coercion, literals, syntax
from nextpaint.sql.function_rules import function_call
from nextpaint.sql.operators import arithmetic, case_call, comparison_operands, negated, sign_type
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Literal
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.scope import Names, field_of
from nextpaint.sql.user_functions import in_force

Replace = Callable[[syntax.Expression], Expr | None]

_TIME_KINDS = {"DATE": Kind.DATE, "TIME": Kind.TIME, "TIMESTAMP": Kind.TIMESTAMP}
_INTERVALS = (Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR)


class Binder:
    """`names` gives columns; `replace` may answer for a node before the rules do."""

    def __init__(self, names: Names, replace: Replace | None = None) -> None:
        self._names = names
        self._replace = replace

    def bind(self, node: syntax.Expression) -> Expr:
        """The typed form of `node`."""
        if self._replace is not None:
            found = self._replace(node)
            if found is not None:
                return found
        return _RULES[type(node)](self, node)

    def value(self, node: syntax.Expression) -> Expr:
        """A typed value; a bare NULL is refused as Flink does."""
        result = self.bind(node)
        if result.type.kind is Kind.NULL:
            raise Refusal("NULL has no type here", result.at, "write CAST(NULL AS type)")
        return result

    def condition(self, node: syntax.Expression, what: str) -> Expr:
        """A BOOLEAN value."""
        result = self.value(node)
        if result.type.kind is not Kind.BOOLEAN:
            raise Refusal(f"{what} must be a condition, not {result.type}", node.at)
        return result

    def number_value(self, node: syntax.Expression, what: str) -> Expr:
        """A numeric value."""
        result = self.value(node)
        if not result.type.is_numeric:
            raise Refusal(f"{what} must be a number, not {result.type}", node.at)
        return result

    # ------------------------------------------------------------ leaves

    def name(self, node: syntax.Name) -> Expr:
        return self._names.resolve(node)

    def star(self, node: syntax.Star) -> Expr:
        raise Refusal("* stands alone in a SELECT list", node.at, "name the columns")

    def number(self, node: syntax.Number) -> Expr:
        return literals.number(node.text, node.at)

    def string(self, node: syntax.String) -> Expr:
        return Literal(types.STRING, node.text, node.at)

    def hexadecimal(self, node: syntax.Hex) -> Expr:
        try:
            return Literal(types.BYTES, bytes.fromhex(node.text), node.at)
        except ValueError:
            raise Refusal(f"x'{node.text}' is not hexadecimal", node.at, "two digits for each byte") from None

    def constant(self, node: syntax.Constant) -> Expr:
        return Literal(types.NULL if node.value is None else types.BOOLEAN, node.value, node.at)

    def time_literal(self, node: syntax.TimeLiteral) -> Expr:
        return literals.time_value(_TIME_KINDS[node.kind], node.text, node.at)

    def interval(self, node: syntax.IntervalLiteral) -> Expr:
        return Literal(types.INTERVAL_YEAR if node.months else types.INTERVAL_DAY, node.amount, node.at)

    def subquery(self, node: syntax.Subquery) -> Expr:
        raise Refusal(
            "a query as a value stands only in WHERE, HAVING and the SELECT list, outside of aggregates",
            node.at,
            "join the query in FROM, or aggregate over a query with it in its list",
        )

    # ------------------------------------------------------------ operators

    def unary(self, node: syntax.Unary) -> Expr:
        if node.operator == "NOT":
            return Call(types.BOOLEAN, "NOT", (self.condition(node.operand, "the operand of NOT"),), at=node.at)
        if node.operator == "-" and isinstance(node.operand, syntax.Number):
            return literals.number(node.operand.text, node.at, negative=True)
        operand = self.value(node.operand)
        if not operand.type.is_numeric and operand.type.kind not in _INTERVALS:
            raise Refusal(f"a sign before {operand.type}", node.at, "signs are for numbers")
        if node.operator == "+":
            return operand
        if isinstance(operand, Literal) and isinstance(operand.value, int):
            return Literal(operand.type, -operand.value, node.at)
        minus_one = coercion.cast(Literal(types.INT, -1, node.at), sign_type(operand.type), node.at)
        return Call(operand.type, "*", (minus_one, operand), at=node.at)

    def binary(self, node: syntax.Binary) -> Expr:
        if node.operator in ("AND", "OR"):
            sides = tuple(self.condition(side, f"an operand of {node.operator}") for side in (node.left, node.right))
            return Call(types.BOOLEAN, node.operator, sides, at=node.at)
        if node.operator in ("=", "<>") and (columns := _paired(node.left, node.right)):
            return negated(self._same_columns(columns, node.at), node.operator == "<>")
        if node.operator in ("=", "<>", "<", "<=", ">", ">="):
            return self.comparison(node.operator, self.bind(node.left), self.bind(node.right), node.at)
        return arithmetic(node.operator, self.value(node.left), self.value(node.right), node.at)

    def comparison(self, operator: str, left: Expr, right: Expr, at: At) -> Expr:
        """A comparison with both sides in one type; numbers and text are never compared."""
        pair = comparison_operands(left, right, operator, at)
        return Call(types.BOOLEAN, operator, pair, at=at)

    def _same_columns(self, pairs: list[tuple[syntax.Expression, syntax.Expression]], at: At) -> Call:
        """(a, b) = (c, d) is a = c AND b = d, also where one of them is NULL."""
        sides = [
            Call(types.BOOLEAN, "=", comparison_operands(self.bind(a), self.bind(b), "=", at), at=at) for a, b in pairs
        ]
        return reduce(lambda left, right: Call(types.BOOLEAN, "AND", (left, right), at=at), sides)

    def is_(self, node: syntax.Is) -> Expr:
        operand = self.bind(node.operand)
        if node.what in ("NULL", "UNKNOWN"):
            if node.what == "UNKNOWN":
                operand = self.condition(node.operand, "the operand of IS UNKNOWN")
            return Call(types.BOOLEAN, "IS NOT NULL" if node.negated else "IS NULL", (operand,), at=node.at)
        if node.what.startswith("JSON"):
            if operand.type.kind is not Kind.STRING:
                raise Refusal(f"IS JSON needs text, not {operand.type}", node.at)
            result: Expr = Call(types.BOOLEAN, "IS JSON", (operand,), (("kind", node.what[5:]),), node.at)
        else:
            operand = self.condition(node.operand, f"the operand of IS {node.what}")
            result = Call(types.BOOLEAN, f"IS {node.what}", (operand,), at=node.at)
        return Call(types.BOOLEAN, "NOT", (result,), at=node.at) if node.negated else result

    def is_distinct(self, node: syntax.IsDistinct) -> Expr:
        pair = comparison_operands(self.bind(node.left), self.bind(node.right), "IS DISTINCT FROM", node.at)
        result = Call(types.BOOLEAN, "IS DISTINCT FROM", pair, at=node.at)
        return Call(types.BOOLEAN, "NOT", (result,), at=node.at) if node.negated else result

    def in_list(self, node: syntax.InList) -> Expr:
        rows = [_paired(node.operand, item) for item in node.items]
        if all(rows):
            return self._any([self._same_columns(row, node.at) for row in rows], node)
        operand = self.value(node.operand)
        if operand.type.kind is Kind.ARRAY:
            return self._any([self.comparison("=", operand, self.bind(item), node.at) for item in node.items], node)
        items = [self.bind(item) for item in node.items]
        target = operand.type
        for item in items:
            comparison_operands(operand, item, "IN", item.at)
            target = coercion.common_type((target, item.type)) or target
        args = tuple(coercion.operand(each, target, each.at) for each in (operand, *items))
        return negated(Call(types.BOOLEAN, "IN", args, at=node.at), node.negated)

    def _any(self, equal: list[Expr], node: syntax.InList) -> Expr:
        """Is the operand equal to one of the items? `equal`: to each."""
        found = reduce(lambda left, right: Call(types.BOOLEAN, "OR", (left, right), at=node.at), equal)
        return Call(types.BOOLEAN, "NOT", (found,), at=node.at) if node.negated else found

    def between(self, node: syntax.Between) -> Expr:
        operand = self.value(node.operand)
        low = self.comparison(">=", operand, self.bind(node.low), node.at)
        high = self.comparison("<=", operand, self.bind(node.high), node.at)
        inside = Call(types.BOOLEAN, "AND", (low, high), at=node.at)
        if node.symmetric:
            above = self.comparison(">=", operand, self.bind(node.high), node.at)
            below = self.comparison("<=", operand, self.bind(node.low), node.at)
            swapped = Call(types.BOOLEAN, "AND", (above, below), at=node.at)
            inside = Call(types.BOOLEAN, "OR", (inside, swapped), at=node.at)
        return negated(inside, node.negated)

    def like(self, node: syntax.Like) -> Expr:
        args = tuple(self.value(part) for part in (node.operand, node.pattern))
        for each in args:
            if each.type.kind is not Kind.STRING:
                word = "SIMILAR TO" if node.similar else "LIKE"
                raise Refusal(f"{word} works on text, not {each.type}", each.at, "CAST it AS STRING")
        options: tuple[tuple[str, Value], ...] = ()
        if node.escape is not None:
            escape = self.value(node.escape)
            if not isinstance(escape, Literal) or not isinstance(escape.value, str) or len(escape.value) != 1:
                raise Refusal("the ESCAPE of LIKE is one character in quotes", escape.at, "ESCAPE '!'")
            options = (("escape", escape.value),)
        name = "SIMILAR" if node.similar else "LIKE"
        return negated(Call(types.BOOLEAN, name, args, options, at=node.at), node.negated)

    # ------------------------------------------------------------ CASE, CAST, access

    def case(self, node: syntax.Case) -> Expr:
        operand = self.value(node.operand) if node.operand is not None else None
        conditions: list[Expr] = []
        for when, _ in node.whens:
            if operand is None:
                conditions.append(self.condition(when, "WHEN"))
            else:
                conditions.append(self.comparison("=", operand, self.bind(when), when.at))
        branches = [self.bind(then) for _, then in node.whens]
        default = self.bind(node.default) if node.default is not None else Literal(types.NULL, None, node.at)
        return case_call(conditions, [*branches, default], node.at)

    def cast(self, node: syntax.Cast) -> Expr:
        operand = self.bind(node.operand)
        word = "TRY_CAST" if node.safe else "CAST"
        if not coercion.castable(operand.type, node.type):
            cure = "use TO_TIMESTAMP_LTZ(number, 3)" if operand.type.is_numeric and node.type.is_time else ""
            raise Refusal(f"{operand.type} cannot be cast to {node.type}", node.at, cure)
        attribute = isinstance(operand, ColumnRef) and node.type.is_time  # a cast ends a time attribute, as in Flink
        if operand.type == node.type and not attribute:
            return operand
        if operand.type.kind is Kind.NULL:
            return Literal(node.type, None, node.at)
        operand = coercion.local(operand, node.type)
        if node.type.kind is Kind.TIMESTAMP_LTZ and operand.type.kind is not Kind.TIMESTAMP_LTZ and in_force().zone:
            inner = types.Type(Kind.TIMESTAMP, precision=node.type.precision)
            return coercion.instant(Call(inner, word, (operand,), at=node.at), node.type, node.at)
        return Call(node.type, word, (operand,), at=node.at)

    def item(self, node: syntax.Item) -> Expr:
        operand, key = self.value(node.operand), self.value(node.key)
        if operand.type.kind is Kind.ARRAY and operand.type.element is not None:
            if key.type.kind not in types.INTEGERS:
                raise Refusal(
                    f"an array's index is an integer, not {key.type}", node.key.at, "the first element is [1]"
                )
            if isinstance(key, Literal) and isinstance(key.value, int) and key.value < 1:
                raise Refusal("array indices start at 1", node.key.at, "the first element is [1]")
            return Call(operand.type.element, "ITEM", (operand, key), at=node.at)
        if operand.type.kind is Kind.MAP and operand.type.element is not None and operand.type.key is not None:
            common = coercion.comparable(operand.type.key, key.type)
            if common is None:
                raise Refusal(f"the map's key is {operand.type.key}, not {key.type}", node.key.at)
            key = coercion.operand(key, operand.type.key, node.key.at)
            return Call(operand.type.element, "ITEM", (operand, key), at=node.at)
        raise Refusal(f"[ ] needs an array or map, not {operand.type}", node.at)

    def field(self, node: syntax.FieldOf) -> Expr:
        return field_of(self.value(node.operand), node.name)

    def call(self, node: syntax.Call) -> Expr:
        return function_call(self, node)


def _paired(left: syntax.Expression, right: syntax.Expression) -> list[tuple[syntax.Expression, syntax.Expression]]:
    """The columns of two rows that are written out, side by side; none when they are not."""
    if not isinstance(left, syntax.Call) or not isinstance(right, syntax.Call):
        return []
    if left.name != "ROW" or right.name != "ROW" or len(left.args) != len(right.args):
        return []
    return list(zip(left.args, right.args, strict=True))


_RULES: dict[type, Callable[[Binder, Any], Expr]] = {
    syntax.Name: Binder.name,
    syntax.Star: Binder.star,
    syntax.Number: Binder.number,
    syntax.String: Binder.string,
    syntax.Hex: Binder.hexadecimal,
    syntax.Constant: Binder.constant,
    syntax.TimeLiteral: Binder.time_literal,
    syntax.IntervalLiteral: Binder.interval,
    syntax.Subquery: Binder.subquery,
    syntax.Unary: Binder.unary,
    syntax.Binary: Binder.binary,
    syntax.Is: Binder.is_,
    syntax.IsDistinct: Binder.is_distinct,
    syntax.InList: Binder.in_list,
    syntax.Between: Binder.between,
    syntax.Like: Binder.like,
    syntax.Case: Binder.case,
    syntax.Cast: Binder.cast,
    syntax.Item: Binder.item,
    syntax.FieldOf: Binder.field,
    syntax.Call: Binder.call,
}
