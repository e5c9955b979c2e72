"""Which web pages may call this node, and under which of its names.

Where no key protects the node, only pages of this machine (or of origins that were allowed) may write to it, and it
answers only to this machine's own names: a page that rebinds its own name to 127.0.0.1 gets nothing.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from nextpaint.serve.http import ForbiddenOrigin, Headers

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Origins:
    """`allowed`: further web origins ("https://shop.example"). `is_open`: no key protects the node."""

    def __init__(self, allowed: frozenset[str], is_open: bool) -> None:
        self._allowed = allowed
        self._is_open = is_open
        self._local_hosts: set[bytes] = set()  # Host values found to be local: one client sends the same one for ever

    def check(self, method: str, headers: Headers) -> None:
        """Raise ForbiddenOrigin for a request that may not reach an open node."""
        if not self._is_open:
            return
        host = headers.get(b"host")
        if host is not None and host not in self._local_hosts:
            if _host_name(host) not in LOCAL_NAMES:
                raise ForbiddenOrigin(
                    "this node has no API keys and answers only to this machine's own names",
                    where="Host",
                    cure="open it as http://127.0.0.1, or create API keys with `nextpaint key NAME`",
                )
            if len(self._local_hosts) < 64:
                self._local_hosts.add(host)
        origin = headers.get(b"origin")
        if origin is not None and method not in ("GET", "HEAD") and not self.may_call(origin, host):
            raise ForbiddenOrigin(
                "a page of this origin may not call this node", where="Origin", cure="allow it with `origins`"
            )

    def may_call(self, origin: bytes, host: bytes | None) -> bool:
        """Whether pages of `origin` may call the routes that are open across origins."""
        text = origin.decode("latin-1")
        if text in self._allowed:
            return True
        try:
            parts = urlsplit(text)
            name = parts.hostname
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or name is None:
            return False
        return name in LOCAL_NAMES or (host is not None and parts.netloc == host.decode("latin-1"))


def _host_name(host: bytes) -> str:
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
