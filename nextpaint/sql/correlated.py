"""Queries that name columns of the query around them: their own rows, and what ties them to those around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.join_conditions import conjuncts
from nextpaint.sql.plan import Expr, Node, columns_of, shifted
from nextpaint.sql.ranks import bounded
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, with_window
from nextpaint.sql.scope import Names, Scope

PlanSide = Callable[[syntax.Source], Relation]


def conjuncts_of(where: syntax.Expression | None) -> list[syntax.Expression]:
    """The parts of a condition as written that are joined by AND."""
    if isinstance(where, syntax.Binary) and where.operator == "AND":
        return [*conjuncts_of(where.left), *conjuncts_of(where.right)]
    return [where] if where is not None else []


def conjoined(parts: Sequence[syntax.Expression]) -> syntax.Expression | None:
    """The parts joined by AND again."""
    whole: syntax.Expression | None = None
    for each in parts:
        whole = each if whole is None else syntax.Binary("AND", whole, each, whole.at)
    return whole


@dataclass(frozen=True, slots=True)
class Correlated:
    """A query that names columns around it: its own rows, and the conjuncts that tie them, over the columns around it
    followed by its own, as `names` are. `scope`: what its SELECT list, `items`, is bound over where it names none
    around it."""

    node: Node
    scope: Scope
    names: Names
    items: tuple[syntax.SelectItem, ...]
    ties: list[Expr]


def opened(plan_side: PlanSide, outer: Names, width: int, query: syntax.Query) -> Correlated | None:
    """A plain SELECT whose WHERE names any of the `width` columns of `outer`; None for a query by itself."""
    body = query.body
    plain = isinstance(body, syntax.Select) and not query.ctes and not query.order and query.limit is None
    if not plain or not isinstance(body, syntax.Select) or body.where is None or body.group or body.source is None:
        return None
    inner = with_window(plan_side(body.source))
    try:
        names = _Both(inner.scope.shifted(width), outer)
        conditions = conjuncts(Binder(names).condition(body.where, "WHERE"))
    except Refusal:
        return None  # refused there at the same place, with the subquery's own names
    if not any(min(columns_of(each), default=width) < width for each in conditions):
        return None
    for word, clause in (("HAVING", body.having), ("QUALIFY", body.qualify)):
        if clause is not None:
            what = f"{word} in a query that names columns of the query around it"
            raise Refusal(what, clause.at, "JOIN a query that has it, and tie it in ON")
    ties: list[Expr] = []
    node = inner.node
    for each in conditions:
        if columns_of(each) and min(columns_of(each)) < width:
            ties.append(each)
        else:
            node = bounded(node, shifted(each, -width), each.at)
    return Correlated(node, inner.scope, names, body.items, ties)


class _Both:
    """Names of a subquery, then those of the query around it."""

    def __init__(self, inner: Scope, outer: Names) -> None:
        self._inner, self._outer = inner, outer

    def resolve(self, name: syntax.Name) -> Expr:
        try:
            return self._inner.resolve(name)
        except Refusal as unknown:
            try:
                return self._outer.resolve(name)
            except Refusal:
                raise unknown from None
