"""Window joins: which equalities say that two rows belong to the same window.

Both sides must carry windows and the condition must hold `l.window_start = r.window_start AND l.window_end =
r.window_end`; with only one of them the join is a regular one, as in Flink.
"""

from __future__ import annotations

from dataclasses import dataclass

from nextpaint.sql.plan import Schema

Keys = tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]


@dataclass(frozen=True, slots=True)
class SameWindow:
    """`keys`: left, right and whether NULLs match, without the window's bounds; `all_keys`: with them."""

    keys: Keys
    all_keys: Keys


def window_of(left: Schema, right: Schema, keys: Keys) -> SameWindow | None:
    """The keys of a window join; None when the equalities do not say one."""
    first, second = left.windowed, right.windowed
    if first is None or second is None:
        return None
    pairs = list(zip(*keys, strict=True))
    bounds = {(first.start, second.start), (first.end, second.end)}
    if not bounds <= {(mine, other) for mine, other, _ in pairs}:
        return None
    rest = [each for each in pairs if each[:2] not in bounds]
    return SameWindow(
        (tuple(each[0] for each in rest), tuple(each[1] for each in rest), tuple(each[2] for each in rest)), keys
    )
