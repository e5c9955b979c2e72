"""Differential test against DuckDB, where its functions mean the same as Flink's."""

from decimal import Decimal

import duckdb
import numpy as np
import pytest

from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record.columns import Column
from nextpaint.record.types import BIGINT, BOOLEAN, DATE, DOUBLE, INT, STRING, TIMESTAMP, decimal
from nextpaint.sql.plan import Call, ColumnRef, Literal

ROWS = 400
DEC = decimal(10, 2)
TYPES = {
    "i": INT,
    "j": INT,
    "d": DOUBLE,
    "e": DOUBLE,
    "s": STRING,
    "u": STRING,
    "t": TIMESTAMP,
    "v": TIMESTAMP,
    "n": DEC,
}
A, B, D, E, S, U, T, V, N = (ColumnRef(kind, index, name) for index, (name, kind) in enumerate(TYPES.items()))


def lit(value):
    return Literal({int: INT, str: STRING, float: DOUBLE}[type(value)], value)


def call(type_, function, *arguments, **options):
    return Call(
        type_,
        function,
        tuple(lit(a) if isinstance(a, int | str | float) else a for a in arguments),
        tuple(options.items()),
    )


@pytest.fixture(scope="module")
def data():
    chance = np.random.Generator(np.random.PCG64(11))
    words = ["", "a", "view", "Cart", "a,b,c", "x=1&y=2", "héllo", "  pad ", "AbcAbc", "zz top", "100%"]
    lines = []
    for _ in range(ROWS):
        line = [
            int(chance.integers(-50, 50)),
            int(chance.integers(-9, 10)),
            float(chance.choice([0.0, 2.5, -2.5, 1e6, 0.125, -7.75, 3.0])),
            float(chance.uniform(0.01, 50)),
            str(chance.choice(words)),
            str(chance.choice(words)),
            int(chance.integers(-(10**12), 2 * 10**12)),
            int(chance.integers(-(10**12), 2 * 10**12)),
            Decimal(int(chance.integers(-(10**6), 10**6))) / 100,
        ]
        lines.append([None if chance.random() < 0.15 else cell for cell in line])
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE r (k INT, i INT, j INT, d DOUBLE, e DOUBLE, s VARCHAR, u VARCHAR,"
        " tm BIGINT, vm BIGINT, n DECIMAL(10,2))"
    )
    connection.executemany(
        "INSERT INTO r VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [[k, *line] for k, line in enumerate(lines)]
    )
    connection.execute("CREATE VIEW x AS SELECT *, epoch_ms(tm) AS t, epoch_ms(vm) AS v FROM r")
    columns = tuple(
        Column.of(
            kind,
            [
                line[index] if kind is not DEC or line[index] is None else line[index].quantize(Decimal("0.01"))
                for line in lines
            ],
        )
        for index, kind in enumerate(TYPES.values())
    )
    return connection, columns


CASES = [
    (call(INT, "+", A, B), "i + j"),
    (call(INT, "/", A, call(INT, "NULLIF", B, 0)), "i // nullif(j, 0)"),
    (call(INT, "%", A, call(INT, "NULLIF", B, 0)), "i % nullif(j, 0)"),
    (call(DOUBLE, "*", D, E), "d * e"),
    (call(DOUBLE, "/", D, E), "d / e"),
    (call(DOUBLE, "-", D, A), "d - i"),
    (call(decimal(11, 2), "+", N, N), "n + n"),
    (call(decimal(20, 4), "*", N, N), "n * n"),
    (call(DEC, "ABS", N), "abs(n)"),
    (call(decimal(9, 0), "FLOOR", N), "floor(n)::DECIMAL(9, 0)"),
    (call(decimal(10, 1), "ROUND", N, 1), "round(n, 1)::DECIMAL(10, 1)"),
    (call(INT, "ABS", A), "abs(i)"),
    (call(DOUBLE, "ROUND", D), "round(d)"),
    (call(DOUBLE, "FLOOR", D), "floor(d)"),
    (call(DOUBLE, "CEIL", D), "ceil(d)"),
    (call(DOUBLE, "TRUNCATE", D), "trunc(d)"),
    (call(DOUBLE, "SQRT", E), "sqrt(e)"),
    (call(BOOLEAN, "<", A, B), "i < j"),
    (call(BOOLEAN, ">=", D, A), "d >= i"),
    (call(BOOLEAN, "=", S, U), "s = u"),
    (call(BOOLEAN, "<", S, U), "s < u"),
    (call(BOOLEAN, ">", N, 5), "n > 5"),
    (call(BOOLEAN, "IN", S, "a", "view", U), "s IN ('a', 'view', u)"),
    (call(BOOLEAN, "IN", A, 1, 2, B), "i IN (1, 2, j)"),
    (call(BOOLEAN, "BETWEEN", A, B, 10), "i BETWEEN j AND 10"),
    (call(BOOLEAN, "IS DISTINCT FROM", A, B), "i IS DISTINCT FROM j"),
    (
        call(
            BOOLEAN,
            "OR",
            call(BOOLEAN, ">", A, 0),
            call(BOOLEAN, "AND", call(BOOLEAN, "<", B, 0), call(BOOLEAN, ">", D, 0)),
        ),
        "i > 0 OR (j < 0 AND d > 0)",
    ),
    (
        call(STRING, "CASE", call(BOOLEAN, ">", A, 0), S, call(BOOLEAN, "IS NULL", B), "none", U),
        "CASE WHEN i > 0 THEN s WHEN j IS NULL THEN 'none' ELSE u END",
    ),
    (call(STRING, "COALESCE", S, U, "?"), "coalesce(s, u, '?')"),
    (call(STRING, "||", S, U), "s || u"),
    (call(STRING, "CONCAT_WS", "-", S, U), "concat_ws('-', s, u)"),
    (call(STRING, "UPPER", S), "upper(s)"),
    (call(INT, "CHAR_LENGTH", S), "length(s)"),
    (call(STRING, "REPLACE", S, "a", U), "replace(s, 'a', u)"),
    (call(STRING, "SUBSTRING", S, 2, 3), "substring(s, 2, 3)"),
    (call(STRING, "TRIM", S), "trim(s)"),
    (call(INT, "POSITION", "b", S), "position('b' IN s)"),
    (call(BOOLEAN, "LIKE", S, "%a_"), "s LIKE '%a_'"),
    (call(BOOLEAN, "LIKE", S, "%!%", escape="!"), "s LIKE '%!%' ESCAPE '!'"),
    (call(BOOLEAN, "STARTSWITH", S, "a"), "starts_with(s, 'a')"),
    (call(STRING, "MD5", S), "md5(s)"),
    (call(STRING, "SHA256", S), "sha256(s)"),
    (call(STRING, "REVERSE", U), "reverse(u)"),
    (call(STRING, "CAST", A), "i::VARCHAR"),
    (call(STRING, "CAST", N), "n::VARCHAR"),
    (call(DOUBLE, "CAST", N), "n::DOUBLE"),
    (call(BIGINT, "EXTRACT", T, unit="YEAR"), "year(t)"),
    (call(BIGINT, "EXTRACT", T, unit="WEEK"), "weekofyear(t)"),
    (call(BIGINT, "EXTRACT", T, unit="ISOYEAR"), "isoyear(t)"),
    (call(BIGINT, "EXTRACT", T, unit="DOY"), "dayofyear(t)"),
    (call(BIGINT, "EXTRACT", T, unit="DOW"), "dayofweek(t) + 1"),
    (call(BIGINT, "EXTRACT", T, unit="QUARTER"), "quarter(t)"),
    (call(TIMESTAMP, "FLOOR_TIME", T, unit="MONTH"), "epoch_ms(date_trunc('month', t)::TIMESTAMP)"),
    (call(TIMESTAMP, "FLOOR_TIME", T, unit="HOUR"), "epoch_ms(date_trunc('hour', t))"),
    (call(TIMESTAMP, "TIMESTAMPADD", A, T, unit="MONTH"), "epoch_ms(t + to_months(i))"),
    (call(INT, "TIMESTAMPDIFF", T, V, unit="HOUR"), "datesub('hour', t, v)"),
    (call(DATE, "CAST", T), "(t::DATE - DATE '1970-01-01')"),
]


@pytest.mark.parametrize(("expr", "sql"), CASES, ids=[sql for _, sql in CASES])
def test_equals_duckdb(data, expr, sql):
    connection, columns = data
    ev = Evaluation(columns, ROWS)
    found = compile_expr(expr)(ev).to_list()
    expected = [row[0] for row in connection.execute(f"SELECT {sql} FROM x ORDER BY k").fetchall()]
    assert not ev.failures.rows
    assert len(set(map(repr, found))) > 2 or expr.type is BOOLEAN
    assert list(map(repr, found)) == list(map(repr, expected))
