"""The indexes of `[index.TABLE]` in nextpaint.toml: which system searches a table of vectors.

    [index.item_vectors]
    kind = "clusters"                     # in memory: searches the nearest `probes` clusters (64)
    # kind = "usearch"                    # in memory, a graph
    # kind = "qdrant",   location = "http://qdrant:6333", api_key_env = "QDRANT_KEY", collection = "items"
    # kind = "pgvector", dsn_env = "VECTORS_DSN",         collection = "items"

Secrets are named by the environment variable that holds them: the settings are part of the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from nextpaint.connect.cluster_index import PROBES, ClusterIndex
from nextpaint.connect.pgvector_index import PgvectorIndex
from nextpaint.connect.qdrant_index import QdrantIndex
from nextpaint.connect.usearch_index import UsearchIndex
from nextpaint.engine.nearest import VectorIndex
from nextpaint.record.errors import InvalidInput


def index_of(table: str, settings: Mapping[str, Any]) -> VectorIndex:
    """The index of one section. Raises InvalidInput naming what is wrong."""
    where = f"nextpaint.toml, [index.{table}]"
    kind = settings.get("kind")
    make = _KINDS.get(str(kind))
    if make is None:
        raise InvalidInput(f"kind is {kind!r}"[:80], where=where, cure=f"write one of {', '.join(_KINDS)}")
    return make(table, settings, where)


def _clusters(table: str, settings: Mapping[str, Any], where: str) -> VectorIndex:
    probes = settings.get("probes", PROBES)
    if type(probes) is not int or probes < 1:
        cure = "write how many clusters a search goes through, 1 or more"
        raise InvalidInput(f"probes is {probes!r}"[:80], where=where, cure=cure)
    return ClusterIndex(probes)


def _qdrant(table: str, settings: Mapping[str, Any], where: str) -> VectorIndex:
    location = settings.get("location")
    if not isinstance(location, str):
        raise InvalidInput("location is missing", where=where, cure='write location = "http://host:6333"')
    key = _secret(str(settings["api_key_env"]), where) if "api_key_env" in settings else None
    return QdrantIndex(location, str(settings.get("collection", table)), key)


def _pgvector(table: str, settings: Mapping[str, Any], where: str) -> VectorIndex:
    if "dsn_env" not in settings:
        raise InvalidInput("dsn_env is missing", where=where, cure="name the variable that holds the connection string")
    return PgvectorIndex(_secret(str(settings["dsn_env"]), where), str(settings.get("collection", table)))


def _secret(name: str, where: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise InvalidInput(f"the environment has no {name[:60]!r}", where=where, cure=f"set {name[:60]}")
    return value


_KINDS: dict[str, Callable[[str, Mapping[str, Any], str], VectorIndex]] = {
    "clusters": _clusters,
    "usearch": lambda table, settings, where: UsearchIndex(),
    "qdrant": _qdrant,
    "pgvector": _pgvector,
}
