"""One request on its way in, and what its body may be: size, type, compression.

An exchange is made when the headers of a request are complete, takes its body in parts, and is over when its answer
leaves or its client is gone. Not here: who decides (`serve.app`), the connection (`serve.connection`).
"""

from __future__ import annotations

import zlib
from urllib.parse import unquote

from nextpaint.govern.access import Principal
from nextpaint.record.errors import RequestError, TooLarge
from nextpaint.serve.http import Headers, Response, Route, UnsupportedMedia

_BODY_TYPES = (b"application/json", b"text/plain", b"application/octet-stream")
_REQUEST_ID_MAX = 64
_GZIP_BITS, _DEFLATE_BITS = 31, 15  # of zlib: a gzip stream; a zlib stream, which HTTP calls deflate


class Exchange:
    """`refusal`: the answer, when it was found before the body was whole; what still comes of the body is dropped.

    `lane` and `body_bytes` are what the exchange holds of the edge's limits until it is over.
    """

    __slots__ = (
        "body_bytes",
        "complete_s",
        "headers",
        "keep_alive",
        "lane",
        "method",
        "params",
        "parts",
        "path",
        "principal",
        "query",
        "refusal",
        "request_id",
        "route",
    )

    def __init__(self, method: str, headers: Headers, number: int) -> None:
        self.method = method
        self.headers = headers
        self.request_id = _given_id(headers) or b"r%d" % number
        self.path = ""
        self.query = b""
        self.route: Route | None = None
        self.params: dict[str, str] = {}
        self.principal: Principal | None = None
        self.parts: list[bytes] = []
        self.body_bytes = 0
        self.lane: str | None = None
        self.refusal: Response | None = None
        self.keep_alive = True
        self.complete_s = 0.0  # loop time at which the last byte came

    def target(self, target: bytes) -> None:
        """Split the target of the request line into path and query. Raises RequestError for what is no path."""
        path, _, self.query = target.partition(b"?")
        if path.startswith((b"http://", b"https://")):  # as to a proxy: the path begins after the authority
            path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
        try:
            text = path.decode("ascii")
        except UnicodeDecodeError as error:
            raise RequestError(
                "the path is not ASCII", where="request line", cure="percent-encode other characters"
            ) from error
        self.path = unquote(text) if "%" in text else text

    def body(self, bytes_max: int) -> bytes:
        """The body, inflated. Raises TooLarge, RequestError."""
        parts = self.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        encoding = self.headers.get(b"content-encoding")
        if encoding is None or not body:
            return body
        encoding = encoding.strip().lower()
        return body if encoding == b"identity" else inflate(body, bytes_max, encoding)


def check_media(headers: Headers) -> None:
    """Raise UnsupportedMedia for a type or a compression of the body that is not read here."""
    content_type = headers.get(b"content-type")
    if content_type is not None and not content_type.lower().startswith(_BODY_TYPES):
        raise UnsupportedMedia("the body is of another type", where="Content-Type", cure="send application/json")
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"identity", b"gzip", b"deflate"):
        raise UnsupportedMedia(
            "the body is compressed in another way", where="Content-Encoding", cure="send gzip or deflate"
        )


def content_length(headers: Headers) -> int | None:
    """Bytes declared; 0 without a body, None for a chunked one."""
    if b"transfer-encoding" in headers:
        return None
    value = headers.get(b"content-length")
    return int(value) if value is not None and value.isdigit() else 0


def inflate(data: bytes, bytes_max: int, encoding: bytes = b"gzip") -> bytes:
    """One gzip or deflate stream of at most `bytes_max` bytes.

    Raises TooLarge without inflating more, RequestError if it is damaged.
    """
    name = encoding.decode()
    stream = zlib.decompressobj(wbits=_GZIP_BITS if encoding == b"gzip" else _DEFLATE_BITS)
    try:
        inflated = stream.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise RequestError(f"the {name} body is damaged: {error}", where="body", cure="send it again") from error
    if len(inflated) > bytes_max:
        raise TooLarge(f"the body inflates to more than {bytes_max} bytes", where="body", cure="send smaller batches")
    if not stream.eof or stream.unused_data:
        raise RequestError(
            f"the {name} body is cut short or followed by other bytes", where="body", cure="send it again"
        )
    return inflated


def _given_id(headers: Headers) -> bytes | None:
    given = headers.get(b"x-request-id")
    if given and len(given) <= _REQUEST_ID_MAX and given.replace(b"-", b"").replace(b"_", b"").isalnum():
        return given
    return None
