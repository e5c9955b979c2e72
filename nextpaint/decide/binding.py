"""Surfaces compiled against an application's tables: every name bound, every mistake reported at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.experiment import Experiment
from nextpaint.decide.facts import Fact, Origin
from nextpaint.decide.fallback import LastGood, Nothing
from nextpaint.decide.feature import BoundFeature, bind_feature
from nextpaint.decide.filter import Filter
from nextpaint.decide.model import BoundModel, Model
from nextpaint.decide.policy import BoundPolicy, Policy
from nextpaint.decide.rank import BoundWeighted, Weighted
from nextpaint.decide.record import FeatureSource
from nextpaint.decide.request import LIMIT_MAX, InputType
from nextpaint.decide.retrieve import Given
from nextpaint.decide.stage import Declared, Stage, bind, label_of
from nextpaint.decide.surface import Surface
from nextpaint.decide.window import Window
from nextpaint.decide.wording import FEATURE_SENTENCES
from nextpaint.process.followed import Followed
from nextpaint.record.columns import BoolArray
from nextpaint.record.errors import Diagnostic
from nextpaint.record.types import Kind
from nextpaint.sql.program import Table

_SHOWN_KINDS = (
    Kind.BOOLEAN, Kind.TINYINT, Kind.SMALLINT, Kind.INT, Kind.BIGINT, Kind.FLOAT, Kind.DOUBLE, Kind.DECIMAL,
    Kind.STRING,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A running stage with its name in records and explanations. `ours`: declared, not a plain function. `filter`: the
    stage again, where it is a filter that gives masks and reasons."""

    label: str
    run: Stage
    ours: bool
    filter: Filter | None = None

    def keeps(self, candidates: Candidates, context: Context) -> BoolArray | None:
        """Which candidates it keeps as a filter, shape (n,); None: all. A plain function can only take away: what it
        adds is not there, and the order stays."""
        if self.filter is not None:
            return self.filter.keeps(candidates, context)
        after = self.run(candidates, context)
        return None if after is candidates else np.isin(candidates.slots, after.slots)


@dataclass(frozen=True, slots=True)
class BoundSurface:
    """A surface ready to decide. `given`: the retriever of the caller's own list, if any. `fields`: columns of the
    items table that are answered. `facts`: everything read by key. `ranked_by` prints the ranker.
    `reads`: every table that a stage names. `followed`: what stages read over many keys, of all variants."""

    surface: Surface
    inputs: Mapping[str, InputType]
    retrieve: tuple[Named, ...]
    filters: tuple[Named, ...]
    features: tuple[BoundFeature, ...]
    sources: tuple[FeatureSource, ...]
    rank: BoundModel | BoundWeighted | Stage | None
    policy: BoundPolicy | None
    rules: tuple[Named, ...]
    cold: Named | None
    given: Given | None
    max_age_ms: int
    fields: tuple[str, ...]
    facts: tuple[Fact, ...]
    ranked_by: str = ""
    reads: frozenset[str] = frozenset()
    followed: Followed = field(default_factory=Followed)
    experiment: Experiment | None = None
    variants: Mapping[str, BoundSurface] = field(default_factory=dict)


def bind_surfaces(
    surfaces: Sequence[Surface], tables: Mapping[str, Table]
) -> tuple[dict[str, BoundSurface], list[Diagnostic]]:
    """Every surface bound, and everything that is wrong with them."""
    diagnostics: list[Diagnostic] = []
    bound: dict[str, BoundSurface] = {}
    names = Counter(surface.name for surface in surfaces)
    experiments: dict[str, str] = {}
    for surface in surfaces:
        binder = Binder(surface.name, surface.at, surface.items, _inputs(surface), tables)
        if names[surface.name] > 1:
            binder.error("this name is given twice", "give each surface its own name")
        _check_settings(surface, binder)
        shared = str(surface.experiment)
        if isinstance(surface.experiment, Experiment):
            if experiments.setdefault(surface.experiment.name, shared) != shared:
                binder.error(
                    f"experiment {surface.experiment.name!r} is declared otherwise elsewhere",
                    "give it a name of its own",
                )
        bound[surface.name] = _with_variants(_bind(surface, binder), binder)
        diagnostics.extend(dict.fromkeys(binder.diagnostics))  # variants repeat what they do not change
    return bound, diagnostics


def _bind(surface: Surface, binder: Binder) -> BoundSurface:
    features = tuple(
        each for name, source in surface.features.items() if (each := bind_feature(name, source, binder)) is not None
    )
    for name in surface.say:
        if name not in surface.features:
            binder.unknown("feature in say=:", name, surface.features)
    for name in surface.because:
        if name not in surface.features:
            binder.unknown("feature in because=:", name, surface.features)
    for column, by in surface.generated.items():
        for name in (column, by):
            if binder.item_column(name, "generated=") is not None:
                binder.followed.column(surface.items, name)
    sentences = {each.name: surface.say.get(each.name, FEATURE_SENTENCES[each.kind]) for each in features}
    filters = _named(surface.filters, binder)
    facts = [fact for each in features for fact in each.facts]
    for named in filters:
        facts += getattr(named.run, "facts", ())
    rank = _bind_rank(surface.rank, tuple(surface.features), binder)
    cold = () if surface.cold is None else _named([surface.cold], binder)
    return BoundSurface(
        surface=surface,
        inputs=binder.inputs,
        retrieve=_named(surface.retrieve, binder),
        filters=filters,
        features=features,
        sources=tuple(_source(each, sentences[each.name]) for each in features),
        rank=rank,
        policy=_bind_policy(surface.explore, surface, binder),
        rules=_named(surface.rules, binder),
        cold=cold[0] if cold else None,
        given=next((each for each in surface.retrieve if isinstance(each, Given)), None),
        max_age_ms=_max_age_ms(surface.fallback, binder),
        fields=_fields(binder),
        facts=tuple(dict.fromkeys(facts)),
        ranked_by="" if binder.diagnostics else "order of retrieval" if surface.rank is None else str(surface.rank),
        reads=frozenset(binder.reads),
        followed=binder.followed,
    )


def _with_variants(bound: BoundSurface, binder: Binder) -> BoundSurface:
    experiment: object = bound.surface.experiment
    if experiment is None:
        return bound
    if not isinstance(experiment, Experiment):
        binder.error(f"experiment={experiment!r}", "write Experiment(name, variants={...})")
        return bound
    experiment.check(binder)
    variants = {name: _bind(surface, binder) for name, surface in bound.surface.variants().items()}
    return replace(bound, experiment=experiment, variants=variants)


def _source(feature: BoundFeature, sentence: str) -> FeatureSource:
    personal = feature.kind in ("session", "interest", "person")
    table = feature.facts[0].table if feature.facts else feature.source
    filled = sentence.replace("{source}", table.replace("_", " ")).replace("{name}", feature.name.replace("_", " "))
    return FeatureSource(feature.name, feature.source, personal, filled)


def _named(stages: Sequence[object], binder: Binder) -> tuple[Named, ...]:
    """Running stages with unique names: a second `top` is `top 2`."""
    named: list[Named] = []
    seen: Counter[str] = Counter()
    for stage in stages:
        label = label_of(stage)
        seen[label] += 1
        run = bind(stage, binder)
        if run is not None:
            name = label if seen[label] == 1 else f"{label} {seen[label]}"
            named.append(Named(name, run, isinstance(stage, Declared), _as_filter(run)))
    return tuple(named)


def _as_filter(stage: object) -> Filter | None:
    return stage if isinstance(stage, Filter) else None


def _bind_rank(rank: object, names: Sequence[str], binder: Binder) -> BoundModel | BoundWeighted | Stage | None:
    if isinstance(rank, Model | Weighted):
        return rank.check(names, binder)
    if rank is None or callable(rank):
        return rank
    binder.error(f"rank={rank!r}", "write Weighted(...), Model(..., until_trained=Weighted(...)) or a function")
    return None


def _bind_policy(policy: object, surface: Surface, binder: Binder) -> BoundPolicy | None:
    if policy is None:
        return None
    if isinstance(policy, Policy):
        return policy.bind_to(surface.name, tuple(surface.features), binder)
    binder.error(
        f"explore={policy!r}", "write ThompsonSampling(...), EpsilonGreedy(...), PlackettLuce(...) or LinTS(...)"
    )
    return None


def _max_age_ms(fallback: object, binder: Binder) -> int:
    if isinstance(fallback, LastGood | Nothing):
        return fallback.max_age_ms(binder)
    binder.error(f"fallback={fallback!r}", "write LastGood(max_age=...) or Nothing()")
    return 0


def _inputs(surface: Surface) -> dict[str, InputType]:
    return {name: kind for name, kind in surface.input_types.items() if kind.kind in (str, int, float, bool, list)}


def _check_settings(surface: Surface, binder: Binder) -> None:
    # What an application writes need not have the declared types: look at it as it is.
    window: object = surface.window
    limit: object = surface.limit
    if not surface.name or not surface.name.replace("_", "").replace("-", "").isalnum():
        binder.error(f"the name {surface.name!r} cannot be part of an address", "use letters, digits, _ and -")
    for name, kind in surface.input_types.items():
        if kind.kind not in (str, int, float, bool, list):
            binder.error(
                f"input {name!r} is {kind.kind!r}", "write str, int, float, bool, list or Optional(...) of one"
            )
    if not isinstance(window, Window):
        binder.error(f"window={window!r}", "write RTB, WEB_RERANK, PUSH, EMAIL or a Window(...)")
    if not isinstance(limit, int) or not 1 <= limit <= LIMIT_MAX:
        binder.error(f"limit={limit!r}", f"write a whole number from 1 to {LIMIT_MAX}")
    if not surface.purpose:
        binder.error("it has no purpose", "name what a person consents to: purpose='personalisation'")
    if not surface.retrieve:
        binder.error("it has no retriever", "write at least one: retrieve=[Top('trending', by='heat')]")


def _fields(binder: Binder) -> tuple[str, ...]:
    if binder.items is None:
        return ()
    names = tuple(
        each.name for each in binder.items.fields if each.type.kind in _SHOWN_KINDS and each.name != binder.item_key
    )
    for name in names:
        binder.followed.column(binder.items_table, name)
    return names


def reads_of(surfaces: Mapping[str, BoundSurface]) -> dict[str, tuple[str, ...]]:
    """Tables read by key, each with the key columns the read fills: what must be granted a live reading."""
    reads: dict[str, dict[str, None]] = {}
    for bound in surfaces.values():
        for fact in bound.facts:
            reads.setdefault(fact.table, {}).update(dict.fromkeys(part.column for part in fact.key))
    return {table: tuple(columns) for table, columns in reads.items()}


def personal_tables(bound: BoundSurface) -> frozenset[str]:
    """Tables that a profiled decision reads for the person through facts."""
    return frozenset(fact.table for fact in bound.facts if any(part.origin is Origin.SUBJECT for part in fact.key))


def nearest(name: str, known: Mapping[str, object]) -> str:
    """What to do about an unknown surface name."""
    near = get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
