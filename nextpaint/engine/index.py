"""What a node remembers beside its operators, as a function of its ledger: dedup, where decisions and erasures are, and
which model made the vectors.

    index.take(frame)        each durable frame, in order
    index.snapshot()         for a checkpoint, beside the state
    index.restore(beside)    then only frames from `next_frame` on need to be taken

A frame enters when it is durable, so the index is ahead of the state: a checkpoint holds it as of its own frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec

from nextpaint.engine.background import model_of
from nextpaint.engine.propensities import PROPENSITIES_TOPIC
from nextpaint.engine.replay import DECISIONS_TOPIC
from nextpaint.process.erasures import ERASE_TOPIC, decoded, tomb_of
from nextpaint.process.graph import VECTORS
from nextpaint.stream.dedup import Dedup
from nextpaint.stream.frame import Entry, Frame
from nextpaint.stream.packed import PackedRows

EVENTS_TOPIC = "events"
RECEIPTS_TOPIC = "_receipts"  # of erasures
ID_HEADER = "id"  # 16 bytes: the dedup key of an event
BODY_HEADER = "body"  # 8 bytes: hash of its body

log = logging.getLogger("nextpaint.engine")

_NEXT_FRAME, _DEDUP, _VECTORS, _TOMBS = "index.next_frame", "index.dedup", "index.vectors", "index.tombs"
_PLACES = {
    DECISIONS_TOPIC: "index.decisions", PROPENSITIES_TOPIC: "index.propensities", ERASE_TOPIC: "index.erasures",
    RECEIPTS_TOPIC: "index.receipts",
}  # fmt: skip


class Places:
    """Id of a decision, or an erasure, -> seq of its record in one topic."""

    def __init__(self) -> None:
        self._seqs: dict[str, int] = {}
        self._rows = PackedRows()  # per row: length of the id (2 bytes), id, seq (8 bytes)

    def __len__(self) -> int:
        return len(self._seqs)

    def get(self, decision_id: str) -> int | None:
        return self._seqs.get(decision_id)

    def items(self) -> Iterable[tuple[str, int]]:
        """(id, seq) of each, in ledger order."""
        return self._seqs.items()

    def add(self, key: bytes, seq: int) -> None:
        self._seqs[key.decode()] = seq
        self._rows.append(len(key).to_bytes(2, "big") + key + seq.to_bytes(8, "big"))

    def snapshot(self) -> Callable[[], bytes]:
        return self._rows.snapshot()

    def restore(self, data: bytes) -> None:
        """Replace it by what a snapshot gave. ValueError for anything else."""
        seqs: dict[str, int] = {}
        at, end = 0, len(data)
        while at < end:
            key = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if key + 8 > end:
                raise ValueError("the places of decisions are cut short")
            seqs[data[at + 2 : key].decode()] = int.from_bytes(data[key : key + 8], "big")
            at = key + 8
        self._seqs, self._rows = seqs, PackedRows(data)


class LedgerIndex:
    """`next_frame`: the first frame it has not taken."""

    def __init__(self, dedup: Dedup) -> None:
        self.dedup = dedup
        self.places = {topic: Places() for topic in _PLACES}
        self.tombs: dict[str, int] = {}  # of whoever was erased: hash of a token -> ledger time
        self.last_erasure = -1  # the seq of the last erase record
        self.vectors_by = ""  # the identity of the model that made the newest vector
        self.next_frame = 0

    def erased_ms(self, token: str) -> int | None:
        """Since when a token is nobody's; None of one that was not erased. Unlike the state's tombstones these do not
        depend on the application."""
        return self.tombs.get(tomb_of(token)) if self.tombs else None

    def take(self, frame: Frame) -> None:
        """A durable frame."""
        for entry in frame.entries:
            if entry.topic == EVENTS_TOPIC:
                self._remember(entry)
            elif entry.topic == VECTORS.name and entry.records:
                self.vectors_by = model_of(entry.records[-1]) or self.vectors_by
            elif entry.topic in self.places:
                places = self.places[entry.topic]
                for at, record in enumerate(entry.records):
                    places.add(record.key or b"", entry.base_seq + at)
                if entry.topic == ERASE_TOPIC:
                    self._bury(entry)
        self.next_frame = frame.number + 1

    def _remember(self, entry: Entry) -> None:
        for at, record in enumerate(entry.records):
            headers = dict(record.headers)
            if ID_HEADER in headers:
                body = int.from_bytes(headers.get(BODY_HEADER, b""), "big")
                self.dedup.remember(headers[ID_HEADER], entry.base_seq + at, entry.at, body)

    def _bury(self, entry: Entry) -> None:
        self.last_erasure = entry.base_seq + entry.count - 1
        for record in entry.records:
            found = decoded(record.value)
            for token in found.subjects if found is not None else ():
                self.tombs.setdefault(tomb_of(token), entry.at)

    def snapshot(self) -> dict[str, Callable[[], bytes]]:
        """What `restore` takes, each part to be encoded later, on any thread."""
        frame, tombs = self.next_frame.to_bytes(8, "big"), msgspec.msgpack.encode(self.tombs)
        model = self.vectors_by.encode()
        parts: dict[str, Callable[[], bytes]] = {_NEXT_FRAME: lambda: frame, _DEDUP: self.dedup.snapshot()}
        parts[_VECTORS], parts[_TOMBS] = lambda: model, lambda: tombs
        return parts | {_PLACES[topic]: places.snapshot() for topic, places in self.places.items()}

    def restore(self, beside: Mapping[str, bytes], frames_max: int) -> None:
        """Start from a checkpoint's parts, if it has them and knows no frame at or past `frames_max`: the ledger may
        have been restored from an older backup than the checkpoints."""
        if not {_NEXT_FRAME, _DEDUP, _TOMBS, *_PLACES.values()} <= beside.keys():
            return
        next_frame = int.from_bytes(beside[_NEXT_FRAME], "big")
        if next_frame > frames_max:
            return
        try:
            for topic, places in self.places.items():
                places.restore(beside[_PLACES[topic]])
            self.dedup.load(beside[_DEDUP])
            self.tombs = msgspec.msgpack.decode(beside[_TOMBS], type=dict[str, int])
        except (ValueError, msgspec.DecodeError) as error:  # of another version; the ledger has it all
            log.warning("the checkpoint's index cannot be read: %s", error)
            return
        self.vectors_by = beside.get(_VECTORS, b"").decode("utf-8", "replace")
        self.last_erasure = max((seq for _, seq in self.places[ERASE_TOPIC].items()), default=-1)
        self.next_frame = next_frame
