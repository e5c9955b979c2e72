"""OVER: one window specification per SELECT, ordered by event or processing time, ending at the current row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.record.types import Field
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import OVER_AGGREGATES, RANKS, AggregateCalls, positive_ms, user_aggregate
from nextpaint.sql.binder import Binder
from nextpaint.sql.plan import Changes, ColumnRef, Expr, Literal, Node, OverAggregate, Schema, SortKey
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import Inputs, Relation, is_now
from nextpaint.sql.signatures import ELSEWHERE

_RANGE_USAGE = "RANGE BETWEEN INTERVAL '5' MINUTE PRECEDING AND CURRENT ROW"


class PlannedOver:
    """The node, and a `replace` that puts its output columns in the place of the calls."""

    def __init__(self, node: Node, columns: dict[syntax.Call, ColumnRef]) -> None:
        self.node = node
        self._columns = columns

    def replace(self, node: syntax.Expression) -> Expr | None:
        if isinstance(node, syntax.Call) and node.over is not None:
            found = self._columns.get(node)
            return replace(found, at=node.at) if found is not None else None
        return None


def plan_over(
    relation: Relation,
    calls: Sequence[syntax.Call],
    windows: Sequence[tuple[syntax.Ident, syntax.Over]],
    binder: Binder | None = None,
) -> PlannedOver:
    """All OVER calls of a SELECT as one node: the input's columns, then one column per distinct call. `binder`: of
    names and aggregates over a grouped `relation`."""
    schema = relation.node.schema
    over = shared_window(calls, windows)
    if schema.changes is not Changes.APPEND:
        raise Refusal("OVER needs rows that are not updated later", calls[0].at, "use it on the stream of events")
    grouped = binder is not None
    binder = binder or Binder(relation.scope)
    time = _order(over, binder, relation, calls[0])
    unit, preceding = _frame(over, binder)
    if over.frame is not None and any(call.name == "LAG" for call in calls):
        raise Refusal("LAG takes no frame", over.frame.at, "leave RANGE or ROWS out")
    ranked = next((call for call in calls if call.name in RANKS), None)
    if ranked is not None and over.frame is not None:
        raise Refusal(f"{ranked.name} takes no frame", over.frame.at, "leave RANGE or ROWS out")
    if ranked is not None and is_now(time, schema):
        raise Refusal(f"{ranked.name} in order of processing time: no two rows are alike", ranked.at, "use ROW_NUMBER")
    listed = next((call for call in calls if call.distinct and call.name in ("LISTAGG", "ARRAY_AGG")), None)
    if listed is not None and preceding is not None:
        raise Refusal(
            f"{listed.name}(DISTINCT ...) over a frame that moves: its order depends on rows that have left the frame",
            listed.at,
            "leave DISTINCT out, or the frame",
        )
    inputs = Inputs(relation.node)
    for index, each in enumerate(schema.fields):
        inputs.add(ColumnRef(each.type, index, each.name))
    order = inputs.add(time)
    partition: list[int] = []
    for node in over.partition:
        partition.append(inputs.add(binder.value(node)))
    aggregates = AggregateCalls(binder, inputs, schema.changes, nested=grouped)
    ordinals: dict[syntax.Call, int] = {}
    for call in calls:
        _check(call)
        ordinals[call] = aggregates.add(replace(call, over=None))
    source = inputs.node(calls[0].at)
    count = len(source.schema.fields)
    fields = [Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(aggregates.found)]
    below = source.schema
    output = Schema(
        (*below.fields, *fields), below.rowtime, below.key, Changes.APPEND, below.more_times, below.proctimes
    )
    found, arrival = tuple(aggregates.found), order in below.proctimes
    over_node = OverAggregate(output, source, tuple(partition), order, unit, preceding, found, calls[0].at, arrival)
    columns = {
        call: ColumnRef(aggregates.found[ordinal].type, count + ordinal, fields[ordinal].name)
        for call, ordinal in ordinals.items()
    }
    return PlannedOver(over_node, columns)


def _check(call: syntax.Call) -> None:
    if call.name not in OVER_AGGREGATES and user_aggregate(call.name) is None:
        cure = ELSEWHERE.get(call.name) or near(call.name, OVER_AGGREGATES)
        raise Refusal(f"{call.name} OVER (...) is not supported yet", call.at, cure)
    if call.filter is not None:
        raise Refusal("FILTER with OVER", call.at, "use CASE WHEN condition THEN x END")


def shared_window(calls: Sequence[syntax.Call], windows: Sequence[tuple[syntax.Ident, syntax.Over]]) -> syntax.Over:
    """The one specification all calls have."""
    named = {name.text: over for name, over in windows}
    specifications = [_resolved(call.over, named) for call in calls if call.over is not None]
    for call, each in zip(calls, specifications, strict=True):
        if each != specifications[0]:
            raise Refusal(
                "all OVER windows of a SELECT must be the same", call.at, "compute the other in an outer query"
            )
    return specifications[0]


def time_ordered(schema: Schema, keys: Sequence[SortKey]) -> bool:
    """Is this the order of event time or of processing time?"""
    if len(keys) != 1 or keys[0].descending:
        return False
    return keys[0].index == schema.rowtime or keys[0].index in schema.proctimes


def _resolved(over: syntax.Over, named: dict[str, syntax.Over]) -> syntax.Over:
    if over.base is None:
        return over
    base = named.get(over.base.text)
    if base is None or base.base is not None:
        raise Refusal(f"unknown window {over.base.text}", over.base.at, near(over.base.text, named))
    if over.partition:
        raise Refusal("a window that extends another takes no PARTITION BY", over.at)
    if over.frame is not None:
        raise Refusal(
            f"a frame added to the window {over.base.text}: Flink forgets it",
            over.frame.at,
            "write the frame in WINDOW",
        )
    return syntax.Over(None, base.partition, over.order or base.order, base.frame, over.at)


def _order(over: syntax.Over, binder: Binder, relation: Relation, call: syntax.Call) -> Expr:
    """The time attribute that rows are handled in the order of: event time, or processing time."""
    rowtime = relation.node.schema.rowtime
    cure = "declare WATERMARK FOR on the table and keep that column in the views between"
    if rowtime is not None:
        cure = f"ORDER BY {relation.node.schema.fields[rowtime].name}"
    if not over.order:
        raise Refusal("OVER needs ORDER BY the time attribute", call.at, cure)
    if len(over.order) > 1:
        raise Refusal("OVER is ordered by the time attribute only", over.order[1].at, cure)
    item = over.order[0]
    if item.descending:
        raise Refusal("OVER is ordered by ascending time", item.at, "leave DESC out")
    time = binder.value(item.expression)
    if is_now(time, relation.node.schema):
        return time
    if not isinstance(time, ColumnRef) or rowtime is None or time.index != rowtime:
        raise Refusal("OVER must be ordered by a time attribute", item.at, cure)
    return time


def _frame(over: syntax.Over, binder: Binder) -> tuple[str, int | None]:
    """The unit, and how far back: ms for RANGE, rows for ROWS, None for unbounded."""
    frame = over.frame
    if frame is None:
        return "RANGE", None
    if frame.preceding is None:
        return frame.unit, None
    value = binder.value(frame.preceding)
    if frame.unit == "RANGE":
        return "RANGE", positive_ms(value, "the range", _RANGE_USAGE)
    if not isinstance(value, Literal) or not isinstance(value.value, int) or value.type.kind.value != "INT":
        raise Refusal("ROWS takes a constant number of rows", value.at, "ROWS BETWEEN 9 PRECEDING AND CURRENT ROW")
    if value.value < 0:
        raise Refusal("ROWS takes a number of rows from 0", value.at)
    return "ROWS", value.value
