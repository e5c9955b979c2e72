"""One SELECT over live tables, run once: the SQL box, `POST /v1/query` and `nextpaint sql`.

The same operators as in a continuous statement, over a scratch state; a Sort and LIMIT may stand on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpaint.process.live import LiveReading, Tables
from nextpaint.process.operators.expand import Expand
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.join import Join
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.stateless import Filter, Project, Union
from nextpaint.process.operators.values import ConstantRows
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE, Batch, Value
from nextpaint.record.types import Field
from nextpaint.sql import plan
from nextpaint.sql.plan import inputs_of

Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of a query, in order, as Python values of their SQL types."""

    fields: tuple[Field, ...]
    rows: list[Row]
    failed: int  # rows left out because an expression failed on them


class _Rows(Operator):
    """The rows of one table at one reading."""

    def __init__(self, node: plan.Scan) -> None:
        super().__init__(f"scan/{node.table}", node.schema.types)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        raise RuntimeError("rows are given, not computed")


class _Run:
    def __init__(self, tables: Tables, reading: LiveReading) -> None:
        self._tables = tables
        self._reading = reading
        self._state = State()
        self._steps = 0
        self.context = StepContext(np.zeros(1, np.int64), np.array([reading.time_ms], np.int64))

    def batch(self, node: plan.Node) -> tuple[Batch, Operator]:
        """The final rows of a node, as inserts."""
        self._steps += 1
        identity = f"query/{self._steps}"
        if isinstance(node, plan.Scan):
            live = self._tables.live[node.table]
            rows = list(live.rows((), self._reading.time_ms).values())
            return _inserts(node.schema.types, rows), _Rows(node)
        made = [self.batch(each) for each in inputs_of(node)]
        sources = [operator for _, operator in made]
        inputs = [batch for batch, _ in made]
        operator: Operator
        if isinstance(node, plan.Values):
            operator = ConstantRows(identity, node, sources, self._state)
        elif isinstance(node, plan.Filter):
            operator = Filter(identity, node, sources, self._state)
        elif isinstance(node, plan.Project):
            operator = Project(identity, node, sources, self._state)
        elif isinstance(node, plan.GroupAggregate):
            operator = GroupAggregate(identity, node, sources, self._state)
            operator.step(inputs, self.context)
            groups = sorted(operator.groups.items(), key=lambda each: repr(each[0]))
            as_of = self._reading.time_ms
            rows = [key + operator.accumulators.results(stored[1], as_of) for key, stored in groups]
            return _inserts(operator.types, rows), operator
        elif isinstance(node, plan.Union):
            operator = Union(identity, node, sources, self._state)
        elif isinstance(node, plan.Expand):
            operator = Expand(identity, node, sources, self._state)
        elif isinstance(node, plan.Join):
            operator = Join(identity, node, sources, self._state)
            return _inserts(operator.types, _final(operator.step(inputs, self.context))), operator
        else:
            raise TypeError(f"the planner must refuse {type(node).__name__} in a query")
        return operator.step(inputs, self.context), operator


def _final(batch: Batch) -> list[Row]:
    """The rows a changelog leaves, in the order they first came."""
    counts: dict[Row, int] = {}
    for row, kind in zip(batch.rows(), batch.kind.tolist(), strict=True):
        counts[row] = counts.get(row, 0) + (-1 if kind in (UPDATE_BEFORE, DELETE) else 1)
    return [row for row, count in counts.items() for _ in range(count)]


def _inserts(types: Sequence[object], rows: Sequence[Row]) -> Batch:
    return Batch.of(types, rows, [0] * len(rows), [0] * len(rows))  # type: ignore[arg-type]


def run_query(node: plan.Node, tables: Tables, reading: LiveReading) -> QueryResult:
    """Evaluate a planned query (`sql.planner.plan_query`) at a reading."""
    sort = node if isinstance(node, plan.Sort) else None
    run = _Run(tables, reading)
    batch, _ = run.batch(sort.input if sort is not None else node)
    rows = [row for row, kind in zip(batch.rows(), batch.kind.tolist(), strict=True) if kind != UPDATE_BEFORE]
    if sort is not None:
        for key in reversed(sort.keys):
            rows = _sorted(rows, key)
        rows = rows[sort.offset : None if sort.limit is None else sort.offset + sort.limit]
    return QueryResult(node.schema.fields, rows, len(run.context.dead))


def _sorted(rows: list[Row], key: plan.SortKey) -> list[Row]:
    """Stable, NULLs where the key says."""
    missing = [row for row in rows if row[key.index] is None]
    held: list[tuple[Any, Row]] = [(row[key.index], row) for row in rows if row[key.index] is not None]
    held.sort(key=lambda each: each[0], reverse=key.descending)
    present = [row for _, row in held]
    return missing + present if key.nulls_first else present + missing
