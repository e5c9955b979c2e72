"""The syntax tree of statements other than queries: what was written, before names and types are known.

As in `syntax`, nodes compare without their places and hold no rule of the language.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nextpaint.record.types import Field, Type
from nextpaint.sql.plan import At
from nextpaint.sql.syntax import Expression, Ident, Option, Query

_NOWHERE = At()


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A physical column (`type`), a computed one (`computed`), or one that a record carries (`type` and `metadata`)."""

    name: Ident
    type: Type | None = None
    not_null: bool = False
    computed: Expression | None = None
    metadata: str = ""
    virtual: bool = False
    comment: str = ""
    at: At = field(default=_NOWHERE, compare=False)

    @property
    def kind(self) -> str:
        """What LIKE calls it."""
        return "GENERATED" if self.computed is not None else "METADATA" if self.metadata else "PHYSICAL"


@dataclass(frozen=True, slots=True)
class Like:
    """`LIKE source [(INCLUDING|EXCLUDING|OVERWRITING part ...)]`; `options`: part -> word."""

    source: Ident
    options: tuple[tuple[str, str], ...]
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Filling:
    """`AS query` of CREATE TABLE. `listed`: the columns `(a, b)` by name alone, which puts the query's in that order;
    `text`: the canonical text of the query."""

    query: Query
    text: str
    listed: tuple[Ident, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateTable:
    """`option_places`: where each key of WITH stands."""

    name: Ident
    columns: tuple[ColumnDefinition, ...]
    watermark: tuple[Ident, Expression] | None
    primary_key: tuple[Ident, ...]
    options: tuple[tuple[str, str], ...]
    if_not_exists: bool
    at: At = field(default=_NOWHERE, compare=False)
    comment: str = ""
    like: Like | None = None
    option_places: tuple[tuple[str, At], ...] = field(default=(), compare=False)
    filling: Filling | None = None


@dataclass(frozen=True, slots=True)
class CreateView:
    """`text`: the canonical text of the query."""

    name: Ident
    columns: tuple[Ident, ...]
    query: Query
    text: str
    if_not_exists: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """`CREATE FUNCTION name AS 'module.attr' LANGUAGE PYTHON`."""

    name: Ident
    target: str
    if_not_exists: bool
    at: At = field(default=_NOWHERE, compare=False)
    target_at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class CreateModel:
    """`CREATE MODEL name INPUT (...) OUTPUT (...) WITH (...)`."""

    name: Ident
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    options: tuple[tuple[str, str], ...]
    if_not_exists: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class InsertInto:
    """`conflict`: NOTHING, ERROR, DEDUPLICATE or empty. `text`: the canonical text of the statement. `partition`: the
    columns that PARTITION gives a value; those it only names are among the query's. `options`: of a hint."""

    target: Ident
    columns: tuple[Ident, ...]
    query: Query
    conflict: str
    text: str
    at: At = field(default=_NOWHERE, compare=False)
    partition: tuple[tuple[Ident, Expression], ...] = ()
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class SetOption:
    """`SET 'key' = 'value'`."""

    key: str
    value: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ResetOption:
    """Takes back what the same file SET above: one key, or all (empty)."""

    key: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class DropIfExists:
    """`DROP ... IF EXISTS x` at the head of a script: nothing to do, since an application is what its files declare."""

    name: Ident
    at: At = field(default=_NOWHERE, compare=False)


Statement = (
    CreateTable | CreateView | CreateFunction | CreateModel | InsertInto | SetOption | ResetOption | DropIfExists
)
