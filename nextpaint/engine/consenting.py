"""What people consent to, as they last said it: the built-in table `consents`, and how a decision obeys it.

A call that carries `context.consent` says what its person consents to. It becomes a row of `consents` (subject,
purposes, ts) when it says something new, and is obeyed from the moment the door has read it: until the row is applied,
decisions ask the memory here. By event time the newest statement counts, so a late call brings no consent back. Of a
person's devices, too, the newest counts.

Who never said anything is decided for with a profile: the node's default purposes apply to their events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from nextpaint.engine.node import Node
from nextpaint.govern.door import Consent
from nextpaint.record.codec import Record

CONSENTS = "consents"
WITHHELD = "consent"  # why a decision has no profile though the request asked for one

_json = msgspec.json.Encoder().encode


class Consenting:
    """The consent of one node's people."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._newest: dict[str, Consent] = {}  # said, and perhaps not applied yet
        self._open = 0  # writes on their way to disk
        self._seq = -1  # of the last row that landed

    def said(self, consents: Iterable[Consent], now_ms: int) -> list[Record]:
        """The rows for what is new in `consents`; they are obeyed from now on."""
        records = []
        for consent in consents:
            held = self._of(consent.subject)
            if held is not None and (held.ts > consent.ts or held.purposes == consent.purposes):
                continue
            self._newest[consent.subject] = consent
            records.append(Record(consent.subject.encode(), _json(consent), now_ms))
        self._open += bool(records)
        return records

    def landed(self, seq: int) -> None:
        """The rows of one `said` are durable, up to this one."""
        self._open -= 1
        self._seq = max(self._seq, seq)

    def withheld(self, subjects: Sequence[str], purpose: str) -> bool:
        """Whether the newest statement of a person, known by `subjects`, does not name `purpose`."""
        said = [each for subject in subjects if (each := self._of(subject)) is not None]
        if not said:
            return False
        # Of two at one instant the stricter: it is the one that was not meant to be lost.
        newest = max(said, key=lambda each: (each.ts, purpose not in each.purposes))
        return purpose not in newest.purposes

    def forget(self, subjects: Iterable[str]) -> None:
        """These are nobody's any more."""
        for each in subjects:
            self._newest.pop(each, None)

    def _of(self, subject: str) -> Consent | None:
        if self._newest and not self._open and self._node.runner.applied >= self._seq:
            self._newest.clear()
        found = self._newest.get(subject)
        if found is not None:
            return found
        row = self._node.tables.reading(0).row(CONSENTS, (subject,))
        if row is None:
            return None
        purposes, ts = row["purposes"], row["ts"]
        assert isinstance(ts, int) and isinstance(purposes, list | tuple)
        return Consent(subject, tuple(str(each) for each in purposes), ts)
