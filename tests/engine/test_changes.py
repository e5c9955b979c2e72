"""Changes with images sent to a node: admitted or refused one by one, and applied."""

import asyncio

from nextpaint.govern.access import LOCAL
from tests.engine.shop import GOODS, corner, opened

STOCKED = """
CREATE TABLE deliveries (item STRING, n INT) WITH ('format' = 'debezium-json');
CREATE TABLE delivered (item STRING, n INT, PRIMARY KEY (item) NOT ENFORCED);
INSERT INTO delivered SELECT item, SUM(n) FROM deliveries GROUP BY item;
"""


def test_changes_without_a_key_are_admitted_and_taken_back(tmp_path):
    first, more = {"item": "g1", "n": 3}, {"item": "g1", "n": 4}
    sent = [
        {"op": "c", "after": first, "source": {"db": "shop"}},
        {"op": "r", "before": None, "after": more},
        {"op": "u", "before": first, "after": {"item": "g2", "n": 5}},
        {"op": "d", "before": more},
        {"op": "u", "after": {"item": "g2", "n": "many"}},
        {"op": "c", "after": {"item": "g3", "m": 1}},
        {"item": "g1", "n": 1},
    ]

    async def run():
        async with opened(tmp_path, corner(STOCKED), items=GOODS) as engine:
            receipt = await engine.put_rows(LOCAL, "deliveries", sent)
            assert receipt.accepted == 4
            assert [at for at, _ in receipt.quarantined] == [4, 5, 6]
            assert "did you mean" in receipt.quarantined[1][1] or "no column m" in receipt.quarantined[1][1]
            assert "op is None" in receipt.quarantined[2][1]
            reading = engine.node.tables.reading(engine.node.ports.clock.now_ms())
            assert [reading.rows("delivered", (item,)) for item in ("g1", "g2")] == [[], [{"item": "g2", "n": 5}]]

    asyncio.run(run())
