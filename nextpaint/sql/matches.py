"""MATCH_RECOGNIZE to a `Match` node.

Conditions and measures read *places of a match*: the last row of a variable, the first, n rows from there, or an
aggregate over its rows. Each such place becomes a `Place` of the node, and the expression around it an ordinary one
over the places' values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.record.types import BOOLEAN, Field, Kind
from nextpaint.sql import aggregates, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import (
    Aggregate,
    At,
    Changes,
    ColumnRef,
    Expr,
    Literal,
    Match,
    Place,
    Schema,
    SortKey,
)
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import Relation, by_arrival, nullable
from nextpaint.sql.scope import Scope

_AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")


def plan_match(inner: Relation, source: syntax.MatchRecognize, *, live: bool) -> Relation:
    """The matches found among the rows of `inner`."""
    node = inner.node
    if live:
        raise Refusal(
            "MATCH_RECOGNIZE over a live table is not supported", source.at, "INSERT the matches into a table"
        )
    if node.schema.changes is not Changes.APPEND:
        raise Refusal("MATCH_RECOGNIZE needs rows that are not updated later", source.at, "match the stream itself")
    binder = Binder(inner.scope)
    inner = _in_order(inner, source, binder)
    node = inner.node
    order = _order(inner, source, binder)
    partition = tuple(_plain(binder, each, "PARTITION BY") for each in source.partition)
    variables = tuple(each.variable for each in source.pattern)
    places = _Places(inner, variables, order[0])
    defined = {name.text: name for name, _ in source.defines}
    for name in defined.values():
        if name.text not in variables:
            raise Refusal(
                f"DEFINE of {name.text}, which the PATTERN does not have", name.at, near(name.text, variables)
            )
    defines = tuple((name.text, places.bound(each, "DEFINE", BOOLEAN.kind)) for name, each in source.defines)
    measures = tuple(places.bound(each, "a measure", None) for each, _ in source.measures)
    target = source.skip[1]
    if target is not None and target.text not in variables:
        raise Refusal(f"the PATTERN has no variable {target.text}", target.at, near(target.text, variables))
    skip_to = target.text if target is not None else ""
    if source.skip[0] == "FIRST" and source.pattern[0].variable == skip_to and target is not None:
        raise Refusal(f"skipping to the first {skip_to} finds the same match for ever", target.at, "SKIP TO NEXT ROW")
    within = None
    if source.within is not None:
        within = aggregates.positive_ms(binder.value(source.within), "WITHIN", "WITHIN INTERVAL '1' HOUR")
    schema = _schema(inner, partition, source, measures, places)
    made = Match(
        schema, node, partition, order[0], order[1], source.pattern, defines, tuple(places.found), measures,
        source.skip[0], skip_to, within, source.at,
    )  # fmt: skip
    alias = source.alias.text if source.alias is not None else ""
    return Relation(made, Scope.of(schema, alias))


def _in_order(inner: Relation, source: syntax.MatchRecognize, binder: Binder) -> Relation:
    """The rows with the time of ORDER BY as their event time, where that is processing time."""
    first = source.order[0]
    time = binder.value(first.expression)
    if isinstance(time, ColumnRef) and time.index in inner.node.schema.proctimes and not first.descending:
        return replace(inner, node=by_arrival(inner.node, time.index, first.at))
    return inner


def _order(inner: Relation, source: syntax.MatchRecognize, binder: Binder) -> tuple[int, tuple[SortKey, ...]]:
    """The event time, and what orders rows of one time."""
    first, *rest = source.order
    time = binder.value(first.expression)
    schema = inner.node.schema
    if not isinstance(time, ColumnRef) or time.index not in schema.times or first.descending:
        has = (
            f"ORDER BY {schema.fields[schema.rowtime].name}" if schema.rowtime is not None else "declare WATERMARK FOR"
        )
        raise Refusal("ORDER BY must begin with the event time, ascending", first.at, has)
    keys = (SortKey(_plain(binder, each.expression, "ORDER BY"), each.descending, each.nulls_first) for each in rest)
    return time.index, tuple(keys)


def _plain(binder: Binder, node: syntax.Expression, clause: str) -> int:
    bound = binder.value(node)
    if not isinstance(bound, ColumnRef):
        raise Refusal(f"{clause} in MATCH_RECOGNIZE takes columns", node.at, "compute it in a subquery")
    return bound.index


def _schema(
    inner: Relation, partition: Sequence[int], source: syntax.MatchRecognize, measures: Sequence[Expr], places: _Places
) -> Schema:
    fields = [inner.node.schema.fields[index] for index in partition]
    names = [each.name for each in fields]
    rowtime: int | None = None
    for expr, (_, name) in zip(measures, source.measures, strict=True):
        if name.text in names:
            raise Refusal(f"two columns are named {name.text}", name.at, "rename one")
        if isinstance(expr, ColumnRef) and places.found[expr.index].function == "ROWTIME":
            rowtime = len(names)
        names.append(name.text)
        fields.append(Field(name.text, expr.type, nullable(expr, Schema(())) if isinstance(expr, Literal) else True))
    return Schema(tuple(fields), rowtime)


class _Places:
    """Binds expressions over the rows of a match; `found` are the places they read."""

    def __init__(self, inner: Relation, variables: Sequence[str], time: int) -> None:
        self._inner = inner
        self._variables = variables
        self._time = time
        self.found: list[Place] = []

    def bound(self, node: syntax.Expression, what: str, kind: Kind | None) -> Expr:
        """The expression over the values of places. `kind`: what it must be."""
        expr = Binder(self, self._replace).value(node)
        if kind is not None and expr.type.kind is not kind:
            raise Refusal(f"{what} must be a condition, not {expr.type}", node.at)
        return expr

    def resolve(self, name: syntax.Name) -> Expr:
        """A column outside of LAST, FIRST and aggregates means the last row of its variable."""
        variable, column = self._split(name)
        bound = self._inner.scope.resolve(column)
        return self._place(Place("LAST", variable, bound, 0, bound.type), name.at)

    def _split(self, name: syntax.Name) -> tuple[str, syntax.Name]:
        first = name.parts[0].text
        if len(name.parts) > 1 and first in self._variables:
            return first, syntax.Name(name.parts[1:], name.parts[1].at)
        return "", name

    def _place(self, place: Place, at: At) -> ColumnRef:
        if place not in self.found:
            self.found.append(place)
        index = self.found.index(place)
        return ColumnRef(place.type, index, f"{place.function.lower()}${index}", at)

    def _replace(self, node: syntax.Expression) -> Expr | None:
        if not isinstance(node, syntax.Call) or node.over is not None:
            return None
        if node.name in ("LAST", "FIRST"):
            return self._navigation(node)
        if node.name in _AGGREGATES:
            return self._aggregate(node)
        if node.name in ("PREV", "NEXT"):
            raise Refusal(
                f"{node.name} is not supported", node.at, "LAST(X.column, n) counts back from the last row of X"
            )
        if node.name == "MATCH_ROWTIME":
            type_ = self._inner.node.schema.fields[self._time].type
            return self._place(Place("ROWTIME", "", ColumnRef(type_, self._time, "time"), 0, type_), node.at)
        if node.name == "MATCH_PROCTIME":
            raise Refusal("MATCH_PROCTIME is not supported", node.at, "use MATCH_ROWTIME()")
        return None

    def _navigation(self, node: syntax.Call) -> Expr:
        offset = 0
        if len(node.args) not in (1, 2):
            raise Refusal(f"{node.name} takes a column and how many rows from there", node.at, f"{node.name}(A.x, 1)")
        if len(node.args) == 2:
            number = node.args[1]
            if not isinstance(number, syntax.Number) or not number.text.isdigit():
                raise Refusal(f"{node.name}'s second argument is a constant number", number.at, f"{node.name}(A.x, 1)")
            offset = int(number.text)
        variable, bound = self._over_rows(node.args[0])
        return self._place(Place(node.name, variable, bound, offset, bound.type), node.at)

    def _aggregate(self, node: syntax.Call) -> Expr:
        if node.distinct or node.filter is not None:
            raise Refusal(
                f"{node.name} in MATCH_RECOGNIZE takes neither DISTINCT nor FILTER", node.at, "count in a measure"
            )
        if node.star or not node.args:
            made = Aggregate(node.name, (), aggregates.result_type(node.name, None, node.at))
            return self._place(Place(node.name, "", None, 0, made.type), node.at)
        variable, bound = self._over_rows(node.args[0])
        type_ = aggregates.result_type(node.name, bound.type, node.at)
        return self._place(Place(node.name, variable, bound, 0, type_), node.at)

    def _over_rows(self, node: syntax.Expression) -> tuple[str, Expr]:
        """An expression over the columns of one variable's rows."""
        names = _RowNames(self)
        bound = Binder(names).value(node)
        if len(names.variables) > 1:
            shown = " and ".join(sorted(each or "no variable" for each in names.variables))
            raise Refusal(f"one call reads rows of {shown}", node.at, "one variable per call")
        return (next(iter(names.variables)) if names.variables else ""), bound

    def row_column(self, name: syntax.Name) -> tuple[str, Expr]:
        """The variable and the input column that a name inside a call means."""
        variable, column = self._split(name)
        return variable, self._inner.scope.resolve(column)


class _RowNames:
    def __init__(self, places: _Places) -> None:
        self._places = places
        self.variables: set[str] = set()

    def resolve(self, name: syntax.Name) -> Expr:
        variable, bound = self._places.row_column(name)
        self.variables.add(variable)
        return bound
