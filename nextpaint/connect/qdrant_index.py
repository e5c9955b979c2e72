"""Vectors in a Qdrant collection (`nextpaint[qdrant]`). Point ids are UUIDs made of item ids; the payload has the item
id and the digest of its vector.

`location` is an address, or ":memory:" for Qdrant's local mode, which searches every vector and is for tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import numpy.typing as npt

from nextpaint.record.errors import InvalidInput

_POINTS = UUID("4c2f60c8-9a5d-5b9e-8f0e-6a1d0a4b7c11")  # the name space of item ids
_PAGE = 1_000


class QdrantIndex:
    """See `engine.nearest.VectorIndex`. The collection is made with the first vectors."""

    def __init__(self, location: str, collection: str, api_key: str | None = None) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError as error:
            raise InvalidInput(
                "qdrant-client is not installed", where="[index]", cure="pip install 'nextpaint[qdrant]'"
            ) from error
        self._models: Any = models
        self._client: Any = QdrantClient(location=location, api_key=api_key)
        self._collection = collection

    def known(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if not self._exists():
            return found
        offset = None
        while True:
            points, offset = self._client.scroll(self._collection, limit=_PAGE, offset=offset, with_payload=True)
            found.update((str(point.payload["item_id"]), str(point.payload["digest"])) for point in points)
            if offset is None:
                return found

    def write(self, ids: Sequence[str], vectors: npt.NDArray[np.float32], digests: Sequence[str]) -> None:
        models = self._models
        if not self._exists():
            params = models.VectorParams(size=int(vectors.shape[1]), distance=models.Distance.COSINE)
            self._client.create_collection(self._collection, vectors_config=params)
        points = [
            models.PointStruct(id=_point(id_), vector=vector.tolist(), payload={"item_id": id_, "digest": digest})
            for id_, vector, digest in zip(ids, vectors, digests, strict=True)
        ]
        self._client.upsert(self._collection, points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        if self._exists():
            selector = self._models.PointIdsList(points=[_point(id_) for id_ in ids])
            self._client.delete(self._collection, points_selector=selector, wait=True)

    def nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[str]:
        if not self._exists():
            return []
        found = self._client.query_points(self._collection, query=vector.tolist(), limit=k, with_payload=["item_id"])
        return [str(point.payload["item_id"]) for point in found.points]

    def close(self) -> None:
        self._client.close()

    def _exists(self) -> bool:
        return bool(self._client.collection_exists(self._collection))


def _point(item_id: str) -> str:
    return str(uuid5(_POINTS, item_id))
