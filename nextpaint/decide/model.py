"""Trained rankers on surfaces: which model ranks a decision is state, so a replay uses the one that did.

`Model("ctr_ranker", until_trained=Weighted(...))` names a slot. What is in it is a row of the built-in table `_models`,
written by promotions (`engine/registry.py`): a champion and, on trial, a challenger, each a file named by the hash of
its bytes. A challenger ranks a share of people (canary) or nobody (shadow: its order is computed and compared). Without
a champion `until_trained` ranks, and the record says so.

A row of features is scored as float64 in the model's order; NULL is NaN. The scores of a model that predicts a
probability are reward rates to exploration. What an answered item owes to a feature is found by leaving it out: the
fall of its score when the feature is NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.rank import BoundWeighted, Weighted
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.models.ranking import Ranker
from nextpaint.record.errors import ReplayError
from nextpaint.record.types import BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field
from nextpaint.sql.program import Table

MODELS = Table(
    "_models",
    (
        Field("name", STRING), Field("champion", STRING), Field("champion_file", STRING), Field("challenger", STRING),
        Field("challenger_file", STRING), Field("share", DOUBLE), Field("shadow", BOOLEAN), Field("previous", STRING),
        Field("previous_file", STRING), Field("ts", TIMESTAMP),
    ),
    primary_key=(0,),
)  # fmt: skip

CHAMPION, CANARY = "champion", "canary"
DIGITS = 9  # an inexact score is rounded: libraries differ in the last bits between machines

# (file, sha256) -> the loaded ranker. Raises ValueError where there is none.
Rankers = Callable[[str, str], Ranker]


def no_rankers(file: str, sha256: str) -> Ranker:
    """For a node that keeps no model files."""
    raise ValueError("no model files are kept here")


class Shadow(msgspec.Struct, frozen=True):
    """What a challenger that ranked nobody would have put on the page. agreed: how many of the answered places held the
    same item in its order; would: its first items."""

    model: str
    agreed: int
    would: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A trained ranker by name; until one of that name is promoted, `until_trained` ranks and the record says so.
    reward: what it is trained on; None: what the surface explores with."""

    name: str
    until_trained: Weighted
    reward: Reward | None = None
    label = "model"

    def __str__(self) -> str:
        return f"Model({self.name}, until_trained={self.until_trained})"

    def needs(self, needs: Needs) -> None:
        self.until_trained.needs(needs)

    def check(self, features: Sequence[str], binder: Binder) -> BoundModel:
        """The running ranker over the surface's features."""
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            binder.error(
                f"the name {self.name!r} of a model cannot be part of an address", "use letters, digits, _ and -"
            )
        if self.reward is not None:
            self.reward.within_ms(binder)
        return BoundModel(self.name, tuple(features), self.until_trained.check(features, binder))


@dataclass(frozen=True)
class BoundModel:
    """A running `Model`."""

    name: str
    features: tuple[str, ...]
    until_trained: BoundWeighted

    def chosen(self, context: Context) -> Chosen | None:
        """The model that ranks this decision; None while there is none."""
        row = context.reading.row(MODELS.name, (self.name,))
        if row is None or (row["champion"] is None and row["challenger"] is None):
            return None
        challenger = row["challenger"]
        if (
            challenger is not None
            and not row["shadow"]
            and _share(self.name, str(challenger), context) < _number(row["share"])
        ):
            return self._loaded(str(row["challenger_file"]), str(challenger), CANARY, context, None)
        if row["champion"] is None:
            return None
        shadow = (str(row["challenger_file"]), str(challenger)) if challenger is not None and row["shadow"] else None
        return self._loaded(str(row["champion_file"]), str(row["champion"]), CHAMPION, context, shadow)

    def _loaded(
        self, file: str, sha256: str, role: str, context: Context, shadow: tuple[str, str] | None
    ) -> Chosen:  # fmt: skip
        try:
            ranker = context.rankers(file, sha256)
            other = None if shadow is None else context.rankers(*shadow)
        except ValueError as error:
            raise ReplayError(
                f"model {self.name} {sha256[:12]} cannot be loaded: {error}", where=f"models/{sha256}",
                cure="put the file back, or roll the model back",
            ) from error  # fmt: skip
        return Chosen(self.name, role, ranker, other)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _share(name: str, sha256: str, context: Context) -> float:
    """Where a person falls in [0, 1), by model; a stranger by the decision's seed."""
    unit = context.subjects[0] if context.subjects else str(context.seed)
    word = blake2b(f"{name}\x1f{sha256}\x1f{unit}".encode(), digest_size=8).digest()
    return int.from_bytes(word, "big") / 2**64


@dataclass(frozen=True)
class Chosen:
    """The model of one decision. `shadow`: a challenger that is compared and ranks nobody."""

    name: str
    role: str
    ranker: Ranker
    shadow: Ranker | None

    def __str__(self) -> str:
        role = "" if self.role == CHAMPION else f", {self.role}"
        return f"model {self.name} ({self.ranker.identity[:12]}{role})"

    def scores(self, candidates: Candidates) -> FloatArray:
        """One score per candidate, shape (n,)."""
        return scored(self.ranker, matrix_of(self.ranker, candidates))

    def reasons(self, page: Candidates) -> list[str]:
        """Per item the feature whose absence would cost it most; '' where none would cost anything."""
        matrix = matrix_of(self.ranker, page)
        scores = scored(self.ranker, matrix)
        falls = np.zeros((len(page), len(self.ranker.features)))
        for index in range(len(self.ranker.features)):
            without = matrix.copy()
            without[:, index] = np.nan
            falls[:, index] = scores - scored(self.ranker, without)
        if not falls.size:
            return [""] * len(page)
        best = falls.argmax(axis=1).tolist()
        return [self.ranker.features[at] if falls[row, at] > 0.0 else "" for row, at in enumerate(best)]

    def shadowed(self, candidates: Candidates, page: Candidates) -> Shadow | None:
        """What the shadow would have answered beside `page`, both before rules."""
        if self.shadow is None:
            return None
        scores = scored(self.shadow, matrix_of(self.shadow, candidates))
        order = np.argsort(-scores, kind="stable")[: len(page)]
        would = candidates.take(order).keys()
        agreed = sum(first == second for first, second in zip(would, page.keys(), strict=True))
        return Shadow(self.shadow.identity, agreed, tuple(would[:5]))


def matrix_of(ranker: Ranker, candidates: Candidates) -> FloatArray:
    """The model's features of each candidate, shape (n, k), NULL as NaN."""
    features = candidates.features
    return np.ascontiguousarray(features.nulls_as(np.nan)[features.rows(ranker.features)].T)


def scored(ranker: Ranker, matrix: FloatArray) -> FloatArray:
    """Finite scores, shape (n,)."""
    found = np.asarray(ranker.predict(matrix), np.float64)
    found = np.where(np.isfinite(found), found, 0.0)
    return found if ranker.exact else np.round(found, DIGITS)


def is_rate(ranker: Ranker) -> bool:
    """Whether a model's scores are probabilities."""
    return getattr(ranker, "link", "") == "sigmoid"


def mismatch(ranker: Ranker, features: Sequence[str]) -> str:
    """What a model needs that a surface does not have; '' when they fit."""
    missing = [name for name in ranker.features if name not in features]
    if not missing:
        return ""
    return f"it needs {', '.join(missing)}; the surface has {', '.join(features) or 'no features'}"
