"""What must not be shown is not shown, and why is on record."""

import pytest

from nextpaint.decide import LastGood, NotBought, NotSeen, Require, Top
from tests.decide.reading import MINUTE_MS, NOW_MS, shop, visit
from tests.decide.surfaces import HOME, SEARCH, decide, decider, ids

PLAIN = {"features": {}, "rank": None, "rules": [], "cold": None, "retrieve": [Top("trending", by="heat", k=8)]}


def filtered(reading, *require, subjects=("s1",), **body):
    return decide(decider(HOME.but("test", require=list(require), **PLAIN)), reading, subjects, "test", **body)


def removed(decision):
    return {each.filter: each.ids for each in decision.record.filters}


class TestConditions:
    def test_only_what_fulfils_the_condition_is_answered(self):
        reading = shop(8)
        reading.put("inventory", item_id="i002", stock=2, price=1.0)
        decision = filtered(reading, "inventory.stock > 2")
        assert "i002" not in ids(decision)
        assert removed(decision) == {"inventory.stock > 2": ("i002",)}

    def test_unknown_is_refused_unless_kept(self):
        reading = shop(8)
        del reading.data["inventory"]["i003",]
        reading.put("inventory", item_id="i004", stock=None, price=1.0)
        assert not {"i003", "i004"} & set(ids(filtered(reading, "inventory.stock > 2")))
        for keep in (Require("inventory.stock > 2", missing="keep"), ("inventory.stock > 2", "keep")):
            assert {"i003", "i004"} < set(ids(filtered(reading, keep)))

    def test_conditions_may_combine_tables_inputs_and_the_items_own_columns(self):
        decision = filtered(shop(8), "inventory.price < 6 AND catalog.category <> inputs.page", inputs={"page": "mugs"})
        assert ids(decision) == ["i000", "i001", "i003", "i004"]

    def test_an_expression_that_fails_refuses(self):
        reading = shop(8)
        reading.put("catalog", item_id="i001", title="12", category="mugs", ts=NOW_MS)
        decision = filtered(reading, "CAST(catalog.title AS INT) > 3")
        assert ids(decision) == ["i001"]

    def test_each_item_is_charged_to_the_first_filter_that_refuses_it(self):
        reading = shop(8)
        reading.put("inventory", item_id="i002", stock=0, price=99.0)
        decision = filtered(reading, "inventory.stock > 0", "inventory.price < 90")
        assert removed(decision) == {"inventory.stock > 0": ("i002",)}


class TestPersonalLimits:
    def seen(self, reading, subject, *minutes, item="i001"):
        items = [(item, NOW_MS - each * MINUTE_MS) for each in minutes]
        reading.put("_seen_impressions", subject=subject, items=items)

    def test_an_item_seen_three_times_within_the_hour_rests(self):
        reading = shop(8)
        self.seen(reading, "s1", 50, 20, 1)
        decision = filtered(reading, NotSeen("impressions", times=3, within="1 h"))
        assert removed(decision) == {"not seen 3 times within 1 h": ("i001",)}

    @pytest.mark.parametrize("minutes", [(20, 1), (61, 60, 20, 1)])
    def test_fewer_or_older_impressions_do_not_count(self, minutes):
        reading = shop(8)
        self.seen(reading, "s1", *minutes)
        assert "i001" in ids(filtered(reading, NotSeen("impressions", times=3, within="1 h")))

    def test_impressions_on_all_devices_add_up(self):
        reading = shop(8)
        self.seen(reading, "phone", 3, 2)
        self.seen(reading, "laptop", 1)
        limit = NotSeen("impressions", times=3, within="1 h")
        assert "i001" in ids(filtered(reading, limit, subjects=["phone"]))
        assert "i001" not in ids(filtered(reading, limit, subjects=["phone", "laptop"]))

    def test_what_was_bought_is_not_offered(self):
        reading = shop(8)
        reading.put("_bought_orders", subject="s1", items=[("i003", NOW_MS - 60 * MINUTE_MS)])
        assert "i003" not in ids(filtered(reading, NotBought("orders", within="30 d")))
        assert "i003" in ids(filtered(reading, NotBought("orders", within="30 min")))


def test_a_plain_function_can_only_take_away():
    def odd_ones_first_and_one_more(candidates, context):
        return context.found(["i031", *[key for key in reversed(candidates.keys()) if int(key[1:]) % 2]])

    decision = filtered(shop(), odd_ones_first_and_one_more)
    assert ids(decision) == ["i001", "i003", "i005", "i007"]
    assert removed(decision) == {"odd_ones_first_and_one_more": ("i000", "i002", "i004", "i006")}


def test_excluded_ids_are_removed_and_on_record():
    decision = filtered(shop(8), exclude=["i000", "i005"])
    assert removed(decision) == {"excluded by the request": ("i000", "i005")}
    assert decision.record.near == ()


@pytest.mark.parametrize("path", ["retrieved", "given", "cold", "fallback"])
def test_filters_apply_on_every_path(path):
    reading = shop(12)
    for item in ("i000", "i003", "i008"):
        reading.put("inventory", item_id=item, stock=0, price=1.0)
    visit(reading, "s1", ("i000", 1.0, 1))
    service = decider(HOME.but("home_carousel", fallback=LastGood("10 min")), SEARCH)
    surface, body = ("search", {"items": list(reading.vector_rows)}) if path == "given" else ("home_carousel", {})
    if path == "fallback":
        service._memory.keep("home_carousel", "s1", NOW_MS, tuple(reading.vector_rows))
        service._costs.observe("home_carousel", "filter", 10**12)
    decision = decide(service, reading, () if path == "cold" else ("s1",), surface, **body)
    assert len(ids(decision)) == 9
    assert not {"i000", "i003", "i008"} & set(ids(decision))
    assert bool(decision.answer["degraded"]) == (path == "fallback")
