"""A whole decision: who it is for, what it may read, what it answers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.decide import Nothing, Top
from tests.decide.reading import NOW_MS, PERSONAL, shop, visit
from tests.decide.surfaces import HOME, SEARCH, decide, decider, ids


class TestCold:
    def test_a_stranger_gets_the_cold_list(self):
        decision = decide(decider(), shop(), ())
        assert decision.answer["cold"] is True
        assert len(ids(decision)) == 10
        assert ids(decision)[0] == "i000"

    def test_a_known_person_is_not_cold(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        assert decide(decider(), reading).answer["cold"] is False

    def test_a_token_without_history_is_cold(self):
        assert decide(decider(), shop(), ["new"]).answer["cold"] is True

    def test_the_cold_list_fills_a_page_that_others_leave_short(self):
        reading = shop()
        reading.vector_rows.clear()
        reading.data["_together_orders"].clear()
        visit(reading, "s1", ("i003", 1.0, 1))
        decision = decide(decider(), reading)
        assert len(ids(decision)) == 10
        assert ids(decision)[:3] == ["i003", "i011", "i019"]
        assert dict(decision.record.retrieved) == {"similar": 0, "bought together": 0, "top": 5, "cold": 30}

    def test_a_list_the_caller_brings_is_never_added_to(self):
        assert sorted(ids(decide(decider(), shop(), (), "search", items=["i005", "i001"]))) == ["i001", "i005"]


class TestWithoutProfile:
    def test_no_personal_table_is_read(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        reading.put("_bought_orders", subject="s1", items=[("i000", NOW_MS)])
        reading.touched.clear()
        decision = decide(decider(), reading, ["s1"], profiled=False)
        assert set(reading.touched).isdisjoint(PERSONAL)
        assert decision.record.subjects == ()
        assert decision.answer["profiled"] is False
        assert decision.answer["cold"] is True
        assert ids(decision) == ids(decide(decider(), shop(), ()))

    def test_with_a_profile_they_are(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        reading.touched.clear()
        decide(decider(), reading)
        assert set(reading.touched) >= PERSONAL - {"carts"}


class TestAnswer:
    def test_its_shape_is_that_of_the_interface(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        answer = decide(decider(), reading).answer
        assert set(answer) == {
            "decision_id", "surface", "as_of", "items", "degraded", "budget", "profiled", "cold", "experiment",
            "ttl_s", "why",
        }  # fmt: skip
        first = answer["items"][0]
        assert set(first) == {"id", "position", "reason", "fields", "marks", "propensity"}
        assert first["fields"] == {"title": "Title 3", "category": "signs", "price": 4.0}
        assert [item["position"] for item in answer["items"]] == list(range(1, 11))
        assert answer["why"] == "/why/" + "d" * 16
        assert answer["as_of"] == {"event_time": "2025-11-24T16:00:00.000Z"}

    def test_limit_and_exclude_are_the_requests(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        assert len(ids(decide(decider(), reading, limit=3))) == 3
        assert "i003" not in ids(decide(decider(), reading, exclude=["i003"]))

    def test_an_empty_shop_answers_with_nothing(self):
        assert ids(decide(decider(), shop(0), ["s1"])) == []

    def test_three_clicks_in_a_category_turn_the_page_and_a_strangers_stays(self):
        reading = shop()
        before = ids(decide(decider(), reading, ["s1"]))
        control = ids(decide(decider(), reading, ["s2"]))
        visit(reading, "s1", ("i003", 1.0, 1), ("i011", 1.0, 1), ("i019", 1.0, 0))
        free = decider(HOME.but("home_carousel", rules=[]))
        signs = [item for item in ids(decide(free, reading, ["s1"])) if int(item[1:]) % 8 == 3]
        assert len(signs) == 5  # all there are
        assert sum(int(item[1:]) % 8 == 3 for item in before) <= 2
        assert ids(decide(decider(), reading, ["s2"])) == control

    def test_interest_fades_with_time_alone(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 0))
        later = reading.at(NOW_MS + 3_600_000)
        heat = [decide(decider(), each, ["s1"]).record.items[0].values[1] for each in (reading, later)]
        assert heat[1] is not None and heat[0] is not None and heat[1] < heat[0] / 60


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(0, 23)),
    st.lists(st.integers(0, 23), max_size=6),
    st.sampled_from(["home_carousel", "search"]),
    st.sampled_from([("s1",), ("s1", "s2"), ()]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_out_of_stock_is_never_answered(sold_out, clicks, surface, subjects, profiled, no_time):
    reading = shop(24)
    service = decider()
    visit(reading, "s1", *[(f"i{item:03d}", 1.0, 1) for item in clicks])
    decide(
        service, reading, subjects, surface, profiled=profiled, items=list(reading.vector_rows)
    )  # a last good answer
    for item in sold_out:
        reading.put("inventory", item_id=f"i{item:03d}", stock=0, price=1.0)
    if no_time:
        service._costs.observe(surface, "filter", 10**12)
    decision = decide(service, reading, subjects, surface, profiled=profiled, items=list(reading.vector_rows))
    assert not {f"i{item:03d}" for item in sold_out} & set(ids(decision))
    assert bool(decision.answer["degraded"]) == no_time


def test_a_surface_without_cold_or_fallback_answers_nothing_rather_than_anything():
    bare = HOME.but("home_carousel", cold=None, fallback=Nothing())
    assert ids(decide(decider(bare), shop(), ())) == []


def test_two_retrievers_of_a_kind_have_their_own_names():
    twice = HOME.but("home_carousel", retrieve=[Top("trending", by="heat", k=3), Top("trending", by="heat", k=5)])
    decision = decide(decider(twice, SEARCH), shop(), ())
    assert decision.record.retrieved[:2] == (("top", 3), ("top 2", 5))
