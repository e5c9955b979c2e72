"""Random cases: queries over the supported subset, over the tables and expressions of `random_rows`.

Written from the SQL reference, without a look at our planner: what it makes, Flink plans. Everything is a function of
the seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.conform.random_wider import ZONES, Wider

Json = Any


class Drawn(Wider):
    """One random case being made, of the shapes that need no further tables or functions."""

    # ------------------------------------------------------------ queries: (sql, expect_kind)

    def select(self) -> tuple[str, str]:
        source = self.base(self.table("t"))
        items = [
            self.chance.choice((self.number, self.text, self.condition))() for _ in range(self.chance.randint(1, 4))
        ]
        return f"SELECT id, {', '.join(items)} FROM {source} WHERE {self.condition()}", "append"

    def group(self) -> tuple[str, str]:
        two = self.chance.random() < 0.3
        source = self.united() if two else self.base(self.table("t", updates=self.chance.random() < 0.3))
        keys = self.keys() if self.chance.random() < 0.85 else []
        having = f" HAVING {self.chance.choice(('COUNT(*) > 1', 'COUNT(*) < 4', 'SUM(v) > 5', 'MAX(v) IS NOT NULL'))}"
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        tail += having if self.chance.random() < 0.3 else ""
        kind = "final" if two else self.chance.choice(("final", "changelog"))
        return f"SELECT {', '.join([*keys, *self.aggregates()])} FROM {source}{tail}", kind

    def windowed(self) -> tuple[str, str]:
        two = self.chance.random() < 0.15
        source = self.united() if two else self.base(self.table("t"))
        keys = self.chance.choice((["k"], ["g"], ["k", "g"], []))
        more = ["window_start", "window_end"]
        having = " HAVING COUNT(*) > 1" if self.chance.random() < 0.2 else ""
        return (
            f"SELECT {', '.join([*keys, *more, *self.aggregates()])} FROM {self.window(source, keys)} "
            f"GROUP BY {', '.join([*keys, *more])}{having}"
        ), "append"

    def windowed_twice(self) -> tuple[str, str]:
        source = self.base(self.table("t"))
        self.views.append(
            f"CREATE VIEW small AS SELECT k, window_time AS ts, COUNT(*) AS n, SUM(v) AS v FROM TUMBLE(TABLE {source}, "
            "DESCRIPTOR(ts), INTERVAL '2' SECOND) GROUP BY k, window_start, window_end, window_time"
        )
        return (
            f"SELECT k, window_start, window_end, SUM(n), MAX(v) FROM {self.window('small', ['k'])} "
            "GROUP BY k, window_start, window_end"
        ), "append"

    def over(self) -> tuple[str, str]:
        chance = self.chance
        source = self.base(self.table("t"))
        size = chance.choice((1, 3, 5))
        frame = chance.choice(
            ("", f"ROWS BETWEEN {size} PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
             f"RANGE BETWEEN INTERVAL '{size}' SECOND PRECEDING AND CURRENT ROW",
             "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW")
        )  # fmt: skip
        keys = chance.choice(("k", "g", "k, g", ""))
        part = f"PARTITION BY {keys} " if keys else ""
        calls = chance.sample(
            ("COUNT(*)", "SUM(v)", "SUM(m)", "MIN(v)", "MAX(l)", "AVG(v)", "COUNT(k)"), chance.randint(1, 3)
        )
        items = ", ".join(f"{call} OVER w" for call in calls)
        return f"SELECT id, {items} FROM {source} WINDOW w AS ({part}ORDER BY ts {frame})", "append"

    def nested(self) -> tuple[str, str]:
        source = self.base(self.table("t", updates=self.chance.random() < 0.3))
        inner = f"SELECT k, COUNT(*) AS n, SUM(v) AS s FROM {source} GROUP BY k"
        where = self.chance.choice(("", " WHERE n > 1", " WHERE s IS NOT NULL"))
        outer = self.chance.choice(("n, COUNT(*), SUM(s)", "n, MAX(s), MIN(k)", "n, COUNT(DISTINCT s), AVG(s)"))
        return f"SELECT {outer} FROM ({inner}){where} GROUP BY n", "final"

    def joined(self) -> tuple[str, str]:
        chance = self.chance
        left = self.base(self.table("t", updates=chance.random() < 0.3))
        right = self.base(self.table("u", updates=chance.random() < 0.3))
        how = chance.choice(("JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        more = chance.choice(("", "", " AND l.v < r.v", " AND r.g = l.g"))
        on = chance.choice(("l.k = r.k", "l.g = r.g", "l.g = r.g AND l.k = r.k"))
        body = f"FROM {left} AS l {how} {right} AS r ON {on}{more}"
        if chance.random() < 0.3:
            return f"SELECT l.k, COUNT(*), SUM(r.v), MAX(l.v) {body} GROUP BY l.k", "final"
        return f"SELECT l.id, l.k, r.id, r.m {body}", "final"

    def semi(self) -> tuple[str, str]:
        left, right = self.base(self.table("t")), self.base(self.table("u", updates=self.chance.random() < 0.3))
        test = self.chance.choice(
            (f"g IN (SELECT g FROM {right} WHERE g IS NOT NULL)",
             f"EXISTS (SELECT 1 FROM {right} AS r WHERE r.g = l.g AND r.v > l.v)",
             f"NOT EXISTS (SELECT 1 FROM {right} AS r WHERE r.k = l.k)")
        )  # fmt: skip
        return f"SELECT id, k, g FROM {left} AS l WHERE {test}", "final"

    def interval(self) -> tuple[str, str]:
        chance = self.chance
        for name in ("t", "u"):  # no late rows: an outer row's padding would depend on which input is read first
            self.table(name)
            self.tables[-1]["watermark"] = "ts - INTERVAL '2' MINUTE"
        how = chance.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        low, high = chance.choice((0, 2, 5)), chance.choice((0, 3, 6))
        on = f"l.g = r.g AND r.ts BETWEEN l.ts - INTERVAL '{low}' SECOND AND l.ts + INTERVAL '{high}' SECOND"
        return f"SELECT l.id, l.v, r.id, r.m FROM {self.base('t')} AS l {how} {self.base('u')} AS r ON {on}", "append"

    def temporal(self) -> tuple[str, str]:
        how = self.chance.choice(("JOIN", "LEFT JOIN"))
        self.table("t")
        self.table("u", keyed=True)
        for table in self.tables:
            table["watermark"] = "ts - INTERVAL '2' MINUTE"
        more = self.chance.choice(("", "", " AND u.v > 3"))
        return (
            f"SELECT t.id, t.k, u.id, u.v FROM t {how} u FOR SYSTEM_TIME AS OF t.ts ON t.k = u.k{more}"
        ), "append"  # fmt: skip

    def top(self) -> tuple[str, str]:
        chance = self.chance
        source = self.base(self.table("t", updates=chance.random() < 0.3))
        order = chance.choice(("v DESC, id", "m, id DESC", "l DESC, id", "k, v, id"))
        keys = chance.choice(("k", "g", ""))
        part = f"PARTITION BY {keys} " if keys else ""
        rank = ", rn" if chance.random() < 0.4 else ""
        last = chance.choice((1, 2, 3) if rank else (2, 3))  # of one row without its rank Flink forgets the -U
        return (
            f"SELECT id, k, v{rank} FROM (SELECT *, ROW_NUMBER() OVER ({part}ORDER BY {order}) AS rn FROM {source}) "
            f"WHERE rn <= {last}"
        ), "final"

    def dedup(self) -> tuple[str, str]:
        order = self.chance.choice(("ASC", "DESC"))
        keys = self.chance.choice(("k", "g", "k, g"))
        source = self.base(self.table("t"))
        return (
            f"SELECT id, k, g, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY ts "
            f"{order}) AS rn FROM {source}) "
            "WHERE rn = 1"
        ), "final"

    def window_top(self) -> tuple[str, str]:
        source = self.base(self.table("t"))
        kind = self.chance.choice(
            ("TUMBLE({}, INTERVAL '10' SECOND)", "HOP({}, INTERVAL '5' SECOND, INTERVAL '10' SECOND)")
        )
        window = kind.format(f"TABLE {source}, DESCRIPTOR(ts)")
        return (
            "SELECT id, k, window_start, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end"
            f"{self.chance.choice(('', ', k'))} ORDER BY v DESC, id) AS rn FROM {window}) WHERE rn <= "
            f"{self.chance.randint(1, 3)}"
        ), "append"

    def sets(self) -> tuple[str, str]:
        left, right = self.base(self.table("t")), self.base(self.table("u"))
        word = self.chance.choice(("UNION", "INTERSECT", "EXCEPT", "UNION ALL", "INTERSECT ALL", "EXCEPT ALL"))
        columns = self.chance.choice(("k", "g", "k, g", "k, b"))
        return f"SELECT {columns} FROM {left} {word} SELECT {columns} FROM {right}", "final"


PLAIN = (
    "select", "select", "group", "group", "windowed", "windowed", "windowed_twice", "over", "over", "nested",
    "joined", "joined",
    "semi", "interval", "temporal", "top", "dedup", "window_top", "sets",
)  # fmt: skip
WIDE = (
    "functions", "functions", "functions", "filtered", "unnest", "pattern", "pattern", "chain", "chain", "unioned",
    "several", "tested", "sets_of_groups", "window_joined", "window_of_updates", "older_window", "zoned_window",
    "window_last", "over_more", "over_value", "over_value", "versioned", "limited", "near_in_time",
)  # fmt: skip
SHAPES = PLAIN + WIDE
SEEDS_PER_ZONE = 500  # a job has one session zone


def random_case(seed: int, shapes: Sequence[str] = SHAPES) -> Json:
    """A case without its answer, as a line of a case file."""
    drawn = Drawn(seed)
    shape = shapes[seed % len(shapes)]
    sql, kind = getattr(drawn, shape)()
    zone = ZONES[seed // SEEDS_PER_ZONE % len(ZONES)]
    setting = [f"SET 'table.local-time-zone' = '{zone}'"] if zone != "UTC" else []
    return {
        "id": f"random-{seed}", "area": f"random {shape}", "tables": drawn.tables,
        "sql": "; ".join([*setting, *drawn.views, sql]),
        "expect_kind": kind,
    }  # fmt: skip


# ---------------------------------------------------------------- making a failure small


def smaller(value: Json) -> list[Json]:
    """The case with runs of rows left out: halves, quarters, then single rows. An update stays whole."""
    made: list[Json] = []
    for at, table in enumerate(value["tables"]):
        units = _units(table)
        size = max(1, len(units) // 2)
        while size >= 1 and units:
            for start in range(0, len(units), size):
                rows = [row for unit in units[:start] + units[start + size :] for row in unit]
                tables = [*value["tables"][:at], {**table, "rows": rows}, *value["tables"][at + 1 :]]
                made.append({**value, "tables": tables})
            if size == 1:
                break
            size //= 2
    return made


def _units(table: Json) -> list[list[list[Json]]]:
    """Rows that go together: all changes of one key, or one row."""
    if not table.get("changelog_mode"):
        return [[row] for row in table["rows"]]
    units: dict[str, list[list[Json]]] = {}
    for row in table["rows"]:
        units.setdefault(json.dumps(row[1]), []).append(row)
    return list(units.values())
