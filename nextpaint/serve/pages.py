"""The pages a person opens: the shop or the feed, the console, one decision's "why"; their data, tiles and posters.

A page is static HTML with ES modules beside it. Its data comes from the same HTTP API that every other client uses, and
from a few small readings here (`/shop/api/*`, `/console/api/*`). Pages, assets and tiles hold no data and need no key;
the readings need the scope "read".

Invariants: pages load nothing from another host and hold no inline script or style; a file that is not in `console/` at
start cannot be asked for. HTML is changed once, at the start, and in nothing but the name of the home page and the
credits. What the readings say comes from callbacks: this file knows no engine and no application.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nextpaint.govern.access import READ
from nextpaint.record.errors import InvalidInput, NotFound
from nextpaint.serve.http import Handler, Request, Response, Route, json_response
from nextpaint.serve.posters import TEXT_CHARACTERS_MAX, poster_svg
from nextpaint.serve.tiles import TITLE_CHARACTERS_MAX, tile_svg

ANONYMOUS_ID_CHARACTERS_MAX = 128
AHEAD_MS_MAX = 7 * 24 * 3600 * 1000  # a reading looks at most a week ahead; interest has long faded by then

_CONSOLE = Path(__file__).parent / "console"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
}
HOMES = {"shop": "Shop", "feed": "Feed"}  # the pages that can open first, and what the others call them

_TILE_TYPE = b"image/svg+xml"
# Opened by itself a tile is a document: it may do nothing at all. Its bytes depend on its address alone.
_TILE_HEADERS = [
    (b"content-security-policy", b"default-src 'none'"),
    (b"cache-control", b"public, max-age=31536000, immutable"),
]
_FILE_HEADERS = [(b"cache-control", b"no-cache")]

LastNight = Callable[[], Sequence[Mapping[str, Any]]]
ContextOf = Callable[[str, int], Mapping[str, Any]]
Score = Callable[[], Mapping[str, Any] | None]


class StatusNode(Protocol):
    """The part of the engine that the console reads."""

    def status(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class About:
    """What the pages say of the application. `home`: the page at `/`, one of `HOMES`; `credits`: where its data is
    from."""

    home: str = "shop"
    credits: str = ""


class Pages:
    """Handlers of the pages.

    `last_night()` gives the frozen list, best first: {"id", "title", "category", "price"}.
    `context(anonymous_id, ahead_ms)` gives a visitor's interests as of now + ahead_ms: {"interests": [{"category",
    "heat", "share"}], "half_life_s", "recent": [...]}; an unknown visitor has none. `score()` gives the running
    score, or None where there is none. All run on the event loop and may not block.
    """

    def __init__(
        self, node: StatusNode, last_night: LastNight, context: ContextOf, about: About | None = None,
        score: Score = lambda: None,
    ) -> None:  # fmt: skip
        self._node = node
        self._score = score
        self._last_night = last_night
        self._context = context
        self._about = about or About()
        self._files = {
            path.name: Response(_filled(path, self._about), content_type=_TYPES[path.suffix], headers=_FILE_HEADERS)
            for path in sorted(_CONSOLE.iterdir())
            if path.suffix in _TYPES
        }

    def routes(self) -> list[Route]:
        homes = [_route(f"/{name}", self._page(f"{name}.html"), f"The {name} page") for name in HOMES]
        return [
            _route("/", self._page(f"{self._about.home}.html"), "The page of this application"),
            *homes,
            _route("/console", self._page("console.html"), "The console page"),
            _route("/why/{decision_id}", self._page("why.html"), "One decision, explained"),
            _route("/parameters", self._page("parameters.html"), "How pages are chosen"),
            _route("/assets/{name}", self.asset, "A script or style of the pages"),
            _route("/tiles/{name}", self.tile, "The drawn tile of an item (/tiles/ID.svg?title=...)"),
            _route("/posters/{name}", self.poster, "The drawn poster of a film (/posters/ID.svg?title=...&kind=...)"),
            _route("/shop/api/last-night", self.last_night, "The frozen list of the shop page", READ),
            _route("/shop/api/context", self.context, "A visitor's interests (?anonymousId=, ?ahead_ms=)", READ),
            _route("/console/api/status", self.status, "What the console shows", READ),
            _route("/console/api/score", self.score, "The running score on replayed orders", READ),
        ]

    async def asset(self, request: Request) -> Response:
        name = request.params["name"]
        file = self._files.get(name)
        if file is None or name.endswith(".html"):
            raise NotFound("no such asset", where=request.path[:200], cure="the pages name the assets they use")
        return file

    async def tile(self, request: Request) -> Response:
        item_id, dot, suffix = request.params["name"].rpartition(".")
        if not dot or suffix != "svg":
            raise NotFound("no such tile", where="/tiles", cure="ask for /tiles/ID.svg?title=...")
        title = request.query().get("title") or item_id
        return Response(tile_svg(title[:TITLE_CHARACTERS_MAX]).encode(), 200, _TILE_TYPE, _TILE_HEADERS)

    async def poster(self, request: Request) -> Response:
        query = request.query()
        item_id, dot, suffix = request.params["name"].rpartition(".")
        if not dot or suffix != "svg":
            raise NotFound(
                "no such poster", where="/posters", cure="ask for /posters/ID.svg?title=...&kind=...&maker=..."
            )
        title, kind, maker = (query.get(name, "")[:TEXT_CHARACTERS_MAX] for name in ("title", "kind", "maker"))
        drawn = poster_svg(title or item_id[:TEXT_CHARACTERS_MAX], kind, maker, query.get("words") != "0")
        return Response(drawn.encode(), 200, _TILE_TYPE, _TILE_HEADERS)

    async def last_night(self, request: Request) -> Response:
        return json_response({"items": list(self._last_night())})

    async def context(self, request: Request) -> Response:
        query = request.query()
        return json_response(self._context(_anonymous_id(query), _ahead_ms(query)))

    async def status(self, request: Request) -> Response:
        return json_response(self._node.status())

    async def score(self, request: Request) -> Response:
        return json_response({"score": self._score()})

    def _page(self, name: str) -> Handler:
        file = self._files[name]

        async def page(request: Request) -> Response:
            return file

        return page


def pages(
    node: StatusNode, last_night: LastNight, context: ContextOf, about: About | None = None,
    score: Score = lambda: None,
) -> list[Route]:  # fmt: skip
    """All routes of the pages; see `Pages` for what the callbacks answer."""
    return Pages(node, last_night, context, about, score).routes()


def _filled(path: Path, about: About) -> bytes:
    """A file as it is sent. In HTML `{{home}}`, `{{home_name}}` and `{{credits}}` stand for what `about` says."""
    content = path.read_bytes()
    if path.suffix != ".html":
        return content
    values = {"home": about.home, "home_name": HOMES[about.home], "credits": about.credits}
    for name, value in values.items():
        content = content.replace(f"{{{{{name}}}}}".encode(), html.escape(value).encode())
    return content


def _route(path: str, handler: Handler, summary: str, scope: str | None = None) -> Route:
    return Route("GET", path, handler, summary, scope=scope, tags=("pages",))


def _ahead_ms(query: Mapping[str, str]) -> int:
    text = query.get("ahead_ms", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= AHEAD_MS_MAX):
        raise InvalidInput(
            "ahead_ms is not a number of milliseconds in range",
            where="query parameter ahead_ms",
            cure=f"send a whole number from 0 to {AHEAD_MS_MAX}",
        )
    return int(text)


def _anonymous_id(query: Mapping[str, str]) -> str:
    value = query.get("anonymousId", "")
    if not 0 < len(value) <= ANONYMOUS_ID_CHARACTERS_MAX:
        raise InvalidInput(
            "anonymousId is missing or too long",
            where="query parameter anonymousId",
            cure=f"send the visitor's id, at most {ANONYMOUS_ID_CHARACTERS_MAX} characters",
        )
    return value
