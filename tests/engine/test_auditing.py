"""Reading a decision leaves a record; a handed-out view can be checked against the ledger; a person gets everything."""

import asyncio
import errno
import json
import os
import shutil

import pytest

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.engine.auditing import reads_in
from nextpaint.engine.supposing import Change
from nextpaint.govern.access import ADMIN, LOCAL, READ, AccessDenied, Principal
from nextpaint.record.errors import InvalidInput, LedgerReadOnly, NotFound
from tests.engine.shop import GOODS, TICKLESS, LiveNode, asked, click, corner, ids, opened

SUPPORT = Principal("support desk", frozenset({READ}))
AUTHORITY = Principal("data protection", frozenset({READ, ADMIN}))


def on_corner(tmp_path, act):
    async def run():
        async with opened(tmp_path / "node", corner(), items=GOODS, settings=TICKLESS) as engine:
            return await act(engine)

    return asyncio.run(run())


async def decided(engine, visitor, items):
    for item in items:
        await engine.ingest(LOCAL, [click(visitor, item)])
    await engine.node.settled()
    return await engine.decide(LOCAL, "shelf", asked(visitor))


def test_every_read_of_a_decision_is_on_record_before_its_answer_leaves(tmp_path):
    async def act(engine):
        one, other = await decided(engine, "v1", ["g3"]), await decided(engine, "v2", ["g5"])
        name = one["decision_id"]
        before = engine.node.runner.state.hash()
        await engine.explain(SUPPORT, name, "user", purpose="complaint 12")
        assert [each.what for each in reads_in(engine.node.ledger)] == ["explain"]
        await engine.explain(AUTHORITY, name, "regulator", replay=True)
        await engine.what_if(SUPPORT, name, Change(items={ids(one)[0]: {"stock": 0}}))
        await engine.events_before(SUPPORT, name)
        await engine.explain(SUPPORT, other["decision_id"])
        with pytest.raises(NotFound):
            await engine.explain(SUPPORT, "f" * 32)
        for wrong in ("x" * 201, "a\nb"):
            for call in (engine.explain, engine.events_before):
                with pytest.raises(InvalidInput, match="purpose"):
                    await call(SUPPORT, "f" * 32, purpose=wrong)  # before anything is looked for
        await engine.node.settled()
        assert engine.node.runner.state.hash() == before, "nothing is derived from who reads"
        return name, other["decision_id"], engine.node.ports.clock.now_ms()

    name, other, now_ms = on_corner(tmp_path, act)
    reads = list(reads_in(Directory(tmp_path / "node")))
    assert [(each.who, each.what, each.view, each.purpose) for each in reads if name in each.decisions] == [
        ("support desk", "explain", "user", "complaint 12"),
        ("data protection", "explain", "regulator", ""),
        ("support desk", "what-if", "", ""),
        ("support desk", "events", "", ""),
    ]
    assert [each.decisions for each in reads_in(Directory(tmp_path / "node"), other)] == [(other,)]
    assert all(now_ms - 60_000 < each.at_ms <= now_ms for each in reads)


def test_what_the_regulator_got_is_what_the_ledger_says_and_a_changed_word_shows(tmp_path, capsys):
    async def act(engine):
        answer = await decided(engine, "v1", ["g3", "g7", "g7"])
        return await engine.explain(AUTHORITY, answer["decision_id"], "regulator", replay=True)

    view = on_corner(tmp_path, act)
    assert len(view["integrity"]["record_sha256"]) == 64

    def verified(said):
        path = tmp_path / "view.json"
        path.write_text(json.dumps(said))
        return main(["verify", str(tmp_path / "node"), "--view", str(path)]), capsys.readouterr().out

    status, said = verified(view)
    assert status == 0, said
    assert "they say what the ledger says" in said
    forged = json.loads(json.dumps(view))
    forged["items"][0]["score"] += 0.5
    assert verified(forged)[0] == 1
    for part, value in (
        ("text", view["text"].replace("1.", "2.")),
        ("personal_data_used", [{"feature": "none", "source": "none"}]),
        ("integrity", {**view["integrity"], "record_sha256": "0" * 64}),
        ("decision_id", "0" * 32),
        ("added", 1),
    ):
        status, said = verified({**view, part: value})
        assert status == 1, part
        assert (part in said) != (part == "decision_id")
    assert verified({name: value for name, value in view.items() if name != "near_misses"})[0] == 1
    assert verified([view, {**view, "integrity": None}])[0] == 1
    with pytest.raises(InvalidInput):
        from nextpaint.cli.commands import _viewed

        (tmp_path / "view.json").write_text("{")
        _viewed(Directory(tmp_path / "node"), tmp_path / "view.json")


def test_a_person_gets_everything_and_nobody_elses(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nextpaint.engine.exporting.DECISIONS_MAX", 2)

    async def act(engine):
        mine = [await decided(engine, "v1", ["g3"]) for _ in range(3)]
        await decided(engine, "v2", ["g5"])
        with pytest.raises(AccessDenied):
            await engine.person(SUPPORT, None, "v1")
        with pytest.raises(NotFound):
            await engine.person(AUTHORITY, "nobody", None)
        first = await engine.person(AUTHORITY, None, "v1", purpose="access request 4")
        rest = await engine.person(AUTHORITY, None, "v1", 2)
        return [each["decision_id"] for each in mine], first, rest

    mine, first, rest = on_corner(tmp_path, act)
    assert [each["decision_id"] for each in first["decisions"] + rest["decisions"]] == mine
    assert (first["more"], rest["more"]) == (1, 0)
    assert first["profile"]["seen"] == [{"subject": first["subjects"][0], "n": 3}]
    assert "v1" not in json.dumps(first["decisions"])
    read = next(each for each in reads_in(Directory(tmp_path / "node")) if each.what == "export")
    assert (read.who, read.purpose, read.decisions) == ("data protection", "access request 4", tuple(mine[:2]))
    assert read.subjects == tuple(first["subjects"])
    (tmp_path / "export.json").write_text(json.dumps(first))
    assert main(["verify", str(tmp_path / "node"), "--view", str(tmp_path / "export.json")]) == 0
    assert "2 views: they say what the ledger says" in capsys.readouterr().out
    assert main(["why", "--reads", "--data", str(tmp_path / "node")]) == 0
    assert "data protection: export 2 decisions for access request 4" in capsys.readouterr().out


def test_the_command_writes_all_there_is_of_a_person_into_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nextpaint.engine.exporting.DECISIONS_MAX", 2)
    with LiveNode(tmp_path / "node", corner(), GOODS) as live:
        for _ in range(3):
            live.run(decided(live.engine, "v1", ["g3"]))
        export = tmp_path / "export.json"
        asked_for = ["why", "--url", live.url, "--person", "anonymous:v1", "--purpose", "access request"]
        assert main([*asked_for, "--export", str(export)]) == 0
        assert "3 decisions" in capsys.readouterr().out
        assert main(["verify", str(tmp_path / "node"), "--view", str(export)]) == 0
        assert main(asked_for) == 2
        for query in ("", "?userId=nobody", "?userId=a&skip=x"):
            assert live.http.get(f"/v1/person{query}").status_code in (400, 404, 422)
    reads = list(reads_in(Directory(tmp_path / "node")))
    assert [(each.who, each.purpose, len(each.decisions)) for each in reads] == [
        ("local", "access request", 2), ("local", "access request", 1),
    ]  # fmt: skip


def test_a_purpose_that_is_too_long_is_refused_at_the_door_with_its_length(tmp_path):
    with LiveNode(tmp_path / "node", corner(), GOODS) as live:
        name = live.run(decided(live.engine, "v1", ["g3"]))["decision_id"]
        for method, path in (
            ("GET", f"/v1/decisions/{name}?"),
            ("GET", f"/v1/decisions/{name}/events?"),
            ("GET", "/v1/person?userId=u&"),
            ("POST", f"/v1/decisions/{name}/what-if?"),
        ):
            body = {"json": {"without": ["heat"]}} if method == "POST" else {}
            refused = live.http.request(method, f"{path}purpose={'x' * 201}", **body)
            assert refused.status_code == 422, refused.text
            assert refused.json()["error"]["what"] == "the purpose has 201 characters"
    assert main(["why", name, "--purpose", "x" * 201]) == 2, "no node is asked"
    assert not list(reads_in(Directory(tmp_path / "node")))


def contents(directory):
    return {path.relative_to(directory): path.is_file() and path.read_bytes() for path in directory.rglob("*")}


def test_a_copy_and_a_read_only_directory_are_read_and_left_as_they_are(tmp_path, monkeypatch, capsys):
    async def act(engine):
        return (await decided(engine, "v1", ["g3", "g7", "g7"]))["decision_id"]

    name = on_corner(tmp_path, act)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "node", copy)
    before, real = contents(copy), os.open

    def read_only(path, flags, *more, **named):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", read_only)
        for more, said in (
            (["--view", "user"], "Many people look at it right now"),
            (["--view", "support", "--replay"], "replay: identical"),
            (["--view", "regulator"], "shelf answered 5 of"),
            (["--what-if", "stock=0"], "Unchanged, it recomputes identically."),
            (["--forget-last-view"], "without Product Viewed g7"),
            (["--reads"], ""),
        ):
            assert main(["why", name, "--data", str(copy), *more]) == 0, more
            assert said in capsys.readouterr().out
        assert main(["verify", str(copy), "--decisions", "3"]) == 0
        assert main(["why", name, "--data", str(copy), "--purpose", "complaint 12"]) == 2
        assert "leaves no record of what it is read for" in capsys.readouterr().err
    assert contents(copy) == before


def test_a_node_that_cannot_put_a_read_on_record_gives_nothing_out_and_says_what_to_do(tmp_path):
    async def act(engine):
        answer = await decided(engine, "v1", ["g3"])
        engine.node.ledger.read_only = "sync failed: Input/output error"
        calls = (
            engine.explain(LOCAL, answer["decision_id"]),
            engine.what_if(LOCAL, answer["decision_id"], Change(without=("heat",))),
            engine.events_before(LOCAL, answer["decision_id"]),
            engine.person(LOCAL, None, "v1"),
        )
        for call in calls:
            with pytest.raises(LedgerReadOnly, match="who reads a decision is put on record") as refused:
                await call
            assert "--data DIRECTORY" in refused.value.cure
        engine.node.ledger.read_only = None

    on_corner(tmp_path, act)
