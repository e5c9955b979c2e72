"""Segments go when all their topics allow it, and never past a checkpoint; verify sees all that matters."""

import pytest

from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from nextpaint.record.codec import EncodedBatch, Record
from nextpaint.record.errors import NotFound
from nextpaint.stream.frame import Draft, EntryKind, FrameDraft
from nextpaint.stream.ledger import Ledger, LedgerSettings
from nextpaint.stream.retention import FOREVER, NOTHING, RetentionClass, RetentionPolicy, retain
from nextpaint.stream.verify import verify, walk_frames

SETTINGS = LedgerSettings(segment_bytes=1)  # a segment per frame


def ledger_of(*topics: str) -> tuple[Ports, Ledger]:
    """One frame, hence one segment, per topic, a second apart."""
    ports = Ports(SimulatedClock(now_ms=0), SimulatedDisk(SeededRandom(1)), SeededRandom(2), InlineWorkers())
    ledger = Ledger.open(ports, SETTINGS)
    for number, topic in enumerate(topics):
        ports.clock.advance(1000)
        tick = Draft.tick()
        entry = Draft(topic, EntryKind.INPUT, [Record(None, b"%d" % number, 1)])
        ledger.write(FrameDraft([entry, tick]))
    return ports, ledger


def kept_frames(ledger: Ledger) -> list[int]:
    return [frame.number for frame in ledger.frames()]


def test_old_segments_go_and_the_rest_stays_provable():
    ports, ledger = ledger_of("e", "e", "_app", "e", "e", "e")
    policy = RetentionPolicy({"e": RetentionClass(age_ms_max=2000), "_app": FOREVER})
    offsets, seq = ledger.offsets(), ledger.next_seq
    report = retain(ledger, policy, oldest_checkpoint_frame=100)
    assert kept_frames(ledger) == [2, 4, 5]
    assert len(report.deleted) == 3
    assert report.bytes_freed > 0
    assert list(report.kept.values()) == ["_app-0 is kept longer", "e-0 is kept longer"]
    assert retain(ledger, policy, oldest_checkpoint_frame=100).deleted == ()
    ports.disk.crash()
    again = Ledger.open(ports, SETTINGS)
    assert kept_frames(again) == [2, 4, 5]
    assert (again.offsets(), again.next_seq) == (offsets, seq)
    assert again.read_topic("e", 0, 0, 10) == [(3, Record(None, b"4", 1)), (4, Record(None, b"5", 1))]
    found = verify(ports.disk)
    assert found.ok
    assert found.deleted_segments == 3
    assert [frame.number for frame in walk_frames(ports.disk)] == [2, 4, 5]


def test_nothing_goes_that_a_checkpoint_replays():
    _, ledger = ledger_of(*"eeeeee")
    policy = RetentionPolicy(default=RetentionClass(age_ms_max=0))
    assert retain(ledger, policy, oldest_checkpoint_frame=0).deleted == ()
    report = retain(ledger, policy, oldest_checkpoint_frame=3)
    assert kept_frames(ledger) == [3, 4, 5]
    assert "checkpoint replays from frame 3" in str(report.kept)
    retain(ledger, policy, oldest_checkpoint_frame=1000)
    assert kept_frames(ledger) == [5], "the segment being written always stays"


@pytest.mark.parametrize("operation", ["append", "sync", "rename", "sync_directory"])
def test_a_deletion_that_fails_leaves_each_segment_old_or_gone(operation):
    ports, ledger = ledger_of(*"eeeeee")
    ports.disk.fail(operation, after=1)
    with pytest.raises(OSError, match="Input/output"):
        retain(ledger, RetentionPolicy(default=NOTHING), oldest_checkpoint_frame=99)
    assert set(kept_frames(ledger)) >= {2, 3, 4, 5}
    assert verify(ports.disk).ok
    ports.disk.crash()
    again = Ledger.open(ports, SETTINGS)
    assert set(kept_frames(again)) >= {2, 3, 4, 5}
    retain(again, RetentionPolicy(default=NOTHING), oldest_checkpoint_frame=99)
    assert kept_frames(again) == [5]


def test_a_ledger_that_retention_emptied_is_empty_and_goes_on():
    ports, ledger = ledger_of(*"eee")
    ledger.close()
    ledger = Ledger.open(ports, SETTINGS)  # begins an empty segment, so that all with frames are sealed
    retain(ledger, RetentionPolicy(default=NOTHING), oldest_checkpoint_frame=99)
    for _ in range(2):
        assert kept_frames(ledger) == []
        assert ledger.read_topic("e", 0, 0, 10) == []
        for seq in range(7):
            with pytest.raises(NotFound):
                ledger.position_of(seq)
        assert (ledger.next_frame, ledger.next_seq, ledger.offsets()) == (3, 6, {("e", 0): 3, ("_ticks", 0): 3})
        ports.disk.crash()
        ledger = Ledger.open(ports, SETTINGS)
    assert ledger.write(FrameDraft([Draft.tick()])).number == 3
    assert kept_frames(ledger) == [3]


def test_bytes_count_from_the_youngest():
    _, ledger = ledger_of(*"eeeeee")
    one = ledger.spans(ledger.segments[0])[("e", 0)].bytes
    retain(ledger, RetentionPolicy({"e": RetentionClass(bytes_max=2 * one)}), oldest_checkpoint_frame=99)
    assert kept_frames(ledger) == [4, 5]


def test_a_topic_without_a_class_is_kept_for_ever():
    _, ledger = ledger_of(*"eeeeee")
    assert retain(ledger, RetentionPolicy(), oldest_checkpoint_frame=99).deleted == ()


def test_verify_counts_what_is_there_beside_the_writer():
    ports, ledger = ledger_of(*"eeff")
    report = verify(ports.disk)  # no lock is taken: the ledger is open
    assert report.ok
    assert (report.frames, report.records, report.segments, report.clean_shutdown) == (4, 8, 4, False)
    assert report.topics[("e", 0, EntryKind.INPUT)].records == 2
    assert (report.first_at, report.last_at) == (1000, 4000)
    assert report.offsets == ledger.offsets()
    assert "ok: 4 frames, 8 records" in str(report)
    ports.disk.open(ledger.segments[-1].path).append(b"half a frame")
    assert verify(ports.disk).ok
    assert verify(ports.disk).tail_bytes == 12
    assert "unfinished" in str(verify(ports.disk))


def test_verify_reads_every_batch():
    ports, ledger = ledger_of("e")
    ledger.write(FrameDraft([Draft("e", EntryKind.INPUT, [], batch=EncodedBatch(bytes(80), 1))]))
    report = verify(ports.disk)
    assert not report.ok
    assert "magic 0" in str(report)
    assert "DAMAGED" in str(report)


def test_verify_of_an_empty_directory_says_so():
    assert "no ledger" in str(verify(SimulatedDisk(SeededRandom(1))))
