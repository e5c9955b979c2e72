"""Subjects: the random token that stands for a person's identifier everywhere but in `keys.db`.

`keys.db` (SQLite) is the only mutable store of a node. It holds, per identifier (a userId, an anonymousId, an e-mail
address), its kind, a keyed hash (HMAC-SHA256) of its text, and its token: 22 base62 digits of 128 random bits. The
text itself is written nowhere; the hash key is the file `keys.key` (mode 0600) beside it, so a copy of keys.db alone
does not let anyone try out e-mail addresses. Both belong in one backup, apart from the ledger's: with the key lost,
known visitors become unknown, so a database without its key is refused.

Invariants
* Identifiers of different kinds have different tokens: a userId equal to an anonymousId is not the same subject.
* `token` may be called on one thread and `commit` on another. A token that was handed out is found again at once;
  after `commit` returned it is found after any crash. Commit before the frame that uses the token: a crash in between
  leaves an unused token, never a frame whose subject is unknown.
* Memory is bounded: the cache forgets what was used longest ago, pending tokens have a ceiling and then refuse.

Not here: links between tokens (rows of the table `identity`), consent, and the sealing of fields.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections import OrderedDict
from itertools import islice
from pathlib import Path
from typing import Literal

from nextpaint.govern.access import replace_private_file
from nextpaint.ports.disk import SystemDisk
from nextpaint.ports.random import Random
from nextpaint.record.errors import LedgerReadOnly, NextpaintError, Overloaded

IdentifierKind = Literal["user", "anonymous", "email"]

_KIND_CODES: dict[str, int] = {"user": 1, "anonymous": 2, "email": 3}
_KIND_NAMES: dict[int, IdentifierKind] = {1: "user", 2: "anonymous", 3: "email"}

TOKEN_BYTES = 16
TOKEN_LENGTH = 22  # base62 digits of 128 bits: 62**22 > 2**128 > 62**21
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

CACHE_ENTRIES = 200_000  # about 60 MB of Python strings; an active hour of a mid-sized shop
STRANGERS_MAX = 50_000
_ROWS_MAX = 10_000  # of one statement: SQLite takes 32,766 parameters
_FOLD_ROWS = 500  # worth bringing the write-ahead log into the database: some 1,000 pages
_LOG_PAGES_MAX = 100_000  # a commit brings the log in all the same when nobody did: 400 MB
PENDING_MAX = 100_000  # several frames' worth: beyond it the writer has stopped committing

_KEY_BYTES = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS identifiers (
  kind INTEGER NOT NULL,
  digest BLOB NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (kind, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identifiers_by_token ON identifiers (token);
CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
INSERT INTO format SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM format);
"""

_Identifier = tuple[int, bytes]  # kind code, keyed hash


class Subjects:
    """Tokens of identifiers. Open with `Subjects.open`; close when the ledger is closed."""

    def __init__(self, path: Path, key: bytes, random: Random, *, cache_entries: int = CACHE_ENTRIES) -> None:
        self._path = path
        self._key = key
        self._random = random
        self._cache_entries = cache_entries
        self._strangers: set[tuple[str, str]] = set()  # looked up in vain since they were last met at the door
        self._cache: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._pending: dict[_Identifier, str] = {}
        self._committing: dict[_Identifier, str] = {}
        self._handover = threading.Lock()  # guards _pending and _committing; never held while waiting for the disk
        self._writing = threading.Lock()  # one writer of the database at a time
        self._inserted = self._folded = 0  # identifiers since the start; those that `fold` has seen
        self._reader = _connect(path)
        self._writer = _connect(path)
        self._folder = _connect(path)

    @staticmethod
    def open(path: Path, random: Random, *, cache_entries: int = CACHE_ENTRIES) -> Subjects:
        """Open or create `path` (keys.db) and its key file.

        Raises NextpaintError if the database has lost its key or is damaged.
        """
        key_path = path.with_name("keys.key")
        if key_path.exists():
            key = key_path.read_bytes()
        elif path.exists():
            raise NextpaintError(
                "keys.db has lost its key: known visitors could not be recognised",
                where=str(key_path),
                cure="restore keys.key from the backup that holds keys.db",
            )
        else:
            key = random.token(_KEY_BYTES)
            replace_private_file(key_path, key)
        if len(key) != _KEY_BYTES:
            raise NextpaintError(
                f"keys.key has {len(key)} bytes instead of {_KEY_BYTES}",
                where=str(key_path),
                cure="restore it from a backup",
            )
        try:
            subjects = Subjects(path, key, random, cache_entries=cache_entries)
        except sqlite3.DatabaseError as error:
            raise NextpaintError(
                f"keys.db cannot be opened: {error}", where=str(path), cure="restore it from a backup"
            ) from error
        SystemDisk(path.parent).sync_directory("")  # the names of keys.db and its log
        return subjects

    def token(self, kind: IdentifierKind, value: str) -> str:
        """The token of an identifier; a new one is made, and is pending until `commit`.

        `value` must be encodable as UTF-8. Raises Overloaded when too many new tokens wait for `commit`.
        """
        cached = self._cache.get((kind, value))
        if cached is not None:
            self._cache.move_to_end((kind, value))
            return cached
        identifier = self._identifier(kind, value)
        found = self._find(identifier)
        if found is None:
            found = _base62(self._random.token(TOKEN_BYTES))
            with self._handover:
                if len(self._pending) >= PENDING_MAX:
                    raise Overloaded("too many new visitors wait for keys.db", where=str(self._path))
                self._pending[identifier] = found
        self._remember((kind, value), found)
        return found

    def known(self, kind: IdentifierKind, value: str) -> str | None:
        """The token of an identifier seen before, else None; nothing is made."""
        cached = self._cache.get((kind, value))
        if cached is not None or (kind, value) in self._strangers:
            return cached
        found = self._find(self._identifier(kind, value))
        if found is None:
            if len(self._strangers) >= STRANGERS_MAX:
                self._strangers.clear()
            self._strangers.add((kind, value))
        else:
            self._remember((kind, value), found)
        return found

    def pseudonym(self, text: str) -> str:
        """A keyed hash of a text that must stay distinguishable but may hold an identifier: 22 base62 digits."""
        return _base62(hmac.digest(self._key, b"\x00" + text.encode("utf-8", "surrogatepass"), "sha256")[:TOKEN_BYTES])

    @property
    def pending(self) -> int:
        """Tokens handed out and not yet durable."""
        return len(self._pending) + len(self._committing)

    def commit(self) -> int:
        """Make all pending tokens durable and return how many. Call before the frame that uses them is written.

        Raises LedgerReadOnly when the database cannot be written; the tokens stay pending.
        """
        committed = 0
        with self._writing:
            while self._pending:
                committed += self._commit_some()
        return committed

    def _commit_some(self) -> int:
        with self._handover:
            self._committing = dict(islice(self._pending.items(), _ROWS_MAX))
            for identifier in self._committing:
                del self._pending[identifier]
        try:
            self._insert([(kind, digest, token) for (kind, digest), token in self._committing.items()])
        except sqlite3.Error as error:
            with self._handover:
                self._pending = {**self._committing, **self._pending}
                self._committing = {}
            raise LedgerReadOnly(
                f"keys.db cannot be written: {error}",
                where=str(self._path),
                cure="free disk space, then restart the node",
            ) from error
        count = len(self._committing)
        with self._handover:
            self._committing = {}
        return count

    def _insert(self, rows: list[tuple[int, bytes, str]]) -> None:
        """One statement, which is one transaction. Around each call this thread gives the interpreter away and waits to
        have it back, and the frame that uses the tokens waits with it."""
        values = ", ".join(["(?, ?, ?)"] * len(rows))
        statement = f"INSERT INTO identifiers (kind, digest, token) VALUES {values}"
        self._writer.execute(statement, [each for row in rows for each in row])
        self._inserted += len(rows)

    @property
    def grown(self) -> bool:
        """Whether it is time for `fold`."""
        return self._inserted - self._folded >= _FOLD_ROWS

    def fold(self) -> None:
        """Bring the write-ahead log into the database; commits go on meanwhile. For a background thread: the commit
        that did it would keep a frame waiting."""
        self._folded = self._inserted
        self._folder.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def identifiers(self, token: str) -> list[tuple[IdentifierKind, str]]:
        """What is known of a token: (kind, keyed hash in hex) of each identifier. The text itself was never kept."""
        with self._handover:
            waiting = [each for each, held in {**self._committing, **self._pending}.items() if held == token]
        stored = self._reader.execute("SELECT kind, digest FROM identifiers WHERE token = ?", (token,)).fetchall()
        return [(_KIND_NAMES[kind], digest.hex()) for kind, digest in dict.fromkeys([*stored, *waiting])]

    def forget(self, token: str) -> int:
        """Destroy every identifier of a token and return how many there were. A new call gets a new token.

        The pages are overwritten (`secure_delete`) and the write-ahead log is emptied before this returns.
        """
        with self._writing:
            with self._handover:
                waiting = [each for each, held in self._pending.items() if held == token]
                for identifier in waiting:
                    del self._pending[identifier]
            deleted = self._writer.execute("DELETE FROM identifiers WHERE token = ?", (token,)).rowcount
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for cached in [each for each, held in self._cache.items() if held == token]:
            del self._cache[cached]
        return deleted + len(waiting)

    def close(self) -> None:
        """Commit what is pending and close the database."""
        self.commit()
        for connection in (self._reader, self._folder, self._writer):
            connection.close()

    def _identifier(self, kind: str, value: str) -> _Identifier:
        code = _KIND_CODES[kind]
        return code, hmac.digest(self._key, bytes([code]) + value.encode(), "sha256")

    def _find(self, identifier: _Identifier) -> str | None:
        with self._handover:
            waiting = self._pending.get(identifier) or self._committing.get(identifier)
        if waiting is not None:
            return waiting
        row = self._reader.execute("SELECT token FROM identifiers WHERE kind = ? AND digest = ?", identifier).fetchone()
        return None if row is None else str(row[0])

    def _remember(self, identifier: tuple[str, str], token: str) -> None:
        self._strangers.discard(identifier)
        self._cache[identifier] = token
        if len(self._cache) > self._cache_entries:
            self._cache.popitem(last=False)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _base62(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    digits = []
    for _ in range(TOKEN_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
