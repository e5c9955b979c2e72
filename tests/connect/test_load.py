"""Load: latency from when a request was due, honest counts, and a report that can be read."""

import asyncio
import json

import pytest
import uvloop

from nextpaint.connect import load as module
from nextpaint.connect.load import LoadSettings, load, to_json, to_text
from nextpaint.connect.open_loop import Stream, drive
from nextpaint.connect.sync_probe import latencies, measure
from nextpaint.connect.traffic import ITEM, Draw, Traffic
from nextpaint.record.errors import InvalidInput, NextpaintError

WINDOW_MS = 30_000  # what is late is not what these tests are about, and the machine may stall


class Stub:
    """An HTTP server that answers at once, except while `stalled`, and remembers what it was sent."""

    def __init__(self):
        self.paths, self.bodies, self.stalled, self.status = [], [], asyncio.Event(), 200
        self.stalled.set()
        self.decision = {"decision_id": "d", "items": [{"id": "1"}], "degraded": [], "budget": {"window_ms": WINDOW_MS}}

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()
        await asyncio.sleep(0.05)

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                path = head.split(b" ")[1].decode()
                self.paths.append(path)
                self.bodies.append(json.loads(body or b"null"))
                await self.stalled.wait()
                status, answer = self.answer(path)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer))
                if b"Connection: close" in head:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, path):
        if path == "/v1/query":
            return 200, json.dumps({"rows": [[str(n)] for n in range(100)]}).encode()
        if path == "/console/api/status":
            waits = {"count": 50, "p50_ms": 1.0, "p99_ms": 2.5, "p999_ms": 4.0, "max_ms": 5.0}
            return 200, json.dumps({"latency": {"commit": waits, "decide": waits}}).encode()
        if path.startswith("/v1/decide"):
            return self.status, json.dumps(self.decision).encode()
        return self.status, b'{"success":true}'


def settings(stub, **more):
    given = {"events_per_s": 200, "decisions_per_s": 50, "seconds": 1.0, "warm_up_s": 0.1, "visitors": 50}
    return LoadSettings(url=stub.url, inputs={"page": "home", "item_id": ITEM}, **given | more)


def test_bids_are_counted_by_what_they_got_and_a_late_one_is_none():
    class Exchange(Stub):
        def answer(self, path):
            if path.startswith("/v1/bid"):
                self.asked = [*getattr(self, "asked", []), path]
                none = {"id": "1", "nbr": 15}
                return 200, json.dumps(none if len(self.asked) % 2 else {"id": "1", "seatbid": []}).encode()
            return super().answer(path)

    async def test():
        async with Exchange() as stub:
            report = await load(settings(stub, bids_per_s=100, warm_up_s=0.0, tmax_ms=WINDOW_MS))
            late = await load(settings(stub, bids_per_s=100, warm_up_s=0.0, tmax_ms=0))
            request = next(body for path, body in zip(stub.paths, stub.bodies, strict=True) if "/bid/" in path)
            return report, late, request, set(stub.asked)

    report, late, request, paths = uvloop.run(test())
    bids = report.bidding
    assert paths == {"/v1/bid/ads?nbr=1"}
    assert (request["tmax"], request["imp"][0]["banner"]["w"]) == (WINDOW_MS, 300)
    assert request["user"]["buyeruid"].startswith("simulated-")
    assert bids.bids + bids.none["15"] + bids.late == report.kinds["bids"].ok > 50
    assert abs(bids.bids - bids.none["15"]) <= 1 + bids.late
    assert late.bidding.late == late.kinds["bids"].ok
    assert "no bid:" in to_text(report)
    assert json.loads(to_json(report))["bidding"]["none"] == bids.none


def test_a_stall_is_charged_to_every_request_that_was_due_meanwhile():
    async def run():
        async with Stub() as stub:
            request = b"POST /v1/track HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
            stream = Stream("event", 500.0, lambda: (None, request), connections_max=2)
            loop = asyncio.get_running_loop()
            loop.call_later(0.3, stub.stalled.clear)
            loop.call_later(0.8, stub.stalled.set)
            await drive([stream], ("127.0.0.1", stub.port), warm_up_s=0.0, seconds=1.5, seed=1, patience_s=60.0)
            return stream

    stream = asyncio.run(run())
    slow = sum(each > 0.1 for each in stream.latencies_s)
    # 500/s over a stall of 0.5 s: those due in its first 0.4 s waited more than 0.1 s. A closed loop would see two.
    assert slow > 120
    assert stream.sent == stream.ok and stream.errors == 0
    assert 600 < stream.sent < 900


def test_a_run_reports_events_decisions_echo_and_syncs(tmp_path):
    async def run():
        async with Stub() as stub:
            report = await load(settings(stub, directory=tmp_path, acknowledged=tmp_path / "acknowledged"))
            return stub, report

    stub, report = uvloop.run(run())  # the loop that `run_load` uses
    assert report.errors == 0 and report.degraded == 0
    assert 130 < report.kinds["events"].sent < 270
    assert report.kinds["decisions"].ok == report.kinds["decisions"].sent == report.inside
    assert (report.fraction_inside, report.window_ms) == (1.0, WINDOW_MS)
    assert report.kinds["echo"].ok > 20
    assert report.sync is not None and report.sync.count >= 1
    assert report.commit is not None and report.commit.p99_ms == 2.5
    assert len((tmp_path / "acknowledged").read_text().split()) == report.kinds["events"].ok
    assert list(tmp_path.iterdir()) == [tmp_path / "acknowledged"]
    events = [body for path, body in zip(stub.paths, stub.bodies, strict=True) if path == "/v1/track"]
    assert len({body["messageId"] for body in events}) == len(events)
    assert {"Product Viewed", "Product Clicked", "Impression"} <= {body["event"] for body in events}
    assert json.loads(to_json(report))["kinds"]["events"]["latency"]["p99_ms"] >= 0
    assert f"100.00% inside {WINDOW_MS} ms" in to_text(report) and "fdatasync" in to_text(report)
    assert "commit wait" in to_text(report)


def test_degraded_refused_and_failed_decisions_are_not_inside():
    async def run(status, degraded):
        async with Stub() as stub:
            stub.status, stub.decision["degraded"] = status, degraded
            return await load(settings(stub, seconds=0.4))

    degraded = asyncio.run(run(200, [{"stage": "rank"}]))
    assert degraded.degraded == degraded.kinds["decisions"].ok > 0 and degraded.fraction_inside == 0
    refused = asyncio.run(run(429, []))
    assert refused.kinds["events"].refused == refused.kinds["events"].sent and refused.errors == 0
    assert refused.fraction_inside == 0
    failed = asyncio.run(run(500, []))
    assert failed.errors > 0 and "500" in failed.kinds["events"].error_examples[0]


def test_a_node_that_is_away_is_a_clear_error():
    with pytest.raises(NextpaintError, match="cannot be reached"):
        asyncio.run(load(LoadSettings(url="http://127.0.0.1:9")))
    with pytest.raises(InvalidInput):
        asyncio.run(load(LoadSettings(url="ftp://x")))


def test_a_server_that_dies_leaves_errors_and_no_hang(monkeypatch):
    async def die(stub):
        while not stub.paths:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        stub.server.close()
        await asyncio.sleep(0.3)
        stub.status = 503
        stub.stalled.set()

    async def run():
        async with Stub() as stub:
            stub.stalled.clear()
            dying = asyncio.create_task(die(stub))
            request = b"POST /v1/track HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
            stream = Stream("event", 100.0, lambda: (None, request), connections_max=4)
            await drive([stream], ("127.0.0.1", stub.port), warm_up_s=0.0, seconds=0.5, seed=1)
            await dying
            return stream

    stream = asyncio.run(run())
    assert stream.ok == 0 and stream.errors == stream.sent > 20


def test_percentiles_and_the_probe(tmp_path):
    found = latencies([n / 1000 for n in range(1, 1001)])
    assert (found.count, found.p50_ms, found.p99_ms, found.max_ms) == (1000, 501.0, 991.0, 1000.0)
    assert latencies([]).count == 0
    assert measure(tmp_path, 0.1, 100).count >= 1
    assert list(tmp_path.iterdir()) == []


def test_traffic_is_reproducible_and_skewed():
    def bodies(seed):
        traffic = Traffic([str(n) for n in range(500)], 100, {"item_id": ITEM}, seed=seed, run="r")
        return [traffic.event() for _ in range(50)] + [traffic.request() for _ in range(50)]

    assert bodies(1) == bodies(1) != bodies(2)
    draw = Draw(1000, 1)
    drawn = [draw.next() for _ in range(5000)]
    assert drawn.count(0) > 20 * max(1, drawn.count(900)) and max(drawn) < 1000


def test_run_load_gives_garbage_collection_back(monkeypatch):
    import gc

    async def fake(settings):
        assert not gc.isenabled()
        raise NextpaintError("stop")

    monkeypatch.setattr(module, "load", fake)
    with pytest.raises(NextpaintError):
        module.run_load(LoadSettings())
    assert gc.isenabled()
