"""What a decision would have been, and how pages are chosen at all, over HTTP.

The main parameters need no key: they are for the people whom pages are shown to, and hold nothing about any of them.
"""

from __future__ import annotations

from nextpaint.engine.erasing import Asked
from nextpaint.engine.facade import Engine
from nextpaint.engine.supposing import Change
from nextpaint.govern.access import ADMIN, READ
from nextpaint.record.errors import InvalidInput
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response

BODY_BYTES_MAX = 64 * 1024


class Reasons:
    """Handlers of the routes that ask why, beyond one record."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        one, tags = "/v1/decisions/{decision_id}", ("decide",)
        return [
            Route("POST", f"{one}/what-if", self.what_if, "The decision again, with something changed", scope=READ,
                  body_bytes_max=BODY_BYTES_MAX, accepts=Change, tags=tags),
            Route("POST", f"{one}/what-if/prepare", self.prepare, "Make the first what-if question about it quick",
                  scope=READ, tags=tags),
            Route("GET", f"{one}/events", self.events, "What the person did before it", scope=READ, tags=tags),
            Route("GET", "/v1/parameters", self.parameters, "What matters most on each surface, why, and since when",
                  scope=None, tags=tags),
            Route("GET", "/v1/person", self.person, "Everything kept about one person and decided for them "
                  "(?userId= or ?anonymousId=, ?skip=, ?purpose=)", scope=ADMIN, tags=tags),
            Route("DELETE", "/v1/person", self.erase, "Erase one person, and get the receipt "
                  "(?userId= or ?anonymousId=, ?suppress=1, ?purpose=)", scope=ADMIN, tags=tags),
            Route("DELETE", "/v1/person/suppression", self.lift, "Let somebody in again who asked to stay out "
                  "(?userId= or ?anonymousId=, ?purpose=)", scope=ADMIN, tags=tags),
            Route("GET", "/v1/erasures", self.erasures, "Every erasure, the last first", scope=ADMIN, tags=tags),
            Route("GET", "/v1/erasures/{erasure_id}", self.erasure, "The receipt of an erasure", scope=ADMIN,
                  tags=tags),
        ]  # fmt: skip

    async def person(self, request: Request) -> Response:
        query = request.query()
        user, anonymous, skip = query.get("userId"), query.get("anonymousId"), query.get("skip", "0")
        if not (user or anonymous):
            raise InvalidInput("nobody is named", where="query", cure="send userId or anonymousId")
        if not (skip.isascii() and skip.isdigit() and len(skip) < 10):
            raise InvalidInput(f"skip is {skip[:20]!r}", where="query", cure="send a whole number")
        purpose = query.get("purpose", "")
        return json_response(await self._engine.person(request.caller(), user, anonymous, int(skip), purpose))

    async def erase(self, request: Request) -> Response:
        query = request.query()
        suppress = query.get("suppress", "0") not in ("0", "false", "")
        asked = Asked(query.get("userId"), query.get("anonymousId"), suppress)
        return json_response(await self._engine.erase(request.caller(), asked, query.get("purpose", "")))

    async def lift(self, request: Request) -> Response:
        query = request.query()
        asked = Asked(query.get("userId"), query.get("anonymousId"))
        return json_response(await self._engine.lift(request.caller(), asked, query.get("purpose", "")))

    async def erasures(self, request: Request) -> Response:
        return json_response({"erasures": self._engine.erasures(request.caller())})

    async def erasure(self, request: Request) -> Response:
        return json_response(self._engine.erasure(request.caller(), request.params["erasure_id"]))

    async def parameters(self, request: Request) -> Response:
        return json_response(await self._engine.parameters())

    async def what_if(self, request: Request) -> Response:
        change: Change = decode_json(request.body, Change)
        decision, purpose = request.params["decision_id"], request.query().get("purpose", "")
        return json_response(await self._engine.what_if(request.caller(), decision, change, purpose))

    async def prepare(self, request: Request) -> Response:
        done = await self._engine.prepare(request.caller(), request.params["decision_id"])
        return json_response({"prepared": done})

    async def events(self, request: Request) -> Response:
        decision, purpose = request.params["decision_id"], request.query().get("purpose", "")
        found = await self._engine.events_before(request.caller(), decision, purpose)
        return json_response({"events": found})
