"""Erasures as the ledger has them: each an event at its place, applied there and nowhere else.

A record of the topic `_erase` names the tokens of a person and the decisions that were made for them. The runner
applies what is before it, rids every operator of the person (`erasing`), and goes on. So a replay from the first
record, from any checkpoint and in any steps comes to the same state as the node that went on running.

A tombstone is left for each token: a hash of it, for a token in a checkpoint would be what was to be erased. Records
that still name the token, of requests that were under way, are passed over for an hour of ledger time: nothing that is
under way takes longer. What is written from outside is held against all tombstones (`names`), however old.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

import msgspec

from nextpaint.process.erasing import TOKEN_LENGTH, Erased, Traces
from nextpaint.process.graph import Graph
from nextpaint.process.state import Cell, State
from nextpaint.record.runs import Run

ERASE_TOPIC = "_erase"
PASSED_OVER = "_passed_over"  # the topic of records that nobody reads; their place in time stays
UNDER_WAY_MS = 3_600_000
TOLD = 64  # erasures whose counts are remembered

_TOKENS = re.compile(rb"[0-9A-Za-z]{%d,}" % TOKEN_LENGTH)


class Erasure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of an erase record. who: the name of the key that asked. purpose: in the words of whoever asked.
    suppressed: whether no profile is to be made again. No hash of an identifier is in it: beside the tokens it would be
    a way from the one to the other."""

    id: str
    subjects: tuple[str, ...]
    decisions: tuple[str, ...] = ()
    who: str = ""
    purpose: str = ""
    at_ms: int = 0
    suppressed: bool = False


class Tombstone(NamedTuple):
    """Since when a token is nobody's: seq of the erase record and ledger time."""

    seq: int
    at_ms: int


def tomb_of(token: str | bytes) -> str:
    """What a tombstone is called: a hash of the token, from which nobody finds it."""
    return blake2b(
        token if isinstance(token, bytes) else token.encode(), digest_size=16, person=b"tombstone"
    ).hexdigest()


def decoded(value: bytes | None) -> Erasure | None:
    """An erase record's value; None for one that says nothing."""
    try:
        found = msgspec.json.decode(value or b"", type=Erasure)
    except msgspec.DecodeError:
        return None
    fits = all(len(each.encode()) == TOKEN_LENGTH for each in found.subjects)
    return found if found.subjects and fits else None


class Erasures:
    """State: `tombstones`, hash of a token -> (seq, ledger time, CRC-32 of the token). Derived: those sums, which rule
    nearly every text out without hashing it. `counts`: of the last erasures that were applied
    here, what became of each cell."""

    def __init__(self, graph: Graph, state: State) -> None:
        self._graph = graph
        self._state = state
        self._tombstones = state.cell("erasures", "tombstones")
        self._sums: set[int] = set()
        self._latest_ms: int | None = None  # when the last one was
        self.counts: OrderedDict[str, dict[str, Erased]] = OrderedDict()

    def restore(self) -> None:
        self._latest_ms = max((at_ms for _, (_, at_ms, _) in self._tombstones.items()), default=None)
        self._sums = {each for _, (_, _, each) in self._tombstones.items()}

    def __len__(self) -> int:
        return len(self._tombstones)

    def of(self, token: str) -> Tombstone | None:
        """Since when a token is nobody's; None of one that was not erased."""
        found = self._tombstones.get(tomb_of(token))
        return None if found is None else Tombstone(*found[:2])

    def names(self, text: str | bytes) -> bool:
        """Does a text hold a token that was erased?"""
        if not self._sums:
            return False
        written = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        for found in _TOKENS.finditer(written):
            word = found.group()
            for at in range(len(word) - TOKEN_LENGTH + 1):
                token = word[at : at + TOKEN_LENGTH]
                if crc32(token) in self._sums and tomb_of(token) in self._tombstones:
                    return True
        return False

    # ------------------------------------------------------------ forward

    def concern(self, runs: Sequence[Run]) -> bool:
        """Is there an erase record among these, or anything that may have been under way at one?"""
        under_way = self._latest_ms is not None and runs[0].at_ms <= self._latest_ms + UNDER_WAY_MS
        return under_way or any(run.topic == ERASE_TOPIC for run in runs)

    def pieces(self, runs: Sequence[Run]) -> Iterator[tuple[list[Run], Erasure | None]]:
        """The runs up to and including each erase record, with what it says, and what is left. Each is to be applied
        before the next is asked for: it is looked at in the light of the tombstones that are there then."""
        piece: list[Run] = []
        for run in runs:
            if run.topic != ERASE_TOPIC:
                piece += self._admitted(run)
                continue
            for index in range(len(run)):
                piece.append(run.part(index, index + 1))
                yield piece, decoded(run.value(index))
                piece = []
        if piece:
            yield piece, None

    def _admitted(self, run: Run) -> list[Run]:
        """A run, with the records that name somebody who was erased moved to where nobody reads them."""
        under_way = self._latest_ms is not None and run.at_ms <= self._latest_ms + UNDER_WAY_MS
        if not under_way or not len(run) or run.topic not in self._graph.by_topic or not self.names(run.span()):
            return [run]
        parts: list[Run] = []
        for index in range(len(run)):
            part = run.part(index, index + 1)
            parts.append(replace(part, topic=PASSED_OVER) if self.names(part.span()) else part)
        return parts

    def apply(self, erasure: Erasure, seq: int, at_ms: int) -> None:
        """Rid every operator of the person."""
        traces = Traces(erasure.subjects, erasure.decisions)
        counts: dict[str, Erased] = {}
        for operator in self._graph.operators():
            held = self._cells_of(operator.id)
            if held:
                counts |= operator.erase(traces, held)
        for token in traces.tokens:
            if self.of(token) is None:
                self._tombstones.put(tomb_of(token), (seq, at_ms, crc32(token.encode())))
                self._sums.add(crc32(token.encode()))
        self._latest_ms = max(self._latest_ms or at_ms, at_ms)
        self.counts[erasure.id] = counts
        while len(self.counts) > TOLD:
            self.counts.popitem(last=False)

    def _cells_of(self, operator: str) -> dict[str, Cell]:
        prefix = operator + "/"
        return {name.removeprefix(prefix): cell for name, cell in self._state.cells.items() if name.startswith(prefix)}
