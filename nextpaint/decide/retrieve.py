"""Retrievers: where candidates come from. Each finds up to `k` items, best first, or abstains with a recorded reason.

Several retrievers are united (`candidates.merge`): an item keeps the bit of every retriever that found it. Scores here
order one retriever's own list; ranking is another stage. None of them filters: an item that must not be shown is
removed later, always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.order import settled, top
from nextpaint.decide.requirements import Needs
from nextpaint.decide.session import BoundSession, SessionVector
from nextpaint.decide.stage import Stage
from nextpaint.record.columns import IntArray, Value


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
        return None if session is None else BoundSimilar(str(self), session, self.k)


@dataclass(frozen=True)
class BoundSimilar:
    """The search, bound. Exact over all vectors, unless the request says what an index found for `name`: then those
    are taken, in the order of their exact similarity."""

    name: str
    session: BoundSession
    k: int

    def __call__(self, candidates: Candidates, context: Context) -> Candidates:
        session = self.session.similarities(context)
        if session is None:
            return abstain(context, f"nothing recent in {self.session.path}")
        keys = cast(Sequence[str], session.vectors.keys)  # those of the items table, which are STRING (binder)
        found = context.request.found.get(self.name)
        if found is None:
            rows, scores = settled(session.nearest(self.k), keys.__getitem__, self.k)
        else:
            proposed = _rows_of(found, session.vectors.slots)
            scores = session.scores(proposed)
            best = top(scores, lambda index: keys[proposed[index]], self.k)
            rows, scores = proposed[best], scores[best]
        return context.found_at(context.places(self.session.table, context.items_table)[rows], scores)


def _rows_of(found: Sequence[str], slots: Mapping[Value, int]) -> IntArray:
    """Rows of the ids that have a vector now; whatever else an index says is gone."""
    return np.array([slots[key] for key in dict.fromkeys(found) if key in slots], np.int64)


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
