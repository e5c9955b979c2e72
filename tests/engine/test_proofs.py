"""Every night a sample of decisions is made again; what differs is named, counted and on record."""

import asyncio
import json

import pytest

from nextpaint.application import SETTINGS, Application
from nextpaint.cli.commands import Directory
from nextpaint.decide import feature as feature_module
from nextpaint.engine import proofs as proofs_module
from nextpaint.engine.proofs import DAY_MS, due
from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import ApplicationError, InvalidInput
from tests.engine.shop import GOODS, TICKLESS, LiveNode, asked, click, corner, opened

HOUR_MS = 3_600_000


def nightly(text='[proof]\nat = "03:00"\ndecisions = 7\n'):
    files = dict(corner().files)
    files[SETTINGS] += text.encode()
    return Application.of(files)


async def decided(engine, many):
    for n in range(many):
        await engine.ingest(LOCAL, [click(f"v{n % 3}", f"g{n % 7}")])
        await engine.node.settled()  # or what a decision reads depends on how soon the event is applied
        await engine.decide(LOCAL, "shelf", asked(f"v{n % 3}"))


def on_record(directory):
    return [
        json.loads(record.value)
        for frame in Directory(directory).frames() for entry in frame.entries if entry.topic == "_proofs"
        for record in entry.records
    ]  # fmt: skip


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_sample_is_made_again_and_what_came_of_it_is_on_record(tmp_path, checkpoints):
    async def main():
        async with opened(tmp_path / "node", nightly(), items=GOODS, settings=TICKLESS) as engine:
            await decided(engine, 10)
            if checkpoints:
                await engine.node.settled()
                engine.node.checkpoint_now()
            await decided(engine, 20)
            await engine.node.settled()
            state = engine.node.runner.state.hash()
            proof = await engine.prove(LOCAL, 7)
            await engine.node.settled()
            assert engine.node.runner.state.hash() == state
            assert (proof["decisions"], proof["identical"]) == (7, 7)
            assert (proof["from_seq"] > 0) is checkpoints
            assert proof["of"] == (20 if checkpoints else 30)
            assert engine.proofs(LOCAL) == [proof]
            assert engine.node.observed.counters["proved_identical"] == 7
            return proof

    proof = asyncio.run(main())
    assert on_record(tmp_path / "node") == [proof]


def test_what_does_not_recompute_is_named_counted_and_logged(tmp_path, monkeypatch, caplog):
    async def main():
        async with opened(tmp_path / "node", nightly(), items=GOODS) as engine:
            await engine.decide(LOCAL, "shelf", asked("v0"))
            await decided(engine, 10)
            read = feature_module.read_features
            with monkeypatch.context() as broken:  # as another version that computes a feature otherwise

                def otherwise(features, candidates, context):
                    made = read(features, candidates, context)
                    heat = made.features["heat"]
                    heat.values[slice(None) if heat.valid is None else heat.valid] += 0.125
                    return made

                broken.setattr("nextpaint.decide.pipeline.read_features", otherwise)
                proof = await engine.prove(LOCAL, 4)
            assert (proof["decisions"], proof["identical"]) == (4, 1), "the first page had no heat to read"
            assert len(proof["different"]) == 3
            assert all(any("features" in each for each in said) for said in proof["different"].values())
            assert engine.node.observed.counters["proved_different"] == 3
            assert "3 of 4 decisions do not recompute" in caplog.text
            with monkeypatch.context() as broken:
                broken.setattr(proofs_module, "Recomputation", None)
                failed = await engine.prove(LOCAL, 4)
            assert "TypeError" in failed["failed"], "a fault of ours is on record as well"
            monkeypatch.setattr(proofs_module, "RECORDS_MAX", 3)
            failed = await engine.prove(LOCAL, 4)
            assert "no checkpoint" in failed["failed"] and failed["decisions"] == 0
            with pytest.raises(InvalidInput):
                await engine.prove(LOCAL, 0)

    asyncio.run(main())


def test_it_comes_once_a_night_by_itself(tmp_path, monkeypatch):
    async def main():
        async with opened(tmp_path / "node", nightly(), items=GOODS) as engine:
            await decided(engine, 10)
            proofs, clock = engine._proofs, engine.node.ports.clock
            three = 3 * HOUR_MS
            night = (proofs._looked_ms - three) // DAY_MS * DAY_MS + DAY_MS + three  # the next 03:00
            for at_ms, many in ((night - 1, 0), (night + 60_000, 1), (night + 20 * HOUR_MS, 1), (night + DAY_MS, 2)):
                monkeypatch.setattr(clock, "now_ms", lambda at_ms=at_ms: at_ms)
                proofs._look()
                if proofs._task is not None:
                    await proofs._task
                assert len(proofs.done) == many, at_ms - night
            assert {each.decisions for each in proofs.done} == {7}

    asyncio.run(main())


def test_a_time_of_day_is_due_once_between_two_looks():
    three = 3 * HOUR_MS
    assert due(three, three - 1, three)
    assert not due(three, three, three + 1)
    assert due(three, three - 1, three + 5 * DAY_MS), "however long the machine slept"
    assert not due(three, three + 1, three + DAY_MS - 1)


@pytest.mark.parametrize(
    "text", ['at = "3"', "decisions = 5", 'at = "03:00"\ndecisions = 0', 'at = "24:00"', "hour = 3"]
)
def test_mistakes_of_the_setting_are_named(text):
    with pytest.raises(ApplicationError, match=r"\[proof\] is"):
        nightly(f"[proof]\n{text}\n")


def test_over_http(tmp_path):
    with LiveNode(tmp_path / "node", nightly(), GOODS) as live:
        live.run(decided(live.engine, 5))
        proof = live.http.post("/v1/proofs?decisions=3").json()
        assert (proof["decisions"], proof["identical"]) == (3, 3)
        assert live.http.get("/v1/proofs").json() == {"proofs": [proof]}
        assert live.http.post("/v1/proofs?decisions=x").status_code == 422
