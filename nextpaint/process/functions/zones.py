"""Time zones and Unix time: UNIX_TIMESTAMP, FROM_UNIXTIME, CONVERT_TZ, and TIME fields.

Zone rules are those of the machine's time zone database; times of the past do not change between its versions.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from nextpaint.process.functions import time_text
from nextpaint.process.functions.evaluation import Evaluation, Failed, Held, Operand, made
from nextpaint.process.functions.strings import Builder, plain
from nextpaint.sql.plan import Call

_EPOCH = datetime(1970, 1, 1)
_UNREADABLE = -(2**63)  # what Flink's UNIX_TIMESTAMP gives for text that is no time
_FORMAT = "yyyy-MM-dd HH:mm:ss"

_reader = lru_cache(maxsize=64)(time_text.reader)
_writer = lru_cache(maxsize=64)(time_text.writer)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of a name like `Europe/Berlin`; Failed when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Failed(f"the time zone {name!r} is not known") from None


def _read(text: str, pattern: str) -> int | None:
    try:
        found: int | None = _reader(pattern)(text)
    except ValueError as wrong:
        raise Failed(str(wrong)) from None
    return found


def _unix_timestamp(name: str) -> Callable[..., int]:
    def seconds(text: str, pattern: str = _FORMAT) -> int:
        # Java's SimpleDateFormat reads as far as the pattern goes and leaves the rest.
        found = _read(text[:19] if pattern == _FORMAT else text, pattern)
        return _UNREADABLE if found is None else (instant(found, name) if name else found) // 1000

    return seconds


def build_unix_timestamp(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """UNIX_TIMESTAMP: seconds of the ledger's clock, or of a text."""
    if operands:
        return plain(_unix_timestamp(_zone_of(call)), fallible=True)(call, operands)

    def kernel(ev: Evaluation) -> Held:
        at = np.full(ev.length, ev.at_ms) if isinstance(ev.at_ms, int) else ev.at_ms
        return at // 1000, None

    return made(call.type, kernel, ())


def build_from_unixtime(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """FROM_UNIXTIME: (seconds[, format]), option zone."""
    name = _zone_of(call)

    def shown(seconds: int, pattern: str = _FORMAT) -> str:
        ms = seconds * 1000
        try:
            text: str = _writer(pattern)(wall_clock(ms, name) if name else ms)
        except ValueError as wrong:
            raise Failed(str(wrong)) from None
        return text

    return plain(shown, fallible=True)(call, operands)


def _zone_of(call: Call) -> str:
    return str(dict(call.options).get("zone", ""))


def build_wall_clock(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """WALL_CLOCK: (instant), option zone: what its clocks show."""
    name = _zone_of(call)
    zone(name)
    return plain(lambda ms: wall_clock(ms, name), fallible=True)(call, operands)


def build_instant(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """INSTANT: (what clocks show[, an instant]), option zone. In an hour that does not exist clocks have not been put
    forward yet; of an hour that comes twice it is the first. With an instant they are as far from UTC as then."""
    name = _zone_of(call)
    zone(name)
    if len(operands) == 2:
        return plain(lambda ms, then: ms - wall_clock(then, name) + then, fallible=True)(call, operands)
    return plain(lambda ms: instant(ms, name), fallible=True)(call, operands)


def instant(ms: int, name: str) -> int:
    """The epoch ms at which clocks of a zone show `ms` (wall clock, as if UTC)."""
    try:
        local = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=zone(name))
    except OverflowError:
        raise Failed(f"{ms} ms is outside the years 1 to 9999") from None
    return ms - round(local.utcoffset().total_seconds() * 1000)  # type: ignore[union-attr]


def wall_clock(ms: int, name: str) -> int:
    """What clocks of a zone show at an epoch ms."""
    try:
        moment = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=UTC).astimezone(zone(name))
    except OverflowError:
        raise Failed(f"{ms} ms is outside the years 1 to 9999") from None
    return ms + round(moment.utcoffset().total_seconds() * 1000)  # type: ignore[union-attr]


def _convert_tz(text: str, source: str, target: str) -> str | None:
    found = _read(text, _FORMAT)
    if found is None:
        return None
    shown: str = _writer(_FORMAT)(wall_clock(instant(found, source), target))
    return shown


def _to_instant(text: str, pattern: str, name: str) -> int | None:
    found = _read(text, pattern)
    return None if found is None else instant(found, name)


FUNCTIONS: dict[str, Builder] = {
    "UNIX_TIMESTAMP": build_unix_timestamp,
    "FROM_UNIXTIME": build_from_unixtime,
    "WALL_CLOCK": build_wall_clock,
    "INSTANT": build_instant,
    "CONVERT_TZ": plain(_convert_tz, fallible=True),
    "TO_INSTANT": plain(_to_instant, fallible=True),
}
