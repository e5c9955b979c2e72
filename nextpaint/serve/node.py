"""What the HTTP edge needs of a node: the façade as a protocol, so that the edge is tested without an engine.

Every call runs on the event-loop thread; what is awaited may be a coroutine or a future. Errors are those of
`record.errors`, whose `status` the edge answers with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from nextpaint.govern.access import Principal


class Receipt(Protocol):
    """What became of a write; returned when the admitted rows are durable."""

    @property
    def accepted(self) -> int: ...

    @property
    def duplicates(self) -> int: ...

    @property
    def quarantined(self) -> Sequence[tuple[int, str]]:
        """(index in the request, reason) of each row that was kept apart."""

    @property
    def position(self) -> str:
        """A later decide may ask to read at least this position."""


class Node(Protocol):
    """The part of the engine that HTTP serves."""

    def ingest(
        self, principal: Principal, calls: Sequence[Mapping[str, Any]], received_at_ms: int | None = None
    ) -> Awaitable[Receipt]: ...

    def busy(self) -> str:
        """Why events are refused just now; "" when they are not. Asked for every request: it must cost next to
        nothing, and give one of a few texts."""

    def put_items(self, principal: Principal, items: Sequence[Mapping[str, Any]]) -> Awaitable[Receipt]: ...

    def put_rows(self, principal: Principal, table: str, rows: Sequence[Mapping[str, Any]]) -> Awaitable[Receipt]: ...

    def delete_items(self, principal: Principal, items: Sequence[Mapping[str, Any]]) -> Awaitable[Receipt]: ...

    def delete_rows(
        self, principal: Principal, table: str, keys: Sequence[Mapping[str, Any]]
    ) -> Awaitable[Receipt]: ...

    def decide(self, principal: Principal, surface: str, request: Mapping[str, Any]) -> Awaitable[dict[str, Any]]: ...

    def decide_page(self, principal: Principal, request: Mapping[str, Any]) -> Awaitable[dict[str, Any]]: ...

    def explain(
        self, principal: Principal, decision_id: str, view: str = "support", replay: bool = False, purpose: str = ""
    ) -> Awaitable[dict[str, Any]]: ...

    def query(self, principal: Principal, sql: str) -> Awaitable[dict[str, Any]]: ...

    def flags(self, principal: Principal, user_id: str | None, anonymous_id: str | None) -> list[dict[str, Any]]: ...

    def metrics(self) -> str: ...

    def ready(self) -> tuple[bool, str]: ...
