"""The hash of key columns: what must agree, what must differ, and the algorithm against its definition."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.record.columns import Column, TextColumn
from nextpaint.record.hashing import SECRET, key_hashes
from nextpaint.record.types import BIGINT, BOOLEAN, BYTES, DOUBLE, STRING, TIMESTAMP, decimal, mapping

M = 2**64 - 1


def siphash_words(words, secret):
    """SipHash-1-3-128 over words, from the paper."""
    k0, k1 = secret
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotl(x, b):
        return ((x << b) | (x >> (64 - b))) & M

    def sipround():
        v[0] = (v[0] + v[1]) & M
        v[1] = rotl(v[1], 13) ^ v[0]
        v[0] = rotl(v[0], 32)
        v[2] = (v[2] + v[3]) & M
        v[3] = rotl(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & M
        v[3] = rotl(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & M
        v[1] = rotl(v[1], 17) ^ v[2]
        v[2] = rotl(v[2], 32)

    for word in words:
        v[3] ^= word
        sipround()
        v[0] ^= word
    v[2] ^= 0xEE
    for _ in range(3):
        sipround()
    high = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    for _ in range(3):
        sipround()
    return high, v[0] ^ v[1] ^ v[2] ^ v[3]


def words_of(value):
    if value is None:
        return [0]
    if isinstance(value, int):
        return [1 << 56 | 8, value & M]
    body = value.encode()
    parts = [int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8)]
    return [4 << 56 | len(body), *parts]


rows = st.lists(
    st.tuples(st.none() | st.text(max_size=20), st.none() | st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8
)


@given(rows, st.tuples(st.integers(0, M), st.integers(0, M)))
def test_the_hash_is_siphash_over_the_words_of_a_key(keys, secret):
    columns = (Column.of(STRING, [text for text, _ in keys]), Column.of(BIGINT, [number for _, number in keys]))
    expected = [siphash_words(words_of(text) + words_of(number), secret) for text, number in keys]
    assert [tuple(each) for each in key_hashes(columns, (0, 1), secret).tolist()] == expected


@given(rows)
def test_views_and_objects_hash_alike(keys):
    column = Column.of(STRING, [text for text, _ in keys])
    held = TextColumn(STRING, column.views(), column.valid)
    order = np.arange(len(keys))[::-1]
    assert np.array_equal(key_hashes((held.take(order),), (0,)), key_hashes((column,), (0,))[order])


def one(type_, value):
    return tuple(key_hashes((Column.of(type_, [value]),), (0,))[0].tolist())


def test_kinds_nulls_and_borders_between_columns_are_told_apart():
    found = [
        one(STRING, "a"), one(BYTES, b"a"), one(STRING, ""), one(STRING, None), one(BIGINT, 0), one(BOOLEAN, False),
        one(DOUBLE, 0.0), one(STRING, "\0"), one(decimal(3, 1), Decimal("0.0")),
    ]  # fmt: skip
    assert len(set(found)) == len(found)

    def pair(left, right):
        return tuple(key_hashes((Column.of(STRING, [left]), Column.of(STRING, [right])), (0, 1))[0].tolist())

    assert pair("ab", "c") != pair("a", "bc")
    assert pair("a", None) != pair(None, "a")


@pytest.mark.parametrize(
    ("type_", "left", "right"),
    [
        (DOUBLE, 0.0, -0.0),
        (decimal(4, 2), Decimal("1.50"), Decimal("1.5")),
        (decimal(4, 2), Decimal("-0.00"), Decimal(0)),
        (mapping(STRING, BIGINT), {"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_equal_values_hash_alike(type_, left, right):
    assert one(type_, left) == one(type_, right)


def test_times_and_integers_are_one_kind():
    assert one(TIMESTAMP, 5) == one(BIGINT, 5)


def test_no_key_columns_are_one_key():
    assert key_hashes((), (), SECRET).shape == (1, 2)
