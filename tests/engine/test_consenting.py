"""Consent: who does not agree is decided for without a profile, from the call that says so on, on every surface."""

import asyncio

from nextpaint.cli.commands import Directory
from nextpaint.connect.replay import iso_time
from nextpaint.govern.access import LOCAL
from tests.engine.shop import asked, click, corner, ids, opened, retail, slice_of

GOODS = [{"item_id": f"g{n}", "title": f"Thing {n}", "category": "c", "stock": 5, "price": 1.0 + n} for n in range(9)]


def consent(visitor, yes, **more):
    call = {"type": "track", "event": "Consent Updated", "anonymousId": visitor}
    return {**call, "context": {"consent": {"categoryPreferences": {"personalisation": yes}}}, **more}


def run(tmp_path, application, items, act):
    async def main():
        async with opened(tmp_path / "node", application, items=items) as engine:
            await act(engine)

    asyncio.run(main())


def test_every_surface_answers_without_a_profile_from_the_call_that_withdraws_consent(tmp_path):
    items = slice_of(60)
    listed = [item["item_id"] for item in items]

    async def act(engine):
        await engine.ingest(LOCAL, [click("v1", listed[n]) for n in range(5)])
        await engine.node.settled()
        surfaces = [each.name for each in engine.node.application.surfaces]
        for yes in (None, False, True, False):
            if yes is not None:
                await engine.ingest(LOCAL, [consent("v1", yes)])
            for surface in surfaces:
                given = {"items": listed[:20]} if surface != "home_carousel" else {}
                answer = await engine.decide(LOCAL, surface, asked("v1", **given))
                service = surface == "last_night"  # its purpose is "service": what was said does not name it
                assert answer["profiled"] is (yes is None or (yes and not service)), (surface, yes)
                assert ids(answer) or surface == "buy_again"  # nobody ordered yet
                why = await engine.explain(LOCAL, answer["decision_id"], "regulator", True)
                assert why["replay"]["verdict"] == "identical"
                if not answer["profiled"]:
                    assert answer["withheld"] == why["withheld"] == "consent"
                    assert why["personal_data_used"] == [] and why["subjects"] == []
                    record = engine._explaining.record(answer["decision_id"])
                    personal = [at for at, each in enumerate(record.features) if each.personal]
                    assert all(item.values[at] is None for item in record.items for at in personal)
                    user = await engine.explain(LOCAL, answer["decision_id"], "user")
                    assert user["text"].startswith("You have not agreed to profiling")

    run(tmp_path, retail(), items, act)


def test_it_is_obeyed_before_its_row_is_applied_and_a_late_call_brings_nothing_back(tmp_path):
    async def act(engine):
        now = engine.node.ports.clock.now_ms()
        await engine.ingest(LOCAL, [click("v1", "g3")])
        writing = engine.ingest(LOCAL, [consent("v1", False)])
        answer = await engine.decide(LOCAL, "shelf", asked("v1"))
        assert answer["withheld"] == "consent", "the door has read it; its frame is still on the way"
        await writing
        await engine.ingest(LOCAL, [consent("v1", True, timestamp=iso_time(now - 60_000))])
        await engine.node.settled()
        assert (await engine.decide(LOCAL, "shelf", asked("v1")))["profiled"] is False
        rows = (await engine.query(LOCAL, "SELECT purposes FROM consents"))["rows"]
        assert rows == [[[]]]

    run(tmp_path, corner(), GOODS, act)


def test_of_linked_devices_the_newest_statement_counts_and_a_restart_remembers(tmp_path):
    async def main():
        async with opened(tmp_path / "node", corner(), items=GOODS) as engine:
            await engine.ingest(LOCAL, [{"type": "identify", "userId": "u1", "anonymousId": "v1"}])
            await engine.ingest(LOCAL, [consent("v1", False)])
            await engine.node.settled()
            assert (await engine.decide(LOCAL, "shelf", {"userId": "u1", "inputs": {"page": "p"}}))["withheld"]
            await engine.ingest(LOCAL, [{**consent("v1", True), "userId": "u1"}])
            answer = await engine.decide(LOCAL, "shelf", asked("v1"))
            assert answer["profiled"] is True and "withheld" not in answer
            await engine.ingest(LOCAL, [consent("v2", False)])
        async with opened(tmp_path / "node", corner()) as engine:
            assert (await engine.decide(LOCAL, "shelf", asked("v2")))["withheld"] == "consent"
            assert (await engine.decide(LOCAL, "shelf", asked("v1")))["profiled"] is True
            await engine.ingest(LOCAL, [consent("v2", False) for _ in range(5)])
            await engine.node.settled()
        assert len(_consents(tmp_path / "node")) == 4, "what says nothing new is no row"

    asyncio.run(main())


def _consents(directory):
    return [
        record for frame in Directory(directory).frames() for entry in frame.entries if entry.topic == "consents"
        for record in entry.records
    ]  # fmt: skip


def test_a_request_that_asks_for_no_profile_is_not_called_withheld(tmp_path):
    async def act(engine):
        answer = await engine.decide(LOCAL, "shelf", asked("v1", profiled=False))
        assert answer["profiled"] is False and "withheld" not in answer

    run(tmp_path, corner(), GOODS, act)
