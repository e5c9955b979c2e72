"""Types of expressions are Flink's: the list was asked of Flink 2.3.0 itself, expression by expression."""

from pathlib import Path

import pytest

from nextpaint.sql.plan import Call, Expr, Project
from nextpaint.sql.signatures import AGGREGATES, CANONICAL, FUNCTIONS, SPECIAL
from tests.sql.shop import findings, node, typed

GOLDEN = [
    line.rsplit(" => ", 1)
    for line in (Path(__file__).parent / "flink_types.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_every_expression_has_flinks_type_or_is_refused_as_flink_refuses_it():
    wrong = []
    for expression, expected in GOLDEN:
        text = f"CREATE VIEW q AS SELECT {expression} AS zz FROM t"
        found = "refused" if findings(text) else str(node(f"SELECT {expression} AS zz FROM t").schema.fields[0].type)
        if found != expected:
            wrong.append((expression, expected, found))
    assert not wrong
    assert len(GOLDEN) > 280


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("SUBSTR(s, 2)", "SUBSTRING(s, 2)"),
        ("SUBSTRING(s FROM 2 FOR 3)", "SUBSTRING(s, 2, 3)"),
        ("IFNULL(i, 0)", "COALESCE(i, 0)"),
        ("IF(bo, i, 0)", "CASE WHEN bo THEN i ELSE 0 END"),
        ("MOD(i, 2)", "(i % 2)"),
        ("NOW()", "CURRENT_TIMESTAMP()"),
        ("s NOT LIKE 'a%'", "NOT (s LIKE 'a%')"),
        ("i NOT BETWEEN 1 AND 3", "NOT ((i >= 1) AND (i <= 3))"),
        ("CASE i WHEN 1 THEN 'x' END", "CASE WHEN (i = 1) THEN 'x' ELSE CAST(NULL AS STRING) END"),
        ("LTRIM(s)", "TRIM(s, side => 'LEADING')"),
        ("BTRIM(s, 'x')", "TRIM(s, 'x', side => 'BOTH')"),
        ("TRIM(TRAILING 'x' FROM s)", "TRIM(s, 'x', side => 'TRAILING')"),
        ("YEAR(ts)", "EXTRACT(ts, unit => 'YEAR')"),
        ("CEILING(ts TO DAY)", "CEIL_TIME(ts, unit => 'DAY')"),
        ("TIMESTAMPDIFF(HOUR, ts, ts)", "TIMESTAMPDIFF(ts, ts, unit => 'HOUR')"),
        ("-i", "(-1 * i)"),
        ("- 1.5", "-1.5"),
        ("bo IS NOT TRUE", "NOT (bo IS TRUE)"),
        ("bo IS UNKNOWN", "(bo IS NULL)"),
        ("t.r.b.c", "r.b.c"),
        ("ra[1].x", "ra[1].x"),
        ("(r).b.c", "r.b.c"),
        ("((t.r).b).c", "r.b.c"),
        (r"U&'caf\00e9'", "'café'"),
        ("u&'caf!00e9!!' UESCAPE '!' || s", "('café!' || s)"),
        (r"U&'\d83d\de00'", "'😀'"),
        ("POSITION('a' IN s)", "POSITION('a', s)"),
        ("ts > '2024-01-02 03:04:05'", "(ts > TIMESTAMP '2024-01-02 03:04:05')"),
    ],
)
def test_synonyms_become_one_canonical_call(written, canonical):
    assert typed(written)[1] == canonical


def test_json_value_carries_its_clauses():
    root = node("SELECT JSON_VALUE(s, 'lax $.a' RETURNING INTEGER DEFAULT 7 ON EMPTY ERROR ON ERROR) AS v FROM t")
    assert isinstance(root, Project)
    call = root.exprs[0]
    assert isinstance(call, Call)
    assert dict(call.options) == {"path": "$.a", "strict": False, "on_empty": "DEFAULT", "on_error": "ERROR"}
    assert len(call.args) == 2
    plain = node("SELECT JSON_VALUE(s, '$.a') AS v FROM t")
    assert dict(plain.exprs[0].options) == {"path": "$.a", "strict": True, "on_empty": "NULL", "on_error": "NULL"}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("i + d", "(CAST(i AS DOUBLE) + d)"),
        ("d > 1.5", "(d > 1.5)"),
        ("i > 1.5", "(CAST(i AS DECIMAL(11, 1)) > 1.5)"),
        ("c * i", "(c * CAST(i AS DECIMAL(10, 0)))"),
        ("i + b", "(i + b)"),
        ("CASE WHEN bo THEN 1 ELSE d END", "CASE WHEN bo THEN 1.0 ELSE d END"),
        ("POWER(i, 2)", "POWER(CAST(i AS DOUBLE), 2.0)"),
    ],
)
def test_implicit_casts_are_written_out(written, canonical):
    assert typed(written)[1] == canonical


def test_plans_call_only_canonical_functions():
    for expression, expected in GOLDEN:
        if expected == "refused" or expression.split("(")[0] in AGGREGATES:
            continue
        root = node(f"SELECT {expression} AS zz FROM t")
        if isinstance(root, Project):
            assert names(root.exprs[0]) <= CANONICAL, expression
    assert {signature.name for signature in FUNCTIONS.values()} <= CANONICAL
    assert not set(SPECIAL) & set(FUNCTIONS)


def names(expr: Expr) -> set[str]:
    if not isinstance(expr, Call):
        return set()
    return {expr.function}.union(*(names(each) for each in expr.args))
