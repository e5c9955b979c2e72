"""SESSION windows: rows of one key that follow each other within the gap are one session.

A row opens [ts, ts + gap); sessions that overlap or touch merge. A session fires when `watermark >= end - 1`. A row
is late only when the session it would make on its own has fired; a late row that touches an open session extends it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import msgspec

from nextpaint.process.aggregates import Accumulators
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    EventClock,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    in_order,
)
from nextpaint.process.state import Cell, State
from nextpaint.process.window_times import WindowTimes
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import WindowAggregate

Held = tuple[Any, ...]  # what a session holds: its accumulators
Session = tuple[int, int, Held]  # start, end

_sortable = msgspec.msgpack.Encoder(decimal_format="string").encode


class SessionAggregation(Operator):
    """State: `sessions`, key -> open sessions ordered by start. Derived: a heap of (end, key) with stale entries."""

    def __init__(self, identity: str, node: WindowAggregate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self.keys = node.keys
        self._gap = node.window.size
        self._times = WindowTimes(node.window.zone)
        self._accumulators = Accumulators(node.aggregates, node.input.schema.types, node.time)
        self._sessions = self._made(node, state)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._timers: list[tuple[int, bytes, Row]] = []

    def _made(self, node: WindowAggregate, state: State) -> Cell:
        return state.cell(self.id, "sessions", decimals=any(each.has_decimals for each in self.types))

    def restore(self) -> None:
        self._clock.restore()
        self._timers = []
        for key, sessions in self._sessions.items():
            for _, end, _ in sessions:
                self._arm(end, key)

    def _arm(self, end: int, key: Row) -> None:
        heapq.heappush(self._timers, (end, _sortable(key), key))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows, kinds = batch.rows(), batch.kind.tolist()
        self._accumulators.reasons.clear()  # those of readings are nobody's rows
        for what, value, seq in in_order(batch):
            if what == ROW:
                self._take(Change(kinds[value], rows[value]))
                if self._accumulators.reasons:
                    self._accumulators.report(context, seq, self.id, rows[value])
            elif self._clock.advance(0, value):
                self._fire(out, seq, context)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, change: Change) -> None:
        key = tuple(change.row[index] for index in self._node.keys)
        before: tuple[Session, ...] = self._sessions.get(key, ())
        after = self._extended(before, change)
        if after is None:
            self.late += 1
            return
        self._sessions.put(key, after)
        known = {end for _, end, _ in before}
        for _, end, _ in after:
            if end not in known:
                self._arm(end, key)

    def _extended(self, sessions: tuple[Session, ...], change: Change) -> tuple[Session, ...] | None:
        """Sessions of one key with a row added; None when the row is late."""
        time = self._times.local(change.row[self._node.time])
        if time is None:
            return None
        start, end = time, time + self._gap
        touching = [each for each in sessions if each[0] <= end and start <= each[1]]
        if not touching and self._times.fires(end) <= self._clock.watermark:
            return None
        accs = self._nothing_yet()
        for each in touching:
            accs = each[2] if each is touching[0] else self._both(accs, each[2])
            start, end = min(start, each[0]), max(end, each[1])
        merged = (start, end, self._with(accs, change))
        return tuple(sorted([*(each for each in sessions if each not in touching), merged], key=lambda each: each[:2]))

    def _nothing_yet(self) -> Held:
        """What a session holds before its first row."""
        return self._accumulators.zero

    def _both(self, one: Held, other: Held) -> Held:
        """What two sessions hold that have become one."""
        return self._accumulators.merge(one, other)

    def _with(self, held: Held, change: Change) -> Held:
        return self._accumulators.add(held, change.row)

    def _fire(self, out: Output, seq: int, context: StepContext) -> None:
        while self._timers and self._times.fires(self._timers[0][0]) <= self._clock.watermark:
            end, _, key = heapq.heappop(self._timers)
            sessions = self._sessions.get(key, ())
            due = [each for each in sessions if each[1] == end]
            if not due:
                continue  # the session grew or merged since this timer was set
            rest = tuple(each for each in sessions if each[1] != end)
            if rest:
                self._sessions.put(key, rest)
            else:
                self._sessions.pop(key)
            for session in due:
                row = self._result(key, session)
                if row is None:
                    continue
                out.add(INSERT, seq, row)
                if self._accumulators.reasons:
                    self._accumulators.report(context, seq, self.id, row)

    def _result(self, key: Row, session: Session) -> Row | None:
        """The row of a session that has ended; None of one without rows."""
        start, end, accs = session
        return self._closed(key, (start, end), accs)

    def _closed(self, key: Row, bounds: tuple[int, int], accs: Held) -> Row:
        start, end = bounds
        return (*key, start, end, self._times.instant(end - 1), *self._accumulators.results(accs))

    def next_timer(self) -> int | None:
        return self._times.fires(self._timers[0][0]) if self._timers else None

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Open sessions of the keys asked, with rows still held upstream added."""
        positions = {column: value for column, value in select.items() if column < len(self._node.keys)}
        if len(positions) == len(self._node.keys):
            key = tuple(positions[column] for column in range(len(self._node.keys)))
            held = {key: self._sessions.get(key, ())}
        else:
            held = {
                key: sessions
                for key, sessions in self._sessions.items()
                if all(key[column] == value for column, value in positions.items())
            }
        wanted = {self._node.keys[column]: value for column, value in positions.items()}
        for change in self._source.pending(wanted, as_of):
            key = tuple(change.row[index] for index in self._node.keys)
            after = self._extended(held.get(key, ()), change)
            if after is not None:
                held[key] = after
        changes = [(session[1], _sortable(key), key, session) for key, sessions in held.items() for session in sessions]
        rows = [self._result(key, session) for _, _, key, session in sorted(changes, key=lambda each: each[:2])]
        return [Change(INSERT, row) for row in rows if row is not None]
