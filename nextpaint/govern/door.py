"""The door: Segment calls in, events without personal data out. What does not fit is quarantined with its reason.

For each call: type and required fields are checked, identifiers are replaced by subject tokens, client clock skew is
corrected (timestamp = receivedAt - (sentAt - originalTimestamp), Segment's rule), the event time is held against
[now - retention, now + 1 min], personal data is taken out (`govern.personal`), and consent becomes `purposes`.

Invariants
* `admit` never raises for the content of a call: every call is in exactly one of `events` and `quarantined`, or was
  dropped and counted: that of somebody who was erased and asked that no profile be made again.
* No identifier, e-mail address or personal trait of a caller is in what is returned, quarantined texts included.
* Nothing here reads a clock: the caller gives `received_at_ms`. Chance comes from `Subjects` and `random`.

Choices. A call without messageId gets a random one: a content hash would merge two honest equal clicks, so a client
that wants its retries recognised must send messageId (Segment's libraries do). A messageId that is not a plain id
(letters, digits, `._:-`) or holds an identifier is replaced by its keyed hash. Times without a zone are UTC. An integer
id is read as its digits.
Not here: deduplication (the ledger), contracts of topics, size of HTTP bodies (the edge).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from nextpaint.govern.access import INGEST, Principal
from nextpaint.govern.personal import IDENTIFIER_LENGTH_MIN, Cleaner, Unfit, checked_text, personal_texts, redact
from nextpaint.govern.subjects import IdentifierKind, Subjects, Suppressed
from nextpaint.ports.random import Random
from nextpaint.record.errors import InvalidInput
from nextpaint.record.event import Event

CALL_TYPES = frozenset({"track", "identify", "page", "screen", "group", "alias"})

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_IDENTIFIER_LENGTH_MAX = 512
_NAME_LENGTH_MAX = 512
_QUARANTINED_TEXT_MAX = 2048  # enough to see what a client does wrong, small enough to keep many
_LINKS_REMEMBERED = 100_000
_PURPOSES_MAX = 64
_NO_OBJECT: Mapping[str, Any] = {}


class DoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the door allows. `purposes_default` apply where a call carries no consent (`context.consent`)."""

    retention_ms: int = 90 * 86_400_000
    future_ms_max: int = 60_000
    call_bytes_max: int = 32 * 1024  # Segment's limit per call
    purposes_default: tuple[str, ...] = ("personalisation",)
    allowed_fields: frozenset[str] = frozenset()


class Link(msgspec.Struct, frozen=True):
    """One person seen under two tokens: a row for the table `identity`."""

    anonymous: str
    user: str
    cause: str  # the type of the call that carried both ids
    from_ms: int


class Consent(msgspec.Struct, frozen=True):
    """What a person consents to, said by a call at `ts` (event time, ms): a row for the table `consents`."""

    subject: str
    purposes: tuple[str, ...]
    ts: int


class Quarantined(msgspec.Struct, frozen=True):
    """A call that was not admitted: its index in the request, why, and its redacted text."""

    index: int
    reason: str
    original: str


class Admission(msgspec.Struct):
    """What became of the calls of one request, in order. `suppressed`: calls of people who asked to stay out, which
    are dropped."""

    events: list[Event]
    links: list[Link]
    quarantined: list[Quarantined]
    consents: list[Consent]
    suppressed: int = 0


class Who(msgspec.Struct, frozen=True):
    """The subject of a call or request. `other` is its second token (the anonymous one) where both ids were sent."""

    subject: str
    anonymous: bool
    other: str | None = None


class Door:
    """Normalises the calls of one node. One thread; `Subjects` is what it shares with the writer."""

    def __init__(self, subjects: Subjects, settings: DoorSettings, random: Random) -> None:
        self._subjects = subjects
        self._settings = settings
        self._random = random
        self._linked: OrderedDict[tuple[str, str], None] = OrderedDict()

    def admit(
        self, calls: Sequence[Any], principal: Principal, received_at_ms: int, who: Who | None = None
    ) -> Admission:
        """Normalise calls that arrived together. `who`: whose they are, where the node knows (the notice of a bid).

        Raises AccessDenied, or Overloaded when too many visitors are new."""
        principal.require(INGEST)
        admission = Admission([], [], [], [])
        for index, call in enumerate(calls):
            try:
                event, whose, link = self._event(call, received_at_ms, who)
            except Suppressed:
                admission.suppressed += 1
                continue
            except Unfit as unfit:
                admission.quarantined.append(Quarantined(index, redact(str(unfit)), self._redacted(call)))
                continue
            admission.events.append(event)
            if _says_consent(call):
                tokens = (whose.subject,) if whose.other is None else (whose.subject, whose.other)
                admission.consents += [Consent(token, event.purposes, event.ts) for token in tokens]
            if link is not None and (link.anonymous, link.user) not in self._linked:
                admission.links.append(link)
        return admission

    def recorded(self, links: Sequence[Link]) -> None:
        """The links are in the ledger: do not report them again while they are remembered (a repeat is harmless)."""
        for link in links:
            self._linked[link.anonymous, link.user] = None
            if len(self._linked) > _LINKS_REMEMBERED:
                self._linked.popitem(last=False)

    def forget_links(self, token: str) -> None:
        """Links of this token are reported anew when they are seen again (after an unlink or an erasure)."""
        for pair in [pair for pair in self._linked if token in pair]:
            del self._linked[pair]

    def who(self, request: Mapping[str, Any], where: str = "request") -> Who:
        """The subject of a request that carries userId or anonymousId. Raises InvalidInput if it carries neither."""
        try:
            return self._who(_identifier(request, "userId"), _identifier(request, "anonymousId"))
        except Unfit as unfit:
            raise InvalidInput(str(unfit), where=where, cure="send userId, anonymousId or both, as texts") from unfit

    def _who(self, user_id: str | None, anonymous_id: str | None) -> Who:
        token = self._subjects.token
        if user_id is not None:
            subject = token("user", user_id)
            return Who(subject, False, None if anonymous_id is None else token("anonymous", anonymous_id))
        if anonymous_id is None:
            raise Unfit("userId or anonymousId is required")
        return Who(token("anonymous", anonymous_id), True)

    def _event(self, call: Any, received_at_ms: int, known: Who | None) -> tuple[Event, Who, Link | None]:
        if not isinstance(call, dict):
            raise Unfit("a call must be a JSON object")
        kind = call.get("type")
        if not isinstance(kind, str) or kind not in CALL_TYPES:
            raise Unfit(f"type must be one of {', '.join(sorted(CALL_TYPES))}")
        user_id, anonymous_id = _identifier(call, "userId"), _identifier(call, "anonymousId")
        previous_id = _identifier(call, "previousId") if kind == "alias" else None
        context = _object(call, "context")
        cleaner = Cleaner(self._settings.allowed_fields, _own_texts(call, context, user_id, anonymous_id, previous_id))
        ts = self._event_time(call, received_at_ms)
        name, properties = _body(call, kind, cleaner, user_id, previous_id)
        properties_text, context_text = _json(properties), _json(cleaner.context(context))
        if len(properties_text) + len(context_text) > self._settings.call_bytes_max:
            raise Unfit(f"the call is larger than {self._settings.call_bytes_max} bytes")
        item_id, decision_id, surface = _references(properties)
        position = _position(properties)
        message_id = self._message_id(call)
        purposes = self._purposes(context, cleaner)
        if known is None and user_id is None and anonymous_id is None:
            raise Unfit("userId or anonymousId is required")
        # Last, when nothing can fail any more: a quarantined call leaves no token behind.
        who = known or self._who(user_id, anonymous_id)
        event = Event(
            message_id=message_id,
            type=kind,
            event=name,
            subject=who.subject,
            anonymous=who.anonymous,
            properties=properties_text,
            context=context_text,
            surface=surface,
            decision_id=decision_id,
            item_id=item_id,
            position=position,
            purposes=purposes,
            ts=ts,
            received_at=received_at_ms,
        )
        return event, who, self._link(kind, who, previous_id, ts)

    def _link(self, kind: str, who: Who, previous_id: str | None, ts: int) -> Link | None:
        if previous_id is not None:
            # Segment's previousId is whatever the visitor was known by: an anonymousId, unless only a userId fits.
            known_user = self._subjects.known("user", previous_id)
            previous_kind: IdentifierKind = "anonymous"
            if known_user is not None and self._subjects.known("anonymous", previous_id) is None:
                previous_kind = "user"
            previous = self._subjects.token(previous_kind, previous_id)
            return Link(previous, who.subject, kind, ts) if previous != who.subject else None
        return None if who.other is None else Link(who.other, who.subject, kind, ts)

    def _event_time(self, call: Mapping[str, Any], received_at_ms: int) -> int:
        original = _time(call, "originalTimestamp")
        if original is None:
            original = _time(call, "timestamp")
        sent = _time(call, "sentAt")
        if original is None:
            return received_at_ms
        ts = original if sent is None else received_at_ms - (sent - original)
        if ts < received_at_ms - self._settings.retention_ms:
            days = self._settings.retention_ms // 86_400_000
            raise Unfit(f"the event time {_shown(ts)} is older than the retention of {days} days")
        if ts > received_at_ms + self._settings.future_ms_max:
            raise Unfit(
                f"the event time {_shown(ts)} is more than {self._settings.future_ms_max // 1000} s in the future"
            )
        return ts

    def _message_id(self, call: Mapping[str, Any]) -> str:
        given = call.get("messageId")
        if given is None or given == "":
            return "np-" + self._random.token(16).hex()
        if isinstance(given, int) and not isinstance(given, bool) and abs(given) < 2**64:
            given = str(given)
        if not isinstance(given, str):
            raise Unfit("messageId must be a text")
        if len(given) > _IDENTIFIER_LENGTH_MAX:
            _too_long("messageId")
        if _PLAIN_ID.fullmatch(given) and not _holds_identifier(given, call):
            return given
        return "np-" + self._subjects.pseudonym(given)

    def _purposes(self, context: Mapping[str, Any], cleaner: Cleaner) -> tuple[str, ...]:
        consent = context.get("consent")
        if consent is None:
            return self._settings.purposes_default
        preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
        if not isinstance(preferences, dict):
            raise Unfit("context.consent must be an object with categoryPreferences")
        if len(preferences) > _PURPOSES_MAX:
            raise Unfit(f"context.consent names more than {_PURPOSES_MAX} purposes")
        allowed = [cleaner.value(name, "context.consent", 1) for name, yes in preferences.items() if yes is True]
        return tuple(sorted(each for each in allowed if isinstance(each, str)))

    def _redacted(self, call: Any) -> str:
        own = tuple(sorted(_at_least_min(personal_texts(call)), key=len, reverse=True))
        try:
            text = _json(Cleaner(frozenset(), own).value(call, "call", 1))
        except Unfit:
            text = _json({"type": f"<{type(call).__name__}>", "note": "the call cannot be shown"})
        return text[:_QUARANTINED_TEXT_MAX]


def _body(
    call: Mapping[str, Any], kind: str, cleaner: Cleaner, user_id: str | None, previous_id: str | None
) -> tuple[str | None, dict[str, Any]]:
    """Name and properties of a call, by its type."""
    if kind == "track":
        name = _name(call, "event", cleaner)
        if name is None:
            raise Unfit("event is required in a track call")
        return name, cleaner.properties(_object(call, "properties"), "properties", named=False)
    if kind in ("page", "screen"):
        properties = cleaner.properties(_object(call, "properties"), "properties", named=True)
        category = _name(call, "category", cleaner)
        if category is not None:
            properties.setdefault("category", category)
        for field in ("url", "referrer"):
            if isinstance(properties.get(field), str):
                properties[field] = properties[field].partition("#")[0].partition("?")[0]
        properties.pop("search", None)
        return _name(call, "name", cleaner), properties
    if kind == "alias":
        if user_id is None or previous_id is None:
            raise Unfit("userId and previousId are required in an alias call")
        return None, {}
    traits = cleaner.traits(_object(call, "traits"), "traits")
    if kind == "group":
        group_id = _identifier(call, "groupId")
        if group_id is None:
            raise Unfit("groupId is required in a group call")
        traits["group_id"] = cleaner.value(group_id, "groupId", 1)
    return None, traits


def _own_texts(call: Mapping[str, Any], context: Mapping[str, Any], *identifiers: str | None) -> tuple[str, ...]:
    """Identifiers and personal texts of the call that must not stand anywhere else in it; longest first."""
    texts = [each for each in identifiers if each is not None]
    for part in (call.get("traits"), call.get("properties"), context.get("traits")):
        if part:
            texts += personal_texts(part)
    if len(texts) < 2:
        return tuple(text for text in texts if len(text) >= IDENTIFIER_LENGTH_MIN)
    return tuple(sorted(_at_least_min(texts), key=len, reverse=True))


def _at_least_min(texts: Sequence[str]) -> set[str]:
    return {text for text in texts if len(text) >= IDENTIFIER_LENGTH_MIN}


def _holds_identifier(text: str, call: Mapping[str, Any]) -> bool:
    held = (call.get("userId"), call.get("anonymousId"), call.get("previousId"))
    return any(isinstance(each, str) and len(each) >= IDENTIFIER_LENGTH_MIN and each in text for each in held)


def _identifier(call: Mapping[str, Any], field: str) -> str | None:
    value = call.get(field)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if -(2**63) <= value < 2**64 else _too_long(field)
    if not isinstance(value, str):
        raise Unfit(f"{field} must be a text")
    value = checked_text(value, field).strip()
    if len(value) > _IDENTIFIER_LENGTH_MAX:
        _too_long(field)
    return value or None


def _too_long(field: str) -> str:
    raise Unfit(f"{field} is longer than {_IDENTIFIER_LENGTH_MAX} characters")


def _object(call: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = call.get(field)
    if value is None:
        return _NO_OBJECT
    if not isinstance(value, dict):
        raise Unfit(f"{field} must be an object")
    return value


def _name(call: Mapping[str, Any], field: str, cleaner: Cleaner) -> str | None:
    value = call.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unfit(f"{field} must be a text")
    if len(value) > _NAME_LENGTH_MAX:
        raise Unfit(f"{field} is longer than {_NAME_LENGTH_MAX} characters")
    return str(cleaner.value(value, field, 1))


def _says_consent(call: Mapping[str, Any]) -> bool:
    """Whether an admitted call carries consent: its shape was checked by `_purposes`."""
    context = call.get("context")
    return isinstance(context, dict) and context.get("consent") is not None


def _references(properties: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """item_id, decision_id and surface as properties name them."""
    item_id = _reference(properties, "product_id")
    if item_id is None:
        item_id = _reference(properties, "item_id")
    return item_id, _reference(properties, "decision_id"), _reference(properties, "surface")


def _reference(properties: Mapping[str, Any], field: str) -> str | None:
    value = properties.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unfit(f"properties.{field} must be a text or an integer")
    text = str(value)
    if len(text) > _NAME_LENGTH_MAX:
        raise Unfit(f"properties.{field} is longer than {_NAME_LENGTH_MAX} characters")
    return text


def _position(properties: Mapping[str, Any]) -> int | None:
    value = properties.get("position")
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("properties.position must be an integer")
    if not 0 <= value < 2**31:
        raise Unfit("properties.position is out of range")
    return value


def _time(call: Mapping[str, Any], field: str) -> int | None:
    value = call.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unfit(f"{field} must be an ISO 8601 text such as 2026-05-01T12:00:00.000Z")
    try:
        moment = msgspec.convert(value, datetime)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (msgspec.ValidationError, OverflowError, ValueError):
        raise Unfit(f"{field} is not an ISO 8601 date and time such as 2026-05-01T12:00:00.000Z") from None


def _shown(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


_encode = msgspec.json.Encoder().encode


def _json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise Unfit(f"the call cannot be written as JSON: {error}") from error
