"""One connection: order, quanta, what it owes a client that is early, slow, rude or gone."""

import asyncio
import re
import socket
import threading
import time

import pytest

from tests.serve.conftest import wait_until

HEAD = b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def echo(body, headers=b""):
    return HEAD + headers + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def track(body=b'{"userId":"u","event":"E"}'):
    return b"POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Client:
    """A socket that reads whole answers."""

    def __init__(self, live):
        self.sock = socket.create_connection(("127.0.0.1", live.port), timeout=60)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, head_only=False):
        """(status, headers, body) of the next answer; None when the server closed."""
        while b"\r\n\r\n" not in self.data:
            if not self._more():
                return None
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        size = int(found[1]) if found and not head_only else 0
        while len(self.data) < size:
            assert self._more()
        body, self.data = self.data[:size], self.data[size:]
        return int(head.split(b" ")[1]), head, body

    def _more(self):
        part = self.sock.recv(1 << 16)
        self.data += part
        return part


def test_many_requests_of_one_packet_are_answered_in_order(live):
    count = 3_000  # several quanta, and more requests than are handled in one turn
    with Client(live) as client:
        sender = threading.Thread(target=client.send, args=(b"".join(echo(b"%d" % n) for n in range(count)),))
        sender.start()
        assert [client.answer()[2] for _ in range(count)] == [b"%d" % n for n in range(count)]
        sender.join()


def test_connections_that_came_during_a_busy_moment_are_taken_together(live):
    """With one a turn of the loop, a busy node takes fifty new visitors a second, and the next waits."""
    if live.fronted:
        return  # whatever keeps a node busy, its front takes connections
    held, go, done = threading.Event(), threading.Event(), threading.Event()
    turns = []

    def tick():
        turns.append(None)
        if live.app._served >= before + 64:
            done.set()
        else:
            asyncio.get_running_loop().call_soon(tick)

    def hold():
        held.set()
        go.wait(60)
        tick()

    before = live.app._served
    live.call(hold)
    assert held.wait(60)
    clients = [socket.create_connection(("127.0.0.1", live.port), timeout=60) for _ in range(64)]
    try:
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        go.set()
        assert done.wait(60)
        assert len(turns) < 20
    finally:
        for client in clients:
            client.close()


def test_a_request_waits_for_the_answer_of_the_one_before(live):
    live.node.gate = asyncio.Event()
    with Client(live) as client:
        client.send(track())
        client.send(echo(b"after"))
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.answer()
        client.sock.settimeout(60)
        live.call(live.node.gate.set)
        assert client.answer()[2].startswith(b'{"success":true')
        assert client.answer()[2] == b"after"


def test_a_request_cut_anywhere_is_the_same_request(live):
    whole = echo(b'{"a":1}', b"X-Request-Id: cut\r\n")
    with Client(live) as client:
        for at in range(1, len(whole), 7):
            client.send(whole[:at])
            time.sleep(0.001)
            client.send(whole[at:])
            status, head, body = client.answer()
            assert (status, body) == (200, b'{"a":1}') and b"x-request-id: cut" in head


def test_chunks_become_one_body(live):
    with Client(live) as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + echo(b"next"))
        assert client.answer()[2] == b"abcde"
        assert client.answer()[2] == b"next"


def test_a_client_that_asks_first_is_told_to_go_on(live):
    with Client(live) as client:
        client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.answer()[0] == 100
        client.send(b"ok")
        assert client.answer()[2] == b"ok"


def test_a_client_that_asks_first_is_told_why_not_and_let_go(live):
    with Client(live) as client:
        client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
        status, head, _ = client.answer()
        assert status == 413 and b"connection: close" in head
        assert client.answer() is None


def test_a_refused_body_is_dropped_and_the_connection_lives(live):
    body = b"x" * 300_000
    with Client(live) as client:
        client.send(echo(body) + GET + b"\r\n")
        assert client.answer()[0] == 413
        assert client.answer()[2] == b'{"status":"alive"}'
    assert live.app.body_bytes_in_flight == 0


def test_a_large_body_arrives_whole_in_quanta(live):
    rows = b'{"items":[' + b",".join(b'{"item_id":"%d"}' % n for n in range(50_000)) + b"]}"
    answer = live.http.put("/v1/items", content=rows)
    assert answer.json()["accepted"] == 50_000


def test_the_last_request_of_a_connection_is_answered_and_closes_it(live):
    for head in (GET + b"Connection: close\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n"):
        with Client(live) as client:
            client.send(head)
            status, answered, _ = client.answer()
            assert status == 200 and b"connection: close" in answered
            assert client.answer() is None


def test_a_client_that_stops_sending_still_gets_its_answer(live):
    with Client(live) as client:
        client.send(echo(b"half"))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.answer()[2] == b"half"
        assert client.answer() is None


def test_another_protocol_is_not_spoken(live):
    with Client(live) as client:
        client.send(GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + echo(b"next"))
        assert client.answer()[0] == 200
        assert client.answer()[2] == b"next"


@pytest.mark.parametrize(
    "head", [b"GET /healthz HTTP/1.1\r\n\r\n", GET + b"Host: evil.example\r\n\r\n"], ids=["no host", "two hosts"]
)
def test_a_request_names_one_host(live, head):
    with Client(live) as client:
        client.send(head)
        assert client.answer()[0] == 400
        assert client.answer() is None


def test_what_came_before_an_error_is_answered(live):
    with Client(live) as client:
        client.send(echo(b"fine") + b"GARBAGE\r\n\r\n")
        assert client.answer()[2] == b"fine"
        assert client.answer()[0] == 400
        assert client.answer() is None


def test_head_has_the_length_and_not_the_body(live):
    with Client(live) as client:
        client.send(GET.replace(b"GET", b"HEAD") + b"\r\n" + GET + b"\r\n")
        status, head, _ = client.answer(head_only=True)
        assert status == 200 and b"content-length: 18" in head
        assert client.answer()[2] == b'{"status":"alive"}'


def test_a_client_that_takes_no_answers_is_cut_off(start):
    live = start(request_timeout_s=0.4)
    body = b"x" * 60_000
    with Client(live) as client:
        client.sock.settimeout(2)
        with pytest.raises((ConnectionError, TimeoutError)):
            for _ in range(2_000):  # far more than the buffers of both sides hold
                client.send(echo(body))
            raise TimeoutError
        wait_until(lambda: live.app.body_bytes_in_flight == 0)
    assert live.http.get("/healthz").status_code == 200


def test_an_idle_connection_is_closed_in_the_end(start):
    live = start(request_timeout_s=0.2, keep_alive_s=1)
    with Client(live) as client:
        started = time.monotonic()
        client.send(GET + b"\r\n")
        assert client.answer()[0] == 200
        assert client.answer() is None
        assert time.monotonic() - started > 0.5


def test_stopping_lets_a_request_finish(start):
    live = start()
    live.node.gate = asyncio.Event()
    with Client(live) as client, Client(live) as idle:
        client.send(
            b'POST /v1/track HTTP/1.1\r\nHost: localhost\r\nContent-Length: 26\r\n\r\n{"userId":"u","event":"E"}'
        )
        while not live.app.in_flight["collect"]:
            time.sleep(0.01)
        live.call(live._stop.set)
        assert idle.answer() is None
        live.call(live.node.gate.set)
        status, head, _ = client.answer()
        assert status == 200 and b"connection: close" in head
