"""Nexmark as conformance cases, with Flink's answers: `python -m tests.conform.nexmark [query ...]` writes them anew.

2,000 events with disorder and late rows, a function of the seed. Answers lie in one compressed file. Needs
NEXTPAINT_FLINK_PYTHON, as scripts/flink sets it. Not a test itself.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.rig.nexmark import events
from nextpaint.connect.conformance.case import Case, parse_case
from tests.conform.flink import ask, expectation, final, ordered

Json = Any
SQL = Path(__file__).resolve().parents[2] / "bench" / "nexmark"
ANSWERS = Path(__file__).with_name("nexmark_answers.json.gz")
# Their rows appear and are never taken back; the others are compared by what is left at the end.
APPEND = ("q0", "q1", "q2", "q5", "q8", "q10", "q11", "q14", "q21", "q22", "cep0", "cep1", "cep2", "cep3")
# A top-1 without its rank comes from Flink 2.3 without the -U of what it replaces (FLINK-40368): the last row counts.
ONE_PER_KEY = {"q9": [0]}
QUERIES = sorted((path.stem for path in SQL.glob("*[0-9].sql")), key=lambda name: (name[0], int(name.strip("qcep"))))


def stream() -> list[Json]:
    """The events that Flink has answered for."""
    return list(events(2_000, 7, disorder_ms=6_000, apart_ms=30))


def source() -> tuple[list[str], str, str]:
    """The columns of the table of events, its watermark, and its views."""
    table, views = (SQL / "source.sql").read_text("utf-8").split(");\n", 1)
    lines = [line.strip().rstrip(",") for line in table.splitlines()[1:]]
    return [line for line in lines if line and not line.startswith("WATERMARK")], lines[-1], views


def nexmark_case(query: str, rows: list[Json], answer: Json | None = None) -> Case:
    """A query over these events; `answer`: {"types", "rows"}."""
    columns, watermark, views = source()
    names = [re.split(r"\s", column)[0].strip("`") for column in columns[:4]]
    table = {"name": "nexmark", "columns": columns, "watermark": watermark,
             "rows": [[row[name] for name in names] for row in rows]}  # fmt: skip
    kind = "append" if query in APPEND else "final"
    given = answer or {"rows": [], "types": []}
    value = {"id": query, "area": "nexmark", "tables": [table], "expect_kind": kind, "expect": given["rows"],
             "types": given["types"], "sql": views + (SQL / f"{query}.sql").read_text("utf-8")}  # fmt: skip
    return parse_case(json.loads(json.dumps(value)), query)


def asked(python: str, queries: Sequence[str] = QUERIES) -> dict[str, Json]:
    """Flink's answers of today. Raises RuntimeError for a query that it refuses or has no answer to."""
    rows = stream()
    cases = [nexmark_case(query, rows) for query in queries]
    found = {}
    replies = ask(cases, python)
    for case in cases:
        answer, key = replies[case.id], ONE_PER_KEY.get(case.id)
        if key is not None:
            expect = ordered(final([[kind, *row] for kind, row in answer.changes], key))
        else:
            expect = [] if answer.refused else expectation(case, answer)
        if not expect:
            raise RuntimeError(f"{case.id}: {answer.refused or 'the stream is too short for an answer'}")
        found[case.id] = {"types": list(answer.types), "rows": expect}
    return found


def answers() -> dict[str, Json]:
    """The answers kept."""
    found: dict[str, Json] = json.loads(gzip.decompress(ANSWERS.read_bytes()))
    return found


if __name__ == "__main__":
    some = sys.argv[1:]
    made = {**(answers() if some else {}), **asked(os.environ["NEXTPAINT_FLINK_PYTHON"], some or QUERIES)}
    ANSWERS.write_bytes(gzip.compress(json.dumps(made).encode(), 9, mtime=0))
    print(f"{len(made)} queries, {sum(len(each['rows']) for each in made.values())} rows", file=sys.stderr)
