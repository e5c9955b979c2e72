"""Deciding and explaining over HTTP. The shapes are those of the structs below and of the engine's answers."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from nextpaint.govern.access import DECIDE, READ
from nextpaint.govern.paper import on_paper
from nextpaint.record.errors import InvalidInput
from nextpaint.serve.http import Later, Request, Response, Route, decode_json, json_response
from nextpaint.serve.node import Node

REQUEST_BYTES_MAX = 256 * 1024
PDF = b"application/pdf"
VIEWS = ("user", "support", "regulator")


class DecideRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request for one surface. `items` re-ranks a list the caller brings; `events` are applied before deciding."""

    userId: str | int | UnsetType | None = UNSET
    anonymousId: str | int | UnsetType | None = UNSET
    inputs: dict[str, Any] | UnsetType = UNSET
    items: list[str] | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    exclude: list[str] | UnsetType = UNSET
    events: list[dict[str, Any]] | UnsetType = UNSET
    profiled: bool | UnsetType = UNSET
    minor: bool | UnsetType = UNSET  # whoever asks is one: nothing about them is read
    position: str | UnsetType = UNSET
    ahead_ms: int | UnsetType = (
        UNSET  # read as of now plus this: how the answer would be if nothing happened until then
    )


class PageRequest(DecideRequest, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request for several surfaces, which do not repeat each other's items."""

    surfaces: list[Any]


class Decisions:
    """Handlers of the decide and explain routes."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> list[Route]:
        return [
            self._decide_route("/v1/decide/{surface}", self.decide, "Decide one surface", DecideRequest),
            self._decide_route("/v1/decide", self.decide_page, "Decide several surfaces of a page", PageRequest),
            Route(
                "GET",
                "/v1/decisions/{decision_id}",
                self.explain,
                "Why a decision was made (?view=user|support|regulator, ?replay=1, ?purpose=what it is read for, "
                "?format=json|pdf)",
                scope=READ,
                tags=("decide",),
            ),
        ]

    def _decide_route(self, path: str, handler: Any, summary: str, accepts: type) -> Route:
        return Route(
            "POST",
            path,
            handler,
            summary,
            scope=DECIDE,
            lane="decide",
            body_bytes_max=REQUEST_BYTES_MAX,
            cross_origin=True,
            accepts=accepts,
            tags=("decide",),
        )

    def decide(self, request: Request) -> Later:
        surface = request.params["surface"]
        asked = _fields(decode_json(request.body or b"{}", DecideRequest))
        return Later(self._node.decide(request.caller(), surface, asked), json_response)

    def decide_page(self, request: Request) -> Later:
        asked = _fields(decode_json(request.body or b"{}", PageRequest))
        return Later(self._node.decide_page(request.caller(), asked), json_response)

    async def explain(self, request: Request) -> Response:
        query = request.query()
        view = query.get("view", "support")
        if view not in VIEWS:
            raise InvalidInput(f"view {view[:40]!r} is unknown", where="query", cure="use " + ", ".join(VIEWS))
        replay = query.get("replay", "0") not in ("0", "false", "")
        decision, purpose = request.params["decision_id"], query.get("purpose", "")
        kind = query.get("format", "json")
        if kind not in ("json", "pdf"):
            raise InvalidInput(f"format {kind[:40]!r} is unknown", where="query", cure="use json or pdf")
        record = await self._node.explain(request.caller(), decision, view, replay, purpose)
        return json_response(record) if kind == "json" else Response(on_paper(record), content_type=PDF)


def _fields(asked: DecideRequest) -> dict[str, Any]:
    """The fields that were sent, as the engine takes them. Raises InvalidInput for a limit below 1."""
    sent = {name: value for name in asked.__struct_fields__ if (value := getattr(asked, name)) is not UNSET}
    if sent.get("limit", 1) < 1:
        raise InvalidInput("limit must be at least 1", where="body", cure="leave it out for the surface's own limit")
    return sent
