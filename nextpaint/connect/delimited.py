"""Reads somebody's CSV: finds its delimiter, names its rows by number, and says what is wrong with it and how to mend
it.

A table file is UTF-8 text (a byte order mark is fine) with one header row; cells are separated by comma, semicolon,
tab or bar and may be quoted with `"`. Rows are streamed. Row numbers are the line numbers an editor shows. Nothing is
known here about what the columns mean.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from nextpaint.record.errors import InvalidInput

DELIMITERS = (",", ";", "\t", "|")
_SNIFF_CHARS = 65_536
_SNIFF_ROWS = 50
# A few bad rows are normal in an export; more than one in twenty mean that the file was misunderstood.
_BAD_ROWS_SHARE_MAX = 0.05
_EXAMPLES = 10


@dataclass
class Problems:
    """Rows of one file that could not be used: how many, and the first few in words."""

    path: Path
    rows: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, place: str, what: str, cure: str) -> None:
        """One more unusable row. `place`: "row 17" or "row 17, column Price"."""
        self.bad += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{place}: {what}; {cure}")

    def raise_if_many(self) -> None:
        """Raises InvalidInput with the first problems when they are more than 5 % of the rows, or all of them."""
        if self.bad and self.bad > self.rows * _BAD_ROWS_SHARE_MAX:
            listed = "\n    ".join(self.examples)
            raise InvalidInput(
                f"{self.bad} of {self.rows} rows cannot be used",
                where=f"{self.path}\n    {listed}\n",
                cure="mend these rows; up to 5 % of bad rows are skipped and reported",
            )


@dataclass(frozen=True, slots=True)
class TableFile:
    """A delimited file whose header was read. Names are unique: a second "Price" is called "Price (2)"."""

    path: Path
    delimiter: str
    header: tuple[str, ...]

    def rows(self, problems: Problems | None = None) -> Iterator[tuple[int, list[str]]]:
        """(row number, cells) of every row with as many cells as the header; empty rows are passed over, others
        reported."""
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            number = 0
            try:
                for index, cells in enumerate(reader):
                    number = reader.line_num
                    if index == 0 or not any(cell.strip() for cell in cells):
                        continue
                    if problems is not None:
                        problems.rows += 1
                    if len(cells) == len(self.header):
                        yield number, cells
                    elif problems is not None:
                        what = f"{len(cells)} cells where the header has {len(self.header)}"
                        problems.add(f"row {number}", what, "quote cells that contain the delimiter")
            except (csv.Error, UnicodeDecodeError) as error:
                raise _unreadable(self.path, number + 1, error) from error


def open_table(path: Path) -> TableFile:
    """Finds delimiter and header. Raises InvalidInput where the file is missing, empty, not text, or has a single
    column."""
    if not path.is_file():
        raise InvalidInput("no such file", where=str(path), cure="give the path of a CSV file with a header row")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read(_SNIFF_CHARS)
    except UnicodeDecodeError as error:
        raise _unreadable(path, 1, error) from error
    if not text.strip():
        raise InvalidInput("the file is empty", where=str(path), cure="it needs a header row and one row per item")
    if "\0" in text:
        raise InvalidInput("this is not a text file", where=str(path), cure="export it as CSV in UTF-8")
    delimiter = _delimiter(text)
    if delimiter is None:
        raise InvalidInput(
            "the first row is no header of two or more columns",
            where=f"{path}, row 1: {text.splitlines()[0][:80]!r}",
            cure="separate the columns by comma, semicolon, tab or |, and name them in the first row",
        )
    first = next(csv.reader(text.splitlines(), delimiter=delimiter))
    return TableFile(path, delimiter, _unique([cell.strip() for cell in first]))


def _delimiter(text: str) -> str | None:
    """The delimiter under which most of the first rows have as many cells as the first one, and the most cells."""
    complete = text if len(text) < _SNIFF_CHARS else text[: text.rfind("\n") + 1]
    best: tuple[float, int] = (0.0, 0)
    found = None
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(csv.reader(complete.splitlines(True), delimiter=delimiter), _SNIFF_ROWS))
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        if width > 1:
            score = (sum(len(row) == width for row in rows) / len(rows), width)
            if score > best:
                best, found = score, delimiter
    return found


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    unique = []
    for place, name in enumerate(names, start=1):
        name = name or f"column {place}"
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(unique)


def _unreadable(path: Path, row: int, error: Exception) -> InvalidInput:
    if isinstance(error, UnicodeDecodeError):
        return InvalidInput(
            f"the file is not UTF-8 (byte {error.object[error.start]:#04x})",
            where=f"{path}, at or after row {row}",
            cure='save it as "CSV UTF-8"; on a shell: iconv -f WINDOWS-1252 -t UTF-8',
        )
    return InvalidInput(
        f"the row cannot be read: {error}",
        where=f"{path}, at or after row {row}",
        cure="look for a quote that is never closed",
    )
