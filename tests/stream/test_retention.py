"""Records go by class out of segments they share: what stays is where it was, and all damage is still found."""

import errno
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk, SystemClock, SystemDisk
from nextpaint.record.codec import Record
from nextpaint.record.errors import CorruptLedger, LetGo
from nextpaint.stream.frame import TICK_TOPIC, Draft, EntryKind, FrameDraft, Position
from nextpaint.stream.ledger import Ledger, LedgerSettings, _Replaced
from nextpaint.stream.lost import lost, lost_in, since
from nextpaint.stream.retention import (
    GRACE_MS,
    NOTHING,
    RetentionClass,
    RetentionPolicy,
    judged,
    retain,
    retaining,
)
from nextpaint.stream.verify import verify, walk_frames

DAY_MS = 86_400_000
SETTINGS = LedgerSettings(segment_bytes=2_000)
TOPICS = ("events", "decisions", "items")


def opened(disk: SimulatedDisk | None = None) -> tuple[Ports, Ledger]:
    random = SeededRandom(1)
    ports = Ports(SimulatedClock(now_ms=1_000), disk or SimulatedDisk(random), SeededRandom(2), InlineWorkers())
    return ports, Ledger.open(ports, SETTINGS)


def written(frames: list[list[tuple[str, int]]], step_ms: int = 1_000) -> tuple[Ports, Ledger]:
    """A ledger of these frames, each of entries (topic, bytes of its record), `step_ms` apart."""
    ports, ledger = opened()
    for number, entries in enumerate(frames):
        ports.clock.advance(step_ms)
        ledger.write(
            FrameDraft(
                [
                    Draft.tick() if topic == TICK_TOPIC
                    else Draft(topic, EntryKind.INPUT, [Record(b"k", b"%d:" % number + b"x" * size, number)])
                    for topic, size in entries
                ]
            )
        )  # fmt: skip
    return ports, ledger


def content(ledger: Ledger) -> dict[Position, tuple[str, int, int, int, object]]:
    """Where every record is, and everything about it; with the chain value of its frame, but of the last: an open
    writes that one again."""
    end = ledger.next_frame - 1
    return {
        Position(frame.number, at, index): (
            entry.topic,
            entry.at,
            entry.base_seq + index,
            frame.chain if frame.number < end else 0,
            record,
        )
        for frame in ledger.frames()
        for at, entry in enumerate(frame.entries)
        for index, record in enumerate(entry.records)
    }


MIXED = [[("events", 300), ("decisions", 20)], [("events", 200)], [("items", 10), ("events", 400)]] * 8


def thinned() -> tuple[Ports, Ledger]:
    ports, ledger = written(MIXED)
    retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=99)
    assert sum(each.thinned for each in ledger.segments) > 3
    return ports, ledger


frames_drawn = st.lists(
    st.lists(st.tuples(st.sampled_from((*TOPICS, TICK_TOPIC)), st.integers(0, 900)), min_size=1, max_size=4),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(frames=frames_drawn, going=st.sets(st.sampled_from(TOPICS)), checkpoint=st.integers(0, 30))
def test_what_stays_is_where_it_was_and_what_goes_was_asked_for(frames, going, checkpoint):
    ports, ledger = written(frames)
    before, seq, offsets, frame = content(ledger), ledger.next_seq, ledger.offsets(), ledger.next_frame
    plan = judged(ledger, RetentionPolicy(dict.fromkeys(going, NOTHING)), checkpoint)
    *_, report = retaining(ledger, plan)
    went = {(each.segment.header.first_seq, each.segment.end.seq): each.gone for each in plan if each.gone}
    stay = {
        place: each for place, each in before.items()
        if not any(first <= each[2] < end and (each[0], 0) in gone for (first, end), gone in went.items())
    }  # fmt: skip
    assert all(topic in going or topic == TICK_TOPIC for gone in went.values() for topic, _ in gone)
    assert all(place.frame < checkpoint for place in before.keys() - stay.keys())
    for again in lives(ports, ledger):
        assert content(again) == stay
        assert (again.next_seq, again.offsets(), again.next_frame) == (seq, offsets, frame)
        for place, each in stay.items():
            assert again.position_of(each[2]) == place
            assert again.seq_of(place) == each[2]
        for topic in TOPICS:
            found = [record for _, record in again.read_topic(topic, 0, 0, 10**6)]
            assert found == [each[4] for each in stay.values() if each[0] == topic]
        told = lost(again.segments)
        assert told == lost_in(ports.disk)
        gone = len([each for each in before.values() if each[0] != TICK_TOPIC]) - len(
            [each for each in stay.values() if each[0] != TICK_TOPIC]
        )
        assert sum(sum(each.topics.values()) for each in told) == gone
        for topic in TOPICS:
            begin = since(told, [topic])
            assert (begin is None) == (topic not in {name for each in told for name in each.topics})
            if begin is not None:
                assert {place for place, each in before.items() if each[0] == topic and each[1] > begin} <= stay.keys()
    assert verify(ports.disk).ok
    assert {each.number for each in walk_frames(ports.disk)} == {place.frame for place in stay}
    assert report.bytes_freed >= 0


def lives(ports: Ports, ledger: Ledger) -> Iterator[Ledger]:
    """The ledger, and the one that is there after a power cut."""
    yield ledger
    yield reopened(ports, ledger)


def reopened(ports: Ports, ledger: Ledger) -> Ledger:
    ledger._release()  # as a kill: no end frame, which would be one more frame
    ports.disk.crash()
    return Ledger.open(ports, SETTINGS)


def test_every_flipped_byte_of_a_rewritten_segment_is_found():
    ports, ledger = thinned()
    path = next(each.path for each in ledger.segments if each.thinned)
    ledger.close()
    for byte in range(len(ports.disk.read(path))):
        ports.disk.flip(path, byte * 8 + byte % 8)
        assert not verify(ports.disk).ok, byte
        with pytest.raises(CorruptLedger):
            Ledger.open(ports, SETTINGS)
        ports.disk.restart()
        ports.disk.flip(path, byte * 8 + byte % 8)
    assert verify(ports.disk).ok


def test_a_rewritten_segment_that_lost_a_frame_is_damage_not_a_hole():
    ports, ledger = thinned()
    segment = next(each for each in ledger.segments if each.thinned and each.frames > 1)
    ledger.close()
    whole = ports.disk.read(segment.path)
    *_, last = segment.walk(ports.disk.open(segment.path), segment.start, len(whole))
    for data in (whole[: last[0]], whole + whole[last[0] :], whole[: segment.start] + whole[last[0] :]):
        ports.disk.replace(segment.path, data)
        assert not verify(ports.disk).ok
        with pytest.raises(CorruptLedger):
            Ledger.open(ports, SETTINGS)
        ports.disk.restart()


def test_a_missing_rewritten_file_is_damage():
    ports, ledger = thinned()
    path = next(each.path for each in ledger.segments if each.thinned)
    ledger.close()
    ports.disk.remove(path)
    assert not verify(ports.disk).ok
    with pytest.raises(CorruptLedger):
        Ledger.open(ports, SETTINGS)


def test_readers_are_not_disturbed():
    """One has the old file open, one opens the new one with the old index, and both see what stays, once, in order."""
    ports, ledger = written(MIXED)
    before = content(ledger)
    early = ledger.frames()
    offline = walk_frames(ports.disk)
    began = [next(early), next(offline)]
    stale = ledger.segments
    retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=99)
    after = content(ledger)
    for first, rest in zip(began, (early, offline), strict=True):
        seen = [first, *rest]
        numbers = [frame.number for frame in seen]
        assert numbers == sorted(set(numbers))
        end = ledger.next_frame - 1
        read = {
            Position(frame.number, at, index): (
                entry.topic, entry.at, entry.base_seq + index, frame.chain if frame.number < end else 0, record
            )
            for frame in seen for at, entry in enumerate(frame.entries) for index, record in enumerate(entry.records)
        }  # fmt: skip
        assert after.items() <= read.items() <= before.items()
    with pytest.raises(_Replaced):
        list(ledger._walk(stale[1], stale[1].points[-1][2]))


@pytest.mark.parametrize("operation", ["append", "sync", "rename", "sync_directory"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_rewrite_that_fails_leaves_each_segment_old_or_new(operation, error):
    ports, ledger = written(MIXED)
    before = content(ledger)
    ports.disk.fail(operation, after=1, error=error)
    with pytest.raises(OSError):
        retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=99)
    ports.disk.heal()
    assert verify(ports.disk).ok
    for again in lives(ports, ledger):
        assert {place for place, each in before.items() if each[0] != "events"} <= content(again).keys()
        assert content(again).items() <= before.items()


def test_a_disk_that_is_full_is_not_left_fuller():
    ports, ledger = written(MIXED)
    ports.disk.fail("sync", after=1, error=errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=99)
    ports.disk.heal()
    assert [name for name in ports.disk.list("ledger") if name.endswith(".tmp")] == []
    assert retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=99).rewritten


def test_one_segment_is_rewritten_at_a_time():
    """Two would write the same file beside; who leaves one half done leaves the way free."""
    ports, ledger = written(MIXED)
    first, second = ledger.segments[:2]
    begun = ledger.rewrite(first, {("events", 0)})
    next(begun)
    for segment in (first, second):
        with pytest.raises(ValueError, match="is being rewritten"):
            next(ledger.rewrite(segment, {("events", 0)}))
    begun.close()
    list(ledger.rewrite(first, {("events", 0)}))
    with pytest.raises(ValueError, match="or was"):
        next(ledger.rewrite(first, {("events", 0)}))
    assert verify(ports.disk).ok


def test_rewriting_goes_on_beside_the_writer():
    _, ledger = written(MIXED)
    plan = judged(ledger, RetentionPolicy({"events": NOTHING}), 99)
    for number, _ in enumerate(retaining(ledger, plan)):
        ledger.write(FrameDraft([Draft("items", EntryKind.INPUT, [Record(b"k", b"y" * 900, number)])]))
    values = [each[4].value for each in content(ledger).values() if each[0] == "items"]
    assert len(values) == 8 + number + 1
    assert [each.header.first_frame for each in ledger.segments] == sorted(
        each.header.first_frame for each in ledger.segments
    )


def test_what_is_gone_says_so():
    _, ledger = written([[("events", 900)], [("items", 10), ("events", 900)], [("events", 900)], *MIXED])
    retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=3)
    with pytest.raises(LetGo, match="retention let this record go"):
        ledger.position_of(0)
    with pytest.raises(LetGo):
        ledger.frame(0)
    assert ledger.position_of(2) == Position(1, 1, 0), "its neighbour stayed, so its place is known"
    assert ledger.frame(1).entries[1].kind is EntryKind.GONE
    assert list(ledger.frame(1).entries[1].records) == []
    since, until = ledger.when(0)
    assert since <= 2_000 <= until


def test_less_than_half_of_a_segment_stays_until_it_is_long_dead():
    ports, ledger = written([[("events", 100), ("items", 1_500)]] * 4)
    policy = RetentionPolicy({"events": RetentionClass(age_ms_max=DAY_MS)})
    ports.clock.advance(DAY_MS)
    ledger.write(FrameDraft([Draft.tick()]))
    report = retain(ledger, policy, oldest_checkpoint_frame=99)
    assert report.rewritten == ()
    assert "not yet half" in str(report.kept)
    ports.clock.advance(GRACE_MS)
    ledger.write(FrameDraft([Draft.tick()]))
    assert len(retain(ledger, policy, oldest_checkpoint_frame=4).rewritten) > 0
    assert {each[0] for each in content(ledger).values()} <= {"items", TICK_TOPIC, "events"}
    assert lost(ledger.segments)[0].topics == {"events": lost(ledger.segments)[0].topics["events"]}


def test_held_records_stay_whatever_their_class_says():
    _, ledger = written([[("events", 1_500)]] * 6)
    retain(ledger, RetentionPolicy({"events": NOTHING}, held={"events": 4_000}), oldest_checkpoint_frame=99)
    assert min(each[1] for each in content(ledger).values()) <= 4_000
    assert len(content(ledger)) < 6


def test_ticks_alone_are_no_reason_to_rewrite():
    _, ledger = written([[(TICK_TOPIC, 0)] * 4 + [("items", 10)]] * 20)
    report = retain(ledger, RetentionPolicy(), oldest_checkpoint_frame=99)
    assert (report.rewritten, report.deleted) == ((), ())
    assert "items-0 is kept longer" in str(report.kept)


def test_a_segment_is_sealed_after_a_day():
    _, ledger = written([[("events", 1)]] * 6, step_ms=DAY_MS // 2)
    assert len(ledger.segments) > 1


def test_a_segment_can_be_rewritten_again():
    ports, ledger = thinned()
    retain(ledger, RetentionPolicy({"decisions": NOTHING, "items": NOTHING}), oldest_checkpoint_frame=99)
    assert sum(each.hollow for each in ledger.segments) > 3
    assert verify(ports.disk).ok
    assert content(reopened(ports, ledger)) == content(ledger)


def test_threads_read_and_write_while_segments_are_rewritten(tmp_path):
    """On a real disk: what stays is read whole and in order all the while, and nothing looks like damage."""
    ports = Ports(SystemClock(), SystemDisk(tmp_path), SeededRandom(3), InlineWorkers())
    ledger = Ledger.open(ports, LedgerSettings(segment_bytes=40_000))
    for number in range(400):
        entry = Draft("items" if number % 5 == 0 else "events", EntryKind.INPUT, [Record(b"k", b"z" * 500, number)])
        ledger.write(FrameDraft([entry]))
    kept, failed, rounds = list(range(0, 400, 5)), [], [0]
    done = threading.Event()

    def reading():
        try:
            while not done.is_set():
                rounds[0] += 1
                frames = [frame for frame in ledger.frames() if any(each.topic == "items" for each in frame.entries)]
                assert [frame.number for frame in frames][:80] == kept
                found = ledger.read_topic("items", 0, 0, 80)
                assert [record.timestamp_ms for _, record in found] == kept
                assert ledger.position_of(200) == Position(200, 0, 0)
                assert [frame.number for frame in walk_frames(ports.disk) if frame.number < 400][::-1][0] == 399
        except BaseException as error:
            failed.append(error)

    def writing():
        number = 400
        while not done.is_set():
            ledger.write(FrameDraft([Draft("events", EntryKind.INPUT, [Record(b"k", b"z" * 500, number)])]))
            number += 1

    threads = [threading.Thread(target=each) for each in (reading, reading, writing)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 2
    while not failed and (time.monotonic() < end or rounds[0] < 4):
        retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=380)
        # The same again: a file that is replaced while it is read, over and over.
        for segment in [each for each in ledger.segments if each.thinned]:
            list(ledger.rewrite(segment, ()))
    done.set()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]
    assert verify(ports.disk).ok


def test_of_an_ordered_topic_nothing_goes_before_what_is_older():
    _, ledger = written([[("rows", 100), ("items", 1_500)]] * 3 + [[("rows", 1_500), ("events", 200)]] * 3)
    limits = {"rows": NOTHING, "events": NOTHING}
    free = judged(ledger, RetentionPolicy(limits), 99)
    assert any(("rows", 0) in each.gone for each in free)
    plan = judged(ledger, RetentionPolicy(limits, ordered=frozenset({"rows"})), 99)
    assert not any(("rows", 0) in each.gone for each in plan), "the oldest are less than half of their segments"
    freed = sum(each.freed for each in plan)
    *_, report = retaining(ledger, plan)
    assert report.bytes_freed >= freed > 0, "its neighbours go"
