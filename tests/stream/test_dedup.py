"""A retry is answered once its original is durable, and never before; the table is a function of the ledger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.ports import Ports, SeededRandom, SimulatedClock, SimulatedDisk, SimulatedWorkers
from nextpaint.record.codec import Record
from nextpaint.record.errors import LedgerError
from nextpaint.stream.dedup import Dedup, Waiting
from nextpaint.stream.frame import Draft, EntryKind
from nextpaint.stream.ledger import Ledger
from nextpaint.stream.writer import Writer


def key(name: str) -> bytes:
    return Dedup.key("write-key", name)


def test_sources_do_not_share_ids():
    names = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a", "\ud800")]
    assert len({Dedup.key(*name) for name in names}) == len(names)
    assert all(len(Dedup.key(*name)) == 16 for name in names)


def test_the_first_wins_and_conflicts_are_counted():
    dedup = Dedup()
    assert dedup.seen(key("m"), 1) is None
    dedup.begin(key("m"), 1)
    with pytest.raises(ValueError, match="seen"):
        dedup.begin(key("m"), 1)
    dedup.remember(key("m"), 7, 1000, 1)
    dedup.remember(key("m"), 9, 2000, 2)  # a replay, or a client that reached another node
    assert dedup.seen(key("m"), 1) == 7
    assert dedup.seen(key("m"), 2) == 7
    assert dedup.seen(key("m")) == 7
    assert (dedup.duplicates, dedup.conflicts) == (3, 1)


def test_seq_zero_is_a_duplicate_too():
    dedup = Dedup()
    dedup.remember(key("m"), 0, 0, 0)
    assert dedup.seen(key("m"), 0) == 0


def test_duplicates_share_the_fate_of_an_original_on_its_way():
    dedup = Dedup()
    answers: list = []
    for fate in ("durable", "lost"):
        dedup.begin(key(fate), 1)
        for body in (1, 2):
            waiting = dedup.seen(key(fate), body)
            assert isinstance(waiting, Waiting)
            waiting.join(answers.append, lambda error: answers.append(str(error)))
    assert answers == []
    dedup.remember(key("durable"), 5, 1000, 1)
    dedup.abandon(key("lost"), LedgerError("the disk failed"))
    assert answers == [5, 5, "the disk failed", "the disk failed"]
    assert dedup.conflicts == 2
    assert dedup.seen(key("lost")) is None, "a message that never became durable may be sent again"


def test_the_horizon_is_ledger_time_or_entries_whichever_is_shorter():
    dedup = Dedup(horizon_ms=100, entries_max=3)
    for number in range(3):
        dedup.remember(key(f"{number}"), number, number * 10, 0)
    assert (dedup.span().entries, dedup.span().ms, dedup.span().limited_by) == (3, 20, "time")
    dedup.remember(key("3"), 3, 30, 0)
    assert dedup.seen(key("0")) is None
    assert (dedup.span().entries, dedup.span().limited_by) == (3, "entries")
    dedup.remember(key("4"), 4, 121, 0)
    assert [dedup.seen(key(f"{number}")) for number in range(1, 5)] == [None, None, 3, 4]
    assert (dedup.span().ms, dedup.span().limited_by) == (91, "time")
    assert Dedup().span().entries == 0


REMEMBERED = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1)), max_size=40)


@given(REMEMBERED, st.integers(0, 40))
def test_a_table_restored_from_a_checkpoint_goes_on_as_the_original(history, cut):
    def remember(dedup: Dedup, start: int, rows) -> None:
        for at, (name, seq, body) in enumerate(rows, start=start):
            dedup.remember(key(f"{name}"), seq, at * 10, body)

    whole = Dedup(horizon_ms=150, entries_max=20)
    remember(whole, 0, history)
    before = Dedup(horizon_ms=150, entries_max=20)
    remember(before, 0, history[:cut])
    after = Dedup(horizon_ms=150, entries_max=20)
    after.load(before.dump())
    remember(after, len(history[:cut]), history[cut:])
    assert after.dump() == whole.dump()
    assert after.span() == whole.span()


def test_a_damaged_dump_is_refused():
    dedup = Dedup()
    dedup.remember(key("m"), 1, 2, 3)
    data = dedup.dump()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="replay"):
            Dedup().load(bytes(changed))
        with pytest.raises(ValueError, match="replay"):
            Dedup().load(data[:at])


class Door:
    """The smallest caller: what an ingest edge does with a message id."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.workers = SimulatedWorkers(SeededRandom(1))
        ports = Ports(SimulatedClock(), disk, SeededRandom(2), self.workers)
        self.ledger = Ledger.open(ports)
        self.dedup = Dedup()
        self.writer = Writer(self.ledger, ports, self.apply)
        self.acknowledged: list[str] = []
        for frame in self.ledger.frames():
            self.apply(frame)

    def apply(self, frame) -> None:
        for entry in frame.entries:
            for index, record in enumerate(entry.records):
                self.dedup.remember(
                    record.headers[0][1], entry.base_seq + index, entry.at, Dedup.body_hash(record.value)
                )

    def send(self, name: str, *, hasty: bool = False) -> None:
        body, known = name.encode(), key(name)
        found = self.dedup.seen(known, Dedup.body_hash(body))
        if found is None:
            self.dedup.begin(known, Dedup.body_hash(body))
            self.writer.append(
                Draft("events", EntryKind.INPUT, [Record(None, body, 1, (("id", known),))]),
                lambda *_: self.acknowledged.append(name),
                lambda error: self.dedup.abandon(known, error),
            )
        elif isinstance(found, Waiting) and not hasty:
            found.join(lambda seq: self.acknowledged.append(name), lambda error: None)
        else:
            self.acknowledged.append(name)


def crash_with_a_duplicate_in_flight(*, hasty: bool) -> tuple[int, int]:
    """(acknowledged and lost, doubled) over many crashes while original and duplicate are un-synced."""
    lost = doubled = 0
    for seed in range(60):
        disk = SimulatedDisk(SeededRandom(seed))
        door = Door(disk)
        door.send("first")
        door.send("m")
        door.send("m", hasty=hasty)
        for _ in range(seed % 5):
            door.workers.step()
        promised = set(door.acknowledged)
        disk.crash()
        door = Door(disk)
        for name in ("m", "first"):  # the client retries what it does not know about
            door.send(name)
        there = [record.value.decode() for frame in door.ledger.frames() for e in frame.entries for record in e.records]
        lost += len(promised - set(there))
        door.workers.run()
        there = [record.value.decode() for frame in door.ledger.frames() for e in frame.entries for record in e.records]
        doubled += len(there) - len(set(there))
        assert set(there) == {"m", "first"}
    return lost, doubled


def test_a_duplicate_inside_the_unsynced_frame_and_a_crash():
    assert crash_with_a_duplicate_in_flight(hasty=False) == (0, 0)


def test_sabotage_answering_the_duplicate_at_once_is_caught():
    assert crash_with_a_duplicate_in_flight(hasty=True)[0] > 0
