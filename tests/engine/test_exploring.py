"""Exploration on a node: learned from acknowledged events, once each, and the same after any restart."""

import asyncio
import shutil
import signal

import httpx
import pytest

from nextpaint.cli.commands import Directory
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SeededRandom
from nextpaint.process.operators.learning import Learning
from tests.engine.explorer import GOODS_30, THOMPSON, clicked, explorer, learned, patiently, shop, shown
from tests.engine.shop import TICKLESS, asked, ids, opened, written
from tests.engine.test_kill import Process

EXPERIMENT = 'Experiment("exploration", holdout=0.1, variants={"on": {}, "off": {"explore": None}})'


def experiment():
    return explorer(experiment=EXPERIMENT)


def content(learner: Learning):
    return [learner.counts, learner.total(0), [each.tolist() for each in learner.statistics(learner.arms(), 0)]]


def test_what_is_clicked_is_shown_more_and_every_decision_recomputes(tmp_path):
    async def main():
        async with opened(tmp_path / "node", explorer(), items=GOODS_30, random=SeededRandom(1)) as engine:
            answers = await shop(engine, 120, lambda item: 0.9 if item == "g3" else 0.05)
            learner = learned(engine)
            assert learner.counts["decisions"] == 120
            assert learner.counts["trials"] == 600
            assert sum("g3" in ids(each) for each in answers[-30:]) >= 28
            why = await engine.explain(LOCAL, answers[-1]["decision_id"], "support", True)
            assert why["replay"]["verdict"] == "identical"
        topics = {entry.topic for frame in Directory(tmp_path / "node").frames() for entry in frame.entries}
        assert not any(topic.startswith(("_rewards", "_trials")) for topic in topics), (
            "what feeds a learner is not output"
        )

    asyncio.run(main())


def test_a_duplicate_click_moves_no_posterior(tmp_path):
    async def main():
        async with opened(tmp_path / "node", explorer(), items=GOODS_30) as engine:
            answer = await engine.decide(LOCAL, "tried", asked("v1"))
            item = ids(answer)[0]
            click = clicked("v1", answer, item)
            await engine.ingest(LOCAL, [shown("v1", answer), click])
            await engine.node.settled()
            before = content(learned(engine))
            again = [{**click}, clicked("v1", answer, item), clicked("v2", answer, item), shown("v1", answer)]
            await engine.ingest(LOCAL, again)
            await engine.node.settled()
            after = content(learned(engine))
            assert after[1:] == before[1:]
            assert after[0] == {**before[0], "repeated": 7}  # 2 clicks and 5 showings; one click the door knew
            stray = {**click, "messageId": "stray", "properties": {"product_id": item}}
            await engine.ingest(LOCAL, [stray])
            await engine.node.settled()
            assert content(learned(engine))[1:] == before[1:]
            assert learned(engine).counts["unattributed"] == 1

    asyncio.run(main())


def test_what_was_learned_is_the_same_after_a_crash_from_a_checkpoint_and_from_nothing(tmp_path):
    async def main():
        application = experiment()
        async with opened(tmp_path / "node", application, items=GOODS_30, settings=TICKLESS) as engine:
            await shop(engine, 40, lambda item: 0.3, seed=1)
            engine.node.checkpoint_now()
            await shop(engine, 40, lambda item: 0.3, seed=2)
            before, state = content(learned(engine)), engine.node.runner.state.hash()
            shutil.copytree(tmp_path / "node", tmp_path / "crashed")
            shutil.copytree(tmp_path / "node", tmp_path / "bare")
            shutil.rmtree(tmp_path / "bare" / "checkpoints")
        for name in ("crashed", "bare"):
            (tmp_path / name / "node.lock").unlink(missing_ok=True)
            async with opened(tmp_path / name, application, settings=TICKLESS) as engine:
                assert content(learned(engine)) == before
                assert engine.node.runner.state.hash() == state

    asyncio.run(main())


def test_a_person_stays_in_one_variant_and_the_variant_decides(tmp_path):
    async def main():
        async with opened(tmp_path / "node", experiment(), items=GOODS_30) as engine:
            seen = {}
            for n in range(60):
                visitor = f"v{n % 20}"
                if n < 20:
                    await engine.ingest(LOCAL, [clicked(visitor, {"decision_id": None, "surface": "tried"}, "g1")])
                answer = await engine.decide(LOCAL, "tried", asked(visitor))
                seen.setdefault(visitor, set()).add(answer["experiment"]["variant"])
            assert all(len(each) == 1 for each in seen.values())
            assert {"on", "off"} <= set().union(*seen.values())
            answer = await engine.decide(LOCAL, "tried", asked("v1", profiled=False))
            assert answer["experiment"] == {}

    asyncio.run(main())


@pytest.mark.slow
def test_kill_9_in_the_middle_of_an_experiment_leaves_the_posterior_as_it_was(tmp_path):
    application = explorer(THOMPSON, experiment=EXPERIMENT)
    folder = written(application, tmp_path / "shop")
    process = Process(folder, tmp_path / "data")
    told = []
    try:
        for round_ in range(3):
            with httpx.Client(base_url=process.url, timeout=30) as http:
                if not round_:
                    http.put("/v1/items", json={"items": GOODS_30}).raise_for_status()
                for n in range(40):
                    visitor = f"v{n % 5}"
                    answer = patiently(http, "POST", "/v1/decide/tried", json=asked(visitor)).json()
                    calls = [shown(visitor, answer), clicked(visitor, answer, ids(answer)[n % 5])]
                    patiently(http, "POST", "/v1/batch", json={"batch": calls}).raise_for_status()
                    told.append(answer["decision_id"])
                process.end(signal.SIGKILL)
            process = Process(folder, tmp_path / "data")
    finally:
        process.end(signal.SIGTERM)

    async def main():
        async with opened(tmp_path / "data", application) as engine:
            records = [engine._explaining.record(each) for each in told]
            explored = [each for each in records if each.explored is not None]
            counts = learned(engine).counts
            assert counts["decisions"] == len(explored)
            assert (counts["trials"], counts["rewards"]) == (5 * len(explored), len(explored))
            assert learned(engine).total(0) == (5.0 * len(explored), float(len(explored)))
            variants = {}
            for each in (each for each in records if each.experiment is not None):  # a stranger is in none
                variants.setdefault(each.experiment.variant, []).append(each)
            rows = {each["variant"]: each for each in engine.experiments(LOCAL)[0]["variants"]}
            for name, made in variants.items():
                people = {each.experiment.unit for each in made}
                row = rows[name]
                assert (row["people"], row["decisions"], row["rewards"]) == (len(people), len(made), len(made))

    asyncio.run(main())
