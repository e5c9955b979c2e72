"""FROM: tables, subqueries and window table functions; `joins` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from types import MappingProxyType

from nextpaint.record.types import BOOLEAN, STRING, Field, Kind
from nextpaint.sql import aggregates, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog, named, unique_names
from nextpaint.sql.joins import plan_joins
from nextpaint.sql.laterals import top_of_each
from nextpaint.sql.matches import plan_match
from nextpaint.sql.option_hints import check_option_hints
from nextpaint.sql.plan import (
    CHANGE_NAMES,
    At,
    Call,
    ChangeLog,
    Changes,
    ColumnRef,
    Expr,
    Literal,
    Node,
    RowsAsChanges,
    Schema,
    Values,
    Window,
    WindowKind,
)
from nextpaint.sql.predictions import prediction
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import (
    PendingWindow,
    Relation,
    by_arrival,
    filtered,
    led_by,
    projected,
    windowed_scope,
    with_window,
)
from nextpaint.sql.scope import Scope
from nextpaint.sql.table_functions import expand, expansion

NO_HINTS: Mapping[str, int] = MappingProxyType({})

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


def plan_source(
    env: Environment,
    source: syntax.Source,
    where: syntax.Expression | None = None,
    lifetimes: Mapping[str, int] = NO_HINTS,
) -> Relation:
    """The relation a FROM clause describes; a chain of joins has its WHERE applied already."""
    match source:
        case syntax.TableName():
            return _table(env, source)
        case syntax.Derived():
            return _derived(env, source)
        case syntax.WindowTable():
            return _window_table(env, source)
        case syntax.Prediction():
            return prediction(partial(plan_source, env), source)
        case syntax.ChangeLog():
            return _changelog(env, source)
        case syntax.Expansion():
            return _constant_expansion(source)
        case syntax.MatchRecognize():
            return plan_match(with_window(plan_source(env, source.source)), source, live=env.catalog.live)
        case syntax.Lateral():
            raise Refusal("nothing stands before LATERAL", source.at, "leave the word LATERAL out")
        case syntax.TopOfEach():
            return top_of_each(partial(env.plan_query, env), env.catalog.table, source)
        case syntax.Join():
            return plan_joins(partial(plan_source, env), source, where, lifetimes, live=env.catalog.live)


def _table(env: Environment, source: syntax.TableName) -> Relation:
    if source.as_of is not None:
        raise Refusal(
            "FOR SYSTEM_TIME AS OF needs a left side to take the time from", source.at, "l LEFT JOIN t FOR ..."
        )
    node = env.node(source.name)
    if source.options:
        table = env.catalog.table(source.name) if source.name.text not in env.ctes else None
        check_option_hints(source.options, source.name.text, table)
    if source.columns:
        node = named(node, source.columns, source.alias or source.name)
    return Relation(node, Scope.of(node.schema, (source.alias or source.name).text))


def _constant_expansion(source: syntax.Expansion) -> Relation:
    """UNNEST of constants: what one row without columns becomes."""
    one_row = Values(Schema(()), ((),), source.at)
    right, args = expansion(source, Scope(()))
    return Relation(expand(one_row, source, right, args, outer=False, residual=None), right.scope)


def _derived(env: Environment, source: syntax.Derived) -> Relation:
    node = unique_names(env.plan_query(env, source.query), source.at)
    alias = source.alias or syntax.Ident("", source.at)
    if source.columns:
        node = named(node, source.columns, alias)
    return Relation(node, Scope.of(node.schema, alias.text))


def _changelog(env: Environment, source: syntax.ChangeLog) -> Relation:
    """The changes of a table as rows, or back."""
    inner, at = plan_source(env, source.source), source.at
    if env.catalog.live:
        name = "FROM_CHANGELOG" if source.back else "TO_CHANGELOG"
        raise Refusal(f"{name} over a live table is not supported", at, "INSERT the changes into a table")
    if source.back:
        return _changes(inner, source)
    op = source.op.text if source.op is not None else "op"
    fields = (Field(op, STRING, False), *inner.node.schema.fields)
    if op in inner.node.schema.names:
        where = source.op.at if source.op is not None else at
        raise Refusal(f"the table has a column {op} already", where, "TO_CHANGELOG(.., op => DESCRIPTOR(kind))")
    node: Node = ChangeLog(Schema(fields), inner.node, at)
    if source.mapping is not None:
        node = _mapped(node, source.mapping, at)
    return Relation(node, Scope.of(node.schema, source.alias.text if source.alias is not None else ""))


def _changes(inner: Relation, source: syntax.ChangeLog) -> Relation:
    """Rows as the changes that a column of theirs names."""
    schema, at = inner.node.schema, source.at
    if schema.changes is not Changes.APPEND:
        raise Refusal("FROM_CHANGELOG needs rows that are not updated later", at, "read the table itself")
    op = source.op or syntax.Ident("op", at)
    if op.text not in schema.names:
        raise Refusal(f"the table has no column {op.text}", op.at, "FROM_CHANGELOG(.., op => DESCRIPTOR(kind))")
    index = schema.names.index(op.text)
    if schema.fields[index].type.kind is not Kind.STRING:
        raise Refusal(f"{op.text} is {schema.fields[index].type}, not text", op.at, "CAST it AS STRING in a view")
    others = (*schema.fields[:index], *schema.fields[index + 1 :])
    mapping = source.mapping or tuple((kind, kind) for kind in CHANGE_NAMES)
    kinds = tuple((word, kind) for kind, word in mapping)
    node = RowsAsChanges(Schema(others, None, (), Changes.RETRACT), inner.node, index, kinds, at)
    return Relation(node, Scope.of(node.schema, source.alias.text if source.alias is not None else ""))


def _mapped(node: Node, mapping: Sequence[tuple[str, str]], at: At) -> Node:
    """The changes of the kinds that have a word, by their words, which stand in the first column."""
    refs = [ColumnRef(each.type, index, each.name, at) for index, each in enumerate(node.schema.fields)]
    kinds = [Call(BOOLEAN, "=", (refs[0], Literal(STRING, kind, at)), at=at) for kind, _ in mapping]
    if len(kinds) < len(CHANGE_NAMES):
        node = filtered(node, reduce(lambda one, other: Call(BOOLEAN, "OR", (one, other), at=at), kinds), at)
    words = [Literal(STRING, word, at) for _, word in mapping]
    args = [each for pair in zip(kinds[:-1], words[:-1], strict=True) for each in pair]
    word = Call(STRING, "CASE", (*args, words[-1]), at=at) if args else words[-1]
    return projected(node, [word, *refs[1:]], list(node.schema.names), at)


# ---------------------------------------------------------------- window table functions


def _window_table(env: Environment, source: syntax.WindowTable) -> Relation:
    inner = plan_source(env, source.source)
    binder = Binder(inner.scope)
    inner, time = windowable(env, inner, binder.value(source.time), syntax.Ident(source.function, source.at))
    schema = inner.node.schema
    window = replace(_window(source, binder), zone=zone_of(env, time))
    partition = tuple(binder.value(each) for each in source.partition)
    name = source.source.name.text if isinstance(source.source, syntax.TableName) else ""
    qualifier = source.alias.text if source.alias is not None else name
    pending = PendingWindow(source.function, window, time.index, partition, len(schema.fields), source.at)
    for each in schema.fields:
        if each.name in ("window_start", "window_end", "window_time"):
            raise Refusal(f"the table has a column {each.name} already", source.at, "rename it in a subquery")
    scope = windowed_scope(schema, qualifier)
    if source.columns:
        scope = _named(scope, source)
    return Relation(led_by(inner.node, time.index), scope, pending)


def _named(scope: Scope, source: syntax.WindowTable) -> Scope:
    """The scope under the names of `AS w (a, b, ...)`."""
    names = [each.text for each in source.columns]
    if len(names) != len(scope.columns):
        what = f"the window table has {len(scope.columns)} columns, its alias names {len(names)}"
        raise Refusal(what, source.columns[0].at, "name each, window_start, window_end and window_time last")
    return Scope([replace(each, name=name) for each, name in zip(scope.columns, names, strict=True)])


def windowable(env: Environment, relation: Relation, time: Expr, function: syntax.Ident) -> tuple[Relation, ColumnRef]:
    """The relation, and its time attribute that a window function is to cut. Raises Refusal where it cannot."""
    schema = relation.node.schema
    if env.catalog.live:
        raise Refusal(f"{function.text} over a live table is not supported", function.at, "query the table it fills")
    if isinstance(time, ColumnRef) and time.index in schema.proctimes:
        return replace(relation, node=by_arrival(relation.node, time.index, time.at)), time
    if not isinstance(time, ColumnRef) or time.index not in schema.times:
        name = time.name if isinstance(time, ColumnRef) else "a computed time"
        has = f"its time attribute is {schema.fields[schema.rowtime].name}" if schema.rowtime is not None else ""
        raise Refusal(f"{name} is not a time attribute of this table", time.at, has or "declare WATERMARK FOR on it")
    return relation, time


def zone_of(env: Environment, time: ColumnRef) -> str:
    """The zone whose clocks windows over this time go by; empty where that is UTC, and for times without a zone."""
    zone = env.catalog.settings.get("table.local-time-zone", "UTC")
    return "" if time.type.kind is Kind.TIMESTAMP or zone.upper() in ("UTC", "Z", "GMT", "ETC/UTC") else zone


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
