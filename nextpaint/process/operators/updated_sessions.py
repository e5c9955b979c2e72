"""SESSION over rows that are updated: what is taken back leaves its session while that is open.

A session keeps its rows and is folded when it fires. As in Flink a row that is taken back leaves the session as long as
it was, opens or joins sessions as a row does that comes, and a session that is left without rows emits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.kept import GroupAccumulators, Kept
from nextpaint.process.operators.protocol import Change, Operator, Row
from nextpaint.process.operators.session import Session, SessionAggregation
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import DELETE, UPDATE_BEFORE
from nextpaint.sql.plan import WindowAggregate

Rows = tuple[tuple[bool, Row], ...]  # (was it taken back, the row); a row taken back from its own session is gone


class UpdatedSessions(SessionAggregation):
    """State: `sessions`, key -> (start, end, rows) of the open sessions, ordered by start."""

    _accumulators: GroupAccumulators

    def __init__(self, identity: str, node: WindowAggregate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        self._accumulators = GroupAccumulators(node.aggregates, node.input.schema.types, node.time, updated=True)

    def _made(self, node: WindowAggregate, state: State) -> Cell:
        decimals = any(each.has_decimals for each in (*self.types, *node.input.schema.types))
        return state.cell(self.id, "sessions", decimals=decimals)

    def _nothing_yet(self) -> Rows:
        return ()

    def _both(self, one: Rows, other: Rows) -> Rows:
        return (*one, *other)

    def _with(self, rows: Rows, change: Change) -> Rows:
        row = frozen(change.row)
        taken_back = change.kind in (UPDATE_BEFORE, DELETE)
        if taken_back and (False, row) in rows:
            last = len(rows) - 1 - rows[::-1].index((False, row))
            return (*rows[:last], *rows[last + 1 :])
        return (*rows, (taken_back, row))

    def _result(self, key: Row, session: Session) -> Row | None:
        start, end, rows = session
        accs, kept, count = self._accumulators.zero, Kept(key, None), 0
        for taken_back, row in rows:
            accs = self._accumulators.folded(accs, row, kept, taken_back)
            count += -1 if taken_back else 1
        return self._closed(key, (start, end), accs) if count else None
