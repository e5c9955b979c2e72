"""Somebody's events: flat or Segment, which field is what, and which event means what."""

import json

import pytest

from nextpaint.connect.delimited import Problems
from nextpaint.connect.event_log import as_call, guess_events, order_lines, read_lines
from nextpaint.record.errors import InvalidInput

ITEMS = {"A1", "A2", "A3"}


def log(tmp_path, *lines):
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


FLAT = [
    {"type": "view_item", "user": "u1", "ts": 1700000000, "sku": "A1", "position": 1},
    {"type": "add_to_cart", "user": "u1", "ts": 1700000001, "sku": "A1", "position": 1},
    {"type": "purchase", "user": "u1", "ts": 1700000002, "sku": "A2", "qty": 2, "price": "3.5", "order_id": "o9"},
    {"type": "remove_from_cart", "user": "u1", "ts": 1700000003, "sku": "A2"},
    {"type": "search", "user": "u1", "ts": 1700000003, "query": "view"},
]
SEGMENT = [
    {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "a",
        "timestamp": "2024-01-01T00:00:00Z",
        "properties": {"product_id": "A1"},
    },
    {"type": "page", "anonymousId": "a", "messageId": "m2", "timestamp": "2024-01-01T00:00:01Z"},
    {
        "type": "track",
        "event": "Product Added",
        "userId": "u",
        "originalTimestamp": "2024-01-01T00:00:02Z",
        "properties": {"product_id": "A2"},
    },
    {
        "type": "track",
        "event": "Order Completed",
        "userId": "u",
        "timestamp": "2024-01-01T00:00:03Z",
        "properties": {
            "order_id": "o1",
            "products": [{"product_id": "A1", "quantity": 2, "price": 5}, {"sku": "A3"}, {}],
        },
    },
]


def test_flat_events_are_understood_by_names_values_and_the_catalogue(tmp_path):
    shape = guess_events(log(tmp_path, *FLAT), ITEMS)
    assert (shape.segment, shape.event_key, shape.user_key, shape.time_key, shape.item_key) == (
        False,
        "type",
        "user",
        "ts",
        "sku",
    )
    assert shape.kinds == {"view_item": "view", "add_to_cart": "cart", "purchase": "order"}
    assert shape.known_items == 1.0


def test_a_flat_event_becomes_a_track_call_with_its_fields_as_properties(tmp_path):
    shape = guess_events(log(tmp_path, *FLAT), ITEMS)
    assert as_call(FLAT[0], 1, shape) == {
        "type": "track",
        "event": "view_item",
        "userId": "u1",
        "messageId": "file-1",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "properties": {"sku": "A1", "position": 1},
    }
    assert as_call({**FLAT[0], "ts": "soon"}, 1, shape) is None
    assert as_call({**FLAT[0], "user": None}, 1, shape) is None


def test_segment_calls_stay_as_they_are(tmp_path):
    shape = guess_events(log(tmp_path, *SEGMENT), ITEMS)
    assert shape.segment and shape.item_key == "product_id"
    assert shape.kinds == {"Product Viewed": "view", "Product Added": "cart", "Order Completed": "order"}
    call = as_call(SEGMENT[2], 3, shape)
    assert call == {**SEGMENT[2], "messageId": "file-3", "timestamp": "2024-01-01T00:00:02.000Z"}
    assert as_call(SEGMENT[1], 2, shape)["messageId"] == "m2"


def test_orders_become_order_lines(tmp_path):
    shape = guess_events(log(tmp_path, *SEGMENT), ITEMS)
    time = "2024-01-01T00:00:03.000Z"
    assert order_lines(as_call(SEGMENT[3], 4, shape), shape) == [
        ("o1", time, "u", "A1", 2, 5.0),
        ("o1", time, "u", "A3", 1, 0.0),
    ]
    assert order_lines(as_call(SEGMENT[0], 1, shape), shape) == []
    flat = guess_events(log(tmp_path, *FLAT), ITEMS)
    assert order_lines(as_call(FLAT[2], 3, flat), flat) == [("o9", "2023-11-14T22:13:22.000Z", "u1", "A2", 2, 3.5)]


def test_the_item_field_is_the_one_with_ids_of_the_catalogue(tmp_path):
    lines = [{"event": "seen", "uid": n, "ts": 1700000000, "id": f"e{n}", "thing": "A1"} for n in range(5)]
    assert guess_events(log(tmp_path, *lines), ITEMS).item_key == "thing"


def test_lines_that_are_no_objects_are_counted_with_their_row(tmp_path):
    problems = Problems(tmp_path)
    lines = ["", '{"a": 1}', "[1]", "{", "[" * 5000, '{"b": 2}']
    assert [number for number, _ in read_lines(log(tmp_path, *lines), problems)] == [2, 6]
    assert (problems.rows, problems.bad) == (5, 3)
    assert problems.examples[0].startswith("row 3: this is no JSON object")


def test_a_line_without_end_is_one_bad_line(tmp_path):
    problems = Problems(tmp_path)
    path = log(tmp_path, '{"a": "' + "x" * 2_500_000 + '"}', '{"b": 2}')
    assert [line for _, line in read_lines(path, problems)] == [{"b": 2}]
    assert problems.bad == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no events"),
        (["[", "["], "2 of 2 rows"),
        ([{"user": "u", "ts": 1700000000}], "an event name"),
        ([{"event": "view", "ts": 1700000000}], "a person"),
        ([{"event": "view", "user": "u", "ts": "monday"}], "a time"),
    ],
)
def test_a_file_that_is_no_event_log_is_told_what_is_missing(tmp_path, lines, message):
    with pytest.raises(InvalidInput, match=message):
        guess_events(log(tmp_path, *lines), ITEMS)


def test_event_names_with_control_characters_mean_nothing(tmp_path):
    lines = [{"event": "view\n'; DROP", "user": "u", "ts": 1700000000, "sku": "A1"}] * 3
    assert guess_events(log(tmp_path, *lines), ITEMS).kinds == {}
