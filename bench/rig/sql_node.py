"""One query on one node, alone in a process: prints what it cost as JSON. Run by `bench/sql.py`.

    python sql_node.py QUERY INPUTS ROWS DATA [--rows FILE]

RecordBatches are read from a file, appended to the node's ledger, synced, applied, results appended or materialised,
checkpoints written; then the input ends, so that windows that are open fire. Up to WAITING_MAX records wait, as on a
node with more to do than it can: its steps are full. CPU is that of the whole process, all threads, with the mapping of
the input (Flink reads its own as well), from when the node was open; `start_s` is what it had used by then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))
from nextpaint.application import Application
from nextpaint.engine import interpreter
from nextpaint.engine.node import Node, NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.process.outputs import plain
from nextpaint.record.codec import EncodedBatch
from nextpaint.record.errors import NextpaintError
from nextpaint.stream.frame import Draft, EntryKind
from rig.peak_memory import peak_mb
from rig.queries import TABLES, VIEWS, Query
from rig.streams import written

WAITING_MAX = 8_000  # records that wait to be applied before more are read: about what one step takes at most
POLL_S = 0.005  # shorter than what waits takes to apply; on a busy machine every look costs, and would count
WINDOW_BYTES = 1 << 20  # of the input that is mapped at a time; more than a batch has
PENDING_MAX = 2 << 20  # bytes that wait for the disk
AS_OF = 1 << 42  # ms; no result of these queries depends on when it is read


def application(query: Query) -> Application:
    """The query as an application. Raises ApplicationError for what is not supported yet."""
    parts = [*(TABLES[name] for name in query.inputs), *(VIEWS[name] for name in query.views)]
    if query.select:
        parts += [query.result(), query.insert()]
    text = ";\n".join(parts) + ";\n"
    return Application.of({"query.sql": text.encode(), "nextpaint.toml": b'name = "bench"\n'})


def batches(path: Path) -> Iterator[EncodedBatch]:
    """The RecordBatches of a file, mapped a window at a time: not copied, and not in memory when they are used."""
    at, size = 0, path.stat().st_size
    with open(path, "rb") as file:
        while at < size:
            begin = at - at % mmap.ALLOCATIONGRANULARITY
            length = min(WINDOW_BYTES, size - begin)
            window = memoryview(mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ, offset=begin))
            at -= begin
            while at + 12 <= length:
                end = at + 12 + int.from_bytes(window[at + 8 : at + 12], "big")
                if end > length:
                    break
                yield EncodedBatch(window[at:end], int.from_bytes(window[at + 57 : at + 61], "big"))
                at = end
            at += begin


def interleaved(paths: dict[str, Path]) -> Iterator[tuple[str, EncodedBatch]]:
    """Batches of all inputs, each taken in proportion to its size."""
    readers = {name: batches(path) for name, path in paths.items()}
    sizes = {name: path.stat().st_size for name, path in paths.items()}
    read = dict.fromkeys(paths, 0)
    while readers:
        name = min(readers, key=lambda each: read[each] / sizes[each])
        batch = next(readers[name], None)
        if batch is None:
            del readers[name]
            continue
        read[name] += batch.bytes
        yield name, batch


async def measured(query: Query, inputs: Path, rows: int, data: Path, kept: Path | None) -> dict[str, object]:
    """Run the query; what it cost."""
    node = Node.open(data, application(query), system_ports(data), NodeSettings(checkpoint_s=10), None)
    node.start()
    interpreter.prepare()  # as `nextpaint run` does once it has started
    paths = {name: written(inputs, name, rows).with_suffix(".batches") for name in query.inputs}
    start = time.process_time()
    for topic, batch in interleaved(paths):
        node.append(Draft(topic, EntryKind.INPUT, [], batch=batch))
        while node.turns.waiting_records > WAITING_MAX or node.writer.pending_bytes > PENDING_MAX:
            await asyncio.sleep(POLL_S)
            node.require_running()
    await node.settled()
    node._emit(node.runner.end())  # noqa: SLF001  a node never ends its input by itself
    await node.settled()
    used = time.process_time() - start
    report = {
        "start_s": start, "cpu_s": used, "dead": node.runner.dead, "late": sum(node.runner.late().values()),
        "peak_mb": peak_mb(),
    }  # fmt: skip
    if kept is not None:
        keep(node, query, kept)
    await node.close()
    return report


def keep(node: Node, query: Query, path: Path) -> None:
    """The result as JSON lines."""
    with open(path, "w") as file:
        if query.key:
            for row in node.tables.live["result_rows"].rows((), AS_OF).values():
                file.write(json.dumps([plain(each) for each in row], default=str) + "\n")
            return
        for frame in node.ledger.frames():
            for entry in frame.entries:
                if entry.topic == "result_rows":
                    file.writelines(
                        json.dumps(list(json.loads(record.value or b"").values())) + "\n" for record in entry.records
                    )


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("query")
    parser.add_argument("inputs", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", dest="kept", type=Path)
    options = parser.parse_args()
    query = Query.named(options.query)
    try:
        report = uvloop.run(measured(query, options.inputs, options.rows, options.data, options.kept))
    except NextpaintError as error:
        print(json.dumps({"refused": str(error)}))
        return 0
    finally:
        shutil.rmtree(options.data, ignore_errors=True)
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
