"""CURRENT_WATERMARK(rowtime) in a SELECT list or WHERE: the node below gets a column for it."""

from __future__ import annotations

from dataclasses import replace

from nextpaint.record.types import Field
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder, Replace
from nextpaint.sql.plan import Changes, ColumnRef, Node, WatermarkColumn
from nextpaint.sql.refusal import Refusal

NAME = "CURRENT_WATERMARK"


def watermark_calls(parts: object) -> list[syntax.Call]:
    """The calls among `parts`."""
    return [each for each in syntax.walk(parts) if isinstance(each, syntax.Call) and each.name == NAME]


def with_watermarks(node: Node, binder: Binder, parts: tuple[object, ...]) -> tuple[Node, Replace]:
    """`node` with a column for the calls among `parts`, and what stands in their places. Raises Refusal."""
    calls = watermark_calls(parts)
    if not calls:
        return node, lambda written: None
    for call in calls:
        if len(call.args) != 1:
            raise Refusal(f"{NAME} takes one argument, the event time", call.at, f"{NAME}(ts)")
        time = binder.value(call.args[0])
        if not isinstance(time, ColumnRef) or time.index not in node.schema.times:
            cure = "declare WATERMARK FOR on the table and keep that column in the views between"
            raise Refusal(f"{NAME} takes the event time of the rows", call.args[0].at, cure)
    if node.schema.changes is not Changes.APPEND:
        cure = "use it in a view over the stream itself"
        raise Refusal(f"{NAME} of rows that are updated: a row could not be taken back as it was", calls[0].at, cure)
    rowtime = binder.value(calls[0].args[0])
    column = ColumnRef(rowtime.type, len(node.schema.fields), "watermark$", calls[0].at)
    schema = replace(node.schema, fields=(*node.schema.fields, Field(column.name, column.type)))
    made = WatermarkColumn(schema, node, calls[0].at)
    return made, lambda written: column if isinstance(written, syntax.Call) and written.name == NAME else None
