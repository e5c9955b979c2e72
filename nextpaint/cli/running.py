"""`nextpaint run`, and what `demo` shares with it: a node in a loop, a live line, a clean stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

from nextpaint.cli.serving import ServeSettings, Serving
from nextpaint.engine import interpreter
from nextpaint.engine.node import NodeSettings
from nextpaint.process.kernels.warm import is_cold, warm

Report = dict[str, Any]
FRONTED = {"auto": None, "on": True, "off": False}  # of `--front`


def run(options: argparse.Namespace) -> int:
    """Run a node on an application until stopped."""
    settings = ServeSettings(
        options.folder, options.data, options.host, options.port, simulate=not options.no_simulation,
        speed=options.speed, shoppers=options.shoppers, fronted=FRONTED[options.front],
        node=NodeSettings(accept_loss=options.accept_loss),
    )  # fmt: skip
    serve_until_stopped(settings, options.seconds, greeting)
    return 0


def serve_until_stopped(
    settings: ServeSettings, seconds: float | None, greet: Callable[[Serving, float], None]
) -> Report:
    """Run a node until Ctrl-C, SIGTERM or `seconds`; gives its figures, taken after everything was applied."""
    return uvloop.run(_serve(settings, seconds, greet))


async def _serve(settings: ServeSettings, seconds: float | None, greet: Callable[[Serving, float], None]) -> Report:
    if is_cold():
        print("compiling the engine's kernels for this machine, once: up to a minute ...", flush=True)
        warm()
    began = time.perf_counter()
    _log_what_happens()
    serving = Serving(settings)
    await serving.start()
    interpreter.prepare()
    greet(serving, time.perf_counter() - began)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(_watch(serving, stop))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    watching.cancel()
    if sys.stdout.isatty():
        print()
    print("stopping: finishing what is under way ...", flush=True)
    report = await stopped(serving)
    serving.engine.node.require_running()
    print(
        f"stopped: {report['events']} events, {report['decisions']} decisions, {report['frames']} frames, "
        f"state {report['state_hash'][:12]}, everything durable",
        flush=True,
    )
    return report


def _log_what_happens() -> None:
    """What a node does by itself, such as letting records go, on standard error."""
    logger = logging.getLogger("nextpaint")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


async def stopped(serving: Serving) -> Report:
    """Stop a node and report what it saw; counts agree with a recount of its ledger."""
    engine, node = serving.engine, serving.engine.node
    await serving.stop()
    status = engine.status()
    latency = status["latency"]
    return {
        "application": status["application"],
        "seconds": status["uptime_s"],
        "events": status["totals"]["events"],
        "decisions": status["totals"]["decisions"],
        "frames": node.observed.frames.total,
        "state_hash": node.runner.state.hash(),
        "applied": node.runner.applied,
        "fraction_inside": status["fraction_inside"],
        "degraded": status["totals"]["degraded"],
        "quarantined": status["totals"]["quarantined"],
        "duplicates": status["totals"]["duplicates"],
        "simulated_calls": serving.crowd.sent,
        "replayed_order_lines": serving.replayed,
        "latencies": {
            "decide": latency["decide"], "decide_commit": latency["commit"],
            "ingest_commit": latency["ingest_commit"], "apply": latency["apply"],
            "longest_slice_ms": latency["longest_slice_ms"],
        },
        "stages": latency["stages"],
    }  # fmt: skip


def greeting(serving: Serving, seconds: float) -> None:
    """Where to look, and how long it took."""
    print(f"{serving.application.title}: ready in {seconds:.1f} s, data in {serving.settings.directory}")
    print(f"  {serving.page:<7}  {serving.url}/")
    print(f"  console  {serving.url}/console")
    print("  Ctrl-C stops it cleanly.", flush=True)


async def _watch(serving: Serving, stop: asyncio.Event) -> None:
    """One line about the node: in place on a terminal, every five seconds in a log. A node whose engine stopped is
    stopped."""
    terminal = sys.stdout.isatty()
    while True:
        await asyncio.sleep(1.0 if terminal else 5.0)
        if serving.engine.node.failure is not None:
            stop.set()
        status = serving.engine.status()
        rates, decide = status["rates"], status["latency"]["decide"]
        inside = status["fraction_inside"]
        line = (
            f"{status['totals']['events']:>8} events ({rates['events_per_s']:.0f}/s)  "
            f"{status['totals']['decisions']:>6} decisions p50 {decide['p50_ms']:.1f} p99 {decide['p99_ms']:.1f} ms  "
            f"inside {'-' if inside is None else f'{inside:.2%}'}  frame {status['positions']['frame']}  "
            f"vectors missing {status['vectors']['missing']}"
        )
        print(f"\r{line}\x1b[K" if terminal else line, end="" if terminal else "\n", flush=True)
