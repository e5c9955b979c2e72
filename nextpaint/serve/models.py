"""Trained models over HTTP: what ranks, putting a file in force, taking it back."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from nextpaint.engine.facade import Engine
from nextpaint.engine.registry import BYTES_MAX, Upload
from nextpaint.govern.access import ADMIN, READ
from nextpaint.record.errors import InvalidInput
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response


class ModelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`file`: its name, whose ending says what it is; `data`: its bytes, base64; `lineage`: what it was trained on;
    `share`: of people, below 1 as a canary; `shadow`: it ranks nobody and is compared."""

    file: str
    data: str
    lineage: Any = None
    share: float = 1.0
    shadow: bool = False


class Models:
    """Handlers of the model routes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        tags = ("models",)
        return [
            Route("GET", "/v1/models", self.all, "Trained models and what they were trained on", scope=READ, tags=tags),
            Route("PUT", "/v1/models/{name}", self.promote, "Put a model in force, as a canary or in shadow",
                  scope=ADMIN, body_bytes_max=BYTES_MAX * 4 // 3 + 4096, accepts=ModelRequest, tags=tags),
            Route("POST", "/v1/models/{name}/rollback", self.roll_back, "Take back the last promotion",
                  scope=ADMIN, body_bytes_max=1024, tags=tags),
        ]  # fmt: skip

    async def all(self, request: Request) -> Response:
        return json_response({"models": self._engine.models(request.caller())})

    async def promote(self, request: Request) -> Response:
        asked: ModelRequest = decode_json(request.body, ModelRequest)
        try:
            data = base64.b64decode(asked.data, validate=True)
        except binascii.Error as error:
            raise InvalidInput(
                f"'data' is not base64: {error}", where="body", cure="send the file's bytes in base64"
            ) from error
        upload = Upload(asked.file, data, asked.lineage, asked.share, asked.shadow)
        return json_response(await self._engine.promote(request.caller(), request.params["name"], upload))

    async def roll_back(self, request: Request) -> Response:
        return json_response(await self._engine.roll_back(request.caller(), request.params["name"]))
