"""`nextpaint retain`: what is kept how long, what goes next, and why the rest stays; of a node or a directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nextpaint.cli.commands import Directory, ask
from nextpaint.connect.replay import iso_time
from nextpaint.engine.evaluating import application_of
from nextpaint.engine.retaining import classes_told, planned_told
from nextpaint.process import checkpoint
from nextpaint.record.errors import InvalidInput
from nextpaint.stream.recovery import scan
from nextpaint.stream.retention import judged_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("directory", type=Path, nargs="?", help="a data directory, read only (default: ask the node)")
    parser.add_argument("--now", action="store_true", help="let the node do now what it does every hour")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it. Nothing is changed without --now."""
    if options.now:
        if options.directory is not None:
            cure = "leave the directory out, and give --url; a node lets its own records go every hour"
            raise InvalidInput("only a running node lets records go", where="--now", cure=cure)
        report = ask(options, "POST", "/v1/retention/run", {})
        rewritten, emptied = len(report["rewritten"]), len(report["emptied"])
        print(f"{report['bytes_freed']} bytes given back: {rewritten} segments rewritten, {emptied} emptied, "
              f"{len(report['kept'])} stay as they are")  # fmt: skip
        if report["failed"]:
            print(f"it ended early: {report['failed']}")
        return 1 if report["failed"] else 0
    _print(ask(options, "GET", "/v1/retention") if options.directory is None else _offline(options.directory))
    return 0


def _offline(path: Path) -> dict[str, Any]:
    """What the node of this directory would do next. Held reviews are in its tables: here all stay."""
    ledger = Directory(path)
    retention = application_of(ledger).retention
    found = scan(ledger.disk, everything=True)
    if found.last is not None:
        found.segments[-1].note(found.last)
    kept = [header for each in checkpoint.positions(ledger.disk) if (header := checkpoint.header(ledger.disk, each))]
    floor = min((each.next_frame for each in kept), default=0)
    policy = retention.policy({"_reviews": 0})
    now = found.segments[-1].at if found.segments else 0
    plan = judged_of(found.segments, now, policy, floor)
    oldest = min(kept, key=lambda each: each.applied, default=None)
    return {
        "classes": classes_told(retention, found.segments), "replay_days": retention.replay_days,
        "horizon": None if oldest is None else {"seq": oldest.applied, "at_ms": oldest.at_ms},
        "segments": planned_told(plan), "next_ms": None,
    }  # fmt: skip


def _print(told: dict[str, Any]) -> None:
    print(f"{'class':<14} {'kept':<24} {'bytes':>14}  oldest")
    for each in told["classes"]:
        since = "-" if each["oldest_at_ms"] is None else iso_time(each["oldest_at_ms"])
        print(f"{each['class']:<14} {each['kept']:<24} {each['bytes']:>14}  {since}")
    print("everything else is kept for ever")
    horizon = told["horizon"]
    since = "there is no checkpoint yet" if horizon is None else f"now those since {iso_time(horizon['at_ms'])}"
    print(f"whatever is let go, decisions can be made again for {told['replay_days']} days at least: {since}")
    if told["next_ms"] is not None:
        print(f"the node looks again at {iso_time(told['next_ms'])}")
    for each in told["segments"]:
        if each["goes"]:
            what = "all of it" if each["whole"] else ", ".join(each["goes"])
            print(f"{each['segment']}: {what} goes, {each['bytes_freed']} of {each['bytes']} bytes")
        else:
            print(f"{each['segment']}: stays: {each['reason']}")
