"""Routes for the operator of a node: what an application change would do, and doing it; what is kept how long."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import ADMIN, READ
from nextpaint.record.errors import RequestError
from nextpaint.serve.http import Request, Response, Route, json_response

BODY_BYTES_MAX = 4 * 1024 * 1024


class _Files(msgspec.Struct):
    files: dict[str, str]


class _Admin:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def show(self, request: Request) -> Response:
        return json_response(self._engine.application())

    async def plan(self, request: Request) -> Response:
        return json_response(self._engine.plan(await _application(request)))

    async def apply(self, request: Request) -> Response:
        return json_response(await self._engine.apply(request.caller(), await _application(request)))

    async def state(self, request: Request) -> Response:
        node = self._engine.node
        answer: dict[str, Any] = {"state_hash": node.runner.state.hash(), "applied": node.runner.applied}
        return json_response(answer)

    async def retention(self, request: Request) -> Response:
        return json_response(await self._engine.retention(request.caller()))

    async def retain(self, request: Request) -> Response:
        return json_response(await self._engine.retain(request.caller()))


async def _application(request: Request) -> Application:
    """Checked on another thread: planning takes some 100 ms, which no decision should wait for."""
    try:
        body = msgspec.json.decode(request.body, type=_Files)
    except msgspec.DecodeError as error:
        raise RequestError(
            f"the body cannot be read: {error}", cure='send {"files": {"streams.sql": "..."}}'
        ) from error
    return await asyncio.to_thread(Application.of, {name: text.encode() for name, text in body.files.items()})


def admin_routes(engine: Engine) -> list[Route]:
    """GET /v1/application, POST /v1/application/plan, PUT /v1/application, GET /v1/retention, POST /v1/retention/run,
    GET /v1/state."""
    admin = _Admin(engine)
    return [
        Route("GET", "/v1/application", admin.show, "The application in force", scope=READ, tags=("application",)),
        Route("POST", "/v1/application/plan", admin.plan, "What a change would do", scope=ADMIN,
              body_bytes_max=BODY_BYTES_MAX, tags=("application",)),
        Route("PUT", "/v1/application", admin.apply, "Put another application in force", scope=ADMIN,
              body_bytes_max=BODY_BYTES_MAX, tags=("application",)),
        Route("GET", "/v1/retention", admin.retention, "What is kept how long, and what goes next", scope=READ,
              tags=("retention",)),
        Route("POST", "/v1/retention/run", admin.retain, "Let go now what is past its time", scope=ADMIN,
              body_bytes_max=1024, tags=("retention",)),
        Route("GET", "/v1/state", admin.state, "The state hash at the applied position", scope=ADMIN,
              tags=("application",)),
    ]  # fmt: skip
