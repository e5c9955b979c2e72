"""Event-time temporal join on typed state: what `TemporalJoin` does, a batch at a time in a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import both_inputs, temporal
from nextpaint.process.kernels.paged import FIRST_FIELD, TRUTH, WORD
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.temporal import TemporalJoin
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, TypedLists, keyable, kind_of, packable
from nextpaint.process.typed_timeline import Timeline
from nextpaint.record.columns import Batch, Column
from nextpaint.record.types import BOOLEAN, Type
from nextpaint.sql.plan import TemporalJoin as TemporalNode

_INDEX_SLACK = 4_096
_WAITING = 3  # fields of a waiting row before its columns: seq, ordinal, kind


def _kinds(types: Sequence[Type]) -> tuple[int, ...]:
    return tuple(kind for each in types if (kind := kind_of(each)) is not None)


def fitting(node: TemporalNode) -> bool:
    """Can rows and keys be held as words, and is a version chosen by key and time alone?"""
    left, right = node.left.schema.types, node.right.schema.types
    left_keys, right_keys = [left[each] for each in node.left_keys], [right[each] for each in node.right_keys]
    return (
        node.residual is None
        and packable(left)
        and packable(right)
        and keyable(right_keys)
        and _kinds(left_keys) == _kinds(right_keys)
        and len(left) + _WAITING <= FIELDS_MAX
        and len(right) + len(right_keys) + 2 <= FIELDS_MAX
    )


class TypedTemporalJoin(TemporalJoin):
    """State, typed: `left`, a row for each that waits: seq, ordinal, kind, columns; `versions`, a row for each: key
    fields, from time, whether the key was gone, columns. Derived: timers of waiting rows."""

    _left: TypedCell
    _versions: TypedLists

    def __init__(self, identity: str, node: TemporalNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        waiting, version, keys = self._left.packing, self._versions.packing, len(node.right_keys)
        time = _WAITING + node.left_time
        self._join = np.array(
            [
                waiting.at[time], time, len(waiting.kinds), keys, len(version.kinds), version.at[keys + 2],
                version.width, int(node.outer),
            ],
            np.int64,
        )  # fmt: skip
        self._left_keys = waiting.keys([_WAITING + each for each in node.left_keys])
        self._indexed = 0  # rows added to indexes since those were made
        self._timeline = Timeline(self._clock, waiting.width, version.width)
        self._empty = np.empty((0, waiting.width), np.int64), np.empty((0, version.width), np.int64)

    def _cells(self, node: TemporalNode, state: State) -> tuple[TypedCell, TypedLists]:
        keys = _kinds([node.right.schema.types[each] for each in node.right_keys])

        def version(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], None if fields[1] else tuple(fields[2:])

        def left(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], tuple(fields[1:])

        waiting = TypedCell(
            f"{self.id}/waiting", (WORD, WORD, WORD, *_kinds(node.left.schema.types)), 2, (left, _unwritten)
        )
        versions = TypedLists(
            f"{self.id}/typed", (*keys, WORD, TRUTH, *_kinds(node.right.schema.types)), len(keys),
            (version, _unwritten),
        )  # fmt: skip
        return state.add(waiting), state.add(versions)

    def restore(self) -> None:
        self._clock.restore()
        self._indexes = {}
        cell = self._left
        order = sorted((fields[0], fields[1], slot) for slot, fields in cell.rows())
        self._timeline.armed(len(order))
        slots = np.array([each[2] for each in order], np.int64)
        place = FIRST_FIELD + _WAITING + self._node.left_time
        temporal.temporal_armed(cell.meta, self._timeline.queue, slots, place)

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
        if self._indexes:
            self._reindex(left, ordinals)
        else:
            self._indexed = 0
        made = self._released(count) if count else self.nothing
        cell.reclaim()
        versions.reclaim()
        risen = marks[: line.cursor[both_inputs.MARKS]]
        return made.marked(risen[:, 0].copy(), risen[:, 1].copy())

    def _version_columns(self, right: Batch) -> list[Column]:
        """Key, from time, whether gone (the kernel says), and the columns of changes."""
        keys = [right.columns[each] for each in self._node.right_keys]
        gone = Column(BOOLEAN, np.zeros(len(right), np.bool_))
        return [*keys, right.columns[self._node.right_time], gone, *right.columns]

    def _released(self, count: int) -> Batch:
        line, waiting, version = self._timeline, self._left.packing, self._versions.packing
        width, first = self._left_width, len(self._node.right_keys) + 2
        columns = [waiting.column(line.out, count, _WAITING + at, self.types[at]) for at in range(width)]
        columns += [
            version.column(line.results, count, first + at - width, self.types[at])
            for at in range(width, len(self.types))
        ]
        kinds = line.out[:count, waiting.at[2]].astype(np.int8)
        return Batch(tuple(columns), kinds, line.seq[:count].copy())

    def _reindex(self, left: Batch, ordinals: Any) -> None:
        """Keep the indexes of live readings: add what waits now. What left is found gone when it is looked up; when
        that may be most of an index, it is made anew for the next reading."""
        self._indexed += len(left)
        if self._indexed > 2 * len(self._left) + _INDEX_SLACK:
            self._indexes.clear()
        for column, index in self._indexes.items():
            values = left.columns[column].to_list()
            for value, seq, ordinal in zip(values, left.seq.tolist(), ordinals.tolist(), strict=True):
                if ordinal >= 0:
                    index.setdefault(value, {})[seq, ordinal] = None

    def next_timer(self) -> int | None:
        return self._timeline.first_time()


def _unwritten(value: Any) -> Sequence[Any]:
    raise TypeError("written by the operator's kernel only")
