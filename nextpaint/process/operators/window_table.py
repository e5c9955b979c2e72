"""Window table functions by themselves: each row once per window it belongs to, with the window's bounds.

TUMBLE, HOP and CUMULATE give their rows at once, late ones too: what reads them decides what is late. Rows of SESSION
wait until their session has ended, since only then its bounds are known.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec

from nextpaint.process.erasing import Erased, Traces, erased
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
from nextpaint.process.operators.window import windows_of
from nextpaint.process.state import Cell, State, frozen
from nextpaint.process.window_times import WindowTimes
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import WindowKind, WindowTable

_sortable = msgspec.msgpack.Encoder(decimal_format="string").encode

Session = tuple[int, int, tuple[Row, ...]]  # start, end, rows in order of arrival


class WindowTableFunction(Operator):
    """TUMBLE, HOP and CUMULATE. No state."""

    def __init__(self, identity: str, node: WindowTable, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self._times = WindowTimes(node.window.zone)
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        for row, kind, seq in zip(batch.rows(), batch.kind.tolist(), batch.seq.tolist(), strict=True):
            made = self._windowed(row)
            self.late += not made  # no event time, or between the windows of a HOP
            for each in made:
                out.add(kind, seq, each)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _windowed(self, row: Row) -> list[Row]:
        """The row in each of its windows; HOP gives the latest window first, as Flink."""
        time = self._times.local(row[self._node.time])
        if time is None:
            return []
        windows = list(windows_of(self._node.window, time))
        if self._node.window.kind is WindowKind.HOP:
            windows.reverse()
        return [(*row, start, end, self._times.instant(end - 1)) for start, end in windows]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        width = len(self.types) - 3
        wanted = {column: value for column, value in select.items() if column < width}
        found = self._source.pending(wanted, as_of)
        return [Change(change.kind, row) for change in found for row in self._windowed(change.row)]


class SessionTable(Operator):
    """SESSION. State: `sessions`, key -> open sessions ordered by start. Derived: a heap of (end, key) with stale
    entries."""

    def __init__(self, identity: str, node: WindowTable, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self._times = WindowTimes(node.window.zone)
        self.keys = node.keys
        self._nested = any(each.is_nested for each in self.types)
        self._sessions = state.cell(identity, "sessions", decimals=any(each.has_decimals for each in self.types))
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._timers: list[tuple[int, bytes, Row]] = []

    def restore(self) -> None:
        self._clock.restore()
        self._timers = []
        for key, sessions in self._sessions.items():
            for _, end, _ in sessions:
                self._arm(end, key)

    def _arm(self, end: int, key: Row) -> None:
        heapq.heappush(self._timers, (end, _sortable(key), key))

    def erase(self, traces: Traces, cells: Mapping[str, Cell]) -> dict[str, Erased]:
        """As of any operator; the rows of an open session wait, so those of the person leave the sessions of others."""
        dropped = 0
        for key, sessions in list(self._sessions.items()):
            if traces.name(key):
                continue
            left = tuple(
                (start, end, tuple(row for row in rows if not traces.name(row))) for start, end, rows in sessions
            )
            if left != sessions:
                dropped += sum(map(len, (each[2] for each in sessions))) - sum(map(len, (each[2] for each in left)))
                self._keep(key, tuple(each for each in left if each[2]))
        counts = {name: erased(cell, traces) for name, cell in cells.items()}
        found = counts["sessions"]
        return self.remade({**counts, "sessions": Erased(found.dropped + dropped, found.marked)}, cells)

    def _keep(self, key: Row, sessions: tuple[Session, ...]) -> None:
        if sessions:
            self._sessions.put(key, sessions)
        else:
            self._sessions.pop(key)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows = batch.rows()
        for what, value, seq in in_order(batch):
            if what == ROW:
                self._take(frozen(rows[value]) if self._nested else rows[value])
            elif self._clock.advance(0, value):
                self._fire(out, seq)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, row: Row) -> None:
        key = tuple([row[index] for index in self.keys])
        before: tuple[Session, ...] = self._sessions.get(key, ())
        after = self._extended(before, row)
        if after is None:
            self.late += 1
            return
        self._sessions.put(key, after)
        known = {end for _, end, _ in before}
        for _, end, _ in after:
            if end not in known:
                self._arm(end, key)

    def _extended(self, sessions: tuple[Session, ...], row: Row) -> tuple[Session, ...] | None:
        """Sessions of one key with a row added; None when the row is late."""
        time = self._times.local(row[self._node.time])
        if time is None:
            return None
        start, end = time, time + self._node.window.size
        touching = [each for each in sessions if each[0] <= end and start <= each[1]]
        if not touching and self._times.fires(end) <= self._clock.watermark:
            return None
        rows: tuple[Row, ...] = ()
        for each in touching:
            start, end, rows = min(start, each[0]), max(end, each[1]), rows + each[2]
        others = [each for each in sessions if each not in touching]
        return tuple(sorted([*others, (start, end, (*rows, row))], key=lambda each: each[:2]))

    def _fire(self, out: Output, seq: int) -> None:
        while self._timers and self._times.fires(self._timers[0][0]) <= self._clock.watermark:
            end, _, key = heapq.heappop(self._timers)
            sessions = self._sessions.get(key, ())
            due = [each for each in sessions if each[1] == end]
            if not due:
                continue  # the session grew or merged since this timer was set
            self._keep(key, tuple(each for each in sessions if each[1] != end))
            for session in due:
                for row in self._rows(session):
                    out.add(INSERT, seq, row)

    @property
    def held(self) -> int:
        return sum(len(session[2]) for _, sessions in self._sessions.items() for session in sessions)

    def next_timer(self) -> int | None:
        return self._times.fires(self._timers[0][0]) if self._timers else None

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column < len(self.types) - 3}
        keyed = {column: value for column, value in wanted.items() if column in self.keys}
        if len(keyed) == len(self.keys):
            key = tuple([keyed[column] for column in self.keys])
            open_ones = {key: self._sessions.get(key, ())}
        else:
            open_ones = dict(self._sessions.items())
        for change in self._source.pending(keyed, as_of):
            key = tuple([change.row[index] for index in self.keys])
            after = self._extended(open_ones.get(key, ()), change.row)
            if after is not None:
                open_ones[key] = after
        ended = [(session[1], _sortable(key), session) for key, each in open_ones.items() for session in each]
        ended.sort(key=lambda each: each[:2])
        return [Change(INSERT, row) for _, _, session in ended for row in self._rows(session)]

    def _rows(self, session: Session) -> list[Row]:
        start, end, rows = session
        time = self._times.instant(end - 1)
        return [(*row, start, end, time) for row in rows]


def window_table(identity: str, node: WindowTable, sources: Sequence[Operator], state: State) -> Operator:
    """The operator of a `WindowTable`."""
    kind = SessionTable if node.window.kind is WindowKind.SESSION else WindowTableFunction
    return kind(identity, node, sources, state)
