"""What the programs of other Python engines share: arguments, lines, where rows go, the report. Needs only the standard
library: it runs in the environment of those engines, which has neither the package nor its dependencies.

    python sql_<engine>.py QUERY INPUTS ROWS [--rows FILE]

A run that takes more than five minutes of CPU is ended.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rig.peak_memory import peak_mb

Row = tuple[Any, ...]
LONGEST_CPU_S = 300
NEVER = datetime(2026, 1, 1, tzinfo=UTC)  # a clock that stands still: watermarks follow events alone
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str) -> datetime:
    """A time of the inputs."""
    return datetime.fromisoformat(text + "+00:00")


def milliseconds(text: str) -> int:
    """The same as epoch ms."""
    return round(moment(text).timestamp() * 1000)


class Result:
    """Takes rows: thrown away when cost is measured, kept when they are compared. `put` and `drop` are by key."""

    def __init__(self, kept: Path | None) -> None:
        self.kept = kept
        self.count = 0
        self.rows: list[Row] = []
        self.keyed: dict[Any, Row] = {}

    def add(self, row: Row) -> None:
        self.count += 1
        if self.kept:
            self.rows.append(row)

    def extend(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.add(row)

    def put(self, key: Any, row: Row) -> None:
        self.count += 1
        if self.kept:
            self.keyed[key] = row

    def drop(self, key: Any) -> None:
        self.count += 1
        if self.kept:
            self.keyed.pop(key, None)

    def write(self) -> None:
        if self.kept:
            with open(self.kept, "w") as file:
                for row in [*self.rows, *self.keyed.values()]:
                    file.write(json.dumps(row, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return str(value)


class Inputs:
    """The files of JSON lines of one size."""

    def __init__(self, directory: Path, rows: int) -> None:
        self.directory = directory
        self.rows = rows

    def path(self, name: str) -> str:
        return str(self.directory / f"{name}-{self.rows}.json")


Program = Callable[[Inputs, Result], None]


def main(programs: dict[str, Program], cannot: dict[str, str]) -> int:
    """Run one program and print its report; `cannot`: why an engine has no program for a query."""
    parser = argparse.ArgumentParser()
    parser.add_argument("query")
    parser.add_argument("inputs", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--rows", dest="kept", type=Path)
    options = parser.parse_args()
    if options.query not in programs:
        print(json.dumps({"cannot": cannot.get(options.query, "no program")}))
        return 0
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_CPU_S, LONGEST_CPU_S))
    result = Result(options.kept)
    start = time.process_time()
    programs[options.query](Inputs(options.inputs, options.rows), result)
    used = time.process_time() - start
    result.write()
    print(json.dumps({"cpu_s": used, "peak_mb": peak_mb(), "start_s": start, "rows_out": result.count}), flush=True)
    sys.stdout.flush()
    return 0
