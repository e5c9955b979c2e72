"""What an application no longer wants kept is let go, by the running node, in the background.

Every hour: closed reviews past their age are deleted by records; then sealed segments are looked at, and those that
should be are rewritten (`stream.retention`), one after the other, in pieces on the worker thread, at most a tenth of
the time. An application's switch is not prepared while a segment is rewritten, nor the other way round: the new state
is made of old segments, and what a segment says of when it was rewritten must be true. A switch that waits makes the
segment go through without rests.

An error of the disk ends a round; every segment is old or new, and the next round goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from nextpaint.decide.retention import REVIEWS, TOPICS, Retention
from nextpaint.decide.review import CLOSED
from nextpaint.decide.review import REVIEWS as TABLE
from nextpaint.engine.kept import kept_text
from nextpaint.engine.node import Node
from nextpaint.engine.reviewing import Reviewing
from nextpaint.ports import Workers
from nextpaint.record.codec import Record
from nextpaint.record.errors import NextpaintError
from nextpaint.stream.frame import Draft, EntryKind
from nextpaint.stream.retention import Judged, RetentionPolicy, RetentionReport, judged, retaining
from nextpaint.stream.segment import Segment

EVERY_S = 3_600.0
FIRST_S = 60.0  # after a start: recovery and the first pages come first
SPACING = 10  # from the start of one piece to the next, in lengths of the piece
COUNTED_MS = 60_000  # how old what is told of classes may be
NEVER_COUNTED = (0, None, list[dict[str, Any]]())
DELETED_AT_ONCE = 500  # reviews in one record batch

T = TypeVar("T")

log = logging.getLogger("nextpaint.engine")


class Retaining:
    """Retention of one node."""

    def __init__(self, node: Node, reviewing: Reviewing, workers: Workers | None) -> None:
        self._node = node
        self._reviewing = reviewing
        self._workers = workers or node.ports.workers
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[RetentionReport] | None = None
        self._closing = False
        self._turn = asyncio.Lock()
        self._counted: tuple[int, Retention | None, list[dict[str, Any]]] = NEVER_COUNTED
        self.bytes_freed = 0
        self.rewritten = 0
        self.deleted = 0
        self.rounds = 0
        self.failed = ""  # why the last round ended early
        self.last_ms: int | None = None
        self.next_ms: int | None = None

    def start(self) -> None:
        """Look from now on, every hour."""
        self._look_in(FIRST_S)

    async def close(self) -> None:
        """Stop; a piece that is under way is finished first."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    def _look_in(self, seconds: float) -> None:
        self.next_ms = self._node.ports.clock.now_ms() + round(seconds * 1_000)
        self._timer = self._node.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        if not self._closing:
            if self._retention.classes and (self._task is None or self._task.done()):
                self._task = self._node.loop.create_task(self.run())
            self._look_in(EVERY_S)

    @property
    def _retention(self) -> Retention:
        return self._node.application.retention

    # ------------------------------------------------------------ a round

    async def run(self) -> RetentionReport:
        """One round, now, or after the one that is under way."""
        async with self._turn:
            return await self._round()

    async def _round(self) -> RetentionReport:
        report = RetentionReport()
        self.failed = ""
        try:
            node = self._node
            if node.ports.clock.now_ms() - node.ledger.at >= EVERY_S * 1_000:  # time passes for a quiet node as well
                await node.appended(Draft.tick())
            policy = await self._reviewed()
            plan = await self._aside(lambda: judged(node.ledger, policy, node.retainable))
            report.kept = {each.segment.path: each.reason for each in plan if not each.gone}
            for each in plan:
                if each.gone and not self._closing:
                    async with node.steady:
                        if each.segment.end.frame <= node.retainable:  # no application took over since
                            await self._rewritten(retaining(node.ledger, [each]), report)
        except (OSError, NextpaintError) as error:
            self.failed = str(error)
            log.error("retention ended early: %s; every segment is whole, and the next round goes on", error)
        self.rounds += 1
        self._counted = NEVER_COUNTED
        self.last_ms = self._node.ports.clock.now_ms()
        if report.deleted or report.rewritten:
            log.info(
                "retention gave %d bytes back: %d segments rewritten, %d emptied, %d stay", report.bytes_freed,
                len(report.rewritten), len(report.deleted), len(report.kept),
            )  # fmt: skip
        return report

    async def _rewritten(self, steps: Iterator[RetentionReport], report: RetentionReport) -> None:
        """One segment, each step on the worker; in between, whoever needs the thread or the disk has it nine tenths of
        the time. What was done is added to `report`."""
        clock, done = self._node.ports.clock, RetentionReport()
        while not self._closing:
            began_ns = clock.monotonic_ns()
            made = await self._aside(lambda: next(steps, None))
            if made is None:
                break
            done = made
            rest = 0 if self._node.switching else (clock.monotonic_ns() - began_ns) * (SPACING - 1) / 1e9
            await asyncio.sleep(rest)
        self.bytes_freed += done.bytes_freed
        self.rewritten += len(done.rewritten)
        self.deleted += len(done.deleted)
        report.bytes_freed += done.bytes_freed
        report.rewritten += done.rewritten
        report.deleted += done.deleted

    async def _aside(self, job: Callable[[], T]) -> T:
        future: asyncio.Future[Any] = self._node.loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if not future.done():
                future.set_result(result) if error is None else future.set_exception(error)

        self._workers.submit(job, done)
        return await future  # type: ignore[no-any-return]

    async def _reviewed(self) -> RetentionPolicy:
        """Delete closed reviews past their age, each by a record; the policy holds the records of all that are left."""
        node, age = self._node, self._retention.age_ms(REVIEWS)
        if age is None:
            return self._retention.policy()
        now = node.ports.clock.now_ms()
        rows = self._reviewing.every()
        old = [key for key, each in rows.items() if each.state == CLOSED and each.decided_ms + age <= now]
        for at in range(0, len(old), DELETED_AT_ONCE):
            records = [
                Record(msgspec.json.encode({"decision_id": key}), None, now) for key in old[at : at + DELETED_AT_ONCE]
            ]
            _, entry, index = await node.appended(Draft(TABLE.name, EntryKind.INPUT, records))
            await node.applied(entry.base_seq + index + len(records) - 1)
        left = [each.asked_ms for key, each in rows.items() if key not in set(old)]
        return self._retention.policy({TABLE.name: min(left)} if left else None)

    # ------------------------------------------------------------ how it is

    async def planned(self) -> list[Judged]:
        """What the next round would do, but for reviews that it deletes first."""
        node, rows = self._node, self._reviewing.every()
        held = {TABLE.name: min(each.asked_ms for each in rows.values())} if rows else None
        policy = self._retention.policy(held)
        return await self._aside(lambda: judged(node.ledger, policy, node.retainable))

    def classes(self) -> list[dict[str, Any]]:
        """Every class: how long it is kept, and the oldest segment that has records of it. Counted once a minute: a
        large ledger has thousands of segments."""
        now_ms = self._node.ports.clock.now_ms()
        counted_ms, retention, told = self._counted
        if retention is not self._retention or not 0 <= now_ms - counted_ms < COUNTED_MS:
            told = classes_told(self._retention, self._node.ledger.segments)
            self._counted = (now_ms, self._retention, told)
        return told

    def told(self) -> dict[str, Any]:
        """What is declared, what was done since the start, and when it is looked again."""
        horizon = self._node.horizon.oldest
        return {
            "classes": self.classes(),
            "replay_days": self._retention.replay_days,
            "horizon": None if horizon is None else {"seq": horizon.applied, "at_ms": horizon.at_ms},
            "bytes_freed": self.bytes_freed, "segments_rewritten": self.rewritten, "segments_emptied": self.deleted,
            "rounds": self.rounds, "last_ms": self.last_ms, "next_ms": self.next_ms, "failed": self.failed,
        }  # fmt: skip


def classes_told(retention: Retention, segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Per class: its limits, and where its oldest records are. `oldest_at_ms`: none of them is older."""
    told = []
    for name in (*TOPICS, *sorted(retention.classes.keys() - TOPICS.keys())):
        topics, limit = set(retention.topics(name)), retention.classes.get(name)
        holding = [each for each in segments if any(topic in topics for topic, _ in list(each.topics))]
        age = None if limit is None else limit.age_ms_max
        told.append(
            {
                "class": name, "age_ms": age, "bytes_max": None if limit is None else limit.bytes_max,
                "kept": "for ever" if limit is None else kept_text(retention, name),
                "bytes": sum(
                    span.bytes for each in holding for (topic, _), span in list(each.topics.items()) if topic in topics
                ),
                "oldest_frame": holding[0].header.first_frame if holding else None,
                "oldest_at_ms": holding[0].began if holding else None,
            }
        )  # fmt: skip
    return told


def planned_told(plan: list[Judged]) -> list[dict[str, Any]]:
    """What is to become of each segment, as data."""
    return [
        {
            "segment": each.segment.path, "frames": each.segment.frames, "at_ms": each.segment.began,
            "bytes": sum(span.bytes for span in each.segment.topics.values()),
            "goes": sorted({topic for topic, _ in each.gone}), "bytes_freed": each.freed, "whole": each.whole,
            "reason": each.reason,
        }
        for each in plan
    ]  # fmt: skip
