"""The person's own items, best first."""

from nextpaint.decide import Own
from tests.decide.reading import shop
from tests.decide.surfaces import ids
from tests.decide.test_retrieve import notes, retrieve


def bought(*rows):
    reading = shop()
    for subject, item, heat in rows:
        reading.put("bought", subject=subject, item_id=item, heat=heat)
    return reading


def test_the_largest_come_first_and_only_this_persons():
    reading = bought(("s1", "i003", 1.0), ("s1", "i007", 3.0), ("s1", "i001", 2.0), ("s2", "i005", 9.0))
    assert ids(retrieve(reading, Own("bought", by="heat", k=2))) == ["i007", "i001"]


def test_linked_devices_add():
    reading = bought(("s1", "i003", 1.0), ("s1", "i007", 1.5), ("s2", "i003", 1.0))
    assert ids(retrieve(reading, Own("bought", by="heat"), subjects=("s1", "s2"))) == ["i003", "i007"]


def test_equal_numbers_are_ordered_by_key():
    reading = bought(("s1", "i009", 1.0), ("s1", "i002", 1.0))
    assert ids(retrieve(reading, Own("bought", by="heat"))) == ["i002", "i009"]


def test_what_has_faded_away_does_not_count():
    reading = bought(("s1", "i003", 0.0), ("s1", "i007", -1.0))
    assert ids(retrieve(reading, Own("bought", by="heat"))) == []


def test_a_stranger_gets_nothing_and_the_record_says_so():
    decision = retrieve(bought(("s2", "i003", 1.0)), Own("bought", by="heat"))
    assert ids(decision) == []
    assert notes(decision)["retrieve own"] == ("abstained", "nothing of this person in bought")
