"""The running node behind the façade: ledger, writer, state and schedule, moved forward together.

    append -> frame durable -> on_durable -> turns -> runner.apply -> outputs appended -> waiters told

Invariants: a record is applied only when its frame is durable; outputs and the identity they reach go into one frame;
state is touched on the loop's thread only. `durable >= applied >= emitted`, each the `seq` of a record.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from nextpaint import __version__
from nextpaint.application import Application
from nextpaint.engine.background import VectorWork, require_same
from nextpaint.engine.ceiling import Ceiling
from nextpaint.engine.horizon import Horizon
from nextpaint.engine.index import RECEIPTS_TOPIC, LedgerIndex
from nextpaint.engine.kept import made_anew, missing, topics_of
from nextpaint.engine.latency import Counters, Latency, Rate
from nextpaint.engine.propensities import PROPENSITIES_TOPIC
from nextpaint.engine.replay import (
    APPLICATION_TOPIC,
    DECISIONS_TOPIC,
    SEQ_MAX,
    Rebuild,
    Replay,
    Switch,
    arriving,
    gone_from,
    gone_text,
    moment,
    taken_over,
)
from nextpaint.engine.turns import Turns
from nextpaint.govern.subjects import Subjects
from nextpaint.models.embedding import Embedder
from nextpaint.ports import Ports, Workers
from nextpaint.process import checkpoint, erasures
from nextpaint.process.followed import Followed
from nextpaint.process.graph import build
from nextpaint.process.kernels.warm import warm
from nextpaint.process.live import Tables
from nextpaint.process.outputs import OutputIdentity, Outputs
from nextpaint.process.runner import Runner
from nextpaint.record.codec import Record
from nextpaint.record.errors import LedgerError, NextpaintError, NotFound, ReplayError
from nextpaint.record.runs import Run
from nextpaint.stream.dedup import Dedup
from nextpaint.stream.frame import Draft, Entry, EntryKind, Frame, Position
from nextpaint.stream.ledger import Ledger
from nextpaint.stream.writer import Writer

log = logging.getLogger("nextpaint.engine")

NEAR_RECORDS = 300  # a rebuild this close to the running state may take over: the rest is done in one go at the switch
REBUILD_RECORDS = 32  # a step of a rebuild: decisions wait at most as long as for a slice or two
UNAPPLIED_KEPT = 4_096  # subjects; beyond it those whose records are applied are forgotten
PLACES_KEPT = 10_000  # frames whose positions are known without reading them: the last seconds to minutes
COMPANY = 2  # requests in the last frame from which on the next waits for its gap
CHECKPOINT_NS = 1_000_000  # a slice of a checkpoint: pages are encoded until this has passed
CHECKPOINT_SPACING = 10  # from the start of one slice to the next, in lengths of the slice: a tenth of the thread
CHECKPOINT_PAGE = 64  # rows that a page holds at least, usually
WITNESS_MS = 1_000  # silence after which the last frame gets its witness (see stream.recovery)


_NOTHING_WATCHED: tuple[int, int, None] = (-1, 0, None)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """checkpoint_records, checkpoint_s: a checkpoint is written when either has passed since the last one; together
        they bound what a start reads and applies again to seconds of work.
    checkpoints_kept: recent ones; beside them the first of each day is kept for as many days as the application says
        ([retention] replay). The oldest is the replay horizon.
    accept_loss: start although retention took records and no checkpoint is left: state is made of what remains.
    unapplied_max: records waiting to be applied beyond which ingest is refused: about a second of work.
    lag_ms_max: how long the state thread may keep work waiting before ingest is refused: events give way first, so that
        decisions keep their window. Decisions that all wait for a share of it are a queue, which refuses events too:
        see `engine.turns`.
    frame_gap_ms: where many write, frames take off at most this often: a frame costs two hand-overs between threads,
        an encoding and a step of the operators, 0.3 ms of CPU whatever is in it. Who writes alone, one request after
        the other, waits for nobody; nor does a decision's record.
    tick_ms: ticks come at most this often (4 a second).
    dedup_horizon_ms, dedup_entries: see `stream.dedup`.
    """

    checkpoint_records: int = 200_000
    checkpoint_s: int = 60
    checkpoints_kept: int = 2
    accept_loss: bool = False
    unapplied_max: int = 20_000
    lag_ms_max: int = 100
    frame_gap_ms: int = 3
    tick_ms: int = 250
    dedup_horizon_ms: int = 3_600_000
    dedup_entries: int = 4_000_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An application about to take over: its state, and its tables with what of them is read over many keys, some of it
    lent by the tables in force."""

    application: Application
    rebuild: Rebuild
    tables: Tables
    lender: Tables


@dataclass(slots=True)
class Observed:
    """What a node has seen of itself."""

    counters: Counters
    events: Rate
    decisions: Rate
    frames: Rate
    commit: Latency
    apply: Latency


class Node:
    """One open data directory. Made by `Node.open` inside a running loop; `close` leaves an end frame."""

    def __init__(self, ports: Ports, directory: Path, settings: NodeSettings, embedder: Embedder | None) -> None:
        self.ports = ports
        self.loop = asyncio.get_running_loop()
        self.directory = directory
        self.settings = settings
        self.started_ms = ports.clock.now_ms()
        self._unapplied: dict[str, int] = {}  # subject -> seq of their last acknowledged record
        self.observed = Observed(Counters(), Rate(), Rate(), Rate(), Latency(), Latency())
        self.subjects = Subjects.open(directory / "keys.db", ports.random)
        self.ledger = Ledger.open(ports)
        self.ledger.before_frame = self.subjects.write
        self.dedup = Dedup(settings.dedup_horizon_ms, settings.dedup_entries)
        self.index = LedgerIndex(self.dedup)
        self.decisions = self.index.places[DECISIONS_TOPIC]
        self.erased = self.index.places[erasures.ERASE_TOPIC]
        self.receipts = self.index.places[RECEIPTS_TOPIC]
        self._arrived = -1  # the last durable record that is to be applied: outputs are not
        self._rewriting = False  # there may be checkpoints from before the last erasure
        self.propensities = self.index.places[PROPENSITIES_TOPIC]  # estimated after the decision
        self.application: Application
        self.runner: Runner
        self.tables: Tables
        self.turns = Turns(ports.clock, self._apply, self._on_switch, self._on_idle, settings.lag_ms_max)
        self.turns.hurried = lambda: bool(self._waiters) or self._settling
        self.turns.decided = self._after_decision
        self.turns.between = self._after_slice
        self.turns.failed = self._fail
        self._settling = False
        self.failure: NextpaintError | None = None
        self.durable = self.ledger.next_seq - 1
        self.emitted = OutputIdentity(*self.ledger.emitted)
        self.switched: list[Callable[[], None]] = []  # told when another application is in force
        # What an application reads over many keys.
        self.follows: Callable[[Application], Followed] = lambda _: Followed()
        self._rebuilds: dict[str, Prepared] = {}
        # Held while the ledger's old segments must stay as they are: state is made of them twice, now and by replays.
        self.steady = asyncio.Lock()
        self.switching = 0  # switches that are prepared, or wait to be
        self._places: list[tuple[int, int, tuple[int, ...]]] = []  # base seq, number, entries of recent frames
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._watched: tuple[int, int, list[tuple[str, float]] | None] = _NOTHING_WATCHED
        self._order = count()
        self._checkpointing: checkpoint.CheckpointWriter | None = None
        self._aside = ports.workers  # not those of the ledger if there are others: no frame waits for a file
        self._publish_error: BaseException | None = None  # of the last one
        self._publishing = False  # a checkpoint, or a piece of one, is on its way to disk
        self._checkpoint_whole = False  # all of its state is encoded
        self._checkpoint_next_ns = 0  # when the next slice of it may be encoded
        self._last_checkpoint = (-1, self.started_ms)
        self._switched = -1  # the last switch: state after it is never made from before it
        self.horizon = Horizon(ports.disk)
        self._tick: asyncio.TimerHandle | None = None
        self._last_write_ms = 0
        self._closing = False
        self.ceiling = Ceiling(lambda draft: self.append(draft))
        self._embedder = embedder
        self._vectors: VectorWork | None = None
        self.writer: Writer

    # ------------------------------------------------------------ opening

    @staticmethod
    def open(
        directory: Path, application: Application, ports: Ports, settings: NodeSettings, embedder: Embedder | None
    ) -> Node:
        """Recover, then put `application` in force. Raises what the ledger raises, or ApplicationError. Kernels are
        compiled before anything else: a node that is ready compiles nothing."""
        warm()
        node = Node(ports, directory, settings, embedder)
        try:
            outputs = node._recover(application)
            if embedder is not None:
                require_same(embedder, node.index.vectors_by)
            node.writer = Writer(
                node.ledger, ports, node._on_durable, soon=node._paced if settings.frame_gap_ms else None
            )
            for each in outputs:
                node._emit(each)
        except BaseException:
            node.ledger.close()
            node.subjects.close()
            raise
        return node

    def _recover(self, application: Application) -> list[Outputs]:
        """State as of the last durable record, and the outputs a crash kept from the ledger."""
        outputs: list[Outputs] = []
        checkpoint.swept(self.ports.disk)
        start = checkpoint.newest(self.ports.disk, self.durable)
        self._require_start(start)
        self.horizon.look()
        if start is not None:
            self.index.restore(start.beside, self.ledger.next_frame)
        for frame in self.ledger.frames(self.index.next_frame):
            self.index.take(frame)
        replay = Replay(
            self.ledger,
            start=start,
            on_outputs=lambda made: outputs.append(made.after(self.emitted)),
            applications={application.hash: application},
            incomplete=self.settings.accept_loss,
        )
        replay.advance(self.durable)
        self._switched = replay.switched
        if replay.runner is None or replay.application is None:
            self.application, self.runner = application, Runner(application.design)
        else:
            self.application, self.runner = replay.application, replay.runner
        self.tables = Tables(self.runner)
        self._last_checkpoint = (self.runner.applied, self.started_ms)
        self._finish_erasures()
        return outputs

    def _finish_erasures(self) -> None:
        """What a crash left of an erasure, or a keys.db from an older backup still holds: the ledger knows."""
        done = self.subjects.erased_up_to
        for name, seq in sorted(self.erased.items(), key=lambda each: each[1]):
            if seq > done:
                found = self.erasure(name)
                if found is None:
                    raise NextpaintError(
                        f"keys.db is older than the erasure {name}, whose record the ledger no longer holds",
                        where=str(self.directory / "keys.db"),
                        cure="restore a newer keys.db: this one knows people who were erased",
                    )
                self.subjects.destroy(found.subjects, (), seq)
                self.subjects.release(found.subjects)
        self._rewriting = any(each < self.index.last_erasure for each in checkpoint.positions(self.ports.disk))

    def erasure(self, name: str) -> erasures.Erasure | None:
        """An erase record by its id; None where the ledger does not hold it any more."""
        seq = self.erased.get(name)
        if seq is None:
            return None
        try:
            position = self.position_of(seq)
            frame = self.ledger.frame(position.frame)
        except NotFound:
            return None
        return erasures.decoded(frame.entries[position.entry].records[position.record].value)

    def _require_start(self, start: checkpoint.Checkpoint | None) -> None:
        """Raises ReplayError where state can only be made of what retention left of the records."""
        gone = gone_from(self.ledger) if start is None else []
        if not gone:
            return
        if not self.settings.accept_loss:
            raise ReplayError(
                f"there is no whole checkpoint, and retention has let records go: {gone_text(gone)}",
                where=checkpoint.DIRECTORY,
                cure="put the directory back from a backup; or start with --accept-loss: state is then made of the "
                "records that are left, and has no more",
            )
        log.warning("there is no checkpoint: state is made without %s, which retention let go", gone_text(gone))

    @property
    def embedding(self) -> tuple[str | None, str | None]:
        """Which model makes this node's vectors, and why it makes none any more; None where there is no such thing."""
        named = None if self._embedder is None else self._embedder.identity
        return named, None if self._vectors is None else self._vectors.failed

    def start(self, background: Workers | None = None) -> None:
        """Begin background work: vectors, ticks, checkpoints."""
        self._aside = background or self.ports.workers
        if self._embedder is not None and background is not None:
            self._vectors = VectorWork(self._embedder, background, self.append)
        self._on_idle()

    # ------------------------------------------------------------ forward

    def append(
        self, draft: Draft, done: Callable[[Frame, Entry, int], None] | None = None,
        failed: Callable[[LedgerError], None] | None = None,
    ) -> None:  # fmt: skip
        self._last_write_ms = self.ports.clock.now_ms()
        self.writer.append(draft, done, failed)

    async def appended(self, draft: Draft) -> tuple[Frame, Entry, int]:
        """Append and wait until it is durable: its frame, its entry, the index of its first record."""
        future: asyncio.Future[tuple[Frame, Entry, int]] = self.loop.create_future()

        def done(frame: Frame, entry: Entry, index: int) -> None:
            if not future.done():
                future.set_result((frame, entry, index))

        def failed(error: LedgerError) -> None:
            if not future.done():
                future.set_exception(error)

        self.append(draft, done, failed)
        return await future

    def _paced(self, take_off: Callable[[], None]) -> None:
        """Let a frame take off at the end of this turn; where many write, when the gap since the last one is over."""
        left_ns = self.writer.took_off_ns + self.settings.frame_gap_ms * 1_000_000 - self.ports.clock.monotonic_ns()
        if left_ns <= 0 or self.writer.company < COMPANY:
            self.loop.call_soon(take_off)
        else:
            self.loop.call_later(left_ns / 1e9, take_off)

    def _on_durable(self, frame: Frame) -> None:
        now = self.ports.clock.now_ms()
        self.observed.frames.add(1, now)
        self.index.take(frame)
        self._places.append((frame.base_seq, frame.number, tuple(entry.base_seq for entry in frame.entries)))
        if len(self._places) > 2 * PLACES_KEPT:
            del self._places[:PLACES_KEPT]
        records = [each for entry in frame.entries for each in arriving(entry)]
        self._rewriting = self._rewriting or any(entry.topic == erasures.ERASE_TOPIC for entry in frame.entries)
        self.durable = frame.next_seq - 1
        if records:
            last = records[-1]
            self._arrived = last.seq if isinstance(last, Switch) else last.last_seq
            self.turns.extend(records)

    def _apply(self, records: list[Run]) -> None:
        started = self.ports.clock.monotonic_ns()
        outputs = self.runner.apply(records)
        self._emit(outputs.after(self.emitted))
        self.observed.apply.add((self.ports.clock.monotonic_ns() - started) / 1e6)
        self._tell_waiters()

    def _after_decision(self) -> None:
        """What is durable by now is answered between decisions, not a turn of the loop later."""
        self.ports.workers.deliver_due()

    def _after_slice(self) -> None:
        self.ports.workers.deliver_due()
        if self._vectors is not None and not self._closing:
            self._vectors.start(self.runner.graph.vectors.values(), self.ports.clock.now_ms())
        self._checkpoint()
        self.tables.catch_up()
        self.ceiling.look(self.runner, self.ports.clock.now_ms())

    def _emit(self, outputs: Outputs) -> None:
        """Outputs and the identity they reach, in one frame."""
        if not len(outputs) or self.writer.error is not None:
            return
        with self.writer.together():
            for topic, records, batch in outputs.drafts(self.runner.at_ms):
                self.append(Draft(topic, EntryKind.OUTPUT, records, batch=batch))
            self.emitted = outputs.last
            self.writer.emitted = (self.emitted.seq, self.emitted.operator, self.emitted.ordinal)
        self.observed.counters.add("outputs", len(outputs))

    def acknowledged(self, subject: str, seq: int) -> None:
        """A record of somebody was acknowledged: what is decided for them from now on has it."""
        self._unapplied[subject] = seq
        if len(self._unapplied) > UNAPPLIED_KEPT:
            applied = self.runner.applied
            self._unapplied = {each: at for each, at in self._unapplied.items() if at > applied}

    def forget(self, subjects: Sequence[str]) -> None:
        """Nothing is to be waited for any more for these."""
        for each in subjects:
            self._unapplied.pop(each, None)

    def unapplied(self, subject: str) -> int:
        """The last record of somebody that was acknowledged, and may not be applied yet; -1: there is none."""
        return self._unapplied.get(subject, -1)

    async def caught_up(self) -> None:
        """Wait until all that is durable now is applied."""
        await self.applied(self._arrived)

    async def applied(self, seq: int) -> None:
        """Wait until the record `seq` is applied."""
        if self.runner.applied >= seq:
            return
        future: asyncio.Future[None] = self.loop.create_future()
        heapq.heappush(self._waiters, (seq, next(self._order), future))
        self.turns.wake()
        await future

    def _fail(self, error: Exception) -> None:
        """Applying broke: what is in state may be half of a step, so nothing more is applied, admitted or decided. The
        ledger is whole; a restart replays it."""
        self.failure = NextpaintError(
            f"the engine stopped: {type(error).__name__}: {error}",
            where=f"after seq {self.runner.applied}",
            cure="the ledger is whole: restart the node; if it stops again at the same place, report it with this text",
        )
        self.failure.__cause__ = error
        self.failure.status = 503
        for _, _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self.failure)
        self._waiters.clear()
        log.error("%s", self.failure, exc_info=error)

    def require_running(self) -> None:
        """Raise when the engine has stopped."""
        if self.failure is not None:
            raise self.failure

    # ------------------------------------------------------------ positions

    def position_of(self, seq: int) -> Position:
        """Where a record is; of recent ones without touching the disk."""
        place = bisect_right(self._places, (seq, 2**63, ())) - 1
        if place < 0 or seq < 0:
            return self.ledger.position_of(seq) if seq >= 0 else Position(0, 0, 0)
        _, number, entries = self._places[place]
        entry = bisect_right(entries, seq) - 1
        return Position(number, entry, seq - entries[entry])

    def seq_of(self, position: Position) -> int:
        """The ordinal of a record; raises NotFound when there is none."""
        place = bisect_right(self._places, position.frame, key=lambda each: each[1]) - 1
        if place >= 0 and self._places[place][1] == position.frame and position.entry < len(self._places[place][2]):
            return self._places[place][2][position.entry] + position.record
        return self.ledger.seq_of(position)

    def watch_applied(self, seq: int, since_ns: int, stages: list[tuple[str, float]]) -> None:
        """Add the stage "apply" of an event once it is applied; an older one still watched is dropped."""
        self._watched = (seq, since_ns, stages)

    @property
    def watches(self) -> bool:
        """Whether an event is being watched."""
        return self._watched[2] is not None

    def _tell_waiters(self) -> None:
        seq, since_ns, stages = self._watched
        if stages is not None and seq <= self.runner.applied:
            stages.append(("apply", (self.ports.clock.monotonic_ns() - since_ns) / 1e6))
            self._watched = _NOTHING_WATCHED
        while self._waiters and self._waiters[0][0] <= self.runner.applied:
            waiter = heapq.heappop(self._waiters)[2]
            if not waiter.done():
                waiter.set_result(None)

    # ------------------------------------------------------------ applications

    async def switch(self, application: Application) -> int:
        """Put another application in force; gives the seq from which it is. What runs now runs until then.

        Its state is built from the ledger beside the running one, in small steps, and so is what surfaces read over
        many keys, unless it is the same already; they take over at one record.
        """
        if application.hash == self.application.hash and self.ledger.next_seq:
            return self.runner.applied
        self.switching += 1
        try:
            async with self.steady:
                return await self._switch_to(application)
        finally:
            self.switching -= 1

    async def _switch_to(self, application: Application) -> int:
        self._warn_of_history(application)
        rebuild = Rebuild(self.ledger, application, lambda: REBUILD_RECORDS)
        await self._catch_up(rebuild)
        tables, lender = Tables(rebuild.runner), self.tables
        for _ in tables.following(self.follows(application), lender):
            await asyncio.sleep(0)
            await self._catch_up(rebuild)
        self._rebuilds[application.hash] = Prepared(application, rebuild, tables, lender)
        record = Record(application.hash.encode(), application.packed(), self.ports.clock.now_ms())
        _, entry, index = await self.appended(Draft(APPLICATION_TOPIC, EntryKind.SWITCH, [record]))
        await self.applied(entry.base_seq + index)
        return entry.base_seq + index

    def _warn_of_history(self, application: Application) -> None:
        """Say in the log what is made anew from less than everything, as `plan` does before."""
        gone = self.ledger.lost()
        if gone:
            graph = build(application.design)
            topics = topics_of(graph)
            begins = missing({name: topics[name] for name in made_anew(self.runner.graph, graph)}, gone)
            for name, begin_ms in sorted(begins.items()):
                log.warning("%s: made of what is left; history missing before %s", name, moment(begin_ms))

    async def _catch_up(self, rebuild: Rebuild) -> None:
        """Bring a rebuild near to the running state; decisions and slices run in between."""
        while rebuild.runner.applied < self.runner.applied - NEAR_RECORDS:
            for _ in rebuild.steps(self.runner.applied):
                await asyncio.sleep(0)

    def _on_switch(self, switch: Switch) -> None:
        """The switch record is reached: its application is in force from here on."""
        prepared = self._rebuilds.pop(switch.hash, None)
        if prepared is None:
            application = Application.unpacked(switch.packed)
            rebuild = Rebuild(self.ledger, application)
            prepared = Prepared(application, rebuild, Tables(rebuild.runner), self.tables)
        made = prepared.rebuild.finish(switch.seq - 1)
        self._abandon_checkpoint()
        runner = taken_over(self.ledger, self.runner, made, SEQ_MAX)
        same = runner is made and prepared.lender is self.tables
        tables = prepared.tables if same else Tables(runner)
        tables.take_over(self.tables)
        runner.applied, runner.at_ms = switch.seq, switch.at_ms
        self._switched = switch.seq
        self.application, self.runner, self.tables = prepared.application, runner, tables
        for told in self.switched:
            told()
        self._tell_waiters()

    # ------------------------------------------------------------ time, checkpoints, background

    def _on_idle(self) -> None:
        """Nothing waits on the state thread: look after vectors, ticks and the witness of the last frame."""
        if self._closing:
            return
        if self._vectors is not None:
            self._vectors.poke(self.runner.graph.vectors.values(), self.ports.clock.now_ms())
        self._checkpoint()
        if self._tick is None:
            self._tick = self.loop.call_later(self.settings.tick_ms / 1000, self._on_tick)

    def _on_tick(self) -> None:
        """A quarter of a second passed: if something held is due and nobody wrote, time itself is recorded."""
        self._tick = None
        if self._closing or self.writer.error is not None:
            return
        now = self.ports.clock.now_ms()
        due = self.runner.next_due_ms()
        if due is not None and due <= now and not self.turns.waiting_records and self.writer.idle:
            self.writer.tick()
        elif now - self._last_write_ms >= WITNESS_MS:
            self.writer.witness()
        if self.subjects.grown:
            self._aside.submit(self.subjects.fold, lambda _done, _error: None)
        self._on_idle()

    def _checkpoint(self) -> None:
        """Start a checkpoint when one is due, and bring a running one forward by a slice. Not while closing: that makes
        its own, and who would write this one may have stopped."""
        if self._closing:
            return
        applied, at_ms = self._last_checkpoint
        now = self.ports.clock.now_ms()
        behind = self.runner.applied - applied
        rewriting = self._rewriting and self.runner.applied >= self.index.last_erasure
        if rewriting and self._checkpointing and self._checkpointing.header.applied < self.index.last_erasure:
            self._abandon_checkpoint()
        if self._checkpointing is None:
            due = behind >= self.settings.checkpoint_records or now - at_ms >= self.settings.checkpoint_s * 1000
            if (due and behind > 0) or (rewriting and not self._publishing and self._publish_error is None):
                self._checkpointing = self._checkpoint_writer()
            return
        writer = self._checkpointing
        self._checkpoint_whole = self._checkpoint_whole or self._checkpoint_slice(writer)
        if self._publishing:
            return
        if not self._checkpoint_whole or self.ledger.emitted < writer.header.emitted:
            # Outputs of what it covers must be durable before it may replace their replay.
            if writer.full:
                self._publishing = True
                self._aside.submit(writer.write, self._piece_written)
            return
        self._checkpointing, self._checkpoint_whole = None, False
        self._last_checkpoint = (writer.header.applied, now)
        self._publishing = True
        self._aside.submit(lambda: self._publish(writer), self._published)

    def _published(self, _done: object, error: BaseException | None) -> None:
        self._publishing, self._publish_error = False, error
        if error is None:
            self._rewritten()

    def _piece_written(self, _done: object, error: BaseException | None) -> None:
        self._publishing = False
        if error is not None and self._checkpointing is not None:
            self._publish_error = error
            self._last_checkpoint = (self._checkpointing.header.applied, self.ports.clock.now_ms())
            self._abandon_checkpoint()

    def _rewritten(self) -> None:
        """A checkpoint is in place: are any left from before the last erasure?"""
        if self._rewriting:
            self._rewriting = any(each < self.index.last_erasure for each in checkpoint.positions(self.ports.disk))

    async def rewritten(self) -> None:
        """Wait until no checkpoint holds anything of who was erased."""
        await self.applied(self.index.last_erasure)
        if not checkpoint.positions(self.ports.disk):
            self._rewriting = False
        self._publish_error = None
        while self._rewriting and self._running() and not self._closing:
            if self._publish_error is not None:
                raise NextpaintError(
                    f"the checkpoint without the person was not written: {self._publish_error}",
                    where=checkpoint.DIRECTORY, cure="the next one takes the older ones away: free disk space",
                ) from self._publish_error  # fmt: skip
            self._checkpoint()
            await asyncio.sleep(0.005)

    def _checkpoint_slice(self, writer: checkpoint.CheckpointWriter) -> bool:
        """Encode for about a millisecond, page by page, at most a tenth of the time; True when all is encoded."""
        clock, rows = self.ports.clock, 0
        started_ns = clock.monotonic_ns()
        if started_ns < self._checkpoint_next_ns:
            return False
        spent_ns = 0
        while rows < checkpoint.SLICE_ROWS and spent_ns < CHECKPOINT_NS:
            if writer.slice(1):
                return True
            rows += CHECKPOINT_PAGE
            spent_ns = clock.monotonic_ns() - started_ns
        self._checkpoint_next_ns = started_ns + spent_ns * CHECKPOINT_SPACING
        return False

    def _checkpoint_writer(self) -> checkpoint.CheckpointWriter:
        beside = {**self.index.snapshot(), "application": self.application.packed}
        return checkpoint.CheckpointWriter(self.runner, self._header(), self.ports.disk, beside)

    def _header(self) -> checkpoint.Header:
        position = self.position_of(self.runner.applied)
        emitted = (self.emitted.seq, self.emitted.operator, self.emitted.ordinal)
        return checkpoint.Header(
            __version__, self.application.hash, self.runner.applied, position.frame, self.runner.at_ms, emitted
        )

    def _publish(self, writer: checkpoint.CheckpointWriter) -> None:
        days = self.application.retention.replay_days
        self.horizon.publish(writer, self.settings.checkpoints_kept, days, self.index.last_erasure)

    @property
    def retainable(self) -> int:
        """The first frame that no retention may touch."""
        return self.horizon.retainable(self._switched)

    def checkpoint_now(self) -> None:
        """Write a checkpoint of this very position, all at once; for shutdown and tests."""
        self._abandon_checkpoint()
        writer = self._checkpoint_writer()
        while not writer.slice():
            if writer.full:
                writer.write()
        self._publish(writer)
        self._rewritten()
        self._last_checkpoint = (self.runner.applied, self.ports.clock.now_ms())

    def _abandon_checkpoint(self) -> None:
        if self._checkpointing is not None:
            self._checkpointing.abandon()
        self._checkpointing, self._checkpoint_whole = None, False

    def _running(self) -> bool:
        return self.writer.error is None and self.failure is None

    # ------------------------------------------------------------ closing

    async def settled(self) -> None:
        """Wait until everything appended is durable and applied."""
        self._settling = True  # nothing waits for company any more
        while self._running() and not (self.writer.flush() and not self.turns.waiting_records):
            await asyncio.sleep(0.001)
        self._settling = False

    async def close(self) -> None:
        """Apply what is durable, leave a checkpoint and an end frame, release the directory."""
        self._closing = True
        if self._tick is not None:
            self._tick.cancel()
        await self.settled()
        self.turns.drain()
        if self._running() and self.runner.applied >= 0:
            await self.settled()
            while self._publishing:  # it may be of this very position, and so the same file
                await asyncio.sleep(0.001)
            self.checkpoint_now()
        self.ports.workers.close()
        self.ledger.close()
        self.subjects.close()
