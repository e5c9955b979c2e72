"""PACK and UNPACK: nested values as keys."""

from decimal import Decimal

import pytest

from nextpaint.record.types import BYTES, DOUBLE, INT, STRING, Field, array, decimal, mapping, row

PAIR = row(Field("a", INT), Field("b", STRING))
INTS = array(INT)
COUNTS = mapping(STRING, INT)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (PAIR, (1, "x")),
        (PAIR, (None, None)),
        (INTS, []),
        (INTS, [2, None]),
        (COUNTS, {}),
        (COUNTS, {"p": 1, "q": None}),
        (mapping(PAIR, INTS), {(1, "x"): [1]}),
        (array(decimal(10, 2)), [Decimal("1.50"), None]),
        (row(Field("r", PAIR), Field("xs", array(COUNTS)), Field("raw", BYTES)), ((1, "x"), [{"p": 1}], b"\0")),
        (array(DOUBLE), [1.0, -0.0]),
    ],
)
def test_what_was_packed_comes_back(run, type_, value):
    packed = run("PACK", BYTES, (type_, value))
    assert repr(run("UNPACK", type_, packed)) == repr(value)


def test_null_stays_null(run):
    assert run("PACK", BYTES, (PAIR, None)) is None
    assert run("UNPACK", PAIR, (BYTES, None)) is None


def test_entries_of_a_map_have_no_order(run):
    one, other = (run("PACK", BYTES, (COUNTS, each)) for each in ({"p": 1, "q": 2}, {"q": 2, "p": 1}))
    assert one == other != run("PACK", BYTES, (COUNTS, {"p": 2, "q": 1}))


def test_elements_of_an_array_have_one(run):
    assert run("PACK", BYTES, (INTS, [1, 2])) != run("PACK", BYTES, (INTS, [2, 1]))


def test_a_null_field_is_no_null(run):
    assert run("PACK", BYTES, (PAIR, (None, None))) is not None


def test_texts_stand_in_the_bytes_as_they_are(run):
    assert "Zoë".encode() in run("PACK", BYTES, (array(PAIR), [(1, "Zoë")]))


def test_half_a_pair_of_utf16_fails_its_row(run):
    assert run("PACK", BYTES, (PAIR, (1, "\ud83d"))) == "failed: half a pair of UTF-16 in a key"
