"""The matrix of vectors follows its table, and the nearest rows are those of an exhaustive comparison in integers."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process import known_dots
from nextpaint.process.known_dots import MADE_MAX, KnownDots
from nextpaint.process.operators.protocol import StepContext
from nextpaint.process.operators.vectors import TextVectors, content_key
from nextpaint.process.reading import Vectors
from nextpaint.process.state import State
from nextpaint.process.vector_mirror import VectorMirror
from nextpaint.record.columns import DELETE, INSERT, Batch
from nextpaint.record.types import BYTES, STRING

COARSE = st.sampled_from([-128, -127, -5, -1, 0, 0, 1, 2, 127])
NO_TIMES = StepContext(np.zeros(0, np.int64), np.zeros(0, np.int64))


def vectors_of(matrix):
    wide = matrix.astype(np.int64)
    keys = [f"i{row}" for row in range(len(matrix))]
    slots = {key: row for row, key in enumerate(keys)}
    return Vectors(keys, slots, np.ascontiguousarray(matrix), np.sqrt((wide**2).sum(1).astype(np.float64)), 0)


def matrices(most=60):
    """Few dimensions and coarse components: many equal and nearly equal scores."""
    return st.integers(1, 24).flatmap(
        lambda width: st.lists(
            st.lists(COARSE, min_size=width, max_size=width).filter(any),
            min_size=1, max_size=most,
        )
    ).map(lambda rows: np.array(rows, np.int8))  # fmt: skip


@settings(max_examples=150)
@given(matrices(), st.integers(1, 12), st.data())
def test_near_a_direction_are_the_best_and_their_equals(matrix, count, data):
    size, width = matrix.shape
    weights = st.floats(-3, 3, allow_nan=False).map(lambda each: round(each, 3))
    direction = np.array(data.draw(st.lists(weights, min_size=width, max_size=width)))
    vectors = vectors_of(matrix)
    found = vectors.near(direction, count)
    assert found.tolist() == sorted(set(found.tolist()))
    if not direction.any():
        assert len(found) == 0
        return
    # signed squares of cosines, exactly
    exact = []
    for row in matrix.tolist():
        dot = sum(Fraction(float(a)) * b for a, b in zip(direction.tolist(), row, strict=True))
        exact.append((1 if dot >= 0 else -1) * dot * dot / sum(each * each for each in row))
    last = sorted(exact, reverse=True)[min(count, size) - 1]
    assert {row for row in range(size) if exact[row] >= last} <= set(found.tolist())


def test_a_pass_keeps_little_more_than_what_was_asked_for():
    chance = np.random.default_rng(3)
    matrix = chance.integers(-127, 128, (20_000, 64)).astype(np.int8)
    order = np.argsort(matrix @ matrix[0].astype(np.int64))  # ascending: every row is better than all before
    vectors = vectors_of(matrix[order])
    direction = matrix[0].astype(np.float64) / 7
    scores = (vectors.matrix @ direction) / vectors.norms
    found = vectors.near(direction, 50)
    assert set(np.argsort(-scores)[:50].tolist()) <= set(found.tolist())
    assert len(found) < 100


def sessions(size):
    """Some rows and how much each counts, as a session's seeds."""
    weights = st.floats(-3, 3, allow_nan=False).map(lambda each: round(each, 3))
    return st.lists(st.tuples(st.integers(0, size - 1), weights), min_size=1, max_size=5)


def as_arrays(seeds):
    return np.array([row for row, _ in seeds], np.int64), np.array([weight for _, weight in seeds], np.float64)


def exact_scores(matrix, seeds):
    """Signed squares of direction . row / norm, exactly: ordered as the scores are."""
    direction = [sum(Fraction(w) * int(matrix[row][at]) for row, w in seeds) for at in range(matrix.shape[1])]
    dots = [sum(a * b for a, b in zip(direction, row, strict=True)) for row in matrix.tolist()]
    squares = [sum(each * each for each in row) for row in matrix.tolist()]
    return any(direction), [(1 if dot >= 0 else -1) * dot * dot / size for dot, size in zip(dots, squares, strict=True)]


@settings(max_examples=150)
@given(matrices(), st.integers(1, 12), st.data())
def test_the_nearest_are_the_best_and_their_equals(matrix, count, data):
    seeds = data.draw(sessions(len(matrix)))
    points, exact = exact_scores(matrix, seeds)
    rows, scores = vectors_of(matrix).nearest(*as_arrays(seeds), count)
    if not points:
        return  # in floating point a zero direction may be a tiny one
    assert len(set(rows.tolist())) == len(rows) >= min(count, len(matrix))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    last = sorted(exact, reverse=True)[min(count, len(matrix)) - 1]
    better = {row for row, each in enumerate(exact) if each > last and not close(each, last)}
    assert better <= set(rows.tolist())
    assert all(exact[int(row)] >= last or close(exact[int(row)], last) for row in rows)


def close(one, other):
    """Whether two scores may be equal, or in the other order, once rounded."""
    return abs(float(one) - float(other)) <= 1e-9 * max(1.0, abs(float(other)))


@given(matrices(30), st.data())
def test_scores_of_rows_are_those_of_the_nearest_bit_for_bit(matrix, data):
    seeds = as_arrays(data.draw(sessions(len(matrix))))
    rows, scores = vectors_of(matrix).nearest(*seeds, len(matrix))
    again = vectors_of(matrix).scores(rows.astype(np.int64), *seeds)
    assert again.tobytes() == scores.tobytes()
    directions = (matrix[seeds[0]] * seeds[1][:, None]).sum(0)
    chosen = matrix[rows.astype(np.int64)]
    expected = (chosen @ directions) / np.linalg.norm(chosen.astype(float), axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    assert vectors_of(matrix).scores(np.array([-1]), *seeds).tolist() == [0.0]
    assert abs(vectors_of(matrix).length(*seeds) - np.linalg.norm(directions)) <= 1e-6


def test_a_pass_over_rows_each_better_than_all_before_finds_the_best():
    chance = np.random.default_rng(3)
    matrix = chance.integers(-127, 128, (20_000, 64)).astype(np.int8)
    matrix = matrix[np.argsort(matrix @ matrix[0].astype(np.int64))]
    vectors = vectors_of(matrix)
    seeds, weights = np.array([19_999, 5], np.int64), np.array([0.3, 0.01])
    direction = matrix[19_999] * 0.3 + matrix[5] * 0.01
    expected = (matrix @ direction) / vectors.norms
    rows, scores = vectors.nearest(seeds, weights, 50)
    assert set(rows.astype(int).tolist()) == set(np.argsort(-expected)[:50].tolist()) and len(scores) == 50


def test_the_longest_vectors_overflow_nothing():
    for width in (512, 1_040, 4_096):
        matrix = np.full((3, width), -128, np.int8)
        matrix[1] = 127
        vectors = vectors_of(matrix)
        rows, scores = vectors.nearest(np.array([0]), np.array([1.0]), 1)
        assert rows.tolist() == [0, 2] and scores.tolist() == [128.0 * 128 * width / vectors.norms[0]] * 2
        assert vectors.nearest(np.array([1]), np.array([1e300]), 1)[0].tolist() == [1]
        assert vectors.length(np.array([0]), np.array([1.0])) == vectors.norms[0]


class Shop:
    """Stands in for the items table: keys in slots, like a mirror."""

    def __init__(self, keys):
        self.keys, self.slots = list(keys), {key: slot for slot, key in enumerate(keys)}
        from nextpaint.process.places import Moves

        self.moves = Moves()

    def refresh(self):
        pass


CHANGES = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from(["", "red", "blue", "green"]), st.integers(0, 3)), max_size=60
)


@given(CHANGES, st.integers(1, 4))
def test_a_mirror_that_follows_equals_a_fresh_one(changes, every):
    """Items come, change their text and go; vectors come late and some are zero."""
    operator = TextVectors("vectors/t", (0, 1), State())
    mirror, shop = VectorMirror(operator), Shop("gfedcba")
    for number, (item, text, what) in enumerate(changes):
        rows, computed = [], []
        if what < 3:
            rows = [(item, text)] if what else [(item, None)]
        for key, waiting in list(operator.waiting()) if what == 3 else ():
            computed.append(
                (key, bytes(4) if waiting == "green" else np.frombuffer(key[:4].encode(), np.int8).tobytes())
            )
        kinds = [INSERT if what else DELETE] * len(rows)
        operator.step(
            [
                Batch.of((STRING, STRING), rows, [number] * len(rows), kinds),
                Batch.of((STRING, BYTES), computed, [number] * len(computed), [INSERT] * len(computed)),
            ],
            NO_TIMES,
        )
        if number % every == 0:
            assert_kept_scores_are_those_of_a_search(mirror.view())
            mirror.places_in(shop)
    view = mirror.view()
    assert_kept_scores_are_those_of_a_search(view)
    wanted = {}
    for item, key in operator.texts.items():
        vector = operator.vector(item)
        if vector is not None and any(vector):
            assert key in {content_key(text) for text in ("red", "blue", "green")}
            wanted[item] = vector
    assert {key: view.matrix[slot].tobytes() for key, slot in view.slots.items()} == wanted
    assert [view.slots[key] for key in view.keys] == list(range(len(wanted)))
    wide = view.matrix.astype(np.int64)
    assert view.norms.tolist() == np.sqrt((wide * wide).sum(1).astype(np.float64)).tolist()
    assert mirror.places_in(shop).tolist() == [shop.slots[key] for key in view.keys]
    assert {key: view.slots.get(key, -1) for key in shop.keys} == dict(
        zip(shop.keys, Followed(shop).of(mirror), strict=True)
    )


def assert_kept_scores_are_those_of_a_search(view):
    """Of a session of the first and the last row."""
    rows = np.arange(len(view.keys))
    if len(rows):
        session = np.array([rows[0], rows[-1]]), np.array([0.75, 0.1])
        assert view.every_score(*session).tobytes() == view.scores(rows, *session).tobytes()


def test_a_session_makes_few_lines_and_is_searched_until_all_of_them_are_there():
    matrix = np.random.default_rng(5).integers(-9, 10, (300, 8)).astype(np.int8)
    vectors, kept = vectors_of(matrix), KnownDots()
    seeds = np.arange(2 * MADE_MAX + 1), np.linspace(1.0, 0.1, 2 * MADE_MAX + 1)
    found = [kept.scores(matrix, vectors.norms, *seeds) for _ in range(3)]
    assert found[:2] == [None, None]
    assert found[2].tobytes() == vectors.scores(np.arange(300), *seeds).tobytes()


def test_where_many_vectors_change_at_once_lines_are_made_anew(monkeypatch):
    monkeypatch.setattr(known_dots, "FOLLOWED_MAX", 10)
    matrix = np.random.default_rng(5).integers(-9, 10, (300, 8)).astype(np.int8)
    kept, norms, session = KnownDots(), np.ones(300), (np.array([1, 2]), np.array([0.5, 0.25]))
    kept.scores(matrix, norms, *session)
    matrix[20:40] += 1
    kept.changed(matrix, np.arange(20, 40))
    assert not kept._known.any()
    assert kept.scores(matrix, norms, *session).tolist() == (matrix @ (matrix[[1, 2]].T @ session[1])).tolist()


def test_no_dot_products_are_kept_of_a_large_catalogue():
    matrix = np.ones((6_000, 2), np.int8)
    kept, norms, session = KnownDots(), np.ones(6_000), (np.array([1]), np.array([0.5]))
    assert kept.scores(matrix, norms, *session) is None
    assert kept.scores(matrix[:5_000], norms[:5_000], *session).tolist() == [1.0] * 5_000
    kept.changed(matrix, np.array([5_500]))
    assert kept.scores(matrix, norms, *session) is None
    matrix[7] = 3
    kept.changed(matrix[:400], np.array([7]))
    assert kept.scores(matrix[:400], norms[:400], *session).tolist() == [3.0 if row == 7 else 1.0 for row in range(400)]


class Followed:
    """Places of a shop's items in a mirror, from the start."""

    def __init__(self, shop):
        from nextpaint.process.places import Places

        self._shop, self._places = shop, Places()

    def of(self, mirror):
        return self._places.of(self._shop, mirror).tolist()
