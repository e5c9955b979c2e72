"""The operator protocol: the wall that does not move.

`step(inputs, context)` takes one batch per input port and gives one batch. Rows and watermark marks are handled in
`seq` order, rows before marks at one `seq`; an operator with two inputs merges them by `seq` before touching state.
So state and output rows, in order, do not depend on how the input was cut into steps.

`pending(select, as_of)` gives the rows the operator would still emit if its input ended now (watermark MAX), for the
keys asked: the live reading of a table is its final rows with these applied. `select` maps output column -> required
value and is a pruning hint; the caller filters exactly.

Everything an operator remembers is in its cells. Heaps and indexes are derived from them by `restore`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nextpaint.process.erasing import Erased, Traces, erased, unlinked
from nextpaint.process.state import Cell, State
from nextpaint.record.columns import (
    DELETE,
    IDLE,
    INSERT,
    MAX_WATERMARK,
    MIN_WATERMARK,
    UPDATE_AFTER,
    UPDATE_BEFORE,
    Batch,
    IntArray,
    Value,
)
from nextpaint.record.types import Type

Row = tuple[Value, ...]
Select = dict[int, Value]


@dataclass(slots=True)
class Change:
    """One change row outside a batch."""

    kind: int
    row: Row


@dataclass(slots=True)
class DeadRow:
    """A row whose expression failed: goes to the dead-letter topic with its position and reason."""

    seq: int
    operator: str
    reason: str
    row: Row


@dataclass(slots=True)
class StepContext:
    """What a step knows beside its batches: the ledger clock of each record, and where failed rows go."""

    seqs: IntArray
    at_ms: IntArray
    dead: list[DeadRow] = field(default_factory=list)
    _only: int | None = None

    def __post_init__(self) -> None:
        first = int(self.at_ms[0]) if len(self.at_ms) else 0
        self._only = first if not len(self.at_ms) or int(self.at_ms[-1]) == first else None

    def clock(self, seqs: IntArray) -> int | IntArray:
        """The ledger time of the records `seqs`; one number when it is the same for the whole step."""
        return self._only if self._only is not None else self.at_ms[np.searchsorted(self.seqs, seqs)]

    def at(self, seqs: IntArray) -> IntArray:
        """The ledger time of the records `seqs`, one each."""
        at = self.clock(seqs)
        return np.full(len(seqs), at, np.int64) if isinstance(at, int) else at


class Operator(ABC):
    """One node of the running graph. `waits`: the cells whose rows have not been counted or put out yet.
    `follows_clock`: it takes a step, if without rows, whenever the ledger's clock moves."""

    waits: frozenset[str] = frozenset()
    follows_clock = False

    def __init__(self, identity: str, types: Sequence[Type]) -> None:
        self.id = identity
        self.types = tuple(types)
        self.nothing = Batch.of(self.types, (), (), ())  # no rows, no marks
        self.late = 0  # rows dropped as late: counted, named, never silent

    @abstractmethod
    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch: ...

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Rows that would follow at end of input; none for operators that hold nothing back and have no input."""
        return []

    def pending_batch(self, select: Select, as_of: int) -> Batch | None:
        """What `pending` gives as columns, of an operator that holds its rows as such; None: ask `pending`. The seqs
        say nothing."""
        return None

    def restore(self) -> None:  # noqa: B027  most operators derive nothing
        """Rebuild what is derived from cells, after they were loaded."""

    def erase(self, traces: Traces, cells: Mapping[str, Cell]) -> dict[str, Erased]:
        """Forget a person: this operator's cells without them, and what is derived made anew. `cells`: all of its
        own, by name. What became of each cell that held anything of them."""
        counts = {name: erased(cell, traces, name in self.waits) for name, cell in cells.items()}
        return self.remade(counts, cells)

    def remade(self, counts: Mapping[str, Erased], cells: Mapping[str, Cell]) -> dict[str, Erased]:
        """What is derived made anew, if anything was erased; those counts, by whole name."""
        found = {cells[name].name: each for name, each in counts.items() if any(each)}
        if found:
            for cell in cells.values():
                unlinked(cell)
            self.restore()
        return found

    @property
    def holds_back(self) -> bool:
        """Whether rows may wait here, of an operator that can let them wait."""
        return True

    @property
    def held(self) -> int:
        """Rows that wait here for the watermark."""
        return 0

    def next_timer(self) -> int | None:
        """The earliest event time at which a watermark would make this operator emit; None when nothing is held."""
        return None


class Output:
    """Collects output rows in order and makes the batch."""

    __slots__ = ("_nothing", "kinds", "rows", "seqs")

    def __init__(self, nothing: Batch) -> None:
        self._nothing = nothing
        self.rows: list[Sequence[Value]] = []
        self.seqs: list[int] = []
        self.kinds: list[int] = []

    def add(self, kind: int, seq: int, row: Sequence[Value]) -> None:
        self.kinds.append(kind)
        self.seqs.append(seq)
        self.rows.append(row)

    def batch(self, mark_seq: IntArray, mark_wm: IntArray) -> Batch:
        if not self.rows:
            return self._nothing.marked(mark_seq, mark_wm)
        return Batch.of(self._nothing.types, self.rows, self.seqs, self.kinds).marked(mark_seq, mark_wm)


def settled(kinds: Sequence[int], keys: Sequence[Row]) -> list[tuple[int, int]]:
    """What a changelog says to a table that keeps the latest row per key: (row index, INSERT or DELETE).

    The -U of a pair says nothing the +U of the same key does not; a -U alone (a filter let only it pass, or the key
    itself changed) removes its row.
    """
    told: list[tuple[int, int]] = []
    for index, kind in enumerate(kinds):
        if kind == UPDATE_BEFORE:
            paired = index + 1 < len(kinds) and kinds[index + 1] == UPDATE_AFTER and keys[index + 1] == keys[index]
            if not paired:
                told.append((index, DELETE))
        else:
            told.append((index, DELETE if kind == DELETE else INSERT))
    return told


ROW, MARK = 0, 1


def in_order(batch: Batch) -> Iterator[tuple[int, int, int]]:
    """(ROW, index, seq) and (MARK, watermark, seq) in the order they happened: rows before marks at one seq."""
    seqs = batch.seq.tolist()
    if not len(batch.mark_seq):
        for index, seq in enumerate(seqs):
            yield ROW, index, seq
        return
    bounds = np.searchsorted(batch.seq, batch.mark_seq, side="right").tolist()
    index = 0
    for bound, mark_seq, mark_wm in zip(bounds, batch.mark_seq.tolist(), batch.mark_wm.tolist(), strict=True):
        while index < bound:
            yield ROW, index, seqs[index]
            index += 1
        yield MARK, mark_wm, mark_seq
    while index < len(seqs):
        yield ROW, index, seqs[index]
        index += 1


def merged(batches: Sequence[Batch]) -> Iterator[tuple[int, int, int, int]]:
    """(ROW, port, index, seq) and (MARK, port, watermark, seq) of several inputs in the order they happened."""
    steps: list[tuple[int, int, int, int, int]] = []
    for port, batch in enumerate(batches):
        for index, seq in enumerate(batch.seq.tolist()):
            steps.append((seq, ROW, port, index, index))
        marks = zip(batch.mark_seq.tolist(), batch.mark_wm.tolist(), strict=True)
        for index, (seq, watermark) in enumerate(marks):
            steps.append((seq, MARK, port, index, watermark))
    steps.sort()
    for seq, what, port, _, value in steps:
        yield what, port, value, seq


def moments(
    inputs: Sequence[Batch], clock: EventClock, risen: tuple[IntArray, IntArray], due: Callable[[], int | None]
) -> Iterator[tuple[int, int, int, int]]:
    """As `merged`, but of the marks only those at which something is due: `due()` is the watermark it waits for. The
    clock stands where each row or mark finds it. `risen`: what `clock.risen(inputs)` gave."""
    seqs, watermarks = risen[0].tolist(), risen[1].tolist()
    rows = [(seq, port, index) for port, batch in enumerate(inputs) for index, seq in enumerate(batch.seq.tolist())]
    if len(inputs) > 1:
        rows.sort()
    at = 0
    for seq, port, index in (*rows, (None, 0, 0)):
        upto = len(seqs) if seq is None else bisect_left(seqs, seq, at)
        while at < upto:
            awaited = due()
            if awaited is None or watermarks[upto - 1] < awaited:
                break
            at = bisect_left(watermarks, awaited, at, upto)
            clock.watermark = watermarks[at]
            yield MARK, 0, watermarks[at], seqs[at]
            at += 1
        if upto:
            clock.watermark = watermarks[upto - 1]
        at = upto
        if seq is not None:
            yield ROW, port, index, seq
    clock.kept()


class EventClock:
    """An operator's watermark: the minimum over its active inputs, never back, kept in a cell.

    A silent input (IDLE) is left out of the minimum; when all are silent the watermark holds.
    """

    __slots__ = ("_cell", "_inputs", "watermark")

    def __init__(self, state: State, identity: str, inputs: int) -> None:
        self._cell: Cell = state.cell(identity, "watermark")
        self._inputs = [MIN_WATERMARK] * inputs
        self.watermark = MIN_WATERMARK

    def advance(self, port: int, mark: int) -> bool:
        """Take a mark of one input; True when the combined watermark rose."""
        self._taken(port, mark)
        active = [each for each in self._inputs if each != IDLE]
        combined = min(active) if active else self.watermark
        if combined <= self.watermark:
            return False
        self.watermark = combined
        self._cell.put(-1, combined)
        return True

    def risen(self, batches: Sequence[Batch]) -> tuple[IntArray, IntArray]:
        """Take the marks of a step, a batch per input: the seqs at which the combined watermark rises, and what to. The
        watermark itself is moved by `moments`."""
        marks = np.concatenate([batch.mark_wm for batch in batches])
        seqs = np.concatenate([batch.mark_seq for batch in batches])
        ports = np.repeat(np.arange(len(batches)), [len(batch.mark_seq) for batch in batches])
        if len(batches) > 1:
            order = np.lexsort((ports, seqs))
            marks, seqs, ports = marks[order], seqs[order], ports[order]
        combined, active = np.full(len(marks), MAX_WATERMARK), np.zeros(len(marks), np.bool_)
        for port, before in enumerate(self._inputs):
            place = np.maximum.accumulate(np.where(ports == port, np.arange(len(marks)), -1))
            last = np.where(place >= 0, marks[place], before)
            active |= last != IDLE
            combined = np.where(last == IDLE, combined, np.minimum(combined, last))
            if len(batches[port].mark_wm):
                self._taken(port, int(batches[port].mark_wm[-1]))
        combined[~active] = MIN_WATERMARK
        highest = np.maximum.accumulate(np.concatenate([[self.watermark], combined]))
        rises = highest[1:] > highest[:-1]
        return seqs[rises], highest[1:][rises]

    def _taken(self, port: int, mark: int) -> None:
        if self._inputs[port] != mark:
            self._inputs[port] = mark
            self._cell.put(port, mark)

    def kept(self) -> None:
        """Keep the watermark as it is now."""
        if self.watermark != self._cell.get(-1, MIN_WATERMARK):
            self._cell.put(-1, self.watermark)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The last mark of each input."""
        return tuple(self._inputs)

    def moved(self, inputs: Sequence[int], watermark: int) -> None:
        """Take over what a kernel made of all marks of a step: the last of each input, and the watermark."""
        for port, mark in enumerate(inputs):
            self._taken(port, mark)
        if watermark != self.watermark:
            self.watermark = watermark
            self._cell.put(-1, watermark)

    def restore(self) -> None:
        self._inputs = [self._cell.get(port, MIN_WATERMARK) for port in range(len(self._inputs))]
        self.watermark = self._cell.get(-1, MIN_WATERMARK)

    @property
    def ended(self) -> bool:
        return self.watermark == MAX_WATERMARK
