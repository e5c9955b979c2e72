"""MATCH_RECOGNIZE: rows of each key in order of event time, run through a nondeterministic automaton.

Rows wait for the watermark; a row at or behind it is late. A *run* is a match that has begun: which place of the
pattern it stands at, how often that variable has taken a row, and its rows. Every row may begin a run, and each run
either takes it or ends: rows of a match follow each other without gaps. A greedy variable keeps what it can take from
the next one; a reluctant one leaves both ways open, and the match that is complete first is given.

Which of several matches come out is decided as in Flink's CEP: a complete match waits while a run that began earlier is
alive; when it is given, AFTER MATCH SKIP ends the runs and the complete matches that begin before the place it names.
Where that place is the match's own first row, or absent, Flink stops the job; here the skip is to the next row. WITHIN
ends a run when a row (or the watermark) is that far from its first row.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nextpaint.process.functions.compile import compile_row
from nextpaint.process.operators.places import Places
from nextpaint.process.operators.protocol import (
    ROW,
    DeadRow,
    EventClock,
    Operator,
    Output,
    Row,
    StepContext,
    in_order,
)
from nextpaint.process.ranking import order_by
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import INSERT, MAX_WATERMARK, Batch
from nextpaint.sql.plan import Match as MatchNode
from nextpaint.sql.plan import columns_of

Id = tuple[int, int, int]  # event time, seq, ordinal
Taken = tuple[int, Row, Id]  # place in the pattern, row, its id


class Run(NamedTuple):
    """`item`: the place in the pattern, `times`: the rows its variable has taken; `rows`: all rows so far."""

    item: int
    times: int
    rows: tuple[Taken, ...]

    @property
    def start(self) -> Id:
        return self.rows[0][2]


class _Failed(ValueError):
    """A condition failed on a row; the row goes to the dead-letter topic."""


class PatternMatch(Operator):
    """State: `waiting`, (seq, ordinal) -> row; `runs`, key -> (alive, complete). Derived: heaps of waiting rows in
    order and of times at which runs end."""

    waits = frozenset({"waiting"})

    def __init__(self, identity: str, node: MatchNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        decimals = any(each.has_decimals for each in (*node.input.schema.types, *self.types))
        self._nested = any(each.is_nested for each in node.input.schema.types)
        self._waiting = state.cell(identity, "waiting", decimals=decimals)
        self._runs = state.cell(identity, "runs", decimals=decimals)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._pattern = node.pattern
        variables = [each.variable for each in node.pattern]
        self._places = Places(node.places, variables, node.time, node.input.schema.types)
        defined = dict(node.defines)
        self._defines = [
            (compile_row(defined[name]), sorted(columns_of(defined[name]))) if name in defined else None
            for name in variables
        ]
        self._measures = [(compile_row(each), sorted(columns_of(each))) for each in node.measures]
        self._skip_to = variables.index(node.skip_to) if node.skip_to else -1
        self._order = order_by(node.order, node.input.schema.types)
        self._due: list[tuple[int, object, int, int]] = []
        self._ends: list[tuple[int, Id, Row]] = []
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        self._clock.restore()
        self._due, self._ends = [], []
        for (seq, ordinal), row in self._waiting.items():
            heapq.heappush(self._due, (row[self._node.time], self._order(row), seq, ordinal))
        for key, (alive, _) in self._runs.items():
            for _, _, rows in alive:
                self._end_later(rows[0][2], key)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows = batch.rows()
        for what, value, seq in in_order(batch):
            if what == ROW:
                self._take(frozen(rows[value]) if self._nested else rows[value], seq)
            elif self._clock.advance(0, value):
                self._advance(out, seq, context)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, row: Row, seq: int) -> None:
        time = row[self._node.time]
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        if not isinstance(time, int) or time <= self._clock.watermark:
            self.late += 1
            return
        self._waiting.put((seq, self._ordinal), row)
        heapq.heappush(self._due, (time, self._order(row), seq, self._ordinal))

    # ------------------------------------------------------------ time

    def _advance(self, out: Output, seq: int, context: StepContext) -> None:
        watermark = self._clock.watermark
        at_ms = int(context.at(np.array([seq]))[0])
        while self._due and self._due[0][0] <= watermark:
            time, _, row_seq, ordinal = heapq.heappop(self._due)
            row = self._waiting.pop((row_seq, ordinal))
            key = tuple([row[index] for index in self._node.partition])
            alive, complete = self._of(key)
            given: list[Run] = []
            alive = self._within(alive, time, complete, given)
            alive, complete = self._event(row, (time, row_seq, ordinal), (alive, complete), (given, context, at_ms))
            self._keep(key, alive, complete)
            self._give(out, seq, key, given, (context, at_ms, time))
        while self._ends and self._ends[0][0] <= watermark:
            _, start, key = heapq.heappop(self._ends)
            alive, complete = self._of(key)
            # Of a run that is over by now there is no end in a heap made from a checkpoint: it must not set the order.
            if not any(each.start == start for each in alive):
                continue
            given = []
            alive = self._within(alive, watermark, complete, given)
            self._keep(key, alive, complete)
            self._give(out, seq, key, given, (context, at_ms, watermark if watermark != MAX_WATERMARK else None))

    def _of(self, key: Row) -> tuple[list[Run], list[Run]]:
        alive, complete = self._runs.get(key, ((), ()))
        return [Run(*each) for each in alive], [Run(*each) for each in complete]

    def _keep(self, key: Row, alive: list[Run], complete: list[Run]) -> None:
        if alive or complete:
            self._runs.put(key, (tuple(map(tuple, alive)), tuple(map(tuple, complete))))
        elif key in self._runs:
            self._runs.pop(key)

    def _end_later(self, start: Id, key: Row) -> None:
        if self._node.within is not None:
            heapq.heappush(self._ends, (start[0] + self._node.within, start, key))

    def _within(self, alive: list[Run], time: int, complete: list[Run], given: list[Run]) -> list[Run]:
        """The runs that are not over at a time; complete matches that waited for others may be given."""
        within = self._node.within
        if within is None:
            return alive
        kept = [each for each in alive if time - each.start[0] < within]
        return self._settle(kept, complete, given) if len(kept) < len(alive) else alive

    # ------------------------------------------------------------ the automaton

    def _event(
        self, row: Row, place: Id, runs: tuple[list[Run], list[Run]], moment: tuple[list[Run], StepContext, int]
    ) -> tuple[list[Run], list[Run]]:
        alive, complete = runs
        given, context, at_ms = moment
        following: list[Run] = []
        for run in [*alive, Run(0, 0, ())]:
            try:
                made = list(self._taking(run, row, place, at_ms))
            except _Failed as error:
                context.dead.append(DeadRow(place[1], self.id, str(error), row))
                continue
            for each in made:
                if self._is_complete(each):
                    complete.append(each)
                if self._may_go_on(each):
                    following.append(each)
            if made and not run.rows:
                self._end_later(place, tuple([row[index] for index in self._node.partition]))
        return self._settle(following, complete, given), complete

    def _taking(self, run: Run, row: Row, place: Id, at_ms: int) -> Iterator[Run]:
        """The runs that this one becomes when it takes a row."""
        count = run.times
        for item in range(run.item, len(self._pattern)):
            variable = self._pattern[item]
            rows = (*run.rows, (item, row, place))
            may = variable.most is None or count < variable.most
            holds = (may or variable.greedy) and self._holds(item, rows, at_ms)
            if may and holds:
                yield Run(item, count + 1, rows)
            # As in Flink, a row that a greedy variable would take is never the next one's, its number used up or not.
            if count < variable.least or (variable.greedy and variable.most != variable.least and holds):
                return
            count = 0

    def _holds(self, item: int, rows: tuple[Taken, ...], at_ms: int) -> bool:
        define = self._defines[item]
        if define is None:
            return True
        condition, read = define
        try:
            return condition(self._places.values(read, rows, at_ms), at_ms) is True
        except ValueError as error:
            raise _Failed(str(error)) from error

    def _is_complete(self, run: Run) -> bool:
        return run.times >= self._pattern[run.item].least and not any(
            each.least for each in self._pattern[run.item + 1 :]
        )

    def _may_go_on(self, run: Run) -> bool:
        most = self._pattern[run.item].most
        return run.item + 1 < len(self._pattern) or most is None or run.times < most

    # ------------------------------------------------------------ AFTER MATCH SKIP

    def _settle(self, alive: list[Run], complete: list[Run], given: list[Run]) -> list[Run]:
        """Give the complete matches for which no earlier run is alive; what the skip leaves of the runs."""
        while complete:
            first = min(complete, key=lambda each: each.start)
            if any(each.start < first.start for each in alive):
                break
            complete.remove(first)
            given.append(first)
            bound, inclusive = self._bound(first)
            alive = [each for each in alive if not _before(each, bound, inclusive)]
            complete[:] = [each for each in complete if not _before(each, bound, inclusive)]
        return alive

    def _bound(self, match: Run) -> tuple[Id, bool]:
        """Runs that begin before this row (or at it) are over."""
        if self._node.skip == "PAST":
            return match.rows[-1][2], True
        if self._skip_to >= 0:
            rows = [place for item, _, place in match.rows if item == self._skip_to]
            if rows:
                found = rows[0] if self._node.skip == "FIRST" else rows[-1]
                if found != match.start:
                    return found, False
        return match.start, True

    def _give(
        self, out: Output, seq: int, key: Row, given: Sequence[Run], moment: tuple[StepContext, int, int | None]
    ) -> None:
        """Put matches out. Their time is, as in Flink, that of the row (or the watermark) that let them out: one that
        waited for an earlier run is not late for what reads it."""
        context, at_ms, released = moment
        for match in given:
            try:
                measures = [
                    measure(self._places.values(read, match.rows, at_ms, released), at_ms)
                    for measure, read in self._measures
                ]
            except ValueError as error:
                context.dead.append(DeadRow(match.rows[-1][2][1], self.id, str(error), match.rows[-1][1]))
                continue
            out.add(INSERT, seq, (*key, *measures))

    @property
    def held(self) -> int:
        return len(self._waiting)

    def next_timer(self) -> int | None:
        times = [heap[0][0] for heap in (self._due, self._ends) if heap]
        return min(times, default=None)


def _before(run: Run, bound: Id, inclusive: bool) -> bool:
    return run.start < bound or (inclusive and run.start == bound)
