"""Connections in a process of their own: the same answers, and what happens when one of the two processes dies."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from nextpaint.govern.access import Access
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.channel import Channel, pair
from nextpaint.serve.server import node_app, serve_app
from tests.serve.conftest import LiveNode, fake_node, wait_until

EVENT = {"userId": "u", "event": "E"}


@pytest.fixture
def fronted(tmp_path):
    node = LiveNode(tmp_path, fronted=True)
    node.http.get("/healthz")
    yield node
    node.close()


def front_of(node):
    return node.server._process


def test_a_front_that_dies_is_replaced_and_connections_wait_meanwhile(fronted, caplog):
    first = front_of(fronted)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: front_of(fronted) is not first)
    assert fronted.http.post("/v1/track", json=EVENT).status_code == 200
    assert front_of(fronted).pid != first.pid and first.returncode == -signal.SIGKILL
    assert "starting another" in caplog.text and "-9" in caplog.text


def test_an_answer_for_a_front_that_died_goes_to_nobody(fronted):
    fronted.node.gate = asyncio.Event()
    with socket.create_connection(("127.0.0.1", fronted.port), timeout=30) as client:
        client.sendall(
            b'POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 26\r\n\r\n{"userId":"u","event":"E"}'
        )
        wait_until(lambda: fronted.app.in_flight["collect"])
        os.kill(front_of(fronted).pid, signal.SIGKILL)
        with pytest.raises((ConnectionError, AssertionError)):
            assert client.recv(100)  # reset or closed, never answered
    fresh = httpx.Client(base_url=fronted.url, timeout=30)
    assert fresh.get("/healthz").status_code == 200
    fronted.call(fronted.node.gate.set)
    wait_until(lambda: not fronted.app.in_flight["collect"])
    assert [fresh.post("/v1/echo", content=b"%d" % n).content for n in range(50)] == [b"%d" % n for n in range(50)]
    fresh.close()


def test_a_front_is_gone_when_its_node_is(tmp_path):
    node = f"""
import asyncio, sys
sys.path.insert(0, {str(os.getcwd())!r})
from pathlib import Path
from tests.serve.conftest import fake_node, node_app, serve_app, Access
async def run():
    server = await serve_app(node_app(fake_node.FakeNode(Path({str(tmp_path)!r})), Access()), "127.0.0.1", 0,
                             fronted=True)
    print(server.port, server._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(run())
"""
    process = subprocess.Popen([sys.executable, "-c", node], stdout=subprocess.PIPE, text=True)
    port, front = map(int, process.stdout.readline().split())
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: not is_running(front))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_signals_to_the_whole_group_are_for_the_node_to_heed(fronted):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(front_of(fronted).pid, number)
    time.sleep(0.1)
    assert fronted.http.get("/healthz").status_code == 200
    assert front_of(fronted).poll() is None


def test_a_front_believes_that_its_node_is_busy_for_a_moment_only(fronted):
    fronted.node.busy_because = "the node is 90 ms behind"
    answers = [fronted.http.post("/v1/track", json=EVENT) for _ in range(20)]
    assert {each.status_code for each in answers} == {429} and not fronted.node.events
    assert "90 ms behind" in answers[-1].text and answers[-1].headers["retry-after"] == "1"
    assert fronted.http.post("/v1/echo", content=b"{}").status_code == 200, "only events give way"
    fronted.node.busy_because = ""
    wait_until(lambda: fronted.http.post("/v1/track", json=EVENT).status_code == 200)


def test_a_front_that_cannot_start_is_an_error_of_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def start():
        app = node_app(fake_node.FakeNode(tmp_path), Access())
        with pytest.raises(NextpaintError, match="did not start") as refused:
            await serve_app(app, "127.0.0.1", 0, fronted=True)
        assert "--front off" in refused.value.cure
        app_again = await serve_app(app, "127.0.0.1", 0)
        await app_again.stop()

    asyncio.run(start())


def test_started_by_hand_it_says_who_starts_it():
    run = subprocess.run([sys.executable, "-m", "nextpaint.serve.front"], capture_output=True, text=True)
    assert run.returncode == 2 and "nextpaint run" in run.stderr


# ---------------------------------------------------------------- the channel


def test_messages_of_any_size_arrive_whole_and_in_order_though_nobody_reads_for_a_while():
    sent = [os.urandom(size) for size in (0, 1, 3, 4, 70_000, 5_000_000, 2, 900_000)]
    got, lost = [], threading.Event()

    async def run():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        first = Channel(ours, loop, lambda message: None, lambda: None)
        for each in sent:
            first.send(each)
        await asyncio.sleep(0.01)
        second = Channel(theirs, loop, lambda message: got.append(bytes(message)), lost.set)
        while len(got) < len(sent):
            await asyncio.sleep(0.001)
        second.send(b"back")
        first.close()
        first.send(b"nobody hears this")
        while not lost.is_set():
            await asyncio.sleep(0.001)
        second.send(b"nor this")

    asyncio.run(run())
    assert got == sent


def test_nothing_is_received_behind_a_message_that_closed_the_channel():
    got = []

    async def run():
        loop = asyncio.get_running_loop()
        ours, theirs = pair()
        sending = Channel(ours, loop, lambda message: None, lambda: None)

        def received(message):
            got.append(bytes(message))
            receiving.close()

        receiving = Channel(theirs, loop, received, lambda: got.append(b"lost"))
        sending.send(b"one")
        sending.send(b"two")
        while not got:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # in which "two" would come
        sending.close()

    asyncio.run(run())
    assert got == [b"one"]
