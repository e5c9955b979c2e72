"""Worker threads: a job runs elsewhere, its completion is delivered to the thread that owns state.

A job is pure apart from the disk it was given: it owns its buffers and touches no state. `done(result, error)` is
called exactly once, on the state thread, with exactly one of the two set (a job may also return None: then both
are None). Completions of different jobs come in any order; whoever needs an order submits one job at a time.

`_run` is a declared edge: any `Exception` of a job travels to `done`. What is not an `Exception` (a simulated crash,
an interrupt) ends the thread it occurs on, as it should.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from nextpaint.ports.random import Random

T = TypeVar("T")
Done = Callable[[T | None, BaseException | None], None]


class Workers(Protocol):
    """Where jobs run that must not hold up the state thread."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        """Run `job` elsewhere, then call `done(result, error)` on the state thread."""

    def deliver_due(self) -> None:
        """Deliver now, on the state thread, what is done and waits for its turn on the loop."""

    def close(self) -> None:
        """Finish the jobs already submitted and release the threads."""


def _run(job: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return job(), None
    except Exception as error:
        return None, error


class ThreadWorkers:
    """`threads` daemon threads in front of one queue; `deliver` puts a call on the state thread.

    With asyncio or uvloop, `deliver` is `loop.call_soon_threadsafe`. One thread is enough for the ledger, which has
    at most one frame in flight; more only help jobs that release the interpreter lock (compression, checksums).
    """

    def __init__(self, deliver: Callable[[Callable[[], None]], object], threads: int = 1) -> None:
        self._deliver = deliver
        self._done: deque[Callable[[], None]] = deque()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Done[Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"nextpaint-worker-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        self._jobs.put((job, done))

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
            job, done = item
            result, error = _run(job)
            self._done.append(partial(done, result, error))
            try:
                self._deliver(self.deliver_due)
            except RuntimeError:
                # The loop is closed: nobody is left to tell. What the job did (a frame on disk) stands.
                return


class InlineWorkers:
    """Runs the job at once, in the caller's thread: for tools, replay and most tests."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        result, error = _run(job)
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
        def start() -> None:
            result, error = _run(job)
            self._ready.append(lambda: done(result, error))

        self._ready.append(start)

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
