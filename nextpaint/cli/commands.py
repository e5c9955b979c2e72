"""Commands that look, ask or make something once."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nextpaint.application import SETTINGS, SURFACES, Application
from nextpaint.connect import scaffold
from nextpaint.decide import Decider
from nextpaint.decide.codec import decoded
from nextpaint.decide.model import MODELS
from nextpaint.engine.explaining import SIGNING_KEY
from nextpaint.engine.facade import BUILT_IN
from nextpaint.engine.kept import horizon, kept_text, nearest, short, topics_of
from nextpaint.engine.proving import checked
from nextpaint.engine.recomputation import Recomputation, decisions_of
from nextpaint.engine.registry import ModelFiles, check_models
from nextpaint.engine.replay import DECISIONS_TOPIC, Replay, gone_text
from nextpaint.govern.access import create_key
from nextpaint.govern.paper import attached
from nextpaint.govern.signing import KEY_BYTES, Signer
from nextpaint.govern.signing import checked as checked_signature
from nextpaint.ports import ReadOnlyDisk, SystemClock, SystemRandom
from nextpaint.process.graph import build
from nextpaint.process.live import Tables
from nextpaint.process.runner import Runner
from nextpaint.record.errors import InvalidInput, NextpaintError, NotFound
from nextpaint.stream.frame import EntryKind, Frame
from nextpaint.stream.lost import Lost, lost_in
from nextpaint.stream.verify import verify as verify_ledger
from nextpaint.stream.verify import walk_frames

EVERYTHING = 2**63 - 1


# ---------------------------------------------------------------- applications


def init(options: argparse.Namespace) -> int:
    """Make an application folder out of a catalogue and, if given, events."""
    columns = dict(_pair(each) for each in options.column)
    created = scaffold.create(options.folder, options.catalog, options.events, columns=columns, force=options.force)
    for line in (*created.guesses, *created.notes):
        print(line)
    print(f"{created.folder}: {created.items} items, {created.events} events, {created.orders} orders")
    print(f"next: nextpaint run {created.folder}")
    return 0


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals:
        raise InvalidInput(f"--column {text}", cure="write ROLE=NAME, as in item_id=SKU")
    return role, name


def check(options: argparse.Namespace) -> int:
    """Errors raise ApplicationError, which `main` prints whole."""
    application = Application.load(options.folder)
    Decider(application.surfaces, application.program.tables, SystemClock(), application.hash)
    if options.data is not None:
        _check_models(application, Directory(options.data))
    for warning in application.warnings:
        print(warning)
    print(f"{application.name}: {len(application.program.tables)} tables, {len(application.surfaces)} surfaces, "
          f"application {application.hash[:12]}")  # fmt: skip
    print(f"{'table':<22} {'by key':<7} {'whole':<7} {'as of':<9} state is bounded by")
    tables = Tables(Runner(application.design))
    for name, live in tables.live.items():
        if not name.startswith("_"):
            reach = live.reach
            by_key, whole = ("live" if yes else "final" for yes in (reach.by_key, reach.whole))
            print(f"{name:<22} {by_key:<7} {whole:<7} {reach.as_of:<9} {live.bound}")
    for line in kept_lines(application):
        print(line)
    for surface in application.surfaces:
        print()
        print(surface)
    return 0


def kept_lines(application: Application) -> Iterator[str]:
    """How long what is kept, and what could not be made anew from it."""
    retention = application.retention
    limits = [f"{name} {kept_text(retention, name)}" for name in retention.classes]
    yield f"kept: {'; '.join([*limits, 'everything else for ever'] if limits else ['everything for ever'])}"
    for name, why in short(topics_of(build(application.design)), retention).items():
        if not name.startswith("_") and name not in BUILT_IN:
            yield f"  {name} made anew goes no further back than its records: {why}"


def _check_models(application: Application, ledger: Directory) -> None:
    """Raises InvalidInput when a model in force in this data directory does not fit a surface."""
    replay = Replay(ledger, start=nearest(ledger, ledger.disk, EVERYTHING))
    replay.advance(EVERYTHING)
    if replay.runner is not None:
        rows = replay.tables.reading(0).rows(MODELS.name, ())
        for line in check_models(rows, ModelFiles(ledger.disk), application.surfaces):
            print(line)


def plan(options: argparse.Namespace) -> int:
    """Show what applying a folder would keep, rebuild and drop."""
    _print_change(ask(options, "POST", "/v1/application/plan", _files(options.folder)))
    return 0


def apply(options: argparse.Namespace) -> int:
    """Put a folder in force on a running node."""
    answer = ask(options, "PUT", "/v1/application", _files(options.folder))
    _print_change(answer)
    print(f"in force from {answer['position']}: application {answer['hash'][:12]}")
    return 0


def _files(folder: Path) -> dict[str, Any]:
    Application.load(folder)  # say what is wrong here, with file names, before anything is sent
    names = [*folder.glob("*.sql"), folder / SURFACES, folder / SETTINGS]
    return {"files": {path.name: path.read_text() for path in names if path.is_file()}}


def _print_change(change: dict[str, Any]) -> None:
    for what in ("kept", "rebuilt", "dropped"):
        print(f"{what:<8} {', '.join(change[what]) or '-'}")
    for name, history in change["history"].items():
        print(f"{name}: made of what is left; history missing before {history['since']}")
    for name, why in change["short"].items():
        print(f"{name}: made anew it goes no further back than its records: {why}")


# ---------------------------------------------------------------- a running node


def sql(options: argparse.Namespace) -> int:
    """Print the rows of one query as a table."""
    answer = ask(options, "POST", "/v1/query", {"sql": options.query})
    names = [each["name"] for each in answer["columns"]]
    if names == ["result"]:  # a plan or a definition: a text of its own
        print("\n".join(str(row[0]) for row in answer["rows"]))
        return 0
    rows = [[_shown(value) for value in row] for row in answer["rows"]]
    widths = (
        [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)] if rows else map(len, names)
    )
    sizes = list(widths)
    for row in (names, ["-" * size for size in sizes], *rows):
        print("  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip())
    print(f"{len(rows)} rows at {answer['position']}")
    return 0


def _shown(value: Any) -> str:
    text = "NULL" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Directory:
    """The ledger of a data directory, read without its lock and without leave to write: a copy or a read-only mount
    will do."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotFound("there is no such data directory", where=str(path))
        self.disk = ReadOnlyDisk(path)
        self._lost: list[Lost] | None = None

    def frames(self, start: int = 0) -> Iterator[Frame]:
        return (frame for frame in walk_frames(self.disk) if frame.number >= start)

    def lost(self) -> list[Lost]:
        """What was gone when it was first asked."""
        if self._lost is None:
            self._lost = lost_in(self.disk)
        return self._lost


# ---------------------------------------------------------------- verification


def verify(options: argparse.Namespace) -> int:
    """Walk a ledger, recount a report, recompute decisions; exit 1 when something does not hold."""
    signed = _signature(options)
    if options.directory is None:
        return 0 if signed else 1
    ledger = Directory(options.directory)
    report = verify_ledger(ledger.disk)
    print(report)
    ok = report.ok and signed
    if ok and options.report is not None:
        ok = _recounted(ledger, json.loads(options.report.read_text()))
    if ok and options.decisions:
        ok = _recomputed(ledger, options.decisions)
    if ok and options.view is not None:
        ok = _viewed(ledger, options.view)
    return 0 if ok else 1


def _signature(options: argparse.Namespace) -> bool:
    """Whether a view is signed by the key that is given; True where none is."""
    if options.signer is None:
        if options.directory is None:
            cure = "give a data directory, or a view with --view FILE --signer PUBLIC"
            raise InvalidInput("there is nothing to check", where="nextpaint verify", cure=cure)
        return True
    said = None if options.view is None else _said(options.view)
    if not isinstance(said, dict):
        raise InvalidInput("a signature is that of one view", where="--signer", cure="give it with --view FILE")
    wrong = checked_signature(said, options.signer)
    print(f"the view {'is signed by this key, and was not changed since' if not wrong else f'is NOT proved: {wrong}'}")
    return not wrong


def signer(options: argparse.Namespace) -> int:
    """Print the public key of a data directory's signatures, of a new key where there is none."""
    options.data.mkdir(parents=True, exist_ok=True)
    path = options.data / SIGNING_KEY
    held = Signer.open(path)
    print((held or Signer.create(path, SystemRandom().token(KEY_BYTES))).public)
    if held is None:
        print(f"made {path}: back it up; a running node signs with it once it is started again", file=sys.stderr)
    return 0


def _said(path: Path) -> Any:
    try:
        data = path.read_bytes()
        return json.loads(attached(data) if data.startswith(b"%PDF-") else data)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the view cannot be read: {error}", where=str(path)) from error


def _viewed(ledger: Directory, path: Path) -> bool:
    """Whether a regulator's view, or an export of a person, says what the ledger says."""
    said = _said(path)
    views = said.get("decisions", [said]) if isinstance(said, dict) else said
    if not isinstance(views, list) or not all(isinstance(each, dict) for each in views):
        raise InvalidInput("this is no view and no export", where=str(path), cure="as /v1/decisions/ID?view=regulator")
    problems = checked(ledger, views)
    for problem in problems:
        print(f"  {problem}")
    print(f"{len(views)} views: {'they say what the ledger says' if not problems else 'NOT what the ledger says'}")
    return not problems


def _recounted(ledger: Directory, report: dict[str, Any]) -> bool:
    """The figures of a report that the ledger can tell, counted again."""
    counted = {"events": 0, "decisions": 0, "degraded": 0, "frames": 0}
    for frame in ledger.frames():
        counted["frames"] += bool(frame.entries)
        for entry in frame.entries:
            if entry.topic == "events" and entry.kind is EntryKind.INPUT:
                counted["events"] += entry.count
            elif entry.topic == DECISIONS_TOPIC:
                counted["decisions"] += len(entry.records)
                records = (decoded(record.value or b"") for record in entry.records)
                counted["degraded"] += sum(bool(record.degraded) for record in records)
    replay = Replay(ledger, start=nearest(ledger, ledger.disk, EVERYTHING))
    replay.advance(EVERYTHING)
    found: dict[str, Any] = {"state_hash": replay.runner.state.hash() if replay.runner else ""}
    taken = ledger.lost()
    if taken:
        print(f"retention let {gone_text(taken) or 'records'} go: counts of the whole cannot be recounted")
    else:
        found = {**counted, **found}
    agreed = True
    for name, value in found.items():
        same = report.get(name) == value
        agreed &= same
        print(f"  {name}: {value} {'as reported' if same else f'but the report says {report.get(name)}'}")
    print("the report agrees with the ledger" if agreed else "the report does NOT agree with the ledger")
    return agreed


def _recomputed(ledger: Directory, most: int) -> bool:
    records = sorted((record for _, record in decisions_of(ledger)), key=lambda record: record.position)
    begin = horizon(ledger, ledger.disk)
    before = sum(record.position < begin.seq for record in records)
    if before:
        print(f"{before} decisions are recorded, no longer recomputable: states are made again from {begin.told}")
        records = records[before:]
    chosen = records[:: max(1, len(records) // most)][:most]
    if not chosen:
        print("no decision to recompute")
        return True
    different = 0
    again = Recomputation(ledger, SystemClock(), start=begin.start, rankers=ModelFiles(ledger.disk))
    for verdict in again.verdicts(chosen):
        if not verdict.identical:
            different += 1
            print(f"  {verdict.decision_id} at seq {verdict.position}: {'; '.join(verdict.differences)[:300]}")
    same = len(chosen) - different
    print(f"recomputed {len(chosen)} decisions from {begin.told}: {same} identical, {different} different")
    return not different


def key(options: argparse.Namespace) -> int:
    """Create an API key and show it once."""
    options.data.mkdir(parents=True, exist_ok=True)
    made = create_key(
        options.data / "api-keys.json", options.name, options.scope or ["ingest", "decide"], SystemRandom()
    )
    print(made)
    print("This is shown once. Send it as: Authorization: Bearer KEY", file=sys.stderr)
    return 0


# ---------------------------------------------------------------- HTTP


def ask(options: argparse.Namespace, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """One call of a running node's API; its errors become ours."""
    request = urllib.request.Request(options.url.rstrip("/") + path, method=method)
    request.add_header("content-type", "application/json")
    if options.key:
        request.add_header("authorization", f"Bearer {options.key}")
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=300) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        told = json.loads(error.read() or b"{}").get("error", {})
        raise NextpaintError(
            told.get("what", f"HTTP {error.code}"), where=told.get("where", path), cure=told.get("cure", "")
        ) from error
    except (urllib.error.URLError, OSError) as error:
        raise NextpaintError(
            f"no node answers: {error}", where=options.url, cure="start one with `nextpaint run FOLDER`, or give --url"
        ) from error
