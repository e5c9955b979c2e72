"""The vectors that changed last: the same answer as an exhaustive search of what is still held."""

import numpy as np

from nextpaint.engine.recent_vectors import RecentVectors


def test_the_nearest_of_the_last_changes_are_found_whatever_came_and_went():
    chance = np.random.default_rng(3)
    recent, held = RecentVectors(50), {}  # held: by age of the change
    for _ in range(60):
        keys = [f"i{number}" for number in chance.choice(120, 7, replace=False)]
        vectors = chance.integers(-127, 128, (7, 16)).astype(np.int8)
        recent.put(keys, vectors)
        for key, vector in zip(keys, vectors, strict=True):
            held.pop(key, None)
            held[key] = vector.astype(np.float64)
            if len(held) > 50:
                del held[next(iter(held))]
        gone = [f"i{number}" for number in chance.choice(120, 2, replace=False)]
        recent.drop(gone)
        for key in gone:
            held.pop(key, None)
        direction = chance.normal(size=16)
        scores = {key: vector @ direction / np.linalg.norm(vector) for key, vector in held.items()}
        assert set(recent.nearest(direction, 5)) >= set(sorted(scores, key=lambda key: -scores[key])[:5])
        assert set(recent.nearest(direction, 1000)) == set(held)
        assert len(recent) == len(held) <= 50
