"""Posters: the kind gives the scene, the title everything else, and nothing of them but text gets in."""

import csv
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.serve.poster_inks import INKS
from nextpaint.serve.poster_scenes import SCENES
from nextpaint.serve.posters import LINES_MAX, poster_svg, wrapped

SVG = "{http://www.w3.org/2000/svg}"
NAMES = "svg title defs linearGradient stop path circle ellipse rect g text clipPath"
ALLOWED = {SVG + name for name in NAMES.split()}
TITLES = Path(__file__).resolve().parents[2] / "blueprints/media/data/titles.csv"


def films():
    with TITLES.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def checked(svg):
    """The drawing as a tree, with known elements only and no way out of it."""
    tree = ET.fromstring(svg)
    for element in tree.iter():
        assert element.tag in ALLOWED
        assert not any("href" in name or name.startswith("on") for name in element.attrib)
        numbers = " ".join(value for name, value in element.attrib.items() if name != "aria-label")
        assert "NaN" not in numbers and "None" not in numbers
    return tree


def test_every_film_of_the_blueprint_has_a_sound_poster_of_its_own():
    posters = {poster_svg(film["title"], film["kind"], film["maker"]) for film in films()}
    assert len(posters) == 176
    for svg in posters:
        checked(svg)
        assert len(svg) < 12_000


def test_every_kind_of_the_blueprint_has_a_scene_and_inks():
    assert {film["kind"].lower() for film in films()} == SCENES.keys() == INKS.keys()


@pytest.mark.parametrize("kind", sorted(SCENES))
def test_one_kind_gives_many_pictures(kind):
    assert (
        len({poster_svg(f"Film {number}", kind, words=False).replace(f"Film {number}", "") for number in range(20)})
        == 20
    )


def test_the_title_stands_on_the_poster_and_not_on_the_scene():
    tree = checked(poster_svg("The Repair Café", "Romance", "Lucie Ferrand"))
    words = [element.text for element in tree.iter(SVG + "text")]
    assert " ".join(words[1:-1]) == "The Repair Café" and words[-1] == "LUCIE FERRAND" and words[0] == "ROMANCE"
    assert not list(checked(poster_svg("The Repair Café", "Romance", words=False)).iter(SVG + "text"))


@given(title=st.text(max_size=200), kind=st.text(max_size=20), maker=st.text(max_size=200), words=st.booleans())
def test_any_text_is_only_text(title, kind, maker, words):
    checked(poster_svg(title, kind, maker, words))


def test_markup_in_a_title_is_escaped():
    svg = poster_svg('<script>alert("1")</script>', "horror", "<b>&")
    checked(svg)
    assert "<script" not in svg.lower() and "&lt;" in svg


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=14), min_size=1, max_size=14))
def test_lines_keep_every_word_in_order(words):
    lines = wrapped(" ".join(words))
    assert " ".join(lines).split() == words and len(lines) <= LINES_MAX


def test_another_process_draws_the_same_bytes():
    code = "from nextpaint.serve.posters import poster_svg; print(poster_svg('Static', 'Horror', 'Miren Orth'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.rstrip("\n") == poster_svg("Static", "Horror", "Miren Orth")
