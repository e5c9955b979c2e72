"""Worker threads: a job runs elsewhere, its completion is delivered to the thread that owns state.

A job is pure apart from the disk it was given: it owns its buffers and touches no state. `done(result, error)` is
called exactly once, on the state thread, with exactly one of the two set (a job may also return None: then both
are None). Completions of different jobs come in any order; whoever needs an order submits one job at a time.

A commit (`File.commit`) is a job of its own kind: commits are done one after the other in the order they were given,
also while others are on their way to be told, and once one failed none is tried.

`_outcome` is a declared edge: any `Exception` of a job travels to `done`. What is not an `Exception` (a simulated
crash, an interrupt) ends the thread it occurs on, as it should.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from nextpaint.ports.committing import Committed, NativeCommits
from nextpaint.ports.disk import Bytes, File, SystemFile
from nextpaint.ports.random import Random

T = TypeVar("T")
Done = Callable[[T | None, BaseException | None], None]


class Workers(Protocol):
    """Where jobs run that must not hold up the state thread."""

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        """Run `job` elsewhere, then call `done(result, error)` on the state thread."""

    def commit(self, file: File, data: Bytes, done: Committed) -> None:
        """`file.commit(data)` elsewhere, then `done(at_ns, error)` on the state thread, in the order of the commits.
        `at_ns`: when it was durable, on the monotonic clock; None: just now."""

    def deliver_due(self) -> None:
        """Deliver now, on the state thread, what is done and waits for its turn on the loop."""

    def close(self) -> None:
        """Finish the jobs already submitted and release the threads."""


def _outcome(job: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return job(), None
    except Exception as error:
        return None, error


class _InOrder:
    """Commits one after the other, none behind one that failed: each has the first one's error."""

    def __init__(self) -> None:
        self._failed: Exception | None = None

    def commit(self, file: File, data: Bytes) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            file.commit(data)
        except Exception as error:
            self._failed = error
            raise


class ThreadWorkers:
    """`threads` daemon threads in front of one queue; `deliver` puts a call on the state thread.

    With asyncio or uvloop, `deliver` is `loop.call_soon_threadsafe`. One thread is enough for the ledger, which has
    at most one frame in flight; more only help jobs that release the interpreter lock (compression, checksums).
    `commits` takes commits of files of the system; without it they are jobs like any other.
    """

    def __init__(
        self,
        deliver: Callable[[Callable[[], None]], object],
        threads: int = 1,
        commits: NativeCommits | None = None,
    ) -> None:
        self._deliver = deliver
        self._commits = commits
        self._in_order = _InOrder()
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

    def commit(self, file: File, data: Bytes, done: Committed) -> None:
        if self._commits is not None and isinstance(file, SystemFile):
            self._commits.commit(file, data, done)
            return

        def job() -> int:
            self._in_order.commit(file, data)
            return time.monotonic_ns()

        self.submit(job, done)

    def deliver_due(self) -> None:
        if self._commits is not None:
            self._commits.deliver_due()
        while self._done:
            self._done.popleft()()

    def close(self) -> None:
        if self._commits is not None:
            self._commits.close()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            self._done.append(partial(done, *_outcome(job)))
            try:
                self._deliver(self.deliver_due)
            except RuntimeError:
                # The loop is closed: nobody is left to tell. What the job did (a frame on disk) stands.
                return


class InlineWorkers:
    """Runs the job at once, in the caller's thread: for tools, replay and most tests."""

    def __init__(self) -> None:
        self._in_order = _InOrder()

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        done(*_outcome(job))

    def commit(self, file: File, data: Bytes, done: Committed) -> None:
        self.submit(lambda: self._in_order.commit(file, data), done)

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
        self._in_order = _InOrder()
        self._commits: deque[tuple[File, Bytes, Committed]] = deque()  # not done yet
        self._committed: deque[Callable[[], None]] = deque()  # not told yet

    def submit(self, job: Callable[[], T], done: Done[T]) -> None:
        self._ready.append(lambda: self._ready.append(partial(done, *_outcome(job))))

    def commit(self, file: File, data: Bytes, done: Committed) -> None:
        self._commits.append((file, data, done))
        if len(self._commits) == 1:
            self._ready.append(self._commit_next)

    def _commit_next(self) -> None:
        file, data, done = self._commits[0]
        _, error = _outcome(lambda: self._in_order.commit(file, data))
        self._commits.popleft()
        self._committed.append(partial(done, None, error))
        self._ready.append(lambda: self._committed.popleft()())
        if self._commits:
            self._ready.append(self._commit_next)

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
