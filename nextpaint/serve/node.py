"""What the HTTP edge needs of a node: the façade as a protocol, so that the edge is tested without an engine.

Every call runs on the event-loop thread. Errors are those of `record.errors`, whose `status` the edge answers with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    async def ingest(
        self, principal: Principal, calls: Sequence[Mapping[str, Any]], received_at_ms: int | None = None
    ) -> Receipt: ...

    async def put_items(self, principal: Principal, items: Sequence[Mapping[str, Any]]) -> Receipt: ...

    async def put_rows(self, principal: Principal, table: str, rows: Sequence[Mapping[str, Any]]) -> Receipt: ...

    async def decide(self, principal: Principal, surface: str, request: Mapping[str, Any]) -> dict[str, Any]: ...

    async def decide_page(self, principal: Principal, request: Mapping[str, Any]) -> dict[str, Any]: ...

    async def explain(
        self, principal: Principal, decision_id: str, view: str = "support", replay: bool = False
    ) -> dict[str, Any]: ...

    async def query(self, principal: Principal, sql: str) -> dict[str, Any]: ...

    def metrics(self) -> str: ...

    def ready(self) -> tuple[bool, str]: ...
