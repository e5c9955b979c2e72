"""Lengths of time as an application writes them: `"10 min"`, `"1 h"`, `"30 d"`.

Pure. Does not know calendars: a day is 24 hours.
"""

from __future__ import annotations

import re

_UNIT_MS = {
    "ms": 1,
    "s": 1_000,
    "sec": 1_000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def duration_ms(text: str) -> int:
    """Milliseconds of `"<number> <ms|s|min|h|d>"`. Raises ValueError, which names the text, for anything else or
    zero."""
    match = _FORM.fullmatch(text)
    unit = _UNIT_MS.get(match[2]) if match else None
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not a length of time; write a number and one of {', '.join(_UNIT_MS)}: '10 min'")
    length = round(float(match[1]) * unit)
    if length <= 0:
        raise ValueError(f"{text!r} is no time at all; write a length above zero")
    return length


def age_text(age_ms: int) -> str:
    """An age in words a person reads: `12 ms`, `4 s`, `3 min`, `2 h`, `5 d`. Rounded down."""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if age_ms >= length:
            return f"{age_ms // length} {unit}"
    return f"{max(age_ms, 0)} ms"
