"""The token of a new visitor is durable before any frame that uses it, and costs nobody else a sync."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from nextpaint.engine.facade import Engine
from nextpaint.ports import Ports
from nextpaint.record.errors import LedgerReadOnly
from tests.engine.shop import GOODS, LOCAL, click, corner, system_ports


class Watched:
    """Workers that say what is committed; with `fail`, no sync of what another wrote succeeds."""

    def __init__(self, workers):
        self._workers = workers
        self.committed = []
        self.fail = False

    def commit(self, file, data, done):
        self.committed.append(file)
        if self.fail and not data:
            done(None, OSError(5, "Input/output error"))
        else:
            self._workers.commit(file, data, done)

    def __getattr__(self, name):
        return getattr(self._workers, name)


def on_a_node(directory, body):
    async def run():
        ports = system_ports(directory)
        workers = Watched(ports.workers)
        engine = await Engine.open(directory, corner(), Ports(ports.clock, ports.disk, ports.random, workers))
        await engine.put_items(LOCAL, GOODS)
        await engine.node.settled()
        workers.committed.clear()
        try:
            return await body(engine, workers)
        finally:
            if engine.node.writer.error is None:
                await engine.close()
            else:
                ports.workers.close()
                engine.node.ledger.close()
                engine.node.subjects.close()

    return asyncio.run(run())


def tokens_on_disk(directory):
    """As another process finds them in what was written so far."""
    with closing(sqlite3.connect(directory / "keys.db")) as database:
        return {token for (token,) in database.execute("SELECT token FROM identifiers")}


def test_identifiers_are_written_and_synced_before_the_frame_of_the_event(tmp_path):
    async def body(engine, workers):
        log = engine.node.subjects._log
        await engine.ingest(LOCAL, [click("ann", GOODS[0]["item_id"])])
        first = [file is log for file in workers.committed]
        token = engine.node.subjects.known("anonymous", "ann")
        assert token in tokens_on_disk(tmp_path)
        await engine.node.settled()
        workers.committed.clear()
        await engine.ingest(LOCAL, [click("ann", GOODS[1]["item_id"])])
        await engine.node.settled()
        return first, any(file is log for file in workers.committed)

    (synced_first, *_), synced_again = on_a_node(tmp_path, body)
    assert synced_first is True, "the log of keys.db before the frame"
    assert not synced_again, "a known visitor needs no sync of keys.db"


def test_an_event_is_not_acknowledged_when_its_identifiers_could_not_be_synced(tmp_path):
    async def body(engine, workers):
        workers.fail = True
        with pytest.raises(LedgerReadOnly):
            await engine.ingest(LOCAL, [click("bob", GOODS[0]["item_id"])])
        with pytest.raises(LedgerReadOnly):
            await engine.ingest(LOCAL, [click("ann", GOODS[0]["item_id"])])

    on_a_node(tmp_path, body)
