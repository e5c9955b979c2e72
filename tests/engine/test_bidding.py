"""Bid requests on a live node: answered in time, within what they allow, and what becomes of a bid is an event."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import pytest

from nextpaint.decide import RTB, Decider
from nextpaint.engine.erasing import Asked
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SystemClock
from nextpaint.record.errors import ApplicationError
from nextpaint.serve import bidding
from nextpaint.serve.bidding import Bids
from nextpaint.serve.http import Request
from tests.engine.ads import CREATIVES, asked, bidder, imp
from tests.engine.consents import consent
from tests.engine.shop import LiveNode


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with LiveNode(tmp_path_factory.mktemp("bidder"), bidder(), items=CREATIVES) as live:
        rates = [{"currency": "EUR", "rate": 1.25}, {"currency": "GBP", "rate": 1.5}]
        assert live.http.put("/v1/tables/fx/rows", json={"rows": rates}).status_code == 200
        yield live


def post(node, body, **query):
    return node.http.post("/v1/bid/ads", json=body, params=query)


def bids(node, body):
    answer = post(node, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def only(node, body):
    (seat,) = bids(node, body)["seatbid"]
    (bid,) = seat["bid"]
    return bid


def reads(node, anonymous_id, topic, times=3):
    calls = [
        {"type": "track", "event": "Article Read", "anonymousId": anonymous_id, "properties": {"topic": topic}}
        for _ in range(times)
    ]
    assert node.http.post("/v1/batch", json={"batch": calls}).status_code == 200
    rows(node, "SELECT 1 FROM spent")  # applied: a bid waits for nothing


def record(node, bid):
    return node.http.get(f"/v1/decisions/{bid['id']}", params={"view": "support", "replay": "1"}).json()


def called(node, address, **filled):
    """An exchange calls a notice, its macros filled in."""
    for name, value in filled.items():
        address = address.replace(f"${{{name}}}", str(value))
    parts = urlsplit(address)
    return node.http.get(f"{parts.path}?{parts.query}")


def rows(node, sql):
    """Rows once every event is applied."""
    position = node.http.post("/v1/track", json={"event": "Sync", "anonymousId": "sync"}).json()["position"]
    node.http.post("/v1/decide/plain", json={"position": position})
    return node.http.post("/v1/query", json={"sql": sql}).json()["rows"]


# ---------------------------------------------------------------- what is answered


def test_a_banner_request_gets_the_best_that_fits(node):
    answer = post(node, asked())
    assert answer.status_code == 200 and answer.headers["x-openrtb-version"] == "2.6"
    body = answer.json()
    assert body["id"] == asked()["id"] and body["cur"] == "USD" and body["seatbid"][0]["seat"] == "s1"
    (bid,) = body["seatbid"][0]["bid"]
    assert (bid["impid"], bid["crid"], bid["price"], bid["cid"]) == ("1", "shoes", 2.0, "c-shoes")
    assert bid["adomain"] == ["shoes.example"] and bid["cat"] == ["IAB17-30"] and bid["mtype"] == 1
    assert (bid["w"], bid["h"]) == (300, 250) and "https://shoes.example" in bid["adm"]
    assert record(node, bid)["replay"]["verdict"] == "identical"


@pytest.mark.parametrize(
    ("imps", "more", "best"),
    [
        ([imp(banner={"w": 728, "h": 90})], {}, "pans"),
        ([imp(banner={"format": [{"w": 728, "h": 90}, {"w": 970, "h": 90}]})], {}, "pans"),
        ([imp()], {"bcat": ["IAB17", "IAB25"]}, "tents"),  # a blocked category blocks what is below it
        ([imp()], {"bcat": [], "badv": []}, "casino"),
        ([imp()], {"badv": ["SHOES.example", "casino.example"]}, "tents"),
        ([imp()], {"badv": ["shoes.example", "casino.example", "outdoor.example"]}, None),  # de.outdoor.example too
        ([imp(banner={"w": 300, "h": 250, "battr": [6]})], {"badv": ["shoes.example"]}, None),
        ([imp(bidfloor=2.01)], {}, None),
        ([imp(bidfloor=1.6, bidfloorcur="EUR")], {}, "shoes"),  # 2.00 of ours
        ([imp(bidfloor=1.61, bidfloorcur="EUR")], {}, None),
        ([imp(bidfloor=0.1, bidfloorcur="XAU")], {}, None),  # no rate, no bid
        ([imp(secure=0, banner={"w": 300, "h": 250})], {"bcat": ["IAB17", "IAB20", "IAB25"]}, "plain"),
        ([imp()], {"bcat": ["IAB17", "IAB20", "IAB25"]}, None),  # plain is not secure
        ([imp(pmp={"private_auction": 1, "deals": [{"id": "d"}]})], {}, None),
        ([imp(pmp={"private_auction": 0, "deals": [{"id": "d"}]})], {}, "shoes"),
        ([{"id": "v", "video": {"mimes": ["video/mp4"]}}], {}, None),
        ([imp()], {"wseat": ["other"]}, None),
        ([imp()], {"wseat": ["other", "s1"]}, "shoes"),
        ([imp()], {"bseat": ["s1"]}, None),
        ([imp()], {"cattax": 7}, None),  # categories of another taxonomy are blocked: nothing can be checked
        ([imp()], {"cattax": 7, "bcat": []}, "casino"),
        ([imp()], {"badv": [f"d{number}.example" for number in range(1_001)]}, None),
    ],
)
def test_what_a_request_rules_out_is_not_bid(node, imps, more, best):
    answer = post(node, asked(imps, **more))
    if best is None:
        assert answer.status_code == 204 and answer.content == b""
        reason = post(node, asked(imps, **more), nbr="1").json()
        assert reason["id"] == asked()["id"] and isinstance(reason["nbr"], int) and reason["ext"]["why"]
    else:
        assert answer.json()["seatbid"][0]["bid"][0]["crid"] == best


def test_prices_are_answered_in_a_currency_the_exchange_takes(node):
    assert bids(node, asked(cur=["JPY", "GBP", "EUR"]))["cur"] == "GBP"
    assert only(node, asked(cur=["EUR"]))["price"] == 1.6
    assert only(node, asked(cur=["EUR", "USD"]))["price"] == 2.0  # ours, where it is taken
    assert post(node, asked(cur=["JPY"])).status_code == 204


def test_several_places_get_different_ads(node):
    body = bids(node, asked([imp(1), imp(2), imp(3, banner={"w": 728, "h": 90}), imp(4)]))
    made = {bid["impid"]: bid["crid"] for bid in body["seatbid"][0]["bid"]}
    assert made == {"1": "shoes", "2": "tents", "3": "pans"}  # nothing is left for the fourth
    assert len({bid["id"] for bid in body["seatbid"][0]["bid"]}) == 3


NATIVE = {
    "ver": "1.2",
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 12}},
        {"id": 2, "required": 1, "img": {"type": 3, "wmin": 300, "hmin": 157}},
        {"id": 3, "data": {"type": 1, "len": 100}},
        {"id": 4, "data": {"type": 3}},  # a rating, which nobody here has: left out, for it is not required
    ],
}


@pytest.mark.parametrize("text", [json.dumps(NATIVE), json.dumps({"native": NATIVE})])
def test_a_native_place_is_filled_asset_by_asset(node, text):
    bid = only(node, asked([{"id": "n", "native": {"request": text, "ver": "1.2"}}]))
    assert bid["crid"] == "story" and bid["mtype"] == 4 and "w" not in bid
    ad = json.loads(bid["adm"])
    assert ad["link"]["url"] == "https://kitchen.example/go"
    assert ad["assets"] == [
        {"id": 1, "title": {"text": "A headline a"}},
        {"id": 2, "img": {"url": "https://kitchen.example/story.jpg", "w": 300, "h": 157}},
        {"id": 3, "data": {"value": "kitchen.example"}},
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", json.dumps({"assets": [{"id": 1, "required": 1, "data": {"type": 3}}]})]
)
def test_a_native_place_that_cannot_be_filled_is_not_bid(node, text):
    assert post(node, asked([{"id": "n", "native": {"request": text}}])).status_code == 204


# ---------------------------------------------------------------- who it is, and what they agreed to


def test_a_person_is_known_by_the_id_that_is_ours(node):
    reads(node, "our-cookie", "camping")
    assert only(node, asked(user={"id": "theirs", "buyeruid": "our-cookie"}))["crid"] == "tents"
    assert only(node, asked(user={"id": "our-cookie"}))["crid"] == "shoes"  # their id is not taken for ours


def test_a_device_is_known_by_its_advertising_id_without_regard_to_case(node):
    reads(node, "ifa:aa000dfe-7416-8477-c70d-291f574d3447", "camping")
    body = asked(device={"ifa": "AA000DFE-7416-8477-C70D-291F574D3447"})
    assert only(node, body)["crid"] == "tents"
    assert only(node, asked(device={**body["device"], "lmt": 1}))["crid"] == "shoes"
    assert only(node, asked(device={"ifa": "00000000-0000-0000-0000-000000000000"}))["crid"] == "shoes"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"regs": {"gdpr": 1}, "user": {"consent": consent({1, 3, 4}, {1, 755})}}, ""),
        ({"regs": {"gdpr": 1}, "user": {"consent": consent({1, 3, 4}, {1, 755}, ranges=True)}}, ""),
        ({"regs": {"ext": {"gdpr": 1}}, "user": {"ext": {"consent": consent({1, 2, 3, 4}, {755})}}}, ""),
        ({"regs": {"gdpr": 0}}, ""),
        ({"regs": {"us_privacy": "1YNN"}}, ""),
        ({"regs": {"gdpr": 1}}, "gdpr"),
        ({"regs": {"gdpr": 1}, "user": {"consent": "nonsense"}}, "gdpr"),
        ({"regs": {"gdpr": 1}, "user": {"consent": consent({1, 3}, {755})}}, "gdpr"),
        ({"regs": {"gdpr": 1}, "user": {"consent": consent({1, 3, 4}, {1})}}, "gdpr"),
        ({"regs": {"coppa": 1}}, "coppa"),
        ({"regs": {"us_privacy": "1YYN"}}, "us_privacy"),
        ({"regs": {"gpp": "DBABMA~x", "gpp_sid": [7]}}, "gpp"),
        ({"device": {"dnt": 1}}, "do not track"),
    ],
)
def test_without_agreement_nothing_personal_is_read(node, more, why):
    reads(node, "somebody", "camping", times=1)
    person = {"buyeruid": "somebody", **more.get("user", {})}
    bid = only(node, asked(**{**more, "user": person}))
    told = record(node, bid)
    assert told["profiled"] is (why == "") and told["withheld"] == why
    assert bid["crid"] == ("tents" if why == "" else "shoes")
    assert told["replay"]["verdict"] == "identical"


def test_no_identifier_is_in_the_answer_or_on_disk(node):
    body = asked(
        user={"id": "exchange-id-12345678", "buyeruid": "our-secret-cookie-77"}, device={"ifa": "ifa-99887766"}
    )
    text = post(node, body).text
    for secret in ("exchange-id-12345678", "our-secret-cookie-77", "ifa-99887766"):
        assert secret not in text
        assert not any(secret.encode() in path.read_bytes() for path in node.directory.rglob("*") if path.is_file())


# ---------------------------------------------------------------- what becomes of a bid


def test_notices_become_events_of_the_person_and_count_once(node):
    reads(node, "winner", "camping")
    bid = only(node, asked(user={"buyeruid": "winner"}))
    for _ in range(2):
        assert called(node, bid["nurl"], AUCTION_PRICE=1.31, AUCTION_CURRENCY="USD").status_code == 204
    assert called(node, bid["burl"], AUCTION_PRICE=1.31).status_code == 204
    assert rows(node, "SELECT won, total FROM spent WHERE item_id = 'tents'") == [[1, 1.31]]
    (winner,) = rows(node, "SELECT subject FROM wins WHERE won = 1")
    assert winner in rows(node, "SELECT subject FROM likes WHERE topic = 'camping'")
    unknown = only(node, asked(regs={"coppa": 1}, user={"buyeruid": "winner"}))
    assert called(node, unknown["nurl"], AUCTION_PRICE=1).status_code == 204
    assert winner in rows(node, "SELECT subject FROM wins WHERE won = 1")  # not to their account: nobody's
    assert len(rows(node, "SELECT subject FROM wins")) == 2


def test_a_notice_for_somebody_who_was_erased_since_is_nobodys(node):
    reads(node, "leaver", "camping")
    bid = only(node, asked(user={"buyeruid": "leaver"}))
    (leaver,) = node.engine._explaining.record(bid["id"]).subjects
    before = rows(node, "SELECT subject FROM wins")
    assert node.run(node.engine.erase(LOCAL, Asked(anonymous_id="leaver")))["erased"]
    assert called(node, bid["nurl"], AUCTION_PRICE=1.31, AUCTION_CURRENCY="USD").status_code == 204
    after = rows(node, "SELECT subject FROM wins")
    assert [leaver] not in after and len(after) == len(before) + 1


def test_a_billed_bid_is_an_impression_and_the_cap_holds(node):
    reads(node, "capped", "camping")
    for _ in range(2):
        bid = only(node, asked(user={"buyeruid": "capped"}))
        assert bid["crid"] == "tents"
        assert called(node, bid["burl"], AUCTION_PRICE="", AUCTION_LOSS="").status_code == 204
        rows(node, "SELECT 1 FROM spent")  # applied
    assert only(node, asked(user={"buyeruid": "capped"}))["crid"] == "shoes"


def test_a_loss_says_why(node):
    bid = only(node, asked(user={"buyeruid": "loser"}))
    assert called(node, bid["lurl"], AUCTION_LOSS=102, AUCTION_MIN_TO_WIN=2.4, AUCTION_PRICE="").status_code == 204
    assert rows(node, f"SELECT loss FROM lost WHERE decision_id = '{bid['id']}'") == [["102"]]
    assert re.search(r"price=\$\{AUCTION_PRICE\}&cur=\$\{AUCTION_CURRENCY\}&loss=\$\{AUCTION_LOSS\}", bid["lurl"])


def test_a_notice_that_was_not_made_here_is_refused(node):
    bid = only(node, asked())
    win, loss = bid["nurl"], bid["lurl"]
    assert called(node, win.replace("item=shoes", "item=casino")).status_code == 422
    assert called(node, win.replace("/win/", "/loss/")).status_code == 422
    assert called(node, loss.replace("bid=2.0", "bid=0.01")).status_code == 422
    assert called(node, win.replace("/win/", "/coffee/")).status_code == 404
    assert called(node, re.sub(r"sig=\w+", "sig=", win)).status_code == 422
    assert called(node, re.sub(r"sig=\w+", "sig=%C3%A4", win)).status_code == 422


# ---------------------------------------------------------------- time, and hostile requests


def test_less_time_than_a_decision_takes_is_no_bid(node):
    reason = post(node, asked(tmax=3), nbr="1").json()
    assert reason["nbr"] == 15 and re.search(r"-?\d+ ms are left to decide", reason["ext"]["why"])


def test_what_would_be_late_is_not_begun_and_is_tried_again_after_a_slow_moment(node):
    deciding = node.engine._deciding  # the surface has 8 s: a machine that stalls for some of it changes nothing
    for _ in range(40):
        deciding._needed.took(9_000.0)
    decided, late = len(node.engine.node.decisions), node.engine.node.observed.counters["bids_late"]
    reason = post(node, asked(tmax=7_000), nbr="1").json()
    assert (reason["nbr"], reason["ext"]["why"]) == (15, "time was up")
    assert len(node.engine.node.decisions) == decided, "it took no time of those behind it"
    assert node.engine.node.observed.counters["bids_late"] == late + 1
    tries = 1
    while "seatbid" not in post(node, asked(tmax=7_000), nbr="1").json():
        tries += 1
    assert 3 < tries < 60
    assert post(node, asked(tmax=7_000), nbr="1").json()["seatbid"], "what it took is known again"


def test_what_waited_in_the_node_is_a_part_of_its_time(node, monkeypatch):
    """A request that came long ago is not decided; one whose answer would leave too late is not answered."""

    async def bid(waited_s, tmax):
        body = json.dumps(asked(tmax=tmax)).encode()
        came = asyncio.get_running_loop().time() - waited_s
        request = Request("POST", "/v1/bid/ads", {"surface": "ads"}, b"nbr=1", {}, LOCAL, body, came)
        return json.loads((await Bids(node.engine).bid(request)).body)

    late = node.engine.node.observed.counters["bids_late"]
    assert node.run(bid(9.0, 10_000)).get("seatbid") is None
    assert node.run(bid(0.5, 7_000))["seatbid"]
    assert node.engine.node.observed.counters["bids_late"] == late
    ages = iter([0.0, 9e9])
    monkeypatch.setattr(bidding, "_since_ms", lambda _: next(ages))
    assert node.run(bid(0.0, 7_000)) == {"id": asked()["id"], "nbr": 15, "ext": {"why": "time was up"}}
    assert node.engine.node.observed.counters["bids_late"] == late + 1


SLOW = """
def dawdles(candidates, context):
    time.sleep(0.3)
    return candidates.none()
def stalls(candidates, context):
    time.sleep(0.5)
    return candidates.none()
best = Top("creatives", by="cpm", k=200)
busy = ads.but("busy", window=Window("BUSY", 4_000, 100, 200, 50, ttl_s=1), retrieve=[best, dawdles])
late = ads.but("late", window=Window("LATE", 200, 20, 100, 50, ttl_s=1), retrieve=[best, stalls])
"""


def test_time_that_is_up_is_no_bid_and_load_sheds_what_is_optional_first(tmp_path):
    with LiveNode(tmp_path, bidder(surfaces=SLOW), items=CREATIVES) as slow:
        reason = slow.http.post("/v1/bid/late", json=asked(), params={"nbr": "1"}).json()
        assert reason["nbr"] == 15 and reason["ext"]["why"] == "time was up"
        shed = []
        for _ in range(4):
            body = slow.http.post("/v1/bid/busy", json=asked(bcat=["IAB17", "IAB25"])).json()
            (bid,) = body["seatbid"][0]["bid"]
            assert bid["crid"] == "tents"  # what must not be bid is not bid, whatever there was no time for
            shed.append([each["stage"] for each in record(slow, bid)["degraded"]])
        assert ["retrieve dawdles"] in shed
        assert slow.engine.node.observed.counters["bids_late"] == 1


def test_a_window_in_less_time_shares_it_in_proportion():
    half = RTB.within(50)
    assert (half.total_ms, half.ingest_ms, half.process_ms, half.govern_ms) == (50, 17, 22, 5)
    assert RTB.within(10_000) is RTB and RTB.within(-5).total_ms == 0


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "JSON"), (b"[]", "object"), (b'{"id": 5, "imp": []}', "id"), (b'{"id": "a"}', "imp"),
        (b'{"id": "a", "imp": []}', "imp"), (b'{"id": "", "imp": [{"id": "1"}]}', "id"),
        (b'{"id": "a", "imp": [{"id": "1", "bidfloor": -1}]}', "bidfloor"),
        (b'{"id": "a", "imp": [{"id": "1", "bidfloor": "1"}]}', "bidfloor"),
        (b'{"id": "a", "imp": [{"id": "1", "banner": {"w": -1}}]}', "banner"),
        (b'{"id": "a", "imp": [{"id": "1"}], "tmax": 0}', "tmax"),
        (b'{"id": "a", "imp": [{"id": "1"}], "tmax": "fast"}', "tmax"),
        (b'{"id": "a", "imp": [{"id": "1"}], "badv": "all"}', "badv"),
        (b'{"id": "a", "imp": [{"id": "1"}], "regs": {"gdpr": 2}}', "gdpr"),
        (b"[" * 5_000, "object"),
    ],
)  # fmt: skip
def test_what_is_no_bid_request_is_refused_naming_what_is_wrong(node, body, named):
    answer = node.http.post("/v1/bid/ads", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert named in answer.json()["error"]["what"]


def test_a_surface_without_a_bid_answers_none(node):
    answer = node.http.post("/v1/bid/plain", json=asked())
    assert answer.status_code == 404 and "Bid(...)" in answer.json()["error"]["cure"]


def test_mistakes_of_a_declaration_are_reported_together():
    wrong = 'odd = ads.but("odd", inputs={}, require=[Bid(price="topic", native={"joke": "body"}, rates="likes")])'
    application = bidder(surfaces=wrong)
    with pytest.raises(ApplicationError) as caught:
        Decider(application.surfaces, application.program.tables, SystemClock())
    text = str(caught.value.diagnostics)
    for part in ("'topic' is STRING", "'joke'", "needs the input 'formats'", "needs the key (currency)"):
        assert part in text
