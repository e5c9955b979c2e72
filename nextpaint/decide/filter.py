"""Filters: what must not be shown. Applied on every path: retrieved, given, cold and fallback candidates alike.

A condition is SQL over facts (`"inventory.stock > 2"`); TRUE keeps a candidate, FALSE and a failing expression remove
it, and so does NULL (a missing row: nothing is known, so nothing is promised) unless `missing="keep"`. A candidate is
charged to the first filter that refuses it. What a filter refused is explained from the values it saw.

`NotSeen`, `NotBought` and `NotWatched` are about the person: for an unknown or unprofiled person they read nothing and
keep everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.expression import Expression, condition
from nextpaint.decide.facts import Fact
from nextpaint.decide.requirements import Needs
from nextpaint.decide.stage import Stage
from nextpaint.decide.wording import times
from nextpaint.record.columns import BoolArray, Value


@runtime_checkable
class Filter(Protocol):
    """A filter of ours: a stage that also gives its mask and its reasons."""

    def keeps(self, candidates: Candidates, context: Context) -> BoolArray | None:
        """Which candidates may be shown, shape (n,); None: all of them."""

    def why(self, candidates: Candidates, context: Context) -> list[tuple[str, int | None]]:
        """Per refused candidate: the values that failed ("stock 0"), and when the newest of them last changed (ms)."""


@dataclass(frozen=True)
class Require:
    """A SQL condition every answered item fulfils. `missing`: what NULL does, "refuse" or "keep"."""

    condition: str
    missing: str = "refuse"

    @property
    def label(self) -> str:
        return self.condition

    def __str__(self) -> str:
        return self.condition + ("" if self.missing == "refuse" else f" (missing: {self.missing})")

    def needs(self, needs: Needs) -> None:
        # Which columns a condition names is known once it is planned; `Decider.reads` says.
        pass

    def bind(self, binder: Binder) -> Stage | None:
        if self.missing not in ("refuse", "keep"):
            binder.error(f"Require(missing={self.missing!r})", "write missing='refuse' or missing='keep'")
        expression = condition(self.condition, binder)
        return None if expression is None else _Condition(self, expression)


class _Condition:
    """A condition on its candidates."""

    def __init__(self, declared: Require, expression: Expression) -> None:
        self.facts = expression.facts
        self._keep_null = declared.missing == "keep"
        self._expression = expression

    def __call__(self, candidates: Candidates, context: Context) -> Candidates:
        return _kept(self.keeps(candidates, context), candidates)

    def keeps(self, candidates: Candidates, context: Context) -> BoolArray | None:
        result, failed = self._expression.value(candidates, context)
        mask: BoolArray = result.values.astype(np.bool_)
        if result.valid is not None:
            mask = np.where(result.valid, mask, self._keep_null)
        mask[failed] = False
        return None if bool(mask.all()) else mask

    def why(self, candidates: Candidates, context: Context) -> list[tuple[str, int | None]]:
        texts: list[list[str]] = [[] for _ in range(len(candidates))]
        changed: list[int | None] = [None] * len(candidates)
        columns = self._expression.columns(candidates, context)
        for operand, column in zip(self._expression.operands, columns, strict=True):
            name = operand if isinstance(operand, str) else operand.column
            for index, value in enumerate(column.to_list()):
                texts[index].append(f"{name} {_shown(value)}")
            if isinstance(operand, Fact):
                changed = [
                    _newest(*pair) for pair in zip(changed, operand.changed_at_ms(candidates, context), strict=True)
                ]
        return [(", ".join(text), at) for text, at in zip(texts, changed, strict=True)]


def _shown(value: Value) -> str:
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _newest(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)


@dataclass(frozen=True)
class NotSeen:
    """Refuses items the person was shown `times` or more `within` the time before the decision.

    `impressions` has one row per rendered item: columns `subject`, `item`, `time`. An impression is what the client
    reports as rendered, not what was answered. The last 500 impressions per token count."""

    impressions: str
    times: int = 3
    within: str = "1 h"
    item: str = "item_id"
    time: str = "ts"

    @property
    def label(self) -> str:
        return f"not seen {times(self.times)} within {self.within}"

    def __str__(self) -> str:
        return f"NotSeen({self.impressions}, times={self.times}, within={self.within})"

    def needs(self, needs: Needs) -> None:
        needs.item_lists(f"_seen_{self.impressions}", self.impressions, self.item, self.time)

    def bind(self, binder: Binder) -> Stage | None:
        if self.times < 1:
            binder.error(f"NotSeen(times={self.times})", "write 1 or more")
        within_ms = binder.duration(self.within, "NotSeen(within=)")
        return _Limit(f"_seen_{self.impressions}", self.times, within_ms, "seen")


@dataclass(frozen=True)
class NotBought:
    """Refuses items the person bought `within` the time before the decision; `orders` as `impressions` of `NotSeen`."""

    orders: str
    within: str = "30 d"
    item: str = "item_id"
    time: str = "ts"

    @property
    def label(self) -> str:
        return f"not bought within {self.within}"

    def __str__(self) -> str:
        return f"NotBought({self.orders}, within={self.within})"

    def needs(self, needs: Needs) -> None:
        needs.item_lists(f"_bought_{self.orders}", self.orders, self.item, self.time)

    def bind(self, binder: Binder) -> Stage | None:
        within_ms = binder.duration(self.within, "NotBought(within=)")
        return _Limit(f"_bought_{self.orders}", 1, within_ms, "bought")


@dataclass(frozen=True)
class NotWatched:
    """Refuses items the person saw to the end `within` the time before the decision; `completions` has one row per such
    item, with columns as `impressions` of `NotSeen`."""

    completions: str
    within: str = "30 d"
    item: str = "item_id"
    time: str = "ts"

    @property
    def label(self) -> str:
        return f"not watched within {self.within}"

    def __str__(self) -> str:
        return f"NotWatched({self.completions}, within={self.within})"

    def needs(self, needs: Needs) -> None:
        needs.item_lists(f"_watched_{self.completions}", self.completions, self.item, self.time)

    def bind(self, binder: Binder) -> Stage | None:
        within_ms = binder.duration(self.within, "NotWatched(within=)")
        return _Limit(f"_watched_{self.completions}", 1, within_ms, "watched")


class _Limit:
    """Fewer than `times` events of an item within `within_ms`; events ahead of the decision's time count too."""

    facts: tuple[Fact, ...] = ()

    def __init__(self, table: str, times: int, within_ms: int, verb: str) -> None:
        self._path = ListPath(table, "items", item=0, time=1)
        self._times = times
        self._within_ms = within_ms
        self._verb = verb

    def __call__(self, candidates: Candidates, context: Context) -> Candidates:
        return _kept(self.keeps(candidates, context), candidates)

    def keeps(self, candidates: Candidates, context: Context) -> BoolArray | None:
        if not context.subjects:
            return None
        refused = {item for item, count in self._counts(context).items() if count >= self._times}
        if not refused:
            return None
        mask = [item not in refused for item in candidates.keys()]
        return None if all(mask) else np.array(mask, np.bool_)

    def why(self, candidates: Candidates, context: Context) -> list[tuple[str, int | None]]:
        counts = self._counts(context)
        latest: dict[str, int] = {}
        for item, _, time in context.recent(self._path):  # newest first
            latest.setdefault(item, time)
        return [(f"{self._verb} {times(counts[item])}", latest.get(item)) for item in candidates.keys()]

    def _counts(self, context: Context) -> Counter[str]:
        since = context.time_ms - self._within_ms
        return context.once(self, lambda: Counter(item for item, _, time in context.recent(self._path) if time > since))


def _kept(mask: BoolArray | None, candidates: Candidates) -> Candidates:
    return candidates if mask is None else candidates.take(mask)


def declared_filters(require: Sequence[object]) -> tuple[object, ...]:
    """Filters as declared: a string is a condition, a pair ("condition", "keep") one that keeps what is unknown."""
    return tuple(
        Require(each) if isinstance(each, str) else Require(*each) if isinstance(each, tuple) else each
        for each in require
    )
