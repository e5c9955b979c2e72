"""Features: one DOUBLE column per name for a batch of candidates, each with where it came from and how old it is.

A feature is declared as "table.column" (a fact, bound by key names), `Feature("table.column", on={...})`, a SQL
expression over such columns and inputs (`"bought.heat * SQRT(trending.heat)"`), a `SessionVector` (its similarity to
the candidate), a `BoughtTogether` or a `New` (their score), or a plain function (candidates, context) -> float array of
shape (n,).
NULL is kept as NULL; NaN and infinities, which no ranking can use, become NULL. Booleans count as 0 and 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, Features, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.expression import Expression, number
from nextpaint.decide.facts import Fact
from nextpaint.decide.new import BoundNew, New
from nextpaint.decide.requirements import Needs
from nextpaint.decide.session import BoundSession, SessionVector
from nextpaint.decide.together import BoughtTogether, BoundTogether
from nextpaint.record.columns import Column
from nextpaint.record.types import DOUBLE, Kind

_PATH = re.compile(r"\w+\.\w+")

FeatureFunction = Callable[[Candidates, Context], Any]


@dataclass(frozen=True)
class Feature:
    """A fact under a key that names do not bind: `on` maps key columns to "subject", "inputs.name" or an items
    column."""

    path: str
    on: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        on = ", ".join(f"{key} = {source}" for key, source in self.on.items())
        return f"{self.path} on {on}" if on else self.path


FeatureSource = str | Feature | SessionVector | BoughtTogether | New | FeatureFunction


@dataclass(frozen=True)
class BoundFeature:
    """A feature ready to read. `source` prints where it comes from; `kind` decides how it is put into words."""

    name: str
    source: str
    kind: str  # "session" | "interest" (person and a column of the item) | "person" | "item" | "new" | "function"
    of: Fact | Expression | BoundSession | BoundTogether | BoundNew | FeatureFunction

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """The facts it is made of."""
        return (self.of,) if isinstance(self.of, Fact) else self.of.facts if isinstance(self.of, Expression) else ()

    @property
    def fact(self) -> Fact | None:
        return self.of if isinstance(self.of, Fact) else None

    def read(self, candidates: Candidates, context: Context) -> Column:
        """One number per candidate, shape (n,)."""
        if isinstance(self.of, Fact):
            return self.of.read(candidates, context)
        if isinstance(self.of, Expression):
            return _computed(self.of, candidates, context)
        if isinstance(self.of, BoundSession):
            return self.of.similarity(candidates, context)
        if isinstance(self.of, BoundTogether | BoundNew):
            return self.of.values(candidates, context)
        values: FloatArray = np.asarray(self.of(candidates, context), np.float64)
        if values.shape != (len(candidates),):
            raise ValueError(
                f"feature {self.name!r}: {self.source} gave shape {values.shape} for {len(candidates)} candidates"
            )
        return Column(DOUBLE, values)

    def ages_ms(self, candidates: Candidates, context: Context) -> list[int | None]:
        """Per candidate, how long ago its newest fact last changed; None where there is none or it is a function's."""
        now = context.time_ms
        facts = self.facts
        if facts:
            newest = facts[0].changed_at_ms(candidates, context)
            if len(facts) > 1:
                changes = zip(*(fact.changed_at_ms(candidates, context) for fact in facts), strict=True)
                newest = [max((at for at in times if at is not None), default=None) for times in changes]
            return [None if at is None else max(now - at, 0) for at in newest]
        latest = self.of.latest_ms(context) if isinstance(self.of, BoundSession | BoundTogether) else None
        return [None if latest is None else max(now - latest, 0)] * len(candidates)


def needs_of(source: FeatureSource, needs: Needs) -> None:
    """What a declared feature needs from the engine."""
    if isinstance(source, SessionVector | BoughtTogether | New):
        source.needs(needs)
    elif isinstance(source, str | Feature):
        path = source if isinstance(source, str) else source.path
        if _PATH.fullmatch(path):  # which columns an expression names is known once it is planned
            needs.read_path(path)


def bind_feature(name: str, source: object, binder: Binder) -> BoundFeature | None:
    """A declared feature bound to the application's tables; None after reporting what is wrong."""
    if isinstance(source, SessionVector):
        session = source.bind(binder)
        return None if session is None else BoundFeature(name, str(source), "session", session)
    if isinstance(source, BoughtTogether):
        together = source.scored(binder)
        return None if together is None else BoundFeature(name, str(source), "session", together)
    if isinstance(source, New):
        new = source.scored(binder)
        return None if new is None else BoundFeature(name, str(source), "new", new)
    if isinstance(source, str) and "." in source and not _PATH.fullmatch(source):
        expression = number(source, binder)
        return None if expression is None else BoundFeature(name, source, _kind(expression.facts), expression)
    if isinstance(source, str | Feature):
        declared = Feature(source) if isinstance(source, str) else source
        fact = binder.fact(declared.path, f"feature {name!r}", declared.on)
        if fact is None:
            return None
        if not (fact.type.is_numeric or fact.type.kind is Kind.BOOLEAN):
            binder.error(f"feature {name!r}: {fact.path} is {fact.type}, not a number", "name a numeric column")
            return None
        return BoundFeature(name, str(declared), _kind((fact,)), fact)
    if callable(source):
        return BoundFeature(name, getattr(source, "__name__", type(source).__name__), "function", source)
    binder.error(f"feature {name!r} is {source!r}", "write 'table.column', a SessionVector or a function")
    return None


def _kind(facts: Sequence[Fact]) -> str:
    personal = [fact for fact in facts if fact.personal]
    return "item" if not personal else "interest" if any(fact.about for fact in personal) else "person"


def _computed(expression: Expression, candidates: Candidates, context: Context) -> Column:
    """The expression per candidate; NULL where it fails."""
    column, failed = expression.value(candidates, context)
    if failed:
        valid = np.ones(len(candidates), np.bool_) if column.valid is None else column.valid.copy()
        valid[failed] = False
        column = Column(column.type, column.values, valid)
    return column


def read_features(features: tuple[BoundFeature, ...], candidates: Candidates, context: Context) -> Candidates:
    """The candidates with every feature read."""
    return candidates.with_features(Features.of({each.name: each.read(candidates, context) for each in features}))
