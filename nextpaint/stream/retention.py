"""Which sealed segments may go, and letting them go.

A segment goes when **every** topic in it allows it: its class's age has passed since the topic's last record there, or
younger segments hold the class's bytes of the topic already. Never the segment being written, and never one that
reaches the frame of the oldest kept checkpoint: recovery, explanations and replays inside the replay horizon read
from there. Time is the ledger's `at`, so two nodes with the same ledger keep the same segments.

"Goes" means: the file is replaced, durably and at once, by its own header plus where it ended. Positions, offsets and
the chain across the hole stay provable, and a missing file is always damage.

Does not rewrite segments: one long-lived topic keeps its neighbours in the same segment alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nextpaint.stream.frame import TICK_TOPIC
from nextpaint.stream.ledger import Ledger
from nextpaint.stream.segment import Partition, Segment


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
    """The class of each topic. A topic that is not named is kept for ever: forgetting must be asked for."""

    topics: Mapping[str, RetentionClass] = field(default_factory=dict)
    default: RetentionClass = FOREVER

    def of(self, topic: str) -> RetentionClass:
        """Ticks carry nothing, so they hold no segment back."""
        return self.topics.get(topic, NOTHING if topic == TICK_TOPIC else self.default)


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was done. `kept`: why each remaining sealed segment stays, by path."""

    deleted: tuple[str, ...]
    bytes_freed: int
    kept: Mapping[str, str]


def retain(ledger: Ledger, policy: RetentionPolicy, *, oldest_checkpoint_frame: int) -> RetentionReport:
    """Delete what may go. `oldest_checkpoint_frame`: the first frame a kept checkpoint replays; 0 keeps everything.

    To be run where the ledger is written (as a job of its worker). OSError leaves each segment old or gone, never half.
    """
    younger: dict[Partition, int] = {}
    sealed: list[tuple[Segment, str]] = []
    for segment in reversed(ledger.segments):
        if segment is not ledger.segments[-1] and not segment.hollow:
            sealed.append((segment, _reason_to_keep(ledger, segment, policy, younger, oldest_checkpoint_frame)))
        if not segment.hollow:
            for partition, span in ledger.spans(segment).items():
                younger[partition] = younger.get(partition, 0) + span.bytes
    deleted: list[str] = []
    kept: dict[str, str] = {}
    freed = 0
    for segment, reason in reversed(sealed):  # oldest first
        if reason:
            kept[segment.path] = reason
        else:
            freed += ledger.hollow(segment)
            deleted.append(segment.path)
    return RetentionReport(tuple(deleted), freed, kept)


def _reason_to_keep(
    ledger: Ledger, segment: Segment, policy: RetentionPolicy, younger: Mapping[Partition, int], checkpoint: int
) -> str:
    if segment.end.frame > checkpoint:
        return f"the oldest kept checkpoint replays from frame {checkpoint}"
    for (topic, partition), span in sorted(ledger.spans(segment).items()):
        limits = policy.of(topic)
        old = limits.age_ms_max is not None and ledger.at - span.at_last >= limits.age_ms_max
        enough = limits.bytes_max is not None and younger.get((topic, partition), 0) >= limits.bytes_max
        if not old and not enough:
            return f"{topic}-{partition} is kept longer"
    return ""
