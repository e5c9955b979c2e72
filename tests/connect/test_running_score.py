"""The running score: judged before it is known, paired, silent until it means something, and over after one round."""

import random

import pytest

from nextpaint.connect.running_score import LISTED, TARGETS_MIN, RunningScore


def order(number, customer, items, qty=1):
    return [{"order_id": str(number), "user_id": customer, "item_id": each, "qty": qty} for each in items]


def run(score, orders, ours):
    for rows in orders:
        if score.wants(rows):
            score.judge(rows, ours(rows))
        score.learn(rows)


def test_nothing_is_told_before_there_are_enough_targets():
    score = RunningScore("again")
    run(score, [order(n, f"c{n}", ["a"]) for n in range(TARGETS_MIN - 1)], lambda rows: ["a"])
    assert score.told()["methods"] == [] and score.told()["targets"] == TARGETS_MIN - 1
    run(score, [order(TARGETS_MIN, "c", ["a"])], lambda rows: ["a"])
    assert [each["method"] for each in score.told()["methods"]] == ["ours", "last basket", "popularity"]


def test_a_target_is_judged_by_what_was_known_before_it():
    score = RunningScore("again")
    orders = [order(n, f"c{n}", [f"i{n}"]) for n in range(TARGETS_MIN)]  # every item is bought once, by a new customer
    run(score, orders, lambda rows: [])
    told = {each["method"]: each for each in score.told()["methods"]}
    assert all(each["hit"] == 0.0 for each in told.values()), "a list that knew its basket would hit"


def test_the_last_basket_comes_first_then_what_is_popular():
    score = RunningScore("again")
    run(score, [order(n, f"c{n}", ["p"]) for n in range(5)] + [order(9, "me", ["x", "y"])], lambda rows: [])
    assert score._repeated("me") == ["x", "y", "p"]
    assert score._repeated("new") == ["p", "x", "y"]
    assert score._popular()[0] == "p"


def test_cancelled_unknown_and_repeated_orders_are_no_targets():
    score = RunningScore("again")
    assert not score.wants(order(1, None, ["a"]))
    assert not score.wants(order(1, "c", ["a"], qty=-1))
    score.learn(order(1, "c", ["a"]))
    assert not score.wants(order(1, "c", ["b"])), "the second part of an order whose first part was admitted"
    assert not RunningScore("again", silent="it knows these orders").wants(order(2, "c", ["a"]))
    score.finished = True
    assert not score.wants(order(2, "c", ["a"]))


def test_shares_intervals_and_paired_differences_are_those_of_a_recount():
    chance = random.Random(4)
    score, hits = RunningScore("again"), []
    for n in range(400):
        rows = order(n, f"c{chance.randrange(60)}", chance.sample([f"i{k}" for k in range(40)], 4))
        bought = {row["item_id"] for row in rows}
        ours = chance.sample([f"i{k}" for k in range(40)], LISTED)
        before = {"last basket": score._repeated(rows[0]["user_id"]), "popularity": score._popular(), "ours": ours}
        hits.append({name: bool(bought & set(listed)) for name, listed in before.items()})
        run(score, [rows], lambda _, listed=ours: listed)
    for told in score.told()["methods"]:
        own = [each[told["method"]] for each in hits]
        assert told["hit"] == pytest.approx(sum(own) / 400)
        assert told["interval"][0] <= told["hit"] <= told["interval"][1]
        if told["method"] != "ours":
            gained = [each["ours"] - mine for each, mine in zip(hits, own, strict=True)]
            mean = sum(gained) / 400
            error = (sum((each - mean) ** 2 for each in gained) / 400 / 400) ** 0.5
            assert told["ours_better_by"] == pytest.approx(mean)
            assert told["better_interval"] == pytest.approx([mean - 1.959964 * error, mean + 1.959964 * error])
