"""Vectors in a PostgreSQL table with the extension `vector` (`nextpaint[pgvector]`), searched by its HNSW index.

The table holds the item id, the vector and its digest; it is made with the first vectors, and the extension with it if
the role may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.record.errors import InvalidInput

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")
SEARCHED_MIN = 100  # hnsw.ef_search: candidates kept while searching
SEARCHED_MAX = 1_000  # the largest that pgvector takes


class PgvectorIndex:
    """See `engine.nearest.VectorIndex`. One connection; a lost one is opened again by the next call."""

    def __init__(self, dsn: str, table: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise InvalidInput(
                "psycopg is not installed", where="[index]", cure="pip install 'nextpaint[pgvector]'"
            ) from error
        if not _NAME.fullmatch(table):
            raise InvalidInput(f"{table[:60]!r} is no table name", where="[index]", cure="use a-z, 0-9 and _")
        self._driver: Any = psycopg
        self._dsn = dsn
        self._table = table
        self._connection: Any = None

    def known(self) -> Mapping[str, str]:
        if not self._exists():
            return {}
        return dict(self._run(f"SELECT item_id, digest FROM {self._table}").fetchall())

    def write(self, ids: Sequence[str], vectors: npt.NDArray[np.float32], digests: Sequence[str]) -> None:
        if not self._exists():
            self._create(int(vectors.shape[1]))
        rows = [(id_, _text(vector), digest) for id_, vector, digest in zip(ids, vectors, digests, strict=True)]
        sql = (
            f"INSERT INTO {self._table} (item_id, v, digest) VALUES (%s, %s::vector, %s) "
            "ON CONFLICT (item_id) DO UPDATE SET v = excluded.v, digest = excluded.digest"
        )
        with self._connected().cursor() as cursor:
            cursor.executemany(sql, rows)

    def delete(self, ids: Sequence[str]) -> None:
        if self._exists():
            self._run(f"DELETE FROM {self._table} WHERE item_id = ANY(%s)", [list(ids)])

    def nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[str]:
        if not self._exists():
            return []
        self._run(f"SET hnsw.ef_search = {min(max(k, SEARCHED_MIN), SEARCHED_MAX)}")
        sql = f"SELECT item_id FROM {self._table} ORDER BY v <=> %s::vector LIMIT %s"
        return [row[0] for row in self._run(sql, [_text(vector), k]).fetchall()]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _create(self, dimensions: int) -> None:
        self._run("CREATE EXTENSION IF NOT EXISTS vector")
        self._run(
            f"CREATE TABLE IF NOT EXISTS {self._table} "
            f"(item_id text PRIMARY KEY, v vector({dimensions}) NOT NULL, digest text NOT NULL)"
        )
        self._run(f"CREATE INDEX IF NOT EXISTS {self._table}_v ON {self._table} USING hnsw (v vector_cosine_ops)")

    def _exists(self) -> bool:
        return self._run("SELECT to_regclass(%s)", [self._table]).fetchone()[0] is not None

    def _run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._connected().execute(sql, values)

    def _connected(self) -> Any:
        if self._connection is None or self._connection.closed:
            self._connection = self._driver.connect(self._dsn, autocommit=True, connect_timeout=5)
        return self._connection


def _text(vector: npt.NDArray[np.float32]) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"
