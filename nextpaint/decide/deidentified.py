"""The record of a decision whose person was erased: what of it is still shown, and why it is still there.

The stored bytes are what they were (they prove what was decided, and a replay needs them); readers get them without
tokens, without inputs, without values, ages and reasons that are the person's, and without what the person's own past
kept off the page. What is left says how the page was made: the surface, the application, the rules, the items, the
facts about items.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from nextpaint.decide.budget import StageRun
from nextpaint.decide.explain import explain
from nextpaint.decide.record import Answered, Asked, DecisionRecord, FilterRun, NearMiss

KEPT_BECAUSE = (
    "it shows that the decision was made by the rules in force, for accountability and legal claims "
    "(GDPR Art. 5(2) and Art. 17(3)(e))"
)


class Gone(msgspec.Struct, frozen=True):
    """Since when a person is erased: ledger time, ms."""

    at_ms: int

    @property
    def date(self) -> str:
        """The day, UTC."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).strftime("%Y-%m-%d")

    @property
    def sentence(self) -> str:
        """In words."""
        return (
            f"The person this was decided for was erased on {self.date}. "
            f"The record is kept de-identified because {KEPT_BECAUSE}."
        )

    def told(self) -> dict[str, Any]:
        """As JSON-ready data."""
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="seconds")
        return {"at": at, "at_ms": self.at_ms, "kept": "de-identified", "because": KEPT_BECAUSE}


def deidentified(record: DecisionRecord) -> DecisionRecord:
    """The record without its person."""
    personal = {each.name for each in record.features if each.personal}
    shown = tuple(each.name not in personal for each in record.features)
    impersonal = {each.name for each in record.features} - personal
    explored = record.explored
    if explored is not None:
        explored = replace(explored, scales=_without(explored.scales, personal))
    experiment = record.experiment
    return replace(
        record,
        subjects=(),
        request=Asked(limit=record.request.limit, profiled=record.request.profiled, withheld=record.request.withheld),
        stages=tuple(StageRun(each.stage, each.path, each.ms, "") for each in record.stages),
        filters=tuple(FilterRun(each.filter, each.removed, ()) for each in record.filters),
        rank=replace(record.rank, scales=_without(record.rank.scales, personal)),
        items=tuple(_item(each, shown, impersonal) for each in record.items),
        near=tuple(_near(each, shown) for each in record.near if each.cause != "filter"),
        fallback=(),
        explored=explored,
        experiment=None if experiment is None else replace(experiment, unit=""),
    )


def told(record: DecisionRecord, view: str, titles: Mapping[str, str], gone: Gone) -> dict[str, Any]:
    """A view of a record whose person was erased, in the shape of `explain`, with `erased`."""
    answer = explain(deidentified(record), view, titles)
    answer["erased"] = gone.told()
    if view == "user":
        return {**answer, "otherwise": "", "rights": [], "text": gone.sentence}
    for item in answer["items"]:
        for fact in item["facts"]:
            if fact["personal"]:
                fact |= {"value": None, "age_ms": None, "contribution": None, "text": f"{fact['feature']}: erased"}
    answer["counterfactuals"] = []  # they are about what the person did
    answer["text"] = "\n".join([gone.sentence, answer["text"].partition("\n")[0], *map(_line, answer["items"])])
    if "integrity" in answer:
        answer["integrity"]["record_digest"] = record.digest()
    return answer


def _line(item: Mapping[str, Any]) -> str:
    facts = "; ".join(fact["text"] for fact in item["facts"])
    return f"{item['position']}. {item['title'] or item['id']}  {item['score']:.4f}  {facts}".rstrip()


def _item(item: Answered, shown: tuple[bool, ...], impersonal: set[str]) -> Answered:
    speaks = item.reason in impersonal
    return replace(
        item,
        sources=0,
        reason=item.reason if speaks else "",
        about=item.about if speaks else "",
        values=_where(item.values, shown),
        ages=_where(item.ages, shown),
    )


def _near(miss: NearMiss, shown: tuple[bool, ...]) -> NearMiss:
    return replace(miss, saw="", values=_where(miss.values, shown), ages=_where(miss.ages, shown))


def _where(values: tuple[Any, ...], shown: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(value if kept else None for value, kept in zip(values, shown, strict=False))


def _without(scales: Mapping[str, float], personal: set[str]) -> dict[str, float]:
    return {name: scale for name, scale in scales.items() if name not in personal}
