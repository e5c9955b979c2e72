"""The members of typed groups: which aggregates have them, the cell that holds them, and how they read.

`kernels.members` says what they are. A reading gives accumulators as `process.aggregates` and `process.kept` have them.
LAST_N lists that were read are kept, and brought up to date with what arrived since: a decision that reads 500 rows
decodes the few that are new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nextpaint.process import frequent
from nextpaint.process.erasing import Erased, Traces, held, removed
from nextpaint.process.kept import Kept
from nextpaint.process.kernels import members
from nextpaint.process.kernels.paged import REAL, WORD
from nextpaint.process.state import Immutable, Key, State
from nextpaint.process.typed import Shape, TypedCell, kind_of, kinds_of, packable
from nextpaint.record.columns import BoolArray, Column, RowColumn, Value
from nextpaint.record.types import BOOLEAN, Kind, Type
from nextpaint.sql.plan import Aggregate

if TYPE_CHECKING:
    from nextpaint.process.typed_aggregates import TypedAggregates

Words = npt.NDArray[np.int64]

KEPT_ELEMENTS = 500_000  # of lists that were read: some 100 MB at most; the readings of a thousand busy visitors
_ALL = -(2**63)
_COUNTED = ("COUNT", "SUM", "AVG")


@dataclass(frozen=True, slots=True)
class Member:
    """What an aggregate keeps: `kinds` of the fields of a value, `row` whether they are those of a ROW."""

    what: int
    parameter: int = 0
    kinds: tuple[int, ...] = ()
    row: bool = False


@dataclass(frozen=True, slots=True)
class MemberCall:
    """An aggregate with members: its index, and the first field of its argument in a packed input row."""

    index: int
    member: Member
    argument: int


def kept_by(aggregate: Aggregate, argument: Type | None) -> Member | None:
    """What a call keeps as members; None where it keeps none, or what cannot be held as words."""
    kind = kind_of(argument) if argument is not None else None
    if aggregate.function == "LAST_N" and argument is not None:
        if argument.kind is Kind.ROW and packable([each.type for each in argument.fields]):
            kinds = kinds_of(each.type for each in argument.fields)
            return Member(members.LISTED, aggregate.parameter, kinds, row=True)
        return Member(members.LISTED, aggregate.parameter, (kind,)) if kind is not None else None
    if aggregate.function == "DECAYED_COUNT":
        return Member(members.DECAYED, aggregate.parameter)
    if kind is None or argument is None:
        return None
    if aggregate.function == "DECAYED_SUM":
        return Member(members.DECAYED, aggregate.parameter, (kind,)) if argument.is_numeric else None
    if kind == REAL:  # equal reals may differ in their bits
        return None
    if aggregate.function == "TOP_N_COUNTS":
        return Member(members.TOP, frequent.kept(aggregate.parameter), (kind,))
    if aggregate.distinct and aggregate.function in _COUNTED:
        return Member(members.DISTINCT, 0, (kind,))
    return None


def row_fields(column: Column, type_: Type) -> list[Column]:
    """Whether a ROW is there, and its fields, NULL where it is not."""
    valid: BoolArray
    if isinstance(column, RowColumn):
        valid = np.ones(len(column), np.bool_) if column.valid is None else column.valid
        return [Column(BOOLEAN, valid), *(column.field(at) for at in range(len(type_.fields)))]
    rows: list[Any] = column.to_list()
    fields = [
        Column.of(each.type, [row[at] if row is not None else None for row in rows])
        for at, each in enumerate(type_.fields)
    ]
    return [Column(BOOLEAN, np.array([row is not None for row in rows], np.bool_)), *fields]


class MemberCell(TypedCell):
    """Member rows; they are found through their groups, not by key."""

    def __contains__(self, key: Key) -> bool:
        raise TypeError(f"cell {self.name}: members are found through their group")

    def get(self, key: Key, default: Immutable = None) -> Immutable:
        raise TypeError(f"cell {self.name}: members are found through their group")

    def put(self, key: Key, value: Immutable) -> None:
        raise TypeError(f"cell {self.name} is written by its operator's kernel only")


class Members:
    """The members of one operator's groups. State: `members`. Derived: lists, and readings of them."""

    def __init__(self, identity: str, program: TypedAggregates, state: State) -> None:
        self.calls = program.members
        first: dict[tuple[int, ...], int] = {}
        kinds = [WORD] * members.LEAD
        for each in self.calls:
            if each.member.what != members.DECAYED and each.member.kinds not in first:
                first[each.member.kinds] = len(kinds)
                kinds += each.member.kinds
        self._first = [first.get(each.member.kinds, 0) for each in self.calls]
        self.lines = self._lines(program)
        self.links = members.GROUP_LINKS * len(self.calls)
        self.cell = state.add(MemberCell(f"{identity}/members", kinds, len(kinds), links=members.MEMBER_LINKS))
        self._read: OrderedDict[tuple[int, int], tuple[int, tuple[Any, ...]]] = OrderedDict()
        self._elements = 0
        self._packed = np.empty((64, self.cell.packing.width), np.int64)

    def _lines(self, program: TypedAggregates) -> Words:
        """What kernels need to know of each call."""
        lines = []
        for first, each in zip(self._first, self.calls, strict=True):
            member, at = each.member, program.packing.at
            decays = member.what == members.DECAYED
            argument = members.NO_ARGUMENT
            if decays and member.kinds:
                argument = members.REAL_ARGUMENT if member.kinds[0] == REAL else members.WHOLE_ARGUMENT
            lines.append(
                [
                    member.what, each.index, member.parameter, at[program.time], program.time, first,
                    0 if decays else len(member.kinds), at[each.argument], each.argument,
                    at[each.argument - 1] if member.row else -1, argument,
                ]
            )  # fmt: skip
        return np.array(lines, np.int64).reshape(-1, members.CALL_WORDS)

    def restore(self, groups: TypedCell) -> None:
        """Link what was loaded. Raises ValueError when a member has no group."""
        self._read.clear()
        self._elements = 0
        found = np.empty((len(self.cell), members.LEAD + 1), np.int64)
        members.members_exported(self.cell.meta, found)
        by = (members.NUMBER, members.ORDER, members.CALL, members.GROUP_HIGH, members.GROUP_LOW)
        slots = np.ascontiguousarray(found[np.lexsort([found[:, each] for each in by]), members.LEAD])
        if not members.members_linked(groups.meta, self.cell.meta, slots, groups.link_at, self.links):
            raise ValueError(f"cell {self.cell.name}: a member without its group")

    def erase(self, traces: Traces, groups: Words) -> Erased:
        """Drop the members of the groups with these hashes, and a DISTINCT value that names the person; in others the
        person is marked."""
        found = np.empty((len(self.cell), members.LEAD + 1), np.int64)
        members.members_exported(self.cell.meta, found)
        gone = set(map(tuple, groups.tolist()))
        candidates = found[np.isin(found[:, members.GROUP_LOW], groups[:, 0])]
        pairs = candidates[:, [members.GROUP_LOW, members.GROUP_HIGH]].tolist()
        slots = [
            slot for slot, pair in zip(candidates[:, members.LEAD].tolist(), pairs, strict=True) if tuple(pair) in gone
        ]
        hits = held(self.cell, traces)
        distinct = [number for number, each in enumerate(self.calls) if each.member.what == members.DISTINCT]
        counted = found[np.isin(found[:, members.CALL], distinct), members.LEAD]
        doomed = np.unique(np.concatenate([np.array(slots, np.int64), hits[np.isin(hits[:, 0], counted), 0]]))
        return removed(self.cell, doomed, hits[~np.isin(hits[:, 0], doomed)])

    # ------------------------------------------------------------ reading

    def joined(self, groups: TypedCell, slot: int, group: tuple[Any, ...]) -> tuple[Any, ...]:
        """A group's value (rows, accumulators) with the accumulators that are members."""
        accs = list(group[1])
        for number, each in enumerate(self.calls):
            if each.member.what == members.LISTED:
                accs[each.index] = self._last(groups, slot, number, group[0])
            elif each.member.what == members.DECAYED:
                found, count = self._listed(groups, slot, number, _ALL)
                at = self.cell.packing.at
                order, total = found[:count, at[members.ORDER]].tolist(), found[:count, at[members.NUMBER]].tolist()
                accs[each.index] = tuple(zip(reversed(order), reversed(total), strict=True))
            elif each.member.what == members.TOP:
                accs[each.index] = self._counts(groups, slot, number)
        return group[0], tuple(accs)

    def _listed(self, groups: TypedCell, slot: int, number: int, since: int) -> tuple[Words, int]:
        """A call's members from the last back to the first one with a number below `since`, packed."""
        links = groups.link_at + members.GROUP_LINKS * number
        arguments = groups.meta, self.cell.meta, slot, links, since
        while (count := members.members_listed(*arguments, self._packed)) > len(self._packed):
            self._packed = np.empty((2 * count, self.cell.packing.width), np.int64)
        return self._packed, count

    def _values(self, found: Words, count: int, number: int) -> list[Any]:
        """The values of packed members, first to last."""
        member, packing_ = self.calls[number].member, self.cell.packing
        found = found[:count][::-1]
        nulls = found[:, 0].tolist()
        first = self._first[number]
        fields = [packing_.field_values(found, count, first + at, nulls) for at in range(len(member.kinds))]
        if not member.row:
            return fields[0]
        gone = 1 << members.NUMBER
        return [None if null & gone else row for null, row in zip(nulls, zip(*fields, strict=True), strict=True)]

    def _times(self, found: Words, count: int, field: int) -> list[int]:
        times: list[int] = found[:count, self.cell.packing.at[field]][::-1].tolist()
        return times

    def _last(self, groups: TypedCell, slot: int, number: int, arrived: int) -> tuple[Any, ...]:
        """LAST_N's accumulator when the group has taken `arrived` rows."""
        known_at, known = self._read.get((slot, number), (0, ()))
        if known_at != arrived:
            limit = self.calls[number].member.parameter
            disorder = groups.link_at + members.GROUP_LINKS * number + members.DISORDER
            if known_at and members.group_word(groups.meta, slot, disorder) > known_at:
                known_at, known = 0, ()
            found, count = self._listed(groups, slot, number, known_at + 1)
            fresh = zip(self._times(found, count, members.ORDER), self._values(found, count, number), strict=True)
            made = (*known, *fresh)[-limit:]
            self._elements += len(made) - len(self._read.get((slot, number), (0, ()))[1])
            known = made
            self._read[slot, number] = (arrived, known)
        self._read.move_to_end((slot, number))
        while self._elements > KEPT_ELEMENTS and len(self._read) > 1:
            self._elements -= len(self._read.popitem(last=False)[1][1])
        return known

    def _counts(self, groups: TypedCell, slot: int, number: int) -> tuple[Any, ...]:
        found, count = self._listed(groups, slot, number, _ALL)
        return tuple(zip(self._values(found, count, number), self._times(found, count, members.NUMBER), strict=True))

    def looked_at(self, groups: TypedCell, group: Sequence[Value]) -> Kept:
        """The values that DISTINCT calls keep of a group, for a reading that goes on with them."""
        kept = Kept(tuple(group), None)
        slot = groups.find(group)
        for number, each in enumerate(self.calls):
            if slot >= 0 and each.member.what == members.DISTINCT:
                for value, times in self._counts(groups, slot, number):
                    kept.times[each.index, value] = times
        return kept

    def folded(self, groups: TypedCell, digests: Words, index: int) -> tuple[Any, Words, BoolArray]:
        """A decayed aggregate of many groups: values, buckets they are as of, and whether there is one."""
        number = next(at for at, each in enumerate(self.calls) if each.index == index)
        size = len(digests)
        values, buckets, valid = np.empty(size), np.empty(size, np.int64), np.empty(size, np.bool_)
        links = groups.link_at + members.GROUP_LINKS * number
        members.members_folded(groups.meta, self.cell.meta, digests, links, values, buckets, valid)
        return values, buckets, valid


class GroupCell(TypedCell):
    """Groups whose values are read together with their members."""

    __slots__ = ("members",)

    def __init__(self, name: str, kinds: Sequence[int], keys: int, shape: Shape, kept: Members) -> None:
        super().__init__(name, kinds, keys, shape, links=kept.links)
        self.members = kept

    def get(self, key: Key, default: Immutable = None) -> Immutable:
        slot = self.find(key)
        if slot < 0:
            return default
        fields = self.packing.values(self.packing._one, 1)[0]  # noqa: SLF001  found there
        return self.members.joined(self, slot, self._shape[0](fields[self.keys :]))

    def items(self) -> Iterator[tuple[Key, Immutable]]:
        for slot, fields in self.rows():
            key, value = tuple(fields[: self.keys]), self._shape[0](fields[self.keys :])
            yield key, self.members.joined(self, slot, value)
