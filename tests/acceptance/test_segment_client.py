"""The official Segment client works unchanged against a live node, and no raw identifier of a visitor reaches the
disk.
"""

from datetime import UTC, datetime

import pytest
import segment.analytics as segment_module
from segment.analytics.client import Client

from tests.engine.shop import GOODS, LiveNode, bytes_of, corner, doubled, events_in

EMAIL = "jane.roe+shop@example.com"
USER = "user-jane-4711"
PHONE = "+49 151 5550123"
PREVIOUS = "anon-3f9c2a7e"


@pytest.fixture
def live(tmp_path):
    with LiveNode(tmp_path / "node", corner(), GOODS) as node:
        yield node


@pytest.fixture
def client(live):
    failures = []
    client = Client(
        "write-key", host=live.url, on_error=lambda error, batch: failures.append(error), upload_interval=0.05
    )
    yield client
    client.join()
    assert not failures


def every_call(client):
    """One of each kind, personal texts wherever a careless page would put them."""
    client.identify(USER, {"email": EMAIL, "phone": PHONE, "name": "Jane Roe", "plan": "gold"}, anonymous_id=PREVIOUS)
    client.track(USER, "Product Viewed", {"product_id": "g3", "email": EMAIL, "note": f"asked by {EMAIL}"})
    client.track(
        EMAIL, "Product Added", {"product_id": "g4"}, context={"traits": {"email": EMAIL}, "ip": "203.0.113.7"}
    )
    client.page(USER, "Shop", "Home", {"url": f"https://shop.example/?email={EMAIL}", "title": "Home"})
    client.screen(USER, "App", "Home", {"from": EMAIL})
    client.group(USER, "group-9", {"name": "Roe Ltd", "contact": EMAIL})
    client.alias(PREVIOUS, USER)
    return ["identify", "track", "track", "page", "screen", "group", "alias"]


def test_every_call_of_the_official_client_is_in_the_ledger_once(live, client):
    sent = every_call(client)
    for n in range(60):
        client.track(USER, "Product Viewed", {"product_id": f"g{n % 20}"}, timestamp=datetime.now(UTC))
    client.flush()
    assert "nextpaint_events_total 67\n" in live.http.get("/metrics").text
    events = events_in(live.directory)
    assert [event.type for event in events[:7]] == sent
    assert len(events) == 67 and not doubled(event.message_id for event in events)
    assert segment_module.VERSION  # it is the official package that was used


def test_a_click_of_the_official_client_is_in_the_next_decision(live, client):
    page = {"anonymousId": PREVIOUS, "inputs": {"page": "home"}}
    before = live.http.post("/v1/decide/shelf", json=page).json()["items"]
    assert before[0]["id"] != "g3"
    client.track(anonymous_id=PREVIOUS, event="Product Viewed", properties={"product_id": "g3"})
    client.flush()
    assert live.http.post("/v1/decide/shelf", json=page).json()["items"][0]["id"] == "g3"


def test_the_raw_text_of_a_visitor_is_nowhere_in_the_data_directory(tmp_path):
    """Every byte of every file: ledger, keys.db and its log, checkpoints; while the node runs and after it stopped."""
    with LiveNode(tmp_path / "node", corner(), GOODS) as live:
        client = Client("write-key", host=live.url, sync_mode=True)
        every_call(client)
        live.http.post("/v1/track", json={"event": 5, "userId": USER, "properties": {"email": EMAIL}})  # quarantined
        live.http.post("/v1/decide/shelf", json={"userId": EMAIL, "anonymousId": PREVIOUS, "inputs": {"page": "home"}})
        row = {"item_id": "g1", "price": EMAIL}
        assert live.http.put("/v1/items", json={"items": [row]}).status_code in (200, 400, 422)
        running = bytes_of(live.directory)
    stopped = bytes_of(live.directory)
    names = {path.name for path, _ in stopped}
    assert "keys.db" in names and any(name.endswith(".ckpt") for name in names)
    assert len(events_in(live.directory)) == 7
    for text in (EMAIL, USER, PHONE, PREVIOUS, "jane.roe", "jane.roe%2Bshop", "151 5550123", "Jane Roe", "203.0.113.7"):
        for path, content in [*running, *stopped]:
            assert text.encode() not in content, f"{text} is in {path.name}"
            assert text.lower().encode() not in content.lower(), f"{text} is in {path.name}"
            assert text.encode("utf-16-le") not in content, f"{text} is in {path.name}"
