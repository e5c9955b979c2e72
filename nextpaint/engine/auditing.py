"""Who read a decision: each read is a record of the ledger (topic `_audit`) before its answer leaves.

    await auditing.note(Read("alice", "explain", ("9f…",), view="regulator", purpose="complaint 12"))

Nothing is derived from these records: state and replays pass them over. They name decisions and subject tokens, never
an identifier.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nextpaint.engine.node import Node
from nextpaint.engine.replay import Frames
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, LedgerReadOnly
from nextpaint.stream.frame import Draft, EntryKind

AUDIT_TOPIC = "_audit"
PURPOSE_MAX = 200  # characters

_encode = msgspec.json.Encoder().encode


class Read(msgspec.Struct, frozen=True, omit_defaults=True):
    """One read. who: the name of the key. what: "explain", "what-if", "events", "export", "erase" or "lift".
    decisions: those that were read, none where an export of a person found none. purpose: as the reader says. at_ms:
    when, by the ledger."""

    who: str
    what: str
    decisions: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    view: str = ""
    purpose: str = ""
    at_ms: int = 0


def stated(purpose: str) -> str:
    """What a read is for, as it will be on record. Raises InvalidInput for a text that is too long or no line."""
    if len(purpose) > PURPOSE_MAX:
        what = f"the purpose has {len(purpose)} characters"
        raise InvalidInput(what, where="purpose", cure=f"say what it is read for in {PURPOSE_MAX} characters at most")
    if not purpose.isprintable():
        raise InvalidInput("the purpose has characters that do not print", where="purpose", cure="write one line")
    return purpose


class Auditing:
    """The reads of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def require_writable(self) -> None:
        """Raises LedgerReadOnly where a read could not be put on record: then nothing is read out here."""
        reason = self._node.ledger.read_only
        if reason is not None:
            raise LedgerReadOnly(
                f"who reads a decision is put on record, and the ledger is read-only: {reason}",
                where="this node",
                cure="`nextpaint why ID --data DIRECTORY` reads the directory, or a copy of it, beside the node",
            )

    async def note(self, read: Read) -> None:
        """Keep a read; done when it is durable."""
        now_ms = self._node.ports.clock.now_ms()
        key = read.decisions[0] if len(read.decisions) == 1 else read.who
        record = Record(key.encode(), _encode(msgspec.structs.replace(read, at_ms=now_ms)), now_ms)
        await self._node.appended(Draft(AUDIT_TOPIC, EntryKind.INPUT, [record]))


def reads_in(ledger: Frames, decision_id: str = "") -> Iterator[Read]:
    """Every read on record, in ledger order; of one decision where one is named."""
    for frame in ledger.frames():
        for entry in frame.entries:
            if entry.topic == AUDIT_TOPIC:
                for record in entry.records:
                    read = msgspec.json.decode(record.value or b"", type=Read)
                    if not decision_id or decision_id in read.decisions:
                        yield read
