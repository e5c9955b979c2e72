"""The typed logical plan: what the planner hands to the process room.

Expressions refer to the columns of their node's input by index. Every expression and statement keeps where it was
written, so an error at any later stage can name file, line and column.

An aggregate's arguments are input column indices (the planner projects expressions first), a window's and a join's keys
are too: the nodes hold no nested expressions but predicates and projections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nextpaint.record.columns import Value
from nextpaint.record.types import Field, Type


@dataclass(frozen=True, slots=True)
class At:
    """Where something was written; lines and columns count from 1."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Literal:
    type: Type
    value: Value
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class ColumnRef:
    type: Type
    index: int
    name: str
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A scalar function or operator. `function` is the upper-case SQL name; operators are `+ - * / % || = <> < <= >
    >=`, `AND OR NOT`, `IS NULL`, `IS NOT NULL`, `IN` (value, options...), `BETWEEN`, `LIKE`, `CASE` (when, then, ...,
    else), `CAST`, `TRY_CAST` (to `type`), `FIELD` (row, option name), `ITEM` (array or map, key), `ROW`, `ARRAY`.
    `options` are constant settings: `("path", "$.x")`, `("strict", True)`, `("name", "item_id")`, `("unit", "DAY")`.
    """

    type: Type
    function: str
    args: tuple[Expr, ...]
    options: tuple[tuple[str, Value], ...] = ()
    at: At = field(default=At(), compare=False)


Expr = Literal | ColumnRef | Call


def shifted(expr: Expr, by: int) -> Expr:
    """The expression over columns that stand `by` places further right."""
    if isinstance(expr, ColumnRef):
        return ColumnRef(expr.type, expr.index + by, expr.name, expr.at)
    if isinstance(expr, Call):
        return Call(expr.type, expr.function, tuple(shifted(each, by) for each in expr.args), expr.options, expr.at)
    return expr


def columns_of(expr: Expr) -> frozenset[int]:
    """The input columns an expression reads."""
    if isinstance(expr, ColumnRef):
        return frozenset({expr.index})
    return frozenset().union(*map(columns_of, expr.args)) if isinstance(expr, Call) else frozenset()


# ---------------------------------------------------------------- schemas


class Changes(StrEnum):
    """What change rows a node emits."""

    APPEND = "append"  # +I only
    RETRACT = "retract"  # all four; every -U is followed by its +U, unless a filter took one of them


class WindowKind(StrEnum):
    TUMBLE = "TUMBLE"
    HOP = "HOP"
    CUMULATE = "CUMULATE"
    SESSION = "SESSION"


@dataclass(frozen=True, slots=True)
class Window:
    """All lengths in ms. TUMBLE: size. HOP: size, step = slide. CUMULATE: size, step. SESSION: size = gap. `zone`: the
    windows are of wall-clock time there; empty: of the time as it is."""

    kind: WindowKind
    size: int
    step: int = 0
    offset: int = 0
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Windowed:
    """Rows that belong to windows: the columns of their start and end, the window that made them, and the column of
    the event time it was made from, while that is there."""

    start: int
    end: int
    window: Window
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """Output columns of a node. `rowtime`: index of the event-time attribute; `key`: indices of the unique key, if
    any; `more_times`: further event times, as an interval join keeps those of both sides; `proctimes`: processing-time
    attributes; `windowed`: set while each row still carries the window it belongs to."""

    fields: tuple[Field, ...]
    rowtime: int | None = None
    key: tuple[int, ...] = ()
    changes: Changes = Changes.APPEND
    more_times: tuple[int, ...] = ()
    proctimes: tuple[int, ...] = ()
    windowed: Windowed | None = None

    @property
    def times(self) -> tuple[int, ...]:
        """All time attributes."""
        return (*((self.rowtime,) if self.rowtime is not None else ()), *self.more_times)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.fields)

    @property
    def types(self) -> tuple[Type, ...]:
        return tuple(each.type for each in self.fields)

    def index(self, name: str) -> int:
        return self.names.index(name)


# ---------------------------------------------------------------- nodes


@dataclass(frozen=True, slots=True)
class Scan:
    """The change rows of a declared table or of an INSERT target."""

    schema: Schema
    table: str
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Values:
    """Rows of expressions that read no columns. They come once, with the first record, and end there."""

    schema: Schema
    rows: tuple[tuple[Expr, ...], ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Filter:
    schema: Schema
    input: Node
    predicate: Expr
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Project:
    schema: Schema
    input: Node
    exprs: tuple[Expr, ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate call. `function`: COUNT SUM AVG MIN MAX FIRST_VALUE LAST_VALUE DECAYED_SUM DECAYED_COUNT LAST_N.
    `args`: input column indices (empty for COUNT(*)); `filter`: index of a BOOLEAN input column or None;
    `parameter`: the constant of DECAYED_* (half-life, ms) and LAST_N (n). PYTHON is the application's own; `options`
    name its code, or which rank a COUNT of OVER is."""

    function: str
    args: tuple[int, ...]
    type: Type
    distinct: bool = False
    filter: int | None = None
    parameter: int = 0
    at: At = field(default=At(), compare=False)
    options: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class GroupAggregate:
    """Output columns: the keys, then the aggregates. Updating; key = the group keys.
    `ttl_ms`: groups not written for this long are forgotten; 0 = never, None = as the statement's setting says."""

    schema: Schema
    input: Node
    keys: tuple[int, ...]
    aggregates: tuple[Aggregate, ...]
    at: At = field(default=At(), compare=False)
    ttl_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OverAggregate:
    """Output columns: all input columns, then the aggregates. One row out per row in, in event-time order, or, where
    `arrival`, as they come: in order of processing time, which `order` is then. `by_value`: in the order of a column
    that is no time, `order`: a changelog, with an unbounded frame.
    `unit`: "RANGE" (preceding in ms) or "ROWS"; `preceding` None = unbounded. `ttl_ms`: of an order other than event
    time, as that of a GroupAggregate."""

    schema: Schema
    input: Node
    partition: tuple[int, ...]
    order: int
    unit: str
    preceding: int | None
    aggregates: tuple[Aggregate, ...]
    at: At = field(default=At(), compare=False)
    arrival: bool = False
    ttl_ms: int | None = None
    by_value: SortKey | None = None


@dataclass(frozen=True, slots=True)
class WindowAggregate:
    """Output columns: the keys, window_start, window_end, window_time, then the aggregates. Append-only."""

    schema: Schema
    input: Node
    window: Window
    time: int
    keys: tuple[int, ...]
    aggregates: tuple[Aggregate, ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class WindowTable:
    """A window table function by itself: all input columns, then window_start, window_end, window_time; one row per
    window a row belongs to. Append-only. SESSION rows wait until their session has ended; `keys`: its PARTITION BY."""

    schema: Schema
    input: Node
    window: Window
    time: int
    keys: tuple[int, ...] = ()
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class WindowedAggregate:
    """Aggregation of rows that carry their window: one row per window and key, when the watermark passes its end.
    Output columns: the keys, window_start, window_end, window_time, then the aggregates. Append-only."""

    schema: Schema
    input: Node
    start: int
    end: int
    keys: tuple[int, ...]
    aggregates: tuple[Aggregate, ...]
    at: At = field(default=At(), compare=False)
    zone: str = ""


@dataclass(frozen=True, slots=True)
class SortKey:
    index: int
    descending: bool = False
    nulls_first: bool = True


@dataclass(frozen=True, slots=True)
class Rank:
    """ROW_NUMBER by `partition` in the order of `keys`, ties in order of arrival; rows `first` to `last` come out.
    Output columns: all input columns, then the rank (BIGINT). Where `shown` is False nobody reads the rank unless it
    can only be one number: the column holds `last`, and rows that merely shift are not told.
    `last` None: a rank that no filter has bounded yet; it never runs.
    `climbing`: updates only ever move a row up, by the input's key; an update then keeps or betters its place.
    `limit`: the column that holds the last rank of a partition; the first row of the partition says it."""

    schema: Schema
    input: Node
    partition: tuple[int, ...]
    keys: tuple[SortKey, ...]
    first: int = 1
    last: int | None = None
    shown: bool = True
    climbing: bool = False
    at: At = field(default=At(), compare=False)
    ttl_ms: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """The first or last row of each key in the order of its event time, or of arrival where `time` is None.
    Output columns: all input columns, then the rank, which is 1. The first by event time comes when the watermark has
    passed it, and is final; every other kind comes at once. `buries`: of the first by arrival, why a further row of its
    key goes to the dead letters; empty: it is passed over."""

    schema: Schema
    input: Node
    partition: tuple[int, ...]
    time: int | None
    last: bool
    at: At = field(default=At(), compare=False)
    ttl_ms: int | None = None
    buries: str = ""


@dataclass(frozen=True, slots=True)
class Conflicts:
    """ON CONFLICT over rows that are updated and not unique by the target's key, `keys`: of the rows a key has, the
    last one shows (`rule` DEDUPLICATE), or the first (NOTHING, ERROR). `buries`: why ERROR sends a further one to the
    dead letters."""

    schema: Schema
    input: Node
    keys: tuple[int, ...]
    rule: str
    at: At = field(default=At(), compare=False)
    ttl_ms: int | None = None
    buries: str = ""


@dataclass(frozen=True, slots=True)
class WindowRank:
    """ROW_NUMBER within each window, emitted when the watermark passes the window's end. Append-only.
    Output columns: all input columns, then the rank. `late_ties`: of equal rows the later one ranks first."""

    schema: Schema
    input: Node
    start: int
    end: int
    partition: tuple[int, ...]
    keys: tuple[SortKey, ...]
    first: int
    last: int
    late_ties: bool = False
    at: At = field(default=At(), compare=False)
    zone: str = ""


@dataclass(frozen=True, slots=True)
class TemporalJoin:
    """Event-time join of each left row with the version of the right key in force at the left row's time.
    Output columns: all left columns, then all right columns (NULL where nothing matched and `outer`).
    `residual`: a further condition over the joined columns, applied to that one version."""

    schema: Schema
    left: Node
    right: Node
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    left_time: int
    right_time: int
    outer: bool
    residual: Expr | None = None
    at: At = field(default=At(), compare=False)


class JoinKind(StrEnum):
    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"
    SEMI = "SEMI"
    ANTI = "ANTI"

    @property
    def pads_left(self) -> bool:
        """Does a left row without a match come out padded?"""
        return self in (JoinKind.LEFT, JoinKind.FULL)

    @property
    def pads_right(self) -> bool:
        return self in (JoinKind.RIGHT, JoinKind.FULL)

    @property
    def left_only(self) -> bool:
        """Are the output columns those of the left side only?"""
        return self in (JoinKind.SEMI, JoinKind.ANTI)


@dataclass(frozen=True, slots=True)
class LookupJoin:
    """Join of each left row with what the right table holds at the row's position. Append-only; never updated later.
    Output columns: all left columns, then all right columns (NULL where nothing matched and `outer`)."""

    schema: Schema
    left: Node
    right: Node
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    outer: bool
    residual: Expr | None = None
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Join:
    """Regular join: all rows of both sides are kept and joined as they change.
    Output columns: all left columns, then all right columns; of SEMI and ANTI the left ones only.
    `nulls_match[i]`: key i compares with IS NOT DISTINCT FROM. Without keys every pair is a candidate.
    `residual`: a further condition over the left columns followed by the right columns. `ttl_ms`: rows of the left and
    of the right side not written for this long are forgotten; 0 = never, None = as the statement's setting says."""

    schema: Schema
    left: Node
    right: Node
    kind: JoinKind
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    nulls_match: tuple[bool, ...] = ()
    residual: Expr | None = None
    ttl_ms: tuple[int | None, int | None] = (None, None)
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class IntervalJoin:
    """Join of rows whose event times are near: `lower <= left time - right time <= upper`, ms. Append-only.
    Output columns: all left columns, then all right columns; both times stay time attributes unless they are padded."""

    schema: Schema
    left: Node
    right: Node
    kind: JoinKind
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    left_time: int
    right_time: int
    lower: int
    upper: int
    residual: Expr | None = None
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class WindowJoin:
    """Join of rows that belong to the same window, emitted when the watermark passes its end. Append-only.
    `left_window`, `right_window`: the columns of window_start and window_end. Output columns as those of `Join`."""

    schema: Schema
    left: Node
    right: Node
    kind: JoinKind
    left_keys: tuple[int, ...]
    right_keys: tuple[int, ...]
    nulls_match: tuple[bool, ...]
    left_window: tuple[int, int]
    right_window: tuple[int, int]
    residual: Expr | None = None
    at: At = field(default=At(), compare=False)
    zone: str = ""


@dataclass(frozen=True, slots=True)
class PatternItem:
    """A variable with how often it may follow itself; `most` None = without end."""

    variable: str
    least: int
    most: int | None
    greedy: bool
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A value of a match: `arg` on the last (LAST) or first (FIRST) row of a variable, `offset` rows from there; an
    aggregate of `arg` over its rows (COUNT without: of rows); ROWTIME: the time of the match's last row. `variable`
    empty: any."""

    function: str
    variable: str
    arg: Expr | None
    offset: int
    type: Type


@dataclass(frozen=True, slots=True)
class Match:
    """MATCH_RECOGNIZE, one row per match. Output columns: the partition's, then the measures. Append-only.
    `defines` and `measures` are over the values of `places`. `skip`: PAST, NEXT, FIRST or LAST (of `skip_to`).
    `within`: ms that first and last row must be less than apart."""

    schema: Schema
    input: Node
    partition: tuple[int, ...]
    time: int
    order: tuple[SortKey, ...]
    pattern: tuple[PatternItem, ...]
    defines: tuple[tuple[str, Expr], ...]
    places: tuple[Place, ...]
    measures: tuple[Expr, ...]
    skip: str
    skip_to: str
    within: int | None
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Expand:
    """UNNEST or a table function: each row as often as `function` of `args` has rows, its kind kept. PYTHON is the
    application's own; `options` name its code.
    Output columns: all input columns, the function's columns, and its 1-based place where `ordinality`. `residual`: a
    condition over the output columns. `outer`: a row without any comes out once, padded."""

    schema: Schema
    input: Node
    function: str
    args: tuple[Expr, ...]
    ordinality: bool
    outer: bool
    residual: Expr | None = None
    at: At = field(default=At(), compare=False)
    options: tuple[tuple[str, Value], ...] = ()


CHANGE_NAMES = ("INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE")


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """TO_CHANGELOG: each change as a row that only comes. Output columns: what it is (INSERT, UPDATE_BEFORE,
    UPDATE_AFTER, DELETE), then all input columns."""

    schema: Schema
    input: Node
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class RowsAsChanges:
    """FROM_CHANGELOG: each row as the change that the word in its column `op` says. Output columns: the input's others.
    `kinds`: (word, kind of change); a row with another word fails."""

    schema: Schema
    input: Node
    op: int
    kinds: tuple[tuple[str, str], ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class WatermarkColumn:
    """CURRENT_WATERMARK: all input columns, then the watermark each row finds."""

    schema: Schema
    input: Node
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class ArrivalTime:
    """The same rows in order of processing time: `column` holds the ledger's clock and is the time attribute, and the
    watermark follows that clock."""

    schema: Schema
    input: Node
    column: int
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Union:
    """UNION ALL: rows of all inputs merged by seq, then by input order."""

    schema: Schema
    inputs: tuple[Node, ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class SetOperation:
    """INTERSECT or EXCEPT of two inputs with equal types. `all`: rows count as often as they come."""

    schema: Schema
    inputs: tuple[Node, ...]
    intersect: bool
    all: bool
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class TimeSort:
    """ORDER BY of a continuous statement: the first key is the event time, ascending. Append-only."""

    schema: Schema
    input: Node
    keys: tuple[SortKey, ...]
    at: At = field(default=At(), compare=False)


@dataclass(frozen=True, slots=True)
class Sort:
    """ORDER BY, LIMIT and OFFSET of a query over live tables; never part of a continuous statement."""

    schema: Schema
    input: Node
    keys: tuple[SortKey, ...]
    limit: int | None = None
    at: At = field(default=At(), compare=False)
    offset: int = 0


Node = (
    Scan
    | Values
    | Filter
    | Project
    | GroupAggregate
    | OverAggregate
    | WindowAggregate
    | WindowTable
    | WindowedAggregate
    | Rank
    | Deduplicate
    | Conflicts
    | WindowRank
    | TemporalJoin
    | Join
    | IntervalJoin
    | LookupJoin
    | WindowJoin
    | Expand
    | ChangeLog
    | RowsAsChanges
    | WatermarkColumn
    | ArrivalTime
    | Match
    | Union
    | SetOperation
    | TimeSort
    | Sort
)


def inputs_of(node: Node) -> tuple[Node, ...]:
    """The nodes a node reads, left before right."""
    match node:
        case Scan() | Values():
            return ()
        case TemporalJoin() | LookupJoin() | Join() | IntervalJoin() | WindowJoin():
            return (node.left, node.right)
        case Union() | SetOperation():
            return node.inputs
    return (node.input,)
