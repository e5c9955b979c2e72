"""A person looks: contested decisions and significant ones wait in a queue, and what came of them is on record."""

import asyncio
import shutil

import pytest

from nextpaint.cli import main
from nextpaint.decide.review import Contest, Finding
from nextpaint.govern.access import ADMIN, DECIDE, LOCAL, READ, AccessDenied, Principal
from nextpaint.record.errors import InvalidInput, NotFound
from tests.engine.shop import GOODS, LiveNode, asked, click, corner, opened

SHOP = Principal("shop", frozenset({DECIDE}))
DESK = Principal("desk", frozenset({READ, ADMIN}))
SIGNIFICANT = """
credit = shelf.but("credit", limit=1, significant="who gets an invoice instead of paying first")
"""


def application():
    return corner(surfaces=SIGNIFICANT)


def test_a_contested_decision_waits_for_a_person_and_the_finding_is_beside_it(tmp_path):
    async def main_():
        async with opened(tmp_path / "node", application(), items=GOODS) as engine:
            await engine.ingest(LOCAL, [click("v1", "g3")])
            name = (await engine.decide(LOCAL, "shelf", asked("v1")))["decision_id"]
            assert engine.reviews(DESK) == []
            before = await engine.explain(LOCAL, name, "regulator")
            assert "review" not in before
            opened_ = await engine.contest(SHOP, name, Contest("this is not what I asked for"))
            assert (opened_["state"], opened_["cause"], opened_["asked_by"]) == ("open", "contested", "shop")
            again = await engine.contest(SHOP, name, Contest("and again"))
            assert again == opened_, "it waits already: who asked first is on record"
            assert [each["decision_id"] for each in engine.reviews(DESK, "open")] == [name]
            user = await engine.explain(LOCAL, name, "user")
            assert "as long as the node's ledger" in user["kept"]
            assert user["text"].endswith("A person will look at this decision.")
            closed = await engine.close_review(
                DESK, name, Finding("changed", "the shelf was wrong: a voucher was sent")
            )
            assert (closed["state"], closed["outcome"], closed["decided_by"]) == ("closed", "changed", "desk")
            assert engine.reviews(DESK, "open") == []
            user = await engine.explain(LOCAL, name, "user")
            assert user["text"].endswith("A person looked at this decision and changed it.")
            assert user["review"]["note"].startswith("the shelf was wrong")
            after = await engine.explain(LOCAL, name, "regulator")
            assert {key: value for key, value in after.items() if key != "review"} == before
            with pytest.raises(InvalidInput, match="closed by desk: changed"):
                await engine.close_review(DESK, name, Finding("upheld", "no"))
            assert (await engine.contest(SHOP, name, Contest("no, really")))["rounds"] == 2

    asyncio.run(main_())


def test_every_decision_of_a_significant_surface_is_in_the_queue_also_after_a_crash(tmp_path):
    async def main_():
        async with opened(tmp_path / "node", application(), items=GOODS) as engine:
            answers = [await engine.decide(LOCAL, "credit", asked(f"v{n}")) for n in range(3)]
            shelf = await engine.decide(LOCAL, "shelf", asked("v1"))
            assert all(each["review"] == "open" for each in answers) and "review" not in shelf
            await engine.close_review(DESK, answers[1]["decision_id"], Finding("upheld", "looked at the file"))
            why = await engine.explain(LOCAL, answers[0]["decision_id"], "support", True)
            assert why["replay"]["verdict"] == "identical"
            assert why["review"]["reason"] == "who gets an invoice instead of paying first"
            shutil.copytree(tmp_path / "node", tmp_path / "crashed")
        (tmp_path / "crashed" / "node.lock").unlink(missing_ok=True)
        async with opened(tmp_path / "crashed", application()) as engine:
            waiting = engine.reviews(DESK, "open")
            assert [each["decision_id"] for each in waiting] == [answers[0]["decision_id"], answers[2]["decision_id"]]
            assert {each["cause"] for each in waiting} == {"significant"}
            assert [each["outcome"] for each in engine.reviews(DESK, "closed")] == ["upheld"]
            await engine.close_review(DESK, answers[0]["decision_id"], Finding("changed", "paid every bill so far"))
            assert [each["outcome"] for each in engine.reviews(DESK, "closed")] == ["changed", "upheld"], "last first"

    asyncio.run(main_())


def test_what_is_wrong_or_not_allowed_is_refused_and_changes_nothing(tmp_path):
    async def main_():
        async with opened(tmp_path / "node", application(), items=GOODS) as engine:
            name = (await engine.decide(LOCAL, "shelf", asked("v1")))["decision_id"]
            for refused, error in (
                (lambda: engine.contest(SHOP, "f" * 16, Contest("why")), NotFound),
                (lambda: engine.contest(SHOP, name, Contest("  ")), InvalidInput),
                (lambda: engine.contest(SHOP, name, Contest("x" * 1001)), InvalidInput),
                (lambda: engine.contest(DESK, name, Contest("why")), AccessDenied),
                (lambda: engine.close_review(DESK, name, Finding("upheld", "looked")), NotFound),
                (lambda: engine.close_review(DESK, name, Finding("lost", "looked")), InvalidInput),
                (lambda: engine.close_review(DESK, name, Finding("upheld", "")), InvalidInput),
                (lambda: engine.close_review(SHOP, name, Finding("upheld", "looked")), AccessDenied),
            ):
                with pytest.raises(error):
                    await refused()
            with pytest.raises(InvalidInput):
                engine.reviews(DESK, "lost")
            with pytest.raises(AccessDenied):
                engine.reviews(SHOP)
            assert engine.reviews(DESK) == []

    asyncio.run(main_())


def test_over_http_and_a_view_with_a_review_still_says_what_the_ledger_says(tmp_path):
    with LiveNode(tmp_path / "node", application(), GOODS) as live:
        name = live.http.post("/v1/decide/shelf", json=asked("v1")).json()["decision_id"]
        asking = live.http.post(f"/v1/decisions/{name}/contest", json={"reason": "why me?"})
        assert asking.status_code == 200 and asking.json()["state"] == "open"
        assert live.http.get("/v1/reviews?state=open").json()["reviews"][0]["decision_id"] == name
        found = live.http.put(f"/v1/reviews/{name}", json={"outcome": "upheld", "note": "as it should be"})
        assert found.json()["outcome"] == "upheld"
        assert live.http.put(f"/v1/reviews/{name}", json={"outcome": "upheld", "note": "x"}).status_code == 422
        assert live.http.post(f"/v1/decisions/{name}/contest", json={}).status_code in (400, 422)
        view = live.http.get(f"/v1/decisions/{name}?view=regulator")
        assert view.json()["review"]["note"] == "as it should be"
        assert any(
            "contest" in each["how"] for each in live.http.get(f"/v1/decisions/{name}?view=user").json()["rights"]
        )
        (tmp_path / "view.json").write_bytes(view.content)
    assert main(["verify", str(tmp_path / "node"), "--view", str(tmp_path / "view.json")]) == 0
