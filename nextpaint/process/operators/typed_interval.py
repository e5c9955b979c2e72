"""Interval joins on typed state: what `IntervalJoin` does, a batch of each side at a time in a kernel.

A further condition of an inner join is evaluated on the joined columns. For outer joins it decides what is padded, so
those stay with the general operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.functions.compile import predicate
from nextpaint.process.kernels import both_inputs, interval_joining, packing, time_order
from nextpaint.process.kernels.interval_joining import LEAD, TIMER_FIELDS
from nextpaint.process.kernels.paged import TRUTH, WORD
from nextpaint.process.operators.interval import LEFT, RIGHT, IntervalJoin
from nextpaint.process.operators.protocol import Operator, Row, Select, StepContext
from nextpaint.process.operators.stateless import passing
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, Packing, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_timeline import Timeline, Words
from nextpaint.record.columns import INSERT, MIN_WATERMARK, Batch
from nextpaint.sql.plan import IntervalJoin as IntervalNode
from nextpaint.sql.plan import JoinKind

_TIMERS = 2 * TIMER_FIELDS  # fields of a key's row after its key


def fitting(node: IntervalNode) -> bool:
    """Can rows and keys be held as words, and do keys and times alone say what matches?"""
    sides = ((node.left.schema.types, node.left_keys), (node.right.schema.types, node.right_keys))
    keys = [[types[each] for each in at] for types, at in sides]
    return (
        (node.residual is None or node.kind is JoinKind.INNER)
        and all(packable(types) and len(types) + LEAD <= FIELDS_MAX for types, _ in sides)
        and all(keyable(each) and len(each) + _TIMERS <= FIELDS_MAX for each in keys)
        and kinds_of(keys[LEFT]) == kinds_of(keys[RIGHT])
    )


class TypedIntervalJoin(IntervalJoin):
    """State, typed: `left` and `right`, a row for each that is kept: seq, ordinal, has matched, columns; `timers`, one
    for each key: its fields, then for each side when its oldest row expires, and that row's seq and ordinal. Derived:
    the rows of a key in order of time, timers."""

    _cells: tuple[TypedCell, ...]
    _timers: TypedCell

    def __init__(self, identity: str, node: IntervalNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        program = np.zeros(interval_joining.JOIN, np.int64)
        program[interval_joining.KEYS] = self._timers.keys
        program[interval_joining.SETS] = self._timers.link_at
        key_fields: list[Words] = []
        for port, cell in enumerate(self._cells):
            keys, time = [LEAD + each for each in self._keys[port]], LEAD + self._times[port]
            program[interval_joining.TIME + port] = cell.packing.at[time]
            program[interval_joining.TIME_FIELD + port] = time
            program[interval_joining.FIELDS + port] = len(cell.packing.kinds)
            program[interval_joining.WIDTH + port] = cell.packing.width
            program[interval_joining.LINK + port] = cell.link_at
            program[interval_joining.KEY_BITS + port] = sum(1 << each for each in set(keys))
            program[interval_joining.REACH + port] = self._reach[port]
            program[interval_joining.PADS + port] = self._pads[port]
            key_fields.append(cell.packing.keys(keys))
        self._program, self._key_fields = program, tuple(key_fields)
        left, right = (cell.packing.width for cell in self._cells)
        self._timeline = Timeline(self._clock, left, right)
        self._scratch = np.zeros((1, self._timers.packing.width), np.int64)
        kinds = self._timers.packing.kinds[: self._timers.keys]
        self._one = Packing(kinds)
        self._one_keys, self._digest = self._one.keys(range(len(kinds))), np.empty((1, 2), np.int64)
        self._passes = predicate(node.residual) if node.residual is not None else None

    def _made(self, state: State) -> None:
        node = self.node
        sides = (("left", node.left.schema.types), ("right", node.right.schema.types))
        self._cells = tuple(
            state.add(
                TypedCell(
                    f"{self.id}/typed_{name}", (WORD, WORD, TRUTH, *kinds_of(types)), 2, (_entry, _unwritten),
                    placed=True, links=time_order.LINKS,
                )
            )
            for name, types in sides
        )  # fmt: skip
        keys = kinds_of(node.left.schema.types[each] for each in node.left_keys)
        self._timers = state.add(
            TypedCell(f"{self.id}/typed_timers", (*keys, *(WORD,) * _TIMERS), len(keys), links=2 * time_order.SET_WORDS)
        )

    def restore(self) -> None:
        self._clock.restore()
        line = self._timeline
        line.armed(2 * len(self._timers))
        keys = np.ascontiguousarray(self._timers.words(())[:, 0])
        for port in (LEFT, RIGHT):
            self._restored(port, keys)

    def _restored(self, port: int, keys: Words) -> None:
        """Number the rows and timers of a side in the order they came in, and make what is derived of them."""
        cell, queue = self._cells[port], self._timeline.queue
        timers = np.empty((len(keys), 4), np.int64)
        timers = timers[: interval_joining.interval_join_timers(self._timers.meta, self._program, port, keys, timers)]
        rows = cell.words((0, 1))
        numbers = _numbers(np.concatenate([rows[:, :2], timers[:, :2]]))
        lines = np.column_stack([numbers[: len(rows)], rows[:, 2]])
        lines = np.ascontiguousarray(lines[np.argsort(lines[:, 0])])
        packed = np.empty((1, cell.packing.width), np.int64)
        if not interval_joining.interval_join_ordered(
            cell.meta, self._timers.meta, self._program, port, self._key_fields[port], lines, packed
        ):
            raise RuntimeError(f"{self.id}: a row without a timer of its key")
        due = np.column_stack([timers[:, 2], numbers[len(rows) :], timers[:, 3]])
        due = np.ascontiguousarray(due[np.lexsort((due[:, 1], due[:, 0]))])
        interval_joining.interval_join_armed(queue, port, due, int(numbers.max(initial=0)))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        line, given, kept = self._timeline, list[Any](), list[Any]()
        for cell, batch, keys in zip(self._cells, inputs, self._key_fields, strict=True):
            rows, keep = cell.packing.rows(batch.columns, len(batch))
            kept.append(keep)
            given += [rows, cell.digests(rows, keys), batch.seq, keys]
        mark_pairs = [each for batch in inputs for each in (batch.mark_seq, batch.mark_wm)]
        marks = np.empty((len(mark_pairs[0]) + len(mark_pairs[2]), 2), np.int64)
        tables = (*self._cells, self._timers)
        before = (*(each.meta for each in tables), line.queue, line.cursor, self._program, *given, *mark_pairs)
        line.begin()
        line.cursor[both_inputs.LAST_SEQ] = -1
        expired = slice(interval_joining.EXPIRED, interval_joining.EXPIRED + 2)
        line.cursor[expired] = [self._expired.get(port, MIN_WATERMARK) for port in (LEFT, RIGHT)]
        step: Any = interval_joining.interval_join_step
        line.run(
            [(each, line) for each in tables],
            lambda: step(*before, line.out, line.results, line.seq, marks, self._scratch),
        )
        count = line.end()
        self.late += line.late
        for port, upto in enumerate(line.cursor[expired].tolist()):
            if line.cursor[interval_joining.WRITTEN + port]:
                self._expired.put(port, upto)
        made = self._result(count, context) if count else self.nothing
        del kept  # what was put out pointed into it
        for table in tables:
            table.reclaim()
        risen = marks[: line.cursor[both_inputs.MARKS]]
        return made.marked(risen[:, 0].copy(), self._held_back(risen[:, 1]))

    def _result(self, count: int, context: StepContext) -> Batch:
        left, right = (cell.packing for cell in self._cells)
        line, width = self._timeline, len(self._padding[LEFT])
        more = self.types[width:]
        columns = left.columns(line.out, count, range(LEAD, LEAD + width), self.types[:width])
        columns += right.columns(line.results, count, range(LEAD, LEAD + len(more)), more)
        made = Batch(tuple(columns), np.full(count, INSERT, np.int8), line.seq[:count].copy())
        return made if self._passes is None else passing(made, self._passes, self.id, context)

    # ------------------------------------------------------------ live

    def _next_due(self) -> int | None:
        return self._timeline.first_time()

    def _kept(self, port: int, wanted: Select) -> list[tuple[Row, bool]]:
        cell = self._cells[port]
        if set(self._keys[port]) <= set(wanted):
            rows = self._kept_of([wanted[index] for index in self._keys[port]], port)
        else:
            time = self._times[port]
            rows = [each for _, each in sorted(cell.items(), key=lambda each: (each[1][0][time], each[0]))]
        return [each for each in rows if all(each[0][index] == value for index, value in wanted.items())]

    def _kept_of(self, key: Sequence[Any], port: int) -> list[tuple[Row, bool]]:
        """The rows of a key in order of time, and whether each has matched."""
        cell, keys = self._cells[port], self._timers
        if not keys.may_hold(key):
            return []
        packing.hash_packed(self._one.one(key), self._one_keys, self._digest)
        low, high = self._digest[0].tolist()
        found = np.empty((8, cell.packing.width), np.int64)
        program = self._program
        while (
            count := interval_joining.interval_join_read(cell.meta, keys.meta, program, port, low, high, found)
        ) > len(found):
            found = np.empty((count, cell.packing.width), np.int64)
        return [_entry(each[2:]) for each in cell.packing.values(found, count)] if count else []


def _entry(fields: Sequence[Any]) -> tuple[Row, bool]:
    """A kept row, and whether it has matched."""
    return tuple(fields[1:]), fields[0]


def _unwritten(value: Any) -> Sequence[Any]:
    raise TypeError("written by the operator's kernel only")


def _numbers(places: Words) -> Words:
    """Numbers from 1 on for (seq, ordinal) in their order, the same for the same place."""
    order = np.lexsort((places[:, 1], places[:, 0]))
    ordered = places[order]
    differs = np.ones(len(ordered), np.int64)
    differs[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    numbers = np.empty(len(ordered), np.int64)
    numbers[order] = np.cumsum(differs)
    return numbers
