"""What a node has learned, over HTTP: experiments and the statistics behind exploration."""

from __future__ import annotations

from nextpaint.engine.facade import Engine
from nextpaint.govern.access import READ
from nextpaint.serve.http import Request, Response, Route, json_response


class Learned:
    """Handlers of the routes that show what was learned."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        tags = ("learning",)
        return [
            Route("GET", "/v1/experiments", self.experiments, "What each variant earned", scope=READ, tags=tags),
            Route("GET", "/v1/learning", self.learning, "What exploration knows of each arm", scope=READ, tags=tags),
        ]

    async def experiments(self, request: Request) -> Response:
        return json_response({"experiments": self._engine.experiments(request.caller())})

    async def learning(self, request: Request) -> Response:
        return json_response({"learners": self._engine.learning(request.caller())})
