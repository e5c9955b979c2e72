"""The grammar of expressions, by precedence as Flink's parser has it.

From loose to tight: OR, AND, NOT, IS, comparison, IN BETWEEN LIKE, + -, * / % ||, unary sign, `[ ]` and `.field`.
Special function syntax (CAST, EXTRACT, TRIM, JSON_VALUE ...) is one rule per function in `function_grammar`.
"""

from __future__ import annotations

from collections.abc import Callable

from nextpaint.sql import function_grammar
from nextpaint.sql.call_grammar import SYNONYMS
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind
from nextpaint.sql.interval_grammar import parse_interval
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import (
    Between,
    Binary,
    Call,
    Constant,
    Expression,
    FieldOf,
    Frame,
    Hex,
    Ident,
    InList,
    Is,
    IsDistinct,
    Item,
    Like,
    Name,
    Number,
    OrderItem,
    Over,
    Query,
    String,
    Subquery,
    TimeLiteral,
    Unary,
)
from nextpaint.sql.syntax import (
    Case as CaseWhen,
)
from nextpaint.sql.unicode_grammar import parse_unicode

_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_FACTORS = ("*", "/", "%", "||")
_JSON_KINDS = ("VALUE", "OBJECT", "ARRAY", "SCALAR")
_NO_PARENTHESES = ("CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME")


def parse_expression(cursor: Cursor) -> Expression:
    """An expression of any kind; the binder decides whether it is a condition."""
    with cursor.nested():
        return _disjunction(cursor)


def _disjunction(cursor: Cursor) -> Expression:
    return _left(cursor, ("OR",), _conjunction)


def _conjunction(cursor: Cursor) -> Expression:
    return _left(cursor, ("AND",), _negation)


def _left(cursor: Cursor, operators: tuple[str, ...], operand: Callable[[Cursor], Expression]) -> Expression:
    """A left-associative chain of binary operators. It nests as deep as it is long, so the length is bounded."""
    start = cursor.at
    result = operand(cursor)
    length = 0
    while cursor.sees_any(*operators):
        length += 1
        if length > function_grammar.CHAIN_MAX:
            raise Refusal(
                f"more than {function_grammar.CHAIN_MAX} operators in a row", cursor.at, "split the expression"
            )
        operator = cursor.advance()
        result = Binary(operator.text.upper(), result, operand(cursor), start)
    return result


def _negation(cursor: Cursor) -> Expression:
    start = cursor.at
    if not cursor.take("NOT"):
        return _is(cursor)
    with cursor.nested():
        return Unary("NOT", _negation(cursor), start)


def _is(cursor: Cursor) -> Expression:
    start = cursor.at
    result = _comparison(cursor)
    while cursor.take("IS"):
        negated = cursor.take("NOT")
        if cursor.take("DISTINCT", "FROM"):
            result = IsDistinct(result, _comparison(cursor), negated, start)
            continue
        result = Is(result, _is_what(cursor), negated, start)
    return result


def _is_what(cursor: Cursor) -> str:
    for what in ("NULL", "TRUE", "FALSE", "UNKNOWN"):
        if cursor.take(what):
            return what
    if cursor.take("JSON"):
        for kind in _JSON_KINDS:
            if cursor.take(kind):
                return f"JSON {kind}"
        return "JSON VALUE"
    raise Refusal(
        f"expected NULL, TRUE, FALSE, UNKNOWN, JSON or DISTINCT FROM after IS but found {cursor.current}", cursor.at
    )


def _comparison(cursor: Cursor) -> Expression:
    start = cursor.at
    result = _range(cursor)
    while cursor.current.kind is Kind.SIGN and cursor.current.text in _COMPARISONS:
        operator = cursor.advance().text
        if cursor.sees_any("ANY", "SOME", "ALL"):
            result = _quantified(cursor, operator, result)
        else:
            result = Binary(operator, result, _range(cursor), start)
    return result


def _quantified(cursor: Cursor, operator: str, operand: Expression) -> Expression:
    """`x < ANY (SELECT ...)`: `= ANY` is IN, `<> ALL` is NOT IN."""
    word = cursor.advance()
    form = "ALL" if word.upper == "ALL" else "ANY"
    if not sees_query(cursor):
        raise Refusal(f"expected a query in parentheses after {word.upper} but found {cursor.current}", cursor.at)
    query = _query(cursor)
    if (operator, form) in (("=", "ANY"), ("<>", "ALL")):
        return Subquery("IN", query, operand, form == "ALL", word.at)
    if operator in ("=", "<>"):
        raise Refusal(f"{operator} {form} (SELECT ...) is not supported", word.at, "use IN, or compare MIN and MAX")
    return Subquery(form, query, operand, at=word.at, operator=operator)


def _range(cursor: Cursor) -> Expression:
    start = cursor.at
    result = _terms(cursor)
    while True:
        negated = cursor.sees("NOT") and any(cursor.sees("NOT", word) for word in ("IN", "BETWEEN", "LIKE", "SIMILAR"))
        if negated:
            cursor.advance()
        if cursor.sees("OVERLAPS"):
            raise Refusal("OVERLAPS is not supported", cursor.at, "write a.start < b.end AND b.start < a.end")
        if cursor.take("IN"):
            result = _in(cursor, result, negated, start)
        elif cursor.take("BETWEEN"):
            symmetric = cursor.take("SYMMETRIC")
            cursor.take("ASYMMETRIC")
            low = _terms(cursor)
            cursor.expect("AND")
            result = Between(result, low, _terms(cursor), negated, start, symmetric)
        elif cursor.sees("LIKE") or cursor.sees("SIMILAR", "TO"):
            similar = not cursor.take("LIKE") and cursor.take("SIMILAR", "TO")
            pattern = _terms(cursor)
            escape = _terms(cursor) if cursor.take("ESCAPE") else None
            result = Like(result, pattern, escape, negated, start, similar)
        else:
            return result


def sees_query(cursor: Cursor) -> bool:
    """Does a query in parentheses begin here?"""
    return cursor.sees("(") and cursor.peek().upper in ("SELECT", "WITH", "VALUES")


def _in(cursor: Cursor, operand: Expression, negated: bool, start: At) -> Expression:
    if sees_query(cursor):
        return Subquery("IN", _query(cursor), operand, negated, start)
    return InList(operand, cursor.in_parentheses(lambda: parse_expression(cursor)), negated, start)


def _terms(cursor: Cursor) -> Expression:
    return _left(cursor, ("+", "-"), _factors)


def _factors(cursor: Cursor) -> Expression:
    return _left(cursor, _FACTORS, _signed)


def _signed(cursor: Cursor) -> Expression:
    start = cursor.at
    if cursor.current.kind is Kind.SIGN and cursor.current.text in ("-", "+"):
        operator = cursor.advance().text
        with cursor.nested():
            return Unary(operator, _signed(cursor), start)
    return _postfix(cursor)


def _postfix(cursor: Cursor) -> Expression:
    start, wrapped = cursor.at, cursor.sees("(")  # `(r).a` is a field, and `r.a` a name
    result = _primary(cursor)
    while True:
        if cursor.take("["):
            key = parse_expression(cursor)
            cursor.expect("]")
            result = Item(result, key, start)
        elif cursor.sees(".") and (wrapped or not isinstance(result, Name)):
            cursor.advance()
            result = FieldOf(result, cursor.identifier("a field name"), start)
        else:
            return result


def _primary(cursor: Cursor) -> Expression:
    token = cursor.current
    if token.kind is Kind.NUMBER:
        cursor.advance()
        return Number(token.text, token.at)
    if token.kind is Kind.STRING:
        cursor.advance()
        if cursor.current.kind is Kind.STRING:
            raise Refusal("two strings in a row", cursor.at, "join them with ||")
        return String(token.text, token.at)
    if token.kind is Kind.UNICODE:
        return parse_unicode(cursor)
    if token.kind is Kind.HEX:
        cursor.advance()
        return Hex(token.text, token.at)
    if token.kind is Kind.QUOTED:
        return _name(cursor)
    if token.kind is Kind.SIGN and token.text == "(":
        return _parenthesised(cursor)
    rule = _KEYWORDS.get(token.upper)
    if rule is not None:
        found = rule(cursor)
        if found is not None:
            return found
    if token.kind is Kind.WORD and cursor.peek().text == "(" and cursor.peek().kind is Kind.SIGN:
        return parse_call(cursor)
    if token.kind is Kind.WORD:
        return _name(cursor)
    raise Refusal(f"expected an expression but found {token}", token.at)


def _name(cursor: Cursor) -> Name:
    start = cursor.at
    parts = [cursor.identifier("an expression")]
    while cursor.sees(".") and not (cursor.peek().kind is Kind.SIGN and cursor.peek().text == "*"):
        cursor.advance()
        parts.append(cursor.identifier("a name after '.'"))
    return Name(tuple(parts), start)


def _parenthesised(cursor: Cursor) -> Expression:
    start = cursor.at
    if sees_query(cursor):
        return Subquery("value", _query(cursor), at=start)
    items = cursor.in_parentheses(lambda: parse_expression(cursor))
    if len(items) == 1:
        return items[0]
    return Call("ROW", items, at=start)


# ---------------------------------------------------------------- keywords that begin an expression


def _constant(value: bool | None) -> Callable[[Cursor], Expression]:
    def rule(cursor: Cursor) -> Expression:
        return Constant(value, cursor.advance().at)

    return rule


def _case(cursor: Cursor) -> Expression:
    start = cursor.advance().at
    operand = None if cursor.sees("WHEN") else parse_expression(cursor)
    whens: list[tuple[Expression, Expression]] = []
    while cursor.take("WHEN"):
        conditions = [parse_expression(cursor)]
        while operand is not None and cursor.take(","):
            conditions.append(parse_expression(cursor))
        cursor.expect("THEN")
        result = parse_expression(cursor)
        whens += [(each, result) for each in conditions]
    if not whens:
        raise Refusal(f"expected WHEN but found {cursor.current}", cursor.at)
    default = parse_expression(cursor) if cursor.take("ELSE") else None
    cursor.expect("END")
    return CaseWhen(operand, tuple(whens), default, start)


def _interval(cursor: Cursor) -> Expression:
    return parse_interval(cursor)


def _time_literal(cursor: Cursor) -> Expression | None:
    if cursor.peek().kind is not Kind.STRING:
        return None
    word = cursor.advance()
    return TimeLiteral(word.upper, cursor.advance().text, word.at)


def _array_or_map(cursor: Cursor) -> Expression | None:
    if not (cursor.peek().kind is Kind.SIGN and cursor.peek().text == "["):
        return None
    word = cursor.advance()
    cursor.expect("[")
    if cursor.sees("]"):
        raise Refusal(f"an empty {word.upper} has no type", word.at, f"write CAST(NULL AS {word.upper}<...>)")
    items = cursor.comma_separated(lambda: parse_expression(cursor))
    cursor.expect("]")
    return Call(word.upper, items, at=word.at)


def _no_parentheses(cursor: Cursor) -> Expression:
    word = cursor.advance()
    if cursor.sees("("):
        raise Refusal(f"{word.upper} is written without parentheses", cursor.at)
    return Call(word.upper, (), at=word.at)


def _exists(cursor: Cursor) -> Expression:
    start = cursor.expect("EXISTS").at
    return Subquery("EXISTS", _query(cursor), at=start)


def _query(cursor: Cursor) -> Query:
    """`(SELECT ...)`."""
    from nextpaint.sql.query_grammar import parse_query  # queries hold expressions, which hold queries

    cursor.expect("(")
    query = parse_query(cursor)
    cursor.expect(")")
    return query


_KEYWORDS: dict[str, Callable[[Cursor], Expression | None]] = {
    "TRUE": _constant(True),
    "FALSE": _constant(False),
    "NULL": _constant(None),
    "UNKNOWN": _constant(None),
    "CASE": _case,
    "INTERVAL": _interval,
    "DATE": _time_literal,
    "TIME": _time_literal,
    "TIMESTAMP": _time_literal,
    "ARRAY": _array_or_map,
    "MAP": _array_or_map,
    "EXISTS": _exists,
    **dict.fromkeys(_NO_PARENTHESES, _no_parentheses),
}


# ---------------------------------------------------------------- calls


def parse_call(cursor: Cursor) -> Expression:
    """`F(...)` with its FILTER and OVER."""
    name = cursor.advance()
    special = function_grammar.SPECIAL.get(name.upper)
    if special is not None:
        return special(cursor, name, parse_expression)
    cursor.expect("(")
    star = distinct = False
    args: tuple[Expression, ...] = ()
    if cursor.take("*"):
        star = True
    elif not cursor.sees(")"):
        distinct = cursor.take("DISTINCT")
        if not distinct:
            cursor.take("ALL")
        args = cursor.comma_separated(lambda: parse_expression(cursor))
    if cursor.sees_any("ORDER", "SEPARATOR"):
        raise Refusal(f"{cursor.current.upper} inside {name.upper}(...) is not supported", cursor.at)
    cursor.expect(")")
    condition = None
    if cursor.sees_any("IGNORE", "RESPECT") and cursor.peek().upper == "NULLS":
        raise Refusal(
            f"{cursor.current.upper} NULLS is not supported", cursor.at, "filter NULLs with FILTER (WHERE ...)"
        )
    if cursor.sees("WITHIN", "GROUP"):
        raise Refusal("WITHIN GROUP is not supported", cursor.at)
    if cursor.take("FILTER"):
        cursor.expect("(", "WHERE")
        condition = parse_expression(cursor)
        cursor.expect(")")
    over = _over(cursor) if cursor.take("OVER") else None
    return Call(SYNONYMS.get(name.upper, name.upper), args, (), star, distinct, condition, over, name.at)


def _over(cursor: Cursor) -> Over:
    if not cursor.sees("("):
        start = cursor.at
        return Over(cursor.identifier("a window name"), (), (), None, start)
    return parse_window(cursor)


def parse_window(cursor: Cursor) -> Over:
    """`([base] [PARTITION BY ..] [ORDER BY ..] [RANGE|ROWS ..])`."""
    start = cursor.expect("(").at
    base: Ident | None = None
    if cursor.sees_identifier() and not cursor.sees_any("PARTITION", "ORDER", "RANGE", "ROWS"):
        base = cursor.identifier("a window name")
    partition: tuple[Expression, ...] = ()
    if cursor.take("PARTITION"):
        cursor.expect("BY")
        partition = cursor.comma_separated(lambda: parse_expression(cursor))
    order: tuple[OrderItem, ...] = ()
    if cursor.take("ORDER"):
        cursor.expect("BY")
        order = cursor.comma_separated(lambda: parse_order_item(cursor))
    frame = _frame(cursor) if cursor.sees_any("RANGE", "ROWS", "GROUPS") else None
    cursor.expect(")")
    return Over(base, partition, order, frame, start)


def _frame(cursor: Cursor) -> Frame:
    unit = cursor.advance()
    if unit.upper == "GROUPS":
        raise Refusal("GROUPS frames are not supported", unit.at, "use ROWS or RANGE")
    both = cursor.take("BETWEEN")
    at = cursor.at
    if cursor.take("UNBOUNDED"):
        preceding = None
    elif cursor.sees("CURRENT"):
        raise Refusal("a frame that starts at CURRENT ROW is not supported", at, "use ROWS BETWEEN 0 PRECEDING")
    else:
        preceding = parse_expression(cursor)
    if cursor.sees("FOLLOWING"):
        raise Refusal("FOLLOWING is not supported in a stream", cursor.at, "end the frame at CURRENT ROW")
    cursor.expect("PRECEDING")
    if both:
        cursor.expect("AND")
        if not cursor.sees("CURRENT", "ROW"):
            raise Refusal("a frame must end at CURRENT ROW", cursor.at, "write AND CURRENT ROW")
        cursor.expect("CURRENT", "ROW")
    if cursor.sees("EXCLUDE"):
        raise Refusal("EXCLUDE is not supported", cursor.at)
    return Frame(unit.upper, preceding, unit.at)


def parse_order_item(cursor: Cursor) -> OrderItem:
    """`x [ASC|DESC] [NULLS FIRST|LAST]`; NULLs are the smallest unless said otherwise."""
    start = cursor.at
    expression = parse_expression(cursor)
    descending = cursor.take("DESC")
    if not descending:
        cursor.take("ASC")
    nulls_first = not descending
    if cursor.take("NULLS", "FIRST"):
        nulls_first = True
    elif cursor.take("NULLS", "LAST"):
        nulls_first = False
    return OrderItem(expression, descending, nulls_first, start)


__all__ = ["parse_call", "parse_expression", "parse_order_item", "parse_window"]
