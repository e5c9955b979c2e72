"""The media blueprint: its invented catalogue, and a feed that is ordered anew when a story ends."""

import asyncio
import csv
from collections import Counter
from pathlib import Path

import pytest

from nextpaint.application import Application
from nextpaint.cli.serving import _items
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import LOCAL
from tests.engine.shop import ids, opened

MEDIA = Path(__file__).resolve().parents[2] / "blueprints" / "media"


@pytest.fixture(scope="module")
def catalogue():
    with (MEDIA / "data/titles.csv").open(encoding="utf-8", newline="") as stream:
        return {row["item_id"]: row for row in csv.DictReader(stream)}


def rows(application):
    tables = application.program.tables
    columns = {field.name: str(field.type) for name in application.item_tables for field in tables[name].fields}
    return list(_items(MEDIA / "data/titles.csv", columns))


def test_the_catalogue_is_varied_whole_and_said_to_be_invented(catalogue):
    assert 150 <= len(catalogue) <= 300
    assert set(Counter(row["kind"] for row in catalogue.values()).values()) == {11}
    assert len({row["title"] for row in catalogue.values()}) == len(catalogue)
    assert len({row["synopsis"] for row in catalogue.values()}) == len(catalogue)
    assert all(12 <= len(row["synopsis"].split()) <= 45 for row in catalogue.values())
    assert all(len(row["starring"].split(", ")) == 3 and row["maker"] for row in catalogue.values())
    assert all(
        60 <= int(row["runtime_min"]) <= 200 and int(row["age"]) in (0, 6, 12, 16, 18) for row in catalogue.values()
    )
    assert "invented" in (MEDIA / "data/ABOUT.md").read_text()


def test_the_application_checks_and_writes_the_item_tables_of_the_file(catalogue):
    application = Application.load(MEDIA)
    assert application.item_tables == ("titles", "rights")
    assert [surface.name for surface in application.surfaces] == ["tonight", "keep_watching", "everybody"]
    assert len(rows(application)) == len(catalogue)


class Evening:
    """One viewer before an engine: what was played, and what the feed answers."""

    def __init__(self, engine: Engine, who: str) -> None:
        self.engine, self.who, self.sent = engine, who, 0
        self.position = None

    async def say(self, event, item, share, length=6000):
        self.sent += 1
        properties = {"item_id": item, "position": int(share * length), "total_length": length}
        call = {"type": "track", "event": event, "anonymousId": self.who, "properties": properties}
        receipt = await self.engine.ingest(LOCAL, [{**call, "messageId": f"{self.who}-{self.sent}"}])
        assert receipt.accepted == 1, receipt.quarantined
        self.position = receipt.position

    async def watch(self, item, upto=1.0):
        """From the beginning to `upto` of the story."""
        await self.say("Video Content Started", item, 0.0)
        for quarter in (0.25, 0.5, 0.75):
            if quarter < upto:
                await self.say("Video Content Playing", item, quarter)
        await self.say("Video Content Completed" if upto == 1.0 else "Video Playback Exited", item, upto)

    async def page(self, surface="tonight", **more):
        body = {"anonymousId": self.who, "inputs": more.pop("inputs", {}), **more}
        if self.position:
            body["position"] = self.position
        return await self.engine.decide(LOCAL, surface, body)


def feed(test, directory):
    """Run `test(engine)` with the catalogue loaded."""

    async def run():
        application = Application.load(MEDIA)
        async with opened(directory, application, items=rows(application)) as engine:
            return await test(engine)

    return asyncio.run(run())


def kinds(answer):
    return Counter(item["fields"]["kind"] for item in answer["items"])


def test_three_stories_of_a_kind_move_the_feed_and_the_next_page_has_them_no_more(tmp_path):
    async def test(engine):
        viewer = Evening(engine, "anna")
        first = page = await viewer.page()
        assert first["cold"] and kinds(first)["Western"] <= 2
        watched = ["wes-01", "wes-04", "wes-09"]
        for number, item in enumerate(watched, start=1):
            before = ids(page)
            await viewer.watch(item)  # the story is over, its credits roll
            page = await viewer.page()
            assert ids(page) != before and not set(watched[:number]) & set(ids(page))
        assert kinds(page)["Western"] == 4
        assert sum(item["fields"]["kind"] == "Western" for item in page["items"][:6]) >= 3
        return page

    page = feed(test, tmp_path)
    assert len(page["items"]) == 18 and len(kinds(page)) >= 5


def test_no_ten_of_the_same_on_any_list_of_anybody(tmp_path):
    async def test(engine):
        for number, kind in enumerate(("hor", "com", "doc", "sci")):
            viewer = Evening(engine, f"fan-{number}")
            for at in range(1, 8):
                await viewer.watch(f"{kind}-{at:02d}")
            for surface in ("tonight", "everybody"):
                page = await viewer.page(surface)
                assert max(kinds(page).values()) <= 4, surface
            makers = Counter(item["fields"]["maker"] for item in (await viewer.page())["items"])
            assert makers.most_common(1)[0][1] <= 4

    feed(test, tmp_path)


def test_what_was_just_watched_is_answered_by_no_personal_list(tmp_path):
    async def test(engine):
        viewer = Evening(engine, "carla")
        watched = ["thr-01", "thr-02", "mys-03"]
        for item in watched:
            await viewer.watch(item)
        for surface in ("tonight", "keep_watching"):
            assert not set(watched) & set(ids(await viewer.page(surface)))
        without = await viewer.page(profiled=False)
        assert without["profiled"] is False and len(without["items"]) == 18

    feed(test, tmp_path)


def test_what_was_left_is_kept_for_later_newest_first_with_how_far_it_went(tmp_path):
    async def test(engine):
        viewer = Evening(engine, "dora")
        await viewer.watch("rom-01", upto=0.6)
        await viewer.watch("rom-02", upto=0.1)
        await viewer.watch("rom-03")
        page = await viewer.page("keep_watching")
        assert [(item["id"], item["fields"]["reached"]) for item in page["items"]] == [("rom-02", 0.1), ("rom-01", 0.6)]

    feed(test, tmp_path)


def test_rights_that_end_and_an_age_hold_on_every_list(tmp_path):
    async def test(engine):
        viewer = Evening(engine, "emil")
        await viewer.watch("ani-01")
        shown = ids(await viewer.page())
        gone = shown[0]
        await engine.put_items(LOCAL, [{"item_id": gone, "available": False}])
        for surface in ("tonight", "everybody"):
            assert gone not in ids(await viewer.page(surface))
        for surface in ("tonight", "everybody"):
            page = await viewer.page(surface, inputs={"age": 6})
            assert page["items"] and all(item["fields"]["age"] <= 6 for item in page["items"])

    feed(test, tmp_path)


def test_a_call_without_a_length_says_nothing(tmp_path):
    async def test(engine):
        viewer = Evening(engine, "fritz")
        for number, about in enumerate(({"position": 9}, {"position": 9, "total_length": 0})):
            properties = {"item_id": f"fam-0{number + 1}", **about}
            call = {"type": "track", "event": "Video Content Completed", "properties": properties}
            await engine.ingest(LOCAL, [{**call, "anonymousId": "fritz", "messageId": str(number)}])
        await viewer.say("Video Content Started", "fam-03", 0.0)
        await viewer.page()  # reads at that position
        rows = (await engine.query(LOCAL, "SELECT item_id FROM progress"))["rows"]
        assert [row[0] for row in rows] == ["fam-03"]

    feed(test, tmp_path)
