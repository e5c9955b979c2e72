"""What was added lately, best first, fading."""

import pytest

from nextpaint.decide import New, Weighted
from nextpaint.record.errors import ApplicationError
from tests.decide.reading import NOW_MS, shop
from tests.decide.surfaces import HOME, decide, decider, ids
from tests.decide.test_retrieve import notes, retrieve

DAY_MS = 86_400_000


def added(**days):
    """A shop whose items were added so many days ago; None: nobody knows."""
    reading = shop()
    for item, row in reading.data["catalog"].items():
        age = days.get(item[0], 999)
        row["ts"] = None if age is None else NOW_MS - int(age * DAY_MS)
    return reading


def test_the_newest_come_first_and_what_is_old_or_ahead_is_not_new():
    reading = added(i003=2, i001=0.5, i007=14, i002=-1, i004=71, i005=None)
    assert ids(retrieve(reading, New(by="ts", half_life="7 d"))) == ["i001", "i003", "i007"]
    assert ids(retrieve(reading, New(by="ts", half_life="7 d", k=2))) == ["i001", "i003"]
    assert ids(retrieve(reading, New(by="ts", half_life="1 d"))) == ["i001", "i003"]


def test_equal_times_are_ordered_by_key():
    assert ids(retrieve(added(i009=1, i002=1, i005=1), New(by="ts", k=2))) == ["i002", "i005"]


def test_nobody_needs_to_be_known_and_where_nothing_is_new_the_record_says_so():
    assert ids(retrieve(added(i003=1), New(by="ts"), subjects=())) == ["i003"]
    assert notes(retrieve(added(), New(by="ts")))["retrieve new"] == ("abstained", "nothing is new by ts")


def test_as_a_feature_it_halves_with_its_half_life():
    surface = HOME.but(
        "test", retrieve=[New(by="ts", half_life="30 d")], features={"new": New(by="ts", half_life="1 d")},
        rank=Weighted(new=1.0), rules=[], require=[], cold=None, say={}, explore=None,
    )  # fmt: skip
    decision = decide(decider(surface), added(i001=0, i002=1, i003=3, i004=12), ("s1",), "test")
    assert [(item.id, item.values[0]) for item in decision.record.items] == [
        ("i001", 1.0), ("i002", 0.5), ("i003", 0.125), ("i004", 0.0),
    ]  # fmt: skip
    assert decision.answer["items"][0]["reason"] == "It was added lately."


def test_a_column_that_is_no_time_is_refused():
    with pytest.raises(ApplicationError, match=r"'title'.*not a time"):
        decider(HOME.but("test", retrieve=[New(by="title")]))
