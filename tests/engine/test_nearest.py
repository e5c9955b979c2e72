"""Indexes beside the state: they follow the item table, what they find is on record, and they are never trusted."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nextpaint.cli.indexing import index_of
from nextpaint.connect.pgvector_index import PgvectorIndex
from nextpaint.connect.qdrant_index import QdrantIndex
from nextpaint.connect.usearch_index import UsearchIndex
from nextpaint.engine.nearest import digest_of
from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import InvalidInput, NotFound
from tests.engine.shop import asked, click, ids, opened, retail, slice_of

POSTGRES = next(
    (path for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (path / "initdb").exists()), None
)


def missing(module, extra):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'nextpaint[{extra}]'")


def usearch(tmp_path):
    missing("usearch", "usearch")
    yield UsearchIndex()


def qdrant(tmp_path):
    missing("qdrant_client", "qdrant")
    yield QdrantIndex(":memory:", "items")


def pgvector(tmp_path):
    """A PostgreSQL of its own, reached over a socket."""
    missing("psycopg", "pgvector")
    if POSTGRES is None:
        pytest.skip("no PostgreSQL server in /usr/lib/postgresql; Debian: apt install postgresql")
    if not list(Path("/usr/share/postgresql").glob("*/extension/vector.control")):
        pytest.skip("PostgreSQL has no extension vector; Debian: apt install postgresql-NN-pgvector")
    home = Path(subprocess.check_output(["mktemp", "-d", "/tmp/npg.XXXXXX"], text=True).strip())  # sockets: short paths
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(home, "postgres")

    def run(*command):
        subprocess.run([*as_user, *command], check=True, capture_output=True, timeout=60)

    data = home / "data"
    run(POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
    start = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off"
    run(POSTGRES / "pg_ctl", "-D", data, "-o", start, "-l", home / "log", "-w", "start")
    try:
        yield PgvectorIndex(f"host={home} user=postgres dbname=postgres", "items")
    finally:
        run(POSTGRES / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(home)


OTHERS = [pytest.param(make, id=make.__name__, marks=pytest.mark.slow) for make in (qdrant, pgvector)]


@pytest.fixture(params=[pytest.param(usearch, id="usearch"), *OTHERS])
def index(request, tmp_path):
    yield from request.param(tmp_path)


def cloud(count, dimensions=32, seed=1):
    """Vectors in clusters, as texts make them, of whole numbers."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(20, dimensions)) * 60
    return np.rint(centres[chance.integers(20, size=count)] + chance.normal(size=(count, dimensions)) * 20).astype(
        np.float32
    )


def exact(vectors, query, k):
    return np.argsort(-(vectors @ query) / np.linalg.norm(vectors, axis=1), kind="stable")[:k]


def test_an_index_finds_nearly_what_an_exact_search_finds(index):
    vectors, chance = cloud(1_000), np.random.default_rng(2)
    names = [f"i{number}" for number in range(len(vectors))]
    index.write(names, vectors, [digest_of(each) for each in vectors])
    found = wanted = 0
    for _ in range(20):
        query = vectors[chance.integers(len(vectors))] + chance.normal(size=32).astype(np.float32) * 10
        best = {names[at] for at in exact(vectors, query, 20)}
        found += len(best & set(index.nearest(query, 25)))
        wanted += 20
    assert found / wanted >= 0.97
    index.close()


def test_what_is_replaced_is_found_where_it_is_now_and_what_is_deleted_not_at_all(index):
    vectors = cloud(60)
    names = [f"i{number}" for number in range(60)]
    index.write(names, vectors, [digest_of(each) for each in vectors])
    assert index.known() == {name: digest_of(each) for name, each in zip(names, vectors, strict=True)}
    assert index.nearest(vectors[7], 1) == ["i7"]
    index.write(["i7"], -vectors[7:8], ["moved"])
    assert "i7" not in index.nearest(vectors[7], 20) and index.nearest(-vectors[7], 1) == ["i7"]
    assert index.known()["i7"] == "moved" and len(index.known()) == 60
    index.delete(["i7", "nobody"])
    assert "i7" not in index.nearest(-vectors[7], 59) and len(index.known()) == 59
    index.close()


def test_an_empty_index_finds_nothing(index):
    assert index.nearest(np.ones(8, np.float32), 5) == [] and dict(index.known()) == {}
    index.delete(["nobody"])
    index.close()


async def until(condition, seconds=10.0):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


async def page(engine, who="anna", **more):
    return await engine.decide(LOCAL, "home_carousel", asked(who, **more))


async def looked(engine, who, item):
    receipt = await engine.ingest(LOCAL, [click(who, item)])
    return receipt.position


def test_a_decision_by_an_index_is_that_of_an_exact_search_and_replays(index, tmp_path):
    items = slice_of(150)

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            seen = items[3]["item_id"]
            position = await looked(engine, "anna", seen)
            before = await page(engine, position=position)
            followed = engine.follow("item_vectors", index)
            await until(lambda: followed.current)
            after = await page(engine)
            # 120 of 150 are asked for: the last few may be others, and they are far down
            assert ids(after)[:10] == ids(before)[:10]
            told = await engine.explain(LOCAL, after["decision_id"], "support", replay=True)
            assert told["replay"]["verdict"] == "identical"
            (found,) = told["request"]["found"].values()
            assert len(found) >= 120 and seen in found
            stranger = await page(engine, "nobody")
            assert "found" not in (await engine.explain(LOCAL, stranger["decision_id"]))["request"]
            off = await page(engine, profiled=False)
            assert "found" not in (await engine.explain(LOCAL, off["decision_id"]))["request"]

    asyncio.run(test())


def test_the_index_follows_the_item_table(index, tmp_path):
    items = slice_of(60)

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            followed = engine.follow("item_vectors", index)
            await until(lambda: followed.current and len(index.known()) == 60)
            new = {
                "item_id": "brandnew1",
                "title": items[3]["title"] + " too",
                "category": "X",
                "price": 1.0,
                "stock": 5,
            }
            await engine.put_items(LOCAL, [new])
            await until(lambda: "brandnew1" in index.known())
            position = await looked(engine, "bert", items[3]["item_id"])
            assert "brandnew1" in ids(await page(engine, "bert", position=position))
            before = index.known()["brandnew1"]
            await engine.put_items(LOCAL, [{"item_id": "brandnew1", "title": "Something else entirely"}])
            await until(lambda: index.known().get("brandnew1", before) != before)
            await engine.put_items(LOCAL, [{"item_id": "brandnew1", "title": ""}])  # a text that is gone has no vector
            await until(lambda: "brandnew1" not in index.known())
            assert followed.failed == ""

    asyncio.run(test())


def test_an_index_is_brought_in_line_with_the_table_when_it_begins(index, tmp_path):
    items = slice_of(30)
    stale = np.ones((2, 64), np.float32)  # dimensions of the encoder that tests use
    index.write(["gone", items[0]["item_id"]], stale, ["old", "old"])

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            engine.follow("item_vectors", index)
            await until(lambda: "gone" not in index.known() and len(index.known()) == 30)
            assert index.known()[items[0]["item_id"]] != "old"

    asyncio.run(test())


class Broken:
    """Another system that is down, or lies."""

    def __init__(self, finds=None):
        self.finds = finds

    def known(self):
        return {}

    def write(self, ids, vectors, digests):
        pass

    delete = write

    def nearest(self, vector, k):
        if self.finds is None:
            raise ConnectionError("nobody answers")
        return self.finds

    def close(self):
        pass


def test_an_index_that_fails_is_gone_around_and_one_that_lies_adds_nothing(tmp_path):
    items = slice_of(80)

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            position = await looked(engine, "cleo", items[3]["item_id"])
            exactly = ids(await page(engine, "cleo", position=position))
            engine.follow("item_vectors", Broken())
            assert ids(await page(engine, "cleo")) == exactly
            assert engine.node.observed.counters["index_missed"] == 1
            await engine._deciding.nearest.close()
            sold = items[5]["item_id"]
            engine.follow("item_vectors", Broken(["nothing-like-it", sold, sold]))
            await engine.put_items(LOCAL, [{"item_id": sold, "stock": 0}])
            answered = ids(await page(engine, "cleo"))
            assert "nothing-like-it" not in answered and sold not in answered
            with pytest.raises(NotFound, match="no surface searches"):
                engine.follow("elsewhere", Broken())

    asyncio.run(test())


def test_a_section_that_names_no_index_is_refused():
    for settings, said in (
        ({}, "kind is None"), ({"kind": "faiss"}, "kind is 'faiss'"), ({"kind": "qdrant"}, "location is missing"),
        ({"kind": "pgvector"}, "dsn_env is missing"), ({"kind": "pgvector", "dsn_env": "NO_SUCH_DSN"}, "NO_SUCH_DSN"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            index_of("item_vectors", settings)
        assert said in str(caught.value) and caught.value.where == "nextpaint.toml, [index.item_vectors]"
