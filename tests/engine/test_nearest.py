"""Indexes beside the state: they follow the item table, what they find is on record, and they are never trusted."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from nextpaint.cli.indexing import index_of
from nextpaint.connect.cluster_index import ClusterIndex
from nextpaint.connect.pgvector_index import PgvectorIndex
from nextpaint.connect.qdrant_index import QdrantIndex
from nextpaint.connect.signed_bytes import as_bytes
from nextpaint.connect.usearch_index import UsearchIndex
from nextpaint.engine import nearest
from nextpaint.engine.nearest import digest_of
from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import InvalidInput, NotFound
from tests.engine.shop import asked, click, ids, opened, retail, slice_of, until

POSTGRES = next(
    (path for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (path / "initdb").exists()), None
)


def missing(module, extra):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed; pip install 'nextpaint[{extra}]'")


def usearch(tmp_path):
    missing("usearch", "usearch")
    yield UsearchIndex()


def clusters(tmp_path):
    yield ClusterIndex()


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
        subprocess.run([*as_user, *command], check=True, capture_output=True, timeout=300)

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


IN_MEMORY = [pytest.param(make, id=make.__name__) for make in (clusters, usearch)]


@pytest.fixture(params=[*IN_MEMORY, *OTHERS])
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
            followed = engine.follow("item_vectors", Broken())
            await until(lambda: followed.current)
            assert ids(await page(engine, "cleo")) == exactly
            assert engine.node.observed.counters["index_missed"] == 1
            await engine._deciding.nearest.close()
            sold = items[5]["item_id"]
            followed = engine.follow("item_vectors", Broken(["nothing-like-it", sold, sold]))
            await until(lambda: followed.current)
            await engine.put_items(LOCAL, [{"item_id": sold, "stock": 0}])
            answered = ids(await page(engine, "cleo"))
            assert "nothing-like-it" not in answered and sold not in answered
            with pytest.raises(NotFound, match="no surface searches"):
                engine.follow("elsewhere", Broken())

    asyncio.run(test())


class Slow(Broken):
    """An index that takes its time to write, until it is let go; finds nothing, and says so."""

    def __init__(self):
        super().__init__(finds=[])
        self.go = threading.Event()

    def write(self, ids, vectors, digests):
        self.go.wait(60)


def test_while_an_index_is_filled_every_vector_is_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(nearest, "BATCH", 10)
    monkeypatch.setattr(nearest, "COMPARED", 7)
    items, index = slice_of(80), Slow()

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            position = await looked(engine, "dora", items[3]["item_id"])
            before = await page(engine, "dora", position=position)
            followed = engine.follow("item_vectors", index)
            await asyncio.sleep(0.1)
            assert not followed.ready
            during = await page(engine, "dora")
            assert ids(during) == ids(before)
            assert "found" not in (await engine.explain(LOCAL, during["decision_id"]))["request"]
            assert engine.node.observed.counters["index_behind"] == 1
            index.go.set()
            await until(lambda: followed.current)
            assert followed.ready and followed.written == 80
            after = await page(engine, "dora")  # from here on what the index says counts, and this one says nothing
            (found,) = (await engine.explain(LOCAL, after["decision_id"]))["request"]["found"].values()
            assert list(found) == []

    asyncio.run(test())


class Blind(Broken):
    """An index that finds the first ten it was told of, and nothing that came later."""

    def __init__(self):
        super().__init__(finds=[])
        self.wrote = []

    def write(self, ids, vectors, digests):
        self.finds = self.finds or ids[:10]
        self.wrote += ids

    def delete(self, ids):
        pass


def test_what_changed_last_is_found_whatever_an_index_misses_and_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(nearest, "RECENT", 3)
    items, index = slice_of(80), Blind()
    seen, like = items[3]["item_id"], items[3]["title"]

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            followed = engine.follow("item_vectors", index)
            await until(lambda: followed.current)
            position = await looked(engine, "eva", seen)

            async def found():
                answer = await page(engine, "eva", position=position)
                told = await engine.explain(LOCAL, answer["decision_id"], "support", replay=True)
                assert told["replay"]["verdict"] == "identical"
                ((*ids_found,),) = told["request"]["found"].values()
                return ids_found

            async def put(item, title):
                await engine.put_items(LOCAL, [{"item_id": item, "title": title}])
                view = engine.node.tables.vectors["item_vectors"].view
                await until(lambda: (item in view().slots) == bool(title) and not view().missing)

            assert set(await found()) == set(index.finds)
            followed._task.cancel()  # from here on nothing is written
            await put("fresh", f"{like} too")
            assert "fresh" in await found() and "fresh" not in index.wrote
            followed._task = asyncio.create_task(followed._follow())
            await until(lambda: followed.current and "fresh" in index.wrote)
            assert "fresh" in await found()
            changed = next(each["item_id"] for each in items[40:] if each["item_id"] not in index.finds)
            assert changed not in await found()
            await put(changed, f"{like} as well")
            await until(lambda: followed.current)
            assert {"fresh", changed} <= set(await found())
            await put("fresh", "")  # a text that is gone has no vector
            assert "fresh" not in await found()
            for number in range(3):  # what changed before the last three the index has to find itself
                await put(f"later{number}", f"{like} {number}")
                await until(lambda: followed.current)
            assert changed not in await found() and {"later0", "later2"} <= set(await found())

    asyncio.run(test())


class Failing(Broken):
    """An index whose first writes fail."""

    def __init__(self, times):
        super().__init__(finds=[])
        self.left, self.held = times, {}

    def known(self):
        return dict(self.held)

    def write(self, ids, vectors, digests):
        self.left -= 1
        if self.left >= 0:
            raise ConnectionError("nobody answers")
        self.held.update(zip(ids, digests, strict=True))


def test_an_index_that_begins_again_watches_the_table_once(tmp_path, monkeypatch):
    monkeypatch.setattr(nearest, "RETRY_S", 0.01)
    items = slice_of(30)

    async def test():
        async with opened(tmp_path, retail(), items=items) as engine:
            mirror = engine.node.tables.vectors["item_vectors"]
            before, index = len(mirror.watchers), Failing(5)
            followed = engine.follow("item_vectors", index)
            await until(lambda: followed.current and len(index.held) == 30)
            assert index.left < 0 and len(mirror.watchers) == before + 1
            await followed.close()
            assert len(mirror.watchers) == before

    asyncio.run(test())


def test_indexes_in_memory_take_bytes_as_they_are_and_other_vectors_by_their_direction():
    whole = np.array([[3, -127, 0], [1, 2, 3]], np.float32)
    assert np.array_equal(as_bytes(whole), whole.astype(np.int8))
    other = np.array([[0.5, -1.0, 0.25], [254, 127, -300], [3, 2, 1], [0, 0, 0]], np.float32)
    assert as_bytes(other).tolist() == [[64, -127, 32], [108, 54, -127], [3, 2, 1], [0, 0, 0]]


def test_a_section_that_names_no_index_is_refused():
    for settings, said in (
        ({"kind": "clusters", "probes": 0}, "probes is 0"), ({"kind": "clusters", "probes": "few"}, "probes is 'few'"),
        ({}, "kind is None"), ({"kind": "faiss"}, "kind is 'faiss'"), ({"kind": "qdrant"}, "location is missing"),
        ({"kind": "pgvector"}, "dsn_env is missing"), ({"kind": "pgvector", "dsn_env": "NO_SUCH_DSN"}, "NO_SUCH_DSN"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            index_of("item_vectors", settings)
        assert said in str(caught.value) and caught.value.where == "nextpaint.toml, [index.item_vectors]"
