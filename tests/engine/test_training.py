"""From logged decisions to a model of LightGBM that ranks, and back: `train`, `parity`, `promote`, `rollback` with a
model that was really fitted. What a node answers with it is what LightGBM itself predicts."""

import asyncio
import csv
import io
import json
from hashlib import sha256

import numpy as np
import pytest

from nextpaint.cli import main
from nextpaint.engine.registry import Upload
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SeededRandom
from tests.engine.explorer import GOODS_30, explorer, shop
from tests.engine.shop import asked, opened

lightgbm = pytest.importorskip("lightgbm", reason="the extra: pip install 'nextpaint[train]'")

DECISIONS = 200
RANKED = explorer(
    "EpsilonGreedy(0.6)",
    'features={"heat": "heat.heat", "price": "goods.price", "stock": "goods.stock", '
    '"left": "goods.stock * goods.price"}, '
    'rank=Model("ctr", until_trained=Weighted(price=1.0), reward=reward), ',
)


def liked(item):
    """What is neither cheap nor dear: no weighted sum of the features says so, trees do."""
    return 0.7 if item[0] == "g" and 6 <= int(item[1:]) <= 12 else 0.05


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A node's directory with logged decisions, and the model that `nextpaint train` made of them."""
    folder = tmp_path_factory.mktemp("trained")

    async def run():
        async with opened(folder / "node", RANKED, items=GOODS_30, random=SeededRandom(1)) as engine:
            await shop(engine, DECISIONS, liked, seed=5)

    asyncio.run(run())
    assert main(["train", "tried", "--data", str(folder / "node"), "--out", str(folder / "model.txt")]) == 0
    return folder


def matrix(rows, names):
    return np.array([[float(row[name]) if row[name] != "" else np.nan for name in names] for row in rows])


def test_the_model_is_fitted_on_what_was_logged_and_says_so(trained, capsys):
    rows = list(csv.DictReader(io.StringIO((trained / "model.csv").read_text())))
    booster = lightgbm.Booster(model_file=str(trained / "model.txt"))
    names = booster.feature_name()
    assert names == ["heat", "price", "stock", "left"]
    rewards = np.array([float(row["reward"]) > 0 for row in rows])
    found = booster.predict(matrix(rows, names))
    assert found[rewards].mean() > found[~rewards].mean() + 0.2, "it has learned what is liked"
    lineage = json.loads((trained / "model.lineage.json").read_text())
    assert lineage["rows"] == len(rows) == DECISIONS * 5
    assert lineage["training_set_sha256"] == sha256((trained / "model.csv").read_bytes()).hexdigest()
    assert lineage["trained_with"].startswith(f"lightgbm {lightgbm.__version__}, 100 trees")
    again = trained / "again.txt"
    assert main(["train", "tried", "--data", str(trained / "node"), "--out", str(again)]) == 0
    assert again.read_bytes() == (trained / "model.txt").read_bytes(), "the same ledger gives the same model"


def test_a_node_ranks_by_what_lightgbm_predicts_and_goes_back(trained, capsys):
    booster = lightgbm.Booster(model_file=str(trained / "model.txt"))
    data = (trained / "model.txt").read_bytes()

    async def run():
        async with opened(trained / "node", RANKED) as engine:
            await engine.promote(LOCAL, "ctr", Upload("model.txt", data, json.loads(
                (trained / "model.lineage.json").read_text())))  # fmt: skip
            for visitor in ("v1", "v2", "new"):
                answer = await engine.decide(LOCAL, "tried", asked(visitor))
                record = engine._explaining.record(answer["decision_id"])
                assert (record.rank.model, record.rank.role) == (sha256(data).hexdigest(), "champion")
                names = [each.name for each in record.features]
                values = np.array([[np.nan if each is None else each for each in item.values] for item in record.items])
                wanted = booster.predict(values[:, [names.index(name) for name in booster.feature_name()]])
                scores = np.array([item.score for item in record.items])
                assert np.all(np.abs(scores - wanted) <= 4e-16), "LightGBM's own scores, to the last place of its exp"
            assert engine.models(LOCAL)[0]["lineage"][sha256(data).hexdigest()]["rows"] == DECISIONS * 5
            await engine.roll_back(LOCAL, "ctr")
            answer = await engine.decide(LOCAL, "tried", asked("v1"))
            assert engine._explaining.record(answer["decision_id"]).rank.model in (None, "")
            for decision_id in list(engine._deciding.recent)[-4:]:
                why = await engine.explain(LOCAL, decision_id, "support", True)
                assert why["replay"]["verdict"] == "identical", why["replay"]

    asyncio.run(run())
    # decisions ranked by the model are made again from the ledger as well, its file lying beside it
    assert main(["parity", "tried", "--data", str(trained / "node")]) == 0
    assert f"{DECISIONS + 4} decisions made again: {DECISIONS + 4} feature matrices equal" in capsys.readouterr().out


def test_raw_scores_are_equal_bit_for_bit(trained):
    """Before the link there is nothing but sums of leaves: not one bit may differ."""
    from nextpaint.process.scoring import ranker_of

    data = (trained / "model.txt").read_bytes()
    booster = lightgbm.Booster(model_file=str(trained / "model.txt"))
    chance = np.random.default_rng(11)
    rows = chance.choice([np.nan, -1.0, 0.0, 0.5, 1e-36, 6.5, 7.0, 12.0, 12.5, 20.0, 300.0], (500, 4))
    raw = ranker_of("model.txt", data, sha256(data).hexdigest()).forest.scores(rows)
    assert raw.tolist() == booster.predict(rows, raw_score=True).tolist()
