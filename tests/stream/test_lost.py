"""What is gone from a ledger is told by what its segments say of themselves."""

from dataclasses import replace

from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind, FrameDraft
from nextpaint.stream.ledger import Ledger, LedgerSettings
from nextpaint.stream.lost import SEQ_UNKNOWN, lost, lost_in, since
from nextpaint.stream.retention import NOTHING, RetentionPolicy, retain


def written() -> tuple[Ports, Ledger]:
    ports = Ports(SimulatedClock(0), SimulatedDisk(SeededRandom(1)), SeededRandom(2), InlineWorkers())
    ledger = Ledger.open(ports, LedgerSettings(segment_bytes=1))
    for number in range(6):
        ports.clock.advance(1_000)
        record = Record(b"k", b"x" * 300, number)
        ledger.write(
            FrameDraft([Draft("events", EntryKind.INPUT, [record, record]), Draft("told", EntryKind.OUTPUT, [record])])
        )
    return ports, ledger


def test_nothing_is_gone_of_a_whole_ledger():
    ports, ledger = written()
    assert lost(ledger.segments) == lost_in(ports.disk) == ledger.lost() == []
    assert since([]) is None


def test_what_is_gone_is_counted_by_topic_with_its_time_and_when_it_went():
    ports, ledger = written()
    retain(ledger, RetentionPolicy({"events": NOTHING}), oldest_checkpoint_frame=3)
    found = ledger.lost()
    assert [(each.topics, each.until) for each in found] == [({"events": 2}, at) for at in (1_000, 2_000, 3_000)]
    assert {(each.at, each.next_seq) for each in found} == {(6_000, 18)}
    assert {each.outputs for each in found} == {frozenset()}
    assert since(found) == since(found, {"events"}) == 3_000
    assert since(found, {"told"}) is None
    assert lost_in(ports.disk) == found
    assert ledger.lost() is found, "told once for as long as the segments are the same"


def test_what_the_engine_wrote_itself_is_told_apart_while_any_of_it_is_left():
    _, ledger = written()
    retain(ledger, RetentionPolicy({"events": NOTHING, "told": NOTHING}), oldest_checkpoint_frame=3)
    assert {each.outputs for each in ledger.lost()} == {frozenset({"told"})}


def test_an_early_hollow_segment_does_not_say_when_it_was_made():
    _, ledger = written()
    retain(ledger, RetentionPolicy(default=NOTHING), oldest_checkpoint_frame=1)
    segment = ledger.segments[0]
    segment.header = replace(segment.header, marker=None)
    (found,) = lost(ledger.segments)
    assert (found.topics, found.next_seq) == ({"events": 2, "told": 1}, SEQ_UNKNOWN)
