"""A shop with a node: the retail blueprint (or a small application of one table) in a directory of its own, opened
for a test.

`opened` is for tests that run on the node's own loop; `LiveNode` serves HTTP from a thread of its own, for clients.
Vectors come from `HashEncoder` unless a test is about what the model finds. Nodes and windows are patient: a machine
that stalls for a second refuses no event and degrades no answer. Tests about being late say what late is.
"""

import asyncio
import contextlib
import csv
import gzip
import threading
import time
from collections import Counter
from functools import cache
from pathlib import Path

import httpx
import uvloop

from nextpaint.application import SETTINGS, SURFACES, Application
from nextpaint.cli.admin import admin_routes
from nextpaint.cli.commands import Directory
from nextpaint.engine.facade import Engine
from nextpaint.engine.index import EVENTS_TOPIC
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.govern.access import LOCAL, Access
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import Ports, ThreadWorkers
from nextpaint.record.event import decode as decode_event
from nextpaint.serve.app import HttpSettings
from nextpaint.serve.bidding import Bids
from nextpaint.serve.learning import Learned
from nextpaint.serve.models import Models
from nextpaint.serve.reasons import Reasons
from nextpaint.serve.reviews import Reviews
from nextpaint.serve.rules import Rules
from nextpaint.serve.server import node_app, serve_app

ROOT = Path(__file__).resolve().parents[2]
RETAIL = ROOT / "blueprints" / "retail"

PATIENT = NodeSettings(lag_ms_max=10**9)
TICKLESS = NodeSettings(lag_ms_max=10**9, tick_ms=10**9)  # for the state of two moments: time passes with events only
PATIENT_HTTP = HttpSettings(collect_lag_ms_max=10**9, decide_lag_ms_max=10**9, request_timeout_s=60.0)
PATIENT_WINDOW = """
from nextpaint.decide import Window
wide = Window("WIDE", 60_000, 10_000, 30_000, 10_000, ttl_s=60)
"""

# One table of items with stock, the clicks of a person, and a surface that ranks by what is looked at. No texts, no
# model.
CORNER_SQL = """
SET 'nextpaint.events.lateness' = '1 s';
SET 'nextpaint.idle-advance' = '1 s';
SET 'table.exec.source.idle-timeout' = '1 s';
CREATE VIEW clicks AS
SELECT subject, message_id, item_id, ts FROM events WHERE event = 'Product Viewed' AND item_id IS NOT NULL;
CREATE TABLE goods (
  item_id STRING, title STRING, category STRING, stock INT, price DOUBLE, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND, PRIMARY KEY (item_id) NOT ENFORCED);
CREATE TABLE heat (item_id STRING, heat DOUBLE, PRIMARY KEY (item_id) NOT ENFORCED);
INSERT INTO heat SELECT item_id, DECAYED_SUM(CAST(1 AS DOUBLE), INTERVAL '10' MINUTE) FROM clicks GROUP BY item_id;
CREATE TABLE seen (subject STRING, n BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO seen SELECT subject, COUNT(*) FROM clicks GROUP BY subject;
CREATE TABLE passed (message_id STRING, item_id STRING);
INSERT INTO passed SELECT message_id, item_id FROM clicks;
"""
CORNER_SURFACES = (
    PATIENT_WINDOW
    + """
from nextpaint.decide import WEB_RERANK, LastGood, Surface, Top, Weighted
shelf = Surface("shelf", window=wide, purpose="personalisation", items="goods", limit=5, inputs={"page": str},
    retrieve=[Top("heat", by="heat", k=50)], require=["goods.stock > 0"], features={"heat": "heat.heat"},
    rank=Weighted(heat=1.0), cold=Top("goods", by="price", k=50), fallback=LastGood(max_age="10 min"))
"""
)


def retail(**edits):
    """The retail blueprint with patient windows. `edits`: file (dots as underscores) -> [(text, replacement)], where
    each text must be there."""
    paths = [*RETAIL.glob("*.sql"), RETAIL / SURFACES, RETAIL / SETTINGS]
    files = {path.name: path.read_text() for path in sorted(paths)}
    for name, replacements in edits.items():
        name = name.replace("_", ".")
        for before, after in replacements:
            assert before in files[name], f"{before!r} is not in {name}"
            files[name] = files[name].replace(before, after)
    files[SURFACES] = PATIENT_WINDOW + files[SURFACES].replace("window=WEB_RERANK", "window=wide")
    return Application.of({name: text.encode() for name, text in files.items()})


def corner(sql="", surfaces="", edits=()):
    text = CORNER_SQL + sql
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    settings = b'name = "corner"\nmain_surface = "shelf"\n'
    return Application.of(
        {"corner.sql": text.encode(), SURFACES: (CORNER_SURFACES + surfaces).encode(), SETTINGS: settings}
    )


def written(application, folder):
    """The application as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in application.files.items():
        (folder / name).write_bytes(data)
    return folder


GOODS = [
    {"item_id": f"g{n}", "title": f"Thing {n}", "category": f"c{n % 4}", "stock": 5 + n, "price": 1.0 + n}
    for n in range(20)
]


@cache
def catalogue():
    """All items of the blueprint as item rows."""
    with (RETAIL / "data" / "catalog.csv").open(newline="", encoding="utf-8") as stream:
        return [
            {"item_id": row["item_id"], "title": row["title"], "category": row["category"],
             "price": float(row["price"]), "stock": int(row["stock"])}
            for row in csv.DictReader(stream)
        ]  # fmt: skip


@cache
def order_lines(most):
    """The first order lines of the blueprint as (order_id, item_id, qty, price, customer)."""
    lines = []
    with gzip.open(RETAIL / "data" / "orders.csv.gz", "rt", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            customer = f"customer-{row['customer_id']}" if row["customer_id"] else None
            lines.append((row["order_id"], row["item_id"], int(row["qty"]), float(row["price"]), customer))
            if len(lines) == most:
                break
    return lines


def order_rows(lines, ts):
    return [
        {
            "order_id": order,
            "user_id": customer,
            "item_id": item,
            "qty": qty,
            "price": price,
            "original_ts": ts,
            "ts": ts,
        }
        for order, item, qty, price, customer in lines
    ]


def slice_of(size):
    """Every nth item of the catalogue, `size` in all, in stock."""
    whole = [each for each in catalogue() if each["stock"] > 0 and each["price"] > 0]
    step = len(whole) / size
    return [whole[int(n * step)] for n in range(size)]


DEADLINE_S = 60.0  # of what comes within milliseconds where nothing else runs


async def until(condition):
    """Wait for what will be true, however slow the machine."""
    ends = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < ends, "it did not come to that"
        await asyncio.sleep(0.01)


_numbers = iter(range(1, 10**9))


def click(visitor, item, event="Product Viewed", **more):
    """A Segment call. `visitor` is the anonymous id."""
    call = {"type": "track", "event": event, "anonymousId": visitor, "messageId": f"m{next(_numbers)}"}
    return {**call, "properties": {"product_id": item}, **more}


def asked(visitor, **more):
    return {"anonymousId": visitor, "inputs": {"page": "home"}, **more}


def ids(answer):
    return [item["id"] for item in answer["items"]]


@contextlib.asynccontextmanager
async def opened(directory, application, *, embedder=None, settings=None, items=(), clock=None, random=None):
    """An engine on the running loop, with its items loaded and their vectors computed; closed cleanly. Its time and
    chance are the system's, or those that are given."""
    directory.mkdir(parents=True, exist_ok=True)
    ports = system_ports(directory, clock=clock)
    ports = Ports(ports.clock, ports.disk, random or ports.random, ports.workers)
    background = ThreadWorkers(asyncio.get_running_loop().call_soon_threadsafe)
    engine = await Engine.open(
        directory, application, ports, settings=settings or PATIENT,
        embedder=embedder or HashEncoder(), background=background,
    )  # fmt: skip
    try:
        if items:
            await engine.put_items(LOCAL, items)
        await vectors_ready(engine)
        yield engine
    finally:
        await engine.close()


async def vectors_ready(engine):
    while engine.status()["vectors"]["missing"]:
        await asyncio.sleep(0.02)


class LiveNode:
    """A node that serves HTTP on a free port from a thread of its own; `http` is a client of it."""

    def __init__(self, directory, application, items=(), embedder=None, settings=None):
        self.directory = directory
        self._given = (application, items, embedder, settings)
        self._started = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        assert self._started.wait(60)
        if self._error is not None:
            self._thread.join()
            raise self._error
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def _main(self):
        try:
            uvloop.run(self._run(*self._given))
        except BaseException as error:
            self._error = error
            self._started.set()

    async def _run(self, application, items, embedder, settings):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with opened(self.directory, application, embedder=embedder, settings=settings, items=items) as engine:
            self.engine = engine
            rooms = (Models(engine), Rules(engine), Bids(engine), Learned(engine), Reasons(engine), Reviews(engine))
            pages = [*admin_routes(engine), *(route for room in rooms for route in room.routes())]
            app = node_app(engine, Access(), pages=pages, settings=PATIENT_HTTP)
            server = await serve_app(app, "127.0.0.1", 0)
            self.port = server.port
            self._started.set()
            await self._stop.wait()
            await server.stop()

    def run(self, coroutine):
        """A coroutine on the node's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def close(self):
        self.http.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def events_in(directory):
    """Every collected event in a data directory's ledger, decoded, in order."""
    return [
        decode_event(record.value)
        for frame in Directory(directory).frames()
        for entry in frame.entries
        if entry.topic == EVENTS_TOPIC
        for record in entry.records
    ]


def doubled(values):
    return [value for value, count in Counter(values).items() if count > 1]


def bytes_of(directory):
    """(path, content) of every file below a directory."""
    return [(path, path.read_bytes()) for path in sorted(directory.rglob("*")) if path.is_file()]
