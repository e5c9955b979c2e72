"""Event-time temporal join on typed state: what `TemporalJoin` does, a batch at a time in a kernel."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import both_inputs, temporal
from nextpaint.process.kernels.paged import TRUTH, WORD
from nextpaint.process.operators.protocol import Operator, Row, Select, StepContext
from nextpaint.process.operators.temporal import LEFT, TemporalJoin
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, TypedLists, keyable, kinds_of, packable
from nextpaint.process.typed_chains import ordered
from nextpaint.process.typed_timeline import Timeline, Words
from nextpaint.record.columns import Batch, Column, IntArray, Value
from nextpaint.record.types import BOOLEAN
from nextpaint.sql.plan import TemporalJoin as TemporalNode

_INDEX_SLACK = 4_096
_WAITING = 3  # fields of a waiting row before its columns: seq, ordinal, kind


def fitting(node: TemporalNode) -> bool:
    """Can rows and keys be held as words, and is a version chosen by key and time alone?"""
    left, right = node.left.schema.types, node.right.schema.types
    left_keys, right_keys = [left[each] for each in node.left_keys], [right[each] for each in node.right_keys]
    return (
        node.residual is None
        and packable(left)
        and packable(right)
        and keyable(right_keys)
        and kinds_of(left_keys) == kinds_of(right_keys)
        and len(left) + _WAITING <= FIELDS_MAX
        and len(right) + len(right_keys) + 2 <= FIELDS_MAX
    )


class TypedTemporalJoin(TemporalJoin):
    """State, typed: `left`, a row for each that waits: seq, ordinal, kind, columns; `versions`, a row for each: key
    fields, from time, whether the key was gone, columns. Derived: timers of waiting rows; per column that readings
    select by, the places (seq, ordinal, one after the other) of each value's rows, in arrival order."""

    waits = frozenset({"waiting"})

    _left: TypedCell
    _versions: TypedLists

    def __init__(self, identity: str, node: TemporalNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        waiting, version, keys = self._left.packing, self._versions.packing, len(node.right_keys)
        time = _WAITING + node.left_time
        self._join = np.array(
            [
                waiting.at[time], time, len(waiting.kinds), keys, len(version.kinds), version.at[keys + 2],
                version.width, int(node.outer), self._left.link_at,
            ],
            np.int64,
        )  # fmt: skip
        self._left_keys = waiting.keys([_WAITING + each for each in node.left_keys])
        self._waits: dict[int, dict[Value, array[int]]] = {}
        self._indexed = 0  # rows added to indexes since those were made
        self._timeline = Timeline(self._clock, waiting.width, version.width)
        self._empty = np.empty((0, waiting.width), np.int64), np.empty((0, version.width), np.int64)

    def _cells(self, node: TemporalNode, state: State) -> tuple[TypedCell, TypedLists]:
        keys = kinds_of([node.right.schema.types[each] for each in node.right_keys])

        def version(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], None if fields[1] else tuple(fields[2:])

        def left(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], tuple(fields[1:])

        waiting = TypedCell(
            f"{self.id}/waiting",
            (WORD, WORD, WORD, *kinds_of(node.left.schema.types)),
            2,
            (left, _unwritten),
            placed=True,
            links=temporal.LINKS,
        )
        versions = TypedLists(
            f"{self.id}/typed", (*keys, WORD, TRUTH, *kinds_of(node.right.schema.types)), len(keys),
            (version, _unwritten),
        )  # fmt: skip
        return state.add(waiting), state.add(versions)

    def restore(self) -> None:
        self._clock.restore()
        self._waits = {}
        cell, versions, time = self._left, self._versions, len(self._node.right_keys)
        temporal.versions_ordered(versions.meta, ordered(versions.words((time,)), (0,)))
        slots = ordered(cell.words((0, 1)), (0, 1))
        self._timeline.armed(len(slots))
        packed = np.empty((1, cell.packing.width), np.int64)
        temporal.temporal_armed(cell.meta, self._timeline.queue, slots, self._join, self._left_keys, packed)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        left, right = inputs
        cell, versions, line = self._left, self._versions, self._timeline
        rows, kept = self._empty[0], list[Any]()
        if len(left):
            rows, kept = cell.packing.rows(left.columns, len(left))
        changes, kept_too = self._empty[1], list[Any]()
        if len(right):
            changes, kept_too = versions.packing.rows(self._version_columns(right), len(right))
        digests = versions.digests(changes)
        ordinals = np.empty(len(left), np.int64)
        marks = np.empty((len(left.mark_seq) + len(right.mark_seq), 2), np.int64)
        line.begin()
        line.cursor[both_inputs.LAST_SEQ] = -1
        line.run(
            ((cell, line), (versions, line)),
            lambda: temporal.temporal_step(
                cell.meta, versions.meta, line.queue, line.cursor, line.due, self._join,
                rows, left.kind, left.seq, ordinals, self._left_keys, changes, digests, right.kind, right.seq,
                left.mark_seq, left.mark_wm, right.mark_seq, right.mark_wm,
                line.out, line.results, line.seq, marks,
            ),
        )  # fmt: skip
        del kept, kept_too
        count = line.end()
        self.late += line.late
        if self._waits:
            self._reindex(left, ordinals)
        made = self.nothing
        if count:
            made = self._batch(line.out, line.results, count, line.seq[:count].copy())
        cell.reclaim()
        versions.reclaim()
        risen = marks[: line.cursor[both_inputs.MARKS]]
        return made.marked(risen[:, 0].copy(), risen[:, 1].copy())

    def _version_columns(self, right: Batch) -> list[Column]:
        """Key, from time, whether gone (the kernel says), and the columns of changes."""
        keys = [right.columns[each] for each in self._node.right_keys]
        gone = Column(BOOLEAN, np.zeros(len(right), np.bool_))
        return [*keys, right.columns[self._node.right_time], gone, *right.columns]

    def _batch(self, out: Words, results: Words, count: int, seq: IntArray) -> Batch:
        """Packed left rows and their versions as output."""
        waiting, version = self._left.packing, self._versions.packing
        width, first = self._left_width, len(self._node.right_keys) + 2
        right = self.types[width:]
        columns = waiting.columns(out, count, range(_WAITING, _WAITING + width), self.types[:width])
        columns += version.columns(results, count, range(first, first + len(right)), right)
        return Batch(tuple(columns), out[:count, waiting.at[2]].astype(np.int8), seq)

    # ------------------------------------------------------------ live

    def _reindex(self, left: Batch, ordinals: IntArray) -> None:
        """Keep the indexes of live readings: add what waits now. What left is found gone when it is looked up; when
        that may be most of an index, it is made anew for the next reading."""
        self._indexed += len(left)
        if self._indexed > 2 * len(self._left) + _INDEX_SLACK:
            self._waits.clear()
        places = list(zip(left.seq.tolist(), ordinals.tolist(), strict=True)) if self._waits else []
        for column, index in self._waits.items():
            for value, place in zip(left.columns[column].to_list(), places, strict=True):
                if place[1] >= 0:
                    held = index.get(value)
                    if held is None:
                        index[value] = array("q", place)
                    else:
                        held.extend(place)

    def _places(self, column: int) -> dict[Value, array[int]]:
        """Where the rows that wait are, by value of a column."""
        if column not in self._waits:
            index: dict[Value, array[int]] = {}
            for place, row in sorted((place, row) for place, (_, row) in self._left.items()):
                index.setdefault(row[column], array("q")).extend(place)
            self._waits[column] = index
            self._indexed = 0
        return self._waits[column]

    def _waiting(self, select: Select) -> list[tuple[int, Row]]:
        columns = {left: value for column, value in select.items() for left in self.left_columns((column,))}
        if not columns:
            return super()._waiting(select)
        column = min(columns)
        held = self._places(column).get(columns[column], ())
        rows = [row for place in zip(held[::2], held[1::2], strict=True) if (row := self._left.get(place)) is not None]
        return [each for each in rows if all(each[1][at] == value for at, value in columns.items())]

    def pending_batch(self, select: Select, as_of: int) -> Batch | None:
        columns = {left: value for column, value in select.items() for left in self.left_columns((column,))}
        if len(columns) != 1 or self._sources[LEFT].pending(columns, as_of):
            return None
        ((column, value),) = columns.items()
        index = self._places(column)
        held = index.get(value)
        if not held:
            return self.nothing
        cell, versions = self._left, self._versions
        places = np.frombuffer(held, np.int64).reshape(-1, 2)
        out = np.empty((len(places) + 1, cell.packing.width), np.int64)
        right = np.empty((len(places) + 1, versions.packing.width), np.int64)
        there = np.empty(len(places), np.bool_)
        count = temporal.temporal_waiting(
            cell.meta, versions.meta, self._join, self._left_keys, places, out, right, there
        )
        if not there.all():
            index[value] = array("q", places[there].tobytes())
        return self._batch(out, right, count, np.zeros(count, np.int64)) if count else self.nothing

    def next_timer(self) -> int | None:
        return self._timeline.first_time()


def _unwritten(value: Any) -> Sequence[Any]:
    raise TypeError("written by the operator's kernel only")
