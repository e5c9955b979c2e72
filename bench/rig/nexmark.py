"""A deterministic Nexmark stream: people, auctions and bids of an auction site, as one table of events.

The shape is that of the Flink variant (Apache-2.0, github.com/nexmark/nexmark): 1 person, 3 auctions and 46 bids in
50 events, ids that rise, bids on auctions that are hot or recent, prices over eight decades, four well-known channels
and many others. The numbers are ours: everything is a function of the seed, and of the number of an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

FIRST_ID = 1000
FIRST_CATEGORY = 10
CATEGORIES = 5
FIRST_MS = 1_767_225_600_000  # 2026-01-01 00:00:00
PROPORTIONS = (1, 3, 46)  # people, auctions, bids
HOT = 100  # every so many auctions or people, one is hot
CHANNELS = ("Google", "Facebook", "Baidu", "Apple")
CITIES = (
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
)
STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
FIRST_NAMES = ("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter")
LAST_NAMES = ("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")

Event = dict[str, Any]


def time_text(ms: int) -> str:
    """Epoch ms as SQL text, `2026-01-01 00:00:00.000`."""
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}"


def events(count: int, seed: int = 0, *, apart_ms: float = 10.0, disorder_ms: int = 0) -> Iterator[Event]:
    """`count` events: `event_type` 0 person, 1 auction, 2 bid, and the row of that kind, the others NULL.

    Event n happens at n * `apart_ms`, up to `disorder_ms` earlier. Bids and auctions name people and
    auctions that exist.
    """
    chance = Random(seed)
    whole = sum(PROPORTIONS)
    people = auctions = 0
    for number in range(count):
        ms = FIRST_MS + round(number * apart_ms) - (chance.randint(0, disorder_ms) if disorder_ms else 0)
        ms = max(ms, FIRST_MS)
        place = number % whole
        if place < PROPORTIONS[0]:
            yield _event(0, person=_person(chance, FIRST_ID + people, ms))
            people += 1
        elif place < PROPORTIONS[0] + PROPORTIONS[1]:
            yield _event(1, auction=_auction(chance, FIRST_ID + auctions, people, ms))
            auctions += 1
        else:
            yield _event(2, bid=_bid(chance, people, auctions, ms))


def _event(kind: int, **row: Event) -> Event:
    return {"event_type": kind, "person": None, "auction": None, "bid": None} | row


def _extra(chance: Random, length: int) -> str:
    return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(length // 2, length)))


def _price(chance: Random) -> int:
    return round(10 ** (chance.random() * 6) * 100)


def _person(chance: Random, number: int, ms: int) -> Event:
    name = f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}"
    return {
        "id": number, "name": name, "emailAddress": f"{_extra(chance, 7)}@{_extra(chance, 5)}.com",
        "creditCard": " ".join(f"{chance.randint(0, 9999):04d}" for _ in range(4)), "city": chance.choice(CITIES),
        "state": chance.choice(STATES), "dateTime": time_text(ms), "extra": _extra(chance, 20),
    }  # fmt: skip


def _auction(chance: Random, number: int, people: int, ms: int) -> Event:
    initial = _price(chance)
    return {
        "id": number, "itemName": _extra(chance, 12), "description": _extra(chance, 30), "initialBid": initial,
        "reserve": initial + _price(chance), "dateTime": time_text(ms),
        "expires": time_text(ms + chance.randint(1_000, 30_000)), "seller": _one_of(chance, people),
        "category": FIRST_CATEGORY + chance.randint(0, CATEGORIES - 1), "extra": _extra(chance, 20),
    }  # fmt: skip


def _bid(chance: Random, people: int, auctions: int, ms: int) -> Event:
    if chance.random() < 0.5:
        channel = chance.choice(CHANNELS)
        url = f"https://www.nexmark.com/{_extra(chance, 6)}/item.htm?query=1"
    else:
        number = chance.randint(0, 9_999)
        channel = f"channel-{number}"
        url = f"https://www.nexmark.com/{_extra(chance, 6)}/{_extra(chance, 6)}/item.htm?query=1"
        url += f"&channel_id={number}" if chance.random() < 0.9 else ""
    return {
        "auction": _one_of(chance, auctions), "bidder": _one_of(chance, people), "price": _price(chance),
        "channel": channel, "url": url, "dateTime": time_text(ms), "extra": _extra(chance, 20),
    }  # fmt: skip


def _one_of(chance: Random, made: int) -> int:
    """An id that exists: half of the time the hot one of the last hundred, else one of the last hundred."""
    if chance.random() < 0.5:
        return FIRST_ID + (made - 1) // HOT * HOT
    return FIRST_ID + chance.randint(max(0, made - HOT), made - 1)
