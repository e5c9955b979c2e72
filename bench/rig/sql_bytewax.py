"""The queries in bytewax 0.21: one worker, lines from a file, results thrown away. Run by `bench/sql.py`.

Windows and state are bytewax's own; where it has no operator (OVER, joins that keep unmatched rows, top N) the state
of a key is a class or function of Python, as its guide says. Its watermark is of a key, not of a stream, so a window
closes when its key moves on, or at the end.
"""

from __future__ import annotations

import heapq
import sys
from bisect import bisect_left, insort
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig.peer import NEVER, Inputs, Result, main, milliseconds, moment

TEN_SECONDS = timedelta(seconds=10)
CENT = Decimal("0.908")
ALIGNED = datetime(2026, 1, 1, tzinfo=UTC)
CANNOT = {
    "Q4": "no join as of a time: a key sees the time of its own events only, so it cannot know that a version is the"
    " last before a click"
}


class _Part(StatelessSinkPartition):
    def __init__(self, take) -> None:
        self.take = take

    def write_batch(self, items) -> None:
        for item in items:
            self.take(item)


class _Sink(DynamicSink):
    def __init__(self, take) -> None:
        self.take = take

    def build(self, step_id, worker_index, worker_count):
        return _Part(self.take)


def _flow(inputs: Inputs, name: str, keep):
    """A flow, and the stream of what `keep` makes of every line (None: nothing)."""
    flow = Dataflow("sql")
    lines = op.input("read", flow, FileSource(inputs.path(name), batch_size=1000))
    loads = orjson.loads

    def decode(batch):
        return [row for row in (keep(loads(line)) for line in batch) if row is not None]

    return flow, op.flat_map_batch("decode", lines, decode)


def _run(flow, stream, take) -> None:
    op.output("write", stream, _Sink(take))
    run_main(flow)


def _view(row):
    return row if row["event_type"] == "view" else None


def _bid(row):
    return row["bid"] if row["event_type"] == 2 else None


# ------------------------------------------------------------ rows


def _rows(stream_name, keep):
    def program(inputs: Inputs, result: Result) -> None:
        flow, rows = _flow(inputs, stream_name, keep)
        _run(flow, rows, result.add)

    return program


def _q1_clicks(row):
    if row["event_type"] != "view":
        return None
    return row["user_id"], row["price"] * 0.9 + row["n"] % 1000


def _q0(row):
    if row["event_type"] != 2:
        return None
    bid = row["bid"]
    return bid["auction"], bid["bidder"], bid["price"], moment(row["dateTime"]), bid["extra"]


def _q1(row):
    if row["event_type"] != 2:
        return None
    bid = row["bid"]
    return bid["auction"], bid["bidder"], CENT * bid["price"], moment(row["dateTime"]), bid["extra"]


def _q2(row):
    bid = row["bid"]
    if row["event_type"] != 2 or bid["auction"] % 123:
        return None
    return bid["auction"], bid["price"]


# ------------------------------------------------------------ OVER


class _Over(StatefulBatchLogic):
    """The count of the last five minutes of a key; a row waits until its key is 30 s further, or the end."""

    def __init__(self, resume) -> None:
        self.waiting, self.frame = resume or ([], deque())

    def _fire(self, until):
        fired = []
        while self.waiting and self.waiting[0][0] <= until:
            at = self.waiting[0][0]
            peers = []
            while self.waiting and self.waiting[0][0] == at:
                peers.append(heapq.heappop(self.waiting)[1])
            self.frame.extend([at] * len(peers))
            while self.frame[0] < at - 300_000:
                self.frame.popleft()
            fired += [(*key, len(self.frame)) for key in peers]
        return fired

    def on_batch(self, values):
        for value in values:
            heapq.heappush(self.waiting, value)
        return self._fire(max(at for at, _ in values) - 30_000), StatefulBatchLogic.RETAIN

    def on_eof(self):
        return self._fire(1 << 62), StatefulBatchLogic.RETAIN

    def snapshot(self):
        return list(self.waiting), deque(self.frame)


def q2_over(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] != "view":
            return None
        user, category = row["user_id"], row["category_id"]
        return f"{user} {category}", (milliseconds(row["ts"]), (user, category))

    flow, rows = _flow(inputs, "clicks", keyed)
    counts = op.stateful_batch("over", rows, _Over)
    _run(flow, counts, lambda item: result.add(item[1]))


# ------------------------------------------------------------ windows


def _clock(at, seconds):
    return win.EventClock(at, timedelta(seconds=seconds), now_getter=lambda: NEVER, to_system_utc=lambda _: None)


def q3_session(inputs: Inputs, result: Result) -> None:
    flow, rows = _flow(inputs, "clicks", lambda row: (row["user_id"], (moment(row["ts"]), row["price"])))
    gap = timedelta(minutes=30)
    found = win.fold_window(
        "session", rows, _clock(lambda each: each[0], 30), win.SessionWindower(gap), lambda: None,
        lambda at, each: (each[0], each[0], 1, each[1]) if at is None else (
            min(at[0], each[0]), max(at[1], each[0]), at[2] + 1, at[3] + each[1]
        ),
        lambda a, b: (min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2], a[3] + b[3]),
    )  # fmt: skip

    def take(item):
        user, (_, (first, last, count, total)) = item
        result.add((user, first, last + gap, count, total))

    _run(flow, found.down, take)


def q5_hop(inputs: Inputs, result: Result) -> None:
    flow, rows = _flow(inputs, "clicks", lambda row: (row["category_id"], moment(row["ts"])))
    length, offset = timedelta(minutes=5), timedelta(minutes=1)
    windower = win.SlidingWindower(length, offset, ALIGNED)
    found = win.fold_window(
        "hop", rows, _clock(lambda at: at, 30), windower, lambda: 0, lambda n, _: n + 1, lambda a, b: a + b
    )

    def take(item):
        category, (number, count) = item
        result.add((ALIGNED + offset * number + length, category, count))

    _run(flow, found.down, take)


def q5(inputs: Inputs, result: Result) -> None:
    """All auctions are one key: only then is it known that a window has all of its counts."""

    def keyed(row):
        return ("all", (moment(row["dateTime"]), row["bid"]["auction"])) if row["event_type"] == 2 else None

    def counted(counts, each):
        counts[each[1]] = counts.get(each[1], 0) + 1
        return counts

    flow, rows = _flow(inputs, "nexmark", keyed)
    windower = win.SlidingWindower(TEN_SECONDS, timedelta(seconds=2), ALIGNED)
    found = win.fold_window("hot", rows, _clock(lambda each: each[0], 4), windower, dict, counted, lambda a, b: a)

    def take(item):
        counts = item[1][1]
        most = max(counts.values())
        result.extend((auction, count) for auction, count in counts.items() if count == most)

    _run(flow, found.down, take)


def q7(inputs: Inputs, result: Result) -> None:
    """One key, the bids of the highest price as the state of a window."""

    def keyed(row):
        return ("all", (moment(row["dateTime"]), row["bid"])) if row["event_type"] == 2 else None

    def highest(best, each):
        if not best or each[1]["price"] > best[0][1]["price"]:
            return [each]
        if each[1]["price"] == best[0][1]["price"]:
            best.append(each)
        return best

    flow, rows = _flow(inputs, "nexmark", keyed)
    windower = win.TumblingWindower(TEN_SECONDS, ALIGNED)
    found = win.fold_window("most", rows, _clock(lambda each: each[0], 4), windower, list, highest, lambda a, b: a)

    def take(item):
        for at, bid in item[1][1]:
            result.add((bid["auction"], bid["bidder"], bid["price"], at, bid["extra"]))

    _run(flow, found.down, take)


def q8(inputs: Inputs, result: Result) -> None:
    """People and auctions by the same key, so that one window sees both."""

    def keyed(row):
        if row["event_type"] == 0:
            return str(row["person"]["id"]), (moment(row["dateTime"]), row["person"]["name"])
        if row["event_type"] == 1:
            return str(row["auction"]["seller"]), (moment(row["dateTime"]), None)
        return None

    def both(state, each):
        return (each[1], state[1]) if each[1] is not None else (state[0], True)

    flow, rows = _flow(inputs, "nexmark", keyed)
    windower = win.TumblingWindower(TEN_SECONDS, ALIGNED)
    found = win.fold_window(
        "new", rows, _clock(lambda each: each[0], 4), windower, lambda: (None, False), both, lambda a, b: a
    )

    def take(item):
        key, (number, (name, sold)) = item
        if name is not None and sold:
            result.add((int(key), name, ALIGNED + TEN_SECONDS * number))

    _run(flow, found.down, take)


def q11(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        return (str(row["bid"]["bidder"]), moment(row["dateTime"])) if row["event_type"] == 2 else None

    flow, rows = _flow(inputs, "nexmark", keyed)
    found = win.fold_window(
        "session", rows, _clock(lambda at: at, 4), win.SessionWindower(TEN_SECONDS), lambda: None,
        lambda at, each: (each, each, 1) if at is None else (min(at[0], each), max(at[1], each), at[2] + 1),
        lambda a, b: (min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2]),
    )  # fmt: skip

    def take(item):
        bidder, (_, (first, last, count)) = item
        result.add((int(bidder), count, first, last + TEN_SECONDS))

    _run(flow, found.down, take)


# ------------------------------------------------------------ state of a key


def _joined(inputs: Inputs, keyed, joined, take) -> None:
    """Two kinds of rows of one key: the one on the left is one at most, those on the right wait for it."""
    flow, rows = _flow(inputs, "nexmark", keyed)

    def mapper(state, each):
        left, waiting = state or (None, [])
        side, row = each
        if side == 0:
            return (row, []), [joined(row, other) for other in waiting]
        if left is None:
            waiting.append(row)
            return (None, waiting), []
        return (left, waiting), [joined(left, row)]

    _run(flow, op.stateful_flat_map("join", rows, mapper), take)


def q3(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] == 0 and row["person"]["state"] in ("OR", "ID", "CA"):
            person = row["person"]
            return str(person["id"]), (0, (person["name"], person["city"], person["state"]))
        if row["event_type"] == 1 and row["auction"]["category"] == 10:
            return str(row["auction"]["seller"]), (1, row["auction"]["id"])
        return None

    _joined(inputs, keyed, lambda person, auction: (*person, auction), lambda item: result.add(item[1]))


def q20(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] == 1 and row["auction"]["category"] == 10:
            auction = row["auction"]
            return str(auction["id"]), (0, (auction["itemName"], auction["category"]))
        if row["event_type"] == 2:
            bid = row["bid"]
            return str(bid["auction"]), (1, (bid["auction"], bid["bidder"], bid["price"]))
        return None

    _joined(inputs, keyed, lambda auction, bid: (*bid, *auction), lambda item: result.add(item[1]))


def q4(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] == 1:
            auction = row["auction"]
            return str(auction["id"]), (0, (row["dateTime"], auction["expires"], auction["category"]))
        if row["event_type"] == 2:
            return str(row["bid"]["auction"]), (1, (row["dateTime"], row["bid"]["price"]))
        return None

    def finals(state, each):
        """(category, highest price before, highest price now) whenever it rises."""
        auction, waiting, most = state or (None, [], None)
        side, row = each
        if side == 0:
            auction, bids, waiting = row, waiting, []
        elif auction is None:
            waiting.append(row)
            bids = []
        else:
            bids = [row]
        prices = [price for at, price in bids if auction[0] <= at <= auction[1]]
        if not prices or (most is not None and max(prices) <= most):
            return (auction, waiting, most), []
        risen = max(prices)
        return (auction, waiting, risen), [(auction[2], most, risen)]

    def average(state, each):
        total, count = state or (0, 0)
        before, now = each
        total, count = (total + now, count + 1) if before is None else (total + now - before, count)
        return (total, count), total // count

    flow, rows = _flow(inputs, "nexmark", keyed)
    risen = op.stateful_flat_map("final", rows, finals)
    by_category = op.map("category", risen, lambda item: (str(item[1][0]), item[1][1:]))
    averages = op.stateful_map("average", by_category, average)
    _run(flow, averages, lambda item: result.put(item[0], (int(item[0]), item[1])))


def q15(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] != 2:
            return None
        bid = row["bid"]
        return row["dateTime"][:10], (bid["price"], bid["bidder"], bid["auction"])

    def counted(state, each):
        counts, bidders, auctions = state or ([0, 0, 0, 0], set(), set())
        price, bidder, auction = each
        counts[0] += 1
        counts[1 if price < 10_000 else 2 if price < 1_000_000 else 3] += 1
        bidders.add(bidder)
        auctions.add(auction)
        return (counts, bidders, auctions), (*counts, len(bidders), len(auctions))

    flow, rows = _flow(inputs, "nexmark", keyed)
    _run(flow, op.stateful_map("day", rows, counted), lambda item: result.put(item[0], (item[0], *item[1])))


def q17(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] != 2:
            return None
        bid = row["bid"]
        return f"{bid['auction']} {row['dateTime'][:10]}", bid["price"]

    def counted(state, price):
        total, cheap, least, most, whole = state or (0, 0, price, price, 0)
        state = (total + 1, cheap + (price < 10_000), min(least, price), max(most, price), whole + price)
        return state, state

    def take(item):
        auction, day = item[0].split()
        total, cheap, least, most, whole = item[1]
        result.put(item[0], (int(auction), day, total, cheap, least, most, whole // total, whole))

    flow, rows = _flow(inputs, "nexmark", keyed)
    _run(flow, op.stateful_map("auction", rows, counted), take)


def q18(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] != 2:
            return None
        bid = row["bid"]
        return f"{bid['bidder']} {bid['auction']}", (
            milliseconds(row["dateTime"]), (bid["auction"], bid["bidder"], bid["price"], bid["extra"])
        )  # fmt: skip

    def last(state, each):
        return (each, [each]) if state is None or each[0] >= state[0] else (state, [])

    def take(item):
        at, (auction, bidder, price, extra) = item[1]
        result.put(item[0], (auction, bidder, price, at, extra))

    flow, rows = _flow(inputs, "nexmark", keyed)
    _run(flow, op.stateful_flat_map("last", rows, last), take)


def q19(inputs: Inputs, result: Result) -> None:
    def keyed(row):
        if row["event_type"] != 2:
            return None
        bid = row["bid"]
        at = milliseconds(row["dateTime"])
        return str(bid["auction"]), (-bid["price"], at, (bid["auction"], bid["bidder"], bid["price"], at, bid["extra"]))

    def ranked(best, each):
        """The rows from the changed place on."""
        best = best or []
        place = bisect_left(best, each)
        if place >= 10:
            return best, []
        insort(best, each)
        del best[10:]
        return best, [(place + 1 + number, row) for number, (_, _, row) in enumerate(best[place:])]

    def take(item):
        place, row = item[1]
        result.put((item[0], place), (*row, place))

    flow, rows = _flow(inputs, "nexmark", keyed)
    _run(flow, op.stateful_flat_map("top", rows, ranked), take)


PROGRAMS: dict[str, Any] = {
    "Q1": _rows("clicks", _q1_clicks), "Q2": q2_over, "Q3": q3_session, "Q5": q5_hop,
    "q0": _rows("nexmark", _q0), "q1": _rows("nexmark", _q1), "q2": _rows("nexmark", _q2), "q3": q3, "q4": q4, "q5": q5,
    "q7": q7, "q8": q8, "q11": q11, "q15": q15, "q17": q17, "q18": q18, "q19": q19, "q20": q20,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(PROGRAMS, CANNOT))
