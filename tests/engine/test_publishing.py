"""The main parameters of a node follow what is in force, and their log is the ledger's."""

import asyncio

from nextpaint.decide.merchandising import Rule
from nextpaint.govern.access import LOCAL
from tests.engine.shop import CORNER_SURFACES, GOODS, LiveNode, corner, opened


def test_they_follow_the_application_and_the_rules_and_the_log_says_what_changed(tmp_path):
    async def main():
        async with opened(tmp_path / "node", corner(), items=GOODS) as engine:
            first = await engine.parameters()
            assert [each["surface"] for each in first["surfaces"]] == ["shelf"]
            assert [each["changed"] for each in first["log"]] == [["first version"]]
            more = CORNER_SURFACES.replace("Weighted(heat=1.0)", "Weighted(heat=2.0)").replace("limit=5", "limit=4")
            assert more != CORNER_SURFACES
            other = corner(surfaces=more[more.index("shelf = ") :])
            await engine.apply(LOCAL, other)
            await engine.put_rule(LOCAL, "shelf", "r1", Rule("hide", "anna", "recall", items=("g1",)))
            second = await engine.parameters()
            newest = second["log"][0]
            assert newest["changed"] == ["weight of heat: 1 -> 2", "limit: 5 -> 4"]
            assert newest["version"] == second["surfaces"][0]["version"] != first["surfaces"][0]["version"]
            assert second["surfaces"][0]["rules"][0]["reason"] == "recall"
            assert "owner" not in second["surfaces"][0]["rules"][0]

    asyncio.run(main())


def test_they_need_no_key_and_hold_no_person(tmp_path):
    with LiveNode(tmp_path / "node", corner(), items=GOODS) as live:
        answer = live.http.get("/v1/parameters")
        assert answer.status_code == 200
        assert answer.json()["surfaces"][0]["parameters"][0]["name"] == "heat"
