"""`nextpaint load`: events and decisions against a node, at a rate of their own, measured from when they were due.

In the same minute three things run side by side: single-event requests, decisions, and two yardsticks that share the
machine's mood: the node's echo endpoint at the rate of the decisions, and an append + fdatasync of 4 KB in the file
system of the node's data. A figure of ours means something beside theirs.

A decision is *inside* if it was answered within the surface's window, counted from when it was due, and was not
degraded. Refused, failed and unanswered decisions are outside.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import uvloop

from nextpaint.connect.open_loop import Stream, drive
from nextpaint.connect.sync_probe import Latencies, latencies
from nextpaint.connect.traffic import Traffic
from nextpaint.record.errors import InvalidInput, NextpaintError

WEB_RERANK_MS = 500.0
_SYNCS_PER_S = 20.0  # enough for a p99 in a minute, little enough not to be the load
_ITEMS_MAX = 50_000


class LoadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. `inputs` of the surface may hold "$item" for a random item; `directory` is where syncs are probed.

    `acknowledged` names a file that gets the message id of every acknowledged event after the warm-up, one a line.
    `bids_per_s`: OpenRTB bid requests for one banner of visitors, with this `tmax_ms`.
    """

    url: str = "http://127.0.0.1:8181"
    events_per_s: float = 2000.0
    decisions_per_s: float = 200.0
    seconds: float = 60.0
    warm_up_s: float = 2.0
    surface: str = "home_carousel"
    inputs: Mapping[str, Any] = msgspec.field(default_factory=dict)
    items_table: str = "catalog"
    window_ms: float | None = None  # None: as the answers say
    api_key: str | None = None
    visitors: int = 20_000
    directory: Path | None = None
    echo: bool = True
    seed: int = 1
    acknowledged: Path | None = None
    bids_per_s: float = 0.0
    bid_surface: str = "ads"
    tmax_ms: int = 100


class KindReport(msgspec.Struct, frozen=True):
    """One kind of request. Latencies are of the answered ones (200), from when each was due; `lag` is the client's."""

    sent: int
    ok: int
    refused: int
    errors: int
    latency: Latencies
    lag: Latencies
    error_examples: list[str]


class BidReport(msgspec.Struct, frozen=True):
    """What bid requests got: bids, no-bids by OpenRTB's reason (15: no time), and answers later than `tmax`, which an
    exchange does not hear. sent_late: those of the late ones that were answered within `tmax` of being sent: this
    client sent them too late."""

    tmax_ms: int
    bids: int
    none: dict[str, int]
    late: int
    sent_late: int = 0


class LoadReport(msgspec.Struct, frozen=True):
    """What a run saw. `fraction_inside` is inside / sent decisions; `sync` is None without a directory to probe.

    `commit` is what decisions waited for their record to be durable, from its append to the end of the sync,
    `answering` the time from then until the node came to their answer; `without_near_misses` counts decisions whose
    records have none, because other decisions waited; all as the node counts over its life, None when it does not say.
    """

    url: str
    seconds: float
    surface: str
    window_ms: float
    kinds: dict[str, KindReport]
    degraded: int
    inside: int
    fraction_inside: float
    fraction_degraded: float
    candidates: dict[str, int]
    sync: Latencies | None
    commit: Latencies | None = None
    answering: Latencies | None = None
    without_near_misses: int | None = None
    bidding: BidReport | None = None

    @property
    def errors(self) -> int:
        return sum(kind.errors for kind in self.kinds.values())


class _NodeLatencies(msgspec.Struct):
    commit: Latencies | None = None
    answering: Latencies | None = None


class _NodeTotals(msgspec.Struct):
    without_near_misses: int | None = None


class _Status(msgspec.Struct):
    latency: _NodeLatencies = msgspec.field(default_factory=_NodeLatencies)
    totals: _NodeTotals = msgspec.field(default_factory=_NodeTotals)


class _Item(msgspec.Struct):
    id: str


class _Budget(msgspec.Struct):
    window_ms: float | None = None


class _Answer(msgspec.Struct):
    decision_id: str
    items: list[_Item]
    degraded: list[Any] = []
    budget: _Budget = msgspec.field(default_factory=_Budget)
    candidates: int | None = None


class _BidAnswer(msgspec.Struct):
    nbr: int | None = None


class _Run:
    """Counts what the answers say."""

    def __init__(self, settings: LoadSettings, traffic: Traffic) -> None:
        self._settings = settings
        self._traffic = traffic
        self._answers = msgspec.json.Decoder(_Answer)
        self.acknowledged: list[str] = []
        self.window_ms = settings.window_ms or WEB_RERANK_MS
        self.degraded = 0
        self.inside = 0
        self.candidates: list[int] = []
        self.bids = self.bids_late = self.bids_sent_late = 0
        self.no_bids: Counter[str] = Counter()

    def event_answered(self, context: object, body: bytes, latency_s: float) -> None:
        if self._settings.acknowledged is not None:
            self.acknowledged.append(str(context))

    def decision_answered(self, context: object, body: bytes, latency_s: float) -> None:
        answer = self._answers.decode(body)
        if self._settings.window_ms is None and answer.budget.window_ms:
            self.window_ms = answer.budget.window_ms
        if answer.degraded:
            self.degraded += 1
        elif latency_s * 1000 <= self.window_ms:
            self.inside += 1
        if answer.candidates is not None:
            self.candidates.append(answer.candidates)
        assert isinstance(context, dict)
        self._traffic.decided(context, answer.decision_id, self._settings.surface, [each.id for each in answer.items])

    def bid_answered(self, stream: Stream, body: bytes, latency_s: float) -> None:
        nbr = msgspec.json.decode(body, type=_BidAnswer).nbr
        if latency_s * 1000 > self._settings.tmax_ms:
            self.bids_late += 1
            self.bids_sent_late += stream.since_sent_s * 1000 <= self._settings.tmax_ms
        elif nbr is None:
            self.bids += 1
        else:
            self.no_bids[str(nbr)] += 1


def run_load(settings: LoadSettings) -> LoadReport:
    """Run the load in this process and return what was seen. Raises NextpaintError if the node cannot be used."""
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection in the client would be read as a stall of the node
    try:
        return uvloop.run(load(settings))
    finally:
        gc.enable()
        gc.unfreeze()


async def load(settings: LoadSettings) -> LoadReport:
    """As `run_load`, on a running loop."""
    host, port = _address(settings.url)
    items = await _items(settings, host, port)
    traffic = Traffic(items, settings.visitors, settings.inputs, seed=settings.seed, run=secrets.token_hex(4))
    run = _Run(settings, traffic)
    streams = _streams(settings, f"{host}:{port}", traffic, run)
    probe = None if settings.directory is None else await _start_probe(settings.directory, settings)
    try:
        await drive(streams, (host, port), warm_up_s=settings.warm_up_s, seconds=settings.seconds, seed=settings.seed)
    except OSError as error:
        raise _unreachable(settings.url, error) from error
    sync = None if probe is None else await _probe_result(probe)
    if settings.acknowledged is not None:
        settings.acknowledged.write_text("".join(f"{each}\n" for each in run.acknowledged))
    return _report(settings, streams, run, sync, await _status(settings, host, port))


def _streams(settings: LoadSettings, authority: str, traffic: Traffic, run: _Run) -> list[Stream]:
    def head(path: str) -> bytes:
        key = f"Authorization: Bearer {settings.api_key}\r\n" if settings.api_key else ""
        text = f"POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n{key}Content-Length: "
        return text.encode()

    track, echo = head("/v1/track"), head("/v1/echo")
    decide = head("/v1/decide/" + quote(settings.surface, safe=""))

    def event() -> tuple[object, bytes]:
        message_id, body = traffic.event()
        return message_id, b"%b%d\r\n\r\n%b" % (track, len(body), body)

    def decision() -> tuple[object, bytes]:
        who, body = traffic.request()
        return who, b"%b%d\r\n\r\n%b" % (decide, len(body), body)

    def echoed() -> tuple[object, bytes]:
        _, body = traffic.request()
        return None, b"%b%d\r\n\r\n%b" % (echo, len(body), body)

    bid = head(f"/v1/bid/{quote(settings.bid_surface, safe='')}?nbr=1")

    def bidding() -> tuple[object, bytes]:
        body = traffic.bid_request(settings.tmax_ms)
        return None, b"%b%d\r\n\r\n%b" % (bid, len(body), body)

    bids = Stream("bids", settings.bids_per_s, bidding)
    bids.answered = lambda _, body, latency_s: run.bid_answered(bids, body, latency_s)
    return [
        Stream("events", settings.events_per_s, event, run.event_answered),
        Stream("decisions", settings.decisions_per_s, decision, run.decision_answered),
        Stream("echo", settings.decisions_per_s if settings.echo else 0.0, echoed),
        *([bids] if settings.bids_per_s else []),
    ]


def _report(
    settings: LoadSettings, streams: list[Stream], run: _Run, sync: Latencies | None, node: _Status
) -> LoadReport:
    kinds = {
        stream.name: KindReport(
            stream.sent,
            stream.ok,
            stream.refused,
            stream.errors,
            latencies(stream.latencies_s.tolist()),
            latencies(stream.lags_s.tolist()),
            stream.error_examples,
        )
        for stream in streams
    }
    decisions = kinds["decisions"].sent or 1
    candidates = {"min": min(run.candidates), "max": max(run.candidates)} if run.candidates else {}
    return LoadReport(
        url=settings.url,
        seconds=settings.seconds,
        surface=settings.surface,
        window_ms=run.window_ms,
        kinds=kinds,
        degraded=run.degraded,
        inside=run.inside,
        fraction_inside=round(run.inside / decisions, 6),
        fraction_degraded=round(run.degraded / decisions, 6),
        candidates=candidates,
        sync=sync,
        commit=node.latency.commit,
        answering=node.latency.answering,
        without_near_misses=node.totals.without_near_misses,
        bidding=BidReport(settings.tmax_ms, run.bids, dict(run.no_bids), run.bids_late, run.bids_sent_late)
        if settings.bids_per_s
        else None,
    )


def to_json(report: LoadReport) -> bytes:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def to_text(report: LoadReport) -> str:
    """The report as a table for a terminal."""
    lines = [
        f"{report.url}  {report.seconds:g} s, open loop, latency from when each request was due, in ms",
        f"{'':12}{'sent':>9}{'ok':>9}{'refused':>9}{'errors':>8}"
        + "".join(f"{each:>9}" for each in ("p50", "p99", "p99.9", "max", "lag p99")),
    ]
    for name, kind in report.kinds.items():
        counts = f"{name:12}{kind.sent:>9}{kind.ok:>9}{kind.refused:>9}{kind.errors:>8}"
        lines.append(counts + _cells(kind.latency) + f"{kind.lag.p99_ms:>9.2f}")
    node = (("fdatasync", report.sync), ("commit wait", report.commit), ("answer wait", report.answering))
    for name, waits in node:
        if waits is not None:
            lines.append(f"{name:12}{waits.count:>9}{waits.count:>9}{'':>17}" + _cells(waits))
    lines.append(
        f"{report.surface}: {report.fraction_inside:.2%} inside {report.window_ms:g} ms, "
        f"degraded {report.degraded} ({report.fraction_degraded:.2%}, not counted as inside)"
    )
    if report.without_near_misses:
        lines.append(f"{report.without_near_misses} decisions are recorded without near misses: others waited")
    if report.bidding is not None:
        none = ", ".join(f"{count} with nbr {reason}" for reason, count in sorted(report.bidding.none.items()))
        lines.append(
            f"bids: {report.bidding.bids} within {report.bidding.tmax_ms} ms; no bid: {none or 'none'}; "
            f"answered later: {report.bidding.late}, {report.bidding.sent_late} of them because they were sent later"
        )
    if report.candidates:
        lines.append(f"candidates of a decision: {report.candidates['min']} to {report.candidates['max']}")
    for name, kind in report.kinds.items():
        lines += [f"{name} error: {each}" for each in kind.error_examples]
    return "\n".join(lines)


def _cells(latency: Latencies) -> str:
    return "".join(f"{each:>9.2f}" for each in (latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms))


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{url} is not an address: {error}", where="load", cure="give http://host:port") from error
    if parts.scheme != "http" or not host:
        raise InvalidInput(f"{url} is not an http address", where="load", cure="give http://host:port")
    return host, port or 80


async def _items(settings: LoadSettings, host: str, port: int) -> list[str]:
    """Item ids from the node itself, over its own SQL."""
    sql = f"SELECT item_id FROM {settings.items_table}"
    status, body = await _post(settings, host, port, "/v1/query", msgspec.json.encode({"sql": sql}))
    if status != 200:
        shown = body.decode(errors="replace")[:300]
        raise NextpaintError(
            f"the node did not list its items: {status} {shown}", where=sql, cure="check --items-table"
        )
    rows = msgspec.json.decode(body)["rows"]
    items = [str(row[0]) for row in rows[:_ITEMS_MAX]]
    if not items:
        raise NextpaintError(f"the table {settings.items_table} is empty", where=sql, cure="load items first")
    return items


async def _status(settings: LoadSettings, host: str, port: int) -> _Status:
    """What the node says of its decisions."""
    try:
        status, body = await _request(settings, host, port, "GET /console/api/status")
    except NextpaintError:  # gone by now: what was measured before is worth more than these lines
        return _Status()
    return msgspec.json.decode(body, type=_Status) if status == 200 else _Status()


async def _post(settings: LoadSettings, host: str, port: int, path: str, body: bytes) -> tuple[int, bytes]:
    return await _request(settings, host, port, f"POST {path}", body)


async def _request(settings: LoadSettings, host: str, port: int, what: str, body: bytes = b"") -> tuple[int, bytes]:
    key = f"Authorization: Bearer {settings.api_key}\r\n" if settings.api_key else ""
    head = f"{what} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n{key}Content-Length: {len(body)}\r\n\r\n"
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(head.encode() + body)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    except (OSError, TimeoutError) as error:
        raise _unreachable(settings.url, error) from error
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    status = head_bytes[9:12]
    return (int(status) if status.isdigit() else 0), content


def _unreachable(url: str, error: BaseException) -> NextpaintError:
    return NextpaintError(f"the node cannot be reached: {error}", where=url, cure="start it with `nextpaint run`")


async def _start_probe(directory: Path, settings: LoadSettings) -> asyncio.subprocess.Process:
    arguments = (str(directory), str(settings.seconds), str(_SYNCS_PER_S))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nextpaint.connect.sync_probe", *arguments, stdout=asyncio.subprocess.PIPE
    )


async def _probe_result(probe: asyncio.subprocess.Process) -> Latencies:
    out, _ = await probe.communicate()
    if probe.returncode != 0:
        raise NextpaintError("the sync probe failed", where="--directory", cure="give a directory that can be written")
    return msgspec.json.decode(out, type=Latencies)
