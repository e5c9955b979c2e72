"""A promise tells its followers inside `resolve`, once each, and can be awaited."""

import asyncio
import logging

import pytest

from nextpaint.ports.promise import Promise


def test_followers_are_told_in_their_order_before_resolve_returns():
    told, promise = [], Promise()
    for name in ("first", "second"):
        promise.then(lambda kept, name=name: told.append((name, kept.result())))
    promise.resolve(7)
    assert told == [("first", 7), ("second", 7)]


def test_who_follows_a_settled_promise_is_told_at_once():
    promise, told = Promise(), []
    promise.resolve(7)
    promise.then(lambda kept: told.append(kept.result()))
    assert told == [7]


def test_the_first_outcome_stands():
    told, promise = [], Promise()
    promise.then(lambda kept: told.append(kept.result()))
    promise.resolve(1)
    promise.resolve(2)
    promise.reject(ValueError("late"))
    assert told == [1]
    assert promise.result() == 1


def test_a_rejected_promise_raises_its_error_and_an_open_one_says_that_it_is_open():
    promise = Promise()
    with pytest.raises(RuntimeError, match="not settled"):
        promise.result()
    promise.reject(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        promise.result()


def test_a_follower_that_raises_keeps_nobody_else_from_being_told(caplog):
    told, promise = [], Promise()
    promise.then(lambda kept: 1 / 0)
    promise.then(lambda kept: told.append(kept.result()))
    with caplog.at_level(logging.ERROR, "nextpaint"):
        promise.resolve(7)
    assert told == [7]
    assert "follower" in caplog.text


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_can_be_awaited(when):
    async def run():
        promise = Promise()
        if when == "before":
            promise.resolve(7)
        else:
            asyncio.get_running_loop().call_later(0.001, promise.resolve, 7)
        return await promise

    assert asyncio.run(run()) == 7


def test_several_may_await_it_and_one_that_gives_up_harms_no_other():
    async def run():
        promise = Promise()
        patient = asyncio.ensure_future(promise)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(promise, 0.001)
        promise.resolve(7)
        return await patient

    assert asyncio.run(run()) == 7
