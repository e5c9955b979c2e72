"""The columnar JSON decoder against msgspec and `coerce`, record by record: the same values, the same words for what is
wrong, whatever the bytes are."""

import json
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nextpaint.process.coercion import coerce
from nextpaint.process.decoding import JsonDecoder
from nextpaint.process.sources import FEW, Arrived, Exploding, Source
from nextpaint.process.state import State
from nextpaint.process.watermarks import SourceSettings
from nextpaint.record.columns import Column, RowColumn, TextColumn
from nextpaint.record.runs import Arriving, gathered
from nextpaint.record.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    INT,
    STRING,
    TIMESTAMP,
    TINYINT,
    Field,
    array,
    decimal,
    mapping,
    row,
)  # fmt: skip
from nextpaint.sql.program import Table, Watermark

BID = row(Field("auction", BIGINT), Field("channel", STRING), Field("inner", row(Field("x", DOUBLE))))
FIELDS = (
    Field("name", STRING), Field("n", INT), Field("big", BIGINT), Field("tiny", TINYINT), Field("x", DOUBLE),
    Field("ok", BOOLEAN), Field("ts", TIMESTAMP), Field("bid", BID), Field("tags", array(STRING)),
    Field("price", decimal(8, 2)), Field("map", mapping(STRING, INT)), Field("day", DATE), Field("raw", BYTES),
    Field("ключ", STRING),
)  # fmt: skip
DECODER = JsonDecoder(FIELDS)


def slowly(text):
    """The row by msgspec and coerce; None if it is refused."""
    try:
        value = msgspec.json.decode(text)
        if not isinstance(value, dict):
            return None
        return tuple(coerce(value.get(field.name), field.type) for field in FIELDS)
    except (ValueError, RecursionError):
        return None


def places(texts, behind=b""):
    buffer = np.frombuffer(b"".join(texts) + behind, np.uint8)
    length = np.array([len(text) for text in texts], np.int32)
    return buffer, np.cumsum(length, dtype=np.int64) - length, length


BEHIND = b'7,"}:0' * 24  # what is behind a record is not a part of it; with enough of it, words are read


def agree(texts):
    """Decode all at once; where a row is not odd, it is exactly msgspec's."""
    agree_on(DECODER.decode(*places(texts, BEHIND)), texts)
    return agree_on(DECODER.decode(*places(texts)), texts)


def agree_on(decoded, texts):
    rows = list(zip(*(column.to_list() for column in decoded.columns), strict=True))
    for text, odd, found in zip(texts, decoded.odd.tolist(), rows, strict=True):
        expected = slowly(text)
        if not odd:
            assert expected is not None, f"{text!r} is refused by msgspec"
            assert repr(found) == repr(expected), text
    return decoded


scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.integers(-200, 200) | st.floats(allow_nan=False)
    | st.decimals(-(10**6), 10**6, places=2).map(float) | st.text(max_size=8)
    | st.sampled_from(["2026-01-02 03:04:05.678", "2024-02-29T23:59:59Z", "2023-02-29T00:00:00", "0001-01-01 00:00:00",
                       "2026-01-02T03:04:05+02:00", "2026-13-02 03:04:05", "12.50", "AAEC", "2026-01-02"])
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
fitting = {
    "name": st.text(max_size=8), "n": st.integers(-(2**31), 2**31 - 1), "big": st.integers(-(2**63), 2**63 - 1),
    "tiny": st.integers(-130, 130), "x": st.floats(allow_nan=False, allow_infinity=False), "ok": st.booleans(),
    "ts": st.datetimes().map(str) | st.integers(0, 10**13),
    "bid": st.fixed_dictionaries({}, optional={
        "auction": st.integers(0, 99) | st.none(), "channel": st.text(max_size=4),
        "inner": st.none() | st.fixed_dictionaries({}, optional={"x": st.floats(-9, 9), "y": values})}),
    "tags": st.lists(st.text(max_size=3), max_size=3), "price": st.integers(0, 999), "ключ": st.text(max_size=3),
}  # fmt: skip
records = st.fixed_dictionaries(
    {}, optional={**{name: made | st.none() for name, made in fitting.items()}, "other": values}
) | st.dictionaries(st.sampled_from([*(field.name for field in FIELDS), "unknown"]), values, max_size=6)


@st.composite
def spelled(draw):
    """A record as some writer would spell it: spaces, escapes or not, keys in any order."""
    record = draw(records)
    keys = draw(st.permutations(list(record)))
    text = json.dumps(
        {key: record[key] for key in keys},
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\n: ")])),
        allow_nan=True,
    )
    return text.encode("utf-8", "surrogatepass")


usual = st.fixed_dictionaries({
    "name": st.text("abc:,{}", max_size=20), "n": st.integers(-(2**33), 2**33), "big": st.integers(-5, 10**16),
    "tiny": st.integers(0, 300), "ok": st.booleans(),
    "x": st.decimals(0, 10**16, places=3).map(float) | st.floats(0, 10),
    "ts": st.datetimes().map(lambda time: f"{str(time)[:19]}.{time.microsecond // 1000:03d}") | st.from_regex(
        r"\A[0-2][09][0-2][0-9]-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9][.][0-9]{3}\Z"),
    "bid": st.none() | st.fixed_dictionaries({"auction": st.integers(0, 10**17), "channel": st.text(max_size=9)}),
})  # fmt: skip


@settings(max_examples=200)
@given(usual, st.none() | st.tuples(st.integers(0, 200), st.integers(32, 126)))
def test_records_in_the_usual_form_are_what_msgspec_decodes(record, change):
    text = bytearray(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
    if change is not None:
        text[change[0] % len(text)] = change[1]
    agree([bytes(text)] * 2)


@pytest.mark.parametrize(
    ("time", "sure"),
    [
        ("2026-01-02 23:59:59.999", True), ("2024-02-29T00:00:00.000", True), ("0001-01-01 00:00:00.001", True),
        ("9999-12-31 23:59:59.999", True), ("2000-02-29 12:00:00.5 0", False), ("2023-02-29 00:00:00.000", False),
        ("1900-02-29 00:00:00.000", False), ("2026-04-31 00:00:00.000", False), ("2026-00-10 00:00:00.000", False),
        ("2026-13-10 00:00:00.000", False), ("2026-01-00 00:00:00.000", False), ("2026-01-01 24:00:00.000", False),
        ("2026-01-01 00:60:00.000", False), ("2026-01-01 00:00:60.000", False), ("0000-01-01 00:00:00.000", False),
        ("2026/01-01 00:00:00.000", False), ("2026-01-01t00:00:00.000", False), ("2026-01-01 00:00:00.00:", False),
        ("2026-01-01 00:00:00.00/", False), ("202\u00e9-1-01 00:00:00.000", False), ("2026-01-01 00.00:00.000", False),
    ],
)  # fmt: skip
def test_times_at_their_bounds(time, sure):
    decoded = agree([f'{{"ts":"{time}","ok":true}}'.encode()])
    assert not (sure and decoded.odd[0])


def test_the_date_that_is_remembered_is_that_of_the_record():
    dates = ("2026-01-02", "2026-01-03", "2026-02-03", "2026-01-99", "2026-02-29", "2025-02-03", "x026-02-03")
    pairs = [date for one in dates for other in dates for date in (one, other)]
    before = ",".join(f'"{field.name}":null' for field in FIELDS[:6])
    decoded = agree([f'{{{before},"ts":"{date} 01:02:03.004"}}'.encode() for date in pairs])
    assert not any(decoded.odd[:2]), "what is sure is taken at once"


@pytest.mark.parametrize("odd", ['\\"', "\\\\", "\\n", "\x1f", "\x7f", "é", "\u2028", "😀", "a"])
def test_text_with_something_odd_at_every_place(odd):
    plain = "abcdefghijklmnopqrstuvwxyz,{}:0123456789" * 2
    texts = [plain[:at] + odd + plain[at:size] for size in (7, 8, 9, 31, 32, 33, 63, 64, 65, 80) for at in range(size)]
    agree([f'{{"name":"{text}","n":1}}'.encode() for text in texts])


def test_numbers_of_every_length():
    digits = "12345678901234567890"
    whole = [digits[:size] for size in range(1, 20)] + ["0", "00", "01", "9" * 18, "0" * 9]
    numbers = [
        *whole,
        *(f"{each}.{digits[:size]}" for each in whole for size in range(18)),
        *(f"-{each}" for each in whole),
    ]
    agree([f'{{"name":"","n":1,"big":{each},"tiny":1,"x":{each}}}'.encode() for each in numbers])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_where_no_value_can_begin_there_is_none(field):
    decoded = agree([f'{{"{field.name}":'.encode() + b"\x80null}"])
    assert decoded.odd[0]
    assert decoded.columns[FIELDS.index(field)].to_list() == [None]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spelled(), min_size=1, max_size=3))
def test_what_is_decoded_is_what_msgspec_decodes(texts):
    agree(texts)


@settings(max_examples=300)
@given(spelled(), st.data())
def test_damaged_records_are_never_taken_for_good_ones(text, data):
    damaged = bytearray(text)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        what = data.draw(st.sampled_from(["cut", "insert", "change", "double"]))
        byte = data.draw(st.sampled_from(b'{}[]",:\\ue0+-.E1 \x00\x1f\x7f\x80\xc3\xed\xa0\xff') | st.integers(0, 255))
        if what == "cut":
            del damaged[at : at + data.draw(st.integers(1, 4))]
        elif what == "double":
            damaged[at:at] = damaged[max(0, at - 5) : at]
        elif what == "insert" or at == len(damaged):
            damaged.insert(at, byte)
        else:
            damaged[at] = byte
    agree([bytes(damaged)])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
@example([b"", b"{", b'{"name":"', b'{"name":"\\', b'{"name":"\\u12', b"[" * 100, b'{"bid":' * 40])
def test_any_bytes_are_survived(texts):
    agree(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"name":"a","n":5,"x":0.1,"ok":true,"ts":"2026-01-02 03:04:05.6"}', 1),
        (b'{"name":"\\u00e9\\ud83d\\ude00\\n"}', 1),
        (b'{"name":"a","name":null}', 1),
        (b'{"bid":{"auction":1},"bid":{"channel":"x"}}', 1),
        (b'{"bid":{"auction":1},"bid":null}', 1),
        (b'{"x":-0,"n":-0}', 1),
        (b'{"x":-0.0}', 1),
        (b'{"x":1.7976931348623157e308}', 0),
        (b'{"x":123456789012345678901234567890}', 0),
        (
            b'{"x":0.30000000000000004,"price":12.345,"tags":["a",null],"map":{"k":1},"day":"2026-01-02","raw":"AAE="}',
            1,
        ),
        (b'{"tiny":128}', 0),
        (b'{"n":5.0}', 1),
        (b'{"n\\u0061me":"x"}', 0),
        (b'{"unknown":{"deep":[1,{"a":"\\u0041"},[]],"e":{}},"name":"z"}', 1),
        (b'{"unknown":"\\ud800"}', 0),
        (b'{"name":1}', 0),
        (b'{"name":"x"} ', 1),
        (b'{"name":"x"} {', 0),
        ('{"ключ":"значение"}'.encode(), 1),
    ],
)
def test_which_records_need_no_second_look(text, expected):
    assert int(not agree([text]).odd[0]) == expected


def test_columns_keep_text_and_rows_apart_until_somebody_asks():
    decoded = DECODER.decode(
        *places([b'{"name":"a\\n","bid":{"auction":7,"channel":"w"}}', b'{"name":"b","bid":null}'])
    )
    name, bid = decoded.columns[0], decoded.columns[7]
    assert isinstance(name, TextColumn) and isinstance(bid, RowColumn)
    assert name.to_list() == ["a\n", "b"]
    assert bid.field(0).to_list() == [7, None] and bid.field(1).to_list() == ["w", None]
    assert bid.to_list() == [(7, "w", None), None]
    joined = Column.concat([bid, bid.take(np.array([1, 0]))])
    assert joined.to_list() == [(7, "w", None), None, None, (7, "w", None)]


TABLE = Table(
    "t",
    (Field("name", STRING, nullable=False), Field("n", INT), Field("ts", TIMESTAMP), Field("price", decimal(8, 2))),
    watermark=Watermark(2, 100),
)


def source(table=TABLE):
    return Source(table, table.name, None, SourceSettings(50, 0), State())


def read(made, texts, cuts, at_ms):
    """All rows, marks and dead records of records that come in steps."""
    rows, marks, dead = [], [], []
    seq = 0
    for size in cuts:
        part = [
            Arriving(seq + at, at_ms[seq + at], "t", None, text, at_ms[seq + at] != at_ms[seq + at - 1] or not seq + at)
            for at, text in enumerate(texts[seq : seq + size])
        ]
        runs = gathered(part)
        begins = [run for run in runs if run.first]
        silences = (np.array([r.seq for r in begins], np.int64), np.array([r.at_ms for r in begins], np.int64))
        batch = made.read(Arrived.of(runs) if runs else None, silences, lambda at, why: dead.append((at, why)))
        rows += zip(batch.seq.tolist(), batch.kind.tolist(), batch.rows(), strict=True)
        marks += zip(batch.mark_seq.tolist(), batch.mark_wm.tolist(), strict=True)
        seq += size
    return rows, marks, dead, made.clock._cell.get(0)


def shown(value):
    """A row for each item of an object that says "Shown"."""
    return [{"name": each, "ts": 1_000} for each in value.get("items", ())] if value.get("what") == "Shown" else []


told_of = st.sampled_from([
    b'{"what":"Shown","items":["a","b"]}', b'{"what":"Clicked","items":["c"]}', b'{"what":"\\u0053hown","items":["d"]}',
    b'{"what":"Hidden","items":["Shown"]}', b'{"items":[]}', b'{"what":"Shown","items":[7]}',
])  # fmt: skip


@given(st.lists(told_of, min_size=1, max_size=20))
def test_a_record_without_the_word_makes_no_row(texts):
    made = [Source(TABLE, "t", Exploding(shown, word), SourceSettings(50, 0), State()) for word in (b"", b"Shown")]
    every, told = (read(each, texts, [len(texts)], [1_000] * len(texts)) for each in made)
    assert told == every


lines = st.sampled_from([
    b'{"name":"a","n":1,"ts":1000,"price":1}', b'{"name":"b","ts":900}', b'{"name":"c"}', b'{"n":1}', b"{", b"[]", None,
    b'{"name":"d","ts":null}', b'{"name":"\\u0065","ts":"2026-01-02 03:04:05"}', b'{"name":"f","n":"x"}',
    b'{"name":"g","price":"1e9"}', b'{"name":7,"ts":99999999999999999999}', b'{"name":"h","ts":5000,"price":0.125}',
])  # fmt: skip


@given(st.lists(st.tuples(lines, st.integers(0, 120)), min_size=1, max_size=40), st.data())
def test_a_source_reads_the_same_rows_however_records_are_cut(told, data):
    texts = [text for text, _ in told]
    at_ms = np.cumsum([1000, *(pause if pause > 60 else 0 for _, pause in told[1:])]).tolist()
    cuts, left = [], len(texts)
    while left:
        cuts.append(data.draw(st.integers(1, left)))
        left -= cuts[-1]
    one_by_one = read(source(), texts, [1] * len(texts), at_ms)
    assert read(source(), texts, [len(texts)], at_ms) == one_by_one
    assert read(source(), texts, cuts, at_ms) == one_by_one


def test_the_columnar_way_is_taken_and_its_errors_are_the_slow_ones():
    good, bad = b'{"name":"a","n":1,"ts":5}', b'{"name":"b","n":3000000000,"ts":6}'
    made = source()
    rows, _, dead, _ = read(made, [good, bad, *[good] * FEW], [FEW + 2], [1000] * (FEW + 2))
    assert [line[0] for line in rows] == [0, *range(2, FEW + 2)]
    assert rows[0][2] == ("a", 1, 5, None)
    assert dead == [(1, "3000000000 does not fit INT")]


def test_decimals_are_decimals():
    decoded = DECODER.decode(*places([b'{"price":12.5}']))
    assert decoded.columns[9].to_list() == [Decimal("12.50")]
