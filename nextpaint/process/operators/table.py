"""A materialised table: the latest row per primary key, served to decisions, SQL and the console.

It takes changes (or upserts) and passes on a complete changelog: +I for a new key, -U/+U for a changed row, nothing
for an equal one, -D for a removed one. With every row it keeps the ledger time of its last change: the age of a fact.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.protocol import Change, Operator, Output, Row, Select, StepContext, settled
from nextpaint.process.operators.stateless import Project
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch
from nextpaint.record.types import Field


class MaterialisedTable(Operator):
    """State: `rows`, primary key -> (ledger time of the last change, row)."""

    def __init__(
        self, identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator], state: State
    ) -> None:
        super().__init__(identity, [each.type for each in fields])
        self.names = tuple(each.name for each in fields)
        self.key = key
        self.rows = self._made(state)
        self.source = sources[0] if sources else None
        self._nested = any(each.type.is_nested for each in fields)

    def _made(self, state: State) -> Cell:
        return state.cell(self.id, "rows", decimals=any(each.has_decimals for each in self.types))

    def key_of(self, row: Row) -> Row:
        return tuple(row[index] for index in self.key)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        if len(batch):
            clock = context.clock(batch.seq)
            at = [clock] * len(batch) if isinstance(clock, int) else clock.tolist()
            seqs, rows = batch.seq.tolist(), batch.rows()
            for index, kind in settled(batch.kind.tolist(), [self.key_of(row) for row in rows]):
                held = frozen(rows[index]) if self._nested else rows[index]
                self.apply(out, kind, seqs[index], held, at[index])
        return out.batch(batch.mark_seq, batch.mark_wm)

    def apply(self, out: Output, kind: int, seq: int, row: Row, at_ms: int) -> None:
        """One change; `row` holds immutable values. A retraction of another row than the stored one is stale:
        ignored."""
        key = self.key_of(row)
        stored = self.rows.get(key)
        if kind == DELETE:
            if stored is not None:
                self.rows.pop(key)
                out.add(DELETE, seq, stored[1])
        elif stored is None:
            self.rows.put(key, (at_ms, row))
            out.add(INSERT, seq, row)
        elif stored[1] != row:
            self.rows.put(key, (at_ms, row))
            out.add(UPDATE_BEFORE, seq, stored[1])
            out.add(UPDATE_AFTER, seq, row)

    def get(self, key: Row) -> Row | None:
        stored = self.rows.get(key)
        return stored[1] if stored is not None else None

    def get_all(self, keys: Sequence[Row]) -> list[Row | None]:
        """`get` of each key."""
        return [self.get(key) for key in keys]

    def changed_at_ms(self, keys: Sequence[Row]) -> list[int | None]:
        """The ledger time at which the row of each key last changed, None where there is none."""
        return [None if stored is None else stored[0] for stored in self.rows.several(keys)]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """What rows still held upstream would change here."""
        if self.source is None:
            return []
        final: dict[Row, Row | None] = {}
        pending = self.source.pending(select, as_of)
        keys = [self.key_of(change.row) for change in pending]
        for index, kind in settled([change.kind for change in pending], keys):
            final[keys[index]] = None if kind == DELETE else frozen(pending[index].row)
        changes: list[Change] = []
        for key, row in final.items():
            stored = self.get(key)
            if stored == row:
                continue
            if stored is not None:
                changes.append(Change(UPDATE_BEFORE if row is not None else DELETE, stored))
            if row is not None:
                changes.append(Change(INSERT if stored is None else UPDATE_AFTER, row))
        return changes


class GroupedTable(MaterialisedTable):
    """A table over a group aggregate that nothing but readings look at: rows are finished from the group's
    accumulators when they are read. It keeps only which rows there are and when each last changed.

    State: `rows`, primary key -> (ledger time of the last change,).
    """

    def __init__(
        self, identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator],
        group: GroupAggregate, state: State,
    ) -> None:  # fmt: skip
        super().__init__(identity, fields, key, sources, state)
        self.group = group
        self.group_key: tuple[int, ...] = ()  # for each group key, its place in the primary key; set by `bind`

    def bind(self, group_key: tuple[int, ...]) -> None:
        """`group_key[i]`: which primary key column copies key column i of the group."""
        self.group_key = group_key
        self._place = [group_key.index(at) for at in range(len(group_key))]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if len(batch):
            clock = context.clock(batch.seq)
            at = [clock] * len(batch) if isinstance(clock, int) else clock.tolist()
            columns = [batch.columns[place].to_list() for place in self._place]
            told: dict[Row, tuple[int]] = {}
            for kind, key, at_ms in zip(batch.kind.tolist(), zip(*columns, strict=True), at, strict=True):
                if kind == DELETE:
                    told.pop(key, None)
                    self.rows.pop(key)
                else:
                    told[key] = (at_ms,)
            self.rows.put_all(told)
        return self.nothing.marked(batch.mark_seq, batch.mark_wm)

    def get(self, key: Row) -> Row | None:
        """The final row, finished now."""
        group_key = tuple(key[place] for place in self.group_key)
        stored = self.group.groups.get(group_key)
        if stored is None or not isinstance(self.source, Project):
            return None
        made = self.source.finished([Change(INSERT, group_key + self.group.accumulators.results(stored[1]))])
        return frozen(made[0].row) if made else None
