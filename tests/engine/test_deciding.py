"""When an answer leaves: with its record, while other decisions still wait for the thread."""

import asyncio

import pytest

from nextpaint.engine.turns import Standing
from nextpaint.govern.access import LOCAL
from nextpaint.ports import InlineWorkers
from nextpaint.record.errors import InvalidInput, NotFound
from tests.engine.explorer import GOODS_30, explorer
from tests.engine.shop import GOODS, corner, opened

PAGE = {"page": "home"}
HASTY = 'hasty = shelf.but("hasty", window=WEB_RERANK)\n'


def on_a_node(tmp_path, body):
    async def main():
        async with opened(tmp_path / "node", explorer(more=HASTY), items=GOODS_30) as engine:
            return await body(engine)

    return asyncio.run(main())


def test_an_answer_leaves_before_the_next_decision_of_the_same_turn_is_made(tmp_path):
    async def body(engine):
        engine.node.writer._workers = InlineWorkers()  # a disk that takes no time
        made = []
        promises = [engine.decide(LOCAL, "shelf", {"anonymousId": name, "inputs": PAGE}) for name in ("a", "b")]
        for promise in promises:
            promise.then(lambda kept: made.append((kept.result()["recorded"], promises[1].done)))
        assert not made, "they wait for the state thread"
        engine.node.turns._turn()
        return made

    assert on_a_node(tmp_path, body) == [(True, False), (True, True)]


class Stalled:
    """Workers that begin nothing until `go`."""

    def __init__(self, workers):
        self._workers, self._jobs = workers, []

    def commit(self, *commit):
        self._jobs.append(commit)

    def deliver_due(self):
        return

    def go(self, writer):
        writer._workers = self._workers
        for commit in self._jobs:
            self._workers.commit(*commit)


def test_an_answer_does_not_wait_for_a_disk_that_stalls_longer_than_the_window(tmp_path):
    async def body(engine):
        writer = engine.node.writer
        while not writer.idle:
            await asyncio.sleep(0.01)
        stalled = writer._workers = Stalled(writer._workers)
        answer = await asyncio.wait_for(engine.decide(LOCAL, "hasty", {"anonymousId": "a", "inputs": PAGE}), 60)
        stalled.go(writer)
        return answer["recorded"], engine.node.observed.counters["decisions_pending"]

    assert on_a_node(tmp_path, body) == ("pending", 1)


def test_where_other_decisions_wait_near_misses_are_left_out_on_record_and_the_answer_stays(tmp_path, monkeypatch):
    async def body(engine):
        told = []
        for pressed in (False, True):
            monkeypatch.setattr(Standing, "__call__", lambda queue, now_ns, pressed=pressed: pressed)
            answer = await engine.decide(LOCAL, "shelf", {"anonymousId": "a", "inputs": PAGE})
            why = await engine.explain(LOCAL, answer["decision_id"], "support", True)
            told.append((len(why["near_misses"]) > 0, answer["degraded"], why["replay"]["verdict"]))
        return told, engine.node.observed.counters["without_near_misses"]

    assert on_a_node(tmp_path, body) == ([(True, [], "identical"), (False, [], "identical")], 1)


@pytest.mark.parametrize(
    ("surface", "body", "error"),
    [
        ("nowhere", {}, NotFound),
        ("shelf", {"inputs": {"unknown": 1}}, InvalidInput),
        ("shelf", {"ahead_ms": -1}, InvalidInput),
        ("shelf", {"events": "none"}, InvalidInput),
        ("shelf", {"position": "x"}, InvalidInput),
    ],
)
def test_what_is_wrong_with_a_request_rejects_its_promise_and_nothing_else(tmp_path, surface, body, error):
    async def run(engine):
        promise = engine.decide(LOCAL, surface, {"anonymousId": "a", "inputs": PAGE, **body})
        with pytest.raises(error):
            await promise
        return (await engine.decide(LOCAL, "shelf", {"anonymousId": "a", "inputs": PAGE}))["recorded"]

    assert on_a_node(tmp_path, run) is True


@pytest.mark.parametrize("by", ["anonymousId", "userId"])
def test_an_acknowledged_click_is_in_the_next_decision_of_its_person_however_patient_the_node_is(tmp_path, by):
    async def main():
        async with opened(tmp_path / "node", corner(), items=GOODS) as engine:
            turns = engine.node.turns
            page = {by: "ann", "inputs": {"page": "home"}}
            before = (await engine.decide(LOCAL, "shelf", page))["items"][0]["id"]
            while turns.waiting_records:
                await asyncio.sleep(0.01)
            turns._patience_ns, turns._sliced_ns = 10**12, engine.node.ports.clock.monotonic_ns()
            click = {"type": "track", "event": "Product Viewed", by: "ann", "properties": {"product_id": "g3"}}
            receipt = await engine.ingest(LOCAL, [{**click, "messageId": "m"}])
            assert engine.node.runner.applied < receipt.seq, "nothing hurries the node by itself"
            other = await engine.decide(LOCAL, "shelf", {**page, by: "bob"})
            assert engine.node.runner.applied < receipt.seq, "and nobody else's decision does"
            return before, (await engine.decide(LOCAL, "shelf", page))["items"][0]["id"], other["items"][0]["id"]

    before, after, other = asyncio.run(main())
    assert before == other != after == "g3"


def test_an_acknowledged_link_is_in_the_next_decision_also_of_the_identifier_that_was_linked(tmp_path):
    async def main():
        async with opened(tmp_path / "node", corner(), items=GOODS) as engine:
            turns = engine.node.turns
            turns._patience_ns, turns._sliced_ns = 10**12, engine.node.ports.clock.monotonic_ns()
            linked = {"type": "identify", "userId": "ann", "anonymousId": "tab", "messageId": "i"}
            receipt = await engine.ingest(LOCAL, [linked])
            assert engine.node.runner.applied < receipt.seq
            answer = await engine.decide(LOCAL, "shelf", {"anonymousId": "tab", "inputs": PAGE})
            return (await engine.explain(LOCAL, answer["decision_id"], "regulator"))["subjects"]

    assert len(asyncio.run(main())) == 2, "the tab and its user"
