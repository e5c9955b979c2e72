"""A result that is there later, and whose followers are told at once.

A future of asyncio tells its followers in a later turn of the loop. A turn of a busy node takes tens of milliseconds,
and an answer that is ready would wait for it: here the followers run inside `resolve`, on the thread that calls it. A
promise can be awaited like a future; who awaits it is an ordinary task and pays that turn.

Invariants: it is settled once, later calls of `resolve` and `reject` change nothing; followers are told in their order,
each once; a follower that raises is logged and keeps nobody else from being told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Generic, TypeVar, cast

log = logging.getLogger("nextpaint")

T = TypeVar("T")


class Promise(Generic[T]):
    """To be used on one thread."""

    __slots__ = ("_error", "_followers", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._followers: list[Callable[[Promise[T]], object]] = []

    def resolve(self, value: T) -> None:
        if not self.done:
            self._value = value
            self._settle()

    def reject(self, error: Exception) -> None:
        if not self.done:
            self._error = error
            self._settle()

    def result(self) -> T:
        """The value; raises what it was rejected with, and RuntimeError before it is settled."""
        if not self.done:
            raise RuntimeError("the promise is not settled yet")
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def then(self, follower: Callable[[Promise[T]], object]) -> None:
        """Call `follower(self)` once this is settled: now, if it is."""
        if self.done:
            self._tell(follower)
        else:
            self._followers.append(follower)

    def __await__(self) -> Generator[object, None, T]:
        if not self.done:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def wake(_: Promise[T]) -> None:
                if not future.done():
                    future.set_result(None)

            self.then(wake)
            yield from future
        return self.result()

    def _settle(self) -> None:
        self.done = True
        followers, self._followers = self._followers, []
        for follower in followers:
            self._tell(follower)

    def _tell(self, follower: Callable[[Promise[T]], object]) -> None:
        try:
            follower(self)
        except Exception:  # a declared edge: who settles a promise is not to blame for those who follow it
            log.exception("a follower of a promise failed")
