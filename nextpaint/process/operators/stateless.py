"""Filter, projection, UNION ALL and constant rows: nothing is held back.

A row whose expression fails leaves the stream here and goes to the dead-letter topic with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nextpaint.process.functions.casts import copied
from nextpaint.process.functions.compile import Evaluation, Evaluator, Failures, compile_expr, predicate
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    DeadRow,
    EventClock,
    Operator,
    Select,
    StepContext,
    merged,
)
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch, BoolArray, Column
from nextpaint.record.types import Type
from nextpaint.sql.plan import ChangeLog, ColumnRef, RowsAsChanges
from nextpaint.sql.plan import Filter as FilterNode
from nextpaint.sql.plan import Project as ProjectNode
from nextpaint.sql.plan import Union as UnionNode

CHANGES = {
    INSERT: "INSERT",
    UPDATE_BEFORE: "UPDATE_BEFORE",
    UPDATE_AFTER: "UPDATE_AFTER",
    DELETE: "DELETE",
}


Predicate = Callable[[Evaluation], BoolArray]


def bury(batch: Batch, failures: Failures, operator: str, context: StepContext) -> BoolArray:
    """Send failed rows to the context's dead rows; gives the mask of the others."""
    rows = batch.rows()
    for index, reason in sorted(failures.rows.items()):
        context.dead.append(DeadRow(int(batch.seq[index]), operator, reason, rows[index]))
    alive = np.ones(len(batch), np.bool_)
    alive[list(failures.rows)] = False
    return alive


def passing(batch: Batch, keep: Predicate, operator: str, context: StepContext) -> Batch:
    """The rows for which a predicate is TRUE; those on which it fails are buried."""
    failures = Failures()
    mask = keep(Evaluation(batch.columns, len(batch), context.clock(batch.seq), failures))
    if failures.rows:
        mask = mask & bury(batch, failures, operator, context)
    return batch if mask.all() else batch.take(mask)


def batch_of(operator: Operator, changes: Sequence[Change]) -> Batch:
    """Changes outside a step as a batch of an operator's output."""
    return Batch.of(operator.types, [each.row for each in changes], [0] * len(changes), [each.kind for each in changes])


class Filter(Operator):
    """Keeps the rows for which a predicate is TRUE; drops rows, never marks."""

    def __init__(self, identity: str, node: FilterNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._keep = predicate(node.predicate)
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return batch
        return passing(batch, self._keep, self.id, context)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return self.through(self._source.pending(select, as_of), as_of)

    def through(self, changes: Sequence[Change], as_of: int) -> list[Change]:
        """The changes that pass, evaluated at ledger time `as_of`; failing rows do not."""
        if not changes:
            return []
        batch, failures = batch_of(self, changes), Failures()
        mask = self._keep(Evaluation(batch.columns, len(batch), as_of, failures)).tolist()
        return [each for index, each in enumerate(changes) if mask[index] and index not in failures.rows]


class Project(Operator):
    """Computes columns; keeps kind, seq and marks."""

    def __init__(self, identity: str, node: ProjectNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._picks: list[int | Evaluator] = [
            expr.index if isinstance(expr, ColumnRef) else compile_expr(expr) for expr in node.exprs
        ]
        picks = [pick for pick in self._picks if isinstance(pick, int)]
        self._only_picks = picks if len(picks) == len(self._picks) else []
        copies = [copied(expr) for expr in node.exprs]
        self._row_picks = [copy for copy in copies if copy is not None] if None not in copies else []
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        if self._only_picks:
            return batch.with_columns([batch.columns[pick] for pick in self._only_picks])
        failures = Failures()
        projected = batch.with_columns(
            self._columns(Evaluation(batch.columns, len(batch), context.clock(batch.seq), failures))
        )
        return projected.take(bury(batch, failures, self.id, context)) if failures.rows else projected

    def _columns(self, evaluation: Evaluation) -> list[Column]:
        return [evaluation.columns[pick] if isinstance(pick, int) else pick(evaluation) for pick in self._picks]

    def source_of(self, column: int) -> int | None:
        """The input column an output column is a plain copy of."""
        pick = self._picks[column]
        return pick if isinstance(pick, int) else None

    def finished(self, changes: Sequence[Change]) -> list[Change]:
        """Changes of the aggregate below a chain of projections, through the whole chain."""
        below = self._source.finished(changes) if isinstance(self._source, Project) else changes
        return self.through(below, 0)

    def _traced(self, select: Select) -> Select:
        """The selection in the columns of the source, as far as those are copied."""
        traced = {self.source_of(column): value for column, value in select.items()}
        return {column: value for column, value in traced.items() if column is not None}

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return self.through(self._source.pending(self._traced(select), as_of), as_of)

    def pending_batch(self, select: Select, as_of: int) -> Batch | None:
        batch = self._source.pending_batch(self._traced(select), as_of)
        if batch is None or not len(batch):
            return batch if batch is None else self.nothing
        failures = Failures()
        made = batch.with_columns(self._columns(Evaluation(batch.columns, len(batch), as_of, failures)))
        if not failures.rows:
            return made
        return made.take(np.array([index not in failures.rows for index in range(len(made))], np.bool_))

    def through(self, changes: Sequence[Change], as_of: int) -> list[Change]:
        """These changes projected, evaluated at ledger time `as_of`; failing rows are left out."""
        if not changes:
            return []
        if self._row_picks:
            return [Change(change.kind, tuple([change.row[pick] for pick in self._row_picks])) for change in changes]
        batch, failures = batch_of(self._source, changes), Failures()
        rows = batch.with_columns(self._columns(Evaluation(batch.columns, len(batch), as_of, failures))).rows()
        return [
            Change(change.kind, row)
            for index, (change, row) in enumerate(zip(changes, rows, strict=True))
            if index not in failures.rows
        ]


class ChangesAsRows(Operator):
    """TO_CHANGELOG: what a change is becomes a column, and the change a row that only comes."""

    def __init__(self, identity: str, node: ChangeLog, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        names = Column.of(self.types[0], [CHANGES[kind] for kind in batch.kind.tolist()])
        kinds = np.full(len(batch), INSERT, np.int8)
        return Batch((names, *batch.columns), kinds, batch.seq, batch.mark_seq, batch.mark_wm)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column - 1: value for column, value in select.items() if column}
        return [Change(INSERT, (CHANGES[change.kind], *change.row)) for change in self._source.pending(wanted, as_of)]


class RowsThatChange(Operator):
    """FROM_CHANGELOG: a row that only comes becomes the change that one of its columns says."""

    def __init__(self, identity: str, node: RowsAsChanges, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._source = sources[0]
        self.op = node.op
        by_name = {name: kind for kind, name in CHANGES.items()}
        self._kinds = {word: by_name[name] for word, name in node.kinds}

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        failures = Failures()
        kinds = np.full(len(batch), INSERT, np.int8)
        for index, word in enumerate(batch.columns[self.op].to_list()):
            kind = self._kinds.get(word) if isinstance(word, str) else None
            if kind is None:
                failures.add(index, f"FROM_CHANGELOG: {word!r} is no kind of change")
            else:
                kinds[index] = kind
        if failures.rows:
            alive = bury(batch, failures, self.id, context)
            batch, kinds = batch.take(alive), kinds[alive]
        columns = (*batch.columns[: self.op], *batch.columns[self.op + 1 :])
        return Batch(columns, kinds, batch.seq, batch.mark_seq, batch.mark_wm)

    def below(self, columns: Iterable[int]) -> dict[int, int]:
        """The input columns that output columns are copies of, by these."""
        return {each: each + (each >= self.op) for each in columns}

    def pending(self, select: Select, as_of: int) -> list[Change]:
        places = self.below(select)
        wanted = {places[column]: value for column, value in select.items()}
        return [
            Change(self._kinds[word], (*change.row[: self.op], *change.row[self.op + 1 :]))
            for change in self._source.pending(wanted, as_of)
            if isinstance(word := change.row[self.op], str) and word in self._kinds
        ]


class Forward(Operator):
    """An append-only INSERT target: its rows leave the statement unchanged and feed the target's readers."""

    def __init__(self, identity: str, types: Sequence[Type], sources: Sequence[Operator]) -> None:
        super().__init__(identity, types)
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        return inputs[0]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return self._source.pending(select, as_of)


class Union(Operator):
    """UNION ALL: rows merge by seq, then by input order; the watermark is the minimum over inputs."""

    def __init__(self, identity: str, node: UnionNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._sources = tuple(sources)
        self._clock = EventClock(state, identity, len(sources))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        filled = [batch for batch in inputs if len(batch) or len(batch.mark_seq)]
        if len(filled) == 1 and not len(filled[0].mark_seq):
            return filled[0]
        offsets = np.cumsum([0, *(len(batch) for batch in inputs)]).tolist()
        order: list[int] = []
        marks: list[tuple[int, int]] = []
        for what, port, value, seq in merged(inputs):
            if what == ROW:
                order.append(offsets[port] + value)
            elif self._clock.advance(port, value):
                marks.append((seq, self._clock.watermark))
        columns = [Column.concat([batch.columns[index] for batch in inputs]) for index in range(len(self.types))]
        whole = Batch(
            tuple(each.typed(type_) for type_, each in zip(self.types, columns, strict=True)),
            np.concatenate([batch.kind for batch in inputs]),
            np.concatenate([batch.seq for batch in inputs]),
        )
        return whole.take(np.array(order, np.int64)).with_marks([m[0] for m in marks], [m[1] for m in marks])

    def pending(self, select: Select, as_of: int) -> list[Change]:
        return [change for source in self._sources for change in source.pending(select, as_of)]

    def restore(self) -> None:
        self._clock.restore()
