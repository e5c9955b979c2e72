"""The queries in Quix Streams 3.28 without its broker: its dataframes, windows and RocksDB state, fed from a file in
this process. Run by `bench/sql.py`.

Topics have one partition, so that `group_by` needs no topic between; state is flushed every ten thousand messages,
where an application would commit, and there is no changelog. Windows close by the time of the partition; one message
two hours later closes them at the end. OVER and top N are functions over the state of a key, as joins within one topic
are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from bisect import bisect_left, insort
from contextvars import copy_context
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from quixstreams.context import set_message_context
from quixstreams.dataframe import DataFrameRegistry, StreamingDataFrame
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models import MessageContext, Topic, TopicConfig
from quixstreams.models.topics import TopicManager
from quixstreams.processing import ProcessingContext
from quixstreams.sinks import SinkManager
from quixstreams.state import StateStoreManager

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig.peer import Inputs, Result, main, milliseconds

FLUSHED = 10_000  # messages between two flushes of state
END_AFTER_MS = 7_200_000
CENT = Decimal("0.908")
CANNOT: dict[str, str] = {}


class Runner:
    """Dataframes by topic, and messages fed to them as `Application` would. `close()` removes the state."""

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="quixstreams-")
        self.registry = DataFrameRegistry()
        self.state = StateStoreManager(group_id="bench", state_dir=self.directory)
        self.context = ProcessingContext(
            commit_interval=5.0, producer=None, consumer=None, state_manager=self.state, sink_manager=SinkManager(),
            dataframe_registry=self.registry,
        )  # fmt: skip
        self.topics = TopicManager(topic_admin=None, consumer_group="bench")
        self.fed = 0

    def dataframe(self, name: str) -> StreamingDataFrame:
        config = TopicConfig(1, 1, {"retention.ms": "-1", "retention.bytes": "-1"})
        topic = Topic(name, create_config=config)
        topic.broker_config = config
        frame = StreamingDataFrame(
            topic, topic_manager=self.topics, registry=self.registry, processing_context=self.context
        )
        self.registry.register_root(frame)
        return frame

    def start(self) -> None:
        self.composed = self.registry.compose_all()
        self.state.init()
        self.context.init_checkpoint()
        for stream in {each for name in self.composed for each in self.registry.get_stream_ids(name)}:
            self.state.on_partition_assign(stream, 0, {})

    def feed(self, topic: str, value: Any, key: Any, at: int) -> None:
        context = copy_context()
        context.run(set_message_context, MessageContext(topic=topic, partition=0, offset=self.fed, size=0))
        context.run(self.composed[topic], value, key, at, None)
        self.fed += 1
        if self.fed % FLUSHED == 0:
            self.flush()

    def flush(self) -> None:
        for transaction in self.context.checkpoint._store_transactions.values():  # noqa: SLF001
            transaction.prepare(processed_offsets=None)
            transaction.flush()
        self.context.init_checkpoint()

    def close(self) -> None:
        self.flush()
        self.state.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _lines(inputs: Inputs, name: str):
    time_field = "dateTime" if name == "nexmark" else "ts"
    with open(inputs.path(name), "rb") as file:
        for line in file:
            value = orjson.loads(line)
            yield milliseconds(value[time_field]), name, value


def _run(inputs: Inputs, name: str, keyed, build, *, closing: bool = False) -> None:
    """Feed one topic: `keyed(value)` is the key that its producer gave, `build` adds the steps."""
    runner = Runner()
    build(runner.dataframe(name))
    runner.start()
    for at, _, value in _lines(inputs, name):
        runner.feed(name, value, keyed(value), at)
    if closing:
        runner.feed(name, {"event_type": 2 if name == "nexmark" else "end", "end": True}, b"end", at + END_AFTER_MS)
    runner.close()


def _text(field: str):
    return lambda value: value[field].encode()


def _nothing(value: Any) -> bytes:
    return b""


def _closed(frame, take) -> None:
    """The final rows of windows, without the one of the closing message."""

    def each(value, key, at, headers):
        if key != b"end":
            take(value, key)

    frame.final(closing_strategy="partition").update(each, metadata=True)


# ------------------------------------------------------------ clicks


def q1_clicks(inputs: Inputs, result: Result) -> None:
    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] == "view")
        frame.apply(lambda row: (row["user_id"], row["price"] * 0.9 + row["n"] % 1000)).update(result.add)

    _run(inputs, "clicks", _text("user_id"), build)


def q2_over(inputs: Inputs, result: Result) -> None:
    """A row that comes late changes the counts of rows after it: they are given out again."""

    def counted(row, key, at, headers, state):
        seen = state.get("seen", [])
        insort(seen, [at, row["n"]])
        first = bisect_left(seen, [at - 300_000])
        changed = []
        for place in range(bisect_left(seen, [at]), len(seen)):
            when, number = seen[place]
            if when > at + 300_000:
                break
            last = bisect_left(seen, [when + 1])
            start = bisect_left(seen, [when - 300_000])
            changed.append((number, row["user_id"], row["category_id"], last - start))
        state.set("seen", seen[first if at == seen[-1][0] else 0 :])
        return changed

    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] == "view")
        frame = frame.apply(counted, stateful=True, expand=True, metadata=True)
        frame.update(lambda row: result.put(row[0], row[1:]))

    _run(inputs, "clicks", lambda row: f"{row['user_id']} {row['category_id']}".encode(), build)


def q3_session(inputs: Inputs, result: Result) -> None:
    gap = 1_800_000

    def build(frame):
        window = frame.session_window(inactivity_gap_ms=gap, grace_ms=30_000).agg(n=Count(), v=Sum("price"))
        _closed(
            window,
            lambda row, key: result.add((key.decode(), row["start"], row["end"] - 1 + gap, row["n"], row["v"])),
        )

    _run(inputs, "clicks", lambda row: b"end" if "end" in row else row["user_id"].encode(), build, closing=True)


def q4_temporal(inputs: Inputs, result: Result) -> None:
    runner = Runner()
    clicks, stock = runner.dataframe("clicks"), runner.dataframe("stock")
    views = clicks.filter(lambda row: row["event_type"] == "view")
    joined = views.join_asof(
        stock, how="left", grace_ms=3_600_000,
        on_merge=lambda click, item: (click["user_id"], click["item_id"], item["stock"] if item else None),
    )  # fmt: skip
    joined.update(result.add)
    runner.start()
    sides = [_lines(inputs, "clicks"), _lines(inputs, "stock")]
    heads = [next(side, None) for side in sides]
    while any(heads):  # as the consumer aligns two topics: the smaller time of both heads, at equal times stock
        side = 1 if heads[1] and (not heads[0] or heads[1][0] <= heads[0][0]) else 0
        at, name, value = heads[side]
        runner.feed(name, value, value["item_id"].encode(), at)
        heads[side] = next(sides[side], None)
    runner.close()


def q5_hop(inputs: Inputs, result: Result) -> None:
    def build(frame):
        window = frame.hopping_window(duration_ms=300_000, step_ms=60_000, grace_ms=30_000).count()
        _closed(window, lambda row, key: result.add((row["end"], key.decode(), row["value"])))

    _run(inputs, "clicks", lambda row: b"end" if "end" in row else row["category_id"].encode(), build, closing=True)


# ------------------------------------------------------------ Nexmark: rows


def _bid_rows(shape):
    def program(inputs: Inputs, result: Result) -> None:
        def build(frame):
            frame = frame.filter(lambda row: row["event_type"] == 2)
            frame.apply(shape, metadata=True).filter(lambda row: row is not None).update(result.add)

        _run(inputs, "nexmark", _nothing, build)

    return program


def _q0(row, key, at, headers):
    bid = row["bid"]
    return bid["auction"], bid["bidder"], bid["price"], at, bid["extra"]


def _q1(row, key, at, headers):
    bid = row["bid"]
    return bid["auction"], bid["bidder"], CENT * bid["price"], at, bid["extra"]


def _q2(row, key, at, headers):
    bid = row["bid"]
    return None if bid["auction"] % 123 else (bid["auction"], bid["price"])


# ------------------------------------------------------------ Nexmark: windows


def q5(inputs: Inputs, result: Result) -> None:
    """Counts of closed windows by their start, of which the largest stay."""

    def best(row, key, at, headers, state):
        most, auctions = state.get("most", (0, []))
        auction, count = row
        if count > most:
            state.set("most", (count, [auction]))
            return [(key, other, None) for other in auctions] + [(key, auction, count)]
        if count == most:
            state.set("most", (count, [*auctions, auction]))
            return [(key, auction, count)]
        return []

    def take(row):
        window, auction, count = row
        if count is None:
            result.drop((window, auction))
        else:
            result.put((window, auction), (auction, count))

    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] == 2)
        counts = frame.hopping_window(duration_ms=10_000, step_ms=2_000, grace_ms=4_000).count()
        closed = counts.final(closing_strategy="partition").filter(
            lambda value, key, at, headers: key != b"end", metadata=True
        )
        rows = closed.apply(lambda value, key, at, headers: (value["start"], int(key), value["value"]), metadata=True)
        by_window = rows.group_by(lambda row: str(row[0]), name="window")
        by_window.apply(lambda row: row[1:]).apply(best, stateful=True, expand=True, metadata=True).update(take)

    def keyed(row):
        return b"end" if "end" in row else str(row["bid"]["auction"]).encode() if row["event_type"] == 2 else b""

    _run(inputs, "nexmark", keyed, build, closing=True)


def q7(inputs: Inputs, result: Result) -> None:
    """One key: the bids of the highest price as the value of its windows."""

    def shaped(row, key, at, headers):
        if "end" in row:
            return [0, 0, 0, at, ""]
        bid = row["bid"]
        return [bid["auction"], bid["bidder"], bid["price"], at, bid["extra"]]

    def highest(best, row):
        if row[2] > best[0][2]:
            return [row]
        return [*best, row] if row[2] == best[0][2] else best

    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] == 2).apply(shaped, metadata=True)
        window = frame.tumbling_window(duration_ms=10_000, grace_ms=4_000)
        reduced = window.reduce(reducer=highest, initializer=lambda row: [row])
        _closed(reduced, lambda value, key: result.extend(tuple(row) for row in value["value"]))

    _run(inputs, "nexmark", lambda row: b"end" if "end" in row else b"all", build, closing=True)


def q8(inputs: Inputs, result: Result) -> None:
    def shaped(row):
        return [row["person"]["name"], False] if row["event_type"] == 0 else [None, True]

    def both(state, row):
        return [state[0] or row[0], state[1] or row[1]]

    def take(value, key):
        name, sold = value["value"]
        if name is not None and sold:
            result.add((int(key), name, value["start"]))

    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] < 2 or "end" in row).apply(shaped)
        window = frame.tumbling_window(duration_ms=10_000, grace_ms=4_000)
        _closed(window.reduce(reducer=both, initializer=lambda row: row), take)

    def keyed(row):
        if "end" in row:
            return b"end"
        kind = row["event_type"]
        return str(row["person"]["id"] if kind == 0 else row["auction"]["seller"] if kind == 1 else 0).encode()

    _run(inputs, "nexmark", keyed, build, closing=True)


def q11(inputs: Inputs, result: Result) -> None:
    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] == 2)
        window = frame.session_window(inactivity_gap_ms=10_000, grace_ms=4_000).count()
        _closed(window, lambda row, key: result.add((int(key), row["value"], row["start"], row["end"] - 1 + 10_000)))

    def keyed(row):
        return b"end" if "end" in row else str(row["bid"]["bidder"]).encode() if row["event_type"] == 2 else b""

    _run(inputs, "nexmark", keyed, build, closing=True)


# ------------------------------------------------------------ Nexmark: state of a key


def _stateful(keyed, function, take):
    """`function(row, state)` gives rows; `keyed(row)` is None for a row that does not matter."""

    def program(inputs: Inputs, result: Result) -> None:
        def build(frame):
            frame = frame.filter(lambda value, key, at, headers: key is not None, metadata=True)
            frame.apply(function, stateful=True, expand=True).update(lambda row: take(result, row))

        def encoded(row):
            key = keyed(row)
            return None if key is None else str(key).encode()

        _run(inputs, "nexmark", encoded, build)

    return program


def _waiting(left, right):
    """A join: `left(row)` (None: the row is of the other side) is one row of a key, rows of the right wait for it."""

    def function(row, state):
        side = left(row)
        if side is not None:
            state.set("left", side)
            return [(side, other) for other in state.get("waiting", [])]
        other, side = right(row), state.get("left")
        if side is not None:
            return [(side, other)]
        state.set("waiting", [*state.get("waiting", []), other])
        return []

    return function


def _q3_key(row):
    if row["event_type"] == 0:
        return row["person"]["id"] if row["person"]["state"] in ("OR", "ID", "CA") else None
    return row["auction"]["seller"] if row["event_type"] == 1 and row["auction"]["category"] == 10 else None


def _q3_left(row):
    person = row["person"]
    return [person["name"], person["city"], person["state"]] if person else None


def _q20_key(row):
    if row["event_type"] == 1:
        return row["auction"]["id"] if row["auction"]["category"] == 10 else None
    return row["bid"]["auction"] if row["event_type"] == 2 else None


def _q20_left(row):
    auction = row["auction"]
    return [auction["itemName"], auction["category"]] if auction else None


def _q20_right(row):
    return [row["bid"]["auction"], row["bid"]["bidder"], row["bid"]["price"]]


def q4(inputs: Inputs, result: Result) -> None:
    def finals(row, state):
        auction = state.get("auction")
        if row["event_type"] == 1:
            auction = [row["dateTime"], row["auction"]["expires"], row["auction"]["category"]]
            state.set("auction", auction)
            bids = state.get("waiting", [])
        elif auction is None:
            state.set("waiting", [*state.get("waiting", []), [row["dateTime"], row["bid"]["price"]]])
            return []
        else:
            bids = [[row["dateTime"], row["bid"]["price"]]]
        prices = [price for at, price in bids if auction[0] <= at <= auction[1]]
        most = state.get("most")
        if not prices or (most is not None and max(prices) <= most):
            return []
        state.set("most", max(prices))
        return [(auction[2], most, max(prices))]

    def average(row, state):
        total, count = state.get("sum", (0, 0))
        category, before, now = row
        total, count = (total + now, count + 1) if before is None else (total + now - before, count)
        state.set("sum", (total, count))
        return category, total // count

    def build(frame):
        frame = frame.filter(lambda row: row["event_type"] > 0).apply(finals, stateful=True, expand=True)
        by_category = frame.group_by(lambda row: str(row[0]), name="category")
        by_category.apply(average, stateful=True).update(lambda row: result.put(row[0], row))

    def keyed(row):
        kind = row["event_type"]
        return str(row["auction"]["id"] if kind == 1 else row["bid"]["auction"] if kind == 2 else 0).encode()

    _run(inputs, "nexmark", keyed, build)


def _bid_key(shape):
    return lambda row: shape(row["bid"], row) if row["event_type"] == 2 else None


def _q15(row, state):
    bid = row["bid"]
    price = bid["price"]
    counts = state.get("counts", [0, 0, 0, 0, 0, 0])
    counts[0] += 1
    counts[1 if price < 10_000 else 2 if price < 1_000_000 else 3] += 1
    for place, name in ((4, f"b{bid['bidder']}"), (5, f"a{bid['auction']}")):
        if not state.exists(name):
            state.set(name, 1)
            counts[place] += 1
    state.set("counts", counts)
    return [(row["dateTime"][:10], *counts)]


def _q17(row, state):
    price = row["bid"]["price"]
    total, cheap, least, most, whole = state.get("row", (0, 0, price, price, 0))
    found = (total + 1, cheap + (price < 10_000), min(least, price), max(most, price), whole + price)
    state.set("row", found)
    return [(row["bid"]["auction"], row["dateTime"][:10], *found[:4], found[4] // found[0], found[4])]


def _q18(row, state):
    bid, at = row["bid"], milliseconds(row["dateTime"])
    last = state.get("last")
    if last is not None and last[3] > at:
        return []
    found = (bid["auction"], bid["bidder"], bid["price"], at, bid["extra"])
    state.set("last", found)
    return [found]


def _q19(row, state):
    bid, at = row["bid"], milliseconds(row["dateTime"])
    best = state.get("best", [])
    each = [-bid["price"], at, bid["bidder"], bid["extra"]]
    place = bisect_left(best, each)
    if place >= 10:
        return []
    best.insert(place, each)
    del best[10:]
    state.set("best", best)
    return [
        (bid["auction"], bidder, -price, when, extra, place + 1 + number)
        for number, (price, when, bidder, extra) in enumerate(best[place:])
    ]


PROGRAMS: dict[str, Any] = {
    "Q1": q1_clicks, "Q2": q2_over, "Q3": q3_session, "Q4": q4_temporal, "Q5": q5_hop,
    "q0": _bid_rows(_q0), "q1": _bid_rows(_q1), "q2": _bid_rows(_q2),
    "q3": _stateful(_q3_key, _waiting(_q3_left, lambda row: row["auction"]["id"]),
                    lambda result, row: result.add((*row[0], row[1]))),
    "q4": q4, "q5": q5, "q7": q7, "q8": q8, "q11": q11,
    "q15": _stateful(_bid_key(lambda bid, row: row["dateTime"][:10]), _q15,
                     lambda result, row: result.put(row[0], row)),
    "q17": _stateful(_bid_key(lambda bid, row: f"{bid['auction']} {row['dateTime'][:10]}"), _q17,
                     lambda result, row: result.put(row[:2], row)),
    "q18": _stateful(_bid_key(lambda bid, row: f"{bid['bidder']} {bid['auction']}"), _q18,
                     lambda result, row: result.put(row[:2], row)),
    "q19": _stateful(_bid_key(lambda bid, row: bid["auction"]), _q19,
                     lambda result, row: result.put((row[0], row[5]), row)),
    "q20": _stateful(_q20_key, _waiting(_q20_left, _q20_right),
                     lambda result, row: result.add((*row[1], *row[0]))),
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(PROGRAMS, CANNOT))
