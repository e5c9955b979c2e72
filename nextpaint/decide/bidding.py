"""Bids: what turns a surface of advertisements into one that answers bid requests (OpenRTB 2.6).

`Bid` is a filter: it names the columns of the items table that a bid is made of, and refuses what this request must not
be answered with: another format or size, a blocked category, advertiser or attribute, a price below the floor, markup
that is not secure. A filter, so it holds on every path, also when there is no time; its refusals are in the record, and
a replay gives them again. The request's own limits come as inputs (`BID_INPUTS`); parsing them is `serve`.

Prices are in `currency` throughout; a floor in another currency has been converted before it gets here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.facts import Fact
from nextpaint.decide.request import InputType, Optional
from nextpaint.decide.requirements import Needs
from nextpaint.decide.stage import Stage
from nextpaint.record.columns import BoolArray

# What a bid request says of one place: formats ("banner", "native"), sizes ("300x250"; none: any), what is blocked, the
# floor (CPM in the currency of the bid), whether markup must be secure; then where it is.
BID_INPUTS: dict[str, InputType] = {
    "formats": Optional(list), "sizes": Optional(list), "bcat": Optional(list), "badv": Optional(list),
    "battr": Optional(list), "floor": Optional(float), "secure": Optional(bool), "placement": Optional(str),
    "site": Optional(str),
}  # fmt: skip

NATIVE_PARTS = ("title", "image", "icon", "description", "sponsor", "link")


@dataclass(frozen=True)
class Bid:
    """Makes a surface answer bid requests; goes into `require=`. Its inputs must include `BID_INPUTS`.

    Columns of the items table: price (CPM, a number), advertiser (domains, separated by commas), categories and
    attributes (codes, separated by commas), format ("banner" or "native"), width and height (of a banner), markup (of a
    banner), campaign. native: parts of a native ad ("title", "image", "icon", "description", "sponsor", "link") -> the
    column that holds them. currency: of the prices. taxonomy: of the categories (AdCOM). seat: who bids. vendor: our id
    in the Global Vendor List; without one a request under the GDPR is never answered with a profile. rates: a table
    with the key `currency` and a number `rate`, units of our currency for one of theirs. network_ms: of `tmax`, what
    the way to us and back may take.
    """

    price: str = "cpm"
    advertiser: str = "adomain"
    categories: str = "cat"
    format: str = "format"
    width: str = "w"
    height: str = "h"
    markup: str = "adm"
    attributes: str | None = None
    campaign: str | None = None
    native: Mapping[str, str] = field(default_factory=dict)
    currency: str = "USD"
    taxonomy: int = 1
    seat: str = "nextpaint"
    vendor: int | None = None
    rates: str | None = None
    network_ms: int = 20
    label = "biddable"

    def __str__(self) -> str:
        return f"Bid({self.price} {self.currency}, seat {self.seat})"

    def needs(self, needs: Needs) -> None:
        if self.rates is not None:
            needs.read(self.rates, "rate")

    def bind(self, binder: Binder) -> Stage | None:
        texts = [self.advertiser, self.categories, self.format, self.markup, *self.native.values()]
        texts += [name for name in (self.attributes, self.campaign) if name is not None]
        fields = {name: binder.item_column(name, "Bid") for name in (self.price, self.width, self.height, *texts)}
        for name in (self.price, self.width, self.height):
            found = fields[name]
            if found is not None and not found.type.is_numeric:
                binder.error(f"Bid: {name!r} is {found.type}, not a number", "name a numeric column")
        for part in self.native:
            if part not in NATIVE_PARTS:
                binder.unknown("part in Bid(native=):", part, NATIVE_PARTS)
        for name, kind in BID_INPUTS.items():
            if binder.inputs.get(name) != kind:
                binder.error(f"Bid needs the input {name!r} ({kind})", "write inputs={**BID_INPUTS, ...}")
        if self.rates is not None:
            self._check_rates(binder)
        if len(self.currency) != 3 or not self.currency.isupper():
            binder.error(f"Bid(currency={self.currency!r})", "write a code of ISO 4217, as USD")
        for name in fields:
            binder.followed.column(binder.items_table, name)
        return None if None in fields.values() else _Biddable(self)

    def _check_rates(self, binder: Binder) -> None:
        table = binder.table(self.rates or "", "Bid(rates=)")
        if table is None:
            return
        if [table.names[at] for at in table.primary_key] != ["currency"]:
            binder.error(f"Bid(rates={self.rates!r}) needs the key (currency)", "PRIMARY KEY (currency) NOT ENFORCED")
        binder.numeric(table, "rate", "Bid(rates=)")


class _Biddable:
    """Which candidates may be offered for one place of one bid request."""

    facts: tuple[Fact, ...] = ()

    def __init__(self, bid: Bid) -> None:
        self._bid = bid

    def __call__(self, candidates: Candidates, context: Context) -> Candidates:
        mask = self.keeps(candidates, context)
        return candidates if mask is None else candidates.take(mask)

    def keeps(self, candidates: Candidates, context: Context) -> BoolArray | None:
        mask = np.array([not why for why in self._refusals(candidates, context)], np.bool_)
        return None if bool(mask.all()) else mask

    def why(self, candidates: Candidates, context: Context) -> list[tuple[str, int | None]]:
        return [(why, None) for why in self._refusals(candidates, context)]

    def _refusals(self, candidates: Candidates, context: Context) -> list[str]:
        """Per candidate the first reason against it; "" for none."""
        bid, place = self._bid, _Place.of(context.request.inputs)
        names = [bid.price, bid.format, bid.width, bid.height, bid.markup, bid.advertiser, bid.categories]
        names.append(bid.attributes or bid.categories)
        columns = (context.column(context.items_table, name).take(candidates.slots).to_list() for name in names)
        return [place.refuses(_Creative(*row), bid.attributes is not None) for row in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class _Creative:
    """What is checked of an advertisement."""

    price: Any
    format: Any
    width: Any
    height: Any
    markup: Any
    advertiser: Any
    categories: Any
    attributes: Any


@dataclass(frozen=True, slots=True)
class _Place:
    """One place of a bid request, as its inputs say."""

    formats: frozenset[str]
    sizes: frozenset[str]
    bcat: frozenset[str]
    badv: frozenset[str]
    battr: frozenset[str]
    floor: float
    secure: bool

    @staticmethod
    def of(inputs: Mapping[str, Any]) -> _Place:
        def several(name: str) -> frozenset[str]:
            return frozenset(cast("Sequence[str] | None", inputs.get(name)) or ())

        floor, secure = inputs.get("floor") or 0.0, bool(inputs.get("secure"))
        badv = frozenset(each.lower().rstrip(".") for each in several("badv"))
        return _Place(several("formats"), several("sizes"), several("bcat"), badv, several("battr"), floor, secure)

    def refuses(self, creative: _Creative, has_attributes: bool) -> str:
        """Why this place may not be answered with `creative`; "" when it may."""
        price = creative.price
        if price is None or not float(price) > 0:
            return "no price"
        if creative.format not in self.formats:
            return f"format {creative.format or 'unknown'}"
        if float(price) < self.floor:
            return f"price {float(price):g} below the floor {self.floor:g}"
        if creative.format == "banner":
            size = f"{creative.width}x{creative.height}"
            if self.sizes and size not in self.sizes:
                return f"size {size}"
            if not creative.markup:
                return "no markup"
        if self.secure and "http://" in (creative.markup or ""):
            return "not secure"
        return self._blocked(creative, has_attributes)

    def _blocked(self, creative: _Creative, has_attributes: bool) -> str:
        advertisers = codes(creative.advertiser)
        if not advertisers:
            return "no advertiser"  # nobody could check it against what is blocked
        for domain in advertisers:
            if is_blocked_domain(domain, self.badv):
                return f"advertiser {domain} is blocked"
        for code in codes(creative.categories):
            if code in self.bcat or code.partition("-")[0] in self.bcat:
                return f"category {code} is blocked"
        blocked = self.battr.intersection(codes(creative.attributes)) if has_attributes else frozenset()
        return f"attribute {min(blocked)} is blocked" if blocked else ""


def codes(text: Any) -> list[str]:
    """The parts of a text that is separated by commas."""
    return [part for each in str(text or "").split(",") if (part := each.strip())]


def is_blocked_domain(domain: str, blocked: frozenset[str]) -> bool:
    """Whether a domain, or one it is below, is blocked: who blocks shop.example blocks de.shop.example."""
    labels = domain.lower().rstrip(".").split(".")
    return any(".".join(labels[at:]) in blocked for at in range(len(labels)))
