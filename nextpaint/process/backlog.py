"""What a follower of a cell has still to take in: every key at first, page by page, then the keys that changed.

Keys come in no order that may be relied upon. The cell may be written between two
portions: what was written since is among the changed keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from nextpaint.process.state import Cell, Key


class Backlog:
    """Follows `cell`; `others` have the same keys and only tell of changes."""

    def __init__(self, cell: Cell, others: Iterable[Cell] = ()) -> None:
        self._changed: set[Any] = set()
        self._cells: tuple[Cell, ...] = ()
        self._walk: Iterator[Sequence[Key]] | None = cell.key_pages()
        self._unseen = len(cell)  # about how many keys the walk has before it
        self._watch((cell, *others))

    def __len__(self) -> int:
        return len(self._changed) + (max(self._unseen, 1) if self._walk is not None else 0)

    def take(self, most: int | None = None) -> list[Key]:
        """The next keys, about `most` of them at most; all there are without it."""
        taken: list[Key] = []
        while self._walk is not None and (most is None or len(taken) < most):
            page = next(self._walk, None)
            if page is None:
                self._walk = None
            else:
                taken += page
                self._changed.difference_update(page)
        self._unseen = max(self._unseen - len(taken), 0)
        if most is None:
            taken += self._changed
            self._changed.clear()
        elif self._walk is None and len(taken) < most:
            part = list(islice(self._changed, most - len(taken)))
            self._changed.difference_update(part)
            taken += part
        return taken

    def rebind(self, cell: Cell, others: Iterable[Cell] = ()) -> None:
        """Follow other cells, which hold the same now. Everything must have been taken in."""
        if len(self):
            raise RuntimeError(f"the follower of {self._cells[0].name} is behind")
        self.close()
        self._watch((cell, *others))

    def close(self) -> None:
        """Follow nothing any more."""
        for each in self._cells:
            each.watchers[:] = [watcher for watcher in each.watchers if watcher is not self._changed]

    def _watch(self, cells: tuple[Cell, ...]) -> None:
        self._cells = cells
        for each in cells:
            each.watchers.append(self._changed)


class FirstColumns:
    """Keys of a cell by their first column, for reads by a prefix of the key. Derived, never part of the state."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._backlog = Backlog(cell)
        self._keys: dict[Any, dict[Key, None]] = {}

    @property
    def behind(self) -> int:
        """Keys that are still to be taken in."""
        return len(self._backlog)

    def keys(self) -> Mapping[Any, Mapping[Key, None]]:
        """As they are now."""
        self.refresh()
        return self._keys

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        if len(self._backlog):
            self.take_in()

    def take_in(self, most: int | None = None) -> None:
        """Take in a part of what changed, about `most` keys; all of it without a number."""
        for key in self._backlog.take(most):
            if key in self._cell:
                self._keys.setdefault(key[0], {})[key] = None
            elif key[0] in self._keys:
                self._keys[key[0]].pop(key, None)

    def rebind(self, cell: Cell) -> None:
        """Follow another cell, which holds the same keys now, from here on."""
        self.refresh()
        self._cell = cell
        self._backlog.rebind(cell)
