"""Surfaces: a place that shows items, declared as the tuple of its stages.

A surface is data: `print(surface)` shows the pipeline it is, `but` makes another one that differs in what is named.
Declaring one checks nothing, so that all mistakes of an application are reported together, each at the line the surface
was written on.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nextpaint.decide.experiment import VARIED, Experiment
from nextpaint.decide.fallback import Fallback, Nothing
from nextpaint.decide.feature import FeatureSource, needs_of
from nextpaint.decide.filter import declared_filters
from nextpaint.decide.model import Model
from nextpaint.decide.policy import Policy
from nextpaint.decide.rank import Weighted
from nextpaint.decide.request import InputType
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.decide.stage import Declared, Stage
from nextpaint.decide.window import Window
from nextpaint.sql.plan import At

LIMIT = 20


@dataclass(frozen=True, eq=False, repr=False)
class Surface:
    """A named place that shows items.

    window: the deadline and its shares. purpose: what a person consents to (or not: then the same surface answers
    unprofiled). items: the table whose rows are shown, key (item_id STRING). limit: answers unless the request says
    less or more. inputs: what the request brings, name -> str | int | float | bool | list | Optional(...).
    retrieve: retrievers, united. require: filters; a string is a SQL condition, ("condition", "keep") keeps what is
    unknown. features: name -> "table.column" | Feature | SessionVector | function. rank: Weighted or Model or a
    function; None keeps the order of retrieval. explore: a policy that tries out the best ranked. rules: reorder the
    page. cold: fills up where the retrievers leave fewer than limit items. fallback: when there is no time. say:
    feature name -> the sentence it is explained with, may hold {about}. because: feature name -> why it weighs what it
    weighs, for the page of main parameters. show: features whose values are answered among
    an item's fields. generated: items column of text -> items column that names the machine that wrote it, NULL, ''
    or FALSE where a person did; the answer says so with the item. experiment: variants of the surface, each person in
    one. significant: why its decisions matter so much (credit, eligibility) that a person looks at each; '' for what a
    shop shows.
    """

    name: str
    window: Window = field(kw_only=True)
    purpose: str = field(kw_only=True)
    items: str = field(kw_only=True)
    retrieve: Sequence[Declared | Stage] = field(kw_only=True)
    limit: int = field(default=LIMIT, kw_only=True)
    inputs: Mapping[str, type | InputType] = field(default_factory=dict, kw_only=True)
    require: Sequence[str | tuple[str, str] | Declared | Stage] = field(default=(), kw_only=True)
    features: Mapping[str, FeatureSource] = field(default_factory=dict, kw_only=True)
    rank: Weighted | Model | Stage | None = field(default=None, kw_only=True)
    explore: Policy | None = field(default=None, kw_only=True)
    rules: Sequence[Declared | Stage] = field(default=(), kw_only=True)
    cold: Declared | Stage | None = field(default=None, kw_only=True)
    fallback: Fallback = field(default_factory=Nothing, kw_only=True)
    experiment: Experiment | None = field(default=None, kw_only=True)
    say: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    because: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    show: Sequence[str] = field(default=("price",), kw_only=True)
    generated: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    significant: str = field(default="", kw_only=True)
    at: At = field(default=At(), kw_only=True)

    def __post_init__(self) -> None:
        if not self.at.file:
            object.__setattr__(self, "at", _caller())

    def but(self, name: str, **changes: Any) -> Surface:
        """Another surface that differs in `changes`."""
        return replace(self, name=name, at=_caller(), **changes)

    @property
    def filters(self) -> tuple[Any, ...]:
        """The declared filters, conditions as `Require`."""
        return declared_filters(self.require)

    @property
    def input_types(self) -> dict[str, InputType]:
        """The inputs, each with its type spelled out."""
        return {name: kind if isinstance(kind, InputType) else InputType(kind) for name, kind in self.inputs.items()}

    @property
    def stages(self) -> tuple[tuple[str, Any], ...]:
        """The surface as what it is: (kind, stage) in the order they run."""
        rank = () if self.rank is None else (("rank", self.rank),)
        explore = () if self.explore is None else (("explore", self.explore),)
        cold = () if self.cold is None else (("cold", self.cold),)
        experiment = () if self.experiment is None else (("experiment", self.experiment),)
        return (
            *(("retrieve", each) for each in self.retrieve),
            *(("require", each) for each in self.filters),
            *cold,
            *(("features", f"{name} = {_printed(source)}") for name, source in self.features.items()),
            *rank,
            *explore,
            *(("rules", each) for each in self.rules),
            ("fallback", self.fallback),
            *experiment,
        )

    def variants(self) -> dict[str, Surface]:
        """The surface in each variant of its experiment; edits that a variant may not make are left out."""
        if not isinstance(self.experiment, Experiment):
            return {}
        return {
            name: replace(self, experiment=None, **{key: edits[key] for key in edits if key in VARIED})
            for name, edits in self.experiment.variants.items()
        }

    def __str__(self) -> str:
        inputs = ", ".join(f"{name} {kind}" for name, kind in self.input_types.items())
        lines = [
            f"{self.name}: {self.limit} of {self.items} for {self.purpose}, "
            f"{self.window.name} ({self.window.process_ms} of {self.window.total_ms} ms)"
        ]
        if inputs:
            lines.append(f"  {'inputs':<10}{inputs}")
        before = ""
        for kind, stage in self.stages:
            lines.append(f"  {kind if kind != before else '':<10}{_printed(stage)}")
            before = kind
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Surface({self.name!r})"

    def needs(self) -> Needs:
        """What the engine must have for this surface, in every variant."""
        needs = Needs(self.items)
        for each in (self, *self.variants().values()):
            _write_needs(each, needs)
        if isinstance(self.experiment, Experiment):
            declared = (getattr(stage, "reward", None) for stage in (self.explore, self.rank))
            self.experiment.needs(needs, next((each for each in declared if isinstance(each, Reward)), None))
        return needs


def _write_needs(surface: Surface, needs: Needs) -> None:
    needs.whole[surface.items] = None
    for _, stage in surface.stages:
        if isinstance(stage, Declared):
            stage.needs(needs)
    for source in surface.features.values():
        needs_of(source, needs)
    if isinstance(surface.explore, Policy):
        needs.features = tuple(surface.features)
        surface.explore.needs_of(surface.name, needs)


def _printed(stage: Any) -> str:
    if callable(stage) and not isinstance(stage, Declared):
        return f"{getattr(stage, '__name__', type(stage).__name__)}()"
    return str(stage)


def _caller() -> At:
    """File and line of the nearest frame outside this module and the dataclass machinery: where the surface is
    written."""
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_filename not in (__file__, "<string>") and not code.co_filename.endswith("dataclasses.py"):
            return At(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return At()
