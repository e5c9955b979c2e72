"""Regular joins: INNER, LEFT, RIGHT, FULL, SEMI (IN, EXISTS) and ANTI (NOT IN, NOT EXISTS).

All rows of both sides are kept, as multisets by join key, and each change of one side is joined with what the other
side holds at that moment, in `seq` order. Nothing is held back and nothing is late. A row of an outer side without a
match comes out padded with NULL; the first match takes the padded row back, the loss of the last one gives it again.
A key with a NULL matches nothing, unless it was compared with IS NOT DISTINCT FROM.

Kinds are Flink's (its StreamingJoinOperator): an inner join passes the kind of the change on, an outer one sends +I and
-D. The output's watermark is the minimum of both sides; the time columns are plain columns from here on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nextpaint.process.expiry import Expiry
from nextpaint.process.operators.condition import Condition
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    EventClock,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    merged,
)
from nextpaint.process.operators.sides import Entry, JoinSide, Overlay, Written, side_columns
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, Batch
from nextpaint.sql.plan import Join as JoinNode
from nextpaint.sql.plan import JoinKind

LEFT, RIGHT = 0, 1
Moment = tuple[int, int, StepContext | None, int]  # seq, ordinal, where failures go, ledger clock


class Join(Operator):
    """State: `left` and `right`, row -> (times, matches, seq, ordinal); matches are counted where padding or EXISTS
    depends on them."""

    def __init__(self, identity: str, node: JoinNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.node = node
        inputs = (node.left.schema, node.right.schema)
        joined = (*inputs[LEFT].types, *inputs[RIGHT].types)
        self._width = len(inputs[LEFT].fields)
        decimals = any(each.has_decimals for each in joined)
        self._padding = tuple((None,) * len(each.fields) for each in inputs)
        self._nested = tuple(any(type_.is_nested for type_ in each.types) for each in inputs)
        self._pads = (node.kind.pads_left, node.kind.pads_right)
        self._tracks = (node.kind.pads_left or node.kind.left_only, node.kind.pads_right)  # are matches counted?
        self._sides: tuple[JoinSide, ...] = self._made(node, state)
        self._expiry = tuple(
            Expiry(f"{identity}/{name}", ttl_ms, decimals, state) if ttl_ms else None
            for name, ttl_ms in zip(("left", "right"), node.ttl_ms, strict=True)
        )
        self._condition = Condition(node.residual, joined, identity)
        self._clock = EventClock(state, identity, 2)
        self._sources = tuple(sources)
        self._last_seq, self._ordinal = -1, 0

    def _made(self, node: JoinNode, state: State) -> tuple[JoinSide, ...]:
        decimals = any(each.has_decimals for each in (*node.left.schema.types, *node.right.schema.types))
        return tuple(
            JoinSide(state.cell(self.id, name, decimals=decimals), keys, node.nulls_match or (False,) * len(keys))
            for name, keys in (("left", node.left_keys), ("right", node.right_keys))
        )

    def restore(self) -> None:
        self._clock.restore()
        for side in self._sides:
            side.restore()
        for expiry in self._expiry:
            if expiry is not None:
                expiry.restore()

    @property
    def kept(self) -> int:
        """Rows remembered of both sides."""
        return sum(len(side) for side in self._sides)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        marks: list[tuple[int, int]] = []
        kinds = [batch.kind.tolist() for batch in inputs]
        rows = [self._held(port, batch.rows()) for port, batch in enumerate(inputs)]
        clocks = [context.at(batch.seq).tolist() for batch in inputs]
        for what, port, value, seq in merged(inputs):
            if what == ROW:
                self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
                self._last_seq = seq
                moment = (seq, self._ordinal, context, clocks[port][value])
                self._forget(moment[3])
                for change in self._applied(self._sides, port, Change(kinds[port][value], rows[port][value]), moment):
                    out.add(change.kind, seq, change.row)
            elif self._clock.advance(port, value):
                marks.append((seq, self._clock.watermark))
        batch = out.batch(inputs[LEFT].mark_seq[:0], inputs[LEFT].mark_wm[:0])
        return batch.with_marks([mark[0] for mark in marks], [mark[1] for mark in marks])

    @staticmethod
    def _written(expiry: Expiry, now_ms: int) -> Written:
        def told(row: Row, kept: bool) -> None:
            if kept:
                expiry.write(row, now_ms)
            else:
                expiry.forget(row)

        return told

    def _forget(self, now_ms: int) -> None:
        """Drop the rows whose time to live is over; nothing is said about them."""
        for side, expiry in zip(self._sides, self._expiry, strict=True):
            if expiry is not None:
                side.written = self._written(expiry, now_ms)
                for row in expiry.expired(now_ms):
                    side.put(row, None)

    def _held(self, port: int, rows: list[Row]) -> list[Row]:
        return [frozen(row) for row in rows] if self._nested[port] else rows

    # ------------------------------------------------------------ rules

    def _applied(self, sides: Sequence[JoinSide], port: int, change: Change, moment: Moment) -> list[Change]:
        """What a change of one side changes in the result; the sides take it in."""
        key = sides[port].key_of(change.row)
        if key is None:
            return self._alone(port, change)
        partners = self._partners(sides[1 - port], key, port, change.row, moment)
        found = sum(entry.times for _, entry in partners)
        matches = found if self._tracks[port] else 0
        if not _stored(sides[port], change, matches, moment) and self._expiry[port] is None:
            return []  # with a time to live the row may have been forgotten: Flink takes its pairs back all the same
        if not self.node.kind.left_only:
            return self._joined(sides[1 - port], port, change, partners)
        if port == RIGHT:
            return self._appeared(sides[LEFT], change, partners)
        return [change] if (found > 0) == (self.node.kind is JoinKind.SEMI) else []

    def _alone(self, port: int, change: Change) -> list[Change]:
        """A row whose key matches nothing: padded, if its side is outer; nothing of it needs to be remembered."""
        if self.node.kind is JoinKind.ANTI:
            return [change] if port == LEFT else []
        return [self._padded(port, change.row, _adds(change))] if self._pads[port] else []

    def _partners(self, other: JoinSide, key: Row, port: int, row: Row, moment: Moment) -> list[tuple[Row, Entry]]:
        candidates = list(other.rows(key))
        if self.node.residual is not None:
            pairs = [self._pair(port, row, each) for each in candidates]
            mask = self._condition.passing(pairs, moment[0], moment[2], moment[3])
            candidates = [each for each, passes in zip(candidates, mask, strict=True) if passes]
        return [(each, entry) for each in candidates if (entry := other.entry(each)) is not None]

    @staticmethod
    def _pair(port: int, row: Row, other: Row) -> Row:
        return row + other if port == LEFT else other + row

    def _padded(self, port: int, row: Row, added: bool) -> Change:
        return Change(INSERT if added else DELETE, self._pair(port, row, self._padding[1 - port]))

    def _joined(
        self, other: JoinSide, port: int, change: Change, partners: Sequence[tuple[Row, Entry]]
    ) -> list[Change]:
        added = _adds(change)
        if not partners:
            return [self._padded(port, change.row, added)] if self._pads[port] else []
        outer = self._pads[port] or (added and self._pads[1 - port])
        kind = (INSERT if added else DELETE) if outer else change.kind
        pairs = [Change(kind, self._pair(port, change.row, row)) for row, entry in partners for _ in range(entry.times)]
        if not self._pads[1 - port]:
            return pairs
        turned: list[Change] = []
        for row, entry in partners:
            matches = entry.matches + (1 if added else -1)
            other.put(row, entry._replace(matches=matches))
            if (entry.matches if added else matches) == 0:
                turned += [self._padded(1 - port, row, not added)] * entry.times
        return turned + pairs if added else pairs + turned

    def _appeared(self, left: JoinSide, change: Change, partners: Sequence[tuple[Row, Entry]]) -> list[Change]:
        """Left rows of SEMI and ANTI that a right row lets appear or disappear."""
        added, semi = _adds(change), self.node.kind is JoinKind.SEMI
        changes: list[Change] = []
        for row, entry in partners:
            matches = entry.matches + (1 if added else -1)
            left.put(row, entry._replace(matches=matches))
            if (entry.matches if added else matches) == 0:
                kind = change.kind if semi else (DELETE if added else INSERT)
                changes += [Change(kind, row)] * entry.times
        return changes

    # ------------------------------------------------------------ live

    def columns_at(self, port: int, columns: Iterable[int]) -> dict[int, int]:
        """Input column of one side -> the output column that fixes its value: itself, or the other side's key."""
        return side_columns((self.node.left_keys, self.node.right_keys), self._width, port, columns)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Rows still held upstream, joined with each other and with what is here. A NULL narrows nothing: it may stand
        for padding."""
        known: Select = {column: value for column, value in select.items() if value is not None}
        sides = tuple(Overlay(side) for side in self._sides)
        changes: list[Change] = []
        for port, source in enumerate(self._sources):
            wanted: Select = {index: known[column] for index, column in self.columns_at(port, set(known)).items()}
            for number, each in enumerate(source.pending(wanted, as_of)):
                held = Change(each.kind, self._held(port, [each.row])[0])
                changes += self._applied(sides, port, held, (0, number, None, as_of))
        return changes


def _adds(change: Change) -> bool:
    return change.kind in (INSERT, UPDATE_AFTER)


def _stored(side: JoinSide, change: Change, matches: int, moment: Moment) -> bool:
    """Take a change into its side; False when it takes back a row that is not there."""
    entry = side.entry(change.row)
    if _adds(change):
        made = entry._replace(times=entry.times + 1) if entry is not None else Entry(1, matches, moment[0], moment[1])
        side.put(change.row, made)
        return True
    if entry is None:
        return False
    side.put(change.row, entry._replace(times=entry.times - 1) if entry.times > 1 else None)
    return True
