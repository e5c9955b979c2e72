"""An index of clusters against an exhaustive search: whatever was written, moved and deleted, the rest is found."""

import numpy as np
import pytest

from nextpaint.connect import cluster_index
from nextpaint.connect.cluster_index import ClusterIndex

DIMENSIONS = 32


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Clusters from 400 vectors on, with a tail of 50."""
    monkeypatch.setattr(cluster_index, "FEW", 400)
    monkeypatch.setattr(cluster_index, "TAIL_MIN", 50)


def cloud(count, seed):
    """Whole numbers in 40 tight clusters that have nothing in common: what a graph gets lost in."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, DIMENSIONS)) * 60
    made = centres[chance.integers(40, size=count)] + chance.normal(size=(count, DIMENSIONS)) * 8
    return np.clip(np.rint(made), -127, 127).astype(np.float32)


class Held:
    """The same vectors, searched one by one."""

    def __init__(self, index):
        self.index, self.vectors = index, {}

    def write(self, ids, vectors):
        digests = [f"{id_} {vector.tobytes().hex()}" for id_, vector in zip(ids, vectors, strict=True)]
        self.index.write(ids, vectors, digests)
        self.vectors.update(zip(ids, vectors, strict=True))
        assert self.index.known().keys() == self.vectors.keys()

    def delete(self, ids):
        self.index.delete([*ids, "nobody"])
        for id_ in ids:
            del self.vectors[id_]

    def best(self, query, k):
        scores = {id_: vector @ query / np.linalg.norm(vector) for id_, vector in self.vectors.items()}
        return sorted(scores, key=lambda id_: -scores[id_])[:k]


def test_what_is_held_is_found_after_writes_moves_deletions_and_new_clusters():
    chance, held = np.random.default_rng(1), Held(ClusterIndex(probes=6))
    for turn in range(30):
        names = [f"i{turn * 100 + number}" for number in range(100)]
        held.write(names, cloud(100, turn))
        moved = [str(each) for each in chance.choice(list(held.vectors), 10, replace=False)]
        held.write(moved, cloud(10, 1_000 + turn))
        held.delete([str(each) for each in chance.choice(list(held.vectors), 20, replace=False)])
    index, found = held.index, []
    assert len(index._centres) > 20 and index._starts[-1] > 1_500, "vectors lie in clusters"
    assert len(index._matrix) < 2 * len(held.vectors) + 200
    for id_, vector in held.vectors.items():
        assert id_ in index.nearest(vector, 10), "what is looked for by itself is there"
    for vector in cloud(60, 77):
        best = held.best(vector, 10)
        found.append(len(set(best) & set(index.nearest(vector, 12))) / 10)
    assert np.mean(found) > 0.99
    index.probes = len(index._centres)
    for vector in cloud(20, 78):  # through all clusters it is the exhaustive search, but for the rounding of the query
        got = index.nearest(vector, 10)
        assert len(got) == len(set(got)) >= 10 and set(held.best(vector, 8)) <= set(got)
    gone = held.best(cloud(1, 5)[0], 30)
    held.delete(gone)
    assert not set(gone) & set(index.nearest(cloud(1, 5)[0], 50))
    assert index.known().keys() == held.vectors.keys()
    index.close()
    assert index.nearest(cloud(1, 5)[0], 3) == [] and index.known() == {}


def test_the_same_writes_make_the_same_index():
    made = []
    for _ in range(2):
        index = ClusterIndex(probes=2)
        for part in range(10):
            vectors = cloud(100, part)
            names = [f"i{part}.{number}" for number in range(100)]
            index.write(names, vectors, names)
        made.append([index.nearest(vector, 20) for vector in cloud(20, 99)])
    assert made[0] == made[1]
