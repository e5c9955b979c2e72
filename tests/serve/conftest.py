"""A live server on an ephemeral port, in its own thread and loop, over the fake node."""

import asyncio
import contextlib
import importlib.util
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvloop

from nextpaint.govern.access import Access
from nextpaint.serve.app import HttpSettings
from nextpaint.serve.server import node_app, serve_app

_spec = importlib.util.spec_from_file_location("fake_node", Path(__file__).with_name("fake_node.py"))
fake_node = importlib.util.module_from_spec(_spec)
sys.modules["fake_node"] = fake_node
_spec.loader.exec_module(fake_node)


def wait_until(condition, timeout_s=60.0):
    """Wait for what will be true within milliseconds, on a machine that may stall for seconds."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.01)


class LiveNode:
    """Runs the server until `close`; `call` runs a function on its loop."""

    def __init__(self, directory, access=None, settings=None, fronted=False):
        self.node, self.fronted = fake_node.FakeNode(directory), fronted
        self._started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: uvloop.run(self._run(access or Access(), settings, fronted)), daemon=True
        )
        self._thread.start()
        assert self._started.wait(60)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)

    async def _run(self, access, settings, fronted):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = node_app(self.node, access, settings=settings)
        self.server = server = await serve_app(app, "127.0.0.1", 0, fronted=fronted)
        self.port, self.app = server.port, app
        self._started.set()
        await self._stop.wait()
        await server.stop()

    def call(self, function, *args):
        self._loop.call_soon_threadsafe(function, *args)

    def raw(self, data, timeout_s=60.0):
        """What the server answers to these bytes, until it closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as sock:
            sock.sendall(data)
            received = b""
            try:
                while part := sock.recv(65536):
                    received += part
                    head, _, body = received.partition(b"\r\n\r\n")
                    if b"content-length: " in head:
                        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                        if len(body) >= length:
                            break
            except (TimeoutError, ConnectionError):
                pass
            return received

    def close(self):
        self.http.close()
        with contextlib.suppress(RuntimeError):  # a test that stopped it itself: the loop may be closed by now
            self.call(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.node.close()


@pytest.fixture(scope="module", params=["connections in the node", "connections in the front"])
def live_module(request, tmp_path_factory):
    patient = HttpSettings(collect_lag_ms_max=5_000)  # these tests are not about a machine that is busy otherwise
    node = LiveNode(tmp_path_factory.mktemp("live"), settings=patient, fronted=request.param.endswith("front"))
    yield node
    node.close()


@pytest.fixture
def live(live_module):
    """One server per module, its node as new."""
    was_busy = live_module.node.busy_because
    live_module.node.reset()
    if was_busy:  # a front believes what it was told for a moment
        wait_until(lambda: live_module.http.post("/v1/track", content=b"{").status_code != 429)
        live_module.node.reset()
    return live_module


@pytest.fixture
def start(tmp_path, live_module):
    """Start a server with other access or settings; its connections are where those of `live` are."""
    started = []

    def starting(access=None, **settings):
        settings = HttpSettings(**settings) if settings else None
        node = LiveNode(tmp_path, access, settings, live_module.fronted)
        started.append(node)
        return node

    yield starting
    for node in started:
        node.close()
