"""An explanation is faithful: without the main reason the item has what the explanation said was left."""

import numpy as np
import pytest

from nextpaint.decide import Examination, Experiment, PlackettLuce, Reward, ThompsonSampling
from nextpaint.decide.explain import explain
from nextpaint.decide.merchandising import Bounds, Rule, row_of
from nextpaint.decide.rank import contributions
from tests.decide.reading import NOW_MS, PERSONAL, shop, visit
from tests.decide.surfaces import HOME, decide, decider, ids

WHOLE = HOME.but("home_carousel", rules=[], limit=20)


def nothing(candidates, context):
    return np.full(len(candidates), np.nan)


@pytest.mark.parametrize("visitor", range(6))
def test_removing_the_main_reason_takes_away_what_it_gave(visitor):
    reading = shop(40, seed=visitor)
    visit(reading, "s1", (f"i{visitor:03d}", 4.0, 1), (f"i{visitor + 9:03d}", 1.0, 3))
    record = decide(decider(WHOLE), reading).record
    names = [each.name for each in record.features]
    checked = 0
    for item in record.items:
        if item.reason not in record.rank.weights:
            continue
        shares = contributions(record.rank.weights, record.rank.scales, dict(zip(names, item.values, strict=True)))
        assert max(shares, key=shares.__getitem__) == item.reason
        without = WHOLE.but("home_carousel", features={**WHOLE.features, item.reason: nothing})
        after = decide(decider(without), reading).record
        left = {each.id: each.score for each in after.items}.get(item.id)
        if left is not None:
            assert left == pytest.approx(item.score - shares[item.reason], abs=1e-12)
            assert left < item.score
        checked += 1
    assert checked > 3


def test_the_support_view_says_the_contributions_that_were_removed():
    reading = shop(40)
    visit(reading, "s1", ("i001", 4.0, 1))
    record = decide(decider(WHOLE), reading).record
    told = explain(record, "support")["items"][0]
    assert sum(fact["contribution"] or 0.0 for fact in told["facts"]) == pytest.approx(told["score"])


def test_without_consent_no_personal_table_is_read_by_exploration_experiments_or_rules():
    reading = shop(40)
    visit(reading, "s1", ("i001", 4.0, 1))
    for n, kind in enumerate(("frequency", "price", "boost")):
        rule = Rule(kind, "anna", "test", items=("i001",) if kind != "price" else (), by=2.0,
                    when=Bounds("heat", least=0.1) if kind == "price" else None)  # fmt: skip
        reading.put("_rules", **row_of("home_carousel", f"r{n}", rule.checked("r"), NOW_MS))
    reward = Reward("impressions")
    for policy in (
        ThompsonSampling("item_id", reward, examination=Examination(estimated=True)),
        PlackettLuce(0.5),
    ):
        surface = WHOLE.but("home_carousel", explore=policy, experiment=Experiment(
            "e", variants={"on": {}, "off": {"explore": None}}))  # fmt: skip
        made = decider(surface)
        reading.touched.clear()
        decision = decide(made, reading, ("s1",), profiled=False)
        assert ids(decision)
        assert not set(reading.touched) & (PERSONAL | {"identity", "_assigned"})
        assert decision.record.subjects == ()
