"""Merchandising rules: what they move, mark and hide, and what they can never do."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide import Diversify, Moment, NotSeen, Top, Weighted
from nextpaint.decide.codec import decoded, encoded
from nextpaint.decide.explain import compare, explain
from nextpaint.decide.merchandising import EVERYWHERE, KINDS, PERSONAL_PRICE, RULES, Bounds, Rule, row_of
from nextpaint.record.errors import ApplicationError, InvalidInput
from tests.decide.reading import NOW_MS, shop, visit
from tests.decide.surfaces import BODY, HOME, decide, decider, ids

PLAIN = HOME.but(
    "home_carousel", retrieve=[Top("trending", by="heat", k=12)], rules=[], limit=6, cold=None,
    require=["inventory.stock > 5", NotSeen("impressions", times=3, within="1 h")],
    features={"trend": "trending.heat", "price": "inventory.price", "heat": "category_interest.heat"},
    rank=Weighted(trend=1.0),
)  # fmt: skip
PEOPLE = {"owner": "anna", "reason": "spring"}


def rule(kind, **more):
    return Rule(kind, **{**PEOPLE, **more})


def put(reading, rule_id, body, surface="home_carousel"):
    reading.put(RULES.name, **row_of(surface, rule_id, body.checked(rule_id), NOW_MS))


def page(reading, *subjects, surface=PLAIN, **body):
    return decide(decider(surface), reading, subjects or ("s1",), **body)


def filled(**rules):
    reading = shop(12)
    for name, each in rules.items():
        put(reading, name, each)
    return reading


def test_without_rules_the_page_is_the_ranking():
    assert ids(page(shop(12))) == [f"i{n:03d}" for n in range(1, 7)]  # i000 has a stock of 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rule("hide", items=("i001", "i003")), ["i002", "i004", "i005", "i006", "i007", "i008"]),
        (rule("hide", where={"category": "signs"}), ["i001", "i002", "i004", "i005", "i006", "i007"]),
        (rule("boost", items=("i004",), by=2), ["i001", "i004", "i002", "i003", "i005", "i006"]),
        (rule("bury", items=("i001",), by=3), ["i002", "i003", "i004", "i001", "i005", "i006"]),
        (rule("bury", items=("i001",), by=500), ["i002", "i003", "i004", "i005", "i006", "i007"]),
        (rule("pin", items=("i009",), by=2), ["i001", "i009", "i002", "i003", "i004", "i005"]),
        (rule("pin", items=("i000", "i009"), by=1), ["i009", "i001", "i002", "i003", "i004", "i005"]),
        (rule("cap", when=Bounds("price", most=4.0), by=1), ["i001", "i004", "i005", "i006", "i007", "i008"]),
    ],
    ids=lambda value: value.kind if isinstance(value, Rule) else "",
)
def test_what_each_rule_does_to_the_order(body, expected):
    assert ids(page(filled(r=body))) == expected


def test_a_pin_of_what_may_not_be_shown_is_passed_over_and_noted():
    decision = page(filled(r=rule("pin", items=("i000",), by=1, sponsored=True, behalf="ACME", paid="ACME")))
    assert "i000" not in ids(decision)
    assert decision.record.marks == {}
    assert any("r: nothing it pins may be shown" in each.note for each in decision.record.stages)


def test_rules_apply_by_priority_then_id_and_pins_last():
    reading = filled(
        a=rule("pin", items=("i009",), by=1), b=rule("pin", items=("i008",), by=1),
        c=rule("bury", items=("i009",), by=9),
        d=rule("hide", items=("i001",), priority=1),
    )  # fmt: skip
    assert ids(page(reading))[:3] == ["i009", "i002", "i003"]
    put(reading, "b", rule("pin", items=("i008",), by=1, priority=1))
    assert ids(page(reading))[:3] == ["i008", "i002", "i003"]


def test_a_pin_stands_after_the_declared_rules():
    surface = PLAIN.but("home_carousel", rules=[Diversify(by="category", at_most=1)])
    reading = filled(r=rule("pin", items=("i009",), by=3))
    assert ids(page(reading, surface=surface))[2] == "i009"


def test_a_rule_of_every_surface_and_a_rule_of_another_one():
    reading = shop(12)
    put(reading, "everywhere", rule("hide", items=("i001",)), EVERYWHERE)
    put(reading, "elsewhere", rule("hide", items=("i002",)), "search")
    assert ids(page(reading))[:2] == ["i002", "i003"]


def test_an_expired_rule_is_no_longer_applied():
    reading = filled(r=rule("hide", items=("i001",), expires_ms=NOW_MS))
    assert ids(page(reading))[0] == "i002"
    later = reading.at(NOW_MS + 1)
    assert ids(page(later))[0] == "i001"


def test_what_a_rule_moved_is_on_record_with_owner_and_reason():
    decision = page(filled(spring=rule("boost", items=("i004",), by=2)))
    (effect,) = decision.record.effects
    assert (effect.rule, effect.why, effect.moved) == ("spring", "spring (anna)", (("i004", 4, 2),))
    hidden = page(filled(gone=rule("hide", items=("i001",))))
    assert hidden.record.effects[0].moved == (("i001", 1, 0),)
    assert [miss.cause for miss in hidden.record.near if miss.id == "i001"] == ["rule"]


def test_a_sponsored_place_says_so_with_who_pays_in_answer_and_explanation():
    body = rule("pin", items=("i009",), by=1, sponsored=True, behalf="ACME", paid="ACME Media")
    decision = page(filled(r=body))
    first, second = decision.answer["items"][:2]
    assert (first["sponsored"], first["behalf"], first["paid"]) == (True, "ACME", "ACME Media")
    assert "sponsored" not in second
    assert "Sponsored for ACME, paid by ACME Media." in explain(decision.record, "user")["items"][0]["sentence"]


def test_badges_and_prices_are_answered_with_their_rule():
    reading = filled(
        sale=rule("price", items=("i001",), by=-10.0), new=rule("badge", where={"category": "cake tins"}, text="New")
    )
    item = page(reading).answer["items"][0]
    assert item["marks"] == ["New"]
    assert (item["fields"]["base_price"], item["fields"]["price"], item["fields"]["price_rule"]) == (2.0, 1.8, "sale")
    assert "price_disclosure" not in item["fields"]


def test_text_that_a_machine_wrote_is_marked_for_people_and_for_machines():
    surface = PLAIN.but("home_carousel", generated={"title": "category"})  # which here names the machine
    reading = filled(new=rule("badge", items=("i001",), text="New"))
    reading.put("catalog", item_id="i002", title="Written by hand", category="", ts=NOW_MS)
    made = decide(decider(surface), reading, ("s1",))
    items = {each["id"]: each for each in made.answer["items"]}
    assert items["i001"]["ai_generated"] == {"title": items["i001"]["fields"]["category"]}
    assert items["i001"]["marks"] == ["New"]
    assert "ai_generated" not in items["i002"]
    told = {each["id"]: each["sentence"] for each in explain(made.record, "user")["items"]}
    assert told["i001"].endswith("AI wrote its title.") and "AI wrote" not in told["i002"]
    assert explain(made.record, "regulator")["items"][0]["ai_generated"]
    assert decoded(encoded(made.record)) == made.record
    with pytest.raises(ApplicationError, match="text"):
        decider(PLAIN.but("home_carousel", generated={"text": "category"}))


def test_a_price_that_depends_on_the_person_says_so_in_the_words_of_the_law():
    reading = filled(dear=rule("price", when=Bounds("heat", least=0.5), by=5.0))
    visit(reading, "s1", ("i001", 4.0, 1))
    item = next(each for each in page(reading).answer["items"] if each["id"] == "i001")
    assert item["fields"]["price_disclosure"] == PERSONAL_PRICE
    assert item["fields"]["price"] == 2.1
    stranger = page(reading, profiled=False)
    assert all("price_rule" not in each["fields"] for each in stranger.answer["items"])
    assert PERSONAL_PRICE in explain(page(reading).record, "user")["items"][0]["sentence"]


def test_a_frequency_limit_looks_at_what_this_person_was_shown():
    reading = filled(r=rule("frequency", where={"category": "cake tins"}, by=2, within_s=600))
    seen = [("i001", NOW_MS - 60_000), ("i001", NOW_MS - 120_000), ("i002", NOW_MS - 1), ("i002", NOW_MS - 2)]
    reading.put("_seen_impressions", subject="s1", items=seen)
    assert ids(page(reading))[:2] == ["i002", "i003"]
    assert ids(page(reading, "s2"))[0] == "i001"
    assert ids(page(reading, profiled=False))[0] == "i001"


def test_a_decision_with_rules_recomputes():
    reading = filled(a=rule("pin", items=("i009",), by=2), b=rule("price", items=("i009",), by=-5.0))
    first = page(reading)
    again = decide(decider(PLAIN), reading, ("s1",), paths=first.record.paths())
    assert not compare(first.record, again.record)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"kind": "melt"}, "'kind' is 'melt'"),
        ({"owner": " "}, "'owner' is missing"),
        ({"items": ()}, "matches nothing"),
        ({"kind": "pin", "by": 0}, "'by' is 0"),
        ({"kind": "price", "by": 500}, "500 percent"),
        ({"kind": "badge"}, "'text' is missing"),
        ({"kind": "pin", "by": 1, "sponsored": True}, "on whose 'behalf'"),
        ({"sponsored": True, "behalf": "a", "paid": "b"}, "cannot be sponsored"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(body, what):
    made = {"kind": "hide", **PEOPLE, "items": ("i001",), **body}
    with pytest.raises(InvalidInput) as error:
        msgspec.convert(made, Rule).checked("r")
    assert what in str(error.value)


bodies = st.builds(
    rule,
    st.sampled_from([each for each in KINDS if each != "frequency"]),
    items=st.lists(st.sampled_from([f"i{n:03d}" for n in range(14)]), min_size=1, max_size=3, unique=True).map(tuple),
    by=st.integers(1, 8).map(float),
    text=st.just("x"),
    priority=st.integers(0, 3),
)


@given(st.lists(bodies, max_size=6), st.integers(0, 2**32))
def test_no_set_of_rules_shows_what_a_filter_removed_or_one_item_twice(rules, seed):
    reading = filled(**{f"r{n}": each for n, each in enumerate(rules)})
    made = decider(PLAIN)
    request = made.request("home_carousel", BODY)
    decision = made.decide("home_carousel", request, ("s1",), reading, Moment("d" * 16, NOW_MS, seed))
    shown = ids(decision)
    hidden = {item for each in rules if each.kind == "hide" for item in each.items}
    assert len(shown) == len(set(shown))
    assert "i000" not in shown
    assert not hidden & set(shown)
