"""Keyed state in pages: what operators remember, how it is hashed, frozen and written out.

A `Cell` is one keyed table of one operator: key -> value, both immutable (str, int, float, bool, bytes, None, Decimal
and tuples of these). Cells live in a `State`, named `<operator id>/<cell>`.

Invariants
* Content decides everything, layout nothing: the state hash is the sum modulo 2**128 of hash(cell, key, value) over
  live rows, so page sizes, insertion history and PYTHONHASHSEED do not show.
* A cell grows by splitting one page at a time (linear hashing); no operation touches more than two pages.
* A snapshot is consistent: `State.snapshot()` marks every page; the first write to a marked page copies it. The
  snapshot is then written out in slices between steps.

Not here: event time, files, threads.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

Key = Any
Immutable = Any

# A page is the unit of splitting, of copy-on-write and of hashing: 256 rows copy in about 5 microseconds.
PAGE_ROWS = 256

HASH_MODULUS = 1 << 128

_DECIMAL = "\x00decimal"

# Rows of the kind most large cells hold, decoded straight to what they are, without lists.
_Plain = list[tuple[str | tuple[str, ...], bool | int | float | str | None]]


def _encode_other(value: object) -> object:
    raise TypeError(f"state holds only immutable plain values, not {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other, decimal_format="string")
_plain = msgspec.msgpack.Decoder(_Plain)


def _tagged(value: Immutable) -> Immutable:
    """Decimals marked, since MessagePack has no type for them."""
    if isinstance(value, Decimal):
        return (_DECIMAL, str(value))
    if isinstance(value, tuple):
        return tuple(_tagged(each) for each in value)
    return value


def restored(value: Any, known: dict[str, str]) -> Immutable:
    """What `_tagged` and MessagePack made of a value, undone: lists are tuples again, and equal texts are one object,
    as they mostly were. `known`: those seen so far."""
    kind = type(value)
    if kind is str:
        return known.setdefault(value, value)
    if kind is list:
        if len(value) == 2 and value[0] == _DECIMAL:
            return Decimal(value[1])
        return tuple([restored(each, known) for each in value])
    if kind is float and value != value:
        return math.nan  # one object, as `kept` puts it into keys: two NaN are not equal otherwise
    return value


def frozen(value: Any) -> Immutable:
    """A column value as state holds it: lists become tuples, maps become tuples of pairs in insertion order."""
    if isinstance(value, list | tuple):
        return tuple(frozen(each) for each in value)
    if isinstance(value, dict):
        return tuple((frozen(key), frozen(each)) for key, each in value.items())
    return value


class FrozenPage(NamedTuple):
    """A page of a snapshot: how many rows, the sum of their hashes, and what `load_page` takes."""

    rows: int
    hash: int
    body: bytes


SAMPLE_ROWS = 32  # a measurement looks at this many rows of a cell: about 50 microseconds
SLOT_BYTES = 100  # a dictionary's entry at its usual load, with the hash


def _size(value: Immutable) -> int:
    """Bytes of a value with what is in it."""
    size = sys.getsizeof(value)
    return size + sum(_size(each) for each in value) if isinstance(value, tuple) else size


class Cell:
    """One keyed table of one operator. Values must be immutable; a put of an equal value is not a change."""

    __slots__ = ("_decimals", "_frozen", "_hashes", "_level", "_rows", "_saved", "_split", "name", "pages", "watchers")

    def __init__(self, name: str, *, decimals: bool = False) -> None:
        self.name = name
        self.pages: list[dict[Key, Immutable]] = [{}]
        self._decimals = decimals
        self._level = 1  # number of pages at the start of this round of splits; a power of two
        self._split = 0  # next page to split
        self._rows = 0
        self._hashes: list[int | None] = [0]
        self._frozen: set[int] | None = None  # pages the running snapshot has not written yet
        self._saved: dict[int, dict[Key, Immutable]] = {}
        self.watchers: list[set[Key]] = []  # derived structures that follow this cell: keys changed since they looked

    def __len__(self) -> int:
        return self._rows

    def _page(self, key: Key) -> int:
        digest = hash(key)
        page = digest & (self._level - 1)
        return digest & (2 * self._level - 1) if page < self._split else page

    def get(self, key: Key, default: Immutable = None) -> Immutable:
        return self.pages[self._page(key)].get(key, default)

    def several(self, keys: Iterable[Key]) -> list[Immutable]:
        """What `get` gives for each."""
        pages, split, first = self.pages, self._split, self._level - 1
        second = 2 * self._level - 1
        found = []
        for key in keys:
            digest = hash(key)
            page = digest & first
            found.append(pages[digest & second if page < split else page].get(key))
        return found

    def __contains__(self, key: Key) -> bool:
        return key in self.pages[self._page(key)]

    def put(self, key: Key, value: Immutable) -> None:
        number = self._page(key)
        page = self._writable(number)
        if key not in page:
            self._rows += 1
            page[key] = value
            if self._rows > PAGE_ROWS * len(self.pages):
                self._grow()
        else:
            page[key] = value
        for watcher in self.watchers:
            watcher.add(key)

    def put_all(self, rows: Mapping[Key, Immutable]) -> None:
        """`put` each; their order is not to be seen."""
        frozen, hashes, level, split = self._frozen, self._hashes, self._level, self._split
        for key, value in rows.items():
            digest = hash(key)
            number = digest & (level - 1)
            if number < split:
                number = digest & (2 * level - 1)
            page = self.pages[number]
            if frozen is not None or key not in page:
                self.put(key, value)
                level, split = self._level, self._split
            else:
                hashes[number] = None
                page[key] = value
        for watcher in self.watchers:
            watcher.update(rows)

    def pop(self, key: Key) -> Immutable:
        """Remove and return; None when absent."""
        number = self._page(key)
        if key not in self.pages[number]:
            return None
        value = self._writable(number).pop(key)
        self._rows -= 1
        for watcher in self.watchers:
            watcher.add(key)
        return value

    def items(self) -> Iterator[tuple[Key, Immutable]]:
        """All rows, in no order that may be relied upon. Do not write while iterating."""
        for page in self.pages:
            yield from page.items()

    def key_pages(self) -> Iterator[list[Key]]:
        """Every key that stays, by page, while rows are written in between: a key that comes or goes meanwhile may be
        missing. A split moves rows to the end only, so none is passed over."""
        number = 0
        while number < len(self.pages):
            yield list(self.pages[number])
            number += 1

    def size_bytes(self) -> int:
        """About how much memory the rows take: the average of a sample, times the rows."""
        sample: list[tuple[Key, Immutable]] = []
        for page in self.pages:
            sample += islice(page.items(), SAMPLE_ROWS - len(sample))
            if len(sample) >= SAMPLE_ROWS:
                break
        if not sample:
            return 0
        total = sum(_size(key) + _size(value) + SLOT_BYTES for key, value in sample)
        return total * self._rows // len(sample)

    def clear(self) -> None:
        for key in [key for key, _ in self.items()]:
            self.pop(key)

    def _writable(self, number: int) -> dict[Key, Immutable]:
        page = self.pages[number]
        self._hashes[number] = None
        if self._frozen is not None and number in self._frozen:
            self._frozen.discard(number)
            self._saved[number] = page.copy()
        return page

    def _grow(self) -> None:
        """Split the next page in two. The round ends when every page of the level has been split."""
        number = self._split
        old = self._writable(number)
        self.pages.append({})
        self._hashes.append(None)
        self._split += 1
        mask = 2 * self._level - 1
        new = self.pages[-1]
        for key in [key for key in old if hash(key) & mask != number]:
            new[key] = old.pop(key)
        if self._split == self._level:
            self._level *= 2
            self._split = 0

    # ------------------------------------------------------------ hash

    def _encoded(self, value: Immutable) -> bytes:
        return _encoder.encode(_tagged(value) if self._decimals else value)

    def row_hash(self, key: Key, value: Immutable) -> int:
        body = self._encoded(key) + b"\xc1" + self._encoded(value)  # 0xc1 is never used by MessagePack
        return int.from_bytes(
            blake2b(body, digest_size=16, person=b"state", key=self.name.encode()[:64]).digest(), "big"
        )

    def hash(self) -> int:
        """Sum of row hashes modulo 2**128; only pages written since the last call are read."""
        total = 0
        for number, page in enumerate(self.pages):
            cached = self._hashes[number]
            if cached is None:
                cached = sum(self.row_hash(key, value) for key, value in page.items()) % HASH_MODULUS
                self._hashes[number] = cached
            total += cached
        return total % HASH_MODULUS

    # ------------------------------------------------------------ snapshots

    def freeze(self) -> None:
        if self._frozen is not None:
            raise RuntimeError(f"cell {self.name} is already frozen by another snapshot")
        self._frozen = set(range(len(self.pages)))
        self._saved = {}

    def frozen_pages(self) -> Iterator[FrozenPage]:
        """The pages as they were at `freeze`, each once; consume between writes, to the end."""
        assert self._frozen is not None, "freeze first"
        while self._frozen or self._saved:
            if self._saved:
                _, page = self._saved.popitem()
            else:
                page = self.pages[self._frozen.pop()]
            hashed = sum(self.row_hash(key, value) for key, value in page.items())
            yield FrozenPage(len(page), hashed, self.encoded(page))
        self._frozen = None

    def thaw(self) -> None:
        """Give up a snapshot."""
        self._frozen = None
        self._saved = {}

    def encoded(self, page: Mapping[Key, Immutable]) -> bytes:
        """Rows as `load_page` takes them."""
        if self._decimals:
            return _encoder.encode([(_tagged(key), _tagged(value)) for key, value in page.items()])
        return _encoder.encode(list(page.items()))

    def _rows_of(self, data: bytes, known: dict[str, str]) -> dict[Key, Immutable]:
        one = known.setdefault
        if not self._decimals:
            try:
                found = _plain.decode(data)
            except msgspec.ValidationError:  # other rows than these
                pass
            else:
                return {
                    (one(key, key) if type(key) is str else tuple([one(each, each) for each in key])): one(value, value)
                    if type(value) is str
                    else value
                    for key, value in found
                }
        return {restored(key, known): restored(value, known) for key, value in msgspec.msgpack.decode(data)}

    def load_page(self, data: bytes, known: dict[str, str] | None = None) -> None:
        """Put the rows of a saved page. `known`: see `restored`; one for all pages that are loaded together."""
        rows = self._rows_of(data, {} if known is None else known)
        if self.watchers or self._frozen is not None:
            for key, value in rows.items():
                self.put(key, value)
            return
        pages, hashes = self.pages, self._hashes
        level, split, most = self._level, self._split, PAGE_ROWS * len(pages)
        for key, value in rows.items():  # as `put` does it, without a call for each: a start reads millions of rows
            digest = hash(key)
            number = digest & (level - 1)
            if number < split:
                number = digest & (2 * level - 1)
            page = pages[number]
            hashes[number] = None
            if key not in page:
                self._rows += 1
            page[key] = value
            if self._rows > most:
                self._grow()
                level, split, most = self._level, self._split, PAGE_ROWS * len(pages)


C = TypeVar("C", bound=Cell)


class State:
    """All cells of a runner by name."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}

    def cell(self, operator: str, name: str, *, decimals: bool = False) -> Cell:
        """Make the cell `operator/name`; each is made once."""
        return self.add(Cell(f"{operator}/{name}", decimals=decimals))

    def add(self, cell: C) -> C:
        """Take a cell under its name; each name once."""
        if cell.name in self.cells:
            raise RuntimeError(f"cell {cell.name} exists already: operator ids must be unique")
        self.cells[cell.name] = cell
        return cell

    def hash(self) -> str:
        """The state hash, 32 hex digits."""
        return f"{sum(cell.hash() for cell in self.cells.values()) % HASH_MODULUS:032x}"

    def rows(self) -> int:
        return sum(len(cell) for cell in self.cells.values())

    def snapshot(self) -> Snapshot:
        return Snapshot(self)


class Snapshot:
    """A consistent copy of a state, written out in slices while the state moves on."""

    def __init__(self, state: State) -> None:
        self._cells = list(state.cells.values())
        for cell in self._cells:
            cell.freeze()
        self._pages = self._walk()
        self.hash = 0
        self.rows = 0
        self.done = False

    def _walk(self) -> Iterator[tuple[Cell, FrozenPage]]:
        for cell in self._cells:
            for page in cell.frozen_pages():
                yield cell, page

    def slice(self, rows_max: int) -> list[tuple[str, bytes]]:
        """The next pages as (cell name, encoded rows), about `rows_max` rows; empty when done."""
        taken: list[tuple[str, bytes]] = []
        rows = 0
        while rows < rows_max:
            step = next(self._pages, None)
            if step is None:
                self.done = True
                break
            cell, page = step
            if page.rows:
                self.hash += page.hash
                taken.append((cell.name, page.body))
            rows += page.rows + 1
        self.rows += rows
        return taken

    @property
    def state_hash(self) -> str:
        """The hash of the state at the snapshot's position; final once `done`."""
        return f"{self.hash % HASH_MODULUS:032x}"

    def abandon(self) -> None:
        for cell in self._cells:
            cell.thaw()
