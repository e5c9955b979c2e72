"""The queries in clink 0.12, embedded by pyclink: parallelism 1, lines from a file, results thrown away. Run by
`bench/sql.py`.

Its SQL has the grammar of PostgreSQL. The time of an event has to be an integer column of the source, and ours is
text: queries that need one run as two jobs, of which the first writes the rows with their times in ms to a file that
the second reads. Both count.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyclink

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig.peer import Inputs, Result, main, milliseconds

CLICKS = "n BIGINT, ts {time}, user_id VARCHAR, item_id VARCHAR, event_type VARCHAR, category_id VARCHAR, price DOUBLE"
NEXMARK = (
    "event_type INT, person ROW<id BIGINT, name VARCHAR, city VARCHAR, state VARCHAR>, auction ROW<id BIGINT,"
    " itemName VARCHAR, expires VARCHAR, seller BIGINT, category BIGINT>, bid ROW<auction BIGINT, bidder BIGINT,"
    ' price BIGINT, extra VARCHAR>, "dateTime" VARCHAR'
)
TIMED = {  # columns of the file between, by what is in it
    "clicks": CLICKS.format(time="BIGINT"),
    "bid": "auction BIGINT, bidder BIGINT, price BIGINT, ts BIGINT, extra VARCHAR",
    "person": "id BIGINT, name VARCHAR, ts BIGINT",
    "auction": "seller BIGINT, ts BIGINT",
}
_AT = "EXTRACT(epoch FROM to_timestamp(substring({0}, 1, 19))) * 1000 + CAST(substring({0}, 21, 3) AS BIGINT) AS ts"
_DAY = 'substring("dateTime", 1, 10)'
WRITTEN = {
    "clicks": f"SELECT n, {_AT.format('ts')}, user_id, item_id, event_type, category_id, price FROM clicks",
    "bid": "SELECT (bid).auction AS auction, (bid).bidder AS bidder, (bid).price AS price,"
    f" {_AT.format(chr(34) + 'dateTime' + chr(34))}, (bid).extra AS extra FROM nexmark WHERE event_type = 2",
    "person": f"SELECT (person).id AS id, (person).name AS name, {_AT.format(chr(34) + 'dateTime' + chr(34))}"
    " FROM nexmark WHERE event_type = 0",
    "auction": f"SELECT (auction).seller AS seller, {_AT.format(chr(34) + 'dateTime' + chr(34))} FROM nexmark"
    " WHERE event_type = 1",
}
VIEWS = (
    'CREATE VIEW bid AS SELECT (bid).auction AS auction, (bid).bidder AS bidder, (bid).price AS price, "dateTime" AS'
    " dt, (bid).extra AS extra FROM nexmark WHERE event_type = 2;"
    ' CREATE VIEW auction AS SELECT (auction).id AS id, (auction).itemName AS item, "dateTime" AS dt,'
    " (auction).expires AS expires, (auction).seller AS seller, (auction).category AS category FROM nexmark"
    " WHERE event_type = 1;"
    " CREATE VIEW person AS SELECT (person).id AS id, (person).name AS name, (person).city AS city,"
    " (person).state AS state FROM nexmark WHERE event_type = 0;"
)
# names with capitals are not found inside a ROW: where one is needed, the auction is a map
MAPPED = (
    ("auction ROW<id BIGINT, itemName VARCHAR, expires VARCHAR, seller BIGINT, category BIGINT>",
     "auction MAP<VARCHAR, VARCHAR>"),
    ("(auction).id", "CAST(auction['id'] AS BIGINT)"), ("(auction).itemName", "auction['itemName']"),
    ("(auction).category", "CAST(auction['category'] AS BIGINT)"), ("(auction).seller", "auction['seller']"),
    ("(auction).expires", "auction['expires']"),
)  # fmt: skip
_BID = "auction BIGINT, bidder BIGINT, price BIGINT, t VARCHAR, extra VARCHAR"
_ALL = "auction BIGINT, bidder BIGINT, price BIGINT, dt VARCHAR, extra VARCHAR"
_RANKED = (
    "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {} ORDER BY {} DESC) AS rn FROM bid) AS r WHERE rn {}"
)

Said = dict[str, Any]


def _timed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:3], milliseconds(row[3]), row[4])


def _mean(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[0], row[1] and row[1] // row[2]  # a sum is NULL between a retraction and the next row


"""`columns` of the result, `select`; `timed`: tables that have to be written with their times first; `key`: of the
result, if rows are updated; `row`: the query's row of one of these, for the comparison."""
QUERIES: dict[str, Said] = {
    "Q1": {"columns": "u VARCHAR, v DOUBLE",  # 0.9 alone is a DECIMAL, and the sum NULL wherever it is a whole number
           "select": "SELECT user_id AS u, price * CAST(0.9 AS DOUBLE) + MOD(n, 1000) AS v FROM clicks"
           " WHERE event_type = 'view'"},
    "Q2": {"columns": f"{TIMED['clicks']}, c BIGINT", "timed": ["clicks"], "row": lambda row: (row[2], row[5], row[7]),
           "select": "SELECT *, COUNT(*) OVER (PARTITION BY user_id, category_id ORDER BY ts RANGE BETWEEN INTERVAL '5'"
           " MINUTE PRECEDING AND CURRENT ROW) AS c FROM clicks WHERE event_type = 'view'"},
    "Q3": {"columns": "u VARCHAR, s BIGINT, e BIGINT, n BIGINT, v DOUBLE", "timed": ["clicks"],
           "select": "SELECT user_id AS u, window_start AS s, window_end AS e, COUNT(*) AS n, SUM(price) AS v FROM"
           " clicks GROUP BY SESSION(ts, INTERVAL '30' MINUTE), user_id"},
    "Q5": {"columns": "e BIGINT, c VARCHAR, n BIGINT", "timed": ["clicks"],
           "select": "SELECT window_end AS e, category_id AS c, COUNT(*) AS n FROM clicks"
           " GROUP BY HOP(ts, INTERVAL '5' MINUTE, INTERVAL '1' MINUTE), category_id"},
    "q0": {"columns": _BID, "select": "SELECT auction, bidder, price, dt AS t, extra FROM bid", "row": _timed},
    "q1": {"columns": _BID.replace("price BIGINT", "price DECIMAL(23, 3)"), "row": _timed,
           "select": "SELECT auction, bidder, 0.908 * price AS price, dt AS t, extra FROM bid"},
    "q2": {"columns": "auction BIGINT, price BIGINT",
           "select": "SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0"},
    "q3": {"columns": "name VARCHAR, city VARCHAR, state VARCHAR, id BIGINT",
           "select": "SELECT p.name AS name, p.city AS city, p.state AS state, a.id AS id FROM auction a JOIN person p"
           " ON a.seller = p.id WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA')"},
    "q4": {"columns": "id BIGINT, total BIGINT, n BIGINT", "key": (0,), "row": _mean,
           "select": "SELECT category AS id, SUM(final) AS total, COUNT(*) AS n FROM (SELECT a.id AS aid, a.category AS"
           " category, MAX(b.price) AS final FROM auction a JOIN bid b ON a.id = b.auction WHERE b.dt BETWEEN a.dt AND"
           " a.expires GROUP BY a.id, a.category) AS q GROUP BY category"},
    "q5": {"columns": "auction BIGINT, num BIGINT, ws BIGINT", "timed": ["bid"], "key": (0, 2),
           "row": lambda row: row[:2],
           "select": "SELECT auction, num, ws FROM (SELECT *, RANK() OVER (PARTITION BY ws ORDER BY num DESC) AS rn"
           " FROM (SELECT auction, COUNT(*) AS num, window_start AS ws FROM bid GROUP BY HOP(ts, INTERVAL '10' SECOND,"
           " INTERVAL '2' SECOND), auction) AS w) AS r WHERE rn <= 1"},
    "q7": {"columns": "auction BIGINT, bidder BIGINT, price BIGINT, ts BIGINT, extra VARCHAR", "timed": ["bid"],
           "select": "SELECT auction, bidder, price, ts, extra FROM (SELECT b.auction AS auction, b.bidder AS bidder,"
           " b.price AS price, b.ts AS ts, b.extra AS extra, m.we - b.ts AS before FROM bid b JOIN (SELECT MAX(price)"
           " AS maxprice, window_end AS we FROM bid GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)) m ON b.price ="
           " m.maxprice) AS x WHERE before BETWEEN 0 AND 10000"},
    "q8": {"columns": "id BIGINT, name VARCHAR, stime BIGINT", "timed": ["person", "auction"],
           "select": "SELECT P_id AS id, P_name AS name, P_ps AS stime FROM (SELECT id, name, COUNT(*) AS pc,"
           " window_start AS ps FROM person GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), id, name) AS P JOIN (SELECT"
           " seller, COUNT(*) AS ac, window_start AS s FROM auction GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), seller)"
           " AS A ON P.id = A.seller WHERE P_ps = A_s"},
    "q11": {"columns": "bidder BIGINT, n BIGINT, s BIGINT, e BIGINT", "timed": ["bid"],
            "select": "SELECT bidder, COUNT(*) AS n, window_start AS s, window_end AS e FROM bid GROUP BY SESSION(ts,"
            " INTERVAL '10' SECOND), bidder"},
    "q15": {"columns": "d VARCHAR, total BIGINT, cheap BIGINT, middle BIGINT, dear BIGINT, bidders BIGINT,"
            " auctions BIGINT", "key": (0,),
            "select": "SELECT d, COUNT(*) AS total, SUM(c) AS cheap, SUM(m) AS middle, SUM(x) AS dear, COUNT(DISTINCT"
            " bidder) AS bidders, COUNT(DISTINCT auction) AS auctions FROM (SELECT substring(dt, 1, 10) AS d, bidder,"
            " auction, CASE WHEN price < 10000 THEN 1 ELSE 0 END AS c, CASE WHEN price >= 10000 AND price < 1000000"
            " THEN 1 ELSE 0 END AS m, CASE WHEN price >= 1000000 THEN 1 ELSE 0 END AS x FROM bid) AS b GROUP BY d"},
    "q17": {"columns": "auction BIGINT, d VARCHAR, total BIGINT, cheap BIGINT, least BIGINT, most BIGINT, whole BIGINT",
            "key": (0, 1), "row": lambda row: (*row[:6], row[6] // row[2], row[6]),
            "select": "SELECT auction, d, COUNT(*) AS total, SUM(c) AS cheap, MIN(price) AS least, MAX(price) AS most,"
            " SUM(price) AS whole FROM (SELECT substring(dt, 1, 10) AS d, auction, price, CASE WHEN price < 10000 THEN"
            " 1 ELSE 0 END AS c FROM bid) AS b GROUP BY auction, d"},
    "q18": {"columns": _ALL, "key": (0, 1), "row": _timed,
            "select": _RANKED.format("bidder, auction", "dt", "= 1")},
    "q20": {"columns": "auction BIGINT, bidder BIGINT, price BIGINT, item VARCHAR, category BIGINT",
            "map": True,
            "select": "SELECT b.auction AS auction, b.bidder AS bidder, b.price AS price, a.item AS item, a.category AS"
            " category FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10"},
}  # fmt: skip
CANNOT = {
    "Q4": "no join as of a time (FOR SYSTEM_TIME AS OF is a syntax error)",
    "q19": "the rank of a row cannot be selected (column not found)",
}


def _table(name: str, columns: str, path: str, more: str = "") -> str:
    return f"CREATE TABLE {name} ({columns}) WITH (connector='file', format='json', path='{path}'{more});"


def _source(inputs: Inputs, name: str) -> str:
    columns = CLICKS.format(time="VARCHAR") if name == "clicks" else NEXMARK
    return _table(name, columns, inputs.path(name))


def _execute(text: str, kept: bool = False) -> Any:
    with pyclink.Engine() as engine:
        engine.execute(text)
        found = engine.collect("result_rows").read_all() if kept else None
        engine.await_all()
    return found


def program(name: str) -> Any:
    said = QUERIES[name]

    def run(inputs: Inputs, result: Result) -> None:
        source = _source(inputs, "clicks" if name.startswith("Q") else "nexmark")
        between = Path(tempfile.mkdtemp(prefix="clink-"))
        if "timed" in said:
            tables = ""
            for each in said["timed"]:
                path = str(between / each)
                _execute(f"{source} {_table('written', TIMED[each], path)} INSERT INTO written {WRITTEN[each]};")
                lag = 30_000 if each == "clicks" else 4_000
                tables += _table(each, TIMED[each], path, f", event_time_column='ts', watermark_lag_ms='{lag}'")
            source = tables
        elif name.startswith("q"):
            source += VIEWS
            for plain, mapped in MAPPED if "map" in said else ():
                source = source.replace(plain, mapped)
        where = "connector='collect'" if result.kept else "connector='blackhole', format='json'"
        changes = ", changelog='true'" if "key" in said else ""
        sink = f"CREATE TABLE result_rows ({said['columns']}) WITH ({where}{changes});"
        found = _execute(f"{source} {sink} INSERT INTO result_rows {said['select']};", bool(result.kept))
        shutil.rmtree(between)
        if found is not None:
            _keep(said, found, result)

    return run


def _keep(said: Said, found: Any, result: Result) -> None:
    names = [each.split()[0] for each in said["columns"].split(", ") if each[0] != "3"]
    columns = [found.column(name).to_pylist() for name in names]
    kinds = found.column("row_kind").to_pylist() if "key" in said else None
    for place, row in enumerate(zip(*columns, strict=True)):
        shown = said["row"](row) if "row" in said else row
        if kinds is None:
            result.add(shown)
        elif "delete" in str(kinds[place]) or "before" in str(kinds[place]):
            result.drop(tuple(row[each] for each in said["key"]))
        else:
            result.put(tuple(row[each] for each in said["key"]), shown)


if __name__ == "__main__":
    sys.exit(main({name: program(name) for name in QUERIES}, CANNOT))
