"""The runner: applies ledger records to state, step by step, and collects what follows from them.

There is one way in, `apply`: a run of records in ledger order, cut anywhere between records. State, output rows and
their order are functions of the record sequence alone. Outputs are ordered by identity (seq of the causing record,
operator, ordinal) so that a re-run after a crash can skip exactly those the ledger holds already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nextpaint.process.erasures import Erasures
from nextpaint.process.graph import Design, Graph, Stage, build
from nextpaint.process.halts import Halts
from nextpaint.process.operators.protocol import DeadRow, Operator, StepContext
from nextpaint.process.outputs import DEAD_TOPIC as DEAD_TOPIC
from nextpaint.process.outputs import Block, Outputs, plain
from nextpaint.process.outputs import OutputIdentity as OutputIdentity
from nextpaint.process.outputs import OutputRow as OutputRow
from nextpaint.process.sources import Arrived, Source
from nextpaint.record.columns import MAX_WATERMARK, Batch, Value
from nextpaint.record.runs import Arriving as Arriving
from nextpaint.record.runs import Run, gathered, numbered
from nextpaint.sql.settings import bytes_of


class Runner:
    """One application over one state. Owned by one thread."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.graph: Graph = build(design)
        self.state = self.graph.state
        self.applied = -1  # seq of the last applied record
        self.at_ms = 0
        self.dead = 0
        self._sources = {name: place for place, name in enumerate(self.graph.sources)}
        places = {id(self.graph.sources[name]): place for name, place in self._sources.items()}
        self._routes: list[tuple[Stage, tuple[int, ...]]] = []
        for stage in self.graph.stages:
            self._routes.append((stage, tuple(places[id(each.operator)] for each in stage.inputs)))
            places[id(stage.operator)] = len(self._sources) + len(self._routes) - 1
        ceiling = bytes_of(design.program.settings.get("nextpaint.state.ceiling", "0"))
        self.halts = Halts(self.graph, ceiling, self.state)
        self.erasures = Erasures(self.graph, self.state)
        self._clocked = self._following_the_clock()
        self._statements = {name: index + 1 for index, name in enumerate(self.graph.targets)}

    def _following_the_clock(self) -> list[Operator]:
        """The operators whose watermark is the ledger's clock, or held back by it."""
        found: dict[int, Operator] = {}
        for stage, _ in self._routes:
            if stage.operator.follows_clock or any(id(each.operator) in found for each in stage.inputs):
                found[id(stage.operator)] = stage.operator
        return list(found.values())

    # ------------------------------------------------------------ forward

    def apply(self, records: Sequence[Run] | Sequence[Arriving]) -> Outputs:
        """Apply a run of records; gives the output rows it caused, in identity order."""
        if not records:
            return Outputs()
        runs = [each for each in records if isinstance(each, Run)] or gathered(records)  # type: ignore[arg-type]
        if not self.erasures.concern(runs):
            return self._apply(runs)
        outputs = Outputs()
        for piece, erasure in self.erasures.pieces(runs):
            outputs.extend(self._apply(piece))
            if erasure is not None:
                self.erasures.apply(erasure, self.applied, self.at_ms)
        return outputs

    def _apply(self, runs: Sequence[Run]) -> Outputs:
        context = StepContext(*numbered(runs))
        batches = self._read(runs, context)
        self.halts.read(runs)
        self.applied = runs[-1].last_seq
        self.at_ms = runs[-1].at_ms
        return self._outputs(self._run(batches, context), context)

    def end(self) -> Outputs:
        """End of input: every watermark goes to MAX and everything held fires. For conformance and tests only."""
        context = StepContext(np.array([self.applied + 1], np.int64), np.array([self.at_ms], np.int64))
        batches = {
            name: Batch.of(source.types, (), (), ()).with_marks([self.applied + 1], [MAX_WATERMARK])
            for name, source in self.graph.sources.items()
        }
        return self._outputs(self._run(batches, context), context)

    def _read(self, runs: Sequence[Run], context: StepContext) -> dict[str, Batch]:
        """Each source's rows and marks. The ledger clock moves at the first record of every entry."""
        begins = [run for run in runs if run.first]
        silences = (
            np.array([run.seq for run in begins], np.int64), np.array([run.at_ms for run in begins], np.int64)
        )  # fmt: skip
        by_topic: dict[str, list[Run]] = {}
        for run in runs:
            if run.topic in self.graph.by_topic:
                by_topic.setdefault(run.topic, []).append(run)
        batches: dict[str, Batch] = {}
        for topic, names in self.graph.by_topic.items():
            part = by_topic.get(topic, [])
            known = (context.seqs, context.at_ms) if len(part) == len(runs) else None
            arrived = Arrived.of(part, known) if part else None
            for name in names:
                source = self.graph.sources[name]
                timed = source.table.watermark is not None
                if arrived is not None or (timed and not source.clock.unmoved_by(runs[-1].at_ms)):
                    batch = source.read(arrived, silences, self._bury(context, source))
                    if len(batch) or len(batch.mark_seq):
                        batches[name] = batch
        return batches

    def _bury(self, context: StepContext, source: Source) -> Callable[[int, str], None]:
        def bury(seq: int, reason: str) -> None:
            context.dead.append(DeadRow(seq, source.id, reason, ()))

        return bury

    def _run(self, batches: dict[str, Batch], context: StepContext) -> dict[str, Batch]:
        """One batch through every stage that has input; gives the batches of the INSERT targets."""
        made: list[Batch | None] = [None] * (len(self._sources) + len(self._routes))
        for name, batch in batches.items():
            made[self._sources[name]] = batch
        targets: dict[str, Batch] = {}
        for place, (stage, inputs) in enumerate(self._routes, start=len(self._sources)):
            found = [made[each] for each in inputs]
            if self.halts.limits:
                found = self._before_halt(stage, found)
            if not inputs:
                batch = stage.operator.step((), context)
            elif len(inputs) == 1:
                given = found[0]
                if given is None:
                    if not stage.operator.follows_clock:
                        continue
                    given = stage.inputs[0].operator.nothing
                batch = stage.operator.step((given,), context)
            else:
                if all(each is None for each in found):
                    continue
                batch = stage.operator.step([_given(*each) for each in zip(found, stage.inputs, strict=True)], context)
            if len(batch):
                made[place] = batch
                if stage.target is not None:
                    targets[stage.target] = batch
            elif len(batch.mark_seq):
                made[place] = batch
        return targets

    def _before_halt(self, stage: Stage, found: list[Batch | None]) -> list[Batch | None]:
        """What a stage that may be halted still takes of its inputs."""
        limit = self.halts.limits.get(id(stage))
        if limit is None:
            return found
        cut = [each.until(limit) if each is not None else None for each in found]
        return [each if each is not None and (len(each) or len(each.mark_seq)) else None for each in cut]

    def _outputs(self, targets: dict[str, Batch], context: StepContext) -> Outputs:
        """Rows of append-only targets and dead rows, with identities."""
        outputs = Outputs()
        for name, batch in targets.items():
            table = self.design.program.tables[name]
            if not table.primary_key:
                outputs.blocks.append(Block.of(name, self._statements[name], table.names, batch))
        last, ordinal = -1, 0
        for dead in sorted(context.dead, key=lambda each: each.seq):
            ordinal = ordinal + 1 if dead.seq == last else 0
            last = dead.seq
            body: dict[str, Value] = {"seq": dead.seq, "operator": dead.operator, "reason": dead.reason}
            body["row"] = [plain(value) for value in dead.row]
            outputs.dead.append(OutputRow(OutputIdentity(dead.seq, 0, ordinal), DEAD_TOPIC, "+I", body))
        self.dead += len(context.dead)
        return outputs

    # ------------------------------------------------------------ time

    def next_due_ms(self) -> int | None:
        """The ledger time at which something held would fire though no record arrives; None when nothing is held.

        A node appends a tick then. Only sources whose watermark may follow silence count, and what follows the clock.
        """
        timers = [timer for operator in self.graph.operators() if (timer := operator.next_timer()) is not None]
        if not timers:
            return None
        due = [
            at
            for source in self.graph.sources.values()
            if source.table.watermark is not None and (at := source.clock.due_ms(min(timers))) is not None
        ]
        clocked = [each.next_timer() for each in self._clocked]
        due += [timer + 1 for timer in clocked if timer is not None and timer >= self.at_ms]
        return min(due, default=None)

    # ------------------------------------------------------------ state

    def restore(self, applied: int, at_ms: int) -> None:
        """After cells were loaded: rebuild what is derived from them."""
        self.applied, self.at_ms = applied, at_ms
        for operator in self.graph.operators():
            operator.restore()
        self.halts.restore()
        self.erasures.restore()

    def late(self) -> dict[str, int]:
        """Rows dropped as late since start, by operator."""
        return {operator.id: operator.late for operator in self.graph.operators() if operator.late}


def _given(batch: Batch | None, stage: Stage) -> Batch:
    return batch if batch is not None else stage.operator.nothing
