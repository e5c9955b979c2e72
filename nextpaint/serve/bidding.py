"""Bid requests over HTTP: OpenRTB 2.6 in and out, and the notices of what became of a bid.

    POST /v1/bid/{surface}                         a bid request: 200 with bids; 204, or ?nbr=1 with a reason, without
    GET  /v1/bid/notice/{kind}/{decision_id}       win, billing or loss, called by the exchange: an event

Answered inside `tmax`, counted from the last byte of the request and what it may have waited unread, less what the
way takes (`Bid.network_ms`): what is not ready then is not bid. A body that is no
bid request is 400. Notices need no key: their addresses are signed (`engine.bidding`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any
from urllib.parse import quote, urlencode

from nextpaint.decide.bidding import Bid, codes
from nextpaint.engine.bidding import EVENTS, TIME_MIN_MS, Noticed, Offer
from nextpaint.engine.deciding import Terms
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import DECIDE
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response
from nextpaint.serve.native_ads import native_markup, native_request
from nextpaint.serve.openrtb import (
    IMPS_MAX,
    NO_TIME,
    UNKNOWN,
    BidRequest,
    Imp,
    NoBid,
    person_of,
    place_of,
    seat_may_bid,
    withheld,
)

REQUEST_BYTES_MAX = 128 * 1024
ALTERNATIVES = 5  # decided per place: a native place may ask for what the best has not
BANNER, NATIVE = 1, 4  # mtype
_VERSION = [(b"x-openrtb-version", b"2.6")]
# What the exchange fills in, and the name we give it in a notice's address.
_MACROS = {"price": "AUCTION_PRICE", "cur": "AUCTION_CURRENCY", "loss": "AUCTION_LOSS", "min": "AUCTION_MIN_TO_WIN"}


@dataclass(frozen=True, slots=True)
class _Deal:
    """What one request is answered by: our terms, the currency of the answer, how many of ours one of it is, and the
    address of this node."""

    bid: Bid
    currency: str
    rate: float
    address: str


class Bids:
    """Handlers of the bid routes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/v1/bid/{surface}", self.bid, "Answer an OpenRTB 2.6 bid request", scope=DECIDE,
                  lane="decide", body_bytes_max=REQUEST_BYTES_MAX, accepts=BidRequest, tags=("bid",)),
            Route("GET", "/v1/bid/notice/{kind}/{decision_id}", self.notice, "A bid was won, billed or lost",
                  lane="collect", cross_origin=True, tags=("bid",)),
        ]  # fmt: skip

    async def bid(self, request: Request) -> Response:
        asked: BidRequest = decode_json(request.body, BidRequest)
        surface = request.params["surface"]
        bid, window_ms = self._engine.bidding.terms(surface)
        unread_ms = self._engine.node.turns.unread_ms  # a busy node reads late
        total_ms = min(asked.tmax or window_ms, window_ms) - bid.network_ms - unread_ms
        try:
            bids, deal = await self._bids(request, asked, bid, int(total_ms - _since_ms(request)))
            if _since_ms(request) > total_ms:  # the way back through a busy node took what was left
                self._engine.bidding.late(len(bids))
                raise NoBid(NO_TIME, "time was up")
        except NoBid as none:
            if request.query().get("nbr") != "1":
                return Response(b"", 204, headers=_VERSION)
            response = json_response({"id": asked.id, "nbr": none.code, "ext": {"why": none.why}})
        else:
            seats = [{"seat": bid.seat, "bid": bids}]
            response = json_response({"id": asked.id, "bidid": bids[0]["id"], "cur": deal.currency, "seatbid": seats})
        response.headers += _VERSION
        return response

    async def _bids(
        self, request: Request, asked: BidRequest, bid: Bid, total_ms: int
    ) -> tuple[list[dict[str, Any]], _Deal]:
        """At least one bid. Raises NoBid."""
        if total_ms < TIME_MIN_MS:
            raise NoBid(NO_TIME, f"{total_ms} ms are left to decide")
        if not seat_may_bid(asked, bid.seat):
            raise NoBid(UNKNOWN, f"seat {bid.seat} may not bid")
        deal = self._deal(request, asked, bid)
        imps, places, last = {}, [], NoBid(UNKNOWN, "nothing fits")
        for imp in asked.imp[:IMPS_MAX]:
            try:
                places.append((imp.id, self._place(asked, imp, bid)))
                imps[imp.id] = imp
            except NoBid as none:
                last = none
        if not places:
            raise last
        terms = Terms(total_ms=total_ms, withheld=withheld(asked, bid.vendor))
        offers = await self._engine.bidding.offers(request.caller(), request.params["surface"], places, terms)
        made = [each for offer in offers if (each := self._made(imps[offer.place], offer, deal)) is not None]
        if not made:
            raise NoBid(UNKNOWN, "nothing fits") if len(offers) == len(places) else NoBid(NO_TIME, "time was up")
        return made, deal

    def _deal(self, request: Request, asked: BidRequest, bid: Bid) -> _Deal:
        """The currency to answer in: ours where it is accepted, else the first one with a rate."""
        public = self._engine.node.application.settings.get("public_url")
        host = request.headers.get(b"host", b"").decode("latin-1")
        address = str(public).rstrip("/") if public else f"http://{quote(host, safe=':[].-')}"
        accepted = asked.cur or ["USD"]
        for currency in [bid.currency] if bid.currency in accepted else accepted:
            rate = self._rate(bid, currency)
            if rate is not None:
                return _Deal(bid, currency, rate, address)
        raise NoBid(UNKNOWN, f"no rate for {', '.join(accepted[:5])}")

    def _rate(self, bid: Bid, currency: str) -> float | None:
        """Units of our currency for one of another."""
        if currency == bid.currency:
            return 1.0
        return None if bid.rates is None else self._engine.bidding.rate(bid.rates, currency)

    def _place(self, asked: BidRequest, imp: Imp, bid: Bid) -> dict[str, Any]:
        """The body of the decision for one place. Raises NoBid."""
        inputs = place_of(asked, imp, bid.taxonomy)
        rate = self._rate(bid, imp.bidfloorcur)
        if rate is None and imp.bidfloor > 0:
            raise NoBid(UNKNOWN, f"no rate for a floor in {imp.bidfloorcur}")
        return {
            **person_of(asked), "limit": ALTERNATIVES, "inputs": {**inputs, "floor": imp.bidfloor * (rate or 1.0)},
        }  # fmt: skip

    def _made(self, imp: Imp, offer: Offer, deal: _Deal) -> dict[str, Any] | None:
        """The best of the offered that can be shown at this place."""
        for item in offer.answer["items"]:
            fields = item["fields"]
            kind = BANNER if fields[deal.bid.format] == "banner" else NATIVE
            markup = fields[deal.bid.markup] if kind == BANNER else _native(imp, fields, deal.bid)
            if markup:
                return self._bid(imp, offer, item, deal) | {"adm": markup, "mtype": kind}
        return None

    def _bid(self, imp: Imp, offer: Offer, item: Mapping[str, Any], deal: _Deal) -> dict[str, Any]:
        bid, fields, decision = deal.bid, item["fields"], str(offer.answer["decision_id"])
        price = round(float(fields[bid.price]) / deal.rate, 6)
        noticed = Noticed(decision, str(item["id"]), imp.id, repr(price))
        made: dict[str, Any] = {
            "id": decision, "impid": imp.id, "price": price,
            "crid": item["id"], "adomain": codes(fields[bid.advertiser]), "cat": codes(fields[bid.categories]),
            "cattax": bid.taxonomy, "exp": offer.answer["ttl_s"],
        }  # fmt: skip
        made |= {f"{kind[0]}url": self._notice_address(kind, noticed, deal.address) for kind in ("billing", "loss")}
        made["nurl"] = self._notice_address("win", noticed, deal.address)
        if bid.campaign is not None and fields[bid.campaign]:
            made["cid"] = str(fields[bid.campaign])
        if bid.attributes is not None:
            made["attr"] = [int(code) for code in codes(fields[bid.attributes]) if code.isdigit()]
        if fields[bid.format] == "banner" and fields[bid.width] and fields[bid.height]:
            made |= {"w": int(fields[bid.width]), "h": int(fields[bid.height])}
        return made

    def _notice_address(self, kind: str, noticed: Noticed, address: str) -> str:
        fixed = {"item": noticed.item_id, "imp": noticed.place, "bid": noticed.price}
        fixed["sig"] = self._engine.bidding.signature(kind, noticed)
        macros = "".join(f"&{name}=${{{macro}}}" for name, macro in _MACROS.items())
        return f"{address}/v1/bid/notice/{kind}/{noticed.decision_id}?{urlencode(fixed)}{macros}"

    # ------------------------------------------------------------ notices

    async def notice(self, request: Request) -> Response:
        kind, decision = request.params["kind"], request.params["decision_id"]
        if kind not in EVENTS:
            raise NotFound("no such notice", where="path", cure=f"use {', '.join(EVENTS)}")
        query = request.query()
        missing = [name for name in ("item", "imp", "bid", "sig") if not query.get(name)]
        if missing:
            raise InvalidInput(f"{missing[0]} is missing", where="query", cure="call the address as it was given")
        noticed = Noticed(decision, query["item"], query["imp"], query["bid"])
        await self._engine.bidding.notice(kind, noticed, query["sig"], _said(query))
        return Response(b"", 204)


def _since_ms(request: Request) -> float:
    """How long the request has been here."""
    return (asyncio.get_running_loop().time() - request.complete_s) * 1000 if request.complete_s else 0.0


def _said(query: Mapping[str, str]) -> dict[str, Any]:
    """What the exchange filled in: numbers, a sealed price as text; a macro that it left standing is nothing."""
    said: dict[str, Any] = {}
    for name, label in (("price", "price"), ("min", "minimum_to_win"), ("loss", "loss_reason"), ("cur", "currency")):
        text = query.get(name, "")[:128]
        if not text or text.startswith("${"):
            continue
        if name == "cur":
            said[label] = text
            continue
        try:
            number = float(text)
        except ValueError:
            said[f"{label}_sealed"] = text
            continue
        if isfinite(number) and number >= 0:
            said[label] = int(number) if name == "loss" else number
    return said


def _native(imp: Imp, fields: Mapping[str, Any], bid: Bid) -> str | None:
    asked = native_request(imp.native.request) if imp.native is not None else None
    if asked is None:
        return None
    return native_markup(asked, {part: str(fields[name]) for part, name in bid.native.items() if fields.get(name)})
