"""The quality bench on shops so small that the right figures are known: what it prints, what it holds to, what it says.

`implicit` belongs to the bench's own requirements: where it is missing that baseline is left out, said so, and the run
cannot pass.
"""

import asyncio
import importlib
import importlib.util
import re
import sys
from datetime import UTC, datetime, timedelta
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

BEGIN = datetime(2011, 1, 3, 9, tzinfo=UTC)
WITHOUT_LIBRARY = importlib.util.find_spec("implicit") is None


@pytest.fixture(scope="module", autouse=True)
def bench(repo_root):
    """bench/ on the path, so that its modules can be imported."""
    sys.path.insert(0, str(repo_root / "bench"))
    yield
    sys.path.remove(str(repo_root / "bench"))
    for name in [each for each in sys.modules if each == "quality" or each.split(".")[0] == "rig"]:
        del sys.modules[name]


def run(path, data, *options):
    main = importlib.import_module("quality").main
    return asyncio.run(main([*options, str(path), "--hashed", "--data", str(data)]))


def orders(path, invoices):
    """A file of invoices (day, customer or "", items) as CSV."""
    lines = ["order_id,ts,customer_id,item_id,qty,price"]
    for number, (day, customer, items) in enumerate(invoices):
        at = (BEGIN + timedelta(days=day, minutes=number)).isoformat()
        lines += [f"o{number},{at},{customer},item{item:02},1,1.0" for item in items]
    path.write_text("\n".join(lines) + "\n")
    return path


def seasons(path):
    """Everybody has ten items of their own and buys those five that are in season; it changes every two weeks."""
    own = [[(7 * customer + step) % 40 for step in range(10)] for customer in range(12)]
    return orders(
        path,
        [
            (day, f"c{customer}", [item for item in own[customer] if item % 2 == day // 14 % 2])
            for day in range(0, 112, 7) for customer in range(12)
        ],
    )  # fmt: skip


def habits(path):
    """Everybody buys the same three items every week: no method can do better than remember."""
    return orders(
        path,
        [
            (7 * week, f"c{customer}", range(3 * customer, 3 * customer + 3))
            for week in range(10)
            for customer in range(6)
        ],
    )


def row(printed, name):
    """The values and intervals of a printed line, as floats."""
    line = next(line for line in printed.splitlines() if line.strip().startswith(name))
    return [float(each) for each in re.findall(r"[-+]?\d+\.\d{4}", line)]


def test_what_the_season_adds_is_won_and_the_bar_is_read(tmp_path, capsys):
    status = run(seasons(tmp_path / "orders.csv"), tmp_path, "--settings", "2", "--uci")
    printed = capsys.readouterr().out
    assert "PASS  next basket, NDCG@10 above" in printed
    assert row(printed, "nextpaint")[0] > row(printed, "personal frequency with decay")[0] + 0.05
    assert row(printed, "no own")[0] < row(printed, "nextpaint")[0]
    at, low, high = row(printed, "nextpaint")[:3]
    assert low <= at <= high
    assert status == (1 if WITHOUT_LIBRARY else 0)
    assert ("left out: implicit MF" in printed) == WITHOUT_LIBRARY
    assert "rees46: skipped" in printed and "movielens: skipped" in printed


def test_a_tie_is_no_win(tmp_path, capsys):
    assert run(habits(tmp_path / "orders.csv"), tmp_path, "--settings", "1", "--uci") == 1
    printed = capsys.readouterr().out
    assert row(printed, "nextpaint")[:3] == row(printed, "last basket")[:3] == [1.0, 1.0, 1.0]
    assert "FAIL  next basket, NDCG@10 above" in printed


def test_on_the_tuning_part_no_bar_is_read(tmp_path, capsys):
    assert run(habits(tmp_path / "orders.csv"), tmp_path, "--tuning", "--settings", "1", "--uci") == 0
    printed = capsys.readouterr().out
    assert "no bar was read" in printed and "FAIL" not in printed
    assert "12 targets of customers with history" in printed  # 20 % of 60 invoices


def test_the_next_item_of_sessions_that_go_in_pairs(tmp_path, capsys):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pairs = [(f"s{n}", (n // 4) % 25 * 2 + step, 2 * n + step) for n in range(200) for step in (0, 1)]
    rows = [
        {
            "event_time": (BEGIN + timedelta(seconds=5 * at)).replace(tzinfo=None), "event_type": "view",
            "product_id": 1000 + item, "category_id": item % 5, "category_code": None, "brand": f"brand{item % 7}",
            "price": 1.0, "user_id": at, "user_session": session,
        }
        for session, item, at in pairs
    ]  # fmt: skip
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "events.parquet")
    assert run(tmp_path / "events.parquet", tmp_path, "--settings", "2", "--rees46") == 0
    printed = capsys.readouterr().out
    assert row(printed, "nextpaint")[:3] == row(printed, "co-visitation")[:3] == [1.0, 1.0, 1.0]
    assert row(printed, "no session")[0] < 1.0
    assert "0 of 60 targets (0.0%) never occurred before" in printed
    assert printed.count("PASS  next item, HR@20 against") == 2


def test_an_answer_is_taken_before_its_target_is_seen(tmp_path):
    baskets = importlib.import_module("rig.baskets")
    read = baskets.Baskets.read(seasons(tmp_path / "orders.csv"))
    seen = []

    class Watched:
        def scores(self, basket):
            assert basket.order_id not in seen
            return np.zeros(len(read.ids))

        def observe(self, basket):
            seen.append(basket.order_id)

    first, last = read.tuning, read.test
    answers = list(baskets.run(Watched(), read, first, last))
    assert len(answers) == last - first
    assert seen == [each.order_id for each in read.all[:last]], "nothing after the part is looked at"
    assert (first, last) == (int(len(read.all) * 0.5), int(len(read.all) * 0.7))


@given(st.lists(st.integers(0, 30), max_size=12, unique=True), st.sets(st.integers(0, 30), min_size=1, max_size=20))
def test_ndcg_is_its_definition(top, relevant):
    ndcg = importlib.import_module("rig.metrics").ndcg
    gains = [float(item in relevant) for item in top][:10]
    ideal = sorted((float(item in relevant) for item in range(31)), reverse=True)[:10]
    dcg, best = (sum(gain / log2(place + 2) for place, gain in enumerate(each)) for each in (gains, ideal))
    assert ndcg(top, relevant) == pytest.approx(dcg / best)


def test_an_interval_resamples_persons_and_not_targets():
    """Ten targets of one person say no more than one of them: the interval is that of the persons' means."""
    interval = importlib.import_module("rig.metrics").interval
    values = [0.0, 1.0] * 15
    persons = [f"p{each}" for each in range(30)]
    once = interval(values, persons)
    tenfold = interval([each for each in values for _ in range(10)], [each for each in persons for _ in range(10)])
    assert tenfold == pytest.approx(once)
    assert once[2] - once[1] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 30), rel=0.1)


def test_what_a_nearest_customer_bought_counts_in_tifu(tmp_path):
    """Against the paper's formula, written out for three customers."""
    baskets, baselines = importlib.import_module("rig.baskets"), importlib.import_module("rig.basket_baselines")
    bought = [(0, "a", [0, 1]), (1, "a", [1]), (2, "b", [0, 1, 2]), (3, "c", [3, 5]), (9, "a", [4])]
    path = orders(tmp_path / "orders.csv", bought)
    read = baskets.Baskets.read(path)
    method = baselines.TemporalFrequency(len(read.ids), within=0.5, between=0.7, group=3, neighbours=1, alpha=0.8)
    for basket in read.all[:-1]:
        method.observe(basket)
    own = {"item00": 0.5 / 2, "item01": (0.5 + 1) / 2}
    nearest = {"item00": 1.0, "item01": 1.0, "item02": 1.0}
    wanted = [0.8 * own.get(item, 0.0) + 0.2 * nearest.get(item, 0.0) for item in read.ids]
    assert method.scores(read.all[-1]) == pytest.approx(wanted, abs=1e-5)
