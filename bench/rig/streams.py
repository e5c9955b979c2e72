"""Input of `bench/sql.py`: JSON lines, the same bytes for everybody, and their RecordBatches for a node.

Clicks and stock: a shop of 200,000 visitors and 20,000 items by a Zipf law, 200 events a second of event time, 5 % of
them up to 30 s out of order. Nexmark: one person, three auctions and 46 bids in every 50 events, hot auctions, bidders
and sellers, prices by a power law, as in the generator of github.com/nexmark/nexmark; written anew, without its code.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from nextpaint.record.codec import Record, encode_batch

START_MS = 1_767_225_600_000  # 2026-01-01
BATCH_RECORDS = 500


def _time(ms: int) -> str:
    """A time as Flink's JSON format writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03d}"


def _zipf(chance: np.random.Generator, count: int, exponent: float, rows: int) -> list[int]:
    weights = np.cumsum(1 / np.arange(1, count + 1) ** exponent)
    drawn = np.searchsorted(weights / weights[-1], chance.random(rows))
    return chance.permutation(count)[drawn].tolist()


def clicks(rows: int) -> Iterator[str]:
    """Lines of the stream `clicks`."""
    chance = np.random.default_rng(7)
    times = START_MS + np.cumsum(chance.exponential(5.0, rows)).astype(np.int64)
    late = chance.random(rows) < 0.05
    times -= np.where(late, chance.integers(0, 29_000, rows), 0)
    category, price = chance.integers(0, 200, 20_000), np.round(chance.lognormal(3, 1, 20_000), 2)
    kinds = np.array(["view", "cart", "purchase"])[np.searchsorted([0.8, 0.95], chance.random(rows))].tolist()
    columns = zip(
        range(rows), times.tolist(), _zipf(chance, 200_000, 0.9, rows), _zipf(chance, 20_000, 0.9, rows), kinds,
        strict=True,
    )  # fmt: skip
    for number, ms, user, item, kind in columns:
        yield (
            f'{{"n":{number},"ts":"{_time(ms)}","user_id":"u{user:06d}","item_id":"i{item:05d}","event_type":"{kind}",'
            f'"category_id":"c{category[item]:03d}","price":{price[item]:.2f}}}'
        )


def stock(rows: int) -> Iterator[str]:
    """Lines of the table `stock` beside so many clicks: every item before the first click, then a tenth as many."""
    chance = np.random.default_rng(8)
    count = rows // 10
    times = np.sort(START_MS + (chance.random(count) * rows * 5.0).astype(np.int64)).tolist()
    items = [*range(20_000), *_zipf(chance, 20_000, 0.7, count)]
    moments = [*([START_MS - 100_000] * 20_000), *times]
    for item, ms, left in zip(items, moments, chance.integers(0, 50, len(items)).tolist(), strict=True):
        yield f'{{"item_id":"i{item:05d}","ts":"{_time(ms)}","stock":{left}}}'


CITIES = [
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
]
STATES = ["AZ", "CA", "ID", "OR", "WA", "WY"]
CHANNELS = ["Google", "Facebook", "Baidu", "Apple"]


class _Nexmark:
    """People, auctions and bids by event number: 50 events are an epoch."""

    def __init__(self) -> None:
        self.chance = random.Random(42)
        self.letters = "".join(self.chance.choices("abcdefghijklmnopqrstuvwxyz", k=100_000))

    def line(self, number: int) -> str:
        epoch, place = divmod(number, 50)
        ms = START_MS + number  # a thousand events a second
        if place == 0:
            kind, inside = 0, f'"person":{self._person(1000 + epoch, ms)},"auction":null,"bid":null'
        elif place < 4:
            kind, inside = (
                1,
                f'"person":null,"auction":{self._auction(1000 + 3 * epoch + place - 1, epoch, ms)},"bid":null',
            )
        else:
            kind, inside = 2, f'"person":null,"auction":null,"bid":{self._bid(epoch, ms)}'
        return f'{{"event_type":{kind},{inside},"dateTime":"{_time(ms)}"}}'

    def _recent(self, last: int, hot_step: int, hot_of: int, active: int) -> int:
        """An id up to `last`: mostly the newest multiple of `hot_step`, else one of the newest `active`."""
        if self.chance.randrange(hot_of) > 0:
            return 1000 + (last - 1000) // hot_step * hot_step
        return max(1000, last - self.chance.randrange(active))

    def _price(self) -> int:
        return round(10 ** (self.chance.random() * 6) * 100)

    def _extra(self, size: int) -> str:
        """Up to `size` letters: a piece of a long random text, which is much cheaper than drawing every letter."""
        start = int(self.chance.random() * (len(self.letters) - size))
        return self.letters[start : start + 1 + int(self.chance.random() * (size - 1))]

    def _person(self, number: int, ms: int) -> str:
        city, state = self.chance.choice(CITIES), self.chance.choice(STATES)
        return (
            f'{{"id":{number},"name":"person {number}","emailAddress":"p{number}@example.com",'
            f'"creditCard":"{self.chance.randrange(10**16):016d}","city":"{city}","state":"{state}",'
            f'"dateTime":"{_time(ms)}","extra":"{self._extra(60)}"}}'
        )

    def _auction(self, number: int, epoch: int, ms: int) -> str:
        price, expires = self._price(), ms + self.chance.randrange(1_000, 20_000)
        return (
            f'{{"id":{number},"itemName":"item {number}","description":"{self._extra(100)}","initialBid":{price},'
            f'"reserve":{price + self._price()},"dateTime":"{_time(ms)}","expires":"{_time(expires)}",'
            f'"seller":{self._recent(1000 + epoch, 100, 4, 1000)},"category":{self.chance.randrange(10, 15)},'
            f'"extra":"{self._extra(100)}"}}'
        )

    def _bid(self, epoch: int, ms: int) -> str:
        hot = self.chance.randrange(2) > 0
        channel = self.chance.choice(CHANNELS) if hot else f"channel-{self.chance.randrange(10_000)}"
        return (
            f'{{"auction":{self._recent(1002 + 3 * epoch, 100, 2, 100)},'
            f'"bidder":{self._recent(1000 + epoch, 100, 4, 1000)},"price":{self._price()},"channel":"{channel}","url":"https://www.nexmark.com/{channel}/item.htm?query=1",'
            f'"dateTime":"{_time(ms)}","extra":"{self._extra(100)}"}}'
        )


def nexmark(rows: int) -> Iterator[str]:
    """Lines of the stream `nexmark`."""
    made = _Nexmark()
    return (made.line(number) for number in range(rows))


STREAMS = {"clicks": clicks, "stock": stock, "nexmark": nexmark}


def written(directory: Path, name: str, rows: int) -> Path:
    """The lines of a stream as a file; beside it (`.batches`) the same as RecordBatches, end to end. Made once."""
    path = directory / f"{name}-{rows}.json"
    if path.exists():
        return path
    lines = iter(STREAMS[name](rows))
    parts = [Path(f"{path}.{kind}.{os.getpid()}") for kind in ("text", "batches")]
    with open(parts[0], "w") as text, open(parts[1], "wb") as batches:
        while part := list(islice(lines, BATCH_RECORDS)):
            text.writelines(f"{line}\n" for line in part)
            batches.write(encode_batch([Record(None, line.encode(), 0) for line in part], 0))
    parts[1].rename(path.with_suffix(".batches"))
    parts[0].rename(path)
    return path
