"""What a person did before a decision: their collected events, newest first, found in the ledger.

The ledger has no index by person; it is read backwards in growing pieces, so what happened a moment ago costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nextpaint.engine.index import EVENTS_TOPIC
from nextpaint.engine.replay import Frames
from nextpaint.record.event import Event
from nextpaint.record.event import decode as decode_event
from nextpaint.stream.frame import Frame

FIRST_PIECE = 256  # frames read at first: a few seconds of a busy node
FRAMES_MAX = 65_536  # read backwards at most: at 50 frames a second, the last 20 minutes
IMPRESSION = "Impression"


@dataclass(frozen=True, slots=True)
class Past:
    """An event and its place in the ledger."""

    seq: int
    event: Event

    @property
    def named(self) -> str:
        """In words: `Product Viewed 22423`."""
        return " ".join(filter(None, (self.event.event or self.event.type, self.event.item_id)))


def before(
    ledger: Frames, subjects: Sequence[str], position: int, frame: int, enough: Callable[[list[Past]], bool]
) -> list[Past]:
    """Events of these tokens up to `position`, which is in `frame`, newest first, until there are `enough` or
    `FRAMES_MAX` frames were read."""
    tokens = {subject.encode() for subject in subjects}
    found: list[Past] = []
    end, size = frame + 1, FIRST_PIECE
    lowest = max(0, end - FRAMES_MAX)
    while end > lowest and not enough(found):
        begin = max(lowest, end - size)
        piece: list[Past] = []
        for each in ledger.frames(begin):
            if each.number >= end:
                break
            piece += _events(each, tokens, position)
        found += reversed(piece)
        end, size = begin, size * 2
    return found


def _events(frame: Frame, tokens: set[bytes], position: int) -> list[Past]:
    return [
        Past(entry.base_seq + at, decode_event(record.value or b""))
        for entry in frame.entries
        if entry.topic == EVENTS_TOPIC
        for at, record in enumerate(entry.records)
        if record.key in tokens and entry.base_seq + at <= position
    ]


def is_view(past: Past) -> bool:
    """Whether a person turned to an item: any named call about one that is not an impression."""
    return past.event.item_id is not None and past.event.event not in (None, IMPRESSION)
