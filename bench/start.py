"""What a start costs in CPU at two lengths of the ledger, beside a plain read of the same bytes.

Two nodes live the same life, one of them four times as long; both leave a checkpoint, take a few more events and end
without a word. A start opens the ledger (checking what it holds), takes the checkpoint with dedup and the places of
decisions, and reads and applies what came after. No figure here is a time that passed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import msgspec
import uvloop
from rig.figures import ROUNDS, Cell, arguments, print_ratio, print_table, where
from rig.shop import PATIENT, SURFACE, application, opened, requests, traffic

from nextpaint.engine.facade import Engine
from nextpaint.engine.system import system_ports
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder

SHORT, LONG = 5_000, 20_000  # events; one decision to twenty
AFTER = 1_000  # events after the checkpoint
AT_ONCE = 20


async def live(directory: Path, events: int) -> None:
    """A life with a checkpoint near its end, in a process that then just stops."""
    engine, items = await opened(directory)
    made, asked = traffic(items, f"start-{events}"), requests()

    async def some(count: int) -> None:
        for _ in range(count // AT_ONCE):
            await engine.ingest(
                LOCAL, [{**msgspec.json.decode(made.event()[1]), "type": "track"} for _ in range(AT_ONCE)]
            )
            for body in islice(asked, AT_ONCE // 20):
                await engine.decide(LOCAL, SURFACE, msgspec.json.decode(body))
        await engine.node.settled()

    await some(events)
    engine.node.checkpoint_now()
    await some(AFTER)
    os._exit(0)


async def start(directory: Path) -> None:
    """Print the CPU ns of opening the node, and how many ids it knows."""
    ports = system_ports(directory)
    app = application()
    before = time.process_time_ns()
    engine = await Engine.open(directory, app, ports, settings=PATIENT, embedder=HashEncoder())
    opened_ns = time.process_time_ns() - before
    print(msgspec.json.encode({"open": opened_ns, "ids": engine.node.dedup.span().entries}).decode(), flush=True)
    os._exit(0)


def plain_read(directory: Path) -> int:
    """CPU ns of reading the ledger's files once."""
    before = time.process_time_ns()
    for path in sorted((directory / "ledger").iterdir()):
        with path.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    return time.process_time_ns() - before


def _child(*command: object) -> bytes:
    return subprocess.run(
        [sys.executable, __file__, *map(str, command)], stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent
    ).stdout


def measure(directory: Path) -> None:
    opens, reads, sizes, ids = {}, {}, {}, {}
    for events in (SHORT, LONG):
        _child("live", directory / str(events), events)
        opens[events], reads[events] = Cell(), Cell()
        sizes[events] = sum(each.stat().st_size for each in (directory / str(events) / "ledger").iterdir())
    for _ in range(ROUNDS):
        for events in (SHORT, LONG):
            copy = directory / "copy"
            shutil.copytree(directory / str(events), copy)
            reads[events].add(plain_read(copy), 1)
            found = msgspec.json.decode(_child("start", copy))
            opens[events].add(found["open"], 1)
            ids[events] = found["ids"]
            shutil.rmtree(copy)
    rows = []
    for events in (SHORT, LONG):
        remark = f"{ids[events]} ids known, {sizes[events] / 1e6:.0f} MB of ledger, {AFTER} events after the checkpoint"
        rows.append((f"a start after {events} events", opens[events].us, remark))
        rows.append((f"plain read of its {sizes[events] / 1e6:.0f} MB", reads[events].us, ""))
    print_table("a start", rows)
    print()
    for events in (SHORT, LONG):
        print_ratio(f"start/plain read, {events} events", opens[events].us, reads[events].us, "CPU per start")
    print_ratio("start long/short", opens[LONG].us, opens[SHORT].us, f"ledger {sizes[LONG] / sizes[SHORT]:.1f} times")


def main(argv: list[str] | None = None) -> int:
    options = arguments("CPU per start at two lengths of the ledger, beside a plain read of its bytes.", argv)
    print(where(options.data))
    with tempfile.TemporaryDirectory(prefix="nextpaint-bench-", dir=options.data) as directory:
        measure(Path(directory))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:
        uvloop.run(live(Path(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1:2] == ["start"]:
        uvloop.run(start(Path(sys.argv[2])))
    else:
        sys.exit(main())
