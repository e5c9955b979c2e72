"""FROM: tables, subqueries, window table functions and event-time temporal joins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nextpaint.record.types import INTEGERS, Field, Kind
from nextpaint.sql import aggregates, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog, named, unique_names
from nextpaint.sql.plan import (
    At,
    Call,
    Changes,
    ColumnRef,
    Expr,
    Node,
    Project,
    Scan,
    Schema,
    TemporalJoin,
    Window,
    WindowKind,
)
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import PendingWindow, Relation, windowed_scope
from nextpaint.sql.scope import Scope

PlanQuery = Callable[["Environment", syntax.Query], Node]


@dataclass(frozen=True, slots=True)
class Environment:
    """The catalog, the WITH queries in sight, and the planner of subqueries."""

    catalog: Catalog
    ctes: Mapping[str, Node]
    plan_query: PlanQuery

    def node(self, name: syntax.Ident) -> Node:
        found = self.ctes.get(name.text)
        return found if found is not None else self.catalog.node(name)


def plan_source(env: Environment, source: syntax.Source) -> Relation:
    """The relation a FROM clause describes."""
    match source:
        case syntax.TableName():
            return _table(env, source)
        case syntax.Derived():
            return _derived(env, source)
        case syntax.WindowTable():
            return _window_table(env, source)
        case syntax.Join():
            return _temporal_join(env, source)


def _table(env: Environment, source: syntax.TableName) -> Relation:
    if source.as_of is not None:
        raise Refusal(
            "FOR SYSTEM_TIME AS OF needs a left side to take the time from", source.at, "l LEFT JOIN t FOR ..."
        )
    node = env.node(source.name)
    if source.columns:
        node = named(node, source.columns, source.alias or source.name)
    return Relation(node, Scope.of(node.schema, (source.alias or source.name).text))


def _derived(env: Environment, source: syntax.Derived) -> Relation:
    node = unique_names(env.plan_query(env, source.query), source.at)
    alias = source.alias or syntax.Ident("", source.at)
    if source.columns:
        node = named(node, source.columns, alias)
    return Relation(node, Scope.of(node.schema, alias.text))


# ---------------------------------------------------------------- window table functions


def _window_table(env: Environment, source: syntax.WindowTable) -> Relation:
    inner = plan_source(env, source.source)
    schema = inner.node.schema
    if env.catalog.live:
        raise Refusal(f"{source.function} over a live table is not supported", source.at, "query the table it fills")
    if schema.changes is not Changes.APPEND:
        raise Refusal(
            f"{source.function} needs rows that are not updated later",
            source.at,
            "window the stream that feeds the table",
        )
    binder = Binder(inner.scope)
    time = binder.value(source.time)
    if not isinstance(time, ColumnRef) or time.index != schema.rowtime:
        has = f"its time attribute is {schema.fields[schema.rowtime].name}" if schema.rowtime is not None else ""
        raise Refusal(
            f"{source.time} is not a time attribute of this table", source.time.at, has or "declare WATERMARK FOR on it"
        )
    _check_zone(env, time, source.at)
    window = _window(source, binder)
    partition = tuple(binder.value(each) for each in source.partition)
    name = source.source.name.text if isinstance(source.source, syntax.TableName) else ""
    qualifier = source.alias.text if source.alias is not None else name
    pending = PendingWindow(source.function, window, time.index, partition, len(schema.fields), source.at)
    for each in schema.fields:
        if each.name in ("window_start", "window_end", "window_time"):
            raise Refusal(f"the table has a column {each.name} already", source.at, "rename it in a subquery")
    return Relation(inner.node, windowed_scope(schema, qualifier), pending)


def _check_zone(env: Environment, time: ColumnRef, at: At) -> None:
    zone = env.catalog.settings.get("table.local-time-zone", "UTC")
    if time.type.kind is Kind.TIMESTAMP_LTZ and zone.upper() not in ("UTC", "Z", "GMT", "ETC/UTC"):
        raise Refusal(
            f"windows over TIMESTAMP_LTZ in the zone {zone} are not supported yet",
            at,
            "set 'table.local-time-zone' to 'UTC' or use a TIMESTAMP(3) time column",
        )


def _window(source: syntax.WindowTable, binder: Binder) -> Window:
    usage = f"{source.function}(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, ...)"
    sizes: dict[str, int] = {}
    places: dict[str, At] = {}
    for name, node in source.sizes:
        value = binder.value(node)
        places[name] = value.at
        if name == "OFFSET":
            sizes[name] = _offset(value)
        else:
            sizes[name] = aggregates.positive_ms(value, f"the {name.lower()}", usage)
    offset = sizes.get("OFFSET", 0)
    match source.function:
        case "TUMBLE":
            return Window(WindowKind.TUMBLE, sizes["SIZE"], 0, offset)
        case "HOP":
            if sizes["SIZE"] % sizes["SLIDE"]:
                raise Refusal(
                    f"HOP's size ({sizes['SIZE']} ms) is not a multiple of its slide ({sizes['SLIDE']} ms)",
                    places["SLIDE"],
                    "the slide comes first, then the size",
                )
            return Window(WindowKind.HOP, sizes["SIZE"], sizes["SLIDE"], offset)
        case "CUMULATE":
            if sizes["SIZE"] % sizes["STEP"]:
                raise Refusal(
                    f"CUMULATE's size ({sizes['SIZE']} ms) is not a multiple of its step ({sizes['STEP']} ms)",
                    places["STEP"],
                    "the step comes first, then the size",
                )
            return Window(WindowKind.CUMULATE, sizes["SIZE"], sizes["STEP"], offset)
        case _:
            return Window(WindowKind.SESSION, sizes["GAP"])


def _offset(value: Expr) -> int:
    held = getattr(value, "value", None)
    if value.type.kind is not Kind.INTERVAL_DAY or not isinstance(held, int):
        raise Refusal("the offset must be a constant interval", value.at)
    return held


# ---------------------------------------------------------------- temporal joins


def _temporal_join(env: Environment, join: syntax.Join) -> Relation:
    if env.catalog.live:
        raise Refusal(
            "joins in a query over live tables are not supported yet",
            join.at,
            "INSERT the join into a table and query it",
        )
    left = plan_source(env, join.left)
    table = join.right
    if not isinstance(table, syntax.TableName) or table.as_of is None or join.on is None:
        raise Refusal("regular joins are not supported yet", join.at, "use FOR SYSTEM_TIME AS OF l.ts")
    if left.window is not None:
        raise Refusal("a join of a window table function is not supported yet", join.at, "aggregate the window first")
    if left.node.schema.changes is not Changes.APPEND:
        raise Refusal(
            "the left side of a temporal join must not be updated later", join.at, "join the stream of events"
        )
    right = _table(env, replace(table, as_of=None))
    right_time = _check_versioned(right.node, table)
    left_time = _as_of(left, table)
    if right.node.schema.fields[right_time].type.kind is not left.node.schema.fields[left_time].type.kind:
        raise Refusal(
            "both sides of a temporal join need the same kind of time", join.at, "TIMESTAMP(3) or TIMESTAMP_LTZ(3)"
        )
    count = len(left.node.schema.fields)
    qualifier = (table.alias or table.name).text
    if qualifier in left.scope.qualifiers:
        raise Refusal(f"two tables are named {qualifier}", join.at, "give one an alias with AS")
    scope = left.scope.joined(Scope.of(right.node.schema, qualifier, count))
    condition = Binder(scope).condition(join.on, "ON")
    keys, residual = _split(condition, count)
    right_keys = right.node.schema.key
    missing = [right.node.schema.fields[index].name for index in right_keys if index not in keys]
    if missing:
        raise Refusal(
            f"a temporal join needs the whole PRIMARY KEY of {table.name.text}: {', '.join(missing)}",
            join.on.at,
            " AND ".join(f"l.{name} = {qualifier}.{name}" for name in missing),
        )
    outer = join.kind == "LEFT"
    extra = tuple(Field(each.name, each.type, each.nullable or outer) for each in right.node.schema.fields)
    schema = Schema((*left.node.schema.fields, *extra), left.node.schema.rowtime, (), Changes.APPEND)
    node = TemporalJoin(
        schema,
        left.node,
        right.node,
        tuple(keys[index] for index in right_keys),
        right_keys,
        left_time,
        right_time,
        outer,
        residual,
        join.at,
    )
    return Relation(node, scope)


def _check_versioned(node: Node, table: syntax.TableName) -> int:
    """The time column of a versioned table."""
    name = table.name.text
    plain = node
    while isinstance(plain, Project):
        plain = plain.input
    if not isinstance(plain, Scan) or not node.schema.key:
        raise Refusal(
            f"{name} is not a versioned table: it has no PRIMARY KEY", table.at, "PRIMARY KEY (...) NOT ENFORCED"
        )
    if node.schema.rowtime is None:
        raise Refusal(f"{name} is not a versioned table: it has no event time", table.at, "declare WATERMARK FOR on it")
    return node.schema.rowtime


def _as_of(left: Relation, table: syntax.TableName) -> int:
    assert table.as_of is not None
    time = Binder(left.scope).value(table.as_of)
    rowtime = left.node.schema.rowtime
    if isinstance(time, ColumnRef) and time.index == rowtime:
        return time.index
    if rowtime is None:
        cure = "declare WATERMARK FOR on the left table and keep that column in the views between"
    else:
        cure = f"the left side's time attribute is {left.node.schema.fields[rowtime].name}"
    raise Refusal("FOR SYSTEM_TIME AS OF takes the left side's time attribute", table.as_of.at, cure)


def _split(condition: Expr, left_count: int) -> tuple[dict[int, int], Expr | None]:
    """`right key -> left column` of the equalities between plain columns, and the rest of the condition."""
    keys: dict[int, int] = {}
    rest: list[Expr] = []
    for each in _conjuncts(condition):
        pair = _key_pair(each, left_count)
        if pair is None or pair[1] in keys:
            rest.append(each)
        else:
            keys[pair[1]] = pair[0]
    residual: Expr | None = None
    for each in rest:
        residual = each if residual is None else Call(each.type, "AND", (residual, each), at=residual.at)
    return keys, residual


def _conjuncts(condition: Expr) -> list[Expr]:
    if isinstance(condition, Call) and condition.function == "AND":
        return [part for side in condition.args for part in _conjuncts(side)]
    return [condition]


def _key_pair(each: Expr, left_count: int) -> tuple[int, int] | None:
    if not isinstance(each, Call) or each.function != "=":
        return None
    first, second = each.args
    if not isinstance(first, ColumnRef) or not isinstance(second, ColumnRef):
        return None
    if first.type.kind is not second.type.kind and not {first.type.kind, second.type.kind} <= set(INTEGERS):
        return None
    low, high = sorted((first.index, second.index))
    if low < left_count <= high:
        return low, high - left_count
    return None
