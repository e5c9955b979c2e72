"""A second witness: what DuckDB answers in a batch, for every case whose SQL it can run.

Cases over plain rows whose answer is what is left at the end: for them a stream and a batch agree. The text is
translated word by word; what DuckDB does not parse or know is passed over, and counted. Differences between it and
Flink stand in duckdb_differences.txt, each with its reason.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from nextpaint.connect.conformance import cells
from nextpaint.connect.conformance.case import Case, CaseTable, Expectation
from nextpaint.connect.conformance.run import planned
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import Type
from tests.conform.test_cases import CASES, HERE

RUN_LEAST = 80  # cases that DuckDB ran when this was written, and some slack: fewer means that the translation broke
STREAMING = re.compile(
    r"\b(TUMBLE|HOP|CUMULATE|SESSION|OVER|FOR\s+SYSTEM_TIME|MATCH_RECOGNIZE|PROCTIME|INSERT|SET|CURRENT_WATERMARK|CREATE\s+TABLE"
    r"|TIMESTAMP_LTZ|JSON_\w+|LATERAL|INTERVAL)\b", re.IGNORECASE
)  # fmt: skip
WORDS = [
    (re.compile(r"`"), '"'),
    (re.compile(r"\bSTRING\b", re.IGNORECASE), "VARCHAR"),
    (re.compile(r"\bBYTES\b", re.IGNORECASE), "BLOB"),
    (re.compile(r"\bTIMESTAMP\(\d\)", re.IGNORECASE), "TIMESTAMP"),
    (re.compile(r"\bCHAR_LENGTH\b", re.IGNORECASE), "LENGTH"),
    (re.compile(r"\b(\d+(?:\.\d+)?)E(\d+)\b"), r"CAST(\1e\2 AS DOUBLE)"),
]


def differences() -> dict[str, str]:
    lines = (HERE / "duckdb_differences.txt").read_text("utf-8").splitlines()
    pairs = (line.split("|", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


def translated(text: str) -> str:
    for pattern, becomes in WORDS:
        text = pattern.sub(becomes, text)
    return text


def fill(database: duckdb.DuckDBPyConnection, table: CaseTable) -> None:
    columns = ", ".join(
        f'"{name}" {translated(type_).replace(" NOT NULL", "")}'
        for name, type_ in zip(table.columns, table.types, strict=True)
    )
    database.execute(f'CREATE TABLE "{table.name}" ({columns})')
    if table.changes:
        marks = ", ".join("?" for _ in table.columns)
        database.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', [list(row.cells) for row in table.changes])


def value(found: Any, type_: Type) -> Any:
    """A value of DuckDB as the comparison holds it."""
    match found:
        case datetime():
            return round(found.replace(tzinfo=UTC).timestamp() * 1000)
        case date():
            return (found - date(1970, 1, 1)).days
        case time():
            return ((found.hour * 60 + found.minute) * 60 + found.second) * 1000 + found.microsecond // 1000
        case bool() | str() | None | bytes():
            return found
    return cells.expected(_plain(found), type_)


def _plain(found: Any) -> Any:
    if isinstance(found, Decimal):
        return str(found)
    if isinstance(found, float) and not math.isfinite(found):
        return str(found).replace("inf", "Infinity").replace("nan", "NaN")
    return found


def answered(case: Case, types: tuple[Type, ...]) -> list[tuple[Any, ...]] | None:
    """DuckDB's rows; None when it cannot run the case."""
    if STREAMING.search(case.sql) or any(table.is_changelog or table.primary_key for table in case.tables):
        return None
    if any("AS " in table.ddl.split("WATERMARK")[0] for table in case.tables):
        return None
    try:
        with duckdb.connect() as database:
            for table in case.tables:
                fill(database, table)
            for statement in filter(str.strip, translated(case.sql).split(";")):
                rows = database.execute(statement).fetchall()
        return [tuple(value(cell, type_) for cell, type_ in zip(row, types, strict=True)) for row in rows]
    except duckdb.Error:
        return None


def outcomes() -> dict[str, str]:
    """Case -> "" or what differs, for every case that DuckDB runs."""
    found: dict[str, str] = {}
    for case in CASES:
        if case.expectation not in (Expectation.APPEND, Expectation.FINAL):
            continue
        try:
            program, target = planned(case)
        except ApplicationError:
            continue
        types = tuple(each.type for each in program.tables[target].fields)
        rows = answered(case, types)
        if rows is None:
            continue
        wanted = [tuple(map(cells.expected, row, types)) for row in case.expect]
        missing, spare = cells.difference(wanted, rows, types)
        found[case.id] = f"Flink: {missing[:3]}, DuckDB: {spare[:3]}" if missing or spare else ""
    return found


@pytest.mark.slow
def test_flink_and_duckdb_agree_but_where_said() -> None:
    found = outcomes()
    differ = {name: text for name, text in found.items() if text}
    known = differences()
    assert not set(differ) - set(known), "\n".join(f"{name}: {differ[name]}" for name in set(differ) - set(known))
    assert not set(known) - set(differ), f"these agree now: {sorted(set(known) - set(differ))}"
    assert len(found) >= RUN_LEAST, f"DuckDB ran {len(found)} cases"


@pytest.mark.parametrize(
    ("flink", "duck"), [("SELECT `a` FROM t", 'SELECT "a" FROM t'), ("1E7", "CAST(1e7 AS DOUBLE)")]
)
def test_words_are_translated(flink: str, duck: str) -> None:
    assert translated(flink) == duck
