"""Drives one operator with change rows and marks: at any cut, from any checkpoint, and nets what comes out."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextpaint.process.graph import _OPERATORS
from nextpaint.process.operators.protocol import Change, Operator, Select, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, MAX_WATERMARK, UPDATE_BEFORE, Batch
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.plan import Node, inputs_of
from nextpaint.sql.planner import plan_program
from nextpaint.sql.queries import plan_statement_query
from nextpaint.sql.query_grammar import parse_query

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Event:
    """A change row at a port, or (row None) a watermark."""

    port: int
    kind: int = 0
    row: Row | None = None
    watermark: int = 0


def planned(tables: str, query: str) -> Node:
    program = plan_program([("tables.sql", tables)], {})
    catalog = Catalog(program.tables, {}, plan_statement_query)
    return plan_statement_query(catalog, parse_query(Cursor(tokenize(query))))


def found(node: Node, kind: type) -> Any:
    """The first node of a class, from the root down."""
    if isinstance(node, kind):
        return node
    for each in inputs_of(node):
        inner = found(each, kind)
        if inner is not None:
            return inner
    return None


class Upstream(Operator):
    """An input that holds rows back."""

    def __init__(self, port: int, node: Node) -> None:
        super().__init__(f"upstream/{port}", node.schema.types)
        self.waiting: list[Change] = []

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        raise AssertionError

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return [each for each in self.waiting if all(each.row[at] == value for at, value in select.items())]


@dataclass
class Driven:
    node: Any
    state: State = field(default_factory=State)
    upstream: list[Upstream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.upstream = self.upstream or [Upstream(*each) for each in enumerate(inputs_of(self.node))]
        _, make = _OPERATORS[type(self.node)]
        self.operator = make("op", self.node, self.upstream, self.state)
        self.operator.restore()

    def step(self, events: Sequence[tuple[int, Event]]) -> list[tuple[int, int, Row]]:
        """(seq, kind, row) of what the events, each with its seq, cause; marks go to `self.marks`."""
        inputs = []
        for port, each in enumerate(inputs_of(self.node)):
            rows = [(seq, event) for seq, event in events if event.port == port and event.row is not None]
            marks = [(seq, event.watermark) for seq, event in events if event.port == port and event.row is None]
            batch = Batch.of(
                each.schema.types, [e.row for _, e in rows], [s for s, _ in rows], [e.kind for _, e in rows]
            )
            inputs.append(batch.with_marks([s for s, _ in marks], [w for _, w in marks]))
        seqs = np.array(sorted({seq for seq, _ in events}), np.int64)
        context = StepContext(seqs, np.full(len(seqs), 1_000, np.int64))
        batch = self.operator.step(inputs, context)
        self.marks = list(zip(batch.mark_seq.tolist(), batch.mark_wm.tolist(), strict=True))
        return list(zip(batch.seq.tolist(), batch.kind.tolist(), batch.rows(), strict=True))

    def wait(self, events: Sequence[Event]) -> None:
        """Let rows wait upstream; of a row wider than its input the first columns."""
        for each in events:
            if each.row is not None:
                width = len(inputs_of(self.node)[each.port].schema.fields)
                self.upstream[each.port].waiting.append(Change(each.kind, each.row[:width]))

    def reloaded(self) -> Driven:
        """The same operator from the bytes of a checkpoint."""
        snapshot, pages = self.state.snapshot(), list[tuple[str, bytes]]()
        while not snapshot.done:
            pages += snapshot.slice(3)
        fresh = Driven(self.node, upstream=self.upstream)
        for name, data in pages:
            fresh.state.cells[name].load_page(data)
        fresh.operator.restore()
        assert fresh.state.hash() == self.state.hash() == snapshot.state_hash
        return fresh


def numbered(events: Sequence[Event]) -> list[tuple[int, Event]]:
    return list(enumerate(events))


def run(node: Node, events: Sequence[Event], seed: int | None = None) -> list[tuple[int, int, Row]]:
    """All output rows; with a seed in steps of random size, through checkpoints. Ends with MAX watermarks."""
    ends = [Event(port, watermark=MAX_WATERMARK) for port in range(len(inputs_of(node)))]
    arriving = numbered([*events, *ends])
    driven = Driven(node)
    if seed is None:
        return driven.step(arriving)
    chance, output, at = random.Random(seed), list[tuple[int, int, Row]](), 0
    while at < len(arriving):
        size = chance.randint(1, 5)
        output += driven.step(arriving[at : at + size])
        at += size
        if chance.random() < 0.3:
            driven = driven.reloaded()
    return output


def net(changes: Sequence[tuple[int, int, Row]]) -> Counter[Row]:
    """The rows a changelog leaves; a row is never taken back before it was given."""
    rows: Counter[Row] = Counter()
    for _, kind, row in changes:
        rows[row] += -1 if kind in (UPDATE_BEFORE, DELETE) else 1
        assert rows[row] >= 0, f"{row} is taken back before it was given"
    return +rows


def same_at_every_cut(node: Node, events: Sequence[Event], seeds: int = 3) -> list[tuple[int, int, Row]]:
    """The output rows, which are the same however the input was cut and reloaded."""
    expected = run(node, events)
    for seed in range(seeds):
        assert run(node, events, seed) == expected
    return expected
