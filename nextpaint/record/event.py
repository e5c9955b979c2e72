"""The event as the ledger keeps it: one row of the built-in stream `events`, and its bytes.

The bytes are one JSON object. `properties` and `context` are JSON texts inside it, because the stream declares them
STRING: a reader that follows Flink's JSON format (a STRING column is a JSON string) sees the same rows. Absent columns
are left out of the bytes and come back as their defaults; unknown fields are ignored, so older nodes read newer events.

Invariants: `subject` is a token, never an identifier; `ts` is corrected event time and `received_at` the door's clock,
both epoch milliseconds UTC. This module knows nothing of where identifiers went: see `govern.door`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One collected call. `purposes`: what the person's consent, or the node's default, allowed at the door."""

    message_id: str
    type: str  # track | identify | page | screen | group | alias
    subject: str
    ts: int
    received_at: int
    event: str | None = None  # the name of a track, page or screen call
    anonymous: bool = False
    properties: str = "{}"
    context: str = "{}"
    surface: str | None = None
    decision_id: str | None = None
    item_id: str | None = None
    position: int | None = None
    purposes: tuple[str, ...] = ()


COLUMNS = (
    "message_id",
    "type",
    "event",
    "subject",
    "anonymous",
    "properties",
    "context",
    "surface",
    "decision_id",
    "item_id",
    "position",
    "purposes",
    "ts",
    "received_at",
)  # in the order of the stream's declaration

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The bytes of one event, without a newline."""
    return _encoder.encode(event)


def decode(data: bytes | memoryview) -> Event:
    """The event in `data`. Raises msgspec.DecodeError (also for a wrong type): in a ledger that is damage."""
    return _decoder.decode(data)


def decode_all(records: Sequence[bytes | memoryview]) -> list[Event]:
    """Events of many records, in order."""
    decode_one = _decoder.decode
    return [decode_one(record) for record in records]
