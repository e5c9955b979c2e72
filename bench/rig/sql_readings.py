"""What has been measured, a JSON line each, appended as it is read: a bench that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Reading = dict[str, Any]
_KEY = ("query", "what", "rows", "run")


class Readings:
    """Readings by query, what was measured ("node", "flink 4096 mini-batch", ...), rows and number of the run.

    `again`: engines (first words of `what`) whose earlier readings of this file do not count. A line that is cut off,
    as the end of a killed process leaves it, is passed over.
    """

    def __init__(self, path: Path, again: frozenset[str] = frozenset()) -> None:
        self.path = path
        self.found: dict[tuple[Any, ...], Reading] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                reading = json.loads(line)
            except ValueError:
                continue
            if reading["what"].split()[0] not in again:
                self.found[tuple(reading[each] for each in _KEY)] = reading

    def get(self, query: str, what: str, rows: int, run: int = 1) -> Reading | None:
        """A reading if there is one."""
        return self.found.get((query, what, rows, run))

    def keep(self, query: str, what: str, rows: int, run: int, report: Reading) -> Reading:
        """A new reading."""
        key = (query, what, rows, run)
        self.found[key] = {**dict(zip(_KEY, key, strict=True)), **report}
        with open(self.path, "a") as file:
            file.write(json.dumps(self.found[key]) + "\n")
        print(f"  {query} {what}, {rows} rows, run {run}: {report}", flush=True)
        return self.found[key]

    def once(self, query: str, what: str, rows: int, run: int, measure: Callable[[], Reading]) -> Reading:
        """An earlier reading, else a new one."""
        return self.get(query, what, rows, run) or self.keep(query, what, rows, run, measure())

    def pairs(self, query: str, what: str, sizes: tuple[int, int]) -> list[tuple[Reading, Reading]]:
        """Small and large of every run in which neither failed."""
        found = []
        run = 1
        while (small := self.get(query, what, sizes[0], run)) and (large := self.get(query, what, sizes[1], run)):
            if "cpu_s" in small and "cpu_s" in large:
                found.append((small, large))
            run += 1
        return found
