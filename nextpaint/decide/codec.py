"""Decision records as bytes: the one place that writes them and the one that reads them.

Written is format 2: JSON in which items, near misses and whatever else repeats are columns (`packing`). Format 1, which
earlier versions wrote, is the same record with an array per row; it has no `format`. Both read to one `DecisionRecord`.

Not written is what follows from the rest, bit for bit: contributions always, and scores where they are the sums that
`rank.weights`, `rank.scales` and the values of the features give (`rank.totals`). The writer compares; a score that is
anything else (a model's, a function's) is a column. Names of `rank.scales` are those of the weights.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from nextpaint.decide.budget import Degraded, StageRun
from nextpaint.decide.experiment import Assigned
from nextpaint.decide.exploration import Exploration, Tried
from nextpaint.decide.mark import Mark
from nextpaint.decide.model import Shadow
from nextpaint.decide.packing import (
    Ages,
    Floats,
    Ints,
    Texts,
    packed,
    packed_ages,
    packed_floats,
    spread,
    spread_ages,
)
from nextpaint.decide.rank import totals
from nextpaint.decide.record import (
    FORMAT,
    Answered,
    Asked,
    DecisionRecord,
    Effect,
    FeatureSource,
    FilterRun,
    NearMiss,
    Ranking,
)
from nextpaint.record.errors import ReplayError


class _Stages(msgspec.Struct, frozen=True, omit_defaults=True):
    stage: tuple[str, ...]
    ms: Floats
    path: Texts
    note: Texts = ""


class _Ranking(msgspec.Struct, frozen=True, omit_defaults=True):
    by: str
    weights: dict[str, float] = {}
    scales: tuple[float, ...] | dict[str, float] = ()
    model: str = ""
    role: str = ""
    shadow: Shadow | None = None


class _Items(msgspec.Struct, frozen=True, omit_defaults=True):
    """score: None where it follows. values, ages: a column for each feature; no column where none was read."""

    id: tuple[str, ...]
    sources: Ints
    reason: Texts
    about: Texts = ""
    score: Floats = None
    values: tuple[Floats, ...] = ()
    ages: tuple[Ages, ...] = ()


class _Near(msgspec.Struct, frozen=True, omit_defaults=True):
    """Near misses of which all have the same features: some are read without any."""

    id: tuple[str, ...]
    rank: Ints
    score: Floats
    cause: Texts
    by: Texts = ""
    saw: Texts = ""
    age: Ints = None
    values: tuple[Floats, ...] = ()
    ages: tuple[Ages, ...] = ()


class _Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    place: Ints
    arm: Texts = ""
    value: Floats = 0.0
    mean: Floats = 0.0
    prior: Floats = 0.0
    trials: Floats = 0.0
    examined: Floats = 1.0
    propensity: Floats = None


class _Exploration(msgspec.Struct, frozen=True, omit_defaults=True):
    policy: str
    learner: str
    kind: str
    pool: int
    floor: float
    tried: _Tried
    scales: dict[str, float] = {}


class _Written(msgspec.Struct, frozen=True, omit_defaults=True):
    """Format 2. effects: (rule, why, ids, places before, places after)."""

    format: int
    decision_id: str
    surface: str
    purpose: str
    application: str
    engine: str
    position: int
    time_ms: int
    seed: int
    request: Asked
    stages: _Stages
    retrieved: tuple[tuple[str, int], ...]
    filters: tuple[FilterRun, ...]
    features: tuple[FeatureSource, ...]
    rank: _Ranking
    items: _Items
    matrix: str
    considered: int
    subjects: tuple[str, ...] = ()
    near: tuple[_Near, ...] = ()
    effects: tuple[tuple[str, str, tuple[str, ...], tuple[int, ...], tuple[int, ...]], ...] = ()
    degraded: tuple[Degraded, ...] = ()
    fallback: tuple[str, ...] = ()
    unknown_items: int = 0
    profiled: bool = True
    cold: bool = False
    explored: _Exploration | None = None
    experiment: Assigned | None = None
    marks: dict[str, Mark] = {}


class _Head(msgspec.Struct):
    decision_id: str
    format: int = 1


_AS_THEY_ARE = (
    "decision_id", "surface", "purpose", "application", "engine", "position", "time_ms", "seed", "request", "retrieved",
    "filters", "features", "matrix", "considered", "subjects", "degraded", "fallback", "unknown_items", "profiled",
    "cold", "experiment", "marks",
)  # fmt: skip
R = TypeVar("R")

_NOTHING = ((), (), ())

_ENCODER = msgspec.json.Encoder()
_HEAD = msgspec.json.Decoder(_Head)
_FORMAT_1 = msgspec.json.Decoder(DecisionRecord)
_FORMAT_2 = msgspec.json.Decoder(_Written)


def encoded(record: DecisionRecord) -> bytes:
    """The record as JSON of format 2. Raises ValueError where answered items do not all have the same features, or
    what was tried is not of each of them."""
    plain: dict[str, Any] = {name: getattr(record, name) for name in _AS_THEY_ARE}
    return _ENCODER.encode(
        _Written(
            format=FORMAT,
            stages=_stages(record.stages),
            rank=_ranking(record.rank),
            items=_items(record),
            near=tuple(_near(tuple(rows), record) for _, rows in groupby(record.near, lambda each: len(each.values))),
            effects=_effects(record.effects),
            explored=_explored(record),
            **plain,
        )
    )


def decoded(data: bytes) -> DecisionRecord:
    """A record of either format. Raises ReplayError when the bytes are not one, or of a format of later versions."""
    try:
        head = _HEAD.decode(data)
        if head.format == 1:
            return msgspec.structs.replace(_FORMAT_1.decode(data), format=1)
        if head.format == FORMAT:
            return _read(_FORMAT_2.decode(data))
    except (msgspec.DecodeError, ValueError) as error:
        raise ReplayError(
            f"this is not a decision record: {error}", cure="read it with the version that wrote it"
        ) from error
    raise ReplayError(
        f"decision record of format {head.format}; this version reads 1 and {FORMAT}",
        where=f"decision {head.decision_id[:40]}",
        cure="read it with the version that wrote it",
    )


def converted(raw: Mapping[str, Any]) -> DecisionRecord:
    """`decoded`, from parsed JSON. Raises ValueError."""
    if raw.get("format", 1) == 1:
        return msgspec.structs.replace(msgspec.convert(raw, DecisionRecord), format=1)
    return _read(msgspec.convert(raw, _Written))


def answered_ids(raw: Mapping[str, Any]) -> list[str]:
    """The ids of the answered items, best first, from parsed JSON of either format."""
    items = raw["items"]
    ids: list[str] = items["id"] if isinstance(items, dict) else [each[0] for each in items]
    return ids


# ---------------------------------------------------------------- writing


def _stages(stages: tuple[StageRun, ...]) -> _Stages:
    return _Stages(
        tuple([each.stage for each in stages]),
        packed_floats(tuple([each.ms for each in stages])),
        packed(tuple([each.path for each in stages])),
        packed(tuple([each.note for each in stages])),
    )


def _ranking(rank: Ranking) -> _Ranking:
    in_order = list(rank.scales) == list(rank.weights)
    scales = tuple(rank.scales.values()) if in_order else rank.scales
    return _Ranking(rank.by, rank.weights, scales, rank.model, rank.role, rank.shadow)


def _items(record: DecisionRecord) -> _Items:
    items = record.items
    scores = tuple([each.score for each in items])
    values = list(zip(*[each.values for each in items], strict=True))
    ages = list(zip(*[each.ages for each in items], strict=True))
    follow = _same_bits(scores, _scores(record.rank, record.features, values, len(items)))
    return _Items(
        tuple([each.id for each in items]),
        packed(tuple([each.sources for each in items])),
        packed(tuple([each.reason for each in items])),
        packed(tuple([each.about for each in items])),
        None if follow else packed_floats(scores),
        tuple([packed_floats(column) for column in values]),
        packed_ages(ages, [each.name for each in record.features]),
    )


def _near(rows: Sequence[NearMiss], record: DecisionRecord) -> _Near:
    values = zip(*[each.values for each in rows], strict=True)
    ages = list(zip(*[each.ages for each in rows], strict=True))
    return _Near(
        tuple([each.id for each in rows]),
        packed(tuple([each.rank for each in rows])),
        packed_floats(tuple([each.score for each in rows])),
        packed(tuple([each.cause for each in rows])),
        packed(tuple([each.by for each in rows])),
        packed(tuple([each.saw for each in rows])),
        packed(tuple([each.age for each in rows])),
        tuple([packed_floats(column) for column in values]),
        packed_ages(ages, [each.name for each in record.features]),
    )


def _effects(effects: Sequence[Effect]) -> tuple[Any, ...]:
    return tuple(
        [(each.rule, each.why, *(zip(*each.moved, strict=True) if each.moved else _NOTHING)) for each in effects]
    )


def _explored(record: DecisionRecord) -> _Exploration | None:
    explored = record.explored
    if explored is None:
        return None
    if len(explored.tried) != len(record.items):
        raise ValueError(f"{len(explored.tried)} were tried of {len(record.items)} answered items")
    tried = _Tried(())
    if explored.tried:
        places, arms, *numbers = zip(*map(msgspec.structs.astuple, explored.tried), strict=True)
        tried = _Tried(packed(places), packed(arms), *map(packed_floats, numbers))
    return _Exploration(
        explored.policy, explored.learner, explored.kind, explored.pool, explored.floor, tried, explored.scales
    )


def _scores(
    rank: Ranking, features: Sequence[FeatureSource], columns: Sequence[Sequence[float | None]], count: int
) -> list[float] | None:
    """The scores that weights give; None without weights or without the columns of all of them."""
    held = {each.name: column for each, column in zip(features, columns, strict=False)}
    if not rank.weights or not rank.weights.keys() <= held.keys():
        return None
    return totals(rank.weights, rank.scales, held, count)


def _same_bits(scores: Sequence[float], others: Sequence[float] | None) -> bool:
    return others is not None and array("d", scores).tobytes() == array("d", others).tobytes()


# ---------------------------------------------------------------- reading


def _read(written: _Written) -> DecisionRecord:
    """Raises ValueError where columns do not fit together."""
    plain: dict[str, Any] = {name: getattr(written, name) for name in _AS_THEY_ARE}
    stages, explored = written.stages, written.explored
    names = [each.name for each in written.features]
    near: list[NearMiss] = []
    for each in written.near:
        told = (each.id, each.rank, each.score, each.cause, each.by, each.saw, each.age)
        near += _rows(NearMiss, told, len(each.id), _by_feature(each, names))
    return DecisionRecord(
        stages=tuple(_rows(StageRun, (stages.stage, stages.path, stages.ms, stages.note), len(stages.stage))),
        rank=_read_ranking(written.rank),
        items=_read_items(written),
        near=tuple(near),
        effects=tuple(Effect(rule, why, tuple(zip(*moved, strict=True))) for rule, why, *moved in written.effects),
        explored=None if explored is None else _read_explored(explored, len(written.items.id)),
        format=written.format,
        **plain,
    )


def _read_ranking(rank: _Ranking) -> Ranking:
    scales = rank.scales if isinstance(rank.scales, dict) else dict(zip(rank.weights, rank.scales, strict=True))
    return Ranking(rank.by, rank.weights, scales, rank.model, rank.role, rank.shadow)


def _read_items(written: _Written) -> tuple[Answered, ...]:
    items, count = written.items, len(written.items.id)
    values, ages = _by_feature(items, [each.name for each in written.features])
    scores: Any = items.score
    if scores is None and count:
        columns = [spread(column, count) for column in items.values]
        scores = _scores(_read_ranking(written.rank), written.features, columns, count)
        if scores is None:
            raise ValueError("scores are missing, and nothing is there that they follow from")
        scores = tuple(scores)
    told = (items.id, scores, items.sources, items.reason, items.about)
    return tuple(_rows(Answered, told, count, (values, ages)))


def _read_explored(explored: _Exploration, count: int) -> Exploration:
    return Exploration(
        explored.policy,
        explored.learner,
        explored.kind,
        explored.pool,
        explored.floor,
        tuple(_rows(Tried, msgspec.structs.astuple(explored.tried), count)),
        explored.scales,
    )


def _by_feature(table: _Items | _Near, names: Sequence[str]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Values and ages, a tuple for each row."""
    count = len(table.id)
    values = [spread(column, count) for column in table.values]
    ages = spread_ages(table.ages, names, count)
    return tuple(_by_row(values, count)), tuple(_by_row(ages, count))


def _by_row(columns: Sequence[Sequence[Any]], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * count


def _rows(row: type[R], columns: Sequence[Any], count: int, by_feature: Sequence[tuple[Any, ...]] = ()) -> list[R]:
    """A struct for each row; `by_feature`: its last fields."""
    return [row(*cells) for cells in zip(*(spread(each, count) for each in columns), *by_feature, strict=True)]
