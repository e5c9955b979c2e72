"""Computed and metadata columns: worked out at the source, row by row, from the record and its physical columns."""

from __future__ import annotations

import json

from nextpaint.process.graph import Design
from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program

TEXT = """
CREATE TABLE s (n INT, w STRING, t AS TO_TIMESTAMP(w), inverse AS 12 / n, p AS PROCTIME(), o BIGINT METADATA FROM
'offset',
  topic STRING METADATA VIRTUAL, named AS topic || '-' || CAST(o AS STRING), WATERMARK FOR t AS t);
CREATE TABLE made (n INT, t TIMESTAMP(3), inverse INT, p TIMESTAMP_LTZ(3), o BIGINT, named STRING);
INSERT INTO made SELECT n, t, inverse, p, o, named FROM s;
"""


def run(*values):
    runner = Runner(Design(plan_program([("app.sql", TEXT)], {})))
    records = [
        Arriving(seq, 1000 + seq, "s", None, json.dumps(value).encode(), True) for seq, value in enumerate(values)
    ]
    rows = runner.apply(records)
    return [tuple(row.row.values()) for row in rows if row.topic == "made"], [
        row.row["reason"] for row in rows if row.topic != "made"
    ]


def test_values_come_from_the_record_and_its_physical_columns():
    rows, dead = run({"n": 5, "w": "1970-01-01 00:00:01"}, {"n": -5, "w": "1970-01-01 00:00:02", "named": "ignored"})
    assert rows == [(5, 1000, 2, 1000, 0, "s-0"), (-5, 2000, -2, 1001, 1, "s-1")]
    assert not dead


def test_a_computed_column_that_fails_buries_its_record():
    rows, dead = run({"n": 0, "w": "1970-01-01 00:00:01"}, {"n": 1, "w": "never"}, {"n": 1, "w": "1970-01-01 00:00:01"})
    assert len(rows) == 1
    assert "zero" in dead[0]
    assert "the time attribute t is NULL" in dead[1]
