"""What if: a decision from the ledger with a fact changed, an event left out, a feature nobody has, or no profile."""

import asyncio
import json

import pytest

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.engine import supposing
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.supposing import LAST_VIEW, Change, Source, Supposing
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SystemClock
from nextpaint.record.errors import InvalidInput, NotFound, Overloaded
from tests.engine.shop import GOODS, LiveNode, asked, click, corner, ids, opened, retail, slice_of


async def decided(engine, visitor="v1", views=("g3", "g7", "g7", "g9"), surface="shelf"):
    for item in views:
        await engine.ingest(LOCAL, [click(visitor, item)])
    await engine.node.settled()
    return await engine.decide(LOCAL, surface, asked(visitor))


def on_corner(tmp_path, act):
    async def main_():
        async with opened(tmp_path / "node", corner(), items=GOODS) as engine:
            await act(engine)

    asyncio.run(main_())


def test_an_item_that_had_been_sold_out_leaves_and_the_rest_moves_up(tmp_path):
    async def act(engine):
        answer = await decided(engine)
        first, *rest = ids(answer)
        told = await engine.what_if(LOCAL, answer["decision_id"], Change(items={first: {"stock": 0}}))
        assert ids(told["answer"])[: len(rest)] == rest
        gone = next(card for card in told["cards"] if card["id"] == first)
        assert (gone["before"], gone["after"]) == (1, None)
        assert "stock 0" in gone["because"] and "hidden" in gone["because"]
        assert told["proved"] is True
        assert told["changed"] == [f"stock of {first} (Thing {first[1:]}) 0 instead of {5 + int(first[1:])}"]
        unchanged = await engine.decide(LOCAL, "shelf", asked("v1"))
        assert ids(unchanged) == ids(answer), "nothing was written"

    on_corner(tmp_path, act)


def test_it_is_what_the_node_answers_when_the_change_really_happens(tmp_path):
    async def act(engine):
        answer = await decided(engine)
        told = await engine.what_if(LOCAL, answer["decision_id"], Change(items={"g7": {"stock": 0, "price": 3.0}}))
        await engine.put_items(LOCAL, [{"item_id": "g7", "stock": 0, "price": 3.0}])
        after = await engine.decide(LOCAL, "shelf", asked("v1"))
        assert ids(told["answer"]) == ids(after)

    on_corner(tmp_path, act)


def counted(monkeypatch):
    """How often a state is put together from the ledger."""
    made, before = [], supposing.Recomputation.__init__

    def init(self, *arguments, **named):
        made.append(1)
        before(self, *arguments, **named)

    monkeypatch.setattr(supposing.Recomputation, "__init__", init)
    return made


def test_the_next_question_about_the_same_or_a_later_decision_builds_no_state(tmp_path, monkeypatch):
    async def act(engine):
        first = await decided(engine)
        made = counted(monkeypatch)
        sold_out = Change(items={ids(first)[0]: {"stock": 0}})
        told = await engine.what_if(LOCAL, first["decision_id"], sold_out)
        cheap = Change(items={ids(first)[1]: {"price": 0.5}}, without=("heat",))
        other = await engine.what_if(LOCAL, first["decision_id"], cheap)
        with pytest.raises(InvalidInput):
            await engine.what_if(LOCAL, first["decision_id"], Change(items=sold_out.items, without=("luck",)))
        assert await engine.what_if(LOCAL, first["decision_id"], sold_out) == told
        later = await decided(engine, views=("g5", "g5", "g5"))
        after = await engine.what_if(LOCAL, later["decision_id"], sold_out)
        assert after["proved"] and other["proved"]
        assert len(made) == 1
        monkeypatch.setattr(supposing, "KEPT_ROWS_MAX", -1)  # as if each were the first question
        for decision, change, said in ((first, cheap, other), (first, sold_out, told), (later, sold_out, after)):
            assert await engine.what_if(LOCAL, decision["decision_id"], change) == said
        assert len(made) > 2

    on_corner(tmp_path, act)


CHANGES = (
    {"g7": {"stock": 0}}, {"g7": {"price": 9.5}, "g9": {"stock": 0}}, {"g3": {"category": "c9"}},
    {"g3": {"category": None, "price": None}}, {"g2": {"stock": 0}, "g3": {"stock": 0}, "g19": {"price": 50.0}},
    {"g12": {"price": None, "category": "c1", "title": "Another"}},
)  # fmt: skip
SECOND = """
from nextpaint.decide import Diversify
second = shelf.but("second", limit=12, require=["goods.stock > 0", "goods.price < 19"],
    rules=[Diversify("category", 2)],
    retrieve=[Top("heat", by="heat", k=50), Top("goods", by="price", k=4, where={"category": "c3"})],
    features={"heat": "heat.heat", "price": "goods.price"}, rank=Weighted(heat=1.0, price=0.3))
"""


def test_facts_read_over_the_state_are_what_writing_them_would_give(tmp_path, monkeypatch):
    async def main_():
        application = corner(surfaces=SECOND)
        async with opened(tmp_path / "node", application, items=GOODS) as engine:
            answer = await decided(engine, surface="second")
            assert "goods" not in engine.node.runner.graph.derived_from
            for items in CHANGES:
                over = await engine.what_if(LOCAL, answer["decision_id"], Change(items=items))
                with monkeypatch.context() as patch:
                    patch.setattr(supposing.Supposed, "alone", lambda *_: False)
                    written = await engine.what_if(LOCAL, answer["decision_id"], Change(items=items))
                assert written == over, items
                assert over["cards"] or over["moved"] == 0

    asyncio.run(main_())


def test_without_the_last_view_the_page_is_that_of_a_node_that_never_saw_it(tmp_path):
    async def one(directory, views):
        async with opened(directory, corner(), items=GOODS) as engine:
            answer = await decided(engine, views=views)
            told = await engine.what_if(LOCAL, answer["decision_id"], Change(forget=(LAST_VIEW,)))
            return ids(answer), told

    async def main_():
        real, told = await one(tmp_path / "all", ("g3", "g3", "g7", "g9"))
        fewer, _ = await one(tmp_path / "fewer", ("g3", "g3", "g7"))
        assert ids(told["answer"]) == fewer != real
        assert told["changed"][0].startswith("without Product Viewed g9 (Thing 9), ")

    asyncio.run(main_())


def test_what_was_prepared_answers_without_another_state_and_says_the_same(tmp_path, monkeypatch):
    async def act(engine):
        first = await decided(engine)
        await decided(engine, "v2", ("g1", "g2"))
        later = await decided(engine, views=("g5",))
        changes = [
            Change(forget=(LAST_VIEW,)), Change(items={ids(first)[0]: {"stock": 0}}), Change(forget=(LAST_VIEW,)),
            Change(items={ids(first)[1]: {"stock": 0}}, forget=(LAST_VIEW,)), Change(without=("heat",)),
        ]  # fmt: skip
        unprepared = {}
        for decision in (first, later):
            for number, change in enumerate(changes):
                engine._explaining._forget()
                unprepared[decision["decision_id"], number] = await engine.what_if(
                    LOCAL, decision["decision_id"], change
                )
        engine._explaining._forget()
        made = counted(monkeypatch)
        for decision in (first, later):
            assert await engine.prepare(LOCAL, decision["decision_id"]) is True
            built = len(made)
            for number, change in enumerate(changes):
                told = await engine.what_if(LOCAL, decision["decision_id"], change)
                assert told == unprepared[decision["decision_id"], number], (decision["decision_id"], number)
            assert len(made) == built, "no state was put together while somebody waited"
        assert await engine.prepare(LOCAL, later["decision_id"]) is True
        stranger = await engine.decide(LOCAL, "shelf", asked("nobody"))
        assert await engine.prepare(LOCAL, stranger["decision_id"]) is True
        with pytest.raises(NotFound):
            await engine.prepare(LOCAL, "f" * 16)
        async with engine._explaining._turn:
            assert await engine.prepare(LOCAL, first["decision_id"]) is False, "somebody asks: nobody waits for this"

    on_corner(tmp_path, act)


def test_a_view_before_another_application_came_into_force_is_forgotten_as_well(tmp_path):
    async def act(engine):
        await engine.ingest(LOCAL, [click("v1", "g3"), click("v1", "g7")])
        await engine.node.settled()
        before = await engine.decide(LOCAL, "shelf", asked("v1"))
        forgotten = await engine.what_if(LOCAL, before["decision_id"], Change(forget=(LAST_VIEW,)))
        await engine.apply(LOCAL, corner(surfaces="\nother = shelf.but('other', limit=3)\n"))
        after = await engine.decide(LOCAL, "shelf", asked("v1"))
        for prepared in (False, True):
            if prepared:
                engine._explaining._forget()
                await engine.prepare(LOCAL, after["decision_id"])
            told = await engine.what_if(LOCAL, after["decision_id"], Change(forget=(LAST_VIEW,)))
            assert told["moved"] == forgotten["moved"] > 0, "the rebuilt state had the view"
            assert ids(told["answer"]) == ids(forgotten["answer"]) != ids(after)

    on_corner(tmp_path, act)


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_named_event_is_left_out_also_when_a_checkpoint_knows_it(tmp_path, checkpoints):
    async def act(engine):
        await engine.ingest(LOCAL, [click("v1", "g3", messageId="old") for _ in range(1)])
        await engine.node.settled()
        if checkpoints:
            engine.node.checkpoint_now()
        answer = await decided(engine, views=("g9",))
        told = await engine.what_if(LOCAL, answer["decision_id"], Change(forget=("old",)))
        assert {"g3", "g9"} <= set(ids(answer))
        card = next(each for each in told["cards"] if each["id"] == "g3")
        assert card["before"] in (1, 2)
        assert card["after"] is None or card["contributions"] or card["after"] > card["before"]
        assert told["answer"]["items"][0]["id"] == "g9"
        listed = await engine.events_before(LOCAL, answer["decision_id"])
        assert [each["item_id"] for each in listed] == ["g9", "g3"]
        with pytest.raises(NotFound, match="no event 'other'"):
            await engine.what_if(LOCAL, answer["decision_id"], Change(forget=("other",)))

    on_corner(tmp_path, act)


def test_an_event_of_somebody_else_cannot_be_named(tmp_path):
    async def act(engine):
        await engine.ingest(LOCAL, [click("v2", "g3", messageId="theirs")])
        answer = await decided(engine)
        with pytest.raises(NotFound):
            await engine.what_if(LOCAL, answer["decision_id"], Change(forget=("theirs",)))
        stranger = await engine.decide(LOCAL, "shelf", asked("nobody"))
        with pytest.raises(NotFound, match="no view of an item"):
            await engine.what_if(LOCAL, stranger["decision_id"], Change(forget=(LAST_VIEW,)))

    on_corner(tmp_path, act)


REFUSED = [
    (Change(), "nothing is changed"),
    (Change(items={"g1": {"stok": 1}}), "no item table has a column 'stok'"),
    (Change(items={"g1": {"stock": "many"}}), "stock: 'many' is not a INT"),
    (Change(items={"x": {"stock": 1}}), "goods has no item 'x'"),
    (Change(without=("warmth",)), "there is no feature 'warmth'"),
    (Change(forget=tuple(map(str, range(60)))), "more than 50 changes"),
]


def test_what_makes_no_sense_is_refused_by_name(tmp_path):
    async def act(engine):
        answer = await decided(engine)
        for change, match in REFUSED:
            with pytest.raises((InvalidInput, NotFound), match=match):
                await engine.what_if(LOCAL, answer["decision_id"], change)

    on_corner(tmp_path, act)


def test_without_a_feature_and_without_a_profile(tmp_path):
    async def act(engine):
        answer = await decided(engine)
        told = await engine.what_if(LOCAL, answer["decision_id"], Change(without=("heat",)))
        assert {card["score_after"] for card in told["cards"]} == {0.0}
        told = await engine.what_if(LOCAL, answer["decision_id"], Change(profiled=False))
        assert told["answer"]["profiled"] is False

    on_corner(tmp_path, act)


def test_the_moved_cards_of_the_gift_shop_have_the_contributions_that_moved_them(tmp_path):
    async def main_():
        items = slice_of(200)
        viewed = [item["item_id"] for item in items[:3]]
        async with opened(tmp_path / "node", retail(), items=items) as engine:
            answer = await decided(engine, views=viewed, surface="home_carousel")
            told = await engine.what_if(LOCAL, answer["decision_id"], Change(forget=(LAST_VIEW,)))
            assert told["moved"] > 3
            assert {name for card in told["cards"] for name in card["contributions"]} >= {"interest", "similarity"}
            assert len(told["answer"]["items"]) == 20
            assert all(card["title"] for card in told["cards"])

    asyncio.run(main_())


def test_without_its_main_reason_an_item_has_what_the_explanation_said_was_left(tmp_path):
    async def main_():
        items = slice_of(120)
        async with opened(tmp_path / "node", retail(), items=items) as engine:
            viewed = [item["item_id"] for item in items[:40:8]]
            answer = await decided(engine, views=viewed, surface="home_carousel")
            why = await engine.explain(LOCAL, answer["decision_id"], "support")
            record = engine._explaining.record(answer["decision_id"])
            checked = 0
            for name in {each.reason for each in record.items} & set(record.rank.weights):
                told = await engine.what_if(LOCAL, answer["decision_id"], Change(without=(name,)))
                after = {card["id"]: card["score_after"] for card in told["cards"]}
                for item in why["items"]:
                    share = next(fact["contribution"] for fact in item["facts"] if fact["feature"] == name)
                    if after[item["id"]] is not None:
                        left = pytest.approx(item["score"] - share, abs=1e-5)  # near misses have six digits
                        assert after[item["id"]] == left, (name, item["id"])
                        checked += share > 0.0
                first = next(each for each in why["counterfactuals"] if each.get("feature") == name)
                assert first["kind"] == "without"
            assert checked > 10

    asyncio.run(main_())


def test_too_many_questions_at_once_are_refused_early(tmp_path):
    async def act(engine):
        answer = await decided(engine)
        asking = [engine.what_if(LOCAL, answer["decision_id"], Change(profiled=False)) for _ in range(12)]
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert sum(isinstance(each, Overloaded) for each in found) == 8
        assert sum(isinstance(each, dict) for each in found) == 4

    on_corner(tmp_path, act)


def test_the_command_asks_a_data_directory(tmp_path, capsys):
    told = {}

    async def act(engine):
        answer = await decided(engine)
        told.update(answer)

    on_corner(tmp_path, act)
    data = str(tmp_path / "node")
    assert main(["why", told["decision_id"], "--data", data, "--replay", "--what-if", "stock=0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("What if: stock of g7 (Thing 7) 0 instead of 12.") and "recomputes identically" in out
    assert main(["why", told["decision_id"], "--data", data, "--forget-last-view"]) == 0
    assert "without Product Viewed g9" in capsys.readouterr().out
    assert main(["why", told["decision_id"], "--data", data, "--what-if", "stock"]) == 2
    record = next(record for _, record in decisions_of(Directory(tmp_path / "node")))
    answer = Supposing(Source(Directory(tmp_path / "node"), SystemClock())).answer(record, Change(without=("heat",)))
    assert json.dumps(answer)


def test_the_page_asks_for_it_over_http_before_the_question(tmp_path):
    with LiveNode(tmp_path / "node", corner(), GOODS) as live:
        name = live.run(decided(live.engine))["decision_id"]
        address = f"/v1/decisions/{name}/what-if"
        assert live.http.post(f"{address}/prepare").json() == {"prepared": True}
        supposing_ = live.engine._explaining._supposing
        assert supposing_ is not None and supposing_._before is not None and frozenset() in supposing_._kept
        told = live.http.post(address, json={"forget": ["last view"]}).json()
        assert told["changed"][0].startswith("without Product Viewed g9")
        assert supposing_._before is None, "it was used"
        assert live.http.post(f"/v1/decisions/{'f' * 16}/what-if/prepare").status_code == 404
