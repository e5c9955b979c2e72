"""One query in DuckDB, in batch and alone in a process: prints what it cost as JSON. Run by `bench/sql.py`.

    python sql_duckdb.py QUERY INPUTS ROWS [--rows FILE]

The limit of a vectorised engine that sees all rows at once: one thread, the same JSON lines, the result as a table in
memory. It has no watermarks, no state to keep, no changelog and nothing durable. The text is DuckDB's own dialect; rows
are compared as everybody's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parents[1]))
from rig.peak_memory import peak_mb

_EXTRA = "dateTime: 'TIMESTAMP', extra: 'VARCHAR'"
_STRUCTS = {
    "person": "STRUCT(id BIGINT, name VARCHAR, city VARCHAR, state VARCHAR)",
    "auction": "STRUCT(id BIGINT, itemName VARCHAR, expires TIMESTAMP, seller BIGINT, category BIGINT)",
    "bid": "STRUCT(auction BIGINT, bidder BIGINT, price BIGINT, extra VARCHAR)",
}  # the fields that some query reads; DuckDB skips the others
COLUMNS = {
    "clicks": "n: 'BIGINT', ts: 'TIMESTAMP', user_id: 'VARCHAR', item_id: 'VARCHAR', event_type: 'VARCHAR',"
    " category_id: 'VARCHAR', price: 'DOUBLE'",
    "stock": "item_id: 'VARCHAR', ts: 'TIMESTAMP', stock: 'INTEGER'",
    "nexmark": f"event_type: 'INTEGER', {', '.join(f'{name}: {kind!r}' for name, kind in _STRUCTS.items())},"
    " dateTime: 'TIMESTAMP'",
}
VIEWS = (
    "CREATE VIEW person AS SELECT person.id, person.name, person.city, person.state, dateTime FROM nexmark"
    " WHERE event_type = 0",
    "CREATE VIEW auction AS SELECT auction.id, auction.itemName, dateTime, auction.expires, auction.seller,"
    " auction.category FROM nexmark WHERE event_type = 1",
    "CREATE VIEW bid AS SELECT bid.auction, bid.bidder, bid.price, dateTime, bid.extra FROM nexmark"
    " WHERE event_type = 2",
)

_BID = "auction, bidder, price, dateTime, extra"


def _hop(table: str, time_column: str, slide: str, size: str) -> str:
    """Every row once a window that it is in."""
    return (
        f"(SELECT *, unnest(range(time_bucket(INTERVAL '{slide}', {time_column}) - INTERVAL '{size}' + INTERVAL"
        f" '{slide}', {time_column} + INTERVAL '1 microsecond', INTERVAL '{slide}')) AS starts FROM {table})"
    )


def _sessions(table: str, key: str, time_column: str, gap: str) -> str:
    """Every row with the number of its session within its key."""
    return (
        f"(SELECT *, sum(fresh) OVER (PARTITION BY {key} ORDER BY {time_column}) AS session FROM (SELECT *,"
        f" CASE WHEN {time_column} > lag({time_column}) OVER (PARTITION BY {key} ORDER BY {time_column})"
        f" + INTERVAL '{gap}' THEN 1 ELSE 0 END AS fresh FROM {table}))"
    )


_HOT = (
    f"(SELECT auction, count(*) AS num, starts FROM {_hop('bid', 'dateTime', '2 seconds', '10 seconds')}"
    " GROUP BY auction, starts)"
)
_DAY = "strftime(dateTime, '%Y-%m-%d')"
SELECTS = {
    "Q1": "SELECT user_id, price * 0.9 + n % 1000 FROM clicks WHERE event_type = 'view'",
    "Q2": "SELECT user_id, category_id, count(*) OVER (PARTITION BY user_id, category_id ORDER BY ts RANGE BETWEEN"
    " INTERVAL 5 MINUTE PRECEDING AND CURRENT ROW) FROM clicks WHERE event_type = 'view'",
    "Q3": "SELECT user_id, min(ts), max(ts) + INTERVAL 30 MINUTE, count(*), sum(price) FROM"
    f" {_sessions('clicks', 'user_id', 'ts', '30 minutes')} GROUP BY user_id, session",
    "Q4": "SELECT c.user_id, c.item_id, s.stock FROM clicks AS c ASOF LEFT JOIN stock AS s"
    " ON c.item_id = s.item_id AND c.ts >= s.ts WHERE c.event_type = 'view'",
    "Q5": "SELECT starts + INTERVAL 5 MINUTE, category_id, count(*) FROM"
    f" {_hop('clicks', 'ts', '1 minute', '5 minutes')} GROUP BY starts, category_id",
    "q0": f"SELECT {_BID} FROM bid",
    "q1": "SELECT auction, bidder, (0.908 * price)::DECIMAL(23, 3), dateTime, extra FROM bid",
    "q2": "SELECT auction, price FROM bid WHERE auction % 123 = 0",
    "q3": "SELECT P.name, P.city, P.state, A.id FROM auction AS A JOIN person AS P ON A.seller = P.id"
    " WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')",
    "q4": "SELECT category, sum(final)::BIGINT // count(*) FROM (SELECT max(B.price) AS final, A.category FROM"
    " auction A, bid B WHERE A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires"
    " GROUP BY A.id, A.category) GROUP BY category",
    "q5": f"WITH hot AS {_HOT} SELECT auction, num FROM hot JOIN (SELECT max(num) AS maxn, starts FROM hot GROUP BY"
    " starts) AS most ON hot.starts = most.starts AND num >= maxn",
    "q7": "SELECT B.auction, B.bidder, B.price, B.dateTime, B.extra FROM bid B JOIN (SELECT max(price) AS price,"
    " time_bucket(INTERVAL '10 seconds', dateTime) + INTERVAL '10 seconds' AS ends FROM bid GROUP BY ends) M"
    " ON B.price = M.price WHERE B.dateTime BETWEEN M.ends - INTERVAL '10 seconds' AND M.ends",
    "q8": "SELECT P.id, P.name, P.starts FROM (SELECT DISTINCT id, name, time_bucket(INTERVAL '10 seconds', dateTime)"
    " AS starts FROM person) P JOIN (SELECT DISTINCT seller, time_bucket(INTERVAL '10 seconds', dateTime) AS starts"
    " FROM auction) A ON P.id = A.seller AND P.starts = A.starts",
    "q11": "SELECT bidder, count(*), min(dateTime), max(dateTime) + INTERVAL '10 seconds' FROM"
    f" {_sessions('bid', 'bidder', 'dateTime', '10 seconds')} GROUP BY bidder, session",
    "q15": f"SELECT {_DAY} AS day, count(*), count(*) FILTER (price < 10000), count(*) FILTER (price >= 10000 AND"
    " price < 1000000), count(*) FILTER (price >= 1000000), count(DISTINCT bidder), count(DISTINCT auction) FROM bid"
    " GROUP BY day",
    "q17": f"SELECT auction, {_DAY} AS day, count(*), count(*) FILTER (price < 10000), min(price), max(price),"
    " sum(price)::BIGINT // count(*), sum(price)::BIGINT FROM bid GROUP BY auction, day",
    "q18": f"SELECT {_BID} FROM bid QUALIFY row_number() OVER"
    " (PARTITION BY bidder, auction ORDER BY dateTime DESC) = 1",
    "q19": f"SELECT {_BID}, row_number() OVER (PARTITION BY auction ORDER BY price DESC, dateTime) AS place FROM bid"
    " QUALIFY place <= 10",
    "q20": "SELECT B.auction, B.bidder, B.price, A.itemName, A.category FROM bid AS B JOIN auction AS A"
    " ON B.auction = A.id WHERE A.category = 10",
}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("query")
    parser.add_argument("inputs", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--rows", dest="kept", type=Path)
    options = parser.parse_args()
    start = time.process_time()
    database = duckdb.connect(config={"threads": 1})
    inputs = ("clicks", "stock") if options.query.startswith("Q") else ("nexmark",)
    for name in inputs:
        path = options.inputs / f"{name}-{options.rows}.json"
        if path.exists():
            database.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_json('{path}', format='newline_delimited',"
                f" columns={{{COLUMNS[name]}}})"
            )
    for view in VIEWS if "nexmark" in inputs else ():
        database.execute(view)
    database.execute(f"CREATE TABLE result_rows AS {SELECTS[options.query]}")
    used = time.process_time() - start
    if options.kept:
        with open(options.kept, "w") as file:
            for row in database.execute("SELECT * FROM result_rows").fetchall():
                file.write(json.dumps([_plain(each) for each in row], default=str) + "\n")
    print(json.dumps({"cpu_s": used, "peak_mb": peak_mb(), "start_s": start}))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return round(value.replace(tzinfo=UTC).timestamp() * 1000)
    return value


if __name__ == "__main__":
    main()
