"""CREATE TABLE ... LIKE: one definition made of two, as Flink merges them (`MergeTableLikeUtil`).

INCLUDING takes a part over and fails when both say it, EXCLUDING leaves it, OVERWRITING lets the new table win. The
default is INCLUDING ALL, OVERWRITING OPTIONS. Physical columns are always taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nextpaint.sql.definitions import ColumnDefinition, CreateTable
from nextpaint.sql.refusal import Refusal


def merged(derived: CreateTable, base: CreateTable) -> CreateTable:
    """`derived` with what its LIKE takes from `base`."""
    assert derived.like is not None
    words = dict(derived.like.options)

    def word(part: str, default: str = "INCLUDING") -> str:
        return words.get(part) or words.get("ALL") or default

    columns = _columns(derived, base, {part: word(part) for part in ("GENERATED", "METADATA")})
    watermark = derived.watermark
    if base.watermark is not None and word("WATERMARKS") != "EXCLUDING":
        if watermark is not None and word("WATERMARKS") == "INCLUDING":
            raise Refusal(
                f"{base.name.text} has a WATERMARK already", watermark[0].at, "add LIKE ... (OVERWRITING WATERMARKS)"
            )
        watermark = watermark or base.watermark
    key = derived.primary_key
    if base.primary_key and word("CONSTRAINTS") == "INCLUDING":
        if key:
            raise Refusal(
                f"{base.name.text} has a PRIMARY KEY already", key[0].at, "add LIKE ... (EXCLUDING CONSTRAINTS)"
            )
        key = base.primary_key
    options = _options(derived, base, word("OPTIONS", "OVERWRITING"))
    places = tuple({**dict(base.option_places), **dict(derived.option_places)}.items())
    return replace(
        derived, columns=columns, watermark=watermark, primary_key=key, options=options, like=None, option_places=places
    )


def _columns(derived: CreateTable, base: CreateTable, words: Mapping[str, str]) -> tuple[ColumnDefinition, ...]:
    own = {each.name.text: each for each in derived.columns}
    taken: list[ColumnDefinition] = []
    for each in base.columns:
        word = words.get(each.kind, "INCLUDING")
        if word == "EXCLUDING":
            continue
        mine = own.get(each.name.text)
        if mine is not None:
            if word == "INCLUDING" or mine.kind != each.kind:
                raise Refusal(
                    f"{base.name.text} has a column {each.name.text} already", mine.name.at, "leave it out or rename it"
                )
            each = own.pop(each.name.text)
        taken.append(each)
    return (*taken, *(each for each in derived.columns if each.name.text in own))


def _options(derived: CreateTable, base: CreateTable, word: str) -> tuple[tuple[str, str], ...]:
    if word == "EXCLUDING":
        return derived.options
    places = dict(derived.option_places)
    for key, _ in derived.options:
        if word == "INCLUDING" and key in dict(base.options):
            raise Refusal(
                f"{base.name.text} has the option '{key}' already", places.get(key, derived.at), "OVERWRITING OPTIONS"
            )
    return tuple(sorted({**dict(base.options), **dict(derived.options)}.items()))
