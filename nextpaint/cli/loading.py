"""`nextpaint load`: the open-loop generator against a node, its own or one that runs already."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from nextpaint.connect.load import LoadReport, LoadSettings, run_load, to_json, to_text
from nextpaint.record.errors import NextpaintError


def arguments(parser: argparse.ArgumentParser, url: str) -> None:
    """The options of `load`."""
    parser.add_argument(
        "target", help=f"an application's folder (a node is started for it), or a node's address ({url})"
    )
    parser.add_argument("--events", type=float, default=2000.0, help="single events per second")
    parser.add_argument("--decisions", type=float, default=200.0, help="decisions per second")
    parser.add_argument("--bids", type=float, default=0.0, help="OpenRTB bid requests per second, tmax 100 ms")
    parser.add_argument("--bid-surface", default="ads", help="the surface that answers them")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--surface", help="default: the application's main surface, or home_carousel")
    parser.add_argument("--runs", type=int, default=1, help="repeat, and print the median run by decision p99")
    parser.add_argument("--data", type=Path, help="where the started node keeps its data; a tmpfs shows the node alone")
    parser.add_argument(
        "--acknowledged", type=Path, help="write the message id of every acknowledged event to this file"
    )
    parser.add_argument("--report", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--key", help="an API key, for a node that has them")


def run(options: argparse.Namespace) -> int:
    """Generate load and print what came back; exit 1 when anything failed."""
    reports = [_one(options) for _ in range(options.runs)]
    reports.sort(key=lambda report: report.kinds["decisions"].latency.p99_ms)
    median = reports[len(reports) // 2]
    print(to_text(median))
    if options.runs > 1:
        print(f"the median of {options.runs} runs by the p99 of decisions")
    if options.report is not None:
        options.report.write_bytes(to_json(median))
    return 1 if median.errors else 0


def _one(options: argparse.Namespace) -> LoadReport:
    folder = Path(options.target)
    if not folder.is_dir():
        return run_load(_settings(options, options.target, options.data))
    if options.data is not None:
        options.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nextpaint-load-", dir=options.data) as directory:
        port_file = Path(directory) / "port"
        command = [sys.executable, "-m", "nextpaint", "run", str(folder), "--data", f"{directory}/node", "--port", "0",
                   "--no-simulation"]  # fmt: skip
        with port_file.open("w+") as output:
            node = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                url = _address(node, port_file)
                _wait_for_vectors(url, node)
                return run_load(_settings(options, url, Path(directory)))
            finally:
                node.terminate()
                node.wait(60)


def _settings(options: argparse.Namespace, url: str, directory: Path | None) -> LoadSettings:
    return LoadSettings(
        url=url,
        events_per_s=options.events,
        decisions_per_s=options.decisions,
        seconds=options.seconds,
        surface=options.surface or "home_carousel",
        inputs={"page": "home"},
        api_key=options.key,
        directory=directory,
        acknowledged=options.acknowledged,
        bids_per_s=options.bids,
        bid_surface=options.bid_surface,
    )


def _address(node: subprocess.Popen[bytes], said: Path) -> str:
    """What the started node printed as its address."""
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline:
        for line in said.read_text().splitlines():
            if line.strip().startswith("shop "):
                return line.split()[1].rstrip("/")
        if node.poll() is not None:
            raise NextpaintError("the node did not start", where=said.read_text()[-2000:])
        time.sleep(0.1)
    raise NextpaintError("the node did not start within two minutes", where=said.read_text()[-2000:])


def _wait_for_vectors(url: str, node: subprocess.Popen[bytes]) -> None:
    """Item texts are embedded in the background after a first start; a load run begins when that is done."""
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline and node.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/console/api/status", timeout=10) as answer:
                if json.load(answer)["vectors"]["missing"] == 0:
                    return
        except urllib.error.URLError as error:
            raise NextpaintError(f"the node does not answer: {error}", where=url) from error
        time.sleep(0.25)
