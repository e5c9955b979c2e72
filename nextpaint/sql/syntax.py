"""The syntax tree of expressions and queries: what was written, before names and types are known.

Nodes compare without their places, so two spellings of one expression are equal. No rule of the language lives here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nextpaint.record.types import Type
from nextpaint.sql.plan import At, PatternItem

_NOWHERE = At()


@dataclass(frozen=True, slots=True)
class Ident:
    """One name as written; quoted names keep their case and may be reserved words (so do all others: case matters)."""

    text: str
    at: At = field(default=_NOWHERE, compare=False)


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Name:
    """`a`, `t.a`, `t.row.field`."""

    parts: tuple[Ident, ...]
    at: At = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return ".".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Star:
    qualifier: Name | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    text: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class String:
    text: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Hex:
    """`x'4869'`: bytes."""

    text: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE, FALSE, UNKNOWN and NULL (both None)."""

    value: bool | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TimeLiteral:
    """`DATE '...'`, `TIME '...'`, `TIMESTAMP '...'`."""

    kind: str
    text: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class IntervalLiteral:
    """`amount`: milliseconds, or months when `months`."""

    amount: int
    months: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`operator`: `-`, `+`, `NOT`."""

    operator: str
    operand: Expression
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`operator`: AND OR = <> < <= > >= + - * / % ||."""

    operator: str
    left: Expression
    right: Expression
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Is:
    """`what`: NULL TRUE FALSE UNKNOWN, JSON kinds as `JSON VALUE`."""

    operand: Expression
    what: str
    negated: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class IsDistinct:
    left: Expression
    right: Expression
    negated: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class InList:
    operand: Expression
    items: tuple[Expression, ...]
    negated: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Between:
    operand: Expression
    low: Expression
    high: Expression
    negated: bool
    at: At = field(default=_NOWHERE, compare=False)
    symmetric: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    operand: Expression
    pattern: Expression
    escape: Expression | None
    negated: bool
    at: At = field(default=_NOWHERE, compare=False)
    similar: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    operand: Expression | None
    whens: tuple[tuple[Expression, Expression], ...]
    default: Expression | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Cast:
    operand: Expression
    type: Type
    safe: bool
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Item:
    """`a[i]`, `m[k]`."""

    operand: Expression
    key: Expression
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class FieldOf:
    """`.name` after something that is not a plain name."""

    operand: Expression
    name: Ident
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """`unit`: RANGE or ROWS; `preceding`: None = UNBOUNDED."""

    unit: str
    preceding: Expression | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Over:
    """`base`: the name of a WINDOW clause entry."""

    base: Ident | None
    partition: tuple[Expression, ...]
    order: tuple[OrderItem, ...]
    frame: Frame | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function call. `options` are the words of its special syntax (unit, side, JSON clauses), already checked."""

    name: str
    args: tuple[Expression, ...]
    options: tuple[tuple[str, str | bool | Expression | Type], ...] = ()
    star: bool = False
    distinct: bool = False
    filter: Expression | None = None
    over: Over | None = None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Subquery:
    """A query where a value is expected. `form`: `IN` (of `operand`), `EXISTS`, `value`, or `ANY` and `ALL`, which
    compare `operand` by `operator`."""

    form: str
    query: Query
    operand: Expression | None = None
    negated: bool = False
    at: At = field(default=_NOWHERE, compare=False)
    operator: str = ""


Expression = (
    Name
    | Star
    | Number
    | String
    | Hex
    | Constant
    | TimeLiteral
    | IntervalLiteral
    | Unary
    | Binary
    | Is
    | IsDistinct
    | InList
    | Between
    | Like
    | Case
    | Cast
    | Item
    | FieldOf
    | Call
    | Subquery
)


@dataclass(frozen=True, slots=True)
class OrderItem:
    expression: Expression
    descending: bool = False
    nulls_first: bool = True
    at: At = field(default=_NOWHERE, compare=False)


def walk(node: object) -> Iterator[Call | Name]:
    """Every call and name in an expression, outer ones first. Does not enter the windows of OVER nor
    subqueries."""
    if isinstance(node, Call | Name):
        yield node
    if isinstance(node, Over | At | Type | Query):
        return
    if isinstance(node, tuple):
        for each in node:
            yield from walk(each)
    elif hasattr(node, "__dataclass_fields__"):
        for each in fields(node):  # type: ignore[arg-type]
            yield from walk(getattr(node, each.name))


def subqueries(node: object) -> Iterator[Subquery]:
    """The subqueries of an expression, inner operands first. Does not enter queries nor the windows of OVER."""
    if isinstance(node, Over | At | Type | Query):
        return
    if isinstance(node, tuple):
        for each in node:
            yield from subqueries(each)
    elif hasattr(node, "__dataclass_fields__"):
        for each in fields(node):  # type: ignore[arg-type]
            yield from subqueries(getattr(node, each.name))
    if isinstance(node, Subquery):
        yield node


def replaced(node: Any, meant: Mapping[str, Expression]) -> Any:
    """An expression with plain names replaced by expressions. Does not enter the windows of OVER."""
    if isinstance(node, Name) and len(node.parts) == 1:
        return meant.get(node.parts[0].text, node)
    if isinstance(node, Over | At | Type):
        return node
    if isinstance(node, tuple):
        return tuple(replaced(each, meant) for each in node)
    if hasattr(node, "__dataclass_fields__"):
        return replace(node, **{each.name: replaced(getattr(node, each.name), meant) for each in fields(node)})
    return node


# ---------------------------------------------------------------- queries


@dataclass(frozen=True, slots=True)
class SelectItem:
    expression: Expression
    alias: Ident | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Option:
    """`'key' = 'value'` of an OPTIONS hint."""

    key: str
    value: str
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TableName:
    """`t [/*+ OPTIONS(...) */] [FOR SYSTEM_TIME AS OF x] [AS a [(c, ...)]]`."""

    name: Ident
    alias: Ident | None = None
    columns: tuple[Ident, ...] = ()
    as_of: Expression | None = None
    at: At = field(default=_NOWHERE, compare=False)
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived:
    """`(SELECT ...) AS a [(c, ...)]`."""

    query: Query
    alias: Ident | None = None
    columns: tuple[Ident, ...] = ()
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class WindowTable:
    """`TUMBLE(TABLE t [PARTITION BY k], DESCRIPTOR(ts), INTERVAL ...)`; `sizes` in the order of the function."""

    function: str
    source: TableName | Derived
    partition: tuple[Expression, ...]
    time: Name
    sizes: tuple[tuple[str, Expression], ...]
    alias: Ident | None = None
    at: At = field(default=_NOWHERE, compare=False)
    columns: tuple[Ident, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """`TO_CHANGELOG(TABLE t [, op => DESCRIPTOR(op)] [, op_mapping => MAP[kinds, word, ...]]) [AS a]`; FROM_CHANGELOG,
    which is `back`, has `MAP[words, kind, ...]`. `mapping`: (kind of change, word for it); None: each by its name."""

    source: TableName
    alias: Ident | None = None
    at: At = field(default=_NOWHERE, compare=False)
    op: Ident | None = None
    mapping: tuple[tuple[str, str], ...] | None = None
    back: bool = False


@dataclass(frozen=True, slots=True)
class Expansion:
    """`UNNEST(x) [WITH ORDINALITY] AS a (c, ...)` or `LATERAL TABLE(f(...)) AS a (c, ...)`."""

    function: str
    args: tuple[Expression, ...]
    ordinality: bool = False
    alias: Ident | None = None
    columns: tuple[Ident, ...] = ()
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class MatchRecognize:
    """`skip`: (PAST, NEXT, FIRST or LAST, variable)."""

    source: TableName | Derived
    partition: tuple[Expression, ...]
    order: tuple[OrderItem, ...]
    measures: tuple[tuple[Expression, Ident], ...]
    skip: tuple[str, Ident | None]
    pattern: tuple[PatternItem, ...]
    within: Expression | None
    defines: tuple[tuple[Ident, Expression], ...]
    alias: Ident | None = None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """`kind`: INNER LEFT RIGHT FULL. `on` is None for CROSS JOIN and between commas. `using`: the columns of USING;
    `natural`: all columns that both sides have."""

    left: Source
    right: Source
    kind: str
    on: Expression | None
    at: At = field(default=_NOWHERE, compare=False)
    using: tuple[Ident, ...] = ()
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Lateral:
    """`LATERAL (SELECT ...) AS a [(c, ...)]`: its query may name columns of the tables before it."""

    query: Query
    alias: Ident | None = None
    columns: tuple[Ident, ...] = ()
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TopOfEach:
    """A join with LATERAL (SELECT ... ORDER BY ... LIMIT n)."""

    left: Source
    right: Lateral
    kind: str
    on: Expression | None
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Prediction:
    """`ML_PREDICT(TABLE t, MODEL m, DESCRIPTOR(c, ...)) [AS a]`."""

    source: TableName
    model: Ident
    columns: tuple[Ident, ...]
    alias: Ident | None = None
    at: At = field(default=_NOWHERE, compare=False)


Source = (
    TableName | Derived | WindowTable | ChangeLog | Expansion | MatchRecognize | Prediction | Join | Lateral | TopOfEach
)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Of STATE_TTL: how long what is remembered of a table of FROM is kept, ms; 0 = for ever."""

    table: str
    ttl_ms: int
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """`group`: all that GROUP BY names; `sets`: the sets of it that GROUPING SETS, ROLLUP and CUBE make, in order.
    `lifetimes`: what a STATE_TTL hint says."""

    items: tuple[SelectItem, ...]
    source: Source | None
    where: Expression | None
    group: tuple[Expression, ...]
    having: Expression | None
    windows: tuple[tuple[Ident, Over], ...]
    at: At = field(default=_NOWHERE, compare=False)
    qualify: Expression | None = None
    distinct: bool = False
    sets: tuple[tuple[Expression, ...], ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()


@dataclass(frozen=True, slots=True)
class ValueRows:
    """`VALUES (a, b), (c, d)`."""

    rows: tuple[tuple[Expression, ...], ...]
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class UnionAll:
    inputs: tuple[Query, ...]
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class SetOperation:
    """`kind`: UNION (without ALL), INTERSECT, EXCEPT. Two inputs."""

    kind: str
    all: bool
    inputs: tuple[Query, ...]
    at: At = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """`[WITH ...] body [ORDER BY ...] [LIMIT n] [OFFSET n]`."""

    body: Select | ValueRows | UnionAll | SetOperation
    ctes: tuple[tuple[Ident, tuple[Ident, ...], Query], ...] = ()
    order: tuple[OrderItem, ...] = ()
    limit: int | None = None
    at: At = field(default=_NOWHERE, compare=False)
    offset: int = 0

    @property
    def is_plain(self) -> bool:
        """A body and nothing else."""
        return not (self.ctes or self.order or self.offset) and self.limit is None
