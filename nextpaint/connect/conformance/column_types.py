"""Types of an answer's columns, ours against those a case names as Flink prints them.

Differences that are ours on purpose do not count: text has no length, times have three fraction digits at most, and
nullability is not part of a type. Where Flink calls the fields of a ROW `EXPR$n`, ours have the names of their columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nextpaint.record.types import Type

_REWRITES = [
    (re.compile(r"`"), ""),
    (re.compile(r"\s+NOT NULL|\s*\*\w+\*"), ""),
    (re.compile(r"\b(?:VARCHAR|CHAR|STRING)\b(?:\(\d+\))?"), "STRING"),
    (re.compile(r"\b(?:VARBINARY|BINARY|BYTES)\b(?:\(\d+\))?"), "BYTES"),
    (re.compile(r"\b(TIMESTAMP_LTZ|TIMESTAMP|TIME)\(\d\)"), r"\1"),
    (re.compile(r"INTERVAL (?:DAY|HOUR|MINUTE|SECOND)[^,>]*"), "INTERVAL DAY"),
    (re.compile(r"INTERVAL (?:YEAR|MONTH)[^,>]*"), "INTERVAL YEAR"),
    (re.compile(r"\s*([,<>()])\s*"), r"\1"),
]


_FIELD_NAME = re.compile(r"(?<=[<,])[^<,\s]+\s(?=\w)")


def plain(name: str) -> str:
    """A type's name without what does not count."""
    for pattern, becomes in _REWRITES:
        name = pattern.sub(becomes, name)
    return name


def different_types(wanted: Sequence[object], found: Sequence[Type]) -> list[str]:
    """`column n is A, expected B` for each that differs."""
    pairs = enumerate(zip(map(str, wanted), map(str, found), strict=False), start=1)
    return [
        f"column {number} is {type_}, expected {name}" for number, (name, type_) in pairs if not _are_equal(name, type_)
    ]


def _are_equal(wanted: str, found: str) -> bool:
    names = [plain(wanted), plain(found)]
    if "EXPR$" in wanted:
        names = [_FIELD_NAME.sub("", each) for each in names]
    return names[0] == names[1]
