"""What an event costs in SQL: a node beside PyFlink and others, on the same text and the same bytes.

    scripts/bench sql [--quick] [--queries Q1,Q5,q0] [--rows 200000,1000000] [--runs 3] [--data DIR] [--fresh]
                      [--engines node,flink,duckdb,bytewax,quixstreams,pathway,pyclink] [--again node] [--table]

The cost of an event is the slope between two sizes, so that start-up, printed apart, is in neither; medians over runs
that alternate between the engines. CPU time of whole processes, never time that passed. A node reads RecordBatches,
makes them durable in its ledger, applies them with checkpoints on and appends or materialises the result. Flink runs at
parallelism 1 with object reuse and checkpoints, the better of mini-batching on and off by the cost of an event,
reads the same JSON lines from a file and writes to a sink that discards (`blackhole`), which is in its favour. It finds
its input on a disk, so a ratio is of what a node takes from bytes in the ledger on: its cost less that of making the
same input durable and doing nothing else, read in the same run. The ratio of all that a node does is told below it.
Both sizes run in a JVM that has run both before, and the CPU of its compiler does not count: it is start-up, and more
than what the job takes. The cost is read with a heap of 4 GB, memory is the peak under the smallest heap that costs at
most a tenth more CPU. First the results of both are compared as multisets: a query whose rows differ has no ratio. FAIL
and status 1 for a bar missed: the ratio of Q1 to Q5 and of the median Nexmark query, and a quarter of Flink's memory.

DuckDB's batch on the same lines is the limit of a vectorised engine. bytewax, Quix Streams (without its broker),
Pathway and clink run once, between smaller sizes where every row is Python, and have no figure unless their rows are
ours; what one of them cannot say is said. They live in .venv-sql, made on demand from requirements/sql-peers.txt.

With --fresh Flink is also read with a JVM of its own for each size: then code that is not compiled yet counts.

Every query is read once before any is read twice. With --data what was read stays in DIR/readings.jsonl, and a bench
that was stopped goes on there; --again ENGINE,... measures those engines anew, --table only prints what there is.

Flink is taken from NEXTPAINT_FLINK_PYTHON, else from .venv-flink (made by scripts/flink); without it, no ratio.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rig.flink_session import MINI_BATCH, FlinkSession
from rig.queries import QUERIES, Query
from rig.sql_engines import HEAPS_MB, OTHERS, Engines, flink_python, other_pythons
from rig.sql_readings import Reading, Readings

COMPARED_ROWS = 100_000
QUICK = (20_000, 100_000)
OTHER_SIZES = (50_000, 250_000)  # of engines that run Python for every row
FRESH = "fresh flink"
SEARCH = 0  # the run that readings of the search for the smallest heap have; those of the cost count from 1
ENGINES = ("node", "flink", *OTHERS)
MEMORY_SHARE = 4  # a node may take a quarter of Flink's peak
NEXMARK_BAR = 5.0  # for the median of its queries


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often. `sizes`: instead of those of the queries."""

    queries: tuple[Query, ...]
    sizes: tuple[int, int] | None
    runs: int
    compared: int
    node: bool
    fresh: bool = False  # Flink also in a JVM of its own for each size

    def sizes_of(self, query: Query, engine: str = "node") -> tuple[int, int]:
        if engine in OTHERS and engine != "duckdb":
            return self.sizes or OTHER_SIZES
        return self.sizes or query.sizes


class Bench:
    """Measures what is not yet among the readings, and prints the table."""

    def __init__(self, plan: Plan, engines: Engines, readings: Readings) -> None:
        self.plan = plan
        self.engines = engines
        self.readings = readings

    # ------------------------------------------------------------ measuring

    def measure(self) -> None:
        """Everything: each query once, then again, then Flink's memory, then other engines."""
        for number in range(1, self.plan.runs + 1):
            for query in self.plan.queries:
                self._run(query, number)
                if self.plan.fresh and self.engines.flink:
                    self._run_fresh(query, number)
        for query in self.plan.queries if self.engines.flink else ():
            self._search_heap(query)
        for query in self.plan.queries:
            self._run_others(query)

    def _run(self, query: Query, number: int) -> None:
        """One run of both engines, Flink with and without mini-batching: which is better differs from run to run."""
        for each in (query, query.input_only()) if self.plan.node else ():
            for rows in self.plan.sizes_of(each):
                self.readings.once(
                    each.name, "node", rows, number, lambda each=each, rows=rows: self.engines.node(each, rows)
                )
        large = self.plan.sizes_of(query)[1]
        left = [each for each in WAYS if not self.readings.get(query.name, each, large, number)]
        if self.engines.flink and left:
            with self.engines.flink_session(HEAPS_MB[-1]) as session:
                if not self.readings.get(query.name, "flink rows", self.plan.compared):
                    self._compare(session, query)
                for what in left:
                    self._run_flink(session, query, what, number)

    def _compare(self, session: FlinkSession, query: Query) -> None:
        """What the start took, and whether the rows are the same."""
        rows = self.plan.compared
        self.readings.keep(query.name, "flink start", 0, 1, session.start)
        self.readings.keep(query.name, "flink rows", rows, 1, self.engines.flink_differs(session, query, rows))

    def _run_flink(self, session: FlinkSession, query: Query, what: str, number: int) -> None:
        """Both sizes without counting, which leaves little to compile, then the small one and the large one."""
        small, large = self.plan.sizes_of(query)
        for rows in (large, small):
            session.run(query, rows, _settings(what))
        for rows in (small, large):
            self.readings.keep(query.name, what, rows, number, session.run(query, rows, _settings(what))[0])

    def _run_fresh(self, query: Query, number: int) -> None:
        for rows in self.plan.sizes_of(query):
            if not self.readings.get(query.name, FRESH, rows, number):
                with self.engines.flink_session(HEAPS_MB[-1]) as session:
                    report = session.run(query, rows, _settings(self.best_flink(query)))[0]
                self.readings.keep(query.name, FRESH, rows, number, report)

    def _run_others(self, query: Query) -> None:
        """Once, after their rows were compared with ours."""
        for engine in self.engines.others:
            rows = self.plan.compared
            found = self.readings.once(
                query.name, f"{engine} rows", rows, 1,
                lambda engine=engine, rows=rows: self.engines.other_differs(engine, query, rows),
            )  # fmt: skip
            for rows in self.plan.sizes_of(query, engine) if found.get("differs") == "" else ():
                self.readings.once(
                    query.name, engine, rows, 1,
                    lambda engine=engine, rows=rows: self.engines.other(engine, query, rows),
                )  # fmt: skip

    def _search_heap(self, query: Query) -> None:
        """The largest heap anew, since a machine is not as fast as an hour ago; then the second smallest, and the
        smaller or the larger one beside it."""
        large = self.plan.sizes_of(query)[1]
        self._try_heap(query, HEAPS_MB[-1], large)
        for heap in HEAPS_MB[1::-1]:
            self._try_heap(query, heap, large)
            if not self._cheap_enough(query, heap):
                break
        if not self._cheap_enough(query, HEAPS_MB[1]):
            self._try_heap(query, HEAPS_MB[2], large)

    def _try_heap(self, query: Query, heap: int, large: int) -> None:
        best = self.best_flink(query)
        what = _flink("mini-batch" in best, heap)
        if self.readings.get(query.name, what, large, SEARCH) or not self.readings.get(query.name, best, large):
            return
        with self.engines.flink_session(heap) as session:
            for rows in (large, self.plan.sizes_of(query)[0]):  # as warm as where the cost was read
                session.run(query, rows, _settings(what))
            self.readings.keep(query.name, what, large, SEARCH, session.run(query, large, _settings(what))[0])

    # ------------------------------------------------------------ what was read

    def best_flink(self, query: Query) -> str:
        """With or without mini-batching, whichever costs less an event."""
        plain, batched = ((self.slope(query, each) or (float("inf"), 0))[0] for each in WAYS)
        return WAYS[batched < plain]

    def _cheap_enough(self, query: Query, heap: int) -> bool:
        best, large = self.best_flink(query), self.plan.sizes_of(query)[1]
        found = self.readings.get(query.name, _flink("mini-batch" in best, heap), large, SEARCH) or {}
        top = self.readings.get(query.name, best, large, SEARCH) or {}
        return "cpu_s" in found and "cpu_s" in top and found["cpu_s"] <= 1.1 * top["cpu_s"]

    def flink_memory(self, query: Query) -> tuple[int, float] | None:
        """(heap, peak), both in MB, of the smallest heap that costs at most a tenth more CPU; None before a search."""
        best, large = self.best_flink(query), self.plan.sizes_of(query)[1]
        for heap in HEAPS_MB:
            found = self.readings.get(query.name, _flink("mini-batch" in best, heap), large, SEARCH)
            if found and self._cheap_enough(query, heap):
                return heap, float(found["peak_mb"])
        return None

    def slope(self, query: Query, what: str) -> tuple[float, int] | None:
        """CPU microseconds per event, the median over runs, and how many those were."""
        sizes = self.plan.sizes_of(query, what)
        pairs = self.readings.pairs(query.name, what, sizes)
        if not pairs:
            return None
        return median(_per_event(small, large, sizes) for small, large in pairs), len(pairs)

    # ------------------------------------------------------------ the table

    def table(self) -> list[str]:
        """One line a query; the bars that are missed."""
        missed: list[str] = []
        nexmark: list[float] = []
        for query in self.plan.queries:
            line, ratio, failures = self._line(query)
            missed += failures
            if ratio is not None and query.name.startswith("q"):
                nexmark.append(ratio)
            verdict = "  FAIL" if failures else "  ok" if query.bar and ratio is not None else ""
            print(line + verdict, flush=True)
            for told in self._other_lines(query):
                print(f"     {told}", flush=True)
            if ratio is not None:
                print(f"ratio {query.name}/flink: {ratio:.2f} (CPU of an event)", flush=True)
        if nexmark:
            middle = median(nexmark)
            print(f"ratio nexmark/flink: {middle:.2f} (median of {len(nexmark)} queries)")
            missed += [f"Nexmark: {middle:.1f}x, bar {NEXMARK_BAR:.0f}x"] if middle < NEXMARK_BAR else []
        return missed

    def _line(self, query: Query) -> tuple[str, float | None, list[str]]:
        """(what is printed, the ratio if there is one, the bars missed)."""
        sizes = self.plan.sizes_of(query)
        large = self.readings.get(query.name, "node", sizes[1])
        if large is None:
            return f"{query.name:4} not read", None, []
        ours = self.slope(query, "node")
        if ours is None:
            why = large.get("refused") or large.get("failed")
            return f"{query.name:4} {'not yet' if 'refused' in large else 'FAIL'}: {why}", None, [query.name]
        line = f"{query.name:4}{ours[0]:9.2f} us {1e6 / ours[0]:11,.0f}/CPU-s {large['peak_mb']:7.0f} MB,"
        line += f" start {large['start_s']:.1f} s, runs {ours[1]}"
        name = self.best_flink(query)
        theirs = self.slope(query, name)
        if theirs is None:
            failed = (self.readings.get(query.name, name, sizes[1]) or {}).get("failed")
            return f"{line} | Flink: {failed}" if failed else line, None, []
        durable = self.slope(query.input_only(), "node")
        if durable is None or ours[0] <= durable[0]:
            return f"{line} | no ratio: the cost of making its input durable was not read", None, []
        line += f", {ours[0] - durable[0]:.2f} us from bytes in the ledger on"
        memory = self.flink_memory(query)
        line += f" | Flink {theirs[0]:8.2f} us{', mini-batch' if 'mini' in name else ''}, runs {theirs[1]}"
        line += f" {memory[1]:6.0f} MB at a heap of {memory[0]}" if memory else ""
        start = self.readings.get(query.name, "flink start", 0)
        line += f", start {start['cpu_s']:.1f} s" if start else ""
        rows = self.readings.get(query.name, "flink rows", self.plan.compared) or {"failed": "rows not compared"}
        wrong = rows.get("failed") or rows.get("refused") or rows.get("differs")
        if wrong:
            return f"{line} | no ratio: {wrong}", None, [query.name]
        return self._judged(query, line, theirs[0] / (ours[0] - durable[0]), (large["peak_mb"], memory))

    def _other_lines(self, query: Query) -> list[str]:
        lines = []
        ours, durable = self.slope(query, "node"), self.slope(query.input_only(), "node")
        theirs = self.slope(query, self.best_flink(query))
        if ours and durable:
            line = f"making the input durable, which Flink does not do: {durable[0]:.2f} us of a node's {ours[0]:.2f}"
            lines.append(line + (f"; {theirs[0] / ours[0]:.1f}x with it" if theirs else ""))
        if fresh := self.slope(query, FRESH):
            lines.append(f"Flink in a fresh JVM a size {fresh[0]:9.2f} us, runs {fresh[1]}")
        for engine in OTHERS:
            rows = self.readings.get(query.name, f"{engine} rows", self.plan.compared)
            cost = self.slope(query, engine)
            large = self.readings.get(query.name, engine, self.plan.sizes_of(query, engine)[1]) or {}
            if rows is None:
                continue
            wrong = rows.get("cannot") or rows.get("failed") or rows.get("refused") or rows.get("differs")
            if cost and not wrong:
                lines.append(f"{engine:12}{cost[0]:9.2f} us {large['peak_mb']:7.0f} MB, runs {cost[1]}")
            else:
                why = wrong or large.get("failed") or "not read"
                lines.append(f"{engine:12}{'cannot' if 'cannot' in rows else 'no figure'}: {why}")
        return lines

    def _judged(
        self, query: Query, line: str, ratio: float, memory: tuple[float, tuple[int, float] | None]
    ) -> tuple[str, float | None, list[str]]:
        missed = [f"{query.name}: {ratio:.1f}x, bar {query.bar:.0f}x"] if query.bar and ratio < query.bar else []
        peak, theirs = memory
        if theirs and peak * MEMORY_SHARE > theirs[1]:
            missed.append(f"{query.name}: {peak:.0f} MB, Flink {theirs[1]:.0f} MB")
        return f"{line} | {ratio:5.1f}x", ratio, missed


def _flink(mini_batch: bool, heap_mb: int = HEAPS_MB[-1]) -> str:
    return f"flink {heap_mb}{' mini-batch' if mini_batch else ''}"


WAYS = (_flink(False), _flink(True))


def _settings(what: str) -> dict[str, str]:
    return MINI_BATCH if "mini-batch" in what else {}


def _per_event(small: Reading, large: Reading, sizes: tuple[int, int]) -> float:
    return float((large["cpu_s"] - small["cpu_s"]) / (sizes[1] - sizes[0]) * 1e6)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description="SQL: CPU of an event, beside PyFlink")
    parser.add_argument("--rows", help="two sizes for all queries; the cost is the slope between them")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", default=",".join(each.name for each in QUERIES))
    parser.add_argument("--quick", action="store_true", help="20,000 and 100,000 rows, one run")
    parser.add_argument("--data", type=Path, help="directory for inputs and readings, kept; default: a temporary one")
    parser.add_argument("--again", default="", help="engines whose earlier readings in --data do not count")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what was read")
    parser.add_argument("--fresh", action="store_true", help="Flink also with a JVM of its own for each size")
    parser.add_argument("--engines", default=",".join(ENGINES), help="which are measured; all are compared with node")
    options = parser.parse_args()
    given = tuple(int(each) for each in options.rows.split(",")) if options.rows else None
    sizes = QUICK if options.quick else (given[0], given[1]) if given else None
    queries = tuple(each for each in QUERIES if each.name in options.queries.split(","))
    engines = frozenset(options.engines.split(","))
    compared = min(COMPARED_ROWS, sizes[1] if sizes else COMPARED_ROWS)
    plan = Plan(queries, sizes, 1 if options.quick else options.runs, compared, "node" in engines, options.fresh)
    data = options.data or Path(tempfile.mkdtemp(prefix="nextpaint-sql-"))
    data.mkdir(parents=True, exist_ok=True)
    flink = flink_python() if "flink" in engines else None
    if "flink" in engines and flink is None:
        print("without Flink: set NEXTPAINT_FLINK_PYTHON or run scripts/flink once")
    others = {} if options.table else other_pythons(engines)
    again = frozenset(each for each in options.again.split(",") if each)
    bench = Bench(plan, Engines(data, flink, others), Readings(data / "readings.jsonl", again))
    try:
        if not options.table:
            bench.measure()
        missed = bench.table()
    finally:
        if options.data is None:
            shutil.rmtree(data, ignore_errors=True)
    for each in missed:
        print(f"FAIL {each}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
