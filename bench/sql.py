"""What an event costs in SQL: a node beside PyFlink, on the same text and the same bytes.

    scripts/bench sql [--quick] [--queries Q1,Q5,q0] [--rows 200000,1000000] [--runs 3] [--data DIR] [--no-flink]

The cost of an event is the slope between two sizes, so that start-up, printed apart, is in neither; medians over runs
that alternate between the engines. CPU time of whole processes, never time that passed. A node reads RecordBatches,
makes them durable in its ledger, applies them with checkpoints on and appends or materialises the result. Flink runs at
parallelism 1 with object reuse and checkpoints, the better of mini-batching on and off, reads the same JSON lines from
a file and writes to a sink that discards (`blackhole`), which is in its favour. First both run a small input and the
results are compared as multisets: a query whose rows differ has no ratio. FAIL and status 1 for a bar that is missed.

Flink is taken from NEXTPAINT_FLINK_PYTHON, else from .venv-flink (made by scripts/flink); without it, only the node.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rig.queries import QUERIES, TABLES, VIEWS, Query
from rig.streams import written

HERE = Path(__file__).parent
COMPARED_ROWS = 20_000
MEMORY_SHARE = 4  # a node may take a quarter of Flink's peak
HEAPS_MB = (1024, 2048, 4096)  # the smallest whose CPU is within a tenth of the best is Flink's
FLINK = {
    "parallelism.default": "1",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
    "execution.checkpointing.interval": "10 s",
    "table.exec.source.idle-timeout": "1 s",
}
MINI_BATCH = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "5000",
}

Report = dict[str, Any]


def flink_python() -> str | None:
    """The interpreter that has PyFlink."""
    named = os.environ.get("NEXTPAINT_FLINK_PYTHON")
    beside = HERE.parent / ".venv-flink" / "bin" / "python"
    return named or (str(beside) if beside.exists() else None)


class Bench:
    """Runs of both engines over one directory of inputs."""

    def __init__(self, data: Path, flink: str | None) -> None:
        self.data = data
        self.flink = flink

    def node(self, query: Query, rows: int, kept: Path | None = None) -> Report:
        """One run of a node; {"refused": why} for a query it does not take yet."""
        directory = self.data / "node"
        for name in query.inputs:
            written(self.data, name, rows)  # not in the process that is measured
        command = [sys.executable, str(HERE / "rig" / "sql_node.py"), query.name, str(self.data), str(rows)]
        command += [str(directory), *(["--rows", str(kept)] if kept else [])]
        directory.mkdir(exist_ok=True)
        return self._run(command, {})

    def on_flink(self, query: Query, rows: int, heap_mb: int, settings: dict[str, str], sink: str) -> Report:
        """One run of PyFlink; "printed" is what it wrote to standard output."""
        tables = []
        for name in query.inputs:
            path = written(self.data, name, rows)
            tables.append(f"{TABLES[name]} WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')")
        tables = [re.sub(r", PRIMARY KEY \(item_id\) NOT ENFORCED", "", each) for each in tables]
        insert = query.insert()
        if "stock" in query.inputs:  # a versioned view: a file has no upsert format
            tables.append(
                "CREATE VIEW stock_versions AS SELECT item_id, ts, stock FROM (SELECT *, ROW_NUMBER() OVER"
                " (PARTITION BY item_id ORDER BY ts DESC) AS n FROM stock) WHERE n = 1"
            )
            insert = insert.replace("JOIN stock FOR", "JOIN stock_versions FOR")
        tables += [VIEWS[name] for name in query.views]
        tables.append(f"{query.result()} WITH ('connector' = '{sink}')")
        job = {"tables": tables, "insert": insert, "settings": {**FLINK, **settings}}
        assert self.flink is not None
        options = {"JVM_ARGS": f"-Xmx{heap_mb}m", "FLINK_ENV_JAVA_OPTS": f"-Xmx{heap_mb}m"}
        return self._run([self.flink, str(HERE / "rig" / "sql_flink.py"), json.dumps(job)], options)

    def _run(self, command: list[str], environment: dict[str, str]) -> Report:
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1800, check=False
        )
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
        return {**json.loads(lines[-1]), "printed": lines[:-1]}


# ------------------------------------------------------------ rows


def cell(value: Any) -> str:
    """A value as both engines' printed forms agree on: numbers rounded to nine digits, times in ms."""
    if value is None:
        return "null"
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", text):
        return f"{float(text):.9g}"
    return text


def node_rows(path: Path, query: Query) -> Counter[str]:
    """The result of a node; its times are epoch ms, Flink's are text."""
    times = [index for index, each in enumerate(_columns(query)) if "TIMESTAMP" in each]
    found: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        cells = json.loads(line)
        for index in times:
            cells[index] = _moment(cells[index])
        found["|".join(map(cell, cells))] += 1
    return found


def _columns(query: Query) -> list[str]:
    return re.split(r",\s*(?![^(]*\))", query.columns)


def _moment(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M") + (f":{moment:%S}" if ms % 60_000 else "")
    return text + (f".{ms % 1000:03d}" if ms % 1000 else "")


def flink_rows(printed: list[str]) -> Counter[str]:
    """The final rows of Flink's changelog, from its print sink."""
    found: Counter[str] = Counter()
    for line in printed:
        match = re.match(r"(?:\S+> )?([+-][IUD])\[(.*)\]$", line)
        if match:
            row = "|".join(map(cell, match[2].split(", ")))
            found[row] += 1 if match[1] in ("+I", "+U") else -1
    return +found


# ------------------------------------------------------------ measuring


def compared(bench: Bench, query: Query) -> str:
    """What is different between the rows of both; nothing if they are the same."""
    kept = bench.data / "rows.json"
    ours = bench.node(query, COMPARED_ROWS, kept)
    if "refused" in ours or "failed" in ours:
        return str(ours.get("refused") or ours.get("failed"))
    theirs = bench.on_flink(query, COMPARED_ROWS, HEAPS_MB[-1], {"pipeline.auto-watermark-interval": "0 ms"}, "print")
    if "failed" in theirs:
        return f"Flink: {theirs['failed']}"
    left, right = node_rows(kept, query), flink_rows(theirs["printed"])
    if left == right:
        return ""
    return f"{(left - right).total()} rows only here, {(right - left).total()} only there, such as " + next(
        iter((left - right) or (right - left))
    )


def slope(reports: list[tuple[Report, Report]], sizes: tuple[int, int]) -> float:
    """CPU microseconds per event, the median over runs."""
    return median((large["cpu_s"] - small["cpu_s"]) / (sizes[1] - sizes[0]) * 1e6 for small, large in reports)


def measure(bench: Bench, query: Query, sizes: tuple[int, int], runs: int) -> list[str]:
    """One line of the table; the bars that are missed."""
    ours: list[tuple[Report, Report]] = []
    theirs: dict[str, list[tuple[Report, Report]]] = {"": [], "mini-batch": []}
    for _ in range(runs):
        ours.append((bench.node(query, sizes[0]), bench.node(query, sizes[1])))
        refused = next((each["refused"] for each in ours[-1] if "refused" in each), None)
        if refused is not None:
            print(f"{query.name:4} not yet: {refused}", flush=True)
            return []
        for name, found in theirs.items() if bench.flink else ():
            settings = MINI_BATCH if name else {}
            small, large = (bench.on_flink(query, rows, HEAPS_MB[-1], settings, "blackhole") for rows in sizes)
            if "failed" not in small and "failed" not in large:
                found.append((small, large))
    if any("failed" in each for pair in ours for each in pair):
        print(f"{query.name:4} FAIL: {ours[-1][1].get('failed') or ours[-1][0].get('failed')}", flush=True)
        return [query.name]
    us = slope(ours, sizes)
    peak, start = ours[-1][1]["peak_mb"], ours[-1][0]["start_s"]
    line = f"{query.name:4}{us:9.2f} us {1e6 / us:11,.0f}/CPU-s {peak:7.0f} MB, start {start:.1f} s"
    best = min((found for found in theirs.values() if found), key=lambda found: slope(found, sizes), default=None)
    if best is None:
        print(line, flush=True)
        return []
    return _beside(bench, query, sizes, (line, us, peak), best)


def _beside(
    bench: Bench,
    query: Query,
    sizes: tuple[int, int],
    ours: tuple[str, float, float],
    best: list[tuple[Report, Report]],
) -> list[str]:
    line, us, peak = ours
    their_us = slope(best, sizes)
    memory = _smallest_peak(bench, query, sizes[1], best[-1][1])
    line += f" | Flink {their_us:8.2f} us {memory:6.0f} MB"
    different = compared(bench, query)
    if different:
        print(f"{line} | no ratio: {different}", flush=True)
        return [query.name]
    ratio = their_us / us
    missed = [f"{query.name}: {ratio:.1f}x, bar {query.bar:.0f}x"] if ratio < query.bar else []
    if peak * MEMORY_SHARE > memory:
        missed.append(f"{query.name}: {peak:.0f} MB, Flink {memory:.0f} MB")
    print(f"{line} | {ratio:5.1f}x  {'FAIL' if missed else 'ok'}", flush=True)
    print(f"ratio {query.name}/flink: {ratio:.2f} (CPU of an event)", flush=True)
    return missed


def _smallest_peak(bench: Bench, query: Query, rows: int, best: Report) -> float:
    """Flink's memory: the peak under the smallest heap that costs at most a tenth more CPU."""
    for heap in HEAPS_MB[:-1]:
        found = bench.on_flink(query, rows, heap, {}, "blackhole")
        if "failed" not in found and found["cpu_s"] <= 1.1 * best["cpu_s"]:
            return float(found["peak_mb"])
    return float(best["peak_mb"])


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description="SQL: CPU of an event, beside PyFlink")
    parser.add_argument("--rows", default="200000,1000000", help="two sizes; the cost is the slope between them")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", default=",".join(each.name for each in QUERIES))
    parser.add_argument("--quick", action="store_true", help="20,000 and 100,000 rows, one run")
    parser.add_argument("--data", type=Path, help="directory for inputs and nodes; default: a temporary one")
    parser.add_argument("--no-flink", action="store_true")
    options = parser.parse_args()
    sizes = (20_000, 100_000) if options.quick else tuple(int(each) for each in options.rows.split(","))
    data = options.data or Path(tempfile.mkdtemp(prefix="nextpaint-sql-"))
    data.mkdir(parents=True, exist_ok=True)
    flink = None if options.no_flink else flink_python()
    if flink is None:
        print("without Flink: set NEXTPAINT_FLINK_PYTHON or run scripts/flink once")
    bench = Bench(data, flink)
    missed: list[str] = []
    try:
        for query in (each for each in QUERIES if each.name in options.queries.split(",")):
            missed += measure(bench, query, (sizes[0], sizes[1]), 1 if options.quick else options.runs)
    finally:
        if options.data is None:
            shutil.rmtree(data, ignore_errors=True)
    for each in missed:
        print(f"FAIL {each}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
