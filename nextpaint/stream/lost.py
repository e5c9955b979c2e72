"""What retention took out of a ledger, told from what its segments say of themselves.

Each segment states the offsets at its beginning, and a rewritten one where it ended: so how many records of a topic it
had is known for ever, and how many it has is counted. Does not know what was in them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nextpaint.ports import Disk
from nextpaint.stream.frame import TICK_TOPIC
from nextpaint.stream.recovery import find_segments, scan
from nextpaint.stream.segment import Segment

SEQ_UNKNOWN = 2**63 - 1  # a hollow segment of an early version does not say when it was made


@dataclass(frozen=True, slots=True)
class Lost:
    """What is gone from one segment: records by topic, admitted between `since` and `until`; taken when the ledger's
    time was `at` and its next record `next_seq`. `outputs`: those of the topics that the engine writes itself, as far
    as the ledger still tells."""

    topics: Mapping[str, int]
    since: int
    until: int
    at: int
    next_seq: int
    outputs: frozenset[str] = frozenset()


def lost(segments: Sequence[Segment]) -> list[Lost]:
    """What is gone, oldest first. Ticks do not count. The segments must have been scanned."""
    found = []
    outputs = {topic for each in segments for (topic, _), span in list(each.topics.items()) if span.output}
    for segment, following in pairwise(segments):
        if not segment.rewritten:
            continue
        topics: dict[str, int] = {}
        for (topic, partition), offset in following.header.offsets.items():
            span = segment.topics.get((topic, partition))
            gone = offset - segment.header.offsets.get((topic, partition), 0) - (span.records if span else 0)
            if gone and topic != TICK_TOPIC:
                topics[topic] = topics.get(topic, 0) + gone
        if topics:
            marker = segment.header.marker
            at, seq = (following.header.at, SEQ_UNKNOWN) if marker is None else (marker.at, marker.next_seq)
            written = frozenset(topics.keys() & outputs)
            found.append(Lost(topics, segment.header.at, following.header.at, at, seq, written))
    return found


def lost_in(disk: Disk) -> list[Lost]:
    """What is gone from the ledger below `disk`, which is neither opened nor locked. Raises CorruptLedger."""
    if not any(each.rewritten for each in find_segments(disk)):
        return []
    return lost(scan(disk, everything=True).segments)


def since(taken: Sequence[Lost], topics: Collection[str] | None = None) -> int | None:
    """From which time of the ledger on every record of some topics (of all) is there; None: nothing of them is gone."""
    until = [each.until for each in taken if topics is None or not each.topics.keys().isdisjoint(topics)]
    return max(until, default=None)
