"""`nextpaint why`: why a decision came out as it did, whether it recomputes, and what would have been otherwise."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from nextpaint.cli.commands import Directory, ask
from nextpaint.connect.replay import iso_time
from nextpaint.decide import DecisionRecord, deidentified
from nextpaint.decide.explain import VIEWS, explain
from nextpaint.engine.auditing import reads_in, stated
from nextpaint.engine.evaluating import application_of
from nextpaint.engine.explaining import NO_LONGER, erased_since, since
from nextpaint.engine.gone import erased_in, gone_of
from nextpaint.engine.kept import Term, horizon, nearest
from nextpaint.engine.proving import VIEW as REGULATOR
from nextpaint.engine.proving import Stored, viewed
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.registry import ModelFiles
from nextpaint.engine.replay import DECISIONS_TOPIC, gone_from, moment
from nextpaint.engine.supposing import LAST_VIEW, Change, Source, Supposing
from nextpaint.govern.paper import on_paper
from nextpaint.ports import SystemClock
from nextpaint.record.errors import InvalidInput, NotFound, ReplayError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("decision", nargs="?")
    parser.add_argument("--view", choices=VIEWS, default="user")
    parser.add_argument("--replay", action="store_true", help="recompute it from the ledger and compare")
    parser.add_argument("--what-if", action="append", default=[], metavar="[ITEM:]COLUMN=VALUE",
                        help="recompute it with another fact of an item (default: the first one shown)")  # fmt: skip
    parser.add_argument("--forget-last-view", action="store_true", help="recompute it without the person's last view")
    parser.add_argument("--forget", action="append", default=[], metavar="MESSAGE_ID",
                        help="recompute it without this event")  # fmt: skip
    parser.add_argument("--without", action="append", default=[], metavar="FEATURE",
                        help="recompute it with a feature that nobody has")  # fmt: skip
    parser.add_argument("--unprofiled", action="store_true", help="recompute it without a profile")
    parser.add_argument("--purpose", default="", help="what it is read for; goes on record with who read it")
    parser.add_argument("--person", metavar="ID", help="instead of a decision: a userId, or anonymous:ID")
    parser.add_argument("--export", type=Path, metavar="FILE",
                        help="write the view as JSON, or into FILE.pdf as a PDF with the JSON attached; or all that is "
                        "kept about the person")  # fmt: skip
    parser.add_argument("--reads", action="store_true",
                        help="who read the decision, or any without one; needs --data")  # fmt: skip
    parser.add_argument("--data", type=Path, help="read this data directory instead of asking a node")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain a decision; exit 1 when its replay differs."""
    if stated(options.purpose) and options.data is not None:
        cure = "leave --purpose out, or ask the node with --url"
        raise InvalidInput("reading a directory leaves no record of what it is read for", where="--purpose", cure=cure)
    if options.person is not None or (options.export is not None and options.decision is None):
        return _export(options)
    if options.reads:
        return _reads(options)
    if options.decision is None:
        raise InvalidInput("nothing is asked about", cure="name a decision, or a person with --person ID --export FILE")
    supposes = bool(options.what_if or options.forget or options.forget_last_view or options.without)
    if supposes or options.unprofiled:
        return _what_if(options)
    if options.data is not None:
        answer = _offline(options)
    else:
        asked = {"view": options.view, "purpose": options.purpose, **({"replay": "1"} if options.replay else {})}
        answer = ask(options, "GET", f"/v1/decisions/{options.decision}?{urlencode(asked)}")
    if options.export is not None:
        if options.export.suffix == ".pdf":
            options.export.write_bytes(on_paper(answer))
        else:
            options.export.write_text(json.dumps(answer, indent=1))
        print(f"{options.export}: the {options.view}'s view of {options.decision}")
    said = answer.pop("text", None)
    print(said or json.dumps(answer, indent=2))
    if said and "kept" in answer:
        print(answer["kept"])
    if "replay" in answer:
        print(f"replay: {answer['replay']['verdict']} (from {answer['replay'].get('from', '-')})")
        if "reason" in answer["replay"]:
            print(f"  {answer['replay']['reason']}")
        for difference in answer["replay"].get("differences", ()):
            print(f"  {difference}")
        return 0 if answer["replay"]["verdict"].partition(",")[0] == "identical" else 1
    return 0


def _export(options: argparse.Namespace) -> int:
    """Everything about one person into a file, as one JSON object."""
    if options.person is None or options.export is None or options.data is not None:
        raise InvalidInput("an export needs a person, a file and a running node", cure="--person ID --export FILE")
    anonymous = options.person.startswith("anonymous:")
    who = {"anonymousId" if anonymous else "userId": options.person.removeprefix("anonymous:")}
    total: dict[str, Any] = {}
    while not total or total["more"]:
        skip = len(total.get("decisions", ()))
        answer = ask(options, "GET", f"/v1/person?{urlencode({**who, 'skip': skip, 'purpose': options.purpose})}")
        answer["decisions"] = total.get("decisions", []) + answer["decisions"]
        total = answer
    options.export.write_text(json.dumps(total, indent=1))
    print(f"{options.export}: {len(total['decisions'])} decisions, rows in {', '.join(total['profile']) or 'no table'}")
    print(f"`nextpaint verify DIRECTORY --view {options.export}` checks it against the ledger")
    return 0


def _reads(options: argparse.Namespace) -> int:
    """Who read a decision, or any."""
    if options.data is None:
        raise InvalidInput("reads are listed from a data directory", cure="--data DIRECTORY")
    for read in reads_in(Directory(options.data), options.decision or ""):
        many = f"{len(read.decisions)} decisions" if len(read.decisions) > 1 else " ".join(read.decisions)
        said = " ".join(
            filter(None, (read.what, read.view, many or "nothing", f"for {read.purpose}" * bool(read.purpose)))
        )
        print(f"{iso_time(read.at_ms)} {read.who}: {said}")
    return 0


def _offline(options: argparse.Namespace) -> dict[str, Any]:
    """From a data directory, also of a node that runs, a copy or a read-only one: nothing is locked or changed, and
    nobody is put on record. Items have no titles: those are in the node's tables."""
    ledger = Directory(options.data)
    stored = _stored(ledger, options)
    record = stored.record
    gone = gone_of(record.subjects, erased_in(ledger))
    if options.view == REGULATOR:
        answer = viewed(stored, {}, gone)
    else:
        answer = explain(record, options.view) if gone is None else deidentified.told(record, options.view, {}, gone)
    term = _term(ledger, record)
    answer["kept"], answer["retention"] = term.sentence, term.told()
    if options.replay:
        answer["replay"] = since(_replayed(ledger, record), gone)
    return answer


def _term(ledger: Directory, record: DecisionRecord) -> Term:
    begin, taken = horizon(ledger, ledger.disk), bool(gone_from(ledger))
    return Term(application_of(ledger).retention, record.time_ms, record.position >= begin.seq, taken)


def _replayed(ledger: Directory, record: DecisionRecord) -> dict[str, Any]:
    """Whether a decision recomputes identically from the directory alone."""
    try:
        start = nearest(ledger, ledger.disk, record.position)
        again = Recomputation(ledger, SystemClock(), start=start, rankers=ModelFiles(ledger.disk))
        verdict = next(again.verdicts([record]))
    except ReplayError as error:
        return {"verdict": NO_LONGER, "reason": str(error)}
    said = "identical" if verdict.identical else "different"
    from_ = "the first record" if start is None else f"the checkpoint at seq {start.header.applied}"
    return {"verdict": said, "differences": verdict.differences, "from": from_}


def _stored(ledger: Directory, options: argparse.Namespace) -> Stored:
    wanted = str(options.decision).encode()
    for frame in ledger.frames():
        for entry, held in enumerate(frame.entries):
            if held.topic == DECISIONS_TOPIC:
                for at, record in enumerate(held.records):
                    if record.key == wanted:
                        return Stored.of(frame, entry, at)
    if any(DECISIONS_TOPIC in each.topics for each in ledger.lost()):
        taken = moment(max(each.until for each in ledger.lost() if DECISIONS_TOPIC in each.topics))
        raise NotFound(
            f"unknown decision {options.decision!r}, or one whose record was let go: decisions of before {taken} were",
            where=str(options.data), cure="how long records are kept is declared in [retention] of nextpaint.toml",
        )  # fmt: skip
    raise NotFound(f"unknown decision {options.decision!r}", where=str(options.data))


# ---------------------------------------------------------------- what if


def _what_if(options: argparse.Namespace) -> int:
    """Print the cards that move when something is changed."""
    if options.data is not None:
        ledger = Directory(options.data)
        record = _stored(ledger, options).record
        gone = gone_of(record.subjects, erased_in(ledger))
        if gone is not None:
            raise erased_since(gone, record.decision_id)
        disk = ledger.disk if gone_from(ledger) else None
        source = Source(ledger, SystemClock(), ModelFiles(ledger.disk), disk)
        answer = Supposing(source).answer(record, _change(options, record.items[0].id if record.items else ""))
    else:
        path, first = f"/v1/decisions/{options.decision}", ""
        if any(":" not in each.partition("=")[0] for each in options.what_if):
            shown = ask(options, "GET", f"{path}?view=support")["items"]
            first = shown[0]["id"] if shown else ""
        answer = ask(options, "POST", f"{path}/what-if", msgspec.to_builtins(_change(options, first)))
    print(answer["text"])
    if answer["proved"]:
        print("Unchanged, it recomputes identically.")
    print(f"{'before':>6} {'after':>6}  {'score':>18}  item")
    for card in answer["cards"]:
        if card["before"] != card["after"]:
            scores = f"{_number(card['score_before'])} -> {_number(card['score_after'])}"
            print(f"{_place(card['before']):>6} {_place(card['after']):>6}  {scores:>18}  "
                  f"{card['title'] or card['id']}: {card['because']}")  # fmt: skip
    return 0


def _change(options: argparse.Namespace, first: str) -> Change:
    """The change that the arguments describe; `first`: the item where a fact names none."""
    items: dict[str, dict[str, Any]] = {}
    for text in options.what_if:
        target, equals, value = text.partition("=")
        item, colon, column = target.rpartition(":")
        if not equals or not column or not (item if colon else first):
            raise InvalidInput(f"--what-if {text}", cure="write COLUMN=VALUE or ITEM:COLUMN=VALUE, as in stock=0")
        items.setdefault(item if colon else first, {})[column] = _value(value)
    forget = (*options.forget, *([LAST_VIEW] if options.forget_last_view else []))
    return Change(items, forget, tuple(options.without), False if options.unprofiled else None)


def _value(text: str) -> Any:
    """A JSON value, or the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _place(value: int | None) -> str:
    return "-" if value is None else str(value)
