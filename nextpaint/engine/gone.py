"""Who was erased, as a ledger alone says it: for readers of a data directory, and for what is learned from one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nextpaint.decide import DecisionRecord
from nextpaint.decide.deidentified import Gone
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.replay import Frames
from nextpaint.process.erasures import ERASE_TOPIC
from nextpaint.process.erasures import decoded as erasure_of


def erased_in(ledger: Frames) -> dict[str, Gone]:
    """Token -> since when it is nobody's, of everybody who was erased. Reads all of a ledger."""
    gone: dict[str, Gone] = {}
    for frame in ledger.frames():
        for entry in frame.entries:
            if entry.topic == ERASE_TOPIC:
                for record in entry.records:
                    found = erasure_of(record.value)
                    for token in found.subjects if found is not None else ():
                        gone.setdefault(token, Gone(entry.at))
    return gone


def gone_of(subjects: Sequence[str], gone: Mapping[str, Gone]) -> Gone | None:
    """Since when the person of a decision is erased: the one it was made for, whose token is the first."""
    return gone.get(subjects[0]) if subjects else None


def present_decisions_of(ledger: Frames) -> Iterator[tuple[int, DecisionRecord]]:
    """`decisions_of` without those of people who were erased: what may be learned from."""
    gone = erased_in(ledger)
    return ((seq, each) for seq, each in decisions_of(ledger) if gone_of(each.subjects, gone) is None)
