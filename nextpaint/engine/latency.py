"""Latencies and rates of a node, for its status, its metrics and its reports. Observation only: never part of the
state."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

# Buckets grow by 4 %: a percentile is off by at most 2 %, and 1 us to 1 h fit in 562 buckets.
_GROWTH = math.log(1.04)
_SMALLEST_MS = 0.001


class Latency:
    """A histogram of durations in ms, over the whole life of the node."""

    __slots__ = ("_counts", "count", "max_ms", "sum_ms")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.sum_ms = 0.0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        bucket = int(math.log(ms / _SMALLEST_MS) / _GROWTH) if ms > _SMALLEST_MS else 0
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.sum_ms += ms
        self.max_ms = max(self.max_ms, ms)

    def percentile(self, share: float) -> float:
        """The duration (ms) that `share` (0..1) of all stayed at or below; 0 when there are none."""
        left = math.ceil(self.count * share)
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return min(_SMALLEST_MS * math.exp((bucket + 0.5) * _GROWTH), self.max_ms)
        return self.max_ms

    def summary(self) -> dict[str, float]:
        shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))
        made = {name: round(self.percentile(share), 3) for name, share in shares}
        return {**made, "max_ms": round(self.max_ms, 3), "count": self.count}


class Rate:
    """Events per second over the last `window_s` seconds."""

    __slots__ = ("_buckets", "_window_s", "total")

    def __init__(self, window_s: int = 5) -> None:
        self._window_s = window_s
        self._buckets: deque[tuple[int, int]] = deque()
        self.total = 0

    def add(self, count: int, now_ms: int) -> None:
        self.total += count
        second = now_ms // 1000
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + count)
        else:
            self._buckets.append((second, count))
        self._forget(second)

    def _forget(self, second: int) -> None:
        while self._buckets and self._buckets[0][0] < second - self._window_s:
            self._buckets.popleft()

    def per_second(self, now_ms: int) -> float:
        """Over whole seconds before the current one."""
        second = now_ms // 1000
        self._forget(second)
        return sum(count for at, count in self._buckets if second - self._window_s <= at < second) / self._window_s


class Counters:
    """Named counts, in one sorted list for metrics."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + count

    def __getitem__(self, name: str) -> int:
        return self._counts.get(name, 0)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(sorted(self._counts.items()))


class Expected:
    """What something will surely take, by what it took: the mean and four mean deviations, both moving, as TCP reckons
    its retransmission timer (Jacobson, *Congestion avoidance and control*, SIGCOMM 1988). Deviations below the mean
    count as none: that it was quick once is no reason to expect it to be slow."""

    def __init__(self) -> None:
        self._mean = self._deviation = 0.0

    @property
    def ms(self) -> float:
        return self._mean + 4.0 * self._deviation

    def took(self, ms: float) -> None:
        error = ms - self._mean
        self._mean += error / 8.0
        self._deviation += (max(error, 0.0) - self._deviation) / 4.0

    def passed_over(self) -> None:
        """It was not done for lack of time. Each such time it is expected to take a little less, or a slow moment would
        keep it from ever being tried again."""
        self._mean *= 0.98
        self._deviation *= 0.98
