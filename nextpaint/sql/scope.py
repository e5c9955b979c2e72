"""Name resolution: what `a`, `t.a` and `t.row.field` mean over the columns of a FROM clause.

Names are case-sensitive. A name that two tables have must be qualified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nextpaint.record.types import Kind, Type
from nextpaint.sql.canonical import quoted
from nextpaint.sql.plan import At, Call, ColumnRef, Expr, Schema, shifted
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import Ident, Name


class Names(Protocol):
    """Anything a binder can look names up in."""

    def resolve(self, name: Name) -> Expr: ...


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column under the name of its table; `index` into the input node's output. `hidden`: USING made another one of
    it, and only its table's name finds it. `computed`: what the name stands for where that is more than a column:
    after FULL JOIN ... USING, and in the SELECT list of LATERAL."""

    qualifier: str
    name: str
    type: Type
    index: int
    hidden: bool = False
    computed: Expr | None = None

    def value(self, at: At) -> Expr:
        """What the name stands for."""
        if self.computed is not None:
            return replace(self.computed, at=at)
        return ColumnRef(self.type, self.index, self.name, at)


class Scope:
    """The columns a SELECT sees. `index` counts over the input node's output."""

    def __init__(self, columns: Sequence[ScopeColumn]) -> None:
        self.columns = tuple(columns)
        self.qualifiers = tuple(dict.fromkeys(each.qualifier for each in columns))

    @property
    def visible(self) -> tuple[ScopeColumn, ...]:
        """The columns that are found by their own name, and by `*`."""
        return tuple(each for each in self.columns if not each.hidden)

    @staticmethod
    def of(schema: Schema, qualifier: str, offset: int = 0) -> Scope:
        return Scope(
            [ScopeColumn(qualifier, each.name, each.type, offset + index) for index, each in enumerate(schema.fields)]
        )

    def joined(self, other: Scope) -> Scope:
        return Scope((*self.columns, *other.columns))

    def shifted(self, by: int) -> Scope:
        """The same names over columns that stand `by` places further right."""
        return Scope([_shifted(each, by) for each in self.columns])

    @property
    def width(self) -> int:
        """The columns of the node below."""
        return 1 + max((each.index for each in self.columns), default=-1)

    def resolve(self, name: Name) -> Expr:
        """The column (and the fields after it) that `name` means. Raises Refusal when none or several."""
        parts = name.parts
        if len(parts) > 1 and parts[0].text in self.qualifiers:
            own = [each for each in self.columns if each.qualifier == parts[0].text]
            found = [each for each in own if each.name == parts[1].text]
            if found:
                return self._reference(found, parts[:2], parts[2:], name.at)
            if not any(each.name == parts[0].text for each in self.columns):
                raise Refusal(
                    f"{parts[0].text} has no column {parts[1].text}", parts[1].at, near(parts[1].text, self._of(own))
                )
        found = [each for each in self.visible if each.name == parts[0].text]
        if not found:
            raise self._unknown(name)
        return self._reference(found, parts[:1], parts[1:], name.at)

    @staticmethod
    def _of(columns: Sequence[ScopeColumn]) -> list[str]:
        return [each.name for each in columns]

    def _unknown(self, name: Name) -> Refusal:
        first = name.parts[0]
        known = self._of(self.columns)
        if len(name.parts) > 1:
            return Refusal(
                f"unknown table or column {first.text}", first.at, near(first.text, [*self.qualifiers, *known])
            )
        return Refusal(f"unknown column {first.text}", first.at, near(first.text, known))

    @staticmethod
    def _reference(found: Sequence[ScopeColumn], own: Sequence[Ident], fields: Sequence[Ident], at: At) -> Expr:
        if len(found) > 1:
            shown = " or ".join(f"{each.qualifier}.{each.name}" for each in found)
            raise Refusal(f"{own[-1].text} is ambiguous", own[-1].at, f"write {shown}")
        column = found[0]
        result = column.value(at)
        for each in fields:
            result = field_of(result, each)
        return result

    def has(self, name: Name) -> bool:
        """Does the name begin with a column, or with a table and a column of it?"""
        first, *rest = (each.text for each in name.parts)
        if rest and any(each.qualifier == first and each.name == rest[0] for each in self.columns):
            return True
        return any(each.name == first for each in self.visible)

    def expand(self, qualifier: Name | None, at: At) -> list[ScopeColumn]:
        """The columns of `*` or `t.*`."""
        if qualifier is None:
            return list(self.visible)
        text = str(qualifier)
        found = [each for each in self.columns if each.qualifier == text]
        if not found:
            raise Refusal(f"unknown table {text}", at, near(text, self.qualifiers))
        return found


def _shifted(column: ScopeColumn, by: int) -> ScopeColumn:
    computed = shifted(column.computed, by) if column.computed is not None else None
    return replace(column, index=column.index + by, computed=computed)


def field_of(operand: Expr, name: Ident) -> Expr:
    """`operand.name` of a ROW."""
    if operand.type.kind is not Kind.ROW:
        raise Refusal(f"{operand.type} has no fields: .{name.text} needs a ROW", name.at)
    for each in operand.type.fields:
        if each.name == name.text:
            return Call(each.type, "FIELD", (operand,), (("name", name.text),), name.at)
    known = [each.name for each in operand.type.fields]
    raise Refusal(f"the ROW has no field {name.text}", name.at, near(name.text, known))


class ConditionNames:
    """Names of a condition outside a query: dotted or plain, given with their types. `used`: those met, in order."""

    def __init__(self, columns: Mapping[str, Type]) -> None:
        self._columns = columns
        self.used: list[str] = []

    def resolve(self, name: Name) -> Expr:
        texts = [part.text for part in name.parts]
        for length in range(len(texts), 0, -1):
            key = ".".join(texts[:length])
            if key not in self._columns:
                continue
            if key not in self.used:
                self.used.append(key)
            result: Expr = ColumnRef(self._columns[key], self.used.index(key), key, name.at)
            for part in name.parts[length:]:
                result = field_of(result, part)
            return result
        shown = ".".join(quoted(text) for text in texts)
        raise Refusal(f"unknown name {shown}", name.at, near(str(name), self._columns))
