"""Guesses what the columns of somebody's catalogue mean, and says how sure it is and why.

Two kinds of evidence are weighed: the name of a column (60 %) and what its cells look like (40 %). A column whose
cells cannot be what its name says (a "price" of words) is never taken. A guess is only ever a guess: it is printed,
and `chosen` overrules it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from nextpaint.record.errors import InvalidInput

ROLES = ("item_id", "title", "category", "price", "stock")
_NAME_SHARE, _CELLS_SHARE = 0.6, 0.4
# Below this a column is not taken: a good name with odd cells passes, odd cells alone do not.
_CONFIDENCE_MIN = 0.35
_FIT_MIN = 0.5

# How well a column name speaks for a role, as names are in shop exports (Shopify, WooCommerce, Magento, GA4, German
# shops). Compared in lower case without anything but letters and digits.
_NAMES: Mapping[str, Mapping[str, float]] = {
    "item_id": {
        "itemid": 1.0, "productid": 1.0, "sku": 0.95, "handle": 0.95, "id": 0.9, "stockcode": 0.95, "productcode": 0.95,
        "articleid": 0.95, "articlenumber": 0.95, "artikelnummer": 0.95, "itemcode": 0.95, "asin": 0.9, "code": 0.8,
        "gtin": 0.7, "ean": 0.7, "upc": 0.7, "variantsku": 0.7, "reference": 0.6, "item": 0.6, "product": 0.5,
    },
    "title": {
        "title": 1.0, "name": 0.95, "productname": 1.0, "producttitle": 1.0, "itemname": 1.0, "itemtitle": 1.0,
        "bezeichnung": 0.9, "label": 0.6, "description": 0.55, "shortdescription": 0.5, "product": 0.5,
    },
    "category": {
        "category": 1.0, "categories": 0.95, "productcategory": 0.9, "itemcategory": 1.0, "producttype": 0.9, "type":
        0.7, "department": 0.8, "family": 0.8, "kategorie": 0.95, "collection": 0.7, "group": 0.6, "style": 0.4, },
        "price": { "price": 1.0, "variantprice": 1.0, "unitprice": 0.95, "regularprice": 0.95, "saleprice": 0.7,
        "listprice": 0.8, "preis": 0.95, "itemprice": 1.0, "retailprice": 0.9, "amount": 0.5, }, "stock": { "stock":
        1.0, "variantinventoryqty": 1.0, "inventory": 0.9, "inventoryquantity": 1.0, "stockquantity": 1.0,
        "stocklevel": 1.0, "currentstock": 1.0, "quantity": 0.8, "qty": 0.8, "onhand": 0.9, "available": 0.7,
        "availablequantity": 0.95, "bestand": 0.95, "lagerbestand": 0.95, }, }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """Which column plays a role. `column` None: none was found. `confidence` in [0, 1]; 1 where a person chose."""

    role: str
    column: str | None
    confidence: float
    reason: str

    def __str__(self) -> str:
        if self.column is None:
            return f"{self.role:9} not found: {self.reason}"
        return f"{self.role:9} = {self.column!r} ({self.confidence:.0%} sure: {self.reason})"


def guess_columns(
    header: Sequence[str], sample: Sequence[Sequence[str]], chosen: Mapping[str, str] | None = None
) -> dict[str, Guess]:
    """One guess per role of `ROLES`. `sample`: some rows. `chosen`: role to column name, taken as it is.

    Raises InvalidInput for an unknown role or column in `chosen`, for a file without rows, and where no item id is
    found.
    """
    guesses = _chosen(header, chosen or {})
    if not sample:
        raise InvalidInput("the file has a header and no rows", where="row 2", cure="add one row per item")
    columns = {name: [row[place].strip() for row in sample] for place, name in enumerate(header)}
    taken = {guess.column for guess in guesses.values()}
    scored = [
        (confidence, role, name, reason)
        for role in ROLES
        if role not in guesses
        for name in header
        for confidence, reason in [_score(role, name, columns[name])]
        if confidence >= _CONFIDENCE_MIN
    ]
    # Surest first; of equal ones the earlier column, which is the more important one in every export seen.
    for confidence, role, name, reason in sorted(scored, key=lambda each: (-each[0], header.index(each[2]))):
        if role not in guesses and name not in taken:
            guesses[role] = Guess(role, name, confidence, reason)
            taken.add(name)
    for role in ROLES:
        guesses.setdefault(role, Guess(role, None, 0.0, "no column has a name and cells like it"))
    if guesses["item_id"].column is None:
        raise InvalidInput(
            "no column looks like the id of an item",
            where=f"columns: {', '.join(header)}",
            cure="say which one it is: --column item_id=NAME",
        )
    if guesses["title"].column is None:
        guesses["title"] = Guess("title", guesses["item_id"].column, 0.1, "no title found, the id has to do")
    return guesses


def _chosen(header: Sequence[str], chosen: Mapping[str, str]) -> dict[str, Guess]:
    for role, name in chosen.items():
        if role not in ROLES:
            raise InvalidInput(f"there is no role {role!r}", where="--column", cure=f"the roles are {', '.join(ROLES)}")
        if name not in header:
            cure = f"the columns are {', '.join(header)}"
            raise InvalidInput(f"there is no column {name!r}", where=f"--column {role}={name}", cure=cure)
    return {role: Guess(role, name, 1.0, "you said so") for role, name in chosen.items()}


def _score(role: str, name: str, cells: Sequence[str]) -> tuple[float, str]:
    by_name = _name_weight(role, name)
    filled = [cell for cell in cells if cell]
    if not filled or by_name == 0.0:
        return 0.0, ""
    fit, words = _CELLS[role](filled, len(cells))
    if fit < _FIT_MIN:
        return 0.0, ""
    return _NAME_SHARE * by_name + _CELLS_SHARE * fit, f"{_about_name(by_name)}, {words}"


def _name_weight(role: str, name: str) -> float:
    names = _NAMES[role]
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    if plain in names:
        return names[plain]
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return max((0.5 * names[word] for word in words if word in names), default=0.0)


def _about_name(weight: float) -> str:
    return "the name says it" if weight >= 0.8 else "the name may say it"


def _id_fit(filled: Sequence[str], rows: int) -> tuple[float, str]:
    distinct = len(set(filled)) / len(filled)
    return distinct * len(filled) / rows, f"{distinct:.0%} of the cells are different"


def _title_fit(filled: Sequence[str], rows: int) -> tuple[float, str]:
    wordy = sum(any(character.isalpha() for character in cell) for cell in filled) / len(filled)
    return wordy, f"{wordy:.0%} of the cells are words"


def _category_fit(filled: Sequence[str], rows: int) -> tuple[float, str]:
    distinct = len(set(filled))
    # Categories repeat; in a sample of a few rows they may not yet.
    return (1.0 if distinct <= max(3, len(filled) * 0.6) else 0.0), f"{distinct} different values"


def _price_fit(filled: Sequence[str], rows: int) -> tuple[float, str]:
    share = sum(parse_number(cell) is not None for cell in filled) / len(filled)
    return share, f"{share:.0%} of the cells are amounts"


def _stock_fit(filled: Sequence[str], rows: int) -> tuple[float, str]:
    share = sum(parse_count(cell) is not None for cell in filled) / len(filled)
    return share, f"{share:.0%} of the cells are whole numbers"


_CELLS: Mapping[str, Callable[[Sequence[str], int], tuple[float, str]]] = {
    "item_id": _id_fit,
    "title": _title_fit,
    "category": _category_fit,
    "price": _price_fit,
    "stock": _stock_fit,
}


def parse_number(text: str) -> float | None:
    """`12`, `£1,234.50`, `1.234,50 €`, `12,5`: the number, or None. Of a comma and a point the later one is the
    decimal sign; a lone comma is one unless exactly three digits follow it."""
    plain = re.sub(r"[\s\u00a0']|[A-Z]{3}|\$|€|£|¥", "", text)
    if not re.fullmatch(r"[-+]?\d[\d.,]*", plain):
        return None
    if "," in plain and "." in plain:
        group = "," if plain.rindex(".") > plain.rindex(",") else "."
        plain = plain.replace(group, "").replace(",", ".")
    elif "," in plain:
        thousands = plain.count(",") > 1 or re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", plain) is not None
        plain = plain.replace(",", "" if thousands else ".")
    try:
        number = float(plain)
    except ValueError:
        return None
    return number if isfinite(number) else None


def parse_count(text: str) -> int | None:
    """A whole number (`7`, `7.0`, `1,200`), or None."""
    number = parse_number(text)
    return int(number) if number is not None and number == int(number) else None


def leaf_category(text: str) -> str:
    """`Clothing > Hoodies, Sale` is `Hoodies`: the first path, and of it the last part."""
    first = text.split(",")[0] if ">" in text or text.count(",") else text
    return first.split(">")[-1].strip()
