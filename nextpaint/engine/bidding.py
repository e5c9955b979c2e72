"""Bids on a running node: decisions for the places of one bid request, in the time there is, and what became of them.

    offers(...)    one decision a place, each recorded; a place that time ran out for has none
    notice(...)    a win, a billable impression or a loss comes back as an event of the person of its decision

A notice is believed when it is signed: its address was made here, for one decision, item, place and price. The person
is taken from the decision's record: no identifier, nor its token, is in an address that others see. A notice counts
once, however often it is called.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextpaint.decide.bidding import Bid
from nextpaint.engine.deciding import Deciding, OutOfTime, Terms
from nextpaint.engine.explaining import Explaining
from nextpaint.engine.intake import Intake, Receipt
from nextpaint.engine.node import Node
from nextpaint.govern.access import DECIDE, SCOPES, Principal
from nextpaint.govern.door import Who
from nextpaint.record.errors import InvalidInput, NotFound

NOTICES = Principal("bid-notices", SCOPES)
EVENTS = {"win": "Bid Won", "billing": "Bid Billed", "loss": "Bid Lost"}
TIME_MIN_MS = 5  # a decision and its commit on a quiet node; with less there is no use in beginning


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered for one place: the answer of its decision, best item first."""

    place: str
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a notice is about, as its address says. `place`: the id of the impression in the bid request; `price`: what
    was bid, as text."""

    decision_id: str
    item_id: str
    place: str
    price: str

    def text(self, kind: str) -> str:
        """What is signed."""
        return "\x1f".join(("bid notice", kind, self.decision_id, self.item_id, self.place, self.price))


class Bidding:
    """The bids of one node."""

    def __init__(self, node: Node, deciding: Deciding, intake: Intake, explaining: Explaining) -> None:
        self._node = node
        self._deciding = deciding
        self._intake = intake
        self._explaining = explaining

    def terms(self, surface: str) -> tuple[Bid, int]:
        """What the surface bids with, and its window in ms. Raises NotFound for a surface that answers no bids."""
        for each in self._deciding.decider.surfaces:
            if each.name == surface:
                found = next((one for one in each.filters if isinstance(one, Bid)), None)
                if found is not None:
                    return found, each.window.total_ms
        raise NotFound(
            f"no surface {surface[:80]!r} answers bids", where="application", cure="put Bid(...) into its require="
        )

    def rate(self, table: str, currency: str) -> float | None:
        """Units of our currency for one of `currency`; None when it is not known."""
        row = self._node.tables.reading(self._node.ports.clock.now_ms()).row(table, (currency,))
        rate = None if row is None else row.get("rate")
        return float(rate) if isinstance(rate, int | float) and rate > 0 else None

    async def offers(
        self, principal: Principal, surface: str, places: Sequence[tuple[str, Mapping[str, Any]]], terms: Terms
    ) -> list[Offer]:
        """Decisions for (place, request body), in order, no item twice; those that were made within
        `terms.total_ms`."""
        principal.require(DECIDE)
        clock = self._node.ports.clock
        end_ns = clock.monotonic_ns() + (terms.total_ms or 0) * 1_000_000
        made: list[Offer] = []
        offered: tuple[str, ...] = ()
        for place, body in places:
            left_ms = (end_ns - clock.monotonic_ns()) // 1_000_000
            if left_ms < TIME_MIN_MS:
                break
            answer = await self._in_time(principal, surface, body, Terms(offered, left_ms, terms.withheld))
            if answer is None:
                break
            made.append(Offer(place, answer))
            offered += tuple(each["id"] for each in answer["items"][:1])
        if len(made) < len(places):
            self.late(len(places) - len(made))
        return made

    def late(self, count: int) -> None:
        """Count bids that were not made, or not sent, because time was up."""
        self._node.observed.counters.add("bids_late", count)

    async def _in_time(
        self, principal: Principal, surface: str, body: Mapping[str, Any], terms: Terms
    ) -> Mapping[str, Any] | None:
        """The answer, or None when it was not there in time. Its record is kept all the same; what was not begun for
        lack of time has none."""
        clock = self._node.ports.clock
        end_ns = clock.monotonic_ns() + (terms.total_ms or 0) * 1_000_000
        # Not as a task of its own: on a busy loop each hand-over from task to task is another round of 10 ms.
        try:
            answer = await self._deciding.decide(principal, surface, body, terms)
        except OutOfTime:
            return None
        return answer if clock.monotonic_ns() <= end_ns else None

    # ------------------------------------------------------------ notices

    def signature(self, kind: str, noticed: Noticed) -> str:
        """What proves that an address of this kind was made by this node."""
        return self._node.subjects.pseudonym(noticed.text(kind))

    async def notice(self, kind: str, noticed: Noticed, signature: str, said: Mapping[str, Any]) -> Receipt:
        """Keep a notice as an event; `said`: what the exchange filled in. Raises NotFound, InvalidInput."""
        if kind not in EVENTS:
            raise NotFound(f"no notice {kind[:20]!r}", where="path", cure=f"use {', '.join(EVENTS)}")
        if not hmac.compare_digest(signature.encode(), self.signature(kind, noticed).encode()):
            raise InvalidInput("this address was not made by this node", where="notice", cure="call it as it was given")
        record = self._explaining.record(noticed.decision_id)
        now_ms = self._node.ports.clock.now_ms()
        about = {
            "decision_id": noticed.decision_id, "item_id": noticed.item_id, "surface": record.surface,
            "placement": noticed.place, "bid": float(noticed.price), **said,
        }  # fmt: skip
        calls = [_call(EVENTS[kind], f"{noticed.decision_id}-{noticed.place}-{kind}", about)]
        if kind == "billing":  # billable means shown: it counts as an impression, for caps and for what is learned
            shown = {
                "decision_id": noticed.decision_id, "surface": record.surface,
                "items": [{"item_id": noticed.item_id, "position": 1}],
            }  # fmt: skip
            calls.append(_call("Impression", f"{noticed.decision_id}-{noticed.place}-shown", shown))
        # A bid without a profile, or whose person was erased since, belongs to nobody: its notices are kept under the
        # decision, as a subject of its own.
        known = bool(record.subjects) and self._node.index.erased_ms(record.subjects[0]) is None
        who = Who(record.subjects[0], True) if known else None
        if who is None:
            calls = [{**call, "anonymousId": f"bid-{noticed.decision_id}"} for call in calls]
        return await self._intake.events(NOTICES, calls, now_ms, who)


def _call(event: str, message_id: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "track", "event": event, "messageId": message_id, "properties": dict(properties)}
