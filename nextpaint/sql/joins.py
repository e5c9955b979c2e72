"""Joins of a FROM clause: from a chain of tables with ON and WHERE to nodes.

The chain is bound from left to right, so that every ON sees the tables before it. Then each condition goes as far down
as it may: an inner join takes the conjuncts of WHERE into its own condition (that is how `FROM a, b WHERE a.k = b.k` is
an equi join), and a side takes those that only it is asked for. A padded side whose columns WHERE wants to be there is
not padded at all, as in Flink. What a condition's shape makes of a join is decided in `joined`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nextpaint.record.types import BOOLEAN, Field
from nextpaint.sql import syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.interval_joins import Interval, interval_of
from nextpaint.sql.join_conditions import (
    conjunction,
    conjuncts,
    equalities,
    reads_only,
    rejects_nulls,
)
from nextpaint.sql.join_keys import moved, with_columns, without_columns
from nextpaint.sql.laterals import lateral
from nextpaint.sql.plan import (
    At,
    Changes,
    Expr,
    IntervalJoin,
    Join,
    JoinKind,
    Literal,
    Node,
    Project,
    Schema,
    Window,
    Windowed,
    WindowJoin,
    shifted,
)
from nextpaint.sql.ranks import bounded
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, with_window
from nextpaint.sql.scope import Scope
from nextpaint.sql.table_functions import expand, expansion
from nextpaint.sql.temporal_joins import temporal_join
from nextpaint.sql.using import shared_columns
from nextpaint.sql.window_joins import Keys, SameWindow, window_of

PlanSide = Callable[[syntax.Source], Relation]
Lifetimes = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Step:
    """One join of the chain. `width`: columns before its right side; `on`: conjuncts over all columns so far."""

    right: Relation
    kind: JoinKind
    on: list[Expr]
    width: int
    source: syntax.Join
    args: tuple[Expr, ...] = ()  # of an expansion, over all columns before it
    ttl_ms: tuple[int | None, int | None] = (None, None)


def plan_joins(
    plan_side: PlanSide,
    join: syntax.Join,
    where: syntax.Expression | None,
    lifetimes: Lifetimes,
    *,
    live: bool,
) -> Relation:
    """The relation of a chain of joins with the WHERE above it applied. `lifetimes`: how long what is remembered of a
    table is kept, where a hint says so. `live`: over the content of tables."""
    chain = _chain(join)
    first = with_window(plan_side(chain[0].left))
    scope, steps = first.scope, list[_Step]()
    for each in chain:
        args: tuple[Expr, ...] = ()
        ties: list[Expr] = []
        if isinstance(each.right, syntax.Expansion):
            _check_expansion(each)
            right, args = expansion(each.right, scope)
        elif isinstance(each.right, syntax.Lateral):
            right, ties = lateral(plan_side, scope, each.right, each)
        else:
            right = _right(plan_side, each, scope)
        if live and _as_of(each) is not None:
            raise Refusal(
                "FOR SYSTEM_TIME AS OF has no meaning over live tables: they are read as they are",
                each.at,
                "leave it out, or INSERT the join into a table and query that",
            )
        width = scope.width
        if each.using or each.natural:
            on, scope = shared_columns(each, scope, right.scope.shifted(width))
        else:
            scope = scope.joined(right.scope.shifted(width))
            on = [*ties, *(conjuncts(Binder(scope).condition(each.on, "ON")) if each.on is not None else [])]
        if each.kind in ("RIGHT", "FULL"):
            _check_computed(steps, each)
        ttl_ms = (_lifetime(first, lifetimes) if not steps else None, _lifetime(right, lifetimes))
        steps.append(_Step(right, JoinKind(each.kind), on, width, each, args, ttl_ms))
    wanted = conjuncts(Binder(scope).condition(where, "WHERE")) if where is not None else []
    return Relation(_built(first, steps, wanted), scope)


def _check_computed(steps: Sequence[_Step], join: syntax.Join) -> None:
    """Refuse to pad what LATERAL computes: over a padded row it would have a value."""
    for step in steps:
        computed = any(each.computed is not None for each in step.right.scope.columns)
        if computed and isinstance(step.source.right, syntax.Lateral):
            cure = "FROM (SELECT .. FROM a, LATERAL (..) AS b) AS c"
            raise Refusal(f"{join.kind} JOIN after a LATERAL that computes", join.at, cure)


def _lifetime(side: Relation, lifetimes: Lifetimes) -> int | None:
    """What a hint says of the one table that a side is."""
    return next((lifetimes[each] for each in side.scope.qualifiers if each in lifetimes), None)


def _lasting(node: Node, ttl_ms: tuple[int | None, int | None]) -> Node:
    """The node with the time to live of its regular join's sides; other joins forget by the watermark."""
    if isinstance(node, Project):
        return replace(node, input=_lasting(node.input, ttl_ms))
    return replace(node, ttl_ms=ttl_ms) if isinstance(node, Join) else node


def _chain(join: syntax.Join) -> list[syntax.Join]:
    found = [join]
    while isinstance(found[-1].left, syntax.Join):
        found.append(found[-1].left)
    return found[::-1]


def _right(plan_side: PlanSide, join: syntax.Join, scope: Scope) -> Relation:
    right = join.right
    relation = with_window(plan_side(replace(right, as_of=None) if isinstance(right, syntax.TableName) else right))
    for each in relation.scope.qualifiers:
        if each and each in scope.qualifiers:
            raise Refusal(f"two tables are named {each}", join.at, "give one an alias with AS")
    if _as_of(join) is not None and join.kind not in ("INNER", "LEFT"):
        raise Refusal(
            f"{join.kind} JOIN with FOR SYSTEM_TIME AS OF", join.at, "only INNER and LEFT JOIN look up a version"
        )
    return relation


def _check_expansion(join: syntax.Join) -> None:
    if join.kind not in ("INNER", "LEFT"):
        raise Refusal(f"{join.kind} JOIN of a table made from the left row", join.at, "use CROSS JOIN or LEFT JOIN")


def _as_of(join: syntax.Join) -> syntax.Expression | None:
    return join.right.as_of if isinstance(join.right, syntax.TableName) else None


# ---------------------------------------------------------------- conditions to their places


def _built(first: Relation, steps: Sequence[_Step], wanted: Sequence[Expr]) -> Node:
    """The node of the first `len(steps)` joins, with `wanted` holding for its rows."""
    if not steps:
        return _bounded(first.node, wanted)
    step = steps[-1]
    width, last = step.width, step.width + step.right.scope.width
    kind = _narrowed(step.kind, wanted, width, last)
    if isinstance(step.source.right, syntax.Expansion):
        return _expanded(first, steps, wanted)
    as_of = _as_of(step.source)
    before: list[Expr] = []  # for the left side
    inside: list[Expr] = []  # the join's own condition
    beside: list[Expr] = []  # for the right side, over its own columns
    above: list[Expr] = []
    for each in wanted:
        if reads_only(each, 0, width) and not kind.pads_right:
            before.append(each)
        elif as_of is None and not kind.pads_left and reads_only(each, width, last):
            beside.append(shifted(each, -width))
        elif as_of is None and kind is JoinKind.INNER:
            inside.append(each)
        else:
            above.append(each)
    for each in step.on:
        if as_of is None and not kind.pads_left and reads_only(each, 0, width):
            before.append(each)
        elif as_of is None and not kind.pads_right and reads_only(each, width, last):
            beside.append(shifted(each, -width))
        else:
            inside.append(each)
    left = _built(first, steps[:-1], before)
    if as_of is not None:
        node: Node = temporal_join(left, _scope(first, steps[:-1]), step.right.node, inside, step.source)
    else:
        node = joined(left, _bounded(step.right.node, beside), kind, inside, step.source.at)
        node = _lasting(node, step.ttl_ms)
    return _bounded(node, above)


def _expanded(first: Relation, steps: Sequence[_Step], wanted: Sequence[Expr]) -> Node:
    """The node of a chain that ends with an expansion."""
    step = steps[-1]
    on = [each for each in step.on if each != Literal(BOOLEAN, True)]
    if not step.kind.pads_left:
        wanted, on = [*wanted, *on], []
    before = [each for each in wanted if reads_only(each, 0, step.width)]
    after = [each for each in wanted if each not in before]
    left = _built(first, steps[:-1], before)
    source = step.source.right
    assert isinstance(source, syntax.Expansion)
    outer, residual = step.source.kind == "LEFT", conjunction(on)
    return _bounded(expand(left, source, step.right, step.args, outer=outer, residual=residual), after)


def _scope(first: Relation, steps: Sequence[_Step]) -> Scope:
    scope = first.scope
    for each in steps:
        scope = scope.joined(each.right.scope.shifted(each.width))
    return scope


def _narrowed(kind: JoinKind, wanted: Sequence[Expr], width: int, last: int) -> JoinKind:
    """The join without the padding that no row would survive."""
    left_wanted = any(rejects_nulls(each, 0, width) for each in wanted)
    right_wanted = any(rejects_nulls(each, width, last) for each in wanted)
    pads_left = kind.pads_left and not right_wanted
    pads_right = kind.pads_right and not left_wanted
    if pads_left and pads_right:
        return JoinKind.FULL
    return JoinKind.LEFT if pads_left else JoinKind.RIGHT if pads_right else JoinKind.INNER


def _bounded(node: Node, parts: Sequence[Expr]) -> Node:
    condition = conjunction(parts)
    return bounded(node, condition, condition.at) if condition is not None else node


# ---------------------------------------------------------------- the node


def joined(left: Node, right: Node, kind: JoinKind, condition: Sequence[Expr], at: At) -> Node:
    """A join by its condition's conjuncts; keys that are computed become columns first and are dropped after."""
    width, right_width = len(left.schema.fields), len(right.schema.fields)
    interval = None if kind.left_only else interval_of(condition, left.schema, right.schema)
    pairs, rest = equalities(condition if interval is None else interval.rest, width)
    left, left_keys = with_columns(left, [each.left for each in pairs])
    right, right_keys = with_columns(right, [each.right for each in pairs])
    wide = len(left.schema.fields)
    residual = conjunction([moved(each, width, wide - width) for each in rest])
    nulls = tuple(each.nulls for each in pairs)
    keys = (tuple(left_keys), tuple(right_keys), nulls)
    window = window_of(left.schema, right.schema, keys) if interval is None else None
    if window is not None:
        node = _window_join(left, right, kind, window, (residual, at))
    elif interval is not None:
        node = _interval_join(left, right, kind, keys, (interval, residual, at))
    else:
        node = _regular(left, right, kind, keys, (residual, at))
    return without_columns(node, (width, wide), 0 if kind.left_only else right_width)


def _regular(left: Node, right: Node, kind: JoinKind, keys: Keys, more: tuple[Expr | None, At]) -> Node:
    residual, at = more
    return Join(_schema(left.schema, right.schema, kind, keys), left, right, kind, *keys, residual, at=at)


def _interval_join(left: Node, right: Node, kind: JoinKind, keys: Keys, more: tuple[Interval, Expr | None, At]) -> Node:
    interval, residual, at = more
    for side in (left, right):
        if side.schema.changes is not Changes.APPEND:
            raise Refusal(
                "a join on event times needs rows that are not updated later",
                at,
                "CAST one of the times AS TIMESTAMP(3) for a regular join, or use FOR SYSTEM_TIME AS OF",
            )
    if any(keys[2]):
        raise Refusal("IS NOT DISTINCT FROM in a join on event times is not supported", at, "use =")
    width = len(left.schema.fields)
    times = [] if kind.pads_right else [interval.left_time]
    times += [] if kind.pads_left else [width + interval.right_time]
    schema = Schema(
        _fields(left.schema, right.schema, kind), times[0] if times else None, (), Changes.APPEND, tuple(times[1:])
    )
    bounds = (interval.left_time, interval.right_time, interval.lower, interval.upper)
    return IntervalJoin(schema, left, right, kind, keys[0], keys[1], *bounds, residual, at)


def _window_join(left: Node, right: Node, kind: JoinKind, window: SameWindow, more: tuple[Expr | None, At]) -> Node:
    residual, at = more
    for side in (left, right):
        if side.schema.changes is not Changes.APPEND:
            raise Refusal(
                "a join of windows needs rows that are not updated later", at, "window the stream that feeds them"
            )
    first, second = left.schema.windowed, right.schema.windowed
    assert first is not None and second is not None
    if first.window != second.window:
        raise Refusal(
            f"a join of different windows: {_shown(first.window)} and {_shown(second.window)}",
            at,
            "use the same window function with the same lengths on both sides",
        )
    width = len(left.schema.fields)
    plain = _schema(left.schema, right.schema, kind, window.all_keys)
    times = [] if kind.pads_right else list(left.schema.times)
    windowed = None if kind.pads_right else replace(first, time=None)
    if not kind.left_only and not kind.pads_left:
        times += [width + each for each in right.schema.times]
        windowed = windowed or Windowed(width + second.start, width + second.end, second.window)
    schema = replace(
        plain,
        rowtime=times[0] if times else None,
        more_times=tuple(times[1:]),
        windowed=windowed,
        changes=Changes.APPEND,
    )
    bounds = ((first.start, first.end), (second.start, second.end))
    return WindowJoin(schema, left, right, kind, *window.keys, *bounds, residual, at, first.window.zone)


def _shown(window: Window) -> str:
    lengths = [str(each) for each in (window.step, window.size) if each]
    return f"{window.kind}({', '.join(lengths)} ms)"


def _fields(left: Schema, right: Schema, kind: JoinKind) -> tuple[Field, ...]:
    return (
        *(Field(each.name, each.type, each.nullable or kind.pads_right) for each in left.fields),
        *(Field(each.name, each.type, each.nullable or kind.pads_left) for each in right.fields),
    )


def _schema(left: Schema, right: Schema, kind: JoinKind, keys: Keys) -> Schema:
    appends = left.changes is Changes.APPEND and right.changes is Changes.APPEND
    keeps = kind in (JoinKind.INNER, JoinKind.SEMI)
    changes = Changes.APPEND if appends and keeps else Changes.RETRACT
    if kind.left_only:
        return Schema(left.fields, None, left.key, changes)
    return Schema(_fields(left, right, kind), None, _unique(left, right, kind, keys), changes)


def _unique(left: Schema, right: Schema, kind: JoinKind, keys: Keys) -> tuple[int, ...]:
    """A key of the joined rows: one side's, where the other has at most one row per join key; else both."""
    width = len(left.fields)
    moved = tuple(width + index for index in right.key)
    one_left = bool(left.key) and set(left.key) <= set(keys[0])
    one_right = bool(right.key) and set(right.key) <= set(keys[1])
    if one_right and left.key and not kind.pads_right:
        return left.key
    if one_left and right.key and not kind.pads_left:
        return moved
    return (*left.key, *moved) if left.key and right.key else ()
