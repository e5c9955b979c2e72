"""Views of a checked program, parsed again for whoever asks a question over them."""

from __future__ import annotations

from collections.abc import Mapping

from nextpaint.sql.canonical import quoted
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.definitions import CreateView
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.syntax import Ident


def whole_text(view: CreateView) -> str:
    """The view's query, its column list included."""
    if not view.columns:
        return view.text
    return f"SELECT * FROM ({view.text}) AS v ({', '.join(quoted(each.text) for each in view.columns)})"


def parsed_views(views: Mapping[str, str]) -> dict[str, CreateView]:
    """Name -> query text, as statements again."""
    parsed: dict[str, CreateView] = {}
    for name, text in views.items():
        query = parse_query(Cursor(tokenize(text, name)))
        parsed[name] = CreateView(Ident(name), (), query, text, False)
    return parsed
