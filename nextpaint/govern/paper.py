"""A view of a decision on paper: a PDF to file or to print, with the view itself attached.

    pdf = on_paper(view)           pages of the view's words, and `decision-ID.json` attached, byte for byte
    attached(pdf)                  that file again, out of a PDF of this module

What counts is the attachment: `nextpaint verify --view` checks it, and its signature covers it. The pages are for
reading. They are set in Courier, which every reader has; a character that it lacks is written as its number.
"""

from __future__ import annotations

import json
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nextpaint.record.errors import InvalidInput

WIDTH, HEIGHT, MARGIN = 595, 842, 50  # A4 in points
SIZE, LEADING = 9, 12
COLUMNS = int((WIDTH - 2 * MARGIN) / (SIZE * 0.6))  # Courier: every character is 0.6 of its size wide
LINES = (HEIGHT - 2 * MARGIN) // LEADING
ATTACHED_MAX = 16 << 20  # bytes of a view; one has some tens of thousands
_ATTACHED = b"/Type /EmbeddedFile"


def on_paper(view: Mapping[str, Any]) -> bytes:
    """The PDF of a view of a decision."""
    name = str(view.get("decision_id", ""))
    data = json.dumps(view, indent=1, ensure_ascii=False).encode()
    return _document(f"Decision {name}", _lines(view), f"decision-{name}.json", data)


def attached(pdf: bytes) -> bytes:
    """The file attached to a PDF of this module. Raises InvalidInput for another one."""
    start = pdf.find(_ATTACHED)
    begin = pdf.find(b"stream\n", start) + len(b"stream\n")
    end = pdf.find(b"\nendstream", begin)
    try:
        if start < 0 or end < 0:
            raise zlib.error("nothing is attached")
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(pdf[begin:end], ATTACHED_MAX)
        if not unpacking.eof:
            raise zlib.error(f"what is attached is torn, or larger than {ATTACHED_MAX >> 20} MB")
        return data
    except zlib.error as error:
        cure = "take one that `nextpaint why ID --view regulator --export FILE.pdf` wrote"
        raise InvalidInput(f"this PDF holds no view: {error}", where="view", cure=cure) from error


def _lines(view: Mapping[str, Any]) -> list[str]:
    """The words of a view, a line each; the facts first."""
    made = datetime.fromtimestamp(view.get("time_ms", 0) / 1000, UTC).isoformat(timespec="milliseconds")
    facts = [
        ("view", view.get("view")), ("decision", view.get("decision_id")), ("surface", view.get("surface")),
        ("purpose", view.get("purpose")), ("decided at", made if "time_ms" in view else None),
        ("read at position", view.get("position")), ("about", ", ".join(view.get("subjects", ()))),
        ("profiled", {True: "yes", False: "no"}.get(view.get("profiled", ""))),
        ("withheld because of", view.get("withheld")),
    ]  # fmt: skip
    lines = [f"{name:20}{value}" for name, value in facts if value not in (None, "")]
    lines += ["", *str(view.get("text", "")).splitlines()]
    if "personal_data_used" in view:
        used = [f"- {each['feature']}, from {each['source']}" for each in view["personal_data_used"]]
        lines += ["", "Personal data used", *(used or ["none"])]
    if "rights" in view:
        lines += ["", "What a person can ask for", *(f"- {each['right']}: {each['how']}" for each in view["rights"])]
    if "review" in view:
        told = {name: value for name, value in view["review"].items() if name != "decision_id"}
        lines += ["", "A person looked, or will", *(f"{name:20}{value}" for name, value in told.items())]
    replay = view.get("replay")
    if isinstance(replay, Mapping):
        lines += ["", f"Made again from the ledger: {replay.get('verdict')}"]
    for title, part in (("What it can be checked by", "integrity"), ("Signature", "signature")):
        if part in view:
            lines += ["", title, *(f"{name:20}{value}" for name, value in view[part].items())]
    if "kept" in view:
        lines += ["", str(view["kept"])]
    return [*lines, "", "The view is attached to this document as JSON, whole: `nextpaint verify --view` checks it."]


def _document(title: str, lines: Sequence[str], name: str, data: bytes) -> bytes:
    """A PDF 1.7 of lines of text and one attached file."""
    wrapped = [part for line in lines for part in (textwrap.wrap(line, COLUMNS, subsequent_indent="    ") or [""])]
    pages = [wrapped[at : at + LINES - 2] for at in range(0, len(wrapped), LINES - 2)] or [[]]
    first = 6  # objects before the pages: catalogue, pages, font, file, its description, about
    kids = " ".join(f"{first + 1 + 2 * at} 0 R" for at in range(len(pages)))
    spec = f"<< /Type /Filespec /F {_text(name)} /UF {_text(name)} /EF << /F 4 0 R >> /AFRelationship /Source >>"
    names = f"/Names << /EmbeddedFiles << /Names [{_text(name)} 5 0 R] >> >> /AF [5 0 R]"
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {names} >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        _stream(data, f"{_ATTACHED.decode()} /Subtype /application#2Fjson /Params << /Size {len(data)} >>"),
        spec.encode(),
        f"<< /Title {_text(title)} /Producer (Nextpaint) >>".encode(),
    ]
    for number, page in enumerate(pages, start=1):
        shown = [f"{title}, page {number} of {len(pages)}", "", *page]
        words = "\n".join(f"{_text(line)} Tj T*" for line in shown)
        drawn = f"BT /F1 {SIZE} Tf {LEADING} TL {MARGIN} {HEIGHT - MARGIN} Td\n{words}\nET"
        box = f"/MediaBox [0 0 {WIDTH} {HEIGHT}] /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} /Contents {len(objects) + 2} 0 R >>".encode())
        objects.append(_stream(drawn.encode("latin-1"), ""))
    out, places = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _stream(data: bytes, more: str) -> bytes:
    packed = zlib.compress(data, 9)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (more.encode(), len(packed), packed)


def _text(words: str) -> str:
    """A PDF string in WinAnsi, one byte a character; others as their number."""
    data = words.encode("cp1252", "backslashreplace")
    return (
        "("
        + "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in "()\\" else f"\\{byte:03o}" for byte in data)
        + ")"
    )
