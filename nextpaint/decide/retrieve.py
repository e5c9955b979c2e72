"""Retrievers: where candidates come from. Each finds up to `k` items, best first, or abstains with a recorded reason.

Several retrievers are united (`candidates.merge`): an item keeps the bit of every retriever that found it. Scores here
order one retriever's own list; ranking is another stage. None of them filters: an item that must not be shown is
removed later, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, cast

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.order import top
from nextpaint.decide.requirements import Cooccurrence, Needs
from nextpaint.decide.session import BoundSession, SessionVector
from nextpaint.decide.stage import Stage
from nextpaint.process.kernels.decay import decay_array

OTHERS_MAX = 40  # partners read per item; the tail of a co-purchase list is noise of single baskets
SEEDS_MAX = 6  # recent items whose partners are read: keeps the stage near 0.1 ms
SEED_HALF_LIFE = "30 min"  # longer than a session vector's: what was bought together stays so for the whole visit


@dataclass(frozen=True)
class Similar:
    """The `k` items of the `vectors` table nearest to a session, by cosine similarity (exact search)."""

    vectors: str
    to: SessionVector
    k: int = 100
    label = "similar"

    def __str__(self) -> str:
        return f"Similar({self.vectors}, to={self.to}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        self.to.needs(needs)

    def bind(self, binder: Binder) -> Stage | None:
        if self.to.vectors != self.vectors:
            binder.error(
                f"Similar({self.vectors!r}) searches another space than its session, which is in {self.to.vectors!r}",
                f"write SessionVector(..., vectors={self.vectors!r})",
            )
        session = self.to.bind(binder)
        return None if session is None else _similar(session, self.k)


def _similar(session: BoundSession, k: int) -> Stage:
    def similar(candidates: Candidates, context: Context) -> Candidates:
        every = session.similarities(context)
        if every is None:
            return abstain(context, f"nothing recent in {session.path}")
        keys = cast(Sequence[str], every.vectors.keys)  # those of the items table, which are STRING (binder)
        scores = every.scaled
        best = top(scores, keys.__getitem__, k)
        return context.found([keys[index] for index in best.tolist()], scores[best])

    return similar


@dataclass(frozen=True)
class BoughtTogether:
    """Items that share baskets of `orders` with what the person touched last (`to`, a LAST_N list).

    score(j) = sum over recent items i of d_i * n_ij / sqrt(n_i * n_j), with d_i = w_i * 2^-(age_i / half_life), n_ij
    baskets holding both, n_i baskets holding i: item-based collaborative filtering with cosine similarity of binary
    basket vectors (Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004). The six heaviest recent items count.
    Recent items themselves are not proposed.
    """

    orders: str
    to: str = "recent.items"
    k: int = 50
    basket: str = "order_id"
    item: str = "item_id"
    half_life: str = SEED_HALF_LIFE
    label = "bought together"

    @property
    def index(self) -> str:
        return f"_together_{self.orders}"

    def __str__(self) -> str:
        return f"BoughtTogether({self.orders}, to={self.to}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        needs.read_path(self.to)
        needs.cooccurrences[self.index] = Cooccurrence(self.index, self.orders, self.basket, self.item, OTHERS_MAX)

    def bind(self, binder: Binder) -> Stage | None:
        path = binder.item_list(self.to, "BoughtTogether(to=)")
        half_life_ms = binder.duration(self.half_life, "BoughtTogether(half_life=)")
        table = binder.table(self.orders, "BoughtTogether")
        if table is not None:
            binder.field(table, self.basket, "BoughtTogether(basket=)")
            binder.field(table, self.item, "BoughtTogether(item=)")
        if path is None or table is None or not half_life_ms:
            return None
        return _bought_together(self.index, path, half_life_ms, self.k)


def _bought_together(index: str, path: ListPath, half_life_ms: int, k: int) -> Stage:
    def bought_together(candidates: Candidates, context: Context) -> Candidates:
        seeds = _seeds(path, half_life_ms, context)
        if not seeds:
            return abstain(context, f"nothing recent in {path}")
        scores: dict[str, float] = {}
        for item, weight in seeds[:SEEDS_MAX]:
            rows: Sequence[Any] = context.rows(index, (item,))
            for row in rows:
                other = row["other"]
                share = row["n"] / sqrt(row["baskets"] * row["other_baskets"])
                scores[other] = scores.get(other, 0.0) + weight * share
        for item, _ in seeds:
            scores.pop(item, None)
        if not scores:
            return abstain(context, "no recent item was ever bought with another")
        keys = list(scores)
        values = np.array(list(scores.values()), np.float64)
        best = top(values, keys.__getitem__, k)
        return context.found([keys[each] for each in best.tolist()], values[best])

    return bought_together


def _seeds(path: ListPath, half_life_ms: int, context: Context) -> list[tuple[str, float]]:
    """Recent items with their decayed weights, heaviest first (ties: key). An item's events add, newest first."""
    events = context.recent(path)
    if not events:
        return []
    context.known = True
    age_ms = np.maximum(context.time_ms - np.array([time for _, _, time in events], np.int64), 0)
    decayed = decay_array(np.array([weight for _, weight, _ in events], np.float64), age_ms, half_life_ms).tolist()
    weights: dict[str, float] = {}
    for (item, _, _), weight in zip(events, decayed, strict=True):
        weights[item] = weights.get(item, 0.0) + weight
    return sorted(weights.items(), key=lambda each: (-each[1], each[0]))


@dataclass(frozen=True)
class Recent:
    """The last `k` different items of a LAST_N list of the person ("table.column"), newest first."""

    path: str
    k: int = 20
    label = "recent"

    def __str__(self) -> str:
        return f"Recent({self.path}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        needs.read_path(self.path)

    def bind(self, binder: Binder) -> Stage | None:
        path = binder.item_list(self.path, "Recent")
        if path is None:
            return None

        def recent(candidates: Candidates, context: Context) -> Candidates:
            items = list(dict.fromkeys(item for item, _, _ in context.recent(path)))
            if not items:
                return abstain(context, f"nothing recent in {path}")
            context.known = True
            return context.found(items[: self.k])

        return recent


@dataclass(frozen=True)
class Given:
    """The ids the caller brings, in the caller's order: the request's `items`, or an input declared as a list.

    Unknown ids are dropped and counted; the caller's order stands wherever scores are equal."""

    name: str = "items"
    label = "given"

    def __str__(self) -> str:
        return f"Given({self.name})"

    def needs(self, needs: Needs) -> None:
        pass

    def bind(self, binder: Binder) -> Stage | None:
        if self.name != "items":
            declared = binder.inputs.get(self.name)
            if declared is None:
                binder.unknown("input in Given:", self.name, ["items", *binder.inputs])
            elif declared.kind is not list:
                binder.error(
                    f"Given({self.name!r}): that input is {declared}", f"declare inputs={{{self.name!r}: list}}"
                )
        return self._given

    def _given(self, candidates: Candidates, context: Context) -> Candidates:
        ids = given_ids(self, context)
        return context.found(ids) if ids else abstain(context, f"the request brings no {self.name}")


def given_ids(stage: Given, context: Context) -> Sequence[str]:
    """The ids the request brings for this stage."""
    if stage.name == "items":
        return context.request.items or ()
    return cast("tuple[str, ...] | None", context.request.inputs.get(stage.name)) or ()


def abstain(context: Context, reason: str) -> Candidates:
    """No candidates, and why."""
    context.note(reason)
    return Candidates.none()
