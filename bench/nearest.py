"""Searching every vector against an index: CPU per search, recall of the 100 nearest, CPU to build.

    scripts/bench nearest [--rows 5000 20000 50000 1000000]

A million take four gigabytes, and most of an hour to build.

Vectors are clustered as those of texts are, 512 components in signed bytes. Needs usearch (`nextpaint[usearch]`). An
index pays where its search, and what keeps it up to date, cost less than the scan they replace.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nextpaint.connect.usearch_index import UsearchIndex
from nextpaint.process.reading import Vectors

DIMENSIONS, CLUSTERS, K, SEARCHES = 512, 200, 100, 200
PART = 10_000  # rows made at once, in floating point


def vectors(rows: int) -> np.ndarray:
    chance = np.random.default_rng(7)
    centres = chance.normal(size=(CLUSTERS, DIMENSIONS))
    made = np.empty((rows, DIMENSIONS), np.int8)
    clusters = chance.integers(CLUSTERS, size=rows)
    for at in range(0, rows, PART):
        part = centres[clusters[at : at + PART]]
        part += chance.normal(size=part.shape) * 0.9
        made[at : at + PART] = np.rint(part / np.abs(part).max(axis=1, keepdims=True) * 127)
    return made


def lengths(matrix: np.ndarray) -> np.ndarray:
    """The Euclidean length of each row."""
    parts = (matrix[at : at + PART].astype(np.int64) for at in range(0, len(matrix), PART))
    return np.sqrt(np.concatenate([(part**2).sum(axis=1) for part in parts]).astype(np.float64))


def measured(rows: int) -> None:
    matrix = vectors(rows)
    norms = lengths(matrix)
    names = [str(row) for row in range(rows)]
    table = Vectors(names, {name: row for row, name in enumerate(names)}, matrix, norms, 0)
    index = UsearchIndex()
    began = time.process_time()
    for at in range(0, rows, 256):
        index.write(names[at : at + 256], matrix[at : at + 256].astype(np.float32), names[at : at + 256])
    built = time.process_time() - began
    chance = np.random.default_rng(8)
    queries = [matrix[chance.integers(rows, size=3)].sum(axis=0).astype(np.float64) for _ in range(SEARCHES)]
    table.near(queries[0], K)
    began = time.process_time()
    exact = [table.near(query, K) for query in queries]
    scan_ms = (time.process_time() - began) / SEARCHES * 1000
    began = time.process_time()
    found = [index.nearest(query.astype(np.float32), int(K * 1.25)) for query in queries]
    search_ms = (time.process_time() - began) / SEARCHES * 1000
    hits = 0
    for query, near, got in zip(queries, exact, found, strict=True):
        scores = (matrix[near].astype(np.float64) @ query) / norms[near]
        best = {names[row] for row in near[np.argsort(-scores, kind="stable")[:K]]}
        hits += len(best & set(got))
    print(
        f"{rows:>8,} rows: every vector {scan_ms:.2f} ms, usearch {search_ms:.2f} ms, "
        f"recall {hits / SEARCHES / K:.4f}, built in {built:.1f} s of CPU ({built / rows * 1e3:.2f} ms a vector)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 20_000, 50_000])
    for rows in parser.parse_args().rows:
        measured(rows)


if __name__ == "__main__":
    main()
