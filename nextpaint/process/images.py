"""Changes as Debezium writes them: `{"before": row or null, "after": row or null, "op": "c", "r", "u" or "d"}`, by
themselves or as the `payload` beside a `schema`.

What else such a record carries (source, transaction, times) is left alone. Rows are objects by column names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Json = Any
Row = Mapping[str, Json]


class Image(NamedTuple):
    """A row as it was and as it is: an insertion has only `after`, a deletion only `before`, an update `after` and,
    where the database was told to write it, `before`."""

    op: str
    before: Row | None
    after: Row | None


def read_image(value: Json) -> Image:
    """The change in a decoded record. Raises ValueError with what is wrong."""
    if isinstance(value, dict) and "payload" in value and "op" not in value:
        value = value["payload"]
    if not isinstance(value, dict):
        raise ValueError("a change is a JSON object with before, after and op")
    op = value.get("op")
    if op in ("c", "r"):
        return Image(op, None, _row(value, "after", op))
    if op == "u":
        before = _row(value, "before", op) if value.get("before") is not None else None
        return Image(op, before, _row(value, "after", op))
    if op == "d":
        return Image(op, _row(value, "before", op), None)
    raise ValueError(f"op is {op!r}; it is one of c, r, u, d")


def _row(value: Row, part: str, op: str) -> Row:
    found = value.get(part)
    if not isinstance(found, dict):
        raise ValueError(f"op {op!r} needs {part} as a JSON object")
    return found
