"""The main parameters of every surface of a node, from what is in force, and the log of their changes.

The log is read from the ledger: each application that was in force, and the record that put it there. Old applications
are compiled on a worker thread, once each.
"""

from __future__ import annotations

import asyncio
from typing import Any

from nextpaint.application import Application
from nextpaint.decide.binding import bind_surfaces
from nextpaint.decide.parameters import changed, in_force_for, parameters
from nextpaint.engine.deciding import Deciding
from nextpaint.engine.node import Node
from nextpaint.engine.registry import Registry
from nextpaint.engine.replay import APPLICATION_TOPIC
from nextpaint.engine.ruling import Ruling
from nextpaint.record.codec import Record
from nextpaint.record.errors import ApplicationError

LOG_MAX = 20  # applications compared: each is compiled once

Told = dict[str, dict[str, Any]]  # surface -> its parameters


class Publishing:
    """What one node says of how its pages are chosen."""

    def __init__(self, node: Node, deciding: Deciding, ruling: Ruling, registry: Registry) -> None:
        self._node = node
        self._deciding = deciding
        self._ruling = ruling
        self._registry = registry
        self._compiled: dict[str, Told | None] = {}
        self._logged: tuple[str, list[dict[str, Any]]] = ("", [])  # of this application hash

    async def parameters(self) -> dict[str, Any]:
        """Every surface with its parameters, the rules and models in force, and what changed when, newest first."""
        now_ms = self._node.ports.clock.now_ms()
        rules = self._ruling.all()
        models = {each["name"]: each for each in self._registry.all()}
        surfaces = []
        for told in self._deciding.decider.parameters():
            model = models.get(told["ranked_by"].get("model", ""))
            surfaces.append({**told, "rules": in_force_for(told["surface"], rules, now_ms), "model": _model(model)})
        application = self._node.application
        return {
            "application": {"name": application.name, "title": application.title, "hash": application.hash},
            "as_of_ms": now_ms,
            "surfaces": surfaces,
            "log": await self._log_of(application.hash),
        }

    async def _log_of(self, digest: str) -> list[dict[str, Any]]:
        """The log up to the application in force; read again when another one is."""
        if self._logged[0] != digest:
            self._logged = (digest, await asyncio.to_thread(self._log))
        return self._logged[1]

    def _log(self) -> list[dict[str, Any]]:
        switches = self._node.ledger.read_topic(APPLICATION_TOPIC, 0, 0, 10_000)[-LOG_MAX:]
        log: list[dict[str, Any]] = []
        before: Told | None = None
        for _, record in switches:
            told = self._told(record)
            if told is None:
                continue
            for name, each in told.items():
                old = None if before is None else before.get(name)
                if old is None or old["version"] != each["version"]:
                    log.append({"at_ms": record.timestamp_ms, "surface": name, "version": each["version"],
                                "changed": ["first version"] if old is None else changed(old, each)})  # fmt: skip
            for name in before or {}:
                if name not in told:
                    log.append({"at_ms": record.timestamp_ms, "surface": name, "version": "", "changed": ["removed"]})
            before = told
        return log[::-1]

    def _told(self, record: Record) -> Told | None:
        """The parameters of a recorded application; None for one that this version cannot read."""
        key = (record.key or b"").decode()
        if key not in self._compiled:
            try:
                application = Application.unpacked(record.value or b"")
                bound, _ = bind_surfaces(application.surfaces, application.program.tables)
                self._compiled[key] = {name: parameters(each) for name, each in bound.items()}
            except ApplicationError:
                self._compiled[key] = None
        return self._compiled[key]


def _model(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """What ranks in the place of the weights, by content hash; its lineage stays with the shop."""
    if row is None:
        return None
    return {name: row.get(name) for name in ("name", "champion", "challenger", "share", "shadow")}
