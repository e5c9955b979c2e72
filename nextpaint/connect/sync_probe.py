"""What one durable append costs on a file system, measured while something else runs: 4 KB appended, then fdatasync.

Run as its own process (`python -m nextpaint.connect.sync_probe DIRECTORY SECONDS PER_SECOND`), so that no other Python
thread delays the clock readings. Prints one JSON object of latencies in milliseconds. The file is removed at the end.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec

APPEND_BYTES = 4096
_FILE_BYTES_MAX = 64 * 1024 * 1024


class Latencies(msgspec.Struct, frozen=True):
    """Percentiles of durations, in milliseconds; `count` of them."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def latencies(seconds: list[float]) -> Latencies:
    """Percentiles (nearest rank) of durations given in seconds; zeros if there are none."""
    if not seconds:
        return Latencies(0, 0.0, 0.0, 0.0, 0.0)
    ranked = sorted(seconds)
    last = len(ranked) - 1

    def at(fraction: float) -> float:
        return round(ranked[min(last, int(len(ranked) * fraction))] * 1000, 3)

    return Latencies(len(ranked), at(0.5), at(0.99), at(0.999), round(ranked[last] * 1000, 3))


def measure(directory: Path, seconds: float, per_second: float) -> Latencies:
    """Append and sync `per_second` times a second for `seconds`. Raises OSError if the directory cannot be written."""
    path = directory / f"sync-probe-{os.getpid()}.tmp"
    block = os.urandom(APPEND_BYTES)
    taken: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        path.unlink()  # the descriptor is enough, and nothing stays behind
        started = time.perf_counter()
        while (now := time.perf_counter()) < started + seconds:
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - now)
            if len(taken) * APPEND_BYTES % _FILE_BYTES_MAX == 0:
                os.ftruncate(descriptor, 0)
            due = started + len(taken) / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
    finally:
        os.close(descriptor)
    return latencies(taken)


def main(arguments: list[str]) -> int:
    """Command line of the probe process."""
    directory, seconds, per_second = arguments
    sys.stdout.buffer.write(msgspec.json.encode(measure(Path(directory), float(seconds), float(per_second))) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
