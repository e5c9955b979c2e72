"""Rankings, aggregates and set operations over rows that change, held against a naive computation of the final content.

Random changes of a keyed table and random late rows of a stream go through one program, cut anywhere and from any
checkpoint; the reference only looks at what is there in the end.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.live import Tables
from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

SQL = """
    CREATE TABLE c (id STRING, k STRING, v INT, PRIMARY KEY (id) NOT ENFORCED);
    CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND);

    CREATE TABLE best (k STRING, place BIGINT, id STRING, v INT, PRIMARY KEY (k, place) NOT ENFORCED);
    INSERT INTO best SELECT k, place, id, v
      FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS place FROM c) WHERE place <= 2;
    CREATE TABLE best_ids (id STRING, k STRING, PRIMARY KEY (id) NOT ENFORCED);
    INSERT INTO best_ids SELECT id, k
      FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) BETWEEN 2 AND 3;
    CREATE TABLE sums (k STRING, n BIGINT, lo INT, hi INT, d BIGINT, ds INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO sums SELECT k, COUNT(v), MIN(v), MAX(v) FILTER (WHERE id <> 'i1'), COUNT(DISTINCT v), SUM(DISTINCT v)
      FROM c GROUP BY k;
    CREATE TABLE popular (n BIGINT, ks BIGINT, PRIMARY KEY (n) NOT ENFORCED);
    INSERT INTO popular SELECT n, COUNT(*) FROM (SELECT k, COUNT(*) AS n FROM c GROUP BY k) GROUP BY n;
    CREATE TABLE only_c (k STRING, v INT, PRIMARY KEY (k, v) NOT ENFORCED);
    INSERT INTO only_c SELECT k, v FROM c EXCEPT SELECT k, v FROM t;
    CREATE TABLE in_both (k STRING, v INT, PRIMARY KEY (k, v) NOT ENFORCED);
    INSERT INTO in_both SELECT k, v FROM c INTERSECT SELECT k, v FROM t;
    CREATE TABLE latest (k STRING, v INT, ts TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO latest SELECT k, v, ts FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1;
    CREATE TABLE firsts (k STRING, v INT, ts TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO firsts SELECT k, v, ts FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) = 1;
    CREATE TABLE top_windows (ws TIMESTAMP(3), k STRING, v INT);
    INSERT INTO top_windows SELECT window_start, k, v FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND)
      QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC, k) = 1;
    CREATE TABLE levels (g BIGINT, n BIGINT, hi BIGINT, PRIMARY KEY (g) NOT ENFORCED);
    INSERT INTO levels SELECT g, SUM(n), MAX(n)
      FROM (SELECT COUNT(*) AS n, GROUPING(k) AS g FROM t GROUP BY ROLLUP (k)) GROUP BY g;
"""
PROGRAM = plan_program([("changes.sql", SQL)], {})


def make() -> Runner:
    return runner_of(PROGRAM)


Rows = list[tuple[str, dict[str, Any]]]


def stream(seed: int, size: int) -> Rows:
    """Upserts and deletes (v None) of c, and rows of t up to 6 s late."""
    chance = random.Random(seed)
    now, rows = 20_000, []
    for _ in range(size):
        now += chance.choice((0, 100, 1_000, 3_000))
        if chance.random() < 0.6:
            v = chance.choice((None, 0, 1, 2, 3, -1, 7))
            rows.append(("c", {"id": f"i{chance.randint(1, 6)}", "k": chance.choice("xyz"), "v": v}))
        else:
            late = chance.choice((0, 0, 500, 2_000, 6_000))
            rows.append(("t", {"k": chance.choice("xy"), "v": chance.choice((0, 1, 2, 3)), "ts": now - late}))
    return rows


def arriving(rows: Rows) -> list[Arriving]:
    made = records(rows, entry=2, step_ms=300)
    return [
        each._replace(key=b'{"id": "%s"}' % row["id"].encode(), value=None)
        if topic == "c" and row["v"] is None
        else each
        for each, (topic, row) in zip(made, rows, strict=True)
    ]


def expected(rows: Rows) -> dict[str, Any]:
    content: dict[str, tuple[str, str, int]] = {}
    for topic, row in rows:
        if topic == "c":
            content.pop(row["id"], None)
            if row["v"] is not None:
                content[row["id"]] = (row["id"], row["k"], row["v"])
    c = list(content.values())
    t = [(row["k"], row["v"], row["ts"]) for topic, row in rows if topic == "t"]
    by_k = {k: sorted((row for row in c if row[1] == k), key=lambda row: (-row[2], row[0])) for k in "xyz"}
    sums = {}
    for k, group in by_k.items():
        if group:
            values = [v for _, _, v in group]
            others = [v for i, _, v in group if i != "i1"]
            sums[(k,)] = (
                k, len(values), min(values), max(others, default=None), len(set(values)), sum(set(values))
            )  # fmt: skip
    sizes = Counter(len(group) for group in by_k.values() if group)
    pairs_c, pairs_t = {(k, v) for _, k, v in c}, {(k, v) for k, v, _ in t}
    latest: dict[str, tuple[str, int, int]] = {}
    for row in t:
        if row[0] not in latest or latest[row[0]][2] <= row[2]:
            latest[row[0]] = row
    counts = Counter(k for k, _, _ in t)
    return {
        "best": {(k, at): (k, at, i, v) for k, g in by_k.items() for at, (i, _, v) in enumerate(g[:2], start=1)},
        "best_ids": {(i,): (i, k) for k, group in by_k.items() for i, _, _ in group[1:3]},
        "sums": sums,
        "popular": {(n,): (n, groups) for n, groups in sizes.items()},
        "only_c": {pair: pair for pair in pairs_c - pairs_t},
        "in_both": {pair: pair for pair in pairs_c & pairs_t},
        "latest": {(k,): row for k, row in latest.items()},
        "levels": {(0,): (0, len(t), max(counts.values())), (1,): (1, len(t), len(t))} if t else {},
    }


def timed(rows: Rows) -> tuple[dict[Any, Any], list[tuple[int, str, int]]]:
    """First rows by event time and the best row of each window, by the rules of lateness."""
    watermark = -(10**9)
    on_time: list[tuple[str, int, int]] = []
    windows: dict[int, list[tuple[str, int]]] = {}
    for topic, row in rows:
        if topic == "c":
            continue
        k, v, ts = row["k"], row["v"], row["ts"]
        if ts > watermark:
            on_time.append((k, v, ts))
        start = ts - ts % 5_000
        if start + 5_000 - 1 > watermark:
            windows.setdefault(start, []).append((k, v))
        watermark = max(watermark, ts - 2_000)
    firsts: dict[Any, Any] = {}
    for k, v, ts in sorted(on_time, key=lambda each: each[2]):
        firsts.setdefault((k,), (k, v, ts))
    best = [(start, *min(each, key=lambda row: (-row[1], row[0]))) for start, each in sorted(windows.items())]
    return firsts, best


@given(st.integers(0, 10**6), st.integers(1, 60))
def test_the_final_content_is_that_of_a_naive_computation(seed: int, size: int) -> None:
    rows = stream(seed, size)
    runner = make()
    outputs = whole(runner, arriving(rows))
    for name, wanted in expected(rows).items():
        assert table(runner, name) == wanted, name
    tail = runner.end()
    firsts, best = timed(rows)
    assert table(runner, "firsts") == firsts
    told = [each for each in [*outputs, *tail] if each.topic == "top_windows"]
    assert [tuple(each.row.values()) for each in told] == best


@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(0, 10**6))
def test_cuts_and_checkpoints_do_not_show(seed: int, size: int, shuffle: int) -> None:
    given_rows = arriving(stream(seed, size))
    one = make()
    expected_outputs = outputs_of(whole(one, given_rows))
    at = shuffle % (size - 1) + 1
    first = make()
    before = outputs_of(cut(first, given_rows[:at], shuffle, 4))
    second = reloaded(first, make)
    assert before + outputs_of(cut(second, given_rows[at:], shuffle + 1, 9)) == expected_outputs
    assert second.state.hash() == one.state.hash()


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_live_is_a_run_of_the_prefix_to_its_end(seed: int, size: int) -> None:
    given_rows = arriving(stream(seed, size))
    running, ended = make(), make()
    cut(running, given_rows, seed)
    whole(ended, given_rows)
    ended.end()
    tables = Tables(running)
    assert tables.live["firsts"].reach.by_key
    for name in ("firsts", "latest", "best", "sums"):
        for k in "xyz":
            assert tables.live[name].rows((k,), 0) == {
                key: row for key, row in table(ended, name).items() if key[0] == k
            }, name
