"""The clock that windows are cut by: event time as it is, or what clocks of a zone show at it.

Windows over TIMESTAMP_LTZ are windows of wall-clock time in the session's zone: a day there starts at local midnight
and has 23 to 25 hours. Their bounds are wall-clock times; watermarks are instants. Source of the rules: Apache Flink,
`TimeWindowUtil`.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from nextpaint.process.functions.evaluation import Failed
from nextpaint.process.functions.zones import instant, wall_clock, zone

_HOUR_MS = 3_600_000


class WindowTimes:
    """Between instants (epoch ms) and the wall-clock ms of a zone; "" is a zone in which both are the same."""

    __slots__ = ("_changes", "_fires", "_zone")

    def __init__(self, name: str) -> None:
        self._zone = name
        self._changes = bool(name) and _changes_clocks(name)
        self._fires = lru_cache(maxsize=4096)(self._found)

    def local(self, time: object) -> int | None:
        """The time that windows are cut by, of an event time; None where there is none."""
        if not isinstance(time, int):
            return None
        try:
            return wall_clock(time, self._zone) if self._zone else time
        except Failed:
            return None

    def instant(self, local: int) -> int:
        """The instant at which clocks show `local`: of an hour that comes twice the first one."""
        return instant(local, self._zone) if self._zone else local

    def fires(self, end: int) -> int:
        """The watermark at which a window with this end has fired."""
        return self._fires(end) if self._zone else end - 1

    def _found(self, end: int) -> int:
        """When an hour comes twice, after its second time; when it is left out, as soon as it is passed over."""
        last = end - 1
        first = instant(last, self._zone)
        if not self._changes:
            return first
        after = instant(last + _HOUR_MS, self._zone)
        if after == first:
            return first - first % _HOUR_MS
        return first + _HOUR_MS if after - first > _HOUR_MS else first


def _changes_clocks(name: str) -> bool:
    """Does the zone put clocks forward and back, by the rules for years to come?"""
    offsets = {datetime(2037, month, 1, tzinfo=zone(name)).utcoffset() for month in range(1, 13)}
    return len(offsets) > 1
