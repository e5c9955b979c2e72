"""State is a function of the ledger: any prefix, any step cut, any kept checkpoint, any recovery; on the retail
application.

live(T, P, t) is what T would hold if the input had ended after position P, read as of t.
"""

import asyncio
import json
import random
from functools import partial

import msgspec
import pytest

from nextpaint.engine.replay import Replay
from nextpaint.ports import SeededRandom
from nextpaint.process import checkpoint
from nextpaint.process.live import Tables
from nextpaint.record.event import decode as decode_event
from tests.engine.life import MINUTE_MS, Life, reloaded
from tests.engine.shop import retail

APPLICATION = retail()
LIVE_TABLES = {"category_interest", "recent", "trending", "catalog", "inventory", "identity", "yesterday"}
FRAME_MS = 5 * MINUTE_MS  # of `pace`


def lived(directory, seed, steps=150):
    """A life, closed: (life, kept ledger, state hash at its end, decisions)."""

    async def run():
        life = Life(directory, APPLICATION, seed)
        await life.begin()
        made = await life.live(steps)
        state = life.engine.node.runner.state.hash()
        kept = life.kept()
        await life.engine.close()
        return life, kept, state, made

    return asyncio.run(run())


SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))]


@pytest.fixture(scope="module", params=SEEDS)
def life(request, tmp_path_factory):
    return lived(tmp_path_factory.mktemp("life"), request.param)


def replayed(kept, **how):
    rows = []
    replay = Replay(kept, on_outputs=rows.extend, applications={APPLICATION.hash: APPLICATION}, **how)
    return replay, rows


def whole(kept):
    replay, rows = replayed(kept)
    replay.advance(kept.last_seq)
    return replay, [(tuple(row.identity), row.topic, row.kind, row.row) for row in rows]


def test_a_live_reading_is_what_a_run_of_the_prefix_ends_with(life):
    """Random prefixes, random later times, every table that promises it, every key of either side."""
    _, kept, _, _ = life
    chance = random.Random(kept.last_seq)
    prefixes = sorted(chance.sample(range(60, kept.last_seq + 1), 25))
    replay, _ = replayed(kept)
    compared, held = 0, 0
    for prefix in prefixes:
        replay.advance(prefix)
        ended = reloaded(replay.runner)
        ended.end()
        at_end = Tables(ended)
        as_of = replay.runner.at_ms + chance.choice([0, 1, 20_000, 7 * MINUTE_MS, 3 * 60 * MINUTE_MS])
        tables = replay.tables.live.items()
        granted = {name for name, table in tables if table.reach.by_key or table.reach.whole}
        granted -= {name for name, table in tables if table.reach.as_of == "recount"}  # below
        assert granted >= LIVE_TABLES
        for name in sorted(granted):
            now, then = replay.tables.live[name], at_end.live[name]
            keys = {key for key, _ in [*now.table.rows.items(), *then.table.rows.items()]}
            for key in sorted(keys, key=repr):
                assert now.row(key, as_of) == then.row(key, as_of), f"{name}{key} at {prefix} as of {as_of}"
                compared += 1
                held += now.table.get(key) != then.table.get(key)
    print(f"{compared} rows compared at {len(prefixes)} prefixes; in {held} of them the final row was not there yet")
    assert compared > 2_000 and held > 50


def clicks_up_to(kept, seq):
    """(subject, ts) of every click up to a position, decoded without the engine."""
    found = []
    for frame in kept.frames():
        for entry in frame.entries:
            for at, record in enumerate(entry.records if entry.topic == "events" else ()):
                event = decode_event(record.value)
                if entry.base_seq + at <= seq and event.event in ("Product Viewed", "Product Added"):
                    found.append((event.subject, event.ts))
    return found


def test_a_count_over_a_sliding_window_is_that_of_the_window_before_the_reading(life):
    """`pace`, clicks of the last 5 minutes, against a plain count of the events; 0 again when it was quiet."""
    _, kept, _, _ = life
    chance = random.Random(kept.last_seq)
    replay, _ = replayed(kept)
    counts = []
    for prefix in sorted(chance.sample(range(60, kept.last_seq + 1), 40)):
        replay.advance(prefix)
        if any(name.startswith("over/") for name in replay.runner.late()):
            break  # what is late for the frame is not counted: the plain count would have to know lateness as well
        clicks = clicks_up_to(kept, prefix)
        as_of = replay.runner.at_ms + chance.choice([0, 30_000, 4 * MINUTE_MS])
        for subject in sorted({subject for subject, _ in clicks}):
            expected = sum(who == subject and as_of - FRAME_MS < ts <= as_of for who, ts in clicks)
            row = replay.tables.live["pace"].row((subject,), as_of)
            assert row == (subject, expected), f"{prefix} as of {as_of}"
            counts.append(expected)
    assert len(counts) > 5 and max(counts) > 1


def test_the_node_and_a_replay_from_zero_have_the_same_state_and_outputs(life):
    _, kept, state, _ = life
    replay, rows = whole(kept)
    assert replay.runner.state.hash() == state
    recorded = [
        (entry.topic, record.value)
        for frame in kept.frames()
        for entry in frame.entries
        if entry.kind.name == "OUTPUT"
        for record in entry.records
    ]
    topics = {topic for topic, _ in recorded}
    for each in topics:  # rows of one topic keep their order; those of a step lie together by topic
        made = [json.loads(msgspec.json.encode(row)) for _, topic, _, row in rows if topic == each]
        assert [json.loads(value) for topic, value in recorded if topic == each] == made
    assert {topic for _, topic, _, _ in rows} == topics
    assert any(topic == "visits" for topic, _ in recorded), "no session ended: the life was too short"


@pytest.mark.parametrize("largest", [1, 7, 300])
def test_shuffled_step_cuts_change_neither_state_nor_output(life, largest):
    _, kept, state, _ = life
    chance = random.Random(largest)
    replay, rows = replayed(kept, cut=lambda: chance.randint(1, largest))
    replay.advance(kept.last_seq)
    assert replay.runner.state.hash() == state
    assert [(tuple(row.identity), row.topic, row.kind, row.row) for row in rows] == whole(kept)[1]


def test_any_kept_checkpoint_leads_to_the_same_state_and_outputs(life):
    past, kept, state, _ = life
    positions = checkpoint.positions(past.disk)
    assert len(positions) >= 5
    every = whole(kept)[1]
    for position in positions:
        chance = random.Random(position)
        start = checkpoint.newest(past.disk, position)
        assert start.header.applied == position
        replay, rows = replayed(kept, start=start, disk=past.disk, cut=partial(chance.randint, 1, 40))
        replay.advance(kept.last_seq)
        assert replay.runner.state.hash() == state
        assert [tuple(row.identity) for row in rows] == [row[0] for row in every if row[0][0] > position]


def test_a_recovery_has_the_same_state(life):
    """After a clean stop and after a power cut, from a checkpoint and, with all of them gone, from zero."""
    past, _, state, _ = life

    async def recovered(disk):
        again = Life(past.directory, APPLICATION, past.seed + 100, disk=disk)
        again.clock.advance(past.clock.now_ms() - again.clock.now_ms())
        engine = await again.open()
        found = engine.node.runner.state.hash()
        await engine.close()
        return found

    for crash in (False, True):
        disk = past.disk.clone(SeededRandom(5))
        disk.crash() if crash else disk.restart()
        assert asyncio.run(recovered(disk)) == state
    for position in checkpoint.positions(disk):
        disk.remove(checkpoint.path_of(position))
    disk.restart()
    assert asyncio.run(recovered(disk)) == state
