"""Principals, API keys and scopes: who is calling, and what for.

A key reads `np_<id>.<secret>`: a public id that finds the record, and a secret of 256 random bits of which only the
SHA-256 is kept (a random secret of that size needs no slow hash). The key itself is shown once, by `create_key`.
The key file is JSON, mode 0600, replaced as a whole. A Segment write key is such a key with the scope `ingest`.

Invariants: secrets are compared in constant time, also for an id that does not exist; a principal has the scopes that
its key names and no others; only a node without keys and bound to loopback has the `local` principal with all scopes.
Not here: rate limits, and row or field permissions.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from nextpaint.ports.disk import SystemDisk
from nextpaint.ports.random import Random
from nextpaint.record.errors import InvalidInput, NextpaintError, RequestError, Unauthenticated

INGEST, DECIDE, READ, ADMIN = "ingest", "decide", "read", "admin"
SCOPES = frozenset({INGEST, DECIDE, READ, ADMIN})

_ID_BYTES = 6
_SECRET_BYTES = 32
_KEY_LENGTH_MAX = 200
_NO_SUCH_KEY = "0" * 64


class AccessDenied(RequestError):
    """The caller is known and may not do this. HTTP 403."""

    status = 403


class Principal(msgspec.Struct, frozen=True):
    """On whose behalf a call runs. `name` enters the dedup key of events; it is never a secret."""

    name: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Return if the scope is granted, else raise AccessDenied."""
        if scope not in self.scopes:
            raise AccessDenied(
                f"this key may not {scope}",
                where=f"principal {self.name}",
                cure=f"use a key that was created with --scope {scope}",
            )


LOCAL = Principal("local", SCOPES)


class KeyRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of an API key: never the secret."""

    id: str
    name: str
    scopes: frozenset[str]
    secret_sha256: str


class Access:
    """Turns a presented credential into a principal. Without keys every caller is `LOCAL`, if `loopback` allows it."""

    def __init__(self, keys: Sequence[KeyRecord] = (), *, loopback: bool = True) -> None:
        self._records = {record.id: record for record in keys}
        self._principals = {record.id: Principal(record.name, record.scopes) for record in keys}
        self._open = not self._records and loopback

    @staticmethod
    def open(path: Path, *, loopback: bool = True) -> Access:
        """Access by the keys of a file; a file that does not exist holds no keys. Raises NextpaintError if damaged."""
        return Access(read_keys(path), loopback=loopback)

    @property
    def records(self) -> list[KeyRecord]:
        """What is kept of the keys."""
        return list(self._records.values())

    @property
    def has_keys(self) -> bool:
        return bool(self._records)

    @property
    def is_open(self) -> bool:
        """True where no credential is asked for: loopback, and no keys."""
        return self._open

    def authenticate(self, credential: str | None) -> Principal:
        """The principal of a key, or Unauthenticated. The error does not tell an unknown id from a wrong secret."""
        if self._open:
            return LOCAL
        if not credential:
            raise Unauthenticated(
                "no API key was sent",
                cure="send Authorization: Bearer np_<id>.<secret>, or Basic with the key as user name",
            )
        key_id, _, secret = credential[:_KEY_LENGTH_MAX].removeprefix("np_").partition(".")
        record = self._records.get(key_id)
        expected = record.secret_sha256 if record is not None else _NO_SUCH_KEY
        if not hmac.compare_digest(_digest(secret), expected) or record is None:
            raise Unauthenticated(
                "the API key is not valid", cure="check the key, or create one with `nextpaint key NAME`"
            )
        return self._principals[key_id]


def create_key(path: Path, name: str, scopes: Iterable[str], random: Random) -> str:
    """Add a key to the file and return it: the only time it is seen. Raises InvalidInput for an unknown scope."""
    granted = frozenset(scopes)
    if not granted or not granted <= SCOPES:
        raise InvalidInput(
            f"unknown scope {', '.join(sorted(granted - SCOPES)) or '(none)'}",
            where="key create --scope",
            cure=f"use one or more of {', '.join(sorted(SCOPES))}",
        )
    key_id, secret = random.token(_ID_BYTES).hex(), random.token(_SECRET_BYTES).hex()
    record = KeyRecord(key_id, name, granted, _digest(secret))
    write_keys(path, [*read_keys(path), record])
    return f"np_{key_id}.{secret}"


def revoke_key(path: Path, key_id: str) -> bool:
    """Remove the key with this id (`np_` in front or not); False if there is none."""
    wanted = key_id.removeprefix("np_").partition(".")[0]
    records = read_keys(path)
    kept = [record for record in records if record.id != wanted]
    if len(kept) == len(records):
        return False
    write_keys(path, kept)
    return True


def read_keys(path: Path) -> list[KeyRecord]:
    """The keys of a file, none if it does not exist."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return msgspec.json.decode(text, type=list[KeyRecord])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NextpaintError(
            f"the API key file cannot be read: {error}",
            where=str(path),
            cure="restore it, or delete it and create keys anew",
        ) from error


def write_keys(path: Path, records: Sequence[KeyRecord]) -> None:
    """Replace the file as a whole: written beside, synced, renamed, and the directory synced."""
    replace_private_file(path, msgspec.json.format(msgspec.json.encode(records), indent=2))


def replace_private_file(path: Path, content: bytes) -> None:
    """A file of mode 0600 with this content, durable when this returns, never seen half written."""
    SystemDisk(path.parent).replace(path.name, content)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
