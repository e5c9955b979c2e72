"""Changes with images, read from what Debezium writes, and as rows of a table with and without a key."""

from __future__ import annotations

import json

import pytest

from nextpaint.process.graph import Design
from nextpaint.process.images import Image, read_image
from nextpaint.process.runner import DEAD_TOPIC, Arriving, Runner
from nextpaint.sql.script import plan_script

ROW, OTHER = {"g": "x", "n": 1}, {"g": "y", "n": 2}


@pytest.mark.parametrize(
    ("value", "image"),
    [
        ({"op": "c", "before": None, "after": ROW, "source": {}}, Image("c", None, ROW)),
        ({"op": "r", "after": ROW}, Image("r", None, ROW)),
        ({"op": "u", "before": ROW, "after": OTHER}, Image("u", ROW, OTHER)),
        ({"op": "u", "before": None, "after": OTHER}, Image("u", None, OTHER)),
        ({"op": "d", "before": ROW, "after": None}, Image("d", ROW, None)),
        ({"schema": {}, "payload": {"op": "d", "before": ROW}}, Image("d", ROW, None)),
    ],
)
def test_an_image_is_read(value, image):
    assert read_image(value) == image


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "a change is a JSON object"),
        ({"after": ROW}, "op is None"),
        ({"op": "t"}, "op is 't'"),
        ({"op": "c", "after": None}, "needs after"),
        ({"op": "d", "before": 3}, "needs before"),
        ({"payload": None}, "a change is a JSON object"),
    ],
)
def test_what_is_no_image_says_why(value, said):
    with pytest.raises(ValueError, match=said):
        read_image(value)


def changes(key: str, values: list[object]) -> list[tuple[str, dict[str, object]]]:
    """The rows that a view of the table passes on."""
    table = f"CREATE TABLE r (g STRING, n INT{key}) WITH ('format' = 'debezium-json')"
    program, target = plan_script(("t", table), ("q", "SELECT g, n, COUNT(*) AS c FROM r GROUP BY g, n"))
    runner = Runner(Design(program))
    records = [
        Arriving(at, at, "r", None, json.dumps(value).encode() if value is not None else None, True)
        for at, value in enumerate(values)
    ]
    return [(each.kind, each.row) for each in runner.apply(records) if each.topic in (target, DEAD_TOPIC)]


def test_without_a_key_images_are_taken_as_they_are():
    found = changes("", [
        {"op": "c", "after": ROW}, {"op": "c", "after": ROW}, {"op": "u", "before": ROW, "after": OTHER}, None,
        {"op": "d", "before": OTHER},
    ])  # fmt: skip
    assert [(kind, *row.values()) for kind, row in found] == [
        ("+I", "x", 1, 1), ("-U", "x", 1, 1), ("+U", "x", 1, 2), ("-U", "x", 1, 2), ("+U", "x", 1, 1),
        ("+I", "y", 2, 1), ("-D", "y", 2, 1),
    ]  # fmt: skip


def test_with_a_key_images_are_upserts_and_deletions_of_the_row_that_is_kept():
    key = ", PRIMARY KEY (g) NOT ENFORCED"
    stale = {"g": "x", "n": 99}
    found = changes(key, [
        {"op": "c", "after": ROW}, {"op": "u", "before": None, "after": {"g": "x", "n": 5}},
        {"op": "d", "before": stale}, {"op": "d", "before": stale},
        {"op": "c", "after": ROW}, {"op": "c", "after": ROW}, {"op": "u", "before": ROW, "after": ROW},
        {"op": "u", "before": ROW, "after": OTHER},
    ])  # fmt: skip
    assert [(kind, *row.values()) for kind, row in found] == [
        ("+I", "x", 1, 1), ("-D", "x", 1, 1), ("+I", "x", 5, 1), ("-D", "x", 5, 1), ("+I", "x", 1, 1),
        ("-D", "x", 1, 1), ("+I", "x", 1, 1),  # not a second time, but where an update says so
        ("-D", "x", 1, 1), ("+I", "y", 2, 1),
    ]  # fmt: skip


def test_an_update_without_before_needs_a_key():
    [(_, row)] = changes("", [{"op": "u", "before": None, "after": ROW}])
    assert "REPLICA IDENTITY FULL" in str(row["reason"])
