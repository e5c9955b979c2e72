"""Experiments as feature flags: OpenFeature's remote evaluation protocol (OFREP 0.3).

    POST /ofrep/v1/evaluate/flags/{key}    {"context": {"targetingKey": "u1"}} -> {"key", "value", "variant", "reason"}
    POST /ofrep/v1/evaluate/flags          all flags, with ETag and If-None-Match

A flag is an experiment, its value the variant to show; `variant` says `holdout` for people who count for none.
`targetingKey` is the userId; `anonymousId` in the context names a device instead. Evaluating is not exposure: people
count for a variant when its page was shown to them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from nextpaint.govern.access import DECIDE, Principal
from nextpaint.serve.http import Request, Response, Route, encode_json, json_response

BODY_BYTES_MAX = 64 * 1024


class Flags(Protocol):
    """What this edge needs of a node."""

    def flags(self, principal: Principal, user_id: str | None, anonymous_id: str | None) -> list[dict[str, Any]]: ...


class EvaluationRequest(msgspec.Struct, frozen=True):
    """The body of both calls; further properties of the context are read by nobody here."""

    context: dict[str, Any]


class Ofrep:
    """Handlers of the OFREP routes."""

    def __init__(self, node: Flags) -> None:
        self._node = node

    def routes(self) -> list[Route]:
        paths = (
            ("/ofrep/v1/evaluate/flags/{key}", self.one, "Evaluate one experiment (OFREP)"),
            ("/ofrep/v1/evaluate/flags", self.all, "Evaluate all experiments (OFREP)"),
        )
        return [
            Route("POST", path, handler, summary, scope=DECIDE, lane="decide", body_bytes_max=BODY_BYTES_MAX,
                  cross_origin=True, accepts=EvaluationRequest, tags=("decide",))
            for path, handler, summary in paths
        ]  # fmt: skip

    async def one(self, request: Request) -> Response:
        key = request.params["key"]
        found, failed = self._evaluated(request)
        if failed is not None:
            return json_response({"key": key, **failed}, 400)
        for each in found:
            if each["key"] == key:
                return json_response(each)
        details = f"there is no experiment {key[:80]!r}"
        return json_response({"key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": details}, 404)

    async def all(self, request: Request) -> Response:
        found, failed = self._evaluated(request)
        if failed is not None:
            return json_response(failed, 400)
        body = encode_json({"flags": found, "metadata": {}})
        tag = b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'
        if request.headers.get(b"if-none-match") == tag:
            return Response(b"", 304, headers=[(b"etag", tag)])
        return Response(body, headers=[(b"etag", tag)])

    def _evaluated(self, request: Request) -> tuple[list[dict[str, Any]], dict[str, str] | None]:
        """The flags of the person in the context, or the error in the protocol's words."""
        try:
            context = msgspec.json.decode(request.body, type=EvaluationRequest).context
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            code = "INVALID_CONTEXT" if isinstance(error, msgspec.ValidationError) else "PARSE_ERROR"
            return [], {"errorCode": code, "errorDetails": str(error)[:200]}
        user, device = context.get("targetingKey"), context.get("anonymousId")
        if user is None and device is None:
            details = "send context.targetingKey (the userId) or context.anonymousId"
            return [], {"errorCode": "TARGETING_KEY_MISSING", "errorDetails": details}
        for name, value in (("targetingKey", user), ("anonymousId", device)):
            if value is not None and (not isinstance(value, str) or not 0 < len(value) <= 256):
                details = f"context.{name} must be a string of 1 to 256 characters"
                return [], {"errorCode": "INVALID_CONTEXT", "errorDetails": details}
        return self._node.flags(request.caller(), user, device), None
