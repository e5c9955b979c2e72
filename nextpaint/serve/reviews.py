"""People look at decisions: contesting one, the queue, what came of it; and the nightly proof that they recompute."""

from __future__ import annotations

from nextpaint.decide.review import Contest, Finding
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import ADMIN, DECIDE, READ
from nextpaint.record.errors import InvalidInput
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response

BODY_BYTES_MAX = 16 * 1024


class Reviews:
    """Handlers of the review routes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        tags = ("reviews",)
        return [
            Route("POST", "/v1/decisions/{decision_id}/contest", self.contest, "Ask a person to look at a decision",
                  scope=DECIDE, body_bytes_max=BODY_BYTES_MAX, accepts=Contest, tags=tags),
            Route("GET", "/v1/reviews", self.all, "Decisions a person looks at (?state=open|closed)", scope=READ,
                  tags=tags),
            Route("PUT", "/v1/reviews/{decision_id}", self.decide, "What a person made of it", scope=ADMIN,
                  body_bytes_max=BODY_BYTES_MAX, accepts=Finding, tags=tags),
            Route("GET", "/v1/proofs", self.proofs, "Decisions made again every night, and what differed", scope=READ,
                  tags=tags),
            Route("POST", "/v1/proofs", self.prove, "Make a sample of decisions again now (?decisions=50)", scope=ADMIN,
                  tags=tags),
        ]  # fmt: skip

    async def proofs(self, request: Request) -> Response:
        return json_response({"proofs": self._engine.proofs(request.caller())})

    async def prove(self, request: Request) -> Response:
        text = request.query().get("decisions", "50")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise InvalidInput(f"decisions is {text[:20]!r}", where="query", cure="send a whole number")
        return json_response(await self._engine.prove(request.caller(), int(text)))

    async def contest(self, request: Request) -> Response:
        contest: Contest = decode_json(request.body, Contest)
        return json_response(await self._engine.contest(request.caller(), request.params["decision_id"], contest))

    async def all(self, request: Request) -> Response:
        return json_response({"reviews": self._engine.reviews(request.caller(), request.query().get("state", ""))})

    async def decide(self, request: Request) -> Response:
        finding: Finding = decode_json(request.body, Finding)
        return json_response(await self._engine.close_review(request.caller(), request.params["decision_id"], finding))
