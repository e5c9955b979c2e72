"""The one replay: from a checkpoint (or from nothing), to a position, with outputs handed to whoever asked.

Recovery, explanation, parity, rebuilds of a changed application and the conformance tests are its callers. Nothing
here reads a clock, draws a random number, runs a model or sends anything.

`without` and `suppose` answer "what if": records that never came, and records that the ledger does not hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from nextpaint.application import Application
from nextpaint.ports import Disk
from nextpaint.process import checkpoint
from nextpaint.process.live import Tables
from nextpaint.process.outputs import DEAD_TOPIC, Outputs
from nextpaint.process.runner import Runner
from nextpaint.record.codec import Record
from nextpaint.record.errors import ReplayError
from nextpaint.record.runs import Run
from nextpaint.stream.frame import Entry, EntryKind, Frame
from nextpaint.stream.lost import Lost

APPLICATION_TOPIC = "_app"
DECISIONS_TOPIC = "decisions"
APART = frozenset({"_audit", "_proofs", "_propensities", DEAD_TOPIC})  # topics that no state is made of
STEP_RECORDS = 2048  # a step of recovery: large enough to spread fixed costs, small enough to stay in cache
SEQ_MAX = 2**63 - 1

Cut = Callable[[], int]
OnOutputs = Callable[[Outputs], object]


class Frames(Protocol):
    """A ledger to read from."""

    def frames(self, start: int = 0) -> Iterator[Frame]: ...

    def lost(self) -> Sequence[Lost]:
        """What retention took out of it."""


class Switch:
    """From `seq` on the application of this hash is in force."""

    __slots__ = ("at_ms", "hash", "packed", "seq")

    def __init__(self, seq: int, at_ms: int, record: Record) -> None:
        self.seq = seq
        self.at_ms = at_ms
        self.hash = (record.key or b"").decode()
        self.packed = record.value or b""


def arriving(entry: Entry) -> Sequence[Run | Switch]:
    """What the engine applies of an entry: inputs and ticks; outputs are the engine's own and are passed over, and so
    is what retention took."""
    if entry.kind is EntryKind.SWITCH:
        return [Switch(entry.base_seq + at, entry.at, record) for at, record in enumerate(entry.records)]
    return () if entry.kind in (EntryKind.OUTPUT, EntryKind.GONE) else (entry.run(),)


class Waiting:
    """Records still to be applied, in ledger order, handed out in runs of any size; a switch stands between them."""

    def __init__(self) -> None:
        self._items: deque[Run | Switch] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, items: Iterable[Run | Switch]) -> None:
        for each in items:
            self._items.append(each)
            self._count += 1 if isinstance(each, Switch) else len(each)

    def clear(self) -> None:
        self._items.clear()
        self._count = 0

    @property
    def at_switch(self) -> bool:
        """Whether a switch comes next."""
        return bool(self._items) and isinstance(self._items[0], Switch)

    def switch(self, to_seq: int = SEQ_MAX) -> Switch | None:
        """Take the switch that comes next, if one does, up to `to_seq`."""
        first = self._items[0] if self._items else None
        if not isinstance(first, Switch) or first.seq > to_seq:
            return None
        self._items.popleft()
        self._count -= 1
        return first

    def take(self, size: int, to_seq: int = SEQ_MAX) -> list[Run]:
        """At most `size` records up to `to_seq`, before the next switch."""
        taken: list[Run] = []
        while size > 0 and self._items:
            run = self._items[0]
            if isinstance(run, Switch) or run.seq > to_seq:
                break
            fits = min(size, len(run), to_seq - run.seq + 1)
            if fits == len(run):
                self._items.popleft()
            else:
                self._items[0] = run.part(fits, len(run))
                run = run.part(0, fits)
            taken.append(run)
            size -= fits
            self._count -= fits
        return taken


class _Records:
    """The records of a ledger in order, handed out in steps; a switch is a step of its own."""

    def __init__(
        self, ledger: Frames, first_frame: int, after_seq: int, cut: Cut | None, without: Collection[int] = ()
    ) -> None:
        self._without = without
        self.frame = first_frame  # the frame last read from
        self._frames = iter(ledger.frames(first_frame))
        self._after = after_seq
        self._read_to = after_seq
        self._waiting = Waiting()
        self._cut = cut

    def _size(self) -> int:
        return self._cut() if self._cut else STEP_RECORDS

    def _more(self) -> bool:
        """Read one more frame; False at the end of the ledger."""
        frame = next(self._frames, None)
        if frame is None:
            return False
        self.frame, self._read_to = frame.number, frame.next_seq - 1
        for entry in frame.entries:
            for each in arriving(entry):
                if isinstance(each, Switch):
                    self._waiting.extend([each] if each.seq > self._after else ())
                elif each.last_seq > self._after:
                    self._waiting.extend(each.after(self._after).without(self._without))
        return True

    def steps(self, to_seq: int) -> Iterator[Switch | list[Run]]:
        """Runs of records up to and including `to_seq`; what lies beyond stays for the next call."""
        step, left = list[Run](), self._size()
        while True:
            taken = self._waiting.take(left, to_seq)
            step += taken
            left -= sum(map(len, taken))
            if left and not len(self._waiting) and self._read_to < to_seq and self._more():
                continue
            full = not left
            if step:
                yield step
                step, left = [], self._size()
            if full:
                continue
            switch = self._waiting.switch(to_seq)
            if switch is None:
                return
            yield switch


class Rebuild:
    """The state of an application as if it had been in force from the ledger's first record, or from the first that
    retention left of each topic, built step by step."""

    def __init__(
        self, ledger: Frames, application: Application, cut: Cut | None = None, without: Collection[int] = ()
    ) -> None:
        self.runner = Runner(application.design)
        self._ledger = ledger
        self._cut = cut
        self._without = without
        self._records = _Records(ledger, 0, -1, cut, without)

    def steps(self, to_seq: int) -> Iterator[None]:
        """Apply up to and including `to_seq`, yielding after each step."""
        for step in self._records.steps(to_seq):
            if not isinstance(step, Switch):
                self.runner.apply(step)
                yield
        applied = max(to_seq, self.runner.applied)
        self._records = _Records(self._ledger, self._records.frame, applied, self._cut, self._without)

    def finish(self, to_seq: int) -> Runner:
        """The state at `to_seq`."""
        for _ in self.steps(to_seq):
            pass
        return self.runner


class Replay:
    """A node's state moved along a ledger. `runner`, `tables` and `application` are those in force at `applied`.

    Raises ReplayError without a checkpoint to start from where retention has taken records, unless a state of those
    that are left will do: `incomplete`.
    """

    def __init__(
        self,
        ledger: Frames,
        *,
        start: checkpoint.Checkpoint | None = None,
        disk: Disk | None = None,
        cut: Cut | None = None,
        on_outputs: OnOutputs | None = None,
        applications: dict[str, Application] | None = None,
        without: Collection[int] = (),
        incomplete: bool = False,
    ) -> None:
        self._ledger = ledger
        self._disk = disk
        self._cut = cut
        self._on_outputs = on_outputs
        self._applications = applications if applications is not None else {}
        self.applied = -1
        self.application: Application | None = None
        self.runner: Runner | None = None
        self._tables: Tables | None = None
        self.switched = -1  # the last switch passed
        if start is not None:
            self._from(start)
        elif not incomplete:
            require_whole(ledger)
        self._incomplete = incomplete
        self._without = without
        self._records = _Records(ledger, start.header.next_frame if start else 0, self.applied, cut, without)

    @property
    def tables(self) -> Tables:
        if self._tables is None or self._tables.runner is not self.runner:
            if self.runner is None:
                raise ReplayError("no application is in force yet at this position", where=f"seq {self.applied}")
            self._tables = Tables(self.runner)
        return self._tables

    def _from(self, start: checkpoint.Checkpoint) -> None:
        packed = start.beside.get("application")
        if packed is not None and start.header.application not in self._applications:
            self._application(packed)
        self.application = self._in_force_at(start.header.applied, start.header.application)
        self.runner = Runner(self.application.design)
        start.load(self.runner)
        self.applied = start.header.applied

    def _in_force_at(self, seq: int, digest: str) -> Application:
        """The application a checkpoint names, from the ledger's switch records."""
        if digest in self._applications:
            return self._applications[digest]
        for step in _Records(self._ledger, 0, -1, None).steps(seq):
            if isinstance(step, Switch):
                self._application(step.packed)
        if digest not in self._applications:
            raise ReplayError(
                f"the application {digest[:12]} is no longer in the ledger",
                where=f"checkpoint at seq {seq}",
                cure="replay from a position within the replay horizon",
            )
        return self._applications[digest]

    def _application(self, packed: bytes) -> Application:
        application = Application.unpacked(packed)
        return self._applications.setdefault(application.hash, application)

    def advance(self, to_seq: int) -> None:
        """Apply every record up to and including `to_seq`."""
        for step in self._records.steps(to_seq):
            if isinstance(step, Switch):
                self._switch(step)
            else:
                self._apply(step)

    @property
    def size(self) -> int:
        """How many rows the state has."""
        return 0 if self.runner is None else self.runner.state.rows()

    def reopen(self) -> None:
        """Read on from where the ledger is now: it grew since the last `advance`."""
        self._records = _Records(self._ledger, self._records.frame, self.applied, self._cut, self._without)

    def leave_out(self, seqs: Collection[int]) -> None:
        """From here on as if these records had never come; all of them are still to be applied."""
        if min(seqs, default=SEQ_MAX) <= self.applied:
            raise ReplayError("a record that was applied cannot be left out", where=f"seq {min(seqs)}")
        self._without = seqs
        self.reopen()

    def suppose(self, topic: str, records: Sequence[Record]) -> None:
        """Apply records that the ledger does not hold, right after the last one applied; `advance` ends here."""
        if self.runner is None:
            raise ReplayError("no application is in force yet at this position", where=f"seq {self.applied}")
        self._apply([Run.of_records(topic, self.applied + 1, self.runner.at_ms, records)])

    def _apply(self, records: list[Run]) -> None:
        if self.runner is None:
            return  # before the first application nothing is remembered
        outputs = self.runner.apply(records)
        if outputs and self._on_outputs is not None:
            self._on_outputs(outputs)
        self.applied = records[-1].last_seq

    def _switch(self, switch: Switch) -> None:
        application = self._applications.get(switch.hash) or self._application(switch.packed)
        runner = Rebuild(self._ledger, application, self._cut, self._without).finish(switch.seq - 1)
        runner = taken_over(self._ledger, self.runner, runner, SEQ_MAX if self._incomplete else switch.seq)
        runner.applied = switch.seq
        self.application, self.runner = application, runner
        self.applied = self.switched = switch.seq


def taken_over(ledger: Frames, old: Runner | None, made: Runner, seq: int) -> Runner:
    """What is in force from a switch on, of what was and what was made anew, both just before it.

    Where retention took nothing, what was made knows everything. Else operators that both have keep what they know.
    Raises ReplayError where the others were made of records that were let go after the switch.
    """
    gone = gone_from(ledger)
    if not gone:
        return made
    if old is None:
        return made
    later = [each for each in gone if each.next_seq > seq]
    if later and not made.state.cells.keys() <= old.state.cells.keys():
        raise ReplayError(
            f"the application of seq {seq} was made of records that retention has let go since: {gone_text(later)}",
            where=f"seq {seq}",
            cure="what was decided before the first checkpoint of that application is recorded, no longer recomputable",
        )
    return checkpoint.carried(old, made)


def gone_from(ledger: Frames) -> list[Lost]:
    """What retention took that state is made of: not what the engine writes itself, nor what is kept only to be
    read."""
    return [each for each in ledger.lost() if each.topics.keys() - each.outputs - APART]


def require_whole(ledger: Frames) -> None:
    """Raises ReplayError where a state cannot be made from the first record."""
    gone = gone_from(ledger)
    if gone:
        raise ReplayError(
            f"the state cannot be made from the first record any more: retention let records go: {gone_text(gone)}",
            where="ledger",
            cure="it is made again from a checkpoint, and none that is kept is old enough: see `replay` in [retention]",
        )


def gone_text(gone: Sequence[Lost]) -> str:
    """In words: which topics, and until when."""
    topics = sorted({topic for each in gone for topic in each.topics.keys() - each.outputs - APART})
    return f"{', '.join(topics)} of before {moment(max(each.until for each in gone))}"


def moment(at_ms: int) -> str:
    """A time as people read it, to the minute, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
