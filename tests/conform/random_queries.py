"""Random cases: schemas, rows with NULLs, ties, late rows and updates, and queries over the supported subset.

Written from the SQL reference, without a look at our planner: what it makes, Flink plans. Everything is a function of
the seed. Rows have a unique `id`, which breaks ties where Flink's answer would depend on the order of equals.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.conform.flink import timestamp

Json = Any
EPOCH = 1767225600000  # 2026-01-01

COLUMNS = [
    "id INT",
    "k STRING",
    "g INT",
    "v INT",
    "l BIGINT",
    "d DOUBLE",
    "m DECIMAL(8,2)",
    "b BOOLEAN",
    "ts TIMESTAMP(3)",
]
INTS, NUMBERS = ("v", "g", "id"), ("v", "l", "m", "g")
TEXTS = ("a", "b", "c", "Ab", "", "long text")


class Drawn:
    """One random case being made."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.seed = seed
        self.tables: list[Json] = []
        self.views: list[str] = []
        self.next_id = 1

    # ------------------------------------------------------------ tables

    def table(self, name: str, *, keyed: bool = False, updates: bool = False) -> str:
        """A table of its own, plain, versioned by `k`, or a changelog by `id`."""
        chance = self.chance
        lateness = chance.choice((0, 1, 2000, 5000, 60_000))
        clock = EPOCH
        rows: list[list[Json]] = []
        for _ in range(chance.choice((0, 3, 8, 14, 20))):
            clock += chance.choice((0, 0, 500, 1000, 2500, 4000, 9000))
            late = chance.choice((0, 0, 0, 0, 1000, 3000, 12_000))
            rows.append(self.row(max(EPOCH + 1, clock - late)))
        wm = {0: "ts", 1: "ts - INTERVAL '0.001' SECOND"}.get(lateness, f"ts - INTERVAL '{lateness // 1000}' SECOND")
        made: Json = {"name": name, "columns": COLUMNS, "rows": rows, "watermark": wm}
        if keyed:
            made["primary_key"] = ["k"]
            made["columns"] = [each + " NOT NULL" if each == "k STRING" else each for each in COLUMNS]
            made["rows"] = [[row[0], row[1] or "a", *row[2:]] for row in rows]
        if updates:
            made |= {"primary_key": ["id"], "changelog_mode": "I,UB,UA,D", "rows": self.changes(rows)}
        self.tables.append(made)
        return name

    def row(self, ms: int) -> list[Json]:
        chance = self.chance
        self.next_id += 1
        null = 0.12
        cells: list[Json] = [
            chance.choice(TEXTS), chance.randint(0, 3), chance.randint(-5, 20), chance.choice((-7, 0, 3, 10, 2**40)),
            chance.choice((-1.5, 0.0, 0.25, 2.0, 10.75)), chance.choice(("1.10", "-2.35", "0.05", "100.00", "7.50")),
            chance.random() < 0.5,
        ]  # fmt: skip
        return [self.next_id, *[None if chance.random() < null else each for each in cells], timestamp(ms)]

    def changes(self, rows: list[list[Json]]) -> list[list[Json]]:
        """Inserts with updates and deletes of earlier rows between them."""
        live: dict[int, list[Json]] = {}
        made: list[list[Json]] = []
        for row in rows:
            made.append(["+I", *row])
            live[row[0]] = row
            if self.chance.random() < 0.5:
                old = live[self.chance.choice(list(live))]
                new = [old[0], *row[1:]]
                made += [["-U", *old], ["+U", *new]]
                live[old[0]] = new
            if self.chance.random() < 0.2:
                old = live.pop(self.chance.choice(list(live)))
                made.append(["-D", *old])
        return made

    # ------------------------------------------------------------ expressions

    def number(self, depth: int = 2) -> str:
        chance = self.chance
        if depth == 0 or chance.random() < 0.3:
            return chance.choice((*NUMBERS, *NUMBERS, str(chance.randint(0, 9)), "1.5", "d"))
        left, right = self.number(depth - 1), self.number(depth - 1)
        shape = chance.randint(0, 9)
        if shape < 4:
            return f"({left} {chance.choice('+-*')} {right})"
        return (
            f"({left} / {chance.choice(('2', '3', '7', '1.5', 'NULLIF(g, 0)'))})",
            f"MOD({chance.choice(INTS)}, {chance.choice(('2', '3', '-4'))})",
            f"CASE WHEN {self.condition(depth - 1)} THEN {left} ELSE {right} END",
            f"COALESCE({left}, {right})",
            f"ABS({left})",
            f"CHAR_LENGTH({self.text(depth - 1)})",
        )[shape - 4]

    def text(self, depth: int = 1) -> str:
        chance = self.chance
        if depth <= 0 or chance.random() < 0.3:
            return chance.choice(("k", "k", "'a'", "'x y'"))
        inner = self.text(depth - 1)
        return chance.choice(
            (f"UPPER({inner})", f"LOWER({inner})", f"SUBSTRING({inner}, 2)", f"({inner} || '-')",
             f"COALESCE({inner}, '?')",
             f"CONCAT_WS('/', {inner}, k)", f"CAST({chance.choice(('v', 'l', 'g', 'b', 'm'))} AS STRING)",
             f"REPLACE({inner}, 'a', 'bb')", f"TRIM({inner})", f"LPAD({inner}, 4, '.')", f"NULLIF({inner}, 'a')")
        )  # fmt: skip

    def condition(self, depth: int = 2) -> str:
        chance = self.chance
        if depth <= 0 or chance.random() < 0.4:
            return chance.choice(
                ("b", "v > 5", "g = 1", "k = 'a'", "k <> 'b'", "m < 5.0", "v IS NULL", "b IS NOT TRUE",
                 "k IN ('a', 'c')",
                 "v BETWEEN 0 AND 10", "g NOT IN (0, 2)", "k LIKE '%b%'", "l > v", "k IS NOT NULL", "d >= 0.25E0")
            )  # fmt: skip
        left, right = self.condition(depth - 1), self.condition(depth - 1)
        return chance.choice(
            (f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})", f"({left}) IS NOT FALSE",
             f"{self.number(1)} {chance.choice(('<', '>=', '=', '<>'))} {self.number(1)}")
        )  # fmt: skip

    def keys(self) -> list[str]:
        return self.chance.choice((["k"], ["g"], ["k", "g"], ["b"], [self.text(1)], ["MOD(v, 3)"]))

    def aggregate(self, *, windowed: bool = False) -> str:
        chance = self.chance
        call = chance.choice(
            ("COUNT(*)", "COUNT(v)", "SUM(v)", "SUM(l)", "SUM(m)", "AVG(v)", "AVG(m)", "MIN(v)", "MAX(m)",
             "MIN(k)", "MAX(k)",
             "COUNT(DISTINCT g)", "COUNT(DISTINCT k)", "SUM(DISTINCT v)",
             f"SUM(CASE WHEN {self.condition(1)} THEN 1 ELSE 0 END)",
             "MAX(ts)", "MIN(d)", f"MAX({self.number(1)})")
        )  # fmt: skip
        return f"{call} FILTER (WHERE {self.condition(1)})" if chance.random() < 0.2 else call

    def aggregates(self, most: int = 3) -> list[str]:
        return [self.aggregate() for _ in range(self.chance.randint(1, most))]

    # ------------------------------------------------------------ relations

    def base(self, name: str) -> str:
        """A table, or a view over it that keeps every column."""
        if self.chance.random() < 0.5:
            return name
        view = f"w{len(self.views)}"
        where = f" WHERE {self.condition(1)}" if self.chance.random() < 0.7 else ""
        v = self.chance.choice(("v", "v + 1", "COALESCE(v, 0)"))
        self.views.append(f"CREATE VIEW {view} AS SELECT id, k, g, {v} AS v, l, d, m, b, ts FROM {name}{where}")
        return view

    def united(self) -> str:
        """Two tables under one name."""
        view = f"w{len(self.views)}"
        left, right = self.table("t"), self.table("u")
        self.views.append(f"CREATE VIEW {view} AS SELECT * FROM {left} UNION ALL SELECT * FROM {right}")
        return view

    def window(self, source: str, keys: list[str]) -> str:
        size = self.chance.choice((2, 5, 10))
        return self.chance.choice(
            (f"TUMBLE(TABLE {source}, DESCRIPTOR(ts), INTERVAL '{size}' SECOND)",
             f"HOP(TABLE {source}, DESCRIPTOR(ts), INTERVAL '{size}' SECOND, INTERVAL '{size * 2}' SECOND)",
             f"CUMULATE(TABLE {source}, DESCRIPTOR(ts), INTERVAL '{size}' SECOND, INTERVAL '{size * 3}' SECOND)",
             f"SESSION(TABLE {source}{' PARTITION BY ' + ', '.join(keys) if keys else ''}, "
             f"DESCRIPTOR(ts), INTERVAL '{size}' SECOND)")
        )  # fmt: skip

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
        last = chance.choice((1, 2, 3))
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


SHAPES = (
    "select", "select", "group", "group", "windowed", "windowed", "windowed_twice", "over", "over", "nested",
    "joined", "joined",
    "semi", "interval", "temporal", "top", "dedup", "window_top", "sets",
)  # fmt: skip


def random_case(seed: int) -> Json:
    """A case without its answer, as a line of a case file."""
    drawn = Drawn(seed)
    shape = SHAPES[seed % len(SHAPES)]
    sql, kind = getattr(drawn, shape)()
    return {
        "id": f"random-{seed}", "area": f"random {shape}", "tables": drawn.tables,
        "sql": "; ".join([*drawn.views, sql]),
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
