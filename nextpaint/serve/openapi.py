"""The OpenAPI 3.1 description of a route table, generated: what is not a route is not described."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from nextpaint.serve.http import Route

_PARAMETER = re.compile(r"\{(\w+)\}")
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("what", "where", "cure")},
        }
    },
}


def description(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """An OpenAPI document. Bodies without a struct are described as any JSON value."""
    types = list(dict.fromkeys(route.accepts for route in routes if route.accepts is not None))
    references, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schemas[route.accepts] if route.accepts is not None else {})
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Nextpaint", "version": version},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "writeKey": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "tags": list(route.tags),
        "responses": {"200": {"description": "done"}, "default": {"description": "refused", **answer}},
    }
    names = _PARAMETER.findall(route.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.body_bytes_max:
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if route.scope is not None:
        operation["security"] = [{"key": []}, {"writeKey": []}]
        operation["description"] = (
            f"Needs a key with the scope `{route.scope}`, except on a loopback node without keys."
        )
    return operation
