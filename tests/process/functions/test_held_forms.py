"""Expressions give the same, whichever way a column is held: Python objects, places in a buffer, fields as columns."""

import operator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record.columns import Column, DecimalColumn, RowColumn, TextColumn
from nextpaint.record.types import BIGINT, BOOLEAN, STRING, Field, decimal, row
from nextpaint.sql.plan import At, Call, ColumnRef, Literal

HERE = At("x.sql", 1, 1)
INNER = row(Field("x", BIGINT))
BID = row(Field("channel", STRING), Field("price", BIGINT), Field("inner", INNER))
texts = st.lists(st.none() | st.sampled_from(["", "view", "views", "vie", "été", "View"]), min_size=1, max_size=9)


def call(type_, function, *args, **options):
    return Call(type_, function, args, tuple(options.items()), HERE)


def evaluated(expr, column):
    return compile_expr(expr)(Evaluation((column,), len(column)))


@given(texts, st.sampled_from(["view", "", "été", "nothing"]), st.sampled_from(["=", "<>", "<", ">="]))
def test_text_is_compared_alike_as_objects_and_as_places(values, wanted, function):
    objects = Column.of(STRING, values)
    places = TextColumn(STRING, objects.views(), objects.valid)
    expr = call(BOOLEAN, function, ColumnRef(STRING, 0, "t", HERE), Literal(STRING, wanted, HERE))
    compare = {"=": operator.eq, "<>": operator.ne, "<": operator.lt, ">=": operator.ge}[function]
    expected = [None if value is None else compare(value, wanted) for value in values]
    assert evaluated(expr, objects).to_list() == expected
    assert evaluated(expr, places).to_list() == expected


rows = st.lists(
    st.none() | st.tuples(
        st.none() | st.text(max_size=3), st.none() | st.integers(-9, 9), st.none() | st.tuples(st.integers(0, 9))
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def as_fields(values, type_=BID):
    """The same ROW column as one column per field."""
    plain = [value if value is not None else (None,) * len(type_.fields) for value in values]

    def make(index):
        cells = [value[index] for value in plain]
        field = type_.fields[index].type
        if field.is_nested:
            return as_fields(cells, field)
        column = Column.of(field, cells)
        return TextColumn(STRING, column.views(), column.valid) if field == STRING else column

    return RowColumn(type_, len(values), make, Column.of(type_, values).valid)


@given(rows, st.data())
def test_fields_of_rows_are_the_same_as_objects_and_as_columns(values, data):
    bid = ColumnRef(BID, 0, "bid", HERE)
    inner = call(BIGINT, "FIELD", call(INNER, "FIELD", bid, name="inner"), name="x")
    exprs = [
        call(STRING, "FIELD", bid, name="channel"), call(BIGINT, "FIELD", bid, name="price"), inner,
        call(BIGINT, "+", call(BIGINT, "FIELD", bid, name="price"), inner),
        call(BOOLEAN, "=", call(STRING, "FIELD", bid, name="channel"), Literal(STRING, "a", HERE)),
    ]  # fmt: skip
    objects, fields = Column.of(BID, values), as_fields(values)
    assert fields.to_list() == values
    mask = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    kept = Column.of(BOOLEAN, mask).values
    for expr in exprs:
        assert evaluated(expr, fields).to_list() == evaluated(expr, objects).to_list()
        assert evaluated(expr, fields.take(kept)).to_list() == evaluated(expr, objects.take(kept)).to_list()


def test_a_field_of_a_row_held_as_columns_stays_a_column():
    channel = call(STRING, "FIELD", ColumnRef(BID, 0, "bid", HERE), name="channel")
    assert isinstance(evaluated(channel, as_fields([("a", 1, None), None])), TextColumn)


def test_a_decimal_of_a_field_of_a_row_is_computed_in_whole_numbers():
    price = call(BIGINT, "FIELD", ColumnRef(BID, 0, "bid", HERE), name="price")
    product = call(decimal(23, 3), "*", Literal(decimal(3, 3), Decimal("0.908"), HERE), price)
    values = [("a", at, None) for at in range(20)] + [None, ("b", None, None)]
    found = evaluated(call(decimal(12, 2), "CAST", product), as_fields(values))
    assert isinstance(found, DecimalColumn)
    expected = [
        evaluated(call(decimal(12, 2), "CAST", product), Column.of(BID, [each])).to_list()[0] for each in values
    ]
    assert found.to_list() == expected


@pytest.mark.parametrize("count", [0, 1])
def test_no_rows_are_no_trouble(count):
    values = [("a", 1, None)] * count
    price = call(BIGINT, "FIELD", ColumnRef(BID, 0, "bid", HERE), name="price")
    assert evaluated(price, as_fields(values)).to_list() == [1] * count
