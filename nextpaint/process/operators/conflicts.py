"""ON CONFLICT where the rows of a query that updates them are not unique by the key of its target.

All rows of a key are kept in the order they came, as Flink's sink materializer keeps them: DEDUPLICATE shows the last
of them, NOTHING the first; when it is taken back the next one is shown. ERROR shows the first and sends others to the
dead letters. Nothing is held back: Flink decides NOTHING and ERROR when the watermark passes.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.expiry import Expiry, bounded
from nextpaint.process.operators.protocol import Change, DeadRow, Operator, Output, Row, Select, StepContext
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch
from nextpaint.sql.plan import Conflicts

Rows = tuple[Row, ...]


class ConflictingRows(Operator):
    """State: `rows`, key of the target -> its rows, in the order they came."""

    def __init__(self, identity: str, node: Conflicts, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.keys = node.keys
        self._rule, self._buries = node.rule, node.buries
        decimals = any(each.has_decimals for each in self.types)
        self._rows = state.cell(identity, "rows", decimals=decimals)
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]

    def restore(self) -> None:
        if self._expiry is not None:
            self._expiry.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        clocks = context.at(batch.seq).tolist()
        kinds, seqs = batch.kind.tolist(), batch.seq.tolist()
        for kind, row, seq, at_ms in zip(kinds, batch.rows(), seqs, clocks, strict=True):
            self._forget(at_ms)
            key = self._key(row)
            before: Rows = self._rows.get(key, ())
            after = self._after(before, Change(kind, frozen(row)))
            if after is None:
                context.dead.append(DeadRow(seq, self.id, self._buries, row))
                continue
            self._put(key, after, at_ms)
            for change in self._told(before, after):
                out.add(change.kind, seq, change.row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _forget(self, now_ms: int) -> None:
        if self._expiry is not None:
            for gone in self._expiry.expired(now_ms):
                self._rows.pop(gone)

    def _put(self, key: Row, rows: Rows, at_ms: int) -> None:
        if rows:
            self._rows.put(key, rows)
        elif key in self._rows:
            self._rows.pop(key)
        if self._expiry is not None:
            if rows:
                self._expiry.write(key, at_ms)
            else:
                self._expiry.forget(key)

    def _key(self, row: Row) -> Row:
        return tuple([row[index] for index in self.keys])

    def _after(self, rows: Rows, change: Change) -> Rows | None:
        """The rows of a key after a change; None where it is in conflict and that is an error."""
        if change.kind in (INSERT, UPDATE_AFTER):
            return None if rows and self._rule == "ERROR" else (*rows, change.row)
        if change.row not in rows:
            return rows
        place = rows.index(change.row)
        return (*rows[:place], *rows[place + 1 :])

    def _shown(self, rows: Rows) -> Row | None:
        return (rows[-1] if self._rule == "DEDUPLICATE" else rows[0]) if rows else None

    def _told(self, before: Rows, after: Rows) -> list[Change]:
        old, new = self._shown(before), self._shown(after)
        if old == new:
            return []
        if old is None or new is None:
            return [Change(INSERT, new)] if new is not None else [Change(DELETE, old)] if old is not None else []
        return [Change(UPDATE_BEFORE, old), Change(UPDATE_AFTER, new)]

    @property
    def bound(self) -> str:
        return bounded("all rows of a key", self._expiry)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        touched: dict[Row, Rows] = {}
        for change in self._source.pending(select, as_of):
            key = self._key(change.row)
            before: Rows = touched[key] if key in touched else self._rows.get(key, ())
            after = self._after(before, Change(change.kind, frozen(change.row)))
            if after is not None:
                touched[key] = after
        return [change for key, rows in touched.items() for change in self._told(self._rows.get(key, ()), rows)]
