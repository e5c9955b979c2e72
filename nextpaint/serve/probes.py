"""What operators and tools ask a node: alive, ready, its metrics, its API, and an echo to measure the edge alone."""

from __future__ import annotations

from importlib import resources

from nextpaint import __version__
from nextpaint.govern.access import READ
from nextpaint.serve.http import JSON, Request, Response, Route, json_response
from nextpaint.serve.node import Node
from nextpaint.serve.openapi import description

ECHO_BYTES_MAX = 64 * 1024


class Probes:
    """Handlers of the routes that describe the node. `api` is the route table that /openapi.json shows."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.api: list[Route] = []
        self._script = resources.files("nextpaint.serve").joinpath("console/nextpaint.js").read_bytes()

    def routes(self) -> list[Route]:
        tags = ("node",)
        return [
            Route("GET", "/healthz", self.healthz, "The process answers", tags=tags),
            Route("GET", "/readyz", self.readyz, "The node takes events and decides", tags=tags),
            Route("GET", "/metrics", self.metrics, "Prometheus metrics", scope=READ, tags=tags),
            Route("GET", "/openapi.json", self.openapi, "This description", tags=tags),
            Route("GET", "/nextpaint.js", self.script, "The browser script", cross_origin=True, tags=tags),
            Route("POST", "/v1/echo", self.echo, "The body as it came: what the edge alone costs",
                  lane="decide", body_bytes_max=ECHO_BYTES_MAX, tags=tags),
        ]  # fmt: skip

    def healthz(self, request: Request) -> Response:
        return json_response({"status": "alive"})

    def readyz(self, request: Request) -> Response:
        ready, detail = self._node.ready()
        return json_response({"ready": ready, "detail": detail}, 200 if ready else 503)

    def metrics(self, request: Request) -> Response:
        return Response(self._node.metrics().encode(), content_type=b"text/plain; version=0.0.4; charset=utf-8")

    def openapi(self, request: Request) -> Response:
        return json_response(description(self.api, __version__))

    def script(self, request: Request) -> Response:
        return Response(self._script, content_type=b"text/javascript; charset=utf-8")

    def echo(self, request: Request) -> Response:
        return Response(request.body, content_type=JSON)
