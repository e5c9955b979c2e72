"""FROM_CHANGELOG: rows that come as changes."""

from __future__ import annotations

from nextpaint.process.live import Tables
from nextpaint.sql.planner import plan_program
from tests.process.harness import live, outputs_of, records, reloaded, runner_of, whole

SQL = """
    CREATE TABLE cdc (k STRING, kind STRING, x INT);
    CREATE TABLE sums (k STRING, n BIGINT, s INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO sums SELECT k, COUNT(*), SUM(x) FROM FROM_CHANGELOG(
      input => TABLE cdc, op => DESCRIPTOR(kind), op_mapping => MAP['c, r', 'INSERT', 'd', 'DELETE']) GROUP BY k;
    CREATE TABLE timed (k STRING, kind STRING, x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' HOUR);
    CREATE VIEW numbered AS SELECT k, kind, x, COUNT(*) OVER (PARTITION BY k ORDER BY ts) AS c FROM timed;
    CREATE TABLE late (k STRING, n BIGINT, c BIGINT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO late SELECT k, COUNT(*), MAX(c)
      FROM FROM_CHANGELOG(input => TABLE numbered, op => DESCRIPTOR(kind)) GROUP BY k;
"""


def make():
    return runner_of(plan_program([("test.sql", SQL)], {}))


def changes(*given):
    return records([("cdc", {"k": k, "kind": kind, "x": x}) for k, kind, x in given])


def test_words_that_are_not_mapped_are_dead_letters() -> None:
    runner = make()
    given = changes(("a", "c", 1), ("a", "u", 2), ("b", "r", 3), ("a", None, 4), ("b", "d", 3), ("a", "c", 5))
    told = whole(runner, given)
    assert live(runner, "sums", 0) == {("a",): ("a", 2, 6)}
    dead = [row.row for row in told if "reason" in row.row]
    assert [each["reason"] for each in dead] == [
        "FROM_CHANGELOG: 'u' is no kind of change", "FROM_CHANGELOG: None is no kind of change",
    ]  # fmt: skip


def test_it_goes_on_from_a_checkpoint() -> None:
    given = changes(("a", "c", 1), ("b", "r", 3), ("a", "d", 1), ("a", "c", 5))
    one, half = make(), make()
    expected = outputs_of(whole(one, given))
    first = whole(half, given[:2])
    assert outputs_of([*first, *whole(reloaded(half, make), given[2:])]) == expected


def test_a_live_reading_has_the_changes_that_are_held_upstream() -> None:
    runner = make()
    rows = [("a", "INSERT", 1), ("a", "INSERT", 2), ("a", "no", 3), ("b", "INSERT", 4)]
    whole(runner, records([("timed", {"k": k, "kind": kind, "x": x, "ts": x * 1_000}) for k, kind, x in rows]))
    assert Tables(runner).live["late"].row(("a",), 0) == ("a", 2, 2)
