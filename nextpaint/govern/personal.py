"""What is personal in a collected call, and how it is taken out before anything is stored.

The rules, in the order in which they apply. They err on the side of dropping: a field that an application needs is
allowed by name in `DoorSettings.allowed_fields`.

1. A field with a personal name is dropped at every depth. Names are compared in lower case without `_ - . space`:
   see `PERSONAL_NAMES`. `name` is dropped as well, except in properties that name a thing (see `THING_NAMES`).
2. A word of a text that looks like an e-mail address (anything around an `@`, `%40` or `%2540`) becomes `[redacted]`;
   a field whose name looks like one is dropped.
3. A text that holds one of the call's own identifiers (userId, anonymousId, previousId, and the call's dropped personal
   texts), if that has at least `IDENTIFIER_LENGTH_MIN` characters, has it replaced by `[redacted]`.
4. Of `context` only what `CONTEXT_FIELDS` lists is kept; URLs lose their query and fragment.
5. Of the traits of identify and group calls only scalars are kept.

Pure: no state, no clock. Bad values (too deep, not finite, not Unicode) raise `Unfit`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

PERSONAL_NAMES = frozenset(
    """
    email emails emailaddress mail mailaddress useremail customeremail contactemail newemail phone phonenumber
    mobile mobilephone mobilenumber telephone tel fax msisdn firstname givenname lastname familyname surname middlename
    fullname username login nickname displayname realname birthday birthdate dateofbirth dob age gender sex salutation
    address addresses street streetaddress address1 address2 addressline1 addressline2 housenumber postalcode postcode
    zip zipcode shippingaddress billingaddress deliveryaddress latitude longitude lat lng lon geolocation coordinates
    ip ipaddress clientip remoteaddr useragent advertisingid idfa idfv gaid deviceid devicetoken pushtoken mac
    macaddress imei userid customerid anonymousid previousid visitorid clientid externalid contactid crmid ssn
    nationalid taxid passport passportnumber driverslicense iban bic accountnumber cardnumber creditcard pan cvv cvc
    avatar photo password passwd pwd secret token accesstoken refreshtoken apikey writekey sessiontoken cookie
    authorization facebook twitter instagram linkedin whatsapp telegram skype
    """.split()
)
THING_NAMES = frozenset(
    "product_id item_id sku promotion_id coupon_id brand category list_id cart_id order_id price variant".split()
)
CONTEXT_FIELDS: dict[str, frozenset[str] | None] = {
    "active": None,
    "app": frozenset({"name", "version", "build", "namespace"}),
    "campaign": frozenset({"name", "source", "medium", "term", "content"}),
    "device": frozenset({"manufacturer", "model", "type"}),
    "library": frozenset({"name", "version"}),
    "locale": None,
    "os": frozenset({"name", "version"}),
    "page": frozenset({"path", "referrer", "title", "url"}),
    "referrer": frozenset({"type", "name", "url"}),
    "screen": frozenset({"width", "height", "density"}),
    "timezone": None,
}
_URL_FIELDS = frozenset({"url", "referrer", "path"})

DEPTH_MAX = 16
IDENTIFIER_LENGTH_MIN = 6  # shorter ones ("7", "anna") would eat item ids and words; those are dropped by field name

_SEPARATORS = re.compile(r"([\s,;<>()\[\]{}\"'=&?/|]+)")
_NOT_IN_NAMES = str.maketrans("", "", "_-. ")


class Unfit(ValueError):
    """A value that cannot be stored; the message says where and why."""


@lru_cache(maxsize=8192)
def is_personal(name: str) -> bool:
    """Whether a field of this name is dropped wherever it stands."""
    return name.lower().translate(_NOT_IN_NAMES) in PERSONAL_NAMES or _has_address(name)


def _has_address(text: str) -> bool:
    return "@" in text or ("%" in text and ("%40" in text or "%2540" in text))


Where = str | tuple["Where", str]  # a place in a call; put into words only when something is wrong there


def _place(where: Where) -> str:
    return where if isinstance(where, str) else f"{_place(where[0])}.{where[1]}"


def checked_text(text: str, where: Where) -> str:
    """The text, if it is Unicode that can be encoded (no lone surrogate)."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit(f"{_place(where)} holds a lone surrogate: it is not valid Unicode") from None
    return text


def redact(text: str, identifiers: tuple[str, ...] = ()) -> str:
    """The text without e-mail addresses and without these identifiers. Linear in the length of the text."""
    for identifier in identifiers:
        if identifier in text:
            text = text.replace(identifier, REDACTED)
    if not _has_address(text):
        return text
    words = _SEPARATORS.split(text)
    return "".join(REDACTED if _looks_like_address(word) else word for word in words)


def _looks_like_address(word: str) -> bool:
    for sign in ("@", "%40", "%2540"):
        before, found, after = word.partition(sign)
        if found and before and after:
            return True
    return False


class Cleaner:
    """Cleans the values of one call. `allowed` are field names (as sent) that are kept although they look personal."""

    __slots__ = ("_allowed", "_identifiers")

    def __init__(self, allowed: frozenset[str], identifiers: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._identifiers = identifiers

    def properties(self, value: Mapping[Any, Any], where: str, *, named: bool) -> dict[str, Any]:
        """Properties of a call. `named`: the call itself is of a thing (a page), so `name` is kept at the top."""
        return self._object(value, where, 1, named or not THING_NAMES.isdisjoint(value))

    def traits(self, value: Mapping[Any, Any], where: str) -> dict[str, Any]:
        """The scalar traits that are not personal."""
        cleaned = self._object(value, where, 1, False)
        return {name: held for name, held in cleaned.items() if not isinstance(held, dict | list)}

    def context(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """The listed fields of a context."""
        kept: dict[str, Any] = {}
        for name, fields in CONTEXT_FIELDS.items():
            held = value.get(name)
            if held is None:
                continue
            if isinstance(held, dict):
                if fields is not None:
                    part = {key: self._context_value(key, each) for key, each in held.items() if key in fields}
                    kept[name] = {key: each for key, each in part.items() if each is not None}
            elif fields is None:
                scalar = self._context_value(name, held)
                if scalar is not None:
                    kept[name] = scalar
        return kept

    def _context_value(self, name: str, value: Any) -> Any:
        if isinstance(value, dict | list | tuple):
            return None
        if isinstance(value, str) and name in _URL_FIELDS:
            value = value.partition("#")[0].partition("?")[0]
        return self.value(value, ("context", name), 1)

    def value(self, value: Any, where: Where, depth: int) -> Any:
        """A cleaned copy of any JSON value."""
        kind = type(value)
        if kind is str:
            return redact(checked_text(value, where), self._identifiers)
        if value is None or kind is bool:
            return value
        if kind is int:
            if not -(2**63) <= value < 2**63:
                raise Unfit(f"{_place(where)} is an integer of more than 64 bits")
            return value
        if kind is float:
            if not math.isfinite(value):
                raise Unfit(f"{_place(where)} is {value}, which is not a JSON number")
            return value
        if depth >= DEPTH_MAX:
            raise Unfit(f"{_place(where)} is nested deeper than {DEPTH_MAX} levels")
        if isinstance(value, dict):
            return self._object(value, where, depth + 1, not THING_NAMES.isdisjoint(value))
        if isinstance(value, list | tuple):
            return [self.value(each, where, depth + 1) for each in value]
        raise Unfit(f"{_place(where)} is a {kind.__name__}, which JSON does not have")

    def _object(self, value: Mapping[Any, Any], where: Where, depth: int, named: bool) -> dict[str, Any]:
        kept = {}
        for name, held in value.items():
            if type(name) is not str:
                raise Unfit(f"{_place(where)} has a field whose name is not a text")
            if name not in self._allowed and (is_personal(name) or (name == "name" and not named)):
                continue
            if not name.isascii():
                checked_text(name, f"a field name of {_place(where)}")
            safe = redact(name, self._identifiers)
            kept[safe] = self.value(held, (where, safe), depth)
        return kept


def personal_texts(value: Any, depth: int = 0) -> list[str]:
    """Texts and numbers under personal names, two levels deep: they may stand elsewhere in the same call."""
    found: list[str] = []
    if depth > 2 or not isinstance(value, dict):
        return found
    for name, held in value.items():
        if isinstance(held, dict):
            found += personal_texts(held, depth + 1)
        elif type(name) is str and is_personal(name):
            if isinstance(held, str):
                found.append(held)
            elif isinstance(held, int) and abs(held) < 2**64:
                found.append(str(held))
    return found
