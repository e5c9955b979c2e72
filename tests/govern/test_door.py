"""The door as a specification: what Segment calls become, what is quarantined and why, and what never gets through."""

import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.govern.access import LOCAL, AccessDenied, Principal
from nextpaint.govern.door import Door, DoorSettings
from nextpaint.govern.subjects import Subjects
from nextpaint.ports.random import SystemRandom
from nextpaint.record.errors import InvalidInput
from nextpaint.record.event import encode

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
ISO_NOW = "2027-01-15T08:00:00.000Z"


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    subjects = Subjects.open(tmp_path_factory.mktemp("door") / "keys.db", SystemRandom())
    yield Door(subjects, DoorSettings(), SystemRandom())
    subjects.close()


def admit_one(door, **call):
    admission = door.admit([{"userId": "u-1", **call}], LOCAL, NOW)
    assert admission.quarantined == []
    return admission.events[0]


def reason(door, call):
    admission = door.admit([call], LOCAL, NOW)
    assert admission.events == []
    return admission.quarantined[0].reason


def track(**more):
    return {"type": "track", "event": "Product Viewed", "userId": "u-1", **more}


def test_a_track_call_becomes_an_event(door):
    properties = {"product_id": 85123, "position": "3", "surface": "home", "decision_id": "d1", "price": 2.55}
    event = admit_one(door, type="track", event="Product Viewed", messageId="m1", properties=properties)
    assert (event.item_id, event.position, event.surface, event.decision_id) == ("85123", 3, "home", "d1")
    assert json.loads(event.properties) == properties
    assert (event.message_id, event.type, event.event, event.anonymous) == ("m1", "track", "Product Viewed", False)
    assert event.ts == event.received_at == NOW
    assert event.purposes == ("personalisation",)


def test_item_id_may_be_named_so_and_product_id_wins(door):
    assert admit_one(door, type="track", event="E", properties={"item_id": "i"}).item_id == "i"
    assert admit_one(door, type="track", event="E", properties={"item_id": "i", "product_id": "p"}).item_id == "p"


def test_page_and_screen_keep_their_type_and_name(door):
    event = admit_one(door, type="page", name="Home", category="Shop", properties={"url": "https://x/y?e=1#f"})
    assert (event.type, event.event) == ("page", "Home")
    assert json.loads(event.properties) == {"url": "https://x/y", "category": "Shop"}
    assert admit_one(door, type="screen").event is None


def test_identify_keeps_scalar_traits_that_are_not_personal(door):
    traits = {"email": "ada@example.org", "firstName": "Ada", "plan": "gold", "logins": 5, "company": {"name": "X"}}
    event = admit_one(door, type="identify", traits=traits)
    assert json.loads(event.properties) == {"plan": "gold", "logins": 5}


def test_group_and_alias(door):
    assert json.loads(admit_one(door, type="group", groupId="g1", traits={"size": 3}).properties) == {
        "size": 3,
        "group_id": "g1",
    }
    admission = door.admit([{"type": "alias", "userId": "u-9", "previousId": "a-9"}], LOCAL, NOW)
    (link,) = admission.links
    assert link.user == admission.events[0].subject
    assert link.anonymous == door.who({"anonymousId": "a-9"}).subject


def test_two_ids_are_a_link_reported_until_it_is_recorded(door):
    call = track(anonymousId="a-1", timestamp=ISO_NOW)
    first = door.admit([call], LOCAL, NOW)
    (link,) = first.links
    assert (link.user, link.cause, link.from_ms) == (first.events[0].subject, "track", NOW)
    assert link.anonymous == door.who({"anonymousId": "a-1"}).subject != link.user
    assert door.admit([call], LOCAL, NOW).links == [link]
    door.recorded([link])
    assert door.admit([call], LOCAL, NOW).links == []
    door.forget_links(link.user)
    assert door.admit([call], LOCAL, NOW).links == [link]


def test_anonymous_events_have_the_anonymous_token(door):
    event = door.admit([{"type": "track", "event": "E", "anonymousId": "a-5"}], LOCAL, NOW).events[0]
    assert event.anonymous
    assert event.subject == door.who({"anonymousId": "a-5"}).subject
    with pytest.raises(InvalidInput, match="userId or anonymousId"):
        door.who({"userId": "  "})


@pytest.mark.parametrize(
    ("times", "ts"),
    [
        ({}, NOW),
        ({"timestamp": "2027-01-15T07:59:00Z"}, NOW - 60_000),
        ({"timestamp": "2027-01-15T07:59:00"}, NOW - 60_000),
        # a phone whose clock is at 1970: it says the event happened 5 s before it was sent
        ({"timestamp": "1970-01-01T00:00:05Z", "sentAt": "1970-01-01T00:00:10Z"}, NOW - 5_000),
        ({"originalTimestamp": "2031-01-01T00:00:00Z", "sentAt": "2031-01-01T00:05:00Z"}, NOW - 300_000),
        ({"timestamp": "2027-01-15T08:00:30Z"}, NOW + 30_000),
        ({"timestamp": "", "sentAt": ""}, NOW),
    ],
)
def test_event_time_is_corrected_for_client_clocks(door, times, ts):
    assert door.admit([track(**times)], LOCAL, NOW).events[0].ts == ts


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (None, "JSON object"),
        ([], "JSON object"),
        ("track", "JSON object"),
        ({}, "type must be one of"),
        ({"type": 7}, "type must be one of"),
        ({"type": ["track"]}, "type must be one of"),
        ({"type": "Track", "event": "E", "userId": "u"}, "type must be one of"),
        ({"type": "track", "event": "E"}, "userId or anonymousId is required"),
        ({"type": "track", "event": "E", "userId": ""}, "userId or anonymousId is required"),
        ({"type": "track", "event": "E", "userId": True}, "userId must be a text"),
        ({"type": "track", "event": "E", "userId": 1.5}, "userId must be a text"),
        ({"type": "track", "event": "E", "userId": {"a": 1}}, "userId must be a text"),
        ({"type": "track", "event": "E", "userId": 10**5000}, "longer than"),
        ({"type": "track", "event": "E", "userId": "u" * 513}, "longer than"),
        ({"type": "track", "event": "E", "userId": "\ud800"}, "lone surrogate"),
        ({"type": "track", "userId": "u"}, "event is required"),
        ({"type": "track", "event": 5, "userId": "u"}, "event must be a text"),
        ({"type": "track", "event": "E" * 600, "userId": "u"}, "longer than"),
        ({"type": "alias", "userId": "u"}, "previousId are required"),
        ({"type": "group", "userId": "u"}, "groupId is required"),
        (track(properties=[]), "properties must be an object"),
        (track(context="x"), "context must be an object"),
        (track(messageId={}), "messageId must be a text"),
        (track(messageId=10**5000), "messageId must be a text"),
        (track(timestamp=5), "timestamp must be an ISO 8601"),
        (track(timestamp="yesterday"), "timestamp is not an ISO 8601"),
        (track(timestamp="2027-13-45T00:00:00Z"), "timestamp is not an ISO 8601"),
        (track(sentAt="0001-01-01T00:00:00+23:59", timestamp=ISO_NOW), "event time|sentAt"),
        (track(timestamp="1970-01-01T00:00:00Z"), "older than the retention of 90 days"),
        (track(timestamp="2031-01-01T00:00:00Z"), "60 s in the future"),
        (track(timestamp="1970-01-01T00:00:00Z", sentAt=ISO_NOW), "older than the retention"),
        (track(properties={"product_id": True}), "product_id must be"),
        (track(properties={"product_id": {}}), "product_id must be"),
        (track(properties={"product_id": "x" * 600}), "longer than"),
        (track(properties={"position": "first"}), "position must be an integer"),
        (track(properties={"position": -1}), "out of range"),
        (track(properties={"position": 2**40}), "out of range"),
        (track(properties={"price": float("nan")}), "not a JSON number"),
        (track(properties={"price": float("inf")}), "not a JSON number"),
        (track(properties={"n": 2**70}), "more than 64 bits"),
        (track(properties={"n": b"x"}), "bytes, which JSON does not have"),
        (track(properties={1: 2}), "name is not a text"),
        (track(properties={"t": "\udfff"}), "lone surrogate"),
        (track(properties={"\udfff": 1}), "lone surrogate"),
        (track(properties={"big": "x" * 40_000}), "larger than"),
        (track(context={"consent": 1}), "categoryPreferences"),
        (track(context={"consent": {"categoryPreferences": {str(n): True for n in range(99)}}}), "more than 64"),
    ],
)
def test_what_does_not_fit_is_quarantined_with_its_reason(door, call, why):
    import re

    assert re.search(why, reason(door, call))


def test_deep_nesting_is_quarantined(door):
    deep: object = 1
    for _ in range(500):
        deep = {"a": deep}
    assert "deeper than" in reason(door, track(properties={"deep": deep}))


def test_one_bad_call_does_not_keep_the_others_out(door):
    admission = door.admit([track(messageId="a"), 7, track(messageId="b")], LOCAL, NOW)
    assert [event.message_id for event in admission.events] == ["a", "b"]
    assert [each.index for each in admission.quarantined] == [1]


def test_a_quarantined_call_makes_no_token(door):
    reason(door, track(userId="never-admitted", properties={"price": float("nan")}))
    assert door._subjects.known("user", "never-admitted") is None


def test_message_ids(door):
    assert admit_one(door, type="screen", messageId=42).message_id == "42"
    first, second = (admit_one(door, type="screen").message_id for _ in range(2))
    assert first != second
    odd = admit_one(door, type="screen", messageId="ada@example.org 1").message_id
    assert odd == admit_one(door, type="screen", messageId="ada@example.org 1").message_id
    assert "ada" not in odd and odd != admit_one(door, type="screen", messageId="ada@example.org 2").message_id
    assert "visitor-77" not in admit_one(door, type="screen", userId="visitor-77", messageId="visitor-77:1").message_id


def test_consent_becomes_purposes(door):
    consent = {"categoryPreferences": {"marketing": True, "analytics": False, "personalisation": True}}
    assert admit_one(door, type="screen", context={"consent": consent}).purposes == ("marketing", "personalisation")
    assert admit_one(door, type="screen", context={"consent": {"categoryPreferences": {}}}).purposes == ()


def test_ingest_needs_its_scope(door):
    with pytest.raises(AccessDenied):
        door.admit([], Principal("reader", frozenset({"read"})), NOW)


def test_an_allowed_field_is_kept(door, tmp_path):
    subjects = Subjects.open(tmp_path / "keys.db", SystemRandom())
    lenient = Door(subjects, DoorSettings(allowed_fields=frozenset({"gender"})), SystemRandom())
    assert json.loads(admit_one(lenient, type="identify", traits={"gender": "f", "age": 3}).properties) == {
        "gender": "f"
    }
    subjects.close()


def test_a_product_keeps_its_name_and_a_person_does_not(door):
    properties = {
        "product_id": "1",
        "name": "Red Lamp",
        "buyer": {"name": "Ada"},
        "products": [{"sku": "s", "name": "N"}],
    }
    assert json.loads(admit_one(door, type="track", event="E", properties=properties).properties) == {
        "product_id": "1", "name": "Red Lamp", "buyer": {}, "products": [{"sku": "s", "name": "N"}],
    }  # fmt: skip


CANARY, PHONE, USER, ANON = "canary.person@mail.example", "+49 170 5550123", "customer-0815-xyz", "anon-7c1f-4242"
LEAKS = [
    {"type": "identify", "traits": {"email": CANARY, "phone": PHONE, "note": f"call {PHONE} or {CANARY}"}},
    {"type": "identify", "traits": {"E-Mail": CANARY, "contact": {"mail": CANARY}, "list": [CANARY]}},
    {"type": "track", "event": f"Signed up {CANARY}", "properties": {"text": f"mail <{CANARY}>", CANARY: 1}},
    {"type": "track", "event": "E", "properties": {"item_id": CANARY, "surface": USER, "decision_id": ANON}},
    {"type": "track", "event": USER, "properties": {"deep": {"er": [{"u": USER, "a": ANON}]}, USER: 1}},
    {
        "type": "track",
        "event": "E",
        "messageId": f"{USER}-1",
        "context": {"ip": "203.0.113.77", "userAgent": "Agent/9"},
    },
    {"type": "page", "name": USER, "properties": {"url": f"https://x/?e={CANARY}", "search": "?u=" + USER}},
    {"type": "page", "properties": {"path": f"/u/{CANARY.replace('@', '%40')}", "referrer": f"https://{CANARY}/"}},
    {"type": "screen", "context": {"page": {"url": f"https://x/{USER}?q={CANARY}"}, "traits": {"email": CANARY}}},
    {"type": "screen", "context": {"campaign": {"name": CANARY}, "device": {"id": ANON, "model": USER}, CANARY: {}}},
    {"type": "screen", "context": {"consent": {"categoryPreferences": {CANARY: True}}, "locale": USER}},
    {"type": "group", "groupId": CANARY, "traits": {"name": USER}},
    {"type": "alias", "previousId": CANARY},
    {"type": CANARY, "properties": {"email": CANARY}},
    {"type": "track", "event": {"x": CANARY}, "properties": {"a": USER}},
    {"type": "track", "event": "E", "timestamp": CANARY},
    {"type": "track", "event": "E", "properties": {CANARY: float("nan"), USER: {ANON: 2**80}}},
    {
        "type": "track",
        "event": "E",
        "properties": {"price": float("nan"), "u": USER, "p": {"phone": PHONE}, "q": PHONE},
    },
]


@pytest.mark.parametrize("call", LEAKS)
@pytest.mark.parametrize("user_id", [USER, CANARY])
def test_no_identifier_gets_through(door, call, user_id):
    admission = door.admit([{"userId": user_id, "anonymousId": ANON, **call}], LOCAL, NOW)
    text = b"".join(encode(event) for event in admission.events) + msgspec.json.encode(admission.quarantined)
    for secret in (CANARY, CANARY.replace("@", "%40"), PHONE, ANON, "203.0.113.77", "Agent/9", user_id):
        assert secret.encode() not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "type event name userId anonymousId previousId groupId messageId timestamp sentAt properties context traits".split()
)
CALL = st.dictionaries(st.sampled_from(FIELDS), JSON) | st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "identify", "page", "alias", "group"]), "userId": st.text(max_size=8)},
    optional={"event": st.text(max_size=5), "properties": JSON, "traits": JSON, "context": JSON, "messageId": JSON},
)


@settings(max_examples=300, deadline=None)
@given(st.lists(CALL | JSON, max_size=4))
def test_every_call_is_either_an_event_or_quarantined_and_never_a_crash(door, calls):
    admission = door.admit(calls, LOCAL, NOW)
    assert len(admission.events) + len(admission.quarantined) == len(calls)
    for event in admission.events:
        assert isinstance(json.loads(event.properties), dict) and isinstance(json.loads(event.context), dict)
        encode(event)
    msgspec.json.encode(admission.quarantined)


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[a-z]{3,8}\.[a-z]{3,8}@[a-z]{3,8}\.(org|com)", fullmatch=True), JSON, st.data())
def test_an_e_mail_address_anywhere_in_properties_is_gone(door, address, value, data):
    place = data.draw(st.sampled_from(["plain", "inside", "deep", "key", "url"]))
    properties = {
        "plain": {"x": address}, "inside": {"x": f"hello {address}, bye"}, "deep": {"x": [{"y": {"z": [address]}}]},
        "key": {address: value}, "url": {"x": f"https://shop/?mail={address}&a=1"},
    }[place]  # fmt: skip
    admission = door.admit([track(properties={**properties, "v": value})], LOCAL, NOW)
    text = b"".join(map(encode, admission.events)) + msgspec.json.encode(admission.quarantined)
    assert address.encode() not in text


def test_a_long_text_costs_linear_time(door):
    """Eight times the text: eight times the CPU, where a square would be 64 times. The least of several readings."""

    def cpu_ns(size):
        readings = []
        for _ in range(5):
            began = time.thread_time_ns()
            for text in ("a" * size + "@", "@" * size, "a@" * (size // 2), "%40" * (size // 3), "x@ " * (size // 3)):
                door.admit([track(properties={"t": text})], LOCAL, NOW)
            readings.append(time.thread_time_ns() - began)
        return min(readings)

    assert cpu_ns(30_000) < 24 * cpu_ns(3_750)


def test_calls_of_who_asked_to_stay_out_are_dropped_and_counted(door):
    subjects = door._subjects
    for named in (subjects.named("user", "ada@example.org"), subjects.named("anonymous", "her phone")):
        subjects.destroy((), [named])
    subjects.release(())
    calls = [
        track(userId="ada@example.org"), {**track(), "userId": "bob", "anonymousId": "her phone"},
        {**track(), "userId": None, "anonymousId": "her phone"}, track(userId="bob"),
        {"type": "identify", "userId": "ada@example.org", "traits": {"plan": "x"}}, {"type": "nonsense"},
    ]  # fmt: skip
    found = door.admit(calls, LOCAL, NOW)
    assert found.suppressed == 4 and len(found.events) == 1 and [each.index for each in found.quarantined] == [5]
    assert found.links == found.consents == []
    assert subjects.known("user", "ada@example.org") is None
