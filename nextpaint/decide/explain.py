"""Why a person saw what they saw: three views of one record, and what differs between a record and its recomputation.

* `user`: one plain sentence per item, what would change the page and how, at most 120 words in all, nothing about
  other people or the machinery;
* `support`: everything the record holds, with signed contributions, the age of every fact, near misses, and the
  smallest changes that would have changed the page;
* `regulator`: the support view and what proves it: hashes, versions, positions, the personal data used, the record
  itself.

All text comes from templates over stored facts; nothing is looked up again, so an explanation says what was true then.
`titles` (item id -> title) only makes it readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from nextpaint.decide.counterfactual import counterfactuals
from nextpaint.decide.duration import age_text
from nextpaint.decide.explored_words import lines_of, told_of
from nextpaint.decide.rank import contributions
from nextpaint.decide.record import Answered, DecisionRecord, NearMiss
from nextpaint.decide.request import MINOR
from nextpaint.decide.wording import feature_sentence, ordinal, retriever_sentence
from nextpaint.record.errors import InvalidInput

VIEWS = ("user", "support", "regulator")
RIGHTS = (  # what a person can ask for here, with where; a shop adds its own contacts
    {"right": "choose without profiling", "how": "send profiled: false, or turn profiling off on the page"},
    {"right": "withdraw consent", "how": "send context.consent.categoryPreferences with any call"},
    {"right": "see what matters most, and why", "how": "GET /parameters"},
    {"right": "see what would have changed this", "how": "POST /v1/decisions/ID/what-if"},
    {"right": "have a person look at it", "how": "POST /v1/decisions/ID/contest"},
    {"right": "get everything that is kept about you", "how": "ask the shop, who calls GET /v1/person"},
    {"right": "be forgotten", "how": "ask the shop, who calls DELETE /v1/person"},
)
WORDS_MAX = 120  # of the user view: what a person reads without scrolling


def explain(record: DecisionRecord, view: str = "support", titles: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One view of a record as JSON-ready data; `text` is the view in words. Raises InvalidInput for another view."""
    names = titles or {}
    match view:
        case "user":
            return _user(record, names)
        case "support":
            return _support(record, names)
        case "regulator":
            return _regulator(record, names)
    raise InvalidInput(f"there is no view {view!r}", cure=f"ask for one of {', '.join(VIEWS)}")


# ---------------------------------------------------------------- the person


def _user(record: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    items = [
        {"id": item.id, "title": titles.get(item.id, ""), "sentence": _sentence(item, record)} for item in record.items
    ]
    lines = [_what_was_used(record)]
    last = [each for each in (_otherwise(record, titles), _rights(record)) if each]
    words = len(" ".join([*lines, *last]).split())
    for item in items:
        line = f"{item['title'] or 'Item ' + item['id']}: {item['sentence']}"
        words += len(line.split())
        if words > WORDS_MAX:
            break
        lines.append(line)
    return {
        "view": "user",
        "decision_id": record.decision_id,
        "items": items,
        "otherwise": last[0] if len(last) > 1 else "",
        "rights": list(RIGHTS),
        "text": "\n".join([*lines, *last]),
    }


def _otherwise(record: DecisionRecord, titles: Mapping[str, str]) -> str:
    """How a variation of what was used of the person would have changed the page; '' for a stranger."""
    if not record.subjects:
        return ""
    for each in counterfactuals(record):
        if each["kind"] == "without" and each["personal"]:
            title = _brief_title(titles.get(each["first"]) or f"item {each['first']}")
            if each["place"] > 1:
                return f"Without what you did here, {title} would come first."
            return f"{title} would come first without what you did here, too."
    return ""


def _brief_title(title: str) -> str:
    words = title.split()
    return title if len(words) <= 8 else " ".join(words[:8]) + " …"


def _rights(record: DecisionRecord) -> str:
    return "You can turn profiling off; the page then uses nothing about you." if record.subjects else ""


def _sentence(item: Answered, record: DecisionRecord) -> str:
    templates = {each.name: each.sentence for each in record.features}
    template = templates.get(item.reason)
    sentence = retriever_sentence(item.reason) if template is None else feature_sentence(template, item.about)
    mark = record.marks.get(item.id)
    if mark is None:
        return sentence
    if mark.price is not None and mark.price.disclosure:
        sentence = f"{sentence} {mark.price.disclosure}."
    if mark.generated:
        sentence = f"{sentence} AI wrote its {' and '.join(mark.generated)}."
    return f"Sponsored for {mark.behalf}, paid by {mark.paid}. {sentence}" if mark.sponsored else sentence


def _what_was_used(record: DecisionRecord) -> str:
    if record.request.withheld == MINOR:
        return "No profile is made of minors: nothing about you was used to choose these."
    if record.request.withheld:
        return "You have not agreed to profiling: nothing about you was used to choose these."
    if not record.profiled:
        return "Profiling is off: nothing about you was used to choose these."
    if record.cold:
        return "We know nothing about your interests yet: these are what many people look at."
    return "These were chosen from what you did here and what is available now."


# ---------------------------------------------------------------- support


def _support(record: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    items = [_item(place, item, record, titles) for place, item in enumerate(record.items, start=1)]
    near = [_near(each, record, titles) for each in record.near]
    return {
        "view": "support",
        "decision_id": record.decision_id,
        "surface": record.surface,
        "purpose": record.purpose,
        "time_ms": record.time_ms,
        "position": record.position,
        "profiled": record.profiled,
        "withheld": record.request.withheld,
        "cold": record.cold,
        "request": msgspec.to_builtins(record.request),
        "stages": [{"stage": s.stage, "path": s.path, "ms": s.ms, "note": s.note} for s in record.stages],
        "degraded": [{"stage": d.stage, "cause": d.cause, "used": d.used} for d in record.degraded],
        "retrieved": [{"retriever": label, "found": found} for label, found in record.retrieved],
        "filters": [{"filter": f.filter, "removed": f.removed, "ids": list(f.ids)} for f in record.filters],
        "unknown_items": record.unknown_items,
        "considered": record.considered,
        "rank": record.rank.by,
        "effects": [
            {"rule": effect.rule, "why": effect.why, "id": item, "from": before, "to": after}
            for effect in record.effects
            for item, before, after in effect.moved
        ],
        "items": items,
        **told_of(record),
        "near_misses": near,
        "counterfactuals": counterfactuals(record, titles),
        "text": _text(record, items, near, titles),
    }


def _item(place: int, item: Answered, record: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    values = dict(zip((each.name for each in record.features), item.values, strict=False))
    shares = contributions(record.rank.weights, record.rank.scales, values) if item.values else {}
    facts = []
    for source, value, age_ms in zip(record.features, item.values, item.ages, strict=False):
        facts.append(
            {
                "feature": source.name,
                "source": source.source,
                "personal": source.personal,
                "value": value,
                "age_ms": age_ms,
                "contribution": shares.get(source.name),
                "weight": record.rank.weights.get(source.name),
                "text": _fact_text(source.name, value, age_ms, shares.get(source.name)),
            }
        )
    return {
        "id": item.id,
        "title": titles.get(item.id, ""),
        "position": place,
        "score": item.score,
        "sentence": _sentence(item, record),
        "ai_generated": dict(record.marks[item.id].generated) if item.id in record.marks else {},
        "found_by": [label for bit, (label, _) in enumerate(record.retrieved) if item.sources >> bit & 1],
        "facts": facts,
    }


def _fact_text(name: str, value: float | None, age_ms: int | None, share: float | None) -> str:
    shown = f"{name} unknown" if value is None else f"{name} {value:.4g}"
    if age_ms is not None:
        shown += f", read {age_text(age_ms)} ago"
    if share is not None:
        shown += ", counts as 0" if value is None else f", {share:+.3f}"
    return shown


def _near(miss: NearMiss, record: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    values = dict(zip((each.name for each in record.features), miss.values, strict=False))
    return {
        "id": miss.id,
        "title": titles.get(miss.id, ""),
        "would_be": miss.rank,
        "score": miss.score,
        "cause": miss.cause,
        "by": miss.by,
        "saw": miss.saw,
        "age_ms": miss.age,
        "values": values,
        "ages_ms": dict(zip(values, miss.ages, strict=False)),
        "text": near_text(miss, record.considered),
    }


def near_text(miss: NearMiss, considered: int) -> str:
    """A near miss in words: "would be 3rd: hidden, stock 0, read 12 ms ago (inventory.stock > 0)"."""
    would_be = f"would be {ordinal(miss.rank)}: " if miss.rank else ""
    if miss.cause == "explore":
        return f"{would_be}others were tried in its place"
    if miss.cause == "rank":
        return f"{ordinal(miss.rank)} of {considered}: others scored more"
    saw = f", {miss.saw}" if miss.saw else ""
    age = f", read {age_text(miss.age)} ago" if miss.age is not None else ""
    return f"{would_be}{'hidden' if miss.cause == 'filter' else 'moved down'}{saw}{age} ({miss.by})"


def _text(
    record: DecisionRecord, items: list[dict[str, Any]], near: list[dict[str, Any]], titles: Mapping[str, str]
) -> str:
    found = ", ".join(f"{count} {label}" for label, count in record.retrieved) or "no retriever ran"
    lines = [
        f"{record.surface} answered {len(items)} of {record.considered} candidates ({found}) at position "
        f"{record.position}; ranked by {record.rank.by}."
    ]
    lines += [f"{each.filter}: removed {each.removed}." for each in record.filters]
    lines += [f"{each.stage} had no time ({each.cause}): used {each.used}." for each in record.degraded]
    lines += lines_of(record)
    for item in items:
        facts = "; ".join(fact["text"] for fact in item["facts"])
        lines.append(f"{item['position']}. {item['title'] or item['id']}  {item['score']:.4f}  {facts}".rstrip())
    lines += [f"{miss['title'] or miss['id']}: {miss['text']}" for miss in near]
    lines += [each["text"] for each in counterfactuals(record, titles)]
    return "\n".join(lines)


# ---------------------------------------------------------------- regulator


def _regulator(record: DecisionRecord, titles: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_support(record, titles),
        "view": "regulator",
        "subjects": list(record.subjects),
        "personal_data_used": [
            {"feature": each.name, "source": each.source} for each in record.features if each.personal
        ]
        if record.subjects
        else [],
        "parameters": [
            {
                "feature": each.name,
                "source": each.source,
                "weight": record.rank.weights.get(each.name, 0.0),
                "largest_value": record.rank.scales.get(each.name),
            }
            for each in record.features
        ],
        "propensities": None if record.explored is None else [each.propensity for each in record.explored.tried],
        "integrity": {
            "record_digest": record.digest(),
            "matrix": record.matrix,
            "application": record.application,
            "engine": record.engine,
            "seed": record.seed,
            "format": record.format,
        },
        "record": msgspec.to_builtins(record),
    }


# ---------------------------------------------------------------- replay


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing a recomputation gives differently."""

    what: str  # "position" | "candidates" | "removed" | "features" | "scores" | "order" | "near misses" | "record"
    recorded: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, recomputed {self.recomputed}"


def compare(record: DecisionRecord, recomputed: DecisionRecord) -> list[Difference]:
    """What a recomputed decision has that its record does not say; empty when they are identical (but for times)."""
    found: list[Difference] = []

    def check(what: str, recorded: object, now: object) -> None:
        if recorded != now:
            found.append(Difference(what, _brief(recorded), _brief(now)))

    check("position", (record.position, record.time_ms), (recomputed.position, recomputed.time_ms))
    check("candidates", _candidates(record), _candidates(recomputed))
    check("removed", _removed(record), _removed(recomputed))
    check("features", record.matrix, recomputed.matrix)
    before, after = ({item.id: item.score for item in each.items} for each in (record, recomputed))
    check("scores", *({key: each[key] for key in sorted(before.keys() & after.keys())} for each in (before, after)))
    check("order", list(before), list(after))
    check("near misses", [miss.id for miss in record.near], [miss.id for miss in recomputed.near])
    if not found:
        check("record", record.digest(), recomputed.digest())
    return found


def _candidates(record: DecisionRecord) -> tuple[object, ...]:
    return record.considered, record.retrieved


def _removed(record: DecisionRecord) -> dict[str, object]:
    return {each.filter: (each.removed, each.ids) for each in record.filters}


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."
