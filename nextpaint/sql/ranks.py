"""ROW_NUMBER with a bound: deduplication, Top-N and their window forms.

A ROW_NUMBER is planned as a `Rank` without bounds; the filter on its column (WHERE of an outer query, or QUALIFY) gives
it bounds and decides what it is: the first or last row of a key by time (`Deduplicate`), the best rows of each window
(`WindowRank`), or the best rows so far (`Rank`). One that is never bounded is an OVER aggregation in the order of time
or of one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nextpaint.record.columns import MAX_WATERMARK
from nextpaint.record.types import BIGINT, INTEGERS
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.nested_keys import packed
from nextpaint.sql.overs import PlannedOver, shared_window, time_ordered
from nextpaint.sql.plan import (
    Aggregate,
    At,
    Call,
    Changes,
    ColumnRef,
    Deduplicate,
    Expr,
    Filter,
    GroupAggregate,
    Join,
    Literal,
    Node,
    OverAggregate,
    Project,
    Rank,
    Schema,
    SetOperation,
    SortKey,
    Union,
    WindowRank,
)
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Inputs, Relation, filtered, is_orderable, projected, rank_schema

# Rows kept per key. More belongs into a table that is sorted where it is read.
RANK_MAX = 100_000

_CURE = "WHERE rn <= n in an outer query, or QUALIFY ROW_NUMBER() OVER (...) <= n"
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def plan_rank(
    relation: Relation,
    calls: Sequence[syntax.Call],
    windows: Sequence[tuple[syntax.Ident, syntax.Over]],
    binder: Binder | None = None,
) -> PlannedOver:
    """All ROW_NUMBER calls of a SELECT, which share one specification: the input's columns, what is partitioned and
    ordered by, then the rank. `binder`: of names and aggregates over a grouped `relation`."""
    over = shared_window(calls, windows)
    call = calls[0]
    if call.args or call.star:
        raise Refusal(f"{call.name} takes no arguments", call.at, f"{call.name}() OVER (...)")
    if over.frame is not None:
        raise Refusal("ROW_NUMBER takes no frame", over.frame.at, "leave RANGE or ROWS out")
    if not over.order:
        raise Refusal("ROW_NUMBER needs ORDER BY", call.at, "ORDER BY the time attribute or a value")
    binder = binder or Binder(relation.scope)
    inputs = Inputs(relation.node)
    for index, each in enumerate(relation.node.schema.fields):
        inputs.add(ColumnRef(each.type, index, each.name))
    partition = []
    for item in over.partition:
        partition.append(inputs.add(packed(binder.value(item))))
    keys = []
    for order in over.order:
        index = inputs.add(_orderable(binder.value(order.expression)))
        keys.append(SortKey(index, order.descending, order.nulls_first))
    source = inputs.node(call.at)
    schema = rank_schema(source, partition, (1, None), True)
    if time_ordered(source.schema, keys):
        schema = replace(
            schema, changes=source.schema.changes, rowtime=source.schema.rowtime, proctimes=source.schema.proctimes
        )
    node = Rank(schema, source, tuple(partition), tuple(keys), at=call.at)
    column = ColumnRef(BIGINT, len(source.schema.fields), "rank$")
    return PlannedOver(node, dict.fromkeys(calls, column))


def limited(node: Node, keys: Sequence[SortKey], ranks: tuple[int, int], at: At) -> Node:
    """ORDER BY ... LIMIT of a stream: the best rows so far, from the first to the last of `ranks`; without an order the
    first to arrive."""
    first, last = ranks
    if not first <= last <= RANK_MAX:
        raise Refusal(f"LIMIT takes 1 to {RANK_MAX} rows in a stream", at, "sort where it is read")
    schema = rank_schema(node, (), ranks, False)
    if not keys and node.schema.changes is Changes.APPEND:
        schema = replace(schema, changes=Changes.APPEND)
    rank = Rank(schema, node, (), tuple(keys), first, last, False, at=at)
    rank = replace(rank, climbing=bool(keys) and _climbs(rank))
    refs = [ColumnRef(each.type, index, each.name) for index, each in enumerate(node.schema.fields)]
    return projected(rank, refs, node.schema.names, at)


def _orderable(expr: Expr) -> Expr:
    if not is_orderable(expr.type.kind):
        raise Refusal(f"ORDER BY {expr.type} is not supported", expr.at, "use one of its fields")
    return expr


# ---------------------------------------------------------------- bounds


def bounded(node: Node, predicate: Expr, at: At) -> Node:
    """The rows for which `predicate` is TRUE; conditions on a rank below become its bounds."""
    chain: list[Project | Filter] = []
    inner = node
    while isinstance(inner, Project | Filter):
        chain.append(inner)
        inner = inner.input
    if isinstance(inner, OverAggregate):
        _check_ranks(inner, predicate, chain)
    if not isinstance(inner, Rank) or inner.last is not None:
        return filtered(node, predicate, at)
    first, last = 1, MAX_WATERMARK
    rest: list[Expr] = []
    column: int | None = None
    for each in _conjuncts(predicate):
        if column is None and (column := _limit_column(each, chain, len(inner.input.schema.fields))) is not None:
            continue
        limit = _limit(each, chain, len(inner.input.schema.fields))
        if limit is None:
            rest.append(each)
        else:
            first, last = max(first, limit[0]), min(last, limit[1])
    if last == MAX_WATERMARK and column is None:
        return filtered(node, predicate, at)  # refused by `settled`, unless an outer query bounds it
    if column is None:
        made = _decided(inner, first, last, at)
    else:
        made = replace(_ranked(inner, first, min(last, RANK_MAX)), limit=column)
    for step in reversed(chain):
        if isinstance(step, Filter):
            made = filtered(made, step.predicate, step.at)
        else:
            made = projected(made, step.exprs, step.schema.names, step.at)
    for each in rest:
        made = filtered(made, each, at)
    return made


def _check_ranks(over: OverAggregate, predicate: Expr, chain: Sequence[Project | Filter]) -> None:
    """Refuse a Top-N by RANK or DENSE_RANK, which a bound of it asks for."""
    first = len(over.input.schema.fields)
    for number, aggregate in enumerate(over.aggregates):
        name = dict(aggregate.options).get("rank")
        if isinstance(name, str) and any(_limit(each, chain, first + number) for each in _conjuncts(predicate)):
            raise Refusal(f"a Top-N by {name} is not supported in a stream", predicate.at, "use ROW_NUMBER")


def _conjuncts(predicate: Expr) -> list[Expr]:
    if isinstance(predicate, Call) and predicate.function == "AND":
        return [part for side in predicate.args for part in _conjuncts(side)]
    return [predicate]


def _limit_column(condition: Expr, chain: Sequence[Project | Filter], rank: int) -> int | None:
    """The input column that bounds the rank in `rank <= column`; None when it is something else."""
    if not isinstance(condition, Call) or condition.function not in ("<=", ">="):
        return None
    low, high = condition.args if condition.function == "<=" else condition.args[::-1]
    if isinstance(high, Call) and high.function == "CAST" and high.type.kind in INTEGERS:
        high = high.args[0]
    column = _copied(high, chain) if high.type.kind in INTEGERS else None
    return column if column is not None and column < rank == _copied(low, chain) else None


def _limit(condition: Expr, chain: Sequence[Project | Filter], rank: int) -> tuple[int, int] | None:
    """(first, last) that a comparison of the rank with a constant allows; None when it is something else."""
    if not isinstance(condition, Call) or condition.function not in _MIRRORED:
        return None
    left, right = condition.args
    function = condition.function
    if isinstance(left, Literal):
        left, right, function = right, left, _MIRRORED[function]
    if _copied(left, chain) != rank:
        return None
    if not isinstance(right, Literal) or not isinstance(right.value, int):
        raise Refusal("the bound of a rank must be a constant number, or a column", condition.at, "WHERE rn <= 10")
    value = right.value
    limits = {
        "<": (1, value - 1),
        "<=": (1, value),
        "=": (value, value),
        ">": (value + 1, MAX_WATERMARK),
        ">=": (value, MAX_WATERMARK),
    }
    return limits[function]


def _copied(expr: Expr, chain: Sequence[Project | Filter]) -> int | None:
    """The column below the chain that the expression is a plain copy of."""
    for step in chain:
        if not isinstance(expr, ColumnRef):
            return None
        if isinstance(step, Project):
            expr = step.exprs[expr.index]
    return expr.index if isinstance(expr, ColumnRef) else None


def _decided(rank: Rank, first: int, last: int, at: At) -> Node:
    """The node a bounded rank is."""
    if last < first or last < 1:
        raise Refusal(f"no row has a rank from {first} to {last}", at, "ranks start at 1")
    if last > RANK_MAX:
        raise Refusal(f"a rank up to {last} keeps that many rows per key", at, f"at most {RANK_MAX}")
    schema = rank.input.schema
    windowed = schema.windowed
    if windowed is not None and {windowed.start, windowed.end} <= set(rank.partition):
        return _window_rank(rank, first, last)
    if (first, last) == (1, 1) and len(rank.keys) == 1 and schema.changes is Changes.APPEND:
        key = rank.keys[0]
        if key.index == schema.rowtime:
            return _deduplicate(rank, key.index, key.descending)
        if key.index in schema.proctimes:
            return _deduplicate(rank, None, key.descending)
    return _ranked(rank, first, last)


def _ranked(rank: Rank, first: int, last: int) -> Rank:
    shown = first != last
    made = rank_schema(rank.input, rank.partition, (first, last), shown)
    climbing = _climbs(rank)
    return replace(rank, schema=made, first=first, last=last, shown=shown, climbing=climbing)


def _deduplicate(rank: Rank, time: int | None, last: bool) -> Node:
    schema = rank_schema(rank.input, rank.partition, (1, 1), False)
    changes = Changes.RETRACT if last else Changes.APPEND
    schema = replace(schema, rowtime=rank.input.schema.rowtime, changes=changes)
    return Deduplicate(schema, rank.input, rank.partition, time, last, rank.at)


def _window_rank(rank: Rank, first: int, last: int) -> Node:
    source = rank.input.schema
    windowed = source.windowed
    assert windowed is not None
    if source.changes is not Changes.APPEND:
        cure = "aggregate the window first, or rank the stream that feeds the table"
        raise Refusal("a ranking within windows needs rows that are not updated later", rank.at, cure)
    partition = tuple(each for each in rank.partition if each not in (windowed.start, windowed.end))
    schema = rank_schema(rank.input, rank.partition, (first, last), True)
    schema = Schema(schema.fields, source.rowtime, schema.key, Changes.APPEND, windowed=windowed)
    key = rank.keys[0]
    by_time = len(rank.keys) == 1 and key.index == windowed.time
    late_ties = by_time and key.descending and (first, last) == (1, 1)
    return WindowRank(
        schema, rank.input, windowed.start, windowed.end, partition, rank.keys, first, last, late_ties, rank.at,
        windowed.window.zone,
    )  # fmt: skip


def _climbs(rank: Rank) -> bool:
    """Do updates of the input only ever better a row's place? True where the input is a group aggregate of rows that
    are never taken back, ordered by its keys and by counts or extremes that only move one way. Flink decides alike
    between its two ways to take an update in."""
    node = rank.input
    if not node.schema.key or not set(rank.partition) <= set(node.schema.key):
        return False
    columns: dict[int, int | None] = {key.index: key.index for key in rank.keys}
    while isinstance(node, Project | Filter):
        if isinstance(node, Project):
            picks = {at: node.exprs[below] for at, below in columns.items() if below is not None}
            columns = {at: each.index if isinstance(each, ColumnRef) else None for at, each in picks.items()}
        node = node.input
    if not isinstance(node, GroupAggregate) or node.input.schema.changes is not Changes.APPEND:
        return False
    for key in rank.keys:
        below = columns.get(key.index)
        if below is None:
            return False
        if below < len(node.keys):
            continue
        function = node.aggregates[below - len(node.keys)].function
        if function not in (("COUNT", "MAX") if key.descending else ("MIN",)):
            return False
    return True


# ---------------------------------------------------------------- what was never bounded


def settled(node: Node, ttl_ms: int = 0) -> Node:
    """The plan of a statement with every rank decided, and the time to live of state written into the nodes that keep
    some without event time. Raises Refusal where a rank has no upper bound."""
    if isinstance(node, Rank) and node.last is None:
        return _over(replace(node, input=settled(node.input, ttl_ms), ttl_ms=ttl_ms))
    node = _lasting(node, ttl_ms)
    if isinstance(node, Union | SetOperation):
        inputs = tuple(settled(each, ttl_ms) for each in node.inputs)
        return node if inputs == node.inputs else replace(node, inputs=inputs)
    sides = {name: getattr(node, name) for name in ("input", "left", "right") if hasattr(node, name)}
    made = {name: settled(each, ttl_ms) for name, each in sides.items()}
    changed: dict[str, Any] = {name: each for name, each in made.items() if each is not sides[name]}
    return replace(node, **changed) if changed else node


def _lasting(node: Node, ttl_ms: int) -> Node:
    """The node with the statement's time to live where no hint gave it one of its own."""
    match node:
        case GroupAggregate() | Rank() | Deduplicate() if node.ttl_ms is None:
            return replace(node, ttl_ms=ttl_ms)
        case OverAggregate(ttl_ms=None) if node.arrival or node.by_value is not None:
            return replace(node, ttl_ms=ttl_ms)
        case Join() if None in node.ttl_ms:
            left, right = (ttl_ms if each is None else each for each in node.ttl_ms)
            return replace(node, ttl_ms=(left, right))
    return node


def _over(rank: Rank) -> Node:
    """A row number without a bound: in order of time rows are numbered as the watermark passes them, in the order of a
    value all rows are kept and told again when their number changes."""
    schema = rank.input.schema
    timed = schema.changes is Changes.APPEND and time_ordered(schema, rank.keys)
    if not timed and (len(rank.keys) != 1 or rank.keys[0].descending):
        raise Refusal("ROW_NUMBER without a bound is in ascending order of one column", rank.at, _CURE)
    number = Aggregate("ROW_NUMBER", (), BIGINT, at=rank.at)
    order = rank.keys[0].index
    arrival = timed and order in schema.proctimes
    return OverAggregate(
        rank.schema, rank.input, rank.partition, order, "ROWS", None, (number,), rank.at, arrival, rank.ttl_ms,
        by_value=None if timed else rank.keys[0],
    )  # fmt: skip
