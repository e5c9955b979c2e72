"""Collecting: Segment's calls, its official client, its limits; and a corpus of bad input that loses nothing."""

import gzip
import json
import time
import zlib

import pytest
import segment.analytics as segment_module
from segment.analytics.client import Client


def good(message_id, **more):
    return {"userId": "u1", "event": "Product Viewed", "messageId": message_id, **more}


def test_one_call_is_kept_and_its_position_answered(live):
    answer = live.http.post("/v1/track", json=good("m1", properties={"product_id": "7"}))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1, "position": "1.0.0"})
    assert [(event.message_id, event.item_id) for event in live.node.events] == [("m1", "7")]


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/identify", {"traits": {"plan": "gold"}}, "identify"),
        ("/v1/page", {"name": "Home"}, "page"),
        ("/v1/screen", {"name": "Home"}, "screen"),
        ("/v1/group", {"groupId": "g"}, "group"),
        ("/v1/alias", {"previousId": "a"}, "alias"),
        ("/v1/t", {"event": "E"}, "track"),
        ("/v1/i", {}, "identify"),
        ("/v1/p", {}, "page"),
        ("/v1/s", {}, "screen"),
        ("/v1/g", {"groupId": "g"}, "group"),
        ("/v1/a", {"previousId": "a"}, "alias"),
    ],
)
def test_every_call_has_its_path(live, path, body, kind):
    assert live.http.post(path, json={"userId": "u", **body}).status_code == 200
    assert live.node.events[0].type == kind


def test_a_duplicate_is_a_success_and_counted(live):
    live.http.post("/v1/track", json=good("m1"))
    assert live.http.post("/v1/track", json=good("m1")).json()["duplicates"] == 1
    assert len(live.node.events) == 1


def test_a_batch_merges_context_and_names_what_it_quarantined(live):
    calls = [
        {"type": "track", **good("a")},
        {"type": "track", "messageId": "b", "event": "E"},
        {"type": "page", **good("c"), "context": {"locale": "de"}},
        7,
    ]
    body = {"batch": calls, "context": {"locale": "en", "timezone": "UTC"}, "sentAt": "2026-01-01T00:00:00Z"}
    answer = live.http.post("/v1/batch", json=body)
    assert answer.status_code == 200
    assert [each["index"] for each in answer.json()["quarantined"]] == [1, 3]
    contexts = [json.loads(event.context) for event in live.node.events]
    assert contexts == [{"locale": "en", "timezone": "UTC"}, {"locale": "de", "timezone": "UTC"}]


def test_a_beacon_is_a_text_with_its_write_key_inside(live):
    body = json.dumps({"batch": [{"type": "track", **good("m")}], "writeKey": "wk"})
    answer = live.http.post("/v1/b", content=body, headers={"Content-Type": "text/plain;charset=UTF-8"})
    assert answer.status_code == 200


def test_gzip(live):
    data = gzip.compress(json.dumps(good("m1")).encode())
    assert live.http.post("/v1/track", content=data, headers={"Content-Encoding": "gzip"}).status_code == 200


def test_the_official_client_works_unchanged(live):
    failures = []
    client = Client(
        "write-key", host=live.url, gzip=True, on_error=lambda error, items: failures.append(error), timeout=30
    )
    for n in range(250):
        client.track("ada@example.org", "Product Viewed", {"product_id": str(n), "price": 1.5})
    client.identify("ada@example.org", {"email": "ada@example.org", "plan": "gold"})
    client.page(anonymous_id="anon", category="Shop", name="Home", properties={"url": "https://x/"})
    client.alias("anon", "ada@example.org")
    client.group("ada@example.org", "shop-1", {"size": 3})
    client.flush()
    client.join()
    assert failures == []
    assert len(live.node.events) == 254
    assert live.node.quarantine == []
    assert abs(live.node.events[0].ts - time.time() * 1000) < 60_000


def test_the_official_client_stops_at_a_rejected_batch_and_the_others_are_kept(live):
    failures = []
    client = Client("write-key", host=live.url, on_error=lambda error, items: failures.append(error), sync_mode=True)
    client.track("u", "good")
    with pytest.raises(segment_module.request.APIError):
        client.track("u", "bad", {"position": "first"})
    assert [event.event for event in live.node.events] == ["good"]
    assert "position must be an integer" in live.node.quarantine[0].reason


def test_overload_is_429_with_retry_after(live):
    live.node.overloaded = True
    answer = live.http.post("/v1/track", json=good("m1"))
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-ratelimit-reset"]) == (429, "3", "3")


def test_a_busy_node_refuses_events_before_their_bodies_and_still_decides(live):
    live.node.busy_because = "the ledger is behind"
    answer = live.http.post("/v1/track", content=b"not even JSON", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["error"]["what"] == "the ledger is behind"
    assert not live.node.principals, "it was never handed to the node"
    assert live.http.post("/v1/decide/home", json={"userId": 5}).status_code == 200


def padded(size):
    return json.dumps(good("m", properties={"x": "y" * size})).encode()


BAD_BODIES = [
    b"", b"{", b"}", b"[]", b"7", b"null", b"true", b'"track"', b"{}", b"\xff\xfe", b"\x00", b"{'a':1}", b"NaN",
    b'{"userId":"u"', b'{"userId":"u","event":"E"}x', b'{"userId":"u","event":NaN}', b'{"userId":"u","event":1}',
    b'{"userId":"u","event":""}', b'{"userId":"u","event":null}', b'{"event":"E"}', b'{"userId":"","event":"E"}',
    b'{"userId":true,"event":"E"}', b'{"userId":[],"event":"E"}', b'{"userId":{},"event":"E"}',
    b'{"userId":1.5,"event":"E"}', b'{"userId":1e999,"event":"E"}', b'{"userId":"\\ud800","event":"E"}',
    b'{"userId":"\xed\xa0\x80","event":"E"}', b'{"userId":"u","event":["E"]}',
    b'{"userId":"u","event":"E","properties":[]}',
    b'{"userId":"u","event":"E","properties":"x"}', b'{"userId":"u","event":"E","properties":7}',
    b'{"userId":"u","event":"E","context":[]}', b'{"userId":"u","event":"E","context":1}',
    b'{"userId":"u","event":"E","timestamp":1}', b'{"userId":"u","event":"E","timestamp":"now"}',
    b'{"userId":"u","event":"E","timestamp":"1970-01-01T00:00:00Z"}',
    b'{"userId":"u","event":"E","timestamp":"2131-01-01T00:00:00Z"}',
    b'{"userId":"u","event":"E","timestamp":"99999-01-01T00:00:00Z"}',
    b'{"userId":"u","event":"E","sentAt":"x"}', b'{"userId":"u","event":"E","sentAt":{}}',
    b'{"userId":"u","event":"E","messageId":[]}', b'{"userId":"u","event":"E","messageId":1.5}',
    b'{"userId":"u","event":"E","properties":{"n":123456789012345678901234567890}}',
    b'{"userId":"u","event":"E","properties":{"n":1e400}}',
    b'{"userId":"u","event":"E","properties":{"product_id":[]}}',
    b'{"userId":"u","event":"E","properties":{"product_id":true}}',
    b'{"userId":"u","event":"E","properties":{"position":"x"}}',
    b'{"userId":"u","event":"E","properties":{"position":-5}}',
    b'{"userId":"u","event":"E","properties":{"position":1.5}}',
    b'{"userId":"u","event":"E","properties":' + b'{"a":' * 40 + b"1" + b"}" * 41,
    b'{"userId":"u","event":"E","properties":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    b"[" * 100_000, b"{" * 30_000, b'{"userId":' + b"9" * 6000 + b',"event":"E"}',
    b'{"userId":"' + b"u" * 600 + b'","event":"E"}', b'{"userId":"u","event":"' + b"E" * 600 + b'"}',
    b'{"userId":"u","event":"E","context":{"consent":5}}', b'{"userId":"u","event":"E","context":{"consent":{}}}',
    padded(40_000), padded(600_000), padded(2_000_000), b"x" * 1_000_000, b"x" * 1_100_000,
]  # fmt: skip

BAD_BATCHES = [
    b"{}", b'{"batch":null}', b'{"batch":{}}', b'{"batch":"x"}', b'{"batch":[]}', b'{"batch":[1,2]}',
    b'{"batch":[null]}',
    b'{"batch":[[]]}', b'{"batch":[{}]}', b'{"batch":[{"type":"nope","userId":"u"}]}', b'{"batch":[{"type":7}]}',
    b'{"batch":[' + b"{}," * 2600 + b"{}]}", b'{"batch":[{"type":"track","userId":"u"}],"context":7,"sentAt":[]}',
    b'{"batch":["' + b"x" * 520_000 + b'"]}',
]  # fmt: skip


def test_bad_bodies_are_4xx_and_nothing_around_them_is_lost(live):
    assert len(BAD_BODIES) + len(BAD_BATCHES) >= 75
    for index, (path, body) in enumerate(
        [("/v1/track", b) for b in BAD_BODIES] + [("/v1/batch", b) for b in BAD_BATCHES]
    ):
        answer = live.http.post(path, content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, (answer.status_code, body[:80])
        error = answer.json()["error"]
        assert error["what"] and error["cure"], body[:80]
        assert live.http.post("/v1/track", json=good(f"m{index}")).status_code == 200
    assert len(live.node.events) == len(BAD_BODIES) + len(BAD_BATCHES)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param({"Content-Encoding": "gzip"}, b"not gzip", 400, id="not gzip"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:-4], 400, id="gzip cut off"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(b"{}") * 2, 400, id="gzip twice"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(b" " * 50_000_000), 413, id="gzip, large"),
        pytest.param({"Content-Encoding": "deflate"}, zlib.compress(b"{}")[:-2], 400, id="deflate cut off"),
        pytest.param({"Content-Encoding": "deflate"}, zlib.compress(b" " * 50_000_000), 413, id="deflate, large"),
        pytest.param({"Content-Encoding": "deflate"}, zlib.compress(b'{"userId":"u","event":"E"}'), 200, id="deflate"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(b'{"userId":"u","event":"E"}'), 200, id="gzip"),
        pytest.param({"Content-Encoding": "br"}, b"x", 415, id="brotli"),
        pytest.param({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415, id="multipart"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, b"a=b", 415, id="form"),
    ],
)
def test_encodings_of_a_body(live, headers, body, status):
    assert live.http.post("/v1/track", content=body, headers=headers).status_code == status


def test_a_compressed_bomb_is_not_inflated(live):
    import tracemalloc

    bomb = gzip.compress(b" " * 200_000_000)
    tracemalloc.start()
    answer = live.http.post("/v1/track", content=bomb, headers={"Content-Encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 413
    assert peak < 10_000_000
