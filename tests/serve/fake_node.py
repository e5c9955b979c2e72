"""A node without an engine: real door, real access, everything in memory."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from nextpaint.govern.access import Principal
from nextpaint.govern.door import Door, DoorSettings
from nextpaint.govern.subjects import Subjects
from nextpaint.ports.random import SystemRandom
from nextpaint.record.errors import InvalidInput, NotFound, Overloaded


@dataclass
class FakeReceipt:
    accepted: int
    duplicates: int = 0
    quarantined: tuple = ()
    position: str = "1.0.0"


@dataclass
class FakeNode:
    directory: Path
    events: list = field(default_factory=list)
    quarantine: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    principals: list = field(default_factory=list)
    rows: dict = field(default_factory=dict)
    is_ready: bool = True
    overloaded: bool = False
    busy_because: str = ""
    fault: Exception | None = None
    gate: asyncio.Event | None = None
    commit_each = True

    def __post_init__(self):
        self.subjects = Subjects.open(self.directory / "keys.db", SystemRandom())
        self.door = Door(self.subjects, DoorSettings(), SystemRandom())
        self.seen = set()

    def reset(self):
        """Forget everything but the subjects."""
        self.seen, self.rows = set(), {}
        self.events, self.quarantine, self.requests, self.principals = [], [], [], []
        self.is_ready, self.overloaded, self.fault, self.gate = True, False, None, None
        self.busy_because = ""

    async def ingest(self, principal: Principal, calls, received_at_ms=None):
        self.principals.append(principal)
        if self.fault:
            raise self.fault
        if self.overloaded:
            raise Overloaded("the ledger is behind", retry_after_s=3)
        if self.gate:
            await self.gate.wait()
        admission = self.door.admit(calls, principal, received_at_ms or _now_ms())
        fresh = [event for event in admission.events if event.message_id not in self.seen]
        self.seen.update(event.message_id for event in fresh)
        if self.commit_each:
            self.subjects.commit()
        self.events += fresh
        self.quarantine += admission.quarantined
        reasons = tuple((each.index, each.reason) for each in admission.quarantined)
        return FakeReceipt(len(fresh), len(admission.events) - len(fresh), reasons, f"{len(self.events)}.0.0")

    def busy(self):
        return self.busy_because

    async def put_items(self, principal, items):
        return await self.put_rows(principal, "items", items)

    async def put_rows(self, principal, table, rows):
        if table not in ("items", "inventory"):
            raise NotFound(f"there is no table {table}", where="path")
        bad = tuple((index, "item_id is missing") for index, row in enumerate(rows) if "item_id" not in row)
        self.rows.setdefault(table, []).extend(row for row in rows if "item_id" in row)
        return FakeReceipt(len(rows) - len(bad), 0, bad)

    async def delete_items(self, principal, items):
        return await self.delete_rows(principal, "items", items)

    async def delete_rows(self, principal, table, keys):
        receipt = await self.put_rows(principal, table, keys)
        gone = {key.get("item_id") for key in keys}
        self.rows[table] = [row for row in self.rows[table] if row["item_id"] not in gone]
        return receipt

    async def decide(self, principal, surface, request):
        self.requests.append(request)
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        if surface != "home":
            raise NotFound(f"there is no surface {surface}", where="path", cure="use home")
        if "bad" in request.get("inputs", {}):
            raise InvalidInput("input bad is unknown", where="inputs.bad")
        return {"decision_id": "d1", "surface": surface, "items": [{"id": "1", "position": 1}], "degraded": []}

    async def decide_page(self, principal, request):
        return {"surfaces": [await self.decide(principal, name, request) for name in request["surfaces"]]}

    async def explain(self, principal, decision_id, view="support", replay=False, purpose=""):
        if decision_id != "d1":
            raise NotFound(f"there is no decision {decision_id}")
        return {"decision_id": decision_id, "view": view, "replay": replay}

    async def query(self, principal, sql):
        if not sql.startswith("SELECT"):
            raise InvalidInput("only SELECT can be run", where="sql:1:1")
        return {
            "columns": [{"name": "item_id", "type": "STRING"}],
            "rows": [[str(n)] for n in range(500)],
            "position": "1",
        }

    def metrics(self):
        return "# TYPE nextpaint_events_total counter\nnextpaint_events_total 1\n"

    def ready(self):
        return self.is_ready, "ok" if self.is_ready else "recovering"

    def close(self):
        self.subjects.close()


def _now_ms():
    import time

    return time.time_ns() // 1_000_000
