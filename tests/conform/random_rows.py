"""Random tables and expressions, from which `random_queries` and `random_wider` make cases.

Schemas, rows with NULLs, ties, late rows and updates. Everything is a function of the seed. Rows have a unique `id`,
which breaks ties where Flink's answer would depend on the order of equals.
"""

from __future__ import annotations

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


class Rows:
    """One random case being made: its tables, its views, and what expressions are made of."""

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
                if new != old:  # a table by key says nothing of an update that changes nothing, a file of changes does
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
