"""Rules: what the page as a whole must look like, applied to the ranked items. A rule reorders; what it moved is on
record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.requirements import Needs
from nextpaint.decide.stage import Stage
from nextpaint.decide.wording import times


@dataclass(frozen=True)
class Diversify:
    """At most `at_most` items with the same value of the items column `by` on a page of the request's limit.

    Greedy from the best: an item whose value is used up waits behind all items that still fit. It moves items and never
    drops one: a page that nothing else can fill is completed with those that wait. NULL is no value and is never
    limited.
    """

    by: str
    at_most: int = 3
    label = "diversify"

    def __str__(self) -> str:
        return f"Diversify(by={self.by}, at_most={self.at_most})"

    def needs(self, needs: Needs) -> None:
        needs.read(needs.items, self.by)

    def bind(self, binder: Binder) -> Stage | None:
        if self.at_most < 1:
            binder.error(f"Diversify(at_most={self.at_most})", "write 1 or more")
        if binder.item_column(self.by, "Diversify(by=)") is None:
            return None
        binder.followed.column(binder.items_table, self.by)
        return self._diversify

    def _diversify(self, candidates: Candidates, context: Context) -> Candidates:
        cells = context.column(context.items_table, self.by).values
        slots = candidates.slots
        used: dict[object, int] = {}
        page: list[int] = []
        waiting: list[int] = []
        values: list[object] = []
        for index in range(len(slots)):
            if len(page) == context.limit:
                break
            if index == len(values):
                values += cells[slots[index : index + context.limit]].tolist()  # a page's worth at a time
            value = values[index]
            count = used.get(value, 0)
            if value is not None and count >= self.at_most:
                waiting.append(index)
                continue
            used[value] = count + 1
            page.append(index)
        if not waiting:
            return candidates
        keys = candidates.head(context.limit).keys()
        for place, index in enumerate(waiting, start=len(page) + 1):
            if index < context.limit and place != index + 1:
                why = f"{self.by} {values[index]} already {times(self.at_most)}"
                context.moved(self.label, why, keys[index], (index + 1, place))
        rest = np.arange(len(page) + len(waiting), len(slots))
        return candidates.take(np.concatenate([np.array([*page, *waiting], np.int64), rest]))
