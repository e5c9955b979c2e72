"""SQL over live tables: one SELECT, answered at one position."""

from __future__ import annotations

import msgspec

from nextpaint.govern.access import READ
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response
from nextpaint.serve.node import Node

BODY_BYTES_MAX = 64 * 1024


class QueryRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`sql`: a SELECT over the application's tables."""

    sql: str


class Query:
    """Handler of the query route."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/v1/query",
                self.query,
                "Read live tables with SQL",
                scope=READ,
                body_bytes_max=BODY_BYTES_MAX,
                accepts=QueryRequest,
                tags=("tables",),
            )
        ]

    async def query(self, request: Request) -> Response:
        asked: QueryRequest = decode_json(request.body, QueryRequest)
        return json_response(await self._node.query(request.caller(), asked.sql))
