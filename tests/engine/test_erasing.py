"""Erasing a person: what is left where, in whatever order things happen, and what is told of it."""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys

import msgspec
import pytest

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.decide import DecisionRequest, Moment
from nextpaint.decide.review import Contest
from nextpaint.engine.auditing import reads_in
from nextpaint.engine.erasing import DECISIONS_NAMED, Asked
from nextpaint.engine.gone import erased_in
from nextpaint.engine.replay import Replay
from nextpaint.govern.access import LOCAL
from nextpaint.govern.door import Who
from nextpaint.process import checkpoint
from nextpaint.process.erasures import ERASE_TOPIC, Erasure
from nextpaint.record.codec import Record
from nextpaint.record.errors import NotFound, Overloaded
from nextpaint.stream.frame import Draft, EntryKind
from tests.engine.life import Life, reloaded
from tests.engine.people import (
    APPLICATION,
    AUTHORITY,
    DEVICE,
    ITEMS,
    MAIL,
    crowd,
    holding,
    on,
    tokens_of,
    visits,
)
from tests.engine.shop import GOODS, ROOT, asked, click, corner, opened


def test_nothing_leads_to_a_person_who_was_erased_and_the_receipt_says_what_is_where(tmp_path):
    async def act(engine):
        made = await crowd(engine)
        tokens = tokens_of(engine)
        engine.node.checkpoint_now()
        assert holding(tmp_path / "node" / "checkpoints", *tokens), "there was something to erase"
        receipt = await engine.erase(AUTHORITY, Asked(user_id=MAIL), "request 12")
        assert not holding(tmp_path / "node" / "checkpoints", *tokens)
        assert all(engine.node.subjects.identifiers(token) == [] for token in tokens)
        assert tokens_of(engine) == [None, None, None]
        for call in ({"user_id": MAIL}, {"anonymous_id": DEVICE}):
            with pytest.raises(NotFound, match="nobody is known"):
                await engine.person(AUTHORITY, call.get("user_id"), call.get("anonymous_id"))
        return tokens, receipt, made

    tokens, receipt, made = on(tmp_path, APPLICATION, ITEMS, act)
    stores = receipt["stores"]
    assert receipt["erased"] and receipt["asked_by"] == "data protection" and receipt["purpose"] == "request 12"
    assert stores["keys"]["identifiers_destroyed"] == 3
    told = stores["ledger"]["records_under_tokens"]
    assert told["events"] == 10 and told["decisions"] == 2 and told["identity"] == 4
    cells = {each["of"] for each in stores["state"]["cells"]}
    assert {"table identity", "table recent", "group", "session", "over"} <= cells
    assert stores["state"]["rows_dropped"] == sum(each["dropped"] for each in stores["state"]["cells"]) > 20
    assert stores["decisions"]["records"] == 2 and "Art. 17(3)" in stores["decisions"]["because"]
    assert set(stores["ledger"]["kept"]) == set(told) and set(stores["ledger"]["kept"].values()) == {
        "as long as the ledger is"
    }
    assert len(stores["checkpoints"]["kept"]) == 1
    assert {"posteriors", "memory", "vectors", "models", "lakehouse", "vendors", "backups", "audit"} <= set(stores)
    written = json.dumps(receipt)
    assert not any(each in written for each in (*tokens, MAIL, DEVICE, "phone"))
    # The whole data directory: no identifier anywhere; tokens in the ledger alone, where they are nobody's.
    assert holding(tmp_path / "node", MAIL, DEVICE) == []
    assert {path.partition("/")[0] for path in holding(tmp_path / "node", *tokens)} == {"ledger"}
    assert made[DEVICE]["profiled"] and made["v0"]["profiled"]
    reads = [each for each in reads_in(Directory(tmp_path / "node")) if each.what == "erase"]
    assert [(each.who, each.purpose) for each in reads] == [("data protection", "request 12")]


def test_others_are_decided_for_as_before_bit_for_bit(tmp_path):
    async def act(engine):
        await crowd(engine)
        now, surface = engine.node.ports.clock.now_ms(), engine.node.application.surfaces[0].name

        def pages():
            found = {}
            for visitor in ("v0", "v1", "v2", "v3"):
                request = DecisionRequest(anonymous_id=visitor, inputs={"page": "home"})
                subjects = engine._deciding.subjects(request)
                assert subjects
                reading = engine.node.tables.reading(now)
                made = engine._deciding.decider.decide(surface, request, subjects, reading, Moment("d", now, 7, None))
                found[visitor] = msgspec.json.encode((made.record.items, made.record.near, made.record.matrix))
            return found

        before = pages()
        await engine.erase(LOCAL, Asked(user_id=MAIL))
        assert pages() == before

    on(tmp_path, APPLICATION, ITEMS, act)


@pytest.mark.parametrize("seed", [0, 1])
def test_live_replayed_at_any_cut_and_from_any_checkpoint_is_one_state(tmp_path, seed):
    async def run():
        life = Life(tmp_path / "life", APPLICATION, seed)
        await life.begin()
        await life.live(60)
        for visitor in ("v1", "v3"):
            receipt = await life.engine.erase(LOCAL, Asked(anonymous_id=visitor))
            assert receipt["erased"]
            await life.live(40)  # the same device comes again: as somebody new
        node = life.engine.node
        state, kept, durable = node.runner.state.hash(), life.kept(), node.durable
        files = {each: checkpoint.read(node.ports.disk, each) for each in checkpoint.positions(node.ports.disk)}
        first = node.index.last_erasure
        await life.engine.close()
        return state, kept, durable, files, first

    state, kept, durable, files, last = asyncio.run(run())
    assert all(each >= last for each in files), "none from before the last erasure"
    known = {APPLICATION.hash: APPLICATION}
    for size in (1, 3, 17, 4096):
        replay = Replay(kept, cut=lambda size=size: size, applications=dict(known))
        replay.advance(durable)
        assert replay.runner.state.hash() == state
    assert reloaded(replay.runner).state.hash() == state
    assert files
    for start in files.values():
        replay = Replay(kept, start=start, applications=dict(known))
        replay.advance(durable)
        assert replay.runner.state.hash() == state
    # An application that is put in force later never sees who was erased before.
    tokens = erased_in(kept)
    assert len(tokens) >= 2
    snapshot = replay.runner.state.snapshot()
    pages = b"".join(body for _, body in snapshot.slice(10**9))
    assert not any(token.encode() in pages for token in tokens)


def same_as_replayed(node):
    """The state of a running node is that of its ledger, up to where it stands."""
    replay = Replay(node.ledger)
    replay.advance(node.runner.applied)
    assert replay.runner.state.hash() == node.runner.state.hash()


# ---------------------------------------------------------------- crashes

CHILD = """
import asyncio, os, sys
from pathlib import Path
from tests.engine.test_erasing import *
from nextpaint.engine.erasing import Erasing
from nextpaint.engine.node import Node
from nextpaint.govern.subjects import Subjects

step, directory = sys.argv[1], Path(sys.argv[2])
die = lambda *_: os._exit(9)

async def life():
    async with opened(directory, corner(), items=GOODS) as engine:
        await crowd(engine, GOODS)
        engine.node.checkpoint_now()
        print(" ".join(tokens_of(engine)), flush=True)
        destroy, publish = Subjects.destroy, Node._publish
        if step == "recorded":
            Subjects.destroy = die
        elif step == "destroyed":
            Subjects.destroy = lambda *each: (destroy(*each), die())
        elif step == "forgotten":
            Node.rewritten = die
        elif step == "published":
            Node._publish = lambda self, writer: (writer.finish(), die())
        elif step == "removed":
            Node._publish = lambda self, writer: (publish(self, writer), die())
        elif step == "unsaid":
            Erasing._receipt = die
        await engine.erase(LOCAL, Asked(user_id=MAIL))

asyncio.run(life())
"""


@pytest.mark.parametrize("step", ["recorded", "destroyed", "forgotten", "published", "removed", "unsaid"])
def test_what_a_kill_leaves_of_an_erasure_is_finished_by_the_next_start(tmp_path, step):
    data = tmp_path / "node"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, step, str(data)], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.returncode == 9, child.stderr
    tokens = child.stdout.split()
    assert len(tokens) == 3

    async def act():
        async with opened(data, corner()) as engine:
            assert tokens_of(engine) == [None, None, None]
            assert all(engine.node.subjects.identifiers(token) == [] for token in tokens)
            await asyncio.wait_for(engine.node.rewritten(), 60)
            assert not holding(data / "checkpoints", *tokens)
            (erasure,) = engine.erasures(LOCAL)
            receipt = engine.erasure(LOCAL, erasure["id"])
            assert receipt["stores"] is None and "No receipt was written" in receipt["text"]
            again = await engine.erase(LOCAL, Asked(user_id=MAIL))
            assert again["erased"] is False
            same_as_replayed(engine.node)

    asyncio.run(act())
    assert {path.partition("/")[0] for path in holding(data, *tokens)} == {"ledger"}


def test_an_older_keys_db_is_rid_of_them_again(tmp_path):
    async def first(engine):
        await crowd(engine, GOODS)
        for name in ("keys.db", "keys.db-wal"):
            (tmp_path / f"old.{name}").write_bytes((tmp_path / "node" / name).read_bytes())
        await engine.erase(LOCAL, Asked(user_id=MAIL))

    on(tmp_path, corner(), GOODS, first)
    for name in ("keys.db", "keys.db-wal", "keys.db-shm"):
        (tmp_path / "node" / name).unlink(missing_ok=True)
    for name in ("keys.db", "keys.db-wal"):
        (tmp_path / "node" / name).write_bytes((tmp_path / f"old.{name}").read_bytes())

    async def then(engine):
        assert tokens_of(engine) == [None, None, None]
        assert engine.node.subjects.known("anonymous", "v0") is not None

    on(tmp_path, corner(), (), then)


# ---------------------------------------------------------------- afterwards


def test_who_comes_again_is_somebody_new_and_what_was_under_way_revives_nobody(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        tokens, node = tokens_of(engine), engine.node
        await engine.erase(LOCAL, Asked(user_id=MAIL))
        # Under way: admitted before, appended after; and a decision asked for by token.
        late = [click(DEVICE, "g3")]
        await engine._intake.events(LOCAL, late, node.ports.clock.now_ms(), Who(tokens[1], True))
        table = {"subject": tokens[0], "linked": tokens[1], "cause": "track", "ts": 1}
        await node.appended(Draft("identity", EntryKind.INPUT, [Record(b"x", json.dumps(table).encode(), 1)]))
        await node.settled()
        rows = (await engine.query(LOCAL, "SELECT subject, n FROM seen"))["rows"]
        assert len(rows) == 4 and not {each[0] for each in rows} & set(tokens)
        assert (await engine.query(LOCAL, "SELECT * FROM `identity`"))["rows"] == []
        await visits(engine, DEVICE, ["g5"], MAIL)
        again = tokens_of(engine)
        assert None not in again[:2] and not set(again) & set(tokens)
        export = await engine.person(AUTHORITY, MAIL, None)
        assert set(export["subjects"]) == set(again[:2]) and export["decisions"] == []
        assert [row["n"] for row in export["profile"]["seen"]] == [1]

    on(tmp_path, corner(), GOODS, act)


def test_while_somebody_is_erased_their_calls_are_asked_to_come_again(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        tokens = tokens_of(engine)
        engine.node.subjects.hold(tokens)
        with pytest.raises(Overloaded, match="being erased"):
            await engine.ingest(LOCAL, [click(DEVICE, "g3")])
        await engine.ingest(LOCAL, [click("v1", "g3")])
        answer = await engine.decide(LOCAL, "shelf", asked(DEVICE))
        record = engine._explaining.record(answer["decision_id"])
        assert record.subjects == ()
        engine.node.subjects.release(tokens)
        await engine.ingest(LOCAL, [click(DEVICE, "g3")])
        assert tokens_of(engine) == tokens, "nothing was destroyed"

    on(tmp_path, corner(), GOODS, act)


def test_an_account_that_used_the_same_device_stays(tmp_path):
    async def act(engine):
        await visits(engine, "tablet", ["g1", "g2"], "ada")
        await visits(engine, "tablet", ["g3"], "bob")
        await visits(engine, "bobs phone", ["g4", "g5"], "bob")
        await engine.ingest(LOCAL, [{"type": "alias", "userId": "ada", "previousId": "ada before"}])
        await visits(engine, "adas first", ["g6"])
        await engine.ingest(LOCAL, [{"type": "alias", "userId": "ada", "previousId": "adas first"}])
        await engine.node.settled()
        known = engine.node.subjects.known
        bob = known("user", "bob"), known("anonymous", "bobs phone")
        receipt = await engine.erase(LOCAL, Asked(user_id="ada"))
        assert receipt["other_accounts_on_the_same_devices"] == 1
        assert receipt["stores"]["keys"]["identifiers_destroyed"] == 4
        assert known("anonymous", "tablet") is None and known("anonymous", "adas first") is None
        assert (known("user", "bob"), known("anonymous", "bobs phone")) == bob
        assert [row["n"] for row in (await engine.person(LOCAL, "bob", None))["profile"]["seen"]] == [3]
        # By a device with one account: that person.
        receipt = await engine.erase(LOCAL, Asked(anonymous_id="bobs phone"))
        assert receipt["stores"]["keys"]["identifiers_destroyed"] == 2
        assert known("user", "bob") is None

    on(tmp_path, corner(), GOODS, act)


def test_a_node_that_cannot_write_promises_nothing(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        tokens = tokens_of(engine)
        whole = engine.node.subjects.destroy

        def broken(*_):
            raise Overloaded("keys.db is busy")

        engine.node.subjects.destroy = broken
        with pytest.raises(Overloaded):
            await engine.erase(LOCAL, Asked(user_id=MAIL))
        assert tokens_of(engine) == [None, None, None], "not destroyed yet, but the record is there: nobody's"
        with pytest.raises(Overloaded, match="being erased"):
            await engine.ingest(LOCAL, [click(DEVICE, "g3")])
        with pytest.raises(Overloaded, match="busy"):
            await engine.erase(LOCAL, Asked(anonymous_id="v0"))  # one after the other
        engine.node.subjects.destroy = whole
        assert (await engine.erase(LOCAL, Asked(user_id=MAIL)))["erased"] is False, "the first call did it"
        assert all(engine.node.subjects.identifiers(token) == [] for token in tokens)
        (erasure,) = engine.erasures(LOCAL)
        assert "No receipt was written" in engine.erasure(LOCAL, erasure["id"])["text"]
        assert (await engine.ingest(LOCAL, [click(DEVICE, "g3")])).accepted == 1
        assert (await engine.erase(LOCAL, Asked(anonymous_id="v0")))["erased"]

    on(tmp_path, corner(), GOODS, act)


def test_an_erase_record_in_the_ledger_is_all_it_takes(tmp_path):
    """The record is the erasure: without any of the calls that follow it, a node comes to the same state."""

    async def act(engine):
        await crowd(engine, GOODS)
        tokens = tokens_of(engine)
        body = msgspec.json.encode(Erasure("by hand", tuple(tokens)))
        await engine.node.appended(Draft(ERASE_TOPIC, EntryKind.INPUT, [Record(b"by hand", body, 1)]))
        await engine.node.settled()
        assert engine.node.runner.erasures.of(tokens[0]) is not None
        same_as_replayed(engine.node)
        return tokens

    tokens = on(tmp_path, corner(), GOODS, act)
    assert not holding(tmp_path / "node" / "checkpoints", *tokens), "the one at the end took the others away"

    async def then(engine):
        assert tokens_of(engine) == [None, None, None]
        same_as_replayed(engine.node)

    on(tmp_path, corner(), (), then)


def test_under_load_people_come_and_go_and_state_is_that_of_the_ledger(tmp_path):
    """Clicks, logins, pages and erasures at once; the erased come again."""
    chance, gone = random.Random(11), []

    async def act(engine):
        node, visitors, stop = engine.node, [f"v{n}" for n in range(12)], asyncio.Event()

        async def look():
            while not stop.is_set():
                visitor = chance.choice(visitors)
                call = click(visitor, f"g{chance.randrange(20)}")
                calls = [{**call, "userId": f"user of {visitor}"} if chance.random() < 0.3 else call]
                with contextlib.suppress(Overloaded):
                    await engine.ingest(LOCAL, calls)
                if chance.random() < 0.3:
                    await engine.decide(LOCAL, "shelf", asked(visitor))
                await asyncio.sleep(0)

        async def erase():
            for _ in range(12):
                visitor = chance.choice(visitors)
                token = node.subjects.known("anonymous", visitor)
                if (await engine.erase(LOCAL, Asked(anonymous_id=visitor)))["erased"]:
                    gone.append(token)
                await asyncio.sleep(0.02)
            stop.set()

        await asyncio.gather(look(), look(), look(), erase())
        await node.settled()
        same_as_replayed(node)
        assert len(gone) > 6 and all(node.subjects.identifiers(token) == [] for token in gone)
        rows = (await engine.query(LOCAL, "SELECT subject FROM seen"))["rows"]
        assert rows and not {each[0] for each in rows} & set(gone)
        assert not holding(tmp_path / "node" / "checkpoints", *gone)

    on(tmp_path, corner(), GOODS, act)
    since = set()
    for frame in Directory(tmp_path / "node").frames():
        for entry in frame.entries:
            for record in entry.records:
                body = (record.key or b"") + (record.value or b"")
                assert entry.topic == ERASE_TOPIC or not any(each.encode() in body for each in since), entry.topic
                since |= {each for each in gone if entry.topic == ERASE_TOPIC and each.encode() in body}
    assert since == set(gone)
    assert main(["verify", str(tmp_path / "node"), "--decisions", "50"]) == 0


def test_the_decisions_of_a_long_life_fit_into_one_record(tmp_path):
    async def act(engine):
        await crowd(engine, GOODS)
        token = tokens_of(engine)[0]
        body = msgspec.json.encode(Erasure("e", (token,), tuple(f"{n:016x}" for n in range(DECISIONS_NAMED))))
        await engine.node.appended(Draft(ERASE_TOPIC, EntryKind.INPUT, [Record(b"e", body, 1)]))
        await engine.node.settled()
        assert engine.node.runner.erasures.of(token) is not None

    on(tmp_path, corner(), GOODS, act)


def test_where_outputs_are_the_last_thing_in_the_ledger_nothing_waits_for_them_to_be_applied(tmp_path):
    async def act(engine):
        node = engine.node
        await visits(engine, "v2", ["g1"])
        made = await engine.decide(LOCAL, "shelf", asked("v2"))
        await visits(engine, "v1", ["g1"])
        assert node.durable > node.runner.applied, "the click was put out"
        assert await asyncio.wait_for(engine.contest(LOCAL, made["decision_id"], Contest("look")), 60)
        await visits(engine, "v1", ["g2"])
        assert (await asyncio.wait_for(engine.erase(LOCAL, Asked(anonymous_id="v1")), 60))["erased"]

    on(tmp_path, corner(), GOODS, act)
