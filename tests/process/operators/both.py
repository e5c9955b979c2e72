"""Runs the general and the typed implementation of an operator side by side, step by step."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nextpaint.process.operators.protocol import Change, Operator, Select, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import IDLE, INSERT, Batch
from nextpaint.record.types import Type


class Upstream(Operator):
    """Stands for the input of the operator under test, and for what that still holds back."""

    def __init__(self, types: Sequence[Type]) -> None:
        super().__init__("upstream", types)
        self.changes: list[Change] = []

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        raise AssertionError

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return [each for each in self.changes if all(each.row[at] == value for at, value in select.items())]


Maker = Callable[[Sequence[Operator], State], Operator]


class Both:
    """Two operators over one input. `cells`: paths to what must agree in content, cells or methods that give rows."""

    def __init__(
        self,
        types: Sequence[Sequence[Type]],
        general: Maker,
        typed: Maker,
        cells: Sequence[str],
        *,
        timers: bool = True,
    ) -> None:
        self._timers = timers  # whether `next_timer` must agree: not where stale timers may differ
        self.upstream = [Upstream(each) for each in types]
        self._make = typed
        self._cells = cells
        self.general = general(self.upstream, State())
        self.state = State()
        self.typed = typed(self.upstream, self.state)
        self.outputs: list[Any] = []

    def step(self, *batches: Batch) -> None:
        seqs = np.unique(np.concatenate([each for batch in batches for each in (batch.seq, batch.mark_seq)]))
        context = StepContext(seqs, seqs)
        expected, found = self.general.step(batches, context), self.typed.step(batches, context)
        assert shown(found) == shown(expected)
        assert [type_ for type_ in found.types] == [type_ for type_ in expected.types]
        assert self.typed.late == self.general.late
        self.outputs += shown(expected)[0]
        self.agree()

    def agree(self) -> None:
        for name in self._cells:
            typed, general = (dict(rows(cell(each, name))) for each in (self.typed, self.general))
            assert typed == general, name
        assert self.typed.held == self.general.held
        assert not self._timers or self.typed.next_timer() == self.general.next_timer()

    def live(self, select: Select, as_of: int) -> None:
        expected = [(each.kind, each.row) for each in self.general.pending(select, as_of)]
        assert [(each.kind, each.row) for each in self.typed.pending(select, as_of)] == expected
        batch = self.typed.pending_batch(select, as_of)
        if batch is not None:
            assert list(zip(batch.kind.tolist(), batch.rows(), strict=True)) == expected

    def reload(self) -> None:
        """Go on with a fresh typed operator that was given the state through a snapshot."""
        before = self.state.hash()
        snapshot = self.state.snapshot()
        fresh = State()
        operator = self._make(self.upstream, fresh)
        while not snapshot.done:
            for name, body in snapshot.slice(7):
                fresh.cells[name].load_page(body)
        assert fresh.hash() == before == snapshot.state_hash
        operator.restore()
        operator.late = self.typed.late
        self.state, self.typed = fresh, operator
        self.agree()


def cell(operator: Any, path: str) -> Any:
    """The cell at a path of attributes and places in tuples, such as `_sides.0._cell`."""
    for part in path.split("."):
        operator = operator[int(part)] if part.isdigit() else getattr(operator, part)
    return operator


def rows(found: Any) -> Any:
    """The rows of a cell, or those that a method gives."""
    return found() if callable(found) else found.items()


def shown(batch: Batch) -> Any:
    rows = list(zip(batch.kind.tolist(), batch.seq.tolist(), batch.rows(), strict=True))
    return rows, batch.mark_seq.tolist(), batch.mark_wm.tolist()


Rows = list[tuple[int, int, tuple[Any, ...]]]  # kind, seq, row


def batches(
    types: Sequence[Type],
    rows: Rows,
    marks: Sequence[tuple[int, int]],
    chance: random.Random,
    largest: int,
    end: int = 0,
) -> list[Batch]:
    """Rows and marks cut at random places between records."""
    made = []
    seq = 0
    end = end or max([each[1] for each in rows] + [each[0] for each in marks], default=-1) + 1
    while seq < end:
        upto = seq + chance.randint(1, largest)
        part = [each for each in rows if seq <= each[1] < upto]
        batch = Batch.of(types, [each[2] for each in part], [each[1] for each in part], [each[0] for each in part])
        inside = [each for each in marks if seq <= each[0] < upto]
        made.append(batch.with_marks([each[0] for each in inside], [each[1] for each in inside]))
        seq = upto
    return made


def timed(
    chance: random.Random, count: int, row: Callable[[int], tuple[Any, ...]]
) -> tuple[Rows, list[tuple[int, int]]]:
    """Rows whose time wanders, with marks that mostly follow and are sometimes idle or behind. `row(time)`."""
    rows: Rows = []
    marks: list[tuple[int, int]] = []
    time, seq = 100_000, 0
    for _ in range(count):
        time += chance.choice((0, 0, 1, 300, 1_000, 5_000, 30_000))
        for _ in range(chance.choice((1, 1, 1, 2))):
            rows.append((INSERT, seq, row(time - chance.choice((0, 0, 0, 500, 2_000, 9_000, 60_000)))))
        if chance.random() < 0.7:
            marks.append((seq, IDLE if chance.random() < 0.1 else time - chance.choice((2_000, 2_000, 4_000))))
        seq += chance.choice((1, 1, 3))
    return rows, marks
