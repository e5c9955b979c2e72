"""The queries of `bench/sql.py`: one text for the node and for Flink (which adds its connectors to the tables).

Q1 to Q5 are over clicks and stock; q0 to q20 are Nexmark's of the same number (github.com/nexmark/nexmark), with
SESSION as a table function in q11 and plain columns instead of its computed event time.
"""

from __future__ import annotations

from dataclasses import dataclass

INPUT = "input"  # begins the name of a query that does nothing with its input


@dataclass(frozen=True)
class Query:
    """`columns`: of the result. `key`: of the result, if it is updated in place. `bar`: least ratio to PyFlink, 0 if
    only the median over queries has one. `sizes`: between which an event's cost is read. Without a `select` the input
    is only made durable."""

    name: str
    inputs: tuple[str, ...]
    columns: str
    select: str
    bar: float
    key: str = ""
    views: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, int]:
        """Farther apart for what is cheap, so that the events between outweigh the noise of a run."""
        return (200_000, 2_000_000) if self.name in ("Q1", "Q5", "q0", "q1", "q2") else (200_000, 1_000_000)

    def result(self) -> str:
        """The table of the result, without a connector."""
        key = f", PRIMARY KEY ({self.key}) NOT ENFORCED" if self.key else ""
        return f"CREATE TABLE result_rows ({self.columns}{key})"

    def insert(self) -> str:
        return f"INSERT INTO result_rows {self.select}"

    def input_only(self) -> Query:
        """What its input costs by itself."""
        return Query(f"{INPUT} {','.join(self.inputs)}", self.inputs, "", "", 0.0)

    @staticmethod
    def named(name: str) -> Query:
        """The query of this name; StopIteration if there is none."""
        return next(each for query in QUERIES for each in (query, query.input_only()) if each.name == name)


TABLES = {
    "clicks": "CREATE TABLE clicks (n BIGINT, ts TIMESTAMP(3), user_id STRING, item_id STRING, event_type STRING,"
    " category_id STRING, price DOUBLE, WATERMARK FOR ts AS ts - INTERVAL '30' SECOND)",
    "stock": "CREATE TABLE stock (item_id STRING, ts TIMESTAMP(3), stock INT, WATERMARK FOR ts AS ts,"
    " PRIMARY KEY (item_id) NOT ENFORCED)",
    "nexmark": "CREATE TABLE nexmark (event_type INT, person ROW<id BIGINT, name STRING, emailAddress STRING,"
    " creditCard STRING, city STRING, state STRING, `dateTime` TIMESTAMP(3), extra STRING>,"
    " auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,"
    " `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,"
    " bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3),"
    " extra STRING>, `dateTime` TIMESTAMP(3), WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND)",
}
VIEWS = {
    "person": "CREATE VIEW person AS SELECT person.id, person.name, person.emailAddress, person.creditCard,"
    " person.city, person.state, `dateTime`, person.extra FROM nexmark WHERE event_type = 0",
    "auction": "CREATE VIEW auction AS SELECT auction.id, auction.itemName, auction.description, auction.initialBid,"
    " auction.reserve, `dateTime`, auction.expires, auction.seller, auction.category, auction.extra FROM nexmark"
    " WHERE event_type = 1",
    "bid": "CREATE VIEW bid AS SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, `dateTime`, bid.extra"
    " FROM nexmark WHERE event_type = 2",
}

_BID = "auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), extra STRING"
_HOT = (
    "SELECT auction, COUNT(*) AS num, window_start, window_end FROM HOP(TABLE bid, DESCRIPTOR(`dateTime`),"
    " INTERVAL '2' SECOND, INTERVAL '10' SECOND) GROUP BY auction, window_start, window_end"
)


def _nexmark(number: int, columns: str, select: str, views: str = "bid", key: str = "") -> Query:
    return Query(f"q{number}", ("nexmark",), columns, select, 0.0, key, tuple(views.split()))


QUERIES = (
    Query("Q1", ("clicks",), "u STRING, v DOUBLE",
          "SELECT user_id, price * 0.9 + MOD(n, 1000) FROM clicks WHERE event_type = 'view'", 5.0),
    Query("Q2", ("clicks",), "u STRING, c STRING, n BIGINT",
          "SELECT user_id, category_id, COUNT(*) OVER (PARTITION BY user_id, category_id ORDER BY ts RANGE BETWEEN"
          " INTERVAL '5' MINUTE PRECEDING AND CURRENT ROW) FROM clicks WHERE event_type = 'view'", 10.0),
    Query("Q3", ("clicks",), "u STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT, v DOUBLE",
          "SELECT user_id, window_start, window_end, COUNT(*), SUM(price) FROM SESSION(TABLE clicks PARTITION BY"
          " user_id, DESCRIPTOR(ts), INTERVAL '30' MINUTE) GROUP BY user_id, window_start, window_end", 10.0),
    Query("Q4", ("clicks", "stock"), "u STRING, i STRING, s INT",
          "SELECT c.user_id, c.item_id, s.stock FROM clicks AS c LEFT JOIN stock FOR SYSTEM_TIME AS OF c.ts AS s"
          " ON c.item_id = s.item_id WHERE c.event_type = 'view'", 10.0),
    Query("Q5", ("clicks",), "e TIMESTAMP(3), c STRING, n BIGINT",
          "SELECT window_end, category_id, COUNT(*) FROM HOP(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' MINUTE,"
          " INTERVAL '5' MINUTE) GROUP BY window_start, window_end, category_id", 5.0),
    _nexmark(0, _BID, "SELECT auction, bidder, price, `dateTime`, extra FROM bid"),
    _nexmark(1, _BID.replace("price BIGINT", "price DECIMAL(23, 3)"),
             "SELECT auction, bidder, 0.908 * price, `dateTime`, extra FROM bid"),
    _nexmark(2, "auction BIGINT, price BIGINT", "SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0"),
    _nexmark(3, "name STRING, city STRING, state STRING, id BIGINT",
             "SELECT P.name, P.city, P.state, A.id FROM auction AS A INNER JOIN person AS P ON A.seller = P.id"
             " WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA')", "auction person"),
    _nexmark(4, "id BIGINT, final BIGINT",
             "SELECT Q.category, AVG(Q.final) FROM (SELECT MAX(B.price) AS final, A.category FROM auction A, bid B"
             " WHERE A.id = B.auction AND B.`dateTime` BETWEEN A.`dateTime` AND A.expires GROUP BY A.id, A.category) Q"
             " GROUP BY Q.category", "auction bid", "id"),
    _nexmark(5, "auction BIGINT, num BIGINT",
             f"SELECT AuctionBids.auction, AuctionBids.num FROM ({_HOT}) AS AuctionBids JOIN (SELECT MAX(num) AS maxn,"
             f" window_start, window_end FROM ({_HOT}) AS CountBids GROUP BY window_start, window_end) AS MaxBids"
             " ON AuctionBids.window_start = MaxBids.window_start AND AuctionBids.window_end = MaxBids.window_end"
             " AND AuctionBids.num >= MaxBids.maxn"),
    _nexmark(7, _BID,
             "SELECT B.auction, B.bidder, B.price, B.`dateTime`, B.extra FROM bid B JOIN (SELECT MAX(price) AS"
             " maxprice, window_end AS `dateTime` FROM TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)"
             " GROUP BY window_start, window_end) B1 ON B.price = B1.maxprice"
             " WHERE B.`dateTime` BETWEEN B1.`dateTime` - INTERVAL '10' SECOND AND B1.`dateTime`"),
    _nexmark(8, "id BIGINT, name STRING, stime TIMESTAMP(3)",
             "SELECT P.id, P.name, P.starttime FROM (SELECT id, name, window_start AS starttime, window_end AS endtime"
             " FROM TUMBLE(TABLE person, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)"
             " GROUP BY id, name, window_start, window_end) P JOIN (SELECT seller, window_start AS starttime,"
             " window_end AS endtime FROM TUMBLE(TABLE auction, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND)"
             " GROUP BY seller, window_start, window_end) A ON P.id = A.seller AND P.starttime = A.starttime"
             " AND P.endtime = A.endtime", "person auction"),
    _nexmark(11, "bidder BIGINT, bid_count BIGINT, starttime TIMESTAMP(3), endtime TIMESTAMP(3)",
             "SELECT bidder, COUNT(*), window_start, window_end FROM SESSION(TABLE bid PARTITION BY bidder,"
             " DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND) GROUP BY bidder, window_start, window_end"),
    _nexmark(15, "`day` STRING, total BIGINT, cheap BIGINT, middle BIGINT, dear BIGINT, bidders BIGINT,"
             " auctions BIGINT",
             "SELECT DATE_FORMAT(`dateTime`, 'yyyy-MM-dd'), COUNT(*), COUNT(*) FILTER (WHERE price < 10000),"
             " COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000), COUNT(*) FILTER (WHERE price >= 1000000),"
             " COUNT(DISTINCT bidder), COUNT(DISTINCT auction) FROM bid GROUP BY DATE_FORMAT(`dateTime`, 'yyyy-MM-dd')",
             key="`day`"),
    _nexmark(17, "auction BIGINT, `day` STRING, total BIGINT, cheap BIGINT, least BIGINT, most BIGINT, mean BIGINT,"
             " whole BIGINT",
             "SELECT auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd'), COUNT(*), COUNT(*) FILTER (WHERE price < 10000),"
             " MIN(price), MAX(price), AVG(price), SUM(price) FROM bid"
             " GROUP BY auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd')", key="auction, `day`"),
    _nexmark(18, f"{_BID}",
             "SELECT auction, bidder, price, `dateTime`, extra FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder,"
             " auction ORDER BY `dateTime` DESC) AS rank_number FROM bid) WHERE rank_number <= 1",
             key="auction, bidder"),
    _nexmark(19, f"{_BID}, rank_number BIGINT",
             "SELECT auction, bidder, price, `dateTime`, extra, rank_number FROM (SELECT *, ROW_NUMBER() OVER"
             " (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) WHERE rank_number <= 10",
             key="auction, rank_number"),
    _nexmark(20, "auction BIGINT, bidder BIGINT, price BIGINT, itemName STRING, category BIGINT",
             "SELECT B.auction, B.bidder, B.price, A.itemName, A.category FROM bid AS B INNER JOIN auction AS A"
             " ON B.auction = A.id WHERE A.category = 10", "auction bid"),
)  # fmt: skip
