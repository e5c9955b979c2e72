"""STATE_TTL: which table of a FROM clause each of its durations is for."""

from __future__ import annotations

from nextpaint.sql import syntax
from nextpaint.sql.refusal import Refusal, near


def lifetimes_of(select: syntax.Select) -> dict[str, int]:
    """The times to live, ms, by the name or alias of a table. Raises Refusal for one that FROM does not have."""
    if not select.lifetimes:
        return {}
    known = _names(select.source)
    for each in select.lifetimes:
        if each.table not in known:
            cure = near(each.table, known) or f"FROM has {', '.join(known) or 'no table'}"
            raise Refusal(f"STATE_TTL names {each.table}, which FROM does not have", each.at, cure)
    return {each.table: each.ttl_ms for each in select.lifetimes}


def _names(source: syntax.Source | None) -> list[str]:
    if isinstance(source, syntax.Join):
        return [*_names(source.left), *_names(source.right)]
    alias = getattr(source, "alias", None)
    if alias is not None:
        return [alias.text]
    return [source.name.text] if isinstance(source, syntax.TableName) else []
