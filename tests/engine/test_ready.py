"""Nothing is imported or compiled once the node says it is ready: no first visitor pays for what was left to do.

A node process with an audit hook: the interpreter itself reports every module it loads and every source it compiles.
"""

import json
import signal
import subprocess
import sys
import time

import httpx

from tests.engine.explorer import patiently
from tests.engine.shop import GOODS, ROOT, click, corner, written

WATCHED = """
import sys
said = []

def hook(event, arguments):
    if event == "import" or event == "compile":
        name = str(arguments[0] if event == "import" else arguments[1])
        if not (event == "import" and name in sys.modules):
            said.append(f"{event} {name}")

sys.addaudithook(hook)
import atexit, json, signal

def report(number, frame):
    with open(%(report)r, "a") as file:
        file.write(json.dumps([said[:], len(sys.modules)]) + chr(10))
    said.clear()

signal.signal(signal.SIGUSR1, report)
from nextpaint.cli import main
sys.exit(main(%(arguments)r))
"""


def test_nothing_is_imported_or_compiled_after_ready(tmp_path):
    folder, report = written(corner(), tmp_path / "corner"), tmp_path / "report"
    arguments = ["run", str(folder), "--data", str(tmp_path / "node"), "--port", "0", "--no-simulation"]
    script = WATCHED % {"report": str(report), "arguments": arguments}
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = next(line.split()[1] for line in process.stdout if line.strip().startswith("shop ")).rstrip("/")

        def so_far():
            before = len(report.read_text().splitlines()) if report.exists() else 0
            process.send_signal(signal.SIGUSR1)
            while not report.exists() or len(report.read_text().splitlines()) <= before:
                time.sleep(0.01)
                httpx.get(f"{url}/healthz", timeout=60)  # the signal is handled when the interpreter runs Python again
            return json.loads(report.read_text().splitlines()[-1])

        try:
            at_start, modules = so_far()
            assert len(at_start) > 100, "the hook does not see imports"
            serve(url)
            later, modules_later = so_far()
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
    assert later == []
    assert modules_later == modules


def serve(url):
    """200 events and 50 decisions, items, a query, a page of surfaces, an explanation, mistakes. A machine that stalls
    makes a node refuse some of it early."""
    with httpx.Client(base_url=url, timeout=60) as http:

        def sent(method, path, **body):
            return patiently(http, method, path, **body)

        assert sent("PUT", "/v1/items", json={"items": GOODS}).status_code == 200
        for n in range(200):
            assert sent("POST", "/v1/track", json=click(f"v{n % 7}", f"g{n % 20}")).status_code == 200
        for n in range(50):
            answer = sent("POST", "/v1/decide/shelf", json={"anonymousId": f"v{n % 7}", "inputs": {"page": "home"}})
            assert answer.status_code == 200
        calls = [{"type": "track", **click("v1", "g1", timestamp="2031-01-01T00:00:00Z")}, click("v1", "g1")]
        assert sent("POST", "/v1/batch", json={"batch": calls}).status_code == 200
        assert (
            http.post("/v1/query", json={"sql": "SELECT item_id, heat FROM heat ORDER BY heat DESC"}).status_code == 200
        )
        page = {"anonymousId": "v1", "surfaces": ["shelf"], "inputs": {"page": "home"}}
        assert sent("POST", "/v1/decide", json=page).status_code == 200
        assert http.get(f"/v1/decisions/{answer.json()['decision_id']}").status_code == 200
        assert sent("POST", "/v1/decide/nowhere", json={}).status_code == 404
        assert sent("POST", "/v1/track", content=b"{").status_code == 400
        for path in ("/healthz", "/readyz", "/metrics"):
            assert http.get(path).status_code == 200
