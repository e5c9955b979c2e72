"""A broken invariant stops the engine loudly: nothing is admitted or decided on half a step, and a restart has all
of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nextpaint.application import Application
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import LOCAL
from nextpaint.ports import Ports, SystemClock, SystemDisk, SystemRandom, ThreadWorkers
from nextpaint.record.errors import NextpaintError
from tests.engine.shop import PATIENT

SQL = b"""
CREATE TABLE seen (subject STRING, n BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO seen SELECT subject, COUNT(*) FROM events GROUP BY subject;
"""
CALL = {"type": "track", "event": "Viewed", "anonymousId": "visitor-1"}


def test_an_engine_that_breaks_says_so_refuses_and_recovers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def opened() -> Engine:
        deliver = asyncio.get_running_loop().call_soon_threadsafe
        ports = Ports(SystemClock(), SystemDisk(tmp_path), SystemRandom(), ThreadWorkers(deliver))
        return await Engine.open(tmp_path, Application.of({"streams.sql": SQL}), ports, settings=PATIENT)

    async def broken() -> None:
        engine = await opened()
        await engine.ingest(LOCAL, [CALL])
        await engine.node.settled()

        def breaks(records: object) -> list[object]:
            raise RuntimeError("a row went missing")

        engine.node.runner.apply = breaks  # type: ignore[method-assign,assignment]
        await engine.ingest(LOCAL, [CALL])
        while engine.node.failure is None:
            await asyncio.sleep(0.001)
        with pytest.raises(NextpaintError, match="the engine stopped: RuntimeError: a row went missing") as refused:
            await engine.ingest(LOCAL, [CALL])
        assert refused.value.status == 503
        assert engine.ready()[0] is False
        await asyncio.wait_for(engine.close(), 60)

    async def restarted() -> None:
        engine = await opened()
        answer = await engine.query(LOCAL, "SELECT n FROM seen")
        assert answer["rows"] == [[2]], "the event that broke the engine is durable and counted once"
        await engine.close()

    asyncio.run(broken())
    assert "the engine stopped" in caplog.text
    asyncio.run(restarted())
