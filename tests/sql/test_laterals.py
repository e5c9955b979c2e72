"""LATERAL (query): the joins and rankings that it stands for."""

import re

import pytest

from nextpaint.record.errors import ApplicationError
from nextpaint.sql.describe import describe
from nextpaint.sql.planner import plan_query
from tests.sql.shop import plan, program


def shape(text):
    """A plan without the names of columns that only a tie needs."""
    return re.sub(r"lateral\$\d+|k AS k\b", "k", text).replace("k AS k", "k")


@pytest.mark.parametrize(
    ("lateral", "join"),
    [
        ("plain, LATERAL (SELECT x FROM item WHERE item.k = plain.k) AS e", "plain JOIN item AS e ON e.k = plain.k"),
        (
            "plain LEFT JOIN LATERAL (SELECT x FROM item WHERE item.k = plain.k) AS e ON e.x > plain.x",
            "plain LEFT JOIN item AS e ON e.k = plain.k AND e.x > plain.x",
        ),
        (
            "plain, LATERAL (SELECT x FROM item WHERE item.k = plain.k AND x > 1) AS e",
            "plain JOIN (SELECT * FROM item WHERE x > 1) AS e ON e.k = plain.k",
        ),
        (
            "plain CROSS JOIN LATERAL (SELECT MAX(x) AS x FROM item WHERE plain.k = item.k) AS e",
            "plain JOIN (SELECT MAX(x) AS x, k FROM item GROUP BY k) AS e ON plain.k = e.k",
        ),
    ],
)
def test_a_query_is_joined_on_what_ties_it(lateral, join):
    assert shape(plan(f"SELECT plain.k, e.x FROM {lateral}")) == shape(plan(f"SELECT plain.k, e.x FROM {join}"))


def test_what_only_ties_is_not_selected():
    found = plan("SELECT *, e.* FROM plain, LATERAL (SELECT MAX(x) AS m FROM item WHERE item.k = plain.k) AS e")
    assert found.splitlines()[0] == "Project k, x, m, m  [retract]"


def test_the_best_rows_of_each_key_are_a_ranking():
    found = plan(
        "SELECT o.k, e.x FROM (SELECT k FROM plain GROUP BY k) AS o, "
        "LATERAL (SELECT * FROM plain AS p WHERE o.k = p.k ORDER BY x DESC LIMIT 2) AS e"
    )
    assert "Rank 1-2 by (k) order x DESC not shown" in found


def test_a_query_over_live_tables_takes_it_but_no_ranking():
    tables = program("").tables
    found = plan_query("SELECT * FROM plain, LATERAL (SELECT x FROM item WHERE item.k = plain.k) AS e", tables)
    assert "Join inner on k = k" in describe(found)
    with pytest.raises(ApplicationError, match="over live tables"):
        plan_query(
            "SELECT * FROM (SELECT DISTINCT k FROM plain) AS o, "
            "LATERAL (SELECT x FROM plain WHERE k = o.k ORDER BY x LIMIT 2) AS e",
            tables,
        )
