"""The memory ceiling of an application: measured now and then, warned of at 80 %, kept by halting a statement.

At the ceiling the statement that holds most halts at a recorded position (`process/halts.py`) with its state kept;
ingest, decisions and the other statements go on, and its tables answer with their age. What is measured is an
estimate; what is done about it is a record.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import msgspec

from nextpaint.process.footprint import by_operator, by_statement
from nextpaint.process.halts import HALT_TOPIC, Halt
from nextpaint.process.runner import Runner
from nextpaint.record.codec import Record
from nextpaint.sql.settings import bytes_of
from nextpaint.stream.frame import Draft, EntryKind

log = logging.getLogger("nextpaint.engine")

SETTING = "nextpaint.state.ceiling"
LOOK_MS = 2_000  # between measurements: they take about 50 microseconds a cell
WARN_AT = 0.8


def default_bytes() -> int:
    """A quarter of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


class Ceiling:
    """Watches one node's state. `append` appends a halt record."""

    def __init__(self, append: Callable[[Draft], None]) -> None:
        self._append = append
        self._looked_ms = 0
        self._asked: set[str] = set()
        self._warned = False
        self._again = 0  # bytes at which one more statement halts: a halted one frees nothing, it grows no more
        self.bytes = 0
        self.limit = 0
        self.statements: dict[str, int] = {}

    def look(self, runner: Runner, now_ms: int) -> None:
        """Measure when it is time, and act on it."""
        if now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        operators = by_operator(runner.graph)
        self.bytes = sum(operators.values())
        self.statements = by_statement(runner.graph, operators)
        self.limit = bytes_of(runner.design.program.settings.get(SETTING, "0")) or default_bytes()
        if self.bytes < self.limit * WARN_AT:
            self._warned = False
        elif not self._warned:
            self._warned = True
            log.warning(
                "state takes %d of %d MB; at the ceiling the statement that holds most halts. SET '%s' to allow more, "
                "or bound state with windows or 'table.exec.state.ttl'", self.bytes >> 20, self.limit >> 20, SETTING,
            )  # fmt: skip
        if self.bytes >= max(self.limit, self._again):
            self._halt(runner, now_ms)

    def _halt(self, runner: Runner, now_ms: int) -> None:
        """Halt the statement that holds most, of those that still run. One at a time: its state does not grow more."""
        halted = runner.halts.targets()
        running = {name: size for name, size in self.statements.items() if name not in halted}
        if not running or any(each not in halted for each in self._asked & set(self.statements)):
            return
        target = max(running, key=lambda name: (running[name], name))
        self._asked.add(target)
        self._again = self.bytes + self.limit // 20
        statement = runner.graph.targets[target].operator.id
        halt: Halt = {"statement": statement, "target": target, "bytes": self.bytes, "ceiling": self.limit}
        log.error(
            "state takes %d MB, the ceiling is %d MB: the statement that fills %s halts, its rows stay readable with "
            "their age. Bound its state or raise '%s', then apply", self.bytes >> 20, self.limit >> 20, target, SETTING,
        )  # fmt: skip
        self._append(Draft(HALT_TOPIC, EntryKind.INPUT, [Record(None, msgspec.json.encode(halt), now_ms)]))
