"""kill -9 under load: what was acknowledged is there, nothing is there twice, and the state is that of a run without
a crash.

A real node process behind real HTTP. Clients send unique events and do what clients do: an event without an answer is
sent again, under its id, to the next process. So in the end the acknowledged ids are all ids, and the ledger must
hold each once.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import httpx
import pytest

from nextpaint.cli.commands import Directory
from nextpaint.engine.recomputation import Recomputation, decisions_of
from nextpaint.engine.replay import Replay
from nextpaint.ports import SystemClock
from nextpaint.process.outputs import output_value
from nextpaint.stream.frame import EntryKind
from nextpaint.stream.verify import verify
from tests.engine.explorer import patiently
from tests.engine.shop import GOODS, ROOT, corner, doubled, events_in, written

CLIENTS = 6
LIFE_EVENTS = 25  # answered before a kill, so that it hits a node at work; or PATIENCE_S more have passed
PATIENCE_S = 60
SESSIONS = """
CREATE TABLE visits (subject STRING, started TIMESTAMP(3), n BIGINT);
INSERT INTO visits SELECT subject, window_start, COUNT(*)
FROM TABLE(SESSION(TABLE clicks PARTITION BY subject, DESCRIPTOR(ts), INTERVAL '0.2' SECOND))
GROUP BY subject, window_start, window_end;
"""


@dataclass
class Ledgered:
    """What the clients know."""

    sent: list = field(default_factory=list)
    open: list = field(default_factory=list)  # without an answer: to be sent again
    acknowledged: set = field(default_factory=set)
    decisions: set = field(default_factory=set)
    recovery_s: list = field(default_factory=list)


class Process:
    """`nextpaint run`, found by what it prints."""

    def __init__(self, folder, data):
        began = time.perf_counter()
        self._output = (data.parent / "node.log").open("a+")
        start = self._output.seek(0, os.SEEK_END)
        command = [
            sys.executable,
            "-m",
            "nextpaint",
            "run",
            str(folder),
            "--data",
            str(data),
            "--port",
            "0",
            "--no-simulation",
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT)
        self.url = self._address(start)
        self.started_s = time.perf_counter() - began

    def _address(self, start):
        deadline = time.perf_counter() + 60
        while time.perf_counter() < deadline:
            self._output.seek(start)
            for line in self._output.read().splitlines():
                if line.strip().startswith("shop "):
                    return line.split()[1].rstrip("/")
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        self._output.seek(start)
        raise AssertionError(f"the node did not start: {self._output.read()}")

    @property
    def runs(self):
        return self._process.poll() is None

    def end(self, number):
        self._process.send_signal(number)
        self._process.wait(60)
        self._output.close()


async def shop(process, known, ends_at, chance):
    """One client until the process is gone or the time is up: three events for one decision."""
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as http:
        while time.perf_counter() < ends_at and process.runs:
            try:
                if chance.randrange(4) == 0:
                    body = {"anonymousId": f"v{chance.randrange(9)}", "inputs": {"page": "home"}}
                    answer = await http.post("/v1/decide/shelf", json=body)
                    if answer.status_code == 200 and answer.json()["recorded"] is True:
                        known.decisions.add(answer.json()["decision_id"])
                    continue
                call = known.open.pop() if known.open else fresh(known, chance)
                known.open.insert(0, call)  # until it is answered
                answer = await http.post("/v1/track", json=call)
                if answer.status_code == 200:
                    known.open.remove(call)
                    known.acknowledged.add(call["messageId"])
                elif answer.status_code == 429:
                    await asyncio.sleep(0.05)
                else:
                    raise AssertionError(f"{answer.status_code}: {answer.text}")
            except (httpx.TransportError, ValueError):
                await asyncio.sleep(0.005)


def fresh(known, chance):
    name = f"e{len(known.sent)}"
    known.sent.append(name)
    return {
        "type": "track", "event": "Product Viewed", "messageId": name, "anonymousId": f"v{chance.randrange(9)}",
        "properties": {"product_id": f"g{chance.randrange(20)}"},
    }  # fmt: skip


async def load_and_kill(process, known, chance, after_s):
    ends_at, enough = time.perf_counter() + after_s + PATIENCE_S, len(known.acknowledged) + LIFE_EVENTS
    clients = [asyncio.create_task(shop(process, known, ends_at, chance)) for _ in range(CLIENTS)]
    await asyncio.sleep(after_s)
    while len(known.acknowledged) < enough and time.perf_counter() < ends_at:  # a busy machine gets its time
        await asyncio.sleep(0.005)
    process.end(signal.SIGKILL)
    await asyncio.gather(*clients)


def put(url, items):
    with httpx.Client(base_url=url, timeout=60) as http:
        patiently(http, "PUT", "/v1/items", json={"items": items}).raise_for_status()


def survive(tmp_path, kills, seed, life_s):
    """Kill a node `kills` times; gives what the clients know and the data directory, cleanly closed at last."""
    chance, known, data = random.Random(seed), Ledgered(), tmp_path / "node"
    folder = written(corner(SESSIONS), tmp_path / "corner")
    for number in range(kills):
        process = Process(folder, data)
        known.recovery_s.append(process.started_s)
        if number == 0:
            put(process.url, GOODS)
        asyncio.run(load_and_kill(process, known, chance, chance.uniform(0.02, life_s)))
    process = Process(folder, data)
    while known.open:
        asyncio.run(shop(process, known, time.perf_counter() + 0.3, chance))
    state = httpx.get(f"{process.url}/v1/state", timeout=60).json()
    process.end(signal.SIGTERM)
    return known, data, state


def check(known, data, state):
    ledger = Directory(data)
    assert verify(ledger.disk).ok
    ids = [event.message_id for event in events_in(data)]
    assert doubled(ids) == []
    assert set(ids) == known.acknowledged == set(known.sent)
    recorded = [record.decision_id for _, record in decisions_of(ledger)]
    assert doubled(recorded) == [] and known.decisions <= set(recorded)
    outputs, passed, replay = fresh_replay(ledger, state["applied"])
    assert replay.runner.state.hash() == state["state_hash"]
    assert sorted(passed) == sorted(ids), "every click has one output row"
    for topic in ("passed", "visits"):
        held, made = ([row for name, row in outputs[side] if name == topic] for side in ("ledger", "replay"))
        assert held[: len(made)] == made, "a topic's order is that of the causing records, however steps were cut"
    return ids, recorded


def fresh_replay(ledger, to_seq):
    """Outputs that the ledger holds and those that a replay from zero makes up to `to_seq`, and the replay."""
    rows = []
    replay = Replay(ledger, on_outputs=rows.extend)
    replay.advance(to_seq)
    held = [
        (entry.topic, record.value)
        for frame in ledger.frames()
        for entry in frame.entries
        if entry.kind is EntryKind.OUTPUT
        for record in entry.records
    ]
    passed = [json.loads(value)["message_id"] for topic, value in held if topic == "passed"]
    made = [(row.topic, json.loads(output_value(row))) for row in rows]
    return {"ledger": [(topic, json.loads(value)) for topic, value in held], "replay": made}, passed, replay


def test_six_kills_under_load_lose_and_double_nothing(tmp_path):
    known, data, state = survive(tmp_path, kills=6, seed=1, life_s=0.6)
    ids, recorded = check(known, data, state)
    assert len(ids) > 100 and len(recorded) > 20, "the machine was too busy to be killed under load"
    worst = max(known.recovery_s)
    print(f"6 kills: {len(ids)} events and {len(recorded)} decisions, lost 0, doubled 0; slowest start {worst:.2f} s")


@pytest.mark.slow
def test_sixty_kills_under_load_lose_and_double_nothing(tmp_path):
    known, data, state = survive(tmp_path, kills=60, seed=2, life_s=1.5)
    ids, recorded = check(known, data, state)
    ledger = Directory(data)
    records = sorted((record for _, record in decisions_of(ledger)), key=lambda record: record.position)
    different = [each for each in Recomputation(ledger, SystemClock()).verdicts(records) if not each.identical]
    assert different == []
    print(
        f"60 kills: {len(ids)} events, {len(recorded)} decisions, lost 0, doubled 0, "
        f"{len(records)} recomputed identical"
    )
