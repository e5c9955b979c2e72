"""Model files with exact links: the one way to load a ranker here and in the rooms above."""

from __future__ import annotations

from pathlib import Path

from nextpaint.models import ranking
from nextpaint.models.ranking import Links, Ranker
from nextpaint.process.kernels.exact_math import exp_array

LINKS = Links(exp_array)


def load_ranker(path: Path, sha256: str) -> Ranker:
    """The model in a file whose SHA-256 is `sha256` (hex). Raises ValueError: what is wrong and what to do."""
    return ranking.load(path, sha256, LINKS)


def ranker_of(name: str, data: bytes, sha256: str) -> Ranker:
    """The same for the bytes of a file, which the ending of `name` says how to read."""
    return ranking.of_bytes(name, data, sha256, LINKS)
