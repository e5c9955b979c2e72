"""OVER: one specification per SELECT, in the order of event time, processing time or a value, up to the current row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nextpaint.record.types import Field
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import OVER_AGGREGATES, RANKS, AggregateCalls, positive_ms, user_aggregate
from nextpaint.sql.binder import Binder
from nextpaint.sql.nested_keys import packed
from nextpaint.sql.plan import Changes, ColumnRef, Expr, Literal, Node, OverAggregate, Schema, SortKey
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.relation import Inputs, Relation, is_now, is_orderable
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
    grouped = binder is not None
    binder = binder or Binder(relation.scope)
    ordered, timed = _order(over, binder, relation, calls[0])
    if timed and schema.changes is not Changes.APPEND:
        raise Refusal(
            "OVER in order of time needs rows that are not updated later", calls[0].at, "use it on the stream of events"
        )
    unit, preceding = _frame(over, binder, timed)
    if over.frame is not None and any(call.name == "LAG" for call in calls):
        raise Refusal("LAG takes no frame", over.frame.at, "leave RANGE or ROWS out")
    if not timed:
        _check_by_value(calls, unit)
    ranked = next((call for call in calls if call.name in RANKS), None)
    if ranked is not None and over.frame is not None:
        raise Refusal(f"{ranked.name} takes no frame", over.frame.at, "leave RANGE or ROWS out")
    if ranked is not None and is_now(ordered, schema):
        raise Refusal(f"{ranked.name} in order of processing time: no two rows are alike", ranked.at, "use ROW_NUMBER")
    listed = next(
        (call for call in calls if call.distinct and call.name in ("LISTAGG", "ARRAY_AGG", "LAST_VALUE")), None
    )
    if listed is not None and preceding is not None:
        raise Refusal(
            f"{listed.name}(DISTINCT ...) over a frame that moves: its order depends on rows that have left the frame",
            listed.at,
            "leave DISTINCT out, or the frame",
        )
    inputs = Inputs(relation.node)
    for index, each in enumerate(schema.fields):
        inputs.add(ColumnRef(each.type, index, each.name))
    order = inputs.add(ordered)
    partition: list[int] = []
    for node in over.partition:
        partition.append(inputs.add(packed(binder.value(node))))
    aggregates = AggregateCalls(binder, inputs, Changes.APPEND, nested=grouped)  # frames are added up, never taken back
    ordinals: dict[syntax.Call, int] = {}
    for call in calls:
        _check(call)
        ordinals[call] = aggregates.add(replace(call, over=None))
    source = inputs.node(calls[0].at)
    count = len(source.schema.fields)
    fields = [Field(f"{each.function.lower()}${index}", each.type) for index, each in enumerate(aggregates.found)]
    found, below = tuple(aggregates.found), source.schema
    output = Schema(
        (*below.fields, *fields), below.rowtime, below.key, Changes.APPEND, below.more_times, below.proctimes
    )
    by_value: SortKey | None = None
    if not timed:
        output = replace(output, rowtime=None, changes=Changes.RETRACT, more_times=(), proctimes=())
        by_value = SortKey(order, False, over.order[0].nulls_first)
    over_node = OverAggregate(
        output, source, tuple(partition), order, unit, preceding, found, calls[0].at, order in below.proctimes,
        by_value=by_value,
    )  # fmt: skip
    columns = {
        call: ColumnRef(aggregates.found[ordinal].type, count + ordinal, fields[ordinal].name)
        for call, ordinal in ordinals.items()
    }
    return PlannedOver(over_node, columns)


def _check(call: syntax.Call) -> None:
    if call.name not in (*OVER_AGGREGATES, "ROW_NUMBER") and user_aggregate(call.name) is None:
        cure = ELSEWHERE.get(call.name) or near(call.name, OVER_AGGREGATES)
        raise Refusal(f"{call.name} OVER (...) is not supported yet", call.at, cure)
    if call.filter is not None:
        raise Refusal("FILTER with OVER", call.at, "use CASE WHEN condition THEN x END")


def shared_window(calls: Sequence[syntax.Call], windows: Sequence[tuple[syntax.Ident, syntax.Over]]) -> syntax.Over:
    """The one specification all calls have."""
    named = {name.text: over for name, over in windows}
    specifications = [_resolved(call.over, named) for call in calls if call.over is not None]
    if any(call.name != "ROW_NUMBER" for call in calls):
        specifications = [
            _numbered(each) if call.name == "ROW_NUMBER" else each
            for call, each in zip(calls, specifications, strict=True)
        ]
    for call, each in zip(calls, specifications, strict=True):
        if each != specifications[0]:
            cure = "compute the other in an outer query"
            if {"ROW_NUMBER"} < {each.name for each in calls}:
                cure += "; beside ROW_NUMBER write ROWS UNBOUNDED PRECEDING"
            raise Refusal("all OVER windows of a SELECT must be the same", call.at, cure)
    return specifications[0]


def _numbered(over: syntax.Over) -> syntax.Over:
    """The specification of a ROW_NUMBER beside other calls: it counts rows."""
    if over.frame is not None:
        raise Refusal("ROW_NUMBER takes no frame", over.frame.at, "leave RANGE or ROWS out")
    return replace(over, frame=syntax.Frame("ROWS", None, over.at))


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


def _order(over: syntax.Over, binder: Binder, relation: Relation, call: syntax.Call) -> tuple[Expr, bool]:
    """What rows are handled in the order of, and whether that is a time attribute: event time or processing time."""
    schema = relation.node.schema
    cure = "ORDER BY " + ("a column" if schema.rowtime is None else schema.fields[schema.rowtime].name)
    if not over.order:
        raise Refusal("OVER needs ORDER BY", call.at, cure)
    if len(over.order) > 1:
        raise Refusal("OVER is ordered by one column", over.order[1].at, cure)
    item = over.order[0]
    if item.descending:
        raise Refusal("OVER is ordered by an ascending column", item.at, "leave DESC out, or order by -x")
    value = binder.value(item.expression)
    if isinstance(value, Literal):
        raise Refusal("OVER is ordered by a column, not by a constant", item.at, cure)
    if is_now(value, schema) or (isinstance(value, ColumnRef) and value.index == schema.rowtime):
        return value, True
    if not is_orderable(value.type.kind):
        raise Refusal(f"ORDER BY {value.type} is not supported", item.at, "use one of its fields")
    return value, False


# What Flink 2.3 plans in the order of a value and then cannot run: with any frame, and with ROWS only.
_ONLY_TIMED = ("LAG", "ARRAY_AGG", "PERCENTILE")
_ONLY_RANGE = ("FIRST_VALUE", "LAST_VALUE", "LISTAGG")


def _check_by_value(calls: Sequence[syntax.Call], unit: str) -> None:
    """Refuse what only an order of time gives."""
    for call in calls:
        if call.name in _ONLY_TIMED:
            raise Refusal(f"{call.name} OVER (...) in the order of a value", call.at, "ORDER BY the event time")
        if unit == "ROWS" and call.name in _ONLY_RANGE:
            raise Refusal(f"{call.name} over ROWS in the order of a value", call.at, "leave ROWS out")


def _frame(over: syntax.Over, binder: Binder, timed: bool) -> tuple[str, int | None]:
    """The unit, and how far back: ms for RANGE, rows for ROWS, None for unbounded. `timed`: in an order of time."""
    frame = over.frame
    if frame is None:
        return "RANGE", None
    if frame.preceding is None:
        return frame.unit, None
    if not timed:
        raise Refusal(
            "a bounded frame in the order of a value: it reaches from the first row",
            frame.at,
            "ROWS UNBOUNDED PRECEDING, or ORDER BY the event time",
        )
    value = binder.value(frame.preceding)
    if frame.unit == "RANGE":
        return "RANGE", positive_ms(value, "the range", _RANGE_USAGE)
    if not isinstance(value, Literal) or not isinstance(value.value, int) or value.type.kind.value != "INT":
        raise Refusal("ROWS takes a constant number of rows", value.at, "ROWS BETWEEN 9 PRECEDING AND CURRENT ROW")
    if value.value < 0:
        raise Refusal("ROWS takes a number of rows from 0", value.at)
    return "ROWS", value.value
