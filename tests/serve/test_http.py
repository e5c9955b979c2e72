"""The edge itself: routes, keys, origins, limits, hostile connections, errors that say what to do."""

import asyncio
import base64
import json
import socket
import threading
import time

import pytest

from nextpaint.govern.access import Access, create_key
from nextpaint.govern.paper import attached
from nextpaint.ports.random import SystemRandom
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import HttpSettings
from nextpaint.serve.exchange import inflate
from nextpaint.serve.http import Route, Router
from nextpaint.serve.server import InsecureBinding, check_binding, serve
from tests.serve.conftest import wait_until

TRACK = {"userId": "u", "event": "E"}


def test_unknown_paths_and_methods(live):
    assert live.http.get("/nothing").status_code == 404
    assert live.http.get("/v1/track").status_code == 405
    assert live.http.request("BREW", "/v1/track").status_code in (400, 405)
    assert live.http.post("/v1/decide/" + "x" * 300, json={}).status_code == 404
    assert "cure" in live.http.get("/nothing").json()["error"]


def test_decide_and_explain(live):
    answer = live.http.post("/v1/decide/home", json={"userId": 5, "inputs": {"page": "home"}, "limit": 3})
    assert answer.json()["decision_id"] == "d1"
    assert live.node.requests == [{"userId": 5, "inputs": {"page": "home"}, "limit": 3}]
    page = live.http.post("/v1/decide", json={"surfaces": ["home", "home"], "anonymousId": "a"})
    assert len(page.json()["surfaces"]) == 2
    assert live.http.get("/v1/decisions/d1?view=user&replay=1").json() == {
        "decision_id": "d1",
        "view": "user",
        "replay": True,
    }
    assert live.http.get("/v1/decisions/none").status_code == 404
    assert live.http.get("/v1/decisions/d1?view=everything").status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "status", "names"),
    [
        ("/v1/decide/nowhere", {}, 404, "nowhere"),
        ("/v1/decide/home", {"inputs": {"bad": 1}}, 422, "bad"),
        ("/v1/decide/home", {"input": {}}, 422, "input"),
        ("/v1/decide/home", {"limit": "three"}, 422, "limit"),
        ("/v1/decide/home", {"limit": 0}, 422, "limit"),
        ("/v1/decide/home", {"items": [1]}, 422, "items"),
        ("/v1/decide/home", {"userId": True}, 422, "userId"),
        ("/v1/decide/home", [], 422, "object"),
        ("/v1/decide", {}, 422, "surfaces"),
        ("/v1/query", {"sql": "DROP TABLE items"}, 422, "SELECT"),
        ("/v1/query", {"sql": 5}, 422, "sql"),
        ("/v1/query", {}, 422, "sql"),
    ],
)
def test_wrong_requests_name_what_is_wrong(live, path, body, status, names):
    answer = live.http.post(path, json=body)
    assert answer.status_code == status
    assert names in json.dumps(answer.json()["error"])


def test_items_and_rows(live):
    assert live.http.put("/v1/items", json={"items": [{"item_id": "1", "stock": 0}, {}]}).json()["quarantined"]
    assert live.http.put("/v1/tables/inventory/rows", json={"rows": [{"item_id": "1"}]}).json()["accepted"] == 1
    assert live.http.put("/v1/tables/none/rows", json={"rows": []}).status_code == 404
    assert live.http.put("/v1/items", json={"items": [{}]}).status_code == 400
    assert live.http.put("/v1/items", json={"items": [7]}).status_code == 422
    deleted = live.http.request("DELETE", "/v1/items", json={"items": [{"item_id": "1"}]})
    assert deleted.json()["accepted"] == 1 and live.node.rows["items"] == []
    rows = {"rows": [{"item_id": "1"}, {}]}
    assert live.http.request("DELETE", "/v1/tables/inventory/rows", json=rows).json()["quarantined"]
    assert live.node.rows["inventory"] == []
    assert live.http.request("DELETE", "/v1/tables/inventory/rows", json={"keys": []}).status_code == 422


def test_a_decision_is_explained_as_json_or_on_paper(live):
    paper = live.http.get("/v1/decisions/d1?view=support&format=pdf")
    assert paper.headers["content-type"] == "application/pdf" and paper.content.startswith(b"%PDF-1.7")
    assert json.loads(attached(paper.content)) == live.http.get("/v1/decisions/d1?view=support").json()
    assert live.http.get("/v1/decisions/d1?format=docx").status_code == 422


def test_probes_and_description(live):
    assert live.http.get("/healthz").json() == {"status": "alive"}
    assert live.http.get("/readyz").status_code == 200
    live.node.is_ready = False
    assert live.http.get("/readyz").status_code == 503
    assert "nextpaint_events_total 1" in live.http.get("/metrics").text
    paths = live.http.get("/openapi.json").json()["paths"]
    assert {"/v1/track", "/v1/decide/{surface}", "/v1/items", "/v1/query", "/healthz"} <= set(paths)
    assert live.http.post("/v1/echo", content=b"{1").content == b"{1"
    script = live.http.get("/nextpaint.js")
    assert script.headers["content-type"].startswith("text/javascript") and "window.nextpaint" in script.text
    assert live.http.head("/healthz").status_code == 200


def test_every_answer_has_an_id_and_guards(live):
    answer = live.http.get("/healthz", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    odd = live.http.get("/healthz", headers={"X-Request-Id": "a b\tc"})
    assert odd.headers["x-request-id"].startswith("r")


def test_a_fault_of_ours_is_a_500_that_tells_no_secrets(live, caplog):
    live.node.fault = RuntimeError("the secret is hunter2")
    answer = live.http.post("/v1/decide/home", json={})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text and answer.headers["x-request-id"] in answer.text
    assert "hunter2" in caplog.text
    live.node.fault = None
    assert live.http.post("/v1/decide/home", json={}).status_code == 200


def test_keys_and_scopes(start, tmp_path):
    path = tmp_path / "access.json"
    write, read = (create_key(path, name, [name], SystemRandom()) for name in ("ingest", "read"))
    live = start(Access.open(path))
    basic = base64.b64encode(f"{write}:".encode()).decode()
    accepted = [
        live.http.post("/v1/track", json=TRACK, headers={"Authorization": f"Bearer {write}"}),
        live.http.post("/v1/track", json=TRACK, headers={"Authorization": f"Basic {basic}"}),
        live.http.post("/v1/track", json={**TRACK, "writeKey": write}),
        live.http.post("/v1/query", json={"sql": "SELECT 1"}, headers={"Authorization": f"Bearer {read}"}),
        live.http.get("/healthz"),
    ]
    assert [answer.status_code for answer in accepted] == [200] * 5
    assert live.node.principals[0].name == "ingest"
    refused = [
        (live.http.post("/v1/track", json=TRACK), 401),
        (live.http.post("/v1/track", json={**TRACK, "writeKey": write + "x"}), 401),
        (live.http.post("/v1/track", json={**TRACK, "writeKey": 5}), 401),
        (live.http.post("/v1/track", json=TRACK, headers={"Authorization": "Basic %%%"}), 401),
        (live.http.post("/v1/track", json=TRACK, headers={"Authorization": "Digest x"}), 401),
        (live.http.post("/v1/track", json=TRACK, headers={"Authorization": f"Bearer {read}"}), 403),
        (live.http.post("/v1/query", json={"sql": "SELECT 1"}, headers={"Authorization": f"Bearer {write}"}), 403),
        (live.http.put("/v1/items", json={"items": []}, headers={"Authorization": f"Bearer {write}"}), 403),
        (live.http.request("DELETE", "/v1/items", json={}, headers={"Authorization": f"Bearer {write}"}), 403),
        (live.http.post("/v1/decide/home", json={}), 401),
        (live.http.get("/metrics"), 401),
        (live.http.get("/v1/decisions/d1"), 401),
    ]
    assert [(answer.status_code, expected) for answer, expected in refused if answer.status_code != expected] == []


def test_every_route_that_writes_or_reads_data_asks_for_a_key(live):
    open_routes = {route.path for route in live.app.router.routes if route.scope is None and route.lane != "collect"}
    assert open_routes == {"/healthz", "/readyz", "/openapi.json", "/nextpaint.js", "/v1/echo"}


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.168.1.5", "::", "example.org"])
def test_an_address_others_can_reach_needs_keys(host):
    with pytest.raises(InsecureBinding, match="no API keys"):
        check_binding(host, Access())


def test_a_taken_port_is_a_clear_error(live):
    with pytest.raises(NextpaintError, match="cannot listen"):
        asyncio.run(serve(live.node, "127.0.0.1", live.port, Access()))


def test_pages_of_other_origins_may_not_write_to_an_open_node(live):
    def post(origin, path="/v1/track"):
        return live.http.post(path, json=TRACK, headers={"Origin": origin})

    local = post("http://localhost:3000")
    assert (local.status_code, local.headers["access-control-allow-origin"]) == (200, "http://localhost:3000")
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "file://", "http://[", "x"):
        refused = post(origin)
        assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
    assert live.http.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
    preflight = live.http.options("/v1/track", headers={"Origin": "http://localhost:3000"})
    assert preflight.status_code == 204 and "POST" in preflight.headers["access-control-allow-methods"]
    query = live.http.post("/v1/query", json={"sql": "SELECT 1"}, headers={"Origin": "http://localhost:3000"})
    assert "access-control-allow-origin" not in query.headers


def test_an_allowed_origin(start):
    live = start(origins=frozenset({"https://shop.example"}))
    answer = live.http.post("/v1/track", json=TRACK, headers={"Origin": "https://shop.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://shop.example")


BAD_HTTP = [
    b"\r\n\r\n\r\nGARBAGE\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost localhost\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nx\r\n0\r\n\r\n",

    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\nx\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /v1/decisions/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET //etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/decisions/d1?" + b"a=1&" * 100 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 40_000,
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n",
    b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_HTTP)
def test_bad_http_is_refused_and_the_node_goes_on(live, data):
    answer = live.raw(data, timeout_s=0.5)
    assert answer == b"" or 400 <= int(answer.split(b" ")[1]) < 500, answer[:200]
    assert live.http.post("/v1/track", json=TRACK).status_code == 200


def test_a_chunked_body_beyond_the_limit_is_not_read_whole(live):
    head = b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert b" 413 " in live.raw(head + chunk * 20)
    assert live.app.body_bytes_in_flight == 0


def test_slow_clients_are_cut_off(start):
    live = start(request_timeout_s=0.4)
    for data in (b"", b"POST /v1/tr", b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"):
        assert b" 408 " in live.raw(data), data
    with socket.create_connection(("127.0.0.1", live.port)) as sock:  # an idle kept-alive connection is not a slow one
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(4096).endswith(b"}")  # head and body come in one packet
        time.sleep(0.8)
        sock.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in sock.recv(4096)  # a head without a body is sent as well


def test_too_many_connections(start):
    live = start(connections_max=5)
    held = [socket.create_connection(("127.0.0.1", live.port)) for _ in range(5)]  # accepted in the order they came
    assert b" 503 " in live.raw(b"")
    for sock in held:
        sock.close()
    wait_until(lambda: live.http.get("/healthz").status_code == 200)


def test_too_many_requests_are_refused_early_and_apart_by_lane(start):
    live = start(collect_in_flight_max=3)
    gate = asyncio.Event()
    live.node.gate = gate
    answers = []

    def post():
        import httpx

        answers.append(httpx.post(live.url + "/v1/track", json=TRACK, timeout=60).status_code)

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    while live.app.in_flight["collect"] < 3:
        time.sleep(0.01)
    refused = live.http.post("/v1/track", json=TRACK)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert live.http.get("/healthz").status_code == 200
    live.node.gate = None
    assert live.http.post("/v1/decide/home", json={}).status_code == 200
    live.call(gate.set)
    for thread in threads:
        thread.join()
    assert answers == [200, 200, 200]
    assert live.app.in_flight == {"collect": 0, "decide": 0, "other": 0}


def test_bytes_in_flight_have_a_ceiling(start):
    live = start(body_bytes_in_flight_max=10)
    assert live.http.post("/v1/track", json=TRACK).status_code == 429


def test_a_client_that_leaves_is_no_error(live, caplog):
    with socket.create_connection(("127.0.0.1", live.port)) as sock:
        sock.sendall(b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
        time.sleep(0.1)  # in which it is read
    wait_until(lambda: live.app.in_flight["collect"] == 0 and live.app.body_bytes_in_flight == 0)
    assert caplog.text == ""


def test_two_handlers_of_one_route_are_a_mistake_found_at_start():
    async def handler(request): ...

    with pytest.raises(ValueError, match="two routes"):
        Router([Route("GET", "/a/{b}", handler, ""), Route("GET", "/a/{b}", handler, "")])


def test_inflate_is_exact_at_the_limit():
    import gzip

    assert inflate(gzip.compress(b"x" * 100), 100) == b"x" * 100
    assert HttpSettings().origins == frozenset()
