"""Text columns as places in a buffer behave as columns of Python objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.record.columns import Column, TextColumn
from nextpaint.record.types import BYTES, STRING

texts = st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=12)


def held(values, type_=STRING):
    column = Column.of(type_, values)
    return TextColumn(type_, column.views(), column.valid)


@given(texts, st.data())
def test_taking_and_joining_agree_with_objects(values, data):
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=8))
    taken = held(values).take(np.array(rows, np.int64))
    assert isinstance(taken, TextColumn)
    assert taken.to_list() == [values[row] for row in rows]
    joined = Column.concat([held(values), taken, held(values)])
    assert isinstance(joined, TextColumn)
    assert joined.to_list() == values + [values[row] for row in rows] + values
    assert joined.views().compact().texts() == [each or "" for each in joined.to_list()]


def test_parts_over_one_buffer_are_joined_without_copying():
    whole = held(["a", "bc", None])
    joined = Column.concat([whole.take(np.array([True, False, True])), whole])
    assert joined.views().buffer is whole.views().buffer
    assert joined.to_list() == ["a", None, "a", "bc", None]


def test_a_mixture_of_forms_is_joined_as_objects():
    assert Column.concat([held(["a"]), Column.of(STRING, ["b", None])]).to_list() == ["a", "b", None]


def test_bytes_stay_bytes():
    assert held([b"\xff\x00", None], BYTES).to_list() == [b"\xff\x00", None]


def test_an_empty_selection_has_no_rows():
    empty = held(["a"]).take(np.array([False]))
    assert len(empty) == 0 and empty.to_list() == [] and empty.views().raw() == []


def test_values_cannot_be_replaced():
    with pytest.raises(AttributeError, match="a column is a value"):
        held(["a"]).values = np.array(["b"], object)
