"""What is told of an erasure and of who was erased: in answers, views and training sets, and who may ask."""

import json

import pytest

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.decide.review import Contest
from nextpaint.engine.erasing import Asked
from nextpaint.engine.gone import erased_in, present_decisions_of
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.supposing import Change
from nextpaint.govern.access import DECIDE, INGEST, LOCAL, READ, AccessDenied, Principal
from nextpaint.record.errors import InvalidInput, NotFound, PersonErased
from tests.engine.people import APPLICATION, AUTHORITY, DEVICE, ITEMS, MAIL, crowd, holding, on, tokens_of
from tests.engine.shop import GOODS, LiveNode, asked, click, corner, ids

VIEWS = ("user", "support", "regulator")
MARKED = "somebody else's"


def test_the_unknown_and_the_erased_get_one_answer_and_only_an_admin_may_ask(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        for scopes in ({READ}, {DECIDE}, {INGEST}):
            poor = Principal("poor", frozenset(scopes))
            with pytest.raises(AccessDenied):
                await engine.erase(poor, Asked(user_id=MAIL))
            with pytest.raises(AccessDenied):
                await engine.lift(poor, Asked(user_id=MAIL))
            for call in (lambda poor=poor: engine.erasures(poor), lambda poor=poor: engine.erasure(poor, "x")):
                with pytest.raises(AccessDenied):
                    call()
        with pytest.raises(InvalidInput, match="nobody is named"):
            await engine.erase(AUTHORITY, Asked())
        with pytest.raises(InvalidInput, match="purpose"):
            await engine.erase(AUTHORITY, Asked(user_id=MAIL), "a\nb")
        assert None not in tokens_of(engine)
        unknown = await engine.erase(AUTHORITY, Asked(user_id="nobody"))
        before = engine.node.runner.state.hash()
        first = await engine.erase(AUTHORITY, Asked(user_id=MAIL))
        second = await engine.erase(AUTHORITY, Asked(user_id=MAIL))
        assert first["erased"] and second == unknown
        assert second["text"] == "Nothing is held under this id, so there is nothing to erase."
        assert engine.node.runner.state.hash() != before
        with pytest.raises(NotFound, match="unknown erasure"):
            engine.erasure(AUTHORITY, "x")
        assert [each["id"] for each in engine.erasures(AUTHORITY)] == [first["id"]]
        on_record = engine.erasure(AUTHORITY, first["id"])
        assert on_record == {name: value for name, value in first.items() if name != "person"}
        return first

    receipt = on(tmp_path, corner(), GOODS, act)

    async def then(engine):
        assert engine.erasure(AUTHORITY, receipt["id"])["position"] == receipt["position"]

    on(tmp_path, corner(), (), then)


def test_who_asked_to_stay_out_gets_no_profile_again_and_only_hashes_of_them_are_kept(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        receipt = await engine.erase(LOCAL, Asked(user_id=MAIL, suppress=True))
        assert receipt["suppressed"] and receipt["stores"]["keys"]["suppressed_hashes"] == 3
        other = await engine.erase(LOCAL, Asked(anonymous_id="never came", suppress=True))
        assert other == {"erased": False, "suppressed": True,
                         "text": "Nothing is held under this id, so there is nothing to erase."}  # fmt: skip

    on(tmp_path, corner(), GOODS, act)

    async def then(engine):
        before, events = engine.node.runner.state.hash(), engine.node.ledger.next_seq
        for call in (click(DEVICE, "g3"), {**click("new", "g3"), "userId": MAIL}, click("never came", "g1")):
            receipt = await engine.ingest(LOCAL, [call])
            assert receipt.accepted == 0 and receipt.quarantined == []
        await engine.node.settled()
        assert tokens_of(engine) == [None, None, None]
        assert "nextpaint_suppressed_total 3" in engine.metrics()
        answer = await engine.decide(LOCAL, "shelf", asked(DEVICE))
        assert engine._explaining.record(answer["decision_id"]).subjects == ()
        assert (await engine.ingest(LOCAL, [click("v0", "g3")])).accepted == 1
        return before, events

    on(tmp_path, corner(), (), then)
    assert holding(tmp_path / "node", MAIL, DEVICE) == []


def test_views_of_their_decisions_are_de_identified_and_a_replay_is_identical(tmp_path, capsys):
    async def act(engine):
        made = await crowd(engine)
        name, tokens = made[DEVICE]["decision_id"], tokens_of(engine)
        full = await engine.explain(AUTHORITY, name, "regulator")
        contested = await engine.contest(LOCAL, name, Contest("canary complaint"))
        assert contested
        await engine.erase(AUTHORITY, Asked(user_id=MAIL))
        views = {view: await engine.explain(AUTHORITY, name, view, replay=True) for view in VIEWS}
        for call in (
            engine.what_if(AUTHORITY, name, Change(without=("trend",))),
            engine.events_before(AUTHORITY, name), engine.prepare(AUTHORITY, name),
            engine.contest(LOCAL, name, Contest("again")),
        ):  # fmt: skip
            with pytest.raises(PersonErased, match="was erased on 20"):
                await call
        other = await engine.explain(AUTHORITY, made["v0"]["decision_id"], "regulator", replay=True)
        assert "erased" not in other and other["subjects"] and other["replay"]["verdict"] == "identical"
        return name, tokens, full, views

    name, tokens, full, views = on(tmp_path, APPLICATION, ITEMS, act)
    personal = {each["feature"] for each in full["personal_data_used"]}
    assert personal and any(fact["value"] for item in full["items"] for fact in item["facts"] if fact["personal"])
    for view, answer in views.items():
        written = json.dumps(answer)
        assert not any(each in written for each in (*tokens, "canary complaint", MAIL, DEVICE))
        assert answer["erased"]["kept"] == "de-identified" and "Art. 17(3)(e)" in answer["erased"]["because"]
        assert answer["text"].startswith("The person this was decided for was erased on 20")
        assert answer["replay"]["verdict"].startswith("identical, erased since 20")
        assert answer["decision_id"] == name and [each["id"] for each in answer["items"]]
        assert "review" not in answer, view
    for view in ("support", "regulator"):
        answer = views[view]
        for item in answer["items"]:
            facts = {fact["feature"]: fact for fact in item["facts"]}
            assert all(facts[each]["value"] is facts[each]["age_ms"] is None for each in personal)
            assert any(fact["value"] is not None for fact in facts.values()), "facts about items are kept"
            assert not item["found_by"]
        assert answer["request"] == {"limit": full["request"]["limit"]} | (
            {"profiled": True} if "profiled" in answer["request"] else {}
        )
        assert all(not each["ids"] for each in answer["filters"]) and answer["counterfactuals"] == []
    regulator = views["regulator"]
    assert regulator["subjects"] == [] and regulator["record"].get("subjects", []) == []
    assert regulator["integrity"] == full["integrity"]
    # Both views are what the ledger says: the one from before, and the one from after.
    for number, view in enumerate((full, regulator)):
        path = tmp_path / f"view{number}.json"
        path.write_text(json.dumps(view))
        assert main(["verify", str(tmp_path / "node"), "--view", str(path)]) == 0
    path.write_text(json.dumps({**regulator, "surface": "other"}))
    assert main(["verify", str(tmp_path / "node"), "--view", str(path)]) == 1

    async def then(engine):
        return await engine.explain(AUTHORITY, name, "user", replay=True)

    assert on(tmp_path, APPLICATION, (), then)["erased"] == views["user"]["erased"], "a start remembers"
    # A directory without a node says the same.
    capsys.readouterr()
    assert main(["why", name, "--data", str(tmp_path / "node"), "--view", "support", "--replay"]) == 0
    told = capsys.readouterr().out
    assert "was erased on 20" in told and "replay: identical, erased since" in told and "similarity: erased" in told
    assert main(["why", name, "--data", str(tmp_path / "node"), "--forget-last-view"]) == 2
    assert "was erased on" in capsys.readouterr().err


def test_what_is_learned_from_a_directory_leaves_out_who_was_erased(tmp_path):
    async def act(engine):
        made = await crowd(engine, GOODS)
        models = tmp_path / "node" / "models"
        models.mkdir(exist_ok=True)
        last = engine.node.durable
        for name, surface, positions in (
            ("aa", "shelf", (0, last)),
            ("bb", "other", (0, last)),
            ("cc", "shelf", (0, 3)),
        ):
            lineage = {"surface": surface, "positions": positions, "rows": 3}
            (models / f"{name}.lineage").write_text(json.dumps(lineage))
        (models / "dd.lineage").write_text("null")
        receipt = await engine.erase(LOCAL, Asked(user_id=MAIL))
        assert receipt["stores"]["models"]["trained_on_them"] == [
            {"model": "aa", "surface": "shelf", "decisions_of_the_person": 2}
        ]
        return {visitor: answer["decision_id"] for visitor, answer in made.items()}

    made = on(tmp_path, corner(), GOODS, act)
    ledger = Directory(tmp_path / "node")
    everybody = {record.decision_id for _, record in decisions_of(ledger)}
    present = {record.decision_id for _, record in present_decisions_of(ledger)}
    assert everybody - present == {made[DEVICE], made["phone"]}


def test_rows_from_outside_that_name_somebody_erased_are_quarantined(tmp_path):
    shop = corner(sql="CREATE TABLE notes (subject STRING, note STRING, PRIMARY KEY (subject) NOT ENFORCED);\n")

    async def act(engine):
        await crowd(engine, GOODS)
        token = tokens_of(engine)[0]
        await engine.put_rows(
            LOCAL, "notes", [{"user_id": MAIL, "note": "likes tea"}, {"user_id": "v9", "note": MARKED}]
        )
        await engine.erase(LOCAL, Asked(user_id=MAIL))
        rows = (await engine.query(LOCAL, "SELECT note FROM notes"))["rows"]
        assert rows == [[MARKED]]
        receipt = await engine.put_rows(
            LOCAL, "notes", [{"subject": token, "note": "x"}, {"user_id": "v8", "note": "y"}]
        )
        assert receipt.quarantined == [(0, "subject names somebody who was erased")] and receipt.accepted == 1

    on(tmp_path, shop, GOODS, act)


def test_over_http_and_on_the_command_line(tmp_path, capsys):
    with LiveNode(tmp_path / "node", corner(), items=GOODS) as node:
        node.run(crowd(node.engine, GOODS))
        refused = node.http.delete("/v1/person")
        assert refused.status_code == 422 and refused.json()["error"]["what"] == "nobody is named"
        answer = node.http.delete("/v1/person", params={"anonymousId": "v0", "purpose": "request 3"})
        assert answer.status_code == 200
        receipt = answer.json()
        assert receipt["erased"] and receipt["purpose"] == "request 3"
        assert node.http.get("/v1/person", params={"anonymousId": "v0"}).status_code == 404
        assert [each["id"] for each in node.http.get("/v1/erasures").json()["erasures"]] == [receipt["id"]]
        assert node.http.get(f"/v1/erasures/{receipt['id']}").json()["stores"] == receipt["stores"]
        assert node.http.get("/v1/erasures/none").status_code == 404
        paths = node.http.get("/openapi.json").json()["paths"]
        assert "delete" in paths["/v1/person"] and "/v1/erasures/{erasure_id}" in paths
        file = tmp_path / "receipt.json"
        command = ["forget", MAIL, "--suppress", "--purpose", "request 4", "--receipt", str(file), "--url", node.url]
        assert main(command) == 0
        told = capsys.readouterr().out
        assert "identifiers destroyed" in told and json.loads(file.read_text())["suppressed"]
        assert node.http.post("/v1/track", json={**click(DEVICE, "g1"), "userId": MAIL}).json()["accepted"] == 0
        for person, code in ((MAIL, 0), (MAIL, 1), (f"anonymous:{DEVICE}", 0), ("nobody", 1)):
            assert main(["forget", person, "--lift", "--url", node.url]) == code
        assert capsys.readouterr().out.count("let in again") == 2
        assert node.http.post("/v1/track", json={**click(DEVICE, "g1"), "userId": MAIL}).json()["accepted"] == 1
        assert main(["forget", MAIL, "--lift", "--data", str(tmp_path)]) == 2
        assert main(command) == 0, "somebody new was there"
        capsys.readouterr()
        assert main(command) == 1
        assert capsys.readouterr().out == "Nothing is held under this id, so there is nothing to erase.\n"
        assert main(["forget", "anonymous:v1", "--data", str(tmp_path / "node")]) == 2, "a node has it open"
        assert "v1" not in capsys.readouterr().out
    assert main(["forget", "anonymous:v1", "--data", str(tmp_path / "node")]) == 0
    assert "rows dropped" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "node"), "--decisions", "20"]) == 0
    assert len(erased_in(Directory(tmp_path / "node"))) == 7


def test_a_page_after_an_erasure_is_that_of_a_stranger(tmp_path):
    async def act(engine):
        await crowd(engine)
        stranger = await engine.decide(LOCAL, "home_carousel", asked("a stranger"))
        await engine.erase(LOCAL, Asked(user_id=MAIL))
        answer = await engine.decide(LOCAL, "home_carousel", asked(DEVICE))
        assert answer["cold"] == stranger["cold"] is True and set(ids(answer)) == set(ids(stranger))

    on(tmp_path, APPLICATION, ITEMS, act)
