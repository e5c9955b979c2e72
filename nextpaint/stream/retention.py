"""Which records of sealed segments may go, and letting them go.

A topic-partition's records in a segment are *dead* when its class's age has passed since the last of them, or when
younger segments hold the class's bytes of it already. A segment of which everything is dead becomes hollow; one of
which more than half is, or in which something has been dead for `GRACE_MS`, is rewritten without it. So what is past
its age is gone a month and a day later at most (a segment is sealed after a day), and rewriting costs at most twice
what it frees.

Never the segment being written, and never one that reaches the frame of the oldest kept checkpoint: recovery,
explanations and replays inside the replay horizon read from there. Time is the ledger's `at`, so two nodes with the
same ledger keep the same records. Ticks carry nothing: they go with others, and keep nothing here.

Positions, offsets and the chain stay provable across what is gone, and a missing file is always damage
(`stream/segment.py`). `stream/lost.py` says what is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nextpaint.stream.frame import TICK_TOPIC
from nextpaint.stream.ledger import Ledger
from nextpaint.stream.segment import Partition, Segment, TopicSpan

GRACE_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """How long records are kept. None sets no limit; with both None they are kept for ever.

    `age_ms_max`: since the record's `at`. `bytes_max`: per topic-partition, of encoded batches.
    """

    age_ms_max: int | None = None
    bytes_max: int | None = None


FOREVER = RetentionClass()
NOTHING = RetentionClass(age_ms_max=0)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The class of each topic. A topic that is not named is kept for ever: forgetting must be asked for.

    `held`: topic -> from which `at` on its records stay whatever their class says.
    `ordered`: topics of which nothing goes before all that is older: rows and what deletes them.
    """

    topics: Mapping[str, RetentionClass] = field(default_factory=dict)
    default: RetentionClass = FOREVER
    held: Mapping[str, int] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()

    def of(self, topic: str) -> RetentionClass:
        """Ticks carry nothing, so they hold no segment back."""
        return self.topics.get(topic, NOTHING if topic == TICK_TOPIC else self.default)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to become of one sealed segment: `gone` topic-partitions of it go, `freed` bytes of batches; or nothing
    goes, and `reason` says why."""

    segment: Segment
    gone: frozenset[Partition] = frozenset()
    freed: int = 0
    reason: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing but the header stays."""
        return bool(self.gone) and self.gone >= self.segment.topics.keys()


@dataclass(slots=True)
class RetentionReport:
    """What was done. `kept`: why each remaining sealed segment stays as it is, by path."""

    deleted: tuple[str, ...] = ()
    bytes_freed: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)
    rewritten: tuple[str, ...] = ()


def retain(ledger: Ledger, policy: RetentionPolicy, *, oldest_checkpoint_frame: int) -> RetentionReport:
    """Let go what may. `oldest_checkpoint_frame`: the first frame a kept checkpoint replays; 0 keeps everything.

    OSError leaves each segment old or new, never half.
    """
    *_, report = retaining(ledger, judged(ledger, policy, oldest_checkpoint_frame))
    return report


def retaining(ledger: Ledger, plan: Sequence[Judged]) -> Iterator[RetentionReport]:
    """As planned, oldest first, in pieces of work of some milliseconds; the report grows with each."""
    report = RetentionReport(kept={each.segment.path: each.reason for each in plan if not each.gone})
    yield report
    for each in plan:
        if not each.gone or each.segment not in ledger.segments:
            continue
        for freed in ledger.rewrite(each.segment, each.gone):
            report.bytes_freed += freed
            yield report
        if each.whole:
            report.deleted += (each.segment.path,)
        else:
            report.rewritten += (each.segment.path,)
    yield report


def judged(ledger: Ledger, policy: RetentionPolicy, oldest_checkpoint_frame: int) -> list[Judged]:
    """Every sealed segment that holds anything, oldest first, and what is to become of it."""
    segments = ledger.segments
    for segment in segments:
        ledger.spans(segment)  # checked and indexed
    return judged_of(segments, ledger.at, policy, oldest_checkpoint_frame)


def judged_of(
    segments: Sequence[Segment], now: int, policy: RetentionPolicy, oldest_checkpoint_frame: int
) -> list[Judged]:
    """As `judged`, of segments that were scanned; `now`: the ledger's time."""
    younger: dict[Partition, int] = {}
    found: list[Judged] = []
    for number, segment in reversed(list(enumerate(segments, start=1))):
        if segment.hollow:
            continue
        spans = dict(segment.topics)  # the last one grows meanwhile
        if number < len(segments):
            judge = _Judge(now, policy, younger, oldest_checkpoint_frame)
            found.append(judge.judged(segment, spans))
        for partition, span in spans.items():
            younger[partition] = younger.get(partition, 0) + span.bytes
    return [*_in_order(found[::-1], policy.ordered)]


def _in_order(found: Sequence[Judged], ordered: frozenset[str]) -> Iterator[Judged]:
    """What was found, oldest first, less what may not go yet because something older of its topic stays."""
    staying: set[Partition] = set()
    for each in found:
        staying |= {one for one in each.segment.topics.keys() - each.gone if one[0] in ordered}
        early = each.gone & staying
        if not early:
            yield each
        elif early == each.gone:
            yield Judged(each.segment, reason=f"{min(early)[0]}: older records of it are still there")
        else:
            freed = each.freed - sum(each.segment.topics[one].bytes for one in early)
            yield Judged(each.segment, each.gone - early, freed)


@dataclass(frozen=True, slots=True)
class _Judge:
    now: int
    policy: RetentionPolicy
    younger: Mapping[Partition, int]
    checkpoint: int

    def judged(self, segment: Segment, spans: Mapping[Partition, TopicSpan]) -> Judged:
        if segment.end.frame > self.checkpoint:
            return Judged(segment, reason=f"the oldest kept checkpoint replays from frame {self.checkpoint}")
        dead = frozenset(each for each, span in spans.items() if self._dead(each, span))
        living = sorted(each for each in spans if each not in dead)
        why = "nothing is in it" if not living else f"{living[0][0]}-{living[0][1]} is kept longer"
        if not dead or (living and all(topic == TICK_TOPIC for topic, _ in dead)):
            return Judged(segment, reason=why)
        freed, total = sum(spans[each].bytes for each in dead), sum(span.bytes for span in spans.values())
        long_dead = any(self._dead(each, spans[each], GRACE_MS) for each in dead if each[0] != TICK_TOPIC)
        if living and freed * 2 <= total and not long_dead:
            return Judged(segment, reason=f"{why}; {freed} of {total} bytes are past their time: not yet half")
        return Judged(segment, dead, freed)

    def _dead(self, partition: Partition, span: TopicSpan, grace_ms: int = 0) -> bool:
        limits, topic = self.policy.of(partition[0]), partition[0]
        if span.at_last >= self.policy.held.get(topic, span.at_last + 1):
            return False
        if limits.age_ms_max is not None and self.now - span.at_last >= limits.age_ms_max + grace_ms:
            return True
        return limits.bytes_max is not None and self.younger.get(partition, 0) >= limits.bytes_max and not grace_ms
