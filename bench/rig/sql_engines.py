"""Runs of a query on an engine, each alone in a process of its own, over one directory of inputs.

A report is what the process printed last: `cpu_s` and `peak_mb`; or `refused` or `failed` and why.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rig.flink_session import EVERY_ROW, FlinkSession
from rig.queries import Query
from rig.sql_rows import Rows, difference, flink_rows, written_rows
from rig.streams import written

RIG = Path(__file__).parent
ROOT = RIG.parents[1]
LONGEST_S = 1800
OTHER_LONGEST_S = 300  # of engines that a node is compared with; it takes seconds for the same
OTHERS = ("duckdb", "bytewax", "quixstreams", "pathway", "pyclink")
PEERS = ROOT / ".venv-sql"  # requirements/sql-peers.txt
HEAPS_MB = (512, 1024, 2048, 4096)
Report = dict[str, Any]


def flink_python() -> str | None:
    """The interpreter that has PyFlink: NEXTPAINT_FLINK_PYTHON, else the one of scripts/flink-python."""
    beside = ROOT / ".venv-flink" / "bin" / "python"
    return os.environ.get("NEXTPAINT_FLINK_PYTHON") or (str(beside) if beside.exists() else None)


def other_pythons(names: frozenset[str]) -> dict[str, str]:
    """Interpreters of the other engines among `names`: DuckDB is in ours, the rest in an environment of their own, made
    when it is missing or out of date; without it (the reason is printed) only DuckDB."""
    found = {"duckdb": sys.executable} if "duckdb" in names else {}
    peers = [name for name in OTHERS if name in names and name != "duckdb"]
    if not peers:
        return found
    pins = ROOT / "requirements" / "sql-peers.txt"
    python, stamp = PEERS / "bin" / "python", PEERS / "pins.txt"
    try:
        if not stamp.exists() or stamp.read_text() != pins.read_text():
            print("making .venv-sql, this takes some minutes", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS)], check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(pins)]
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=LONGEST_S)
            stamp.write_text(pins.read_text())
    except (subprocess.SubprocessError, OSError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        print(f"without {', '.join(peers)}: {told[-1][:200]}")
        return found
    return found | {name: str(python) for name in peers}


class Engines:
    """`data`: inputs, made on demand and kept. `flink`: an interpreter that has PyFlink; `others`: those of other
    engines, by name."""

    def __init__(self, data: Path, flink: str | None, others: dict[str, str]) -> None:
        self.data = data
        self.flink = flink
        self.others = others

    def node(self, query: Query, rows: int, kept: Path | None = None) -> Report:
        """One run of a node; `kept`: where its rows go."""
        directory = self.data / f"node-{os.getpid()}"
        directory.mkdir(exist_ok=True)
        return self._run([sys.executable, str(RIG / "sql_node.py")], query, rows, (str(directory),), kept)

    def flink_session(self, heap_mb: int) -> FlinkSession:
        """A JVM that takes queries."""
        assert self.flink is not None
        return FlinkSession(self.flink, heap_mb, lambda name, rows: written(self.data, name, rows))

    def other(self, engine: str, query: Query, rows: int, kept: Path | None = None) -> Report:
        """One run of another engine; `cannot`: why the query cannot be said in it."""
        program = [self.others[engine], str(RIG / f"sql_{engine}.py")]
        return self._run(program, query, rows, (), kept, OTHER_LONGEST_S)

    def flink_differs(self, session: FlinkSession, query: Query, rows: int) -> Report:
        """{"differs": what is different between a node's rows and those of Flink}, empty if nothing is."""
        ours = self._rows(query, rows)
        if not isinstance(ours, Counter):
            return ours
        theirs, printed = session.run(query, rows, EVERY_ROW, "print")
        if "failed" in theirs:
            return theirs
        return {"differs": difference(ours, flink_rows(printed)), "compared": ours.total()}

    def other_differs(self, engine: str, query: Query, rows: int) -> Report:
        """The same for another engine."""
        ours = self._rows(query, rows)
        if not isinstance(ours, Counter):
            return ours
        kept = self.data / f"rows-{engine}-{os.getpid()}.json"
        theirs = self.other(engine, query, rows, kept)
        if "cpu_s" not in theirs:
            return theirs
        found = written_rows(kept, query)
        kept.unlink()
        return {"differs": difference(ours, found), "compared": ours.total()}

    def _rows(self, query: Query, rows: int) -> Rows | Report:
        """What a node answers; kept for the next engine."""
        kept = self.data / f"rows-node-{query.name}-{rows}.json"
        if not kept.exists():
            part = kept.with_suffix(f".{os.getpid()}")
            report = self.node(query, rows, part)
            if "cpu_s" not in report:
                return report
            part.rename(kept)
        return written_rows(kept, query)

    def _run(
        self, command: list[str], query: Query, rows: int, more: tuple[str, ...], kept: Path | None,
        longest_s: float = LONGEST_S,
    ) -> Report:  # fmt: skip
        for name in query.inputs:
            written(self.data, name, rows)  # not in the process that is measured
        command = [*command, query.name, str(self.data), str(rows), *more]
        return _reported(command + (["--rows", str(kept)] if kept else []), longest_s)


def _reported(command: list[str], longest_s: float) -> Report:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=longest_s, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"no end after {longest_s:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == -signal.SIGXCPU:
        return {"failed": "more than its time of CPU"}
    if done.returncode or not lines:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return dict(json.loads(lines[-1]))
