"""Group commit: one frame in flight, the rest gathers; callbacks in order, before the engine; failures reach all."""

import asyncio
import errno

import pytest

from nextpaint.ports import (
    InlineWorkers,
    Ports,
    SeededRandom,
    SimulatedClock,
    SimulatedDisk,
    SimulatedWorkers,
    SystemClock,
    SystemDisk,
    SystemRandom,
    ThreadWorkers,
)
from nextpaint.record.codec import EncodedBatch, Record, encode_batch
from nextpaint.record.errors import LedgerReadOnly, Overloaded
from nextpaint.stream.frame import Draft, EntryKind
from nextpaint.stream.ledger import Ledger, LedgerSettings
from nextpaint.stream.writer import AHEAD_MAX, Writer, WriterLimits


class Node:
    """A writer on simulated ports, and everything it called back."""

    def __init__(self, workers=None, limits: WriterLimits | None = None, **settings) -> None:
        self.workers = workers or SimulatedWorkers(SeededRandom(3))
        self.disk = SimulatedDisk(SeededRandom(1))
        self.ports = Ports(SimulatedClock(), self.disk, SeededRandom(2), self.workers)
        self.ledger = Ledger.open(self.ports, LedgerSettings(**settings))
        self.calls: list[str] = []
        self.frames: list = []
        self.writer = Writer(self.ledger, self.ports, self.durable, limits)

    def durable(self, frame) -> None:
        self.frames.append(frame)
        self.calls.append(f"frame {frame.number}")

    def append(self, name: str, topic: str = "a", kind: EntryKind = EntryKind.INPUT) -> None:
        self.writer.append(
            Draft(topic, kind, [Record(None, name.encode(), 1)]),
            lambda frame, entry, index: self.calls.append(f"{entry.records[index].value.decode()} {frame.number}"),
            lambda error: self.calls.append(f"{name} failed"),
        )


def test_what_arrives_during_a_sync_forms_the_next_frame():
    node = Node()
    for name in "bcde":
        node.append(name)
    assert node.calls == [], "nothing is acknowledged before it is durable"
    assert (node.writer.pending_records, node.writer.idle) == (4, False)
    node.workers.run()
    assert node.calls == ["b 0", "frame 0", "c 1", "d 1", "e 1", "frame 1"]
    assert node.writer.idle
    assert node.writer.pending_bytes == 0


def test_consecutive_drafts_of_one_partition_share_a_batch():
    node = Node()
    node.append("first")
    for name, topic, kind in (
        ("1", "a", EntryKind.INPUT),
        ("2", "a", EntryKind.INPUT),
        ("3", "b", EntryKind.INPUT),
        ("4", "a", EntryKind.INPUT),
        ("5", "a", EntryKind.OUTPUT),
    ):
        node.append(name, topic, kind)
    node.ports.clock.advance(11)  # past the span of one entry: it gets an `at` of its own
    node.append("6", "a", EntryKind.OUTPUT)
    node.workers.run()
    entries = node.frames[1].entries
    assert [(entry.topic, entry.count) for entry in entries] == [("a", 2), ("b", 1), ("a", 1), ("a", 1), ("a", 1)]
    assert entries[-1].at == entries[-2].at + 11
    again = next(iter(node.ledger.frames(1)))
    assert [record.value for entry in again.entries for record in entry.records] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_group_is_one_frame_with_its_identity():
    node = Node(InlineWorkers())
    with node.writer.together():
        node.append("x")
        with node.writer.together():
            node.append("y", "b")
        node.writer.emitted = (7, 1, 2)
        node.append("z")
    assert node.calls == ["x 0", "y 0", "z 0", "frame 0"]
    assert (node.frames[0].emitted, node.writer.emitted, node.ledger.emitted) == ((7, 1, 2),) * 3
    with node.writer.together():
        node.writer.emitted = (8, 0, 0)  # progress without outputs is worth a frame too
    assert node.ledger.emitted == (8, 0, 0)


def test_callbacks_may_append():
    node = Node(InlineWorkers())

    def done(frame, entry, index) -> None:
        node.calls.append("outer")
        node.append("inner")

    node.writer.append(Draft("a", EntryKind.INPUT, [Record(None, b"outer", 1)]), done)
    assert node.calls == ["outer", "frame 0", "inner 1", "frame 1"]


def test_a_record_that_cannot_be_encoded_harms_only_its_sender():
    node = Node()
    node.append("good")
    node.append("also good")
    for bad in (
        Draft("a", EntryKind.INPUT, [Record(None, b"x", 2**70)]),
        Draft("a", EntryKind.INPUT, []),
        Draft("b", EntryKind.INPUT, []),
        Draft("", EntryKind.INPUT, [Record(None, b"x", 1)]),
        Draft("x" * 250, EntryKind.INPUT, [Record(None, b"x", 1)]),
        Draft("a", EntryKind.INPUT, [Record(None, b"x", 1)], partition=-1),
    ):
        with pytest.raises(ValueError):
            node.writer.append(bad)
    node.append("last")
    node.workers.run()
    assert node.calls == ["good 0", "frame 0", "also good 1", "last 1", "frame 1"]


def test_a_batch_that_is_encoded_already_is_kept_byte_for_byte():
    node = Node(InlineWorkers())
    node.append("x")
    batch = encode_batch([Record(b"k", b"v", 5), Record(b"k", b"w", 6)], 0)
    node.writer.append(Draft("a", EntryKind.INPUT, [], batch=EncodedBatch(batch, 2)))
    entry = node.frames[1].entries[0]
    assert (entry.base_offset, entry.count, entry.batch[8:]) == (1, 2, batch[8:])
    assert [record.value for record in entry.records] == [b"v", b"w"]


def test_a_failed_sync_fails_everyone_who_waits_and_everyone_after():
    node = Node()
    node.append("a")
    node.workers.run()
    node.disk.fail("sync")
    node.append("b")
    node.append("c")
    node.workers.run()
    assert node.calls == ["a 0", "frame 0", "b failed", "c failed"]
    for _ in range(2):
        with pytest.raises(LedgerReadOnly, match="read-only"):
            node.append("d")
    assert isinstance(node.writer.error, LedgerReadOnly)
    assert node.writer.idle
    node.writer.witness()
    assert node.writer.flush()


def test_a_full_disk_names_the_cure():
    node = Node(InlineWorkers())
    node.disk.fail("append", error=errno.ENOSPC)
    node.append("a")
    assert node.calls == ["a failed"]
    assert "free space" in str(node.writer.error)


def test_what_waits_is_bounded():
    node = Node(limits=WriterLimits(pending_bytes=1000))
    with pytest.raises(Overloaded, match="wait for the disk"):
        for _ in range(100):
            node.append("x" * 100)
    assert 1000 < node.writer.pending_bytes < 1300
    node.workers.run()
    node.append("again")


class Apart:
    """Workers that do what they are told to, and whose completions arrive when they are asked for."""

    def __init__(self) -> None:
        self.given: list = []
        self.done: list = []

    def commit(self, file, data, done) -> None:
        self.given.append((lambda: file.commit(data), done))

    def submit(self, job, done) -> None:
        self.given.append((job, done))

    def write(self) -> bool:
        """Do one thing; False when there is nothing to do."""
        if not self.given:
            return False
        job, done = self.given.pop(0)
        try:
            job()
            self.done.append((done, None))
        except OSError as error:
            self.done.append((done, error))
        return True

    def deliver(self) -> None:
        while self.done:
            done, error = self.done.pop(0)
            done(None, error)


def test_a_frame_somebody_waits_for_follows_the_one_in_flight_without_the_state_thread():
    node = Node(Apart())
    node.append("event")
    node.append("decision")
    node.writer.hurry()
    node.append("another")  # nobody waits for it
    assert node.workers.write() and node.workers.write() and not node.workers.write()
    assert node.calls == [], "durable, and the state thread has not been there"
    assert node.writer.pending_records == 3
    node.workers.deliver()
    assert node.calls == ["event 0", "frame 0", "decision 1", "frame 1"]
    assert node.workers.write() and not node.workers.write()
    node.workers.deliver()
    assert node.calls[4:] == ["another 2", "frame 2"]
    assert node.writer.idle and node.writer.pending_bytes == 0
    assert [each.base_offset for frame in node.ledger.frames() for each in frame.entries] == [0, 1, 2]


def test_what_nobody_waits_for_follows_when_the_state_thread_comes_by():
    node = Node(Apart())
    node.append("a")
    node.append("b")
    assert node.workers.write() and not node.workers.write()
    node.workers.deliver()
    assert node.calls == ["a 0", "frame 0"]
    assert node.workers.write() and not node.workers.write()
    node.workers.deliver()
    assert node.calls[2:] == ["b 1", "frame 1"] and node.writer.idle


def test_on_a_slow_disk_what_is_waited_for_gathers_all_the_same():
    node = Node(Apart())
    for number in range(AHEAD_MAX + 4):
        node.append(str(number))
        node.writer.hurry()
    assert len(node.workers.given) == AHEAD_MAX
    node.workers.write()
    node.workers.deliver()
    assert len(node.workers.given) == AHEAD_MAX, "what gathered is handed over as soon as there is room"
    while node.workers.write():
        node.workers.deliver()
    assert [name for name in node.calls if name.startswith("frame")] == [f"frame {n}" for n in range(AHEAD_MAX + 1)]
    assert [name for name in node.calls if not name.startswith("frame")][-4:] == [
        f"{n} {AHEAD_MAX}" for n in range(AHEAD_MAX, AHEAD_MAX + 4)
    ]


def test_what_must_be_durable_before_a_frame_is_synced_before_it_and_fails_it():
    node = Node(Apart())
    order = []
    file = node.disk.open("before", create=True)

    def written():
        order.append("written")
        file.append(b"x")
        return file

    node.ledger.before_frame = written
    node.append("a")
    node.disk.on_operation = lambda operation, path: order.append(f"{operation} {path.partition('/')[0]}")
    assert node.workers.write() and node.workers.write() and not node.workers.write()
    node.workers.deliver()
    assert order == ["written", "append before", "sync before", "append ledger", "sync ledger"]
    node.disk.fail("sync", error=errno.EIO)
    node.append("b")
    node.workers.write()
    node.workers.deliver()
    assert node.calls == ["a 0", "frame 0", "b failed"] and "read-only" in str(node.writer.error)


def test_who_hurries_inside_a_group_waits_for_its_end_and_for_nothing_else():
    node = Node(Apart())
    node.append("event")
    with node.writer.together():
        node.append("decision")
        node.writer.hurry()
        assert len(node.workers.given) == 1
        node.append("output")
    assert len(node.workers.given) == 2
    while node.workers.write():
        node.workers.deliver()
    assert node.calls[2:] == ["decision 1", "output 1", "frame 1"]


def test_who_hurries_with_nothing_in_flight_takes_off_at_once():
    turn: list = []
    node = Node(Apart())
    node.writer = Writer(node.ledger, node.ports, node.durable, soon=turn.append)
    node.append("decision")
    assert not node.workers.given
    node.writer.hurry()
    assert len(node.workers.given) == 1
    turn.pop()()  # the end of the turn finds it gone
    assert len(node.workers.given) == 1
    node.writer.hurry()  # and nothing is waiting
    assert node.workers.write() and not node.workers.write()


def test_a_frame_that_cannot_be_written_fails_with_everything_behind_it():
    node = Node(Apart())
    node.append("a")
    node.append("b")
    node.writer.hurry()
    node.append("c")
    assert node.workers.write()
    node.workers.deliver()
    node.disk.fail("sync", error=errno.EIO)
    assert node.workers.write()
    node.append("d")
    node.workers.deliver()
    assert node.calls == ["a 0", "frame 0", "b failed", "c failed", "d failed"]
    assert node.writer.pending_bytes == 0 and node.writer.idle
    assert "read-only" in str(node.writer.error)


def test_a_segment_is_begun_elsewhere_once_every_frame_before_it_is_durable():
    node = Node(Apart(), segment_bytes=1500)
    for number in range(12):
        node.append(str(number) + "x" * 300)
        node.writer.hurry()
        if number % 3:
            node.workers.write()
            node.workers.deliver()
    while node.workers.write():
        node.workers.deliver()
    assert node.writer.idle
    assert [name.split()[0].rstrip("x") for name in node.calls if not name.startswith("frame")] == [
        str(number) for number in range(12)
    ]
    assert len(node.ledger.segments) > 2
    assert [each.value.rstrip(b"x") for _, each in node.ledger.read_topic("a", 0, 0, 99)] == [
        b"%d" % number for number in range(12)
    ]
    again = list(node.ledger.frames())
    assert [frame.number for frame in again] == list(range(len(again)))


def test_ticks_and_witnesses():
    node = Node(InlineWorkers())
    node.writer.tick()
    assert (node.frames[0].entries[0].kind, node.frames[0].next_seq) == (EntryKind.TICK, 1)
    assert not node.ledger.witnessed
    node.writer.witness()
    node.writer.witness()
    assert node.ledger.witnessed
    assert (node.ledger.next_frame, len(node.frames)) == (2, 1), "the engine never sees a witness"


def test_a_bug_in_the_write_is_an_error_not_a_hang(monkeypatch):
    node = Node()
    node.append("a")
    node.workers.run()
    monkeypatch.setattr(Ledger, "prepare", lambda *_: 1 / 0)
    node.append("b")
    assert node.calls == ["a 0", "frame 0", "b failed"]
    assert "ZeroDivisionError" in str(node.writer.error)


def test_threads_and_a_loop_give_the_same_result(tmp_path):
    async def run() -> list[int]:
        loop = asyncio.get_running_loop()
        workers = ThreadWorkers(loop.call_soon_threadsafe)
        ports = Ports(SystemClock(), SystemDisk(tmp_path), SystemRandom(), workers)
        ledger = Ledger.open(ports)
        frames: list = []
        writer = Writer(ledger, ports, frames.append)
        acknowledged: list[int] = []
        for number in range(300):
            writer.append(
                Draft("a", EntryKind.INPUT, [Record(None, b"%d" % number, 1)]),
                lambda frame, entry, index: acknowledged.append(int(entry.records[index].value)),
            )
            if number % 10 == 0:
                await asyncio.sleep(0)
        while not writer.flush():
            await asyncio.sleep(0.001)
        workers.close()
        ledger.close()
        assert len(frames) < 300
        return acknowledged

    assert asyncio.run(run()) == list(range(300))


def test_what_one_turn_brings_shares_a_frame_when_frames_take_off_at_its_end(tmp_path):
    turn, frames = [], []
    ports = Ports(SimulatedClock(1_000), SimulatedDisk(SeededRandom(1)), SeededRandom(2), InlineWorkers())
    ledger = Ledger.open(ports)
    writer = Writer(ledger, ports, frames.append, soon=turn.append)
    for n in range(3):
        writer.append(Draft("events", EntryKind.INPUT, [Record(None, b"%d" % n, n)]))
    assert not frames and len(turn) == 1 and not writer.idle
    turn.pop()()
    assert [frame.next_seq - frame.base_seq for frame in frames] == [3]
    with writer.together():
        writer.append(Draft("events", EntryKind.INPUT, [Record(None, b"x", 1)]))
    assert writer.flush() and len(frames) == 2  # a flush waits for no turn
    turn.pop()()
    assert len(frames) == 2 and writer.idle
    ledger.close()
