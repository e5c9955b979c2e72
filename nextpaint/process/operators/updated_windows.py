"""TUMBLE, HOP and CUMULATE over rows that are updated: what is taken back leaves its windows while they are open.

As `WindowAggregation`; with each window goes the number of its rows, and one that is left without rows emits nothing.
A row taken back after its window has fired is late. MIN, MAX, FIRST_VALUE, LAST_VALUE and DISTINCT know the values of
every open window (`process.kept`).
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.kept import GroupAccumulators, Kept, KeptValues
from nextpaint.process.operators.protocol import Change, Operator, Row
from nextpaint.process.operators.window import WindowAggregation
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE
from nextpaint.sql.plan import WindowAggregate, WindowedAggregate

Held = tuple[object, ...]  # (rows, accumulators)


class UpdatedWindows(WindowAggregation):
    """State: `windows`, (end, start, *key) -> (rows, accumulators); `values` where aggregates keep them."""

    _accumulators: GroupAccumulators

    def __init__(
        self, identity: str, node: WindowAggregate | WindowedAggregate, sources: Sequence[Operator], state: State
    ) -> None:
        super().__init__(identity, node, sources, state)
        types = node.input.schema.types
        time = node.time if isinstance(node, WindowAggregate) else node.input.schema.rowtime
        self._accumulators = GroupAccumulators(node.aggregates, types, time, updated=True)
        self._kept: KeptValues | None = None
        if self._accumulators.kept_calls:
            self._kept = KeptValues(identity, self._accumulators, (*self.types, *types), state)

    def restore(self) -> None:
        super().restore()
        if self._kept is not None:
            self._kept.restore()

    def _folded(self, key: Row, held: Held | None, change: Change) -> Held:
        return self._counted(held, change, self._kept.of(key) if self._kept is not None else None)

    def _counted(self, held: Held | None, change: Change, kept: Kept | None) -> Held:
        rows, accs = held if held is not None else (0, self._accumulators.zero)
        taken_back = change.kind in (UPDATE_BEFORE, DELETE)
        made = self._accumulators.folded(accs, change.row, kept, taken_back)  # type: ignore[arg-type]
        return (rows - 1 if taken_back else rows + 1, made)  # type: ignore[operator]

    def _closed(self, key: Row, held: Held) -> Row | None:
        row = self._shown(key, held)
        if self._kept is not None:
            self._kept.forget(key)
        return row

    def _shown(self, key: Row, held: Held) -> Row | None:
        rows, accs = held
        return self._result(key, accs) if rows else None  # type: ignore[arg-type]

    def _looked_at(self, key: Row, held: Held | None, change: Change, seen: dict[Row, object]) -> Held:
        if self._kept is None:
            return self._counted(held, change, None)
        kept = seen.setdefault(key, self._kept.looked_at(key))
        assert isinstance(kept, Kept)
        return self._counted(held, change, kept)
