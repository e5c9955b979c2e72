"""What a surface answers when there is no time: its last good answer, or nothing. Filters apply to it like to any other
list.

The memory of last answers is the node's own, outside the ledger: what a fallback used is therefore stored in its
record, and a replay takes it from there. An answer to one person is never another person's fallback; without a profile
all share one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from nextpaint.decide.binder import Binder

KEPT_MAX = 10_000  # answers remembered per node: about 100 bytes an item, some 20 MB at 20 items
SPARE = 10  # further ranked ids remembered, so that filters do not leave the fallback short


@dataclass(frozen=True)
class LastGood:
    """The last answer of this surface to the same person that was not degraded, if not older than `max_age`."""

    max_age: str = "10 min"

    def __str__(self) -> str:
        return f"LastGood(max_age={self.max_age})"

    def max_age_ms(self, binder: Binder) -> int:
        return binder.duration(self.max_age, "LastGood(max_age=)")


@dataclass(frozen=True)
class Nothing:
    """No answer is better than an old one: the list is empty."""

    def __str__(self) -> str:
        return "Nothing()"

    def max_age_ms(self, binder: Binder) -> int:
        return 0


Fallback = LastGood | Nothing


class Memory:
    """The last good answers, by (surface, person or '' without a profile); the longest unused is forgotten first."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._answers: OrderedDict[tuple[str, str], tuple[int, tuple[str, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def keep(self, surface: str, person: str, time_ms: int, ids: tuple[str, ...]) -> None:
        """Remembers an answer given at `time_ms`."""
        key = (surface, person)
        self._answers[key] = (time_ms, ids)
        self._answers.move_to_end(key)
        if len(self._answers) > self._kept_max:
            self._answers.popitem(last=False)

    def forget(self, persons: Collection[str]) -> None:
        """Drops the answers of these."""
        for key in [key for key in self._answers if key[1] in persons]:
            del self._answers[key]

    def last(self, surface: str, person: str, now_ms: int, max_age_ms: int) -> tuple[str, ...]:
        """The remembered ids, best first; empty where there are none young enough."""
        time_ms, ids = self._answers.get((surface, person), (0, ()))
        return ids if ids and now_ms - time_ms <= max_age_ms else ()
