"""A ledger whose decisions an earlier version recorded, in format 1: everything that reads records goes on working, and
the decisions made since then lie beside them in format 2.
"""

import asyncio

import msgspec

from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.engine import deciding
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.supposing import Change
from nextpaint.govern.access import LOCAL
from tests.engine.explorer import GOODS_30, THOMPSON, explorer, learned, shop
from tests.engine.shop import TICKLESS, opened

RANKED = explorer(
    THOMPSON, 'features={"heat": "heat.heat", "price": "goods.price"}, rank=Weighted(heat=1.0, price=0.5), '
)


def liked(item):
    return 0.5 if item == "g3" else 0.1


def test_a_ledger_of_an_earlier_version(tmp_path, monkeypatch, capsys):
    data = tmp_path / "node"

    async def before():
        async with opened(data, RANKED, items=GOODS_30, settings=TICKLESS) as engine:
            answers = await shop(engine, 30, liked)
            return [each["decision_id"] for each in answers], learned(engine).counts, engine.node.runner.state.hash()

    with monkeypatch.context() as patched:
        patched.setattr(deciding, "encoded", msgspec.json.encode)
        old, counts, state = asyncio.run(before())
    for checkpoint in (data / "checkpoints").iterdir():
        checkpoint.unlink()  # state is made again from the records

    async def after():
        async with opened(data, RANKED, settings=TICKLESS) as engine:
            assert engine.node.runner.state.hash() == state
            assert learned(engine).counts == counts
            new = [each["decision_id"] for each in await shop(engine, 10, liked, seed=2)]
            for each, number in ((old[5], 1), (new[5], 2)):
                why = await engine.explain(LOCAL, each, "regulator", True)
                assert why["replay"]["verdict"] == "identical"
                assert why["integrity"]["format"] == number
                told = await engine.what_if(LOCAL, each, Change(items={why["items"][0]["id"]: {"stock": 0}}))
                assert told["proved"]
            return new

    new = asyncio.run(after())
    formats = {record.decision_id: record.format for _, record in decisions_of(Directory(data))}
    assert formats == dict.fromkeys(old, 1) | dict.fromkeys(new, 2)
    assert main(["verify", str(data), "--decisions", "40"]) == 0
    assert "40 identical" in capsys.readouterr().out
    assert main(["parity", "tried", "--data", str(data)]) == 0
    main(["train", "tried", "--data", str(data), "--out", str(tmp_path / "model.txt")])
    assert len((tmp_path / "model.csv").read_text().splitlines()) == 1 + 40 * 5
