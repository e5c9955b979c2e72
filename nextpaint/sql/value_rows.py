"""VALUES: rows of expressions that read no columns, as one node.

The columns are EXPR$0, EXPR$1, ... until they are named; each has the common type of its values. A NULL needs a CAST.
"""

from __future__ import annotations

from nextpaint.record.types import Field, Kind
from nextpaint.sql import coercion, syntax
from nextpaint.sql.aggregates import is_aggregate
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import Expr, Literal, Schema, Values
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.scope import Scope

# A statement is a text that is kept, hashed and shown; more rows belong into a topic.
ROWS_MAX = 10_000


def plan_values(body: syntax.ValueRows) -> Values:
    """The node of a VALUES. Raises Refusal where rows differ in length or a column has no common type."""
    if len(body.rows) > ROWS_MAX:
        raise Refusal(f"VALUES has {len(body.rows)} rows, more than {ROWS_MAX}", body.at, "send them to the table")
    width = len(body.rows[0])
    for row in body.rows:
        if len(row) != width:
            raise Refusal(f"rows of VALUES have {width} and {len(row)} columns", row[0].at, "write as many in each")
    for each in syntax.walk(body.rows):
        if isinstance(each, syntax.Call) and (each.over is not None or is_aggregate(each)):
            raise Refusal(f"{each.name} in VALUES has no rows to go over", each.at, "select from the table")
    binder = Binder(Scope(()))
    bound = [[binder.value(each) for each in row] for row in body.rows]
    columns = [_column(index, list(cells)) for index, cells in enumerate(zip(*bound, strict=True))]
    fields = tuple(
        Field(f"EXPR${index}", column[0].type, any(_nullable(each) for each in column))
        for index, column in enumerate(columns)
    )
    return Values(Schema(fields), tuple(zip(*columns, strict=True)), body.at)


def _column(index: int, cells: list[Expr]) -> list[Expr]:
    """A column's values in their common type."""
    target = coercion.common_type([each.type for each in cells])
    if target is None:
        what = f"column {index + 1} of VALUES mixes {' and '.join(sorted({str(each.type) for each in cells}))}"
        raise Refusal(what, cells[0].at, "CAST it in one of the rows")
    if target.kind in (Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR):
        raise Refusal("an interval cannot be a column", cells[0].at, "add it to a time or use a number")
    return [coercion.cast(each, target, each.at) for each in cells]


def _nullable(expr: Expr) -> bool:
    return not isinstance(expr, Literal) or expr.value is None
