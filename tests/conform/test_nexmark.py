"""Nexmark: our answers to its queries are those of Flink, over a few thousand events with disorder and late rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.rig.nexmark import events
from nextpaint.connect.conformance.case import Case, parse_case
from nextpaint.connect.conformance.run import run_case
from tests.conform.flink import ask, expectation

SQL = Path(__file__).resolve().parents[2] / "bench" / "nexmark"
# Their rows appear and are never taken back; the others are compared by what is left at the end.
APPEND = ("q0", "q1", "q2", "q5", "q8", "q11", "q14", "q21", "q22")
QUERIES = sorted((path.stem for path in SQL.glob("q*.sql")), key=lambda name: int(name[1:]))


def source() -> tuple[list[str], str, str]:
    """The columns of the table of events, its watermark, and its views."""
    table, views = (SQL / "source.sql").read_text("utf-8").split(");\n", 1)
    lines = [line.strip().rstrip(",") for line in table.splitlines()[1:]]
    return [line for line in lines if line and not line.startswith("WATERMARK")], lines[-1], views


def case(query: str, rows: list[Any]) -> dict[str, Any]:
    columns, watermark, views = source()
    names = [re.split(r"\s", column)[0].strip("`") for column in columns[:4]]
    table = {"name": "nexmark", "columns": columns, "watermark": watermark,
             "rows": [[row[name] for name in names] for row in rows]}  # fmt: skip
    kind = "append" if query in APPEND else "final"
    return {"id": query, "area": "nexmark", "tables": [table], "expect_kind": kind, "expect": [],
            "sql": views + (SQL / f"{query}.sql").read_text("utf-8")}  # fmt: skip


def test_every_query_is_planned_and_runs() -> None:
    """A small stream, without Flink: the same answer however it is cut, and from a checkpoint."""
    rows = list(events(54, disorder_ms=3_000, apart_ms=200))
    for query in QUERIES:
        wrong = run_case(parse_case(case(query, rows), query), 1)
        assert re.fullmatch(r"0 rows missing \(-\), \d+ too many \(\+\)(.|\n)*|", wrong), f"{query}: {wrong}"


def test_the_stream_is_a_function_of_its_seed() -> None:
    first, again, other = (list(events(200, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [sum(row["event_type"] == kind for row in first) for kind in (0, 1, 2)] == [4, 12, 184]


@pytest.mark.slow
@pytest.mark.flink
def test_answers_are_those_of_flink(flink_python: Path) -> None:
    rows = list(events(3_000, 7, disorder_ms=6_000, apart_ms=20))
    values = [case(query, rows) for query in QUERIES]
    answers = ask([parse_case(value, value["id"]) for value in values], str(flink_python))
    wrong = {}
    for value in values:
        parsed: Case = parse_case(value, value["id"])
        answer = answers[parsed.id]
        assert not answer.refused, f"{parsed.id}: {answer.refused}"
        expect = expectation(parsed, answer)
        assert expect, f"{parsed.id} has no answer: the stream is too short"
        answered = json.loads(json.dumps({**value, "expect": expect, "types": list(answer.types)}))
        if failed := run_case(parse_case(answered, parsed.id)):
            wrong[parsed.id] = failed
    assert not wrong, "\n".join(f"{query}: {text}" for query, text in wrong.items())
