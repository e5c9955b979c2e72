"""What a poster can show: one scene per kind of film, on a canvas of 400 x 600 units.

A scene is a function of a `Brush` (five colours and a chain of numbers that follow from the title), so one kind gives as
many pictures as there are titles. What matters lies between y = 120 and y = 400: below, the words go over it. Nothing here
reads a title: `posters` does.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from math import cos, pi, sin

from nextpaint.serve.poster_inks import Inks


class Brush:
    """The colours of a poster, and numbers in a fixed order: the same seed gives the same picture."""

    def __init__(self, seed: str, inks: Inks) -> None:
        self.inks = inks
        self._seed = seed.encode("utf-8", "replace")
        self._drawn = 0

    def between(self, low: float, high: float) -> int:
        """A whole number from `low` to `high`, both included."""
        self._drawn += 1
        digest = blake2b(self._seed, digest_size=4, salt=self._drawn.to_bytes(8, "big")).digest()
        return int(low) + int.from_bytes(digest, "big") % (int(high) - int(low) + 1)

    def stars(self, count: int, y_max: int = 380) -> str:
        dots = "".join(
            f'<circle cx="{self.between(8, 392)}" cy="{self.between(8, y_max)}" r="{self.between(4, 16) / 10}"/>'
            for _ in range(count)
        )
        return f'<g fill="#fff" opacity=".75">{dots}</g>'

    def ridge(self, y: int, rough: int, colour: str, opacity: float = 1.0) -> str:
        """A range of hills across the canvas, filled to the bottom."""
        points = [f"M-20 {y + self.between(0, rough)}"]
        for x in range(-20, 420, 80):
            points.append(f"L{x + 40} {y - self.between(0, rough)}L{x + 80} {y + self.between(0, rough)}")
        return f'<path d="{"".join(points)}V620H-20z" fill="{colour}" opacity="{opacity}"/>'

    def swell(self, y: int, height: int, colour: str, opacity: float = 1.0) -> str:
        """A soft wave across the canvas, filled to the bottom."""
        turn = self.between(-40, 0)
        waves = "".join(f"q50 {-height if at % 2 else height} 100 0" for at in range(5))
        return f'<path d="M{turn} {y}{waves}V620H{turn}z" fill="{colour}" opacity="{opacity}"/>'


def thriller(brush: Brush) -> str:
    """A corridor that narrows to a lit door, and somebody in it."""
    inks, x, y = brush.inks, brush.between(150, 250), brush.between(230, 270)
    walls = ""
    for step in range(7):
        k = 1 - step / 7.6
        left, top, right, bottom = x - x * k, y - y * k, x + (400 - x) * k, y + (600 - y) * k
        walls += (
            f'<path d="M{left:.0f} {top:.0f}H{right:.0f}V{bottom:.0f}H{left:.0f}z" fill="{inks.main}" '
            f'fill-opacity="{0.05 + step * 0.045:.3f}" stroke="{inks.dark}" stroke-opacity=".55" stroke-width="2"/>'
        )
    light = (
        f'<path d="M{x - 17} {y + 34}L{x - 110} 600H{x + 110}L{x + 17} {y + 34}z" fill="{inks.spark}" opacity=".26"/>'
    )
    door = f'<path d="M{x - 17} {y - 34}h34v68h-34z" fill="{inks.spark}"/>'
    tall = brush.between(62, 84)
    body = (
        f'<g fill="{inks.dark}"><circle cx="{x}" cy="{y + 44 - tall}" r="{tall // 8}"/>'
        f'<path d="M{x - tall // 5} {y + 40}l{tall // 12} {-tall * 0.74:.0f}q{tall // 9} {-tall // 9} '
        f'{tall // 4} 0l{tall // 12} {tall * 0.74:.0f}z"/></g>'
    )
    return f"{walls}{light}{door}{body}"


def science_fiction(brush: Brush) -> str:
    """A planet with a ring, a moon, and a ship on its way."""
    inks, x, y, r = brush.inks, brush.between(130, 270), brush.between(210, 290), brush.between(84, 120)
    tilt = brush.between(-32, 32)
    bands = "".join(
        f'<ellipse cx="{x}" cy="{y + at}" rx="{r}" ry="{brush.between(5, 12)}" fill="{inks.dark}" opacity=".2"/>'
        for at in range(-r + 24, r, brush.between(30, 44))
    )
    planet = (
        f'<clipPath id="p"><circle cx="{x}" cy="{y}" r="{r}"/></clipPath><circle cx="{x}" cy="{y}" r="{r}" '
        f'fill="{inks.main}"/><g clip-path="url(#p)" transform="rotate({tilt} {x} {y})">{bands}<circle cx="{x + r * 0.45:.0f}" '
        f'cy="{y + r * 0.3:.0f}" r="{r * 1.15:.0f}" fill="{inks.dark}" opacity=".32"/></g>'
    )
    ring = (
        f'<g transform="rotate({tilt} {x} {y})" fill="none" stroke="{inks.spark}"><path stroke-width="7" '
        f'd="M{x - r * 1.75:.0f} {y}A{r * 1.75:.0f} {r * 0.34:.0f} 0 0 0 {x + r * 1.75:.0f} {y}"/>'
        f'<path stroke-width="2.5" opacity=".8" d="M{x - r * 2:.0f} {y}A{r * 2} {r * 0.42:.0f} 0 0 0 {x + r * 2:.0f} {y}"/></g>'
    )
    mx, my = brush.between(40, 360), brush.between(70, 120)
    moon = f'<circle cx="{mx}" cy="{my}" r="{brush.between(12, 26)}" fill="{inks.spark}" opacity=".85"/>'
    sx, sy = brush.between(50, 150), brush.between(360, 400)
    ship = (
        f'<path d="M{sx - 90} {sy + 46}L{sx} {sy}" stroke="#fff" stroke-width="2" stroke-dasharray="2 7" opacity=".7"/>'
        f'<path d="M{sx - 4} {sy - 6}l26-6-14 22z" fill="#fff"/>'
    )
    return f"{brush.stars(70)}{moon}{planet}{ring}{ship}"


def romance(brush: Brush) -> str:
    """A low sun over water, and two who see it."""
    inks, x, r = brush.inks, brush.between(130, 270), brush.between(88, 118)
    y = brush.between(250, 280)
    sun = (
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="{inks.main}"/><circle cx="{x + 46}" cy="{y - 26}" r="{r * 0.8:.0f}" '
    )
    sun += f'fill="{inks.spark}" opacity=".55"/>'
    sea = "".join(brush.swell(y + 40 + at * 26, 10 + at * 2, inks.dark, 0.3) for at in range(6))
    px = x + brush.between(-50, 20)
    pair = "".join(
        f'<g fill="{inks.dark}"><circle cx="{px + side}" cy="{y + 12}" r="10"/><path d="M{px + side - 13} {y + 84}'
        f'q2-58 13-60 11 2 13 60z"/></g>'
        for side in (0, brush.between(24, 32))
    )
    return f"{sun}{sea}{pair}"


def comedy(brush: Brush) -> str:
    """A grin, a hat that does not fit, and confetti."""
    inks, x, y = brush.inks, brush.between(175, 225), brush.between(250, 280)
    bits = "".join(
        f'<rect x="{brush.between(0, 390)}" y="{brush.between(0, 420)}" width="{brush.between(8, 22)}" '
        f'height="{brush.between(8, 14)}" rx="4" fill="{(inks.spark, inks.main, "#fff")[at % 3]}" opacity=".8" '
        f'transform="rotate({brush.between(0, 90)} 200 200)"/>'
        for at in range(26)
    )
    tilt = brush.between(-18, 18)
    face = (
        f'<g transform="rotate({tilt // 2} {x} {y})"><circle cx="{x}" cy="{y}" r="104" fill="{inks.main}"/>'
        f'<path d="M{x - 62} {y + 18}q62 {brush.between(74, 104)} 124 0z" fill="{inks.dark}"/>'
        f'<circle cx="{x - 34}" cy="{y - 20}" r="{brush.between(9, 15)}" fill="{inks.dark}"/>'
        f'<circle cx="{x + 36}" cy="{y - 20}" r="{brush.between(9, 15)}" fill="{inks.dark}"/></g>'
    )
    hat = brush.between(0, 2)
    shapes = (
        f'<path d="M{x - 76} {y - 86}h152v16h-152zM{x - 46} {y - 170}h92v86h-92z"/>',
        f'<path d="M{x} {y - 196}l66 118h-132z"/><circle cx="{x}" cy="{y - 196}" r="15" fill="{inks.spark}"/>',
        f'<path d="M{x - 84} {y - 78}q84-110 168 0z"/><path d="M{x + 60} {y - 84}q60-4 64 16-40 8-64-4z"/>',
    )
    return f'{bits}{face}<g fill="{inks.dark}" transform="rotate({tilt} {x} {y - 80})">{shapes[hat]}</g>'


def drama(brush: Brush) -> str:
    """Light through a window, on a floor with one chair."""
    inks, x, y = brush.inks, brush.between(60, 190), brush.between(90, 130)
    w, h = brush.between(110, 150), brush.between(150, 180)
    lean = brush.between(40, 90)
    frame = (
        f'<path d="M{x} {y}h{w}v{h}h{-w}z" fill="{inks.spark}"/><path d="M{x + w // 2} {y}v{h}M{x} {y + h // 2}h{w}" '
    )
    frame += (
        f'stroke="{inks.dark}" stroke-width="7"/><path d="M{x} {y}h{w}v{h}h{-w}z" fill="none" stroke="{inks.dark}" '
    )
    frame += 'stroke-width="9"/>'
    ray = f'<path d="M{x} {y + h}h{w}l{lean + 40} 300h{-w - 60}z" fill="{inks.spark}" opacity=".22"/>'
    floor = f'<path d="M0 400h400v200H0z" fill="{inks.dark}" opacity=".35"/>'
    cx, cy = x + lean + brush.between(60, 90), 352
    chair = (
        f'<g fill="none" stroke="{inks.dark}" stroke-width="9" stroke-linecap="round"><path d="M{cx} {cy - 66}v132'
        f'M{cx} {cy}h54M{cx + 54} {cy}v66M{cx} {cy - 60}h4M{cx + 14} {cy + 4}v40"/></g>'
    )
    return f"{floor}{ray}{frame}{chair}"


def mystery(brush: Brush) -> str:
    """A keyhole, what shines through it, and rings of doubt."""
    inks, x, y = brush.inks, brush.between(180, 220), brush.between(215, 245)
    rings = "".join(
        f'<circle cx="{x}" cy="{y}" r="{96 + at * brush.between(24, 34)}" fill="none" stroke="{inks.main}" '
        f'stroke-width="{max(1, 7 - at)}" stroke-dasharray="{brush.between(30, 220)} {brush.between(8, 50)}" opacity=".7"/>'
        for at in range(7)
    )
    hole = f'<circle cx="{x}" cy="{y}" r="74"/><path d="M{x - 30} {y + 50}h60l30 130h-120z"/>'
    eye_x = x + brush.between(-14, 14)
    eye = (
        f'<path d="M{x - 58} {y}q58-58 116 0-58 58-116 0z" fill="{inks.spark}"/><circle cx="{eye_x}" cy="{y}" r="25" '
        f'fill="{inks.main}"/><circle cx="{eye_x}" cy="{y}" r="11" fill="{inks.dark}"/>'
        f'<circle cx="{eye_x + 8}" cy="{y - 8}" r="5" fill="#fff"/>'
    )
    return f'{rings}<g fill="{inks.dark}">{hole}</g>{eye}'


def adventure(brush: Brush) -> str:
    """Ranges behind ranges, a sun, and a path that goes on."""
    inks = brush.inks
    sun = f'<circle cx="{brush.between(90, 310)}" cy="{brush.between(120, 170)}" r="{brush.between(40, 66)}" '
    sun += f'fill="{inks.spark}"/>'
    ranges = "".join(
        brush.ridge(y, rough, colour, opacity)
        for y, rough, colour, opacity in (
            (220, 60, inks.main, 0.45), (280, 52, inks.main, 0.8), (345, 40, inks.dark, 0.6), (420, 26, inks.dark, 1.0),
        )
    )  # fmt: skip
    x = brush.between(150, 260)
    path = f'<path d="M{x} 330q{brush.between(-60, 60)} 40 {brush.between(-30, 30)} 80t{brush.between(-40, 40)} 90 '
    path += f'20 110" fill="none" stroke="{inks.spark}" stroke-width="5" stroke-dasharray="13 10" opacity=".9"/>'
    flag = f'<path d="M{x} 330v-42" stroke="{inks.dark}" stroke-width="4"/><path d="M{x} 288l34 11-34 12z" fill="{inks.spark}"/>'
    birds = "".join(
        f'<path d="M{bx} {by}q8-9 15 0 8-9 15 0" fill="none" stroke="{inks.dark}" stroke-width="3"/>'
        for bx, by in ((brush.between(30, 340), brush.between(60, 150)) for _ in range(4))
    )
    return f"{sun}{birds}{ranges}{path}{flag}"


def fantasy(brush: Brush) -> str:
    """A castle on a hill under a large moon."""
    inks, x = brush.inks, brush.between(140, 240)
    moon = f'<circle cx="{x + brush.between(-60, 60)}" cy="{brush.between(150, 190)}" r="{brush.between(82, 112)}" '
    moon += f'fill="{inks.spark}" opacity=".9"/>'
    towers, at = "", x - 74
    for _ in range(brush.between(4, 5)):
        wide, tall = brush.between(24, 38), brush.between(80, 170)
        roof = brush.between(34, 60)
        towers += f'<path d="M{at} 370v{-tall}h{wide}v{tall}zM{at - 6} {370 - tall}l{wide // 2 + 6} {-roof} {wide // 2 + 6} {roof}z"/>'
        towers += f'<path d="M{at + wide // 2 - 4} {386 - tall}h8v14h-8z" fill="{inks.spark}"/>'
        at += wide + brush.between(-3, 8)
    hills = brush.swell(372, 34, inks.dark) + brush.swell(430, 22, inks.main, 0.35)
    return f'{brush.stars(40, 300)}{moon}<g fill="{inks.dark}">{towers}</g>{hills}'


def horror(brush: Brush) -> str:
    """A house, bare trees, and one window that should be dark."""
    inks, x, lean = brush.inks, brush.between(150, 230), brush.between(-7, 7)
    moon = f'<circle cx="{brush.between(80, 320)}" cy="{brush.between(110, 160)}" r="{brush.between(46, 70)}" '
    moon += f'fill="{inks.main}" opacity=".8"/>'
    lit = brush.between(0, 3)
    windows = "".join(
        f'<path d="M{x - 36 + (at % 2) * 44} {290 + (at // 2) * 42}h20v26h-20z" fill="{inks.spark if at == lit else inks.low}" '
        f'opacity="{1 if at == lit else 0.35}"/>'
        for at in range(4)
    )
    house = f'<g transform="rotate({lean} {x} 400)"><path fill="{inks.dark}" d="M{x - 62} 410v-136l62-66 62 66v136z'
    house += f'M{x + 22} 250v-58h18v76z"/>{windows}</g>'
    trees = ""
    for side in (brush.between(10, 70), brush.between(310, 380)):
        branches = "".join(
            f"M{side} {y}q{(reach := brush.between(20, 58) * (1 if turn % 2 else -1))} {-brush.between(8, 34)} "
            f"{reach * 1.2:.0f} {-brush.between(40, 70)}"
            for turn, y in enumerate(range(230, 390, 32))
        )
        trees += f'<path d="M{side} 420V{brush.between(150, 200)}{branches}" fill="none" stroke="{inks.dark}" '
        trees += 'stroke-width="6" stroke-linecap="round"/>'
    fog = "".join(brush.swell(y, 16, inks.low, 0.3) for y in (392, 420))
    return f"{moon}{trees}{house}{brush.swell(404, 20, inks.dark)}{fog}"


def western(brush: Brush) -> str:
    """A striped sun, tables of rock, a cactus."""
    inks, x, y, r = brush.inks, brush.between(140, 260), brush.between(210, 240), brush.between(96, 122)
    bars = "".join(
        f'<path d="M0 {y + at}h400v{3 + at // 9}H0z" fill="{inks.low}"/>' for at in range(0, r, brush.between(17, 23))
    )
    sun = f'<circle cx="{x}" cy="{y}" r="{r}" fill="{inks.spark}"/>{bars}'
    rocks = ""
    for _ in range(3):
        left, tall, wide = brush.between(-40, 320), brush.between(70, 130), brush.between(60, 110)
        rocks += f'<path d="M{left - 26} 372l26 {-tall}h{wide}l{brush.between(14, 30)} {tall}z" fill="{inks.main}"/>'
    cx = brush.between(50, 340)
    cactus = (
        f'<g fill="none" stroke="{inks.dark}" stroke-width="17" stroke-linecap="round"><path d="M{cx} 416v-118M{cx} 370h-30'
        f'v-34M{cx} 350h28v-30"/></g>'
    )
    return f'{sun}{rocks}<path d="M0 370h400v230H0z" fill="{inks.dark}" opacity=".55"/>{cactus}{brush.swell(420, 12, inks.dark)}'


def documentary(brush: Brush) -> str:
    """Lines of equal height around a place that was really visited; or would have been."""
    inks, x, y = brush.inks, brush.between(130, 270), brush.between(200, 280)
    wobble = [brush.between(74, 126) / 100 for _ in range(10)]
    lines = ""
    for ring in range(1, 12):
        points = []
        for at in range(10):
            reach = ring * 24 * (1 + (wobble[at] - 1) * min(1.0, 0.35 + ring / 9))
            angle = 2 * pi * at / 10
            points.append((x + reach * cos(angle) * 1.06, y + reach * sin(angle)))
        middles = [
            ((ax + bx) / 2, (ay + by) / 2) for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True)
        ]
        curve = f"M{middles[-1][0]:.0f} {middles[-1][1]:.0f}" + "".join(
            f"Q{px:.0f} {py:.0f} {mx:.0f} {my:.0f}" for (px, py), (mx, my) in zip(points, middles, strict=True)
        )
        lines += f'<path d="{curve}z" stroke-width="{3.4 if ring % 4 == 0 else 1.5}"/>'
    return (
        f'<g fill="none" stroke="{inks.main}">{lines}</g><circle cx="{x}" cy="{y}" r="9" fill="{inks.spark}"/>'
        f'<circle cx="{x}" cy="{y}" r="18" fill="none" stroke="{inks.spark}" stroke-width="3"/>'
    )


def animation(brush: Brush) -> str:
    """Creatures on soft hills."""
    inks = brush.inks
    hills = brush.swell(300, 60, inks.main, 0.5) + brush.swell(360, 44, inks.main, 0.8)
    beasts = ""
    for number in range(3):
        x, y, r = 80 + number * 120 + brush.between(-14, 14), brush.between(230, 330), brush.between(38, 62)
        colour = (inks.spark, inks.dark, inks.main)[number]
        gaze = brush.between(-4, 4)
        beasts += f'<path d="M{x - r} {y + r}V{y}a{r} {r} 0 0 1 {2 * r} 0v{r}q{-r // 2} {-r // 3} {-r} 0t{-r} 0z" fill="{colour}"/>'
        beasts += "".join(
            f'<circle cx="{x + at}" cy="{y - 4}" r="12" fill="#fff"/><circle cx="{x + at + gaze}" cy="{y - 2}" r="6" fill="#20202c"/>'
            for at in (-16, 16)
        )
        beasts += (
            f'<path d="M{x - 9} {y + 16}q9 {brush.between(5, 13)} 18 0" fill="none" stroke="#20202c" stroke-width="4"/>'
        )
    sun = f'<circle cx="{brush.between(60, 340)}" cy="{brush.between(80, 130)}" r="{brush.between(34, 50)}" fill="{inks.spark}"/>'
    return f'{sun}{hills}{beasts}<path d="M0 430h400v170H0z" fill="{inks.dark}" opacity=".25"/>'


def music(brush: Brush) -> str:
    """A record, and what comes out of it."""
    inks, x, y, r = brush.inks, brush.between(150, 250), brush.between(215, 245), brush.between(112, 132)
    grooves = "".join(
        f'<circle cx="{x}" cy="{y}" r="{at}" fill="none" stroke="{inks.low}" stroke-width="1.4" opacity=".5"/>'
        for at in range(52, r, 9)
    )
    disc = f'<circle cx="{x}" cy="{y}" r="{r}" fill="{inks.dark}"/>{grooves}<circle cx="{x}" cy="{y}" r="42" '
    disc += f'fill="{inks.spark}"/><circle cx="{x}" cy="{y}" r="6" fill="{inks.dark}"/>'
    bars = "".join(
        f'<rect x="{at}" y="{410 - (tall := brush.between(14, 118))}" width="13" height="{tall}" rx="6"/>'
        for at in range(18, 390, 23)
    )
    return f'{disc}<g fill="{inks.main}" opacity=".92">{bars}</g>'


def sport(brush: Brush) -> str:
    """Lanes into the distance, and something that flies."""
    inks, x = brush.inks, brush.between(120, 280)
    lanes = "".join(
        f'<path d="M{x + at * 8} 190L{200 + at * 92} 620h46L{x + at * 8 + 4} 190z"/>' for at in range(-4, 5)
    )
    field = f'<path d="M0 190h400v430H0z" fill="{inks.main}"/><g fill="#fff" opacity=".5">{lanes}</g>'
    crowd = "".join(
        f'<circle cx="{at}" cy="{168 + brush.between(0, 14)}" r="9" fill="{(inks.dark, inks.spark, inks.low)[brush.between(0, 2)]}"/>'
        for at in range(4, 400, 15)
    )
    bx, by = brush.between(80, 320), brush.between(70, 120)
    arc = f'<path d="M{brush.between(20, 380)} 400Q{bx} {by - 110} {bx} {by}" fill="none" stroke="{inks.spark}" '
    arc += f'stroke-width="4" stroke-dasharray="3 11" stroke-linecap="round"/><circle cx="{bx}" cy="{by}" r="19" fill="{inks.spark}"/>'
    return f'{crowd}{field}<path d="M0 186h400v12H0z" fill="{inks.dark}"/>{arc}'


def history(brush: Brush) -> str:
    """Columns, an arch, and a banner."""
    inks, many = brush.inks, brush.between(4, 6)
    width = 320 // many
    columns = "".join(
        f'<path d="M{40 + at * width + 8} 210h{width - 18}v180h{-(width - 18)}z"/>'
        f'<path d="M{40 + at * width + 2} 198h{width - 6}v14h{-(width - 6)}zM{40 + at * width + 2} 384h{width - 6}v14h{-(width - 6)}z"/>'
        for at in range(many)
    )
    roof = f'<path d="M24 196L200 {brush.between(96, 126)} 376 196z"/><path d="M24 400h352v14H24zM10 416h380v16H10z"/>'
    sun = f'<circle cx="200" cy="{brush.between(150, 240)}" r="{brush.between(110, 150)}" fill="{inks.spark}" opacity=".5"/>'
    x = brush.between(120, 280)
    banner = f'<path d="M{x} 206v-130" stroke="{inks.dark}" stroke-width="5"/><path d="M{x} 78q26-16 46 0t44 0v44q-24 16-44 0t-46 0z" '
    banner += f'fill="{inks.spark}"/>'
    return f'{sun}<g fill="{inks.main}">{columns}{roof}</g>{banner}'


def family(brush: Brush) -> str:
    """Roofs, a kite, and a balloon."""
    inks = brush.inks
    houses, at = "", -10
    while at < 400:
        wide, tall = brush.between(54, 84), brush.between(70, 130)
        colour = (inks.main, inks.dark, inks.spark)[brush.between(0, 2)]
        houses += f'<path d="M{at} 430v{-tall}l{wide // 2} -36 {wide - wide // 2} 36v{tall}z" fill="{colour}"/>'
        houses += f'<path d="M{at + wide // 2 - 8} {430 - tall + 20}h16v20h-16z" fill="#fff" opacity=".8"/>'
        at += wide
    kx, ky = brush.between(60, 180), brush.between(80, 150)
    kite = (
        f'<path d="M{kx} {ky}l34 44-34 58-34-58z" fill="{inks.spark}"/><path d="M{kx} {ky}v102M{kx - 34} {ky + 44}h68" '
    )
    kite += f'stroke="#fff" stroke-width="3"/><path d="M{kx} {ky + 102}q{brush.between(20, 70)} 60 -10 110t40 110" fill="none" '
    kite += 'stroke="#fff" stroke-width="2.5"/>'
    bx, by = brush.between(260, 330), brush.between(110, 170)
    balloon = f'<circle cx="{bx}" cy="{by}" r="48" fill="{inks.dark}"/><ellipse cx="{bx}" cy="{by}" rx="20" ry="48" '
    balloon += f'fill="{inks.main}"/><path d="M{bx - 14} {by + 64}h28v18h-28z" fill="{inks.spark}"/><path d="M{bx - 26} {by + 40}'
    balloon += f'l14 26M{bx + 26} {by + 40}l-14 26" stroke="{inks.dark}" stroke-width="2.5"/>'
    clouds = "".join(
        f'<g fill="#fff" opacity=".65"><circle cx="{cx}" cy="{cy}" r="17"/><circle cx="{cx + 22}" cy="{cy - 8}" r="22"/>'
        f'<circle cx="{cx + 46}" cy="{cy}" r="16"/></g>'
        for cx, cy in ((brush.between(-20, 350), brush.between(40, 240)) for _ in range(3))
    )
    return f'{clouds}{balloon}{kite}{houses}<path d="M0 428h400v192H0z" fill="{inks.dark}"/>'


SCENES: dict[str, Callable[[Brush], str]] = {
    "thriller": thriller, "science fiction": science_fiction, "romance": romance, "comedy": comedy, "drama": drama,
    "mystery": mystery, "adventure": adventure, "fantasy": fantasy, "horror": horror, "western": western,
    "documentary": documentary, "animation": animation, "music": music, "sport": sport, "history": history,
    "family": family,
}  # fmt: skip
