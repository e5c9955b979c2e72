"""The real ports of a node: system clock, files, chance and threads, and frames committed by compiled code."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np

from nextpaint.ports import Clock, Disk, Ports, SystemClock, SystemDisk, SystemRandom, ThreadWorkers
from nextpaint.ports.committing import NativeCommits


def system_ports(directory: Path, *, clock: Clock | None = None, disk: Disk | None = None) -> Ports:
    """Ports of a node on the running loop, whose data is in `directory`. A `disk` of its own commits on a thread that
    waits for the interpreter, as any disk does where there is no compiled code for it."""
    loop = asyncio.get_running_loop()
    workers = ThreadWorkers(loop.call_soon_threadsafe, commits=_native(loop) if disk is None else None)
    return Ports(clock or SystemClock(), disk or SystemDisk(directory), SystemRandom(), workers)


def _native(loop: asyncio.AbstractEventLoop) -> NativeCommits | None:
    if sys.platform != "linux":
        return None
    from nextpaint.record.durable import SCRATCH_WORDS, commit_all

    return NativeCommits(commit_all, np.zeros(SCRATCH_WORDS, np.int64), loop)
