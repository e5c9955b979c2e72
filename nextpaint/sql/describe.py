"""A plan as text: one line per node, inputs indented. For `nextpaint check`, tests, and definitions of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nextpaint.record.columns import Value
from nextpaint.record.types import Kind, Type
from nextpaint.sql.canonical import quoted
from nextpaint.sql.literals import shown_time
from nextpaint.sql.plan import (
    Aggregate,
    ArrivalTime,
    Call,
    ChangeLog,
    Changes,
    ColumnRef,
    Conflicts,
    Deduplicate,
    Expand,
    Expr,
    Filter,
    GroupAggregate,
    IntervalJoin,
    Join,
    Literal,
    LookupJoin,
    Match,
    Node,
    OverAggregate,
    PatternItem,
    Project,
    Rank,
    RowsAsChanges,
    Scan,
    Schema,
    SetOperation,
    Sort,
    TemporalJoin,
    TimeSort,
    Union,
    Values,
    WatermarkColumn,
    WindowAggregate,
    WindowedAggregate,
    WindowJoin,
    WindowRank,
    WindowTable,
    inputs_of,
)
from nextpaint.sql.program import Table

_INFIX = frozenset("+ - * / % || = <> < <= > >= AND OR LIKE".split()) | {"IS DISTINCT FROM"}
_POSTFIX = frozenset(["IS NULL", "IS NOT NULL", "IS TRUE", "IS FALSE"])


def describe(node: Node) -> str:
    """The tree of nodes, the root first."""
    return "\n".join(_lines(node, 0))


def _lines(node: Node, depth: int) -> list[str]:
    lines = ["  " * depth + f"{describe_line(node)}{_traits(node.schema)}"]
    for each in inputs_of(node):
        lines.extend(_lines(each, depth + 1))
    return lines


def describe_line(node: Node) -> str:
    """One node, without its inputs."""
    match node:
        case Scan():
            return f"Scan {node.table}"
        case Values():
            shown = (", ".join(map(describe_expr, row)) for row in node.rows)
            return f"Values {', '.join(f'({row})' for row in shown)}"
        case Filter():
            return f"Filter {describe_expr(node.predicate)}"
        case Project():
            parts = (_named(expr, name) for expr, name in zip(node.exprs, node.schema.names, strict=True))
            return f"Project {', '.join(parts)}"
        case GroupAggregate():
            return f"GroupAggregate by ({_names(node.input, node.keys)}): {_aggregates(node.input, node.aggregates)}"
        case WindowAggregate():
            grouped = f"by ({_names(node.input, node.keys)})"
            aggregates = _aggregates(node.input, node.aggregates)
            return f"WindowAggregate {_window(node)} on {_name(node.input, node.time)} {grouped}: {aggregates}"
        case WindowTable():
            by = f" by ({_names(node.input, node.keys)})" if node.keys else ""
            return f"WindowTable {_window(node)} on {_name(node.input, node.time)}{by}"
        case WindowedAggregate():
            edges = _names(node.input, (node.start, node.end))
            grouped = f"by ({_names(node.input, node.keys)})"
            return f"WindowedAggregate on ({edges}) {grouped}: {_aggregates(node.input, node.aggregates)}"
        case Union():
            return "Union"
    return _LINES[type(node)](node)


def _changelog(node: ChangeLog) -> str:
    return "ChangeLog"


def _as_changes(node: RowsAsChanges) -> str:
    kinds = ", ".join(f"{word!r} {kind}" for word, kind in node.kinds)
    return f"RowsAsChanges by {_name(node.input, node.op)}: {kinds}"


def _watermark(node: WatermarkColumn) -> str:
    return "WatermarkColumn"


def _arrival(node: ArrivalTime) -> str:
    return f"ArrivalTime {_name(node.input, node.column)}"


def _settings(options: Sequence[tuple[str, Value]]) -> list[str]:
    return [f"{name} => {_option(value)}" for name, value in options]


def _over(node: OverAggregate) -> str:
    reach = "unbounded" if node.preceding is None else str(node.preceding) + (" ms" if node.unit == "RANGE" else "")
    way = ", as they arrive" if node.arrival else ", told again" if node.by_value is not None else ""
    return (
        f"OverAggregate {node.unit} {reach} preceding by ({_names(node.input, node.partition)}) "
        f"order {_name(node.input, node.order)}{way}: {_aggregates(node.input, node.aggregates)}"
    )


def _expand(node: Expand) -> str:
    args = ", ".join([*map(describe_expr, node.args), *_settings(node.options)])
    more = (" with ordinality" if node.ordinality else "") + (" outer" if node.outer else "")
    return f"Expand {node.function}({args}){more}{_residual(node)}"


def _match(node: Match) -> str:
    pattern = " ".join(each.variable + _quantifier(each) for each in node.pattern)
    within = "" if node.within is None else f" within {node.within} ms"
    skip = f"{node.skip} {node.skip_to}".strip().lower() if not node.skip_to else f"{node.skip.lower()} {node.skip_to}"
    return f"Match ({pattern}){within} by ({_names(node.input, node.partition)}) skip {skip}"


def _quantifier(item: PatternItem) -> str:
    if (item.least, item.most) == (1, 1):
        return ""
    most = "" if item.most is None else item.most
    return f"{{{item.least},{most}}}" + ("" if item.greedy else "?")


def _conflicts(node: Conflicts) -> str:
    return f"Conflicts {node.rule.lower()} by ({_names(node.input, node.keys)})"


def _sort(node: Sort | TimeSort) -> str:
    keys = ", ".join(_name(node.input, each.index) + (" DESC" if each.descending else "") for each in node.keys)
    limit = f" limit {node.limit}" if isinstance(node, Sort) and node.limit is not None else ""
    limit += f" offset {node.offset}" if isinstance(node, Sort) and node.offset else ""
    return f"{type(node).__name__} {keys}{limit}"


def _set_operation(node: SetOperation) -> str:
    return f"{'Intersect' if node.intersect else 'Except'}{' all' if node.all else ''}"


def _ranked(node: Rank | WindowRank | Deduplicate) -> str:
    by = f"by ({_names(node.input, node.partition)})"
    if isinstance(node, Deduplicate):
        order = "arrival" if node.time is None else _name(node.input, node.time)
        return f"Deduplicate {'last' if node.last else 'first'} {by} in order of {order}"
    keys = ", ".join(f"{_name(node.input, each.index)}{' DESC' if each.descending else ''}" for each in node.keys)
    shown = "" if isinstance(node, WindowRank) or node.shown else " not shown"
    climbing = " climbing" if isinstance(node, Rank) and node.climbing else ""
    last = str(node.last)
    if isinstance(node, Rank) and node.limit is not None:
        last = _name(node.input, node.limit)
    return f"{type(node).__name__} {node.first}-{last} {by} order {keys or 'arrival'}{shown}{climbing}"


_Joins = TemporalJoin | LookupJoin | Join | IntervalJoin | WindowJoin


def _keys(node: _Joins) -> str:
    pairs = zip(node.left_keys, node.right_keys, strict=True)
    return " AND ".join(f"{_name(node.left, left)} = {_name(node.right, right)}" for left, right in pairs) or "nothing"


def _residual(node: _Joins | Expand) -> str:
    return "" if node.residual is None else f" if {describe_expr(node.residual)}"


def _temporal_join(node: TemporalJoin) -> str:
    kind = "left" if node.outer else "inner"
    return f"TemporalJoin {kind} on {_keys(node)} as of {_name(node.left, node.left_time)}{_residual(node)}"


def _lookup_join(node: LookupJoin) -> str:
    return f"LookupJoin {'left' if node.outer else 'inner'} on {_keys(node)}{_residual(node)}"


def _join(node: Join | IntervalJoin | WindowJoin) -> str:
    near = ""
    if isinstance(node, IntervalJoin):
        times = f"{_name(node.left, node.left_time)} - {_name(node.right, node.right_time)}"
        near = f" and {times} in [{node.lower} ms, {node.upper} ms]"
    return f"{type(node).__name__} {node.kind.lower()} on {_keys(node)}{near}{_residual(node)}"


_LINES: dict[type, Callable[[Any], str]] = {
    OverAggregate: _over,
    Rank: _ranked,
    WindowRank: _ranked,
    Deduplicate: _ranked,
    TemporalJoin: _temporal_join,
    LookupJoin: _lookup_join,
    Join: _join,
    IntervalJoin: _join,
    WindowJoin: _join,
    Expand: _expand,
    Match: _match,
    Sort: _sort,
    TimeSort: _sort,
    SetOperation: _set_operation,
    ChangeLog: _changelog,
    RowsAsChanges: _as_changes,
    WatermarkColumn: _watermark,
    ArrivalTime: _arrival,
    Conflicts: _conflicts,
}


def _window(node: WindowAggregate | WindowTable) -> str:
    window = node.window
    parts = [f"{window.size} ms"]
    if window.step:
        parts.append(f"step {window.step} ms")
    if window.offset:
        parts.append(f"offset {window.offset} ms")
    if window.zone:
        parts.append(f"in {window.zone}")
    return f"{window.kind}({', '.join(parts)})"


def _traits(schema: Schema) -> str:
    parts: list[str] = []
    if schema.rowtime is not None:
        parts.append(f"rowtime {schema.fields[schema.rowtime].name}")
    if schema.key:
        parts.append(f"key {', '.join(schema.fields[index].name for index in schema.key)}")
    if schema.changes is not Changes.APPEND:
        parts.append(schema.changes.value)
    return f"  [{'; '.join(parts)}]" if parts else ""


def _name(node: Node, index: int) -> str:
    return quoted(node.schema.fields[index].name)


def _names(node: Node, indices: Sequence[int]) -> str:
    return ", ".join(_name(node, index) for index in indices)


def _aggregates(node: Node, aggregates: Sequence[Aggregate]) -> str:
    return ", ".join(_aggregate(node, each) for each in aggregates) or "nothing"


def _aggregate(node: Node, aggregate: Aggregate) -> str:
    args = [_name(node, index) for index in aggregate.args]
    if aggregate.function == "COUNT" and not args:
        args = ["*"]
    if aggregate.parameter:
        args.append(str(aggregate.parameter))
    args += _settings(aggregate.options)
    distinct = "DISTINCT " if aggregate.distinct else ""
    condition = "" if aggregate.filter is None else f" FILTER {_name(node, aggregate.filter)}"
    return f"{aggregate.function}({distinct}{', '.join(args)}){condition}"


def _named(expr: Expr, name: str) -> str:
    text = describe_expr(expr)
    return text if text == quoted(name) else f"{text} AS {quoted(name)}"


# ---------------------------------------------------------------- expressions


def describe_expr(expr: Expr) -> str:
    """An expression as SQL, fully parenthesised; columns by name."""
    match expr:
        case Literal():
            return _literal(expr.type, expr.value)
        case ColumnRef():
            return ".".join(quoted(part) for part in expr.name.split("."))
        case Call():
            return _call(expr)


def _literal(type_: Type, value: Value) -> str:
    if value is None:
        return f"CAST(NULL AS {type_})"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int):
        match type_.kind:
            case Kind.INTERVAL_DAY:
                return f"INTERVAL {value} ms"
            case Kind.INTERVAL_YEAR:
                return f"INTERVAL {value} months"
            case Kind.DATE | Kind.TIME | Kind.TIMESTAMP:
                return f"{type_.kind.value} '{shown_time(type_.kind, value)}'"
    return str(value)


def _call(call: Call) -> str:
    args = [describe_expr(each) for each in call.args]
    options = dict(call.options)
    if call.function in _INFIX and len(args) == 2:
        return f"({args[0]} {call.function} {args[1]})"
    if call.function in _POSTFIX:
        return f"({args[0]} {call.function})"
    match call.function:
        case "NOT":
            return f"NOT {args[0]}"
        case "IN":
            return f"({args[0]} IN ({', '.join(args[1:])}))"
        case "FIELD":
            return f"{args[0]}.{quoted(str(options['name']))}"
        case "ITEM":
            return f"{args[0]}[{args[1]}]"
        case "CAST" | "TRY_CAST":
            return f"{call.function}({args[0]} AS {call.type})"
        case "CASE":
            pairs = zip(args[0:-1:2], args[1:-1:2], strict=True)
            whens = " ".join(f"WHEN {when} THEN {then}" for when, then in pairs)
            return f"CASE {whens} ELSE {args[-1]} END"
    settings = _settings(call.options)
    returning = (
        [f"returning => {call.type}"] if call.function == "JSON_VALUE" and call.type.kind is not Kind.STRING else []
    )
    return f"{call.function}({', '.join([*args, *settings, *returning])})"


def _option(value: Value) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).upper()


# ---------------------------------------------------------------- tables


def describe_table(table: Table) -> str:
    """The definition of a table on one line; equal definitions give equal text."""
    computed = dict(table.computed)
    carried = {index: key for index, key, _ in table.metadata}
    parts: list[str] = []
    for index, field in enumerate(table.fields):
        if index in computed:
            parts.append(f"{quoted(field.name)} AS {describe_expr(computed[index])}")
        elif index in carried:
            parts.append(f"{quoted(field.name)} {field.type} METADATA FROM '{carried[index]}' VIRTUAL")
        else:
            parts.append(f"{quoted(field.name)} {field.type}{'' if field.nullable else ' NOT NULL'}")
    if table.watermark is not None:
        name = quoted(table.fields[table.watermark.column].name)
        delay = f" - {table.watermark.delay_ms} ms" if table.watermark.delay_ms else ""
        parts.append(f"WATERMARK FOR {name} AS {name}{delay}")
    if table.primary_key:
        names = ", ".join(quoted(table.fields[index].name) for index in table.primary_key)
        parts.append(f"PRIMARY KEY ({names}) NOT ENFORCED")
    options = ", ".join(f"'{key}' = '{value}'" for key, value in table.options)
    return f"TABLE {quoted(table.name)} ({', '.join(parts)})" + (f" WITH ({options})" if options else "")
