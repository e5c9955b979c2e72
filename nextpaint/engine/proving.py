"""That a view of a decision says what the ledger says: where its record is, what it hashes to, and checking both.

A view for the regulator carries `integrity`: the position of its record, the SHA-256 of the record's bytes, and the
link of its frame in the ledger's chain of checksums, in which each frame covers the one before. Whoever has the ledger
can check a view that was handed out: the record is there, it is the same bytes, and the view is what those bytes are
explained as. A changed word, number or reason shows. Whoever has no copy of the ledger checks the node's signature
instead, where the node has a key (`govern/signing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from nextpaint.decide import DecisionRecord, deidentified
from nextpaint.decide.codec import decoded
from nextpaint.decide.deidentified import Gone
from nextpaint.decide.explain import explain
from nextpaint.engine.replay import DECISIONS_TOPIC, Frames, moment
from nextpaint.stream.frame import Frame
from nextpaint.stream.lost import since

VIEW = "regulator"


@dataclass(frozen=True, slots=True)
class Stored:
    """A decision's record as it is in the ledger."""

    record: DecisionRecord
    frame: int
    entry: int
    at: int
    sha256: str
    chain: int

    @staticmethod
    def of(frame: Frame, entry: int, at: int) -> Stored:
        value = frame.entries[entry].records[at].value or b""
        return Stored(
            decoded(value), frame.number, entry, at, sha256(value).hexdigest(), frame.chain
        )  # fmt: skip

    @property
    def integrity(self) -> dict[str, Any]:
        """Where the record is and what it hashes to."""
        place = f"{self.frame}.{self.entry}.{self.at}"
        return {"stored_at": place, "record_sha256": self.sha256, "frame_chain": f"{self.chain:08x}"}


def viewed(stored: Stored, titles: Mapping[str, str], gone: Gone | None = None) -> dict[str, Any]:
    """The regulator's view, with what it can be checked by; de-identified where its person is gone."""
    record = stored.record
    view = explain(record, VIEW, titles) if gone is None else deidentified.told(record, VIEW, titles, gone)
    view["integrity"] |= stored.integrity
    return view


def checked(ledger: Frames, views: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with views that were handed out, one line each; none when all are what the ledger says."""
    wanted: dict[str, Mapping[str, Any]] = {}
    problems = []
    for number, view in enumerate(views, start=1):
        name = view.get("decision_id")
        if isinstance(name, str) and view.get("view") == VIEW and isinstance(view.get("integrity"), dict):
            wanted[name] = view
        else:
            problems.append(f"view {number} is no {VIEW}'s view of a decision")
    for frame in ledger.frames():
        for entry, held in enumerate(frame.entries):
            if held.topic == DECISIONS_TOPIC and wanted:
                for at, record in enumerate(held.records):
                    name = (record.key or b"").decode()
                    if name in wanted:
                        problems += _problems(Stored.of(frame, entry, at), wanted.pop(name))
    begin = since(ledger.lost(), {DECISIONS_TOPIC})
    taken = "" if begin is None else f", or not any more: decisions of before {moment(begin)} were let go"
    return problems + [f"decision {name[:40]} is not in the ledger{taken}" for name in wanted]


def _problems(stored: Stored, view: Mapping[str, Any]) -> list[str]:
    titles = {
        each["id"]: each["title"]
        for part in ("items", "near_misses")
        for each in view.get(part, ())
        if isinstance(each, dict) and isinstance(each.get("id"), str) and isinstance(each.get("title"), str)
    }
    erased = view.get("erased")
    at_ms = erased.get("at_ms") if isinstance(erased, dict) else None
    # A view from after an erasure; one from before says what was true then.
    gone = Gone(at_ms) if isinstance(at_ms, int) else None
    true = msgspec.json.decode(msgspec.json.encode(viewed(stored, titles, gone)))
    name = stored.record.decision_id
    differing = sorted(
        part for part in true.keys() | (view.keys() - BESIDE) if part not in view or true.get(part) != view[part]
    )
    return [f"decision {name}: {', '.join(differing)} is not what the ledger says"] if differing else []


# What is not of a view's record.
BESIDE = frozenset({"replay", "estimated_propensities", "review", "kept", "retention", "signature"})
