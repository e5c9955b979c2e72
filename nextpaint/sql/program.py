"""An application's SQL, checked: its tables, its continuous statements, and what they call.

What a statement does is a plan (sql/plan.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nextpaint.record.types import Field
from nextpaint.sql.plan import At, Expr, Node
from nextpaint.sql.user_functions import InForce


@dataclass(frozen=True, slots=True)
class Watermark:
    """`WATERMARK FOR column AS column - delay`; `column` is an index, `delay_ms` >= 0."""

    column: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table. Without a `connector` option it lives on the node's own backbone.
    `computed`: (column index, expression over the physical and metadata columns); `metadata`: (column index, what of
    the record, cast from its own type, ColumnRef 0)."""

    name: str
    fields: tuple[Field, ...]
    primary_key: tuple[int, ...] = ()
    watermark: Watermark | None = None
    computed: tuple[tuple[int, Expr], ...] = ()
    metadata: tuple[tuple[int, str, Expr], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    at: At = field(default=At(), compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.fields)

    def option(self, name: str, default: str = "") -> str:
        return dict(self.options).get(name, default)

    @property
    def takes_images(self) -> bool:
        """Are its records changes with images before and after, not rows?"""
        return "debezium-json" in (self.option("format"), self.option("value.format"))


@dataclass(frozen=True, slots=True)
class Insert:
    """A continuous statement. `columns[i]` of the target takes output column `i` of `root`; others are NULL.
    `sql` is the canonical text of the statement with views expanded: equal text means the same operator state."""

    target: str
    root: Node
    columns: tuple[int, ...]
    sql: str
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Program:
    """All SQL of an application, checked: tables by name, inserts in dependency order, session settings."""

    tables: dict[str, Table]
    inserts: tuple[Insert, ...]
    settings: dict[str, str]
    views: dict[str, str] = field(default_factory=dict)  # name -> the canonical text of its query
    functions: dict[str, str] = field(default_factory=dict)  # name -> its place, 'module.name'
    models: dict[str, str] = field(default_factory=dict)  # name -> its definition, for display
    code: InForce = field(default_factory=InForce)  # the functions and models themselves
