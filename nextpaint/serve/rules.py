"""Merchandising rules over HTTP: changed while the node runs, each change on record."""

from __future__ import annotations

from nextpaint.decide.merchandising import Rule
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import ADMIN, READ
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response

BODY_BYTES_MAX = 512 * 1024


class Rules:
    """Handlers of the rule routes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        one, tags = "/v1/rules/{surface}/{rule_id}", ("rules",)
        return [
            Route("GET", "/v1/rules", self.all, "Every merchandising rule", scope=READ, tags=tags),
            Route("PUT", one, self.put, "Put a rule in force, or change it ('*' for every surface)", scope=ADMIN,
                  body_bytes_max=BODY_BYTES_MAX, accepts=Rule, tags=tags),
            Route("DELETE", one, self.delete, "Take a rule away", scope=ADMIN, tags=tags),
        ]  # fmt: skip

    async def all(self, request: Request) -> Response:
        return json_response({"rules": self._engine.rules(request.caller())})

    async def put(self, request: Request) -> Response:
        rule: Rule = decode_json(request.body, Rule)
        names = request.params
        return json_response(await self._engine.put_rule(request.caller(), names["surface"], names["rule_id"], rule))

    async def delete(self, request: Request) -> Response:
        names = request.params
        return json_response(await self._engine.delete_rule(request.caller(), names["surface"], names["rule_id"]))
