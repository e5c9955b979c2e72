"""SQL expressions over facts and inputs, as surfaces write them: conditions of filters and computed features.

`"inventory.stock > 2"`, `"bought.heat * SQRT(trending.heat)"`: every `table.column` is a fact bound by key names, every
`inputs.name` a value of the request. The expression is planned when surfaces compile and evaluated in columns, with the
functions and the NULL rules of the SQL room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.facts import Fact
from nextpaint.process.functions.compile import Evaluator, compile_expr
from nextpaint.process.functions.evaluation import Evaluation
from nextpaint.record.columns import Column
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import Type
from nextpaint.sql.plan import At, Expr
from nextpaint.sql.planner import plan_condition, plan_number

Planner = Callable[[str, Mapping[str, Type], At], tuple[Expr, tuple[str, ...]]]


@dataclass(frozen=True, eq=False)
class Expression:
    """A compiled expression; its column i is `operands[i]`, a fact or the name of an input, of type `types[i]`."""

    text: str
    operands: tuple[Fact | str, ...]
    types: tuple[Type, ...]
    evaluate: Evaluator

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(each for each in self.operands if isinstance(each, Fact))

    def columns(self, candidates: Candidates, context: Context) -> tuple[Column, ...]:
        """The operands' values, one column each, one row per candidate."""
        everyone = np.zeros(len(candidates), np.int64)
        return tuple(
            Column.of(type_, [context.request.inputs.get(operand)]).take(everyone)
            if isinstance(operand, str)
            else operand.read(candidates, context)
            for operand, type_ in zip(self.operands, self.types, strict=True)
        )

    def value(self, candidates: Candidates, context: Context) -> tuple[Column, list[int]]:
        """The expression's value per candidate, and the rows on which it failed (1 / 0)."""
        evaluation = Evaluation(self.columns(candidates, context), len(candidates), context.time_ms)
        result = self.evaluate(evaluation)
        return result, list(evaluation.failures.rows)


def condition(text: str, binder: Binder) -> Expression | None:
    """A BOOLEAN expression; None after reporting what is wrong with it."""
    return _bound(text, binder, plan_condition)


def number(text: str, binder: Binder) -> Expression | None:
    """A numeric expression; None after reporting what is wrong with it."""
    return _bound(text, binder, plan_number)


def _bound(text: str, binder: Binder, plan: Planner) -> Expression | None:
    columns = binder.columns()
    try:
        expression, names = plan(text, columns, binder.at)
    except ApplicationError as error:
        binder.diagnostics.extend(error.diagnostics)
        return None
    operands: list[Fact | str] = []
    for name in names:
        if name.startswith("inputs."):
            operands.append(name.removeprefix("inputs."))
            continue
        fact = binder.fact(name, repr(text))
        if fact is None:
            return None
        operands.append(fact)
    types = tuple(columns[name] for name in names)
    return Expression(text, tuple(operands), types, compile_expr(expression))
