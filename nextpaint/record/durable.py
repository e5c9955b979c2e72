"""Appending to files and syncing them on a thread that never waits for the interpreter.

Between a write, its sync and the next write a Python thread takes the interpreter's lock three times; on a busy node
each of them can cost more than the disk does. Here all of it is one kernel, told what to do through a pipe.

What can be goes past the page cache (O_DIRECT), from where it lies: copying into fresh pages of the cache took a third
of a node's CPU when much comes in, and the disk answers sooner without. Who reads the same file through the cache finds
it coherent: the kernel drops the pages that a direct write overlaps.

Linux only: it calls the C library by name. `ports.committing` is what uses it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from nextpaint.record.compiled import inner, instruction, kernel, long_at

_EINTR, _EINVAL, _ENOSPC, _MONOTONIC = 4, 22, 28, 1  # of errno.h and time.h
_COMMAND_BYTES, _RESULT_BYTES = 32, 16
SCRATCH_WORDS = 8

if sys.platform == "linux":
    _read = instruction("libc_read")
    _write = instruction("libc_write")
    _fdatasync = instruction("libc_fdatasync")
    _clock_gettime = instruction("libc_clock_gettime")
    _errno_location = instruction("libc_errno_location")

    @inner
    def _errno() -> int:
        return long_at(_errno_location()) & 0xFFFFFFFF

    @inner
    def _written(descriptor: int, direct: int, address: int, size: int) -> int:
        """Append all of it, by `direct` as far as that goes; the errno, 0 when it is done."""
        at = 0
        while at < size:
            count = _write(direct if direct >= 0 else descriptor, address + at, size - at)
            if count > 0:
                at += count
                direct = -1  # the rest, if there is any, may not be aligned
                continue
            error = _ENOSPC if count == 0 else _errno()
            if direct >= 0 and error == _EINVAL:
                direct = -1  # this file system or device wants something else, and says so before it writes
            elif error != _EINTR:
                return error
        return 0

    @inner
    def _synced(descriptor: int) -> int:
        while _fdatasync(descriptor) != 0:
            error = _errno()
            if error != _EINTR:
                return error
        return 0

    @inner
    def _taken(pipe: int, address: int) -> bool:
        """Read one command whole; False when there will be none."""
        at = 0
        while at < _COMMAND_BYTES:
            count = _read(pipe, address + at, _COMMAND_BYTES - at)
            if count > 0:
                at += count
            elif count == 0 or _errno() != _EINTR:
                return False
        return True

    @kernel("int64(int64, int64, int64[::1])")
    def commit_all(commands: int, results: int, words: np.ndarray[Any, Any]) -> int:
        """Serve commands until their pipe is closed; gives how many there were.

        A command is four int64: a descriptor opened for appending, another of the same file opened with O_DIRECT or
        -1, an address (aligned if not), a size. Its result is two: when it was durable (ns, monotonic clock) and an
        errno, 0 for none. After one that failed none is tried: each has the first one's errno. `words`: SCRATCH_WORDS
        to work in.
        """
        error, served = 0, 0
        base = words.ctypes.data
        while _taken(commands, base):
            if error == 0:
                error = _written(words[0], words[1], words[2], words[3])
            if error == 0:
                error = _synced(words[0])
            _clock_gettime(_MONOTONIC, base + 48)
            words[4] = words[6] * 1_000_000_000 + words[7]
            words[5] = error
            if _written(results, -1, base + 32, _RESULT_BYTES) != 0:
                return served
            served += 1
        return served
