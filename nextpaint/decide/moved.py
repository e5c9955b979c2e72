"""What a change does to a page: two records of one decision, compared card by card.

`before` is the record as stored, `after` the same decision made again from a changed situation. Everything here is read
from the two records: places, scores, contributions and, for what left the page, what kept it out. Nothing is computed
that they do not hold, so a place beyond their near misses is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nextpaint.decide.explain import near_text
from nextpaint.decide.rank import contributions
from nextpaint.decide.record import Answered, DecisionRecord, NearMiss
from nextpaint.decide.wording import ordinal

TOLD_MAX = 4  # moved cards that the text names: the table has them all


def moved(before: DecisionRecord, after: DecisionRecord, titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`cards`: every item of either page with its places (from 1, None: not on the page), scores and contributions
    before and after, in the order of the new page, then what left it; `moved`: how many have another place; `text`:
    the change in words."""
    names = titles or {}
    places = [{item.id: place for place, item in enumerate(each.items, 1)} for each in (before, after)]
    gone = [item.id for item in before.items if item.id not in places[1]]
    cards = [_card(key, before, after, names) for key in [*(item.id for item in after.items), *gone]]
    changed = [card for card in cards if card["before"] != card["after"]]
    return {"cards": cards, "moved": len(changed), "text": _text(changed, len(after.items))}


def _card(key: str, before: DecisionRecord, after: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    was, now = _found(key, before), _found(key, after)
    card: dict[str, Any] = {
        "id": key,
        "title": titles.get(key, ""),
        "before": was[0],
        "after": now[0],
        "score_before": None if was[1] is None else was[1].score,
        "score_after": None if now[1] is None else now[1].score,
        "contributions": _shares(was[1], before, now[1], after),
    }
    card["because"] = _because(card, was[1], now[1], before, after)
    return card


def _found(key: str, record: DecisionRecord) -> tuple[int | None, Answered | NearMiss | None]:
    """(place on the page or None, what the record has of the item)."""
    for place, item in enumerate(record.items, 1):
        if item.id == key:
            return place, item
    return None, next((each for each in record.near if each.id == key), None)


def _shares(
    was: Answered | NearMiss | None, before: DecisionRecord, now: Answered | NearMiss | None, after: DecisionRecord
) -> dict[str, list[float | None]]:
    """Feature -> [contribution before, after], where it is another one; None where the record does not have it."""
    left, right = _contributed(was, before), _contributed(now, after)
    pairs = {name: [left.get(name), right.get(name)] for name in left | right}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _contributed(item: Answered | NearMiss | None, record: DecisionRecord) -> dict[str, float]:
    if item is None or not item.values:
        return {}
    values = dict(zip((each.name for each in record.features), item.values, strict=False))
    return contributions(record.rank.weights, record.rank.scales, values)


def _because(
    card: Mapping[str, Any], was: Answered | NearMiss | None, now: Answered | NearMiss | None,
    before: DecisionRecord, after: DecisionRecord,
) -> str:  # fmt: skip
    """Why a card has another place, as far as the two records say; '' for one that stays."""
    if card["before"] == card["after"]:
        return ""
    if card["after"] is None:
        if isinstance(now, NearMiss):
            return near_text(now, after.considered)
        held = next((run.filter for run in after.filters if card["id"] in run.ids), "")
        return f"held back by {held}" if held else "others come before it"
    if card["before"] is None:
        return f"was not on the page: {near_text(was, before.considered)}" if isinstance(was, NearMiss) else "new here"
    grown = {name: (pair[1] or 0.0) - (pair[0] or 0.0) for name, pair in card["contributions"].items()}
    if not grown:
        return "others moved"
    most = max(grown, key=lambda name: abs(grown[name]))
    return f"{most} {grown[most]:+.3f}"


def _text(changed: list[dict[str, Any]], size: int) -> str:
    if not changed:
        return f"Nothing moves: the same {size} items in the same order."
    lines = [f"{len(changed)} of the cards have another place."]
    for card in changed[:TOLD_MAX]:
        name = card["title"] or card["id"]
        was = "not on the page" if card["before"] is None else ordinal(card["before"])
        if card["after"] is not None:
            lines.append(f"{ordinal(card['after'])}: {name} ({was} before).")
    for card in [each for each in changed if each["after"] is None][:TOLD_MAX]:
        lines.append(f"Gone: {card['title'] or card['id']} ({ordinal(card['before'])} before), {card['because']}.")
    return "\n".join(lines)
