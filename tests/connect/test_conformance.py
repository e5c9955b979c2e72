"""Conformance cases: what a line may say, how cells compare, and that a wrong answer is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nextpaint.cli import main
from nextpaint.connect.conformance.case import parse_case, read_cases
from nextpaint.connect.conformance.cells import expected, same_cell
from nextpaint.connect.conformance.run import arriving, run_case
from nextpaint.record import types
from nextpaint.record.errors import InvalidInput

CLICKS = {
    "name": "t",
    "columns": ["k STRING", "v INT", "ts TIMESTAMP(3)"],
    "watermark": "ts",
    "rows": [["a", 1, "2026-01-01 00:00:01"], ["b", 2, "2026-01-01T00:00:02.000"], ["a", 3, 1767225603000]],
}
COUNTS = "SELECT k, COUNT(*) FROM t GROUP BY k"


def case(sql: str = COUNTS, kind: str = "final", expect: Any = ((("a"), 2), ("b", 1)), **more: Any) -> dict[str, Any]:
    rows = [list(row) for row in expect]
    return {"id": "one", "area": "group", "tables": [CLICKS], "sql": sql, "expect_kind": kind, "expect": rows, **more}


def found(value: dict[str, Any], cuttings: int = 2) -> str:
    return run_case(parse_case(value, "cases:1"), cuttings)


def table(**more: Any) -> dict[str, Any]:
    return {**CLICKS, **more}


# ---------------------------------------------------------------- what is compared


def test_a_final_answer_is_a_multiset() -> None:
    assert found(case()) == ""
    assert "1 rows missing (-), 1 too many (+)\n- [a, 1]\n+ [a, 2]" in found(case(expect=[["b", 1], ["a", 1]]))
    assert "0 rows missing (-), 1 too many" in found(case(expect=[["b", 1]]))


def test_a_changelog_is_a_list_of_changes() -> None:
    changes = [["+I", "a", 1], ["+I", "b", 1], ["-U", "a", 1], ["+U", "a", 2]]
    assert found(case(kind="changelog", expect=changes)) == ""
    assert "part at change 1" in found(case(kind="changelog", expect=[changes[1], changes[0], *changes[2:]]))
    assert "part at change 5" in found(case(kind="changelog", expect=[*changes, ["+I", "c", 1]]))
    assert found(case(kind="upsert_changelog", expect=[changes[0], changes[1], changes[3]])) == ""


def test_an_append_answer_takes_insertions_only() -> None:
    assert found(case("SELECT v FROM t WHERE v > 1", "append", [[3], [2]])) == ""
    assert "expected insertions only, found [-U, a, 1]" in found(case(kind="append"))


def test_types_are_compared_where_the_case_names_them() -> None:
    assert found(case(types=["VARCHAR(2147483647)", "BIGINT NOT NULL"])) == ""
    assert found(case(types=["STRING", "INT"])) == "column 2 is BIGINT, expected INT"


def test_a_refused_case_passes_when_there_is_no_plan() -> None:
    assert found(case("SELECT k + 1 FROM t", "refused", [])) == ""
    assert found(case(kind="refused")) == "planned, and Flink refuses it"
    assert found(case("SELECT nothing FROM t")).startswith("not planned: one:1:8: error: ")


def test_an_answer_of_another_width_is_said() -> None:
    assert found(case(expect=[["a"]])) == "an expected row has 1 cells, the answer 2 columns"


def test_rows_that_fail_in_the_engine_fail_the_case() -> None:
    assert "rows failed, the first at" in found(case("SELECT v / (v - 1) FROM t", "append", [[2], [1]]))


@pytest.mark.parametrize(
    ("value", "type_", "cell"),
    [
        ("2026-01-01 00:00:00.000", types.TIMESTAMP, 1767225600000),
        ("2026-01-01T00:00:00.001000000", types.TIMESTAMP, 1767225600001),
        ("2026-01-01T00:00:00Z", types.TIMESTAMP_LTZ, 1767225600000),
        ("1.50", types.decimal(3, 2), 1.5),
        (2, types.DOUBLE, 2.0),
        ("AAE=", types.BYTES, b"\x00\x01"),
        ("x'0001'", types.BYTES, b"\x00\x01"),
        ("1970-01-02", types.DATE, 1),
        ([1, None], types.array(types.INT), (1, None)),
        ({"b": 1, "a": 2}, types.mapping(types.STRING, types.INT), ("map", (("a", 2), ("b", 1)))),
        ([["b", 1], ["a", 2]], types.mapping(types.STRING, types.INT), ("map", (("a", 2), ("b", 1)))),
        ({"x": 1}, types.row(types.Field("x", types.INT)), (1,)),
    ],
)
def test_cells_compare_by_value(value: Any, type_: types.Type, cell: Any) -> None:
    assert expected(value, type_) == cell


def test_cells_of_another_kind_differ() -> None:
    assert not same_cell(expected("1", types.STRING), 1)
    assert not same_cell(expected(1.5, types.INT), 1)
    assert not same_cell(expected("2026-01-01 00:00:00.0001", types.TIMESTAMP), 1767225600000)
    assert same_cell(expected("NaN", types.DOUBLE), float("nan"))
    assert same_cell(0.1 + 0.2, 0.3) and not same_cell(0.3001, 0.3)


# ---------------------------------------------------------------- how rows arrive


def test_a_feed_orders_rows_of_several_tables_and_the_rest_follows() -> None:
    other = {"name": "u", "columns": ["x INT"], "rows": [[10], [20]]}
    parsed = parse_case(case(tables=[CLICKS, other], feed=["u", ["t", 1], "t", "u"]), "cases:1")
    assert parsed.feed == (("u", 0), ("t", 1), ("t", 0), ("u", 1), ("t", 2))
    assert [each.topic for each in arriving(parsed)] == ["u", "t", "t", "u", "t"]


def test_an_update_in_two_parts_is_one_record() -> None:
    rows = [["+I", 1, "a"], ["-U", 1, "a"], ["+U", 1, "b"], ["-D", 1, "b"]]
    keyed = {"name": "r", "columns": ["id INT", "n STRING"], "primary_key": "id", "changelog_mode": "I,UB,UA,D",
             "rows": rows}  # fmt: skip
    value = case("SELECT * FROM r", "changelog", rows, tables=[keyed])
    assert [each.value for each in arriving(parse_case(value, "cases:1"))] == [
        b'{"id":1,"n":"a"}', b'{"id":1,"n":"b"}', None
    ]  # fmt: skip
    assert found(value) == ""


@pytest.mark.parametrize(
    "watermark",
    [
        "ts - INTERVAL '1' SECOND",
        "ts AS ts - INTERVAL '1' SECOND",
        "`ts` AS ts - INTERVAL '1' SECOND",
        "WATERMARK FOR ts AS ts - INTERVAL '1' SECOND",
        "FOR `ts` AS `ts` - INTERVAL '1' SECOND",
        "INTERVAL '1' SECOND",
        {"column": "ts", "expression": "ts - INTERVAL '1' SECOND"},
    ],
)
def test_a_watermark_is_written_in_many_ways(watermark: Any) -> None:
    windows = """SELECT k, COUNT(*) FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)
        GROUP BY k, window_start, window_end"""
    rows = [["a", 1, "2026-01-01 00:00:01"], ["a", 1, "2026-01-01 00:00:02"], ["a", 1, "2026-01-01 00:00:01.5"]]
    given = table(watermark=watermark, rows=rows)
    assert found(case(windows, "append", [["a", 2], ["a", 1]], tables=[given])) == ""
    assert found(case(windows, "append", [["a", 1], ["a", 1]], tables=[table(watermark="ts", rows=rows)])) == ""


def test_statements_before_the_query_are_part_of_the_case() -> None:
    assert found(case(f"SET 'table.local-time-zone' = 'UTC';\nCREATE VIEW w AS SELECT k FROM t; {COUNTS}")) == ""
    insert = f"CREATE TABLE sink (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED);\nINSERT INTO sink\n{COUNTS};"
    assert found(case(insert)) == ""
    assert "asks nothing" in found(case("CREATE VIEW w AS SELECT k FROM t"))


# ---------------------------------------------------------------- files and the command


def test_every_malformed_line_is_named(tmp_path: Any, capsys: Any) -> None:
    lines = [
        json.dumps(case()),
        "{",
        "# a comment",
        json.dumps(case()),
        json.dumps({**case(), "id": 2, "expect_kind": "rows"}),
        json.dumps({**case(), "id": 3, "tables": [table(rows=[["a"]])]}),
        json.dumps({**case(), "id": 4, "feed": ["u"]}),
        json.dumps({**case(), "id": 5, "tables": [table(watermark="at")]}),
        json.dumps({**case(kind="changelog"), "id": 6}),
    ]
    with pytest.raises(InvalidInput) as raised:
        read_cases(lines, "cases")
    where = raised.value.where.splitlines()[1:]
    assert [each.split(" ")[0] for each in where] == [f"cases:{number}:" for number in (2, 4, 5, 6, 7, 8, 9)]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(lines))
    assert main(["conform", str(path)]) == 2
    assert "7 malformed lines" in capsys.readouterr().err


def test_the_command_counts_by_area(tmp_path: Any, capsys: Any) -> None:
    path = tmp_path / "cases.jsonl"
    wrong = {**case(expect=[["a", 1]]), "id": "two", "area": "other"}
    path.write_text(json.dumps(case()) + "\n\n" + json.dumps(wrong) + "\n")
    assert main(["conform", str(path), "--shuffle-cuts", "2"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED two (" in printed
    assert printed.splitlines()[-1] == "1 passed, 1 failed"
    assert main(["conform", str(path), "--only", "group", "--verbose"]) == 0
    assert "passed one" in capsys.readouterr().out
    assert main(["conform", str(path), "--only", "nothing"]) == 2
