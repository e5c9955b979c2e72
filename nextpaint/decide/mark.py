"""What is said of an answered item: badges, a moved price, a paid place, by rules; text that a machine wrote."""

from __future__ import annotations

import msgspec


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price a rule moved: by how many percent, which rule, and whether it depended on personal data."""

    percent: float
    rule: str
    reason: str
    personal: bool = False
    disclosure: str = ""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of an item beside its score. sponsored: somebody paid for its place; behalf: on whose behalf; paid:
    by whom. generated: columns whose text a machine wrote, and which."""

    badges: tuple[str, ...] = ()
    price: Price | None = None
    sponsored: bool = False
    behalf: str = ""
    paid: str = ""
    generated: dict[str, str] = {}
