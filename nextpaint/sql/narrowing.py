"""A plan without the columns nobody reads, as the engine runs it.

A view names every column of its table and a join carries all of both sides; what runs keeps only what is read above, so
that rows which wait or are remembered are small, and a chain of projections is one. Rows, their order and the output
columns of the root are those of the plan given; an expression nobody reads is not computed, so it cannot fail either
(as in Flink). A statement is narrowed by itself: what others read does not change it.

Nodes whose meaning depends on whole rows (UNION, set operations, windows over tables, patterns) keep all columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from nextpaint.sql.plan import (
    Aggregate,
    Call,
    ColumnRef,
    Deduplicate,
    Expr,
    Filter,
    IntervalJoin,
    Join,
    JoinKind,
    Node,
    OverAggregate,
    Project,
    Rank,
    Schema,
    SetOperation,
    SortKey,
    TemporalJoin,
    Union,
    WindowJoin,
    columns_of,
    inputs_of,
)

Places = dict[int, int]  # column of the plan given -> column of the narrowed one
Narrowed = tuple[Node, Places]
_Joins = Join | IntervalJoin | TemporalJoin | WindowJoin
J = TypeVar("J", bound=_Joins)


def narrowed(root: Node) -> Node:
    """The plan with the same output columns."""
    made, places = _narrowed(root, _all(root))
    assert places == {at: at for at in range(len(root.schema.fields))}, "the root keeps its columns"
    return made


def _all(node: Node) -> frozenset[int]:
    return frozenset(range(len(node.schema.fields)))


def _narrowed(node: Node, needed: frozenset[int]) -> Narrowed:
    """A node that has at least the needed columns, in their order."""
    match node:
        case Filter():
            below, places = _narrowed(node.input, needed | columns_of(node.predicate))
            schema = _schema(node.schema, places)
            return replace(node, schema=schema, input=below, predicate=_moved(node.predicate, places)), places
        case Project():
            return _project(node, needed)
        case Rank() | Deduplicate():
            return _ranked(node, needed)
        case OverAggregate():
            return _over(node, needed)
        case Join() | IntervalJoin() | WindowJoin() | TemporalJoin():
            return _join(node, needed)
    return _with_inputs(node), {at: at for at in range(len(node.schema.fields))}


def _with_inputs(node: Node) -> Node:
    """A node that keeps its columns, over narrowed inputs."""
    inputs = [_whole(each) for each in inputs_of(node)]
    changed: dict[str, Any] = {"input": inputs[0]} if inputs else {}
    if len(inputs) == 2:
        changed = {"left": inputs[0], "right": inputs[1]}
    if isinstance(node, Union | SetOperation):
        changed = {"inputs": tuple(inputs)}
    return replace(node, **changed)


def _whole(node: Node) -> Node:
    return _only(_narrowed(node, _all(node)), _all(node))[0]


def _only(made: Narrowed, wanted: Iterable[int]) -> Narrowed:
    """Exactly the wanted columns: a projection on top where there are more."""
    node, places = made
    columns = sorted(wanted)
    if [places[each] for each in columns] == list(range(len(node.schema.fields))):
        return node, places
    fields = node.schema.fields
    picks = tuple(ColumnRef(fields[places[each]].type, places[each], fields[places[each]].name) for each in columns)
    schema = _schema(node.schema, {places[each]: at for at, each in enumerate(columns)})
    return _merged(Project(schema, node, picks)), {each: at for at, each in enumerate(columns)}


# ---------------------------------------------------------------- nodes


def _project(node: Project, needed: frozenset[int]) -> Narrowed:
    kept = sorted(needed)
    exprs = [node.exprs[each] for each in kept]
    below, places = _narrowed(node.input, frozenset().union(*map(columns_of, exprs)))
    own = {each: at for at, each in enumerate(kept)}
    made = Project(_schema(node.schema, own), below, tuple(_moved(each, places) for each in exprs), node.at)
    return _merged(made), own


def _merged(node: Project) -> Project:
    """Two projections as one, where that computes nothing twice."""
    below = node.input
    if not isinstance(below, Project):
        return node
    read = Counter(index for each in node.exprs for index in _reads(each))
    if any(count > 1 and not isinstance(below.exprs[index], ColumnRef) for index, count in read.items()):
        return node
    return _merged(replace(node, input=below.input, exprs=tuple(_composed(each, below.exprs) for each in node.exprs)))


def _reads(expr: Expr) -> list[int]:
    if isinstance(expr, ColumnRef):
        return [expr.index]
    return [index for each in expr.args for index in _reads(each)] if isinstance(expr, Call) else []


def _composed(expr: Expr, below: Sequence[Expr]) -> Expr:
    if isinstance(expr, ColumnRef):
        return below[expr.index]
    if isinstance(expr, Call):
        return replace(expr, args=tuple(_composed(each, below) for each in expr.args))
    return expr


def _ranked(node: Rank | Deduplicate, needed: frozenset[int]) -> Narrowed:
    rank = len(node.input.schema.fields)
    wanted = needed - {rank} | frozenset(node.partition)
    if isinstance(node, Rank):
        wanted |= {each.index for each in node.keys} | ({node.limit} if node.limit is not None else set())
    elif node.time is not None:
        wanted |= {node.time}
    below, places = _only(_narrowed(node.input, wanted), wanted)
    places = {**places, rank: len(below.schema.fields)}
    schema = _schema(node.schema, places)
    partition = _at(node.partition, places)
    if isinstance(node, Rank):
        keys = tuple(SortKey(places[each.index], each.descending, each.nulls_first) for each in node.keys)
        limit = None if node.limit is None else places[node.limit]
        return replace(node, schema=schema, input=below, partition=partition, keys=keys, limit=limit), places
    time = None if node.time is None else places[node.time]
    return replace(node, schema=schema, input=below, partition=partition, time=time), places


def _over(node: OverAggregate, needed: frozenset[int]) -> Narrowed:
    width = len(node.input.schema.fields)
    wanted = frozenset(each for each in needed if each < width) | {*node.partition, node.order}
    wanted |= {each for call in node.aggregates for each in (*call.args, call.filter) if each is not None}
    below, places = _only(_narrowed(node.input, wanted), wanted)
    aggregates = tuple(_aggregate(each, places) for each in node.aggregates)
    partition, order = _at(node.partition, places), places[node.order]
    kept = len(below.schema.fields)
    places = {**places, **{width + at: kept + at for at in range(len(aggregates))}}
    schema = _schema(node.schema, places)
    by_value = None if node.by_value is None else replace(node.by_value, index=order)
    made = replace(
        node, schema=schema, input=below, partition=partition, order=order, aggregates=aggregates, by_value=by_value
    )
    return made, places


def _aggregate(call: Aggregate, places: Places) -> Aggregate:
    return replace(call, args=_at(call.args, places), filter=None if call.filter is None else places[call.filter])


def _join(node: J, needed: frozenset[int]) -> Narrowed:
    width = len(node.left.schema.fields)
    left_only = isinstance(node, Join | WindowJoin) and node.kind in (JoinKind.SEMI, JoinKind.ANTI)
    wanted = needed | (columns_of(node.residual) if node.residual is not None else frozenset())
    left = frozenset(each for each in wanted if each < width) | {*node.left_keys, *_own(node, 0)}
    right = frozenset(each - width for each in wanted if each >= width) | {*node.right_keys, *_own(node, 1)}
    below, left_places = _only(_narrowed(node.left, left), left)
    beside, right_places = _only(_narrowed(node.right, right), right)
    kept = len(below.schema.fields)
    joined = {**left_places, **{width + each: kept + at for each, at in right_places.items()}}
    places = left_places if left_only else joined
    changed: dict[str, Any] = {
        "schema": _schema(node.schema, places), "left": below, "right": beside,
        "left_keys": _at(node.left_keys, left_places), "right_keys": _at(node.right_keys, right_places),
        "residual": None if node.residual is None else _moved(node.residual, joined),
    }  # fmt: skip
    if isinstance(node, IntervalJoin | TemporalJoin):
        changed |= {"left_time": left_places[node.left_time], "right_time": right_places[node.right_time]}
    if isinstance(node, WindowJoin):
        changed |= {
            "left_window": _at(node.left_window, left_places), "right_window": _at(node.right_window, right_places),
        }  # fmt: skip
    return replace(node, **changed), places


def _own(node: _Joins, side: int) -> tuple[int, ...]:
    """Columns of one side that the join itself reads beside keys and condition."""
    if isinstance(node, WindowJoin):
        return (node.left_window, node.right_window)[side]
    if isinstance(node, IntervalJoin | TemporalJoin):
        return ((node.left_time, node.right_time)[side],)
    return ()


# ---------------------------------------------------------------- columns


def _at(columns: Iterable[int], places: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(places[each] for each in columns)


def _moved(expr: Expr, places: Places) -> Expr:
    """An expression over the narrowed columns."""
    if isinstance(expr, ColumnRef):
        return replace(expr, index=places[expr.index])
    if isinstance(expr, Call):
        return replace(expr, args=tuple(_moved(each, places) for each in expr.args))
    return expr


def _schema(schema: Schema, places: Places) -> Schema:
    """What is left of a schema; a key that lost a column is none."""
    kept = sorted(places, key=places.__getitem__)
    windowed = schema.windowed
    if windowed is not None and {windowed.start, windowed.end} <= set(places):
        time = None if windowed.time is None else places.get(windowed.time)
        windowed = replace(windowed, start=places[windowed.start], end=places[windowed.end], time=time)
    else:
        windowed = None
    return Schema(
        tuple(schema.fields[each] for each in kept),
        None if schema.rowtime is None else places.get(schema.rowtime),
        _at(schema.key, places) if set(schema.key) <= set(places) else (),
        schema.changes,
        tuple(places[each] for each in schema.more_times if each in places),
        tuple(places[each] for each in schema.proctimes if each in places),
        windowed,
    )
