"""Rows that are taken away by key: gone from the next decision on, and recomputed as it was before."""

import asyncio

import pytest

from nextpaint.govern.access import LOCAL
from nextpaint.record.errors import InvalidInput, NotFound
from tests.engine.shop import asked, click, ids, opened, retail, slice_of


async def rows(engine, table, item):
    found = await engine.query(LOCAL, f"SELECT * FROM {table} WHERE item_id = '{item}'")
    return found["rows"]


def test_a_deleted_item_is_in_no_table_and_on_no_page_and_what_was_decided_before_recomputes(tmp_path):
    async def test():
        async with opened(tmp_path, retail(), items=slice_of(40)) as engine:
            await engine.ingest(LOCAL, [click("anna", slice_of(40)[3]["item_id"])])
            before = await engine.decide(LOCAL, "home_carousel", asked("anna"))
            item = ids(before)[5]
            receipt = await engine.delete_items(LOCAL, [{"item_id": item}, {"item_id": "never-heard-of"}])
            assert receipt.accepted == 2 and not receipt.quarantined and receipt.position
            after = await engine.decide(LOCAL, "home_carousel", asked("anna"))
            assert item not in ids(after) and len(ids(after)) == len(ids(before)) == 20
            for table in ("catalog", "inventory"):
                assert await rows(engine, table, item) == []
            for answer in (before, after):
                told = await engine.explain(LOCAL, answer["decision_id"], "support", replay=True)
                assert told["replay"]["verdict"] == "identical"
            await engine.put_items(LOCAL, [{"item_id": item, "title": "Another one"}])
            ((*cells,),) = await rows(engine, "catalog", item)
            assert "Another one" in cells and cells.count(None) >= 1, "nothing of the old row is left"
            return await engine.query(LOCAL, "SELECT COUNT(*) FROM catalog")

    async def again():
        async with opened(tmp_path, retail()) as engine:
            return await engine.query(LOCAL, "SELECT COUNT(*) FROM catalog")

    assert asyncio.run(test())["rows"] == asyncio.run(again())["rows"] == [[40]]


def test_rows_of_one_table_go_by_their_whole_key_and_nothing_else(tmp_path):
    async def test():
        async with opened(tmp_path, retail(), items=slice_of(10)) as engine:
            item, other = (each["item_id"] for each in slice_of(10)[:2])
            given = [{"item_id": item}, {"item_id": other, "stock": 3}, {}, {"sku": "x"}, 7]
            receipt = await engine.delete_rows(LOCAL, "inventory", given)
            assert receipt.accepted == 1 and [at for at, _ in receipt.quarantined] == [1, 2, 3, 4]
            assert "stock is no part of the key item_id" in receipt.quarantined[0][1]
            assert await rows(engine, "inventory", item) == [] and await rows(engine, "inventory", other)
            assert await rows(engine, "catalog", item), "another table keeps its row"
            with pytest.raises(InvalidInput, match="have no key"):
                await engine.delete_rows(LOCAL, "orders", [{"order_id": "1"}])
            with pytest.raises(InvalidInput, match="written by the application"):
                await engine.delete_rows(LOCAL, "trending", [{"item_id": item}])
            with pytest.raises(NotFound, match="unknown table"):
                await engine.delete_rows(LOCAL, "nothing", [])

    asyncio.run(test())
