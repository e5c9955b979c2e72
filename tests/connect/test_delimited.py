"""Somebody's CSV: the delimiter is found, rows have the editor's numbers, a broken file is told how to mend it."""

import pytest

from nextpaint.connect.delimited import Problems, open_table
from nextpaint.record.errors import InvalidInput


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_also_beside_commas_in_cells(tmp_path, delimiter):
    path = tmp_path / "products.csv"
    rows = [["sku", "name", "price"], ["A1", "cup, red", "1.5"], ["A2", "plate", "2"]]
    path.write_text("\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows))
    table = open_table(path)
    assert table.delimiter == delimiter
    assert [cells for _, cells in table.rows()] == rows[1:]


def test_decimal_commas_do_not_win_over_semicolons(tmp_path):
    (tmp_path / "p.csv").write_text("sku;name;price\nA;b;1,50\nC;d;2,50\n")
    assert open_table(tmp_path / "p.csv").delimiter == ";"


def test_a_byte_order_mark_windows_lines_and_double_names_are_fine(tmp_path):
    (tmp_path / "p.csv").write_bytes("\ufeffsku,Price,Price,\r\nA,1,2,3\r\n\r\n".encode())
    table = open_table(tmp_path / "p.csv")
    assert table.header == ("sku", "Price", "Price (2)", "column 4")
    assert list(table.rows()) == [(2, ["A", "1", "2", "3"])]


def test_row_numbers_are_those_an_editor_shows(tmp_path):
    (tmp_path / "p.csv").write_text('sku,name\nA,"two\nlines"\nB,short\nC\n')
    problems = Problems(tmp_path / "p.csv")
    assert [number for number, _ in open_table(tmp_path / "p.csv").rows(problems)] == [3, 4]
    assert problems.examples == ["row 5: 1 cells where the header has 2; quote cells that contain the delimiter"]


def test_a_few_bad_rows_pass_and_many_do_not(tmp_path):
    problems = Problems(tmp_path, rows=100, bad=5)
    problems.raise_if_many()
    problems.add("row 9", "one cell", "add the other")
    with pytest.raises(InvalidInput, match="6 of 100 rows cannot be used") as caught:
        problems.raise_if_many()
    assert "row 9: one cell; add the other" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"just some words\nand more\n", "no header"),
        (b"a,b\n1,\xe9\n", "not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        (b"PK\x03\x04\x00\x00a,b", "not a text file"),
    ],
)
def test_files_that_are_no_tables_are_refused_with_a_cure(tmp_path, content, message):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        open_table(tmp_path / "p.csv")
    assert caught.value.cure
    assert "p.csv" in caught.value.where


def test_bad_bytes_far_into_a_file_are_found_while_reading(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"sku,name\n" + b"A,b\n" * 50_000 + b"C,\xff\n")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        list(open_table(tmp_path / "p.csv").rows())


def test_a_quote_that_is_never_closed_is_named(tmp_path):
    (tmp_path / "p.csv").write_text('sku,name\nA,b\nB,"open' + "x,\n" * 100_000)
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        list(open_table(tmp_path / "p.csv").rows())
    assert "never closed" in caught.value.cure


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(InvalidInput, match="no such file"):
        open_table(tmp_path / "none.csv")
