"""Off-policy evaluation over a ledger: a policy that was tried answers for one that was not."""

import asyncio

import pytest

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.engine.evaluating import Evaluating, application_of
from nextpaint.engine.outcomes import outcomes_of
from nextpaint.ports import SeededRandom, SystemClock
from tests.engine.explorer import GOODS_30, explorer, shop
from tests.engine.shop import ids, opened, written

EPSILON = "EpsilonGreedy(0.8, reward=reward, pool=8)"
PRICED = 'features={"price": "goods.price"}, rank=Weighted(price=1.0), '
CHEAP = 'features={"price": "goods.price"}, rank=Weighted(price=-1.0), '


def rate(item):
    return 0.6 if item in ("g19", "g18") else 0.1


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that explored the dearest goods, of which two are liked."""
    folder = tmp_path_factory.mktemp("evaluated")

    async def main():
        async with opened(folder / "node", explorer(EPSILON, PRICED), items=GOODS_30, random=SeededRandom(1)) as engine:
            return await shop(engine, 250, rate, seed=5)

    return folder, asyncio.run(main())


def test_outcomes_are_joined_over_the_whole_ledger(node):
    folder, answers = node
    ledger = Directory(folder / "node")
    application = application_of(ledger)
    reward = next(each for each in application.surfaces if each.name == "tried").explore.reward
    found = outcomes_of(ledger, application, "tried", reward)
    assert set(found.rewards) == {(each["decision_id"], item) for each in answers for item in ids(each)}
    assert found.counts["trials"] == 1250
    assert sum(found.rewards.values()) == found.counts["rewards"]


def test_the_value_of_a_page_that_was_never_shown_to_all_is_found(node):
    """As ranked by price, the page always starts with the two liked goods: (0.6 + 0.6 + 3 * 0.1) / 5."""
    folder, _ = node
    ledger = Directory(folder / "node")
    application = application_of(ledger)
    target = next(each for each in application.surfaces if each.name == "tried").but("tried", explore=None)
    report = Evaluating(ledger, SystemClock()).run(application, "tried", target)
    assert (report.evaluation.clusters, report.unshown, report.moved) == (250, 0, 0)
    for each in report.evaluation.values:
        assert abs(each.value - 0.3) < 1.1 * (each.high - each.low), each  # more than four standard errors
        assert each.high - each.low < 0.35
    assert [each.estimator for each in report.evaluation.values] == ["ips", "snips", "dr"]
    assert report.evaluation.effective > 50


def test_a_policy_that_draws_is_evaluated_too(node):
    folder, _ = node
    ledger = Directory(folder / "node")
    application = application_of(ledger)
    declared = next(each for each in application.surfaces if each.name == "tried")
    same = Evaluating(ledger, SystemClock()).run(application, "tried", declared)
    assert same.evaluation.values[0].value == pytest.approx(same.evaluation.logged.value, rel=1e-6)
    assert same.evaluation.effective == pytest.approx(same.evaluation.showings)


def test_the_command_prints_estimates_and_what_they_rest_on(node, capsys, tmp_path):
    folder, _ = node
    assert main(["evaluate", "tried", "--data", str(folder / "node")]) == 0
    printed = capsys.readouterr().out
    assert "AsRanked()" in printed and "EpsilonGreedy(0.8" in printed
    assert "dr" in printed and "effective sample size" in printed
    other = written(explorer("PlackettLuce(1.0)", CHEAP), tmp_path / "other")
    assert main(["evaluate", "tried", "--data", str(folder / "node"), "--folder", str(other)]) == 0
    assert "PlackettLuce" in capsys.readouterr().out
    learns = written(explorer('ThompsonSampling("category", reward)', CHEAP), tmp_path / "learns")
    assert main(["evaluate", "tried", "--data", str(folder / "node"), "--folder", str(learns)]) == 2
    assert "learns what the logged application did not keep" in capsys.readouterr().err
    assert main(["evaluate", "shelf", "--data", str(folder / "node"), "--reward", "chosen"]) == 2
    assert "no decision of 'shelf' was explored" in capsys.readouterr().err
