"""`nextpaint forget`: erase a person, on a running node or in a directory that none has open, and keep the receipt."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nextpaint.cli.commands import Directory, ask
from nextpaint.engine.auditing import stated
from nextpaint.engine.erasing import Asked
from nextpaint.engine.evaluating import application_of
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import LOCAL
from nextpaint.ports import Ports, SystemClock, SystemDisk, SystemRandom, ThreadWorkers
from nextpaint.record.errors import InvalidInput

_ANONYMOUS = "anonymous:"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("person", metavar="USER", help="a userId, or anonymous:ID")
    parser.add_argument("--suppress", action="store_true",
                        help="make no profile of these identifiers again; only keyed hashes are kept")  # fmt: skip
    parser.add_argument("--lift", action="store_true", help="instead: let a suppressed identifier in again")
    parser.add_argument("--purpose", default="", help="why, such as the number of a request; goes on record: no names")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="write the whole receipt here, as JSON")
    parser.add_argument("--data", type=Path, help="erase in this data directory, which no node has open")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Erase; exit 1 when nothing was held."""
    stated(options.purpose)
    anonymous = options.person.startswith(_ANONYMOUS)
    name = options.person.removeprefix(_ANONYMOUS)
    who = {"anonymousId" if anonymous else "userId": name, "purpose": options.purpose}
    if options.lift:
        return _lift(options, who)
    if options.data is not None:
        asked = Asked(None if anonymous else name, name if anonymous else None, options.suppress)
        receipt = asyncio.run(_offline(options.data, asked, options.purpose))
    else:
        query = who | ({"suppress": "1"} if options.suppress else {})
        receipt = ask(options, "DELETE", f"/v1/person?{urlencode(query)}")
    if options.receipt is not None:
        options.receipt.write_text(json.dumps(receipt, indent=1) + "\n")
    if not receipt["erased"]:
        print(receipt["text"])
        return 1
    stores = receipt["stores"]
    print(f"erased at {receipt['position']}: receipt {receipt['id']}")
    print(f"{'state':<12} {stores['state']['rows_dropped']} rows dropped, {stores['state']['rows_marked']} marked")
    print(f"{'keys':<12} identifiers destroyed: {stores['keys']['identifiers_destroyed']}")
    for store in ("ledger", "decisions", "posteriors", "checkpoints", "models", "vectors", "vendors", "backups"):
        print(f"{store:<12} {stores[store]['text']}")
    for model in stores["models"]["trained_on_them"]:
        print(f"{'':<12} trained on them: {model['model'][:12]} of {model['surface']}")
    return 0


def _lift(options: argparse.Namespace, who: dict[str, str]) -> int:
    if options.data is not None or options.suppress:
        raise InvalidInput("--lift asks a running node, and does nothing else", cure="give --url, and no --suppress")
    lifted = ask(options, "DELETE", f"/v1/person/suppression?{urlencode(who)}")["lifted"]
    print("let in again: somebody new from now on" if lifted else "this identifier was not kept out")
    return 0 if lifted else 1


async def _offline(directory: Path, asked: Asked, purpose: str) -> dict[str, Any]:
    """With the application in force there, and no model: nothing is computed but the erasure. Raises LedgerLocked where
    a node has the directory open."""
    application = application_of(Directory(directory))
    loop = asyncio.get_running_loop()
    ports = Ports(SystemClock(), SystemDisk(directory), SystemRandom(), ThreadWorkers(loop.call_soon_threadsafe))
    engine = await Engine.open(directory, application, ports)
    try:
        return await engine.erase(LOCAL, asked, purpose)
    finally:
        await engine.close()
