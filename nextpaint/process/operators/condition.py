"""The further condition of a join: which of the joined rows pass it.

Comparisons of integers, times and text joined by AND, the usual case, run as plain Python on the row; anything else is
compiled to columns and evaluated for all candidates of a row at once. A pair whose condition fails does not match; its
reason is reported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from nextpaint.process.functions.compile import Evaluation, Failures, predicate
from nextpaint.process.operators.protocol import DeadRow, Row, StepContext
from nextpaint.record.columns import Column
from nextpaint.record.types import BOOLEAN, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call, ColumnRef, Expr, Literal, columns_of

_PLAIN_KINDS = frozenset({*INTEGERS, Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ, Kind.DATE, Kind.STRING})
_COMPARISONS: dict[str, Callable[..., bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNREAD = Column(BOOLEAN, np.zeros(0, np.bool_))


class Condition:
    """`types`: of the joined row. Without an expression every row passes."""

    def __init__(self, expr: Expr | None, types: Sequence[Type], identity: str) -> None:
        self._types = tuple(types)
        self._identity = identity
        self._plain = _plain(expr) if expr is not None else _always
        self._columnar = predicate(expr) if expr is not None and self._plain is None else None
        self._reads = sorted(columns_of(expr)) if expr is not None else []

    def passing(self, rows: Sequence[Row], seq: int, context: StepContext | None, at_ms: int) -> list[bool]:
        """Which joined rows pass. `context`: where failing ones are reported; None for readings."""
        if not rows:
            return []
        if self._plain is not None:
            return [self._plain(row) for row in rows]
        assert self._columnar is not None
        columns = [_UNREAD] * len(self._types)
        for index in self._reads:
            columns[index] = Column.of(self._types[index], [row[index] for row in rows])
        failures = Failures()
        mask: list[bool] = self._columnar(Evaluation(tuple(columns), len(rows), at_ms, failures)).tolist()
        for index, reason in sorted(failures.rows.items()):
            mask[index] = False
            if context is not None:
                context.dead.append(DeadRow(seq, self._identity, reason, rows[index]))
        return mask


def _always(_row: Row) -> bool:
    return True


def _plain(expr: Expr) -> Callable[[Row], bool] | None:
    """The condition on a row of Python values, when it is comparisons of plain columns and constants joined by AND."""
    if not isinstance(expr, Call):
        return None
    if expr.function == "AND":
        parts = [_plain(each) for each in expr.args]
        known = [each for each in parts if each is not None]
        return (lambda row: all(each(row) for each in known)) if len(known) == len(parts) else None
    compare = _COMPARISONS.get(expr.function)
    if compare is None or not all(each.type.kind in _PLAIN_KINDS for each in expr.args):
        return None
    left, right = (_operand(each) for each in expr.args)
    if left is None or right is None:
        return None

    def passes(row: Row) -> bool:
        first, second = left(row), right(row)
        return first is not None and second is not None and compare(first, second)

    return passes


def _operand(expr: Expr) -> Callable[[Row], object] | None:
    if isinstance(expr, ColumnRef):
        return operator.itemgetter(expr.index)
    if isinstance(expr, Literal):
        value = expr.value
        return lambda _row: value
    return None
