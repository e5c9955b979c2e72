"""Every error a caller of Nextpaint can see, and what each one promises.

    NextpaintError                 what happened, where, what to do
    ├── ApplicationError           the application does not check; carries every Diagnostic found
    ├── RequestError               the caller's request is wrong; nothing was changed          HTTP 400
    │   ├── NotFound               unknown surface, decision, table or topic                   HTTP 404
    │   │   └── LetGo              was there once; its retention is over                        HTTP 410
    │   ├── InvalidInput           a declared input is missing, unknown or of a wrong type     HTTP 422
    │   ├── PersonErased           what is asked about somebody who was erased                 HTTP 410
    │   ├── TooLarge               body, batch or event above its limit                        HTTP 413
    │   ├── Unauthenticated        missing or wrong API key                                    HTTP 401
    │   ├── AccessDenied           a key without the scope (govern.access)                     HTTP 403
    │   └── MethodNotAllowed 405, UnsupportedMedia 415, ForbiddenOrigin 403: of the HTTP edge (serve.http)
    ├── Overloaded                 refused early, nothing was kept; retry after a while        HTTP 429
    ├── LedgerError                the log cannot do what it promises
    │   ├── CorruptLedger          damage that is not a torn tail: the node does not start
    │   ├── LedgerReadOnly         a sync failed or the disk is full: no more acknowledgements HTTP 503
    │   └── LedgerLocked           another process has this data directory open
    ├── InsecureBinding            an address beyond loopback without API keys (serve.server)
    └── ReplayError                a position cannot be recomputed (beyond the replay horizon, other engine version)

An error is raised with three sentences: `what` happened, `where` (stream, offset, file, line), what to do (`cure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NextpaintError(Exception):
    """Base of all errors of this package. `str(error)` is what · where · cure."""

    status = 500

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        self.what = what
        self.where = where
        self.cure = cure
        super().__init__(what)

    def __str__(self) -> str:
        return " · ".join(part for part in (self.what, self.where, self.cure) if part)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of `nextpaint check`. `line` and `column` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    what: str
    cure: str = ""
    severity: str = "error"  # "error" | "warning"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        cure = f"\n    {self.cure}" if self.cure else ""
        return f"{place}: {self.severity}: {self.what}{cure}"


class ApplicationError(NextpaintError):
    """The application has errors; `diagnostics` lists all of them, not only the first."""

    status = 422

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        count = len(self.diagnostics)
        super().__init__(
            f"the application has {count} error{'s' if count != 1 else ''}",
            where="\n" + "\n".join(str(each) for each in self.diagnostics),
        )


class RequestError(NextpaintError):
    status = 400


class NotFound(RequestError):
    status = 404


class LetGo(NotFound):
    status = 410


class InvalidInput(RequestError):
    status = 422


class PersonErased(RequestError):
    status = 410


class TooLarge(RequestError):
    status = 413


class Unauthenticated(RequestError):
    status = 401


class Overloaded(NextpaintError):
    """Refused before anything was kept. `retry_after_s` is the Retry-After the edge sends."""

    status = 429

    def __init__(self, what: str, *, retry_after_s: int = 1, where: str = "", cure: str = "") -> None:
        self.retry_after_s = retry_after_s
        super().__init__(what, where=where, cure=cure or f"retry after {retry_after_s} s")


class LedgerError(NextpaintError):
    status = 503


class CorruptLedger(LedgerError):
    pass


class LedgerReadOnly(LedgerError):
    pass


class LedgerLocked(LedgerError):
    pass


class ReplayError(NextpaintError):
    status = 409
