"""Where candidates come from."""

from math import sqrt

import numpy as np
import pytest

from nextpaint.decide import BoughtTogether, Candidates, Given, Recent, Similar, Top, TopOf, Weighted
from nextpaint.process.kernels.decay import decay
from tests.decide.reading import MINUTE_MS, NOW_MS, shop, visit
from tests.decide.surfaces import HOME, SESSION, decide, decider, ids

PLAIN = {"features": {}, "rank": None, "rules": [], "require": [], "cold": None}


def retrieve(reading, *retrievers, subjects=("s1",), **body):
    surface = HOME.but("test", retrieve=list(retrievers), limit=40, **PLAIN)
    return decide(decider(surface), reading, subjects, "test", **body)


def notes(decision):
    return {stage.stage: (stage.path, stage.note) for stage in decision.record.stages}


class TestSimilar:
    def test_the_nearest_are_those_of_the_category_looked_at(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        found = ids(retrieve(reading, Similar("item_vectors", to=SESSION, k=5)))
        assert {int(item[1:]) % 8 for item in found} == {3}

    def test_order_is_that_of_the_cosine(self):
        reading = shop()
        visit(reading, "s1", ("i003", 1.0, 1))
        found = ids(retrieve(reading, Similar("item_vectors", to=SESSION, k=40)))
        target = reading.vector_rows["i003"]
        cosine = {
            item: float(v @ target / (np.linalg.norm(v) * np.linalg.norm(target)))
            for item, v in reading.vector_rows.items()
        }
        assert found == sorted(cosine, key=lambda item: -cosine[item])

    def test_an_empty_session_abstains_and_says_so(self):
        decision = retrieve(shop(), Similar("item_vectors", to=SESSION))
        assert ids(decision) == []
        assert notes(decision)["retrieve similar"] == ("abstained", "nothing recent in recent.items")

    def test_equal_vectors_are_ordered_by_key(self):
        reading = shop(24)
        for item in reading.vector_rows:
            reading.vector_rows[item] = reading.vector_rows["i000"]
        visit(reading, "s1", ("i003", 1.0, 1))
        assert ids(retrieve(reading, Similar("item_vectors", to=SESSION, k=4))) == ["i000", "i001", "i002", "i003"]


class TestBoughtTogether:
    def test_scores_are_decayed_cosines_of_shared_baskets(self):
        reading = shop()
        reading.data["_together_orders"].clear()
        for item, other, n, own, theirs in [
            ("i001", "i010", 4, 16, 4),
            ("i001", "i011", 9, 16, 81),
            ("i002", "i011", 1, 1, 81),
        ]:
            reading.put("_together_orders", item=item, other=other, share=n / (own * theirs) ** 0.5)
        visit(reading, "s1", ("i001", 2.0, 30), ("i002", 1.0, 0))
        surface = HOME.but("test", retrieve=[BoughtTogether("orders", to="recent.items", k=9)], limit=9, **PLAIN)
        batch = decider(surface)._bound["test"].retrieve[0].run(Candidates.none(), _context(reading))
        weight = decay(2.0, 30 * MINUTE_MS, 30 * MINUTE_MS)
        expected = {"i010": weight * 4 / sqrt(16 * 4), "i011": 1.0 * 1 / sqrt(81) + weight * 9 / sqrt(16 * 81)}
        assert dict(zip(batch.keys(), batch.scores.tolist(), strict=True)) == pytest.approx(expected)
        assert batch.keys() == ["i010", "i011"]

    def test_what_was_just_looked_at_is_not_proposed(self):
        reading = shop()
        visit(reading, "s1", ("i001", 1.0, 1), ("i002", 1.0, 2))
        assert not {"i001", "i002"} & set(ids(retrieve(reading, BoughtTogether("orders"))))

    def test_it_abstains_when_nothing_was_bought_with_it(self):
        reading = shop()
        reading.data["_together_orders"].clear()
        visit(reading, "s1", ("i001", 1.0, 1))
        path, note = notes(retrieve(reading, BoughtTogether("orders")))["retrieve bought together"]
        assert (path, note) == ("abstained", "no recent item was ever bought with another")

    def test_as_a_feature_it_is_the_score_and_zero_without_a_shared_basket(self):
        reading = shop()
        reading.data["_together_orders"].clear()
        reading.put("_together_orders", item="i001", other="i002", share=1 / 6)
        visit(reading, "s1", ("i001", 1.0, 0))
        surface = HOME.but("test", **{**PLAIN, "features": {"t": BoughtTogether("orders")}}, retrieve=[Given("items")])
        found = decide(decider(surface), reading, ("s1",), "test", items=["i002", "i003"])
        assert [item.values[0] for item in found.record.items] == [1 / 6, 0.0]


class TestTop:
    def test_the_best_by_a_column(self):
        assert ids(retrieve(shop(), Top("trending", by="heat", k=3))) == ["i000", "i001", "i002"]

    def test_within_the_persons_interests(self):
        reading = shop()
        visit(reading, "s1", ("i002", 5.0, 1), ("i003", 4.0, 1), ("i004", 1.0, 1))
        where = {"category": TopOf("category_interest", by="heat", n=2)}
        assert ids(retrieve(reading, Top("trending", by="heat", where=where, k=4))) == ["i002", "i003", "i010", "i011"]

    def test_within_given_values(self):
        top = Top("trending", by="heat", where={"category": ["mugs", "toys"]}, k=3)
        assert ids(retrieve(shop(), top)) == ["i002", "i005", "i010"]

    def test_a_narrow_restriction_looks_beyond_the_first_rows(self):
        reading = shop(600)
        reading.put("catalog", item_id="i599", title="last", category="rare", ts=NOW_MS)
        assert ids(retrieve(reading, Top("trending", by="heat", where={"category": "rare"}, k=3))) == ["i599"]

    def test_without_interests_it_abstains(self):
        where = {"category": TopOf("category_interest", by="heat", n=2)}
        decision = retrieve(shop(), Top("trending", by="heat", where=where))
        assert notes(decision)["retrieve top"] == ("abstained", "no category of interest yet")

    def test_rows_without_a_number_or_without_an_item_do_not_count(self):
        reading = shop(8)
        reading.put("trending", item_id="i000", heat=None)
        reading.put("trending", item_id="i001", heat=float("nan"))
        reading.put("trending", item_id="gone", heat=1e9)
        assert ids(retrieve(reading, Top("trending", by="heat", k=3))) == ["i002", "i003"]

    def test_an_empty_table_has_nothing(self):
        reading = shop(4)
        reading.data["trending"].clear()
        assert ids(retrieve(reading, Top("trending", by="heat", where={"category": "mugs"}))) == []


class TestRecentAndGiven:
    def test_recent_is_newest_first_and_each_item_once(self):
        reading = shop()
        visit(reading, "s1", ("i001", 1.0, 9), ("i002", 1.0, 5), ("i001", 1.0, 2))
        assert ids(retrieve(reading, Recent("recent.items", k=5))) == ["i001", "i002"]

    def test_given_keeps_the_callers_order_and_counts_unknown_ids(self):
        decision = retrieve(shop(), Given("items"), items=["i007", "nope", "i001"])
        assert ids(decision) == ["i007", "i001"]
        assert decision.record.unknown_items == 1

    def test_given_order_stands_where_scores_are_equal(self):
        surface = HOME.but(
            "test",
            retrieve=[Given("items")],
            **PLAIN | {"features": {"heat": "category_interest.heat"}, "rank": Weighted(heat=1.0)},
        )
        reading = shop()
        visit(reading, "s1", ("i002", 1.0, 1))
        decision = decide(decider(surface), reading, ("s1",), "test", items=["i009", "i003", "i010", "i001"])
        assert ids(decision) == ["i010", "i009", "i003", "i001"]

    def test_given_can_be_an_input(self):
        surface = HOME.but("test", retrieve=[Given("cart")], inputs={"page": str, "cart": list}, **PLAIN)
        body = {"inputs": {"page": "cart", "cart": ["i004", "i002"]}}
        assert ids(decide(decider(surface), shop(), ("s1",), "test", **body)) == ["i004", "i002"]


def test_a_plain_function_is_a_retriever():
    def new_arrivals(candidates, context):
        return context.found(["i030", "i031"])

    decision = retrieve(shop(), new_arrivals)
    assert ids(decision) == ["i030", "i031"]
    assert decision.record.retrieved == (("new_arrivals", 2),)


def _context(reading):
    from nextpaint.decide.context import Context, Moment
    from nextpaint.decide.request import DecisionRequest

    return Context(reading, "catalog", DecisionRequest(), ("s1",), Moment("d", NOW_MS, 0))
