"""Explanations are templates over the stored record: readable, complete, and true."""

import msgspec
import pytest

from nextpaint.decide import DecisionRecord, Weighted
from nextpaint.decide.codec import decoded, encoded
from nextpaint.decide.explain import VIEWS, compare, explain
from nextpaint.decide.wording import ordinal
from nextpaint.record.errors import InvalidInput
from tests.decide.reading import shop, visit
from tests.decide.surfaces import HOME, SEARCH, decide, decider

JARGON = ("score", "feature", "candidate", "rank", "vector", "weight", "cosine", "filter", "table", "null", "degraded")


def record(**body) -> DecisionRecord:
    reading = shop()
    visit(reading, "s1", ("i003", 1.0, 1), ("i004", 2.0, 2))
    reading.put("inventory", item_id="i011", stock=0, price=12.0)
    return decoded(encoded(decide(decider(), reading, **body).record))


class TestUser:
    def test_at_most_120_words_whatever_is_explained(self):
        titles = {f"i{index:03d}": "a very long title of many many words " * 2 for index in range(40)}
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        long = decide(decider(HOME, SEARCH), reading, ["s1"], "search", items=list(reading.vector_rows), limit=40)
        for each in (record(), long.record, decide(decider(), reading, ()).record):
            assert len(explain(each, "user")["text"].split()) <= 120
            assert len(explain(each, "user", titles)["text"].split()) <= 120

    def test_one_sentence_per_item_in_plain_words(self):
        view = explain(record(), "user")
        assert [each["id"] for each in view["items"]] == [each.id for each in record().items]
        for each in view["items"]:
            assert each["sentence"].endswith(".")
            assert each["sentence"].count(".") == 1
        assert not [word for word in JARGON if word in view["text"].lower()]

    def test_it_says_the_category_somebody_looked_at(self):
        surface = HOME.but("home_carousel", rank=Weighted(heat=1.0))
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        view = explain(decide(decider(surface), reading).record, "user")
        assert view["items"][0]["sentence"] == "You have been looking at signs."

    def test_a_surface_may_say_it_in_its_own_words(self):
        surface = HOME.but("home_carousel", rank=Weighted(heat=1.0), say={"heat": "More {about}, as you like them."})
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        decision = decide(decider(surface), reading)
        assert decision.answer["items"][0]["reason"] == "More signs, as you like them."
        assert explain(decision.record, "user")["items"][0]["sentence"] == "More signs, as you like them."

    def test_without_profiling_it_says_that_nothing_was_used(self):
        assert "nothing about you was used" in explain(record(profiled=False), "user")["text"]


class TestSupport:
    def test_contributions_sum_to_the_score(self):
        for item in explain(record())["items"]:
            shares = [fact["contribution"] for fact in item["facts"] if fact["contribution"] is not None]
            assert sum(shares) == pytest.approx(item["score"], abs=1e-12)

    def test_facts_carry_their_ages(self):
        facts = {fact["feature"]: fact["text"] for fact in explain(record())["items"][0]["facts"]}
        assert facts["price"].endswith(", read 12 ms ago")
        assert "read 1 min ago" in facts["sim"]

    def test_what_is_unknown_counts_as_zero_and_says_so(self):
        texts = [fact["text"] for item in explain(record())["items"] for fact in item["facts"]]
        assert "heat unknown, counts as 0" in texts

    def test_near_misses_in_one_line(self):
        view = explain(record(), "support", {"i011": "Red lantern"})
        (line,) = [each for each in view["near_misses"] if each["id"] == "i011"]
        place = ordinal(line["would_be"])
        assert line["text"] == f"would be {place}: hidden, stock 0, read 12 ms ago (inventory.stock > 2)"
        assert f"Red lantern: {line['text']}" in view["text"]

    def test_removing_the_main_reason_lowers_the_item(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        service = decider(HOME.but("home_carousel", rules=[]))
        before = decide(service, reading)
        first = explain(before.record)["items"][0]
        main = max(first["facts"], key=lambda fact: fact["contribution"] or 0.0)
        assert main["feature"] == "sim"
        del reading.data["recent"]["s1",]
        after = {item.id: item.score for item in decide(service, reading).record.items}
        assert after[first["id"]] < first["score"] - 0.9 * main["contribution"]


class TestRegulator:
    def test_it_holds_what_proves_the_decision(self):
        made = record()
        view = explain(made, "regulator")
        assert view["integrity"]["record_digest"] == made.digest()
        assert view["integrity"]["matrix"] == made.matrix
        assert view["subjects"] == ["s1"]
        assert {each["feature"] for each in view["personal_data_used"]} == {"sim", "heat"}
        assert msgspec.convert(view["record"], DecisionRecord) == made

    def test_without_profiling_the_personal_data_used_is_empty(self):
        assert explain(record(profiled=False), "regulator")["personal_data_used"] == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_json(view):
    msgspec.json.encode(explain(record(), view))


def test_another_view_is_refused():
    with pytest.raises(InvalidInput, match="no view 'expert'"):
        explain(record(), "expert")


class TestCompare:
    def test_a_record_is_identical_to_itself(self):
        assert compare(record(), record()) == []

    def test_one_click_less_is_found(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        made = decide(decider(), reading).record
        visit(reading, "s1", ("i004", 9.0, 0))
        what = {each.what for each in compare(made, decide(decider(), reading).record)}
        assert {"features", "scores", "order"} <= what

    def test_each_kind_of_difference_is_named(self):
        made = record()
        shuffled = msgspec.structs.replace(made, items=made.items[::-1])
        assert [each.what for each in compare(made, shuffled)] == ["order"]
        moved = msgspec.structs.replace(made, position=7)
        assert str(compare(made, moved)[0]).startswith("position: recorded (42,")
        assert [each.what for each in compare(made, msgspec.structs.replace(made, seed=9))] == ["record"]


def test_ordinals():
    assert [ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip
