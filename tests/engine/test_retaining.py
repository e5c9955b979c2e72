"""A node lets go what its application no longer wants kept; what is left is found, recovered and explained."""

import asyncio
import contextlib
import errno
import json
import re

import pytest

from nextpaint.cli import main as cli
from nextpaint.cli.commands import Directory
from nextpaint.decide import Reward
from nextpaint.decide.review import Contest, Finding
from nextpaint.engine.erasing import Asked
from nextpaint.engine.evaluating import Evaluating
from nextpaint.engine.facade import Engine
from nextpaint.engine.kept import day
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.outcomes import outcomes_of
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.supposing import Change
from nextpaint.engine.training import training_set
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk, SystemClock
from nextpaint.process import checkpoint
from nextpaint.record.errors import LetGo, ReplayError
from nextpaint.stream.lost import since
from nextpaint.stream.verify import verify
from tests.engine.explorer import explorer
from tests.engine.explorer import shop as explored
from tests.engine.shop import GOODS, LiveNode, asked, click, corner, written

DAY_MS = 86_400_000
START_MS = 1_790_000_000_000
SETTINGS = NodeSettings(checkpoint_records=10**9, checkpoint_s=10**9, lag_ms_max=10**12, frame_gap_ms=0, tick_ms=10**9)
KEEPS = """
[retention]
replay = "2 days"
events = "10 days"
decisions = "20 days"
reads = "10 days"
"""


class Shop:
    """A node on a simulated disk whose days pass at once."""

    def __init__(self, directory, application, disk=None, clock=None):
        self.directory, self.application = directory, application
        self.disk = disk or SimulatedDisk(SeededRandom(1))
        self.clock = clock or SimulatedClock(START_MS)
        self.decisions = []  # (day, id)
        self.views = []  # the regulator's, handed out on the day

    @contextlib.asynccontextmanager
    async def opened(self, application=None, settings=SETTINGS):
        self.directory.mkdir(parents=True, exist_ok=True)
        ports = Ports(self.clock, self.disk, SeededRandom(self.clock.now_ms()), InlineWorkers())
        engine = await Engine.open(
            self.directory, application or self.application, ports, settings=settings, embedder=HashEncoder(),
            background=InlineWorkers(),
        )  # fmt: skip
        try:
            yield engine
        finally:
            await engine.close()

    def day(self):
        return (self.clock.now_ms() - START_MS) // DAY_MS

    async def passes(self, engine, days, *, rounds=True):
        """Days of a shop: clicks, a decision, a read of it, a checkpoint, and with `rounds` one of retention."""
        for _ in range(days):
            for item in ("g1", "g2", "g3"):
                await engine.ingest(LOCAL, [click(f"v{self.day() % 3}", item)])
            made = await engine.decide(LOCAL, "shelf", asked(f"v{self.day() % 3}"))
            self.decisions.append((self.day(), made["decision_id"]))
            self.views.append(await engine.explain(LOCAL, made["decision_id"], "regulator"))
            await engine.node.settled()
            engine.node.checkpoint_now()
            if rounds:
                await engine.retain(LOCAL)
            self.clock.advance(DAY_MS)


def keeping(text=KEEPS, **more):
    application = corner(**more)
    files = dict(application.files)
    files["nextpaint.toml"] = files.get("nextpaint.toml", b"") + text.encode()
    return type(application).of(files)


def lived(directory, days=45, application=None):
    """A shop after some days, closed."""
    shop = Shop(directory, application or keeping())

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, days)
            shop.hash, shop.applied = engine.node.runner.state.hash(), engine.node.runner.applied
            shop.metrics, shop.told = engine.metrics(), await engine.retention(LOCAL)

    asyncio.run(live())
    return shop


async def rows(engine, query):
    return sorted((await engine.query(LOCAL, query))["rows"])


def topics_in(disk):
    report = verify(disk)
    assert report.ok, str(report)
    return {topic: each for (topic, _, _), each in report.topics.items()}


def test_what_is_past_its_time_goes_and_the_rest_stays(tmp_path):
    shop = lived(tmp_path / "node")
    now = shop.clock.now_ms()
    held = topics_in(shop.disk)
    assert now - held["events"].first_at <= 12 * DAY_MS
    assert 12 * DAY_MS < now - held["decisions"].first_at <= 22 * DAY_MS
    assert held["goods"].first_at <= START_MS + 1_000, "rows of a table stay"
    assert held["_app"].records == 1
    report = verify(shop.disk)
    assert report.rewritten_segments + report.deleted_segments > 10
    assert 'nextpaint_retention_oldest_timestamp_seconds{class="decisions"}' in shop.metrics
    assert shop.told["bytes_freed"] > 0
    assert {each["class"]: each["kept"] for each in shop.told["classes"]}["reads"] == "for 10 days"
    assert any("is kept longer" in each["reason"] for each in shop.told["segments"])
    assert any("oldest kept checkpoint" in each["reason"] for each in shop.told["segments"])


def test_a_start_after_retention_has_the_state_it_had(tmp_path):
    shop = lived(tmp_path / "node")

    async def again():
        async with shop.opened() as engine:
            assert engine.node.runner.applied >= shop.applied
            assert engine.node.runner.state.hash() == shop.hash
            await shop.passes(engine, 3)
            for made, name in shop.decisions[-2:]:
                answer = await engine.explain(LOCAL, name, "user", replay=True)
                assert answer["replay"]["verdict"] == "identical", made

    shop.disk.crash()
    asyncio.run(again())


def test_an_explanation_says_how_long_it_exists_and_then_that_it_did(tmp_path):
    shop = lived(tmp_path / "node")

    async def asking():
        async with shop.opened() as engine:
            first, last = shop.decisions[0][1], shop.decisions[-1][1]
            with pytest.raises(LetGo, match="kept for 20 days, this one was until 2026-10-1") as gone:
                await engine.explain(LOCAL, first)
            assert gone.value.status == 410
            with pytest.raises(LetGo):
                await engine.what_if(LOCAL, first, Change(profiled=False))
            for view in ("user", "support", "regulator"):
                answer = await engine.explain(LOCAL, last, view, replay=True)
                made = START_MS + shop.decisions[-1][0] * DAY_MS
                assert answer["retention"] == {
                    "class": "decisions", "until_ms": made + 20 * DAY_MS, "until": day(made + 20 * DAY_MS),
                    "recomputable": True, "recomputable_until_ms": made + 2 * DAY_MS,
                    "recomputable_until": day(made + 2 * DAY_MS),
                }  # fmt: skip
                assert f"kept for 20 days, until {day(made + 20 * DAY_MS)}" in answer["kept"]
                assert answer["replay"]["verdict"] == "identical"
                assert view != "user" or len(answer["text"].split()) <= 120
            middle = next(name for made, name in shop.decisions if made == shop.day() - 12)
            answer = await engine.explain(LOCAL, middle, replay=True)
            assert answer["kept"].endswith("It is recorded, no longer recomputable.")
            assert not answer["retention"]["recomputable"]
            assert answer["replay"]["verdict"] == "recorded, no longer recomputable"
            assert "events" in answer["replay"]["reason"]
            with pytest.raises(ReplayError, match="no longer"):
                await engine.what_if(LOCAL, middle, Change(profiled=False))
            assert await engine.prepare(LOCAL, last)
            assert (await engine.what_if(LOCAL, last, Change(profiled=False)))["cards"]
            assert await engine.events_before(LOCAL, last)

    asyncio.run(asking())


def test_nothing_goes_that_nobody_limited(tmp_path):
    shop = lived(tmp_path / "node", application=corner())
    assert len(topics_in(shop.disk)) > 4
    report = verify(shop.disk)
    assert (report.rewritten_segments, report.deleted_segments) == (0, 0)

    async def asking():
        async with shop.opened() as engine:
            answer = await engine.explain(LOCAL, shop.decisions[0][1], "user", replay=True)
            assert "as long as the node's ledger" in answer["kept"]
            assert answer["retention"]["until"] is None
            assert answer["retention"]["recomputable_until"] is None
            assert answer["replay"]["verdict"] == "identical"

    asyncio.run(asking())


def test_checkpoints_are_the_two_newest_and_one_a_day(tmp_path):
    shop = lived(tmp_path / "node", days=30, application=keeping('[retention]\nreplay = "5 days"\n'))
    times = sorted(checkpoint.header(shop.disk, each).at_ms for each in checkpoint.positions(shop.disk))
    assert 6 <= len(times) <= 8
    assert times[-1] - times[0] >= 5 * DAY_MS
    assert times[0] >= times[-1] - 7 * DAY_MS


MORE = """
CREATE TABLE visits (subject STRING, n BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO visits SELECT subject, SUM(CAST(1 AS BIGINT)) FROM clicks GROUP BY subject;
"""


def test_a_changed_application_keeps_what_it_knew_and_says_what_the_rest_lacks(tmp_path):
    shop = lived(tmp_path / "node")
    other = keeping(sql=MORE)

    async def change():
        async with shop.opened() as engine:
            before = await rows(engine, "SELECT subject, n FROM seen")
            assert sum(n for _, n in before) == 3 * 45, "all that ever was, though most of it is gone"
            planned = engine.plan(other)
            assert "seen" in planned["kept"]
            assert "visits" in planned["rebuilt"]
            assert planned["history"].keys() == {"visits"}
            assert planned["history"]["visits"]["since"].startswith("2026-1")
            assert planned["short"]["visits"] == "events are kept for 10 days"
            changed = await engine.apply(LOCAL, other)
            assert changed["history"] == planned["history"]
            assert await rows(engine, "SELECT subject, n FROM seen") == before
            visits = sum(n for _, n in await rows(engine, "SELECT subject, n FROM visits"))
            assert 3 * 10 <= visits <= 3 * 12
            made = await engine.decide(LOCAL, "shelf", asked("v1"))
            assert (await engine.explain(LOCAL, made["decision_id"], replay=True))["replay"]["verdict"] == "identical"
            await engine.node.settled()
            shop.hash = engine.node.runner.state.hash()
            shop.crashed = shop.disk.clone(SeededRandom(3))

    asyncio.run(change())
    shop.disk = shop.crashed  # before any checkpoint of the new application
    shop.disk.crash()

    async def again():
        async with shop.opened(other) as engine:
            assert engine.node.runner.state.hash() == shop.hash
            await engine.node.settled()
            assert engine.node.retainable == 0, "what the new application knows is in no checkpoint yet"
            engine.node.checkpoint_now()
            assert engine.node.retainable > 0
            await shop.passes(engine, 3)
            verdicts = [
                (await engine.explain(LOCAL, name, replay=True))["replay"]["verdict"] for _, name in shop.decisions[-2:]
            ]
            assert verdicts == ["identical"] * 2

    asyncio.run(again())


def test_without_a_checkpoint_a_node_does_not_make_its_state_up(tmp_path):
    shop = lived(tmp_path / "node")
    for applied in checkpoint.positions(shop.disk):
        shop.disk.remove(checkpoint.path_of(applied))

    async def start(**settings):
        async with shop.opened(settings=NodeSettings(**settings)) as engine:
            return [n for (n,) in await rows(engine, "SELECT n FROM seen")]

    with pytest.raises(ReplayError, match="retention has let records go: decisions, events of before 2026"):
        asyncio.run(start())
    assert 3 * 10 <= sum(asyncio.run(start(accept_loss=True))) <= 3 * 12


# ------------------------------------------------------------------ from a directory alone


def on_disk(shop, path):
    """The data directory of a simulated disk as a real one."""
    for folder in ("ledger", "checkpoints"):
        (path / folder).mkdir(parents=True)
        for name in shop.disk.list(folder):
            (path / folder / name).write_bytes(shop.disk.read(f"{folder}/{name}"))
    return path


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A shop after forty-five days, and its data directory."""
    path = tmp_path_factory.mktemp("left")
    shop = lived(path / "node")
    return shop, on_disk(shop, path / "data")


def test_a_directory_says_what_is_kept_and_what_goes(left, capsys):
    _shop, data = left
    assert cli(["retain", str(data)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^events +for 10 days +[0-9]+  2026-", said, re.M)
    assert re.search(r"^reviews +for ever ", said, re.M)
    assert "decisions can be made again for 2 days at least: now those since 2026-" in said
    assert "stays: the oldest kept checkpoint replays from frame" in said
    assert "stays: " in said and "is kept longer" in said
    assert cli(["verify", str(data), "--decisions", "5"]) == 0
    said = capsys.readouterr().out
    assert "rewritten)" in said
    assert "decisions are recorded, no longer recomputable: states are made again from the checkpoint of 2026-" in said
    assert re.search(r"recomputed [1-5] decisions from the checkpoint of .* 0 different", said)


def test_a_report_is_recounted_as_far_as_the_ledger_goes(left, tmp_path, capsys):
    shop, data = left
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"state_hash": shop.hash, "events": 1}))
    assert cli(["verify", str(data), "--report", str(report)]) == 0
    assert "cannot be recounted" in capsys.readouterr().out
    report.write_text(json.dumps({"state_hash": "0" * 32}))
    assert cli(["verify", str(data), "--report", str(report)]) == 1


def test_why_answers_from_a_directory_with_dates(left, capsys):
    shop, data = left
    last, middle, first = shop.decisions[-1][1], shop.decisions[-15][1], shop.decisions[0][1]
    assert cli(["why", last, "--data", str(data), "--replay"]) == 0
    said = capsys.readouterr().out
    assert "This record is kept for 20 days, until 2026-" in said
    assert "replay: identical (from the checkpoint at seq" in said
    assert cli(["why", middle, "--data", str(data), "--replay"]) == 1
    said = capsys.readouterr().out
    assert "replay: recorded, no longer recomputable" in said
    assert "events of before 2026-" in said
    assert cli(["why", first, "--data", str(data)]) == 2
    assert "whose record was let go: decisions of before 2026-" in capsys.readouterr().err
    assert cli(["why", middle, "--data", str(data), "--unprofiled"]) == 2
    assert "cannot be made from the first record" in capsys.readouterr().err
    assert cli(["why", last, "--data", str(data), "--unprofiled"]) == 0


def test_a_view_that_was_handed_out_is_what_the_rewritten_ledger_says(left, tmp_path, capsys):
    shop, data = left
    views = tmp_path / "views.json"
    views.write_text(json.dumps(shop.views[-20:]))
    assert cli(["verify", str(data), "--view", str(views)]) == 0, "frames keep the chain value they were written with"
    assert "20 views: they say what the ledger says" in capsys.readouterr().out
    changed = json.loads(views.read_text())
    changed[3]["integrity"]["frame_chain"] = "00000000"
    views.write_text(json.dumps(changed))
    assert cli(["verify", str(data), "--view", str(views)]) == 1
    assert "integrity is not what the ledger says" in capsys.readouterr().out
    views.write_text(json.dumps(shop.views[:1]))
    assert cli(["verify", str(data), "--view", str(views)]) == 1
    assert "or not any more: decisions of before 2026-" in capsys.readouterr().out


def test_parity_and_training_go_as_far_as_the_ledger_does(left, tmp_path, capsys):
    _shop, data = left
    assert cli(["parity", "shelf", "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert "decisions are recorded, no longer recomputable" in said
    assert "0 differences" in said
    folder = written(keeping(), tmp_path / "application")
    out = ["--data", str(data), "--reward", "clicks", "--out", str(tmp_path / "model.txt")]
    assert cli(["train", "shelf", *out, "--folder", str(folder)]) == 2
    assert "features cannot be computed for the past" in capsys.readouterr().err


def test_decisions_whose_outcomes_may_be_gone_teach_nothing(left):
    _, data = left
    ledger = Directory(data)
    outcomes = outcomes_of(ledger, explorer(), "shelf", Reward("chosen", within="30 min"))
    begin = since(ledger.lost(), {"events", "decisions"})
    there = [record for _, record in decisions_of(ledger)]
    assert outcomes.counts["beyond_retention"] == sum(each.time_ms < begin for each in there) > 5
    assert any(each.time_ms >= begin for each in there)


# ------------------------------------------------------------------ reviews


def test_closed_reviews_go_and_open_ones_hold_theirs(tmp_path):
    shop = Shop(tmp_path / "node", keeping(KEEPS + 'reviews = "20 days"\n'))

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, 1)
            done = shop.decisions[-1][1]
            await engine.contest(LOCAL, done, Contest("no"))
            await engine.close_review(LOCAL, done, Finding("upheld", "yes"))
            await shop.passes(engine, 3)
            waiting = shop.decisions[-1][1]
            await engine.contest(LOCAL, waiting, Contest("why"))
            await shop.passes(engine, 18)
            assert {each["decision_id"] for each in engine.reviews(LOCAL)} == {waiting}, "closed 21 days ago"
            await shop.passes(engine, 60)
            assert {each["decision_id"] for each in engine.reviews(LOCAL)} == {waiting}
            held = topics_in(shop.disk)["_reviews"]
            assert held.first_at > START_MS + DAY_MS, "the closed one is gone from the ledger"
            assert held.records >= 1, "the open one is not"
            await engine.close_review(LOCAL, waiting, Finding("changed", "so it was"))
            await shop.passes(engine, 60)
            assert engine.reviews(LOCAL) == []

    asyncio.run(live())
    assert "_reviews" not in topics_in(shop.disk)


# ------------------------------------------------------------------ beside the node's other work


def test_a_round_waits_while_an_application_takes_over(tmp_path):
    shop = Shop(tmp_path / "node", keeping())

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, 25, rounds=False)
            async with engine.node.steady:
                round_ = asyncio.ensure_future(engine.retain(LOCAL))
                await asyncio.sleep(0.05)
                assert not round_.done()
                assert not any(each.rewritten for each in engine.node.ledger.segments)
            assert (await round_)["rewritten"]

    asyncio.run(live())


def test_rounds_that_are_asked_for_at_once_come_one_after_the_other(tmp_path):
    shop = Shop(tmp_path / "node", keeping())

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, 25, rounds=False)
            told = await asyncio.gather(
                *(engine.retain(LOCAL) for _ in range(3)), engine.apply(LOCAL, keeping(sql=MORE))
            )
            assert [bool(each["rewritten"]) for each in told[:3]] == [True, False, False]
            assert [each["failed"] for each in told[:3]] == [""] * 3
            await engine.node.settled()
            shop.hash = engine.node.runner.state.hash()
            shop.crashed = shop.disk.clone(SeededRandom(3))

    asyncio.run(live())
    assert verify(shop.disk).ok
    shop.disk = shop.crashed
    shop.disk.crash()

    async def again():
        async with shop.opened(keeping(sql=MORE)) as engine:
            assert engine.node.runner.state.hash() == shop.hash, "the switch is made again from what was there then"

    asyncio.run(again())


def test_a_disk_that_fails_ends_a_round_and_nothing_else(tmp_path):
    shop = Shop(tmp_path / "node", keeping())

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, 30, rounds=False)
            shop.disk.fail("rename", error=errno.ENOSPC)
            told = await engine.retain(LOCAL)
            assert "No space left" in told["failed"]
            assert "nextpaint_retention_failed 1" in engine.metrics()
            shop.disk.heal()
            assert (await engine.decide(LOCAL, "shelf", asked("v1")))["items"]
            told = await engine.retain(LOCAL)
            assert told["failed"] == ""
            assert told["rewritten"] or told["emptied"]
            assert engine.status()["retention"]["bytes_freed"] > 0

    asyncio.run(live())
    assert verify(shop.disk).ok


def test_a_power_cut_anywhere_in_a_round_leaves_the_state_and_all_that_stays(tmp_path):
    shop = Shop(tmp_path / "node", keeping(KEEPS + 'outputs = "7 days"\n'))
    clones = []

    def visit(operation, path):
        if operation in ("append", "sync", "rename", "sync_directory", "remove", "truncate"):
            clones.append(shop.disk.clone(SeededRandom(len(clones))))

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            await shop.passes(engine, 25, rounds=False)
            await engine.node.settled()
            hashes = [engine.node.runner.state.hash()]
            shop.disk.on_operation = visit
            shop.report = await engine.retain(LOCAL)
            shop.disk.on_operation = None
            hashes.append(engine.node.runner.state.hash())  # a round begins with a tick: a day has passed
            shop.hashes = hashes
            shop.held = topics_in(shop.disk)

    asyncio.run(live())
    assert len(shop.report["rewritten"]) > 2 and len(shop.report["emptied"]) > 1
    assert len(clones) > 50

    async def again(number, disk):
        disk.crash()
        other = Shop(tmp_path / "node", shop.application, disk, shop.clock)
        async with other.opened() as engine:
            assert engine.node.runner.state.hash() in shop.hashes, number
            answer = await engine.explain(LOCAL, shop.decisions[-1][1], replay=True)
            assert answer["replay"]["verdict"] == "identical", number
            await engine.retain(LOCAL)
        held = topics_in(disk)
        for topic in ("events", "decisions", "goods", "_app"):
            more = shop.held[topic].records - held[topic].records  # a start seals a segment: a day more may go
            assert 0 <= more <= (3 if topic in ("events", "decisions") else 0), (number, topic)

    for number, disk in enumerate(clones[::4]):
        asyncio.run(again(number, disk))


def test_a_node_is_asked_over_http_and_told_to_begin(tmp_path, capsys):
    with LiveNode(tmp_path / "node", keeping(), items=GOODS) as node:
        node.http.post("/v1/track", json=click("v1", "g1")).raise_for_status()
        told = node.http.get("/v1/retention").json()
        assert {each["class"] for each in told["classes"]} >= {"events", "decisions", "reads", "reviews", "outputs"}
        assert told["next_ms"] > 0 and told["rounds"] == 0
        assert cli(["retain", "--url", node.url]) == 0
        assert "the node looks again at 20" in capsys.readouterr().out
        assert cli(["retain", "--url", node.url, "--now"]) == 0
        assert "0 bytes given back: 0 segments rewritten" in capsys.readouterr().out
        assert node.http.get("/v1/retention").json()["rounds"] == 1
        assert "nextpaint_retention_next_run_seconds" in node.http.get("/metrics").text
        answer = node.http.post("/v1/decide/shelf", json=asked("v1")).json()
        for view in ("user", "support", "regulator"):
            said = node.http.get(f"/v1/decisions/{answer['decision_id']}", params={"view": view}).json()
            assert said["retention"]["class"] == "decisions" and "kept for 20 days, until" in said["kept"]
        assert cli(["why", answer["decision_id"], "--url", node.url]) == 0
        assert "This record is kept for 20 days, until" in capsys.readouterr().out
    assert cli(["retain", str(tmp_path / "node"), "--now"]) == 2
    assert "only a running node lets records go" in capsys.readouterr().err


def test_an_erasure_and_retention_leave_each_other_what_they_need(tmp_path):
    shop = lived(tmp_path / "node")

    async def erasing():
        async with shop.opened() as engine:
            assert len(await rows(engine, "SELECT subject, n FROM seen")) == 3
            receipt = await engine.erase(LOCAL, Asked(anonymous_id="v1"))
            assert receipt["erased"]
            assert len(await rows(engine, "SELECT subject, n FROM seen")) == 2
            assert min(checkpoint.positions(shop.disk)) >= engine.node.index.last_erasure
            before = await engine.explain(LOCAL, shop.decisions[-1][1], replay=True)
            assert before["replay"]["verdict"].startswith("recorded, no longer recomputable")
            assert not before["retention"]["recomputable"]
            await shop.passes(engine, 4)
            await engine.node.settled()
            shop.hash = engine.node.runner.state.hash()
            shop.crashed = shop.disk.clone(SeededRandom(5))
            await engine.apply(LOCAL, keeping(sql=MORE))
            visits = await rows(engine, "SELECT subject, n FROM visits")
            assert 1 <= len(visits) <= 3
            assert sum(n for _, n in visits) < sum(n for _, n in await rows(engine, "SELECT subject, n FROM seen"))

    asyncio.run(erasing())
    shop.disk = shop.crashed
    shop.disk.crash()

    async def again():
        async with shop.opened() as engine:
            assert engine.node.runner.state.hash() == shop.hash
            answer = await engine.explain(LOCAL, shop.decisions[-1][1], replay=True)
            assert answer["replay"]["verdict"] == "identical"

    asyncio.run(again())


def test_an_evaluation_and_a_training_set_take_what_is_left(tmp_path):
    """Of decisions that explored: those that can be made again, and those whose outcomes are all there."""
    base = explorer(features='features={"heat": "heat.heat", "price": "goods.price"}, ')
    text = base.files["nextpaint.toml"].decode() + KEEPS
    application = type(base).of({**base.files, "nextpaint.toml": text.encode()})
    shop = Shop(tmp_path / "node", application)

    async def live():
        async with shop.opened() as engine:
            await engine.put_items(LOCAL, GOODS)
            for _ in range(25):
                await explored(engine, 4, lambda item: 0.5, seed=shop.day())
                await engine.node.settled()
                engine.node.checkpoint_now()
                await engine.retain(LOCAL)
                shop.clock.advance(DAY_MS)

    asyncio.run(live())
    ledger = Directory(on_disk(shop, tmp_path / "data"))
    target = next(each for each in application.surfaces if each.name == "tried").but("tried", explore=None)
    report = Evaluating(ledger, SystemClock(), disk=ledger.disk).run(application, "tried", target)
    assert report.joined["no_longer_recomputable"] > 40
    assert 4 <= report.evaluation.clusters <= 16
    with pytest.raises(ReplayError, match="no longer recomputable"):
        Evaluating(ledger, SystemClock()).run(application, "tried", target)
    rows_ = training_set(ledger, application, "tried", Reward("chosen", within="30 min"))
    assert rows_.joined["beyond_retention"] > 20
    begin = since(ledger.lost(), {"events", "decisions"})
    assert rows_.times_ms and min(rows_.times_ms) >= begin
    assert 0 < sum(each > 0 for each in rows_.rewards) < len(rows_.rewards)


def test_an_erasure_holds_where_records_are_gone_through_starts_rounds_and_another_application(tmp_path):
    shop = lived(tmp_path / "node", days=30)
    day, name = shop.decisions[-2]  # of v1
    more = "CREATE TABLE latest (item_id STRING, n BIGINT, PRIMARY KEY (item_id) NOT ENFORCED);\n"
    more += "INSERT INTO latest SELECT item_id, COUNT(*) FROM clicks GROUP BY item_id;\n"

    def names(engine, token):
        snapshot = engine.node.runner.state.snapshot()
        pages = b"".join(body for _, body in snapshot.slice(10**9))
        files = [shop.disk.read(checkpoint.path_of(each)) for each in checkpoint.positions(shop.disk)]
        return any(token.encode() in each for each in (pages, *files))

    async def live():
        async with shop.opened() as engine:
            visitor = f"v{day % 3}"
            token = engine.node.subjects.known("anonymous", visitor)
            assert names(engine, token) and len(checkpoint.positions(shop.disk)) > 2
            receipt = await engine.erase(LOCAL, Asked(anonymous_id=visitor))
            kept = receipt["stores"]["ledger"]["kept"]
            assert (kept["events"], kept["decisions"]) == ("for 10 days", "for 20 days")
            assert receipt["stores"]["decisions"]["until"] == "for 20 days"
            assert min(checkpoint.positions(shop.disk)) >= engine.node.index.last_erasure
            assert not names(engine, token)
            told = await engine.explain(LOCAL, name, "support", replay=True)
            assert told["erased"] and told["replay"]["verdict"].startswith(
                "recorded, no longer recomputable, erased since"
            )
            await shop.passes(engine, 3)
        async with shop.opened() as engine:
            assert not names(engine, token)
            await engine.apply(LOCAL, keeping(sql=more))
            assert not names(engine, token)
            assert engine.node.runner.erasures.of(token) is not None
            assert (await engine.explain(LOCAL, name, "user"))["erased"]
            await shop.passes(engine, 12)
        async with shop.opened(keeping(sql=more)) as engine:
            assert not names(engine, token)
            assert (await engine.explain(LOCAL, name, "user"))["erased"]
            assert engine.erasure(LOCAL, receipt["id"])["stores"] == receipt["stores"], "receipts are kept"

    asyncio.run(live())
    assert verify(shop.disk).ok
