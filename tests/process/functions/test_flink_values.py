"""Values and types of expressions are those Flink 2.3.0 gave over the rows of `flink_rows.jsonl`, cast to text.

`flink_values.jsonl`: one expression a line, with its type and a value per row, or `refused`. Where we differ on purpose
the line says why (`differs`) and what we give (`ours`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextpaint.process.coercion import coerce
from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record.columns import Column
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import Field, Kind
from nextpaint.sql.plan import Project
from nextpaint.sql.planner import plan_program

HERE = Path(__file__).parent
DDL = (
    "CREATE TABLE t (id INT, s STRING, s2 STRING, j STRING, i INT, b BIGINT, ti TINYINT, sm SMALLINT, f FLOAT,"
    " d DOUBLE, c DECIMAL(10, 2), bo BOOLEAN, ts TIMESTAMP(3), ltz TIMESTAMP_LTZ(3), da DATE, tm TIME, `by` BYTES,"
    " a ARRAY<INT>, sa ARRAY<STRING>, m MAP<STRING, INT>, r ROW<x INT, y STRING>, a2 ARRAY<INT>)"
)
FIELDS = plan_program([("t.sql", DDL)], {}).tables["t"].fields
ROWS = [json.loads(line) for line in (HERE / "flink_rows.jsonl").read_text().splitlines()]
CASES = [json.loads(line) for line in (HERE / "flink_values.jsonl").read_text().splitlines()]


def cell(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.type.kind is Kind.TIME:
        hours, minutes, seconds = value.split(":")
        return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
    if field.type.kind is Kind.FLOAT:
        return float(np.float32(value))
    made = coerce(value, field.type)
    return list(made) if field.type.kind is Kind.ARRAY else made


COLUMNS = tuple(Column.of(field.type, [cell(field, row[field.name]) for row in ROWS]) for field in FIELDS)


def ours(expression: str) -> Any:
    """{"type", "values"}, or "refused"."""
    text = f"SELECT {expression} AS zz, CAST({expression} AS STRING) AS z, id FROM t"
    try:
        root = plan_program([("t.sql", DDL)], {}, ("q.sql", text)).inserts[-1].root
        assert isinstance(root, Project)
        evaluate = compile_expr(root.exprs[1])
    except ApplicationError:
        return "refused"
    ev = Evaluation(COLUMNS, len(ROWS), 1_700_000_000_000)
    values = evaluate(ev).to_list()
    for row, reason in ev.failures.rows.items():
        values[row] = "FAILED " + reason
    shown = str(root.schema.fields[0].type)
    for fixed in ("CHAR", "VARCHAR"):
        for length in range(1, 30):
            shown = shown.replace(f"{fixed}({length})", "STRING").replace("VARSTRING", "STRING")
    return {"type": shown, "values": values}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["expr"][:50])
def test_an_expression_is_flinks_or_differs_for_a_reason(case):
    flink = "refused" if case.get("refused") else {"type": case["type"], "values": case["values"]}
    expected = case.get("ours", flink)
    assert ours(case["expr"]) == expected


def test_there_are_hundreds_and_few_differ():
    assert len(CASES) > 600
    assert sum("differs" in case for case in CASES) < 60
