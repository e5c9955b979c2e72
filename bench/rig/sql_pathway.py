"""The queries in Pathway 0.33: one worker, lines from a file, results thrown away. Run by `bench/sql.py`.

Read in static mode, so the whole file is one batch and nothing is updated on the way: the least it can cost. Windows
are those of its temporal library; they are kept for ever and have no watermark here.
"""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pathway as pw

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig.peer import Inputs, Result, main

CANNOT: dict[str, str] = {}
FORMAT = "%Y-%m-%d %H:%M:%S.%f"
TEN_SECONDS = datetime.timedelta(seconds=10)
CENT = Decimal("0.908")
_INSTANCE, _WINDOW_START, _WINDOW_END, _WINDOW_LOCATION = (  # the columns of a window, by its documentation
    pw.this[f"_pw_{name}"] for name in ("instance", "window_start", "window_end", "window_location")
)


class Clicks(pw.Schema):
    n: int
    ts: str
    user_id: str
    item_id: str
    event_type: str
    category_id: str
    price: float


class Stock(pw.Schema):
    item_id: str
    ts: str
    stock: int


def _absent(kind: Any) -> Any:
    """A column of one kind of event: NULL in the others."""
    return pw.column_definition(dtype=kind | None, default_value=None)


def _schema(columns: dict[str, Any]) -> Any:
    return pw.schema_builder({"event_type": pw.column_definition(dtype=int), **columns})


def _clicks(inputs: Inputs) -> pw.Table:
    return pw.io.jsonlines.read(inputs.path("clicks"), schema=Clicks, mode="static")


def _timed_clicks(inputs: Inputs) -> pw.Table:
    return _clicks(inputs).with_columns(at=pw.this.ts.dt.strptime(FORMAT))


def _events(inputs: Inputs, kind: int, name: str, fields: dict[str, tuple[str, type]]) -> pw.Table:
    """The events of a kind, with these columns: (field, type); `at` is when they happened."""
    columns = {column: _absent(type_) for column, (_, type_) in fields.items()}
    paths = {column: f"/{name}/{field}" for column, (field, _) in fields.items()}
    table = pw.io.jsonlines.read(
        inputs.path("nexmark"), schema=_schema({**columns, "dateTime": pw.column_definition(dtype=str)}),
        mode="static", json_field_paths=paths,
    ).filter(pw.this.event_type == kind)  # fmt: skip
    return table.select(
        **{column: pw.unwrap(table[column]) for column in fields}, at=table.dateTime.dt.strptime(FORMAT)
    )


def _bids(inputs: Inputs) -> pw.Table:
    fields = {"auction": ("auction", int), "bidder": ("bidder", int), "price": ("price", int), "extra": ("extra", str)}
    bids = _events(inputs, 2, "bid", fields)
    return bids.select(bids.auction, bids.bidder, bids.price, bids.at, bids.extra)


def _auctions(inputs: Inputs) -> pw.Table:
    fields = {
        "number": ("id", int), "item": ("itemName", str), "expires": ("expires", str), "seller": ("seller", int),
        "category": ("category", int),
    }  # fmt: skip
    return _events(inputs, 1, "auction", fields).with_columns(expires=pw.this.expires.dt.strptime(FORMAT))


def _people(inputs: Inputs) -> pw.Table:
    return _events(
        inputs, 0, "person", {"number": ("id", int), **{name: (name, str) for name in ("name", "city", "state")}}
    )


def _run(table: pw.Table, result: Result) -> None:
    """Throw the table away, or keep its rows."""
    names = table.column_names()

    def take(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            result.put(key, tuple(_plain(row[name]) for name in names))
        else:
            result.drop(key)

    if result.kept:
        pw.io.subscribe(table, take)
    else:
        pw.io.null.write(table)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return round(value.replace(tzinfo=datetime.UTC).timestamp() * 1000)
    return value


# ------------------------------------------------------------ clicks


def q1_clicks(inputs: Inputs, result: Result) -> None:
    views = _clicks(inputs).filter(pw.this.event_type == "view")
    _run(views.select(u=pw.this.user_id, v=pw.this.price * 0.9 + pw.this.n % 1000), result)


def q2_over(inputs: Inputs, result: Result) -> None:
    views = _timed_clicks(inputs).filter(pw.this.event_type == "view")
    views = views.with_columns(key=pw.make_tuple(pw.this.user_id, pw.this.category_id))
    window = pw.temporal.intervals_over(
        at=views.at, lower_bound=datetime.timedelta(minutes=-5), upper_bound=datetime.timedelta(0), is_outer=False
    )
    counts = views.windowby(views.at, window=window, instance=views.key).reduce(
        key=_INSTANCE, at=_WINDOW_LOCATION, n=pw.reducers.count()
    )  # one row per key and time: given to every row of it
    rows = views.join(counts, views.key == counts.key, views.at == counts.at)
    _run(rows.select(u=views.user_id, c=views.category_id, n=counts.n), result)


def q3_session(inputs: Inputs, result: Result) -> None:
    clicks = _timed_clicks(inputs)
    gap = datetime.timedelta(minutes=30)
    found = clicks.windowby(clicks.at, window=pw.temporal.session(max_gap=gap), instance=clicks.user_id).reduce(
        u=_INSTANCE, s=pw.reducers.min(pw.this.at), e=pw.reducers.max(pw.this.at),
        n=pw.reducers.count(), v=pw.reducers.sum(pw.this.price),
    )  # fmt: skip
    _run(found.select(pw.this.u, pw.this.s, e=pw.this.e + gap, n=pw.this.n, v=pw.this.v), result)


def q4_temporal(inputs: Inputs, result: Result) -> None:
    views = _timed_clicks(inputs).filter(pw.this.event_type == "view")
    stock = pw.io.jsonlines.read(inputs.path("stock"), schema=Stock, mode="static")
    stock = stock.with_columns(at=pw.this.ts.dt.strptime(FORMAT))
    rows = views.asof_join(stock, views.at, stock.at, views.item_id == stock.item_id, how=pw.JoinMode.LEFT)
    _run(rows.select(u=views.user_id, i=views.item_id, s=stock.stock), result)


def q5_hop(inputs: Inputs, result: Result) -> None:
    clicks = _timed_clicks(inputs)
    window = pw.temporal.sliding(hop=datetime.timedelta(minutes=1), duration=datetime.timedelta(minutes=5))
    found = clicks.windowby(clicks.at, window=window, instance=clicks.category_id).reduce(
        e=_WINDOW_END, c=_INSTANCE, n=pw.reducers.count()
    )
    _run(found, result)


# ------------------------------------------------------------ Nexmark


def q0(inputs: Inputs, result: Result) -> None:
    _run(_bids(inputs), result)


def q1(inputs: Inputs, result: Result) -> None:
    """There is no DECIMAL: the price in thousandths, exactly, as text."""
    bids = _bids(inputs)

    def exact(price: int) -> str:
        return str(CENT * price)

    _run(
        bids.select(bids.auction, bids.bidder, price=pw.apply(exact, bids.price), at=bids.at, extra=bids.extra), result
    )


def q2(inputs: Inputs, result: Result) -> None:
    bids = _bids(inputs).filter(pw.this.auction % 123 == 0)
    _run(bids.select(pw.this.auction, pw.this.price), result)


def q3(inputs: Inputs, result: Result) -> None:
    people, auctions = _people(inputs), _auctions(inputs)
    people = people.filter((people.state == "OR") | (people.state == "ID") | (people.state == "CA"))
    auctions = auctions.filter(auctions.category == 10)
    rows = auctions.join(people, auctions.seller == people.number)
    _run(rows.select(people.name, people.city, people.state, auctions.number), result)


def q4(inputs: Inputs, result: Result) -> None:
    auctions, bids = _auctions(inputs), _bids(inputs)
    rows = auctions.join(bids, auctions.number == bids.auction).select(
        auctions.number, auctions.category, bids.price, start=auctions.at, end=auctions.expires, at=bids.at
    )
    rows = rows.filter((rows.at >= rows.start) & (rows.at <= rows.end))
    finals = rows.groupby(rows.number, rows.category).reduce(rows.category, final=pw.reducers.max(rows.price))
    sums = finals.groupby(finals.category).reduce(
        finals.category, total=pw.reducers.sum(finals.final), n=pw.reducers.count()
    )
    _run(sums.select(sums.category, final=sums.total // sums.n), result)


def _hot(inputs: Inputs) -> pw.Table:
    bids = _bids(inputs)
    window = pw.temporal.sliding(hop=datetime.timedelta(seconds=2), duration=TEN_SECONDS)
    return bids.windowby(bids.at, window=window, instance=bids.auction).reduce(
        auction=_INSTANCE, num=pw.reducers.count(), start=_WINDOW_START
    )


def q5(inputs: Inputs, result: Result) -> None:
    hot = _hot(inputs)
    most = hot.groupby(hot.start).reduce(hot.start, num=pw.reducers.max(hot.num))
    rows = hot.join(most, hot.start == most.start, hot.num == most.num)
    _run(rows.select(hot.auction, hot.num), result)


def q7(inputs: Inputs, result: Result) -> None:
    bids = _bids(inputs)
    most = bids.windowby(bids.at, window=pw.temporal.tumbling(duration=TEN_SECONDS)).reduce(
        price=pw.reducers.max(pw.this.price), end=_WINDOW_END
    )
    rows = bids.join(most, bids.price == most.price).select(
        bids.auction, bids.bidder, bids.price, bids.at, bids.extra, end=most.end
    )
    rows = rows.filter((rows.at >= rows.end - TEN_SECONDS) & (rows.at <= rows.end))
    _run(rows.without(rows.end), result)


def q8(inputs: Inputs, result: Result) -> None:
    people, auctions = _people(inputs), _auctions(inputs)
    window = pw.temporal.tumbling(duration=TEN_SECONDS)
    people = people.with_columns(key=pw.make_tuple(people.number, people.name))
    fresh = people.windowby(people.at, window=window, instance=people.key).reduce(
        number=pw.reducers.any(pw.this.number), name=pw.reducers.any(pw.this.name), start=_WINDOW_START
    )
    sold = auctions.windowby(auctions.at, window=window, instance=auctions.seller).reduce(
        seller=_INSTANCE, start=_WINDOW_START
    )
    rows = fresh.join(sold, fresh.number == sold.seller, fresh.start == sold.start)
    _run(rows.select(fresh.number, fresh.name, fresh.start), result)


def q11(inputs: Inputs, result: Result) -> None:
    bids = _bids(inputs)
    window = pw.temporal.session(max_gap=TEN_SECONDS)
    found = bids.windowby(bids.at, window=window, instance=bids.bidder).reduce(
        bidder=_INSTANCE, n=pw.reducers.count(), s=pw.reducers.min(pw.this.at),
        e=pw.reducers.max(pw.this.at),
    )  # fmt: skip
    _run(found.select(pw.this.bidder, pw.this.n, pw.this.s, e=pw.this.e + TEN_SECONDS), result)


def _by_day(inputs: Inputs) -> pw.Table:
    bids = _bids(inputs)
    price = bids.price
    return bids.with_columns(
        day=bids.at.dt.strftime("%Y-%m-%d"), cheap=pw.if_else(price < 10_000, 1, 0),
        middle=pw.if_else((price >= 10_000) & (price < 1_000_000), 1, 0), dear=pw.if_else(price >= 1_000_000, 1, 0),
    )  # fmt: skip


def q15(inputs: Inputs, result: Result) -> None:
    bids, reducers = _by_day(inputs), pw.reducers
    _run(
        bids.groupby(bids.day).reduce(
            bids.day, total=reducers.count(), cheap=reducers.sum(bids.cheap), middle=reducers.sum(bids.middle),
            dear=reducers.sum(bids.dear), bidders=reducers.count_distinct(bids.bidder),
            auctions=reducers.count_distinct(bids.auction),
        ),
        result,
    )  # fmt: skip


def q17(inputs: Inputs, result: Result) -> None:
    bids, reducers = _by_day(inputs), pw.reducers
    rows = bids.groupby(bids.auction, bids.day).reduce(
        bids.auction, bids.day, total=reducers.count(), cheap=reducers.sum(bids.cheap),
        least=reducers.min(bids.price), most=reducers.max(bids.price), whole=reducers.sum(bids.price),
    )  # fmt: skip
    shown = rows.select(
        rows.auction, rows.day, rows.total, rows.cheap, rows.least, rows.most, mean=rows.whole // rows.total,
        whole=rows.whole,
    )  # fmt: skip
    _run(shown, result)


def q18(inputs: Inputs, result: Result) -> None:
    bids = _bids(inputs)
    last = bids.groupby(bids.bidder, bids.auction).reduce(row=pw.reducers.argmax(bids.at))
    _run(last.select(*(bids.ix(last.row)[name] for name in bids.column_names())), result)


def q19(inputs: Inputs, result: Result) -> None:
    """All bids of an auction sorted, of which the first ten are taken: there is no reducer that keeps only ten."""
    bids = _bids(inputs)
    ordered = bids.select(bids.auction, row=pw.make_tuple(-bids.price, bids.at, bids.bidder, bids.extra))
    tops = ordered.groupby(ordered.auction).reduce(ordered.auction, rows=pw.reducers.sorted_tuple(ordered.row))

    def ten(rows: tuple) -> tuple:
        return tuple((place, *row) for place, row in enumerate(rows[:10], 1))

    flat = tops.select(tops.auction, row=pw.apply_with_type(ten, tuple, tops.rows)).flatten(pw.this.row)
    shown = flat.select(
        flat.auction, bidder=flat.row[3], price=pw.apply(lambda each: -each, flat.row[1]), at=flat.row[2],
        extra=flat.row[4], place=flat.row[0],
    )  # fmt: skip
    _run(shown, result)


def q20(inputs: Inputs, result: Result) -> None:
    bids, auctions = _bids(inputs), _auctions(inputs)
    auctions = auctions.filter(auctions.category == 10)
    rows = bids.join(auctions, bids.auction == auctions.number)
    _run(rows.select(bids.auction, bids.bidder, bids.price, auctions.item, auctions.category), result)


PROGRAMS: dict[str, Any] = {
    "Q1": q1_clicks, "Q2": q2_over, "Q3": q3_session, "Q4": q4_temporal, "Q5": q5_hop, "q0": q0, "q1": q1, "q2": q2,
    "q3": q3, "q4": q4, "q5": q5, "q7": q7, "q8": q8, "q11": q11, "q15": q15, "q17": q17, "q18": q18, "q19": q19,
    "q20": q20,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(PROGRAMS, CANNOT))
