"""The clock that windows are cut by, against what Java's rules give for days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.window_times import WindowTimes

HOUR = 3_600_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def test_without_a_zone_times_are_as_they_are():
    times = WindowTimes("")
    assert (times.local(7), times.instant(7), times.fires(7)) == (7, 7, 6)
    assert times.local(None) is None


@pytest.mark.parametrize(
    ("end", "fires"),
    [
        ("2026-11-01T01:00:00", "2026-11-01T04:59:59.999"),  # 01:00 to 02:00 comes twice
        ("2026-11-01T02:00:00", "2026-11-01T06:59:59.999"),
        ("2026-03-08T02:00:00", "2026-03-08T06:59:59.999"),  # 02:00 to 03:00 is left out
        ("2026-03-08T03:00:00", "2026-03-08T07:00:00.000"),
        ("2026-03-08T04:00:00", "2026-03-08T07:59:59.999"),
        ("2026-03-09T00:00:00", "2026-03-09T03:59:59.999"),
    ],
)
def test_a_window_fires_when_its_last_moment_has_passed_in_the_zone(end, fires):
    assert WindowTimes("America/New_York").fires(ms(end)) == ms(fires)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1)), st.sampled_from(["Europe/Berlin", "Asia/Kolkata"]))
def test_local_time_is_what_clocks_show(moment, zone):
    times = WindowTimes(zone)
    instant = round(moment.replace(tzinfo=UTC).timestamp() * 1000)
    shown = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    assert times.local(instant) == round(shown.timestamp() * 1000)
    assert times.instant(times.local(instant)) in (instant, instant - HOUR)  # the first of two equal hours


def test_fires_never_falls_when_ends_rise():
    times = WindowTimes("America/New_York")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ends = [round((start + timedelta(minutes=30 * step)).timestamp() * 1000) for step in range(365 * 48)]
    fired = [times.fires(end) for end in ends]
    assert fired == sorted(fired)
