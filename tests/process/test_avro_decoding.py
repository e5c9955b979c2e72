"""Avro to columns: the compiled pass equals the decoder that takes one value at a time, over damaged bytes too; both
read what another implementation wrote."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.avro_decoding import AvroDecoder, ConfluentDecoder
from nextpaint.process.avro_values import encoded
from nextpaint.record import types as t
from nextpaint.record.avro import declared, misfit, parsed
from nextpaint.record.types import Field, Kind

FIELDS = (
    Field("id", t.BIGINT, False),
    Field("small", t.SMALLINT),
    Field("name", t.STRING),
    Field("price", t.DOUBLE),
    Field("ratio", t.FLOAT),
    Field("ok", t.BOOLEAN),
    Field("ts", t.TIMESTAMP, False),
    Field("cost", t.decimal(10, 2)),
    Field("tags", t.array(t.STRING)),
    Field("counts", t.mapping(t.STRING, t.BIGINT)),
    Field("inner", t.row(Field("a", t.INT), Field("b", t.row(Field("c", t.STRING))))),
    Field("raw", t.BYTES),
    Field("day", t.DATE),
)
SCHEMA = declared(FIELDS)

whole64, whole32 = st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)
VALUES = {
    Kind.BIGINT: whole64,
    Kind.SMALLINT: st.integers(-(2**15), 2**15 - 1),
    Kind.INT: whole32,
    Kind.STRING: st.text(max_size=12),
    Kind.DOUBLE: st.floats(),
    Kind.FLOAT: st.floats(width=32),
    Kind.BOOLEAN: st.booleans(),
    Kind.TIMESTAMP: whole64,
    Kind.BYTES: st.binary(max_size=9),
    Kind.DATE: whole32,
    Kind.DECIMAL: st.decimals(-99999999, 99999999, places=2, allow_nan=False),
}


def values_of(field):
    type_ = field.type
    match type_.kind:
        case Kind.ARRAY:
            made = st.lists(values_of(Field("", type_.element)), max_size=3).map(tuple)
        case Kind.MAP:
            made = st.dictionaries(st.text(max_size=3), values_of(Field("", type_.element)), max_size=3)
        case Kind.ROW:
            made = st.tuples(*map(values_of, type_.fields))
        case kind:
            made = VALUES[kind]
    return made | st.none() if field.nullable else made


rows = st.lists(st.tuples(*map(values_of, FIELDS)), min_size=1, max_size=6)


def laid_out(records):
    data = b"".join(each or b"" for each in records)
    lengths = np.array([-1 if each is None else len(each) for each in records], np.int32)
    starts = np.cumsum([0, *np.maximum(lengths, 0)])[:-1].astype(np.int64)
    return np.frombuffer(data or b"\0", np.uint8), starts, lengths


def columns_of(decoder, records):
    decoded = decoder.decode(*laid_out(records))
    lists = [column.to_list() for column in decoded.columns]
    return [None if decoded.odd[row] else tuple(cells[row] for cells in lists) for row in range(len(records))], decoded


def one_by_one(decoder, fields, data):
    try:
        found = decoder.record(data)
    except ValueError:
        return None
    return tuple(found.get(each.name) for each in fields)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(rows)
def test_columns_have_what_was_written(given_rows):
    found, _ = columns_of(AvroDecoder(FIELDS, SCHEMA), [encoded(row, SCHEMA) for row in given_rows])
    for row, got in zip(given_rows, found, strict=True):
        assert same(row, got), (row, got)


@given(rows, st.data())
def test_damaged_bytes_are_odd_exactly_where_the_slow_decoder_refuses(given_rows, data):
    decoder = AvroDecoder(FIELDS, SCHEMA)
    records = [bytearray(encoded(row, SCHEMA)) for row in given_rows]
    for each in records:
        for _ in range(data.draw(st.integers(0, 3))):
            place = data.draw(st.integers(0, len(each) - 1))
            each[place] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del each[data.draw(st.integers(0, len(each))) :]
    records = [bytes(each) for each in records]
    found, _ = columns_of(decoder, records)
    for raw, got in zip(records, found, strict=True):
        expected = one_by_one(decoder, FIELDS, raw)
        assert (expected is None) == (got is None), (raw, expected, got)
        assert got is None or same(expected, got), (raw, expected, got)


WRITER = """{"type": "record", "name": "shop.Event", "fields": [
  {"name": "unread", "type": {"type": "map", "values": {"type": "array", "items": ["null", "int"]}}},
  {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["VIEW", "BUY"]}},
  {"name": "n", "type": "int"},
  {"name": "x", "type": ["float", "null"]},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
  {"name": "cost", "type": {"type": "fixed", "name": "Money", "size": 6, "logicalType": "decimal", "scale": 2}},
  {"name": "again", "type": "Kind"},
  {"name": "wide", "type": ["null", "string", "long"]}]}"""
READ = (
    Field("kind", t.STRING),
    Field("at", t.TIMESTAMP_LTZ, False),
    Field("n", t.DOUBLE),
    Field("x", t.DOUBLE),
    Field("cost", t.decimal(9, 2)),
    Field("missing", t.STRING),
)


def test_a_writers_fields_are_found_by_name_and_promoted():
    schema = parsed(WRITER)
    row = [{"a": [1, None], "b": []}, "BUY", -7, 0.5, 1_700_000_000_123, Decimal("-12.34"), "VIEW"]
    for branch, tail in ((1, "späť"), (2, 5), (0, None)):
        data = encoded(row, parsed(WRITER.replace(',\n  {"name": "wide", "type": ["null", "string", "long"]}', "")))
        last = b"" if tail is None else encoded(tail, parsed('"string"' if branch == 1 else '"long"'))
        data += bytes([branch * 2]) + last
        found, decoded = columns_of(AvroDecoder(READ, schema), [data, None, data[:-1]])
        assert found == [("BUY", 1_700_000_000_123, -7.0, 0.5, Decimal("-12.34"), None), None, None]
        assert decoded.absent[5].tolist() == [True, True, True] and not decoded.absent[0, 0]


@pytest.mark.parametrize(
    ("schema", "type_", "said"),
    [
        ('"long"', t.INT, "c is INT, and the schema has long there"),
        ('["null", "int", "string"]', t.STRING, "c is STRING, and the schema has null or int or string there"),
        ('{"type": "bytes", "logicalType": "decimal", "scale": 3}', t.decimal(9, 2), "c is DECIMAL(9, 2)"),
        ('{"type": "array", "items": "string"}', t.array(t.INT), "c[] is INT, and the schema has string there"),
    ],
)
def test_what_a_schema_cannot_fill_is_named(schema, type_, said):
    assert misfit(parsed(schema), type_, "c").startswith(said)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{", "the schema is not JSON"),
        ('{"type": "record", "name": "a", "fields": [{"name": "x", "type": ["null", "a"]}]}', "a is inside itself"),
        ('"money"', "names money, which it does not declare"),
        ('{"type": "array", "items": "null"}', "an array of null, which takes no bytes"),
        ('["null", ["int"]]', "none of them is a union"),
        ('{"type": "fixed", "name": "f"}', "is not a size"),
        ("[" * 40 + '"int"' + "]" * 40, "nested deeper than 16"),
    ],
)
def test_schemas_that_are_none_are_refused(schema, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parsed(schema)


def test_records_of_several_schemas_come_in_their_order():
    one = parsed('{"type": "record", "name": "e", "fields": [{"name": "n", "type": "int"}]}')
    two = parsed(
        '{"type": "record", "name": "e", "fields": [{"name": "k", "type": "string"}, {"name": "n", "type": "long"}]}'
    )
    fields = (Field("n", t.BIGINT), Field("k", t.STRING))
    decoder = ConfluentDecoder(fields, {7: one, 300: two})

    def framed(identity, row, schema):
        return b"\0" + identity.to_bytes(4, "big") + encoded(row, schema)

    records = [
        framed(7, [1], one),
        framed(300, ["a", 2], two),
        framed(8, [3], one),
        b"\1junk",
        None,
        framed(7, [4], one),
    ]
    found, decoded = columns_of(decoder, records)
    assert found == [(1, None), (2, "a"), None, None, None, (4, None)]
    assert decoded.absent[1].tolist() == [True, False, True, True, True, True]
    with pytest.raises(ValueError, match="the schema 8 is not declared for the table, which has 7, 300"):
        decoder.record(records[2])
    with pytest.raises(ValueError, match="does not begin with 0x00"):
        decoder.record(records[3])
    assert columns_of(decoder, records[:1])[0] == [(1, None)]


def test_no_loop_outlives_its_bytes():
    schema = parsed(
        '{"type": "record", "name": "e", "fields": [{"name": "xs", "type": {"type": "array", "items": "int"}}]}'
    )
    fields = (Field("xs", t.array(t.INT)),)
    huge = encoded(2**62, parsed('"long"'))
    found, _ = columns_of(AvroDecoder(fields, schema), [huge + b"\2\0", encoded([[1, 2]], schema), b"\x01\x7f\2\0"])
    assert found == [None, ((1, 2),), None]


def test_a_declared_schema_is_flinks():
    assert str(dict(SCHEMA.fields)["small"]) == "null or int"
    assert str(dict(SCHEMA.fields)["ts"]) == "long (timestamp-millis)"
    assert json.dumps([name for name, _ in SCHEMA.fields]) == json.dumps([each.name for each in FIELDS])


# Written by fastavro 1.12 with this schema.
FOREIGN = """{"type": "record", "name": "e", "fields": [
  {"name": "id", "type": "long"}, {"name": "n", "type": ["null", "int"]}, {"name": "s", "type": ["null", "string"]},
  {"name": "d", "type": ["null", "double"]}, {"name": "f", "type": "float"}, {"name": "b", "type": "boolean"},
  {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "c", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
  {"name": "xs", "type": {"type": "array", "items": ["null", "string"]}},
  {"name": "m", "type": {"type": "map", "values": "long"}},
  {"name": "r", "type": {"type": "record", "name": "r", "fields": [
    {"name": "a", "type": "int"}, {"name": "day", "type": {"type": "int", "logicalType": "date"}}]}},
  {"name": "k", "type": {"type": "enum", "name": "k", "symbols": ["VIEW", "BUY"]}},
  {"name": "x", "type": {"type": "fixed", "name": "x", "size": 3}}]}"""
COLUMNS = (
    *(Field("id", t.BIGINT, False), Field("n", t.INT), Field("s", t.STRING), Field("d", t.DOUBLE), Field("f", t.FLOAT)),
    *(
        Field("b", t.BOOLEAN),
        Field("ts", t.TIMESTAMP_LTZ),
        Field("c", t.decimal(10, 2)),
        Field("xs", t.array(t.STRING)),
    ),
    *(Field("m", t.mapping(t.STRING, t.BIGINT)), Field("r", t.row(Field("a", t.INT), Field("day", t.DATE)))),
    *(Field("k", t.STRING), Field("x", t.BYTES)),
)
WRITTEN = {
    "ffffffffffffffffff01000224c5be6c75c5a56f75c48d6bc3bd20f09f9880029a9999999999b9bf0000c03f01dcec8682996308f8a432eb060"
    "2026100020000040270020271ffffffffff3f00feffffff0f01020001ff": (
        *(-(2**63), None, "žluťoučký 😀", -0.1, 1.5, True, 1704164645678, Decimal("-1234567.89"), ("a", None, "")),
        *({"p": 1, "q": -(2**40)}, (2**31 - 1, -1), "BUY", b"\0\1\xff"),
    ),
    "0e020100000100008000ffaff6c5af1202000000008cb50200616263": (
        *(7, -1, None, None, -(2.0**-149), False, -315619200000, Decimal("0.00"), (), {}, (0, 19782), "VIEW", b"abc"),
    ),
}


def test_what_another_implementation_wrote_is_read():
    schema = parsed(FOREIGN)
    assert not any(misfit(dict(schema.fields)[each.name], each.type, each.name) for each in COLUMNS)
    decoder = AvroDecoder(COLUMNS, schema)
    records = [bytes.fromhex(each) for each in WRITTEN]
    assert columns_of(decoder, records)[0] == list(WRITTEN.values())
    for record, expected in zip(records, WRITTEN.values(), strict=True):
        assert tuple(decoder.record(record).values()) == expected
        row = dict(zip((each.name for each in COLUMNS), expected, strict=True))
        assert encoded({**row, "r": list(row["r"])}, schema) == record
