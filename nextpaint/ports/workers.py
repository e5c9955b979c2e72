"""Worker threads: a job runs elsewhere, its completion is delivered to the thread that owns state.

A job is pure apart from the disk it was given: it owns its buffers and touches no state. `done(result, error)` is
called exactly once, on the state thread, with exactly one of the two set (a job may also return None: then both
are None). Completions of different jobs come in any order; whoever needs an order submits one job at a time, or one
job with several results.

`_outcomes` is a declared edge: any `Exception` of a job travels to `done`. What is not an `Exception` (a simulated
crash, an interrupt) ends the thread it occurs on, as it should.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar

from nextpaint.ports.random import Random

T = TypeVar("T")
Done = Callable[[T | None, BaseException | None], None]


class Workers(Protocol):
    """Where jobs run that must not hold up the state thread."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        """Run `job` elsewhere, then call `done(result, error)` on the state thread."""

    def submit_each(self, results: Iterator[T], done: Done[T]) -> None:
        """Advance `results` elsewhere until it ends, without waiting for anybody in between; `done(result, error)` is
        called on the state thread for each, in their order, and for the error it ends with."""

    def deliver_due(self) -> None:
        """Deliver now, on the state thread, what is done and waits for its turn on the loop."""

    def close(self) -> None:
        """Finish the jobs already submitted and release the threads."""


def _once(job: Callable[[], T]) -> Iterator[T]:
    yield job()


def _outcomes(results: Iterator[T]) -> Iterator[tuple[T | None, BaseException | None]]:
    try:
        for result in results:
            yield result, None
    except Exception as error:
        yield None, error


class ThreadWorkers:
    """`threads` daemon threads in front of one queue; `deliver` puts a call on the state thread.

    With asyncio or uvloop, `deliver` is `loop.call_soon_threadsafe`. One thread is enough for the ledger, which has
    at most one frame in flight; more only help jobs that release the interpreter lock (compression, checksums).
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], object], threads: int = 1) -> None:
        self._deliver = deliver
        self._done: deque[Callable[[], None]] = deque()
        self._jobs: queue.SimpleQueue[tuple[Iterator[Any], Done[Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"nextpaint-worker-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        self.submit_each(_once(job), done)

    def submit_each(self, results: Iterator[T], done: Done[T]) -> None:
        self._jobs.put((results, done))

    def deliver_due(self) -> None:
        while self._done:
            self._done.popleft()()

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            results, done = item
            for result, error in _outcomes(results):
                self._done.append(partial(done, result, error))
                try:
                    self._deliver(self.deliver_due)
                except RuntimeError:
                    # The loop is closed: nobody is left to tell. What the job did (a frame on disk) stands.
                    return


class InlineWorkers:
    """Runs the job at once, in the caller's thread: for tools, replay and most tests."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        self.submit_each(_once(job), done)

    def submit_each(self, results: Iterator[T], done: Done[T]) -> None:
        for result, error in _outcomes(results):
            done(result, error)

    def deliver_due(self) -> None:
        return

    def close(self) -> None:
        return


class SimulatedWorkers:
    """One thread that behaves like many: jobs start, and completions arrive, in a seeded random order.

    Nothing happens until `run()` or `step()`; between two steps the state thread may do anything, as in life.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ready: list[Callable[[], None]] = []

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        self.submit_each(_once(job), done)

    def submit_each(self, results: Iterator[T], done: Done[T]) -> None:
        outcomes = _outcomes(results)
        made: deque[tuple[T | None, BaseException | None]] = deque()

        def advance() -> None:
            outcome = next(outcomes, None)
            if outcome is not None:
                made.append(outcome)
                self._ready.extend((deliver, advance))

        def deliver() -> None:
            done(*made.popleft())

        self._ready.append(advance)

    @property
    def idle(self) -> bool:
        return not self._ready

    def deliver_due(self) -> None:
        return  # when is for the seed to say

    def step(self) -> bool:
        """Start one job or deliver one completion; False when there is nothing to do."""
        if not self._ready:
            return False
        self._ready.pop(self._random.uint64() % len(self._ready))()
        return True

    def run(self) -> None:
        """Step until nothing is left, including what the completions submit."""
        while self.step():
            pass

    def close(self) -> None:
        self.run()
