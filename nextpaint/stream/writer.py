"""Group commit: whatever arrives while one frame is being synced forms the next. There is no timer in here.

So a lone record waits for one sync, and under load a frame carries all that one sync's time brought: low latency
and high throughput come from the same rule.

All methods and callbacks run on the state thread, which makes the frames; they are committed elsewhere, one after the
other. A record that somebody waits for (`hurry`) never waits for the state thread: its frame is handed over behind the
one in flight. It is durable after the rest of that flight and one of its own, whatever the state thread does
meanwhile. At most one frame at a time is written and not synced: recovery relies on that.

Per frame, in the order of the frames: every `done` in the order of the appends, then `on_durable`. When the ledger
fails, every waiting `failed` is called once and `append` raises LedgerReadOnly from then on. A record that cannot be
encoded is refused by `append` with ValueError and costs nobody else anything.

Does not decide what is accepted: callers look at `pending_bytes` and refuse early, long before the last-resort
limit here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nextpaint.ports import Ports
from nextpaint.record.codec import BatchBuilder, EncodedBatch
from nextpaint.record.errors import LedgerError, LedgerReadOnly, Overloaded
from nextpaint.stream.frame import TOPIC_BYTES_MAX, Draft, Emitted, Entry, EntryKind, Frame, FrameDraft, FrameFlag
from nextpaint.stream.ledger import Ledger
from nextpaint.stream.segment import Partition

Done = Callable[[Frame, Entry, int], None]
Failed = Callable[[LedgerError], None]

AHEAD_MAX = 3  # frames handed over and not durable: a disk that is behind gets larger ones instead


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """pending_bytes: what waits for the disk beyond this is refused. 64 MiB is about a second of a slow disk's
        throughput; a disk that is further behind is stalled, and memory must not stand in for it.
    entry_span_ms: records that came within this time share an entry and its `at`. 10 ms is finer than any timer or
        timeout the engine has, and at 2,000 single records per second puts some twenty in one batch.
    """

    pending_bytes: int = 64 << 20
    entry_span_ms: int = 10


@dataclass(slots=True)
class _Pending:
    """A frame that is being gathered or written."""

    draft: FrameDraft = field(default_factory=FrameDraft)
    waiting: list[tuple[int, int, Done | None, Failed | None]] = field(default_factory=list)  # entry, record
    bytes: int = 0
    records: int = 0
    frame: Frame | None = None  # once it is made

    @property
    def empty(self) -> bool:
        return not self.draft.entries and self.draft.emitted is None and not self.draft.flags


class Writer:
    """`on_durable(frame)` is called for each frame that is durable, and is how the engine gets its input.

    `soon` (a loop's `call_soon`) lets a frame take off at the end of the turn in which its first record came: what one
    turn reads from many sockets shares a frame, a hand-over between threads and a sync. Without it, it takes off at
    once.
    """

    def __init__(
        self,
        ledger: Ledger,
        ports: Ports,
        on_durable: Callable[[Frame], None],
        limits: WriterLimits | None = None,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = ports.clock
        self._workers = ports.workers
        self._on_durable = on_durable
        self._limits = limits or WriterLimits()
        self._at = ledger.at
        self._emitted = ledger.emitted
        self._next = _Pending()
        self._flights: deque[_Pending] = deque()  # handed over, in order
        self._landed: deque[tuple[int, _Pending]] = deque()  # when it was durable (ns), and whose callbacks are due
        self._landing = False
        self._rolling = False  # a worker makes the next segment
        self._waiting_bytes = 0  # not landed yet, gathered or in flight
        self._waiting_records = 0
        self._held = 0
        self._partitions: set[Partition] = set()  # names known to be writable
        self._soon = soon
        self._leaving = False
        self._urgent = False  # somebody waits for what is gathered, and could not be helped yet
        self.company = 0  # how many appends somebody waits for were in the last frame that had one
        self.took_off_ns = 0  # when the last frame did
        self.synced_ns = 0  # when the frame was durable whose callbacks run
        self._error: LedgerError | None = None

    # --- appending ------------------------------------------------------------------------------------------

    def append(self, draft: Draft, done: Done | None = None, failed: Failed | None = None) -> None:
        """Let `draft` join the next frame.

        `done(frame, entry, index)` when it is durable; `index` is that of its first record in `entry`.
        `failed(error)` when it never will be. Raises Overloaded, LedgerReadOnly, or ValueError for a draft that
        cannot be written; neither callback is called then.
        """
        if self._error is not None:
            raise self._error
        if self.pending_bytes > self._limits.pending_bytes:
            raise Overloaded(
                f"{self.pending_bytes >> 20} MiB wait for the disk", where=f"frame {self._ledger.next_frame}"
            )
        if (draft.topic, draft.partition) not in self._partitions:
            self._admit(draft.topic, draft.partition)
        if draft.batch is None and not draft.records:
            raise ValueError(f"a draft for {draft.topic} without records")
        now = self._clock.now_ms()
        if now > self._at:
            self._at = now
        index, grown = self._gathered(draft)
        pending = self._next
        pending.waiting.append((len(pending.draft.entries) - 1, index, done, failed))
        records = len(draft.records) if draft.batch is None else draft.batch.count
        pending.bytes += grown
        pending.records += records
        self._waiting_bytes += grown
        self._waiting_records += records
        self._leave()

    def tick(self, done: Done | None = None) -> None:
        """Let the ledger's time move on although nothing happened."""
        self.append(Draft.tick(), done)

    @property
    def emitted(self) -> Emitted:
        """The identity the next frame will carry: all outputs up to it are in the ledger or in that frame."""
        return self._emitted

    @emitted.setter
    def emitted(self, identity: Emitted) -> None:
        self._emitted = self._next.draft.emitted = identity

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is appended inside goes into one frame, with the `emitted` set inside. No frame takes off meanwhile."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._go_on()

    def witness(self) -> None:
        """Leave evidence that the last frame was synced; to be called when nothing was written for a second."""
        if self.idle and self._error is None and not self._ledger.witnessed:
            if self._ledger.full:
                self._roll()  # what follows must not share the frame of the evidence
                return
            self._next.draft.flags = FrameFlag.WITNESS
            self._take_off()

    # --- how far it is --------------------------------------------------------------------------------------

    @property
    def pending_bytes(self) -> int:
        """Encoded bytes not yet durable, gathered or in flight."""
        return self._waiting_bytes

    @property
    def pending_records(self) -> int:
        return self._waiting_records

    @property
    def idle(self) -> bool:
        """Nothing waits for the disk, and every callback was called."""
        busy = self._flights or self._landed or self._landing or self._rolling
        return not busy and self._next.empty

    @property
    def error(self) -> LedgerError | None:
        """Why nothing can be appended any more."""
        return self._error

    def flush(self) -> bool:
        """Start writing what is gathered, unless a frame is in flight; True when idle.

        It never waits: with threads, call it again from the loop until it says True; with inline or simulated
        workers, after they ran, one call does.
        """
        if not self._flights:
            self._take_off()
        return self.idle

    def hurry(self) -> None:
        """Somebody waits for what is gathered: it is handed over now, or as soon as that is possible."""
        self._urgent = len(self._flights) >= AHEAD_MAX or self._held > 0
        if not self._urgent:
            self._take_off()

    # --- frames ---------------------------------------------------------------------------------------------

    def _gathered(self, draft: Draft) -> tuple[int, int]:
        """Let a draft join the last entry of the frame that gathers, or begin another: the index of its first record
        there, and by how many bytes the frame grew."""
        entries = self._next.draft.entries
        last = entries[-1] if entries else None
        if (
            draft.batch is None
            and last is not None
            and isinstance(last.batch, BatchBuilder)
            and last.topic == draft.topic
            and last.kind is draft.kind
            and last.partition == draft.partition
            and self._at - last.at <= self._limits.entry_span_ms
        ):
            before = last.batch.bytes
            index = last.batch.count
            last.batch.append(draft.records)
            last.records += draft.records
            return index, last.batch.bytes - before
        entry = self._entry(draft)
        entries.append(entry)
        return 0, 0 if entry.batch is None else entry.batch.bytes

    def _entry(self, draft: Draft) -> Draft:
        """A draft of our own, encoded now, so that a record that cannot be encoded harms only its sender."""
        batch: BatchBuilder | EncodedBatch
        if draft.batch is not None:
            batch = draft.batch
        else:
            batch = BatchBuilder()
            batch.append(draft.records)
        return Draft(draft.topic, EntryKind(draft.kind), list(draft.records), draft.partition, self._at, batch)

    def _admit(self, topic: str, partition: int) -> None:
        size = len(topic.encode())
        if not 0 < size <= TOPIC_BYTES_MAX:
            raise ValueError(f"topic {topic!r} has {size} bytes; 1 to {TOPIC_BYTES_MAX} are possible")
        if not 0 <= partition < 1 << 31:
            raise ValueError(f"partition {partition} of {topic} is outside 0..2147483647")
        self._partitions.add((topic, partition))

    def _leave(self) -> None:
        """Let the next frame take off, if none is in flight: at once, or at the end of this turn of the loop."""
        if self._flights or self._held:
            return
        if self._soon is None:
            self._take_off()
        elif not self._leaving and not self._next.empty:
            self._leaving = True
            self._soon(self._leave_now)

    def _go_on(self) -> None:
        """What kept the next frame may be over."""
        if self._urgent:
            self.hurry()
        else:
            self._leave()

    def _leave_now(self) -> None:
        self._leaving = False
        if not self._flights and not self._held:
            self._take_off()

    def _take_off(self) -> None:
        """Hand over what is gathered, if there is anything; what the ledger refuses fails like what the disk does."""
        if self._next.empty or self._error is not None or self._rolling:
            return
        try:
            if self._ledger.full:
                self._roll()
                return
            before = self._ledger.before_frame()
            pending, self._next = self._next, _Pending()
            self._flights.append(pending)
            data, pending.frame = self._ledger.prepare(pending.draft)
            file = self._ledger.file
        except Exception as error:
            self._fail(error)
            return
        waiting = sum(done is not None for _, _, done, _ in pending.waiting)
        self.company = waiting or self.company
        self.took_off_ns = self._clock.monotonic_ns()
        if before is not None:
            self._workers.commit(before, b"", self._preceded)
        self._workers.commit(file, data, self._committed)

    def _preceded(self, _: int | None, error: BaseException | None) -> None:
        """What had to be durable before a frame is, or never will be: then the frame was not tried."""
        if error is not None and self._error is None:
            self._fail(error)

    def _roll(self) -> None:
        """Have the next segment made, once every frame so far is durable; what is gathered takes off after that."""
        if self._flights or self._rolling:
            return
        self._rolling = True

        def rolled(_: None, error: BaseException | None) -> None:
            self._rolling = False
            if error is not None:
                self._fail(error)
            else:
                self._take_off()

        self._workers.submit(self._ledger.roll, rolled)

    def _committed(self, at_ns: int | None, error: BaseException | None) -> None:
        """The oldest flight has landed. The next one starts before its callbacks, so the disk is never idle."""
        if self._error is not None:
            return  # everybody was told
        pending = self._flights[0]
        if error is not None or pending.frame is None:
            self._fail(error or AssertionError("a frame was committed before it was made"))
            return
        self._flights.popleft()
        self._ledger.note(pending.frame)
        self._landed.append((self._clock.monotonic_ns() if at_ns is None else at_ns, pending))
        self._go_on()
        if not self._landing:  # inline workers come back inside the call above: the loop below is already running
            self._landing = True
            try:
                while self._landed:
                    self._land(*self._landed.popleft())
            finally:
                self._landing = False

    def _land(self, at_ns: int, pending: _Pending) -> None:
        frame = pending.frame
        if frame is None:
            raise AssertionError("a frame landed that was never made")
        self._waiting_bytes -= pending.bytes
        self._waiting_records -= pending.records
        self.synced_ns = at_ns
        for entry, index, done, _ in pending.waiting:
            if done is not None:
                done(frame, frame.entries[entry], index)
        if not frame.flags:
            self._on_durable(frame)

    def _fail(self, error: BaseException) -> None:
        error = self._ledger.refuse(error)
        refused = error if isinstance(error, LedgerError) else LedgerReadOnly(
            f"a frame could not be written: {error!r}", cure="report it; the ledger on disk is whole"
        )  # fmt: skip
        refused.__cause__ = error if refused is not error else error.__cause__
        self._error = refused
        lost = [*self._flights, self._next]
        self._flights.clear()
        self._next = _Pending()
        self._waiting_bytes = self._waiting_records = 0
        for pending in lost:
            for _, _, _, failed in pending.waiting:
                if failed is not None:
                    failed(refused)
