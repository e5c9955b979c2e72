"""Trained rankers on a node: promoted, tried on a share, compared in shadow, rolled back, and always recomputable."""

import asyncio
import base64
import csv
import io
import json
from hashlib import sha256

import pytest

from nextpaint.cli import main
from nextpaint.engine.registry import Upload, promoted, rolled_back
from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.stream.frame import Position
from tests.engine.explorer import GOODS_30, explorer, shop
from tests.engine.forests import CHEAP, DEAR, FOREIGN
from tests.engine.shop import LiveNode, asked, click, ids, opened, written

FEATURES = 'features={"heat": "heat.heat", "price": "goods.price"}, '
RANKED = FEATURES + 'rank=Model("ctr", until_trained=Weighted(price=1.0), reward=reward), '


def ranked(explore="None"):
    return explorer(explore, RANKED)


def identity(data):
    return sha256(data).hexdigest()


def test_a_promotion_is_in_force_from_one_position_and_so_is_its_rollback(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:

            async def page():
                answer = await engine.decide(LOCAL, "tried", asked("v1"))
                record = engine._explaining.record(answer["decision_id"])
                return [item["fields"]["price"] for item in answer["items"]], record

            assert (await page())[0] == [20.0, 19.0, 18.0, 17.0, 16.0]
            done = await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP, {"rows": 7}))
            prices, record = await page()
            assert max(prices) <= 5.0
            assert (record.rank.model, record.rank.role) == (identity(CHEAP), "champion")
            assert {each.stage: each.path for each in record.stages}["rank"] == "run"
            assert record.position >= 0 and done["champion"] == identity(CHEAP)
            assert engine.models(LOCAL)[0]["lineage"][identity(CHEAP)] == {"rows": 7}
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", DEAR))
            assert min((await page())[0]) >= 16.0
            await engine.roll_back(LOCAL, "ctr")
            assert max((await page())[0]) <= 5.0
            await engine.roll_back(LOCAL, "ctr")
            prices, record = await page()
            assert prices == [20.0, 19.0, 18.0, 17.0, 16.0]
            assert {each.stage: each.path for each in record.stages}["rank"] == "until_trained"
            with pytest.raises(NotFound, match="nothing to roll back"):
                await engine.roll_back(LOCAL, "ctr")
            for decision_id in engine._deciding.recent:
                why = await engine.explain(LOCAL, decision_id, "support", True)
                assert why["replay"]["verdict"] == "identical", why["replay"]

    asyncio.run(main())


def test_a_canary_ranks_its_share_of_people_and_each_person_always_alike(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", DEAR))
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP, None, 0.3))
            by_visitor = {}
            for n in range(400):
                visitor = f"v{n % 200}"
                if n < 200:
                    await engine.ingest(LOCAL, [click(visitor, "g1")])
                answer = await engine.decide(LOCAL, "tried", asked(visitor, limit=1))
                record = engine._explaining.record(answer["decision_id"])
                by_visitor.setdefault(visitor, set()).add(record.rank.role)
            assert all(len(each) == 1 for each in by_visitor.values())
            share = sum(each == {"canary"} for each in by_visitor.values()) / 200
            assert 0.12 < share < 0.48, "five standard deviations around the share that was asked for"
            (row,) = engine.models(LOCAL)
            assert sum(row["ranked"].values()) >= 400
            assert row["ranked"][f"canary_{identity(CHEAP)[:12]}"] / 400 == pytest.approx(share)

    asyncio.run(main())


def test_a_canary_that_is_rolled_back_ranks_nobody_from_the_frame_after_the_call(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            await engine.promote(LOCAL, "ctr", Upload("dear.txt", DEAR))
            await engine.promote(LOCAL, "ctr", Upload("cheap.txt", CHEAP, share=0.3))
            node, records, going = engine.node, [], True

            async def visitor(number):
                turn = 0
                while going:
                    answer = await engine.decide(LOCAL, "tried", asked(f"v{number}-{turn}", events=[click("w", "g1")]))
                    records.append(engine._explaining.record(answer["decision_id"]))
                    turn += 1

            visitors = [asyncio.create_task(visitor(number)) for number in range(12)]
            while len(records) < 300:
                await asyncio.sleep(0.01)
            share = sum(each.rank.role == "canary" for each in records) / len(records)
            assert 0.15 < share < 0.45, "five standard deviations around the share that was asked for"
            writing = node.ledger.next_frame  # what is on its way to disk when the call is made
            done = await engine.roll_back(LOCAL, "ctr")
            position = Position.parse(done["position"])
            before = len(records)
            while len(records) < before + 100:
                await asyncio.sleep(0.01)
            going = False
            await asyncio.gather(*visitors)
            assert position.frame - writing <= 5, "it waits behind what was being written, not behind who comes later"
            at = node.seq_of(position)
            late = [each for each in records if each.rank.role == "canary" and each.position >= at]
            assert not late and sum(each.position >= at for each in records) >= 90

    asyncio.run(main())


def test_a_shadow_ranks_nobody_and_is_compared(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", DEAR))
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP, None, 1.0, True))
            answer = await engine.decide(LOCAL, "tried", asked("v1"))
            record = engine._explaining.record(answer["decision_id"])
            assert min(item["fields"]["price"] for item in answer["items"]) >= 16.0
            assert record.rank.model == identity(DEAR)
            assert record.rank.shadow.model == identity(CHEAP)
            assert len(record.rank.shadow.would) == 5
            why = await engine.explain(LOCAL, answer["decision_id"], "support", True)
            assert why["replay"]["verdict"] == "identical"

    asyncio.run(main())


def test_a_model_that_does_not_fit_is_refused_and_so_is_an_application_it_would_not_fit(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            with pytest.raises(InvalidInput, match="needs margin; the surface has heat, price"):
                await engine.promote(LOCAL, "ctr", Upload("ctr.txt", FOREIGN))
            with pytest.raises(InvalidInput):
                await engine.promote(LOCAL, "ctr", Upload("ctr.txt", b"no model"))
            with pytest.raises(NotFound, match="no surface ranks by a model 'other'"):
                await engine.promote(LOCAL, "other", Upload("ctr.txt", CHEAP))
            with pytest.raises(InvalidInput, match=r"'share' is 0\.0"):
                await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP, None, 0.0))
            assert engine.models(LOCAL) == []
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP))
            files = dict(ranked().files)
            whole, part = b'"heat": "heat.heat", "price": "goods.price"', b'"price": "goods.price"'
            files["surfaces.py"] = files["surfaces.py"].replace(whole, part)
            with pytest.raises(InvalidInput, match="needs heat"):
                await engine.apply(LOCAL, type(ranked()).of(files))

    asyncio.run(main())


def test_an_item_owes_its_place_to_the_feature_without_which_it_would_fall(tmp_path):
    async def main():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", DEAR))
            answer = await engine.decide(LOCAL, "tried", asked("v1"))
            record = engine._explaining.record(answer["decision_id"])
            assert {item.reason for item in record.items} == {"price"}

    asyncio.run(main())


def test_rows_of_promotions():
    first = promoted(None, "a.txt", "a", 1.0, False)
    assert (first["champion"], first["previous"]) == ("a", None)
    canary = promoted(first, "b.txt", "b", 0.1, False)
    assert (canary["champion"], canary["challenger"], canary["share"]) == ("a", "b", 0.1)
    whole = promoted(canary, "b.txt", "b", 1.0, False)
    assert (whole["champion"], whole["challenger"], whole["previous"]) == ("b", None, "a")
    assert rolled_back("m", canary)["challenger"] is None
    assert rolled_back("m", canary)["champion"] == "a"
    assert rolled_back("m", whole)["champion"] == "a"
    assert promoted(whole, "b.txt", "b", 1.0, False)["previous"] == "a"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")

    async def run():
        async with opened(folder / "node", ranked("EpsilonGreedy(0.5)"), items=GOODS_30) as engine:
            await shop(engine, 60, lambda item: 0.5 if item in ("g1", "g19") else 0.1, seed=3)

    asyncio.run(run())
    return folder / "node"


def test_a_training_set_is_what_was_logged_with_what_became_of_it(logged, tmp_path, capsys):
    out = tmp_path / "model.txt"
    assert main(["train", "tried", "--data", str(logged), "--out", str(out)]) == 0
    rows = list(csv.DictReader(io.StringIO(out.with_suffix(".csv").read_text())))
    assert len(rows) == 300
    assert set(rows[0]) == {"decision_id", "item_id", "time_ms", "place", "propensity", "heat", "price", "reward"}
    assert rows[0]["heat"] == ""
    assert 0 < sum(float(row["reward"]) for row in rows) < 150
    assert all(0 < float(row["propensity"]) <= 1 for row in rows)
    lineage = json.loads(out.with_suffix(".lineage.json").read_text())
    assert lineage["rows"] == 300
    assert lineage["training_set_sha256"] == identity(out.with_suffix(".csv").read_bytes())
    again = tmp_path / "again.txt"
    assert main(["train", "tried", "--data", str(logged), "--out", str(again)]) == 0
    assert again.with_suffix(".csv").read_bytes() == out.with_suffix(".csv").read_bytes()


def test_check_says_whether_the_models_in_force_fit(tmp_path, capsys):
    async def run():
        async with opened(tmp_path / "node", ranked(), items=GOODS_30) as engine:
            await engine.promote(LOCAL, "ctr", Upload("ctr.txt", CHEAP))

    asyncio.run(run())
    folder = written(ranked(), tmp_path / "fits")
    assert main(["check", str(folder), "--data", str(tmp_path / "node")]) == 0
    assert f"model ctr: champion {identity(CHEAP)[:12]} fits" in capsys.readouterr().out
    surfaces = (folder / "surfaces.py").read_text().replace('"heat": "heat.heat", "price"', '"price"')
    (folder / "surfaces.py").write_text(surfaces)
    assert main(["check", str(folder), "--data", str(tmp_path / "node")]) == 2
    assert "needs heat" in capsys.readouterr().err


def test_logged_features_are_what_history_gives_bit_for_bit(logged, capsys):
    assert main(["parity", "tried", "--data", str(logged)]) == 0
    printed = capsys.readouterr().out
    assert "60 decisions made again: 60 feature matrices equal" in printed
    assert "600 logged values compared bit for bit, 0 differences" in printed


def test_the_commands_promote_and_roll_back_over_http(tmp_path, capsys):
    file = tmp_path / "ctr.txt"
    file.write_bytes(CHEAP)
    file.with_suffix(".lineage.json").write_text('{"rows": 3}')
    with LiveNode(tmp_path / "node", ranked(), items=GOODS_30) as live:
        body = {"file": "ctr.txt", "data": base64.b64encode(CHEAP).decode(), "lineage": {"rows": 3}}
        promoted_ = live.http.put("/v1/models/ctr", json=body)
        assert promoted_.status_code == 200, promoted_.text
        assert main(["promote", "ctr", str(file), "--url", live.url, "--share", "0.25"]) == 0
        assert f"ranked by {identity(CHEAP)[:12]}, {identity(CHEAP)[:12]} for 25%" in capsys.readouterr().out
        assert live.http.get("/v1/models").json()["models"][0]["share"] == 0.25
        assert main(["rollback", "ctr", "--url", live.url]) == 0
        assert live.http.get("/v1/models").json()["models"][0]["challenger"] is None
        assert live.http.put("/v1/models/ctr", json={**body, "data": "%"}).status_code == 422
        answer = live.http.post("/v1/decide/tried", json=asked("v9")).json()
        assert len(ids(answer)) == 5
