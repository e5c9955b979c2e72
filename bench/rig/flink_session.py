"""A JVM that runs queries on PyFlink one after the other: one start and one warming up serve several readings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import IO, Any, Self

from rig.queries import TABLES, VIEWS, Query

LONGEST_S = 1800  # without a report
FLINK = {
    "parallelism.default": "1",
    "pipeline.object-reuse": "true",
    "table.local-time-zone": "UTC",
    "execution.checkpointing.interval": "10 s",
    "table.exec.source.idle-timeout": "1 s",
    "restart-strategy.type": "none",  # a failure is told, not tried again
    "heartbeat.timeout": "3600000",  # a machine that stands still for a while is no failure
}
MINI_BATCH = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "5000",
}
EVERY_ROW = {"pipeline.auto-watermark-interval": "0 ms"}  # a watermark after every row, as a node has it

Report = dict[str, Any]


class FlinkSession:
    """`python`: an interpreter that has PyFlink. `path`: the file of an input by its name and rows.

    `start`: CPU and memory of the JVM until it could take a query. After a job that killed the JVM every report is
    {"failed": why}; `cpu_s` of a job is what it alone took, `peak_mb` of the JVM since its start.
    """

    def __init__(self, python: str, heap_mb: int, path: Callable[[str, int], Path]) -> None:
        given = f"-Xmx{heap_mb}m -XX:-UseDynamicNumberOfCompilerThreads"  # whose CPU is then not lost with them
        options = {"JVM_ARGS": given, "FLINK_ENV_JAVA_OPTS": given}
        self.directory = tempfile.mkdtemp(prefix="flink-checkpoints-")
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [python, str(Path(__file__).parent / "sql_flink.py")], env={**os.environ, **options}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
        )  # fmt: skip
        self.path = path
        self.start = self._report()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(
        self, query: Query, rows: int, settings: dict[str, str], sink: str = "blackhole"
    ) -> tuple[Report, list[str]]:
        """One job; what it cost, and the lines it printed."""
        tables = []
        for name in query.inputs:
            path = self.path(name, rows)
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
        checkpoints = {"execution.checkpointing.dir": Path(self.directory).as_uri()}  # else at most 5 MB, in memory
        job = {"tables": tables, "insert": insert, "settings": {**FLINK, **checkpoints, **settings}}
        try:
            self._pipe(self.process.stdin).write(json.dumps(job) + "\n")
            self._pipe(self.process.stdin).flush()
        except OSError:
            return {"failed": "the JVM is gone"}, []
        return self._report()

    def _report(self) -> tuple[Report, list[str]]:
        late = Timer(LONGEST_S, self._end)
        late.start()
        printed: list[str] = []
        try:
            for line in self._pipe(self.process.stdout):
                if line.startswith("@report "):
                    return json.loads(line[len("@report ") :]), printed
                if line.strip():
                    printed.append(line.rstrip("\n"))
        finally:
            late.cancel()
        self.errors.seek(0)
        told = self.errors.read().strip().splitlines()
        return {"failed": told[-1] if told else f"no report after {LONGEST_S} s"}, printed

    def _end(self) -> None:
        """The JVM is a child of the interpreter: both are of one process group."""
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.errors.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
