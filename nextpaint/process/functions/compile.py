"""From a plan's expression to a function over columns.

    evaluate = compile_expr(expr)                       once per plan
    column = evaluate(Evaluation(batch.columns, len(batch), at_ms, failures))

Compiling checks functions, patterns and casts, folds constant parts, and raises ApplicationError with the place in
the SQL. Evaluating raises nothing for what the data holds: a row that fails gets NULL and an entry in `failures`.
`FUNCTIONS` is the closed set of functions. The session's time zone is UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nextpaint.process.functions import (
    angles,
    arrays,
    called,
    casts,
    comparisons,
    encodings,
    json,
    json_text,
    lists,
    logic,
    nested_keys,
    numbers,
    printf,
    scaled,
    strings,
    times,
    words,
    zones,
)
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Evaluator,
    Failures,
    Held,
    Kernel,
    Operand,
    cells_of,
    constant,
    filled,
    nulls,
)
from nextpaint.process.functions.logic import true_rows
from nextpaint.record.columns import BoolArray, Column, Value
from nextpaint.record.errors import ApplicationError, Diagnostic
from nextpaint.record.types import BOOLEAN, Kind, Type
from nextpaint.sql.plan import Call, ColumnRef, Expr, Literal

__all__ = [
    "FUNCTIONS",
    "Evaluation",
    "Evaluator",
    "Failures",
    "compile_expr",
    "compile_row",
    "evaluate_row",
    "predicate",
]

Builder = Callable[[Call, tuple[Operand, ...]], Operand]

FUNCTIONS: dict[str, Builder] = {
    **angles.FUNCTIONS,
    **arrays.FUNCTIONS,
    **called.FUNCTIONS,
    **encodings.FUNCTIONS,
    **json.FUNCTIONS,
    **json_text.FUNCTIONS,
    **lists.FUNCTIONS,
    **nested_keys.FUNCTIONS,
    **printf.FUNCTIONS,
    **strings.FUNCTIONS,
    **times.FUNCTIONS,
    **words.FUNCTIONS,
    **zones.FUNCTIONS,
    "+": times.build_plus,
    "-": times.build_minus,
    "*": times.build_times,
    "/": times.build_divide,
    "%": numbers.build_modulo,
    "MOD": numbers.build_modulo,
    "ABS": numbers.build_abs,
    "SIGN": numbers.build_sign,
    "ROUND": numbers.build_round,
    "TRUNCATE": numbers.build_truncate,
    "FLOOR": numbers.build_floor,
    "CEIL": numbers.build_ceil,
    "SQRT": numbers.build_sqrt,
    "POWER": numbers.build_power,
    "EXP": numbers.build_exp,
    "LN": numbers.build_ln,
    "LOG": numbers.build_log,
    "LOG2": numbers.build_log2,
    "LOG10": numbers.build_log10,
    "=": comparisons.build_equal,
    "<>": comparisons.build_not_equal,
    "<": comparisons.build_less,
    "<=": comparisons.build_less_equal,
    ">": comparisons.build_greater,
    ">=": comparisons.build_greater_equal,
    "IS DISTINCT FROM": comparisons.build_distinct,
    "IS NOT DISTINCT FROM": comparisons.build_not_distinct,
    "IN": comparisons.build_in,
    "GREATEST": comparisons.build_greatest,
    "LEAST": comparisons.build_least,
    "AND": logic.build_and,
    "OR": logic.build_or,
    "NOT": logic.build_not,
    "BETWEEN": logic.build_between,
    "IS NULL": logic.build_is_null,
    "IS NOT NULL": logic.build_is_not_null,
    "IS TRUE": logic.build_is_true,
    "IS NOT TRUE": logic.build_is_not_true,
    "IS FALSE": logic.build_is_false,
    "IS NOT FALSE": logic.build_is_not_false,
    "IS UNKNOWN": logic.build_is_null,
    "IS NOT UNKNOWN": logic.build_is_not_null,
    "CASE": logic.build_case,
    "IF": logic.build_if,
    "COALESCE": logic.build_coalesce,
    "IFNULL": logic.build_coalesce,
    "NULLIF": logic.build_nullif,
    "ONLY": logic.build_only,
    "REQUIRE": logic.build_require,
    "CAST": casts.build_cast,
    "TRY_CAST": casts.build_try_cast,
}

_READS_CLOCK = frozenset(
    {"CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "PROCTIME", "CURRENT_DATE", "CURRENT_TIME", "NOW", "UNIX_TIMESTAMP"}
)


def compile_expr(expr: Expr) -> Evaluator:
    """A function from the rows of an Evaluation to a column of `expr.type`. Raises ApplicationError."""
    operand = _compile(expr)
    type_ = expr.type
    if operand.column is not None:
        return _quiet_column(operand.column) if operand.warns else operand.column
    run = _silent(operand)
    whole = operand.scaled if type_.kind is Kind.DECIMAL else None

    def evaluate(ev: Evaluation) -> Column:
        numbers = whole(ev) if whole is not None else None
        if numbers is not None:
            return scaled.column_of(type_, numbers, ev.length)
        values, valid = run(ev)
        return Column(type_, values, valid)

    return evaluate


def predicate(expr: Expr) -> Callable[[Evaluation], BoolArray]:
    """A function to the mask of rows for which `expr` is TRUE, not FALSE and not NULL. Raises ApplicationError."""
    run = _silent(_compile(expr))
    return lambda ev: true_rows(run(ev))


def compile_row(expr: Expr) -> Callable[[tuple[Value, ...], int], Value]:
    """A function from one row of Python values and the clock (ms) to a value, for conditions of decisions. Compiling
    raises ApplicationError; evaluating raises ValueError with the reason if the row fails."""
    run = _silent(_compile(expr))
    types = _column_types(expr)
    width = max(types, default=-1) + 1
    unread = Column(BOOLEAN, np.zeros(1, np.bool_))

    def evaluate(values: tuple[Value, ...], at_ms: int) -> Value:
        columns = [unread] * width
        for index, type_ in types.items():
            value = values[index]
            held = nulls(type_, 1) if value is None else (filled(type_, value, 1), None)
            columns[index] = Column(type_, held[0], held[1])
        ev = Evaluation(tuple(columns), 1, at_ms)
        result: Value = cells_of(run(ev))[0]
        if ev.failures.rows:
            raise ValueError(ev.failures.rows[0])
        return result

    return evaluate


def evaluate_row(expr: Expr, values: tuple[Value, ...], at_ms: int = 0) -> Value:
    """One row, once; keep `compile_row(expr)` where the same expression is asked often."""
    return compile_row(expr)(values, at_ms)


def _column_types(expr: Expr) -> dict[int, Type]:
    if isinstance(expr, ColumnRef):
        return {expr.index: expr.type}
    found: dict[int, Type] = {}
    for each in expr.args if isinstance(expr, Call) else ():
        found.update(_column_types(each))
    return found


def _silent(operand: Operand) -> Kernel:
    """Overflow and division by zero are values in SQL; NumPy's warnings about them are switched off once per call."""
    run = operand.run
    if not operand.warns:
        return run

    def kernel(ev: Evaluation) -> Held:
        with np.errstate(all="ignore"):
            return run(ev)

    return kernel


def _quiet_column(column: Evaluator) -> Evaluator:
    def evaluate(ev: Evaluation) -> Column:
        with np.errstate(all="ignore"):
            return column(ev)

    return evaluate


def _compile(expr: Expr) -> Operand:
    if isinstance(expr, Literal):
        return replace(constant(expr.type, expr.value), scaled=scaled.of_literal(expr.type, expr.value))
    if isinstance(expr, ColumnRef):
        index = expr.index

        def read(ev: Evaluation) -> Held:
            column = ev.columns[index]
            return column.values, column.valid

        return Operand(
            expr.type,
            read,
            frozenset({index}),
            column=lambda ev: ev.columns[index],
            scaled=scaled.of_column(expr.type, index),
        )
    operands = tuple([_compile(each) for each in expr.args])
    builder = FUNCTIONS.get(expr.function)
    if builder is None:
        raise _refused(expr, f"the function {expr.function} is not known", "see the list of SQL functions")
    try:
        operand = scaled.improved(expr, builder(expr, operands), operands)
    except (ValueError, TypeError, IndexError) as wrong:
        raise _refused(expr, f"{expr.function}: {wrong}", "") from wrong
    return _folded(expr, operand, operands)


def _refused(call: Call, what: str, cure: str) -> ApplicationError:
    return ApplicationError([Diagnostic(call.at.file, call.at.line, call.at.column, what, cure)])


def _folded(call: Call, operand: Operand, operands: tuple[Operand, ...]) -> Operand:
    """The constant, if all arguments are constants and the row does not fail."""
    if (
        operand.constant
        or call.function in ("PYTHON", "PREDICT")
        or call.function in _READS_CLOCK
        or not all(each.constant for each in operands)
    ):
        return operand
    ev = Evaluation((), 1)
    value = cells_of(_silent(operand)(ev))[0]
    if ev.failures.rows:
        return operand
    return replace(constant(operand.type, value), scaled=scaled.of_literal(operand.type, value))
