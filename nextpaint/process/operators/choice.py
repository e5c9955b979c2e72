"""Which implementation of an operator a plan node gets: typed state and kernels where its types and functions fit, rows
and dictionaries otherwise. Both give the same rows in the same order; the general one is the reference."""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.operators import (
    typed_dedup,
    typed_group,
    typed_interval,
    typed_join,
    typed_over,
    typed_session,
    typed_slices,
    typed_table,
    typed_temporal,
    typed_top,
    typed_window,
    typed_window_join,
)
from nextpaint.process.operators.arrival_over import ArrivalOver
from nextpaint.process.operators.dedup import FirstArrival, FirstRow, LastRow
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.interval import IntervalJoin
from nextpaint.process.operators.join import Join
from nextpaint.process.operators.over import OverAggregation
from nextpaint.process.operators.protocol import Operator
from nextpaint.process.operators.session import SessionAggregation
from nextpaint.process.operators.table import GroupedTable, MaterialisedTable
from nextpaint.process.operators.temporal import TemporalJoin
from nextpaint.process.operators.top import TopN, VariableTopN
from nextpaint.process.operators.updated_sessions import UpdatedSessions
from nextpaint.process.operators.updated_windows import UpdatedWindows
from nextpaint.process.operators.value_over import ValueOver
from nextpaint.process.operators.window import WindowAggregation
from nextpaint.process.operators.window_join import WindowJoin
from nextpaint.process.state import State
from nextpaint.record.types import Field
from nextpaint.sql import plan


def group(
    identity: str, node: plan.GroupAggregate, sources: Sequence[Operator], state: State, *, quiet: bool = False
) -> GroupAggregate:
    """GROUP BY; `quiet` when nobody reads its rows, only which keys changed."""
    program = typed_group.fitting(node, quiet)
    made = (
        GroupAggregate(identity, node, sources, state)
        if program is None
        else typed_group.TypedGroup(identity, node, sources, state, program)
    )
    made.keys_only = quiet
    return made


def window(
    identity: str, node: plan.WindowAggregate | plan.WindowedAggregate, sources: Sequence[Operator], state: State
) -> WindowAggregation:
    """TUMBLE, HOP, CUMULATE, and aggregation of rows that carry their window."""
    if node.input.schema.changes is not plan.Changes.APPEND:
        return UpdatedWindows(identity, node, sources, state)
    program = typed_window.fitting(node)
    if program is None:
        return WindowAggregation(identity, node, sources, state)
    if isinstance(node, plan.WindowAggregate) and typed_slices.fitting(node.window, program):
        return typed_slices.SlicedWindow(identity, node, sources, state, program)
    return typed_window.TypedWindow(identity, node, sources, state, program)


def session(identity: str, node: plan.WindowAggregate, sources: Sequence[Operator], state: State) -> SessionAggregation:
    """SESSION."""
    if node.input.schema.changes is not plan.Changes.APPEND:
        return UpdatedSessions(identity, node, sources, state)
    program = typed_session.fitting(node)
    if program is None:
        return SessionAggregation(identity, node, sources, state)
    return typed_session.TypedSession(identity, node, sources, state, program)


def temporal(identity: str, node: plan.TemporalJoin, sources: Sequence[Operator], state: State) -> TemporalJoin:
    """FOR SYSTEM_TIME AS OF a left row's time."""
    made = typed_temporal.TypedTemporalJoin if typed_temporal.fitting(node) else TemporalJoin
    return made(identity, node, sources, state)


def join(identity: str, node: plan.Join, sources: Sequence[Operator], state: State) -> Join:
    """Regular joins."""
    made = typed_join.TypedJoin if typed_join.fitting(node) else Join
    return made(identity, node, sources, state)


def interval(identity: str, node: plan.IntervalJoin, sources: Sequence[Operator], state: State) -> IntervalJoin:
    """Joins of rows whose times are near."""
    made = typed_interval.TypedIntervalJoin if typed_interval.fitting(node) else IntervalJoin
    return made(identity, node, sources, state)


def window_join(identity: str, node: plan.WindowJoin, sources: Sequence[Operator], state: State) -> WindowJoin:
    """Joins of rows of the same window."""
    made = typed_window_join.TypedWindowJoin if typed_window_join.fitting(node) else WindowJoin
    return made(identity, node, sources, state)


def top(identity: str, node: plan.Rank, sources: Sequence[Operator], state: State) -> TopN:
    """Top-N."""
    if node.limit is not None:
        return VariableTopN(identity, node, sources, state)
    made = typed_top.TypedTopN if typed_top.fitting(node) else TopN
    return made(identity, node, sources, state)


def deduplication(identity: str, node: plan.Deduplicate, sources: Sequence[Operator], state: State) -> Operator:
    """The first or the last row of each key."""
    typed = typed_dedup.fitting(node)
    if node.last:
        return (typed_dedup.TypedLastRow if typed else LastRow)(identity, node, sources, state)
    if node.time is None:
        return (typed_dedup.TypedFirstArrival if typed else FirstArrival)(identity, node, sources, state)
    return FirstRow(identity, node, sources, state)


def over(
    identity: str, node: plan.OverAggregate, sources: Sequence[Operator], state: State
) -> OverAggregation | ValueOver:
    """OVER frames."""
    if node.by_value is not None:
        return ValueOver(identity, node, sources, state)
    if node.arrival:
        return ArrivalOver(identity, node, sources, state)
    program = typed_over.fitting(node)
    if program is None:
        return OverAggregation(identity, node, sources, state)
    return typed_over.TypedOver(identity, node, sources, state, program)


def table(
    identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator], state: State, *,
    quiet: bool,
) -> MaterialisedTable:  # fmt: skip
    """A table by key; `quiet` when nobody reads its changelog."""
    if not typed_table.fitting(fields, key):
        return MaterialisedTable(identity, fields, key, sources, state)
    made = typed_table.QuietTable if quiet else typed_table.TypedTable
    return made(identity, fields, key, sources, state)


def grouped_table(
    identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator], group: GroupAggregate,
    state: State,
) -> GroupedTable:  # fmt: skip
    """A table over a group aggregate, of which it keeps keys."""
    typed = typed_table.fitting([fields[each] for each in key], range(len(key)))
    made = typed_table.TypedGroupedTable if typed else GroupedTable
    return made(identity, fields, key, sources, group, state)
