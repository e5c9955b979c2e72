"""What would have to be otherwise: the smallest changes that would have changed a page, from its record alone.

Three kinds, each computed from the stored values by the ranker's own arithmetic:

* `first`: an item would be ranked first if one feature had another value. A value above all others also makes those
  count less; that is reckoned for the recorded items, and the rest are given the most they could gain.
* `without`: with a feature left out for everybody, which of the recorded items would come first. Items that the record
  does not hold may come before them; `nextpaint why ID --without FEATURE` asks the ledger.
* `allowed`: an item would have had a place if a filter had let it pass.

Where a model or nothing ranked, contributions are not sums, and only `allowed` is said. Exploration and rules come
after the ranking: "first" is first by score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextpaint.decide.rank import contributions
from nextpaint.decide.record import Answered, DecisionRecord, NearMiss
from nextpaint.decide.wording import ordinal

DIGITS = 4
COSINE = "session of "  # how a similarity's source begins: its values end at 1
FIRST_MAX, ALLOWED_MAX = 3, 3


@dataclass(frozen=True, slots=True)
class _Known:
    """An item of the record with the values it had; `held`: a filter or a rule kept it out: it competes with none."""

    id: str
    values: Mapping[str, float | None]
    score: float
    held: bool


def counterfactuals(record: DecisionRecord, titles: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The smallest changes, the most telling first: each has `kind`, what it is about, and `text`."""
    names = titles or {}
    return [*_without(record, names), *_allowed(record, names), *_first(record, names)]


def _known(record: DecisionRecord) -> list[_Known]:
    features = [each.name for each in record.features]
    entries: list[tuple[Answered | NearMiss, bool]] = [(each, False) for each in record.items]
    entries += [(each, each.cause in ("filter", "rule")) for each in record.near]
    return [
        _Known(each.id, dict(zip(features, each.values, strict=False)), each.score, held)
        for each, held in entries
        if each.values
    ]


def _scored(
    record: DecisionRecord, values: Mapping[str, float | None], without: str = "",
    scales: Mapping[str, float] | None = None,
) -> float:  # fmt: skip
    """A score as the ranker sums it, in declared order."""
    kept = {name: None if name == without else values.get(name) for name in record.rank.weights}
    total = 0.0
    for share in contributions(record.rank.weights, scales or record.rank.scales, kept).values():
        total += share
    return total


# ---------------------------------------------------------------- first, if


def _first(record: DecisionRecord, titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The nearest others, and the smallest change of one value that would rank each of them first."""
    running = [each for each in _known(record) if not each.held]
    if not record.rank.weights or len(running) < 2:
        return
    ranked = sorted(running, key=lambda each: -each.score)
    for each in ranked[1 : 1 + FIRST_MAX]:
        best = _smallest(record, each, ranked)
        if best is None:
            continue
        name, value = best
        was = each.values.get(name)
        title = titles.get(each.id) or each.id
        shown = "unknown" if was is None else f"{was:.4g}"
        yield {
            "kind": "first", "id": each.id, "title": titles.get(each.id, ""), "feature": name, "value": value,
            "instead_of": was, "text": f"{title} would be first if its {name} were {value:g} instead of {shown}.",
        }  # fmt: skip


def _smallest(record: DecisionRecord, item: _Known, ranked: Sequence[_Known]) -> tuple[str, float] | None:
    """(feature, value) with the smallest change, measured in the feature's scale; None: no single one is enough."""
    found: list[tuple[float, str, float]] = []
    bounded = {each.name for each in record.features if each.source.startswith(COSINE)}
    for name, weight in record.rank.weights.items():
        scale = record.rank.scales.get(name, 0.0)
        was = item.values.get(name) or 0.0
        if not weight or scale <= 0.0:
            continue
        inside = _rounded(was + (ranked[0].score - item.score) * scale / weight, was, scale)
        for value in (inside, _above(record, item, ranked, name)):
            allowed = value is not None and (name not in bounded or abs(value) <= 1.0)
            if value is not None and allowed and _leads(record, item, ranked, name, value):
                found.append((abs(value - was) / scale, name, value))
    return min(found)[1:] if found else None


def _above(record: DecisionRecord, item: _Known, ranked: Sequence[_Known], name: str) -> float | None:
    """The value above the scale from which the others' share of this feature has shrunk enough; None: never."""
    weight, scale = record.rank.weights[name], record.rank.scales[name]
    if weight < 0.0:
        return None
    whole = _scored(record, item.values, name) + weight
    least = scale
    for other in ranked:
        if other.id != item.id:
            room = whole - _scored(record, other.values, name)
            if room <= 0.0:
                return None
            least = max(least, weight * (other.values.get(name) or 0.0) / room)
    return _rounded(least, 0.0, least)


def _leads(record: DecisionRecord, item: _Known, ranked: Sequence[_Known], name: str, value: float) -> bool:
    """Whether an item with this value scores more than every other recorded item, and than any other could."""
    before = record.rank.scales[name]
    if abs(value) < before and abs(item.values.get(name) or 0.0) >= before:
        return False  # it was the largest itself: without it the scale is not known
    scale = max(before, abs(value))
    scales = {**record.rank.scales, name: scale}
    score = _scored(record, {**item.values, name: value}, scales=scales)
    others = [_scored(record, each.values, scales=scales) for each in ranked if each.id != item.id]
    gained = abs(record.rank.weights[name]) * (1.0 - before / scale)
    return score > max(others) and score > ranked[-1].score + gained


def _rounded(value: float, was: float, scale: float) -> float:
    """Four digits, away from what it was: the least that is surely enough."""
    step = 10.0 ** (_magnitude(scale) - DIGITS + 1)
    whole = int(value / step)
    return round((whole + (1 if value > was else -1)) * step, 12)


def _magnitude(value: float) -> int:
    digits = f"{value:e}".partition("e")[2]
    return int(digits)


# ---------------------------------------------------------------- without


def _without(record: DecisionRecord, titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Per feature that the page owes something to, personal ones first: who would come first without it."""
    running = [each for each in _known(record) if not each.held]
    if not record.rank.weights or not running:
        return
    first = max(running, key=lambda each: each.score)
    personal = {each.name: each.personal for each in record.features}
    for name in sorted(record.rank.weights, key=lambda each: not personal.get(each, False)):
        scores = {each.id: _scored(record, each.values, name) for each in running}
        if all(scores[each.id] == each.score for each in running):
            continue
        order = sorted(running, key=lambda each: -scores[each.id])
        place = [each.id for each in order].index(first.id) + 1
        leader = titles.get(order[0].id) or order[0].id
        title = titles.get(first.id) or first.id
        text = f"Without {name}, {title} would still be first."
        if place > 1:
            text = f"Without {name}, {leader} would be first of these and {title} {ordinal(place)}."
        yield {
            "kind": "without", "feature": name, "personal": personal.get(name, False), "first": order[0].id,
            "id": first.id, "title": titles.get(first.id, ""), "place": place, "text": text,
        }  # fmt: skip


# ---------------------------------------------------------------- allowed


def _allowed(record: DecisionRecord, titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The best of what filters held back."""
    held = [each for each in record.near if each.cause == "filter" and each.rank]
    for miss in held[:ALLOWED_MAX]:
        title = titles.get(miss.id) or miss.id
        saw = f" ({miss.saw})" if miss.saw else ""
        yield {
            "kind": "allowed", "id": miss.id, "title": titles.get(miss.id, ""), "place": miss.rank,
            "condition": miss.by, "text": f"{title} would be {ordinal(miss.rank)} if this held: {miss.by}{saw}.",
        }  # fmt: skip
