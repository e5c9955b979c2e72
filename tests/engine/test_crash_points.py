"""Crash everywhere: a whole node on the simulated disk, the power cut before every operation that changes the disk.

At each point the disk is cloned, the clone loses its power, a node is opened on it, and it must hold: every
acknowledged event once, the dedup table that knows them, the state of a run without a crash, and **each output row
exactly once, in order** (rows of append-only targets: one per click, and sessions that end by ticks). Some recoveries
are crashed again.

Only `keys.db` is replaced by a table in memory: SQLite does its own I/O, and tests/govern crashes it on its own.
"""

import asyncio
import errno
import random
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from nextpaint.engine import node as node_module
from nextpaint.engine.facade import Engine
from nextpaint.engine.index import LedgerIndex
from nextpaint.engine.node import Node, NodeSettings, Prepared
from nextpaint.engine.replay import APPLICATION_TOPIC, Rebuild, Replay
from nextpaint.govern.access import LOCAL
from nextpaint.ports import Ports, SeededRandom, SimulatedClock, SimulatedDisk, SimulatedWorkers
from nextpaint.process.erasures import ERASE_TOPIC, Erasure
from nextpaint.process.live import Tables
from nextpaint.process.outputs import output_value
from nextpaint.record.codec import Record
from nextpaint.record.errors import LedgerError, NextpaintError
from nextpaint.record.event import decode as decode_event
from nextpaint.stream.dedup import Dedup
from nextpaint.stream.frame import Draft, EntryKind
from tests.engine.shop import corner, doubled

CHANGING = {"append", "sync", "truncate", "rename", "remove", "sync_directory", "make_directory"}
START_MS = 1_790_000_000_000
SETTINGS = NodeSettings(
    checkpoint_records=3, checkpoint_s=10**6, checkpoints_kept=2, lag_ms_max=10**9, frame_gap_ms=0
)  # without a gap no timer of the real loop decides what shares a frame
SESSIONS = """
CREATE TABLE visits (subject STRING, started TIMESTAMP(3), n BIGINT);
INSERT INTO visits SELECT subject, window_start, COUNT(*)
FROM TABLE(SESSION(TABLE clicks PARTITION BY subject, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY subject, window_start, window_end;
"""
APPLICATION = corner(SESSIONS)


class Lost(AssertionError):
    """A promise was broken."""


class NamesInMemory:
    """Subjects without a database."""

    pending = 0
    grown = False
    erased_up_to = -1

    def token(self, kind, value):
        return f"{kind}-{value}".ljust(22, "0")

    def known(self, kind, value):
        return self.token(kind, value)

    def pseudonym(self, text):
        return text

    def write(self):
        return None

    def commit(self):
        return 0

    def destroy(self, tokens, suppress=(), up_to=None):
        return len(tokens)

    def release(self, tokens):
        return

    def close(self):
        return


@pytest.fixture(autouse=True)
def names_in_memory(monkeypatch):
    monkeypatch.setattr(node_module.Subjects, "open", staticmethod(lambda path, random: NamesInMemory()))


@dataclass
class Tally:
    """What was visited."""

    points: int = 0
    nested: int = 0
    outputs: int = 0
    emitted_again: int = 0  # output rows that a crash had kept from the ledger, and the recovery wrote
    faults: int = 0
    erased: int = 0


@dataclass
class Model:
    """What the clients know."""

    sent: list = field(default_factory=list)
    acknowledged: set = field(default_factory=set)


def opened(disk, seed, clock=None):
    """A node whose turns run when told."""
    draw = SeededRandom(seed)
    ports = Ports(clock or SimulatedClock(START_MS), disk, draw, SimulatedWorkers(draw))
    node = Node.open(Path(), APPLICATION, ports, SETTINGS, None)
    node.turns._wake = lambda: None
    return node


def settle(node):
    """Until everything appended is durable, applied, and its outputs are durable."""
    while node.writer.error is None:
        node.ports.workers.run()
        node.turns.drain()
        if node.writer.flush() and node.ports.workers.idle and not node.turns.waiting_records:
            return


def held(node):
    """Ids of the events in the ledger, in order, and its output rows."""
    ids, outputs = [], []
    for frame in node.ledger.frames():
        for entry in frame.entries:
            if entry.topic == "events":
                ids += [decode_event(record.value).message_id for record in entry.records]
            elif entry.kind is EntryKind.OUTPUT:
                outputs += [(entry.topic, record.value) for record in entry.records]
    return ids, outputs


def check(node, model, tally):
    """The node against what the clients know and against a replay from zero."""
    ids, outputs = held(node)
    if missing := model.acknowledged - set(ids):
        raise Lost(f"acknowledged and gone: {sorted(missing)[:3]}")
    if doubled(ids):
        raise Lost(f"doubled: {doubled(ids)[:3]}")
    if unknown := [each for each in ids if not isinstance(node.dedup.seen(Dedup.key(LOCAL.name, each)), int)]:
        raise Lost(f"in the ledger and unknown to dedup: {unknown[:3]}")
    rows = []
    replay = Replay(node.ledger, on_outputs=rows.extend, applications={APPLICATION.hash: APPLICATION})
    replay.advance(node.runner.applied)
    made = [(row.topic, output_value(row)) for row in rows]
    if sorted(outputs, key=lambda each: each[0]) != sorted(made, key=lambda each: each[0]):  # order within a topic
        raise Lost(f"outputs: {len(outputs)} in the ledger, {len(made)} made")
    if replay.runner is not None and replay.runner.state.hash() != node.runner.state.hash():
        raise Lost("the state is not that of a run without a crash")
    tally.outputs += len(outputs)


def survive(disk, model, seed, nesting, tally):
    """Cut the power of `disk` (a clone), open a node on it, compare; cut it again on the way."""
    disk.crash()
    tally.points += 1
    visits = 0

    def again(operation, path):
        nonlocal visits
        if operation in CHANGING:
            visits += 1
            tally.nested += 1
            survive(disk.clone(SeededRandom(seed * 31 + visits)), model, seed * 31 + visits, nesting - 1, tally)

    disk.on_operation = again if nesting else None
    node = opened(disk, seed)
    before = node.observed.counters
    settle(node)
    disk.on_operation = None
    tally.emitted_again += dict(before).get("outputs", 0)
    check(node, model, tally)


class Workload:
    """A node's life drawn from a seed: clicks, retries, ticks, disk faults, restarts, power cuts, checkpoints."""

    def __init__(self, seed, tally, nested_every=6):
        self.seed, self.tally, self.nested_every = seed, tally, nested_every
        self.chance = random.Random(seed)
        self.model = Model()
        self.clock = SimulatedClock(START_MS)
        self.disk = SimulatedDisk(SeededRandom(seed + 1))
        self.visits = self.lives = 0
        self.tasks = []

    def visit(self, operation, path):
        if operation in CHANGING:
            self.visits += 1
            seed = self.seed * 10_007 + self.visits
            nesting = int(self.visits % self.nested_every == 0)
            survive(self.disk.clone(SeededRandom(seed)), self.model, seed, nesting, self.tally)

    def open(self):
        self.lives += 1
        self.disk.heal()
        self.disk.on_operation = self.visit
        self.node = opened(self.disk, self.seed * 1000 + self.lives, self.clock)
        self.engine = Engine(self.node, None)
        if not self.node.ledger.next_seq:
            rebuild = Rebuild(self.node.ledger, APPLICATION)
            prepared = Prepared(APPLICATION, rebuild, Tables(rebuild.runner), self.node.tables)
            self.node._rebuilds[APPLICATION.hash] = prepared
            record = Record(APPLICATION.hash.encode(), APPLICATION.packed(), self.clock.now_ms())
            self.node.append(Draft(APPLICATION_TOPIC, EntryKind.SWITCH, [record]))

    async def send(self, call):
        try:
            await self.engine.ingest(LOCAL, [call])
            self.model.acknowledged.add(call["messageId"])
        except NextpaintError:
            return

    def click(self):
        """A new event, or a retry of one that was sent before."""
        if self.model.sent and self.chance.randrange(5) == 0:
            call = self.chance.choice(self.model.sent)
        else:
            n = len(self.model.sent)
            call = {
                "type": "track", "event": "Product Viewed", "anonymousId": f"v{self.chance.randrange(3)}",
                "messageId": f"e{n}", "properties": {"product_id": f"g{self.chance.randrange(9)}"},
            }  # fmt: skip
            self.model.sent.append(call)
        self.tasks.append(asyncio.ensure_future(self.send(dict(call))))

    def forget(self):
        """Somebody is erased, as the record of it says; what follows in keys.db is tested elsewhere."""
        token = self.node.subjects.token("anonymous", f"v{self.chance.randrange(3)}")
        body = msgspec.json.encode(Erasure("e", (token,)))
        self.node.append(Draft(ERASE_TOPIC, EntryKind.INPUT, [Record(b"e", body, self.clock.now_ms())]))
        self.tally.erased += 1

    async def step(self):
        match self.chance.randrange(26):
            case 0 | 1:
                self.clock.advance(self.chance.randrange(1500))
            case 2 | 3:
                self.node.writer.tick()
            case 4 if self.chance.randrange(3) == 0:
                self.restart(crash=True)
            case 5 if self.chance.randrange(2) == 0:
                self.restart(crash=False)
            case 6 if self.chance.randrange(2) == 0:
                kind = self.chance.choice(["append", "sync", "sync_directory", "rename", "any"])
                error = self.chance.choice([errno.EIO, errno.ENOSPC])
                self.disk.fail(kind, after=self.chance.randrange(4), error=error)
                self.tally.faults += 1
            case 7 if self.chance.randrange(2) == 0:
                self.forget()
            case n if n < 13:
                self.click()
            case n if n < 20:
                self.node.ports.workers.step()
            case _:
                self.node.turns._turn()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def restart(self, *, crash):
        """The process is gone; with `crash`, the power as well."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.disk.heal()
        self.disk.on_operation = None
        self.disk.crash() if crash else self.disk.restart()
        self.open()

    async def run(self, steps):
        self.open()
        for _ in range(steps):
            try:
                await self.step()
            except (LedgerError, OSError):
                self.restart(crash=False)
            if self.node.writer.error is not None:
                self.restart(crash=False)
        self.disk.heal()
        settle(self.node)
        await asyncio.sleep(0)
        if self.node.writer.error is None:
            check(self.node, self.model, self.tally)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self


def run_until(points, seed=0):
    tally = Tally()
    while tally.points < points:
        asyncio.run(Workload(seed, tally).run(steps=60))
        seed += 1
    return tally


def test_five_hundred_crash_points_lose_and_double_no_event_and_no_output():
    tally = run_until(500)
    print(tally)
    assert tally.nested > 50 and tally.outputs > 1_000 and tally.emitted_again > 25 and tally.erased > 5, tally


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_ten_times_ten_thousand_crash_points_lose_and_double_no_event_and_no_output(part):
    tally = run_until(10_000, seed=10_000 * (part + 1))
    print(
        f"crash points survived {tally.points} (of them during recovery {tally.nested}), "
        f"faults injected {tally.faults}, outputs compared {tally.outputs}, "
        f"written again by a recovery {tally.emitted_again}; lost 0, doubled 0"
    )


# --- sabotage ---------------------------------------------------------------------------------------------------


def forget_what_was_emitted(patch):
    """Recovery writes every output it makes again."""
    emit = Node._recover

    def recover(node, application):
        node.emitted = type(node.emitted)(-1, 0, 0)
        return emit(node, application)

    patch.setattr(Node, "_recover", recover)


def never_write_outputs_of_a_recovery(patch):
    recover = Node._recover
    patch.setattr(Node, "_recover", lambda node, application: (recover(node, application), [])[1])


def checkpoint_before_its_outputs_are_durable(patch):
    def eager(node):
        if node.runner.applied - node._last_checkpoint[0] >= SETTINGS.checkpoint_records:
            node.checkpoint_now()

    patch.setattr(Node, "_checkpoint", eager)


def start_with_an_empty_dedup(patch):
    recover = Node._recover

    def blind(node, application):
        outputs = recover(node, application)
        node.dedup._known.clear()
        node.dedup._order.clear()
        return outputs

    patch.setattr(Node, "_recover", blind)


def forget_frames_after_the_checkpoint(patch):
    restore = LedgerIndex.restore

    def skip(index, beside, frames_max):
        restore(index, beside, frames_max)
        index.next_frame += 3 if index.next_frame else 0

    patch.setattr(LedgerIndex, "restore", skip)


def say_emitted_one_frame_too_early(patch):
    def emit(node, rows):
        if len(rows) and node.writer.error is None:
            node.emitted = rows.last
            node.writer.emitted = tuple(node.emitted)
            node.writer.flush()
            for row in rows:
                node.append(Draft(row.topic, EntryKind.OUTPUT, [Record(None, output_value(row), node.runner.at_ms)]))

    patch.setattr(Node, "_emit", emit)


SABOTAGES = [
    forget_what_was_emitted, never_write_outputs_of_a_recovery, checkpoint_before_its_outputs_are_durable,
    start_with_an_empty_dedup, forget_frames_after_the_checkpoint, say_emitted_one_frame_too_early,
]  # fmt: skip


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_each_sabotage_is_caught(sabotage, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(Lost):
        run_until(1_500)
