"""Halted statements: from a recorded position on they take nothing more, and their state is kept.

A halt is a record of the ledger, so replays, followers and other step cuts halt at the same place. It names the
statement by the identity of its target's operator, and the ceiling it was made for: an application that declares a
higher ceiling, or another text of the statement, does not halt there. Rows of the record itself and before are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import msgspec

from nextpaint.process.graph import Graph, Stage
from nextpaint.process.state import State
from nextpaint.record.runs import Run

HALT_TOPIC = "_halt"
OPERATOR = "halts"  # whose cell it is


class Halt(TypedDict):
    """The value of a halt record. `statement`: the operator id of the target; bytes of memory."""

    statement: str
    target: str
    bytes: int
    ceiling: int


class Halts:
    """State: `halted`, operator id of a target -> seq of its halt record. Derived: for each stage up to which seq it
    takes rows."""

    def __init__(self, graph: Graph, ceiling: int, state: State) -> None:
        self._graph = graph
        self._ceiling = ceiling
        self._halted = state.cell(OPERATOR, "halted")
        self._targets = {stage.operator.id: name for name, stage in graph.targets.items()}
        self._leads = _leads(graph.stages)
        self.limits: dict[int, int] = {}  # by id of the stage; empty while nothing is halted
        self.stopped: frozenset[str] = frozenset()  # targets that take nothing new: halted, or fed by one that is

    def restore(self) -> None:
        self._limit()

    def read(self, runs: Sequence[Run]) -> None:
        """Take in the halt records among `runs`."""
        found = False
        for run in runs:
            if run.topic == HALT_TOPIC:
                for index in range(len(run)):
                    found = self._take(run.value(index), run.seq + index) or found
        if found:
            self._limit()

    def _take(self, value: bytes | None, seq: int) -> bool:
        try:
            halt = msgspec.json.decode(value or b"", type=Halt)
        except msgspec.DecodeError:
            return False
        known = halt["statement"] in self._targets and halt["statement"] not in self._halted
        if not known or self._ceiling > halt["ceiling"]:
            return False
        self._halted.put(halt["statement"], seq)
        return True

    def _limit(self) -> None:
        """A stage stops when every statement it leads to has stopped; what leads to none goes on."""
        self.limits = {}
        for stage in self._graph.stages:
            ends = self._leads[id(stage)]
            if ends and all(each in self._halted for each in ends):
                self.limits[id(stage)] = max(self._halted.get(each) for each in ends)
        self.stopped = self._stopped()

    def _stopped(self) -> frozenset[str]:
        found: set[int] = set()
        for stage in self._graph.stages:
            if stage.operator.id in self._halted or any(id(each) in found for each in stage.inputs):
                found.add(id(stage))
        return frozenset(name for name, stage in self._graph.targets.items() if id(stage) in found)

    def targets(self) -> dict[str, int]:
        """Halted targets by name, with the seq of the halt."""
        return {self._targets[statement]: seq for statement, seq in self._halted.items()}


def _leads(stages: Sequence[Stage]) -> dict[int, frozenset[str]]:
    """For each stage the operator ids of the targets that its rows reach; of a target its own, whoever reads it."""
    leads: dict[int, set[str]] = {id(stage): set() for stage in stages}
    for stage in reversed(stages):
        if stage.target is not None:
            leads[id(stage)] = {stage.operator.id}
        elif not any(stage in other.inputs for other in stages):
            leads[id(stage)].add("")  # an index or a model that surfaces read: no statement, never halted
        for source in stage.inputs:
            if id(source) in leads:
                leads[id(source)] |= leads[id(stage)]
    return {key: frozenset(each) for key, each in leads.items()}
