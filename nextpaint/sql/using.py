"""JOIN ... USING (k, ...) and NATURAL JOIN: equalities of columns that both sides name alike.

Such a column is one from there on: `k` and `*` mean that of the side whose rows are all there, of a FULL JOIN the one
that is not NULL, and `*` has it first. Both stay there under the names of their tables.
"""

from __future__ import annotations

from dataclasses import replace

from nextpaint.record.types import BOOLEAN
from nextpaint.sql import syntax
from nextpaint.sql.coercion import cast, common_type
from nextpaint.sql.operators import comparison_operands
from nextpaint.sql.plan import At, Call, ColumnRef, Expr
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.scope import Scope, ScopeColumn


def shared_columns(join: syntax.Join, left: Scope, right: Scope) -> tuple[list[Expr], Scope]:
    """The equalities, and the names over the columns of both sides. Raises Refusal."""
    names = join.using
    if join.natural:
        theirs = {each.name for each in right.visible}
        names = tuple(syntax.Ident(each.name, join.at) for each in left.visible if each.name in theirs)
        if not names:
            raise Refusal("NATURAL JOIN of tables that share no column", join.at, "write the keys after ON")
    conditions: list[Expr] = []
    first: list[ScopeColumn] = []
    hidden: list[ScopeColumn] = []
    for name in names:
        one, other = _column(left, name), _column(right, name)
        pair = comparison_operands(_ref(one, name.at), _ref(other, name.at), "=", name.at)
        conditions.append(Call(BOOLEAN, "=", pair, at=name.at))
        if join.kind == "FULL":
            first.append(_either(one, other, name.at))
            hidden += [one, other]
            continue
        shown, gone = (other, one) if join.kind == "RIGHT" else (one, other)
        first.append(shown)
        hidden.append(gone)
    rest = [replace(each, hidden=True) if each in hidden else each for each in (*left.columns, *right.columns)]
    return conditions, Scope([*first, *(each for each in rest if each not in first)])


def _column(scope: Scope, name: syntax.Ident) -> ScopeColumn:
    found = [each for each in scope.visible if each.name == name.text]
    if len(found) != 1:
        what = "no column" if not found else "several columns"
        cure = near(name.text, [each.name for each in scope.visible])
        raise Refusal(f"one side of the join has {what} {name.text}", name.at, cure)
    if found[0].computed is not None:
        raise Refusal(
            f"{name.text} is computed: of a FULL JOIN's USING, or by LATERAL", name.at, "write the keys after ON"
        )
    return found[0]


def _either(one: ScopeColumn, other: ScopeColumn, at: At) -> ScopeColumn:
    refs = (_ref(one, at), _ref(other, at))
    type_ = common_type([each.type for each in refs])
    assert type_ is not None, "the columns are compared"
    either = Call(type_, "COALESCE", tuple(cast(each, type_, at) for each in refs), at=at)
    return ScopeColumn("", one.name, type_, one.index, computed=either)


def _ref(column: ScopeColumn, at: At) -> ColumnRef:
    return ColumnRef(column.type, column.index, column.name, at)
