"""Random cases of wider shapes: functions, collections, patterns, chains of updates, several joins, windows of updates.

Each method is a shape: it gives (SQL, expect_kind). Functions are those whose meaning does not differ on purpose
(docs/sql.md lists those that do).
"""

from __future__ import annotations

from pathlib import Path

from tests.conform.random_rows import Rows

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def _calls() -> dict[str, list[str]]:
    """The templates of random_calls.txt by section."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in Path(__file__).with_name("random_calls.txt").read_text("utf-8").splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif not line.startswith("#"):
            found.setdefault(section, []).append(line)
    return found


CALLS = _calls()


class Wider(Rows):
    """Shapes beyond the plain ones."""

    # ------------------------------------------------------------ functions

    def filled(self, template: str, depth: int = 1) -> str:
        """A call with its holes filled: t text, i integer, m DECIMAL, c condition, n a small constant."""
        made = ""
        for part in template.replace("{{", "\0").replace("}}", "\1").split("{"):
            if part[1:2] != "}":
                made += part
                continue
            made += self.hole(part[0], depth) + part[2:]
        return made.replace("\0", "{").replace("\1", "}")

    def hole(self, what: str, depth: int) -> str:
        chance = self.chance
        deeper = depth > 0 and chance.random() < 0.4
        match what:
            case "n":
                return str(chance.randint(0, 3))
            case "c":
                return self.condition(depth)
            case "t":
                return (
                    self.filled(chance.choice(CALLS["text"]), depth - 1)
                    if deeper
                    else chance.choice(("k", "k", "'Abc a'"))
                )
            case "i":
                return (
                    self.filled(chance.choice(CALLS["integer"]), depth - 1)
                    if deeper
                    else chance.choice(("v", "g", "id"))
                )
        return chance.choice(("m", "m", "m", "2.50", "(m + 1)"))

    def functions(self) -> tuple[str, str]:
        calls = [call for section in CALLS.values() for call in section]
        items = [self.filled(self.chance.choice(calls)) for _ in range(self.chance.randint(3, 6))]
        return f"SELECT id, {', '.join(items)} FROM {self.table('t')}", "append"

    def filtered(self) -> tuple[str, str]:
        """Functions where they decide: in WHERE, in a key, in an aggregate."""
        source = self.base(self.table("t", updates=self.chance.random() < 0.3))
        key = self.filled(self.chance.choice([*CALLS["text"][:20], *CALLS["integer"]]))
        inner = self.filled(self.chance.choice(CALLS["integer"]))
        where = f" WHERE {self.filled('{i}')} {self.chance.choice(('<', '>=', '<>'))} {self.chance.randint(0, 5)}"
        return f"SELECT {key}, COUNT({inner}), MAX({inner}) FROM {source}{where} GROUP BY {key}", "final"

    # ------------------------------------------------------------ rows made from rows

    def unnest(self) -> tuple[str, str]:
        chance = self.chance
        source = self.base(self.table("t", updates=chance.random() < 0.3))
        made = chance.choice(
            (
                "ARRAY[v, g]",
                "ARRAY_DISTINCT(ARRAY[v, g, v])",
                "CASE WHEN g = 1 THEN CAST(NULL AS ARRAY<INT>) ELSE ARRAY[v] END",
                "ARRAY[g, id, v]",
            )
        )
        join, on = chance.choice((("CROSS JOIN", ""), ("LEFT JOIN", " ON TRUE")))
        what, columns = chance.choice((("UNNEST(xs)", "u (x)"), ("UNNEST(xs) WITH ORDINALITY", "u (x, n)")))
        if chance.random() < 0.25:
            made, what, columns = "MAP['a', v, 'b', g]", "UNNEST(xs)", "u (y, x)"
        self.views.append(f"CREATE VIEW lists AS SELECT id, k, g, {made} AS xs FROM {source}")
        body = f"FROM lists {join} {what} AS {columns}{on}"
        if chance.random() < 0.5:
            return f"SELECT x, COUNT(*), MIN(k) {body} GROUP BY x", "final"
        return f"SELECT id, k, x {body}{' WHERE x > 1' if not on else ''}", "final"

    def pattern(self) -> tuple[str, str]:
        chance = self.chance
        self.table("t")
        self.tables[-1]["rows"] = [
            [*row[:3], row[3] if row[3] is not None else 1, *row[4:]] for row in self.tables[-1]["rows"]
        ]
        shape = chance.choice(("A B", "A B+ C", "A B* C", "A B? C", "A{2} B", "A B+? C", "A B{1,2} C", "A+ B"))
        within = chance.choice(("", " WITHIN INTERVAL '10' SECOND", " WITHIN INTERVAL '4' SECOND"))
        skip = chance.choice(
            (
                "PAST LAST ROW",
                "TO NEXT ROW",
                "PAST LAST ROW",
                "TO LAST B" if "B?" not in shape and "*" not in shape else "TO NEXT ROW",
            )
        )
        b = chance.choice(
            ("B.v > 3", "B.v >= LAST(A.v)", "B.v > LAST(B.v, 1) OR LAST(B.v, 1) IS NULL", "B.g <> A.g", "SUM(B.v) < 20")
        )
        a = chance.choice(("TRUE", "A.v > 2", "A.k IS NOT NULL"))
        c = chance.choice(("C.v < 5", "C.v > FIRST(A.v)", "C.v + A.v > 8"))
        defined = f"A AS {a}, B AS {b}" + (f", C AS {c}" if "C" in shape else "")
        part = chance.choice(("PARTITION BY k ", "PARTITION BY g ", ""))
        last = "C" if "C" in shape else "B"
        return (
            f"SELECT * FROM t MATCH_RECOGNIZE ({part}ORDER BY ts, id MEASURES FIRST(A.id) AS first_id, "
            f"{last}.id AS last_id, "
            f"LAST(B.v) AS bv, COUNT(B.id) AS n, SUM(A.v) AS s, MATCH_ROWTIME() AS mt ONE ROW PER MATCH AFTER "
            f"MATCH SKIP {skip} "
            f"PATTERN ({shape}){within} DEFINE {defined})"
        ), "append"  # fmt: skip

    # ------------------------------------------------------------ chains of updates

    def counted(self, name: str, source: str) -> str:
        """A view of groups that are updated: k, n, s."""
        having = self.chance.choice(("", "", " HAVING COUNT(*) > 1", " HAVING SUM(v) > 0"))
        more = self.chance.choice(("SUM(v)", "MAX(v)", "COUNT(DISTINCT g)", "AVG(v)", "LAST_VALUE(id)"))
        self.views.append(
            f"CREATE VIEW {name} AS SELECT k, COUNT(*) AS n, {more} AS s FROM {source} GROUP BY k{having}"
        )
        return name

    def chain(self) -> tuple[str, str]:
        """Groups joined with groups or rows, then grouped or ranked again."""
        chance = self.chance
        left = self.counted("ones", self.base(self.table("t", updates=chance.random() < 0.4)))
        if chance.random() < 0.5:
            right = self.counted("others", self.base(self.table("u")))
            row = "r.s"
        else:
            right, row = self.base(self.table("u", updates=chance.random() < 0.4)), "r.v"
        how = chance.choice(("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"))
        body = f"FROM {left} AS l {how} {right} AS r ON l.k = r.k"
        shape = chance.randint(0, 3)
        if shape == 0:
            return f"SELECT l.n, COUNT(*), SUM(CAST({row} AS BIGINT)) {body} GROUP BY l.n", "final"
        if shape == 1:
            return (
                "SELECT k, n, x FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY n ORDER BY x DESC, k, i) AS rn FROM "
                f"(SELECT l.k AS k, l.n AS n, {row} AS x, {'r.id' if row == 'r.v' else 'r.n'} AS i {body})) "
                f"WHERE rn <= 2"
            ), "final"
        if shape == 2:
            return f"SELECT DISTINCT l.n, {row} {body}", "final"
        return f"SELECT l.k, l.n, l.s, {row} {body} WHERE l.n IS NULL OR l.n < 4", "final"

    def unioned(self) -> tuple[str, str]:
        """Groups of two tables under one name, grouped again."""
        left = self.counted("ones", self.base(self.table("t", updates=self.chance.random() < 0.5)))
        right = self.counted("others", self.base(self.table("u")))
        word = self.chance.choice(("UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT"))
        inner = f"SELECT k, n FROM {left} {word} SELECT k, n FROM {right}"
        return self.chance.choice((inner, f"SELECT n, COUNT(*), MIN(k) FROM ({inner}) GROUP BY n")), "final"

    def several(self) -> tuple[str, str]:
        """Three tables joined, inner and outer mixed, with an IN at the end."""
        chance = self.chance
        names = [self.base(self.table(name, updates=chance.random() < 0.25)) for name in ("t", "u", "w")]
        hows = [chance.choice(("JOIN", "LEFT JOIN", "JOIN", "FULL JOIN")) for _ in range(2)]
        second = chance.choice(("a.g = c.g", "b.g = c.g", "a.g = c.g AND c.v > b.v"))
        where = chance.choice(
            ("", " WHERE a.v > 0", f" WHERE a.k IN (SELECT k FROM {names[2]} WHERE v > 3)", " WHERE b.id IS NULL")
        )
        return (
            f"SELECT a.id, b.id, c.id, a.k FROM {names[0]} AS a {hows[0]} {names[1]} AS b ON a.k = b.k "
            f"{hows[1]} {names[2]} AS c ON {second}{where}"
        ), "final"

    def tested(self) -> tuple[str, str]:
        """IN, NOT IN and EXISTS, with NULLs and over groups."""
        left = self.base(self.table("t", updates=self.chance.random() < 0.3))
        right = self.base(self.table("u", updates=self.chance.random() < 0.3))
        test = self.chance.choice(
            (f"g NOT IN (SELECT g FROM {right} WHERE v > 5)", f"k IN (SELECT k FROM {right} GROUP BY k HAVING "
            f"COUNT(*) > 1)",
             f"(k, g) IN (SELECT k, g FROM {right})", f"EXISTS (SELECT 1 FROM {right} AS r WHERE r.k = l.k AND "
             f"r.g > l.g)",
             f"NOT EXISTS (SELECT 1 FROM {right} AS r WHERE r.g = l.g AND r.v < l.v)")
        )  # fmt: skip
        return f"SELECT id, k, g, v FROM {left} AS l WHERE {test}", "final"

    def sets_of_groups(self) -> tuple[str, str]:
        source = self.base(self.table("t", updates=self.chance.random() < 0.3))
        by = self.chance.choice(
            ("ROLLUP (k, g)", "CUBE (k, g)", "GROUPING SETS ((k), (g), ())", "GROUPING SETS ((k, g), (b))")
        )
        keys = "k, g" if "b" not in by.replace("CUBE", "") else "k, g, b"
        grouping = ", GROUPING(k)" if self.chance.random() < 0.5 else ""
        return f"SELECT {keys}{grouping}, {', '.join(self.aggregates(2))} FROM {source} GROUP BY {by}", "final"

    # ------------------------------------------------------------ windows

    def window_joined(self) -> tuple[str, str]:
        chance = self.chance
        for name in ("t", "u"):  # as for interval joins: late rows depend on which input is read first
            self.table(name)
            self.tables[-1]["watermark"] = "ts - INTERVAL '2' MINUTE"
        window = chance.choice(
            ("TUMBLE(TABLE {}, DESCRIPTOR(ts), INTERVAL '5' SECOND)",
             "HOP(TABLE {}, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)",
             "CUMULATE(TABLE {}, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)")
        )  # fmt: skip
        left, right = (f"(SELECT * FROM {window.format(self.base(name))})" for name in ("t", "u"))
        same = "l.window_start = r.window_start AND l.window_end = r.window_end"
        if chance.random() < 0.3:
            word = chance.choice(("EXISTS", "NOT EXISTS"))
            return (
                f"SELECT id, window_start FROM {left} AS l WHERE {word} (SELECT 1 FROM {right} AS r WHERE l.g = "
                f"r.g AND {same})",
                "append",
            )
        how = chance.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        more = chance.choice(("", " AND l.v < r.v"))
        return (
            f"SELECT l.id, r.id, COALESCE(l.window_start, r.window_start) FROM {left} AS l {how} {right} AS r "
            f"ON l.g = r.g AND {same}{more}"
        ), "append"

    def window_of_updates(self) -> tuple[str, str]:
        source = self.base(self.table("t", updates=True))
        keys = self.chance.choice((["k"], ["g"], []))
        window = self.window(source, keys)
        while window.startswith("SESSION"):
            window = self.window(source, keys)
        calls = self.aggregates()
        return (
            f"SELECT {', '.join([*keys, 'window_start', 'window_end', *calls])} FROM {window} "
            f"GROUP BY {', '.join([*keys, 'window_start', 'window_end'])}"
        ), "append"

    def older_window(self) -> tuple[str, str]:
        chance = self.chance
        source = self.base(self.table("t"))
        keys = chance.choice((["k"], ["g"], ["k", "g"], []))
        function, args = chance.choice(
            (
                ("TUMBLE", "ts, INTERVAL '5' SECOND"),
                ("HOP", "ts, INTERVAL '2' SECOND, INTERVAL '6' SECOND"),
                ("SESSION", "ts, INTERVAL '3' SECOND"),
            )
        )
        items = [*keys, f"{function}_START({args})", f"{function}_END({args})", *self.aggregates()]
        return f"SELECT {', '.join(items)} FROM {source} GROUP BY {', '.join([*keys, f'{function}({args})'])}", "append"

    def zoned_window(self) -> tuple[str, str]:
        """Windows over instants, in the session's zone."""
        chance = self.chance
        self.table("t")
        table = self.tables[-1]
        table["columns"] = [each.replace("ts TIMESTAMP(3)", "ts TIMESTAMP_LTZ(3)") for each in table["columns"]]
        keys = chance.choice((["k"], []))
        calls = chance.choice(("COUNT(*), SUM(v)", "COUNT(*), MAX(m)", "COUNT(DISTINCT g)"))
        body = [*keys, "window_start", "window_end"]
        return f"SELECT {', '.join([*body, calls])} FROM {self.window('t', keys)} GROUP BY {', '.join(body)}", "append"

    def window_last(self) -> tuple[str, str]:
        """The first or last row of a key within a window."""
        source = self.base(self.table("t"))
        order = self.chance.choice(("ASC", "DESC"))
        return (
            "SELECT id, k, window_start FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, "
            "window_end, k ORDER BY ts "
            f"{order}) AS rn FROM TUMBLE(TABLE {source}, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE rn = 1"
        ), "append"

    # ------------------------------------------------------------ over, versions, order

    def over_value(self) -> tuple[str, str]:
        """OVER in the order of a value. Every row has its own `id`, and no call is DISTINCT: Flink takes back
        too many of equal rows, and counts a value twice over rows that are updated."""
        chance = self.chance
        source = self.base(self.table("t", updates=chance.random() < 0.4))
        if chance.random() < 0.2:
            columns = "MIN(id) AS id, k, MAX(g) AS g, SUM(v) AS v, MAX(m) AS m, COUNT(*) AS l"
            source = f"(SELECT {columns} FROM {source} GROUP BY k)"
        frame = chance.choice(("", "", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"))
        order = chance.choice(("v", "l", "m", "k", "g", "v * -1", "v NULLS LAST", "MOD(v, 3)"))
        keys = chance.choice(("k", "g", "k, g", ""))
        part = f"PARTITION BY {keys} " if keys else ""
        choices = ["COUNT(*)", "SUM(v)", "SUM(m)", "MIN(v)", "MAX(l)", "AVG(v)", "COUNT(k)"]
        calls = chance.sample(choices if frame else [*choices, "RANK()", "DENSE_RANK()"], chance.randint(1, 3))
        items = ", ".join(f"{call} OVER w" for call in calls)
        more = f"{part}ORDER BY {order}"
        if chance.random() < 0.2:
            return f"SELECT id, v, ROW_NUMBER() OVER ({more}) FROM {source}", "changelog"
        return f"SELECT id, v, {items} FROM {source} WINDOW w AS ({more} {frame})", chance.choice(
            ("final", "changelog")
        )

    def over_more(self) -> tuple[str, str]:
        chance = self.chance
        source = self.base(self.table("t"))
        frame = chance.choice(
            ("", "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
             "RANGE BETWEEN INTERVAL '4' SECOND PRECEDING AND CURRENT ROW")
        )  # fmt: skip
        calls = chance.sample(
            ("COUNT(DISTINCT g)", "FIRST_VALUE(v)", "LAST_VALUE(k)", "MAX(k)", "SUM(DISTINCT v)", "MIN(m)", "AVG(d)",
             "VAR_SAMP(d)", "STDDEV_POP(d)", "MAX(ts)"), 3
        )  # fmt: skip
        if frame == "" and chance.random() < 0.5:
            calls = ["LAG(v)", "LAG(k, 2)", "LAG(id, 1, -1)"][: chance.randint(1, 3)]
        part = chance.choice(("PARTITION BY k ", "PARTITION BY g ", ""))
        return (
            f"SELECT id, {', '.join(f'{call} OVER w' for call in calls)} FROM {source} WINDOW w AS ({part}ORDER "
            f"BY ts {frame})",
            "append",
        )

    def versioned(self) -> tuple[str, str]:
        """A temporal join with the last rows of a stream as versions."""
        self.table("t")
        self.table("u")
        for table in self.tables:
            table["watermark"] = "ts - INTERVAL '2' MINUTE"
        self.views.append(
            "CREATE VIEW versions AS SELECT id, k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k "
            "ORDER BY ts DESC) "
            "AS rn FROM u WHERE k IS NOT NULL) WHERE rn = 1"
        )
        how = self.chance.choice(("JOIN", "LEFT JOIN"))
        return f"SELECT t.id, r.id, r.v FROM t {how} versions FOR SYSTEM_TIME AS OF t.ts AS r ON t.k = r.k", "append"

    def limited(self) -> tuple[str, str]:
        source = self.base(self.table("t", updates=self.chance.random() < 0.3))
        order = self.chance.choice(("v DESC, id", "k, id", "m, id DESC", "d DESC, k, id"))
        return f"SELECT id, k, v FROM {source} ORDER BY {order} LIMIT {self.chance.randint(1, 4)}", "final"

    def near_in_time(self) -> tuple[str, str]:
        """Interval joins: semi and anti, more conditions, then grouped per window."""
        chance = self.chance
        for name in ("t", "u"):
            self.table(name)
            self.tables[-1]["watermark"] = "ts - INTERVAL '2' MINUTE"
        left, right = self.base("t"), self.base("u")
        low, high = chance.choice((0, 2)), chance.choice((1, 4))
        near = f"r.ts BETWEEN l.ts - INTERVAL '{low}' SECOND AND l.ts + INTERVAL '{high}' SECOND"
        if chance.random() < 0.4:
            strict = f"r.ts > l.ts - INTERVAL '{high}' SECOND AND r.ts < l.ts + INTERVAL '{high}' SECOND"
            strict += " AND r.v <> l.v"
            return f"SELECT l.id, r.id, l.k FROM {left} AS l JOIN {right} AS r ON l.g = r.g AND {strict}", "append"
        self.views.append(
            f"CREATE VIEW pairs AS SELECT l.id AS id, r.v AS v, l.ts AS ts FROM {left} AS l JOIN {right} AS r "
            f"ON l.g = r.g AND {near}"
        )
        return (
            "SELECT window_start, COUNT(*), SUM(v) FROM TUMBLE(TABLE pairs, DESCRIPTOR(ts), INTERVAL '10' SECOND) "
            "GROUP BY window_start, window_end"
        ), "append"
