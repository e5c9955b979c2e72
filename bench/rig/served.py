"""A filled node behind HTTP in a process of its own: `python -m rig.served DIRECTORY`.

Prints one JSON line when it answers. For each line on its input it prints the CPU nanoseconds (user and system, all
threads) that it has used so far. It stops at the end of its input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from nextpaint.govern.access import Access
from nextpaint.serve.app import HttpSettings
from nextpaint.serve.server import node_app, serve_app
from rig.shop import opened

BENCH = Path(__file__).resolve().parents[1]
PATIENT = HttpSettings(  # a slow machine refuses nothing, and a connection may wait for its turn for minutes
    collect_lag_ms_max=3_600_000, decide_lag_ms_max=3_600_000, request_timeout_s=3_600.0, keep_alive_s=3_600
)  # fmt: skip
STOP_S = 600  # a large node writes its last checkpoint


class Served:
    """The parent's side: `with Served(directory) as node`, then `node.port` and `node.cpu_ns()`. Another module than
    this one may serve, with further `arguments`; `said` is its first line."""

    def __init__(self, directory: Path, module: str = "rig.served", *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, str(directory), *arguments]
        self.port = 0
        self.said: dict[str, Any] = {}

    def __enter__(self) -> Served:
        self._process = subprocess.Popen(
            self._command, cwd=BENCH, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.said = self._line()
        self.port = int(self.said["port"])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(STOP_S)
        self._process.stdout.close()

    def cpu_ns(self) -> int:
        """CPU time of the node's process, nanoseconds."""
        return int(self.ask("cpu")["cpu_ns"])

    def ask(self, words: str) -> dict[str, Any]:
        """What the node answers to a line on its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the node stopped with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


async def main(directory: Path) -> None:
    engine, _ = await opened(directory)
    access = Access.open(directory / "api-keys.json", loopback=True)
    server = await serve_app(node_app(engine, access, settings=PATIENT), "127.0.0.1", 0)
    print(json.dumps({"port": server.port}), flush=True)
    asked = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(asked)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while await asked.readline():
        print(json.dumps({"cpu_ns": time.process_time_ns()}), flush=True)
    await server.stop()
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
