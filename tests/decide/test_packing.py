"""Columns of a record: short where values repeat, and the same bits when they are read."""

from array import array
from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.decide.packing import (
    Ages,
    Coded,
    Floats,
    Ints,
    Texts,
    packed,
    packed_ages,
    packed_floats,
    spread,
    spread_ages,
)

INTS = st.lists(st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**62), 2**62)), max_size=40)
FEW = [0.0, -0.0, 1.0, 2.5, 1e22, -(2.0**53), 0.1 + 0.2]
FLOATS = st.lists(
    st.one_of(st.none(), st.sampled_from(FEW), st.floats(allow_nan=False, allow_infinity=False)), max_size=40
)
REPEATED = st.lists(st.sampled_from([None, 8.25, 1.0, 0.5]), max_size=40)


def bits(column):
    """Where values are missing, and the bits of the others."""
    return [each is None for each in column], array("d", [each for each in column if each is not None]).tobytes()


def through(written, type_):
    return msgspec.json.decode(msgspec.json.encode(written), type=type_)


@given(st.lists(st.sampled_from(["", "a", "filter", "rule", "überall"]), max_size=40))
def test_texts_survive(column):
    assert spread(through(packed(tuple(column)), Texts), len(column)) == tuple(column)


@given(INTS)
def test_whole_numbers_survive(column):
    assert spread(through(packed(tuple(column)), Ints), len(column)) == tuple(column)


@given(st.one_of(FLOATS, REPEATED))
def test_floats_survive_to_the_bit(column):
    read = spread(through(packed_floats(tuple(column)), Floats), len(column))
    assert bits(read) == bits(column)
    assert {type(each) for each in read} <= {float, type(None)}


@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3).map(tuple), max_size=5))
def test_ages_survive(columns):
    names = ["a", "b", "c", "d", "e"]
    written = through(packed_ages(columns, names), tuple[Ages, ...])
    assert spread_ages(written, names, 3) == columns


class TestShapes:
    def test_one_value_stands_for_all_rows(self):
        assert packed(("run",) * 11) == "run"
        assert packed((None,) * 20) is None
        assert packed_floats((0.5,) * 3) == 0.5
        assert packed(("one",)) == "one"

    def test_texts_that_repeat_have_letters(self):
        assert packed(("interest",) * 3 + ("similarity",) * 9) == Coded(("interest", "similarity"), "aaabbbbbbbbb")

    def test_so_have_numbers_that_stand_together(self):
        assert packed_floats((8.25,) * 8 + (None,) * 12) == Coded((8.25, None), "a" * 8 + "b" * 12)
        apart = tuple(float(n % 2) + 0.5 for n in range(20))
        assert packed_floats(apart) == apart

    def test_letters_must_be_shorter(self):
        assert packed(("ab", "cd", "ab")) == ("ab", "cd", "ab")
        many = tuple(f"text {n}" for n in range(30)) * 4
        assert packed(many) == many  # more values than letters

    def test_whole_floats_have_no_point(self):
        assert msgspec.json.encode(packed_floats((87.0, None, 4.0))) == b"[87,null,4]"
        assert msgspec.json.encode(packed_floats((87.0, 4.5))) == b"[87.0,4.5]"

    @pytest.mark.parametrize("column", [(1.0, 1e22), (2.0**53, 1.0), (1.0, nan), (1.0, inf), (0.0, -0.0)])
    def test_but_not_where_that_would_be_longer_or_another_number(self, column):
        assert packed_floats(column) is column

    def test_features_of_one_row_age_together(self):
        ages = [(7, 9), (3, 4), (7, 9), (5, 5), (5, 5)]
        assert packed_ages(ages, ["price", "heat", "stock", "a", "b"]) == ((7, 9), (3, 4), "price", 5, 5)

    def test_nothing_is_nothing(self):
        assert packed(()) == ()
        assert packed_floats(()) == ()
        assert packed_ages([], ["price"]) == ()


class TestRefused:
    def test_a_column_of_another_length(self):
        with pytest.raises(ValueError, match="2 values for 3 rows"):
            spread((1, 2), 3)
        with pytest.raises(ValueError, match="2 values for 3 rows"):
            spread(Coded((1, 2), "ab"), 3)

    @pytest.mark.parametrize("letters", ["ac", "a!", "aé"])
    def test_a_letter_that_stands_for_nothing(self, letters):
        with pytest.raises(ValueError, match="stands for nothing"):
            spread(Coded((1, 2), letters), 2)

    def test_ages_of_what_comes_later(self):
        with pytest.raises(ValueError, match="no feature before 'price'"):
            spread_ages(["stock", (1, 2)], ["price", "stock"], 2)

    def test_ages_without_a_feature(self):
        with pytest.raises(ValueError):
            packed_ages([(1,), (2,)], ["price"])
