"""The command line: `nextpaint COMMAND`. The only room that knows everything."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nextpaint import __version__
from nextpaint.cli import (
    commands,
    conforming,
    demo,
    evaluating,
    explaining,
    forgetting,
    loading,
    retaining,
    running,
    training,
)
from nextpaint.record.errors import NextpaintError

DEFAULT_URL = "http://127.0.0.1:8181"
DEFAULT_DATA = "nextpaint-data"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nextpaint", description="Real-time personalization in one process.")
    parser.add_argument("--version", action="version", version=f"nextpaint {__version__}")
    add = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = add.add_parser("demo", help="open a blueprint: the gift shop, real orders replayed, simulated shoppers")
    one.add_argument("--blueprint", default="retail", help="retail or media")
    one.add_argument("--seconds", type=float, help="stop by itself after this many seconds")
    one.add_argument("--report", type=Path, help="write the figures of the run to this JSON file")
    one.add_argument("--data", type=Path, help="the data directory (default: a new temporary one)")
    _address(one)
    one.set_defaults(run=demo.run)

    one = add.add_parser("init", help="make an application from your own files")
    one.add_argument("folder", type=Path)
    one.add_argument("--catalog", type=Path, required=True, help="a CSV or TSV file with one row per item")
    one.add_argument("--events", type=Path, help="an NDJSON file of events")
    one.add_argument("--column", action="append", default=[], metavar="ROLE=NAME", help="overrule a guess: item_id=SKU")
    one.add_argument("--force", action="store_true", help="overwrite files that are there")
    one.set_defaults(run=commands.init)

    one = add.add_parser("check", help="report every error of an application, and how each table is read")
    one.add_argument("folder", type=Path)
    one.add_argument("--data", type=Path, help="also whether the models in force in this data directory fit")
    one.set_defaults(run=commands.check)

    for name, words in (("plan", "show what a change would do to a running node"), ("apply", "make the change")):
        one = add.add_parser(name, help=words)
        one.add_argument("folder", type=Path)
        _client(one)
        one.set_defaults(run=commands.plan if name == "plan" else commands.apply)

    one = add.add_parser("run", help="open a node on an application")
    one.add_argument("folder", type=Path)
    one.add_argument("--data", type=Path, default=Path(DEFAULT_DATA))
    one.add_argument("--seconds", type=float, help="stop by itself after this many seconds")
    one.add_argument(
        "--accept-loss", action="store_true",
        help="start although retention took records and no checkpoint is left: state is made of the rest",
    )  # fmt: skip
    one.add_argument("--no-simulation", action="store_true", help="no replay of the application's files, no shoppers")
    _address(one)
    one.set_defaults(run=running.run)

    one = add.add_parser("sql", help="one SELECT over the live tables of a running node")
    one.add_argument("query")
    _client(one)
    one.set_defaults(run=commands.sql)

    one = add.add_parser("why", help="why a decision came out as it did, and what would have been otherwise")
    explaining.arguments(one)
    _client(one)

    one = add.add_parser("forget", help="erase a person, and get the receipt")
    forgetting.arguments(one)
    _client(one)

    _proofs(add)

    _learning(add)

    one = add.add_parser("key", help="create an API key for a data directory")
    one.add_argument("name")
    one.add_argument("--data", type=Path, default=Path(DEFAULT_DATA))
    one.add_argument("--scope", action="append", choices=("ingest", "decide", "read", "admin"))
    one.set_defaults(run=commands.key)
    return parser


def _proofs(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands that check or measure what we promise."""
    one = add.add_parser("verify", help="walk a data directory and check every byte")
    one.add_argument("directory", type=Path, nargs="?", help="not needed for --view with --signer")
    one.add_argument("--report", type=Path, help="recount the figures of this report from the ledger")
    one.add_argument("--decisions", type=int, default=0, metavar="N", help="recompute N decisions from the ledger")
    one.add_argument("--view", type=Path, help="check a regulator's view, or an export of a person, against the ledger")
    one.add_argument("--signer", metavar="PUBLIC", help="check the view's signature by this public key")
    one.set_defaults(run=commands.verify)

    one = add.add_parser("retain", help="what is kept how long, what goes next, and why the rest stays")
    retaining.arguments(one)
    _client(one)

    one = add.add_parser("signer", help="the public key that checks a node's signatures; makes the key where none is")
    one.add_argument("--data", type=Path, default=Path(DEFAULT_DATA))
    one.set_defaults(run=commands.signer)

    one = add.add_parser("conform", help="run SQL cases with the rows Apache Flink gives, and compare")
    conforming.arguments(one)
    one.set_defaults(run=conforming.run)

    one = add.add_parser("load", help="an open-loop load generator with honest latencies")
    loading.arguments(one, DEFAULT_URL)
    one.set_defaults(run=loading.run)


def _learning(add: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Commands that learn from logged decisions."""
    one = add.add_parser("evaluate", help="what another policy would have earned, from logged decisions")
    evaluating.arguments(one, DEFAULT_DATA)

    one = add.add_parser("train", help="a training set, and a model, from logged decisions and their outcomes")
    training.train_arguments(one, DEFAULT_DATA)

    one = add.add_parser("parity", help="prove that logged features are what history gives, bit for bit")
    training.parity_arguments(one, DEFAULT_DATA)

    one = add.add_parser("promote", help="put a model file in force on a running node")
    one.add_argument("name", help="as in Model(NAME, ...)")
    one.add_argument("file", type=Path)
    one.add_argument("--share", type=float, default=1.0, help="of people: below 1 it is a canary")
    one.add_argument("--shadow", action="store_true", help="rank nobody by it: compare only")
    _client(one)
    one.set_defaults(run=training.promote)

    one = add.add_parser("rollback", help="take back the last promotion of a model")
    one.add_argument("name")
    _client(one)
    one.set_defaults(run=training.rollback)


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8181, help="0 takes a free one")
    parser.add_argument(
        "--front",
        choices=("auto", "on", "off"),
        default="auto",
        help="hold connections in a process of their own (auto: where there is more than one core)",
    )
    parser.add_argument("--speed", type=float, help="how much faster than it happened orders are replayed")
    parser.add_argument("--shoppers", type=int, help="how many simulated shoppers (labelled so everywhere)")


def _client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=DEFAULT_URL)
    parser.add_argument("--key", help="an API key, for a node that has them")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 for a failed check, 2 for an error."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except NextpaintError as error:
        print(f"nextpaint: {error.what}", file=sys.stderr)
        for label, text in (("where", error.where), ("cure", error.cure)):
            if text:
                print(f"  {label}: {text.strip()}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has enough: `nextpaint check shop | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
