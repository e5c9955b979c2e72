"""Collecting events over Segment's HTTP API: seven calls, their one-letter forms, batches, beacons.

The limits and answers are Segment's: 32 KB per call and 500 KB per batch, above which the answer is 400; a duplicate is
a success. A batch is answered 200 if anything of it was kept, and names the calls that were quarantined. When nothing
was, the answer is 400 with the first reason: a client must not retry it. The write key may be in the body, for beacons
that cannot set headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nextpaint.govern.access import INGEST, Access
from nextpaint.record.errors import RequestError
from nextpaint.serve.http import Later, Request, Response, Route, credential, decode_json, json_response
from nextpaint.serve.node import Node, Receipt

CALL_TYPES = ("track", "identify", "page", "screen", "group", "alias")
CALL_BYTES_MAX = 32 * 1024
BATCH_BYTES_MAX = 500 * 1024
BATCH_CALLS_MAX = 2_500  # at about 25 us each this is as long as a batch may hold the loop
BODY_BYTES_MAX = 1024 * 1024  # beyond it a body is refused unread (413)


class Collector:
    """Handlers of the collect routes."""

    def __init__(self, node: Node, access: Access) -> None:
        self._node = node
        self._access = access

    def routes(self) -> list[Route]:
        """One route per call and per one-letter form."""
        routes = []
        for kind in CALL_TYPES:
            for path in (f"/v1/{kind}", f"/v1/{kind[0]}"):
                routes.append(self._route(path, partial(self.one, kind), f"Collect one {kind} call"))
        for path in ("/v1/batch", "/v1/b", "/v1/import"):
            routes.append(self._route(path, self.batch, "Collect several calls"))
        return routes

    def _route(self, path: str, handler: Any, summary: str) -> Route:
        return Route(
            "POST",
            path,
            handler,
            summary,
            lane="collect",
            body_bytes_max=BODY_BYTES_MAX,
            cross_origin=True,
            tags=("collect",),
        )

    def one(self, kind: str, request: Request) -> Later:
        """One call; its type is the path's."""
        call = self._body(request)
        if len(request.body) > CALL_BYTES_MAX:
            raise RequestError(f"the call is larger than {CALL_BYTES_MAX} bytes", where=request.path, cure="send less")
        call["type"] = kind
        return self._ingest(request, [call])

    def batch(self, request: Request) -> Later:
        """`{"batch": [calls], "context": {}, "sentAt": ""}`: context and sentAt are merged into each call."""
        body = self._body(request)
        if len(request.body) > BATCH_BYTES_MAX:
            raise RequestError(
                f"the batch is larger than {BATCH_BYTES_MAX} bytes", where=request.path, cure="send smaller batches"
            )
        calls = body.get("batch")
        if not isinstance(calls, list) or not calls:
            raise RequestError(
                "batch must be a list of at least one call", where=request.path, cure='send {"batch": [...]}'
            )
        if len(calls) > BATCH_CALLS_MAX:
            raise RequestError(
                f"the batch has more than {BATCH_CALLS_MAX} calls", where=request.path, cure="send smaller batches"
            )
        context, sent_at = body.get("context"), body.get("sentAt")
        return self._ingest(request, [_merged(call, context, sent_at) for call in calls])

    def _body(self, request: Request) -> dict[str, Any]:
        """The decoded object, after the caller is known by the header's key or the body's."""
        presented = credential(request.headers)
        if presented is not None or self._access.is_open:
            request.principal = self._access.authenticate(presented)
        body = decode_json(request.body)
        if not isinstance(body, dict):
            raise RequestError("the body must be a JSON object", where=request.path, cure="see /openapi.json")
        write_key = body.pop("writeKey", None)
        if request.principal is None:
            request.principal = self._access.authenticate(write_key if isinstance(write_key, str) else None)
        request.principal.require(INGEST)
        return body

    def _ingest(self, request: Request, calls: list[Any]) -> Later:
        return Later(self._node.ingest(request.caller(), calls), partial(_answer, len(calls)))


def _answer(count: int, receipt: Receipt) -> Response:
    if receipt.quarantined and not receipt.accepted and not receipt.duplicates:
        index, reason = receipt.quarantined[0]
        raise RequestError(reason, where=f"call {index} of {count}", cure="correct the call; it was kept in quarantine")
    return json_response(receipt_body(receipt))


def receipt_body(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it is answered."""
    body: dict[str, Any] = {"success": True, "accepted": receipt.accepted, "position": receipt.position}
    if receipt.duplicates:
        body["duplicates"] = receipt.duplicates
    if receipt.quarantined:
        body["quarantined"] = [{"index": index, "reason": reason} for index, reason in receipt.quarantined]
    return body


def _merged(call: Any, context: Any, sent_at: Any) -> Any:
    """A call of a batch with the batch's context under its own. What is not an object is left to the door."""
    if not isinstance(call, dict):
        return call
    if isinstance(context, Mapping) and context:
        own = call.get("context")
        if own is None or isinstance(own, Mapping):
            call["context"] = {**context, **(own or {})}
    if sent_at is not None:
        call.setdefault("sentAt", sent_at)
    return call
