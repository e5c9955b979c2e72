"""Every night a sample of decisions is made again from the ledger and compared with its records.

    [proof]                # in nextpaint.toml
    at = "03:00"           # UTC
    decisions = 50         # at most; these many unless said otherwise

What came of it is a record of the topic `_proofs`: how many decisions, from where, and which differ in what. The
sample is spread evenly over the decisions since the oldest checkpoint that is no more than `RECORDS_MAX` records ago
(or the one before the newest), or over all where those are too few and the ledger has no more than that and all of it:
so a proof costs the reading of one checkpoint and about a minute of records, on a worker thread, and what is older is a
matter for `nextpaint verify DIR --decisions N`. Without a checkpoint a larger ledger gets no proof, and the record says
so. Nothing is derived from these records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from nextpaint.decide import DecisionRecord
from nextpaint.decide.codec import decoded
from nextpaint.decide.model import Rankers
from nextpaint.engine.node import Node
from nextpaint.engine.recomputation import Recomputation
from nextpaint.engine.replay import DECISIONS_TOPIC, gone_from
from nextpaint.process import checkpoint
from nextpaint.record.codec import Record
from nextpaint.record.errors import NextpaintError, ReplayError
from nextpaint.stream.frame import Draft, EntryKind

PROOFS_TOPIC = "_proofs"
RECORDS_MAX = 500_000  # replayed from nothing: about a minute
DIFFERENT_MAX = 20  # decisions named that differ
KEPT_MAX = 30  # proofs a node remembers: a month of nights
DAY_MS = 86_400_000
LOOK_S = 600.0  # how often it is looked whether it is time: clocks are set, machines sleep

log = logging.getLogger("nextpaint.engine")


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one night. `of`: decisions there were to choose from; from_seq: where the state came from, -1 for
    nothing; `failed`: why there is no proof."""

    at_ms: int
    of: int
    decisions: int
    identical: int
    from_seq: int
    different: dict[str, list[str]] = {}
    failed: str = ""


class Proofs:
    """The nightly proofs of one node."""

    def __init__(self, node: Node, rankers: Rankers) -> None:
        self._node = node
        self._rankers = rankers
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Proof] | None = None
        self._looked_ms = node.ports.clock.now_ms()
        self.done: list[Proof] = []

    def start(self) -> None:
        """Look from now on whether it is time."""
        self._timer = self._node.loop.call_later(LOOK_S, self._look)

    async def close(self) -> None:
        """Stop looking; one that runs is finished first: it holds the ledger."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    def _look(self) -> None:
        now_ms = self._node.ports.clock.now_ms()
        wanted = self._node.application.proof
        if wanted is not None and due(wanted.at_ms, self._looked_ms, now_ms) and (not self._task or self._task.done()):
            self._task = self._node.loop.create_task(self.prove(wanted.decisions))
        self._looked_ms = now_ms
        self.start()

    async def prove(self, most: int) -> Proof:
        """Make a sample of decisions again; done when the result is on record."""
        now_ms = self._node.ports.clock.now_ms()
        try:
            proof = await asyncio.to_thread(self._proved, most, self._node.durable, now_ms)
        except NextpaintError as error:
            proof = Proof(now_ms, 0, 0, 0, -1, failed=str(error))
        except Exception as error:  # a declared edge: that there is no proof is on record, whatever the reason
            log.exception("a proof failed")
            proof = Proof(now_ms, 0, 0, 0, -1, failed=f"{type(error).__name__}: {error}")
        self._note(proof)
        record = Record(b"proof", msgspec.json.encode(proof), now_ms)
        await self._node.appended(Draft(PROOFS_TOPIC, EntryKind.INPUT, [record]))
        return proof

    def _note(self, proof: Proof) -> None:
        self.done = [proof, *self.done][:KEPT_MAX]
        count = self._node.observed.counters.add
        count("proved_identical", proof.identical)
        count("proved_different", proof.decisions - proof.identical)
        if proof.failed:
            log.warning("no decision was proved: %s", proof.failed)
        elif proof.different:
            log.error("%d of %d decisions do not recompute: %s", proof.decisions - proof.identical, proof.decisions,
                      ", ".join(proof.different))  # fmt: skip

    def _proved(self, most: int, to_seq: int, now_ms: int) -> Proof:
        """On a worker thread; reads the ledger and checkpoints, writes nothing."""
        node = self._node
        start = next(filter(None, (checkpoint.read(node.ports.disk, each) for each in self._positions(to_seq))), None)
        if start is None and to_seq > RECORDS_MAX:
            raise ReplayError(f"there is no checkpoint, and {to_seq + 1} records to replay from the first")
        count = sum(1 for _ in self._after(start, to_seq))
        whole = to_seq <= RECORDS_MAX and not gone_from(node.ledger)
        if count < most and start is not None and whole:  # a quiet night: there is time for all
            start, count = None, sum(1 for _ in self._after(None, to_seq))
        step = max(1, count // max(1, most))
        found = islice(self._after(start, to_seq), 0, step * most, step)  # read again: all of them would take memory
        chosen = sorted(found, key=lambda each: each.position)
        again = Recomputation(
            node.ledger, node.ports.clock, disk=node.ports.disk, start=start, rankers=self._rankers,
            known=(node.application,),
        )  # fmt: skip
        verdicts = list(again.verdicts(chosen))
        different = {each.decision_id: list(each.differences) for each in verdicts if not each.identical}
        return Proof(
            now_ms, count, len(verdicts), len(verdicts) - len(different),
            -1 if start is None else start.header.applied,
            dict(list(different.items())[:DIFFERENT_MAX]),
        )  # fmt: skip

    def _after(self, start: checkpoint.Checkpoint | None, to_seq: int) -> Iterator[DecisionRecord]:
        """The decisions that were read at or after a checkpoint, in the order of the ledger."""
        first, frame = (-1, 0) if start is None else (start.header.applied, start.header.next_frame)
        return (each for each in self._decisions(frame, to_seq) if each.position >= first)

    def _positions(self, to_seq: int) -> list[int]:
        there = checkpoint.positions(self._node.ports.disk)
        return [each for each in there if each >= to_seq - RECORDS_MAX] or there[-2:]

    def _decisions(self, frame: int, to_seq: int) -> Iterator[DecisionRecord]:
        for each in self._node.ledger.frames(frame):
            if each.base_seq > to_seq:
                return
            for entry in each.entries:
                if entry.topic == DECISIONS_TOPIC:
                    for record in entry.records:
                        yield decoded(record.value or b"")

    def told(self) -> list[dict[str, Any]]:
        """The proofs of this node since it started, newest first, as JSON-ready data."""
        return [msgspec.to_builtins(each) for each in self.done]


def due(at_ms: int, looked_ms: int, now_ms: int) -> bool:
    """Whether a time of day (ms after midnight, UTC) came after one look and by the next."""
    latest = (now_ms - at_ms) // DAY_MS * DAY_MS + at_ms
    return looked_ms < latest <= now_ms
