"""Writing catalogue, price, stock and other declared tables, and deleting from them. Answered when durable and applied:
a decision that starts after the answer sees the rows, or sees them no more."""

from __future__ import annotations

from typing import Any

import msgspec

from nextpaint.govern.access import ADMIN
from nextpaint.record.errors import RequestError
from nextpaint.serve.collect import receipt_body
from nextpaint.serve.http import Request, Response, Route, decode_json, json_response
from nextpaint.serve.node import Node, Receipt

ROWS = "/v1/tables/{table}/rows"
BODY_BYTES_MAX = 8 * 1024 * 1024


class ItemsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rows with `item_id` and columns of the application's item tables."""

    items: list[dict[str, Any]]


class RowsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rows of one declared table."""

    rows: list[dict[str, Any]]


class ItemKeys(msgspec.Struct, forbid_unknown_fields=True):
    """Items by their key alone: {"item_id": ...}."""

    items: list[dict[str, Any]]


class RowKeys(msgspec.Struct, forbid_unknown_fields=True):
    """Rows of one declared table by their key alone."""

    rows: list[dict[str, Any]]


class Items:
    """Handlers of the write routes."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> list[Route]:
        return [
            self._route("PUT", "/v1/items", self.put_items, "Write items: catalogue, price, stock", ItemsRequest),
            self._route("DELETE", "/v1/items", self.delete_items, "Take items away, by their key", ItemKeys),
            self._route("PUT", ROWS, self.put_rows, "Write rows of a declared table", RowsRequest),
            self._route("DELETE", ROWS, self.delete_rows, "Take rows of a declared table away, by their key", RowKeys),
        ]

    def _route(self, method: str, path: str, handler: Any, summary: str, accepts: type) -> Route:
        return Route(
            method,
            path,
            handler,
            summary,
            scope=ADMIN,
            body_bytes_max=BODY_BYTES_MAX,
            accepts=accepts,
            tags=("tables",),
        )

    async def put_items(self, request: Request) -> Response:
        asked: ItemsRequest = decode_json(request.body, ItemsRequest)
        return _answer(await self._node.put_items(request.caller(), asked.items), len(asked.items))

    async def put_rows(self, request: Request) -> Response:
        asked: RowsRequest = decode_json(request.body, RowsRequest)
        table = request.params["table"]
        return _answer(await self._node.put_rows(request.caller(), table, asked.rows), len(asked.rows))

    async def delete_items(self, request: Request) -> Response:
        asked: ItemKeys = decode_json(request.body, ItemKeys)
        return _answer(await self._node.delete_items(request.caller(), asked.items), len(asked.items))

    async def delete_rows(self, request: Request) -> Response:
        asked: RowKeys = decode_json(request.body, RowKeys)
        table = request.params["table"]
        return _answer(await self._node.delete_rows(request.caller(), table, asked.rows), len(asked.rows))


def _answer(receipt: Receipt, count: int) -> Response:
    if receipt.quarantined and not receipt.accepted:
        index, reason = receipt.quarantined[0]
        raise RequestError(reason, where=f"row {index} of {count}", cure="correct the row; see `nextpaint check`")
    return json_response(receipt_body(receipt))
