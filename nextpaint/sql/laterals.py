"""LATERAL (query): for each row before it, the rows of a query that names columns of that row.

A plain SELECT is a join on what its WHERE ties it by, as Flink decorrelates it; one that groups is grouped by what it
equates as well, so that a row before it for which there is nothing to aggregate is not joined, as in Flink. One that
groups and is tied by more, or aggregates columns before it, is joined with the distinct rows of those. With ORDER
BY and LIMIT Flink 2.3 runs one form, and so do we: the best rows of each key of one and the same table,

    FROM (SELECT DISTINCT k FROM t) AS o, LATERAL (SELECT x FROM t WHERE t.k = o.k ORDER BY x DESC LIMIT 3) AS b

which is a ROW_NUMBER over the table, NULL being a key like any other. Columns before it in its SELECT list are computed
after the join; there Flink 2.3 loses rows whose columns are NULL, and makes some up where the tie is more than
equalities. Further forms are refused; each can be written as a join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from nextpaint.record.types import BOOLEAN, Type
from nextpaint.sql import syntax
from nextpaint.sql.aggregates import is_aggregate
from nextpaint.sql.binder import Binder
from nextpaint.sql.correlated import Correlated, PlanSide, conjoined, conjuncts_of, opened
from nextpaint.sql.operators import comparison_operands
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Literal, Node, columns_of, shifted
from nextpaint.sql.program import Table
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.relation import Relation, projected
from nextpaint.sql.scope import Scope, ScopeColumn

T = TypeVar("T")
_RANK = "rank$"
_STRICT = ("+", "-", "*", "/", "%", "||")
_RANKED = (
    "JOIN (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x DESC) AS rn FROM t) AS b ON b.k = a.k, and b.rn <= n"
)
_GROUPED = "JOIN (SELECT k, MAX(x) AS m FROM t GROUP BY k) AS b ON b.k = a.k"


def lateral(
    plan_side: PlanSide, scope: Scope, source: syntax.Lateral, join: syntax.Join
) -> tuple[Relation, list[Expr]]:
    """The query's rows, and the conjuncts that tie them to the columns of `scope` before them. `join`: by which."""
    if source.alias is not None and source.alias.text in scope.qualifiers:
        raise Refusal(f"two tables are named {source.alias.text}", source.alias.at, "give one another alias with AS")
    named = next(_outer_names(source.query, scope), None)
    if named is not None:
        body = _one_select(source, named)
        if _groups(body):
            return _grouped(plan_side, scope, source, body, join)
    found = opened(plan_side, scope, scope.width, source.query)
    if found is None and named is not None and _is_tied_elsewhere(source.query, scope):
        raise Refusal(f"{named} stands deeper than in WHERE of LATERAL", named.at, "JOIN a query, and tie it in ON")
    if found is None:  # it names nothing before it
        return plan_side(syntax.Derived(source.query, source.alias, source.columns, source.at)), []
    if named is None and _groups(source.query.body):
        cure = "write a.k, not k, for a column of a table before it"
        raise Refusal("a query of LATERAL that groups names columns before it with their table", source.at, cure)
    return _with_items(found, source, scope.width), found.ties


def _with_items(found: Correlated, source: syntax.Lateral, before: int) -> Relation:
    """The rows under the names of the SELECT list; what only ties need is there and has no name. What names the
    `before` columns around it is computed over the joined rows, and NULL where the query's side is padded."""
    items = list(_items(found, source, before))
    width = len(found.node.schema.fields)
    refs: list[Expr] = [ColumnRef(each.type, at, each.name) for at, each in enumerate(found.node.schema.fields)]
    more = [expr for expr, _ in items if not isinstance(expr, ColumnRef) and not _reads_before(expr)]
    if any(_reads_before(expr) for expr, _ in items):
        more.append(Literal(BOOLEAN, True, source.at))
    node = projected(
        found.node, [*refs, *more], [*found.node.schema.names, *(f"${at}" for at in range(len(more)))], source.at
    )
    mark = ColumnRef(BOOLEAN, width + len(more) - 1, "there$", source.at)
    qualifier = source.alias.text if source.alias is not None else ""
    columns: list[ScopeColumn] = []
    for expr, name in items:
        if _reads_before(expr):
            there = Call(BOOLEAN, "IS NOT NULL", (mark,), at=expr.at)
            value = Call(expr.type, "CASE", (there, expr, Literal(expr.type, None, expr.at)), at=expr.at)
            columns.append(ScopeColumn(qualifier, name, expr.type, mark.index, computed=value))
            continue
        index = expr.index if isinstance(expr, ColumnRef) else width + more.index(expr)
        columns.append(ScopeColumn(qualifier, name, expr.type, index))
    named = {each.index for each in columns}
    for at, each in enumerate(node.schema.fields):
        if at not in named:
            columns.append(ScopeColumn("", f"lateral${at}", each.type, at, hidden=True))
    return Relation(node, Scope(columns))


def _reads_before(expr: Expr) -> bool:
    """Does it read columns before the query's own, which count from 0?"""
    return min(columns_of(expr), default=0) < 0


def _items(found: Correlated, source: syntax.Lateral, before: int) -> Iterator[tuple[Expr, str]]:
    """The SELECT list's expressions, over the query's columns from 0 and those `before` them from below, and names."""
    listed: list[tuple[Expr, str]] = []
    binder = Binder(found.names)
    for item in found.items:
        expression = item.expression
        if isinstance(expression, syntax.Star):
            listed += [(each.value(item.at), each.name) for each in found.scope.expand(expression.qualifier, item.at)]
            continue
        name = expression.parts[-1].text if isinstance(expression, syntax.Name) else f"EXPR${len(listed)}"
        value = shifted(binder.value(expression), -before)
        listed.append((value, item.alias.text if item.alias is not None else name))
    names = [each.text for each in source.columns] or [name for _, name in listed]
    if len(names) != len(listed):
        what = f"the query has {len(listed)} columns, its alias names {len(names)}"
        raise Refusal(what, source.columns[0].at, "name each of them")
    for at, name in enumerate(names):
        if name in names[:at]:
            raise Refusal(f"two columns are named {name}", source.at, f"write x AS {name}_2 for one of them")
    return zip((expr for expr, _ in listed), names, strict=True)


def _is_tied_elsewhere(query: syntax.Query, scope: Scope) -> bool:
    """Does it name rows before it where its WHERE holds a query, or not in WHERE at all?"""
    where = query.body.where if isinstance(query.body, syntax.Select) else None
    return any(syntax.subqueries(where)) or next(_outer_names(where, scope), None) is None


def _one_select(source: syntax.Lateral, named: syntax.Name) -> syntax.Select:
    """The body of a query that names rows before it. Raises Refusal for one that cannot be joined."""
    query, where = source.query, f"a query of LATERAL that names {named}"
    if not isinstance(query.body, syntax.Select) or query.ctes:
        raise Refusal(f"{where} is one SELECT", source.at, "write one LATERAL for each, or JOIN a query")
    if query.order or query.limit is not None or query.offset:
        raise Refusal(f"{where} takes no ORDER BY and no LIMIT", source.at, _RANKED)
    if query.body.qualify is not None or any(_is_over(each) for each in syntax.walk(query.body.items)):
        raise Refusal(f"{where} takes no OVER and no QUALIFY", source.at, _RANKED)
    return query.body


def _is_over(node: syntax.Call | syntax.Name) -> bool:
    return isinstance(node, syntax.Call) and node.over is not None


def _check_items(body: syntax.Select, scope: Scope) -> None:
    """Refuse columns before the query that stand neither in an aggregate nor in GROUP BY."""
    for listed in _outer_names((body.items, body.having), scope, lambda node: is_aggregate(node) or node in body.group):
        raise Refusal(f"the SELECT list of LATERAL names {listed}", listed.at, "compute it in the SELECT around it")


def _aggregates(body: syntax.Select) -> bool:
    return body.having is not None or any(map(is_aggregate, syntax.walk(body.items)))


def _groups(body: object) -> bool:
    return isinstance(body, syntax.Select) and (bool(body.group) or body.distinct or _aggregates(body))


def _grouped(
    plan_side: PlanSide, scope: Scope, source: syntax.Lateral, body: syntax.Select, join: syntax.Join
) -> tuple[Relation, list[Expr]]:
    """A query that groups: by what ties it, too."""
    if body.sets:
        raise Refusal("GROUPING SETS in LATERAL", source.at, _GROUPED)
    _check_items(body, scope)
    counts = False
    nothing = all(_null_over_nothing(each.expression) for each in body.items)
    if join.kind == "LEFT" and not body.group and _aggregates(body) and not nothing:
        counts = _counts(body) and join.on == syntax.Constant(True)
        if not counts:
            what = "LEFT JOIN LATERAL of more than aggregates that are NULL over nothing, or one COUNT"
            raise Refusal(what, source.at, "(SELECT COUNT(*) FROM t WHERE t.k = a.k) as a value of the SELECT list")
    pairs, rest = _tied(body, scope) or _joined_with_keys(body, scope, join.left)
    at = source.at
    keys = [syntax.SelectItem(own, syntax.Ident(f"lateral${index}", at), at) for index, (own, _) in enumerate(pairs)]
    group = (*rest.group, *(own for own, _ in pairs)) if body.group or _aggregates(body) else ()
    made = replace(rest, items=(*rest.items, *keys), group=group)
    node = plan_side(syntax.Derived(replace(source.query, body=made), at=at)).node
    fields_, qualifier = node.schema.fields, source.alias.text if source.alias is not None else ""
    count = len(fields_) - len(keys)
    names = [each.text for each in source.columns] or [each.name for each in fields_[:count]]
    if len(names) != count:
        what = f"the query has {count} columns, its alias names {len(names)}"
        raise Refusal(what, source.columns[0].at, "name each of them")
    columns = [ScopeColumn(qualifier, name, fields_[index].type, index) for index, name in enumerate(names)]
    ties: list[Expr] = []
    for index, (_, outer) in enumerate(pairs, count):
        field = fields_[index]
        columns.append(ScopeColumn("", field.name, field.type, index, hidden=True))
        own = ColumnRef(field.type, scope.width + index, field.name, outer.at)
        operands = comparison_operands(Binder(scope).value(outer), own, "=", outer.at)
        ties.append(Call(BOOLEAN, "=", operands, at=outer.at))
    if counts:  # a key is never NULL where it ties
        key, counted = columns[1], columns[0]
        there = Call(BOOLEAN, "IS NOT NULL", (key.value(at),), at=at)
        value = Call(counted.type, "CASE", (there, counted.value(at), Literal(counted.type, 0, at)), at=at)
        columns[0] = replace(counted, computed=value)
    return Relation(node, Scope(columns)), ties


def _counts(body: syntax.Select) -> bool:
    """Is it one COUNT of all the rows there are, 0 of none?"""
    call = body.items[0].expression
    return len(body.items) == 1 and body.having is None and isinstance(call, syntax.Call) and call.name == "COUNT"


def _null_over_nothing(node: syntax.Expression) -> bool:
    """Is it NULL over no rows: an aggregate that does not count, or what is computed from one?"""
    if isinstance(node, syntax.Binary) and node.operator in _STRICT:
        return _null_over_nothing(node.left) or _null_over_nothing(node.right)
    return isinstance(node, syntax.Call) and is_aggregate(node) and "COUNT" not in node.name


_Pairs = list[tuple[syntax.Expression, syntax.Expression]]


def _tied(body: syntax.Select, scope: Scope) -> tuple[_Pairs, syntax.Select] | None:
    """The sides of the equalities of WHERE that tie the query, its own first, and the query without them; None where
    more than those names columns before it."""
    if next(_outer_names((body.items, body.source, body.group, body.having), scope), None) is not None:
        return None
    pairs: _Pairs = []
    rest: list[syntax.Expression] = []
    for each in conjuncts_of(body.where):
        if next(_outer_names(each, scope), None) is None:
            rest.append(each)
            continue
        sides = (each.left, each.right) if isinstance(each, syntax.Binary) and each.operator == "=" else ()
        own = [side for side in sides if next(_outer_names(side, scope), None) is None]
        if len(own) != 1:
            return None
        pairs.append((own[0], next(side for side in sides if side is not own[0])))
    return pairs, replace(body, where=conjoined(rest))


_KEYS = "lateral$keys"


def _joined_with_keys(body: syntax.Select, scope: Scope, left: syntax.Source) -> tuple[_Pairs, syntax.Select]:
    """The query over its rows joined with the distinct columns before it that it names, and those columns beside the
    ones they are copies of. As in Flink a row before it in which one of them is NULL meets nothing."""
    outer = list(dict.fromkeys(_outer_names(body, scope)))
    at, table = body.at, syntax.Ident(_KEYS, body.at)
    assert body.source is not None, "a query without FROM names no table"
    own = {name: syntax.Name((table, syntax.Ident(f"k{index}", name.at)), name.at) for index, name in enumerate(outer)}
    items = tuple(syntax.SelectItem(name, each.parts[1], at) for name, each in own.items())
    keys = syntax.Select(items, left, None, (), None, (), at, distinct=True)
    source = syntax.Join(body.source, syntax.Derived(syntax.Query(keys, at=at), table, at=at), "INNER", None, at=at)
    return [(each, name) for name, each in own.items()], replace(_renamed(body, own), source=source)


def _renamed(node: T, names: Mapping[syntax.Name, syntax.Name]) -> T:
    """The same with other names, at any depth."""
    if isinstance(node, syntax.Name):
        return names.get(node, node)  # type: ignore[return-value]
    if isinstance(node, tuple):
        return tuple(_renamed(each, names) for each in node)  # type: ignore[return-value]
    if is_dataclass(node) and not isinstance(node, At | Type | type):
        return replace(node, **{part.name: _renamed(getattr(node, part.name), names) for part in fields(node)})
    return node


def _outer_names(
    node: object, scope: Scope, without: Callable[[object], bool] = lambda _: False
) -> Iterator[syntax.Name]:
    """Names that begin with a table of `scope`, at any depth; what is `without` them is passed over."""
    if without(node):
        return
    if isinstance(node, syntax.Name) and len(node.parts) > 1 and node.parts[0].text in scope.qualifiers:
        yield node
    elif isinstance(node, tuple):
        for each in node:
            yield from _outer_names(each, scope, without)
    elif is_dataclass(node) and not isinstance(node, At | Type):
        for part in fields(node):
            yield from _outer_names(getattr(node, part.name), scope, without)


# ---------------------------------------------------------------- the best rows of each key


class _Other(Exception):
    """Not the form that Flink runs: why."""


def top_of_each(
    plan_query: Callable[[syntax.Query], Node],
    table_of: Callable[[syntax.Ident], Table | None],
    source: syntax.TopOfEach,
) -> Relation:
    """The keys, then the best rows of each."""
    try:
        name, keys = _keys(source.left)
        if source.kind != "INNER" or (source.on is not None and source.on != syntax.Constant(True)):
            raise _Other("it is an inner join without a condition")
        table = table_of(name)
        if table is None:
            raise _Other(f"{name.text} is a table, no view")
        columns = _chosen(source.right, name, table)
        partition = _partition(source, table, keys)
    except _Other as other:
        what = f"ORDER BY and LIMIT for each row before it: {other}"
        raise Refusal(what, source.right.at, f"{_RANKED}; for one table: {_FORM}") from None
    at = source.right.at
    order = tuple(replace(each, expression=_plain(each.expression)) for each in source.right.query.order)
    over = syntax.Over(None, partition, order, None, at)
    number = syntax.SelectItem(syntax.Call("ROW_NUMBER", (), over=over, at=at), syntax.Ident(_RANK, at), at)
    ranked = _select((syntax.SelectItem(syntax.Star(None, at), None, at), number), syntax.TableName(name, at=at), at)
    rank = syntax.Name((syntax.Ident(_RANK, at),), at)
    best = syntax.Binary("<=", rank, syntax.Number(str(source.right.query.limit), at), at)
    items = tuple(syntax.SelectItem(each, None, at) for each in (*partition, *columns))
    node = plan_query(_select(items, syntax.Derived(ranked, at=at), at, best))
    return _named(node, source, [each for each, _ in keys], columns)


_FORM = "FROM (SELECT DISTINCT k FROM t) AS o, LATERAL (SELECT x FROM t WHERE t.k = o.k ORDER BY x LIMIT n)"


def _select(
    items: tuple[syntax.SelectItem, ...], source: syntax.Source, at: At, where: syntax.Expression | None = None
) -> syntax.Query:
    return syntax.Query(syntax.Select(items, source, where, (), None, (), at), at=at)


def _named(node: Node, source: syntax.TopOfEach, keys: list[str], columns: list[syntax.Name]) -> Relation:
    """The two tables that the SELECT around sees."""
    assert isinstance(source.left, syntax.Derived)
    aliases = [each.text if each is not None else "" for each in (source.left.alias, source.right.alias)]
    names = [each.text for each in source.right.columns] or [str(each.parts[-1].text) for each in columns]
    if len(names) != len(columns):
        what = f"the query has {len(columns)} columns, its alias names {len(names)}"
        raise Refusal(what, source.right.columns[0].at, "name each of them")
    owners = [aliases[0]] * len(keys) + [aliases[1]] * len(names)
    found = zip(owners, [*keys, *names], node.schema.fields, strict=True)
    return Relation(
        node, Scope([ScopeColumn(each, name, field.type, at) for at, (each, name, field) in enumerate(found)])
    )


def _keys(left: syntax.Source) -> tuple[syntax.Ident, list[tuple[str, str]]]:
    """The table of `(SELECT DISTINCT k FROM t)`, and its keys: their name outside, and in the table."""
    why = "before it stand the keys of the same table"
    body = left.query.body if isinstance(left, syntax.Derived) and left.query.is_plain and not left.columns else None
    if not isinstance(body, syntax.Select) or not isinstance(body.source, syntax.TableName):
        raise _Other(why)
    if (
        body != replace(body, where=None, having=None, windows=(), qualify=None, sets=())
        or body.source.as_of is not None
    ):
        raise _Other(why)
    keys: list[tuple[str, str]] = []
    for item in body.items:
        if not isinstance(item.expression, syntax.Name):
            raise _Other(why)
        column = item.expression.parts[-1].text
        keys.append((item.alias.text if item.alias is not None else column, column))
    grouped = {each.parts[-1].text for each in body.group if isinstance(each, syntax.Name)}
    if body.distinct == bool(body.group) or (body.group and grouped != {column for _, column in keys}):
        raise _Other(why)
    return body.source.name, keys


def _chosen(right: syntax.Lateral, name: syntax.Ident, table: Table) -> list[syntax.Name]:
    """The columns of the table that the query selects, by which it must be ordered."""
    body, query = right.query.body, right.query
    plain = isinstance(body, syntax.Select) and isinstance(body.source, syntax.TableName)
    if not plain or not isinstance(body, syntax.Select) or not isinstance(body.source, syntax.TableName):
        raise _Other("the query is one SELECT of a table")
    bare = replace(body, group=(), having=None, windows=(), qualify=None, distinct=False, sets=())
    if body != bare or query.ctes or query.offset or body.source.name != name or body.source.as_of is not None:
        raise _Other(f"the query is a SELECT .. FROM {name.text} WHERE .. ORDER BY .. LIMIT n, and nothing else")
    columns: list[syntax.Name] = []
    for item in body.items:
        if isinstance(item.expression, syntax.Star):
            columns += [syntax.Name((syntax.Ident(each, item.at),), item.at) for each in table.names]
        elif isinstance(item.expression, syntax.Name) and item.alias is None:
            columns.append(_plain(item.expression))
        else:
            raise _Other(f"it selects columns of {name.text} under their own names")
    texts = {str(each) for each in columns}
    if query.limit is None or not query.order:
        raise _Other("it has both, ORDER BY and LIMIT")
    if any(
        not isinstance(each.expression, syntax.Name) or str(_plain(each.expression)) not in texts
        for each in query.order
    ):
        raise _Other("it is ordered by columns that it selects")
    return columns


def _plain(node: syntax.Expression) -> syntax.Name:
    """A column without its table."""
    assert isinstance(node, syntax.Name)
    return syntax.Name(node.parts[-1:], node.at)


def _partition(source: syntax.TopOfEach, table: Table, keys: list[tuple[str, str]]) -> tuple[syntax.Name, ...]:
    """The table's keys in the order of those outside; each must be tied to its own."""
    body, left = source.right.query.body, source.left
    assert isinstance(body, syntax.Select) and isinstance(body.source, syntax.TableName)
    assert isinstance(left, syntax.Derived)
    inner = (body.source.alias or body.source.name).text
    outer = left.alias.text if left.alias is not None else ""
    columns = dict(keys)
    tied: set[str] = set()
    for each in conjuncts_of(body.where):
        sides = (each.left, each.right) if isinstance(each, syntax.Binary) and each.operator == "=" else ()
        own = [_column(side, inner, table.names) for side in sides]
        others = [None if mine else _column(side, outer, columns) for mine, side in zip(own, sides, strict=True)]
        pair = next(((mine, columns[other]) for mine in own for other in others if mine and other), None)
        if pair is None or pair[0] != pair[1]:
            raise _Other("WHERE equates each key with itself, and says nothing else")
        tied.add(pair[0])
    if tied != set(columns.values()):
        raise _Other("WHERE equates each key with itself, and says nothing else")
    at = source.right.at
    return tuple(syntax.Name((syntax.Ident(column, at),), at) for _, column in keys)


def _column(node: syntax.Expression, qualifier: str, names: object) -> str | None:
    """The column of that table which a name means."""
    if not isinstance(node, syntax.Name) or len(node.parts) > 2:
        return None
    if len(node.parts) == 2 and node.parts[0].text != qualifier:
        return None
    text = node.parts[-1].text
    return text if text in names else None  # type: ignore[operator]
