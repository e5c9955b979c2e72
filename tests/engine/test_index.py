"""What lives beside the operators survives a restart from its checkpoint, and only later frames are read."""

import asyncio

import pytest

from nextpaint.engine.facade import Engine
from nextpaint.engine.index import LedgerIndex, Places
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.replay import DECISIONS_TOPIC
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from nextpaint.process import checkpoint
from nextpaint.record.errors import NotFound
from nextpaint.stream.dedup import Dedup
from tests.engine.shop import GOODS, asked, click, corner

START_MS = 1_767_225_600_000
SETTINGS = NodeSettings(checkpoint_records=10**9, checkpoint_s=10**9, frame_gap_ms=0, lag_ms_max=10**9)


class Shop:
    """A node on a simulated disk that can be opened again, and what its frames were read from."""

    def __init__(self, directory):
        self.directory = directory
        self.disk = SimulatedDisk(SeededRandom(1))
        self.clock = SimulatedClock(START_MS)
        self.engine = None
        self.opens = 0

    async def open(self):
        self.opens += 1
        ports = Ports(self.clock, self.disk, SeededRandom(self.opens), InlineWorkers())
        self.engine = await Engine.open(
            self.directory, corner(), ports, settings=SETTINGS, embedder=HashEncoder(),
            background=InlineWorkers(),
        )  # fmt: skip
        return self.engine

    async def click(self, number):
        call = {**click(f"v{number % 3}", f"g{number % 5}"), "messageId": f"m{number}"}
        self.clock.advance(50)
        return await self.engine.ingest(LOCAL, [call])

    async def decide(self, number):
        answer = await self.engine.decide(LOCAL, "shelf", asked(f"v{number % 3}"))
        return answer["decision_id"]

    def crash(self):
        """As `kill -9`: nothing is said to anybody, the page cache stays."""
        self.engine.node._closing = True
        self.disk.restart()
        self.engine.node.subjects.close()


def lived(tmp_path, check):
    """A life with a checkpoint in the middle and a kill at the end, then `check(shop, decisions, frames read)`."""

    async def run():
        shop = Shop(tmp_path)
        await shop.open()
        await shop.engine.put_items(LOCAL, GOODS)
        decisions = []
        for number in range(40):
            await shop.click(number)
            if number % 8 == 0:
                decisions.append(await shop.decide(number))
            if number == 25:
                await shop.engine.node.settled()
                shop.engine.node.checkpoint_now()
        await shop.engine.node.settled()
        shop.crash()
        return await check(shop, decisions)

    return asyncio.run(run())


@pytest.mark.parametrize("damaged", [False, True], ids=["with its checkpoint", "without it"])
def test_after_a_kill_retries_and_explanations_are_answered_as_before(tmp_path, damaged):
    async def check(shop, decisions):
        if damaged:
            for applied in checkpoint.positions(shop.disk):
                shop.disk.remove(checkpoint.path_of(applied))
        engine = await shop.open()
        whole = LedgerIndex(Dedup())
        for frame in engine.node.ledger.frames():
            whole.take(frame)
        assert engine.node.dedup.dump() == whole.dedup.dump()
        for number in range(40):
            assert (await shop.click(number)).duplicates == 1, number
        assert (await shop.click(40)).accepted == 1
        for each in decisions:
            answer = await engine.explain(LOCAL, each, "support", replay=True)
            assert answer["replay"]["verdict"] == "identical"
        with pytest.raises(NotFound):
            await engine.explain(LOCAL, "0" * 16)
        await engine.close()

    lived(tmp_path, check)


def test_a_start_takes_only_frames_after_its_checkpoint(tmp_path, monkeypatch):
    async def check(shop, decisions):
        found = checkpoint.newest(shop.disk)
        taken = []
        take = LedgerIndex.take
        monkeypatch.setattr(LedgerIndex, "take", lambda self, frame: (taken.append(frame.number), take(self, frame)))
        engine = await shop.open()
        assert taken == list(range(taken[0], taken[-1] + 1)) and taken[-1] >= engine.node.ledger.next_frame - 2
        assert found.header.next_frame < taken[0] and len(taken) < engine.node.ledger.next_frame / 2
        await engine.close()

    lived(tmp_path, check)


def test_an_index_that_is_ahead_of_the_ledger_is_not_used():
    index = LedgerIndex(Dedup())
    index.next_frame = 12
    index.dedup.remember(b"k" * 16, 5, 1, 2)
    beside = {name: made() for name, made in index.snapshot().items()}
    older, same = LedgerIndex(Dedup()), LedgerIndex(Dedup())
    older.restore(beside, frames_max=11)
    same.restore(beside, frames_max=12)
    assert (older.next_frame, older.dedup.seen(b"k" * 16)) == (0, None)
    assert (same.next_frame, same.dedup.seen(b"k" * 16)) == (12, 5)
    partial = LedgerIndex(Dedup())
    partial.restore({name: data for name, data in beside.items() if "decisions" not in name}, frames_max=12)
    assert partial.next_frame == 0


def test_places_survive_their_bytes_and_refuse_others():
    places = Places()
    for number in range(300):
        places.add(b"%x" % number, number * 7)
    again = Places()
    again.restore(places.snapshot()())
    assert [again.get(f"{number:x}") for number in range(301)] == [*(number * 7 for number in range(300)), None]
    assert again.snapshot()() == places.snapshot()() and len(again) == 300
    with pytest.raises(ValueError, match="cut short"):
        Places().restore(places.snapshot()()[:-1])
    assert DECISIONS_TOPIC in LedgerIndex(Dedup()).places
