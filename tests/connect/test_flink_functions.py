"""Our aggregates as user functions of Apache Flink: its final rows, in `flink_functions.json`, are the engine's.

`python -m tests.connect.test_flink_functions` writes Flink's rows anew; it needs NEXTPAINT_FLINK_PYTHON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import datasketches
import pytest

from nextpaint.connect.conformance.case import parse_case
from nextpaint.connect.conformance.run import run_case

HERE = Path(__file__).parent
MODULE = HERE.parents[1] / "nextpaint" / "connect" / "flink_functions.py"
COLUMNS = ["k STRING", "item STRING", "x DOUBLE", "n INT", "ts TIMESTAMP(3)"]
WATERMARK = "ts - INTERVAL '1' MINUTE"
Json = Any

# (ours, the same on Flink)
CALLS = [
    ("DECAYED_SUM(x, INTERVAL '10' MINUTE)", "DECAYED_SUM(x, CAST(ts AS TIMESTAMP(3)), 600000)"),
    ("DECAYED_COUNT(INTERVAL '1' HOUR)", "DECAYED_COUNT(CAST(ts AS TIMESTAMP(3)), 3600000)"),
    ("LAST_N(CAST(ROW(item, n) AS ROW<item STRING, n INT>), 3)",
     "LAST_N(CAST(ROW(item, n) AS ROW<item STRING, n INT>), CAST(ts AS TIMESTAMP(3)), 3)"),
    ("TOP_N_COUNTS(item, 2)", "TOP_N_COUNTS(item, 2)"),
    ("APPROX_QUANTILE(x, 0.9)", "APPROX_QUANTILE(x, 0.9)"),
    ("APPROX_QUANTILE(x, 0.25)", "APPROX_QUANTILE(x, 0.25)"),
    ("APPROX_COUNT_DISTINCT(item)", "APPROX_DISTINCT(item)"),
]  # fmt: skip


def rows() -> list[list[Json]]:
    """400 rows of five groups with NULLs, ties and disorder; one group has more items than are counted exactly."""
    chance = Random(11)
    made: list[list[Json]] = []
    for number in range(400):
        k = chance.choice(("a", "b", "c", "many", "many", None))
        item = f"i{chance.randint(0, 9) if k != 'many' else round(chance.paretovariate(0.6)) % 400}"
        minute = max(0, number // 4 - chance.choice((0, 0, 0, 1, 7)))
        ts = f"2026-01-01 {minute // 60:02d}:{minute % 60:02d}:{chance.choice((0, 30)):02d}.000"
        x = None if chance.random() < 0.1 else round(chance.lognormvariate(0, 2) * chance.choice((1, 1, -1)), 3)
        made.append([k, item if chance.random() > 0.05 else None, x, number, ts])
    return made


def ours(expect: list[Json]) -> str:
    table = {"name": "t", "columns": COLUMNS, "watermark": WATERMARK, "rows": rows()}
    calls = ", ".join(call for call, _ in CALLS)
    value = {"id": "functions", "tables": [table], "sql": f"SELECT k, {calls} FROM t GROUP BY k",
             "expect_kind": "final", "expect": expect}  # fmt: skip
    return run_case(parse_case(value, "functions"))


def flinks(python: str) -> list[Json]:
    """The rows that Flink leaves. The sketch library of this Python is lent to it where it has none."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library = Path(datasketches.__file__).parent
        (place / "lent").mkdir()
        for each in [library, *library.parent.glob("_datasketches*")]:
            (place / "lent" / each.name).symlink_to(each)
        names = [column.split()[0] for column in COLUMNS]
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows()]
        (place / "t.json").write_text("\n".join(lines) + "\n", "utf-8")
        ddl = (
            f"CREATE TABLE t ({', '.join(COLUMNS)}, WATERMARK FOR ts AS {WATERMARK}) WITH ('connector' = 'filesystem', "
        )
        request = {
            "module": str(MODULE), "ddl": f"{ddl}'path' = '{place}/t.json', 'format' = 'json')",
            "query": f"SELECT k, {', '.join(call for _, call in CALLS)} FROM t GROUP BY k",
            "result": str(place / "rows"),
        }  # fmt: skip
        (place / "request").write_text(json.dumps(request), "utf-8")
        command = [python, str(HERE / "answer_functions_with_flink.py"), str(place / "request")]
        environment = {**os.environ, "PYTHONPATH": str(place / "lent")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        found: list[Json] = json.loads((place / "rows").read_text("utf-8"))
        return sorted(found, key=repr)


def kept() -> list[Json]:
    found: list[Json] = json.loads((HERE / "flink_functions.json").read_text("utf-8"))
    return found


def test_the_engine_gives_the_rows_that_the_functions_gave_on_flink() -> None:
    assert len(kept()) == 5
    assert ours(kept()) == ""


def test_a_row_that_differs_is_seen() -> None:
    first, *rest = kept()
    assert "1 rows missing" in ours([[first[0], (first[1] or 0) + 0.01, *first[2:]], *rest])


@pytest.mark.flink
def test_flink_still_gives_these_rows(flink_python: Path) -> None:
    assert flinks(str(flink_python)) == kept()


if __name__ == "__main__":
    answered = flinks(os.environ["NEXTPAINT_FLINK_PYTHON"])
    (HERE / "flink_functions.json").write_text("[\n" + ",\n".join(map(json.dumps, answered)) + "\n]\n", "utf-8")
    print(ours(answered) or "equal", file=sys.stderr)
