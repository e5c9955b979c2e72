"""Bytes made durable on a thread that never waits for the interpreter.

`run` is that thread's code (`record.durable.commit_all`): it takes commands from one pipe, and says in another when
what they name was durable. It is given from outside because this room knows no compiled code.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy as np

from nextpaint.ports.disk import DIRECT_ALIGN, Bytes, SystemFile

Committed = Callable[[int | None, BaseException | None], None]
Run = Callable[[int, int, Any], int]

_COMMAND = Struct("=qqqq")  # descriptor, direct descriptor or -1, address, size
_RESULT = Struct("=qq")  # when it was durable (ns), errno
_RESULTS_READ = _RESULT.size * 1024


class NativeCommits:
    """Commits in their order, each on the thread as soon as it is given. To be used on the thread of `loop`."""

    def __init__(self, run: Run, scratch: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        commands, self._commands = os.pipe()
        self._results, results = os.pipe()
        os.set_blocking(self._results, False)
        self._under_way: deque[tuple[Bytes, Committed]] = deque()  # whose bytes the thread may be reading
        self._arrived: deque[tuple[int, int]] = deque()
        self._thread = threading.Thread(
            target=self._serve, args=(run, commands, results, scratch), name="nextpaint-commits", daemon=True
        )
        self._thread.start()
        loop.add_reader(self._results, self.deliver_due)

    @staticmethod
    def _serve(run: Run, commands: int, results: int, scratch: Any) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
        run(commands, results, scratch)
        os.close(commands)
        os.close(results)

    def commit(self, file: SystemFile, data: Bytes, done: Committed) -> None:
        """Append `data` to a file and sync it; then `done(at_ns, error)`, from `deliver_due`. Past the page cache if
        the file can be written so, and `data` too (`disk.aligned`)."""
        address = np.frombuffer(data, np.uint8).ctypes.data if data else 0
        fits = bool(data) and not (len(data) | address) % DIRECT_ALIGN
        self._under_way.append((data, done))
        os.write(self._commands, _COMMAND.pack(file.descriptor, file.direct if fits else -1, address, len(data)))

    def deliver_due(self) -> None:
        """Tell of everything that is durable by now, in order; also from inside a `done`."""
        if not self._under_way:
            return
        with contextlib.suppress(BlockingIOError):
            self._arrived.extend(_RESULT.iter_unpack(os.read(self._results, _RESULTS_READ)))
        while self._arrived:
            at_ns, error = self._arrived.popleft()
            _, done = self._under_way.popleft()
            done(at_ns, OSError(error, os.strerror(error)) if error else None)

    def close(self) -> None:
        """Finish what was given, and end the thread. Nobody is told of what was not delivered by then."""
        if self._commands < 0:
            return
        os.close(self._commands)
        self._commands = -1
        self._thread.join()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._results)
        os.close(self._results)
