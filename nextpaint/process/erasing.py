"""Erasing a person from what operators remember: which rows go, which are marked, and how a cell is rid of them.

A person is known by subject tokens; the ids of decisions that were made for them lead to them as well. Of each cell

* a row whose key names the person, by a token as a part of a text or by one of the decisions, is dropped;
* of a cell whose rows wait (they have not been counted or put out yet) a row that names the person anywhere is dropped;
* any other row that holds a token is somebody else's: it stays, with `MARK` in the token's place.

So sums and counts over many people stay what they are, and the next row finds everything in order: dropping is what a
time to live does, too. What is derived from cells is made anew (`Operator.restore`).

Not here: when (`erasures`), keys.db, and what somebody's SQL made of a token by a hash of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import cells, erasing, paged
from nextpaint.process.kernels.paged import BYTES, STRING
from nextpaint.process.state import Cell, Immutable, Key
from nextpaint.process.typed import TypedCell

Words = npt.NDArray[np.int64]
Texts = npt.NDArray[np.uint8]

TOKEN_LENGTH = 22  # of a subject token, see `govern.subjects`
MARK = "erased".ljust(TOKEN_LENGTH, "0")  # in the place of a token in rows of others: as long as one, and nobody's
_MARK = np.frombuffer(MARK.encode(), np.uint8)
_HITS = 4096
_SLOTS = 4096


class Erased(NamedTuple):
    """What became of a cell: rows dropped, rows marked."""

    dropped: int = 0
    marked: int = 0


class Traces:
    """What names one person: tokens of `TOKEN_LENGTH` characters, ids of decisions."""

    def __init__(self, tokens: Sequence[str], decisions: Iterable[str] = ()) -> None:
        self.tokens = tuple(dict.fromkeys(tokens))
        self.written = tuple(token.encode() for token in self.tokens)
        self.decisions = frozenset(decisions)
        self.packed = _packed([token.encode() for token in self.tokens])
        self._ids = tuple(sorted(each.encode() for each in self.decisions if each))
        by_length: dict[int, list[bytes]] = {}
        for each in self._ids:
            by_length.setdefault(len(each), []).append(each)
        self.packed_decisions = tuple(_packed(each) for _, each in sorted(by_length.items()))

    def name(self, value: Immutable) -> bool:
        """Does a value lead to the person: a token as a part of it, or one of the decisions?"""
        if isinstance(value, str):
            return value in self.decisions or any(token in value for token in self.tokens)
        if isinstance(value, tuple):
            return any(self.name(each) for each in value)
        return isinstance(value, bytes) and any(each in value for each in (*self.written, *self._ids))

    def decided(self, key: Key) -> bool:
        """Is a key, or a part of it, one of the decisions? Of BYTES, which nested keys are packed into, any part."""
        if not self.decisions or not isinstance(key, str | bytes | tuple):
            return False
        if isinstance(key, str):
            return key in self.decisions
        if isinstance(key, bytes):
            return any(each in key for each in self._ids)
        # Parts are looked up together; that a part is a tuple itself is rare.
        return not self.decisions.isdisjoint(key) or any(
            self.decided(each) for each in key if isinstance(each, tuple | bytes)
        )

    def marked(self, value: Immutable) -> Immutable:
        """The value with `MARK` for every token."""
        if isinstance(value, str):
            for token in self.tokens:
                value = value.replace(token, MARK)
        elif isinstance(value, bytes):
            for written in self.written:
                value = value.replace(written, MARK.encode())
        elif isinstance(value, tuple):
            return tuple(self.marked(each) for each in value)
        return value


def _packed(texts: Sequence[bytes]) -> Texts:
    """Texts of one length, sorted, as kernels take them."""
    return np.frombuffer(b"".join(sorted(texts)), np.uint8).reshape(len(texts), -1).copy()


def erased(cell: Cell, traces: Traces, waits: bool = False) -> Erased:
    """Rid a cell of a person; `waits`: its rows wait. Of a typed cell what is layout is to be made anew after."""
    if isinstance(cell, TypedCell):
        slots, hits = named(cell, traces, range(len(cell.packing.kinds)) if waits else range(cell.keys))
        return removed(cell, slots, hits)
    return _erased_plain(cell, traces, waits)


def _erased_plain(cell: Cell, traces: Traces, waits: bool) -> Erased:
    dropped: list[Key] = []
    marked: list[tuple[Key, Immutable]] = []
    for page in cell.pages:
        # Most pages hold nothing of the person, which their bytes say sooner than their rows.
        written = cell.encoded(page) if page else b""
        held = any(token in written for token in traces.written)
        if not held and not waits:
            dropped += [key for key in page if traces.decided(key)]
            continue
        for key, value in page.items():
            if traces.name(key) or (waits and traces.name(value)):
                dropped.append(key)
            elif held and (clean := traces.marked(value)) != value:
                marked.append((key, clean))
    for key in dropped:
        cell.pop(key)
    for key, value in marked:
        cell.put(key, value)
    return Erased(len(dropped), len(marked))


# ---------------------------------------------------------------- typed cells


def named(cell: TypedCell, traces: Traces, fields: Sequence[int]) -> tuple[Words, Words]:
    """The slots of rows that name the person in one of `fields`, and the places of tokens in the other rows."""
    texts = np.array([each for each in fields if cell.packing.kinds[each] >= STRING], np.int64)
    packed = texts[[cell.packing.kinds[each] == BYTES for each in texts]]
    hits = held(cell, traces)
    found = [np.unique(hits[np.isin(hits[:, 1], texts), 0])]
    if len(texts):
        for ids in traces.packed_decisions:
            found += list(_named_by(cell, ids, texts))
            if len(packed):  # nested keys, which hold ids as parts
                parts = _held(cell, ids)
                found.append(parts[np.isin(parts[:, 1], packed), 0])
    slots = np.unique(np.concatenate(found))
    return slots, hits[~np.isin(hits[:, 0], slots)]


def held(cell: TypedCell, traces: Traces) -> Words:
    """Every place of a token in a cell: slot, field, address."""
    return _held(cell, traces.packed)


def _held(cell: TypedCell, texts: Texts) -> Words:
    """Every place of one of these texts, sorted and of one length."""
    found: list[Words] = []
    if cell.meta[paged.STRINGS] and len(texts):
        at, room, count = 0, _HITS, np.zeros(1, np.int64)
        while at < cell.meta[paged.HIGH]:
            hits = np.empty((room, erasing.HIT), np.int64)
            after = erasing.texts_held(cell.meta, texts, at, hits, count)
            if after == at:
                room *= 2  # one row has more than fits
            found.append(hits[: count[0]].copy())
            at = after
    return np.concatenate(found) if found else np.empty((0, erasing.HIT), np.int64)


def _named_by(cell: TypedCell, ids: Texts, fields: Words) -> Iterator[Words]:
    at, count = 0, np.zeros(1, np.int64)
    while at < cell.meta[paged.HIGH]:
        slots = np.empty(_SLOTS, np.int64)
        at = erasing.rows_named(cell.meta, ids, fields, at, slots, count)
        yield slots[: count[0]]


def removed(cell: TypedCell, slots: Words, hits: Words) -> Erased:
    """Take the rows at `slots` out, and write `MARK` at the places of `hits` in other rows."""
    rows = np.unique(hits[:, 0])
    keys = [_key_at(cell, int(slot)) for slot in (*slots, *rows)] if cell.watchers else []
    if len(hits):
        cell.run(erasing.texts_overwritten, len(hits), np.ascontiguousarray(hits), _MARK)
    if len(slots):
        cell.run(erasing.rows_removed, len(slots), np.ascontiguousarray(slots))
    if keys:
        cell.changed(keys)
    return Erased(len(slots), len(rows))


def packed_at(cell: TypedCell, slots: Words) -> Words:
    """The packed rows at some slots; strings are good until the cell changes."""
    packed, one = np.empty((len(slots), cell.packing.width), np.int64), np.empty(1, np.int64)
    for number, slot in enumerate(slots.tolist()):
        cells.cell_export(cell.meta, slot, packed[number : number + 1], one)
    return packed


def _key_at(cell: TypedCell, slot: int) -> Key:
    packed = packed_at(cell, np.array([slot], np.int64))
    values: list[Any] = cell.packing.values(packed, 1)[0]
    return tuple(values[: cell.keys])


def unlinked(cell: Cell) -> None:
    """Take the layout out of a typed cell's rows, as in one that was just loaded: `restore` makes it anew."""
    if isinstance(cell, TypedCell) and cell.meta[paged.WIDTH] > cell.link_at:
        erasing.links_cleared(cell.meta, cell.link_at)
