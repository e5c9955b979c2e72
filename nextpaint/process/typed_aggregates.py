"""The aggregates of a node as a program for kernels, or None where one of them does not fit.

They fit when every function is COUNT, SUM, AVG, MIN, MAX, FIRST_VALUE or LAST_VALUE over integers, times, floats (or
booleans, but for MIN and MAX), without DISTINCT. Where members can be kept (GROUP BY), DISTINCT of values that can be
keys, DECAYED_SUM and DECAYED_COUNT fit as well, and where nobody asks for finished rows, LAST_N and TOP_N_COUNTS. State
and results equal those of `aggregates.Accumulators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import accumulate, members
from nextpaint.process.kernels.accumulate import LINE
from nextpaint.process.kernels.paged import FIRST_FIELD, REAL, TRUTH, WORD
from nextpaint.process.state import Immutable
from nextpaint.process.typed import FIELDS_MAX, Packing, kind_of
from nextpaint.process.typed_members import Member, MemberCall, kept_by, row_fields
from nextpaint.record.columns import Batch, Column, Value
from nextpaint.record.types import INTEGER_BITS, Kind, Type
from nextpaint.sql.plan import Aggregate

Words = npt.NDArray[np.int64]

_VALUES = {
    ("MIN", WORD): accumulate.MIN,
    ("MIN", REAL): accumulate.MIN_REAL,
    ("MAX", WORD): accumulate.MAX,
    ("MAX", REAL): accumulate.MAX_REAL,
    ("FIRST_VALUE", WORD): accumulate.FIRST,
    ("FIRST_VALUE", REAL): accumulate.FIRST,
    ("FIRST_VALUE", TRUTH): accumulate.FIRST,
    ("LAST_VALUE", WORD): accumulate.LAST,
    ("LAST_VALUE", REAL): accumulate.LAST,
    ("LAST_VALUE", TRUTH): accumulate.LAST,
}
_RETRACTABLE = ("COUNT", "SUM", "AVG")


@dataclass(frozen=True, slots=True)
class _Call:
    """One aggregate: its line's first two words, the kinds of its accumulator's fields, and how those read."""

    what: int
    how: int
    kinds: tuple[int, ...]
    boxed: bool = False  # the accumulator is None or a tuple of the value
    member: Member | None = None  # what it keeps beside the group's row


def _call(aggregate: Aggregate, argument: Type | None, keeps: bool) -> _Call | None:
    """`keeps`: may it have members?"""
    member = kept_by(aggregate, argument)
    if member is not None:
        if not keeps:
            return None
        if member.what != members.DISTINCT:
            real = member.what == members.DECAYED
            return _Call(
                accumulate.MEMBERS_REAL if real else accumulate.MEMBERS_ONLY, accumulate.AS_IS, (), member=member
            )
        plain = replace(aggregate, distinct=False)
        inner = _call(plain, argument, False)
        return replace(inner, member=member) if inner is not None else None
    if aggregate.distinct and aggregate.function not in ("MIN", "MAX"):
        return None
    if aggregate.function == "COUNT" and argument is None:
        return _Call(accumulate.COUNT_ALL, accumulate.AS_IS, (WORD,))
    kind = kind_of(argument) if argument is not None else None
    if aggregate.function == "COUNT" and kind is not None:
        return _Call(accumulate.COUNT, accumulate.AS_IS, (WORD,))
    if kind is None or argument is None:
        return None
    if aggregate.function in ("SUM", "AVG"):
        if not argument.is_numeric:
            return None
        real, average = kind == REAL, aggregate.function == "AVG"
        how = (accumulate.AVERAGE_REAL if real else accumulate.AVERAGE) if average else accumulate.TOTAL
        return _Call(accumulate.SUM_REAL if real else accumulate.SUM, how, (WORD, REAL if real else WORD))
    what = _VALUES.get((aggregate.function, kind))
    if what is None:
        return None
    return _Call(what, accumulate.AS_IS, (kind,), aggregate.function.endswith("_VALUE"))


class TypedAggregates:
    """The program of a node's aggregates over a state row whose accumulators begin at field `first`.

    `inputs`: the input columns that kernels are given, packed in this order (`packing`): `keys` first. `lead`: fields
    of one word before them, for the kernel to fill. `stored`: arguments are read from state rows that hold all input
    columns after `lead` fields, beginning at the word of NULL bits."""

    def __init__(
        self, aggregates: Sequence[Aggregate], calls: Sequence[_Call], types: Sequence[Type], keys: Sequence[int],
        first: int, lead: int = 0, stored: bool = False, rowtime: int | None = None,
    ) -> None:  # fmt: skip
        rows = sorted({each.args[0] for each in aggregates if each.args and types[each.args[0]].kind is Kind.ROW})
        used = {each for aggregate in aggregates for each in (*aggregate.args, aggregate.filter) if each is not None}
        used |= {rowtime} if rowtime is not None and any(each.member for each in calls) else set()
        self.inputs = tuple(range(len(types))) if stored else (*keys, *sorted(used - set(keys) - set(rows)))
        self._rows = [(each, types[each]) for each in rows]
        inside = [kind for each in rows for kind in (TRUTH, *(_known(field.type) for field in types[each].fields))]
        self.packing = Packing([*[WORD] * lead, *(_known(types[each]) for each in self.inputs), *inside])
        self.kinds = tuple(kind for call in calls for kind in call.kinds)
        self.result_types = tuple(each.type for each in aggregates)
        self._results = Packing([_result_kind(each) for each in self.result_types])
        self._calls = calls
        places = range(1, len(self.packing.kinds) + 1) if stored else self.packing.at
        where = {each: lead + at for at, each in enumerate(self.inputs)}
        at = lead + len(self.inputs)
        for each in rows:
            where[each] = at + 1  # after the field that says whether it is there
            at += 1 + len(types[each].fields)
        lines, at, kept = [], first, 0
        for aggregate, call in zip(aggregates, calls, strict=True):
            argument = where[aggregate.args[0]] if aggregate.args else 0
            condition = where[aggregate.filter] if aggregate.filter is not None else -1
            lines.append(
                [
                    call.what, call.how, places[argument] if aggregate.args else 0, argument,
                    places[condition] if condition >= 0 else -1, condition, FIRST_FIELD + at, at,
                    INTEGER_BITS.get(aggregate.type.kind, 0), kept if call.member is not None else -1,
                ]
            )  # fmt: skip
            at += len(call.kinds)
            kept += call.member is not None
        self.members = [
            MemberCall(index, call.member, where[aggregate.args[0]] if aggregate.args else 0)
            for index, (aggregate, call) in enumerate(zip(aggregates, calls, strict=True))
            if call.member is not None
        ]
        self.time = where[rowtime] if rowtime is not None and self.members else 0
        self.program = np.array(lines, np.int64).reshape(-1, LINE)

    def given(self, batch: Batch) -> list[Column]:
        """The columns of a batch that are packed."""
        columns = [batch.columns[each] for each in self.inputs]
        for each, type_ in self._rows:
            columns += row_fields(batch.columns[each], type_)
        return columns

    def accumulators(self, fields: Sequence[Value]) -> tuple[Immutable, ...]:
        """Fields of a state row as the accumulators of `aggregates.Accumulators`; None for those that are members."""
        found: list[Immutable] = []
        at = 0
        for call in self._calls:
            if not call.kinds:
                found.append(None)
            elif len(call.kinds) == 2:
                found.append((fields[at], fields[at + 1]))
            elif call.boxed:
                found.append((fields[at],) if fields[at] is not None else None)
            else:
                found.append(fields[at])
            at += len(call.kinds)
        return tuple(found)

    def fields(self, accs: Sequence[Any]) -> list[Value]:
        """The other way round."""
        found: list[Value] = []
        for acc, call in zip(accs, self._calls, strict=True):
            if not call.kinds:
                continue
            if len(call.kinds) == 2:
                found += acc
            elif call.boxed:
                found.append(acc[0] if acc is not None else None)
            else:
                found.append(acc)
        return found

    def columns(self, results: Words, count: int) -> list[Column]:
        """Finished rows as columns."""
        types = self.result_types
        return self._results.columns(results, count, range(len(types)), types)

    @property
    def result_width(self) -> int:
        return self._results.width


def _result_kind(type_: Type) -> int:
    """Results that are lists are never written by a kernel: a word holds their place."""
    return WORD if type_.is_nested else _known(type_)


def _known(type_: Type) -> int:
    kind = kind_of(type_)
    assert kind is not None, "checked when the operator was chosen"
    return kind


def typed_aggregates(
    aggregates: Sequence[Aggregate], types: Sequence[Type], keys: Sequence[int], first: int, *, retracts: bool = False,
    lead: int = 0, stored: bool = False, keeps: bool = False, rowtime: int | None = None,
) -> TypedAggregates | None:  # fmt: skip
    """The program of a node's aggregates, or None. `types`: of its input; `retracts`: rows may be taken back; `keeps`:
    members can be kept."""
    calls: list[_Call] = []
    for each in aggregates:
        call = _call(each, types[each.args[0]] if each.args else None, keeps)
        retracted = retracts and each.function not in _RETRACTABLE
        if call is None or retracted or (each.filter is not None and types[each.filter].kind is not Kind.BOOLEAN):
            return None
        calls.append(call)
    fields = sum(1 + len(types[each.args[0]].fields) for each in aggregates if each.args)
    if lead + len(types) + fields > FIELDS_MAX:
        return None
    return TypedAggregates(aggregates, calls, types, keys, first, lead, stored, rowtime)
