"""Merchandising rules of a node: written as records, so every page knows by which it was made.

A rule put or taken away is one record of the built-in table `_rules`, in force from its position on; the answer comes
when it is. What a rule names is checked against the application in force then; an application applied later may take a
column or a feature away, and such a rule then matches nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.decide import Surface
from nextpaint.decide.filter import NotSeen
from nextpaint.decide.merchandising import EVERYWHERE, RULES, RULES_MAX, Rule, row_of
from nextpaint.engine.node import Node
from nextpaint.record.codec import Record
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.stream.frame import Draft, EntryKind

Json = Any


class Ruling:
    """The rules of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def all(self) -> list[dict[str, Json]]:
        """Every rule, also expired ones, by surface and id."""
        return [
            {"surface": row["surface"], "rule_id": row["rule_id"], "since_ms": row["ts"], **_body(row)}
            for row in self._rows()
        ]

    def _rows(self) -> list[dict[str, Json]]:
        return self._node.tables.reading(self._node.ports.clock.now_ms()).rows(RULES.name, ())

    async def put(self, surface: str, rule_id: str, rule: Rule) -> dict[str, Json]:
        """Put a rule in force, or change it. Raises NotFound, InvalidInput."""
        if not rule_id.replace("_", "").replace("-", "").isalnum() or len(rule_id) > 64:
            raise InvalidInput(f"{rule_id[:80]!r} is no id of a rule", cure="use letters, digits, _ and -, 64 at most")
        rule.checked(rule_id)
        for each in self._surfaces(surface):
            _check(each, rule_id, rule, self._node.application.program.tables[each.items].names)
            _guard(each.name, rule_id, rule, self._node.application)
        held = [row["rule_id"] for row in self._rows() if row["surface"] == surface]
        if rule_id not in held and len(held) >= RULES_MAX:
            raise InvalidInput(
                f"{surface!r} has {RULES_MAX} rules", where=f"rule {rule_id}", cure="take one away first"
            )
        value = msgspec.json.encode(row_of(surface, rule_id, rule, self._node.ports.clock.now_ms()))
        position = await self._write(surface, rule_id, value)
        return {"surface": surface, "rule_id": rule_id, **msgspec.to_builtins(rule), "position": position}

    def check(self, application: Application) -> None:
        """Raises InvalidInput when a rule in force would make a price, or a paid place, of what this application
        declares sensitive."""
        for row in self._rows():
            rule = msgspec.json.decode(row["body"], type=Rule)
            for each in application.surfaces:
                if row["surface"] in (EVERYWHERE, each.name):
                    _guard(each.name, row["rule_id"], rule, application)

    async def delete(self, surface: str, rule_id: str) -> dict[str, Json]:
        """Take a rule away. Raises NotFound."""
        if not any((row["surface"], row["rule_id"]) == (surface, rule_id) for row in self._rows()):
            raise NotFound(f"no rule {rule_id[:80]!r} of {surface[:80]!r}", cure="GET /v1/rules lists them")
        position = await self._write(surface, rule_id, None)
        return {"surface": surface, "rule_id": rule_id, "deleted": True, "position": position}

    def _surfaces(self, name: str) -> list[Surface]:
        found = [each for each in self._node.application.surfaces if name in (EVERYWHERE, each.name)]
        if not found:
            known = ", ".join([EVERYWHERE, *(each.name for each in self._node.application.surfaces)])
            raise NotFound(f"unknown surface {name[:80]!r}", where="application", cure=f"known: {known}")
        return found

    async def _write(self, surface: str, rule_id: str, value: bytes | None) -> str:
        key = msgspec.json.encode({"surface": surface, "rule_id": rule_id})
        record = Record(key, value, self._node.ports.clock.now_ms())
        _, entry, index = await self._node.appended(Draft(RULES.name, EntryKind.INPUT, [record]))
        await self._node.applied(entry.base_seq + index)
        return str(self._node.position_of(entry.base_seq + index))


def _guard(surface: str, rule_id: str, rule: Rule, application: Application) -> None:
    """Sensitive data reaches no price and no paid place."""
    if rule.when is None or not (rule.kind == "price" or rule.sponsored):
        return
    cause = application.sensitive.get(surface, {}).get(rule.when.feature)
    if cause is not None:
        raise InvalidInput(
            f"the feature {rule.when.feature!r} reads {cause}, which is sensitive: no {_what(rule)} may depend on it",
            where=f"rule {rule_id} on surface {surface}",
            cure="make the rule without this condition, or take the rule away",
        )


def _what(rule: Rule) -> str:
    return "price" if rule.kind == "price" else "paid place"


def _body(row: dict[str, Json]) -> dict[str, Json]:
    found: dict[str, Json] = msgspec.json.decode(row["body"])
    return found


def _check(surface: Surface, rule_id: str, rule: Rule, columns: tuple[str, ...]) -> None:
    where = f"rule {rule_id} on surface {surface.name}"
    for column in rule.where:
        if column not in columns:
            raise InvalidInput(
                f"{surface.items} has no column {column[:80]!r}", where=where, cure=f"known: {', '.join(columns)}"
            )
    if rule.when is not None and rule.when.feature not in surface.features:
        known = ", ".join(surface.features) or "none"
        raise InvalidInput(f"there is no feature {rule.when.feature[:80]!r}", where=where, cure=f"known: {known}")
    watches = any(isinstance(each, NotSeen) and each.impressions == "impressions" for each in surface.filters)
    if rule.kind == "frequency" and not watches:
        cure = "declare NotSeen('impressions', times=..., within=...) in require="
        raise InvalidInput("the surface does not remember what was shown", where=where, cure=cure)
