"""A copy of the ledger recomputes the decisions that were made while events came in, and says which ones a missing
click changes.
"""

import asyncio
import random
import re
import shutil
import subprocess
import sys

import pytest

from nextpaint.cli.commands import Directory
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.recomputation import Recomputation, decisions_of
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SystemClock
from nextpaint.process import checkpoint
from nextpaint.record.codec import Record, encode_batch
from nextpaint.record.event import decode as decode_event
from nextpaint.stream.frame import Draft, Entry
from tests.engine.shop import ROOT, asked, click, opened, order_lines, order_rows, retail, slice_of

# No refusals: the traffic is meant to be dense, on a busy machine too.
SETTINGS = NodeSettings(checkpoint_records=250, checkpoints_kept=100, lag_ms_max=60_000, frame_gap_ms=0)


class Without:
    """A ledger with one record's value gone from view; all others keep their places."""

    def __init__(self, ledger, seq):
        self._ledger, self._seq = ledger, seq

    def lost(self):
        return []

    def frames(self, start=0):
        for frame in self._ledger.frames(start):
            if frame.base_seq <= self._seq < frame.next_seq:
                frame.entries = tuple(part for entry in frame.entries for part in self._parts(entry))
            yield frame

    def _parts(self, entry):
        """The entry, or what is before and after the record: two entries with the same clock."""
        at = self._seq - entry.base_seq
        if not 0 <= at < entry.count:
            return [entry]
        records = list(entry.records)
        return [
            Entry(
                Draft(entry.topic, entry.kind, some, entry.partition, entry.at),
                0,
                entry.base_seq + first,
                encode_batch(some, 0),
                len(some),
            )
            for first, some in ((0, records[:at]), (at + 1, records[at + 1 :]))
            if some
        ]


async def business(directory, decisions, seed):
    """Decisions of ten visitors while clicks, orders and stock changes come in; the data directory is left closed."""
    chance = random.Random(seed)
    items = slice_of(300)
    known = {item["item_id"] for item in items}
    lines = [line for line in order_lines(6000) if line[1] in known]
    async with opened(directory, retail(), items=items, settings=SETTINGS) as engine:
        await engine.put_rows(LOCAL, "orders", order_rows(lines[:200], engine.node.ports.clock.now_ms()))
        busy = True

        async def traffic():
            while busy:
                now = engine.node.ports.clock.now_ms()
                visitor, item = f"v{chance.randrange(10)}", chance.choice(items)["item_id"]
                match chance.randrange(6):
                    case 0:
                        await engine.put_items(LOCAL, [{"item_id": item, "stock": chance.randrange(3)}])
                    case 1:
                        await engine.put_rows(
                            LOCAL, "orders", order_rows([chance.choice(lines)], now - chance.randrange(20_000))
                        )
                    case _:
                        await engine.ingest(LOCAL, [click(visitor, item), click(f"v{chance.randrange(10)}", item)])

        async def shopper(number):
            for _ in range(decisions // 10):
                surface = chance.choice(["home_carousel", "home_carousel", "search", "last_night"])
                given = {"items": [chance.choice(items)["item_id"] for _ in range(40)]} if surface == "search" else {}
                more = chance.choice([{}, {}, {"ahead_ms": 600_000}, {"profiled": False}, {"limit": 5}])
                await engine.decide(LOCAL, surface, asked(f"v{number}", **given, **more))
                await asyncio.sleep(chance.random() * 0.02)

        writers = [asyncio.create_task(traffic()) for _ in range(3)]
        await asyncio.gather(*(shopper(number) for number in range(10)))
        busy = False
        await asyncio.gather(*writers)


def copied(made, tmp_path):
    return Directory(shutil.copytree(made, tmp_path / "copy"))


def records_of(ledger):
    return sorted((record for _, record in decisions_of(ledger)), key=lambda record: record.position)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("business") / "node"
    asyncio.run(business(directory, 150, seed=1))
    return directory


def recomputed_by_a_fresh_process(directory, count):
    command = [sys.executable, "-m", "nextpaint", "verify", str(directory), "--decisions", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(
        r"recomputed (\d+) decisions from the first record: (\d+) identical, (\d+) different", done.stdout
    )
    assert found, done.stdout + done.stderr
    print(found.group(0))
    return done.returncode, tuple(map(int, found.groups()))


def recomputed_from_checkpoints(ledger, records, seed):
    """From each kept checkpoint on, at random step cuts: how many decisions were recomputed, and which differ."""
    chance = random.Random(seed)
    count, different = 0, []
    for position in checkpoint.positions(ledger.disk)[-4:]:
        start = checkpoint.newest(ledger.disk, position)
        later = [record for record in records if record.position >= position]
        again = Recomputation(ledger, SystemClock(), disk=ledger.disk, start=start, cut=lambda: chance.randint(1, 30))
        for verdict in again.verdicts(later):
            count += 1
            different += [] if verdict.identical else [verdict]
    return count, different


def test_a_fresh_process_recomputes_every_decision_on_a_copy_of_the_ledger(made, tmp_path):
    ledger = copied(made, tmp_path)
    count = len(records_of(ledger))
    assert count >= 150
    shutil.rmtree(tmp_path / "copy" / "checkpoints")
    assert recomputed_by_a_fresh_process(tmp_path / "copy", count) == (0, (count, count, 0))


def test_every_decision_recomputes_from_a_checkpoint_at_random_step_cuts(made, tmp_path):
    ledger = copied(made, tmp_path)
    records = records_of(ledger)
    assert len(checkpoint.positions(ledger.disk)) >= 4
    count, different = recomputed_from_checkpoints(ledger, records, seed=1)
    assert different == [] and count > 100


def test_decisions_were_made_between_events_and_not_before_or_after_them(made):
    """The test would prove little if no event lay between two decisions."""
    positions = [record.position for record in records_of(Directory(made))]
    assert len(set(positions)) > 25  # a busy machine lumps them


def test_with_one_click_removed_it_says_which_decisions_differ(made, tmp_path):
    ledger = copied(made, tmp_path)
    records = records_of(ledger)
    removed, subject = a_click_that_was_read(ledger, records)
    verdicts = list(Recomputation(Without(ledger, removed), SystemClock()).verdicts(records))
    different = {verdict.decision_id for verdict in verdicts if not verdict.identical}
    before = {record.decision_id for record in records if record.position < removed}
    theirs = {
        r.decision_id
        for r in records
        if subject in r.subjects and r.position >= removed and r.surface == "home_carousel"
    }
    assert before and theirs
    assert not different & before, "a decision cannot depend on what came after it"
    assert theirs <= different, "the person's own later decisions read the click"
    assert 0 < len(different) < len(records)
    assert all(verdict.differences for verdict in verdicts if verdict.decision_id in different)


def a_click_that_was_read(ledger, records):
    """(seq, subject) of the first click whose person gets three profiled home pages afterwards."""
    for frame in ledger.frames():
        for entry in frame.entries:
            for at, record in enumerate(entry.records if entry.topic == "events" else ()):
                seq, subject = entry.base_seq + at, decode_event(record.value).subject
                later = [
                    r for r in records if r.position >= seq and subject in r.subjects and r.surface == "home_carousel"
                ]
                if len(later) >= 3 and records[20].position < seq:
                    return seq, subject
    raise AssertionError("nobody clicked and came back")


def test_a_changed_event_is_noticed_as_well(made, tmp_path):
    """Not only a missing one: the same click on another item."""
    ledger = copied(made, tmp_path)
    records = records_of(ledger)
    seq, _ = a_click_that_was_read(ledger, records)

    class Forged(Without):
        def _parts(self, entry):
            at = self._seq - entry.base_seq
            if not 0 <= at < entry.count:
                return [entry]
            changed = [*entry.records]
            old = changed[at]
            item = decode_event(old.value).item_id
            changed[at] = Record(
                old.key, old.value.replace(item.encode(), b"x" * len(item)), old.timestamp_ms, old.headers
            )
            draft = Draft(entry.topic, entry.kind, changed, entry.partition, entry.at)
            return [Entry(draft, 0, entry.base_seq, encode_batch(changed, 0), entry.count)]

    verdicts = list(Recomputation(Forged(ledger, seq), SystemClock()).verdicts(records))
    assert any(not verdict.identical for verdict in verdicts)


@pytest.mark.slow
def test_a_thousand_decisions_recompute(tmp_path):
    asyncio.run(business(tmp_path / "node", 1_000, seed=2))
    ledger = copied(tmp_path / "node", tmp_path)
    records = records_of(ledger)
    assert len(records) == 1_000
    count, different = recomputed_from_checkpoints(ledger, records, seed=2)
    assert different == []
    shutil.rmtree(tmp_path / "copy" / "checkpoints")
    assert recomputed_by_a_fresh_process(tmp_path / "copy", 1_000) == (0, (1_000, 1_000, 0))
    print(f"from checkpoints at random step cuts: {count} recomputed, {len(different)} different")
