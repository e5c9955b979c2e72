"""`nextpaint init`: writes an application folder from a catalogue and, if there is one, an event file.

What is guessed (see `connect.guess`, `connect.event_log`) is reported with its reason and written into the README of
the folder. All files are made beside the target first and moved in at the end: a failure leaves nothing half written.
Nothing that exists is overwritten without `force`; with it, only files of the same name are. Text out of the user's
files reaches SQL, Python and TOML only as checked identifiers or quoted literals.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nextpaint.connect.delimited import Problems, TableFile, open_table
from nextpaint.connect.event_log import EventShape, as_call, guess_events, order_lines, read_lines
from nextpaint.connect.guess import Guess, guess_columns, leaf_category, parse_count, parse_number
from nextpaint.connect.orders import HEADER as ORDERS_HEADER
from nextpaint.record.errors import InvalidInput

CATALOG_HEADER = ("item_id", "title", "category", "price", "stock")
_TEMPLATES = Path(__file__).parent / "templates"
_SAMPLE_ROWS = 500
_SEGMENT_VIEWS = ("Product Viewed", "Product Clicked")
_SEGMENT_CARTS = ("Product Added",)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_NUMBER_CURES = {"price": "write an amount such as 12.50", "stock": "write a whole number"}
_NO_CATEGORY = "Other"

Item = list[str]


@dataclass(frozen=True, slots=True)
class Created:
    """What `create` did. `guesses` and `notes` are lines for a person; `notes` says what was skipped and why."""

    folder: Path
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
    items: int
    events: int
    orders: int


@dataclass(frozen=True, slots=True)
class _Catalog:
    guesses: Mapping[str, Guess]
    items: Mapping[str, Item]
    notes: tuple[str, ...]

    def has(self, role: str) -> bool:
        return self.guesses[role].column is not None


def create(
    folder: Path,
    catalog: Path,
    events: Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    force: bool = False,
) -> Created:
    """Writes the application `folder`. `columns`: role to column name, overruling the guesses.

    Raises InvalidInput where the folder is in use or an input cannot be read or understood.
    """
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.name.lower()).strip("-") or "shop"
    if not force and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        cure = "choose another folder, or add --force to overwrite its files"
        raise InvalidInput("the folder is not empty", where=str(folder), cure=cure)
    known = _read_catalog(open_table(catalog), columns)
    shape = guess_events(events, set(known.items)) if events else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".nextpaint-init-", dir=folder.parent) as scratch:
        made = Path(scratch) / "application"
        (made / "data").mkdir(parents=True)
        _write_catalog(made / "data" / "catalog.csv", known.items.values())
        calls, orders, notes = _write_events(made / "data", events, shape)
        guesses = (*map(str, known.guesses.values()), *([str(shape)] if shape else ()))
        created = Created(folder, guesses, known.notes + notes, len(known.items), calls, orders)
        values = _values(name, created, known, shape) | {
            "sources": _sources(catalog, events),
            "catalog_file": _one_line(catalog.name),
        }
        for template in sorted(_TEMPLATES.iterdir()):
            text = _filled(template.read_text(encoding="utf-8"), values)
            (made / template.name.removesuffix(".txt")).write_text(text, encoding="utf-8")
        _move_in(made, folder)
    return created


def _read_catalog(table: TableFile, columns: Mapping[str, str] | None) -> _Catalog:
    """All items, in the order of the file. Rows that repeat an id are variants of one item: an empty cell of the
    first row is filled from them, and their stock is added (a Shopify export has one row per variant and per
    picture)."""
    problems = Problems(table.path)
    sample = [cells for _, cells in islice(table.rows(), _SAMPLE_ROWS)]
    guesses = guess_columns(table.header, _one_row_per_item(table.header, sample), columns)
    places = {role: table.header.index(guess.column) for role, guess in guesses.items() if guess.column is not None}
    items: dict[str, Item] = {}
    repeated = 0
    for number, cells in table.rows(problems):
        item = [cells[places[role]].strip() if role in places else "" for role in CATALOG_HEADER]
        if not item[0]:
            problems.add(
                f"row {number}, column {guesses['item_id'].column}", "no item id", "fill it in or remove the row"
            )
            continue
        for place, role in ((3, "price"), (4, "stock")):
            value = _number(role, item[place])
            if item[place] and value is None:
                what, cure = f"{item[place][:40]!r} is no {role}", _NUMBER_CURES[role]
                problems.add(f"row {number}, column {guesses[role].column}", what, f"{cure}; it was left empty")
            item[place] = "" if value is None else str(value)
        item[2] = leaf_category(item[2])
        repeated += _merge(items, item)
    problems.raise_if_many()
    untitled = sum(not item[1] for item in items.values())
    for item in items.values():
        item[1], item[2] = item[1] or item[0], item[2] or _NO_CATEGORY
    notes = list(problems.examples)
    if repeated:
        notes.append(f"{repeated} rows repeat the id of an earlier row and were taken as variants of it")
    if untitled:
        notes.append(f"{untitled} items have no title and are called by their id")
    return _Catalog(guesses, items, tuple(notes))


def _number(role: str, text: str) -> float | int | None:
    value = parse_number(text) if role == "price" else parse_count(text)
    return None if value is None or (role == "price" and value < 0) else value


def _one_row_per_item(header: Sequence[str], sample: Sequence[list[str]]) -> list[list[str]]:
    """Of a Shopify export, the rows that start an item (only those have a title): the others would hide that `Handle`
    is the id."""
    if "Handle" not in header or "Title" not in header:
        return list(sample)
    title = header.index("Title")
    return [cells for cells in sample if cells[title].strip()] or list(sample)


def _merge(items: dict[str, Item], item: Item) -> bool:
    """Adds an item, or what a further row of it knows; True where it was there before."""
    first = items.setdefault(item[0], item)
    if first is item:
        return False
    for place in (1, 2, 3):
        first[place] = first[place] or item[place]
    if item[4]:
        first[4] = str(int(first[4] or 0) + int(item[4]))
    return True


def _write_catalog(path: Path, items: Iterable[Item]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(CATALOG_HEADER)
        writer.writerows(items)


def _write_events(folder: Path, events: Path | None, shape: EventShape | None) -> tuple[int, int, tuple[str, ...]]:
    """Writes events.ndjson and orders.csv; how many calls and order lines they have, and notes."""
    calls = orders = unordered = 0
    notes: list[str] = []
    with (
        (folder / "events.ndjson").open("w", encoding="utf-8") as stream,
        (folder / "orders.csv").open("w", encoding="utf-8", newline="") as order_stream,
    ):
        writer = csv.writer(order_stream, lineterminator="\n")
        writer.writerow(ORDERS_HEADER)
        if events is None or shape is None:
            return 0, 0, ()
        problems = Problems(events)
        latest = ""
        for number, line in read_lines(events, problems):
            call = as_call(line, number, shape)
            if call is None:
                problems.add(f"row {number}", "no person, time or event name", "give every event all three")
                continue
            lines = order_lines(call, shape)
            writer.writerows(lines)
            stream.write(json.dumps(call, ensure_ascii=False, separators=(",", ":")) + "\n")
            unordered += call["timestamp"] < latest
            latest = max(latest, call["timestamp"])
            calls, orders = calls + 1, orders + len(lines)
        problems.raise_if_many()
        notes += problems.examples
    if unordered:
        notes.append(f"{unordered} events are older than one before them; sort the file by time for an exact replay")
    if shape.known_items < 0.5:
        notes.append("most items of the events are not in the catalogue: is the item id the right column?")
    return calls, orders, tuple(notes)


def _values(name: str, created: Created, catalog: _Catalog, shape: EventShape | None) -> dict[str, str]:
    """What stands in the templates' places, but for the file names."""
    item_key = shape.item_key if shape and _IDENTIFIER.fullmatch(shape.item_key) else "product_id"
    views: tuple[str, ...] = _SEGMENT_VIEWS
    carts: tuple[str, ...] = _SEGMENT_CARTS
    if shape:  # the shop page sends the Segment names, so they stay beside those of the file
        views = tuple(dict.fromkeys(shape.names("view") + views))
        carts = tuple(dict.fromkeys(shape.names("cart") + carts))
    item = f"JSON_VALUE(properties, '$.{item_key}')"
    if item_key != "product_id":
        item = f"COALESCE({item}, JSON_VALUE(properties, '$.product_id'))"
    is_cart = f"CASE WHEN event IN ({_literals(carts)}) THEN"
    return {
        "name": name,
        "title": name.replace("-", " ").replace("_", " ").title(),
        "folder": _one_line(str(created.folder)),
        "item": item,
        "kind": f"{is_cart} 'cart' ELSE 'view' END",
        "weight": f"CAST({is_cart} 4 ELSE 1 END AS DOUBLE)",
        "click_events": _literals((*views, *carts)),
        "clicks_note": _clicks_note(shape),
        "guesses": "\n".join(f"* {_one_line(each)}" for each in created.guesses),
        "counts": "\n".join(f"* {_one_line(each)}" for each in (_counts(created), *created.notes)),
        **_surface_values(catalog),
    }


def _clicks_note(shape: EventShape | None) -> str:
    if shape is None:
        return "No event file was given: these are the Segment names."
    return "The event names are yours and those of\n-- Segment, which the shop page sends."


def _surface_values(catalog: _Catalog) -> dict[str, str]:
    """The lines of surfaces.py that depend on what the catalogue has: nothing may require a column that is always
    empty."""
    stock_rules = [f'"inventory.{role} > 0"' for role in ("stock", "price") if catalog.has(role)]
    require = [*stock_rules, 'NotSeen("impressions", times=12, within="1 h")', 'NotBought("orders", within="30 d")']
    features = ['"similarity": session', '"trend": "trending.heat"']
    features += [f'"{role}": "inventory.{role}"' for role in ("price", "stock") if catalog.has(role)]
    weights, full, rules, retrieve = "similarity=0.8, trend=0.2", "similarity=1.0", "", ""
    names = ["WEB_RERANK", "BoughtTogether", "Given", "LastGood", "NotBought", "NotSeen", "Optional", "Recent"]
    names += ["SessionVector", "Similar", "Surface", "Top", "Weighted"]
    if catalog.has("category"):
        features.insert(1, '"interest": "category_interest.heat"')
        weights = "similarity=0.45, interest=0.45, trend=0.10"
        full = "similarity=1.0, interest=1.0"
        rules = 'Diversify(by="category", at_most=8)'
        retrieve = 'Top("trending", by="heat", where={"category": TopOf("category_interest", by="heat", n=3)}, k=100),'
        names += ["Diversify", "TopOf"]
    ordered = sorted(names, key=lambda each: (not each.isupper(), each))  # as ruff sorts imports
    return {
        "imports": ",\n    ".join(ordered) + ",",
        "retrieve": retrieve,
        "require": ",\n        ".join(require) + ",",
        "features": ",\n        ".join(features) + ",",
        "weights": weights,
        "full": full,
        "rules": rules,
        "stock_rule": ", ".join(stock_rules),
    }


def _literals(names: Sequence[str]) -> str:
    """SQL string literals; the names are printable (`connect.event_log` takes no others)."""
    return ", ".join("'" + name.replace("'", "''") + "'" for name in names)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _sources(catalog: Path, events: Path | None) -> str:
    names = f"`{_one_line(catalog.name)}`"
    return f"{names} and `{_one_line(events.name)}`" if events else names


def _counts(created: Created) -> str:
    return f"{created.items:,} items, {created.events:,} events, {created.orders:,} order lines"


def _filled(template: str, values: Mapping[str, str]) -> str:
    """`{{name}}` is replaced by its value, in one pass; a line that becomes empty by it goes."""
    lines = []
    for line in template.split("\n"):
        filled = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], line)
        if filled.strip() or not line.strip():
            lines.append(filled)
    return "\n".join(lines)


def _move_in(made: Path, folder: Path) -> None:
    for file in sorted(each for each in made.rglob("*") if each.is_file()):
        target = folder / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
