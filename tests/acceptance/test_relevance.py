"""Three clicks change the page, for the one who clicked and for nobody else, and the change fades. The real model;
nothing explores.

A family is a category of the blueprint's catalogue. Before its clicks a visitor is unknown and sees what the shop
buys.
"""

import asyncio
from collections import defaultdict

import pytest

from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import SentenceEncoder
from tests.engine.shop import asked, click, ids, opened, order_lines, order_rows, retail, slice_of

ITEMS = 600
NAMED = ("Lights & lanterns", "Bags & travel", "Jewellery & hair", "Candles & fragrance", "Toys & games")
HOUR_MS = 3_600_000
HOME = "home_carousel"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with its vectors and its orders: run a coroutine function on an open engine."""
    items = slice_of(ITEMS)
    category = {item["item_id"]: item["category"] for item in items}
    directory = tmp_path_factory.mktemp("relevance")

    async def visited():
        async with opened(directory / "node", retail(), embedder=SentenceEncoder(), items=items) as engine:
            now = engine.node.ports.clock.now_ms()
            await engine.put_rows(
                LOCAL, "orders", order_rows([line for line in order_lines(6000) if line[1] in category], now)
            )
            families = defaultdict(list)
            for item in items:
                families[item["category"]].append(item["item_id"])
            return {
                name: await visit(engine, name, members[:3], category) for name, members in sorted(families.items())
            }

    return asyncio.run(visited())


async def visit(engine, family, clicked, category):
    """What a visitor of one family, and another visitor, see before and after three clicks, and later."""
    visitor, control = f"visitor-{family}", f"control-{family}"

    async def page(who, **more):
        answer = await engine.decide(LOCAL, HOME, asked(who, **more))
        assert not answer["degraded"]
        return ids(answer)

    def share(items):
        return sum(category[item] == family for item in items[:10])

    before, control_before = await page(visitor), await page(control)
    receipt = await engine.ingest(LOCAL, [click(visitor, item) for item in clicked])
    after, control_after = await page(visitor, position=receipt.position), await page(control)
    later = {hours: await page(visitor, ahead_ms=hours * HOUR_MS) for hours in (1, 3, 12)}
    return {
        "before": share(before), "after": share(after), "later": {hours: share(items) for hours, items in
        later.items()}, "pages": (before, later[12]), "control": (control_before, control_after),
    }  # fmt: skip


def test_three_clicks_in_a_family_put_it_on_the_page(shop):
    """At least 6 of the top 10 against at most 2 before, in every family the shop does not show much of already."""
    counts = {family: (seen["before"], seen["after"]) for family, seen in shop.items()}
    print(counts)
    fresh = {family: after for family, (before, after) in counts.items() if before <= 2}
    assert set(NAMED) <= set(fresh) and len(fresh) >= 12
    assert {family: after for family, after in fresh.items() if after < 6} == {}


def test_a_visitor_who_did_not_click_sees_the_same_items(shop):
    """The same items; two that sell equally may change places, for a click is also a little of what the shop looks
    at."""
    for family, seen in shop.items():
        before, after = seen["control"]
        assert sorted(before) == sorted(after), f"the clicks of another visitor on {family} changed this page"


def test_without_a_click_the_page_fades_back(shop):
    """12 hours are 72 half-lives of the interest and 6 of the trend: what the shop buys is back."""
    for family in NAMED:
        seen = shop[family]
        before, faded = seen["pages"]
        assert seen["later"][12] <= 2, f"{family}: {seen['later']}"
        assert len(set(before) & set(faded)) >= len(before) // 2
