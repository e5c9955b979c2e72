"""A view on paper: a PDF that other programs read, with the view attached byte for byte."""

import json
import re
import zlib

import pytest

from nextpaint.govern.paper import ATTACHED_MAX, COLUMNS, LINES, attached, on_paper
from nextpaint.record.errors import InvalidInput

VIEW = {
    "decision_id": "ab12", "view": "regulator", "surface": "shelf", "time_ms": 1_700_000_000_123, "position": 7,
    "profiled": True, "subjects": ["u:1"], "text": "Ten of (\\) them.\nTitle: Bücher, ספר",
    "personal_data_used": [{"feature": "heat", "source": "interest.heat"}],
    "integrity": {"record_sha256": "c" * 64}, "kept": "As long as the ledger.", "number": 0.1 + 0.2,
}  # fmt: skip


def objects(pdf):
    """The objects of a PDF by number, found by its table."""
    table = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[1])
    size = int(re.match(rb"xref\n0 (\d+)\n", pdf[table:])[1])
    places = [int(each) for each in re.findall(rb"(\d{10}) 00000 n \n", pdf[table:])]
    assert len(places) == size - 1 and b"/Root 1 0 R" in pdf[table:]
    for number, place in enumerate(places, start=1):
        assert pdf[place:].startswith(b"%d 0 obj\n" % number)
    return {number: pdf[place : pdf.index(b"\nendobj\n", place)] for number, place in enumerate(places, start=1)}


def pages(pdf):
    """The lines of each page as they are drawn."""
    found = objects(pdf)
    made = []
    for number in re.findall(rb"(\d+) 0 R", re.search(rb"/Kids \[([^]]*)\]", found[2])[1]):
        page = found[int(number)]
        stream = found[int(re.search(rb"/Contents (\d+) 0 R", page)[1])]
        begin = stream.index(b"stream\n") + 7
        length = int(re.search(rb"/Length (\d+)", stream)[1])
        assert stream[begin + length :] == b"\nendstream"
        drawn = zlib.decompress(stream[begin : begin + length]).decode("ascii")
        lines = re.findall(r"^\((.*)\) Tj T\*$", drawn, re.MULTILINE)
        made.append(
            [re.sub(r"\\(\d{3})", lambda code: bytes([int(code[1], 8)]).decode("cp1252"), each) for each in lines]
        )
    return made


def test_a_view_is_readable_on_paper_and_attached_as_it_is():
    pdf = on_paper(VIEW)
    (lines,) = pages(pdf)
    assert lines[0] == "Decision ab12, page 1 of 1"
    assert "decided at          2023-11-14T22:13:20.123+00:00" in lines
    assert "Ten of (\\) them." in lines, "brackets are words, not ends of them"
    assert "Title: Bücher, \\u05e1\\u05e4\\u05e8" in lines, "what the font lacks is written as its number"
    assert "- heat, from interest.heat" in lines and f"record_sha256       {'c' * 64}" in lines
    assert json.loads(attached(pdf)) == VIEW
    assert on_paper(VIEW) == pdf


def test_a_long_view_takes_as_many_pages_as_it_needs_and_loses_no_word():
    words = [f"word{number}" for number in range(4_000)]
    made = pages(on_paper({**VIEW, "text": "\n".join(" ".join(words[at : at + 40]) for at in range(0, 4_000, 40))}))
    assert len(made) > 5 and all(len(page) <= LINES for page in made)
    assert all(len(line) <= COLUMNS for page in made for line in page)
    assert re.findall(r"\bword\d+\b", " ".join(line for page in made for line in page[2:])) == words


def test_a_pdf_that_unpacks_to_gigabytes_is_refused_before_it_does():
    bomb = on_paper(VIEW)
    begin = bomb.index(b"stream\n", bomb.index(b"/EmbeddedFile")) + 7
    packed = zlib.compress(bytes(ATTACHED_MAX + 1))
    with pytest.raises(InvalidInput, match="larger than 16 MB"):
        attached(bomb[:begin] + packed + bomb[bomb.index(b"\nendstream", begin) :])


def test_another_pdf_is_refused():
    with pytest.raises(InvalidInput, match="holds no view"):
        attached(b"%PDF-1.4\n1 0 obj\nstream\nx\nendstream")
