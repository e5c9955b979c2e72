"""Guesses the shape of somebody's event file, and turns each line into a Segment call.

A file is NDJSON: one JSON object per line. A line with a Segment `type` ("track", "page", "identify"...) is a Segment
call and stays as it is but for a missing message id and timestamp name. Any other object is a flat event: one field
is the name of the event, one the person, one the time, one the item; all its fields become the properties of a track
call.

Which event means what is guessed from its name: "order", "purchase" and the like are orders, "cart" and "basket" are
carts, "view", "click" and the like are views, if most of them name an item. The rest is kept and means nothing yet.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextpaint.connect.delimited import Problems
from nextpaint.connect.orders import epoch_ms
from nextpaint.connect.replay import iso_time
from nextpaint.record.errors import InvalidInput

Json = dict[str, Any]

SEGMENT_TYPES = ("track", "page", "screen", "identify", "group", "alias")
SAMPLE_LINES = 2_000
_LINE_BYTES_MAX = 1_000_000
_EVENT_NAMES_MAX = 50
_EVENT_KEYS = ("event", "event_name", "eventName", "event_type", "eventType", "action", "type", "name")
_USER_KEYS = (
    "userId",
    "user_id",
    "customer_id",
    "customerId",
    "uid",
    "visitor_id",
    "visitorId",
    "client_id",
    "clientId",
)
_USER_KEYS_MORE = ("anonymousId", "anonymous_id", "device_id", "session_id", "sessionId", "user", "customer", "visitor")
_TIME_KEYS = ("timestamp", "ts", "time", "event_time", "eventTime", "created_at", "createdAt", "occurred_at", "date")
_SEGMENT_TIME_KEYS = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_ITEM_KEYS = ("product_id", "item_id", "productId", "itemId", "sku", "product", "item", "handle", "stock_code", "id")
_ORDER_KEYS = ("order_id", "orderId", "transaction_id", "invoice_no", "checkout_id")
_KINDS = (
    ("other", re.compile(r"remov|refund|cancel|abandon|wishlist|start|step")),
    ("order", re.compile(r"purchas|order|bought|buy|transaction|checkout|sale\b")),
    ("cart", re.compile(r"cart|basket|\badd")),
    ("view", re.compile(r"view|click|select|detail|open|visit|look|impression")),
)


@dataclass(frozen=True, slots=True)
class EventShape:
    """How to read the lines. `segment`: they are Segment calls, the item is in their properties. `kinds`: event name to
    "view", "cart" or "order", in order of frequency. `known_items`: share of the sample's item ids that are in the
    catalogue."""

    segment: bool
    event_key: str
    user_key: str
    time_key: str
    item_key: str
    kinds: Mapping[str, str]
    known_items: float

    def names(self, kind: str) -> tuple[str, ...]:
        return tuple(name for name, each in self.kinds.items() if each == kind)

    def __str__(self) -> str:
        form = "Segment calls" if self.segment else f"flat events ({self.event_key}, {self.user_key}, {self.time_key})"
        kinds = "; ".join(f"{kind}: {', '.join(self.names(kind)) or 'none'}" for kind in ("view", "cart", "order"))
        return (
            f"events    = {form}, item in {self.item_key!r} ({self.known_items:.0%} of them in the catalogue); {kinds}"
        )


def read_lines(path: Path, problems: Problems | None = None) -> Iterator[tuple[int, Json]]:
    """(line number, object) of every line that is one; empty lines are passed over, others reported."""
    if not path.is_file():
        raise InvalidInput("no such file", where=str(path), cure="give the path of an NDJSON file, one event per line")
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(_LINE_BYTES_MAX):
            number += 1
            if len(line) == _LINE_BYTES_MAX and not line.endswith(b"\n"):
                while (rest := stream.readline(_LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
                line = b"..."  # no object, so it is reported below
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not text.strip():
                continue
            if problems is not None:
                problems.rows += 1
            value = _object(text)
            if value is not None:
                yield number, value
            elif problems is not None:
                problems.add(
                    f"row {number}",
                    "this is no JSON object",
                    "write one object per line, below 1 MB, and no list around them",
                )


def _object(text: bytes) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def guess_events(path: Path, items: set[str]) -> EventShape:
    """The shape of a file, from its first 2,000 lines. `items`: the ids of the catalogue, the best evidence for the
    item's field.

    Raises InvalidInput where no line is an object, or no field is an event name, a person or a time.
    """
    problems = Problems(path)
    sample = [line for (_, line), _ in zip(read_lines(path, problems), range(SAMPLE_LINES), strict=False)]
    if not sample:
        problems.raise_if_many()
        raise InvalidInput("the file has no events", where=str(path), cure="it needs one JSON object per line")
    segment = 2 * sum(_is_segment(line) for line in sample) > len(sample)
    if segment:
        event_key, user_key, time_key = "event", "userId", "timestamp"
        facts = [_dict(line.get("properties")) for line in sample if line.get("type") == "track"]
    else:
        event_key = _field(path, sample, "an event name", _EVENT_KEYS, lambda value: isinstance(value, str))
        user_key = _field(path, sample, "a person", _USER_KEYS + _USER_KEYS_MORE, _is_identifier)
        time_key = _field(path, sample, "a time", _TIME_KEYS, lambda value: epoch_ms(value) is not None)
        facts = sample
    taken = () if segment else (event_key, user_key, time_key)
    item_key, known = _item_key(facts, items, taken)
    named = [line for line in sample if not segment or line.get("type") == "track"]
    return EventShape(
        segment, event_key, user_key, time_key, item_key, _kinds(named, event_key, item_key, segment), known
    )


def _is_segment(line: Json) -> bool:
    return line.get("type") in SEGMENT_TYPES and ("event" in line or line["type"] != "track")


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _is_identifier(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and str(value) != ""


def _field(path: Path, sample: Sequence[Json], what: str, keys: Sequence[str], fits: Any) -> str:
    """The first of `keys` that most lines have, with a value that fits."""
    for key in keys:
        if 2 * sum(fits(line.get(key)) for line in sample) > len(sample):
            return key
    found = ", ".join(dict.fromkeys(str(key) for line in sample[:20] for key in line))
    raise InvalidInput(f"no field looks like {what}", where=f"{path}, fields: {found}", cure=f"name it {keys[0]!r}")


def _item_key(facts: Sequence[Json], items: set[str], taken: Sequence[str]) -> tuple[str, float]:
    """The field whose values are ids of the catalogue most often; among equals, the one with the better name."""
    hits: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for line in facts:
        for key, value in line.items():
            if key not in taken and _is_identifier(value):
                filled[key] += 1
                hits[key] += str(value) in items
    ranked = sorted(
        filled, key=lambda key: (-hits[key], _ITEM_KEYS.index(key) if key in _ITEM_KEYS else len(_ITEM_KEYS))
    )
    if ranked and (hits[ranked[0]] or ranked[0] in _ITEM_KEYS):
        return ranked[0], hits[ranked[0]] / filled[ranked[0]]
    return "product_id", 0.0


def _kinds(sample: Sequence[Json], event_key: str, item_key: str, segment: bool) -> dict[str, str]:
    counts: Counter[str] = Counter()
    with_item: Counter[str] = Counter()
    for line in sample:
        name = line.get(event_key)
        if isinstance(name, str) and name.isprintable() and len(name) <= 100:
            counts[name] += 1
            facts = _dict(line.get("properties")) if segment else line
            with_item[name] += _is_identifier(facts.get(item_key)) or isinstance(facts.get("products"), list)
    kinds = {}
    for name, count in counts.most_common(_EVENT_NAMES_MAX):
        kind = next((each for each, words in _KINDS if words.search(name.lower().replace("_", " "))), "other")
        if kind != "other" and 2 * with_item[name] > count:
            kinds[name] = kind
    return kinds


def as_call(line: Json, number: int, shape: EventShape) -> Json | None:
    """The Segment call of one line, or None where the person, the time or the event's name is missing."""
    if shape.segment:
        return _own_call(line, number)
    time_ms, user, name = epoch_ms(line.get(shape.time_key)), line.get(shape.user_key), line.get(shape.event_key)
    if time_ms is None or not _is_identifier(user) or not isinstance(name, str):
        return None
    properties = {
        key: value for key, value in line.items() if key not in (shape.time_key, shape.user_key, shape.event_key)
    }
    return {
        "type": "track",
        "event": name,
        ("userId" if shape.user_key in _USER_KEYS or shape.user_key in ("user", "customer") else "anonymousId"): str(
            user
        ),
        "messageId": f"file-{number}",
        "timestamp": iso_time(time_ms),
        "properties": properties,
    }


def _own_call(line: Json, number: int) -> Json | None:
    times = (epoch_ms(line.get(key)) for key in _SEGMENT_TIME_KEYS)
    time_ms = next((each for each in times if each is not None), None)
    person = line.get("userId") or line.get("anonymousId")
    if time_ms is None or not _is_identifier(person) or line.get("type") not in SEGMENT_TYPES:
        return None
    return {**line, "messageId": str(line.get("messageId") or f"file-{number}"), "timestamp": iso_time(time_ms)}


def order_lines(call: Json, shape: EventShape) -> list[tuple[str, str, str, str, int, float]]:
    """The rows (order_id, ts, customer_id, item_id, qty, price) of a call that is an order; none for any other."""
    if shape.kinds.get(str(call.get("event"))) != "order":
        return []
    properties = _dict(call.get("properties"))
    order_id = next(
        (str(properties[key]) for key in _ORDER_KEYS if _is_identifier(properties.get(key))), call["messageId"]
    )
    person = str(call.get("userId") or call.get("anonymousId"))
    products = properties.get("products")
    parts = [_dict(each) for each in products] if isinstance(products, list) else [properties]
    rows = []
    for part in parts:
        keys = (shape.item_key, *_ITEM_KEYS)
        item_id = next((str(part[key]) for key in keys if _is_identifier(part.get(key))), "")
        if item_id:
            qty, price = _number(part.get("quantity", part.get("qty")), 1.0), _number(part.get("price"), 0.0)
            rows.append((order_id, call["timestamp"], person, item_id, int(qty), price))
    return rows


def _number(value: object, default: float) -> float:
    """Numbers come as JSON numbers or as text; anything else is the default."""
    try:
        number = float(value) if isinstance(value, int | float | str) else default
    except (ValueError, OverflowError):
        return default
    return number if abs(number) < 1e12 else default
