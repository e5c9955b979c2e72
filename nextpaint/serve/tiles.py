"""A drawn tile for an item that has no picture: a square SVG that depends on nothing but the title.

The noun of the title gives the motif ("RED HANGING HEART T-LIGHT HOLDER" is a T-light, with a heart on it),
colour words give the palette, pattern words (retrospot, polkadot, stripe, gingham, paisley, union jack, doily) the
surface. A title without a known noun is a parcel; without a colour word its palette is picked by a hash of the title.

Invariants: the same title gives the same bytes in every process and version of Python; the only text of the title in
the answer is its escaped `<title>`; no scripts, no links, no fonts, nothing is fetched. It does not know the catalogue.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from functools import lru_cache

from .tile_motifs import EMBLEM_AT, FIGURES, OBJECTS
from .tile_words import COLOUR_WORDS, FIGURE_WORDS, OBJECT_WORDS, SURFACE_WORDS

TITLE_CHARACTERS_MAX = 200  # a longer title draws the same picture; it is cut before anything reads it


def _compile(words: dict[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """One pattern per phrase, longest phrase first, each matching a whole word with an optional plural."""
    pairs = [(phrase, motif) for motif, phrases in words.items() for phrase in phrases.split("|")]
    pairs.sort(key=lambda pair: (-len(pair[0].split()), -len(pair[0]), pair[0]))
    return tuple((re.compile(rf"(?<![a-z]){phrase}(?:e?s)?(?![a-z])"), motif) for phrase, motif in pairs)


_OBJECT_PATTERNS = _compile(OBJECT_WORDS)
_FIGURE_PATTERNS = _compile(FIGURE_WORDS)
# These name the thing wherever they stand: "LUNCH BAG CARS BLUE" is a bag, "DOORMAT HOME SWEET HOME" a mat.
_FIRM = frozenset(
    "apron,bag,bottle,bunting,clock,cushion,doormat,jug,lunch bag,lunch box,mug,ribbon,sign,teacup,tin,umbrella".split(
        ","
    )
)
_FIRM_PATTERNS = tuple(pair for pair in _OBJECT_PATTERNS if pair[1] in _FIRM)
_ORNAMENT = re.compile(r"(?<![a-z])(?:ornament|decoration)s?(?![a-z])")
# What a set is made of comes after its count; what follows these words tells about the thing and is not the thing.
_COUNT = re.compile(r"^\s*(?:box|pack|set|s|tube|bag|jar|pair|assortment)\s*/?\s*(?:of)?\s*/?\s*\d+\s+|^\s*\d+\s+")
_TAIL = re.compile(r"\s(?:with|w|in|on|for|designs?|patterns?|from)(?:\s|/|$)")


@dataclass(frozen=True, slots=True)
class Palette:
    """Six colours (hex): background from `sky` to `ground`; the thing in `main`, lines `deep`, `light` and `accent`."""

    sky: str
    ground: str
    main: str
    deep: str
    light: str
    accent: str


PALETTES: dict[str, Palette] = {
    "red": Palette("#fdeeea", "#f8d5cd", "#cf3f3a", "#7c1f24", "#fff1e6", "#f2b33d"),
    "pink": Palette("#fdeef3", "#f9d3e0", "#e5799f", "#93345b", "#fff0f5", "#7fb8ad"),
    "blue": Palette("#eaf3fb", "#cfe3f4", "#3f7fb5", "#1f4468", "#f0f8ff", "#f0a95b"),
    "green": Palette("#eef6ec", "#d3e8d0", "#4f8f62", "#24523a", "#f4fbef", "#e9a23b"),
    "ivory": Palette("#ece2d0", "#d9c8a9", "#efe3c8", "#8a7450", "#fffaf0", "#c98f6b"),
    "white": Palette("#dbe6ee", "#bccdd9", "#fbfaf6", "#6d7c88", "#ffffff", "#9fb9c9"),
    "black": Palette("#efedec", "#d8d4d2", "#35333a", "#16151a", "#f3efe9", "#d9a441"),
    "silver": Palette("#eff2f4", "#d7dde2", "#aab6c0", "#52606c", "#f7fafc", "#7fa3b8"),
    "gold": Palette("#fbf4e2", "#f3e2b6", "#d9a93f", "#7d5a16", "#fff6dc", "#b5533c"),
    "orange": Palette("#fef1e4", "#fbdcbd", "#e8853d", "#8c4313", "#fff4e6", "#3f8f8a"),
    "yellow": Palette("#fef8dd", "#fbebaa", "#efc23f", "#8b6710", "#fffbe6", "#4f8fa8"),
    "purple": Palette("#f4eefa", "#e1d2f0", "#8d68b5", "#4b2f6d", "#f9f3ff", "#e6a1b8"),
    "teal": Palette("#e6f5f3", "#c6e6e2", "#3f9a97", "#1d5554", "#effbf9", "#f08f72"),
    "brown": Palette("#f6efe8", "#e7d5c3", "#a1714b", "#55351f", "#fbf3ea", "#7c9a6d"),
    "grey": Palette("#f0f1f2", "#d9dcdf", "#86909a", "#3d454d", "#f8f9fa", "#d98b7b"),
    "vintage": Palette("#f7efe6", "#ead8c6", "#c08379", "#663f3d", "#fdf5ea", "#7f9a8c"),
    "festive": Palette("#eef4ee", "#d5e5d6", "#3f7f56", "#1e4a31", "#fdf7ea", "#c94640"),
    "navy": Palette("#edf1f8", "#d3dcec", "#2b4a86", "#172a52", "#f6f8fd", "#c93f45"),
    "rainbow": Palette("#f3f4fb", "#dfe6f5", "#5b8fc9", "#2c4670", "#fff4dc", "#ef7d6d"),
}
_HASHED = ("teal", "vintage", "blue", "pink", "green", "orange", "purple", "gold", "navy", "brown")
# A colour that is only a material or a mood yields to one that names the colour outright.
_PLAIN = re.compile(
    r"(?<![a-z])(red|pink|blue|green|ivory|cream|white|black|silver|gold|orange|yellow|purple|lilac|turquoise|brown"
    r"|grey)(?![a-z])"
)
_COLOUR_OF = {word: name for name, words in COLOUR_WORDS.items() for word in words.split("|")}
_COLOUR_PATTERN = re.compile(
    r"(?<![a-z])(" + "|".join(sorted(map(re.escape, _COLOUR_OF), key=lambda w: (-len(w), w))) + r")(?![a-z])"
)
_SURFACES = tuple((name, re.compile(rf"(?<![a-z])(?:{words})(?![a-z])")) for name, words in SURFACE_WORDS)
_PATTERNS: dict[str, tuple[int, str]] = {
    "dots": (22, '<circle cx="6" cy="6" r="4.4"/><circle cx="17" cy="17" r="4.4"/>'),
    "stripes": (18, '<path d="M0 0h9v18H0z"/>'),
    "gingham": (20, '<path d="M0 0h10v20H0z" opacity=".55"/><path d="M0 0h20v10H0z" opacity=".55"/>'),
    "paisley": (
        30,
        '<path d="M8 6q10-4 12 6t-10 12q6-8-2-18z"/><circle cx="24" cy="25" r="2.6"/><circle cx="4" cy="24" r="2"/>',
    ),
    "lace": (
        24,
        '<circle fill="none" stroke-width="2.4" stroke="~" cx="12" cy="12" r="7"/><circle cx="12" cy="12" r="2"/>',
    ),
    "sprig": (
        32,
        '<circle cx="9" cy="9" r="4"/><circle cx="25" cy="24" r="4"/><path d="M13 12q6 1 7 7-7-1-7-7z" opacity=".8"/>',
    ),
}
_UNION = (
    '<pattern id="s" width="1" height="1" viewBox="0 0 60 40" preserveAspectRatio="none">'
    '<path fill="#2b4a86" d="M0 0h60v40H0z"/><path stroke="#fff" stroke-width="8" d="M0 0l60 40M60 0L0 40"/>'
    '<path stroke="#c93f45" stroke-width="3" d="M0 0l60 40M60 0L0 40"/>'
    '<path fill="#fff" d="M24 0h12v40H24zM0 14h60v12H0z"/>'
    '<path fill="#c93f45" d="M27 0h6v40h-6zM0 17h60v6H0z"/></pattern>'
)
# The letters of the drawings. `{name}` is a colour of the palette.
INKS: dict[str, str] = {
    "m": 'fill="{main}"', "d": 'fill="{deep}"', "l": 'fill="{light}"', "a": 'fill="{accent}"', "p": 'fill="url(#s)"',
    "w": 'fill="#fffdf8"', "h": 'fill="#1a1020" fill-opacity=".11"', "y": 'fill="#fff" fill-opacity=".34"',
    "g": 'fill="#fff" fill-opacity=".62"', "f": 'fill="#f3bb45"', "o": 'fill="url(#glow)"', "i": 'fill="#5c9a63"',
    "q": 'fill="#4d8a5f"',
    "k": 'fill="none" stroke="{deep}" stroke-width="5" stroke-linecap="round" stroke-linejoin="round"',
    "K": 'fill="none" stroke="{deep}" stroke-width="9" stroke-linecap="round" stroke-linejoin="round"',
    "n": 'fill="none" stroke="{light}" stroke-width="3.5" stroke-linecap="round"',
    "x": 'fill="none" stroke="{accent}" stroke-width="5" stroke-linecap="round"',
    "j": 'fill="none" stroke="{main}" stroke-width="12"', "1": 'stroke="{main}"', "2": 'stroke="{accent}"',
}  # fmt: skip
_INK = re.compile(r"~([a-zA-Z0-9])")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a title says: drawing, figure on it ("" for none), name of the palette, surface ("" for plain)."""

    motif: str
    emblem: str
    palette: str
    surface: str


def _last(patterns: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    """The motif of the noun that ends last in `text`: in English the head of "cake tin" is the tin. "" if none."""
    best, best_end, best_length = "", -1, 0
    for pattern, motif in patterns:
        for found in pattern.finditer(text):
            length = found.end() - found.start()
            if (found.end(), length) > (best_end, best_length):
                best, best_end, best_length = motif, found.end(), length
    return best


def read_title(title: str) -> Reading:
    """Nouns, colours and patterns of a title; every title has a reading."""
    text = " ".join(title[:TITLE_CHARACTERS_MAX].lower().replace("+", " ").split())
    thing = _COUNT.sub("", text)
    tail = _TAIL.search(thing)
    head = thing[: tail.start()] if tail else thing
    figure = _last(_FIGURE_PATTERNS, thing) or ("bauble" if _ORNAMENT.search(thing) else "")
    motif = _last(_FIRM_PATTERNS, head) or _last(_OBJECT_PATTERNS, head) or _last(_OBJECT_PATTERNS, thing)
    motif = motif or figure or "parcel"
    emblem = figure if motif in EMBLEM_AT and figure else ""
    return Reading(motif, emblem, _palette_of(text), _surface_of(text))


def _palette_of(text: str) -> str:
    plain = _PLAIN.search(text)
    if re.search(r"union (?:jack|flag)", text):
        return "navy"
    if plain:
        return _COLOUR_OF[plain.group(1)]
    named = _COLOUR_PATTERN.search(text)
    if named:
        return _COLOUR_OF[named.group(1)]
    return _HASHED[hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=2).digest()[0] % len(_HASHED)]


def _surface_of(text: str) -> str:
    return next((name for name, pattern in _SURFACES if pattern.search(text)), "")


def _ink(drawing: str, palette: Palette) -> str:
    colours = {name: getattr(palette, name) for name in ("main", "deep", "light", "accent")}
    return _INK.sub(lambda found: INKS[found.group(1)].format(**colours), " ".join(drawing.split()))


def _definitions(palette: Palette, surface: str) -> str:
    if surface == "union":
        fill = _UNION
    elif surface:
        size, marks = _PATTERNS[surface]
        fill = (
            f'<pattern id="s" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
            f'<path fill="{palette.main}" d="M0 0h{size}v{size}H0z"/><g fill="{palette.light}">'
            f"{marks.replace('~', palette.light)}</g></pattern>"
        )
    else:
        fill = f'<linearGradient id="s"><stop stop-color="{palette.main}"/></linearGradient>'
    return (
        f'<defs><linearGradient id="b" x2="0" y2="1"><stop stop-color="{palette.sky}"/><stop offset="1" '
        f'stop-color="{palette.ground}"/></linearGradient><radialGradient id="glow"><stop stop-color="#ffd978" '
        f'stop-opacity=".75"/><stop offset="1" stop-color="#ffd978" stop-opacity="0"/></radialGradient>{fill}</defs>'
    )


@lru_cache(maxsize=4096)
def tile_svg(title: str) -> str:
    """The tile of `title`: an SVG document of 200 x 200 units, about 2 KB, safe to serve as `image/svg+xml`."""
    reading = read_title(title)
    palette = PALETTES[reading.palette]
    body = _ink(OBJECTS.get(reading.motif) or FIGURES[reading.motif], palette)
    if reading.emblem:
        x, y, scale = EMBLEM_AT[reading.motif]
        # The figure is cut out of paper: light body, dark lines, on a plain disc where the surface is busy.
        ink = palette.accent if reading.palette in ("white", "ivory") else palette.light
        paper = Palette(palette.sky, palette.ground, ink, palette.deep, palette.main, palette.accent)
        disc = f'<circle cx="{x}" cy="{y}" r="{68 * scale:.0f}" fill="{palette.main}"/>' if reading.surface else ""
        figure = _ink(FIGURES[reading.emblem].replace("~p", "~m").replace("~l", "~w"), paper)
        body += f'{disc}<g transform="translate({x} {y}) scale({scale}) translate(-100 -100)">{figure}</g>'
    name = html.escape(_NOT_XML.sub("", title[:TITLE_CHARACTERS_MAX]))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" role="img">'
        f"<title>{name}</title>{_definitions(palette, reading.surface)}"
        '<path fill="url(#b)" d="M0 0h200v200H0z"/><circle cx="100" cy="104" r="82" fill="#fff" fill-opacity=".38"/>'
        f'<ellipse cx="100" cy="164" rx="62" ry="7" fill="{palette.deep}" fill-opacity=".16"/>{body}</svg>'
    )
