"""The short record of a decision: what was asked, what was read where and when, what every stage did, and what was
answered.

About 4 KB of JSON (see `codec`), always written before the answer leaves. It holds what explanations need and what a
replay must not measure or remember (paths, times, the list a fallback used); what it leaves out (the full matrix) is
recomputable at its position and checked against `matrix`, the hash of candidate ids and feature values. Raw identifiers
of a person are not in it, only tokens.

Contributions are not stored: they follow exactly from `values`, `rank.weights` and `rank.scales`. As JSON of these very
structs (rows are arrays, `array_like`, fields in the order declared here) it is format 1, and what `digest` hashes.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from nextpaint.decide.budget import Degraded, Paths, StageRun
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.experiment import Assigned
from nextpaint.decide.exploration import Exploration
from nextpaint.decide.mark import Mark
from nextpaint.decide.model import Shadow
from nextpaint.decide.request import InputValue

FORMAT = 2  # what is written; see `codec`
REMOVED_MAX = 200  # ids of removed candidates listed, over all filters
NEAR_MAX = 10


class FilterRun(msgspec.Struct, array_like=True, frozen=True):
    """A filter, how many candidates it removed, and the first of their ids."""

    filter: str
    removed: int
    ids: tuple[str, ...]


class FeatureSource(msgspec.Struct, array_like=True, frozen=True):
    """A feature's name, where it comes from, and the sentence it is explained with ({about}: what it is kept by)."""

    name: str
    source: str
    personal: bool
    sentence: str


class Answered(msgspec.Struct, array_like=True, frozen=True):
    """An answered item: `sources` has bit i for retriever i; values and ages (ms) are in the order of `features`;
    `reason`: the feature or retriever that spoke most for it, `about` what that is about (a category)."""

    id: str
    score: float
    sources: int
    reason: str
    about: str
    values: tuple[float | None, ...]
    ages: tuple[int | None, ...]


class NearMiss(msgspec.Struct, array_like=True, frozen=True):
    """An item that nearly was: `rank` is the place its score would have had (0: it was never ranked); `cause` is
    "filter", "rule", "rank" (others scored more) or "explore" (others were tried); `by` the filter or rule, `saw` the
    values it judged ("stock 0"), which last changed `age` ms before. Values and score have six digits: nothing is
    recomputed from a near miss."""

    id: str
    rank: int
    score: float
    cause: str
    by: str
    saw: str
    age: int | None
    values: tuple[float | None, ...]
    ages: tuple[int | None, ...]


class Effect(msgspec.Struct, array_like=True, frozen=True):
    """A rule moved items for one reason: (id, place before, place after) in the ranking, from 1; after 0: off the
    list."""

    rule: str
    why: str
    moved: tuple[tuple[str, int, int], ...]


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request, without identifiers of the person. withheld: why there is no profile though one was asked for.
    found: what an index found for a retriever: it is not exact, so it is kept, and a replay takes it from here."""

    inputs: dict[str, InputValue] = {}
    items: tuple[str, ...] | None = None
    limit: int = 0
    exclude: tuple[str, ...] = ()
    profiled: bool = True
    withheld: str = ""
    found: dict[str, tuple[str, ...]] = {}


class Ranking(msgspec.Struct, frozen=True, omit_defaults=True):
    """How scores were made: `by` prints the ranker; weights and scales give every contribution (see
    `rank.Weighted`). model: hash of
    the trained one that ranked, as champion or canary; shadow: what another would have done."""

    by: str
    weights: dict[str, float] = {}
    scales: dict[str, float] = {}
    model: str = ""
    role: str = ""
    shadow: Shadow | None = None


class DecisionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision. `position`: the read position; `time_ms`: the event time everything was read as of; `subjects`: the
    person's tokens, primary first; `retrieved`: (retriever, found), bit i of `Answered.sources` is row i; `considered`:
    candidates after filters; `explored`: how a policy chose, per answered item;
    `experiment`: the variant it was made in; `marks`: what merchandising rules say of answered items."""

    decision_id: str
    surface: str
    purpose: str
    application: str
    engine: str
    position: int
    time_ms: int
    seed: int
    request: Asked
    stages: tuple[StageRun, ...]
    retrieved: tuple[tuple[str, int], ...]
    filters: tuple[FilterRun, ...]
    features: tuple[FeatureSource, ...]
    rank: Ranking
    items: tuple[Answered, ...]
    matrix: str
    considered: int
    format: int = FORMAT
    subjects: tuple[str, ...] = ()
    near: tuple[NearMiss, ...] = ()
    effects: tuple[Effect, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    fallback: tuple[str, ...] = ()
    unknown_items: int = 0
    profiled: bool = True
    cold: bool = False
    explored: Exploration | None = None
    experiment: Assigned | None = None
    marks: dict[str, Mark] = {}

    def paths(self) -> Paths:
        """What a replay of this decision follows instead of measuring time."""
        return Paths({each.stage: each.path for each in self.stages}, self.degraded, self.fallback)

    def digest(self) -> str:
        """Hash of everything but measured times and how it was written: equal for a decision and its replay, and the
        same since the first version. 128-bit BLAKE2b, hex."""
        timeless = tuple(StageRun(each.stage, each.path, 0.0, each.note) for each in self.stages)
        plain = msgspec.structs.replace(self, stages=timeless, format=FORMAT)
        return blake2b(_ENCODER.encode(plain), digest_size=16).hexdigest()


_ENCODER = msgspec.json.Encoder()


def rows_of(columns: list[list[Any]], count: int) -> list[tuple[Any, ...]]:
    """Columns as `count` rows; `count` empty rows where there is no column."""
    return list(zip(*columns, strict=True)) if columns else [()] * count


def matrix_hash(candidates: Candidates) -> str:
    """128-bit BLAKE2b, hex, of the candidates' ids in order and each feature's values (little-endian float64, NULL =
    NaN)."""
    digest = blake2b(_ENCODER.encode(candidates.keys()), digest_size=16)
    features = candidates.features
    # -0.0 and 0.0 are one number: adding 0.0 makes them one pattern.
    matrix = np.ascontiguousarray(features.nulls_as(np.nan) + 0.0, "<f8")
    for name, values in zip(features.names, matrix, strict=True):
        digest.update(name.encode() + b"\0")
        digest.update(values.data)
    return digest.hexdigest()
