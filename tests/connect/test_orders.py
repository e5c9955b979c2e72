"""Order lines from files: what is kept, what is dropped and counted, and what a wrong file is told."""

import gzip
from collections import Counter
from datetime import datetime

import pytest

from nextpaint.connect.orders import OrderLine, epoch_ms, read_orders
from nextpaint.record.errors import InvalidInput

HEADER = "order_id,ts,customer_id,item_id,qty,price\n"


def test_csv_lines_come_in_file_order_and_cancellations_stay(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "1,2010-12-01T08:26,17850,A,6,2.55\nC2,2010-12-01T08:27:00Z,,A,-1,2.55\n")
    first = OrderLine("1", 1291191960000, "17850", "A", 6, 2.55)
    second = OrderLine("C2", 1291192020000, "", "A", -1, 2.55)
    assert list(read_orders(path)) == [first, second]


def test_gzip_and_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "orders.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + HEADER + "1,2010-12-01T08:26,,A,1,1\n").encode()))
    assert [line.item_id for line in read_orders(path)] == ["A"]


@pytest.mark.parametrize(
    "row",
    [
        ",2010-12-01T08:26,1,A,1,1",
        "1,yesterday,1,A,1,1",
        "1,2010-12-01T08:26,1,,1,1",
        "1,2010-12-01T08:26,1,A,one,1",
        "1,2010-12-01T08:26,1,A,1,nan",
        "1,2010-12-01T08:26",
    ],
)
def test_an_unreadable_row_is_dropped_and_counted(tmp_path, row):
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + row + "\n1,2010-12-01T08:26,1,B,1,1\n")
    dropped = Counter()
    assert [line.item_id for line in read_orders(path, dropped)] == ["B"]
    assert dropped == {"unreadable row": 1}


def test_wrong_files_are_told_what_to_do(tmp_path):
    with pytest.raises(InvalidInput, match="no such order file"):
        list(read_orders(tmp_path / "none.csv"))
    (tmp_path / "orders.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match=r"\.parquet"):
        list(read_orders(tmp_path / "orders.xlsx"))
    (tmp_path / "short.csv").write_text("order_id,ts,customer_id,item_id\n")
    with pytest.raises(InvalidInput, match="lacks the columns qty, price"):
        list(read_orders(tmp_path / "short.csv"))
    (tmp_path / "torn.csv.gz").write_bytes(gzip.compress(HEADER.encode() * 50)[:30])
    with pytest.raises(InvalidInput, match="cannot be read"):
        list(read_orders(tmp_path / "torn.csv.gz"))
    (tmp_path / "no.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InvalidInput, match="no Parquet file"):
        list(read_orders(tmp_path / "no.parquet"))


def uci(tmp_path, *rows):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = "invoice_no stock_code description quantity invoice_time unit_price_gbp customer_id country".split()
    table = pyarrow.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    parquet.write_table(table, tmp_path / "uci.parquet")
    return tmp_path / "uci.parquet"


def test_the_uci_set_is_cleaned_by_stated_rules(tmp_path):
    time = datetime(2010, 12, 1, 8, 26)
    path = uci(
        tmp_path,
        ("1", "85123a", " WHITE  HEART ", 6, time, 2.55, 17850, "UK"),
        ("1", "85123a", " WHITE  HEART ", 6, time, 2.55, 17850, "UK"),
        ("1", "POST", "POSTAGE", 1, time, 18.0, 17850, "UK"),
        ("1", "gift_0001_20", "VOUCHER", 1, time, 20.0, None, "UK"),
        ("2", "22423", "damages", -5, time, 0.0, None, "UK"),
        ("2", "22423", None, 5, time, 0.0, None, "UK"),
        ("2", "22423", "CAKESTAND", -5, time, 12.75, None, "UK"),
        ("C3", "22423", "CAKESTAND", -1, time, 12.75, None, "UK"),
        ("C3", "22423", "CAKESTAND", -2, time, 12.75, None, "UK"),
    )
    dropped = Counter()
    kept = [
        (line.order_id, line.item_id, line.qty, line.customer_id, line.title) for line in read_orders(path, dropped)
    ]
    assert kept == [
        ("1", "85123A", 6, "17850", "WHITE HEART"),
        ("C3", "22423", -1, "", "CAKESTAND"),
        ("C3", "22423", -2, "", "CAKESTAND"),  # hash(-1) == hash(-2) in Python: these are two lines
    ]
    assert dropped == {"exact duplicate": 1, "not an item": 2, "stock adjustment": 3}


def test_times_of_many_kinds_become_epoch_milliseconds():
    assert epoch_ms("2010-12-01T08:26:00Z") == epoch_ms(1291191960) == epoch_ms("1291191960000") == 1291191960000
    assert epoch_ms("2010-12-01T09:26:00+01:00") == epoch_ms(datetime(2010, 12, 1, 8, 26)) == 1291191960000
    assert [epoch_ms(value) for value in (None, True, "", "soon", float("nan"), [])] == [None] * 6
