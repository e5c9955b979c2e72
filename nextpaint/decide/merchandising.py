"""Merchandising: what the shop's own people want of a page, changed while the node runs, each change on record.

A rule is a row of the built-in table `_rules`, written by the rules API (`engine/ruling.py`): so a page is decided by
the rules in force at its position, and a replay applies the same. Rules of a surface apply after exploration and before
the surface's declared rules, pins after them, in the order of their priority, then of their id:

* `hide`: the items are not shown;
* `bury`, `boost`: `by` places down or up;
* `cap`: at most `by` of the items on a page;
* `frequency`: not shown to a person who was shown it `by` times within `within_s` (needs `NotSeen` on the surface);
* `pin`: the item stands at place `by`; a pin of several items takes the first that may be shown;
* `price`: the item is shown at another price: `by` percent; marks it, and says so where it is personal;
* `badge`: the item carries `text`.

A rule matches items by id, by a value of an items column (`where`), or by a condition of the surface's features
(`when`: a feature and bounds). It names its owner and reason, both in the record of every decision it touched, and may
expire. `sponsored` rules (a pin or a boost somebody paid for) name on whose `behalf` and who `paid`: both are answered
with the item, marked as sponsored.

**No rule brings back what a filter removed**: a pin or a sponsor only moves what passed every filter, and an item that
did not pass is passed over, with a note in the record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.facts import item_values
from nextpaint.decide.mark import Mark, Price
from nextpaint.process.reading import Row
from nextpaint.record.columns import BoolArray as Mask
from nextpaint.record.columns import IntArray
from nextpaint.record.errors import InvalidInput
from nextpaint.record.types import BIGINT, STRING, TIMESTAMP, Field
from nextpaint.sql.program import Table

RULES = Table(
    "_rules",
    (
        Field("surface", STRING), Field("rule_id", STRING), Field("body", STRING), Field("priority", BIGINT),
        Field("expires", BIGINT), Field("ts", TIMESTAMP),
    ),
    primary_key=(0, 1),
)  # fmt: skip

EVERYWHERE = "*"  # a rule of every surface
KINDS = ("hide", "bury", "boost", "cap", "frequency", "pin", "price", "badge")
SEEN = ListPath("_seen_impressions", "items", 0, 1)
ITEMS_MAX, TEXT_MAX = 1_000, 200
RULES_MAX = 500  # of one surface: each is looked at in every decision
PERSONAL_PRICE = (
    "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA"  # New York GBL 349-a, in force 10 Nov 2025
)


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A feature of the surface and what it must lie in, both ends included; NULL never does."""

    feature: str
    least: float | None = None
    most: float | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule as it is sent and kept. by: places, percent, items or times, by kind. expires_ms: epoch milliseconds of
    ledger time after which it is no longer applied."""

    kind: str
    owner: str
    reason: str
    items: tuple[str, ...] = ()
    where: dict[str, str] = {}
    when: Bounds | None = None
    by: float = 0.0
    within_s: float = 3600.0
    text: str = ""
    priority: int = 100
    expires_ms: int | None = None
    sponsored: bool = False
    behalf: str = ""
    paid: str = ""

    def checked(self, rule_id: str) -> Rule:
        """This rule. Raises InvalidInput naming what is wrong with it."""
        for wrong, cure in self._mistakes():
            raise InvalidInput(wrong, where=f"rule {rule_id}", cure=cure)
        return self

    def _mistakes(self) -> Iterable[tuple[str, str]]:
        if self.kind not in KINDS:
            yield f"'kind' is {self.kind[:40]!r}", f"use one of {', '.join(KINDS)}"
        for name, text in (("owner", self.owner), ("reason", self.reason)):
            if not text.strip() or len(text) > TEXT_MAX:
                yield f"'{name}' is missing or longer than {TEXT_MAX} characters", "say who wants this, and why"
        if not (self.items or self.where or self.when is not None):
            yield (
                "the rule matches nothing",
                "name items, or where a column has a value, or when a feature lies in bounds",
            )
        if len(self.items) > ITEMS_MAX or any(len(each) > 256 for each in self.items):
            yield f"'items' has more than {ITEMS_MAX} ids, or one above 256 characters", "match by a column: where"
        if self.kind in ("boost", "bury", "cap", "pin", "frequency") and not 1 <= self.by <= 1000:
            yield f"'by' is {self.by:g}", f"say how far or how many: 1 to 1000 for {self.kind}"
        if self.kind == "price" and not -90.0 <= self.by <= 100.0:
            yield f"'by' is {self.by:g} percent", "write from -90 to 100"
        if not 1.0 <= self.within_s <= 30 * 86_400:
            yield f"'within_s' is {self.within_s:g}", "write seconds, up to 30 days"
        if self.kind == "badge" and not 0 < len(self.text) <= TEXT_MAX:
            yield "'text' is missing", f"write the badge: 1 to {TEXT_MAX} characters"
        if self.sponsored and not (self.behalf.strip() and self.paid.strip()):
            yield (
                "a sponsored rule must say on whose 'behalf' and who 'paid'",
                "both are shown to people (DSA, Art. 26)",
            )
        if self.sponsored and self.kind not in ("pin", "boost"):
            yield f"a {self.kind} cannot be sponsored", "sponsor a pin or a boost"


@dataclass(frozen=True)
class InForce:
    """A rule with its id, as one decision applies it."""

    rule_id: str
    rule: Rule


@dataclass(slots=True)
class Marks:
    """What rules say of items, by id, and the pins that wait for the declared rules: (place, item, rule)."""

    badges: dict[str, list[str]] = field(default_factory=dict)
    prices: dict[str, tuple[float, InForce]] = field(default_factory=dict)
    sponsors: dict[str, InForce] = field(default_factory=dict)
    pins: list[tuple[int, str, InForce]] = field(default_factory=list)


@lru_cache(maxsize=4096)
def _decoded(body: str) -> Rule:
    return msgspec.json.decode(body, type=Rule)


def in_force(surface: str, context: Context) -> list[InForce]:
    """The rules of a surface at the decision's position and time, in the order they apply."""
    rows: list[Row] = [*context.reading.rows(RULES.name, (EVERYWHERE,)), *context.reading.rows(RULES.name, (surface,))]
    rules = []
    for row in rows:
        expires, body = row["expires"], row["body"]
        if isinstance(body, str) and (not isinstance(expires, int) or context.time_ms <= expires):
            rules.append(InForce(str(row["rule_id"]), _decoded(body)))
    return sorted(rules, key=lambda each: (each.rule.priority, each.rule_id))


def apply(rules: Sequence[InForce], page: Candidates, context: Context) -> tuple[Candidates, Marks]:
    """The page after the rules, and what they say of its items. Only what is in `page` can be on it afterwards."""
    marks = Marks()
    for each in rules:
        matched = _matched(each.rule, page, context)
        keys = page.take(matched).keys()
        if each.rule.kind == "pin":
            pinned = _pin(each, keys, context)
            keys = [pinned] if pinned else []
            marks.pins += [(int(each.rule.by), key, each) for key in keys]
        elif not keys:
            continue
        elif each.rule.kind in ("badge", "price"):
            _mark(each, keys, marks)
        else:
            page = _moved(each, page, matched, context)
        if each.rule.sponsored:
            marks.sponsors |= dict.fromkeys(keys, each)
    return page, marks


def _matched(rule: Rule, page: Candidates, context: Context) -> Mask:
    """Which candidates a rule is about: all of what it names must hold."""
    mask = np.ones(len(page), np.bool_)
    if rule.items:
        wanted = set(rule.items)
        mask &= np.array([key in wanted for key in page.keys()], np.bool_)
    for column, value in rule.where.items():
        try:
            values = item_values(column, "", page, context)
        except KeyError:  # the column went away with another application
            return np.zeros(len(page), np.bool_)
        mask &= np.array([each is not None and str(each) == value for each in values], np.bool_)
    if rule.when is not None:
        found = page.features.get(rule.when.feature)
        if found is None:
            return np.zeros(len(page), np.bool_)
        inside = np.ones(len(page), np.bool_) if found.valid is None else found.valid.copy()
        if rule.when.least is not None:
            inside &= found.values >= rule.when.least
        if rule.when.most is not None:
            inside &= found.values <= rule.when.most
        mask &= inside
    if rule.kind == "frequency" and bool(mask.any()):
        mask &= _often_seen(rule, page, context)
    return mask


def _often_seen(rule: Rule, page: Candidates, context: Context) -> Mask:
    """What the person was shown as often as the rule allows; without a profile nothing."""
    since_ms = context.time_ms - int(rule.within_s * 1000)
    shown = Counter(item for item, _, time_ms in context.recent(SEEN) if time_ms > since_ms)
    return np.array([shown[key] >= rule.by for key in page.keys()], np.bool_)


def _why(each: InForce) -> str:
    return f"{each.rule.reason} ({each.rule.owner})"


def _mark(each: InForce, keys: list[str], marks: Marks) -> None:
    for key in keys:
        if each.rule.kind == "badge":
            marks.badges.setdefault(key, []).append(each.rule.text)
        else:
            marks.prices.setdefault(key, (each.rule.by, each))  # the first rule of an item sets its price


def _moved(each: InForce, page: Candidates, matched: Mask, context: Context) -> Candidates:
    """The page after hide, bury, boost or cap. Matched items keep their order among themselves."""
    rule, size = each.rule, len(page)
    rows = np.arange(size)
    if rule.kind in ("hide", "frequency"):
        order: IntArray = rows[~matched]
    elif rule.kind == "cap":
        seen = np.cumsum(matched)
        allowed = ~matched | (seen <= int(rule.by))
        order = np.concatenate([rows[allowed], rows[~allowed]])
    else:
        steps = int(rule.by) if rule.kind == "bury" else -int(rule.by)
        # A half step lets a moved item pass the one it lands on; ties keep the order before.
        target = rows + np.where(matched, steps + (0.5 if steps > 0 else -0.5), 0.0)
        order = np.argsort(target, kind="stable")
    after = page.take(order)
    places = {key: place for place, key in enumerate(after.keys(), start=1)}
    keys = page.keys()
    for row in np.flatnonzero(matched).tolist():
        key = keys[row]
        place = places.get(key, 0)
        if place != row + 1 and min(row + 1, place or row + 1) <= context.limit:
            context.moved(each.rule_id, _why(each), key, (row + 1, place))
    return after


def _pin(each: InForce, keys: list[str], context: Context) -> str:
    """The item of a pin: the first of its items that may be shown; '' where none may."""
    allowed = set(keys)
    for key in each.rule.items or keys:
        if key in allowed:
            return key
    context.note(f"{each.rule_id}: nothing it pins may be shown")
    return ""


def pinned(marks: Marks, page: Candidates, context: Context) -> Candidates:
    """Every pinned item at its place; of two pins of a place or of an item the first stands. What is not in `page` is
    not brought back."""
    places: dict[int, tuple[str, InForce]] = {}
    taken: set[str] = set()
    keys = page.keys()
    row_of = {key: row for row, key in enumerate(keys)}
    for place, key, each in marks.pins:
        if key in row_of and place not in places and key not in taken:
            places[place] = (key, each)
            taken.add(key)
    if not places:
        return page
    rest = iter([row for row, key in enumerate(keys) if key not in taken])
    order: list[int] = []
    for place in range(1, len(keys) + 1):
        pin = places.pop(place, None)
        row = row_of[pin[0]] if pin is not None else next(rest, None)
        if row is None:
            break
        order.append(row)
        if pin is not None and row + 1 != place and place <= context.limit:
            context.moved(pin[1].rule_id, _why(pin[1]), pin[0], (row + 1, place))
    order += [row_of[key] for key, _ in places.values()]  # pinned beyond the end of the page
    missing = set(range(len(keys))) - set(order)
    return page.take(np.array([*order, *sorted(missing)], np.int64))


def mark_of(item: str, marks: Marks, personal: frozenset[str]) -> Mark | None:
    """What is recorded and answered of an item because of rules; None for most items. `personal`: features that were
    read for the person: a price that depends on one is a personal price and says so."""
    price, sponsor = marks.prices.get(item), marks.sponsors.get(item)
    if price is None and sponsor is None and item not in marks.badges:
        return None
    made = Mark(tuple(marks.badges.get(item, ())))
    if price is not None:
        percent, each = price
        by_person = each.rule.when is not None and each.rule.when.feature in personal
        disclosure = PERSONAL_PRICE if by_person else ""
        made = replace(made, price=Price(percent, each.rule_id, each.rule.reason, by_person, disclosure))
    if sponsor is not None:
        made = replace(made, sponsored=True, behalf=sponsor.rule.behalf, paid=sponsor.rule.paid)
    return made


def priced(price: object, percent: float) -> float | None:
    """A price after `percent`, to two decimals; None where there is none."""
    if isinstance(price, bool) or not isinstance(price, int | float):
        return None
    return round(price * (100.0 + percent)) / 100 if percent else float(price)


def row_of(surface: str, rule_id: str, rule: Rule, now_ms: int) -> Mapping[str, Any]:
    """The row of `_rules` that keeps a rule."""
    body = msgspec.json.encode(rule).decode()
    return {
        "surface": surface, "rule_id": rule_id, "body": body, "priority": rule.priority, "expires": rule.expires_ms,
        "ts": now_ms,
    }  # fmt: skip
