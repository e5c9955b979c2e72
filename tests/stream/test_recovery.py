"""Every byte cut, every byte flipped, every operation failing: detected or harmless, never served, nothing lost."""

import errno

import pytest

from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from nextpaint.record.codec import Record
from nextpaint.record.errors import CorruptLedger, LedgerReadOnly
from nextpaint.stream.frame import Draft, EntryKind, FrameDraft
from nextpaint.stream.ledger import Ledger, LedgerSettings
from nextpaint.stream.segment import Segment
from nextpaint.stream.verify import verify

SMALL = LedgerSettings(segment_bytes=600, align_bytes=1)  # no padding: every byte counts
ALIGNED = LedgerSettings(segment_bytes=1500)


def ports_on(disk: SimulatedDisk, seed: int = 2) -> Ports:
    return Ports(SimulatedClock(), disk, SeededRandom(seed), InlineWorkers())


def draft(*values: bytes) -> FrameDraft:
    return FrameDraft([Draft("events", EntryKind.INPUT, [Record(b"k", value, 1) for value in values])])


def values(ledger: Ledger) -> list[bytes]:
    return [record.value for frame in ledger.frames() for entry in frame.entries for record in entry.records]


def written(frames: int, settings: LedgerSettings = SMALL, *, close: bool = False) -> SimulatedDisk:
    disk = SimulatedDisk(SeededRandom(1))
    ledger = Ledger.open(ports_on(disk), settings)
    for number in range(frames):
        ledger.write(draft(b"value %d" % number))
    if close:
        ledger.close()
    disk.restart()
    return disk


ALL = [b"value %d" % number for number in range(9)]


def last_segment(disk: SimulatedDisk) -> str:
    return "ledger/" + disk.list("ledger")[-1]


def test_a_ledger_comes_back_as_it_was():
    disk = written(9, close=True)
    ledger = Ledger.open(ports_on(disk), SMALL)
    assert values(ledger) == ALL
    report = ledger.recovery
    assert (report.frames, report.records, report.clean_shutdown, report.cut_bytes) == (9, 9, True, 0)
    assert "clean shutdown" in str(report)
    assert (ledger.next_frame, ledger.next_seq, ledger.offsets()) == (9, 9, {("events", 0): 9})


def test_a_cut_at_any_byte_of_the_last_segment_is_a_torn_tail():
    whole = written(3, LedgerSettings(align_bytes=1))
    path = last_segment(whole)
    segment, size = Segment.open(whole, path), len(whole.read(path))
    frames = list(segment.walk(whole.open(path), segment.start, size))
    ends = [segment.start, *(offset + frame.bytes for offset, frame in frames)]
    for cut in range(segment.start, size):
        disk = whole.clone(SeededRandom(cut))
        disk.open(path).truncate(cut)
        ledger = Ledger.open(ports_on(disk))
        found = values(ledger)
        assert found == ALL[: len(found)]
        assert (ledger.recovery.cut_bytes > 0) == (cut not in ends)
        ledger.write(draft(b"next"))
        assert values(ledger) == [*found, b"next"]
        ledger.close()
        assert values(Ledger.open(ports_on(disk))) == [*found, b"next"]


def test_a_flip_of_any_byte_is_detected_or_harmless():
    whole = written(9)
    promised = ALL[:-1]  # rot in the very last frame cannot be told from a crash, and is reported as a cut
    outcomes = {"refused": 0, "cut": 0, "superseded": 0}
    for name in whole.list("ledger"):
        path = f"ledger/{name}"
        for at in range(len(whole.read(path))):
            disk = whole.clone(SeededRandom(at))
            disk.flip(path, at * 8 + at % 8)
            assert not verify(disk).ok or verify(disk).tail_bytes, f"{path} byte {at}: verify saw nothing"
            try:
                ledger = Ledger.open(ports_on(disk), SMALL)
            except CorruptLedger as error:
                assert path in str(error)
                outcomes["refused"] += 1
                continue
            assert values(ledger) == promised
            assert ledger.recovery.cut_bytes > 0
            assert "cut" in str(ledger.recovery)
            outcomes["cut"] += 1
    assert outcomes["refused"] > 5 * outcomes["cut"] > 0


def test_after_a_clean_shutdown_no_flip_loses_anything():
    whole = written(9, close=True)
    path = last_segment(whole)
    for at in range(len(whole.read(path))):
        disk = whole.clone(SeededRandom(at))
        disk.flip(path, at * 8 + 3)
        try:
            ledger = Ledger.open(ports_on(disk), SMALL)
        except CorruptLedger:
            continue
        assert values(ledger) == ALL, "only the end frame itself may be cut"


def test_damage_found_later_is_never_served():
    whole = written(9)
    for name in whole.list("ledger")[:-1]:
        for at in range(0, len(whole.read(f"ledger/{name}")), 3):
            disk = whole.clone(SeededRandom(at))
            lazy = LedgerSettings(segment_bytes=600, align_bytes=1, verify="tail")
            ledger = Ledger.open(ports_on(disk), lazy)
            disk.flip(f"ledger/{name}", at * 8)
            try:
                assert values(ledger) == ALL
            except CorruptLedger as error:
                assert name in str(error)


def test_a_missing_or_foreign_segment_is_damage():
    whole = written(9)
    names = whole.list("ledger")
    assert len(names) >= 3
    other = SimulatedDisk(SeededRandom(9))
    ledger = Ledger.open(ports_on(other, seed=77), SMALL)
    for number in range(9):
        ledger.write(draft(b"value %d" % number))
    for name in names[:-1]:
        disk = whole.clone(SeededRandom(1))
        disk.remove(f"ledger/{name}")
        with pytest.raises(CorruptLedger, match=r"missing|gone"):
            Ledger.open(ports_on(disk))
        assert not verify(disk).ok
        disk.replace(f"ledger/{name}", other.read(f"ledger/{name}"))  # same numbers, another history
        with pytest.raises(CorruptLedger, match="does not continue"):
            Ledger.open(ports_on(disk))
        assert not verify(disk).ok


def test_a_payload_that_holds_the_image_of_a_frame_is_only_a_payload():
    disk = written(2, LedgerSettings(align_bytes=1))
    path = last_segment(disk)
    image = disk.read(path)  # header, and two frames with the right nonce
    ledger = Ledger.open(ports_on(disk))
    ledger.write(draft(image))
    ledger.write(draft(image))
    disk.restart()
    tail = disk.list("ledger")[-1]
    disk.open(f"ledger/{tail}").truncate(len(disk.read(f"ledger/{tail}")) - 1)
    ledger = Ledger.open(ports_on(disk))
    assert values(ledger) == [b"value 0", b"value 1", image]
    assert ledger.recovery.cut_bytes > len(image)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_at_any_operation_refuses_and_keeps_what_was_acknowledged(error, lasting):
    faults = 0
    for after in range(60):
        disk = SimulatedDisk(SeededRandom(after))
        disk.fail("any", after=after, error=error, lasting=lasting)
        acknowledged: list[bytes] = []
        try:
            ledger = Ledger.open(ports_on(disk), ALIGNED)
            for value in ALL:
                ledger.write(draft(value))
                acknowledged.append(value)
            ledger.close()
        except (OSError, LedgerReadOnly):
            faults += 1
        disk.heal()
        for crash in (disk.restart, disk.crash):
            crash()
            ledger = Ledger.open(ports_on(disk), ALIGNED)
            found = values(ledger)
            assert found == ALL[: len(found)]
            assert len(found) >= len(acknowledged)
            acknowledged = found
            ledger.close()
    assert faults > 20


@pytest.mark.parametrize(("error", "cure"), [(errno.EIO, "kernel's log"), (errno.ENOSPC, "free space")])
@pytest.mark.parametrize("operation", ["append", "sync"])
def test_a_failed_write_makes_the_ledger_read_only_for_good(operation, error, cure):
    disk = SimulatedDisk(SeededRandom(5))
    ledger = Ledger.open(ports_on(disk))
    ledger.write(draft(b"good"))
    disk.fail(operation, error=error)
    for _ in range(3):  # the fault is over after the first: the descriptor is not trusted again all the same
        with pytest.raises(LedgerReadOnly, match="read-only") as caught:
            ledger.write(draft(b"never acknowledged"))
        assert cure in str(caught.value)
    assert ledger.read_only is not None
    assert values(ledger) == [b"good"], "reads go on, and see only what is durable"
    ledger.close()


def test_a_full_disk_still_opens_for_reading():
    disk = written(9)
    disk.capacity_bytes = disk.used_bytes() + 10
    ledger = Ledger.open(ports_on(disk), SMALL)
    assert values(ledger) == ALL
    with pytest.raises(LedgerReadOnly, match="free space"):
        ledger.write(draft(b"more"))
    disk.restart()
    disk.capacity_bytes = 1 << 30
    assert values(Ledger.open(ports_on(disk), SMALL)) == ALL


@pytest.mark.parametrize("frames", [0, 1, 9])
@pytest.mark.parametrize("operation", ["open", "remove", "append", "sync", "rename", "sync_directory"])
def test_an_open_that_cannot_start_a_segment_reads_all_the_same(operation, frames):
    disk = written(frames, ALIGNED)
    disk.open("ledger/left-behind.tmp", create=True)
    reads = 1 + 2 * len(disk.list("ledger")) - 2 if operation == "open" else 0
    disk.fail(operation, after=reads)
    ledger = Ledger.open(ports_on(disk), ALIGNED)
    assert ledger.read_only is not None
    assert values(ledger) == ALL[:frames]
    with pytest.raises(LedgerReadOnly):
        ledger.write(draft(b"more"))
    ledger.close()
    disk.crash()
    assert values(Ledger.open(ports_on(disk), ALIGNED)) == ALL[:frames]


def test_a_ledger_that_could_not_begin_a_segment_builds_nothing_on_the_last_one():
    """Its name may not be durable: a successor, or a rewritten predecessor, would outlive what it relies on."""
    disk = written(2, LedgerSettings(segment_bytes=1))  # every frame fills its segment
    disk.fail("sync_directory")  # the last segment was replaced and renamed, and the name may be lost
    ledger = Ledger.open(ports_on(disk), LedgerSettings(segment_bytes=1))
    before = disk.list("ledger")
    with pytest.raises(LedgerReadOnly):
        ledger.write(draft(b"more"))
    with pytest.raises(LedgerReadOnly):
        ledger.roll()
    with pytest.raises(LedgerReadOnly):
        next(ledger.rewrite(ledger.segments[0], {("events", 0)}))
    assert disk.list("ledger") == before
    for seed in range(16):
        twin = disk.clone(SeededRandom(seed))
        twin.crash()
        assert values(Ledger.open(ports_on(twin), SMALL)) == ALL[:2]


def test_sabotage_cutting_at_any_bad_frame_is_caught(monkeypatch):
    monkeypatch.setattr(Segment, "later_frame", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_flip_of_any_byte_is_detected_or_harmless()


def test_sabotage_believing_any_image_of_a_frame_is_caught(monkeypatch):
    real = Segment.later_frame
    monkeypatch.setattr(
        Segment, "later_frame", lambda segment, file, offset, size, number: real(segment, file, offset, size, -1)
    )
    disk = written(2, LedgerSettings(align_bytes=1))
    path = last_segment(disk)
    ledger = Ledger.open(ports_on(disk))
    tail = f"ledger/{disk.list('ledger')[-1]}"
    ledger.write(draft(b"x", disk.read(tail)))  # the very segment it goes to
    disk.restart()
    disk.open(tail).truncate(len(disk.read(tail)) - 1)
    with pytest.raises(CorruptLedger, match="proves"):
        Ledger.open(ports_on(disk))
    monkeypatch.undo()
    assert values(Ledger.open(ports_on(disk))) == [b"value 0", b"value 1"]
    assert path != tail
