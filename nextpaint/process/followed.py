"""What is read over many keys, known beforehand: the columns, codes and places that are made before the first reading
needs them and kept near the state afterwards.

Derived, never part of the state: whatever is not named here is still made when it is first read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Pair = tuple[str, str]


@dataclass(slots=True)
class Followed:
    """columns, codes: (table, column) of tables with a one-column key. places: (table, other), where either may be a
    table of vectors. prefixes: tables whose rows are read by the first column of their key. In the order named."""

    columns: dict[Pair, None] = field(default_factory=dict)
    codes: dict[Pair, None] = field(default_factory=dict)
    places: dict[Pair, None] = field(default_factory=dict)
    prefixes: dict[str, None] = field(default_factory=dict)

    def column(self, table: str, column: str) -> None:
        self.columns[table, column] = None

    def code(self, table: str, column: str) -> None:
        self.codes[table, column] = None

    def place(self, table: str, other: str) -> None:
        if table != other:
            self.places[table, other] = None

    def prefix(self, table: str) -> None:
        self.prefixes[table] = None

    def add(self, other: Followed) -> None:
        """Follow what `other` follows, too."""
        self.columns |= other.columns
        self.codes |= other.codes
        self.places |= other.places
        self.prefixes |= other.prefixes
