"""The memory ceiling: warned of at 80 %, kept by halting the statement that holds most, one at a time."""

import json
import logging

from nextpaint.engine.ceiling import LOOK_MS, Ceiling
from nextpaint.process.halts import HALT_TOPIC
from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import records, runner_of, whole

SQL = """
    SET 'nextpaint.state.ceiling' = '60 kb';
    CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE counts (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO counts SELECT k, COUNT(DISTINCT v) FROM t GROUP BY k;
    CREATE TABLE evens (v INT, n BIGINT, PRIMARY KEY (v) NOT ENFORCED);
    INSERT INTO evens SELECT v, COUNT(DISTINCT v) FROM t GROUP BY v;
"""


def grow(runner: Runner, keys: range) -> None:
    rows = records([("t", {"k": f"key{key}", "v": key % 5, "ts": key}) for key in keys])
    whole(runner, [each._replace(seq=each.seq + runner.applied + 1) for each in rows])


def test_the_statement_that_holds_most_halts_once_and_its_state_stays(caplog):
    runner = runner_of(plan_program([("app.sql", SQL)], {}))
    appended = []
    ceiling = Ceiling(appended.append)
    now = LOOK_MS
    grow(runner, range(10))
    ceiling.look(runner, now)
    assert ceiling.limit == 60 << 10 and 0 < ceiling.bytes < ceiling.limit and not caplog.records

    while ceiling.bytes < 0.8 * ceiling.limit:
        grow(runner, range(runner.applied + 1, runner.applied + 11))
        now += LOOK_MS
        ceiling.look(runner, now)
    assert [each.levelno for each in caplog.records] == [logging.WARNING] and not appended

    grow(runner, range(runner.applied + 1, runner.applied + 200))
    ceiling.look(runner, now + 1)
    assert not appended, "it looks now and then only"
    ceiling.look(runner, now + LOOK_MS)
    (draft,) = appended
    halt = json.loads(draft.records[0].value)
    assert draft.topic == HALT_TOPIC and halt["target"] == "counts" and halt["ceiling"] == ceiling.limit

    whole(runner, [Arriving(runner.applied + 1, 0, HALT_TOPIC, None, draft.records[0].value, True)])
    before = ceiling.statements["counts"]
    grow(runner, range(1_000, 1_100))
    ceiling.look(runner, now + 2 * LOOK_MS)
    assert runner.halts.targets().keys() == {"counts"}
    assert ceiling.statements["counts"] == before and len(appended) == 1, "the others go on, and nothing else halts"
