"""Expansion of rows: UNNEST and table functions. Each row comes out once per row of the function, with its own kind.

Nothing is held back and nothing is remembered: an update's -U expands as its +I did, since a function's rows depend on
its arguments alone. A row whose arguments or function fail goes to the dead-letter topic.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.functions.compile import Evaluation, Failures, compile_expr
from nextpaint.process.functions.table_functions import TABLE_FUNCTIONS, TableFunction
from nextpaint.process.operators.condition import Condition
from nextpaint.process.operators.protocol import Change, DeadRow, Operator, Output, Row, Select, StepContext
from nextpaint.process.operators.stateless import batch_of
from nextpaint.process.state import State, frozen
from nextpaint.process.user_tables import UserTable
from nextpaint.record.columns import Batch
from nextpaint.sql.plan import Expand as ExpandNode


def _function(node: ExpandNode) -> TableFunction | UserTable:
    if node.function == "PYTHON":
        return UserTable(str(dict(node.options)["identity"]))
    return TABLE_FUNCTIONS[node.function](tuple(each.type for each in node.args))


class Expand(Operator):
    """Output columns: the input's, the function's, and the 1-based place among its rows where asked for."""

    def __init__(self, identity: str, node: ExpandNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.width = len(node.input.schema.fields)
        self._args = [compile_expr(each) for each in node.args]
        self._function = _function(node)
        self._ordinality, self._outer = node.ordinality, node.outer
        self._condition = Condition(node.residual, self.types, identity) if node.residual is not None else None
        self._missing = (None,) * (len(self.types) - self.width)
        self._source = sources[0]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        if len(batch):
            failures = Failures()
            evaluation = Evaluation(batch.columns, len(batch), context.clock(batch.seq), failures)
            found = self._expanded(batch, evaluation, failures)
            rows, kinds, seqs = batch.rows(), batch.kind.tolist(), batch.seq.tolist()
            clocks = context.at(batch.seq).tolist()
            for index, added in enumerate(found):
                if index in failures.rows:
                    context.dead.append(DeadRow(seqs[index], self.id, failures.rows[index], rows[index]))
                    continue
                for row in self._kept(rows[index], added, (seqs[index], context, clocks[index])):
                    out.add(kinds[index], seqs[index], row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _expanded(self, batch: Batch, evaluation: Evaluation, failures: Failures) -> list[list[Row]]:
        """What the function adds to each row."""
        columns = [arg(evaluation) for arg in self._args]
        if isinstance(self._function, UserTable):
            return self._function.rows([(each.values, each.valid) for each in columns], len(batch), failures)
        args = [each.to_list() for each in columns]
        found: list[list[Row]] = []
        for index in range(len(batch)):
            added: list[Row] = []
            if index not in failures.rows:
                try:
                    made = enumerate(self._function(*(column[index] for column in args)), 1)
                    places = [(frozen(each), place) for place, each in made if each is not None]
                    added = [(*each, place) if self._ordinality else each for each, place in places]
                except ValueError as error:
                    failures.rows[index] = str(error)
            found.append(added)
        return found

    def _kept(self, row: Row, added: list[Row], moment: tuple[int, StepContext | None, int]) -> list[Row]:
        """The row with each of the function's that passes; padded, if there is none and the join is outer."""
        made = [row + each for each in added]
        if self._condition is not None:
            passing = self._condition.passing(made, *moment)
            made = [each for each, passes in zip(made, passing, strict=True) if passes]
        return made or ([row + self._missing] if self._outer else [])

    def pending(self, select: Select, as_of: int) -> list[Change]:
        changes = self._source.pending({at: value for at, value in select.items() if at < self.width}, as_of)
        if not changes:
            return []
        batch, failures = batch_of(self._source, changes), Failures()
        found = self._expanded(batch, Evaluation(batch.columns, len(batch), as_of, failures), failures)
        return [
            Change(change.kind, row)
            for index, change in enumerate(changes)
            if index not in failures.rows
            for row in self._kept(change.row, found[index], (0, None, as_of))
        ]
