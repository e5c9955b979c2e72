"""A drawn poster for a film that has none: an SVG of 400 x 600 units, made of nothing but title, kind and maker.

The kind gives the scene and the lettering (`poster_scenes`), the title its colours and every number in the drawing. A
kind that is not known draws the scene that the title's hash picks. `words=False` is the scene alone, for a wide screen.

Invariants: the same arguments give the same bytes in every process and version of Python; what comes from the arguments
is in the answer only as escaped text; no scripts, no links, no fonts, nothing is fetched.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from hashlib import blake2b

from nextpaint.serve.poster_inks import INKS
from nextpaint.serve.poster_scenes import SCENES, Brush

TEXT_CHARACTERS_MAX = 120  # of a title, a kind or a maker: more does not fit on a poster
LINES_MAX = 4
WORDS_MAX = 14  # every break between words is tried: 14 words on four lines are 286 ways

# How each kind is lettered: family, weight, capitals, spacing.
SERIF = "Georgia, 'Liberation Serif', 'DejaVu Serif', serif"
SANS = "'Liberation Sans Narrow', 'Arial Narrow', Arial, 'Liberation Sans', sans-serif"
ROUND = "'Trebuchet MS', Verdana, 'DejaVu Sans', sans-serif"
_PLAIN = (SERIF, "600", False, 0)
LETTERS: dict[str, tuple[str, str, bool, int]] = {
    "thriller": (SANS, "700", True, 2), "science fiction": (SANS, "400", True, 5), "comedy": (ROUND, "800", False, 0),
    "western": (SERIF, "700", True, 2), "documentary": (SANS, "600", False, 0), "animation": (ROUND, "800", False, 0),
    "music": (SANS, "800", True, 1), "sport": (SANS, "800", True, 1), "family": (ROUND, "800", False, 0),
    "horror": (SERIF, "700", True, 3),
}  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@lru_cache(maxsize=2048)
def poster_svg(title: str, kind: str = "", maker: str = "", words: bool = True) -> str:
    """The poster of a film, about 3 KB, safe to serve as `image/svg+xml`. `words=False`: the scene, 400 x 225 units."""
    title, kind, maker = (_NOT_XML.sub("", each[:TEXT_CHARACTERS_MAX]).strip() for each in (title, kind, maker))
    number = blake2b(title.encode("utf-8", "replace"), digest_size=2).digest()
    scene = kind.lower() if kind.lower() in SCENES else sorted(SCENES)[number[0] % len(SCENES)]
    inks = INKS[scene][number[1] % len(INKS[scene])]
    brush = Brush(title, inks)
    mirrored = ' transform="translate(400) scale(-1 1)"' if brush.between(0, 1) else ""
    drawn = f"<g{mirrored}>{SCENES[scene](brush)}</g>"
    box = "0 0 400 600" if words else "0 150 400 225"
    shade = "".join(
        f'<stop offset="{offset}" stop-color="{inks.dark}" stop-opacity="{opacity}"/>'
        for offset, opacity in ((0, 0), (0.42, 0.86), (1, 1))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" preserveAspectRatio="xMidYMid slice">'
        f'<title>{html.escape(title)}</title><defs><linearGradient id="b" x2="0" y2="1"><stop '
        f'stop-color="{inks.high}"/><stop offset="1" stop-color="{inks.low}"/></linearGradient>'
        f'<linearGradient id="s" x2="0" y2="1">{shade}</linearGradient></defs>'
        f'<path fill="url(#b)" d="M0 0h400v600H0z"/>{drawn}'
        f"{_lettering(title, scene, maker) if words else ''}</svg>"
    )


def _lettering(title: str, scene: str, maker: str) -> str:
    """The title on up to four lines from the bottom up, the kind above it and the maker below."""
    family, weight, capitals, spacing = LETTERS.get(scene, _PLAIN)
    lines = wrapped(title.upper() if capitals else title)
    longest = max(map(len, lines), default=1)
    # The longest line fits into 344 units in a wide font too: a letter of DejaVu Bold is 0.67 of its size wide, a
    # capital 0.8.
    size = min(54.0, (344 - spacing * longest) / (longest * (0.8 if capitals else 0.67)), 168 / max(1, len(lines)))
    bottom = 548.0
    top = bottom - size * 1.08 * (len(lines) - 1)
    text = "".join(
        f'<text x="28" y="{top + at * size * 1.08:.1f}" font-size="{size:.1f}" letter-spacing="{spacing}" '
        f'font-weight="{weight}">{html.escape(line)}</text>'
        for at, line in enumerate(lines)
    )
    small = 'font-size="13.5" letter-spacing="3" opacity=".82"'
    return (
        f'<path fill="url(#s)" d="M0 320h400v280H0z"/><g fill="#fffaf0" font-family="{family}">'
        f'<text x="29" y="{top - size - 8:.1f}" {small}>{html.escape(scene.upper())}</text>{text}'
        f'<text x="29" y="577" {small}>{html.escape(maker.upper())}</text></g>'
    )


def wrapped(title: str) -> list[str]:
    """A title on as few lines as let it stand large, none of them much longer than the others; at most `LINES_MAX`."""
    words = title.split()[:WORDS_MAX]
    if not words:
        return []
    most = min(LINES_MAX, len(words))
    for count in range(1, most + 1):
        lines = _in_lines(words, count)
        if max(map(len, lines)) <= 9 + 2 * count or count == most:
            return lines
    return [title]


def _in_lines(words: list[str], count: int) -> list[str]:
    """`words` on `count` lines whose longest is as short as can be (few words: every break is tried)."""
    if count == 1:
        return [" ".join(words)]
    best: list[str] = []
    for at in range(1, len(words) - count + 2):
        lines = [" ".join(words[:at]), *_in_lines(words[at:], count - 1)]
        if not best or max(map(len, lines)) < max(map(len, best)):
            best = lines
    return best
