"""Group aggregation: one accumulator tuple per key, updated row by row, never late.

Emits +I for a new group, -U/+U for a change, nothing for an equal result, -D when its row count falls to zero. A
group is read as of a time from its accumulators, so decayed sums fade without an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.expiry import Expiry, bounded
from nextpaint.process.kept import GroupAccumulators, Kept, KeptValues
from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.operators.protocol import Change, Operator, Output, Row, Select, StepContext
from nextpaint.process.state import Cell, State
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch, BoolArray, IntArray
from nextpaint.sql.plan import Changes
from nextpaint.sql.plan import GroupAggregate as GroupNode

Group = tuple[int, tuple[object, ...]]  # rows, accumulators
Folded = tuple[npt.NDArray[np.float64], IntArray, BoolArray]


class GroupAggregate(Operator):
    """State: `groups`, key columns -> (row count, accumulators); `values` where aggregates keep them (`kept.py`)."""

    def __init__(self, identity: str, node: GroupNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.keys = node.keys
        inputs = node.input.schema
        updated = inputs.changes is not Changes.APPEND
        self.accumulators = GroupAccumulators(node.aggregates, inputs.types, inputs.rowtime, updated)
        self.groups = self._made(node, state)
        self._kept = self._values(node, state)
        decimals = any(each.has_decimals for each in self.types)
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]
        # Only grouped tables read this: they take the keys that changed and finish values when they are read.
        self.keys_only = False
        self._touched = Batch.of(self.types[: len(self.keys)], (), (), ())

    def _made(self, node: GroupNode, state: State) -> Cell:
        return state.cell(self.id, "groups", decimals=any(each.has_decimals for each in self.types))

    def _values(self, node: GroupNode, state: State) -> KeptValues | None:
        if not self.accumulators.kept_calls:
            return None
        return KeptValues(self.id, self.accumulators, (*self.types, *node.input.schema.types), state)

    @property
    def expires(self) -> bool:
        """Are groups forgotten that were not written for a while? A table keeps what they told it."""
        return self._expiry is not None

    def restore(self) -> None:
        if self._kept is not None:
            self._kept.restore()
        if self._expiry is not None:
            self._expiry.restore()

    @property
    def bound(self) -> str:
        values = " with its distinct values" if self._kept is not None else ""
        return bounded(f"a group per key{values}", self._expiry)

    def _clocks(self, batch: Batch, context: StepContext) -> list[int]:
        """The ledger time of each row, where it matters."""
        times: list[int] = context.at(batch.seq).tolist() if self.expires else [0] * len(batch)
        return times

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        self.accumulators.reasons.clear()  # those of readings are nobody's rows
        if self.keys_only:
            return self._touch(batch, context)
        out = Output(self.nothing)
        if len(batch):
            kinds, times = batch.kind.tolist(), self._clocks(batch, context)
            for index, (row, seq) in enumerate(zip(batch.rows(), batch.seq.tolist(), strict=True)):
                key, before, after = self._taken(kinds[index], row, times[index])
                if after is None:
                    self.groups.pop(key)
                else:
                    self.groups.put(key, after)
                self._emit(out, seq, key, before, after)
                if self.accumulators.reasons:
                    self.accumulators.report(context, seq, self.id, row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _touch(self, batch: Batch, context: StepContext) -> Batch:
        """Fold rows and give only their keys: +U where the group lives, -D where it is gone."""
        out = Output(self._touched)
        if len(batch):
            kinds, times = batch.kind.tolist(), self._clocks(batch, context)
            for index, (row, seq) in enumerate(zip(batch.rows(), batch.seq.tolist(), strict=True)):
                key, before, after = self._taken(kinds[index], row, times[index])
                if after is not None:
                    self.groups.put(key, after)
                    out.add(UPDATE_AFTER, seq, key)
                elif before is not None:
                    self.groups.pop(key)
                    out.add(DELETE, seq, key)
                if self.accumulators.reasons:
                    self.accumulators.report(context, seq, self.id, row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _key(self, row: Row) -> Row:
        return tuple([row[index] for index in self.keys])

    def _taken(self, kind: int, row: Row, at_ms: int) -> tuple[Row, Group | None, Group | None]:
        """The row's group, what it was, and what it is with the row taken in or back (None: gone)."""
        for expired in self._expiry.expired(at_ms) if self._expiry is not None else ():
            self.groups.pop(expired)
            if self._kept is not None:
                self._kept.forget(expired)
        key = self._key(row)
        before: Group | None = self.groups.get(key)
        after = self._folded(kind, row, before, self._kept.of(key) if self._kept is not None else None)
        if after is None and self._kept is not None:
            self._kept.forget(key)
        if self._expiry is not None:
            if after is not None:
                self._expiry.write(key, at_ms)
            else:
                self._expiry.forget(key)
        return key, before, after

    def _folded(self, kind: int, row: Row, before: Group | None, kept: Kept | None) -> Group | None:
        count, accs = before if before is not None else (0, self.accumulators.zero)
        if kind in (UPDATE_BEFORE, DELETE):
            return (count - 1, self.accumulators.folded(accs, row, kept, True)) if count > 1 else None
        return (count + 1, self.accumulators.folded(accs, row, kept, False))

    def _emit(self, out: Output, seq: int, key: Row, before: Group | None, after: Group | None) -> None:
        old = key + self.accumulators.results(before[1]) if before is not None else None
        new = key + self.accumulators.results(after[1]) if after is not None else None
        if old is None:
            if new is not None:
                out.add(INSERT, seq, new)
        elif new is None:
            out.add(DELETE, seq, old)
        elif old != new:
            out.add(UPDATE_BEFORE, seq, old)
            out.add(UPDATE_AFTER, seq, new)

    # ------------------------------------------------------------ live

    def looked_at(self, key: Row) -> Kept | None:
        """The values a group keeps, as a copy that a reading may change."""
        return self._kept.looked_at(key) if self._kept is not None else None

    def faded(self, keys: Sequence[Row], aggregate: int) -> Folded:
        """A decayed aggregate of many groups: values, the times they are as of (epoch ms) and whether there is one,
        shapes (n,)."""
        decayed = DecayedSum(self.accumulators.half_lives[aggregate])
        found = [stored[1][aggregate] if (stored := self.groups.get(key)) is not None else () for key in keys]
        pairs = [decayed.fold(each) for each in found]
        return (
            np.array([each[0] for each in pairs], np.float64), np.array([each[1] for each in pairs], np.int64),
            np.array([bool(each) for each in found], np.bool_),
        )  # fmt: skip

    def folded(self, select: Select, as_of: int) -> dict[Row, Group | None]:
        """Accumulators of the groups that pending input rows touch, with those rows folded in; None = group gone."""
        wanted = {self.keys[column]: value for column, value in select.items() if column < len(self.keys)}
        touched: dict[Row, Group | None] = {}
        values: dict[Row, Kept | None] = {}
        for kind, row in self._awaited(wanted, as_of):
            key = self._key(row)
            before = touched[key] if key in touched else self.groups.get(key)
            if self.accumulators.kept_calls and (key not in values or before is None):
                values[key] = self.looked_at(key) if key not in touched else Kept(key, None)
            touched[key] = self._folded(kind, row, before, values.get(key))
        return touched

    def _awaited(self, select: Select, as_of: int) -> Iterable[tuple[int, Row]]:
        """Kinds and rows that would still come."""
        batch = self._source.pending_batch(select, as_of)
        if batch is None:
            return ((change.kind, change.row) for change in self._source.pending(select, as_of))
        return zip(batch.kind.tolist(), batch.rows(), strict=True)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        changes: list[Change] = []
        for key, after in self.folded(select, as_of).items():
            before = self.groups.get(key)
            if before is not None:
                kind = DELETE if after is None else UPDATE_BEFORE
                changes.append(Change(kind, key + self.accumulators.results(before[1])))
            if after is not None:
                kind = INSERT if before is None else UPDATE_AFTER
                changes.append(Change(kind, key + self.accumulators.results(after[1])))
        return changes
