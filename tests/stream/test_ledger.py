"""The ledger as its callers see it: numbers, positions, offsets, reading while writing, one owner."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.ports import (
    InlineWorkers,
    Ports,
    SeededRandom,
    SimulatedClock,
    SimulatedDisk,
    SystemClock,
    SystemDisk,
    SystemRandom,
)
from nextpaint.record.codec import Record
from nextpaint.record.errors import LedgerLocked, LedgerReadOnly, NotFound
from nextpaint.stream.frame import Draft, EntryKind, FrameDraft, Position
from nextpaint.stream.ledger import Ledger, LedgerSettings

SMALL = LedgerSettings(segment_bytes=2000)


def simulated() -> Ports:
    return Ports(SimulatedClock(now_ms=1000), SimulatedDisk(SeededRandom(1)), SeededRandom(2), InlineWorkers())


def real(path) -> Ports:
    return Ports(SystemClock(), SystemDisk(path), SystemRandom(), InlineWorkers())


def draft(topic: str, *values: bytes, partition: int = 0) -> Draft:
    return Draft(topic, EntryKind.INPUT, [Record(None, value, 1) for value in values], partition)


def test_a_new_ledger_is_empty():
    ledger = Ledger.open(simulated())
    assert (ledger.next_frame, ledger.next_seq, ledger.at, ledger.offsets()) == (0, 0, 0, {})
    assert list(ledger.frames()) == []
    assert ledger.recovery.clean_shutdown
    assert ledger.emitted == (-1, 0, 0)


def test_numbers_are_dense_and_time_does_not_go_back():
    ports = simulated()
    ledger = Ledger.open(ports)
    first = ledger.write(FrameDraft([draft("a", b"1", b"2"), draft("b", b"3"), Draft.tick()], emitted=(4, 5, 6)))
    ports.clock.jump(-700)
    second = ledger.write(FrameDraft([draft("a", b"4")]))
    assert [(entry.base_seq, entry.base_offset, entry.count) for entry in first.entries] == [
        (0, 0, 2),
        (2, 0, 1),
        (3, 0, 1),
    ]
    assert (second.number, second.base_seq, second.entries[0].base_offset) == (1, 4, 2)
    assert [first.at, second.at, second.entries[0].at] == [1000, 1000, 1000]
    assert second.emitted == (4, 5, 6), "stays until it is set again"
    ledger.close()
    again = Ledger.open(ports)
    assert (again.at, again.emitted, again.next_frame) == (1000, (4, 5, 6), 2)
    assert again.offsets() == {("a", 0): 3, ("b", 0): 1, ("_ticks", 0): 1}


FRAMES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=4),
    min_size=1,
    max_size=12,
)


@given(FRAMES, st.booleans())
def test_positions_seqs_and_offsets_name_the_same_records(frames, reopened):
    ports = simulated()
    ledger = Ledger.open(ports, SMALL)
    by_partition: dict[tuple[str, int], list[bytes]] = {}
    positions: list[Position] = []
    for number, entries in enumerate(frames):
        drafts = []
        for index, (topic, partition, count) in enumerate(entries):
            values = [b"%d.%d.%d" % (number, index, record) for record in range(count)]
            by_partition.setdefault((topic, partition), []).extend(values)
            positions += [Position(number, index, record) for record in range(count)]
            drafts.append(draft(topic, *values, partition=partition))
        ledger.write(FrameDraft(drafts))
    if reopened:
        ledger.close()
        ledger = Ledger.open(ports, LedgerSettings(verify="tail"))
    for seq, position in enumerate(positions):
        assert ledger.position_of(seq) == position
        assert ledger.seq_of(position) == seq
        assert Position.parse(str(position)) == position
    for (topic, partition), values in by_partition.items():
        assert ledger.offsets()[(topic, partition)] == len(values)
        for start in range(0, len(values) + 1, 3):
            found = ledger.read_topic(topic, partition, start, 5)
            assert found == [(start + i, Record(None, value, 1)) for i, value in enumerate(values[start : start + 5])]
    for start in range(len(frames) + 1):
        assert [frame.number for frame in ledger.frames(start)] == list(range(start, len(frames)))


def test_what_is_not_there_is_not_found():
    ledger = Ledger.open(simulated())
    ledger.write(FrameDraft([draft("a", b"1")]))
    for seq in (-1, 1):
        with pytest.raises(NotFound):
            ledger.position_of(seq)
    for position in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, -1)):
        with pytest.raises(NotFound):
            ledger.seq_of(Position(*position))
    assert ledger.read_topic("nothing", 0, 0, 10) == []
    for text in ("1.2", "1.2.x", "", "1.2.-3"):
        with pytest.raises(ValueError, match="not a position"):
            Position.parse(text)


def test_a_written_entry_keeps_the_records_it_was_given():
    ledger = Ledger.open(simulated())
    given_draft = draft("a", b"1")
    frame = ledger.write(FrameDraft([given_draft]))
    assert frame.entries[0].records is given_draft.records
    read = next(iter(ledger.frames()))
    assert bytes(read.entries[0].batch) == frame.entries[0].batch
    assert "seq 0" in repr(frame)
    assert "a-0 INPUT" in repr(read.entries[0])


def test_a_draft_that_cannot_be_encoded_changes_nothing():
    ledger = Ledger.open(simulated())
    for bad in (draft("a"), draft("", b"1"), draft("x" * 250, b"1")):
        with pytest.raises(ValueError):
            ledger.write(FrameDraft([draft("a", b"0"), bad]))
    assert ledger.read_only is None
    assert ledger.write(FrameDraft([draft("a", b"1")])).entries[0].base_offset == 0


def test_a_witness_is_written_once_and_is_invisible():
    ports = simulated()
    ledger = Ledger.open(ports)
    ledger.write(FrameDraft([draft("a", b"1")]))
    assert not ledger.witnessed
    ledger.witness()
    ledger.witness()
    assert ledger.witnessed
    assert (ledger.next_frame, len(list(ledger.frames()))) == (2, 1)
    ports.disk.restart()
    assert [frame.number for frame in Ledger.open(ports).frames()] == [0]


def test_one_process_owns_a_directory(tmp_path):
    first = Ledger.open(real(tmp_path))
    with pytest.raises(LedgerLocked, match="another process") as caught:
        Ledger.open(real(tmp_path))
    assert "pid" in str(caught.value)
    first.close()
    with pytest.raises(LedgerReadOnly, match="closed"):
        first.write(FrameDraft([draft("a", b"1")]))
    Ledger.open(real(tmp_path)).close()


def test_reading_goes_on_while_another_thread_writes(tmp_path):
    ledger = Ledger.open(real(tmp_path), SMALL)
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(150):
                ledger.write(FrameDraft([draft("a", b"%d" % number)]))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    seen: list[int] = []
    while len(seen) < 150 and not failures:
        seen += [int(entry.records[0].value) for frame in ledger.frames(len(seen)) for entry in frame.entries]
    thread.join()
    assert not failures
    assert seen == list(range(150))
    assert len(ledger.segments) > 10
    ledger.close()


def test_many_topics_outgrow_the_first_read_of_a_header():
    ports = simulated()
    ledger = Ledger.open(ports)
    ledger.write(FrameDraft([draft(f"topic-{number:05d}-{'x' * 100}", b"1") for number in range(200)]))
    ledger.write(FrameDraft([draft("a", b"1")]))
    offsets = ledger.offsets()
    ledger.close()
    assert Ledger.open(ports).offsets() == offsets
    ports.disk.restart()
    assert Ledger.open(ports).offsets() == offsets
