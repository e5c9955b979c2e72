"""Text encoders on paraphrases: the rank of the title a query means, among fifty."""

from __future__ import annotations

import tomllib
from pathlib import Path
from statistics import mean

import numpy as np

from nextpaint.models.embedding import Embedder, HashEncoder, SentenceEncoder

FILE = Path(__file__).with_suffix(".toml")


def ranks(encoder: Embedder) -> list[int]:
    """For each query the rank of its title by cosine, 1 is best."""
    held = tomllib.loads(FILE.read_text("utf-8"))
    titles, queries = held["titles"], held["queries"]
    every = np.array([np.frombuffer(each, np.int8) for each in encoder.encode([*titles, *queries])], np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    cosines = every[len(titles) :] @ every[: len(titles)].T
    wanted = [titles.index(title) for title in queries.values()]
    return [1 + int((row > row[title]).sum()) for row, title in zip(cosines, wanted, strict=True)]


def encoders_compared() -> None:
    """Print MRR, top 1 and top 3."""
    print("\nText encoders on paraphrases (a sanity check)")
    for encoder in (SentenceEncoder(), HashEncoder()):
        found = ranks(encoder)
        top = [mean(rank <= n for rank in found) for n in (1, 3)]
        print(
            f"  {encoder.identity:44} MRR {mean(1 / rank for rank in found):.3f}  top 1 {top[0]:.2f}"
            f"  top 3 {top[1]:.2f}  n = {len(found)}"
        )
