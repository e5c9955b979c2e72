"""A shop whose shelf explores: the corner shop of one table with clicks that name their decision, and shoppers."""

import random
import time

from nextpaint.govern.access import LOCAL
from tests.engine.shop import CORNER_SURFACES, GOODS, asked, click, corner, ids

EXPLORER_SQL = """
CREATE VIEW chosen AS
SELECT subject, decision_id, item_id, event, ts FROM events WHERE event IN ('Product Viewed', 'Product Clicked');
"""
EXPLORER_SURFACES = """
from nextpaint.decide import (EpsilonGreedy, Experiment, Examination, Flat, LinTS, LinUCB, Model, PlackettLuce, Rank,
    Reward, ThompsonSampling)
reward = Reward("chosen", when="event = 'Product Clicked'", within="30 min")
tried = shelf.but("tried", window=wide, {features}explore={explore}, limit=5, experiment={experiment})
"""
THOMPSON = 'ThompsonSampling(per="item_id", prior=Rank(strength=20), reward=reward)'
GOODS_30 = [*GOODS, *({**each, "item_id": f"h{n}"} for n, each in enumerate(GOODS[:10]))]


def explorer(explore=THOMPSON, features="", experiment="None", more=""):
    """The application; surface `tried` explores."""
    text = EXPLORER_SURFACES.format(explore=explore, features=features, experiment=experiment) + more
    return corner(EXPLORER_SQL, text)


def shown(visitor, answer, items=None):
    """The impression of an answer: the whole page, or some of its items."""
    listed = [{"item_id": each["id"], "position": each["position"]} for each in answer["items"]
              if items is None or each["id"] in items]  # fmt: skip
    return click(visitor, "", "Impression", properties={
        "items": listed, "decision_id": answer["decision_id"], "surface": answer["surface"]})  # fmt: skip


def clicked(visitor, answer, item, **more):
    properties = {"product_id": item, "decision_id": answer["decision_id"], "surface": answer["surface"]}
    return click(visitor, item, "Product Clicked", properties=properties, **more)


def patiently(http, method, path, **more):
    """One call; a node that refuses early (429) has kept nothing and is asked again."""
    while True:
        answer = http.request(method, path, **more)
        if answer.status_code != 429:
            return answer
        time.sleep(0.05)


async def shop(engine, decisions, rates, seed=1, surface="tried", visitors=7):
    """Visitors who see the shelf and click by `rates` (item -> probability); gives the answers."""
    chance = random.Random(seed)
    answers = []
    for n in range(decisions):
        visitor = f"v{n % visitors}"
        answer = await engine.decide(LOCAL, surface, asked(visitor))
        calls = [shown(visitor, answer)]
        calls += [clicked(visitor, answer, item) for item in ids(answer) if chance.random() < rates(item)]
        await engine.ingest(LOCAL, calls)
        answers.append(answer)
    await engine.node.settled()
    return answers


def learned(engine, surface="tried"):
    """The learner of a surface."""
    found = [each for name, each in engine.node.runner.graph.learners.items() if name.startswith(f"_learned_{surface}")]
    assert len(found) == 1
    return found[0]


__all__ = [
    "CORNER_SURFACES",
    "GOODS_30",
    "THOMPSON",
    "clicked",
    "explorer",
    "learned",
    "patiently",
    "shop",
    "shown",
]
