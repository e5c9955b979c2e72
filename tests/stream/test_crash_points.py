"""Crash everywhere: a random workload, the power cut before every disk operation, and cut again during recovery.

One run visits all crash points of a workload: before each operation that changes the disk, the disk is cloned, the
clone loses its power, is recovered and compared with the model. Whatever a recovered ledger serves is from then on a
promise like an acknowledgement, and the clone is crashed again to see it kept.

`test_each_sabotage_is_caught` breaks the code in the ways storage code is usually broken. A harness that does not
notice is worth nothing.
"""

import errno
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from nextpaint.ports import Ports, SeededRandom, SimulatedClock, SimulatedDisk, SimulatedWorkers
from nextpaint.ports import disk as disk_module
from nextpaint.ports import simulated as simulated_module
from nextpaint.ports.simulated import SimulatedFile
from nextpaint.record.codec import Record
from nextpaint.record.errors import CorruptLedger, LedgerError, LedgerReadOnly
from nextpaint.stream import ledger as ledger_module
from nextpaint.stream.frame import TICK_TOPIC, Draft, EntryKind, Frame, encode_frame
from nextpaint.stream.ledger import Ledger, LedgerSettings
from nextpaint.stream.retention import NOTHING, RetentionPolicy, retain
from nextpaint.stream.verify import verify
from nextpaint.stream.writer import Writer

CHANGING = {"append", "sync", "truncate", "rename", "remove", "sync_directory", "make_directory"}
SETTINGS = LedgerSettings(segment_bytes=1500)  # a few frames each: rolls are where names get lost
TOPICS = ("events", "clicks", "_decisions")


class Lost(AssertionError):
    """A promise was broken."""


@dataclass
class Model:
    """What the clients know. Submission order is ledger order, so the index of an id is the seq it must get."""

    submitted: list[bytes] = field(default_factory=list)
    promised: int = 0  # ids [0, promised) were acknowledged or served after a recovery
    retired: set[int] = field(default_factory=set)  # seqs that retention removed
    topics: dict[int, str] = field(default_factory=dict)


@dataclass
class Tally:
    """What one or many runs visited."""

    points: int = 0
    nested: int = 0
    cuts: int = 0
    faults: int = 0
    hollowed: int = 0
    thinned: int = 0


def ports_on(disk: SimulatedDisk, seed: int) -> Ports:
    random = SeededRandom(seed)
    return Ports(SimulatedClock(), disk, random, SimulatedWorkers(random))


def compare(ledger: Ledger, model: Model) -> None:
    """The ledger holds every promised id at its place, nothing twice, nothing that was not submitted, no gap."""
    if ledger.next_seq < model.promised:
        raise Lost(f"{model.promised - ledger.next_seq} acknowledged records are gone")
    if ledger.next_seq > len(model.submitted):
        raise Lost("the ledger holds records that nobody sent")
    seen = set()
    for frame in ledger.frames():
        for entry in frame.entries:
            for seq, record in enumerate(entry.records, start=entry.base_seq):
                if (record.value or b"") != model.submitted[seq] or seq in seen:
                    raise Lost(f"seq {seq} holds {record.value!r}, not {model.submitted[seq]!r}")
                seen.add(seq)
    if missing := set(range(ledger.next_seq)) - seen - model.retired:
        raise Lost(f"seqs {sorted(missing)[:5]} cannot be read")


def survive(disk: SimulatedDisk, model: Model, seed: int, nesting: int, tally: Tally) -> None:
    """Cut the power of `disk` (a clone), recover, compare; cut it again before each step of the recovery."""
    disk.crash()
    tally.points += 1
    visits = 0

    def again(operation: str, path: str) -> None:
        nonlocal visits
        if operation in CHANGING:
            visits += 1
            tally.nested += 1
            survive(disk.clone(SeededRandom(seed * 31 + visits)), model, seed * 31 + visits, nesting - 1, tally)

    disk.on_operation = again if nesting else None
    ledger = Ledger.open(ports_on(disk, seed), SETTINGS)
    disk.on_operation = None
    tally.cuts += ledger.recovery.cut_bytes > 0
    compare(ledger, model)
    served = Model(model.submitted, ledger.next_seq, model.retired)
    if nesting:
        survive(disk.clone(SeededRandom(seed + 1)), served, seed + 1, 0, tally)
        report = verify(disk)
        if not report.ok:
            raise Lost(str(report))


class Workload:
    """A node's life on one disk, drawn from a seed: appends, clock, failures, restarts, power cuts, retention."""

    def __init__(self, seed: int, tally: Tally, nesting: int = 1) -> None:
        self.random = SeededRandom(seed)
        self.seed = seed
        self.tally = tally
        self.nesting = nesting
        self.model = Model()
        self.disk = SimulatedDisk(SeededRandom(seed + 1))
        self.disk.trace = []
        self.disk.on_operation = self.visit
        self.visits = 0
        self.lives = 0
        self.open()

    def below(self, limit: int) -> int:
        return self.random.uint64() % limit

    def open(self) -> None:
        self.lives += 1
        self.ports = ports_on(self.disk, self.seed * 1000 + self.lives)
        self.workers = self.ports.workers
        self.ledger = Ledger.open(self.ports, SETTINGS)
        if self.ledger.read_only is None:
            compare(self.ledger, self.model)
            # What was never acknowledged and is not here never happened; what is here is promised from now on.
            del self.model.submitted[self.ledger.next_seq :]
            self.model.promised = self.ledger.next_seq
        self.writer = Writer(self.ledger, self.ports, self.durable)

    def visit(self, operation: str, path: str) -> None:
        if operation in CHANGING:
            self.visits += 1
            seed = self.seed * 10_007 + self.visits
            survive(self.disk.clone(SeededRandom(seed)), self.model, seed, self.nesting, self.tally)

    def acknowledged(self, seq: int) -> Callable[..., None]:
        def done(frame: Frame, entry, index: int) -> None:
            if entry.base_seq + index != seq:
                raise Lost(f"submission {seq} was acknowledged as {entry.base_seq + index}")
            self.model.promised = max(self.model.promised, seq + 1)

        return done

    def durable(self, frame: Frame) -> None:
        if frame.next_seq > self.model.promised:
            raise Lost("a frame is durable before those who wait for it were told")

    def append(self) -> None:
        topic = TOPICS[self.below(3)]
        for _ in range(1 + self.below(3)):
            seq = len(self.model.submitted)
            self.model.topics[seq] = topic
            value = b"%d:" % seq + b"x" * self.below(700)
            if self.below(8) == 0:
                self.model.submitted.append(b"")
                self.model.topics[seq] = TICK_TOPIC
                self.writer.tick(self.acknowledged(seq))
            else:
                self.model.submitted.append(value)
                draft = Draft(topic, EntryKind.INPUT, [Record(b"k", value, seq)])
                self.writer.append(draft, self.acknowledged(seq), lambda error: None)

    def step(self) -> None:
        match self.below(24):
            case 0:
                self.ports.clock.advance(self.below(5000))
            case 1:
                self.writer.witness()
            case 2 if self.below(2):
                self.restart(clean=True)
            case 3 if self.below(3) == 0:
                self.restart(clean=False)
            case 4 if self.below(3) == 0:
                self.disk.crash()
                self.open()
            case 5 if self.below(2):
                kind = ("append", "sync", "sync_directory", "rename", "any")[self.below(5)]
                self.disk.fail(kind, after=self.below(4), error=(errno.EIO, errno.ENOSPC)[self.below(2)])
                self.tally.faults += 1
            case 6:
                self.retain()
            case 7 | 8:
                self.writer.hurry()
            case n if n < 17:
                self.append()
            case _:
                self.workers.step()

    def restart(self, *, clean: bool) -> None:
        """Stop the process; the machine (and its page cache) goes on."""
        if clean:
            self.workers.run()
            self.ledger.close()
        self.disk.restart()
        self.disk.heal()
        self.open()

    def retain(self, frame: int = -1, going: Sequence[str] = ()) -> None:
        self.workers.run()
        if not self.writer.idle:
            return
        frame = frame if frame >= 0 else self.below(self.ledger.next_frame + 1)
        going = going or [each for each in TOPICS if self.below(3)]
        candidates = [
            seq
            for segment in self.ledger.segments[:-1]
            if segment.end.frame <= frame
            for seq in range(segment.header.first_seq, segment.end.seq)
            if self.model.topics[seq] in (*going, TICK_TOPIC)
        ]
        self.model.retired |= set(candidates)  # from here on they may or may not be there
        report = retain(self.ledger, RetentionPolicy(dict.fromkeys(going, NOTHING)), oldest_checkpoint_frame=frame)
        self.tally.hollowed += len(report.deleted)
        self.tally.thinned += len(report.rewritten)

    def run(self, steps: int) -> "Workload":
        for _ in range(steps):
            try:
                self.step()
            except (LedgerReadOnly, OSError):
                # The node says it cannot promise any more. It is restarted, as the error's cure says.
                self.restart(clean=False)
            if self.writer.error is not None:
                self.restart(clean=False)
        self.disk.heal()
        self.workers.run()
        return self


def run_until(points: int, seed: int = 0) -> Tally:
    tally = Tally()
    while tally.points < points:
        Workload(seed, tally).run(steps=60)
        seed += 1
    return tally


def test_five_thousand_crash_points_lose_and_double_nothing():
    tally = run_until(5_000)
    assert tally.points >= 5_000
    assert tally.nested > 1_000, "recovery itself was hardly ever crashed"
    assert tally.cuts > 50, "hardly any crash tore a frame: the disk is too kind"
    assert min(tally.hollowed, tally.thinned) > 0, "nothing was rewritten"


def test_a_crash_at_any_step_of_a_rewrite_loses_nothing_that_stays(monkeypatch):
    monkeypatch.setitem(globals(), "SETTINGS", LedgerSettings(segment_bytes=8_000))
    tally = Tally()
    for seed in range(8):
        life = Workload(seed, tally)
        for going in (("events", "clicks"), ("_decisions",)):  # what was rewritten is rewritten again
            life.disk.on_operation = None
            for _ in range(24):
                life.append()
                life.workers.run()
            life.disk.on_operation = life.visit
            life.retain(life.ledger.next_frame, going)
    assert min(tally.thinned, tally.hollowed) >= 20
    assert tally.points > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_ten_times_ten_thousand_crash_points_lose_and_double_nothing(part):
    tally = run_until(10_000, seed=10_000 * (part + 1))
    print(f"crash points survived {tally.points} (of them during recovery {tally.nested}), torn tails {tally.cuts}, "
          f"faults injected {tally.faults}, lost 0, doubled 0")  # fmt: skip


def test_a_crash_in_a_crash_in_a_crash_is_survived():
    tally = Tally()
    for seed in range(2):
        Workload(seed, tally, nesting=2).run(steps=12)
    assert tally.nested > 300


def test_the_same_seed_does_the_same_to_the_last_byte():
    def trace(seed: int) -> str:
        life = Workload(seed, Tally(), nesting=0).run(steps=80)
        digest = hashlib.sha256("\n".join(life.disk.trace or []).encode())
        for name in life.disk.list("ledger"):
            digest.update(life.disk.read(f"ledger/{name}"))
        return digest.hexdigest()

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


# --- sabotage ---------------------------------------------------------------------------------------------------


def never_sync_frames(patch: pytest.MonkeyPatch) -> None:
    sync = SimulatedFile.sync
    patch.setattr(SimulatedFile, "sync", lambda file: None if file._path.endswith(".seg") else sync(file))


def replaced(steps: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A `replace` that leaves steps out: f(ile sync), r(ename), d(irectory sync)."""

    def replace(disk, path: str, data: bytes) -> None:
        temporary = path + disk_module.TEMPORARY if "r" in steps else path
        file = disk.open(temporary, create=True)
        file.truncate(0)
        file.append(data)
        if "f" in steps:
            file.sync()
        if "r" in steps:
            disk.rename(temporary, path)
        if "d" in steps:
            disk.sync_directory(path.rpartition("/")[0])

    return lambda patch: patch.setattr(simulated_module, "replace_durably", replace)


def retry_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    sync = SimulatedFile.sync

    def again(file: SimulatedFile) -> None:
        try:
            sync(file)
        except OSError:
            sync(file)

    patch.setattr(SimulatedFile, "sync", again)


def go_on_after_a_failed_write(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_refuse", lambda ledger, error, what: None)
    patch.setattr(Writer, "error", None)
    fail = Writer._fail

    def forgive(writer: Writer, error) -> None:
        fail(writer, error)
        writer._error = None

    patch.setattr(Writer, "_fail", forgive)


def trust_the_page_cache(patch: pytest.MonkeyPatch) -> None:
    """Take the last frame for durable because it can be read."""
    scan = ledger_module.scan

    def trusting(disk, *, everything):
        found = scan(disk, everything=everything)
        if found.last is not None and not found.last.flags:
            found.segments[-1].note(found.last)
            found.last = None
        return found

    patch.setattr(ledger_module, "scan", trusting)


def acknowledge_when_submitted(patch: pytest.MonkeyPatch) -> None:
    take_off = Writer._take_off

    def eager(writer: Writer) -> None:
        pending, segment = writer._next, writer._ledger.segments[-1]
        if pending.draft.entries and writer._error is None:
            _, frame = encode_frame(pending.draft, segment.place(1), segment.offsets)
            for entry, index, done, _ in pending.waiting:
                done(frame, frame.entries[entry], index)
            pending.waiting = []
        take_off(writer)

    patch.setattr(Writer, "_take_off", eager)


def lose_the_gathered_frame(patch: pytest.MonkeyPatch) -> None:
    """Answer what was gathered meanwhile with the frame that just landed."""
    committed = Writer._committed

    def sloppy(writer: Writer, at_ns, error) -> None:
        if writer._flights and writer._flights[0].draft.entries and writer._next.waiting:
            pending = writer._flights[0]
            pending.waiting += [(0, 0, done, failed) for _, _, done, failed in writer._next.waiting]
        committed(writer, at_ns, error)

    patch.setattr(Writer, "_committed", sloppy)


def answer_two_frames_when_the_first_landed(patch: pytest.MonkeyPatch) -> None:
    committed = Writer._committed

    def sloppy(writer: Writer, at_ns, error) -> None:
        if error is None and len(writer._flights) > 1:
            second = writer._flights[1]
            for entry, index, done, _ in second.waiting:
                done(second.frame, second.frame.entries[entry], index)
            second.waiting = []
        committed(writer, at_ns, error)

    patch.setattr(Writer, "_committed", sloppy)


def write_every_frame_twice(patch: pytest.MonkeyPatch) -> None:
    """A retry that does not know whether the first try succeeded."""
    patch.setattr(SimulatedFile, "commit", lambda file, data: (file.append(data), file.append(data), file.sync()))


def frames_that_share_sectors(patch: pytest.MonkeyPatch) -> None:
    """An append that is torn takes acknowledged bytes of its first sector with it."""
    patch.setitem(globals(), "SETTINGS", LedgerSettings(segment_bytes=1500, align_bytes=1))


SABOTAGES = [
    never_sync_frames,
    pytest.param(replaced("rf"), id="replace_without_directory_sync"),
    pytest.param(replaced("rd"), id="replace_without_file_sync"),
    pytest.param(replaced("fd"), id="replace_in_place"),
    retry_a_failed_sync,
    go_on_after_a_failed_write,
    trust_the_page_cache,
    acknowledge_when_submitted,
    lose_the_gathered_frame,
    answer_two_frames_when_the_first_landed,
    write_every_frame_twice,
    frames_that_share_sectors,
]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_each_sabotage_is_caught(sabotage, monkeypatch):
    sabotage(monkeypatch)
    for seed in range(60):
        try:
            Workload(seed, Tally(), nesting=0).run(steps=100)
        except (Lost, CorruptLedger, LedgerError, FileNotFoundError, IndexError):
            return
    pytest.fail("60 lives of a broken ledger and nobody noticed")
