"""Tiles: the noun gives the drawing, the colour words the palette, and nothing of the title but its text gets in."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.serve.tile_motifs import EMBLEM_AT, FIGURES, OBJECTS
from nextpaint.serve.tile_words import FIGURE_WORDS, OBJECT_WORDS
from nextpaint.serve.tiles import INKS, PALETTES, read_title, tile_svg

TITLES = [title for _, title, _ in json.loads((Path(__file__).parent / "shop_titles.json").read_text())]
SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {SVG + name for name in (
    "svg", "title", "defs", "linearGradient", "radialGradient", "stop", "pattern", "path", "circle", "ellipse", "rect",
    "g", "text",
)}  # fmt: skip


@pytest.mark.parametrize(
    ("title", "motif", "emblem", "palette", "surface"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "t-light", "heart", "white", ""),
        ("JUMBO BAG RED RETROSPOT", "bag", "", "red", "dots"),
        ("LUNCH BAG CARS BLUE", "lunch bag", "", "blue", ""),
        ("LUNCH BAG SPACEBOY DESIGN", "lunch bag", "rocket", "blue", ""),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "tin", "", "vintage", ""),
        ("PACK OF 72 RETROSPOT CAKE CASES", "cake cases", "", "red", "dots"),
        ("BOX OF 24 COCKTAIL PARASOLS", "umbrella", "", None, ""),
        ("STRAWBERRY LUNCH BOX WITH CUTLERY", "lunch box", "strawberry", "red", ""),
        ("RED HARMONICA IN BOX", "toy", "", "red", ""),
        ("VINTAGE UNION JACK BUNTING", "bunting", "", "navy", "union"),
        ("ALARM CLOCK BAKELIKE GREEN", "clock", "", "green", ""),
        ("ASSORTED COLOUR BIRD ORNAMENT", "bird", "", "rainbow", ""),
        ("JUMBO BAG DOILEY PATTERNS", "bag", "", "white", "lace"),
        ("something nobody sells", "parcel", "", None, ""),
    ],
)
def test_a_title_is_read_as_a_shopper_reads_it(title, motif, emblem, palette, surface):
    reading = read_title(title)
    assert (reading.motif, reading.emblem, reading.surface) == (motif, emblem, surface)
    assert palette is None or reading.palette == palette


def test_every_word_has_a_drawing_and_every_drawing_draws():
    assert set(OBJECT_WORDS) <= set(OBJECTS) and set(FIGURE_WORDS) <= set(FIGURES) and set(EMBLEM_AT) <= set(OBJECTS)
    assert len(OBJECTS) + len(FIGURES) >= 60
    for motif in [*OBJECT_WORDS.values(), *FIGURE_WORDS.values()]:
        ET.fromstring(tile_svg(motif.split("|")[0].replace(" ?", " ")))
    for drawing in [*OBJECTS.values(), *FIGURES.values()]:
        assert {ink for ink in INKS if "~" + ink in drawing}, drawing


def test_real_titles_nearly_all_have_a_motif_and_differ():
    assert sum(read_title(title).motif == "parcel" for title in TITLES) <= 2
    assert len({tile_svg(title) for title in TITLES}) == len(TITLES)


def test_a_tile_is_the_same_in_another_process():
    code = "from nextpaint.serve.tiles import tile_svg; print(tile_svg('ZINC FOLKART SLEIGH BELLS'))"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


@given(st.text(max_size=300))
def test_any_title_gives_a_harmless_document(title):
    root = ET.fromstring(tile_svg(title))
    for element in root.iter():
        assert element.tag in ALLOWED
        assert not any(name.lower().startswith("on") or "href" in name.lower() for name in element.attrib)
    assert root.find(f"{SVG}defs") is not None


@pytest.mark.parametrize(
    "title", ['"><script>alert(1)</script>', "</title><svg onload=x>", "\x00\x08&amp;", "\ud800 BAG"]
)
def test_a_hostile_title_stays_text(title):
    document = tile_svg(title)
    root = ET.fromstring(document.encode("utf-8", "strict"))
    assert "<script" not in document and root[0].tag == f"{SVG}title"


def test_every_palette_is_hex_colours():
    for palette in PALETTES.values():
        for name in palette.__slots__:
            value = getattr(palette, name)
            assert len(value) == 7 and int(value[1:], 16) >= 0
