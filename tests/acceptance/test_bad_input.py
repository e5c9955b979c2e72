"""What is wrong is said, with what, where and cure, or quarantined with a reason at a position; and nothing
acknowledged is lost.

Over HTTP against a live node, and against nodes whose disk is full.
"""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from nextpaint.application import Application
from nextpaint.cli.commands import Directory
from nextpaint.engine.facade import Engine
from nextpaint.engine.intake import QUARANTINE_TOPIC
from nextpaint.govern.access import LOCAL
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedDisk, SystemClock, ThreadWorkers
from nextpaint.record.errors import ApplicationError, LedgerLocked, LedgerReadOnly
from nextpaint.stream.frame import Position
from tests.engine.explorer import patiently
from tests.engine.shop import (
    CORNER_SQL,
    GOODS,
    PATIENT,
    ROOT,
    LiveNode,
    asked,
    click,
    corner,
    events_in,
    ids,
    opened,
    system_ports,
    written,
)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with LiveNode(tmp_path_factory.mktemp("bad") / "node", corner(), GOODS) as node:
        yield node


def quarantined(directory):
    """(position, what was kept) of each quarantined row in the ledger."""
    return [
        (str(Position(frame.number, place, at)), json.loads(record.value))
        for frame in Directory(directory).frames()
        for place, entry in enumerate(frame.entries)
        if entry.topic == QUARANTINE_TOPIC
        for at, record in enumerate(entry.records)
    ]


def said(answer):
    """The error of an answer: it must have all three parts."""
    error = answer.json()["error"]
    assert error["what"] and error["where"] and error["cure"], error
    return error


GOOD = {"event": "Product Viewed", "userId": "u"}
BAD_CALLS = [
    ("no id of a person", {"event": "Product Viewed"}, "userId or anonymousId"),
    ("no event", {"userId": "u"}, "event is required"),
    ("an event that is a number", {**GOOD, "event": 7}, "event must be a text"),
    ("properties that are a list", {**GOOD, "properties": [1]}, "properties must be an object"),
    ("a user that is a list", {**GOOD, "userId": ["u"]}, "userId must be a text"),
    ("a time that is no time", {**GOOD, "timestamp": "yesterday"}, "ISO 8601"),
    ("1970", {**GOOD, "timestamp": "1970-01-01T00:00:00Z"}, "1970-01-01"),
    ("2031", {**GOOD, "timestamp": "2031-01-01T00:00:00Z"}, "2031-01-01"),
    ("a position that is a text", {**GOOD, "properties": {"position": "first"}}, "position must be an integer"),
]


@pytest.mark.parametrize(("call", "reason"), [each[1:] for each in BAD_CALLS], ids=[each[0] for each in BAD_CALLS])
def test_a_call_that_does_not_fit_is_refused_and_kept_in_quarantine_with_its_reason(live, call, reason):
    before = quarantined(live.directory)
    answer = live.http.post("/v1/track", json=call)
    assert answer.status_code == 400
    assert reason in said(answer)["what"]
    (added,) = quarantined(live.directory)[len(before) :]
    position, kept = added
    assert reason in kept["reason"] and kept["original"] and Position.parse(position).frame > 0


def test_a_batch_keeps_what_is_good_and_names_the_index_of_what_is_not(live):
    calls = [
        {"type": "track", **GOOD},
        {"type": "track", **GOOD, "timestamp": "2031-01-01T00:00:00Z"},
        7,
        {"type": "sing", "userId": "u"},
    ]
    answer = live.http.post("/v1/batch", json={"batch": calls})
    assert answer.status_code == 200 and answer.json()["accepted"] == 1
    assert [each["index"] for each in answer.json()["quarantined"]] == [1, 2, 3]


BAD_BODIES = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"event": "x", ', b'{"a": 1e999}', b"[" * 100_000]


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch", "/v1/decide/shelf", "/v1/query"])
@pytest.mark.parametrize("body", BAD_BODIES, ids=[repr(body[:12]) for body in BAD_BODIES])
def test_a_body_that_is_not_what_the_path_takes_is_refused(live, path, body):
    answer = live.http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413, 422)
    said(answer)


def test_a_body_beyond_the_limit_is_refused_and_costs_nobody_else_anything(live):
    call = {**GOOD, "properties": {"note": "x" * (1 << 20)}}
    answer = live.http.post("/v1/track", json=call)
    assert answer.status_code == 413
    said(answer)
    assert live.http.post("/v1/track", json={**GOOD, "properties": {"note": "x" * 40_000}}).status_code == 400
    assert live.http.post("/v1/track", json=GOOD).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "names"),
    [
        ("POST", "/v1/decide/window", {"anonymousId": "v", "inputs": {"page": "home"}}, 404, "shelf"),
        ("POST", "/v1/decide/shelf", {"anonymousId": "v"}, 422, "page"),
        ("POST", "/v1/decide/shelf", {"anonymousId": "v", "inputs": {"page": 7}}, 422, "page"),
        ("POST", "/v1/decide/shelf", {"anonymousId": "v", "inputs": {"page": "home"}, "position": "9.9.9"}, 422,
        "position"), ("POST", "/v1/decide/shelf", {"anonymousId": "v", "inputs": {"page": "home"}, "ahead_ms": -1},
        422, "ahead_ms"), ("POST", "/v1/query", {"sql": "SELECT * FROM nothing"}, 422, "nothing"), ("POST",
        "/v1/query", {"sql": "SELEC 1"}, 422, ""), ("POST", "/v1/query", {"sql": "SELECT nope FROM goods"}, 422,
        "nope"), ("PUT", "/v1/tables/nothing/rows", {"rows": [{"a": 1}]}, 404, "goods"), ("PUT",
        "/v1/tables/heat/rows", {"rows": [{"item_id": "g1", "heat": 1.0}]}, 422, "heat"), ("PUT", "/v1/items",
        {"items": [{"item_id": "g1", "stok": 1}]}, 422, "stock"), ("DELETE", "/v1/items", {"items": [{"item_id": "g1",
        "stock": 1}]}, 400, "key item_id"), ("DELETE", "/v1/tables/heat/rows", {"rows": [{"item_id": "g1"}]}, 422,
        "heat"), ("GET", "/v1/decisions/0000", None, 404,
        "decision_id"), ("GET", "/v1/nothing", None, 404, ""),
    ],
)  # fmt: skip
def test_an_unknown_or_wrong_name_is_said_with_a_cure(live, method, path, body, status, names):
    answer = live.http.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert names in json.dumps(said(answer))


def test_rows_that_do_not_fit_are_quarantined_with_table_row_and_reason(live):
    rows = [
        {"item_id": "g1", "stock": 3},
        {"item_id": "g2", "stock": "many"},
        {"stock": 3},
        {"item_id": "g3", "stock": 1 << 40},
        {"item_id": "g4", "ts": "2031-01-01T00:00:00Z"},
        {"item_id": "g5", "price": None},
    ]
    answer = live.http.put("/v1/tables/goods/rows", json={"rows": rows})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [each["index"] for each in answer.json()["quarantined"]] == [1, 2, 3, 4]
    kept = [body for _, body in quarantined(live.directory) if body.get("table") == "goods"]
    assert [body["row"] for body in kept[-4:]] == [1, 2, 3, 4]
    assert "stock" in kept[-4]["reason"] and "item_id" in kept[-3]["reason"] and "future" in kept[-1]["reason"]


def test_an_item_that_does_not_fit_is_named_by_its_place_in_the_request(live):
    items = [{"item_id": "g1", "stock": 3}, {"item_id": "g2", "stok": 3}, {"item_id": "g3", "price": "cheap"}]
    answer = live.http.put("/v1/items", json={"items": items}).json()
    assert answer["accepted"] == 1
    assert sorted(each["index"] for each in answer["quarantined"]) == [1, 2]


def test_a_duplicate_id_is_answered_and_counted_once_even_with_another_body(live):
    call = {**GOOD, "messageId": "same", "properties": {"product_id": "g1"}}
    before = len(events_in(live.directory))
    for item in ("g1", "g1", "g2"):
        call["properties"]["product_id"] = item
        assert live.http.post("/v1/track", json=call).status_code == 200
    calls = [{"type": "track", **call}, {"type": "track", **call}]
    assert live.http.post("/v1/batch", json={"batch": calls}).json()["duplicates"] == 2
    assert len(events_in(live.directory)) == before + 1
    assert "nextpaint_dedup_conflicts_total 3" in live.http.get("/metrics").text


# --- a disk that is full -----------------------------------------------------------------------------------------


def simulated(disk, workers=None):
    return Ports(SystemClock(), disk, SeededRandom(1), workers or InlineWorkers())


async def on_a_full_disk(tmp_path, check):
    """An open node with items and clicks whose disk then has no byte left."""
    disk = SimulatedDisk(SeededRandom(1))
    engine = await Engine.open(tmp_path, corner(), simulated(disk), settings=PATIENT)
    await engine.put_items(LOCAL, GOODS)
    clicked = await engine.ingest(LOCAL, [click("v", "g3")])
    before = await engine.decide(LOCAL, "shelf", asked("v", position=clicked.position))
    disk.capacity_bytes = disk.used_bytes()
    await check(engine, before)
    acknowledged = engine.node.ledger.next_seq
    await engine.close()
    disk.restart()
    disk.capacity_bytes = 1 << 30
    engine = await Engine.open(tmp_path, corner(), simulated(disk), settings=PATIENT)
    assert engine.node.ledger.next_seq >= acknowledged
    assert engine.ready()[0]
    assert ids(await engine.decide(LOCAL, "shelf", asked("v"))) == ids(before)
    await engine.close()


def test_a_full_disk_makes_the_node_read_only_and_says_so(tmp_path):
    async def check(engine, before):
        with pytest.raises(LedgerReadOnly) as refused:
            await engine.ingest(LOCAL, [click("v", "g4")])
        assert refused.value.what and refused.value.cure and refused.value.status == 503
        ready, detail = engine.ready()
        assert not ready and "read-only" in detail
        assert engine.status()["read_only"]
        assert "nextpaint_read_only 1" in engine.metrics()
        with pytest.raises(LedgerReadOnly):
            await engine.put_items(LOCAL, [{"item_id": "g3", "stock": 0}])
        assert (await engine.query(LOCAL, "SELECT COUNT(*) AS n FROM goods"))["rows"] == [[20]]

    asyncio.run(on_a_full_disk(tmp_path, check))


def test_a_retry_on_a_read_only_node_is_refused_and_does_not_wait_for_ever(tmp_path):
    """The event that hit the full disk is not a duplicate of itself."""

    async def check(engine, before):
        call = click("v", "g4")
        for _ in range(3):
            with pytest.raises(LedgerReadOnly):
                await asyncio.wait_for(engine.ingest(LOCAL, [dict(call)]), 60)

    asyncio.run(on_a_full_disk(tmp_path, check))


def test_a_decision_on_a_read_only_node_is_refused_and_not_answered_without_a_record(tmp_path):
    async def check(engine, before):
        for _ in range(2):
            with pytest.raises(LedgerReadOnly):
                await asyncio.wait_for(engine.decide(LOCAL, "shelf", asked("v")), 60)

    asyncio.run(on_a_full_disk(tmp_path, check))


class Stalled:
    """A disk worker that stands still while `stalled`."""

    def __init__(self, deliver):
        self._inner, self.stalled, self._held = ThreadWorkers(deliver), False, []

    def commit(self, file, data, done):
        self.submit(lambda: file.commit(data), done)

    def submit(self, job, done):
        if self.stalled:
            self._held.append((job, done))
        else:
            self._inner.submit(job, done)

    def deliver_due(self):
        self._inner.deliver_due()

    def resume(self):
        self.stalled = False
        for job, done in self._held:
            self._inner.submit(job, done)

    def close(self):
        self._inner.close()


def test_a_disk_that_stalls_past_the_window_lets_a_decision_go_as_pending_and_its_record_follows(tmp_path):
    async def run():
        ports = system_ports(tmp_path)
        workers = Stalled(asyncio.get_running_loop().call_soon_threadsafe)
        hasty = corner(surfaces='hasty = shelf.but("hasty", window=WEB_RERANK)\n')
        engine = await Engine.open(tmp_path, hasty, Ports(ports.clock, ports.disk, ports.random, workers))
        await engine.put_items(LOCAL, GOODS)
        workers.stalled = True
        answer = await engine.decide(LOCAL, "hasty", asked("v"))
        assert answer["recorded"] == "pending" and answer["items"]
        assert "nextpaint_decisions_pending_total 1" in engine.metrics()
        workers.resume()
        await engine.node.settled()
        assert (await engine.explain(LOCAL, answer["decision_id"]))["decision_id"] == answer["decision_id"]
        await engine.close()
        ports.workers.close()

    asyncio.run(run())


def counted(node):
    return node.post("/v1/query", {"sql": "SELECT subject, n FROM seen"}).json()["rows"][0][1]


def test_a_full_file_system_is_survived_by_the_real_node(tmp_path):
    """A file-size limit of the process stands for the end of a real disk: writes fail with the kernel's own error."""
    folder, data = written(corner(), tmp_path / "corner"), tmp_path / "node"
    script = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from nextpaint.cli import main
sys.exit(main(["run", {str(folder)!r}, "--data", {str(data)!r}, "--port", "0", "--no-simulation"]))
"""
    with Started([sys.executable, "-c", script]) as node:
        acknowledged, refused = [], None
        for n in range(400):
            call = {**GOOD, "messageId": f"e{n}", "properties": {"product_id": "g1", "note": "x" * 2_000}}
            answer = node.post("/v1/track", call)
            if answer.status_code != 200:
                refused = answer
                break
            acknowledged.append(f"e{n}")
        assert refused is not None and refused.status_code == 503, refused
        said(refused)
        ready = node.http.get("/readyz")
        assert ready.status_code == 503 and "read-only" in ready.json()["detail"]
        assert node.http.get("/healthz").status_code == 200
        assert node.post("/v1/track", {**GOOD, "messageId": "again"}).status_code == 503
        until = time.monotonic() + 60  # an acknowledged event is durable; it is applied some milliseconds later
        while (seen := counted(node)) != len(acknowledged) and time.monotonic() < until:
            time.sleep(0.01)
        assert seen == len(acknowledged)
    with Started(
        [sys.executable, "-m", "nextpaint", "run", str(folder), "--data", str(data), "--port", "0", "--no-simulation"]
    ) as node:
        assert node.http.get("/readyz").status_code == 200
        assert node.post("/v1/query", {"sql": "SELECT subject, n FROM seen"}).json()["rows"][0][1] >= len(acknowledged)
    assert len(acknowledged) > 20
    assert set(acknowledged) <= {event.message_id for event in events_in(data)}


class Started:
    """A process that prints a node's address; stopped by SIGTERM."""

    def __init__(self, command):
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = []
        for line in self._process.stdout:
            self.lines.append(line)
            if line.strip().startswith("shop "):
                break
        else:
            raise AssertionError("".join(self.lines))

        self.http = httpx.Client(base_url=line.split()[1].rstrip("/"), timeout=60)

    def post(self, path, body):
        """The answer when the node has taken it: a machine that stalls makes it refuse early."""
        return patiently(self.http, "POST", path, json=body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()
        self._process.send_signal(signal.SIGTERM)
        self.lines += self._process.stdout.readlines()
        self._process.stdout.close()
        self._process.wait(60)


# --- starting -------------------------------------------------------------------------------------------------------


def test_a_second_node_on_the_same_directory_is_refused(tmp_path):
    async def run():
        async with opened(tmp_path, corner(), items=GOODS):
            ports = system_ports(tmp_path)
            with pytest.raises(LedgerLocked) as refused:
                await Engine.open(tmp_path, corner(), ports)
            assert str(os.getpid()) in str(refused.value)
            ports.workers.close()

    asyncio.run(run())


def test_a_kill_while_starting_leaves_a_directory_that_starts(tmp_path):
    """At many moments of the first start and of later ones, from before the first file to ready."""
    folder, data = written(corner(), tmp_path / "corner"), tmp_path / "node"
    command = [
        sys.executable,
        "-m",
        "nextpaint",
        "run",
        str(folder),
        "--data",
        str(data),
        "--port",
        "0",
        "--no-simulation",
    ]
    for after_s in (0.3, 0.45, 0.5, 0.55, 0.6, 0.7):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(after_s)
        process.kill()
        process.wait()
    with Started(command) as node:
        assert node.post("/v1/track", GOOD).status_code == 200
        assert node.http.get("/readyz").json()["ready"] is True


def test_every_error_of_an_application_is_reported_at_once_with_file_line_and_cure():
    bad = CORNER_SQL.replace("COUNT(*) FROM clicks", "COUNT(nope) FROM clikcs") + "INSERT INTO nowhere SELECT 1;"
    files = {
        "corner.sql": bad.encode(),
        "surfaces.py": b"from nextpaint.decide import Surface\nx = Surface(7 7)\n",
        "nextpaint.toml": b"= x",
    }
    with pytest.raises(ApplicationError) as refused:
        Application.of(files)
    found = {(each.file, each.line > 0) for each in refused.value.diagnostics}
    assert {("corner.sql", True), ("surfaces.py", True), ("nextpaint.toml", False)} <= found
    assert any("clicks" in each.cure for each in refused.value.diagnostics)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_first_start_on_a_broken_disk_says_what_is_wrong(tmp_path, error):
    async def run():
        disk = SimulatedDisk(SeededRandom(1))
        disk.fail("append", error=error, lasting=True)
        with pytest.raises((LedgerReadOnly, OSError)) as refused:
            await asyncio.wait_for(Engine.open(tmp_path, corner(), simulated(disk)), 60)
        assert str(refused.value)

    asyncio.run(run())
