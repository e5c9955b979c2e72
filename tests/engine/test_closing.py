"""A node that is closed while it is busy."""

import asyncio
import errno
import os
import time

from nextpaint.application import Application
from nextpaint.engine.horizon import Horizon
from nextpaint.engine.node import Node, NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.process import checkpoint
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind
from tests.engine.shop import opened, retail, slice_of

SETTINGS = NodeSettings(checkpoint_records=1, lag_ms_max=60_000, frame_gap_ms=0)
APPLICATION = Application.of({
    "a.sql": b"CREATE TABLE clicks (id STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);",
    "nextpaint.toml": b'name = "small"\n',
})  # fmt: skip


def test_the_checkpoint_of_a_close_waits_for_the_one_on_its_way(tmp_path, monkeypatch):
    """Both may be of the same position, and so the same file. Without workers of its own a node uses the ledger's."""
    publish, inside, most = Horizon.publish, [], []

    def slowly(*given):
        inside.append(given)
        most.append(len(inside))
        time.sleep(0.2)
        publish(*given)
        inside.pop()

    async def main():
        node = Node.open(tmp_path, APPLICATION, system_ports(tmp_path), SETTINGS, None)
        node.start()
        monkeypatch.setattr(Horizon, "publish", slowly)
        while not inside:
            await node.appended(Draft("clicks", EntryKind.INPUT, [Record(None, b'{"id":"a"}', 0)]))
            await asyncio.sleep(0.01)
        await node.close()
        return node

    node = asyncio.run(main())
    assert len(most) >= 2 and set(most) == {1}, "one after the other"
    assert checkpoint.positions(node.ports.disk)


def test_a_checkpoint_that_is_due_while_closing_is_left_to_the_close(tmp_path, monkeypatch):
    """Its workers have stopped by then: nobody would write it, and the close would wait for it."""
    settled = Node.settled

    async def busily(node):
        await settled(node)
        for _ in range(1_000 if node._closing else 0):  # as slices that are applied meanwhile do
            node._checkpoint_next_ns = 0
            node._checkpoint()

    async def main():
        async with opened(tmp_path / "node", retail(), items=slice_of(3), settings=SETTINGS) as engine:
            while engine.node._publishing or engine.node._checkpointing:
                await asyncio.sleep(0.01)
            engine.node._last_checkpoint = (-1, 0)
            monkeypatch.setattr(Node, "settled", busily)
        assert checkpoint.positions(engine.node.ports.disk)[-1] == engine.node.runner.applied

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_piece_of_a_checkpoint_that_cannot_be_written_gives_it_up_and_a_later_one_is_made(tmp_path, monkeypatch):
    write, failures, written = checkpoint.CheckpointWriter.write, [], []

    def failing(writer):
        if not failures:
            writer._disk = Full(writer._disk)
        try:
            write(writer)
            written.append(writer)
        except OSError as error:
            failures.append(error)
            raise

    class Full:
        def __init__(self, disk):
            self._disk = disk

        def __getattr__(self, name):
            return getattr(self._disk, name)

        def replacing(self, path, parts):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main():
        node = Node.open(tmp_path, APPLICATION, system_ports(tmp_path), SETTINGS, None)
        node.start()
        monkeypatch.setattr(checkpoint, "PIECE_BYTES", 1)
        monkeypatch.setattr(checkpoint.CheckpointWriter, "write", failing)
        monkeypatch.setattr(Node, "_checkpoint_slice", lambda _, writer: writer.slice(1))  # a page at a time
        while not (failures and written):
            await node.appended(Draft("clicks", EntryKind.INPUT, [Record(None, b'{"id":"a"}', 0)]))
            await asyncio.sleep(0.01)
        assert node.failure is None
        await node.close()
        return node

    node = asyncio.run(asyncio.wait_for(main(), 60))
    assert checkpoint.newest(node.ports.disk).header.applied == node.runner.applied
    assert not [each for each in node.ports.disk.list(checkpoint.DIRECTORY) if not each.endswith(".ckpt")]
