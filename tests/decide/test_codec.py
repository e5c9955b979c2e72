"""A record survives its bytes, is short, and what earlier versions wrote reads as the same thing."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide import DecisionRecord
from nextpaint.decide.budget import Degraded, StageRun
from nextpaint.decide.codec import answered_ids, converted, decoded, encoded
from nextpaint.decide.explain import VIEWS, compare, explain
from nextpaint.decide.exploration import Exploration, Tried
from nextpaint.decide.lesson import explored_rows
from nextpaint.decide.mark import Mark, Price
from nextpaint.decide.model import Shadow
from nextpaint.decide.record import Answered, Asked, Effect, FeatureSource, FilterRun, NearMiss, Ranking
from nextpaint.record.errors import ReplayError
from tests.decide.test_record import big_decision

# (digest, bytes) of records as the version before format 2 wrote them: of the retail blueprint (a page, two variants of
# an experiment, one of them explored, what was bought, no profile) and of the small shop (rules, no time, a fallback).
FORMAT_1 = [
    (digest.decode(), data)
    for digest, data in (
        line.split(b" ", 1) for line in (Path(__file__).parent / "format1.txt").read_bytes().splitlines()
    )
]

TEXT = st.sampled_from(["", "a", "similarity", "moved here", "ä"])
NUMBER = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 0.5]), st.floats(allow_nan=False, allow_infinity=False))
WHOLE = st.integers(0, 2**53)
FEATURES = ("sim", "heat", "price")


def maybe(strategy):
    return st.one_of(st.none(), strategy)


def rows_with_features(*widths):
    """(values, ages) of one row, of one of these widths."""
    return st.sampled_from(widths).flatmap(
        lambda width: st.tuples(st.tuples(*[maybe(NUMBER)] * width), st.tuples(*[maybe(st.integers(0, 5))] * width))
    )


@st.composite
def records(draw):
    width = draw(st.sampled_from([0, 3]))
    items = draw(
        st.lists(
            st.builds(
                lambda featured, *told: Answered(*told, *featured),
                rows_with_features(width),
                TEXT,
                NUMBER,
                st.integers(0, 9),
                TEXT,
                TEXT,
            ),
            max_size=8,
        )
    )
    near = draw(
        st.lists(
            st.builds(
                lambda featured, *told: NearMiss(*told, *featured),
                rows_with_features(0, 3),
                TEXT,
                WHOLE,
                NUMBER,
                TEXT,
                TEXT,
                TEXT,
                maybe(WHOLE),
            ),
            max_size=6,
        )
    )
    tried = st.builds(Tried, WHOLE, TEXT, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, maybe(NUMBER))
    explored = st.builds(
        Exploration,
        TEXT,
        TEXT,
        TEXT,
        WHOLE,
        NUMBER,
        st.tuples(*[tried] * len(items)),
        st.dictionaries(TEXT, NUMBER, max_size=2),
    )
    weighted = st.dictionaries(st.sampled_from(["price", "sim", "absent"]), NUMBER)
    rank = st.builds(
        Ranking, TEXT, weighted, weighted, TEXT, TEXT, maybe(st.builds(Shadow, TEXT, WHOLE, st.tuples(TEXT)))
    )
    moved = st.lists(st.tuples(TEXT, WHOLE, WHOLE), max_size=4).map(tuple)
    return draw(
        st.builds(
            DecisionRecord,
            decision_id=TEXT,
            surface=TEXT,
            purpose=TEXT,
            application=TEXT,
            engine=TEXT,
            position=WHOLE,
            time_ms=WHOLE,
            seed=st.integers(0, 2**64 - 1),
            request=st.builds(Asked, st.dictionaries(TEXT, TEXT)),
            stages=st.lists(st.builds(StageRun, TEXT, TEXT, NUMBER, TEXT), max_size=12).map(tuple),
            retrieved=st.lists(st.tuples(TEXT, WHOLE), max_size=3).map(tuple),
            filters=st.lists(st.builds(FilterRun, TEXT, WHOLE, st.tuples(TEXT)), max_size=3).map(tuple),
            features=st.just(tuple(FeatureSource(name, f"t.{name}", False, "") for name in FEATURES)),
            rank=rank,
            items=st.just(tuple(items)),
            matrix=TEXT,
            considered=WHOLE,
            subjects=st.tuples(TEXT),
            near=st.just(tuple(near)),
            effects=st.lists(st.builds(Effect, TEXT, TEXT, moved), max_size=3).map(tuple),
            degraded=st.lists(st.builds(Degraded, TEXT, TEXT, TEXT), max_size=2).map(tuple),
            fallback=st.tuples(TEXT),
            unknown_items=WHOLE,
            profiled=st.booleans(),
            cold=st.booleans(),
            explored=maybe(explored),
            marks=st.dictionaries(TEXT, st.builds(Mark, price=maybe(st.builds(Price, NUMBER, TEXT, TEXT))), max_size=2),
        )
    )


class TestFormat2:
    @given(records())
    def test_every_record_survives_its_bytes(self, record):
        read = decoded(encoded(record))
        assert read == record
        assert read.digest() == record.digest()  # the sign of a zero as well
        assert converted(msgspec.json.decode(encoded(record))) == record

    def test_it_stays_short_with_more_than_200_candidates_and_20_answers(self):
        record = big_decision().record
        assert record.considered >= 200
        assert len(record.items) == 20
        assert len(record.near) == 10
        assert len(encoded(record)) < 3_500

    def test_scores_that_follow_are_not_written(self):
        record = big_decision().record
        assert "score" not in msgspec.json.decode(encoded(record))["items"]
        first = msgspec.structs.replace(record.items[0], score=record.items[0].score + 1e-9)
        moved = msgspec.structs.replace(record, items=(first, *record.items[1:]))
        assert len(msgspec.json.decode(encoded(moved))["items"]["score"]) == 20
        assert decoded(encoded(moved)) == moved

    def test_a_score_of_minus_zero_follows_from_nothing(self):
        record = big_decision().record
        items = tuple(msgspec.structs.replace(each, values=(None,) * 4, score=-0.0) for each in record.items)
        zero = msgspec.structs.replace(record, items=items)
        assert decoded(encoded(zero)).digest() == zero.digest()

    def test_items_must_have_the_same_features(self):
        record = big_decision().record
        first = msgspec.structs.replace(record.items[0], values=(1.0,))
        with pytest.raises(ValueError):
            encoded(msgspec.structs.replace(record, items=(first, *record.items[1:])))

    def test_what_was_tried_must_be_of_each_item(self):
        explored = Exploration("p", "l", "marginal", 3, 0.0, (Tried(1),))
        with pytest.raises(ValueError, match="1 were tried of 20"):
            encoded(msgspec.structs.replace(big_decision().record, explored=explored))


class TestFormat1:
    @pytest.mark.parametrize(("digest", "data"), FORMAT_1)
    def test_it_reads_as_what_was_recorded(self, digest, data):
        record = decoded(data)
        assert record.format == 1
        assert record.digest() == digest
        assert [explain(record, view)["decision_id"] for view in VIEWS] == [record.decision_id] * 3

    @pytest.mark.parametrize(("digest", "data"), FORMAT_1)
    def test_it_is_the_same_record_in_format_2_and_shorter(self, digest, data):
        record = decoded(data)
        again = decoded(encoded(record))
        assert again == msgspec.structs.replace(record, format=2)
        assert not compare(record, again)
        assert again.digest() == digest
        for view in VIEWS[:2]:
            assert explain(again, view) == explain(record, view)
        assert len(encoded(record)) < len(data) or not record.near

    @pytest.mark.parametrize("data", [data for _, data in FORMAT_1])
    def test_both_tell_sql_and_learners_the_same(self, data):
        old, new = msgspec.json.decode(data), msgspec.json.decode(encoded(decoded(data)))
        assert answered_ids(old) == answered_ids(new) == [each.id for each in decoded(data).items]
        assert list(explored_rows(old)) == list(explored_rows(new))

    def test_an_explored_one_is_among_them(self):
        taught = [list(explored_rows(msgspec.json.decode(data))) for _, data in FORMAT_1]
        assert sum(map(len, taught)) == 1
        (row,) = taught[1]
        assert row["learner"].startswith("_learned_discover")
        assert len(row["items"]) == len(row["arms"]) == 6

    def test_the_real_page_shrinks_by_a_third(self):
        assert len(encoded(decoded(FORMAT_1[0][1]))) < 0.7 * len(FORMAT_1[0][1])


class TestRefused:
    @pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff\x00", b'{"decision_id":"d"}'])
    def test_other_bytes(self, data):
        with pytest.raises(ReplayError, match="not a decision record"):
            decoded(data)

    def test_a_later_format_by_number(self):
        later = encoded(big_decision().record).replace(b'"format":2', b'"format":3')
        with pytest.raises(ReplayError, match=r"format 3; this version reads 1 and 2"):
            decoded(later)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("items", "sources"), [1]),
            (("items", "values"), [[1.0]]),
            (("items", "reason"), {"of": ["a"], "by": "z" * 20}),
            (("items", "ages"), ["price", None, None, None]),
            (("rank", "scales"), [1.0]),
            (("rank", "weights"), {}),
            (("near", 0, "id"), []),
            (("stages", "ms"), [1.0]),
        ],
    )
    def test_columns_that_do_not_fit(self, path, value):
        raw = msgspec.json.decode(encoded(big_decision().record))
        *way, last = path
        place = raw
        for each in way:
            place = place[each]
        place[last] = value
        with pytest.raises(ReplayError, match="not a decision record"):
            decoded(msgspec.json.encode(raw))
