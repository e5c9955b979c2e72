"""A replay keeps the gaps divided by the speed, keeps the original times, and never reads a clock."""

import json
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.connect.orders import epoch_ms
from nextpaint.connect.replay import EventReplay, Replay, iso_time, retime
from nextpaint.record.errors import InvalidInput

TIMES = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)


@given(TIMES.map(sorted), st.integers(0, 10**13), st.sampled_from([0.5, 1, 60, 600, 7.3]))
def test_every_due_time_is_the_start_plus_the_original_distance_over_the_speed(times, start_ms, speed):
    due = list(retime(times, start_ms, speed))
    assert due == [start_ms + int((time - times[0]) / speed) for time in times]


@given(TIMES, st.integers(1, 10**6))
def test_due_times_never_go_back_and_gaps_are_capped(times, gap_max_ms):
    due = list(retime(times, 0, 1, gap_max_ms))
    assert due[0] == 0
    assert all(0 <= later - earlier <= gap_max_ms for earlier, later in pairwise(due))


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(InvalidInput, match="above 0"):
        list(retime([0], 0, speed))


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "order_id,ts,customer_id,item_id,qty,price\n"
        "1,2010-12-01T08:00,17850,A,6,2.5\n"
        "1,2010-12-01T08:00,17850,B,1,1\n"
        "2,2010-12-01T08:10,,A,2,2.5\n"
        "broken\n"
        "C1,2010-12-02T08:10,17850,B,-1,1\n"
    )
    return path


def test_orders_come_whole_with_new_and_original_times(orders):
    replay = Replay(orders, 600, 1_000_000)
    assert [(due, [row["item_id"] for row in rows]) for due, rows in replay] == [
        (1_000_000, ["A", "B"]),
        (1_001_000, ["A"]),
        (1_145_000, ["B"]),
    ]
    _, rows = next(iter(replay))
    assert rows[0] == {
        "order_id": "1",
        "user_id": "customer-17850",
        "item_id": "A",
        "qty": 6,
        "price": 2.5,
        "original_ts": epoch_ms("2010-12-01T08:00"),
        "ts": 1_000_000,
    }


def test_an_unknown_customer_has_no_user_id_and_dropped_rows_are_counted(orders):
    replay = Replay(orders, 600, 0)
    assert [rows[0]["user_id"] for _, rows in replay] == ["customer-17850", None, "customer-17850"]
    assert replay.dropped == {"unreadable row": 1}


def test_nights_are_shortened_and_history_is_left_out(orders):
    assert [due for due, _ in Replay(orders, 60, 0, gap_max_ms=600_000)] == [0, 10_000, 20_000]
    later = Replay(orders, 60, 0, begin_ms=epoch_ms("2010-12-01T08:05"))
    assert [rows[0]["order_id"] for _, rows in later] == ["2", "C1"]


def test_a_loop_goes_on_with_new_order_ids_and_the_same_gaps(orders):
    seen = [(due, rows[0]["order_id"]) for due, rows in islice(Replay(orders, 60, 0, gap_max_ms=600_000, loop=True), 7)]
    assert seen[3:] == [(21_000, "1~2"), (31_000, "2~2"), (41_000, "C1~2"), (42_000, "1~3")]


def test_a_loop_over_an_empty_file_ends(tmp_path):
    (tmp_path / "orders.csv").write_text("order_id,ts,customer_id,item_id,qty,price\n")
    assert list(Replay(tmp_path / "orders.csv", 1, 0, loop=True)) == []


def test_events_are_retimed_and_keep_their_old_time(tmp_path):
    path = tmp_path / "events.ndjson"
    call = {"type": "track", "event": "Product Viewed", "userId": "u", "sentAt": "2020-01-01T00:00:09Z"}
    lines = [{**call, "timestamp": "2020-01-01T00:00:00Z"}, {**call, "timestamp": "2020-01-01T00:01:00Z"}, call]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n[1]\nnot json\n")
    replay = EventReplay(path, 60, 5_000)
    (first_due, first), (second_due, _) = list(replay)
    assert (first_due, second_due) == (5_000, 6_000)
    assert first["timestamp"] == iso_time(5_000) == "1970-01-01T00:00:05.000Z"
    assert first["context"] == {"original_timestamp": "2020-01-01T00:00:00Z"}
    assert "sentAt" not in first
    assert replay.dropped == {"unreadable line": 3}
