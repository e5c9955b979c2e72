"""Replays old orders and events as if they happened now.

What happened first is due at `start_ms`; every later row keeps its gap to the one before, divided by `speed`. So rows
of 2010 and a visitor's clicks of today meet in one event time. The original time stays beside the new one.

Nothing here reads a clock or sleeps: the caller passes the start, and gets each row with the time at which it is due.
The same file, speed and start give the same rows. Times never go back: a row older than the one before it in the file
is due together with it.

Who bought goes out in the field `user_id` ("customer-12345"). The tables of an application have no such column: the
door puts a random token in its place, which arrives in the column `subject`. Times are epoch milliseconds, UTC.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from nextpaint.connect.orders import OrderLine, epoch_ms, read_orders
from nextpaint.record.errors import InvalidInput

Row = dict[str, Any]

# Between the end of a file and its second round: as long as a quiet minute of the original.
_ROUND_GAP_MS = 60_000


class Timeline:
    """Original times in, due times out, one after the other. Every due time is computed from the start and not from
    the one before, so rounding does not add up."""

    def __init__(self, start_ms: int, speed: float, gap_max_ms: int | None = None) -> None:
        if not (isfinite(speed) and speed > 0):
            cure = "1 is real time, 60 plays an hour in a minute"
            raise InvalidInput(f"the speed of a replay is a number above 0, not {speed}", cure=cure)
        self._start_ms, self._speed, self._gap_max_ms = start_ms, speed, gap_max_ms
        self._elapsed_ms = 0
        self._latest_ms: int | None = None

    def due(self, time_ms: int) -> int:
        if self._latest_ms is None:
            self._latest_ms = time_ms
        elif time_ms > self._latest_ms:
            gap_ms = time_ms - self._latest_ms
            self._elapsed_ms += gap_ms if self._gap_max_ms is None else min(gap_ms, self._gap_max_ms)
            self._latest_ms = time_ms
        return self._start_ms + int(self._elapsed_ms / self._speed)


def retime(times_ms: Iterable[int], start_ms: int, speed: float, gap_max_ms: int | None = None) -> Iterator[int]:
    """When each of `times_ms` is due: the first at `start_ms`, then the original gaps divided by `speed`. `gap_max_ms`
    shortens original gaps (closed nights and holidays) to at most that."""
    timeline = Timeline(start_ms, speed, gap_max_ms)
    return (timeline.due(time_ms) for time_ms in times_ms)


@dataclass(frozen=True)
class Replay:
    """The orders of a file with their due times: iterate for `(due_ms, rows of one order)`.

    `begin_ms`: lines before that original time are left out. `loop`: start again at the end of the file, for ever, with
    new order ids ("536365" is "536365~2" in the second round). `user_prefix` makes a user id of a customer number.
    `dropped` counts the lines left out, by reason (see `connect.orders`); it is filled while the first round is read.
    """

    path: Path
    speed: float
    start_ms: int
    gap_max_ms: int | None = None
    begin_ms: int | None = None
    loop: bool = False
    user_prefix: str = "customer-"
    dropped: Counter[str] = field(default_factory=Counter, compare=False)

    def __iter__(self) -> Iterator[tuple[int, list[Row]]]:
        due_ms = self.start_ms
        counts, suffix, round_number = self.dropped, "", 1
        while True:
            empty = True
            timeline = Timeline(due_ms, self.speed, self.gap_max_ms)
            for order in whole_orders(self._lines(counts)):
                empty, due_ms = False, timeline.due(order[0].time_ms)
                yield due_ms, [order_row(line, due_ms, suffix, self.user_prefix) for line in order]
            if empty or not self.loop:
                return
            due_ms += int(_ROUND_GAP_MS / self.speed)
            round_number += 1
            counts, suffix = Counter(), f"~{round_number}"

    def _lines(self, counts: Counter[str]) -> Iterator[OrderLine]:
        for line in read_orders(self.path, counts):
            if self.begin_ms is None or line.time_ms >= self.begin_ms:
                yield line


def whole_orders(lines: Iterable[OrderLine]) -> Iterator[list[OrderLine]]:
    """Neighbouring lines of one order id, together. An order whose lines lie apart in the file comes in several
    parts."""
    order: list[OrderLine] = []
    for line in lines:
        if order and line.order_id != order[0].order_id:
            yield order
            order = []
        order.append(line)
    if order:
        yield order


def order_row(line: OrderLine, due_ms: int, suffix: str = "", user_prefix: str = "customer-") -> Row:
    """A row for the table `orders`; see the module about `user_id`. `suffix` goes behind the order id, `user_prefix`
    before the customer."""
    return {
        "order_id": line.order_id + suffix,
        "user_id": f"{user_prefix}{line.customer_id}" if line.customer_id else None,
        "item_id": line.item_id,
        "qty": line.qty,
        "price": line.price,
        "original_ts": line.time_ms,
        "ts": due_ms,
    }


@dataclass(frozen=True)
class EventReplay:
    """Segment calls of an NDJSON file with their due times: iterate for `(due_ms, call)`.

    The call is that of the file with a new `timestamp`; the old one is `context.original_timestamp`. `sentAt` and
    `originalTimestamp` go: the door would read a skewed clock out of them. A line that is not an object, or has no
    readable `timestamp`, is left out and counted in `dropped`.
    """

    path: Path
    speed: float
    start_ms: int
    gap_max_ms: int | None = None
    dropped: Counter[str] = field(default_factory=Counter, compare=False)

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        timeline = Timeline(self.start_ms, self.speed, self.gap_max_ms)
        if not self.path.is_file():
            raise InvalidInput("no such event file", where=str(self.path), cure="give the path of an .ndjson file")
        with self.path.open("rb") as stream:
            for line in stream:
                call = _parsed(line)
                time_ms = None if call is None else epoch_ms(call.get("timestamp"))
                if call is None or time_ms is None:
                    self.dropped["unreadable line"] += 1
                    continue
                due_ms = timeline.due(time_ms)
                yield due_ms, _retimed(call, due_ms)


def _parsed(line: bytes) -> Row | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # a bad encoding is a ValueError as well
        return None
    return value if isinstance(value, dict) else None


def _retimed(call: Row, due_ms: int) -> Row:
    kept = {name: value for name, value in call.items() if name not in ("sentAt", "originalTimestamp", "timestamp")}
    context = kept.get("context")
    before = context if isinstance(context, dict) else {}
    return {
        **kept,
        "timestamp": iso_time(due_ms),
        "context": {**before, "original_timestamp": call["timestamp"]},
    }


def iso_time(time_ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
